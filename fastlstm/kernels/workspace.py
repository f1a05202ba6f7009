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


def _take(kept, name):
    """kept[name], which is removed, or None twice; and the numbers of references to both."""
    owner, view = kept.pop(name, (None, None))  # popped: no other thread takes it meanwhile
    return owner, view, (sys.getrefcount(owner), sys.getrefcount(view))


def _references():
    """How many references there are to a buffer that nobody holds; the interpreter's versions differ in that."""
    owner = _owner((0,), np.dtype(np.uint8))
    kept = {"": (owner, _view(owner, (0,), np.dtype(np.uint8)))}
    del owner
    return _take(kept, "")[2]


UNHELD = _references()


class Workspace:
    """Named buffers that are used again once nobody holds them, so that a minibatch allocates nothing.

    What a buffer holds is undefined whenever it is asked for.
    """

    # Design: asking the system for fresh memory costs more than a small minibatch does, page by page on first
    # use. Every view of a buffer, also a caller's, refers to the array that owns the memory: while there is one,
    # reference counts say so, and the buffer is left alone.

    def __init__(self):
        self._kept = {}

    def keeps(self, name, owner):
        """Whether the buffer `name` is in this memory: then it has two references here."""
        return self._kept.get(name, (None, None))[0] is owner

    def empty(self, name, shape, dtype):
        """A buffer of `shape`: the one of the last call where that is free and large enough."""
        dtype = np.dtype(dtype)
        owner, view, references = _take(self._kept, name)
        if references[0] > UNHELD[0] or references[1] > UNHELD[1]:
            owner = view = None
        if view is None or view.shape != shape or view.dtype != dtype:
            view = None
            if owner is None or owner.size < math.prod(shape) * dtype.itemsize + ALIGNMENT:
                owner = _owner(shape, dtype)
            view = _view(owner, shape, dtype)
        self._kept[name] = owner, view
        return view
