"""Memory layout of rows, and sizes shared by Python and the kernels.

A row holds everything that a step's gates depend on, ``[x (C), 1, h' (H)]``, where h' is the state before the step; the
bias is the weight of the 1. The gates of a step are thus a single matrix product, as is the gradient of all weights and
biases. Units are padded to whole vectors, P in total. Padded units have zero weights, hence zero states and gradients.
"""

from functools import lru_cache

import numpy as np

from fastlstm.kernels.workspace import ALIGNMENT, aligned_empty

#: Rows per block of weight gradients, whose sums are computed separately and then added. A block stays in the L1 cache
#: while it is multiplied by all columns. Independent of the vector width, because results must not depend on it.
BLOCK_ROWS = 64
#: Bytes of pre-activations that are kept in the L1 cache.
SUMS_BYTES = 8 * 1024
#: Elements of the widest vector: threads divide columns at multiples of it.
WIDEST = 16
#: Elements per block of a gradient whose sum of squares is computed separately.
SQUARES = 4096


@lru_cache(maxsize=8)
def zeros(size, dtype):
    """Shared array of zeros; must not be modified."""
    out = aligned_empty((size,), dtype)
    out[:] = 0
    return out


def padded(units, lanes):
    """`units` rounded up to a multiple of `lanes`."""
    return -(-units // lanes) * lanes


def row_layout(before, P, dtype):
    """Offset of the first row, such that its h' is aligned to a cache line, and the stride between rows.

    before: elements of a row before h'.
    """
    line = ALIGNMENT // dtype.itemsize
    begin = -before % line
    # The stride is an odd number of cache lines: an even one would map the rows to only a few sets of the cache.
    return begin, (-(-(begin + before + P) // line) | 1) * line


def flat(array):
    """A view of the same memory in the form the kernels are compiled for: 1-d, contiguous and marked as writable."""
    if array.ndim != 1:
        array = array.reshape(-1)
    return array if array.flags.writeable else np.asarray(_Writable(array))


class _Writable:
    """Read-only memory marked as writable: kernels do not write to inputs, and Numba compiles for one array type."""

    def __init__(self, array):
        self.array = array  # keeps the memory alive
        interface = array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}
