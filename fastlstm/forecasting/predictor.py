"""Forecasts of windows by a linear model and the networks trained on its errors."""

from dataclasses import dataclass, fields, replace

import numpy as np

from fastlstm import kernels, sequences
from fastlstm.estimators.verbose import report_epochs
from fastlstm.forecasting.windows import BLOCK_VALUES, Windows
from fastlstm.layers.checks import check_sizes
from fastlstm.stacks import Stack
from fastlstm.training import defaults
from fastlstm.training.loop import Training
from fastlstm.training.losses import Loss
from fastlstm.training.model import Model
from fastlstm.training.network import Network, initialise
from fastlstm.training.outputs import RegressionOutput
from fastlstm.training.progress import Settings


@dataclass(frozen=True)
class Predictor:
    """Forecasts of H values after a window: those of a linear model plus a share of what networks add to them.

    Attributes
    ----------
    scaling : str
        How windows are scaled.
    linear : Linear
    networks : list of Model
        Networks that predict the errors of `linear`, divided by ``linear.error``.
    share : float
        Weight of the mean of the networks, 0 to 1.
    """

    window: int
    horizon: int
    scaling: str
    linear: object
    networks: list
    share: float = 1.0

    def with_share(self, share):
        """The same with another share of the networks."""
        return replace(self, share=share)

    def corrections(self, x, backend, n_jobs):
        """Mean of the networks' predictions [n, H] for scaled windows x, on the scale of the windows."""
        total = 0.0
        for model in self.networks:
            scores = model.scores(sequences.of_array(x), kernels.resolve(backend), n_jobs)
            total = total + model.output.point(scores)
        return total / len(self.networks) * self.linear.error

    def predict(self, table, starts, backend, n_jobs):
        """Forecasts [n, H] of the windows at rows `starts` of a `Table`, and the spread [n, 1] of each window."""
        windows = Windows(table, self.window, self.horizon, [], self.scaling)
        forecasts, spreads = np.empty((len(starts), self.horizon)), np.empty((len(starts), 1))
        for rows in sequences.blocks(len(starts), self.window, table.channels, BLOCK_VALUES):
            x, _, centre, spread = windows.scaled(starts[rows], targets=False)
            y = self.linear.predict(x)
            if self.networks and self.share:
                y = y + self.share * self.corrections(x, backend, n_jobs)
            forecasts[rows], spreads[rows] = y * spread + centre, spread
        return forecasts, spreads


def resolve_settings(windows, parameters):
    """Values of the parameters of the network that can be "auto"."""
    given = {field: getattr(parameters, field) for field in defaults.NAMES}
    return defaults.resolve(given, parameters.cell, len(windows), windows.window, windows.n_steps)


def train_network(windows, parameters, seed, name):
    """Train a network on the errors of the linear model of `windows`; returns the fitted `Model`.

    parameters: the forecaster, which has the network's parameters as attributes.
    """
    rng, dtype = np.random.default_rng(seed), np.dtype(parameters.dtype)
    settings = resolve_settings(windows, parameters)
    sizes = check_sizes(parameters.hidden_size, parameters.num_layers)
    stack = Stack(parameters.cell, windows.channels, sizes, bool(parameters.bidirectional))
    longest = None
    if settings["init"] == "chrono":
        longest = parameters.longest_lag or windows.window
    loss = Loss(parameters.loss)
    weights = initialise(stack, windows.horizon * loss.width, rng, longest)
    weights["head.weight"][:] = 0  # training starts at the linear forecasts
    network = Network(
        stack,
        weights,
        dtype,
        kernels.resolve(parameters.backend),
        dropout=settings["dropout"],
        recurrent_dropout=parameters.recurrent_dropout,
    )
    values = {field.name: getattr(parameters, field.name, None) for field in fields(Settings)}
    values |= {field: value for field, value in settings.items() if field in values}
    values |= {"loss": loss, "early_stopping": False, "n_iter_no_change": 10, "tol": 0.0}
    training = Training(network, Settings(**values), windows, seed=seed, n_jobs=parameters.n_jobs)
    if parameters.verbose:
        print(f"{name}: {len(windows)} windows  {defaults.summary(settings)}", flush=True)
    for _ in report_epochs(training, parameters.verbose, show_reason=False):
        pass
    weights = {key: value.copy() for key, value in network.weights.items()}
    return Model(stack, weights, RegressionOutput(loss), windows.horizon)
