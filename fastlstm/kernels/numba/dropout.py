"""Dropout masks, and their application to packed rows; for the generator, see the NumPy backend."""

import numpy as np

from fastlstm.kernels.numba.jit import entry, kernel
from fastlstm.kernels.numba.tiles import pointer
from fastlstm.kernels.numpy.dropout import MULTIPLIERS, ROUNDS, WEYL, WORD

LOW, HIGH = map(np.uint64, MULTIPLIERS)
STEP_0, STEP_1 = map(np.uint64, WEYL)
MASK, HALF = np.uint64(WORD), np.uint64(32)


@kernel
def philox(key_0, key_1, a, b, c, d):
    for _ in range(ROUNDS):
        of_a, of_c = a * LOW, c * HIGH
        a, b = (of_c >> HALF) ^ b ^ key_0, of_c & MASK
        c, d = (of_a >> HALF) ^ d ^ key_1, of_a & MASK
        key_0, key_1 = (key_0 + STEP_0) & MASK, (key_1 + STEP_1) & MASK
    return a, b, c, d


@entry
def draw(key, threshold, keep, sequences, rows, masks):
    """Draw the masks of some rows, (first, last). key is (seed, epoch, stream); retained units are set to `keep`."""
    (seed, epoch, stream), (first, last), W = key, rows, masks.shape[1]
    key_0, key_1, epoch, stream = np.uint64(seed) & MASK, np.uint64(seed) >> HALF, np.uint64(epoch), np.uint64(stream)
    threshold = np.uint64(threshold)
    for n in range(first, last):
        row, sequence = masks[n], np.uint64(sequences[n]) & MASK
        for block in range(W // 4):  # the compiler vectorises over blocks
            a, b, c, d = philox(key_0, key_1, np.uint64(block), sequence, epoch, stream)
            row[4 * block] = keep if a >= threshold else 0.0
            row[4 * block + 1] = keep if b >= threshold else 0.0
            row[4 * block + 2] = keep if c >= threshold else 0.0
            row[4 * block + 3] = keep if d >= threshold else 0.0
        if W % 4:
            words = philox(key_0, key_1, np.uint64(W // 4), sequence, epoch, stream)
            for j in range(W % 4):
                row[W - W % 4 + j] = keep if words[j] >= threshold else 0.0


@entry
def scale(starts, sequences, masks, column, rows):
    """Multiply the rows of some sequences, (first, last), by their masks."""
    (first, last), W = sequences, rows.shape[1]
    stride, m_stride = rows.strides[0] // rows.itemsize, masks.strides[0] // masks.itemsize
    masks, out = pointer(masks), pointer(rows)
    for t in range(starts.size - 1):
        for n in range(first, min(last, starts[t + 1] - starts[t])):
            row, mask = (starts[t] + n) * stride, n * m_stride + column
            for j in range(W):
                out[row + j] *= masks[mask + j]
