"""Forms of X to the time-major batches that kernels take; nothing else knows the forms.

=============  ======================================================
form           meaning
=============  ======================================================
``(n, T, C)``  n series of T steps of C channels
``(n, T)``     n univariate series of T steps, the oldest value first
=============  ======================================================
"""

import numpy as np


def time_major(X):
    """X in any form, as a contiguous [T, n, C]."""
    if X.ndim == 2:
        X = X[:, :, None]
    return np.ascontiguousarray(X.transpose(1, 0, 2))


def gather(x, rows, out):
    """The series `rows` of x [T, n, C], in a contiguous part of the flat buffer `out`."""
    T, _, C = x.shape
    batch = out[: T * len(rows) * C].reshape(T, len(rows), C)
    return np.take(x, rows, axis=1, out=batch, mode="clip")  # rows are valid; "clip" skips a copy that "raise" makes


def blocks(n, T, width, limit=1 << 22):
    """Slices of range(n) of which a block of `width` numbers a step stays below `limit` numbers."""
    size = max(16, limit // (T * width))
    return [slice(first, min(first + size, n)) for first in range(0, n, size)]
