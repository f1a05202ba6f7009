"""Forms of X to the series that kernels take; nothing else knows the forms.

=============  ======================================================
form           meaning
=============  ======================================================
``(n, T, C)``  n series of T steps of C channels
``(n, T)``     n univariate series of T steps, the oldest value first
=============  ======================================================
"""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from fastlstm.kernels.parts import longest_first


@dataclass(frozen=True)
class Series:
    """n series of C channels, each of its own length, somewhere in one flat array."""

    values: np.ndarray
    at: np.ndarray  # [n]: where each starts
    lengths: np.ndarray  # [n]: steps
    channels: int

    @cached_property
    def equal(self):
        """Whether all are of one length."""
        return bool((self.lengths == self.lengths[0]).all())

    def __len__(self):
        return len(self.at)

    def take(self, rows):
        """The series `rows`, in that order; nothing is copied."""
        return replace(self, at=self.at[rows], lengths=self.lengths[rows])

    def pack(self, rows):
        """`rows` with the longest series first, and where each step's rows start in a packed batch of them."""
        if self.equal:
            return rows, _equal_starts(int(self.lengths[0]), len(rows))
        order, starts = longest_first(self.lengths[rows])
        return rows[order], starts


@lru_cache(maxsize=8)
def _equal_starts(T, N):
    return np.arange(T + 1) * N


def of_array(X):
    """X of shape (n, T) or (n, T, C) as series."""
    n, T = X.shape[:2]
    C = X.shape[2] if X.ndim == 3 else 1
    return Series(np.ascontiguousarray(X).reshape(-1), np.arange(n) * (T * C), np.full(n, T), C)


def blocks(n, T, width, limit=1 << 22):
    """Slices of range(n) of which a block of `width` numbers a step stays below `limit` numbers."""
    size = max(16, limit // (T * width))
    return [slice(first, min(first + size, n)) for first in range(0, n, size)]
