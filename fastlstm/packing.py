"""Conversion between padded arrays and the packed batches of the kernels."""

from functools import lru_cache

import numpy as np

from fastlstm.kernels.parts import longest_first
from fastlstm.phases import Alone, ByRows


class Layout:
    """Positions of the sequences of an array (N, T, C) in a packed batch: longest first, step by step, without padding.

    Packed sequence n is sequence order[n] of the array and starts at offset at[n]; `places` is the equivalent index, or
    None if all lengths are T and the order is unchanged.
    """

    def __init__(self, shape, lengths=None):
        self.shape = N, T, C = shape
        if lengths is None:
            self.order, self.starts, self.places = np.arange(N), np.arange(T + 1) * N, None
        else:
            self.order, self.starts = longest_first(lengths)
            self.places = self.order
        self.at, self.steps = self.order * (T * C), int(self.starts[-1])

    @property
    def is_equal(self):
        """Whether all lengths are T."""
        return self.places is None

    def __eq__(self, other):
        return self is other or (
            self.shape == other.shape
            and np.array_equal(self.starts, other.starts)
            and np.array_equal(self.order, other.order)
        )

    def pick(self, state):
        """Copy a run's state, arrays [N, H] in the order of the array, to the packed order."""
        return tuple(np.array(part, order="C") if self.is_equal else part[self.places] for part in state)

    def outputs(self, run, package, workspace):
        """Return the array (N, T, F) for the outputs of a stack's run, and the phases that fill it; padding is zero.

        The array is a view of the states of the run if these can be used directly.
        """
        runs, (N, T, _) = run.layers[-1], self.shape
        dtype, width = runs[0].h.dtype, sum(of_layer.H for of_layer in runs)
        if not self.is_equal:
            out = workspace.empty("outputs", (N, T, width), dtype)
            return out, [Alone(self._scatter, [of_layer.h for of_layer in runs], True, out, package)]
        if len(runs) == 1:
            return self._as_sequences(runs[0].h[N:]), []
        rows = workspace.empty("outputs", (N * T, width), dtype)
        return self._as_sequences(rows), [ByRows(run.outputs, rows)]

    def input_gradient(self, run, package, workspace):
        """Input gradient of a stack's run as an array (N, T, C); padding is zero."""
        rows = [of_layer.d_x for of_layer in run.layers[0]]
        if self.is_equal and len(rows) == 1:
            return self._as_sequences(rows[0])
        out = workspace.empty("d_inputs", self.shape, rows[0].dtype)
        self._scatter(rows, False, out, package)
        return out

    def _scatter(self, rows, states, out, package):
        column = 0
        for direction, some in enumerate(rows):  # concatenate outputs, add up input gradients
            add = not states and direction > 0
            package.packing.scatter(self.starts, self.order, direction == 1, states, add, some, out, column)
            column += some.shape[1] if states else 0

    def _as_sequences(self, rows):
        N, T, _ = self.shape
        return rows.reshape(T, N, -1).transpose(1, 0, 2)

    def pack(self, part, array, package, runs):
        """Pack a part's steps of the output gradient, an array (N, T, F), into the rows of the runs."""
        column = 0
        for direction, run in enumerate(runs):
            steps = part.share(len(self.starts) - 1)
            package.packing.gather(self.starts, self.order, direction == 1, *steps, array, column, run.d_h)
            column += run.d_h.shape[1]


@lru_cache(maxsize=16)
def _of_equal_lengths(shape):
    return Layout(shape)


def layout_of(shape, lengths=None):
    """Return the `Layout` for these lengths, or for T steps each if None."""
    return _of_equal_lengths(shape) if lengths is None else Layout(shape, lengths)
