"""Forecasts of windows by a base model and the networks that correct it: all horizons at once, or step by step."""

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
from scipy import special

from fastlstm import kernels, sequences
from fastlstm.estimators.verbose import report_epochs
from fastlstm.forecasting.counts import Counts
from fastlstm.forecasting.windows import BLOCK_VALUES, RollingWindows, Windows
from fastlstm.kernels.forecast import Forecast
from fastlstm.kernels.parts import Part
from fastlstm.layers.checks import check_sizes
from fastlstm.stacks import Stack
from fastlstm.training import defaults
from fastlstm.training.collective import ALONE
from fastlstm.training.embedding import Embedding
from fastlstm.training.losses import weighted_means, weighted_sums
from fastlstm.training.model import Model
from fastlstm.training.network import Network, initialise
from fastlstm.training.outputs import RegressionOutput
from fastlstm.training.partitions import training_on
from fastlstm.training.progress import Settings
from fastlstm.training.streaming import Stepper

ONE_SIGMA = 0.8413447460685429  # level of the quantile one standard deviation above the mean
SAMPLED_TARGETS = 2000  # windows whose targets set the first biases of a head


class Run(NamedTuple):
    """Where networks run: the name of the kernels, and the maximum number of threads."""

    kernels: str
    n_jobs: int | None


@dataclass(frozen=True)
class Predictor:
    """Forecasts of H values after a window.

    Attributes
    ----------
    scaling : str
        How windows are scaled.
    base : Linear or Counts
        What forecasts start from.
    networks : list of Model
        Networks that predict the targets of `base`.
    share : float
        Weight of the mean of the networks, 0 to 1. The distribution about it, if the loss has one, is theirs alone.
    sharpness : float
        Exponent of the networks' standard deviations, 0 to 1: 0 makes them constant, as before any training.
    calibration : float
        Factor of standard deviations in sampled paths.
    """

    window: int
    horizon: int
    scaling: str
    base: object
    networks: list
    share: float = 1.0
    sharpness: float = 1.0
    calibration: float = 1.0

    def with_share(self, share):
        """The same with another share of the networks."""
        return replace(self, share=share)

    @property
    def _asked(self):
        """Whether forecasts depend on the networks."""
        return bool(self.networks) and (self.share > 0 or self.networks[0].loss.is_distribution)

    def _blocks(self, windows, starts):
        """Windows at the rows `starts` of their table, block by block: x, and their centre and spread [n, 1]."""
        for rows in sequences.blocks(len(starts), windows.longest, windows.channels, BLOCK_VALUES):
            x, _, centre, spread = windows.scaled(starts[rows], targets=False)
            yield x, centre, spread


@dataclass(frozen=True)
class Direct(Predictor):
    """All horizons at once: a network has outputs for each."""

    def predict(self, table, starts, run):
        """Forecasts [n, H] of the windows at rows `starts` of a `Table`, and the units of their errors.

        A unit is the spread of the window, [n, 1], or the standard deviation of a normal distribution, [n, H].
        """
        forecasts, units = [], []
        normal = self._asked and self.networks[0].loss.name == "gaussian_nll"
        for x, centre, spread in self._blocks(self._windows(table), starts):
            y, unit = self.base.predict(x), spread
            if self._asked:
                point, above = self._outputs(x, [ONE_SIGMA] * normal, run)
                if normal:
                    unit = spread * (self.base.values(y, above[..., 0] - point) - y) ** self.sharpness
                y = self.base.values(y, self.share * point)
            forecasts.append(y * spread + centre)
            units.append(unit)
        return np.concatenate(forecasts), np.concatenate(units)

    def quantiles(self, table, starts, levels, run):
        """Quantiles [n, H, L] of the distribution that the networks have learned."""
        found = []
        for x, centre, spread in self._blocks(self._windows(table), starts):
            point, quantiles = self._outputs(x, levels, run)
            moved = quantiles - (1 - self.share) * point[..., None]
            found.append(self.base.values(self.base.predict(x), moved) * spread[..., None] + centre[..., None])
        return np.concatenate(found)

    def _windows(self, table):
        return Windows(table, self.window, self.horizon, [], self.scaling)

    def _outputs(self, x, levels, run):
        """Means over the networks of their point predictions [n, H] and, if asked for, quantiles [n, H, L]."""
        series, points, quantiles = sequences.of_array(x), 0.0, 0.0
        for model in self.networks:
            scores = model.scores(series, run.kernels, run.n_jobs)
            points = points + model.output.point(scores)
            if len(levels):
                quantiles = quantiles + model.loss.quantiles(scores, levels)
        return points / len(self.networks), quantiles / len(self.networks)


@dataclass(frozen=True)
class Recursive(Predictor):
    """Step by step: each forecast is the input of the next, and networks carry their states on."""

    held: tuple = ()  # channels of covariates whose future is unknown

    def predict(self, table, starts, run, steps=None):
        """Forecasts [n, steps] of the windows at rows `starts` of a `Table`, and the spread [n, 1] of each window."""
        forecasts, spreads, steps = [], [], steps or self.horizon
        for x, centre, spread in self._blocks(self._windows(table, steps), starts):
            models = self.networks if self._asked else [None]
            y = sum(self._rolled(model, x, steps, 1, None, run) for model in models) / len(models)
            forecasts.append(y * spread + centre)
            spreads.append(spread)
        return np.concatenate(forecasts), np.concatenate(spreads)

    def sample(self, table, starts, steps, levels, run):
        """Sampled paths [n, steps, S], from uniform random numbers `levels` of the same shape.

        Networks take turns.
        """
        found, done = [], 0
        for x, centre, spread in self._blocks(self._windows(table, steps), starts):
            paths = np.empty((len(x), steps, levels.shape[2]))
            for k, model in enumerate(self.networks):
                mine = levels[done : done + len(x), :, k :: len(self.networks)]
                if mine.shape[2]:
                    rolled = self._rolled(model, x, steps, mine.shape[2], np.moveaxis(mine, 2, 1), run)
                    paths[:, :, k :: len(self.networks)] = np.moveaxis(rolled.reshape(len(x), -1, steps), 1, 2)
            found.append(paths * spread[..., None] + centre[..., None])
            done += len(x)
        return np.concatenate(found)

    def _windows(self, table, steps):
        return RollingWindows(table, self.window, steps, [], self.scaling, held=self.held)

    def _rolled(self, model, x, steps, copies, levels, run):
        """Forecasts [n * copies, steps] of scaled windows x, each as often as `copies` says.

        They are sampled at the quantile levels [n, copies, steps], or the most likely ones without.
        """
        levels = None if levels is None else levels.reshape(len(x) * copies, steps)
        if model is None:
            forecast = self._forecast(x, 1)
            kernels.load(run.kernels).roll_out.RollOut([], [], None, forecast).run(Part())
            return self._finite(forecast, x.dtype)
        x = x.astype(model.dtype)
        stepper = Stepper(model, len(x), run.kernels)
        scores = np.repeat(stepper.read(x[:, : self.window], run.n_jobs), copies, axis=0)
        if copies > 1:
            stepper = stepper.repeated(copies)
        if isinstance(self.base, Counts):
            return self._step_by_step(model, np.repeat(x, copies, axis=0), stepper, scores, levels)
        forecast = self._forecast(x, copies)._replace(
            x=np.repeat(x[:, self.window :], copies, axis=0),
            scores=scores,
            point=self.share * self.base.error[0],
            noise=None if levels is None else np.ascontiguousarray(special.ndtri(levels)),
            width=self.calibration * self.base.error[0],
            sharpness=self.sharpness,
        )
        stepper.roll_out(forecast, run.n_jobs)
        return self._finite(forecast, x.dtype)

    def _finite(self, forecast, dtype):
        """The forecasts; raises ValueError if one is too large to be an input."""
        forecasts = forecast.series[:, self.window :]
        if not (np.abs(forecasts) <= np.finfo(dtype).max).all():
            raise ValueError(
                f"The forecasts grow from step to step until they are not finite, or too large for {dtype}: forecast "
                "fewer steps, or fit with strategy='direct'."
            )
        return forecasts

    def _forecast(self, x, copies):
        """A `Forecast` from the lags of scaled windows x alone."""
        lags, offset = self.base.recursion(x)
        series = np.empty((len(x), self.window + offset.shape[1]))
        series[:, : self.window] = x[:, : self.window, 0]
        return Forecast(np.repeat(series, copies, axis=0), lags, np.repeat(offset, copies, axis=0))

    def _step_by_step(self, model, x, stepper, scores, levels):
        """Forecasts of counts, one step of Python at a time: there are no kernels for their quantiles."""
        T = self.window
        out = np.empty((len(x), x.shape[1] - T + 1))
        for step in range(out.shape[1]):
            if levels is None:
                outputs = model.loss.point(scores)
            else:
                outputs = model.loss.quantiles(scores, levels[:, step, None, None])[..., 0]
            out[:, step] = self.base.values(0.0, outputs)[:, 0]
            if step + 1 < len(out[0]):
                x[:, T + step, 0] = out[:, step]
                scores = stepper.step(x[:, T + step])
        return out


def resolve_settings(windows, parameters, processes=ALONE):
    """Values of the parameters of the network that can be "auto"."""
    given = {field: getattr(parameters, field) for field in defaults.NAMES}
    sizes = len(windows), windows.longest, windows.n_steps
    return defaults.resolve(given, parameters.cell, *sizes, n_partitions=processes.n_partitions)


def train_network(windows, parameters, loss, codes, seed, name, processes=ALONE):
    """Train a network on the targets of `windows`; returns the fitted `Model`.

    parameters: the forecaster, which has the network's parameters as attributes.
    codes: number of codes by channel, of the channels of categories.
    processes: the `Share` of the training of this process, which has all windows.
    """
    rng, dtype = np.random.default_rng(seed), np.dtype(parameters.dtype)
    settings = resolve_settings(windows, parameters, processes)
    sizes = check_sizes(parameters.hidden_size, parameters.num_layers)
    embedding, channels = None, windows.channels
    if codes:
        embedding = Embedding(channels, tuple(codes), tuple(codes.values()), parameters.embedding_size)
        channels = embedding.n_outputs
    stack = Stack(parameters.cell, channels, sizes, bool(parameters.bidirectional))
    longest = None
    if settings["init"] == "chrono":
        longest = parameters.longest_lag or windows.window
    per_step = isinstance(windows, RollingWindows)
    outputs = 1 if per_step else windows.horizon
    weights = initialise(stack, outputs * loss.width, rng, longest)
    weights["head.weight"][:] = 0  # training starts at the forecasts of the base model
    if loss.is_distribution:
        weights["head.bias"][:] = _initial_scores(windows, loss, outputs)
    if embedding:
        weights |= embedding.initial_weights(rng)
    network = Network(
        stack,
        weights,
        dtype,
        parameters._kernels_for(dtype),
        per_step=per_step,
        dropout=settings["dropout"],
        recurrent_dropout=parameters.recurrent_dropout,
        embedding=embedding,
    )
    values = {field.name: getattr(parameters, field.name, None) for field in fields(Settings)}
    values |= {field: value for field, value in settings.items() if field in values}
    values |= {"loss": loss, "early_stopping": False, "n_iter_no_change": 10, "tol": 0.0}
    parts = [windows] if processes is ALONE else [windows.part(v, processes.n_partitions) for v in processes.mine]
    training = training_on(parts, processes, network, Settings(**values), seed=seed, n_jobs=parameters.n_jobs)
    if parameters.verbose:
        print(f"{name}: {len(windows)} windows  {defaults.summary(settings)}", flush=True)
    for _ in report_epochs(training, parameters.verbose, show_reason=False):
        pass
    weights = {key: value.copy() for key, value in network.weights.items()}
    return Model(stack, weights, RegressionOutput(loss), outputs, per_step, embedding=embedding)


def _initial_scores(windows, loss, outputs):
    """Scores of the distribution of all targets, from some windows."""
    rows = np.arange(0, windows.n_windows, -(-windows.n_windows // SAMPLED_TARGETS))
    targets = windows.base.targets(*windows.examples(rows)).reshape(-1, outputs)
    return loss.initial_scores(weighted_means(weighted_sums(targets, np.ones((len(targets), 1)))))
