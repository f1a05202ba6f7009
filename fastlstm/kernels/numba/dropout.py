"""What dropout leaves, and its use on packed rows; see the contract, and for the generator the NumPy backend."""

import numpy as np

from fastlstm.kernels.numba.jit import entry
from fastlstm.kernels.numba.tiles import pointer
from fastlstm.kernels.numpy.dropout import MULTIPLIERS, ROUNDS, WEYL, WORD, threshold

LOW, HIGH = map(np.uint64, MULTIPLIERS)
STEP_0, STEP_1 = map(np.uint64, WEYL)
MASK, HALF = np.uint64(WORD), np.uint64(32)


@entry
def _draw(seed, epoch, stream, threshold, keep, sequences, first, last, masks):
    """keep: what stands for a unit that is not left out."""
    W = masks.shape[1]
    key_0, key_1, epoch, stream = np.uint64(seed) & MASK, np.uint64(seed) >> HALF, np.uint64(epoch), np.uint64(stream)
    threshold = np.uint64(threshold)
    for n in range(first, last):
        for block in range(0, W, 4):
            a, b, c, d = np.uint64(block // 4), np.uint64(sequences[n]) & MASK, epoch, stream
            k_0, k_1 = key_0, key_1
            for _ in range(ROUNDS):
                of_a, of_c = a * LOW, c * HIGH
                a, b = (of_c >> HALF) ^ b ^ k_0, of_c & MASK
                c, d = (of_a >> HALF) ^ d ^ k_1, of_a & MASK
                k_0, k_1 = (k_0 + STEP_0) & MASK, (k_1 + STEP_1) & MASK
            for j in range(min(4, W - block)):
                word = a if j == 0 else b if j == 1 else c if j == 2 else d
                masks[n, block + j] = keep if word >= threshold else 0.0


def draw(seed, epoch, stream, rate, sequences, first, last, masks):
    _draw(seed, epoch, stream, threshold(rate), 1 / (1 - rate), sequences, first, last, masks)


@entry
def _scale(starts, first, last, masks, m_stride, column, W, rows, stride):
    masks, out = pointer(masks), pointer(rows)
    for t in range(starts.size - 1):
        for n in range(first, min(last, starts[t + 1] - starts[t])):
            row, mask = (starts[t] + n) * stride, n * m_stride + column
            for j in range(W):
                out[row + j] *= masks[mask + j]


def scale(starts, first, last, masks, column, rows):
    _scale(starts, first, last, masks, masks.shape[1], column, rows.shape[1], rows, rows.strides[0] // rows.itemsize)
