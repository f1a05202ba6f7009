"""Standardisation of channels and targets by their mean and standard deviation."""

from typing import NamedTuple

import numpy as np

from fastlstm.training.collective import ALONE

BLOCK_ROWS = 1 << 14  # number of rows of which sums are taken at a time; other numbers change their bits
BLOCK_VALUES = 1 << 14  # number of values standardised at a time, which stay in a core's cache as float64
EPSILON = np.finfo("float64").eps


class Scaling(NamedTuple):
    """Mean and standard deviation of each column, float64."""

    mean: np.ndarray
    scale: np.ndarray

    def apply(self, rows, dtype, out=None):
        """Standardised rows; values too large for `dtype` become infinite, and NaN is preserved.

        out: where to write them, which may be `rows` itself; otherwise a new array.
        """
        out, size = np.empty(rows.shape, dtype) if out is None else out, max(1, BLOCK_VALUES // max(1, rows.shape[1]))
        mean, scale, buffer = self.mean[None], self.scale[None], np.empty((min(size, len(rows)), rows.shape[1]))
        if len(rows) > size:  # arrays of equal shapes take less than half the time of rows of few channels
            mean, scale = (np.repeat(part, size, axis=0) for part in (mean, scale))
        with np.errstate(over="ignore"):
            for block in _blocks(len(rows), size):
                values = buffer[: len(out[block])]
                values[...] = rows[block]
                values -= mean[: len(values)]
                values /= scale[: len(values)]
                out[block] = values
        return out

    def undo(self, rows):
        """Rows in the original units, as float64."""
        return rows * self.scale + self.mean


def fit_scaling(parts, name, share=ALONE):
    """The `Scaling` of the rows of all partitions; NaN is ignored.

    A constant column is only centred, as by scikit-learn's StandardScaler; a column of NaN is left unchanged. Raises
    ValueError, naming `name`, if the squares of the values overflow float64.

    parts: rows [M, C] and their weights [M, 1 or C] of each partition of this process.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        scaling = _fit_scaling(parts, share)
    if not all(np.isfinite(part).all() for part in scaling):
        raise ValueError(
            f"{name} contains values too large to standardise: divide them by a power of 10, or set standardize=False."
        )
    return scaling


def _fit_scaling(parts, share):
    n = share.total([len(rows) for rows, _ in parts])
    total, mean = share.total([_sums(*part) for part in parts])
    known = total > 0
    divisor = np.where(known, total, 1)
    mean = mean / divisor
    variance = share.total([_squares(*part, mean) for part in parts]) / divisor
    # variance that rounding errors alone can produce in a constant column
    constant = variance <= n * EPSILON * variance + (n * mean * EPSILON) ** 2
    constant &= np.isfinite(variance)
    return Scaling(np.where(known, mean, 0.0), np.sqrt(np.where(known & ~constant, variance, 1.0)))


def _sums(rows, weights):
    """Sums of the weights, and of the weighted values [2, C]."""
    sums = np.zeros((2, rows.shape[1]))
    for block in _blocks(len(rows)):
        w, values = _masked(rows[block], weights[block])
        sums[0] += w.sum(axis=0)
        sums[1] += (w * values).sum(axis=0)
    return sums


def _squares(rows, weights, mean):
    """Sums of the weighted squares [C] of what differs from the mean."""
    squares = np.zeros(rows.shape[1])
    for block in _blocks(len(rows)):
        w, values = _masked(rows[block], weights[block])
        squares += (w * (values - mean) ** 2).sum(axis=0)
    return squares


def _masked(rows, weights):
    """Weights [M, C], 0 where the value is NaN, and values, 0 where the weight is 0."""
    w = np.where(np.isnan(rows), 0.0, weights)
    return w, np.where(w > 0, rows, 0.0).astype("float64")


def _blocks(n, size=BLOCK_ROWS):
    return [slice(first, first + size) for first in range(0, n, size)]
