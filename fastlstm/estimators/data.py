"""Preparation of training data: validation, splitting, weighting and standardisation."""

import math
from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse

from fastlstm import containers, sequences, symbols
from fastlstm.estimators.inputs import check_lengths, check_step_weights, check_target_names, check_weights
from fastlstm.layers.checks import named
from fastlstm.sequences import PerStep, Series
from fastlstm.training import standardization
from fastlstm.training.collective import ALONE
from fastlstm.training.model import prepared


class Data(NamedTuple):
    """Series, targets [rows, .] and weights [rows, 1 or K]; one row per series, or per step of all series."""

    series: Series
    targets: np.ndarray
    weights: np.ndarray


def check_data(estimator, X, y, sample_weight, reset, classes=None, suffix="", of_all=True):
    """Validate X, y and weights as `Data`; with `reset`, set what later data must match, else check against it.

    of_all: whether these are all data, and not a chunk; None is returned for a chunk of which no series has a target.
    """
    series = estimator._check_series(X, reset, "X" + suffix)
    y, weights = check_targets(estimator, series, y, sample_weight, reset, suffix, of_all=of_all)
    if reset and estimator._per_step:
        estimator._output_axis = y.ndim > 1
    # with a weight per step or output, a weight of 0 means that there is no target
    ignorable = estimator._per_step or weights.shape[1] > 1
    valid = weights > 0 if ignorable else np.ones_like(weights, bool)
    if not ignorable:
        present = has_target(y, weights[:, 0], "y" + suffix)
        if not present.any():
            return None
        if not present.all():
            rows = np.flatnonzero(present)
            series, y, weights, valid = series.take(rows), np.asarray(y)[rows], weights[rows], valid[rows]
    with named("y" + suffix, "classes"):
        return Data(series, estimator._encode(y, valid, reset, classes, "y" + suffix), weights)


def check_targets(estimator, series, y, sample_weight, reset=False, suffix="", n_targets=None, of_all=True):
    """Validate y and weights of `series`; returns y with a row per series or step, and weights.

    of_all: as in `check_weights`.
    """
    X_name, y_name, weight_name = (name + suffix for name in ("X", "y", "sample_weight"))
    per_step = estimator._per_step
    with named(y_name):
        check_lengths(series, y, y_name)
        if per_step and estimator._reads_symbols:
            are_texts = symbols.are_texts(y)
            y = symbols.characters(y) if are_texts else y
            if reset:
                estimator._tags_are_texts = are_texts
        given, y = y, containers.plain(y, y_name)
        if per_step:
            check_target_names(estimator, given, y, y_name, reset)
            y = sequences.rows_of_steps(y, series, y_name, X_name)
        n_outputs = (y.shape[1] if y.ndim > 1 else 1) if per_step else _n_outputs(y, y_name)
        if n_targets not in (None, n_outputs):
            unit = "step" if per_step else "series"
            raise ValueError(f"{y_name} has {n_outputs} targets per {unit}, but the model was fitted with {n_targets}.")
    with named(weight_name):
        if per_step:
            return y, check_step_weights(sample_weight, series, n_outputs, weight_name, X_name, of_all)
        return y, check_weights(sample_weight, series, n_outputs, weight_name, of_all)


def has_target(y, weights, name):
    """[n]: whether each series has a target; it has none if its target is NaN and its weight 0.

    Raises ValueError if a number is NaN and its weight is not 0; missing labels are reported where labels are encoded.
    """
    if issparse(y):
        return np.ones(len(weights), bool)
    y = np.asarray(y)
    nan = _is_nan(y).reshape(len(weights), -1).any(axis=1)
    wrong = nan & (weights > 0)
    if wrong.any() and y.dtype.kind == "f":
        weight_name = name.replace("y", "sample_weight", 1)
        raise ValueError(
            f"Input {name} contains NaN for sample {int(np.argmax(wrong))}: impute or drop the sample, or leave it "
            f"out: set its weight in {weight_name} to 0."
        )
    return ~nan | wrong


def _is_nan(values):
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype.kind == "O":
        nan = [isinstance(value, (float, np.floating)) and value != value for value in values.flat]
        return np.array(nan, bool).reshape(values.shape)
    return np.zeros(values.shape, bool)


def _n_outputs(y, name):
    """Number of targets per series."""
    try:
        shape = sequences.shape_of(y)
    except ValueError as error:
        raise ValueError(
            f"{name} is a sequence whose members differ in shape; expected one target per series, or one per step with "
            "return_sequences=True."
        ) from error
    if len(shape) == 1 and sequences.is_list(y):  # an object array of arrays
        raise ValueError(
            f"{name} has one array per series; expected one target per series, or one per step with "
            "return_sequences=True."
        )
    return shape[1] if len(shape) > 1 else 1


def has_validation_data(X_val, y_val, sample_weight_val):
    """Whether there are validation data; raises ValueError if they are incomplete."""
    if (X_val is None) != (y_val is None):
        given, lacking = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
        raise ValueError(f"{given} was passed, but {lacking} is None: pass both or neither.")
    if X_val is None and sample_weight_val is not None:
        raise ValueError("sample_weight_val was passed without X_val and y_val: pass all three.")
    return X_val is not None


def check_validation_data(estimator, X_val, y_val, sample_weight_val):
    """Validate validation data as `Data`, or None if there are none."""
    if not has_validation_data(X_val, y_val, sample_weight_val):
        return None
    return check_data(estimator, X_val, y_val, sample_weight_val, False, suffix="_val")


def split(estimator, parts, rng, share=ALONE):
    """Split each partition of the data into a training and a validation part; a part without series is None."""
    sizes = share.gather([len(data.series) for data in parts])
    n = sum(sizes)
    held = math.ceil(estimator.validation_fraction * n)  # rounded as in train_test_split
    if held >= n:
        raise ValueError(
            f"validation_split={estimator.validation_split!r} with "
            f"validation_fraction={estimator.validation_fraction:g} holds out all of the {n} series: "
            "pass more series, lower validation_fraction, or pass X_val and y_val."
        )
    if estimator.validation_split == "tail":
        rows = np.split(np.arange(n), [n - held])
    else:
        targets = None
        if estimator._has_labels and not estimator._per_step:
            targets = joined(share.gather([data.targets for data in parts]))
        rows = estimator._random_split(n, held, targets, int(rng.integers(np.iinfo(np.int32).max)))
    trained, held_out = (
        [_taken(estimator, *of) for of in zip(parts, share.rows_of_mine(of_all, sizes), strict=True)] for of_all in rows
    )
    if not any_weight(trained, share):
        raise ValueError(
            "Every training sample has weight 0, except those held out: pass X_val and y_val, or lower "
            f"validation_fraction (now {estimator.validation_fraction:g})."
        )
    if estimator.validation_split == "tail" and estimator._has_labels:
        estimator._check_split(*(_used(part, share) for part in (trained, held_out)))
    return trained, held_out


def _taken(estimator, data, rows):
    """The series `rows` of data, or None if there are none."""
    if not len(rows):
        return None
    at = data.series.steps_of(rows) if estimator._per_step else rows
    return Data(data.series.take(rows), data.targets[at], data.weights[at])


def _used(parts, share):
    """The number of series of all partitions, and the distinct targets that have a weight."""
    of_parts = [(len(of.series), np.unique(of.targets[of.weights.any(axis=1)])) for of in there(parts)]
    sizes, targets = zip(*share.gather(of_parts), strict=True)
    return sum(sizes), np.unique(np.concatenate(targets))


def there(parts):
    """The partitions that have series."""
    return [part for part in parts if part is not None]


def joined(arrays):
    """Arrays of all partitions as one, without a copy if there is only one."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def any_weight(parts, share=ALONE):
    """Whether a weight is positive in any partition."""
    return any(share.gather([bool(part.weights.any()) for part in there(parts)]))


def combine_weights(estimator, parts, share=ALONE):
    """The partitions with weights that depend on the targets, too."""
    masses = None
    if estimator.class_weight == "balanced" and estimator._has_labels:
        masses = share.total([estimator._class_masses(part.targets, part.weights) for part in there(parts)])
    parts = [
        part and part._replace(weights=estimator._combine_weights(part.targets, part.weights, masses)) for part in parts
    ]
    if not any_weight(parts, share):
        raise ValueError(f"class_weight={containers.brief(estimator.class_weight)} gives every sample a weight of 0.")
    return parts


def weights_of_series(data, per_step):
    """Weight of each series, the mean over its steps and outputs."""
    weights = data.weights.mean(axis=1)
    return np.add.reduceat(weights, data.series.step_at) / data.series.lengths if per_step else weights


def fit_scalings(parts, per_step, dtype, of_targets, share=ALONE):
    """Weighted `Scaling` of the channels, and of the targets if `of_targets`, else None."""
    parts = there(parts)
    # the weight of a step applies to its target, not to its inputs, so inputs are weighted by series
    tables = [
        (data.series.step_table(), PerStep(weights_of_series(data, per_step)[:, None], data.series)) for data in parts
    ]
    try:
        scaling = standardization.fit_scaling(tables, "X", share)
    except ValueError:
        for part in (part for data in parts for part in data.series.parts()):
            with np.errstate(over="ignore"):
                narrow = part.with_table(part.table(copy=False).astype(dtype))
            sequences.check_finite(narrow, "X", "keep")  # names the position
        raise
    if not of_targets:
        return scaling, None
    return scaling, standardization.fit_scaling([data[1:] for data in parts], "y", share)


def transform(data, scaling, target_scaling, masked, dtype, precision, suffix=""):
    """Data transformed to the inputs and targets of the network, whose products are of this precision."""
    series, targets, weights = data
    if target_scaling is not None:
        targets = target_scaling.apply(targets, dtype)
        if not np.isfinite(targets).all():
            raise ValueError(f"y{suffix} contains a value too large for {dtype} after standardisation.")
    return Data(prepared(series, scaling, masked, dtype, "X" + suffix, precision), targets, weights)
