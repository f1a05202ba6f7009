"""Checks of X, y and weights: what an estimator was given becomes plain arrays, or an error that says why not."""

import warnings
from numbers import Real

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

from fastlstm import containers, sequences
from fastlstm.layers.checks import named

FORMS = "an array of shape (n, T, C) or (n, T), or a list of n arrays (T_i, C) or (T_i,)"


def check_series(estimator, X, dtype, reset, name="X", missing="error", warn_of_names=True):
    """X in any form as a `Series` of `dtype`; `missing`: whether NaN in it is an "error", or stays ("keep").

    With `dtype` None it is float32 where all that X holds is, else float64.

    With `reset` the estimator notes ``n_features_in_`` (channels, but columns of 2-D X), feature names, and in
    ``_channels`` and ``_columns`` what X was (no columns if it was not 2-D); without, X must agree with that.
    """
    with named(name):
        return _check_series(estimator, X, dtype, reset, name, missing, warn_of_names)


def _check_series(estimator, X, dtype, reset, name, missing, warn_of_names):
    given, X = X, read_series(X, name)
    several = sequences.is_list(X)
    if several:
        X = sequences.read_members(X, name)
    dtype = dtype or _float_dtype(X if several else [X])
    if several:
        series = sequences.of_members(X, dtype, name)
    else:
        shape = _shape(X, name)
        if len(shape) > 3:
            raise ValueError(f"{name} has shape {shape}; expected {FORMS}.")
        X = _check_numbers(X, name)
        if len(shape) < 3:
            return _check_2d(estimator, given, X, dtype, reset, name, missing)
        X = check_array(X, dtype=dtype, allow_nd=True, ensure_min_features=0, ensure_all_finite=False, input_name=name)
        if 0 in X.shape[1:]:
            raise ValueError(
                f"{name} has shape {X.shape}; expected (n, T, C): n series of at least 1 time step and at least 1 "
                "channel."
            )
        series = sequences.of_padded(X, name)
    sequences.check_finite(series, name, missing)
    names = None if series.form == "array" else _channel_names(given, name)
    if not reset:
        check_channel_names(estimator, names, name, warn_of_names)
    else:
        estimator.n_features_in_ = estimator._channels = series.channels
        estimator._columns = None
        estimator.__dict__.pop("feature_names_in_", None)
        if names is not None:
            estimator.feature_names_in_ = names
    if series.channels != estimator._channels:
        shape = "" if series.form != "array" else f" (its shape is {sequences.shape_of(X)})"
        raise ValueError(
            f"{name} has {series.channels} channels{shape}, but {type(estimator).__name__} was fitted with "
            f"{estimator._channels}: pass series of {estimator._channels}, for instance as an array of shape "
            f"(n, T, {estimator._channels})."
        )
    return series


def read_series(X, name):
    """X, in whatever container, as an array-like, or a list, tuple or object array of series."""
    if containers.is_numeric(X):
        return X
    levels = _row_levels(X)
    X = containers.unpack(X, name)
    if levels and not sequences.is_list(X):
        raise ValueError(
            f"{name} is a DataFrame with a row MultiIndex {containers.few(levels)}, but rows of a DataFrame are read "
            "as series, and columns as their steps. If a row is one step of a series and columns are channels, pass a "
            f"list of one array for each series: [rows.to_numpy() for _, rows in {name}.groupby(level=0, sort=False)]. "
            f"If a row is a whole series, pass {name}.reset_index(drop=True)."
        )
    return X


def _float_dtype(X):
    """float32 where all members of X are, else float64."""
    return "float32" if all(getattr(member, "dtype", None) == np.float32 for member in X) else "float64"


def _row_levels(X):
    """Names of the levels of a DataFrame's rows, if these have several."""
    if containers.is_table(X) and hasattr(type(X), "iloc") and getattr(X.index, "nlevels", 1) > 1:
        return X.index.names
    return None


def _check_numbers(X, name):
    """X, unless it holds complex numbers or objects that are none."""
    kind = getattr(getattr(X, "dtype", None), "kind", None)
    if kind == "c":
        raise ValueError(f"Complex data not supported: {name} is of type {X.dtype}; expected real numbers.")
    return containers.numbers_of(X, name) if kind == "O" else X


def _channel_names(X, name):
    """Names of the channels of a list of tables, or of a table with series in its cells; None if they have none."""
    if containers.is_table(X):
        return _get_feature_names(X)
    first = columns = None
    for n, member in enumerate(X):
        table = type(member) is not np.ndarray and containers.is_table(member)
        of_member = containers.names_of(member) if table else None
        if n == 0 or of_member != columns:
            columns = of_member
            names = None if columns is None else _get_feature_names(member)
            if n == 0:
                first = names
            elif _as_list(names) != _as_list(first):
                given, others = (
                    "no column names" if one is None else f"columns {containers.few(one)}" for one in (names, first)
                )
                raise ValueError(
                    f"{name}[{n}] has {given}, but {name}[0] has {others}: all series must have the same columns, in "
                    "the same order."
                )
    return first


def _as_list(names):
    return None if names is None else list(names)


def channel_names_of_step(x_t, shape):
    """Names of the channels of one step [streams, C]: a table's columns, or of one stream a row's labels, or None."""
    if containers.is_table(x_t):
        return _get_feature_names(x_t)
    if shape[0] == 1 and hasattr(type(x_t), "iloc") and x_t.shape == shape[1:]:
        return _get_feature_names(x_t.to_frame().T)
    return None


def check_channel_names(estimator, names, name, warn=True):
    """Raise unless channels have the names that were fitted; with `warn`, warn where only one of both has any."""
    if estimator._columns is not None:
        return  # what was fitted then are names of steps
    fitted = getattr(estimator, "feature_names_in_", None)
    if names is None or fitted is None:
        if warn and names is not fitted:
            model = type(estimator).__name__
            warnings.warn(
                f"{name} does not have valid feature names, but {model} was fitted with feature names"
                if names is None
                else f"{name} has feature names, but {model} was fitted without feature names",
                stacklevel=2,
            )
        return
    if list(names) == list(fitted):
        return
    what = "be in the same order as they were in fit" if set(names) == set(fitted) else "match those passed during fit"
    raise ValueError(
        f"Feature names must {what}: the channels of {name} are {containers.few(names)}, but "
        f"{type(estimator).__name__} was fitted with {containers.few(fitted)}."
    )


def _shape(X, name):
    shape = None if X is None else sequences.shape_of(X)
    if not shape:
        what = repr(X) if X is None or isinstance(X, Real) else f"a {type(X).__name__}"
        raise ValueError(f"{name} is {what}; expected {FORMS}.")
    return shape


def _check_2d(estimator, given, X, dtype, reset, name, missing):
    """X of shape (n, T), or 1-D or empty; `given` has its columns' names."""
    as_said = {"dtype": dtype, "ensure_all_finite": False, "input_name": name}  # of NaN, `check_finite` says more
    shape = sequences.shape_of(X)
    if len(shape) == 1:
        raise ValueError(
            f"Expected 2D array, got 1D array instead: {name} has shape {shape}; expected {FORMS}. Reshape your data "
            f"by {name}.reshape(1, -1) if it is one series, or by {name}.reshape(-1, 1) if it is series of one step."
        )
    if not reset and estimator._columns is None:
        if estimator._channels != 1:
            raise ValueError(
                f"{name} has shape {shape}, which is read as univariate series, but {type(estimator).__name__} "
                f"was fitted with {estimator._channels} channels: pass (n, T, {estimator._channels})."
            )
        return sequences.check_finite(sequences.of_array(check_array(X, **as_said)), name, missing)
    # what validate_data does, but for names in messages, which it fixes to X
    _check_feature_names(estimator, given, reset=reset)
    X = check_array(X, estimator=estimator, **as_said)
    _check_n_features(estimator, X, reset=reset)
    if reset:
        estimator._channels, estimator._columns = 1, X.shape[1]
    return sequences.check_finite(sequences.of_array(X), name, missing)


def check_weights(weights, X, n_outputs, name):
    """Weights float64, one for each series or, for targets of n_outputs numbers, one for each of them: [n, 1 or K]."""
    if isinstance(weights, (str, dict)):
        given = repr(weights) if len(weights) <= 5 else f"a {type(weights).__name__}"
        raise ValueError(f"{name} is {given}; expected None, or one weight for each series.")
    weights = containers.numbers_of(containers.plain(weights, name), name)
    if isinstance(weights, Real):  # weighs all alike
        weights = np.full(_num_samples(X), float(weights))
    if weights is not None and sequences.is_list(weights):
        try:
            weights = containers.numbers(np.asarray(list(weights)))
        except ValueError as error:
            raise ValueError(
                f"{name} is a sequence whose members differ in shape; expected one weight for each series, or with "
                "return_sequences=True one for each step."
            ) from error
    if weights is not None and len(sequences.shape_of(weights)) == 2 and n_outputs > 1:
        weights = check_array(weights, dtype="float64", input_name=name)
        if weights.shape != (_num_samples(X), n_outputs):
            raise ValueError(
                f"{name} has shape {weights.shape}; expected ({_num_samples(X)},) or ({_num_samples(X)}, {n_outputs}): "
                "a weight for each series, or for each of its outputs."
            )
        return _check_values(weights, name)
    if weights is not None:
        weights = check_array(weights, dtype="float64", ensure_2d=False, allow_nd=True, input_name=name)
    if np.ndim(weights) == 1 and len(weights) != _num_samples(X):
        raise ValueError(f"{name}.shape == {np.shape(weights)}, expected {(_num_samples(X),)}!")
    if weights is None or np.ndim(weights) != 1 or weights.any():  # zeros are named below
        weights = _check_sample_weight(weights, X, dtype="float64")
    return _check_values(weights[:, None], name)


def check_step_weights(weights, series, X, n_outputs, name, X_name):
    """Weights float64 for each step of all series, [steps, 1], or for each output of it, [steps, K].

    Given for each step, in the form of y, or for each series, which weighs its steps alike.
    """
    weights = containers.plain(weights, name)
    of_series = weights is None or isinstance(weights, Real)
    if of_series or (not sequences.is_list(weights) and len(sequences.shape_of(weights)) == 1):
        return np.repeat(check_weights(weights, X, 1, name), series.lengths, axis=0)
    rows = sequences.rows_of_steps(weights, series, name, X_name)
    rows = check_array(containers.numbers_of(rows, name), dtype="float64", ensure_2d=False, input_name=name)
    rows = rows.reshape(len(rows), -1)
    if rows.shape[1] not in (1, n_outputs):
        expected = "1" if n_outputs == 1 else f"1, or {n_outputs}: one for each output"
        raise ValueError(f"{name} has {rows.shape[1]} weights for each step; expected {expected}.")
    return _check_values(rows, name)


def _check_values(weights, name):
    if (weights < 0).any():
        row = int(np.argmax((weights < 0).any(axis=1)))
        raise ValueError(
            f"Negative values in {name}: expected at least 0, got {weights[row].min():g} for sample {row}."
        )
    if not weights.any():
        raise ValueError(f"{name} is zero for every sample: at least one weight must be positive.")
    with np.errstate(over="ignore"):
        total = weights.sum()
    if not np.isfinite(total):
        raise ValueError(
            f"{name} adds up to more than float64 holds; its largest value is {weights.max():g}. Scale it down: only "
            "the ratios of weights count."
        )
    return weights


def check_levels(levels, name):
    """Levels of quantiles as a list of floats, of one number or several."""
    try:
        array = np.asarray(levels)
    except ValueError:  # members of unequal lengths
        array = np.array(None)
    if array.dtype.kind not in "fiu" or array.ndim > 1 or not array.size or not ((array > 0) & (array < 1)).all():
        raise ValueError(
            f"{name} is {containers.brief(levels)}; expected a number, or a sequence of numbers, inside (0, 1)."
        )
    return array.astype(float).reshape(-1).tolist()


def check_targets(X, y, name):
    """Raise unless there is a y for every X."""
    if y is None:
        raise ValueError(f"This estimator requires {name} to be passed, but the target {name} is None.")
    check_consistent_length(X, y)
