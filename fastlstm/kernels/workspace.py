"""Aligned memory for kernels, optionally reused between calls."""

import math
import sys

import numpy as np

ALIGNMENT = 64  # bytes; the size of a cache line and of the widest vector, so that no access crosses a cache line


def _owner(shape, dtype):
    size = math.prod(shape) * dtype.itemsize + ALIGNMENT
    if size > sys.maxsize:
        raise MemoryError(
            f"An array of shape {shape} requires {size:.2g} bytes, which exceeds the address space; expected fewer or "
            "shorter series per batch, fewer streams, or fewer units."
        )
    return np.empty(size, np.uint8)


def _view(owner, shape, dtype):
    start = -owner.ctypes.data % ALIGNMENT
    return owner[start : start + math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)


def aligned_empty(shape, dtype):
    """Uninitialised array, aligned to a cache line."""
    dtype = np.dtype(dtype)
    return _view(_owner(shape, dtype), shape, dtype)


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
        owner, view = self._kept.get(name, (None, None))
        if view is None or view.shape != shape or view.dtype != dtype:
            if owner is None or owner.size < math.prod(shape) * dtype.itemsize + ALIGNMENT:
                owner = _owner(shape, dtype)
            view = _view(owner, shape, dtype)
            self._kept[name] = owner, view
        return view
