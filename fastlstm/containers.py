"""Conversion of the users' containers to NumPy arrays, or to lists with one member per series.

A table is a pandas or Polars DataFrame or an Arrow table; a column is a Series or an array of these libraries.

# Design: none of these libraries is imported. Tables and columns are recognised by attributes of their classes, not of
# their instances, since a pandas object also has its labels as attributes.
"""

import datetime
import reprlib
import sys
from collections.abc import Iterator, Mapping, MappingView, Sequence, Set

import numpy as np

NUMBERS = "fiub"  # kinds of numeric NumPy dtypes
DATES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)  # pandas' are subclasses


class UnreadableError(TypeError):
    """Values that cannot be read; the message continues a sentence "<name> is"."""


def plain(values, name):
    """`values`, or the members of a list of series, as NumPy arrays; other kinds of arrays are kept."""
    try:
        return _plain(values, name)
    except RecursionError:
        raise ValueError(f"{name} is nested too deeply; expected an array or a list of arrays.") from None


def _plain(values, name):
    values = unpack(values, name)
    if isinstance(values, (list, tuple)) or _has_members(values):
        values = [
            member if is_numeric(member) else _plain(member, f"{name}[{n}]") if holds_steps(member) else member
            for n, member in enumerate(values)
        ]
    return values


def unpack(values, name):
    """`values` as a NumPy array, or as a list, tuple or object array with one member per series."""
    if is_numeric(values):
        return values
    try:
        return read(values, name)
    except UnreadableError as error:
        raise TypeError(f"{name} is {error}.") from error


def read(values, it):
    """Like `unpack`, for values named `it`, but raises UnreadableError."""
    if type(values) is not list:  # fast path for the usual container
        values = _unwrap(values, it)
    if isinstance(values, (list, tuple)):
        values = _read_list(values)
    dtype = getattr(values, "dtype", None)
    if getattr(dtype, "kind", None) in ("m", "M"):
        raise UnreadableError(_why_no_dates(dtype))
    if isinstance(values, np.ndarray) and dtype.kind == "O":
        kinds = _types(values)
        dates = [kind for kind in kinds if issubclass(kind, DATES)]
        if dates:
            raise UnreadableError(_why_no_dates(dates[0].__name__))
        if values.ndim == 2 and any(hasattr(kind, "__len__") for kind in kinds) and any(map(holds_steps, values.flat)):
            return _read_cells([f"{it}[:, {k}]" for k in range(values.shape[1])], list(values.T))
    return values


def _unwrap(values, it):
    """The contents of a container other than a list, as an array, a list or a tuple."""
    if np.ma.isMaskedArray(values):
        raise UnreadableError(f"a masked array, whose mask would be lost: pass {it}.filled(np.nan)")
    if isinstance(values, tuple) and hasattr(values, "_fields"):
        raise UnreadableError(_why_no_namedtuple(values, it))
    if isinstance(values, (Mapping, Set, MappingView, Iterator)) and not hasattr(type(values), "shape"):
        members = f"{it}.values()" if isinstance(values, Mapping) else it
        raise UnreadableError(f"a {type(values).__name__}; expected an array or a sequence: pass list({members})")
    if isinstance(values, memoryview) or is_stored_array(values):
        return np.asarray(values)
    if is_table(values):
        return _read_table(values, it)
    if is_column(values):
        return _read_column(values, it)
    if isinstance(values, Sequence) and not isinstance(values, (tuple, str, bytes, bytearray)):
        return list(values)
    return values


def numbers(array):
    """Convert an object array of numbers to float64, with None and NA as NaN; return other real arrays as they are."""
    dtype = getattr(array, "dtype", None)
    if getattr(dtype, "kind", None) == "c":
        raise ValueError(f"Complex data not supported: the type is {dtype}; expected real numbers")
    if dtype != np.dtype(object):
        return array
    if _has_members(array):
        return numbers(np.array([np.asarray(row) for row in array]))
    types = _types(array)
    if any(issubclass(kind, (complex, np.complexfloating)) for kind in types):
        raise ValueError("Complex data not supported")
    missing = getattr(sys.modules.get("pandas"), "NA", None)
    if type(missing) in types:
        array = np.array([None if value is missing else value for value in array.flat], object).reshape(array.shape)
    try:
        return array.astype("float64")
    except OverflowError as error:
        raise ValueError(f"{error}") from error


def numbers_of(values, name):
    """Like `numbers`, with `name` in error messages."""
    try:
        return numbers(values)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name} is not an array of numbers: {reason(error)}.") from error


def reason(error):
    """The message of an error, to be embedded in another message."""
    return str(error).rstrip(".")


def is_table(values):
    kind = type(values)
    return hasattr(kind, "columns") and hasattr(kind, "shape")


def names_of(table):
    """Column names of a table."""
    columns = table.column_names if hasattr(type(table), "column_names") else table.columns
    return columns.tolist() if hasattr(columns, "tolist") else list(columns)  # iterating an Index is slower


def is_stored_array(values):
    """Whether `values` is a dataset of h5py or an array of Zarr, which np.asarray reads into memory."""
    kind = type(values)
    return kind.__module__.startswith(("h5py.", "zarr.")) and hasattr(kind, "shape") and hasattr(kind, "dtype")


def is_column(values):
    """Whether `values` is a Series or an array of pandas, Polars or Arrow."""
    kind = type(values)
    of_pandas = hasattr(kind, "isna") and hasattr(kind, "dtype")
    return of_pandas or (hasattr(kind, "is_null") and hasattr(kind, "to_numpy"))


def is_container(values):
    """Whether `values` is an array, table, column or named tuple, rather than a plain sequence or a number."""
    kind = type(values)
    if kind in (list, float, int, str):
        return False
    if hasattr(kind, "ndim"):
        return values.ndim > 0 or np.ma.isMaskedArray(values)
    return hasattr(kind, "_fields") or (hasattr(kind, "__array__") and hasattr(kind, "__len__"))


def holds_steps(member):
    """Whether a list member or table cell may be a series, or is a masked array, which is rejected later."""
    if isinstance(member, (str, bytes, dict)):
        return False
    return np.ma.isMaskedArray(member) if getattr(member, "ndim", 1) == 0 else hasattr(member, "__len__")


def few(values, limit=5):
    """Abbreviated list of values for an error message, with their number if some are omitted."""
    values = list(values)
    if len(values) <= limit:
        return f"{values}"
    return f"[{', '.join(map(repr, values[:limit]))}, ... ({len(values)} in all)]"


class _Brief(reprlib.Repr):
    """repr that abbreviates long containers, numbers and strings."""

    def __init__(self):
        super().__init__()
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = self.maxdeque = 5
        self.maxlevel, self.maxlong, self.maxstring, self.maxother = 2, 40, 80, 80

    def repr_int(self, number, level):
        try:
            return super().repr_int(number, level)
        except ValueError:  # more digits than Python converts
            return f"an integer of {number.bit_length()} bits"


def brief(value):
    """Abbreviated repr of a value for an error message, with the size of a long container."""
    text = " ".join(_Brief().repr(value).split())  # the repr of an array spans several lines
    long = isinstance(value, (Mapping, Sequence, Set)) and not isinstance(value, (str, bytes)) and len(value) > 5
    return f"{text} ({len(value)} in all)" if long else text


def is_numeric(values):
    """Whether `values` is already a numeric NumPy array."""
    return type(values) is np.ndarray and values.dtype.kind in NUMBERS


def _has_members(values):
    """Whether `values` is an object array of series."""
    return getattr(values, "dtype", None) == np.dtype(object) and values.ndim == 1 and any(map(holds_steps, values))


def _types(array):
    return set(map(type, array.ravel().tolist()))


def _why_no_namedtuple(values, it):
    kind = type(values).__name__
    way = f"pass the relevant field, or list({it}) to use all of them"
    if {"data", "batch_sizes"} <= set(values._fields):  # torch's PackedSequence
        way = (
            f"pass torch.nn.utils.rnn.unpack_sequence({it}), or the first result of pad_packed_sequence({it}, "
            "batch_first=True, padding_value=math.nan)"
        )
    return f"a {kind}, a named tuple with fields {few(values._fields)}: {way}"


def _why_no_dates(dtype):
    return (
        f"of type {dtype}; dates and durations are not converted to numbers: convert them first, for example "
        "durations by dividing by np.timedelta64(1, 's'), or labels by astype(str)"
    )


# -- lists ------------------------------------------------------------------------------------------------------


def _read_list(values):
    """A list as one array, unless its members are arrays or have different shapes."""
    if not values or any(map(is_container, values)):
        return values
    try:
        array = np.asarray(values)
    except ValueError:
        return values
    if array.dtype.kind not in "US":
        return array
    # NumPy converts numbers and None to strings if there are strings
    kinds = set(map(type, values)) if array.ndim == 1 else _types(np.array(values, dtype=object))
    return array if _alike(kinds) else np.array(values, dtype=object)


def _alike(kinds):
    """Whether the types are all str, or all bytes."""
    return any(all(issubclass(kind, text) for kind in kinds) for text in (str, bytes))


# -- columns ----------------------------------------------------------------------------------------------------


def _read_column(column, it):
    """A column as an array of the corresponding NumPy dtype, with missing numbers as NaN; a list for series."""
    if hasattr(type(column), "isna"):
        return _read_pandas(column, it)
    array = np.asarray(column)
    if array.dtype == object:
        if _types(array) == {bool, type(None)}:
            return array.astype("float64")
        if _has_members(array):
            return list(array)
    return array


def _read_pandas(column, it):
    dtype = column.dtype
    if dtype.kind in "mM" or dtype.name.startswith("period"):
        raise UnreadableError(_why_no_dates(dtype))
    twin = getattr(dtype, "numpy_dtype", None)
    if twin is not None and dtype.kind in NUMBERS:
        if not column.isna().any():
            return column.to_numpy(dtype=twin)
        return column.to_numpy(dtype=twin if dtype.kind == "f" else np.dtype("float64"), na_value=np.nan)
    return np.asarray(column)


# -- tables -----------------------------------------------------------------------------------------------------


def columns_of(table):
    """Pairs of name and column."""
    if hasattr(type(table), "iloc"):
        return list(table.items())
    return [(name, table[name]) for name in names_of(table)]


def _read_table(table, it):
    dtypes = set(table.dtypes) if hasattr(type(table), "iloc") else ()
    if len(dtypes) == 1 and isinstance(dtype := next(iter(dtypes)), np.dtype) and dtype.kind in NUMBERS:
        return table.to_numpy()  # np.asarray takes a hundred times as long for one row
    columns = columns_of(table)
    arrays = [_of_table(column, f"{it}[{name!r}]") for name, column in columns]
    if not arrays:
        return np.asarray(table)
    if any(array.ndim > 1 or _has_members(array) for array in arrays):
        return _read_cells([f"{it}[{name!r}]" for name, _ in columns], arrays)
    if all(array.dtype.kind in NUMBERS for array in arrays):
        return np.stack(arrays, axis=1, dtype=np.result_type(*arrays))
    return np.stack([array.astype(object) for array in arrays], axis=1)


def _of_table(column, it):
    try:
        array = read(column, it)
    except UnreadableError as error:
        raise UnreadableError(f"a table whose {it} is {error}") from error
    return array if isinstance(array, np.ndarray) else objects(array)


def objects(members):
    """An object array of these members."""
    out = np.empty(len(members), object)
    out[:] = members
    return out


class Cells(list):
    """Series (T_i, C) of a table with series in its cells: each row is one series, and its cells are the channels.

    Attributes
    ----------
    widths : ndarray of shape (n, columns)
        Number of channels of each cell; 0 for a cell of shape (T_i,).
    """

    def __init__(self, members, widths):
        super().__init__(members)
        self.widths = widths


def _read_cells(names, arrays):
    """A table with series in its cells as `Cells`."""
    members, widths = [], []
    for n, cells in enumerate(zip(*arrays, strict=True)):
        channels = [_read_cell(cell, f"{name}[{n}]") for name, cell in zip(names, cells, strict=True)]
        for name, channel in zip(names, channels, strict=True):
            if len(channel) != len(channels[0]):
                raise ValueError(
                    f"{name}[{n}] has {len(channel)} steps, but {names[0]}[{n}] has {len(channels[0])}: the cells of "
                    "one row are the channels of a series, and must have the same number of steps."
                )
        members.append(np.column_stack(channels))
        widths.append([0 if channel.ndim == 1 else channel.shape[1] for channel in channels])
    return Cells(members, np.array(widths))


def _read_cell(cell, it):
    try:
        cell = numbers(np.asarray(read(cell, it)))
    except UnreadableError as error:
        raise TypeError(f"{it} is {error}.") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{it} is not an array of numbers: {reason(error)}.") from error
    if cell.ndim not in (1, 2):
        raise ValueError(f"{it} has shape {cell.shape}; expected a series in every cell, as in other cells.")
    return cell
