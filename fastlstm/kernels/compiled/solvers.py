"""Solvers, and sums of squares for gradient clipping; see the contract."""

from fastlstm.kernels.compiled.layout import SQUARES

BLOCK = SQUARES


def adam(entries, first, last, p, g, moments, c):
    entries(p.dtype).adam(first, last, p, g, moments, c)


def sgd(entries, first, last, p, g, moments, c):
    entries(p.dtype).sgd(first, last, p, g, moments, c)


def rmsprop(entries, first, last, p, g, moments, c):
    entries(p.dtype).rmsprop(first, last, p, g, moments, c)


def square_sums(entries, first, last, g, sums):
    entries(g.dtype).square_sums(first, last, g, sums)
