"""Rows of packed batches from and to arrays of one block per sequence; see the contract."""

import numpy as np

from fastlstm.kernels.numba.buffers import copy, flat
from fastlstm.kernels.numba.jit import entry
from fastlstm.kernels.numba.tiles import pointer


@entry
def _gather(starts, order, first, last, T, array, rows):
    W, stride = rows.shape[1], rows.strides[0] // rows.itemsize
    a, out = pointer(array), pointer(rows)
    for t in range(first, last):
        for n in range(starts[t + 1] - starts[t]):
            copy(W, a, (order[n] * T + t) * W, out, (starts[t] + n) * stride)


@entry
def scatter(starts, order, states, rows, out):
    _, T, W = out.shape
    steps, stride = starts.size - 1, rows.strides[0] // rows.itemsize
    a, whole = pointer(rows), pointer(out)
    for t in range(T):
        active = starts[t + 1] - starts[t] if t < steps else 0
        going_on = starts[t + 2] - starts[t + 1] if t + 1 < steps else 0
        for n in range(active):
            row = starts[t] + n
            if states:
                row = (starts[t + 1] if n < going_on else starts[steps]) + n
            copy(W, a, row * stride, whole, (order[n] * T + t) * W)
        for n in range(active, order.size):
            out[order[n], t] = 0


def gather(starts, order, first, last, array, rows):
    _gather(starts, order, first, last, array.shape[1], flat(np.ascontiguousarray(array)), rows)
