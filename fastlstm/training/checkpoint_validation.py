"""Validation of a checkpoint's contents before a training resumes from it.

# Design: a checksum shows that a file is complete, not who wrote it, and kernels trust the shapes of their arguments.
# So everything read from a file is checked against what the resuming training could have written itself: names, types,
# shapes, ranges, and consistency with the histories.
"""

import math
import reprlib
from dataclasses import fields

import numpy as np

from fastlstm.training.progress import Progress
from fastlstm.training.solvers import SQUARES

COUNTS = ("updates", "samples", "epochs", "no_improvement", "first_epoch")
EVERY_EPOCH = ("loss_curve", "grad_norm_curve", "rate_curve")  # one value per epoch
VALIDATED = ("validation_scores", "validation_loss_curve")  # one value per epoch with validation data
LARGEST_COUNT = 1 << 53


class InvalidCheckpointError(ValueError):
    """An undamaged checkpoint with contents that the training could not have written."""


def short(value):
    """Abbreviated representation of a value of any size, for error messages."""
    abbreviated = reprlib.Repr()
    abbreviated.maxstring = abbreviated.maxother = abbreviated.maxlong = 100
    return abbreviated.repr(value)


def validated_state(training, record, arrays):
    """Parameters and progress from the record and the arrays that ``Training.state`` returned; arrays are not copied.

    Raises InvalidCheckpointError unless the training could have written them.
    """
    _check_arrays(training, arrays)
    _check_types(record, {field.name for field in fields(Progress)} - arrays.keys())
    progress = Progress(**record, **{name: value for name, value in arrays.items() if name != "parameters"})
    _check_counts(training, progress)
    _check_histories(training, progress)
    _check_rate(training.settings, progress)
    return arrays["parameters"], progress


def require(holds, name, value, expected):
    if not holds:
        raise InvalidCheckpointError(f"{name} is {short(value)}; expected {expected}")


def _check_arrays(training, arrays):
    parameters, moments = training.network.parameters, training.progress.moments
    expected = {"parameters": parameters.shape, "moments": moments.shape}
    if training.settings.early_stopping:
        expected["best_parameters"] = parameters.shape
    require(arrays.keys() == expected.keys(), "the list of arrays", sorted(arrays), sorted(expected))
    for name, shape in expected.items():
        array = arrays[name]
        found = f"{array.dtype} {list(array.shape)}"
        if (array.dtype, array.shape) != (parameters.dtype, shape):
            raise InvalidCheckpointError(f"{name} is {found}; expected {parameters.dtype} {list(shape)}")
    squares = SQUARES.get(training.settings.solver)
    finite = np.isfinite(arrays["moments"])
    if squares is not None:  # squares of large gradients may overflow to infinity
        finite[squares] = arrays["moments"][squares] >= 0
    for name, array in arrays.items():
        if not (finite if name == "moments" else np.isfinite(array)).all():
            raise InvalidCheckpointError(f"{name} contains invalid values, such as NaN")


def _check_types(record, names):
    require(record.keys() == names, "the list of names", sorted(record, key=str), sorted(names))
    for name in COUNTS:
        value = record[name]
        require(type(value) is int and 0 <= value < LARGEST_COUNT, name, value, "a non-negative integer")
    for name in ("rate", "best_loss", "best_loss_of_run", "best_validation_score"):
        value = record[name]
        types = (int, float) if name == "rate" else (float,)  # learning_rate_init may be an integer
        require(type(value) in types and not math.isnan(value), name, value, "a number")
    for name in EVERY_EPOCH + VALIDATED:
        value = record[name]
        numbers = type(value) is list and all(type(number) is float and math.isfinite(number) for number in value)
        require(numbers, name, value, "a list of finite numbers")
    if "best_parameters" in record:
        require(record["best_parameters"] is None, "best_parameters", record["best_parameters"], "None")


def _check_counts(training, progress):
    settings, n = training.settings, len(training.examples)
    require(progress.solver == settings.solver, "solver", progress.solver, repr(settings.solver))
    first, epochs = progress.first_epoch, progress.epochs
    require(first < epochs, "first_epoch", first, f"less than the {epochs} epochs")
    run = epochs - first
    if settings.learning_rate == "cosine":
        require(run <= settings.max_iter, "epochs", epochs, f"no more than max_iter={settings.max_iter}")
    most = run * training.updates_per_epoch
    require(run <= progress.updates <= most, "updates", progress.updates, f"{run} to {most}")
    least = run * n + first  # every earlier epoch saw at least one series
    samples = progress.samples
    require(samples == least if first == 0 else samples >= least, "samples", samples, f"{n} per epoch")
    criterion = "validation score" if settings.early_stopping else "training loss"
    stopped = progress.stopped
    require(stopped in (None, "callback", criterion), "stopped", stopped, f"None, 'callback' or {criterion!r}")
    without, allowed = progress.no_improvement, settings.n_iter_no_change
    least, most = (allowed + 1, allowed + 1) if stopped == criterion else (0, allowed)
    require(least <= without <= min(most, run), "no_improvement", without, f"{least} to {min(most, run)} epochs")


def _check_histories(training, progress):
    first, epochs = progress.first_epoch, progress.epochs
    for name in EVERY_EPOCH:
        length = len(getattr(progress, name))
        require(length == epochs, f"the length of {name}", length, f"{epochs}, one value per epoch")
    validated = training.validate is not None
    # earlier runs may or may not have had validation data
    least, most = (epochs - first if validated else 0), (epochs if validated else first)
    scores, losses = (getattr(progress, name) for name in VALIDATED)
    for name in VALIDATED:
        length = len(getattr(progress, name))
        require(least <= length <= most, f"the length of {name}", length, f"{least} to {most}")
    require(len(losses) == len(scores), "the length of validation_loss_curve", len(losses), str(len(scores)))
    for name in ("grad_norm_curve", "rate_curve"):
        negative = [value for value in getattr(progress, name) if value < 0]
        require(not negative, name, negative, "no negative values")
    follows = {
        "best_loss": min(progress.loss_curve),
        "best_loss_of_run": min(progress.loss_curve[first:]),
        "best_validation_score": max(scores[-least:]) if validated else -math.inf,
    }
    for name, expected in follows.items():
        value = getattr(progress, name)
        require(value == expected, name, value, f"{expected!r}, the best of the history")


def _check_rate(settings, progress):
    initial, rate = settings.learning_rate_init, progress.rate
    if settings.learning_rate == "constant":
        require(rate == initial, "rate", rate, repr(initial))
    in_range = 0 < rate <= initial or (rate == 0 and settings.learning_rate == "cosine")
    require(in_range, "rate", rate, f"a positive number, at most learning_rate_init={initial!r}")
