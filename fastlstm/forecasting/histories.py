"""Series as the predictor sees them, and its forecasts back in the units of the series."""

import numpy as np

from fastlstm.forecasting.transforms import fit_levels
from fastlstm.forecasting.windows import Table, Windows, complete_runs


class Units:
    """How the values of one series become inputs of the predictor: levels, differences, mean and standard deviation."""

    def __init__(self, y, transform, differences, standardize):
        self.levels, self.differences = fit_levels(transform, y), differences
        changes = differences.apply(self.levels.apply(y))
        self.mean, self.std = (float(changes.mean()), float(changes.std())) if standardize else (0.0, 1.0)
        if not self.std > 1e-12 * max(1.0, abs(self.mean)):
            self.std = 1.0

    def apply(self, y):
        """Levels of y, and the standardised differences of the levels."""
        levels = self.levels.apply(y)
        return levels, (self.differences.apply(levels) - self.mean) / self.std


class Histories:
    """Observed series with their units and covariates.

    Parameters
    ----------
    values : list of arrays (T_i,)
        Series, without missing values.
    observed : list of bool arrays (T_i,)
        Which values were observed, rather than interpolated.
    units : list of Units
    covariates : list of arrays (T_i, C - 1) or None
    window : int
        Series that are too short for a window are extended at the start by their first value.
    """

    def __init__(self, values, observed, units, covariates, window):
        self.values, self.units, self.window = values, units, window
        lost = units[0].differences.lost
        self.extra = [max(0, lost + window - len(y)) for y in values]
        self.levels, changes, tables, self._missing = [], [], [], []
        for n, (y, extra) in enumerate(zip(values, self.extra, strict=True)):
            levels, change = units[n].apply(np.concatenate([np.repeat(y[:1], extra), y]))
            self.levels.append(levels)
            changes.append(change)
            self._missing.append(np.concatenate([np.ones(extra, bool), ~observed[n]]))
            if covariates is not None:
                table = covariates[n]
                tables.append(np.concatenate([np.repeat(table[:1], extra, axis=0), table])[lost:])
        self.lost, self.table = lost, Table(changes, tables or None)

    def __len__(self):
        return len(self.values)

    def runs(self, horizon, ends=None):
        """Runs of all windows whose targets were observed; the targets of series n end before step ``ends[n]``."""
        runs = []
        for n, y in enumerate(self.values):
            end = len(y) if ends is None else ends[n]
            observed = ~self._missing[n][self.lost :]
            rows = self.extra[n] - self.lost + end
            # windows begin at a row that is no extension
            skipped = max(0, self.extra[n] - self.lost)
            found = complete_runs(observed[skipped:], rows - skipped, self.window, horizon)
            runs += [(int(self.table.first[n]) + skipped + start, count) for start, count in found]
        return runs

    def windows(self, horizon, scaling, linear=None, ends=None, most=None):
        """`Windows` to train on, see `runs`."""
        return Windows(self.table, self.window, horizon, self.runs(horizon, ends), scaling, linear, most)

    def forecast(self, predictor, series, origins, backend, n_jobs):
        """Forecast levels [n, H] of series from the steps `origins` on, and the unit [n, 1] of each: its spread."""
        extra = np.array(self.extra)[series]
        starts = self.table.first[series] + extra + origins - self.lost - self.window
        changes, spread = predictor.predict(self.table, starts, backend, n_jobs)
        mean, std = (np.array([getattr(self.units[n], name) for n in series])[:, None] for name in ("mean", "std"))
        changes, unit = changes * std + mean, spread * std
        if not self.lost:
            return changes, unit
        ends = extra + origins
        before = np.stack([self.levels[n][end - self.lost : end] for n, end in zip(series, ends, strict=True)])
        return self.units[0].differences.undo(before, changes), unit

    def actual(self, series, origins, horizon):
        """Levels [n, H] of series from the steps `origins` on."""
        starts = np.array(self.extra)[series] + origins
        return np.stack([self.levels[n][start : start + horizon] for n, start in zip(series, starts, strict=True)])

    def undo(self, series, levels):
        """Values [n, ...] from levels [n, ...]."""
        return np.stack([self.units[n].levels.undo(row) for n, row in zip(series, levels, strict=True)])


def make_units(values, ends, transform, differences, standardize):
    """The `Units` of each series, from its steps before ``ends[n]``."""
    return [Units(y[:end], transform, differences, standardize) for y, end in zip(values, ends, strict=True)]
