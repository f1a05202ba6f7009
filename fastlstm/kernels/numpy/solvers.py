"""Sums of squares for gradient clipping; see the contract. The solvers in NumPy are those of ``training/solvers``."""

import numpy as np

BLOCK = 4096


def square_sums(first, last, g, sums):
    for block in range(first, last):
        sums[block] = np.sum(np.square(g[block * BLOCK : (block + 1) * BLOCK], dtype=np.float64))
