"""Prediction intervals from forecast errors on held-out data (split conformal prediction).

Source: Lei et al. (2018), Distribution-Free Predictive Inference for Regression, with the errors of each horizon
divided by their size.
"""

from dataclasses import dataclass, replace

import numpy as np


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
    """

    size: np.ndarray
    ranked: np.ndarray
    n: int
    shifts: np.ndarray | None = None

    def width(self, coverage, unit):
        """Half widths [n, H, ...] of intervals with this coverage, a scalar or array, for `unit` [n, 1 or H]."""
        level = np.minimum(np.ceil(np.asarray(coverage) * (self.n + 1)) / self.n, 1)
        factor = self.ranked[np.ceil(level * len(self.ranked)).astype(int).clip(1) - 1]
        return (unit * self.size)[..., None] * factor if np.ndim(factor) else unit * self.size * factor

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
