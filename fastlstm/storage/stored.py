"""`Series` that are read from a source when they are needed."""

from itertools import cycle

import numpy as np

from fastlstm import sequences
from fastlstm.kernels.lazy import lazy
from fastlstm.kernels.parts import lengths_of
from fastlstm.kernels.workspace import Workspace
from fastlstm.sequences import BLOCK_VALUES, Series
from fastlstm.storage.read_ahead import RESULTS, read_ahead


class StoredSeries(Series):
    """Series of a source. What needs all values at a time, such as an inspection, reads them by `values`.

    Parameters
    ----------
    source : source, see `sources`
    rows : array [n]
        Index of each series in the source.
    lengths, skipped : array [n]
        Number of steps of each series, and of those before them in the source.
    dtype : dtype
        Type to which values are converted.
    """

    def __init__(self, source, rows, lengths, skipped, dtype):
        vars(self).update(
            source=source, rows=rows, lengths=lengths, skipped=skipped, read_dtype=dtype, dtype=dtype,
            channels=source.channels, form=source.form, T=source.T, flat=source.flat, widths=source.widths,
            origin=None, is_scratch=False, _prepare=lambda part: part, _fills=False, _seen={},
            _rooms=cycle([Workspace() for _ in range(RESULTS)]),
        )  # fmt: skip

    @lazy
    def at(self):
        """[n]: offset of each series in `values`."""
        return self.step_at * self.channels

    @lazy
    def values(self):
        """All values in memory, flat."""
        return self.table().reshape(-1)

    def table(self, copy=True):
        if not copy:
            return self.values.reshape(-1, self.channels)
        table = np.empty((self.steps, self.channels), self.dtype)
        for rows, first, counts in pieces(self.lengths, self.source.channels, split=False):
            steps = self.step_at[rows[0]] + np.arange(counts.sum())
            table[steps] = self._prepare(self._read(rows, first, counts)).table(copy=False)
        return table

    def take(self, rows):
        flat, widths = (None if of_rows is None else of_rows[rows] for of_rows in (self.flat, self.widths))
        parts = self.rows[rows], self.lengths[rows], self.skipped[rows]
        taken = StoredSeries(self.source, *parts, self.read_dtype)
        kept = {name: vars(self)[name] for name in ("dtype", "channels", "_prepare", "_fills")}
        vars(taken).update(kept, flat=flat, widths=widths)
        return taken

    @property
    def type_of_values(self):
        return self.dtype

    def between(self, first, last):
        return self.take(np.arange(first, last))

    def step_table(self):
        return StepTable(self)

    def prepared_by(self, prepare, channels, dtype, fills):
        prepared = self.take(slice(None))
        vars(prepared).update(_prepare=prepare, channels=channels, dtype=np.dtype(dtype), _fills=fills)
        return prepared

    def inputs(self, rows, at, starts):
        """See `Series`; the memory of the result is used again in the next but one call."""
        counts, first = lengths_of(starts), (at - self.at[rows]) // self.channels
        part = self._read(rows, first, counts, next(self._rooms))
        if not self._fills or np.array_equal(counts, self.lengths[rows]):
            part = self._prepare(part)
            return part.values, part.at
        # the values observed before the chunk, as a step of their own
        part = with_step_before(part, self._observed_before(rows, first))
        ends = (first + counts).tolist()
        self._seen.update(zip(rows.tolist(), zip(ends, last_observed(part), strict=True), strict=True))
        part = self._prepare(part)
        return part.values, part.at + self.channels

    def each(self, function, requests):
        return read_ahead(function, requests)

    def parts(self):
        for rows, first, counts in pieces(self.lengths, self.source.channels):
            yield self._read(rows, first, counts)

    def _read(self, rows, first, counts, room=None):
        """`Series` in memory: `counts` steps of each of the series `rows`, from step `first` on."""
        rows, skipped = self.rows[rows], self.skipped[rows]
        part = self.source.read(rows, first + skipped, counts, self.read_dtype, room)
        return part.located(rows, first)

    def _observed_before(self, rows, first):
        """Last observed value [rows, C] before step `first` of each series, or NaN."""
        observed = np.full((len(rows), self.source.channels), np.nan, self.read_dtype)
        if not first.any():
            self._seen.clear()
        for k in np.flatnonzero(first):
            end, values = self._seen.get(int(rows[k]), (0, None))
            if end != first[k]:
                values = last_observed(self._read(rows[k : k + 1], first[k : k + 1] * 0, first[k : k + 1]))[0]
            observed[k] = values
        return observed

    def bytes_to_hash(self):
        """The same bytes as of these series in memory."""
        source, C = self.source, self.source.channels
        if source.form == "array":
            extent = np.full(len(source), source.T)
            at = self.rows * (source.T * C) + self.skipped * C
        else:
            extent = source.lengths
            at = (np.cumsum(extent) - extent)[self.rows] * C
        yield sequences.header_of(self.read_dtype, (int(extent.sum()) * C,))
        for rows, first, counts in pieces(extent, C):
            part = source.read(rows, first, counts, self.read_dtype)
            yield np.ascontiguousarray(part.table(copy=False)).data.cast("B")
        for array in (at, self.lengths):
            yield from sequences.bytes_of(array)


class StepTable:
    """All steps of stored series as a table [steps, C], of which slices are read."""

    def __init__(self, series):
        self._series, self.shape = series, (series.steps, series.source.channels)

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, steps):
        rows, first, counts = self._series.rows_within(steps)
        whole = self._series.lengths[rows]
        if whole.sum() * self.shape[1] > BLOCK_VALUES:
            return self._series._read(rows, first, counts).table(copy=False)
        before = int(first[0])
        table = self._series._read(rows, first * 0, whole).table(copy=False)
        return table[before : before + int(counts.sum())]


def stored_series(source, plan, dtype, name, missing, labels=None):
    """The series of a source as `StoredSeries`, once all of them have been read and checked.

    source: a source, arranged by `plan`.
    plan: layout of the series, see `layouts.Plan`.
    labels: as `columns` of ``sequences.check_finite``.
    """
    n, dtype = len(source), np.dtype(dtype)
    checked = source.form == "array" and (plan.columns is not None or source.T * source.channels <= BLOCK_VALUES)
    if source.form == "list":
        lengths, skipped = source.lengths, np.zeros(n, int)
    elif checked:
        lengths, skipped = _checked_extents(source, plan, dtype, name, missing, labels)
    else:
        skipped = np.zeros(n, int)
        lengths = np.array([_end(source, row, dtype, name) for row in range(n)])
    series = StoredSeries(source, np.arange(n), lengths, skipped, dtype)
    for part in () if checked else series.parts():
        sequences.check_finite(part, name, missing)
    return series


def _checked_extents(source, plan, dtype, name, missing, labels):
    """Lengths, and numbers of steps before them, of the series of an array, which are checked."""
    lengths, skipped, n = [], [], len(source)
    size = max(1, BLOCK_VALUES // (source.T * source.channels))
    for begin in range(0, n, size):
        rows = np.arange(begin, min(begin + size, n))
        block = source.rows(rows, dtype)
        part = plan.read(block) if source.is_table else sequences.of_padded(block, name, begin)
        sequences.check_finite(part.located(rows, rows * 0), name, missing, labels)
        lengths.append(part.lengths)
        skipped.append(part.at // source.channels - np.arange(len(rows)) * source.T)
    return np.concatenate(lengths), np.concatenate(skipped)


def _end(source, row, dtype, name):
    """Number of steps of a long series before its padding."""
    size = BLOCK_VALUES // source.channels
    for end in [] if source.is_table else range(source.T, 0, -size):
        first = max(0, end - size)
        padding = np.isnan(source.block(np.array([row]), first, end, dtype)[0]).all(axis=1)
        if not padding.all():
            return end - int(np.argmin(padding[::-1]))
    if not source.is_table:
        raise sequences.without_steps(name, row)
    return source.T


def pieces(lengths, C, split=True):
    """(rows, first step, number of steps) of pieces of about BLOCK_VALUES values, which together are all series.

    Series of more values are pieces of their own, and divided if `split`.
    """
    ends, n = np.cumsum(lengths) * C, 0
    while n < len(lengths):
        if split and lengths[n] * C > BLOCK_VALUES:
            size = max(1, BLOCK_VALUES // C)
            for first in range(0, int(lengths[n]), size):
                yield np.array([n]), np.array([first]), np.array([min(size, lengths[n] - first)])
            n += 1
            continue
        start = ends[n] - lengths[n] * C
        rows = np.arange(n, max(n + 1, int(np.searchsorted(ends, start + BLOCK_VALUES, side="right"))))
        yield rows, np.zeros(len(rows), int), lengths[rows]
        n = int(rows[-1]) + 1


def last_observed(part):
    """Last observed value [n, C] of each series and channel, or NaN."""
    table = part.table(copy=False)
    seen = np.where(np.isnan(table), -1, np.arange(len(table))[:, None])
    last = np.maximum.reduceat(seen, part.step_at, axis=0)
    return np.where(last >= part.step_at[:, None], np.take_along_axis(table, np.maximum(last, 0), axis=0), np.nan)


def with_step_before(part, values):
    """Series with one more step at the start of each, with these values [n, C]."""
    lengths = part.lengths + 1
    first = np.cumsum(lengths) - lengths
    is_first = np.zeros(int(lengths.sum()), bool)
    is_first[first] = True
    table = np.empty((len(is_first), part.channels), part.values.dtype)
    table[is_first], table[~is_first] = values, part.table(copy=False)
    return sequences.of_table(table, lengths, "list").located(part.origin[0], part.origin[1] - 1)
