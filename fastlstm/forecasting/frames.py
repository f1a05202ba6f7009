"""The users' forms of time series: arrays, Series and frames of pandas and Polars, lists of these, long tables.

`read_frames` reads all of them as `Frames`; `write_frame` and `write_long` turn arrays back into the users' form.

# Design: what is needed to write results, such as names, column labels and dtypes, is kept as an empty copy of the
# user's object, `like`.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastlstm import containers
from fastlstm.forecasting.calendars import library_of

ID, TIME, TARGET = "unique_id", "ds", "y"  # columns of a long table
LARGEST = 1e60  # absolute value of a number: its square, after a Box-Cox transform, is far from the limit of float64


@dataclass(frozen=True)
class Frame:
    """Columns that share stamps.

    Attributes
    ----------
    label : str
        The frame in error messages.
    stamps : range, pandas Index or Polars Series of length T
        A range for positions in an array.
    names : list
        Names of the columns; None for a column without a name.
    columns : list of ndarray of shape (T,)
        Numeric arrays, or object arrays of categories.
    kinds : list of {"number", "category"}
        What each column holds.
    like : ndarray, Series or DataFrame
        Empty copy of the container.
    """

    label: str
    stamps: Any
    names: list
    columns: list
    kinds: list
    like: Any


@dataclass(frozen=True)
class Frames:
    """What a user passed, as one frame for each series, or a single one.

    Attributes
    ----------
    form : {"single", "list", "dict", "long"}
        The form that it was passed in.
    ids : list
        The ids of the series; None if there is a single frame.
    frames : list of Frame
        The series.
    like : DataFrame, optional
        Empty copy of a long table.
    """

    form: str
    ids: list | None
    frames: list
    like: Any = None


def read_frames(values, name):
    """Read any form as Frames."""
    if isinstance(values, Mapping) and not containers.is_table(values):
        frames = [_read_frame(member, f"{name}[{key!r}]") for key, member in values.items()]
        return Frames("dict", list(values), _some(frames, name))
    if _is_list_of_series(values):
        frames = [_read_frame(member, f"{name}[{n}]") for n, member in enumerate(values)]
        return Frames("list", list(range(len(frames))), frames)
    if containers.is_table(values) and ID in containers.names_of(values):
        return read_long(values, name)
    return Frames("single", None, [_read_frame(values, name)])


def _is_list_of_series(values):
    """Whether `values` is a list, a tuple or a 1-D object array of series, rather than of numbers."""
    of_objects = isinstance(values, np.ndarray) and values.dtype == np.dtype(object) and values.ndim == 1
    return (of_objects or isinstance(values, (list, tuple))) and any(map(containers.holds_steps, values))


def _is_pandas(values):
    """Whether `values` is a Series or DataFrame of pandas, rather than an Index or an array."""
    return hasattr(type(values), "iloc")


def _is_polars(values):
    """Whether `values` is a Series or DataFrame of Polars, rather than a LazyFrame."""
    return hasattr(type(values), "clear") and hasattr(type(values), "shape")


def _some(frames, name):
    if not frames:
        raise ValueError(f"{name} is empty; expected at least one series.")
    return frames


def _read_frame(values, label):
    library = library_of(values)
    if library is None or not (_is_pandas(values) or _is_polars(values)):
        return _read_array(values, label)
    table = containers.is_table(values)
    stamps, names = range(len(values)), containers.names_of(values) if table else [getattr(values, "name", None)]
    if _is_pandas(values):
        stamps, like = values.index, values.iloc[:0].copy()
        if stamps.nlevels > 1:
            raise ValueError(
                f"{label} has an index of several levels; expected the stamps alone: make a long table of it with the "
                f"columns {ID!r}, {TIME!r} and {TARGET!r}, or see fastlstm.forecasting.from_long."
            )
        if table and TIME in names and values.dtypes[TIME].kind == "M":
            raise ValueError(
                f"{label} has dates in the column {TIME!r}; expected them in the index: pass "
                f"{label}.set_index({TIME!r}) or, for a long table, add the column {ID!r}."
            )
        columns = [values.iloc[:, k] for k in range(len(names))] if table else [values]
    else:
        like, time = values.clear(), _time_of(values, label) if table else None
        if time is not None:
            stamps = values[time]
        names = [name for name in names if time is None or name != time]
        columns = [values[name] for name in names] if table else [values]
    doubled = {key for key in names if names.count(key) > 1} if len(set(names)) < len(names) else None
    if doubled:
        raise ValueError(f"{label} has several columns of the name {containers.few(doubled)}; expected unique names.")
    labels = [f"{label}[{key!r}]" if table else label for key in names]
    read = [read_column(column, label) for column, label in zip(columns, labels, strict=True)]
    return Frame(label, stamps, names, [array for array, _ in read], [kind for _, kind in read], like)


def _read_array(values, label):
    array = containers.unpack(values, label)
    if isinstance(array, (list, tuple)) and not array:
        array = np.empty(0)
    if isinstance(array, (list, tuple)) or not hasattr(array, "shape") or np.ndim(array) not in (1, 2):
        shape = f"shape {array.shape}" if hasattr(array, "shape") else f"type {type(values).__name__}"
        raise ValueError(f"{label} has {shape}; expected one value per step, or a table of shape (steps, columns).")
    columns = [array] if array.ndim == 1 else list(array.T)
    labels = [label] if array.ndim == 1 else [f"{label}[:, {k}]" for k in range(len(columns))]
    read = [read_column(column, label) for column, label in zip(columns, labels, strict=True)]
    names = [None] * len(columns)
    return Frame(
        label, range(len(array)), names, [column for column, _ in read], [kind for _, kind in read], array[:0].copy()
    )


def _time_of(frame, label):
    """Name of the column of a Polars frame that holds the time; None if there is none."""
    found = [name for name, dtype in frame.schema.items() if str(dtype).startswith("Date")]
    if len(found) > 1:
        raise ValueError(
            f"{label} has several columns of dates, {containers.few(found)}; expected one, the time index."
        )
    return found[0] if found else None


def read_long(table, name, columns=(ID, TIME)):
    """Read a long table as Frames; `columns` names its columns of ids and stamps."""
    names = containers.names_of(table)
    missing = [column for column in columns if column not in names]
    if missing:
        raise ValueError(
            f"{name} has the columns {containers.few(names)}, but not {containers.few(missing)}; a long table has the "
            f"columns {ID!r}, {TIME!r} and values: see fastlstm.forecasting.from_long for other names."
        )
    id_column, time_column = columns
    ids = table[id_column].to_list()
    codes = {}
    rows = np.array([codes.setdefault(key, len(codes)) for key in ids], dtype=int)
    for key in codes:
        if _is_missing(key):
            raise ValueError(f"{name} has a missing {id_column!r} at row {ids.index(key)}.")
    _some(codes, name)
    order = np.argsort(rows, kind="stable")
    ends = np.cumsum(np.bincount(rows))
    spans = list(zip(ends - np.bincount(rows), ends, strict=True))
    if _is_pandas(table):
        stamps, like = library_of(table).Index(table[time_column])[order], table.iloc[:0].copy()
    else:
        stamps, like = table[time_column].gather(order), table.clear()
    others = [column for column in names if column not in columns]
    read = [read_column(table[column], f"{name}[{column!r}]") for column in others]
    arrays = [array[order] for array, _ in read]
    kinds = [kind for _, kind in read]
    frames = [
        Frame(f"{name} of series {key!r}", stamps[a:b], others, [array[a:b] for array in arrays], kinds, like)
        for key, (a, b) in zip(codes, spans, strict=True)
    ]
    return Frames("long", list(codes), frames, like)


# -- columns ----------------------------------------------------------------------------------------------------


def read_column(column, label):
    """Read a column as a float64 array and "number", or as an object array and "category"."""
    if _is_category(column):
        values = column.to_list() if hasattr(column, "to_list") else column.tolist()
        array = np.empty(len(values), object)
        array[:] = [None if _is_missing(value) else value for value in values]
        return array, "category"
    array = containers.unpack(column, label)
    array = containers.numbers_of(array, label) if isinstance(array, np.ndarray) else array
    if getattr(array, "ndim", None) != 1 or array.dtype.kind not in containers.NUMBERS:
        dtype = getattr(array, "dtype", type(column).__name__)
        raise TypeError(f"{label} is of type {dtype}; expected numbers, one per step.")
    array = np.array(array, np.float64)
    wrong = np.flatnonzero(np.abs(array) > LARGEST)
    wrong = wrong[np.isfinite(array[wrong])]  # infinity has errors of its own
    if len(wrong):
        raise ValueError(
            f"{label} has {array[wrong[0]]:g} in row {wrong[0]}; expected absolute values of {LARGEST:g} at most: "
            "rescale the values."
        )
    return array, "number"


def _is_category(column):
    """Whether a column holds strings, booleans or categories."""
    dtype = column.dtype
    name = str(dtype)
    if name.lower().startswith(("bool", "categor", "enum", "str", "large_string")) or name == "String":
        return True
    if getattr(dtype, "kind", None) == "U":
        return True
    if dtype != np.dtype(object):
        return False
    types = {type(value) for value in column.tolist() if not _is_missing(value)}
    return bool(types) and types <= {str, bool, np.bool_, np.str_}


def _is_missing(value):
    if value is None or value is getattr(sys.modules.get("pandas"), "NA", None):
        return True
    return isinstance(value, float) and value != value


# -- results ----------------------------------------------------------------------------------------------------


def write_frame(like, stamps, table, columns=None):
    """Results in the form of `like`.

    Parameters
    ----------
    like : ndarray, Series or DataFrame
        The form, names and labels.
    stamps : range, pandas Index or Polars Series of length h
        The stamps of the results.
    table : ndarray of shape (h, n) or (h, n, K)
        Results for n columns, K for each.
    columns : list of length K, default=None
        Names of the K results.
    """
    library = library_of(like)
    if library is None:
        return table[:, 0] if like.ndim == 1 else table
    if columns is None and table.ndim == 3:
        columns = list(range(table.shape[2]))
    if library.__name__ == "pandas":
        return _write_pandas(library, like, stamps, table, columns)
    return _write_polars(library, like, stamps, table, columns)


def _write_pandas(pandas, like, stamps, table, columns):
    stamps = (pandas.RangeIndex(stamps) if isinstance(stamps, range) else stamps).rename(like.index.name)
    if not containers.is_table(like):
        if table.ndim == 2:
            return pandas.Series(table[:, 0], index=stamps, name=like.name)
        return pandas.DataFrame(table[:, 0], index=stamps, columns=columns)
    if table.ndim == 2:
        return pandas.DataFrame(table, index=stamps, columns=like.columns)
    names = [name if isinstance(name, tuple) else (name,) for name in like.columns]
    labels = pandas.MultiIndex.from_tuples(
        [(*name, column) for name in names for column in columns], names=[*like.columns.names, None]
    )
    return pandas.DataFrame(table.reshape(len(table), -1), index=stamps, columns=labels)


def _write_polars(polars, like, stamps, table, columns):
    if not containers.is_table(like):
        if table.ndim == 2:
            return polars.Series(like.name, table[:, 0])
        return polars.DataFrame(dict(zip(map(str, columns), table[:, 0].T, strict=True)))
    data, results = {}, iter(range(table.shape[1]))
    for name in like.columns:
        if not isinstance(stamps, range) and name == stamps.name:
            data[name] = stamps
        elif table.ndim == 2:
            data[name] = table[:, next(results)]
        else:
            data |= dict(zip([f"{name}_{column}" for column in columns], table[:, next(results)].T, strict=True))
    return polars.DataFrame(data)


def write_long(like, ids, stamps, rows, columns=None):
    """Results as a long table: (h, K) or (h,) for each series."""
    library = library_of(like)
    values = np.concatenate(rows)
    repeated = [key for key, row in zip(ids, rows, strict=True) for _ in range(len(row))]
    if values.ndim == 1:
        columns, values = [TARGET], values[:, None]
    elif columns is None:
        columns = range(values.shape[1])
    data = dict(zip(columns, values.T, strict=True))
    if isinstance(stamps[0], range):
        stamps = np.concatenate([np.asarray(of_series, np.int64) for of_series in stamps])
    elif library.__name__ == "pandas":
        stamps = stamps[0].append(list(stamps[1:]))
    else:
        stamps = library.concat(stamps)
    if library.__name__ == "pandas":
        ids = library.Series(repeated, dtype=like[ID].dtype)
        return library.DataFrame({ID: ids, TIME: library.Series(stamps).astype(like[TIME].dtype), **data})
    ids = library.Series(ID, repeated, dtype=like.schema[ID])
    stamps = library.Series(TIME, stamps).cast(like.schema[TIME])
    return library.DataFrame([ids, stamps, *(library.Series(str(name), column) for name, column in data.items())])
