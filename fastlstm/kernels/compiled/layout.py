"""Where kernels find what: the layout of rows, and sizes that Python and the kernels agree on.

A row is all that a step's gates depend on, ``[x (C), 1, h' (H)]`` with h' the state before the step: the bias is the
weight of the 1. So the gates of a step are one product, and the gradient of all weights and biases is one, too. Units
are padded to whole vectors (P of them); a padded unit has zero weights, hence zero states and gradients.
"""

from functools import lru_cache

import numpy as np

from fastlstm.kernels.workspace import ALIGNMENT, aligned_empty

#: Rows whose gradients are summed by themselves: they stay in the first-level cache while all columns of a block pass
#: over them. The same number for every vector width, on which no bit may depend.
BLOCK_ROWS = 64
#: Bytes of gates' sums that wait in the first-level cache.
SUMS_BYTES = 8 * 1024
#: Numbers of a gradient whose squares are summed by themselves.
SQUARES = 4096


@lru_cache(maxsize=8)
def zeros(size, dtype):
    """Zeros that nobody writes to."""
    out = aligned_empty((size,), dtype)
    out[:] = 0
    return out


def padded(units, lanes):
    """`units` filled up to whole vectors."""
    return -(-units // lanes) * lanes


def row_layout(C, P, dtype):
    """Where a row begins, so that its h' lies on a cache line, and the distance of two rows."""
    line = ALIGNMENT // dtype.itemsize
    begin = -(C + 1) % line
    # An odd number of cache lines: rows an even number apart would share few of the cache's sets.
    return begin, (-(-(begin + C + 1 + P) // line) | 1) * line


def writable(array):
    """The same memory, for the compiler writable."""
    return array if array.flags.writeable else np.asarray(_Writable(array))


def flat(array):
    """The same memory as kernels are compiled for: one axis, contiguous and, for the compiler, writable."""
    return writable(array if array.ndim == 1 else array.reshape(-1))


class _Writable:
    """Read-only memory under another flag: kernels only read their inputs, and Numba compiles for one type of array."""

    def __init__(self, array):
        self.array = array  # kept alive
        interface = array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}
