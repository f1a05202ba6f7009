"""What a display of gates shows: one layer of an estimator in one direction, while it reads one series."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from fastlstm import containers, sequences
from fastlstm.inspection._estimators import channel_names, fitted_estimator
from fastlstm.inspection.gates import GateActivations, direction_of, gate_activations
from fastlstm.layers.checks import named
from fastlstm.training.outputs import ClassificationOutput


class Seen(NamedTuple):
    """Gates and states of one series, with what is known of its input and of the predictions."""

    cell: str
    activations: dict  # [T, H] by name
    x: np.ndarray | None = None  # [T, C]
    channels: list = []  # names
    predictions: np.ndarray | None = None  # [T, K]
    labels: list = []  # of the predictions
    what: str = ""  # what the predictions are

    @property
    def is_probability(self):
        return self.what == "probability"


def seen_by(estimator, x, layer, direction):
    """`Seen` for a fitted estimator and one series."""
    fitted = fitted_estimator(estimator)
    X = _alone_of_symbols(fitted, x) if fitted._reads_symbols else _alone(fitted, x)
    series = fitted._check_series(X, name="x")
    cell, arrays = _of_record(gate_activations(fitted, X), 0, layer, direction)
    values, channels = np.asarray(series.table(), float), channel_names(fitted)
    if fitted._reads_symbols:  # codes have no height
        C = fitted._schema.n_numbers
        values, channels = values[:, :C] if C else None, channels[:C]
    return Seen(cell, arrays, values, channels, *_predictions(fitted, series))


def seen_in(activations, n, x, layer, direction):
    """`Seen` for series n of a record, whose input is `x` [T, C] or None."""
    if not isinstance(activations, GateActivations):
        raise TypeError(
            f"activations is of type {type(activations).__name__}; expected the result of gate_activations."
        )
    cell, arrays = _of_record(activations, n, layer, direction)
    if x is None:
        return Seen(cell, arrays)
    T = len(arrays["hidden_state"])
    with named("x"):
        x = np.asarray(containers.plain(x, "x"), float)
    if x.ndim not in (1, 2) or len(x) != T:
        raise ValueError(f"x has shape {x.shape}; expected series {n}, of shape ({T}, C) or ({T},).")
    x = x.reshape(T, -1)
    return Seen(cell, arrays, x, [f"x{channel}" for channel in range(x.shape[1])])


def _of_record(activations, n, layer, direction):
    """Type of the cell, and gates and states [T, H] of series n by name."""
    of_layer = direction_of(activations.layers, layer, direction)
    number = len(of_layer["hidden_state"])
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or not -number <= n < number:
        raise ValueError(f"n={containers.brief(n)}: expected an integer from {-number} to {number - 1}.")
    return activations.cell, {name: np.asarray(array[n], float) for name, array in of_layer.items()}


def _alone(fitted, x):
    """X with the one series x, which may be in X's form already; raises ValueError for several series."""
    of_table = fitted._columns is not None
    expected = "one row of the table" if of_table else "one series, of shape (T, C) or (T,)"
    if of_table and hasattr(type(x), "isna") and containers.is_column(x):  # a row of a pandas DataFrame
        return x.to_frame().T
    try:
        shape = sequences.shape_of(x)
    except ValueError:  # members of unequal lengths
        raise ValueError(f"x is a {type(x).__name__} of several arrays; expected {expected}.") from None
    most = 1 if of_table else 2
    if len(shape) == most + 1 and shape[0] == 1:
        return x
    if not 1 <= len(shape) <= most:
        raise ValueError(f"x has shape {shape}; expected {expected}.")
    if isinstance(x, np.ndarray):
        return x[None]
    return np.asarray(x)[None] if of_table else [x]


def _alone_of_symbols(fitted, x):
    """X with the one sequence of symbols x, which may be in X's form already."""
    if isinstance(x, str) or containers.is_table(x) or getattr(getattr(x, "dtype", None), "names", None):
        return [x]
    of_strings = fitted._schema.kinds == ("characters",)
    is_member = of_strings or not (len(x) == 1 and containers.holds_steps(x[0]))
    return x if of_strings and len(x) == 1 else [x] if is_member else x


def _predictions(fitted, series):
    """Predictions [T, K] at every step, their labels, and what they are; None if there are none."""
    model = fitted._model
    if model.stack.bidirectional and not model.per_step:
        return None, [], ""
    scores = replace(model, per_step=True).scores(series, fitted._kernels_for(model.dtype), fitted.n_jobs)
    if not isinstance(model.output, ClassificationOutput):
        predictions = model.output.predict(scores).reshape(len(scores), -1)
        return predictions, [f"output {k}" for k in range(predictions.shape[1])], "prediction"
    probabilities = model.output.predict_proba(scores)
    return probabilities, [str(label) for label in model.output.classes], "probability"
