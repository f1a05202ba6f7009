"""Series in which only lag 3 and an exogenous variable matter, and how well they are forecast if laid out by hand."""

import functools

import numpy as np
import pytest

from fastlstm import LSTMRegressor

LAGS, TRAIN, N = 48, 900, 1000
TOLERANCE = 0.03  # R squared falls to about 0 if columns are read in a wrong order
seeds = pytest.mark.parametrize("seed", [0, 1, 2])


@functools.cache
def series(exogenous=None):
    """The target and, if any, the exogenous variable.

    exogenous: None; "known", a variable that acts at once; or "past", one that acts two steps later.
    """
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=N), rng.uniform(-0.5, 0.5, N)
    delay = 2 if exogenous == "past" else 0
    for t in range(3, N):
        if exogenous:
            y[t] = np.tanh(2 * y[t - 3]) + np.sin(2 * x[t - delay]) + 0.1 * rng.normal()
        else:
            y[t] = np.clip(1 - 1.7 * y[t - 3] ** 2 + 0.05 * rng.normal(), -1, 1)
    return (y, x) if exogenous else (y,)


def regressor(seed, **options):
    return LSTMRegressor(32, max_iter=40, batch_size=32, learning_rate_init=0.01, random_state=seed, **options)


@functools.cache
def r2_by_hand(seed, exogenous):
    y, *x = series(exogenous)
    if exogenous == "known":
        windows = [windows_of(y), np.repeat(x[0][LAGS:, None], LAGS, axis=1)]
    else:
        windows = [windows_of(channel) for channel in (y, *x)]
    X, n = np.stack(windows, axis=2), TRAIN - LAGS
    return r2(regressor(seed).fit(X[:n], y[LAGS:TRAIN]).predict(X[n:]), exogenous)


def windows_of(channel):
    return np.lib.stride_tricks.sliding_window_view(channel, LAGS)[:-1]


def r2(predicted, exogenous):
    """R squared of one-step forecasts of all values after the first TRAIN."""
    y = series(exogenous)[0][TRAIN:]
    return 1 - ((y - np.ravel(predicted)) ** 2).sum() / ((y - y.mean()) ** 2).sum()


def assert_as_good_as_by_hand(predicted, seed, exogenous=None):
    assert r2(predicted, exogenous) == pytest.approx(r2_by_hand(seed, exogenous), abs=TOLERANCE)
