"""Forecasts by a fitted model: points, quantiles and sampled paths, in the units of the series."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fastlstm import containers
from fastlstm.forecasting.histories import Histories
from fastlstm.forecasting.predictor import Run
from fastlstm.forecasting.selection import Fit, Plan

#: Number of sampled paths from which quantiles are computed.
N_PATHS = 200
TINY = 1e-12  # least uniform random number, as that of 0 would be infinite


@dataclass(frozen=True)
class Fitted:
    """What forecasts depend on besides the series.

    Attributes
    ----------
    plan : Plan
    fit : Fit
    positive : bool
        Whether values below 0 are set to 0.
    seed : int
        Seed of the sampled paths from which quantiles are computed.
    run : Run
    """

    plan: Plan
    fit: Fit
    positive: bool
    seed: int
    run: Run

    @property
    def samples(self):
        """Whether quantiles are those of sampled paths."""
        return self.plan.recursive and self.plan.loss.is_distribution

    @property
    def has_quantiles(self):
        """Whether quantiles are known, at least up to the horizon of the fit."""
        return self.fit.errors is not None or self.plan.counts

    @property
    def least_for_errors(self):
        """Number of values of the shortest series from which the size of errors can be estimated."""
        return self.plan.least_before_tail + self.plan.horizon

    def units_of(self, values):
        """The `Units` of series that were not in the fit."""
        if self.plan.counts:
            return self.fit.units[:1] * len(values)
        units = self.plan.units(values, self.fit.predictor.scaling)
        for unit in units if self.fit.errors else ():
            unit.error = self.fit.errors.usual
        return units

    def after(self, data, units, steps):
        """`Forecasts` of the steps that follow each series; `data` holds the known covariates of these steps."""
        histories = self._histories(data.last(self.plan), units, ahead=self.plan.ahead(steps))
        ends = np.array([len(values) for values in histories.values])
        return Forecasts(self, histories, np.arange(len(ends)), ends, steps)

    def at(self, data, series, origins, steps):
        """`Forecasts` from the steps `origins` [n] of the series with the numbers `series` [n]."""
        first = [int(origins[series == n].min()) if (series == n).any() else len(y) for n, y in enumerate(data.values)]
        return Forecasts(self, self._histories(data, self.fit.units, first), series, origins, steps)

    def check(self, data, known):
        """Raise ValueError if what follows the first ``known[n]`` values of each series cannot be standardised."""
        for unit, values, end in zip(self.fit.units, data.values, known, strict=True):
            unit.apply(unit.levels.apply(values[max(0, end - self.plan.differences.lost) :]))

    def _histories(self, data, units, origins=None, ahead=0):
        channels = data.channels(self.plan.shift, ahead, self.plan.differences)
        return Histories(data.values, data.observed, units, channels, self.plan.window, origins, ahead)


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of `steps` values of the series `series` [n] from the steps `origins` [n] on."""

    model: Fitted
    histories: Histories
    series: np.ndarray
    origins: np.ndarray
    steps: int

    def points(self, share=None):
        """Forecasts [n, steps], with another share of the networks if it is given."""
        return self._values(self._levels(share)[0])

    def paths(self, n_samples, seed):
        """Sampled paths [n, steps, S], independent of each other."""
        shape = len(self.series), self.steps, n_samples
        return self._paths(np.random.default_rng(seed).uniform(TINY, 1, shape))

    def _paths(self, uniform):
        uniform, model = np.broadcast_to(uniform, (len(self.series), *uniform.shape[-2:])), self.model
        return self._values(self.histories.sample(model.fit.predictor, *self._at, self.steps, uniform, model.run))

    def quantiles(self, asked):
        """Quantiles [n, steps, L] of the levels `asked`."""
        model, plan, errors = self.model, self.model.plan, self.model.fit.errors
        asked = np.array(asked)
        if plan.counts and errors is not None:
            asked = errors.hits.levels(asked)
        if not model.has_quantiles:
            raise ValueError(
                "The series were too short to hold out a part of them, so the size of forecast errors is unknown: fit "
                f"to at least {model.least_for_errors} values."
            )
        if model.samples:
            paths = self._paths(_evenly_spread(model.seed, self.steps, N_PATHS))
            found = np.quantile(paths, asked, axis=2, method="higher" if plan.counts else "linear")
            return np.moveaxis(np.rint(found) if plan.counts else found, 0, 2)
        if self.steps > plan.horizon:
            raise ValueError(
                f"horizon={self.steps}, but forecast errors are known up to horizon={plan.horizon}, that of the fit: "
                "fit with a larger horizon, or with loss='gaussian_nll'."
            )
        if plan.counts or plan.loss.name == "quantile":
            levels = self._learned(asked)
        else:
            levels, unit = self._levels()
            signed = 2 * asked - 1
            levels = levels[..., None] + np.sign(signed) * errors.width(np.abs(signed), unit, self.steps)
        values = self._values(levels)
        return np.rint(values) if plan.counts else values

    @property
    def _at(self):
        return self.series, self.origins

    def _levels(self, share=None):
        """Forecasts [n, steps] of levels, and the units of their errors [n, 1 or steps]."""
        predictor = self.model.fit.predictor
        return self._own_levels if share in (None, predictor.share) else self._levels_by(predictor.with_share(share))

    @cached_property
    def _own_levels(self):
        return self._levels_by(self.model.fit.predictor)

    def _levels_by(self, predictor):
        steps = {"steps": self.steps} if self.model.plan.recursive else {}
        levels, unit = self.histories.forecast(predictor, *self._at, self.model.run, **steps)
        return levels[:, : self.steps], unit[:, : self.steps]

    def _learned(self, asked):
        """Quantiles [n, steps, L] of levels that the networks have learned, corrected by the held-out errors."""
        fitted, fit = self.model.plan.loss.levels, self.model.fit
        if fitted and not (fitted[0] <= asked.min() and asked.max() <= fitted[-1]):
            raise ValueError(
                f"The levels {containers.few(asked.tolist())} are not between {fitted[0]:g} and {fitted[-1]:g}, those "
                "that the model was fitted for: fit with a `quantile` that covers them."
            )
        found = self.histories.quantiles(fit.predictor, *self._at, asked, self.model.run)[:, : self.steps]
        if fitted:
            errors, (_, unit) = fit.errors, self._levels()
            shifts = np.interp(asked, fitted, errors.shifts)
            found = found + (unit * errors.size[: self.steps])[..., None] * shifts
            order = np.argsort(asked)
            found[..., order] = np.sort(found, axis=2)  # the shifts may make quantiles cross
        return found

    def _values(self, levels):
        """Values [n, ...] from levels [n, ...]."""
        values = self.histories.undo(self.series, levels)
        return np.maximum(values, 0) if self.model.positive else values


def _evenly_spread(seed, steps, n_samples):
    """Random numbers [steps, S] in (0, 1), in each step one from each of S equal parts.

    All series share them, so that quantiles do not depend on other series. Source: McKay, Beckman & Conover (1979).
    """
    rng = np.random.default_rng(seed)
    orders = rng.permuted(np.tile(np.arange(n_samples), (steps, 1)), axis=1)
    return (orders + rng.uniform(TINY, 1, orders.shape)) / n_samples


def interval_levels(coverage):
    """Quantile levels of the bounds of a central interval."""
    return round((1 - coverage) / 2, 12), round((1 + coverage) / 2, 12)
