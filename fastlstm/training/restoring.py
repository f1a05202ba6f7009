"""What a checkpoint must hold for a training to go on from it.

# Design: a checksum says that a file is whole, not who wrote it, and kernels trust the shapes of what they are given.
# So all that comes from a file is held against what the training that goes on could itself have written: names, types,
# shapes, ranges, and what follows from the histories.
"""

import math
import reprlib
from dataclasses import fields

import numpy as np

from fastlstm.training.progress import Progress
from fastlstm.training.solvers import SQUARES

COUNTS = ("updates", "samples", "epochs", "no_improvement", "first_epoch")
EVERY_EPOCH = ("loss_curve", "grad_norm_curve")  # what has a number for each epoch,
VALIDATED = ("validation_scores", "validation_loss_curve")  # and for each whose result was validated
LARGEST_COUNT = 1 << 53


class ForgedError(ValueError):
    """A checkpoint that is whole, but not one that the training could have written."""


def short(value):
    """A value's representation, for messages: of a few words, however large or deep it is."""
    words = reprlib.Repr()
    words.maxstring = words.maxother = words.maxlong = 100
    return words.repr(value)


def restored(training, record, arrays):
    """The parameters and the progress in a record and arrays, as ``Training.state`` gives them.

    Raises ForgedError unless the training could have written them. The memory of `arrays` is taken over.
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
        raise ForgedError(f"{name} is {short(value)}; expected {expected}")


def _check_arrays(training, arrays):
    parameters, moments = training.network.parameters, training.progress.moments
    expected = {"parameters": parameters.shape, "moments": moments.shape}
    if training.settings.early_stopping:
        expected["best_parameters"] = parameters.shape
    require(arrays.keys() == expected.keys(), "the names of the arrays", sorted(arrays), sorted(expected))
    for name, shape in expected.items():
        array = arrays[name]
        found = f"{array.dtype} {list(array.shape)}"
        if (array.dtype, array.shape) != (parameters.dtype, shape):
            raise ForgedError(f"{name} is {found}; expected {parameters.dtype} {list(shape)}")
    squares = SQUARES.get(training.settings.solver)
    finite = np.isfinite(arrays["moments"])
    if squares is not None:  # squares of large gradients may overflow
        finite[squares] = arrays["moments"][squares] >= 0
    for name, array in arrays.items():
        if not (finite if name == "moments" else np.isfinite(array)).all():
            raise ForgedError(f"{name} has values that no training comes to, such as NaN")


def _check_types(record, names):
    require(record.keys() == names, "the list of names", sorted(record, key=str), sorted(names))
    for name in COUNTS:
        value = record[name]
        require(type(value) is int and 0 <= value < LARGEST_COUNT, name, value, "an integer of at least 0")
    for name in ("rate", "best_loss", "best_loss_of_run", "best_validation_score"):
        value = record[name]
        of_numbers = (int, float) if name == "rate" else (float,)  # the parameter may be an integer
        require(type(value) in of_numbers and not math.isnan(value), name, value, "a number")
    for name in EVERY_EPOCH + VALIDATED:
        value = record[name]
        numbers = type(value) is list and all(type(number) is float and math.isfinite(number) for number in value)
        require(numbers, name, value, "a list of finite numbers")
    if "best_parameters" in record:
        require(record["best_parameters"] is None, "best_parameters", record["best_parameters"], "None")


def _check_counts(training, progress):
    settings, n = training.settings, len(training.series)
    require(progress.solver == settings.solver, "solver", progress.solver, repr(settings.solver))
    first, epochs = progress.first_epoch, progress.epochs
    require(first < epochs, "first_epoch", first, f"less than the {epochs} epochs")
    run = epochs - first
    if settings.learning_rate == "cosine":
        require(run <= settings.max_iter, "epochs", epochs, f"no more than max_iter={settings.max_iter}")
    most = run * training.updates_per_epoch
    require(run <= progress.updates <= most, "updates", progress.updates, f"{run} to {most}")
    least = run * n + first  # an earlier run was on a series or more
    samples = progress.samples
    require(samples == least if first == 0 else samples >= least, "samples", samples, f"{n} for each epoch")
    by_rule = "validation score" if settings.early_stopping else "training loss"
    stopped = progress.stopped
    require(stopped in (None, "callback", by_rule), "stopped", stopped, f"None, 'callback' or {by_rule!r}")
    without, allowed = progress.no_improvement, settings.n_iter_no_change
    least, most = (allowed + 1, allowed + 1) if stopped == by_rule else (0, allowed)
    require(least <= without <= min(most, run), "no_improvement", without, f"{least} to {min(most, run)} epochs")


def _check_histories(training, progress):
    first, epochs = progress.first_epoch, progress.epochs
    for name in EVERY_EPOCH:
        length = len(getattr(progress, name))
        require(length == epochs, f"the length of {name}", length, f"{epochs}, one number for each epoch")
    validated = training.validate is not None
    # earlier runs may have been validated or not
    least, most = (epochs - first if validated else 0), (epochs if validated else first)
    scores, losses = (getattr(progress, name) for name in VALIDATED)
    for name in VALIDATED:
        length = len(getattr(progress, name))
        require(least <= length <= most, f"the length of {name}", length, f"{least} to {most}")
    require(len(losses) == len(scores), "the length of validation_loss_curve", len(losses), str(len(scores)))
    negative = [norm for norm in progress.grad_norm_curve if norm < 0]
    require(not negative, "grad_norm_curve", negative, "no negative number")
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
    require(in_range, "rate", rate, f"a number above 0, but not above learning_rate_init={initial!r}")
