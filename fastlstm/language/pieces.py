"""Sequences of codes as what a language model is trained on: the inputs of each step, and the symbol that follows."""

from typing import NamedTuple

import numpy as np

MIN_PIECES = 32  # into which long sequences are cut, so that minibatches have several rows
MIN_CHUNKS = 4  # least length of a piece, in chunks of truncated backpropagation: states are carried over these


class Codes(NamedTuple):
    """Codes beyond those of a vocabulary of V symbols."""

    unknown: int
    end: int  # a target only: the unknown symbol never is one
    start: int  # an input only

    @classmethod
    def of(cls, vocabulary):
        V = len(vocabulary)
        return cls(V, V, V + 1)


def inputs_and_targets(sequence, codes):
    """Inputs and targets [T + 1] of a sequence [T]: each symbol is predicted from those before it, then the end."""
    return np.concatenate([[codes.start], sequence]), np.concatenate([sequence, [codes.end]])


def weights_of(sequence, codes):
    """Weights [T + 1] of the targets: 0 for unknown symbols, which have no probability."""
    return np.append((sequence != codes.unknown).astype(float), 1.0)


def cut(arrays, steps, total):
    """Arrays of unequal lengths, cut into pieces of equal length if they are few and long.

    steps, total: number of steps of a chunk, and of all arrays, of which these may be some.
    """
    length = max(MIN_CHUNKS * steps, -(-total // MIN_PIECES)) if steps else total
    return [array[first : first + length] for array in arrays for first in range(0, len(array), length)]
