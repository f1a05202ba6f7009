"""Prediction intervals from forecast errors on held-out data (split conformal prediction), and corrected quantiles.

Source: Lei et al. (2018), Distribution-Free Predictive Inference for Regression, with the errors of each horizon
divided by their size.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

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
    """

    size: np.ndarray
    ranked: np.ndarray
    n: int
    shifts: np.ndarray | None = None
    hits: "Hits | None" = None

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
        shifts = [np.quantile(scaled[:, k], level) for k, level in enumerate(levels)]
        return replace(self, shifts=np.array(shifts))


def fit_errors(errors):
    """The `Errors` from held-out errors [n, H], in units of the window's spread."""
    size = np.sqrt((errors**2).mean(axis=0))
    size = np.maximum.accumulate(size)  # distant values are no easier to forecast; few errors may say otherwise
    size = np.maximum(size, 1e-12)
    return Errors(size, np.sort(np.abs(errors / size).reshape(-1)), len(errors))


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
