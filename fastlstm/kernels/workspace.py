"""Memory for kernels: aligned, and kept from call to call where the caller wants that."""

import math
import sys

import numpy as np

ALIGNMENT = 64  # bytes of a cache line and of the widest vector: no load or store crosses two lines


def _owner(shape, dtype):
    size = math.prod(shape) * dtype.itemsize + ALIGNMENT
    if size > sys.maxsize:
        raise MemoryError(
            f"An array of shape {shape} needs {size:.2g} bytes, more than any memory holds; expected fewer or shorter "
            "series in a batch, fewer streams, or fewer units."
        )
    return np.empty(size, np.uint8)


def _view(owner, shape, dtype):
    start = -owner.ctypes.data % ALIGNMENT
    return owner[start : start + math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)


def aligned_empty(shape, dtype):
    """Uninitialised array whose first element lies on a cache line."""
    dtype = np.dtype(dtype)
    return _view(_owner(shape, dtype), shape, dtype)


class Workspace:
    """Named buffers that keep their memory, so that a minibatch allocates nothing.

    A buffer is valid until the next one of its name is asked for, which may be in the same memory; its contents are
    undefined at first. Whoever owns the workspace decides when that is: nothing in it may be in use then.
    """

    # Design: asking the system for fresh memory costs more than a small minibatch does, page by page on first use.

    def __init__(self):
        self._kept = {}

    def empty(self, name, shape, dtype):
        """A buffer of `shape`, in the memory of the last one of that name if it is large enough."""
        dtype = np.dtype(dtype)
        owner, view = self._kept.get(name, (None, None))
        if view is None or view.shape != shape or view.dtype != dtype:
            if owner is None or owner.size < math.prod(shape) * dtype.itemsize + ALIGNMENT:
                owner = _owner(shape, dtype)
            view = _view(owner, shape, dtype)
            self._kept[name] = owner, view
        return view
