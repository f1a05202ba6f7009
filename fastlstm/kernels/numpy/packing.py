"""Copies between packed rows and arrays with one block per sequence; see the contract."""

import numpy as np

from fastlstm.kernels.parts import lengths_of


def places(starts):
    """For each step, yield the slice of its packed rows, and the rows of the states after it."""
    T, M = len(starts) - 1, starts[-1]
    for t in range(T):
        active = starts[t + 1] - starts[t]
        after = np.arange(active) + M
        if t + 1 < T:
            going_on = starts[t + 2] - starts[t + 1]
            after[:going_on] += starts[t + 1] - M
        yield slice(starts[t], starts[t + 1]), after


def reversed_rows(starts):
    """Permutation of the packed rows that reverses each sequence in time."""
    active, lengths = np.diff(starts), lengths_of(starts)
    t = np.repeat(np.arange(len(active)), active)
    n = np.arange(starts[-1]) - starts[t]
    return starts[lengths[n] - 1 - t] + n


def gather(starts, order, reverse, first, last, array, column, rows):
    reversed_row = reversed_rows(starts)
    for t, (now, _) in enumerate(places(starts)):
        if first <= t < last:
            rows[reversed_row[now] if reverse else now] = array[
                order[: now.stop - now.start], t, column : column + rows.shape[1]
            ]


def scatter(starts, order, reverse, states, add, rows, out, column):
    reversed_row = reversed_rows(starts)
    out = out[:, :, column : column + rows.shape[1]]
    after = np.empty(starts[-1], int)
    for now, there in places(starts):
        after[now] = there
    source = np.zeros_like(out)
    for t, (now, _) in enumerate(places(starts)):
        row = reversed_row[now] if reverse else np.arange(now.start, now.stop)
        source[order[: now.stop - now.start], t] = rows[after[row] if states else row]
    out[...] = out + source if add else source
