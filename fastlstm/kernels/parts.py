"""How the work on one batch is divided among threads: who computes which rows, units and columns."""

from typing import NamedTuple

import numpy as np

#: Value of a broken barrier, at which no thread waits; a thread that fails sets it.
BROKEN = 1 << 60


class Part(NamedTuple):
    """One thread's part in the work of a team of `size`.

    A recurrence is divided by rows, each thread taking its rows through all steps; or, where `by_units`, by hidden
    units, with a barrier after each step; each thread then reads only its share of the weights.
    """

    rank: int = 0
    size: int = 1
    by_units: bool = False
    barrier: np.ndarray = np.zeros(1, np.int64)  # number of arrivals; see `kernels.numba.barrier`

    def share(self, n, multiple=1):
        """This part of range(n), as (first, last); bounds are multiples of `multiple`, or n."""
        groups = -(-n // multiple)
        first, last = self.rank * groups // self.size, (self.rank + 1) * groups // self.size
        return min(first * multiple, n), min(last * multiple, n)


def starts_of(lengths):
    """Where each step's rows start in a packed batch of falling `lengths`, and where the last step's end: [T+1]."""
    lengths = np.asarray(lengths)
    # the number of sequences longer than t, for every t
    active = len(lengths) - np.searchsorted(lengths[::-1], np.arange(lengths[0]), side="right")
    return np.concatenate([[0], np.cumsum(active)])


def longest_first(lengths):
    """The order in which `lengths` fall, equal ones as they stand, and `starts_of` them in it."""
    order = np.argsort(-lengths, kind="stable")
    return order, starts_of(lengths[order])


def lengths_of(starts):
    """The falling lengths [N] of a packed batch."""
    N = int(starts[1])
    if _equal(starts):
        return np.full(N, len(starts) - 1)
    return np.searchsorted(-np.diff(starts), -np.arange(N), side="left")  # the steps with more than n rows


def _equal(starts):
    return starts[-1] - starts[-2] == starts[1]


def row_bounds(starts, size):
    """Bounds [size + 1] of ranges of rows with about equally many steps in them."""
    N = int(starts[1])
    if _equal(starts):
        return [N * rank // size for rank in range(size + 1)]
    steps = np.cumsum(lengths_of(starts))
    return [0, *(int(np.searchsorted(steps, steps[-1] * rank / size)) for rank in range(1, size)), N]
