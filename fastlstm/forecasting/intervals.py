"""Prediction intervals from forecast errors on held-out data (split conformal prediction).

Source: Lei et al. (2018), Distribution-Free Predictive Inference for Regression, with the errors of each horizon
divided by their size.
"""

from dataclasses import dataclass

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
    """

    size: np.ndarray
    ranked: np.ndarray
    n: int

    def width(self, coverage, unit):
        """Half widths [n, H, ...] of intervals with this coverage, a scalar or array, for windows of `unit` [n, 1]."""
        level = np.minimum(np.ceil(np.asarray(coverage) * (self.n + 1)) / self.n, 1)
        factor = self.ranked[np.ceil(level * len(self.ranked)).astype(int).clip(1) - 1]
        return (unit * self.size)[..., None] * factor if np.ndim(factor) else unit * self.size * factor


def fit_errors(errors):
    """The `Errors` from held-out errors [n, H], in units of the window's spread."""
    size = np.sqrt((errors**2).mean(axis=0))
    size = np.maximum.accumulate(size)  # distant values are no easier to forecast; few errors may say otherwise
    size = np.maximum(size, 1e-12)
    return Errors(size, np.sort(np.abs(errors / size).reshape(-1)), len(errors))
