"""Rows of packed batches from and to arrays of one block per sequence; see the contract."""

import numpy as np


def places(starts):
    """Of every step: its packed rows, and where the states after it are."""
    T, M = len(starts) - 1, starts[-1]
    for t in range(T):
        active = starts[t + 1] - starts[t]
        after = np.arange(active) + M
        if t + 1 < T:
            going_on = starts[t + 2] - starts[t + 1]
            after[:going_on] += starts[t + 1] - M
        yield slice(starts[t], starts[t + 1]), after


def gather(starts, order, first, last, array, rows):
    for t, (now, _) in enumerate(places(starts)):
        if first <= t < last:
            rows[now] = array[order[: now.stop - now.start], t]


def scatter(starts, order, states, rows, out):
    out[:] = 0
    for t, (now, after) in enumerate(places(starts)):
        out[order[: now.stop - now.start], t] = rows[after if states else now]
