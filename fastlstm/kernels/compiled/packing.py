"""Rows of packed batches from and to arrays of one block per sequence; see the contract."""

from fastlstm.kernels.compiled.layout import flat
from fastlstm.kernels.parts import lengths_of


def gather(entries, starts, order, reverse, first, last, array, column, rows):
    _, T, F = array.shape
    kernels = entries(rows.dtype)
    lengths = lengths_of(starts) if reverse else kernels.unread(starts)
    kernels.gather(starts, lengths, order, reverse, first, last, T, F, column, flat(array), rows)


def scatter(entries, starts, order, reverse, states, add, rows, out, column):
    entries(rows.dtype).scatter(starts, lengths_of(starts), order, reverse, states, add, rows, out, column)
