"""Data that can be trained on, but are hardly what was meant."""

import numpy as np

MANY = 50  # distinct whole numbers, from which on a channel may be one of ids
COVERED = 0.5  # of the numbers from 0 to the largest: ids are given out one after the other, amounts leave gaps
UNRELATED = 1.5  # ratio of von Neumann (1941): 2 for numbers in any order, near 0 for those that follow each other


def doubts(series, columns):
    """Sentences on what the series of a first fit may be by mistake; `columns` of 2-D data, None for other forms."""
    found = []
    if columns == 1 and len(series) > 1:
        found.append(
            f"X has shape ({len(series)}, 1): {len(series)} series of one step each, of which nothing is to be "
            "remembered. If X is one long series, cut it into windows: "
            "numpy.lib.stride_tricks.sliding_window_view(numpy.ravel(X), 20)."
        )
    elif series.channels == 1 and _are_ids(series):
        largest = int(series.table(copy=False).max())
        found.append(
            f"X has one channel of whole numbers from 0 to {largest} in no order of size. If they are ids (of words, "
            "items, users), their size means nothing: encode them one-hot, a channel for each."
        )
    return found


def _are_ids(series):
    values = series.table(copy=False)[:, 0]
    if not (values >= 0).all() or (values != np.floor(values)).any():  # NaN is none, too
        return False
    distinct = len(np.unique(values))
    if distinct < MANY or distinct < COVERED * (values.max() + 1):
        return False
    differences = np.delete(np.diff(values), series.step_at[1:] - 1)  # within series
    return len(differences) > 0 and np.mean(differences**2) > UNRELATED * values.var()
