"""Copies between packed rows and arrays with one block per sequence."""

from fastlstm.kernels.numba.buffers import copy
from fastlstm.kernels.numba.jit import entry
from fastlstm.kernels.numba.tiles import pointer


@entry
def gather(batch, reverse, steps, blocks, rows):
    """batch is (starts, lengths, order), steps is (first, last), blocks is (array, T, F, column); see the contract."""
    (starts, lengths, order), (first, last), (array, T, F, column) = batch, steps, blocks
    W, stride = rows.shape[1], rows.strides[0] // rows.itemsize
    a, out = pointer(array), pointer(rows)
    for t in range(first, last):
        for n in range(starts[t + 1] - starts[t]):
            there = lengths[n] - 1 - t if reverse else t
            copy(W, a, (order[n] * T + there) * F + column, out, (starts[t] + n) * stride)


@entry
def scatter(batch, reverse, states, add, rows, out, column):
    starts, lengths, order = batch
    _, T, F = out.shape
    W, steps, stride = rows.shape[1], starts.size - 1, rows.strides[0] // rows.itemsize
    a, whole = pointer(rows), pointer(out)
    for t in range(T):
        active = starts[t + 1] - starts[t] if t < steps else 0
        for n in range(active):
            row = starts[t] + n
            if states:
                row = (starts[t + 1] if t + 1 < lengths[n] else starts[steps]) + n
            at = (order[n] * T + (lengths[n] - 1 - t if reverse else t)) * F + column
            if add:
                for j in range(W):
                    whole[at + j] += a[row * stride + j]
            else:
                copy(W, a, row * stride, whole, at)
        for n in range(active, order.size):
            for j in range(W):
                whole[(order[n] * T + t) * F + column + j] = 0
