"""Dropout masks, and their application to packed rows; see the contract."""

from fastlstm.kernels.numpy.dropout import threshold


def draw(entries, seed, epoch, stream, rate, sequences, first, last, masks):
    key = seed, epoch, stream
    entries(masks.dtype).draw(key, threshold(rate), 1 / (1 - rate), sequences, first, last, masks)


def scale(entries, starts, first, last, masks, column, rows):
    entries(rows.dtype).scale(starts, first, last, masks, column, rows)
