"""What an attribution explains: the loss of each series or one of its outputs, as a function of prepared inputs."""

import numpy as np

from fastlstm import containers, kernels
from fastlstm.inspection.attribution.input_gradients import WeightedOutput, input_gradients
from fastlstm.training.inference import run_over
from fastlstm.training.outputs import ClassificationOutput


class Quantity:
    """A number for each series, its gradient, and the factor that converts both to the units of predictions.

    Methods take prepared series, and their indices `rows` among those that the quantity was made for.

    Attributes
    ----------
    name : "loss" or "output"
    unit : float
    """

    def __init__(self, name, model, series, loss, targets, row_weights, backend, n_jobs, unit=1.0):
        self.name, self.unit, self.model, self.series = name, unit, model, series
        self._loss, self._targets, self._row_weights = loss, targets, row_weights
        self._package, self._n_jobs = kernels.load(backend), n_jobs

    def values(self, inputs, rows):
        """Values [m]."""
        model, at = self.model, self._at(rows)
        scores = run_over(model.stack, inputs, model.weights, self._package, self._n_jobs, model.per_step)
        values, _ = self._loss(scores, self._targets[at])
        values = values.sum(axis=1).astype("float64") * self._row_weights[at]
        return np.add.reduceat(values, inputs.step_at) if model.per_step else values

    def gradients(self, inputs, rows):
        """Gradient with respect to the inputs [steps, C], float64."""
        at = self._at(rows)
        of_rows = self._targets[at], self._row_weights[at]
        gradient = input_gradients(self.model, inputs, self._loss, *of_rows, self._package, self._n_jobs)[1]
        return gradient.astype("float64")

    def _at(self, rows):
        return self.series.steps_of(rows) if self.model.per_step else rows


def loss_of(model, data, backend, n_jobs):
    """The loss of each series of `Data`, as in training; if per step, the mean over its steps."""
    series, targets, _ = data
    if model.target_scaling is not None:
        targets = model.target_scaling.apply(targets, model.dtype)
    row_weights = np.repeat(1 / series.lengths, series.lengths) if model.per_step else np.ones(len(series))
    return Quantity("loss", model, series, model.loss, targets, row_weights, backend, n_jobs)


def output_of(model, series, output, backend, n_jobs):
    """One output of each series: that of the index `output`, or of its predicted class; if per step, the last one."""
    is_class, K, unit = isinstance(model.output, ClassificationOutput), model.n_targets, 1.0
    predicted = is_class and not model.output.multilabel
    if output is None and not predicted and K > 1:
        what = "labels" if is_class else "targets"
        raise ValueError(f"The model has {K} {what}: pass output, the index of the one to explain, from 0 to {K - 1}.")
    if output is not None and not (
        type(output) is not bool and isinstance(output, (int, np.integer)) and output in range(K)
    ):
        raise ValueError(f"output={containers.brief(output)}: expected an index from 0 to {K - 1}.")
    if not is_class and model.target_scaling is not None:
        unit = float(model.target_scaling.scale[output or 0])
    rows = series.steps if model.per_step else len(series)
    chosen = np.full(rows, output or 0)
    if predicted and output is None:
        chosen = model.scores(series, backend, n_jobs).argmax(axis=1)
    weights, row_weights = np.zeros((rows, K), model.dtype), np.ones(rows)
    weights[np.arange(rows), chosen] = 1
    if model.per_step:
        row_weights[:] = 0
        row_weights[series.step_at + series.lengths - 1] = 1
    return Quantity("output", model, series, WeightedOutput(model.loss), weights, row_weights, backend, n_jobs, unit)
