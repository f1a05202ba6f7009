"""Aligned memory for kernels, optionally reused between calls."""

import math
import sys

import numpy as np

ALIGNMENT = 64  # bytes; the size of a cache line and of the widest vector, so that no access crosses a cache line


def _aligned_bytes(shape, dtype):
    """Bytes for an array, from the beginning of a cache line on."""
    size = math.prod(shape) * dtype.itemsize + ALIGNMENT
    if size > sys.maxsize:
        raise MemoryError(
            f"An array of shape {shape} requires {size:.2g} bytes, which exceeds the address space; expected fewer or "
            "shorter series per batch, fewer streams, or fewer units."
        )
    owner = np.empty(size, np.uint8)
    return owner[-owner.ctypes.data % ALIGNMENT :]


def _view(room, shape, dtype):
    return room[: math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)


def aligned_empty(shape, dtype):
    """Uninitialised array, aligned to a cache line."""
    dtype = np.dtype(dtype)
    return _view(_aligned_bytes(shape, dtype), shape, dtype)


class Workspace:
    """Named buffers that are reused, so that a minibatch allocates no memory.

    A buffer is uninitialised, and valid until the next request for the same name, which may reuse its memory. The owner
    of the workspace must ensure that the previous buffer is no longer in use.
    """

    # Design: page faults on freshly allocated memory cost more than the computation of a small minibatch.

    def __init__(self):
        self._kept = {}

    def empty(self, name, shape, dtype):
        """Uninitialised buffer of `shape`, in the memory of the previous one of that name if it is large enough."""
        dtype = np.dtype(dtype)
        room, view = self._kept.get(name, (None, None))
        if view is None or view.shape != shape or view.dtype != dtype:
            if room is None or room.size < math.prod(shape) * dtype.itemsize:
                room = _aligned_bytes(shape, dtype)
            view = _view(room, shape, dtype)
            self._kept[name] = room, view
        return view
