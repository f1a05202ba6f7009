"""Sequences of one array as the packed batches that kernels take, and back."""

import numpy as np

from fastlstm.kernels.parts import longest_first


class Batch:
    """Sequences of one array, packed: the longest first, step by step, no row for what lies behind an end."""

    def __init__(self, x, state, lengths, kernels):
        self.shape = N, T, C = x.shape
        self.x, self.at = np.ascontiguousarray(x).reshape(-1), np.arange(N) * (T * C)
        self._equal, self._kernels = lengths is None, kernels.packing
        if self._equal:
            self.order, self.starts = np.arange(N), np.arange(T + 1) * N
        else:
            self.order, self.starts = longest_first(lengths)
            self.at = self.at[self.order]
        self.state = None if state is None else tuple(np.array(part[self.order], order="C") for part in state)

    def unpack(self, rows, states):
        """Packed rows [M, W], or with `states` the states after them, as (N, T, W); zeros behind an end."""
        N, T, _ = self.shape
        width = rows.shape[1]
        if self._equal:
            return rows[N if states else 0 :].reshape(T, N, width).transpose(1, 0, 2)
        out = np.empty((N, T, width), rows.dtype)
        self._kernels.scatter(self.starts, self.order, states, rows, out)
        return out

    def pack(self, part, array, rows):
        """A part's steps of array (N, T, W) into the packed rows [M, W]."""
        self._kernels.gather(self.starts, self.order, *part.share(len(self.starts) - 1), array, rows)

    def unpack_states(self, *states):
        """States [N, H] as the (1, N, H) of callers, copied."""
        out = tuple(np.empty((1, *state.shape), state.dtype) for state in states)
        for whole, state in zip(out, states, strict=True):
            whole[0, slice(None) if self._equal else self.order] = state
        return out
