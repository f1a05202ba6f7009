"""Calendar of a pandas DatetimeIndex or PeriodIndex.

# Design: `date_range` generates all stamps, since adding an offset to a stamp differs from it across daylight saving
# time: in pandas 2, a day added is 24 hours.
"""

import sys
from dataclasses import dataclass

import numpy as np

from fastlstm.forecasting.calendars.base import (
    REMEDY,
    Calendar,
    check_order,
    irregular,
    longest_prefix,
    no_pattern,
)

TRIPLES = 50  # number of positions at which to infer the frequency of an irregular index, for the error message


@dataclass(frozen=True)
class PandasCalendar(Calendar):
    """`stamps` is a DatetimeIndex or a PeriodIndex, and `freq` a pandas offset."""

    @property
    def freq_text(self):
        return repr(self.freq.freqstr)

    def run(self, position, count):
        if self.freq is None:
            raise self.no_freq()
        start = min(position, len(self) - 1)
        return _run(self.stamps, start, position - start + count, self.freq)[position - start :]

    def offset(self, stamp):
        if self.freq is None:
            raise self.no_freq()
        first, last = self.stamps[0], self.stamps[-1]
        if first <= stamp <= last:
            k = int(self.stamps.searchsorted(stamp))
            return k if self.stamps[k] == stamp else None
        low, high = (stamp, first) if stamp < first else (last, stamp)
        between = _between(self.stamps, low, high, self.freq)
        if not len(between) or between[0] != low or between[-1] != high:
            return None
        steps = len(between) - 1
        return -steps if stamp < first else len(self) - 1 + steps

    def read(self, stamps, label):
        pandas = sys.modules["pandas"]
        if isinstance(stamps, pandas.Index) and (stamps.dtype.kind == "M" or _is_period(stamps)):
            stamps = _as_index(stamps)
            if _kind(stamps) == _kind(self.stamps):
                return stamps
        raise ValueError(
            f"{label} has stamps of dtype {getattr(stamps, 'dtype', 'int64')}; expected {self.stamps.dtype}, as in "
            f"{self.label}, whose first stamp is {self.stamps[0]}."
        )

    def joined(self, stamps):
        return self.stamps.append(stamps)

    def wall_of(self, stamps):
        stamps = stamps.to_timestamp() if _is_period(stamps) else stamps.tz_localize(None)
        return stamps.to_numpy().astype("datetime64[s]")


def make_pandas(stamps, labels, freq):
    indexes = [_as_index(of_series) for of_series in stamps]
    for index, label in zip(indexes, labels, strict=True):
        if index.hasnans:
            raise ValueError(
                f"{label} has a missing stamp (NaT) in its time index, at row {int(np.argmax(index.isna()))}."
            )
        check_order(index.asi8, index, label)
    offset = None if freq is None else _offset(freq, indexes[0], labels[0])
    shared = offset or _freq_of(max(indexes, key=len))
    grid = _grid(indexes, shared)
    return [
        PandasCalendar(index, label, _fitting(index, label, offset, shared, grid))
        for index, label in zip(indexes, labels, strict=True)
    ]


def _fitting(index, label, offset, shared, grid):
    """The frequency of an index; None if it is too short to have one."""
    if offset is None and index.freq is not None and not _is_period(index):
        return _positive(index.freq, label)  # pandas has checked it
    if shared is not None and _fits(index, shared, grid):
        return shared
    own = None if offset is not None else _freq_of(index)
    if own is not None and _fits(index, own, None):
        return own
    if offset is not None or _is_period(index):
        rates = {offset or own}
    elif shared is None and len(index) < 3:
        return None
    else:
        triples = (index[k : k + 3] for k in range(min(len(index) - 2, TRIPLES)))
        rates = {_freq_of(triple) for triple in triples} - {None} or {shared} - {None}
    if not rates:
        raise ValueError(no_pattern(label, index))
    wrong, rate, run = longest_prefix(index, [(rate, _run(index, 0, len(index), rate)) for rate in rates])
    if wrong is None:
        return rate
    raise ValueError(f"{irregular(label, index, wrong, run, repr(rate.freqstr))} {REMEDY}")


def _grid(indexes, freq):
    """All stamps from the first to the last of several indexes, generated once; None if that is not possible."""
    if freq is None or len(indexes) == 1 or len({_kind(index) for index in indexes}) > 1:
        return None
    return _between(indexes[0], min(index[0] for index in indexes), max(index[-1] for index in indexes), freq)


def _fits(index, freq, grid):
    if grid is not None:
        k = int(grid.searchsorted(index[0]))
        if index.equals(grid[k : k + len(index)]):
            return True
    return index.equals(_run(index, 0, len(index), freq))


def _offset(freq, index, label):
    pandas = sys.modules["pandas"]
    try:
        if _is_period(index):
            offset = pandas.period_range("2000", periods=1, freq=freq).freq
        else:
            offset = pandas.tseries.frequencies.to_offset(freq)
    except (TypeError, ValueError) as error:
        raise ValueError(f"freq={freq!r} is not a frequency of pandas: {error}") from error
    if _is_period(index) and offset != index.freq:
        raise ValueError(f"freq={freq!r} was passed, but {label} has periods of freq={index.freqstr!r}.")
    return _positive(offset, label)


def _positive(offset, label):
    if offset.n <= 0:
        raise ValueError(f"The frequency of {label} is {offset.freqstr!r}; expected a positive one.")
    return offset


def _freq_of(index):
    if index.freq is not None or len(index) < 3:
        return index.freq
    return type(index)(index, freq="infer").freq


def _as_index(stamps):
    pandas = sys.modules["pandas"]
    return pandas.PeriodIndex(stamps) if _is_period(stamps) else pandas.DatetimeIndex(stamps)


def _is_period(stamps):
    return str(stamps.dtype).startswith("period")


def _kind(index):
    """What must agree so that stamps of two indexes can be compared."""
    return index.freq if _is_period(index) else str(index.tz)


def _run(index, k, count, freq):
    """`count` stamps from index[k] on."""
    return _generate(index, freq, index[k], periods=count)


def _between(index, low, high, freq):
    """All stamps from `low` to `high`."""
    return _generate(index, freq, low, end=high)


def _generate(index, freq, start, **until):
    pandas = sys.modules["pandas"]
    if _is_period(index):
        return pandas.period_range(start, freq=freq, **until)
    if index.tz is not None and not _is_duration(freq):
        shifted = _across_clock_changes(index, freq, start, **until)
        if shifted is not None:
            return shifted
    return pandas.date_range(start, freq=freq, **until).as_unit(index.unit)


def _is_duration(freq):
    """Whether a frequency is a number of hours or less, rather than of days on the calendar."""
    offsets = sys.modules["pandas"].offsets
    return isinstance(freq, offsets.Tick) and not isinstance(freq, offsets.Day)


def _across_clock_changes(index, freq, start, periods=None, end=None):
    """The stamps if some of their wall-clock times do not exist or exist twice, for which pandas raises, else None.

    A time that does not exist is replaced by the next one that does; of two, the first is taken.
    """
    end = end if end is None else end.tz_localize(None)
    wall = sys.modules["pandas"].date_range(start.tz_localize(None), end, periods, freq).as_unit(index.unit)
    if not wall.tz_localize(index.tz, ambiguous="NaT", nonexistent="NaT").hasnans:
        return None
    return wall.tz_localize(index.tz, ambiguous=np.ones(len(wall), bool), nonexistent="shift_forward")
