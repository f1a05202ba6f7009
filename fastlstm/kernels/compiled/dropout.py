"""What dropout leaves, and its use on packed rows; see the contract."""

from fastlstm.kernels.numpy.dropout import threshold


def draw(entries, seed, epoch, stream, rate, sequences, first, last, masks):
    entries(masks.dtype).draw(seed, epoch, stream, threshold(rate), 1 / (1 - rate), sequences, first, last, masks)


def scale(entries, starts, first, last, masks, column, rows):
    entries(rows.dtype).scale(
        starts, first, last, masks, masks.shape[1], column, rows.shape[1], rows, rows.strides[0] // rows.itemsize
    )
