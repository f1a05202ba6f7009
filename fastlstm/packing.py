"""Sequences of one array as the packed batches that kernels take, and back."""

from functools import lru_cache

import numpy as np

from fastlstm.kernels.parts import longest_first
from fastlstm.phases import Alone, ByRows


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
        """A run's state, arrays [N, H] in the array's order, as copies in the packed order."""
        return tuple(np.array(part, order="C") if self.is_equal else part[self.places] for part in state)

    def outputs(self, run, package, workspace):
        """Where the outputs of a stack's run are as (N, T, F), and the phases after which they are there.

        Zeros stand after a sequence's last step. The array is a view of the run's states where these serve as they are.
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
        """The gradient of a stack's inputs as (N, T, C), zeros after a sequence's last step."""
        rows = [of_layer.d_x for of_layer in run.layers[0]]
        if self.is_equal and len(rows) == 1:
            return self._as_sequences(rows[0])
        out = workspace.empty("d_inputs", self.shape, rows[0].dtype)
        self._scatter(rows, False, out, package)
        return out

    def _scatter(self, rows, states, out, package):
        column = 0
        for direction, some in enumerate(rows):  # outputs stand side by side, gradients of one input add up
            add = not states and direction > 0
            package.packing.scatter(self.starts, self.order, direction == 1, states, add, some, out, column)
            column += some.shape[1] if states else 0

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


@lru_cache(maxsize=16)
def _of_equal_lengths(shape):
    return Layout(shape)


def layout_of(shape, lengths=None):
    """The `Layout` of sequences of these lengths; None if all are T."""
    return _of_equal_lengths(shape) if lengths is None else Layout(shape, lengths)
