"""Training data as a source of minibatches."""

from contextlib import closing, contextmanager
from typing import NamedTuple

import numpy as np

from fastlstm.training import batches


class Batch(NamedTuple):
    """Packed sequences, or chunks of them, with their targets and weights.

    Targets and weights have one row per packed step if the network's head is applied to every step, else one row per
    sequence.
    """

    rows: np.ndarray  # indices of the sequences
    starts: np.ndarray  # first packed row of each step
    x: np.ndarray  # flat; the inputs of sequence n begin at x[at[n]], the longest sequence first
    at: np.ndarray
    targets: np.ndarray | None = None
    sample_weight: np.ndarray | None = None  # divided by `expected_weight`; None if a chunk only carries states forward
    total_weight: float = 0.0  # sum of the sample weights
    expected_weight: float = 1.0  # its average over batches of the same size, by which losses are divided
    decoder: object = None  # of sequences that become other sequences: the side of these


class Examples:
    """Series with their targets and weights.

    Whatever has the methods and attributes of this class can be trained on.

    Parameters
    ----------
    series : Series
    targets, weights : arrays [M, .] and [M, 1 or K]
        One row per series or, if `per_step`, one row per step of all series. A row of weights holds one weight for all
        outputs, or one for each.
    per_step : bool

    Attributes
    ----------
    channels : int
        Number of channels of the series.
    longest, n_steps : int
        Number of steps of the longest series, and of all series.
    total_weight, n_weighted : float, int
        Sum of the weights, averaged over outputs, and number of rows that have one.
    mean_weight : float
        Their ratio, by which losses are divided. Of one of several partitions, it is set to that of all of them.
    """

    def __init__(self, series, targets, weights, per_step=False):
        self.series, self.targets, self.weights, self.per_step = series, targets, weights, per_step
        self._chunks = None
        self.channels, self.n_steps, self.longest = series.channels, series.steps, int(series.lengths.max())
        self._has_weight = weights.any(axis=1)
        self._all_weighted = bool(self._has_weight.all())
        # series with a target of positive weight
        self._trainable = np.logical_or.reduceat(self._has_weight, series.step_at) if per_step else self._has_weight
        # Design: the loss of a minibatch is divided by the average weight of as many rows, not by its own weight. With
        # the latter, a heavy row would count little more than a light one, since its own weight dominates the divisor.
        self.total_weight = float(np.add.reduce(weights, axis=None)) / weights.shape[1]
        self.n_weighted = int(np.sum(self._has_weight))
        self.mean_weight = self.total_weight / max(1, self.n_weighted)

    def __len__(self):
        return len(self.series)

    def batches(self, ends, key, steps=None):
        """(number, rows) of each batch of an epoch that has a target.

        ends, key: see `batches.draw`.
        steps: number of steps of a chunk, or None.
        """
        drawn = batches.draw(self.series, ends, key)
        if steps is not None:
            drawn = [batches.longest_first(self.series, rows) for rows in drawn]
        return [(number, rows) for number, rows in enumerate(drawn) if self._trainable[rows].any()]

    def steps_of(self, rows, steps=None):
        """Total number of steps of the series `rows`, in each at most `steps`."""
        lengths = self.series.lengths[rows]
        return int((lengths if steps is None else np.minimum(lengths, steps)).sum())

    def n_chunks(self, rows, steps):
        """Number of chunks of at most `steps` steps in a batch; 1 if `steps` is None."""
        return batches.n_chunks(self.series, rows, steps)

    @contextmanager
    def reading(self, drawn, steps=None):
        """Context in which `batch` is called for all chunks of these batches in order; stored series are read ahead."""
        chunks = ((rows, chunk, steps) for _, rows in drawn for chunk in range(self.n_chunks(rows, steps)))
        with closing(self.series.each(self._chunk, chunks)) as self._chunks:
            try:
                yield
            finally:
                self._chunks = None

    def batch(self, rows, number, steps, dtype):
        """Chunk `number` of a batch, with sample weights of type `dtype`."""
        batch, places = self._chunk(rows, number, steps) if self._chunks is None else next(self._chunks)
        return self._weighted(batch, places, dtype)

    def _chunk(self, rows, number, steps):
        """Chunk `number` of a batch without targets, and the places of these."""
        rows, starts, at, places = batches.chunk(self.series, rows, number, steps, self.per_step)
        return Batch(rows, starts, *self.series.inputs(rows, at, starts)), places

    def _weighted(self, batch, places, dtype):
        """A batch with the targets and weights at these places."""
        weights, targets = self.weights[places], self.targets[places]
        total = float(np.add.reduce(weights, axis=None)) / weights.shape[1]
        if not total:
            return batch._replace(targets=targets)
        n_weighted = len(places) if self._all_weighted else np.count_nonzero(self._has_weight[places])
        expected = self.mean_weight * n_weighted
        weights = (weights / expected).astype(dtype)
        return batch._replace(targets=targets, sample_weight=weights, total_weight=total, expected_weight=expected)
