"""Sequences of one array to the packed batches that kernels take, and back."""

import numpy as np

from fastlstm.kernels.parts import starts_of


class Batch:
    """Sequences of one array, packed: the longest first, step by step, no row for what lies behind an end."""

    def __init__(self, x, state, lengths):
        self.shape = N, T, C = x.shape
        self.x, self.at = np.ascontiguousarray(x).reshape(-1), np.arange(N) * (T * C)
        self.equal = lengths is None
        if self.equal:
            self.order, self.starts = slice(None), np.arange(T + 1) * N
        else:
            self.order = np.argsort(-lengths, kind="stable")
            self.starts, self.at = starts_of(lengths[self.order]), self.at[self.order]
            M, active = self.starts[-1], np.diff(self.starts)
            self._steps = np.repeat(np.arange(len(active)), active)  # of every packed row,
            places = np.arange(M) - np.repeat(self.starts[:-1], active)  # its place in its step,
            self._sequences = self.order[places]  # its sequence,
            goes_on = places < np.append(active[1:], 0)[self._steps]
            self._after = np.where(goes_on, np.arange(M) + active[self._steps], M + places)  # and the state after it
        self.state = None if state is None else tuple(np.array(part[self.order], order="C") for part in state)

    def unpacked(self, rows, width):
        """Packed rows, or states of them with slot 0 the initial ones, as (N, T, width); zeros behind an end."""
        N, T, _ = self.shape
        if self.equal:
            return rows[len(rows) - N * T :].reshape(T, N, width).transpose(1, 0, 2)
        out = np.zeros((N, T, width), rows.dtype)
        states = len(rows) > len(self._steps)
        out[self._sequences, self._steps] = rows[self._after] if states else rows
        return out

    def pack(self, array, out):
        """The rows of array (N, T, ...) into the packed `out`."""
        if self.equal:
            N, T, _ = self.shape
            out.reshape(T, N, -1)[:] = array.transpose(1, 0, 2)
        else:
            out[:] = array[self._sequences, self._steps]

    def states(self, *packed):
        """(N, H) arrays of a run as the (1, N, H) of callers, copied out of its buffers."""
        out = tuple(np.empty((1, *part.shape), part.dtype) for part in packed)
        for whole, part in zip(out, packed, strict=True):
            whole[0, self.order] = part
        return out
