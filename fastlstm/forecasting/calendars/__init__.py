"""Calendars: the time index of a series, its frequency and the stamps that follow.

===================  ==========================================================================
calendar             stamps
===================  ==========================================================================
`StepCalendar`       integers at a constant distance: positions in an array, a RangeIndex
`PandasCalendar`     a DatetimeIndex or a PeriodIndex, with pandas' frequencies
`PolarsCalendar`     a Polars Series of Date or Datetime, with Polars' offsets
===================  ==========================================================================

A calendar has no gaps: its stamps follow each other at its frequency. See `Calendar` for what all of them can do.
"""

import sys

import numpy as np

from fastlstm.forecasting.calendars.features import calendar_features
from fastlstm.forecasting.calendars.pandas import make_pandas
from fastlstm.forecasting.calendars.polars import make_polars
from fastlstm.forecasting.calendars.steps import make_steps

__all__ = ["calendar_features", "library_of", "make_calendars"]


def library_of(values):
    """The module pandas or polars if `values` is an object of one of them, otherwise None."""
    roots = {kind.__module__.partition(".")[0] for kind in type(values).__mro__}
    return next((sys.modules[name] for name in ("pandas", "polars") if name in roots), None)


def make_calendars(stamps, labels, freq=None):
    """One calendar for each series.

    Parameters
    ----------
    stamps : list
        Stamps of each series: a pandas Index, a Polars Series or, for positions in an array, a range.
    labels : list of str
        Names of the series in error messages.
    freq : frequency, default=None
        A pandas frequency, a Polars offset such as "1mo", "1bd" for business days of Polars or, for integers, an int.
        If None, the frequency is inferred from the stamps. A series too short for that has the frequency of the
        longest series.

    Returns
    -------
    list of Calendar

    Raises
    ------
    ValueError
        If stamps are missing, unsorted, duplicated or irregular, or if `freq` is invalid.
    TypeError
        If the stamps are neither integers nor dates.
    """
    makers = [_maker(of_series, label) for of_series, label in zip(stamps, labels, strict=True)]
    calendars = [None] * len(stamps)
    for maker in dict.fromkeys(makers):
        rows = [n for n, other in enumerate(makers) if other is maker]
        made = maker([stamps[n] for n in rows], [labels[n] for n in rows], freq)
        for n, calendar in zip(rows, made, strict=True):
            calendars[n] = calendar
    return calendars


def _maker(stamps, label):
    if isinstance(stamps, range):
        return make_steps
    dtype = stamps.dtype
    if hasattr(dtype, "is_temporal"):  # Polars
        if dtype.is_integer():
            return make_steps
        if str(dtype).startswith("Date"):
            return make_polars
    elif dtype.kind in "iu":
        return make_steps
    elif dtype.kind == "M" or str(dtype).startswith("period"):
        return make_pandas
    raise TypeError(
        f"The time index of {label} has dtype {dtype}; expected dates or integers: convert it first, for example by "
        "pandas.to_datetime or polars.Series.str.to_datetime."
    )


#: Steps in a season by the distance of stamps in seconds: (least, most, steps).
SEASONS = [
    (60, 60, 60),  # minutes in an hour
    (900, 900, 96),
    (1800, 1800, 48),
    (3600, 3600, 24),
    (86400, 86400, 7),
    (7 * 86400, 7 * 86400, 52),
    (28 * 86400, 31 * 86400, 12),
    (89 * 86400, 92 * 86400, 4),
]


def season_of(calendar):
    """Number of steps in the usual season of a calendar: 12 for months, 24 for hours and so on; 1 if there is none."""
    wall = calendar.wall()
    if wall is None or len(wall) < 3:
        return 1
    distances = np.diff(wall[-100:]).astype(int)
    usual = int(np.median(distances))
    steps = next((steps for least, most, steps in SEASONS if least <= usual <= most), 1)
    return 5 if steps == 7 and distances.max() == 3 * 86400 else steps  # business days
