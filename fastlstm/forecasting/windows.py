"""Windows of series as indices into one table, gathered batch by batch."""

import contextlib
from copy import copy

import numpy as np

from fastlstm.forecasting.scaling import SCALINGS
from fastlstm.training import batches
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
    base : Linear or Counts
        What forecasts start from, and so what the targets of training are.
    mean_weight : float
        Of a window.
    n_distinct : int
        Number of windows without counting the same values again, for statistics.
    """

    def __init__(self, table, window, horizon, runs, scaling, most=None):
        self.table, self.window, self.horizon, self.scaling, self.base = table, window, horizon, scaling, None
        self._starts = np.array([start for start, _ in runs], dtype=np.int64)
        self._ends = np.cumsum([n for _, n in runs], dtype=np.int64)
        self.n_windows = int(self._ends[-1]) if runs else 0
        self._size = self.n_windows if most is None else min(most, self.n_windows)
        self.channels, self.longest = table.channels, self._longest()
        self.n_steps, self.n_distinct, self._layouts = self._size * self.longest, self.n_windows, {}

    def _longest(self):
        return self.window

    def __len__(self):
        return self._size

    mean_weight = 1.0

    @property
    def total_weight(self):
        """Sum of the weights of an epoch."""
        return float(self._size)

    @property
    def n_weighted(self):
        """Number of windows of an epoch that have a weight."""
        return self._size

    def starts_of(self, rows):
        """First row in the table of each of the windows `rows`."""
        run = np.searchsorted(self._ends, rows, side="right")
        return self._starts[run] + rows - np.where(run > 0, self._ends[run - 1], 0)

    def scaled(self, starts, targets=True):
        """Windows as channels [n, T, C], targets [n, H] or None, and the centre and spread [n, 1] of each window."""
        table, T = self.table, self.longest
        steps = starts[:, None] + np.arange(self.window + self.horizon if targets else T)
        y = table.y[steps].astype("float64")
        centre, spread = SCALINGS[self.scaling](y[:, : self.window])
        y = (y - centre) / spread
        x = np.empty((len(y), T, table.channels), "float32")
        x[:, :, 0] = y[:, :T]
        if table.covariates is not None:
            x[:, :, 1:] = table.covariates[steps[:, :T]]
        return x, y[:, self.window :] if targets else None, centre, spread

    def examples(self, rows):
        """Inputs [n, T, C] and targets [n, H] of a linear model."""
        return self.scaled(self.starts_of(rows))[:2]

    def part(self, number, count):
        """Windows that are one of `count` equal parts of these, or None if there are none in it."""
        first, last = (self.n_windows * k // count for k in (number, number + 1))
        size = self._size * (number + 1) // count - self._size * number // count
        if not size:
            return None
        begins = np.concatenate([[0], self._ends[:-1]])
        there = (self._ends > first) & (begins < last)
        part = copy(self)
        part._starts = self._starts[there] + np.maximum(first - begins[there], 0)
        part._ends = np.minimum(self._ends[there], last) - first
        part.n_windows, part._size, part._layouts = last - first, size, {}
        part.n_steps = size * self.longest
        return part

    # -- training: see `Examples` -------------------------------------------------------------------------

    def batches(self, ends, key, steps=None):
        """(number, rows) of each batch of an epoch; in order if `key` is None."""
        rows = np.arange(self._size)
        if key is not None:
            rng = np.random.default_rng(key)
            if self._size < self.n_windows:  # one from each of equal strata, without memory for all of them
                rows = ((rows + rng.random(self._size)) * (self.n_windows / self._size)).astype(np.int64)
            rng.shuffle(rows)
        return list(enumerate(batches.split(rows, ends)))

    def steps_of(self, rows, steps=None):
        """Total number of steps of the windows `rows`."""
        return len(rows) * self.longest

    def n_chunks(self, rows, steps):
        """Number of chunks of a batch, always 1."""
        return 1

    def reading(self, drawn, steps=None):
        """Context of an epoch; windows are gathered when their batch is computed."""
        return contextlib.nullcontext()

    def batch(self, rows, number, steps, dtype):
        """The windows `rows`, gathered and scaled."""
        x, y, _, _ = self.scaled(self.starts_of(rows))
        targets, N = self.base.targets(x, y), len(rows)
        if N not in self._layouts:
            at = np.arange(N) * (self.longest * self.channels)
            self._layouts[N] = np.arange(self.longest + 1) * N, at, self._weights(N).astype(dtype)
        starts, at, weights = self._layouts[N]
        x = x.astype(dtype, copy=False).reshape(-1)
        return Batch(rows, starts, x, at, self._laid_out(targets.astype(dtype)), weights, float(N), float(N))

    def _weights(self, N):
        """Weights of the targets of N windows."""
        return np.full((N, 1), 1 / N)

    def _laid_out(self, targets):
        """Targets [n, H] as the loss reads them."""
        return targets


class RollingWindows(Windows):
    """Windows with the steps to forecast but the last: a network that reads them forecasts the next value at each step.

    Targets of earlier steps have weight 0, as a window is scaled by all its values.

    held : tuple of int
        Channels whose future is unknown: from the end of the window on, they keep their last value.
    """

    def __init__(self, table, window, horizon, runs, scaling, most=None, held=()):
        super().__init__(table, window, horizon, runs, scaling, most)
        self._held = list(held)

    def _longest(self):
        return self.window + self.horizon - 1

    def scaled(self, starts, targets=True):
        x, *others = super().scaled(starts, targets)
        if self._held:
            x[:, self.window :, self._held] = x[:, self.window - 1 : self.window, self._held]
        return x, *others

    def _weights(self, N):
        weights = np.zeros((self.longest, N))
        weights[self.window - 1 :] = 1 / (N * self.horizon)
        return weights.reshape(-1, 1)

    def _laid_out(self, targets):
        out = np.zeros((self.longest, len(targets)), targets.dtype)
        out[self.window - 1 :] = targets.T
        return out.reshape(-1, 1)

    @property
    def one_step(self):
        """The windows of which a linear model forecasts the next value."""
        return _OneStep(self)


class _OneStep:
    """The windows, and those that begin up to H - 1 steps later, each with the next value as target."""

    def __init__(self, windows):
        self._windows, self.window, self.horizon, self.channels = windows, windows.window, 1, windows.channels
        self.n_windows = windows.n_windows * windows.horizon
        self.n_distinct = windows.n_windows + windows.horizon - 1

    def examples(self, rows):
        """Inputs [n, T, C] and targets [n, 1]."""
        windows = self._windows
        x, y, _, _ = Windows.scaled(
            windows, windows.starts_of(rows // windows.horizon)
        )  # with all values of covariates
        position, n = (rows // windows.horizon + rows) % windows.horizon, np.arange(len(rows))
        return x[n[:, None], position[:, None] + np.arange(self.window)], y[n, position][:, None]
