"""What `fit` is given, as it is trained on: series, targets and weights, checked, split, weighed and scaled."""

import math
from typing import NamedTuple

import numpy as np

from fastlstm import containers, sequences
from fastlstm.estimators.inputs import check_step_weights, check_target_names, check_targets, check_weights
from fastlstm.layers.checks import named
from fastlstm.sequences import Series
from fastlstm.training import standardization
from fastlstm.training.model import prepared


class Data(NamedTuple):
    """Series, and targets [rows, .] and weights [rows, 1 or K]: of each series, or one after the other of each step."""

    series: Series
    targets: np.ndarray
    weights: np.ndarray


def check_data(estimator, X, y, sample_weight, reset, classes=None, suffix=""):
    """X, y and weights as `Data`; with `reset` the estimator notes what they are like, else they must be like that."""
    if reset:
        estimator._masked, estimator._per_step = estimator.missing == "mask", bool(estimator.return_sequences)
        estimator._standardised = bool(estimator.standardize)
    x = estimator._read_series(X, reset, "X" + suffix)
    names = "y" + suffix, "sample_weight" + suffix
    with named(names[0]):
        check_targets(X, y, names[0])
        given, y = y, containers.plain(y, names[0])
        if estimator._per_step:
            check_target_names(estimator, given, y, names[0], reset)
            y = sequences.rows_of_steps(y, x, names[0], "X" + suffix)
        n_outputs = (y.shape[1] if y.ndim > 1 else 1) if estimator._per_step else _n_outputs(y, names[0])
    with named(names[1]):
        if estimator._per_step:
            weights = check_step_weights(sample_weight, x, X, n_outputs, names[1], "X" + suffix)
        else:
            weights = check_weights(sample_weight, X, n_outputs, names[1])
    if reset and estimator._per_step:
        estimator._output_axis = y.ndim > 1
    by_parts = estimator._per_step or weights.shape[1] > 1  # then weight 0 says that there is no target
    counts = weights > 0 if by_parts else np.ones_like(weights, bool)
    with named(names[0], "classes"):
        return Data(x, estimator._encode(y, counts, reset, classes, names[0]), weights)


def _n_outputs(y, name):
    """Targets of each series."""
    try:
        shape = sequences.shape_of(y)
    except ValueError as error:
        raise ValueError(
            f"{name} is a sequence whose members differ in shape; expected one target for each series, or with "
            "return_sequences=True one for each step."
        ) from error
    if len(shape) == 1 and sequences.is_list(y):  # an object array of arrays
        raise ValueError(
            f"{name} has an array for each series; expected one target for each, or with return_sequences=True one for "
            "each step."
        )
    return shape[1] if len(shape) > 1 else 1


def check_validation_data(estimator, X_val, y_val, sample_weight_val):
    """The same of data to validate on; None if there are none."""
    if (X_val is None) != (y_val is None):
        given, lacking = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
        raise ValueError(f"{given} was passed but {lacking} is None: pass both, or neither.")
    if X_val is not None:
        return check_data(estimator, X_val, y_val, sample_weight_val, False, suffix="_val")
    if sample_weight_val is not None:
        raise ValueError("sample_weight_val was passed without X_val and y_val.")
    return None


def split(estimator, data, rng):
    """Training and validation parts of the data."""
    x, targets, weights = data
    n, held = len(x), math.ceil(estimator.validation_fraction * len(x))  # as train_test_split counts
    if held >= n:
        raise ValueError(
            f"validation_split={estimator.validation_split!r} with "
            f"validation_fraction={estimator.validation_fraction:g} holds out all of the {n} series: "
            "pass more, a smaller fraction, or X_val and y_val."
        )
    if estimator.validation_split == "tail":
        rows = np.split(np.arange(n), [n - held])
    else:
        rows = estimator._drawn(n, held, targets, int(rng.integers(np.iinfo(np.int32).max)))
    parts = [x.steps_of(part) for part in rows] if estimator._per_step else rows
    parts = [Data(x.take(part), targets[at], weights[at]) for part, at in zip(rows, parts, strict=True)]
    if not parts[0].weights.any():
        raise ValueError(
            "The training data have no weight: every sample that is not held out has weight 0. Pass X_val and "
            f"y_val, or lower validation_fraction (now {estimator.validation_fraction:g})."
        )
    estimator._check_split(*parts)
    return parts


def weights_of_series(data, per_step):
    """One weight for each series: the mean over its steps and outputs."""
    weights = data.weights.mean(axis=1)
    return np.add.reduceat(weights, data.series.step_at) / data.series.lengths if per_step else weights


def learn_scaling(data, per_step, dtype, of_targets):
    """The `Scaling` of channels and, where `of_targets`, of targets, as weighed; of those None otherwise."""
    series, targets, weights = data
    # what a step's target weighs says nothing of its inputs
    of_steps = np.repeat(weights_of_series(data, per_step), series.lengths)[:, None]
    table = series.table(copy=False)
    try:
        scaling = standardization.learn(table, of_steps, "X")
    except ValueError:
        with np.errstate(over="ignore"):
            narrow = series.with_table(table.astype(dtype))
        sequences.check_finite(narrow, "X", "keep")  # says where
        raise
    return scaling, standardization.learn(targets, weights, "y") if of_targets else None


def prepare(data, scaling, target_scaling, masked, dtype, suffix=""):
    """Data as the network takes them."""
    series, targets, weights = data
    if target_scaling is not None:
        targets = target_scaling.apply(targets, dtype)
        if not np.isfinite(targets).all():
            raise ValueError(f"y{suffix} contains a value too large for {dtype} once it is standardised.")
    return Data(prepared(series, scaling, masked, dtype, "X" + suffix), targets, weights)
