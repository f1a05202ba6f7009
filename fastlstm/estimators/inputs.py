"""Validation of X, y and weights."""

from numbers import Real
from os import PathLike
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    _check_sample_weight,
    _get_feature_names,
    _num_samples,
    check_consistent_length,
)

from fastlstm import containers, sequences, storage
from fastlstm.estimators import layouts
from fastlstm.layers.checks import named
from fastlstm.user_warnings import warn

FORMS = "an array of shape (n, T, C) or (n, T), or a list of n arrays (T_i, C) or (T_i,)"


def check_series(estimator, X, dtype, reset, name="X", missing="error", warn_of_names=True):
    """X in any form as `Series`.

    dtype: if None, float32 if X is float32 throughout, else float64.
    missing: whether NaN raises an error ("error") or is preserved ("keep").
    reset: if True, sets the attributes ``n_features_in_``, ``feature_names_in_``, ``_channels``, ``_columns`` (number
    of columns of a 2-D X, else None) and ``_plan`` (resolved layout) of the estimator; if False, X must match them.
    """
    series = None if reset else _usual_series(estimator, X, X, dtype)
    if series is not None:
        return series
    with named(name), np.errstate(over="ignore"):  # reported as infinite
        source = storage.source_of(X, name)
        if source is not None:
            return _check_stored(estimator, source, dtype, reset, name, missing, warn_of_names)
        return _check_series(estimator, X, dtype, reset, name, missing, warn_of_names)


def _usual_series(estimator, given, X, dtype):
    """X as `Series` if it is a numeric array like that of `fit`, with finite values; None if it requires more checks.

    # Design: for a single row, scikit-learn's checks take several times as long as the prediction itself.
    """
    if not containers.is_numeric(X) or X.ndim not in (2, 3) or not X.size:
        return None
    channels, columns, plan = estimator._channels, estimator._columns, estimator._plan
    if X.ndim == 3 and (X.shape[2] != channels or plan.channels_first or plan.columns is not None):
        return None
    if X.ndim == 2 and X.shape[1] != columns and (columns is not None or channels != 1):
        return None
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None if given is X else not _has_columns(given, columns, names):
        return None
    dtype = dtype or _float_dtype([X])
    if X.dtype != dtype:
        with np.errstate(over="ignore"):  # reported as infinite
            X = X.astype(dtype)
    if not sequences.all_finite(X):
        return None
    return plan.read(X) if X.ndim == 2 else sequences.of_array(X)


def _has_columns(table, columns, names):
    """Whether a table has the columns that were fitted, without the checks for which scikit-learn wraps it first."""
    if columns is None or names is None:
        return False
    of_table = containers.names_of(table)
    return set(map(type, of_table)) == {str} and of_table == names.tolist()


def _check_series(estimator, X, dtype, reset, name, missing, warn_of_names):
    _refuse_strings(X, name)
    given, X = X, read_series(X, name)
    if not reset and containers.is_table(given) and (series := _usual_series(estimator, given, X, dtype)) is not None:
        return series
    several = sequences.is_list(X)
    shape = () if several else _shape(X, name)
    if len(shape) > 3:
        raise ValueError(f"{name} has shape {shape}; expected {FORMS}.")
    plan = _plan_of_series(estimator, reset, name) if several or len(shape) == 3 else None
    if several:
        X = sequences.read_members(X, name, plan.channels_first)
    dtype = dtype or _float_dtype(X if several else [X])
    if several:
        series = sequences.of_members(X, dtype, name)
    else:
        X = _check_numbers(X, name)
        if len(shape) < 3:
            return _check_2d(estimator, given, X, dtype, reset, name, missing)
        X = np.swapaxes(X, 1, 2) if plan.channels_first else X
        X = check_array(X, dtype=dtype, allow_nd=True, ensure_min_features=0, ensure_all_finite=False, input_name=name)
        if 0 in X.shape[1:]:
            raise ValueError(
                f"{name} has shape {X.shape}; expected (n, T, C): n series with at least 1 time step and at least "
                "1 channel."
            )
        series = sequences.of_padded(X, name)
    sequences.check_finite(series, name, missing)
    names = None
    if series.form != "array":
        if not reset and estimator._columns is not None:
            _check_row_names(estimator, given, name)
        else:
            names = _channel_names(given, name)
    return _check_channels(estimator, series, names, plan, shape, reset, name, warn_of_names)


def _check_channels(estimator, series, names, plan, shape, reset, name, warn_of_names):
    """Return series that are not from a 2-D X; with `reset`, their channels are those fitted, else check them.

    names: of the channels, or None.
    shape: of X, or None.
    """
    if not reset:
        check_channel_names(FittedNames.of(estimator), names, name, warn_of_names)
    else:
        estimator.n_features_in_ = estimator._channels = series.channels
        estimator._columns, estimator._plan = None, plan
        estimator.__dict__.pop("feature_names_in_", None)
        if names is not None:
            estimator.feature_names_in_ = names
    if series.channels != estimator._channels:
        given, C = f" (its shape is {shape})" if shape else "", estimator._channels
        axes = f"(n, {C}, T)" if plan.channels_first else f"(n, T, {C})"
        raise ValueError(
            f"{name} has {series.channels} channels{given}, but {type(estimator).__name__} was fitted with {C}: pass "
            f"series with {C} channels, for example an array of shape {axes}."
        )
    return series


def _check_stored(estimator, source, dtype, reset, name, missing, warn_of_names):
    """Like `_check_series`, for the source of stored series."""
    if not source.is_table:
        plan = _plan_of_series(estimator, reset, name)
        source.arrange(plan)
        series = storage.stored_series(source, plan, dtype or _float_dtype([source]), name, missing)
        names = None if source.empty is None else _get_feature_names(source.empty)
        return _check_channels(estimator, series, names, plan, source.shape, reset, name, warn_of_names)
    dtype, labels = dtype or _float_dtype([source]), None
    if not reset and estimator._columns is None:
        _check_univariate(estimator, source.shape, name)
        plan = layouts.UNIVARIATE
    else:
        given = np.broadcast_to(0.0, source.shape)
        plan, labels = _plan_of_table(estimator, given if source.empty is None else source.empty, given, reset)
    source.arrange(plan)
    return storage.stored_series(source, plan, dtype, name, missing, labels)


def _refuse_strings(X, name):
    """Raise ValueError if X holds sequences of symbols, as far as its first member shows."""
    if isinstance(X, (list, tuple)) and len(X):
        first = X[0][0] if isinstance(X[0], (list, tuple)) and len(X[0]) else X[0]
        if isinstance(first, str):
            raise ValueError(
                f"{name} holds strings, for example {containers.brief(first)}; expected {FORMS}. To read sequences of "
                "symbols, such as words, set embedding_size, for example to 32."
            )


def read_series(X, name):
    """X in any container as an array, or as a list, tuple or object array of series."""
    if containers.is_numeric(X):
        return X
    levels = _row_levels(X)
    X = containers.unpack(X, name)
    if levels and not sequences.is_list(X):
        raise ValueError(
            f"{name} is a DataFrame with a row MultiIndex {containers.few(levels)}, but the rows of a DataFrame are "
            "interpreted as series and its columns as steps. If rows are steps and columns are channels, pass a list "
            f"of one array per series: [rows.to_numpy() for _, rows in {name}.groupby(level=0, sort=False)]. "
            f"If each row is a whole series, pass {name}.reset_index(drop=True)."
        )
    return X


def _float_dtype(X):
    """float32 if all members of X are float32, else float64."""
    return "float32" if all(getattr(member, "dtype", None) == np.float32 for member in X) else "float64"


def _row_levels(X):
    """Names of the levels of a DataFrame's row index if it is a MultiIndex, else None."""
    if containers.is_table(X) and hasattr(type(X), "iloc") and getattr(X.index, "nlevels", 1) > 1:
        return X.index.names
    return None


def _check_numbers(X, name):
    """X as an array of numbers; raises if it contains complex numbers or objects that are not numbers."""
    kind = getattr(getattr(X, "dtype", None), "kind", None)
    if kind == "c":
        raise ValueError(f"Complex data not supported: {name} is of type {X.dtype}; expected real numbers.")
    return containers.numbers_of(X, name) if kind == "O" else X


def _channel_names(X, name):
    """Channel names of a list of DataFrames, or of a DataFrame with series in its cells; None if there are none."""
    if isinstance(X, memoryview):  # cannot be iterated if it holds objects
        return None
    return _get_feature_names(X) if containers.is_table(X) else _names_of_members(X, name)


def _names_of_members(members, name):
    """Column names of the DataFrames in a list; None if there are none. Raises if they differ."""
    first = without = None
    for n, member in enumerate(members):
        if type(member) is np.ndarray or not containers.is_table(member):
            without = n if without is None else without
            continue
        columns = containers.names_of(member)
        if first is None:
            first, columns_of_first, names = n, columns, _get_feature_names(member)
        elif columns != columns_of_first:
            raise ValueError(_mismatch_message(name, n, f"columns {containers.few(columns)}", first, columns_of_first))
    if first is None:
        return None
    if names is not None and without is not None:
        raise ValueError(_mismatch_message(name, without, "no column names", first, names))
    return names


def _names_of_rows(rows, name):
    """Labels of DataFrame rows (Series) in a list, if they are strings, else None. Raises if they differ."""
    first = None
    for n, row in enumerate(rows):
        if type(row) is np.ndarray or not hasattr(type(row), "iloc") or row.ndim != 1:
            continue
        labels = list(row.index)
        if first is None:
            first, labels_of_first, names = n, labels, _names_of_row(row)
        elif labels != labels_of_first and not (names is None and _names_of_row(row) is None):
            raise ValueError(_mismatch_message(name, n, f"columns {containers.few(labels)}", first, labels_of_first))
    return None if first is None else names


def _names_of_row(row):
    return _get_feature_names(row.to_frame().T)


def _mismatch_message(name, n, has, first, columns_of_first):
    return (
        f"{name}[{n}] has {has}, but {name}[{first}] has columns {containers.few(columns_of_first)}: all series must "
        "have the same columns in the same order."
    )


def channel_names_of_step(x_t, shape):
    """Channel names of one step [n_streams, C]: columns of a DataFrame, or labels of one or several rows; or None."""
    with named("x_t"):
        if containers.is_table(x_t):
            return _get_feature_names(x_t)
        if shape[0] == 1 and hasattr(type(x_t), "iloc") and x_t.shape == shape[1:]:
            return _names_of_row(x_t)
        return _names_of_rows(x_t, "x_t") if isinstance(x_t, (list, tuple)) else None


class FittedNames(NamedTuple):
    """Feature names that an estimator was fitted with."""

    model: str  # name of the estimator's class
    names: tuple | None
    of_steps: bool  # whether they are the columns of a 2-D X, which are steps, not channels

    @classmethod
    def of(cls, estimator):
        names = getattr(estimator, "feature_names_in_", None)
        return cls(type(estimator).__name__, None if names is None else tuple(names), estimator._columns is not None)


def check_channel_names(fitted, names, name, warn_of_names=True):
    """Raise if channel names differ from those fitted; warn if only one of the two has names."""
    if fitted.of_steps:
        return
    if names is not None and fitted.names is not None:
        _check_same_names(fitted, names, f"the channels of {name}")
    elif warn_of_names and names is not fitted.names:
        warn(
            f"{name} does not have valid feature names, but {fitted.model} was fitted with feature names"
            if names is None
            else f"{name} has feature names, but {fitted.model} was fitted without feature names",
            UserWarning,
        )


def _check_row_names(estimator, X, name):
    """Raise if series in a list are DataFrame rows whose labels differ from the columns that were fitted."""
    fitted = FittedNames.of(estimator)
    names = None if fitted.names is None or containers.is_table(X) else _names_of_rows(X, name)
    if names is not None:
        _check_same_names(fitted, names, f"the columns of {name}")


def _check_same_names(fitted, names, what):
    if list(names) == list(fitted.names):
        return
    same = set(names) == set(fitted.names)
    how = "be in the same order as they were in fit" if same else "match those passed during fit"
    raise ValueError(
        f"Feature names must {how}: {what} are {containers.few(names)}, but "
        f"{fitted.model} was fitted with {containers.few(fitted.names)}."
    )


def check_target_names(estimator, given, y, name, reset=False):
    """Raise unless per-step targets have the same columns in all series, equal to those fitted unless `reset`.

    given, y: the targets as passed by the user, and as returned by `containers.plain`.
    """
    names = None
    if sequences.is_list(y):
        with named(name):
            names = _names_of_members(given, name)
    if reset:
        estimator._target_names = names
        return
    fitted = getattr(estimator, "_target_names", None)
    if names is not None and fitted is not None and list(names) != list(fitted):
        raise ValueError(
            f"{name} has columns {containers.few(names)}, but {type(estimator).__name__} was fitted with targets in "
            f"columns {containers.few(fitted)}: pass the same columns in the same order."
        )


def _shape(X, name):
    shape = None if X is None else sequences.shape_of(X)
    if not shape:
        what = repr(X) if X is None or isinstance(X, Real) else f"a {type(X).__name__}"
        raise ValueError(f"{name} is {what}; expected {FORMS}.{_how_to_open(X, name)}")
    return shape


def _how_to_open(X, name):
    """How to pass what is stored in a file, if X may be its path or what has opened it."""
    if isinstance(X, (str, PathLike)):
        return (
            f" To read series from a file, open it: np.load({name}, mmap_mode='r'), h5py.File({name})[...] or "
            f"pyarrow.dataset.dataset({name}), for example."
        )
    if type(X).__module__.startswith("pyarrow.parquet"):
        return " To read series from Parquet files, open them as pyarrow.dataset.dataset(paths)."
    return ""


def _check_2d(estimator, given, X, dtype, reset, name, missing):
    """Validate X of shape (n, T), or 1-D, or empty; `given` is X before conversion, with its column names."""
    options = {"dtype": dtype, "ensure_all_finite": False, "input_name": name}  # `check_finite` reports NaN in detail
    shape = sequences.shape_of(X)
    if len(shape) == 1:
        raise ValueError(
            f"Expected 2D array, got 1D array instead: {name} has shape {shape}; expected {FORMS}. Reshape your data: "
            f"pass np.reshape({name}, (1, -1)) if it is a single series, or np.reshape({name}, (-1, 1)) if it is "
            "series of one step each."
        )
    if not reset and estimator._columns is None:
        _check_univariate(estimator, shape, name)
        return sequences.check_finite(sequences.of_array(check_array(X, **options)), name, missing)
    X = check_array(X, estimator=estimator, **options)
    plan, labels = _plan_of_table(estimator, given, X, reset)
    return sequences.check_finite(plan.read(X), name, missing, labels)


def _check_univariate(estimator, shape, name):
    if estimator._channels != 1:
        raise ValueError(
            f"{name} of shape {shape} is interpreted as univariate series, but {type(estimator).__name__} was "
            f"fitted with {estimator._channels} channels: pass an array of shape (n, T, {estimator._channels})."
        )


def _plan_of_table(estimator, given, X, reset):
    """The `Plan` of a 2-D X, whose columns are checked or, with `reset`, fitted, and the labels of its columns.

    given: X before conversion, with its column names.
    """
    # like validate_data, whose messages always call the input X
    _check_feature_names(estimator, given, reset=reset)
    _check_n_features(estimator, X, reset=reset)
    names = getattr(estimator, "feature_names_in_", None)
    if reset:
        estimator._plan = resolve_layout(estimator, X.shape[1], names)
        estimator._channels, estimator._columns = estimator._plan.n_channels, X.shape[1]
    return estimator._plan, estimator._plan.labels(names)


def resolve_layout(estimator, n_columns=None, names=None):
    """The `Plan` for the parameters of an estimator and for X, see `layouts.resolve`; scalers have no layouts."""
    layout, time_order = getattr(estimator, "layout", None), getattr(estimator, "time_order", "oldest_first")
    plan = layouts.resolve(layout, time_order, n_columns, names)
    if plan.columns is not None and estimator.return_sequences:
        raise ValueError(
            "return_sequences=True is not supported for a 2-D X whose columns have a layout: pass an array of shape "
            "(n, T, C) or a list, or set layout=None and time_order='oldest_first' to read X as univariate series."
        )
    return plan


def _plan_of_series(estimator, reset, name):
    """The `Plan` for an X that is not 2-D."""
    if reset:
        return resolve_layout(estimator)
    if estimator._plan.columns is not None:
        raise ValueError(
            f"{name} is not 2-D, but {type(estimator).__name__} was fitted with a table: pass a table with the same "
            f"{estimator._columns} columns."
        )
    return estimator._plan


def check_weights(weights, X, n_outputs, name, of_all=True):
    """Sample weights, float64: one per series [n, 1], or one per output [n, K].

    of_all: whether these are the weights of all data, one of which must be positive.
    """
    if isinstance(weights, (str, dict)):
        given = repr(weights) if len(weights) <= 5 else f"a {type(weights).__name__}"
        raise ValueError(f"{name} is {given}; expected None, or one weight per series.")
    weights = containers.numbers_of(containers.plain(weights, name), name)
    if isinstance(weights, Real):  # the same weight for all
        weights = np.full(_num_samples(X), float(weights))
    if weights is not None and sequences.is_list(weights):
        try:
            weights = containers.numbers(np.asarray(list(weights)))
        except ValueError as error:
            raise ValueError(
                f"{name} is a sequence whose members differ in shape; expected one weight per series, or one per step "
                "with return_sequences=True."
            ) from error
    if weights is not None and len(sequences.shape_of(weights)) == 2 and n_outputs > 1:
        weights = check_array(weights, dtype="float64", input_name=name)
        if weights.shape != (_num_samples(X), n_outputs):
            raise ValueError(
                f"{name} has shape {weights.shape}; expected ({_num_samples(X)},) or ({_num_samples(X)}, {n_outputs}): "
                "one weight per series, or one per output."
            )
        return _check_values(weights, name, of_all)
    if weights is not None:
        weights = check_array(weights, dtype="float64", ensure_2d=False, allow_nd=True, input_name=name)
    if np.ndim(weights) == 1 and len(weights) != _num_samples(X):
        raise ValueError(f"{name}.shape == {np.shape(weights)}, expected {(_num_samples(X),)}!")
    if weights is None or np.ndim(weights) != 1 or weights.any():  # all zeros are reported below
        weights = _check_sample_weight(weights, X, dtype="float64")
    return _check_values(weights[:, None], name, of_all)


def check_step_weights(weights, series, n_outputs, name, X_name, of_all=True):
    """Sample weights, float64: one per step of all series [steps, 1], or one per output [steps, K].

    They are given per step, in the form of y, or per series, for all its steps. `of_all` as in `check_weights`.
    """
    weights = containers.plain(weights, name)
    of_series = weights is None or isinstance(weights, Real)
    if of_series or (not sequences.is_list(weights) and len(sequences.shape_of(weights)) == 1):
        return np.repeat(check_weights(weights, series, 1, name, of_all), series.lengths, axis=0)
    rows = sequences.rows_of_steps(weights, series, name, X_name)
    rows = check_array(containers.numbers_of(rows, name), dtype="float64", ensure_2d=False, input_name=name)
    rows = rows.reshape(len(rows), -1)
    if rows.shape[1] not in (1, n_outputs):
        expected = "1" if n_outputs == 1 else f"1, or {n_outputs}: one per output"
        raise ValueError(f"{name} has {rows.shape[1]} weights per step; expected {expected}.")
    return _check_values(rows, name, of_all)


def _check_values(weights, name, of_all):
    if (weights < 0).any():
        row = int(np.argmax((weights < 0).any(axis=1)))
        raise ValueError(
            f"Negative values in {name}: expected non-negative weights, got {weights[row].min():g} for sample {row}."
        )
    if of_all and not weights.any():
        raise ValueError(f"{name} is zero for every sample: at least one weight must be positive.")
    return check_total(weights, name)


def check_total(weights, name):
    """Raise unless the sum of the weights, by which training divides, is finite."""
    with np.errstate(over="ignore"):
        total = weights.sum()
    if not np.isfinite(total):
        raise ValueError(
            f"The sum of {name} overflows float64; its largest value is {weights.max():g}. Scale it down: only the "
            "ratios of weights matter."
        )
    return weights


def check_levels(levels, name):
    """Quantile levels, a number or a sequence, as a list of floats."""
    levels = containers.unpack(levels, name)
    try:
        array = np.asarray(levels)
    except ValueError:  # members of unequal lengths
        array = np.array(None)
    if array.dtype.kind not in "fiu" or array.ndim > 1 or not array.size or not ((array > 0) & (array < 1)).all():
        raise ValueError(f"{name} is {containers.brief(levels)}; expected a number or a sequence of numbers in (0, 1).")
    return array.astype(float).reshape(-1).tolist()


def check_lengths(X, y, name):
    """Raise unless there is one y for each series of X."""
    if y is None:
        raise ValueError(f"This estimator requires {name} to be passed, but the target {name} is None.")
    try:
        check_consistent_length(X, y)
    except ValueError as error:
        sizes = f"X{name[1:]} has {_num_samples(X)} series, but {name} has {_num_samples(y)} values"
        raise ValueError(f"{sizes}: pass one {name} per series. {error}") from None
