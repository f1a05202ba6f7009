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
    """

    size: np.ndarray
    ranked: np.ndarray

    def width(self, coverage, unit):
        """Half widths [n, H, ...] of intervals with this coverage, a scalar or array, for windows of `unit` [n, 1]."""
        M = len(self.ranked)
        rank = np.ceil(np.asarray(coverage) * (M + 1)).astype(int)
        factor = self.ranked[np.clip(rank, 1, M) - 1]
        return (unit * self.size)[..., None] * factor if np.ndim(factor) else unit * self.size * factor


def fit_errors(errors):
    """The `Errors` from held-out errors [n, H], in units of the window's spread."""
    size = np.sqrt((errors**2).mean(axis=0))
    size = np.maximum.accumulate(size)  # distant values are no easier to forecast; few errors may say otherwise
    size = np.maximum(size, 1e-12)
    return Errors(size, np.sort(np.abs(errors / size).reshape(-1)))
