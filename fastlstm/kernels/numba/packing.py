"""Rows of packed batches from and to arrays of one block per sequence; see the contract."""

import numpy as np

from fastlstm.kernels.numba.buffers import flat
from fastlstm.kernels.numba.jit import entry, kernel
from fastlstm.kernels.numba.tiles import load, pointer, store, width


@kernel
def copy(size, a, a_at, out, out_at):
    L = width(a)
    whole = size // L * L
    for j in range(0, whole, L):
        store(load(1, 1, a, a_at + j, 0), out, out_at + j, 0)
    for j in range(whole, size):
        out[out_at + j] = a[a_at + j]


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
