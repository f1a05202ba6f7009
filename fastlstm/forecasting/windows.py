"""Windows of series as indices into one table, gathered batch by batch."""

import numpy as np

from fastlstm.forecasting.scaling import SCALINGS
from fastlstm.training.examples import Batch

BLOCK_VALUES = 1 << 14  # number of values gathered at a time where many windows are visited


class Table:
    """The steps of several series, one after another, in one table of channels.

    Parameters
    ----------
    lengths : list of int
        Number of steps of each series.

    Attributes
    ----------
    first : array [n + 1]
        First row of each series.
    y : array [steps]
        The series to forecast, standardised.
    covariates : array [steps, C - 1] or None
        Further channels, standardised.
    """

    def __init__(self, lengths):
        self.first = np.concatenate([[0], np.cumsum(lengths)])
        self.y, self.covariates = np.empty(self.first[-1], "float32"), None

    def series(self, n):
        """The rows of y that hold series n."""
        return self.y[self.first[n] : self.first[n + 1]]

    @property
    def channels(self):
        return 1 + (0 if self.covariates is None else self.covariates.shape[1])


def complete_runs(observed, end, window, horizon):
    """Runs (first, number) of consecutive windows of the rows [0, end) whose targets were all observed."""
    valid = np.zeros(max(0, end - window - horizon + 1) + 2, np.int8)  # with a margin on both sides
    if len(valid) > 2:
        missing = np.concatenate([[0], np.cumsum(~observed[:end])])
        valid[1:-1] = missing[window + horizon :] == missing[window:-horizon]
    edges = np.flatnonzero(np.diff(valid))
    return [(int(first), int(last - first)) for first, last in zip(edges[::2], edges[1::2], strict=True)]


class Windows:
    """Windows of `window` steps, each with the `horizon` values that follow as targets; trained on like `Examples`.

    Parameters
    ----------
    table : Table
    window, horizon : int
    runs : list of (int, int)
        First row and number of consecutive windows.
    scaling : str
        A name in `SCALINGS`.
    most : int or None
        Number of windows in an epoch: if there are more, each epoch takes a sample of them, spread evenly.

    Attributes
    ----------
    linear : Linear or None
        Linear forecasts, whose errors are the targets of training.
    """

    def __init__(self, table, window, horizon, runs, scaling, most=None):
        self.table, self.window, self.horizon, self.scaling, self.linear = table, window, horizon, scaling, None
        self._starts = np.array([start for start, _ in runs], dtype=np.int64)
        self._ends = np.cumsum([n for _, n in runs], dtype=np.int64)
        self.n_windows = int(self._ends[-1]) if runs else 0
        self._size = self.n_windows if most is None else min(most, self.n_windows)
        self.channels, self.longest, self.n_steps = table.channels, window, self._size * window
        self._layouts = {}

    def __len__(self):
        return self._size

    def starts_of(self, rows):
        """First row in the table of each of the windows `rows`."""
        run = np.searchsorted(self._ends, rows, side="right")
        return self._starts[run] + rows - np.where(run > 0, self._ends[run - 1], 0)

    def scaled(self, starts, targets=True):
        """Windows as channels [n, T, C], targets [n, H] or None, and the centre and spread [n, 1] of each window."""
        table, steps = self.table, starts[:, None] + np.arange(self.window)
        y = table.y[steps].astype("float64")
        centre, spread = SCALINGS[self.scaling](y)
        x = np.empty((*y.shape, table.channels), "float32")
        x[:, :, 0] = (y - centre) / spread
        if table.covariates is not None:
            x[:, :, 1:] = table.covariates[steps]
        if not targets:
            return x, None, centre, spread
        after = table.y[starts[:, None] + np.arange(self.window, self.window + self.horizon)]
        return x, (after - centre) / spread, centre, spread

    # -- training: see `Examples` -------------------------------------------------------------------------

    def batches(self, size, seed, epoch, steps=None):
        """(number, rows) of each batch of an epoch; in order if `seed` is None."""
        rows = np.arange(self._size)
        if seed is not None:
            rng = np.random.default_rng([seed, epoch])
            if self._size < self.n_windows:  # one from each of equal strata, without memory for all of them
                rows = ((rows + rng.random(self._size)) * (self.n_windows / self._size)).astype(np.int64)
            rng.shuffle(rows)
        return list(enumerate(rows[first : first + size] for first in range(0, self._size, size)))

    def steps_of(self, rows, steps=None):
        """Total number of steps of the windows `rows`."""
        return len(rows) * self.window

    def n_chunks(self, rows, steps):
        """Number of chunks of a batch, always 1."""
        return 1

    def batch(self, rows, number, steps, dtype):
        """The windows `rows`, gathered and scaled."""
        x, targets, _, _ = self.scaled(self.starts_of(rows))
        if self.linear is not None:
            targets = (targets - self.linear.predict(x)) / self.linear.error
        N = len(rows)
        if N not in self._layouts:
            at = np.arange(N) * (self.window * self.channels)
            self._layouts[N] = np.arange(self.window + 1) * N, at, np.full((N, 1), 1 / N, dtype)
        starts, at, weights = self._layouts[N]
        x = x.astype(dtype, copy=False).reshape(-1)
        return Batch(rows, starts, x, at, targets.astype(dtype), weights, float(N), float(N))
