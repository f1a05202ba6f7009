"""Warnings about data that are valid, but probably not what the user intended."""

import numpy as np

MIN_IDS = 50  # minimum number of distinct integers to be taken for ids
COVERED = 0.5  # minimum fraction of the range from 0 to the maximum that ids cover; amounts leave gaps
MAX_STEPS = 1 << 20  # number of steps looked at
UNORDERED = 1.5  # minimum von Neumann ratio (1941) of ids: 2 for values in random order, near 0 for smooth series


def data_warnings(series, columns):
    """Warnings about the series of a first fit; `columns` is the number of columns of a 2-D X, else None."""
    messages = []
    if columns == 1 and len(series) > 1:
        messages.append(
            f"X of shape ({len(series)}, 1) is interpreted as {len(series)} series of one step each, in which there is "
            "no sequence to learn from. If X is one long series, split it into windows: "
            "numpy.lib.stride_tricks.sliding_window_view(numpy.ravel(X), 20)."
        )
    elif series.channels == 1 and _are_ids(series, values := series.step_table()[:MAX_STEPS][:, 0]):
        largest = int(values.max())
        messages.append(
            f"X has a single channel of integers from 0 to {largest} in random order. If they are ids (of words, items "
            "or users), their magnitude has no meaning: one-hot encode them, with one channel per id."
        )
    return messages


def _are_ids(series, values):
    """Whether the values of the first steps are ids."""
    if not (values >= 0).all() or (values != np.floor(values)).any():  # also False for NaN
        return False
    distinct = len(np.unique(values))
    if distinct < MIN_IDS or distinct < COVERED * (values.max() + 1):
        return False
    last = series.step_at[1:] - 1
    differences = np.delete(np.diff(values), last[last < len(values) - 1])  # within series only
    return len(differences) > 0 and np.mean(differences**2) > UNORDERED * values.var()
