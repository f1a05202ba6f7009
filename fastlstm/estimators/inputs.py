"""Checks of X, y and weights: what an estimator was given becomes plain arrays, or an error that says why not."""

from numbers import Real

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    _check_sample_weight,
    _num_samples,
    check_consistent_length,
    validate_data,
)

from fastlstm import sequences
from fastlstm.layers.checks import named

FORMS = "an array of shape (n, T, C) or (n, T), or a list of n arrays (T_i, C) or (T_i,)"


def check_series(estimator, X, dtype, reset, name="X", missing="error"):
    """X in any form as a `Series` of `dtype`; `missing`: whether NaN in it is an "error", or stays ("keep").

    With `reset` the estimator notes ``n_features_in_`` (channels, but columns of 2-D X), feature names, and in
    ``_channels`` and ``_columns`` what X was (no columns if it was not 2-D); without, X must agree with that.
    """
    with named(name):
        return _check_series(estimator, X, dtype, reset, name, missing)


def _check_series(estimator, X, dtype, reset, name, missing):
    if np.ma.isMaskedArray(X):
        raise TypeError(f"{name} is a masked array, whose mask would be lost: pass {name}.filled(np.nan).")
    if sequences.is_list(X):
        series = sequences.of_members(X, dtype, name)
    else:
        shape = _shape(X, name)
        if len(shape) > 3:
            raise ValueError(f"{name} has shape {shape}; expected {FORMS}.")
        if len(shape) < 3:
            return _check_2d(estimator, X, dtype, reset, name, missing)
        X = check_array(X, dtype=dtype, allow_nd=True, ensure_min_features=0, ensure_all_finite=False, input_name=name)
        if 0 in X.shape[1:]:
            raise ValueError(
                f"{name} has shape {X.shape}; expected (n, T, C): n series of at least 1 time step and at least 1 "
                "channel."
            )
        series = sequences.of_padded(X, name)
    sequences.check_finite(series, name, missing)
    if reset:
        estimator.n_features_in_ = estimator._channels = series.channels
        estimator._columns = None
        estimator.__dict__.pop("feature_names_in_", None)
    if series.channels != estimator._channels:
        shape = "" if sequences.is_list(X) else f" (its shape is {sequences.shape_of(X)})"
        raise ValueError(
            f"{name} has {series.channels} channels{shape}, but {type(estimator).__name__} was fitted with "
            f"{estimator._channels}: pass series of {estimator._channels}, for instance as an array of shape "
            f"(n, T, {estimator._channels})."
        )
    return series


def _shape(X, name):
    shape = None if X is None else sequences.shape_of(X)
    if not shape:
        raise ValueError(f"{name} is {X!r}; expected {FORMS}.")
    return shape


def _check_2d(estimator, X, dtype, reset, name, missing):
    """X of shape (n, T), or 1-D or empty, which scikit-learn has words for."""
    as_said = {"dtype": dtype, "ensure_all_finite": False}  # the words for NaN are `check_finite`'s
    if not reset and estimator._columns is None:
        shape = sequences.shape_of(X)
        if estimator._channels != 1 and len(shape) == 2:
            raise ValueError(
                f"{name} has shape {shape}, which is read as univariate series, but {type(estimator).__name__} "
                f"was fitted with {estimator._channels} channels: pass (n, T, {estimator._channels})."
            )
        return sequences.check_finite(sequences.of_array(check_array(X, input_name=name, **as_said)), name, missing)
    if name == "X":
        X = validate_data(estimator, X, reset=reset, **as_said)
    else:  # the same, but for names in messages, which validate_data fixes to X
        _check_feature_names(estimator, X, reset=False)
        X = check_array(X, input_name=name, **as_said)
        _check_n_features(estimator, X, reset=False)
    if reset:
        estimator._channels, estimator._columns = 1, X.shape[1]
    return sequences.check_finite(sequences.of_array(X), name, missing)


def check_weights(weights, X, n_outputs, name):
    """Weights float64, one for each series or, for targets of n_outputs numbers, one for each of them: [n, 1 or K]."""
    if isinstance(weights, (str, dict)):
        raise ValueError(f"{name} is {weights!r}; expected None, or one weight for each series.")
    if isinstance(weights, Real):  # weighs all alike
        weights = np.full(_num_samples(X), float(weights))
    if weights is not None and sequences.is_list(weights):
        try:
            weights = np.asarray(list(weights), dtype="float64")
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
    of_series = weights is None or isinstance(weights, Real)
    if of_series or (not sequences.is_list(weights) and len(sequences.shape_of(weights)) == 1):
        return np.repeat(check_weights(weights, X, 1, name), series.lengths, axis=0)
    rows = sequences.rows_of_steps(weights, series, name, X_name)
    rows = check_array(rows, dtype="float64", ensure_2d=False, input_name=name)
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
        raise ValueError(f"{name} is {levels!r}; expected a number, or a sequence of numbers, inside (0, 1).")
    return array.astype(float).reshape(-1).tolist()


def check_targets(X, y, name):
    """Raise unless there is a y for every X."""
    if y is None:
        raise ValueError(f"This estimator requires {name} to be passed, but the target {name} is None.")
    check_consistent_length(X, y)
