"""Sequences of one array as the packed batches that kernels take, and back."""

from functools import lru_cache

import numpy as np

from fastlstm.kernels.parts import longest_first


class Layout:
    """Where the sequences of an array (N, T, C) stand in a packed batch: the longest first, step by step.

    The n-th packed sequence is the order[n]-th of the array and starts at[n] numbers into it; `places` is that order as
    an index, or None where all lengths are T and nothing changes its place. Steps after a sequence's last have no row.
    """

    def __init__(self, shape, lengths=None):
        self.shape = N, T, C = shape
        if lengths is None:
            self.order, self.starts, self.places = np.arange(N), np.arange(T + 1) * N, None
        else:
            self.order, self.starts = longest_first(lengths)
            self.places = self.order
        self.at = self.order * (T * C)

    @property
    def is_equal(self):
        """Whether all lengths are T."""
        return self.places is None

    def pick(self, state):
        """A run's state, arrays [N, H] in the array's order, as copies in the packed order."""
        return tuple(np.array(part, order="C") if self.is_equal else part[self.places] for part in state)

    def gathered(self, stack, workspace, dtype):
        """Room [M, F] for the outputs of both directions, where a team gathers them side by side; else None."""
        if not (self.is_equal and stack.bidirectional):
            return None
        return workspace.empty("outputs", (int(self.starts[-1]), stack.width), dtype)

    def outputs(self, run, gathered, package, workspace):
        """The outputs of a stack's run as (N, T, F), zeros after a sequence's last step.

        They are views of what was `gathered` or of the run's states, where that is possible.
        """
        if gathered is not None:
            return self._as_sequences(gathered)
        return self._unpack([of_layer.h for of_layer in run.layers[-1]], True, package, workspace)

    def input_gradient(self, run, package, workspace):
        """The gradient of a stack's inputs as (N, T, C), zeros after a sequence's last step; likewise."""
        return self._unpack([of_layer.d_x for of_layer in run.layers[0]], False, package, workspace)

    def _unpack(self, rows, states, package, workspace):
        N, T, _ = self.shape
        if self.is_equal and len(rows) == 1:
            return self._as_sequences(rows[0][N if states else 0 :])
        widths = [some.shape[1] for some in rows]
        name, width = ("outputs", sum(widths)) if states else ("d_inputs", widths[0])
        out = workspace.empty(name, (N, T, width), rows[0].dtype)
        for direction, some in enumerate(rows):  # outputs stand side by side, gradients of one input add up
            add, column = (False, widths[0] * direction) if states else (direction > 0, 0)
            package.packing.scatter(self.starts, self.order, direction == 1, states, add, some, out, column)
        return out

    def _as_sequences(self, rows):
        N, T, _ = self.shape
        return rows.reshape(T, N, -1).transpose(1, 0, 2)

    def pack(self, part, array, package, runs):
        """A part's steps of array (N, T, F), the gradient of the outputs, into the runs' packed rows."""
        column = 0
        for direction, run in enumerate(runs):
            steps = part.share(len(self.starts) - 1)
            package.packing.gather(self.starts, self.order, direction == 1, *steps, array, column, run.d_h)
            column += run.d_h.shape[1]


@lru_cache(maxsize=64)
def _of_equal_lengths(shape):
    return Layout(shape)


def layout_of(shape, lengths=None):
    """The `Layout` of sequences of these lengths; None if all are T."""
    return _of_equal_lengths(shape) if lengths is None else Layout(shape, lengths)
