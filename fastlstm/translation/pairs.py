"""Pairs of source and target as a source of minibatches."""

from typing import NamedTuple

import numpy as np

from fastlstm import sequences
from fastlstm.kernels.parts import longest_first
from fastlstm.training import batches
from fastlstm.training.examples import Batch, Examples


class DecoderSide(NamedTuple):
    """What the decoder reads of a batch, packed by the lengths of the targets.

    Sequence p of the decoder is sequence order[p] of the encoder; otherwise as in `Batch`.
    """

    starts: np.ndarray
    x: np.ndarray
    at: np.ndarray
    order: np.ndarray


class Pairs(Examples):
    """Sources and targets, as codes.

    Parameters
    ----------
    sources : Series
        Codes of the sources.
    inputs : Series
        What the decoder reads: the code of the start, then those of the target.
    targets, weights : arrays [M, 1]
        For each step of all inputs, the code to predict and its weight: the target's codes, then that of the end.
    """

    def __init__(self, sources, inputs, targets, weights):
        super().__init__(inputs, targets, weights, per_step=True)
        self.sources, self.inputs, self.channels = sources, inputs, sources.channels
        self.n_steps, self.longest = sources.steps + inputs.steps, int(sources.lengths.max())
        # what batches are sorted by
        self._both = sequences.Series(None, sources.at, sources.lengths + inputs.lengths, sources.channels)

    def batches(self, ends, key, steps=None):
        drawn = batches.draw(self._both, ends, key)
        return [(number, rows) for number, rows in enumerate(drawn) if self._trainable[rows].any()]

    def steps_of(self, rows, steps=None):
        return int(self._both.lengths[rows].sum())

    def batch(self, rows, number, steps, dtype):
        """A batch with the encoder's side, whose targets are those of one sequence after another."""
        rows, starts = self.sources.pack(rows)
        order, of_decoder = longest_first(self.inputs.lengths[rows])
        side = DecoderSide(of_decoder, self.inputs.values, self.inputs.at[rows[order]], order)
        places = self.inputs.steps_of(rows)
        batch = self._weighted(
            Batch(rows, starts, self.sources.values, self.sources.at[rows], None, None), places, dtype
        )
        return batch._replace(decoder=side)

    def take(self, rows):
        """The pairs `rows`, in that order."""
        places = self.inputs.steps_of(rows)
        sources, inputs = (_dense(series.take(rows)) for series in (self.sources, self.inputs))
        return Pairs(sources, inputs, self.targets[places], self.weights[places])


def _dense(series):
    """Series without gaps between them."""
    return series.with_table(series.table())
