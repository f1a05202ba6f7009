"""Forecasts that a model must beat: persistence, seasonal naive, and exponential smoothing."""

import itertools
import warnings

import numpy as np


def persistence(history, horizon):
    """The last value of each history [n, T], H times."""
    return np.repeat(history[:, -1:], horizon, axis=1)


def seasonal_naive(history, horizon, period):
    """The value one season, or as many as needed, before each step [n, H]."""
    return history[:, -period:][:, np.arange(horizon) % period]


def naive_error(y, period):
    """Mean absolute error of seasonal naive forecasts in the series itself, the unit of MASE.

    Source: Hyndman & Koehler (2006). 1 for a series in which this is 0.
    """
    period = period if len(y) > period else 1
    error = float(np.nanmean(np.abs(y[period:] - y[:-period]))) if len(y) > 1 else 0.0
    return error or 1.0


def ets(y, split, origins, horizon, period):
    """Forecasts [n, H] of exponential smoothing from the steps `origins` on, with parameters fitted to ``y[:split]``.

    Of the models with additive errors, with or without a damped trend and an additive or multiplicative season, the one
    of the lowest AICc is used. Source: Hyndman, Koehler, Ord & Snyder (2008), by statsmodels; None if that is not
    installed.
    """
    try:
        from statsmodels.tsa.exponential_smoothing.ets import ETSModel
    except ImportError:
        return None
    seasons = [None]
    if period > 1 and split >= 2 * period + 2:
        seasons += ["add"] + ["mul"] * bool((y > 0).all())
    best = None
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of a fit that did not converge; others may have
        for trend, season in itertools.product((None, "add"), seasons):
            options = {"trend": trend, "damped_trend": trend is not None, "seasonal": season}
            options |= {"seasonal_periods": period} if season else {}
            fitted = ETSModel(y[:split], **options).fit(disp=False)
            if best is None or fitted.aicc < best[0]:
                best = fitted.aicc, options, fitted
        _, options, fitted = best
        states = ETSModel(y, **options).smooth(fitted.params).states
    ahead, before = np.arange(horizon), states[origins - 1]
    forecasts = np.repeat(before[:, :1], horizon, axis=1)
    if options["trend"]:
        damping = fitted.params[fitted.model.param_names.index("damping_trend")]
        forecasts = forecasts + before[:, 1:2] * np.cumsum(damping ** (ahead + 1))
    if options["seasonal"]:
        season = states[origins[:, None] - period + ahead % period, -1]
        forecasts = forecasts + season if options["seasonal"] == "add" else forecasts * season
    return forecasts
