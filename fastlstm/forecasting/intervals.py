"""Prediction intervals from forecast errors on held-out data (split conformal prediction), and corrected quantiles.

Source: Lei et al. (2018), Distribution-Free Predictive Inference for Regression, with the errors of each horizon
divided by their size.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

TINY = 1e-12
#: Levels of quantiles that are compared with held-out counts.
LEVELS = np.array([0.005, 0.01, 0.025, 0.05, *np.arange(1, 10) / 10, 0.95, 0.975, 0.99, 0.995])


@dataclass(frozen=True)
class Errors:
    """Sizes of the errors of held-out forecasts.

    Attributes
    ----------
    size : array [H]
        Root mean square error of each horizon, in units of the window's spread.
    ranked : array [M]
        Absolute errors of all horizons divided by `size`, in increasing order.
    n : int
        Number of forecasts. The errors of one forecast are no independent ones, so the ranks are those for n errors.
    shifts : array [L] or None
        What to add to forecast quantiles of each level, in units of `size`.
    hits : Hits or None
        How often forecast quantiles of counts were right.
    factors : array [n_series] or None
        Size of each series' errors, as a factor of `size`; None if there is one series.
    usual : float
        That of a series without held-out forecasts.
    """

    size: np.ndarray
    ranked: np.ndarray
    n: int
    shifts: np.ndarray | None = None
    hits: "Hits | None" = None
    factors: np.ndarray | None = None
    usual: float = 1.0

    def width(self, coverage, unit, steps):
        """Half widths [n, steps, ...] of intervals with this coverage, a scalar or array; unit is [n, 1 or steps]."""
        size = self.size[:steps]
        level = np.minimum(np.ceil(np.asarray(coverage) * (self.n + 1)) / self.n, 1)
        factor = self.ranked[np.ceil(level * len(self.ranked)).astype(int).clip(1) - 1]
        return (unit * size)[..., None] * factor if np.ndim(factor) else unit * size * factor

    def with_shifts(self, errors, levels):
        """These with the shifts after which a part `levels` of the errors [n, H, L] of quantiles is negative.

        Source: Romano, Patterson & Candes (2019), section 2, one level at a time.
        """
        scaled = (errors / self.size[:, None]).reshape(-1, len(levels))
        outer = np.abs(np.asarray(levels) - 0.5) + 0.5  # of n errors, one more may be beyond
        outer = np.minimum(np.ceil(outer * (self.n + 1)) / self.n, 1)
        outer = np.where(np.equal(levels, 0.5), 0.5, np.where(np.less(levels, 0.5), 1 - outer, outer))
        return replace(self, shifts=np.array([np.quantile(scaled[:, k], level) for k, level in enumerate(outer)]))


def fit_errors(errors, series, n_series):
    """The `Errors` from held-out errors [n, H] of the series numbered `series` [n], in units of the window's spread."""
    factors, usual = _factors(errors, series, n_series) if n_series > 1 else (None, 1.0)
    if factors is not None:
        errors = errors / factors[series, None]
    size = np.sqrt((errors**2).mean(axis=0))
    size = np.maximum.accumulate(size)  # distant values are no easier to forecast; few errors may say otherwise
    size = np.maximum(size, TINY)
    ranked = np.sort(np.abs(errors / size).reshape(-1))
    return Errors(size, ranked, len(errors), factors=factors, usual=usual)


def _factors(errors, series, n_series):
    """Sizes [n_series] of the errors of each series, as factors of all errors, and the usual one.

    The logarithm of each variance is shrunk to their mean, by how much of their variance may be chance: that of a
    variance of k errors is about 2 / k (Bartlett & Kendall 1946). One in H errors counts, since forecasts overlap.
    """
    squares = ((errors / np.maximum(np.sqrt((errors**2).mean(axis=0)), TINY)) ** 2).mean(axis=1)
    counts = np.bincount(series, minlength=n_series)
    there = counts > 0
    logs = np.log(np.maximum(np.bincount(series, squares, n_series)[there] / counts[there], TINY))
    by_chance = 2 / np.maximum(1, counts[there] / errors.shape[1])
    mean = logs.mean()
    among = max(0.0, float(logs.var() - by_chance.mean()))
    usual = float(np.exp(mean / 2)) if among else 1.0
    factors = np.full(n_series, usual)
    if among:
        factors[there] = np.exp((mean + among / (among + by_chance) * (logs - mean)) / 2)
    return factors, usual


class Hits(NamedTuple):
    """Parts of held-out counts below forecast quantiles of the levels `LEVELS`, and no larger than these.

    Source: Kuleshov, Fenner & Ermon (2018), section 3, for counts: both parts differ by those that equal the quantile.
    """

    below: np.ndarray
    up_to: np.ndarray

    def levels(self, asked):
        """Levels whose quantiles have at least these parts of counts below them, or above if under 0.5.

        Intervals are only made wider: those of small counts contain more than asked for in any case.
        """
        lower, upper = np.interp(asked, self.below, LEVELS), np.interp(asked, self.up_to, LEVELS)
        return np.where(asked < 0.5, np.minimum(lower, asked), np.maximum(upper, asked))


def fit_hits(actual, quantiles):
    """The `Hits` from counts [n, H] and their quantiles [n, H, len(LEVELS)]."""
    return Hits((actual[..., None] < quantiles).mean(axis=(0, 1)), (actual[..., None] <= quantiles).mean(axis=(0, 1)))
