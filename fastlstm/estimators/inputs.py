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


def check_series(estimator, X, dtype, reset, name="X"):
    """X in any form as a `Series` of `dtype`.

    With `reset` the estimator notes ``n_features_in_`` (channels of 3-D X, columns of 2-D X), feature names and
    whether X was 2-D; without, X must agree with what was noted.
    """
    shape = _shape(X, name)
    if len(shape) > 3:
        raise ValueError(f"{name} has shape {shape}; expected series as an array of shape (n, T, C) or (n, T).")
    if len(shape) == 3:
        return _check_3d(estimator, X, dtype, reset, name)
    if not reset and len(shape) == 2 and not estimator._univariate:
        if estimator.n_features_in_ != 1:
            raise ValueError(
                f"{name} has shape {shape}, which is read as univariate series, but {type(estimator).__name__} was "
                f"fitted with {estimator.n_features_in_} channels: pass (n, T, {estimator.n_features_in_})."
            )
        return sequences.of_array(check_array(X, dtype=dtype, input_name=name))
    if name == "X":
        X = validate_data(estimator, X, dtype=dtype, reset=reset)
    else:  # the same, but for names in messages, which validate_data fixes to X
        _check_feature_names(estimator, X, reset=False)
        X = check_array(X, dtype=dtype, input_name=name)
        _check_n_features(estimator, X, reset=False)
    if reset:
        estimator._univariate = True
    return sequences.of_array(X)


def _shape(X, name):
    try:
        shape = tuple(X.shape) if hasattr(X, "shape") else np.asarray(X).shape
    except ValueError:  # a list of arrays that do not stack
        shape = None
    if shape == () or X is None:
        raise ValueError(f"{name} is {X!r}; expected series as an array of shape (n, T, C) or (n, T).")
    if shape is None or (len(shape) == 1 and any(np.ndim(series) for series in X)):
        raise ValueError(
            f"{name} is a sequence of arrays, not one array, or its members differ in shape; expected series of one "
            "length, as an array of shape (n, T, C) or (n, T)."
        )
    return shape


def _check_3d(estimator, X, dtype, reset, name):
    X = check_array(X, dtype=dtype, allow_nd=True, ensure_min_features=0, input_name=name)
    if 0 in X.shape[1:]:
        raise ValueError(
            f"{name} has shape {X.shape}; expected (n, T, C): n series of at least 1 time step and at least 1 channel."
        )
    if reset:
        estimator.n_features_in_, estimator._univariate = X.shape[2], False
        estimator.__dict__.pop("feature_names_in_", None)
    expected = 1 if estimator._univariate else estimator.n_features_in_
    if X.shape[2] != expected:
        raise ValueError(
            f"{name} has {X.shape[2]} channels (its shape is {X.shape}), but {type(estimator).__name__} was fitted "
            f"with {expected}: pass series of shape (n, T, {expected})."
        )
    return sequences.of_array(X)


def check_weights(weights, X, name):
    """Weights of the rows of X, float64; ones if None."""
    if weights is not None and not isinstance(weights, Real):  # a number weighs all alike
        weights = check_array(weights, dtype="float64", ensure_2d=False, allow_nd=True, input_name=name)
    if weights is None or np.shape(weights) != (_num_samples(X),) or weights.any():  # zeros are named below
        weights = _check_sample_weight(weights, X, dtype="float64")
    if (weights < 0).any():
        row = int(np.argmax(weights < 0))
        raise ValueError(f"Negative values in {name}: expected at least 0, got {weights[row]:g} for sample {row}.")
    if not weights.any():
        raise ValueError(f"{name} is zero for every sample: at least one weight must be positive.")
    return weights


def check_lengths(X, y, name):
    """Raise unless there is a y for every X."""
    if y is None:
        raise ValueError(f"This estimator requires {name} to be passed, but the target {name} is None.")
    check_consistent_length(X, y)
