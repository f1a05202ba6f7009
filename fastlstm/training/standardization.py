"""Location and scale of channels and targets, removed before training, and restored after."""

from typing import NamedTuple

import numpy as np

BLOCK_ROWS = 1 << 14  # rows that are converted to float64 at a time
EPSILON = np.finfo("float64").eps


class Scaling(NamedTuple):
    """Mean and standard deviation of every column, float64."""

    mean: np.ndarray
    scale: np.ndarray

    def apply(self, rows, dtype):
        """Standardised rows; numbers too large for `dtype` become infinite, and NaN stays."""
        out = np.empty(rows.shape, dtype)
        with np.errstate(over="ignore"):
            for block in _blocks(len(rows)):
                out[block] = (rows[block] - self.mean) / self.scale
        return out

    def undo(self, rows):
        """Rows in the original units, float64."""
        return rows * self.scale + self.mean


def learn(rows, weights, name):
    """The `Scaling` of rows [M, C], of which NaN says nothing, with weights [M, 1 or C].

    A constant column is only shifted, as by scikit-learn's StandardScaler; one without a number stays as it is. Raises
    ValueError, which says `name`, if squares of the numbers are too large for float64.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        scaling = _learn(rows, weights)
    if not all(np.isfinite(part).all() for part in scaling):
        raise ValueError(
            f"{name} contains values too large to be standardised: divide them by a power of 10, or pass "
            "standardize=False."
        )
    return scaling


def _learn(rows, weights):
    C = rows.shape[1]
    total, mean, variance = np.zeros(C), np.zeros(C), np.zeros(C)
    for block in _blocks(len(rows)):
        w, values = _counted(rows[block], weights[block])
        total += w.sum(axis=0)
        mean += (w * values).sum(axis=0)
    known = total > 0
    divisor = np.where(known, total, 1)
    mean /= divisor
    for block in _blocks(len(rows)):
        w, values = _counted(rows[block], weights[block])
        variance += (w * (values - mean) ** 2).sum(axis=0)
    variance /= divisor
    # what roundings alone can make of a constant column
    constant = variance <= len(rows) * EPSILON * variance + (len(rows) * mean * EPSILON) ** 2
    constant &= np.isfinite(variance)
    return Scaling(np.where(known, mean, 0.0), np.sqrt(np.where(known & ~constant, variance, 1.0)))


def _counted(rows, weights):
    """Weights [M, C], 0 where there is no number, and numbers, 0 where there is no weight."""
    w = np.where(np.isnan(rows), 0.0, weights)
    return w, np.where(w > 0, rows, 0.0).astype("float64")


def _blocks(n):
    return [slice(first, first + BLOCK_ROWS) for first in range(0, n, BLOCK_ROWS)]
