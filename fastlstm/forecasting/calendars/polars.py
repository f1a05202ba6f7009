"""Calendar of a Polars column of type Date or Datetime.

# Design: Polars infers no frequencies, and its offsets lose the ends of months: 31 January, 29 February, 29 March.
# NumPy has all that is needed: months, business days and durations are integers there. Months and days are counted on
# the wall clock, shorter durations in absolute time.
"""

import re
import sys
from dataclasses import dataclass

import numpy as np

from fastlstm.forecasting.calendars.base import (
    REMEDY,
    Calendar,
    check_order,
    first_difference,
    irregular,
    longest_prefix,
    no_pattern,
)

MONTHS = {"mo": 1, "q": 3, "y": 12}
DAYS = {"d": 1, "w": 7}
DURATIONS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}  # in nanoseconds
TRIPLES = 50  # number of positions at which to infer the frequency of irregular stamps, for the error message


@dataclass(frozen=True)
class Offset:
    """A multiple of months, of days, of business days, or a duration in nanoseconds."""

    kind: str
    count: int

    def __str__(self):
        if self.kind != "ns":
            return f"{self.count}{self.kind}"
        unit = next(unit for unit in reversed(DURATIONS) if self.count % DURATIONS[unit] == 0)
        return f"{self.count // DURATIONS[unit]}{unit}"


@dataclass(frozen=True)
class PolarsCalendar(Calendar):
    """`stamps` is a Polars Series, and `freq` an Offset."""

    @property
    def freq_text(self):
        return repr(str(self.freq))

    def run(self, position, count):
        if self.freq is None:
            raise self.no_freq()
        return _run(self.stamps, self.freq, position, count)

    def offset(self, stamp):
        if self.freq is None:
            raise self.no_freq()
        polars = sys.modules["polars"]
        stamp = polars.Series([stamp], dtype=self.stamps.dtype)
        k = _steps(_clock(self.stamps[:1], self.freq)[0], _clock(stamp, self.freq)[0], self.freq)
        return k if first_difference(_run(self.stamps, self.freq, k, 1), stamp) is None else None

    def read(self, stamps, label):
        dtype = getattr(stamps, "dtype", "int64")
        zones = [getattr(kind, "time_zone", "none") for kind in (dtype, self.stamps.dtype)]
        if zones[0] == zones[1] != "none":
            return stamps.cast(self.stamps.dtype)  # the units may differ
        if dtype != self.stamps.dtype:
            raise ValueError(
                f"{label} has stamps of dtype {dtype}; expected {self.stamps.dtype}, as in {self.label}, whose first "
                f"stamp is {self.stamps[0]}."
            )
        return stamps

    def joined(self, stamps):
        return self.stamps.clone().extend(stamps)

    def wall_of(self, stamps):
        return _wall(stamps).astype("datetime64[s]")


def make_polars(stamps, labels, freq):
    for of_series, label in zip(stamps, labels, strict=True):
        if of_series.null_count():
            raise ValueError(f"{label} has a missing stamp (null) in its time index.")
        check_order(of_series.to_physical().to_numpy(), of_series, label)
    offset = None if freq is None else _parse(freq)
    shared = offset or _infer(max(stamps, key=len))
    return [
        PolarsCalendar(of_series, label, _fitting(of_series, label, offset, shared))
        for of_series, label in zip(stamps, labels, strict=True)
    ]


def _fitting(stamps, label, offset, shared):
    """The offset of stamps; None if they are too few to have one."""
    if shared is not None and _fits(stamps, shared):
        return shared
    own = None if offset is not None else _infer(stamps)
    if own is not None:
        return own
    if offset is not None:
        offsets = {offset}
    elif shared is None and len(stamps) < 3:
        return None
    else:
        triples = (stamps[k : k + 3] for k in range(min(len(stamps) - 2, TRIPLES)))
        offsets = {_infer(triple) for triple in triples} - {None} or {shared} - {None}
    if not offsets:
        raise ValueError(no_pattern(label, stamps))
    runs = [(candidate, _run(stamps, candidate, 0, len(stamps))) for candidate in offsets]
    wrong, closest, run = longest_prefix(stamps, runs)
    if wrong is None:
        return closest
    raise ValueError(f"{irregular(label, stamps, wrong, run, repr(str(closest)))} {REMEDY}")


def _fits(stamps, offset):
    return first_difference(stamps, _run(stamps, offset, 0, len(stamps))) is None


def _parse(freq):
    match = re.fullmatch(r"(\d+)(ns|us|ms|s|m|h|d|w|mo|q|y|bd)", freq) if isinstance(freq, str) else None
    if match is None or not int(match[1]):
        raise ValueError(
            f"freq={freq!r} is not supported for Polars; expected a number and a unit, such as '1mo', '1w', '15m' or, "
            "for business days, '1bd'."
        )
    count, unit = int(match[1]), match[2]
    for kind, units in (("mo", MONTHS), ("d", DAYS), ("ns", DURATIONS)):
        if unit in units:
            return Offset(kind, count * units[unit])
    return Offset("bd", count)


def _infer(stamps):
    """The offset of at least three stamps; None if there is none."""
    if len(stamps) < 3:
        return None
    wall = _wall(stamps)
    months = np.diff(wall.astype("datetime64[M]").astype(int))
    day = np.timedelta64(1, "D")
    steps = np.diff(wall)
    candidates = [Offset("mo", int(months[0]))] if months[0] > 0 else []
    if steps[0] % day == 0 * day:
        candidates.append(Offset("d", int(steps[0] // day)))
    candidates.append(Offset("bd", 1))
    if stamps.dtype.base_type() != sys.modules["polars"].Date:
        candidates.append(Offset("ns", int(np.diff(stamps[:2].to_numpy())[0] // np.timedelta64(1, "ns"))))
    return next((offset for offset in candidates if _fits(stamps, offset)), None)


# -- arithmetic on NumPy's stamps -------------------------------------------------------------------------------


def _wall(stamps):
    if getattr(stamps.dtype, "time_zone", None) is not None:
        stamps = stamps.dt.replace_time_zone(None)
    return stamps.to_numpy()


def _clock(stamps, offset):
    """Stamps on the clock that the offset counts on."""
    return stamps.to_numpy() if offset.kind == "ns" else _wall(stamps)


def _run(stamps, offset, position, count):
    """`count` stamps at the offset from the first of `stamps`, from `position` on, as a Polars Series."""
    clock = _clock(stamps, offset)
    steps = np.arange(position, position + count) * offset.count
    start = clock[0]
    day = start.astype("datetime64[D]")
    if offset.kind == "mo":
        run = _months(clock, steps) + (start - day)
    elif offset.kind == "bd":
        run = np.busday_offset(day, steps, roll="forward") + (start - day)
    elif offset.kind == "d":
        run = start + steps.astype("timedelta64[D]")
    else:
        run = start + steps.astype("timedelta64[ns]")
    return _series(run.astype(clock.dtype), stamps, offset)


def _months(clock, steps):
    """Days that lie whole months after the first one: at the end of the month, or on the same day if it exists."""
    days = clock.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    ends = (months + 1).astype("datetime64[D]") - 1
    later = months[0] + steps
    last = (later + 1).astype("datetime64[D]") - 1
    if (days == ends).all():
        return last
    day = (days - months.astype("datetime64[D]")).max()
    return np.minimum(later.astype("datetime64[D]") + day, last)


def _series(run, stamps, offset):
    """NumPy's stamps as a Polars Series of the type of `stamps`."""
    polars = sys.modules["polars"]
    series = polars.Series(stamps.name, run)
    zone = getattr(stamps.dtype, "time_zone", None)
    if zone is None:
        return series.cast(stamps.dtype)
    if offset.kind == "ns":
        return series.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    local, later = (
        times.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        for times in (series, series.dt.truncate("1h").dt.offset_by("1h"))
    )
    return local.zip_with(local.is_not_null(), later)  # the next time for one that the clocks skip


def _steps(first, stamp, offset):
    """Number of steps from `first` to `stamp`, rounded down."""
    if offset.kind == "mo":
        months = stamp.astype("datetime64[M]") - first.astype("datetime64[M]")
        return int(months.astype(int)) // offset.count
    if offset.kind == "bd":
        return int(np.busday_count(first.astype("datetime64[D]"), stamp.astype("datetime64[D]"))) // offset.count
    unit = np.timedelta64(1, "D") if offset.kind == "d" else np.timedelta64(1, "ns")
    return int((stamp - first) // unit) // offset.count
