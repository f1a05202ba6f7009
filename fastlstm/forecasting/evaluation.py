"""The computing of backtests: forecasts by the model, by models that are fitted again, and by baselines."""

from typing import NamedTuple

import numpy as np

from fastlstm.forecasting import baselines
from fastlstm.forecasting.backtest import Backtest
from fastlstm.forecasting.data import Data
from fastlstm.forecasting.forecasts import interval_levels


class Origins(NamedTuple):
    """Forecast n is of `horizon` values of series number ``series[n]`` from the step ``steps[n]`` on."""

    data: Data
    series: np.ndarray
    steps: np.ndarray
    horizon: int

    @property
    def pairs(self):
        return zip(self.series, self.steps, strict=True)


def find_origins(data, known, horizon, stride, reach):
    """The `Origins` in what follows the first ``known[n]`` values of each series.

    reach: number of steps that the data must go on after an origin, for covariates that are known ahead.
    """
    found = [
        (n, step)
        for n, values in enumerate(data.values)
        for step in range(known[n], len(values) - reach + 1, stride)
        if data.observed[n][step : step + horizon].all()
    ]
    if not found:
        raise ValueError(
            f"y has fewer than {reach} observations after those known, which horizon={horizon} requires"
            f"{' with covariates that are known ahead' * (reach > horizon)}: pass more."
        )
    return Origins(data, *np.array(found).T, horizon)


def forecasts_by(model, origins, coverage):
    """Forecasts [n, horizon] of the model, of its linear part, and bounds of its intervals, by name."""
    forecasts = model.at(*origins)
    found = {"lstm": forecasts.points()}
    if model.plan.blends:
        found["linear"] = forecasts.points(share=0.0)
    if model.has_quantiles and (origins.horizon <= model.plan.horizon or model.samples):
        bounds = forecasts.quantiles(interval_levels(coverage))
        found |= {"lower": bounds[..., 0], "upper": bounds[..., 1]}
    return found


def forecasts_by_refits(fit, known, origins, coverage):
    """Like `forecasts_by`, of models ``fit(data)``, each fitted to the values before its origins."""
    found, data, steps = {}, origins.data, origins.steps - np.array(known)[origins.series]
    for step in np.unique(steps):  # since the end of what was known
        rows = np.flatnonzero(steps == step)
        ends = [min(end + step, len(values)) for end, values in zip(known, data.values, strict=True)]
        model = fit(data.cut([0] * len(ends), ends))
        here = origins._replace(series=origins.series[rows], steps=origins.steps[rows])
        for name, value in forecasts_by(model, here, coverage).items():
            empty = np.full((len(steps), origins.horizon), np.nan)
            found.setdefault(name, empty)[rows] = value
    return found


def compare(forecasts, known, origins, season, coverage, ets):
    """A `Backtest` of forecasts, as of `forecasts_by`, and of the baselines.

    known: values of each series that were known before the backtest.
    """
    lower, upper = forecasts.pop("lower", None), forecasts.pop("upper", None)
    values, horizon = origins.data.values, origins.horizon
    # a season before each origin, with the first value before the start of a series
    recent = np.stack([values[n][np.maximum(np.arange(step - season, step), 0)] for n, step in origins.pairs])
    forecasts["persistence"] = baselines.persistence(recent, horizon)
    if season > 1:
        forecasts["seasonal_naive"] = baselines.seasonal_naive(recent, horizon, season)
    smoothed = _smoothed(known, origins, season) if ets else None
    if smoothed is not None:
        forecasts["ets"] = smoothed
    actual = np.stack([values[n][step : step + horizon] for n, step in origins.pairs])
    units = np.array([baselines.naive_error(of_series, season) for of_series in known])
    ids = [origins.data.panel.ids[n] for n in origins.series]
    return Backtest(ids, origins.steps, actual, forecasts, lower, upper, coverage, units[origins.series])


def _smoothed(known, origins, season):
    """Forecasts of exponential smoothing, fitted to the values known before; None without statsmodels."""
    forecasts = np.empty((len(origins.series), origins.horizon))
    for n in np.unique(origins.series):
        rows = origins.series == n
        of_series = baselines.ets(origins.data.values[n], len(known[n]), origins.steps[rows], origins.horizon, season)
        if of_series is None:
            return None
        forecasts[rows] = of_series
    return forecasts
