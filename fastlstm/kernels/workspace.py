"""Memory for kernels: aligned, and kept from call to call where the caller wants that."""

import math
import sys

import numpy as np

ALIGNMENT = 64  # bytes of a cache line and of the widest vector: no load or store crosses two lines


def _owner(shape, dtype):
    return np.empty(math.prod(shape) * dtype.itemsize + ALIGNMENT, np.uint8)


def _view(owner, shape, dtype):
    start = -owner.ctypes.data % ALIGNMENT
    return owner[start : start + math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)


def aligned_empty(shape, dtype):
    """Uninitialised array whose first element lies on a cache line."""
    dtype = np.dtype(dtype)
    return _view(_owner(shape, dtype), shape, dtype)


def _take(owners, name):
    """owners[name], which is removed, or None; and the number of references to it."""
    owner = owners.pop(name, None)  # popped: no other thread takes it meanwhile
    return owner, sys.getrefcount(owner)


#: The references to a buffer that nobody holds: 2, or fewer where the interpreter borrows them (Python 3.14).
UNHELD = _take({"": _owner((0,), np.dtype(np.uint8))}, "")[1]


class Workspace:
    """Named buffers that are used again once nobody holds them, so that a minibatch allocates nothing.

    What a buffer holds is undefined whenever it is asked for.
    """

    # Design: asking the system for fresh memory costs more than a small minibatch does, page by page on first
    # use. Every view of a buffer, also a caller's, refers to the array that owns the memory: while there is one,
    # its reference count says so, and the buffer is left alone.

    def __init__(self):
        self._owners = {}

    def empty(self, name, shape, dtype):
        """A buffer of `shape`: the one of the last call where that is free and large enough."""
        dtype = np.dtype(dtype)
        owner, references = _take(self._owners, name)
        needed = math.prod(shape) * dtype.itemsize + ALIGNMENT
        if owner is None or owner.size < needed or references > UNHELD:
            owner = _owner(shape, dtype)
        self._owners[name] = owner
        return _view(owner, shape, dtype)
