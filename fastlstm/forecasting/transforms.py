"""Invertible transforms of a series before it is modelled: logarithms, Box-Cox, and differences.

A transform has two stages. The first acts on each value: ``level = function(y)``. The second takes differences of the
levels, of lag 1 and of the season. Forecasts of differences are summed up again from the last observed levels, which is
exact.
"""

from typing import NamedTuple

import numpy as np
from scipy import special


class Levels(NamedTuple):
    """A strictly increasing function of each value: identity, log(y), log(1 + y), or Box-Cox with exponent `power`."""

    name: str | None = None
    power: float = 0.0

    def apply(self, y):
        if self.name is None:
            return y
        if self.name == "log1p":
            return np.log1p(y)
        return np.log(y) if self.name == "log" else special.boxcox(y, self.power)

    def undo(self, levels):
        if self.name is None:
            return levels
        with np.errstate(over="ignore"):
            if self.name == "log":
                return np.exp(levels)
            if self.name == "log1p":
                return np.expm1(levels)
            if self.power:  # levels below that of 0 become 0
                levels = np.maximum(levels, -1 / self.power)
            return special.inv_boxcox(levels, self.power)


def fit_levels(name, y):
    """The `Levels` for a series y without NaN; its values must be positive if `name` is not None."""
    if name != "boxcox":
        return Levels(name)
    from scipy import stats  # imported here because it is slow

    constant = bool((y == y[0]).all())
    if constant:
        return Levels("boxcox", 1.0)
    # Design: with a negative exponent, levels have an upper limit, beyond which forecasts would be infinite
    return Levels("boxcox", float(np.clip(stats.boxcox_normmax(y, method="mle"), 0, 2)))


class Differences(NamedTuple):
    """Differences of lag 1, taken `ordinary` times, and of lag `period`, taken `seasonal` times."""

    ordinary: int = 0
    seasonal: int = 0
    period: int = 1

    @property
    def lags(self):
        return [self.period] * self.seasonal + [1] * self.ordinary

    @property
    def lost(self):
        """Number of values at the start of a series that have no difference."""
        return sum(self.lags)

    def apply(self, levels):
        """Differences along the last axis, without the first `lost` values."""
        for lag in self.lags:
            levels = levels[..., lag:] - levels[..., :-lag]
        return levels

    def of_columns(self, table, codes):
        """Differences of the columns of a table [T, C], in the same rows, except columns of `codes` [C]."""
        out = table
        for lag in self.lags:
            earlier, out = out, np.zeros_like(out)
            out[lag:] = earlier[lag:] - earlier[:-lag]
        return np.where(codes, table, out) if self.lost else table

    def undo(self, history, forecasts):
        """Levels [n, H] from forecast differences [n, H], after histories [n, at least `lost`] of levels."""
        if not self.lost:
            return forecasts
        stages = [history[:, -self.lost :]]
        for lag in self.lags:
            stages.append(stages[-1][:, lag:] - stages[-1][:, :-lag])
        for before, lag in zip(reversed(stages[:-1]), reversed(self.lags), strict=True):
            known = before[:, -lag:]  # the last values, one for each phase of the lag
            steps = -(-forecasts.shape[1] // lag)
            padded = np.zeros((len(forecasts), steps * lag))
            padded[:, : forecasts.shape[1]] = forecasts
            sums = np.cumsum(padded.reshape(len(forecasts), steps, lag), axis=1) + known[:, None, :]
            forecasts = sums.reshape(len(forecasts), -1)[:, : forecasts.shape[1]]
        return forecasts
