"""Forecasts that a model must beat: persistence and seasonal naive."""

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
