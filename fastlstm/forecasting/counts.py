"""Counts as the network sees them: it reads standardised logarithms, and its outputs describe the counts themselves."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Counts:
    """Forecasts of counts n, whose series are given as ``(log(1 + n) - mean) / std``; see `Linear` for the methods.

    All series share `mean` and `std`, so that windows show the level of a series.
    """

    mean: float
    std: float

    def predict(self, x):
        """There is nothing to correct."""
        return np.zeros((len(x), 1))

    def targets(self, x, y):
        """Counts from their scaled logarithms."""
        return np.maximum(np.expm1(y * self.std + self.mean), 0)

    def values(self, forecasts, outputs):
        """Scaled logarithms of counts."""
        return (np.log1p(np.maximum(outputs.astype(float), 0)) - self.mean) / self.std
