"""Channels of categories as vectors that are learned: each code is replaced by a row of a table of weights."""

from dataclasses import dataclass

import numpy as np

from fastlstm.kernels.numpy.packing import reversed_rows


@dataclass(frozen=True)
class Embedding:
    """Channels of codes, whole numbers from 0, each replaced by `width` channels behind all others.

    Attributes
    ----------
    channels : int
        Number of channels, C, with the codes.
    columns, sizes : tuple of int
        Channels of codes, and the number of codes of each.
    width : int
        E, the number of channels that replace a code.
    """

    channels: int
    columns: tuple
    sizes: tuple
    width: int

    @property
    def shapes(self):
        """Shapes of the weights by name."""
        return {f"embedding.{k}.weight": (size, self.width) for k, size in enumerate(self.sizes)}

    @property
    def n_outputs(self):
        """Number of channels after codes are replaced."""
        return self.channels + len(self.columns) * (self.width - 1)

    @property
    def _others(self):
        return [c for c in range(self.channels) if c not in self.columns]

    def initial_weights(self, random_state):
        """Small random vectors, float64: all categories start nearly alike."""
        return {name: 0.1 * random_state.normal(size=shape) for name, shape in self.shapes.items()}

    def expand(self, x, weights):
        """x [..., C] with codes replaced by rows of the weights, [..., C']."""
        parts = [x[..., self._others]]
        for column, name in zip(self.columns, self.shapes, strict=True):
            parts.append(weights[name][x[..., column].astype(np.int64)])
        return np.concatenate(parts, axis=-1, dtype=parts[-1].dtype)

    def add_gradient(self, x, d_outputs, d_weights):
        """Add the gradient by the rows d_outputs [M, C'] of inputs x [M, C] to `d_weights`, in the order of rows."""
        at = len(self._others)
        for column, name in zip(self.columns, self.shapes, strict=True):
            np.add.at(d_weights[name], x[:, column].astype(np.int64), d_outputs[:, at : at + self.width])
            at += self.width


def packed_rows(x, at, starts, first, C):
    """Rows [M, C] of a packed batch, from step `first` on; x is flat and sequence n begins at x[at[n]]."""
    t = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    n = np.arange(starts[-1]) - starts[t]
    return x.reshape(-1, C)[at[n] // C + first + t]


def input_gradient(run, starts):
    """Gradient [M, C] of the inputs of a `StackRun`, the sum of both directions."""
    forward, *backward = run.layers[0]
    d_x = forward.d_x
    for of_run in backward:
        d_x = d_x + of_run.d_x[reversed_rows(starts)]
    return d_x
