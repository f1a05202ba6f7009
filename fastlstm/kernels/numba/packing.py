"""Rows of packed batches from and to arrays of one block per sequence; see the contract."""

from fastlstm.kernels.numba.buffers import writable
from fastlstm.kernels.numba.jit import entry


@entry
def _gather(starts, order, first, last, array, rows):
    for t in range(first, last):
        for n in range(starts[t + 1] - starts[t]):
            rows[starts[t] + n] = array[order[n], t]


def gather(starts, order, first, last, array, rows):
    _gather(starts, order, first, last, writable(array), rows)


@entry
def scatter(starts, order, states, rows, out):
    T = starts.size - 1
    for t in range(T):
        active = starts[t + 1] - starts[t]
        going_on = starts[t + 2] - starts[t + 1] if t + 1 < T else 0
        for n in range(active):
            row = starts[t] + n
            if states:
                row = (starts[t + 1] if n < going_on else starts[T]) + n
            out[order[n], t] = rows[row]
        for n in range(active, order.size):
            out[order[n], t] = 0
    for t in range(T, out.shape[1]):
        out[:, t] = 0
