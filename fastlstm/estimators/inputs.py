"""Checks of X, y and weights: what an estimator was given becomes plain arrays, or an error that says why not."""

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, validate_data

from fastlstm import sequences


def check_series(estimator, X, dtype, reset):
    """X in any form as [T, n, C] of `dtype`.

    With `reset` the estimator notes ``n_features_in_`` (channels of 3-D X, columns of 2-D X), feature names and
    whether X was 2-D; without, X must agree with what was noted.
    """
    shape = X.shape if hasattr(X, "shape") else _shape(X)
    if len(shape) == 3:
        return _check_3d(estimator, X, dtype, reset)
    if not reset and len(shape) == 2 and not estimator._univariate:
        if estimator.n_features_in_ != 1:
            raise ValueError(
                f"X has shape {tuple(shape)}, which is read as univariate series, but {type(estimator).__name__} was "
                f"fitted with {estimator.n_features_in_} channels: pass X of shape (n, T, {estimator.n_features_in_})."
            )
        return sequences.time_major(check_array(X, dtype=dtype, input_name="X"))
    X = validate_data(estimator, X, dtype=dtype, reset=reset)
    if reset:
        estimator._univariate = True
    return sequences.time_major(X)


def _shape(X):
    try:
        return np.asarray(X).shape
    except ValueError as error:
        raise ValueError(
            "X is a sequence whose members differ in shape; expected series of one length, as an array of shape "
            "(n, T, C) or (n, T)."
        ) from error


def _check_3d(estimator, X, dtype, reset):
    X = check_array(X, dtype=dtype, allow_nd=True, ensure_min_features=0, input_name="X")
    if 0 in X.shape[1:]:
        raise ValueError(
            f"X has shape {X.shape}; expected (n, T, C): n series of at least 1 time step and at least 1 channel."
        )
    if reset:
        estimator.n_features_in_, estimator._univariate = X.shape[2], False
        estimator.__dict__.pop("feature_names_in_", None)
    expected = 1 if estimator._univariate else estimator.n_features_in_
    if X.shape[2] != expected:
        raise ValueError(
            f"X has {X.shape[2]} channels (its shape is {X.shape}), but {type(estimator).__name__} was fitted with "
            f"{expected}: pass X of shape (n, T, {expected})."
        )
    return sequences.time_major(X)


def check_weights(weights, X, dtype, name):
    """Weights of the rows of X, ones if None."""
    weights = _check_sample_weight(weights, X, dtype=dtype)
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
