"""Memory for kernels: aligned, and kept from call to call where the caller wants that."""

import math

import numpy as np

ALIGNMENT = 64  # bytes of a cache line and of the widest vector: no load or store crosses two lines


def aligned_empty(shape, dtype):
    """Uninitialised array whose first element lies on a cache line."""
    dtype = np.dtype(dtype)
    size = math.prod(shape)
    raw = np.empty(size * dtype.itemsize + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size * dtype.itemsize].view(dtype).reshape(shape)


class Workspace:
    """Named buffers that are made once and used again, so that a minibatch allocates nothing.

    What a buffer holds is undefined whenever it is asked for.
    """

    def __init__(self):
        self._buffers = {}

    def empty(self, name, shape, dtype):
        """A buffer of `shape`: the one of the last call where that is large enough."""
        size = math.prod(shape)
        buffer = self._buffers.get((name, dtype))
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name, dtype] = aligned_empty((size,), dtype)
        return buffer[:size].reshape(shape)
