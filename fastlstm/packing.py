"""Conversion between padded arrays and the packed batches of the kernels."""

import numpy as np

from fastlstm.kernels.parts import longest_first


class Batch:
    """Sequences of one array, packed: longest first, step by step, without rows for padding."""

    def __init__(self, x, states, lengths, kernels, workspace):
        self.shape = N, T, C = x.shape
        self.x, self.at = np.ascontiguousarray(x).reshape(-1), np.arange(N) * (T * C)
        self._equal, self._kernels, self._empty = lengths is None, kernels.packing, workspace.empty
        # packed sequence n is sequence order[n] of the array; `places` is the equivalent index
        if self._equal:
            self.order, self.starts = np.arange(N), np.arange(T + 1) * N
            self.places = slice(None)
        else:
            self.order, self.starts = longest_first(lengths)
            self.at, self.places = self.at[self.order], self.order
        self.states = states and [tuple(np.array(part[self.places], order="C") for part in state) for state in states]

    def room(self, stack, dtype):
        """Buffer [M, F] for the outputs of a layer, or None if the states of its runs can be used directly."""
        if not (self._equal and stack.bidirectional):
            return None
        return self._empty("outputs", (int(self.starts[-1]), stack.width), dtype)

    def outputs(self, runs, room):
        """Outputs of a layer's runs as an array (N, T, F), from the buffer `room` unless None; padding is zero."""
        if room is not None:
            N, T, _ = self.shape
            return room.reshape(T, N, -1).transpose(1, 0, 2)
        return self._unpack([run.h for run in runs], states=True)

    def input_gradient(self, runs):
        """Input gradient of a layer's runs as an array (N, T, C); padding is zero."""
        return self._unpack([run.d_x for run in runs], states=False)

    def _unpack(self, rows, states):
        N, T, _ = self.shape
        widths = [some.shape[1] for some in rows]
        if self._equal and len(rows) == 1:
            return rows[0][N if states else 0 :].reshape(T, N, widths[0]).transpose(1, 0, 2)
        out = self._empty("unpacked", (N, T, sum(widths) if states else widths[0]), rows[0].dtype)
        for direction, some in enumerate(rows):  # concatenate outputs, add up input gradients
            add, column = (False, widths[0] * direction) if states else (direction > 0, 0)
            self._kernels.scatter(self.starts, self.order, direction == 1, states, add, some, out, column)
        return out

    def pack(self, part, array, runs):
        """Pack a part's steps of the output gradient, an array (N, T, F), into the rows of the runs."""
        column = 0
        for direction, run in enumerate(runs):
            steps = part.share(len(self.starts) - 1)
            self._kernels.gather(self.starts, self.order, direction == 1, *steps, array, column, run.d_h)
            column += run.d_h.shape[1]
