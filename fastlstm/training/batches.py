"""Minibatches: which series are trained together, and how batches are split into chunks of steps."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from fastlstm.kernels.parts import starts_of

POOL_BATCHES = 4  # maximum number of batches in a pool within which series are sorted by length


def ends_of(n, size):
    """Where batches of `size` of n series end; the last one may be smaller."""
    return [*range(size, n, size), n]


def split(order, ends):
    """Split an order of series into batches."""
    return [order[first:last] for first, last in pairwise([0, *ends])]


def draw(series, ends, key):
    """Indices of the series in each batch of an epoch; see `ends_of`.

    key: integers that seed the order, of which it is a function; in the order of the series if None.
    """
    order = np.arange(len(series))
    if key is None:
        return split(order, ends)
    rng = np.random.default_rng(key)
    rng.shuffle(order)
    in_pool = min(POOL_BATCHES, len(ends) // 2)
    if series.equal or in_pool < 2:
        return split(order, ends)
    # Design: batches of series of similar length keep the register tiles full up to the last steps. Since nothing is
    # computed for padding, this saves up to a tenth of an epoch where a few series are much longer than the rest, and
    # nothing where lengths are evenly spread. Sorting within pools of a few batches, not over the whole data set, keeps
    # the composition of the batches random from epoch to epoch.
    batches = []
    starts = [0, *ends[:-1]]
    for number in range(0, len(ends), in_pool):
        first, of_pool = starts[number], ends[number : number + in_pool]
        drawn = order[first : of_pool[-1]]
        drawn = drawn[np.argsort(-series.lengths[drawn], kind="stable")]
        batches += split(drawn, [end - first for end in of_pool])
    rng.shuffle(batches)
    return batches


class Chunk(NamedTuple):
    """Consecutive steps of a batch, packed."""

    rows: np.ndarray  # indices of the series that have steps in the chunk
    starts: np.ndarray  # first packed row of each step
    at: np.ndarray  # offset of each series' first step in the flat array of all values
    places: np.ndarray  # index of each step's or series' target; empty if the chunk only carries states forward


def n_chunks(series, rows, steps):
    """Number of chunks of at most `steps` steps in a batch; 1 if `steps` is None."""
    return 1 if steps is None else -(-int(series.lengths[rows].max()) // steps)


def longest_first(series, rows):
    """`rows` sorted by decreasing length."""
    return rows[np.argsort(-series.lengths[rows], kind="stable")]


def chunk(series, rows, number, steps, per_step):
    """Chunk `number` of the batch `rows`, which is sorted by `longest_first` unless `steps` is None.

    With targets `per_step`, chunks are consecutive steps counted from the first. With one target per series, the last
    chunk holds the last `steps` steps of every series; the chunks before it, which only carry states forward, cover the
    steps before those.
    """
    if steps is None:
        rows, starts = series.pack(rows)
        return Chunk(rows, starts, series.at[rows], series.step_rows(rows, starts) if per_step else rows)
    # No array here is as long as the series: with as many chunks as steps, that would take quadratic time.
    lengths, first, C = series.lengths[rows], number * steps, series.channels
    before = lengths if per_step else np.maximum(lengths - steps, 0)  # steps that are split from the first on
    if not per_step and number + 1 == n_chunks(series, rows, steps):
        return Chunk(rows, starts_of(lengths - before), series.at[rows] + before * C, rows)
    active = before > first
    rows, starts = rows[active], starts_of(np.minimum(before[active] - first, steps))
    places = series.step_rows(rows, starts) + first if per_step else rows[:0]
    return Chunk(rows, starts, series.at[rows] + first * C, places)
