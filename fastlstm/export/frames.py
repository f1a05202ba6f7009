"""Objects of pandas and Polars in a record: the containers and stamps of a forecaster's series.

A library is imported only to read a record that holds objects of it, and raises ImportError if it is not installed.
"""

import importlib
import re

import numpy as np

from fastlstm.export.known import require
from fastlstm.files import ModelFileError
from fastlstm.forecasting.calendars import library_of

#: Types of Polars' columns.
POLARS = {
    *("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64"),
    *("Boolean", "String", "Null", "Date", "Datetime", "Duration"),
}
DATE_PARTS = {"years", "months", "weeks", "days", "hours", "minutes", "seconds", "milliseconds", "microseconds"}
ZONE = re.compile(r"(?!dateutil)[A-Za-z][A-Za-z0-9_+:-]*(/[A-Za-z0-9_+:-]+)*")  # no paths of files


def can_hold(value):
    """Whether `encode` takes a value."""
    library = library_of(value)
    return library is not None and any(isinstance(value, _class(library, name)) for name in KINDS[library.__name__])


def _class(library, name):
    return library.tseries.offsets.BaseOffset if name == "offset" else getattr(library, name)


def encode(value, encode):
    """The record of a value; `encode` is the function for its parts."""
    library = library_of(value)
    name = next(name for name in KINDS[library.__name__] if isinstance(value, _class(library, name)))
    parts = OF[f"{library.__name__}.{name}"][0](value)
    return {"@": f"{library.__name__}.{name}", "parts": [encode(part) for part in parts]}


def decode(record, decode):
    """The value of a record; `decode` is the function for its parts."""
    library = importlib.import_module(record["@"].partition(".")[0])
    return OF[record["@"]][1](library, *[decode(part) for part in record["parts"]])


def _zone(zone):
    require(zone is None or ZONE.fullmatch(zone), "a time zone", zone)
    return zone


# -- pandas -------------------------------------------------------------------------------------------------------


def _parts_of_dates(index):
    zone = None if index.tz is None else str(index.tz)
    parts = index.asi8, index.unit, zone, index.freq, index.name
    if zone is not None:
        key = getattr(index.tz, "key", getattr(index.tz, "zone", None))  # of zoneinfo, or of pytz
        if key != zone and _make_dates(library_of(index), *parts).tz != index.tz:
            raise TypeError(
                f"Stamps have the time zone {index.tz!r}, which a model file cannot hold: convert them to a "
                "zone with a name, for example by tz_convert('Europe/Berlin')."
            )
    return parts


def _make_dates(pandas, values, unit, zone, freq, name):
    require(isinstance(values, np.ndarray) and values.dtype == np.int64, "stamps", values)
    index = pandas.DatetimeIndex(values.view(f"M8[{unit}]"))
    if zone is not None:
        index = index.tz_localize("UTC").tz_convert(_zone(zone))
    index = index.rename(name)
    return index if freq is None else pandas.DatetimeIndex(index, freq=freq)


def _make_periods(pandas, values, freq, name):
    require(isinstance(values, np.ndarray) and values.dtype == np.int64, "periods", values)
    return pandas.PeriodIndex.from_ordinals(values, freq=freq, name=name)


def _parts_of_offset(offset):
    pandas = library_of(offset)
    if type(offset) is pandas.DateOffset:
        parts = [offset.n, bool(offset.normalize), dict(offset.kwds)]
    else:
        parts = offset.freqstr
    try:
        again = _make_offset(pandas, parts)
    except (ModelFileError, TypeError, ValueError):
        again = None
    if again != offset:
        raise TypeError(f"Stamps have the frequency {offset!r}, which a model file cannot hold.")
    return (parts,)


def _make_offset(pandas, parts):
    if isinstance(parts, str):
        return pandas.tseries.frequencies.to_offset(parts)
    n, normalize, steps = parts
    require(all(name in DATE_PARTS and type(count) is int for name, count in steps.items()), "a DateOffset", steps)
    return pandas.DateOffset(n, normalize, **steps)


def _column(values):
    """A pandas array without an index: what an extension type cannot give as plain NumPy, as a list and its type."""
    dtype = values.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "biufmMO":
        return "numpy", values.to_numpy(), None
    if dtype == "category":
        return "category", [values.categories, values.ordered], values.codes
    if str(dtype).startswith(("datetime64", "period")):
        return "index", library_of(values).Index(values), None
    is_missing = values.isna()
    return str(dtype), [None if gone else value for value, gone in zip(values.tolist(), is_missing, strict=True)], None


def _make_column(pandas, kind, values, codes):
    expected = {"numpy": np.ndarray, "index": pandas.Index}.get(kind, list)
    require(isinstance(values, expected), "a column", values)
    if kind == "numpy":
        return pandas.array(values, dtype=object) if values.dtype == object else values  # not guessed to be texts
    if kind == "category":
        require(isinstance(codes, np.ndarray), "codes of categories", codes)
        return pandas.Categorical.from_codes(codes, values[0], ordered=values[1])
    return values.array if kind == "index" else pandas.array(values, dtype=kind)


def _parts_of_series(series):
    return _column(series.array), series.index, series.name


def _make_series(pandas, column, index, name):
    values = _make_column(pandas, *column)
    require(isinstance(index, pandas.Index) and len(values) == len(index), "the index of a Series", index)
    return pandas.Series(values, index=index, name=name)


def _parts_of_frame(frame):
    return [_column(frame.iloc[:, k].array) for k in range(frame.shape[1])], frame.columns, frame.index


def _make_frame(pandas, columns, names, index):
    members = {k: _make_column(pandas, *column) for k, column in enumerate(columns)}
    require(
        isinstance(index, pandas.Index) and all(len(of) == len(index) for of in members.values()), "an index", index
    )
    frame = pandas.DataFrame(members, index=index)
    frame.columns = names
    return frame


def _parts_of_index(index):
    return _column(index.array), index.name


# -- Polars -------------------------------------------------------------------------------------------------------


def _parts_of_polars(series):
    dtype = series.dtype
    about = [getattr(dtype, name, None) for name in ("time_unit", "time_zone")]
    if dtype.is_temporal():
        series = series.to_physical()
    if str(dtype.base_type()) not in POLARS:
        raise TypeError(f"the column {series.name!r} of Polars is of type {dtype}, which a model file cannot hold.")
    return series.name, str(dtype.base_type()), about, series.to_list()


def _make_polars(polars, name, kind, about, values):
    unit, zone = about
    require(kind in POLARS and type(values) is list and isinstance(name, str), "a column", kind)
    dtype = getattr(polars, kind)
    if kind == "Datetime":
        dtype = dtype(unit, _zone(zone))
    elif kind == "Duration":
        dtype = dtype(unit)
    if dtype.is_temporal():
        return polars.Series(name, values, polars.Int32 if kind == "Date" else polars.Int64).cast(dtype)
    return polars.Series(name, values, dtype)


#: For each class: the function that takes an object apart, and the one that makes it. Subclasses come first.
OF = {
    "pandas.DatetimeIndex": (_parts_of_dates, _make_dates),
    "pandas.PeriodIndex": (lambda index: (index.asi8, index.freq, index.name), _make_periods),
    "pandas.RangeIndex": (
        lambda index: (index.start, index.stop, index.step, index.name),
        lambda pandas, start, stop, step, name: pandas.RangeIndex(start, stop, step, name=name),
    ),
    "pandas.MultiIndex": (
        lambda index: ([index.get_level_values(k) for k in range(index.nlevels)],),
        lambda pandas, levels: pandas.MultiIndex.from_arrays(levels),
    ),
    "pandas.Index": (
        _parts_of_index,
        lambda pandas, column, name: pandas.Index(_make_column(pandas, *column), name=name),
    ),
    "pandas.Series": (_parts_of_series, _make_series),
    "pandas.DataFrame": (_parts_of_frame, _make_frame),
    "pandas.offset": (_parts_of_offset, _make_offset),
    "pandas.Timestamp": (
        lambda stamp: ([stamp.isoformat(), stamp.unit],),
        lambda pandas, parts: pandas.Timestamp(parts[0]).as_unit(parts[1]),
    ),
    "polars.Series": (_parts_of_polars, _make_polars),
    "polars.DataFrame": (
        lambda frame: (frame.get_columns(),),
        lambda polars, columns: polars.DataFrame(columns),
    ),
}
KINDS = {
    library: [name.partition(".")[2] for name in OF if name.startswith(library)] for library in ("pandas", "polars")
}
NAMES = frozenset(OF)
