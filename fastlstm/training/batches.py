"""Which series are trained together, and in which pieces."""

from typing import NamedTuple

import numpy as np

from fastlstm.kernels.parts import starts_of

LARGEST_POOL = 4  # batches that series of unequal lengths are sorted into at a time


def draw(series, size, seed, epoch):
    """The series of every batch of an epoch, in an order that depends on seed and epoch alone; None: as they stand."""
    n = len(series)
    order = np.arange(n)
    if seed is None:
        return [order[first : first + size] for first in range(0, n, size)]
    rng = np.random.default_rng([seed, epoch])
    rng.shuffle(order)
    pool = size * min(LARGEST_POOL, -(-n // size) // 2)
    if series.equal or pool <= size:
        return [order[first : first + size] for first in range(0, n, size)]
    # Design: series of like lengths in a batch fill the tiles of their last steps, too; with no padding anyway, that
    # gains up to a tenth of an epoch where few series are much longer, nothing where lengths spread evenly. They are
    # drawn from pools of a few batches, not from all series: so who is with whom still changes from epoch to epoch.
    batches = []
    for first in range(0, n, pool):
        drawn = order[first : first + pool]
        drawn = drawn[np.argsort(-series.lengths[drawn], kind="stable")]
        batches += [drawn[begin : begin + size] for begin in range(0, len(drawn), size)]
    rng.shuffle(batches)
    return batches


class Piece(NamedTuple):
    """A part of a batch's steps, packed."""

    rows: np.ndarray  # the series that have steps in it
    starts: np.ndarray  # where each step's rows start
    at: np.ndarray  # where each series' steps begin in the flat array of all
    places: np.ndarray  # of every step, or every series, the place of its target; none, if only states are wanted


def n_pieces(series, rows, steps):
    """How many pieces of at most so many steps a batch has; `steps` None: one, of all."""
    return 1 if steps is None else -(-int(series.lengths[rows].max()) // steps)


def longest_first(series, rows):
    """`rows` with the longest series first."""
    return rows[np.argsort(-series.lengths[rows], kind="stable")]


def piece(series, rows, number, steps, per_step):
    """One of a batch's pieces: with targets `per_step` the number-th chunk of steps.

    With targets of whole series, the last piece is the last steps of each; the pieces before it, for states alone, are
    chunks of what comes before these. Where `steps` is given, `rows` are in the order of `longest_first`.
    """
    if steps is None:
        rows, starts = series.pack(rows)
        return Piece(rows, starts, series.at[rows], series.step_rows(rows, starts) if per_step else rows)
    # Nothing here is as long as the series: there are as many pieces as these have steps.
    lengths, first, C = series.lengths[rows], number * steps, series.channels
    before = lengths if per_step else np.maximum(lengths - steps, 0)  # steps of the pieces that are chunks
    if not per_step and number + 1 == n_pieces(series, rows, steps):
        return Piece(rows, starts_of(lengths - before), series.at[rows] + before * C, rows)
    here = before > first
    rows, starts = rows[here], starts_of(np.minimum(before[here] - first, steps))
    places = series.step_rows(rows, starts) + first if per_step else rows[:0]
    return Piece(rows, starts, series.at[rows] + first * C, places)
