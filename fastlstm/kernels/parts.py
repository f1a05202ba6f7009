"""Division of the work on a batch among threads, by rows, units or columns."""

from typing import NamedTuple

import numpy as np

#: Value of a broken barrier, at which no thread waits. A thread that fails sets it.
BROKEN = 1 << 60


class Part(NamedTuple):
    """One thread's part of the work of a team of `size` threads.

    A recurrence is divided by rows: each thread runs its rows through all steps. With `by_units`, it is divided by
    hidden units, with a barrier after each step, and each thread reads only its share of the weights.
    """

    rank: int = 0
    size: int = 1
    by_units: bool = False
    barrier: np.ndarray = np.zeros(1, np.int64)  # number of arrivals; see `kernels.numba.barrier`

    def share(self, n, multiple=1):
        """This part's share of range(n) as (first, last). Bounds are multiples of `multiple`, or n."""
        groups = -(-n // multiple)
        first, last = self.rank * groups // self.size, (self.rank + 1) * groups // self.size
        return min(first * multiple, n), min(last * multiple, n)


def starts_of(lengths):
    """Offsets [T+1] of each step's rows in a packed batch, and their total number; `lengths` must be decreasing."""
    lengths = np.asarray(lengths)
    # number of sequences longer than t, for each t
    active = len(lengths) - np.searchsorted(lengths[::-1], np.arange(lengths[0]), side="right")
    return np.concatenate([[0], np.cumsum(active)])


def longest_first(lengths):
    """Indices that stably sort `lengths` in decreasing order, and `starts_of` the sorted lengths."""
    order = np.argsort(-lengths, kind="stable")
    return order, starts_of(lengths[order])


def lengths_of(starts):
    """Lengths [N] of the sequences of a packed batch, in decreasing order."""
    N = int(starts[1])
    if _equal(starts):
        return np.full(N, len(starts) - 1)
    return np.searchsorted(-np.diff(starts), -np.arange(N), side="left")  # number of steps with more than n rows


def _equal(starts):
    return starts[-1] - starts[-2] == starts[1]


def row_bounds(starts, size):
    """Bounds [size + 1] of ranges of sequences with about the same total number of steps."""
    N = int(starts[1])
    if _equal(starts):
        return [N * rank // size for rank in range(size + 1)]
    steps = np.cumsum(lengths_of(starts))
    return [0, *(int(np.searchsorted(steps, steps[-1] * rank / size)) for rank in range(1, size)), N]
