"""Channels of codes, which stand for symbols: each is replaced by a vector that is learned, or one-hot encoded."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Embedding:
    """Channels of codes, whole numbers from 0, each replaced by `width` channels behind all others.

    Attributes
    ----------
    channels : int
        Number of channels, C, with the codes.
    columns, sizes : tuple of int
        Channels of codes, and the number of codes of each.
    width : int or None
        E, the number of channels that replace a code; if None, one-hot encoding: one channel for each code.
    """

    channels: int
    columns: tuple
    sizes: tuple
    width: int | None

    @property
    def names(self):
        """Names of the tables of vectors."""
        return [f"embedding.{k}.weight" for k in range(len(self.sizes))]

    @property
    def shapes(self):
        """Shapes of the weights by name."""
        return (
            {}
            if self.width is None
            else {name: (n, self.width) for name, n in zip(self.names, self.sizes, strict=True)}
        )

    @property
    def n_numbers(self):
        """Number of channels that are not codes."""
        return self.channels - len(self.columns)

    @property
    def blocks(self):
        """The channels that replace each channel of codes, as slices."""
        ends = self.n_numbers + np.cumsum([0, *(self.width or size for size in self.sizes)])
        return [slice(int(first), int(last)) for first, last in pairwise(ends)]

    @property
    def n_outputs(self):
        """Number of channels after codes are replaced."""
        return self.blocks[-1].stop

    def initial_weights(self, random_state):
        """Small random vectors, float64: all symbols start nearly alike."""
        return {name: 0.1 * random_state.normal(size=shape) for name, shape in self.shapes.items()}

    def split(self, x):
        """Numbers [..., C'] and codes [..., S] of x [..., C]."""
        numbers = [c for c in range(self.channels) if c not in self.columns]
        return np.ascontiguousarray(x[..., numbers]), x[..., list(self.columns)].astype(np.int64)
