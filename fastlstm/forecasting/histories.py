"""Series as the predictor sees them, and its forecasts back in the units of the series."""

from dataclasses import dataclass

import numpy as np

from fastlstm.forecasting.transforms import Differences, Levels, fit_levels
from fastlstm.forecasting.windows import Table, complete_runs

SAMPLED = 1000  # number of windows whose spread is computed
#: Largest absolute value of standardised inputs: far from the limits of float32, and from any sensible value.
LARGEST = 1e30


@dataclass
class Units:
    """How the values of one series become inputs of the predictor: levels, differences, and their standardisation.

    Attributes
    ----------
    size : float
        Standard deviation of the differences, for errors that are compared between scalings.
    mean, std : float
        Mean and standard deviation of the differences; for scalings of windows, the typical standard deviation of a
        window, and for "none" 0 and 1.
    error : float
        Size of the forecasts' errors, as a factor of that of all series.
    """

    levels: Levels
    differences: Differences
    size: float
    mean: float
    std: float
    error: float = 1.0

    @classmethod
    def of(cls, y, transform, differences, scaling, window):
        """The units of a series."""
        levels = fit_levels(transform, y)
        changes = differences.apply(levels.apply(y))
        changes = changes if len(changes) else np.zeros(1)
        size = _positive(float(changes.std()), changes)
        if scaling == "none":
            return cls(levels, differences, size, 0.0, 1.0)
        std = size
        if scaling != "series" and len(changes) > window:
            std = _positive(_typical_spread(changes, window), changes)
        return cls(levels, differences, size, float(changes.mean()), std)

    def apply(self, levels):
        """The standardised differences of levels; raise ValueError for values that are beyond all measure."""
        with np.errstate(over="ignore"):
            changes = (self.differences.apply(levels) - self.mean) / self.std
        if not (np.abs(changes) <= LARGEST).all():
            raise ValueError(
                f"y has {self.levels.undo(levels[np.argmax(np.abs(levels))]):g}, which is more than {LARGEST:g} times "
                f"the usual spread of the series, {self.std:g}: correct such values, or replace them by NaN."
            )
        return changes


def _positive(std, values):
    """`std`, or 1 if it is no more than rounding."""
    return std if std > 1e-12 * float(np.abs(values).max()) else 1.0


def _typical_spread(values, window):
    """Root mean variance of windows."""
    windows = np.lib.stride_tricks.sliding_window_view(values, window)
    return float(np.sqrt(windows[:: -(-len(windows) // SAMPLED)].var(axis=1).mean()))


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
    origins : list of int or None
        First step of each series that will be forecast; by default the one after its end.
    ahead : int
        Number of steps that `covariates` have beyond the end of each series.
    """

    def __init__(self, values, observed, units, covariates, window, origins=None, ahead=0):
        self.values, self.units, self.window = values, units, window
        lost = units[0].differences.lost
        self.extra = [max(0, lost + window - origin) for origin in origins or map(len, values)]
        self._observed = [_extended(of_series, extra) for of_series, extra in zip(observed, self.extra, strict=True)]
        extended = [_extended(y, extra) for y, extra in zip(values, self.extra, strict=True)]
        self.levels = [unit.levels.apply(y) for unit, y in zip(units, extended, strict=True)]
        self.lost, self.table = lost, Table([len(levels) - lost + ahead for levels in self.levels])
        for n, (unit, levels) in enumerate(zip(units, self.levels, strict=True)):
            self.table.series(n)[: len(levels) - lost] = unit.apply(levels)
            self.table.series(n)[len(levels) - lost :] = 0  # never read
        if covariates is not None and covariates[0].shape[1]:
            tables = [_extended(table, extra)[lost:] for table, extra in zip(covariates, self.extra, strict=True)]
            self.table.covariates = np.concatenate(tables)

    def __len__(self):
        return len(self.values)

    def runs(self, horizon, ends=None):
        """Runs of all windows whose targets were observed; the targets of series n end before step ``ends[n]``."""
        runs = []
        for n, y in enumerate(self.values):
            end = len(y) if ends is None else ends[n]
            observed = self._observed[n][self.lost :]
            rows = self.extra[n] - self.lost + end
            # windows begin at the first observation or later
            skipped = max(0, self.extra[n] - self.lost, int(np.argmax(observed)))
            found = complete_runs(observed[skipped:], rows - skipped, self.window, horizon)
            runs += [(int(self.table.first[n]) + skipped + start, count) for start, count in found]
        return runs

    def forecast(self, predictor, series, origins, run, **steps):
        """Forecast levels [n, H] of series from the steps `origins` on, and the units of their errors, [n, 1 or H]."""
        changes, unit = predictor.predict(self.table, self._starts(series, origins), run, **steps)
        return self._levels(series, origins, changes), unit * (
            self._of_units(series, "std") * self._of_units(series, "error")
        )[:, None]

    def quantiles(self, predictor, series, origins, levels, run):
        """Quantiles [n, H, L] of levels; only without differences."""
        found = predictor.quantiles(self.table, self._starts(series, origins), levels, run)
        return self._levels(series, origins, found)

    def sample(self, predictor, series, origins, steps, uniform, run):
        """Sampled paths [n, steps, S] of levels."""
        paths = predictor.sample(self.table, self._starts(series, origins), steps, uniform, run)
        return self._levels(series, origins, paths)

    def _starts(self, series, origins):
        """First row of the windows before the steps `origins`."""
        return self.table.first[series] + np.array(self.extra)[series] + origins - self.lost - self.window

    def _of_units(self, series, name):
        return np.array([getattr(self.units[n], name) for n in series])

    def _levels(self, series, origins, changes):
        """Levels from forecasts of the predictor, [n, H] or [n, H, S]."""
        shape = (len(series),) + (1,) * (changes.ndim - 1)
        mean, std = (self._of_units(series, name).reshape(shape) for name in ("mean", "std"))
        changes = changes * std + mean
        if not self.lost:
            return changes
        ends = np.array(self.extra)[series] + origins
        before = np.stack([self.levels[n][end - self.lost : end] for n, end in zip(series, ends, strict=True)])
        undo = self.units[0].differences.undo
        if changes.ndim == 2:
            return undo(before, changes)
        return np.stack([undo(before, changes[:, :, k]) for k in range(changes.shape[2])], axis=2)

    def actual(self, series, origins, horizon):
        """Levels [n, H] of series from the steps `origins` on."""
        starts = np.array(self.extra)[series] + origins
        return np.stack([self.levels[n][start : start + horizon] for n, start in zip(series, starts, strict=True)])

    def undo(self, series, levels):
        """Values [n, ...] from levels [n, ...]."""
        return np.stack([self.units[n].levels.undo(row) for n, row in zip(series, levels, strict=True)])


def _extended(values, extra):
    """Values with the first one repeated before them."""
    return np.concatenate([np.repeat(values[:1], extra, axis=0), values]) if extra else values
