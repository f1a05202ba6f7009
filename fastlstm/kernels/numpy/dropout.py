"""Dropout masks from a counter-based random number generator, and their application to packed rows; see the contract.

A random number depends only on the seed and its own counter, so it does not depend on the number of threads or the
composition of a batch.
"""

import numpy as np

from fastlstm.kernels.numpy.packing import places

MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
WEYL = 0x9E3779B9, 0xBB67AE85  # increments of the key after each round
ROUNDS = 10
WORD = 0xFFFFFFFF


def philox(key, counter):
    """Philox4x32-10: four random 32-bit words per counter of four words; the key has two.

    Salmon, Moraes, Dror & Shaw (2011), section 3.3.
    """
    low, high = MULTIPLIERS
    key = list(key)
    a, b, c, d = (np.asarray(word, np.uint64) for word in counter)
    for _ in range(ROUNDS):
        of_a, of_c = a * np.uint64(low), c * np.uint64(high)
        a, b = (of_c >> np.uint64(32)) ^ b ^ np.uint64(key[0]), of_c & np.uint64(WORD)
        c, d = (of_a >> np.uint64(32)) ^ d ^ np.uint64(key[1]), of_a & np.uint64(WORD)
        key = [(word + step) & WORD for word, step in zip(key, WEYL, strict=True)]
    return a, b, c, d


def threshold(rate):
    """Elements whose random word is smaller than this are dropped."""
    return round(rate * 2**32)


def draw(seed, epoch, stream, rate, sequences, first, last, masks):
    W = masks.shape[1]
    rows = np.asarray(sequences[first:last])[:, None]
    counter = np.broadcast_arrays(np.arange(-(-W // 4)), rows & WORD, epoch & WORD, stream & WORD)
    words = np.stack(philox((seed & WORD, seed >> 32 & WORD), counter), axis=-1)
    masks[first:last] = (words.reshape(len(rows), -1)[:, :W] >= threshold(rate)) / (1 - rate)


def scale(starts, first, last, masks, column, rows):
    columns = slice(column, column + rows.shape[1])
    for now, _ in places(starts):
        end = min(now.stop - now.start, last)
        if first < end:
            rows[now.start + first : now.start + end] *= masks[first:end, columns]
