"""Sequences of events: tables and structured arrays, with columns of symbols and of numbers.

Columns of strings, categories (also of integers) and bools hold symbols; bools are the integers 0 and 1. Columns of
integers and floating-point numbers hold numbers.
"""

from numbers import Number

import numpy as np

from fastlstm import containers
from fastlstm.symbols import flat

#: How the names of data types begin whose values are symbols, whatever they are, in pandas, Polars and Arrow
OF_SYMBOLS = ("bool", "categor", "enum", "dictionary")


def is_table(member):
    """Whether a sequence is a table or a structured array."""
    return member.dtype.names is not None if isinstance(member, np.ndarray) else containers.is_table(member)


def read(members, name):
    """Names, kinds and values of the columns of n tables, and the number of steps of each, as in `Columns`."""
    names = _names(members, name)
    lengths = flat.lengths_of(members, lambda n: f"{name}[{n}]")
    columns = zip(*map(_columns_of, members), strict=True)
    kinds, values = zip(*(_read(*column, name) for column in zip(names, columns, strict=True)), strict=True)
    if set(kinds) == {"numbers"}:
        raise ValueError(
            f"{name} has no column of symbols: its columns {containers.few(names)} hold numbers. Columns of strings, "
            "categories or bools are symbols: convert codes by astype(str) or astype('category')."
        )
    return names, kinds, values, lengths


def _names(members, name):
    """The names of the columns, which all members share."""
    for n, member in enumerate(members):
        if not is_table(member):
            first = f"{name}[{next(k for k, table in enumerate(members) if is_table(table))}]"
            what = f"{name}[{n}] is {containers.brief(member)}, but {first} is a table"
            raise ValueError(f"{what}: sequences must be either all tables or all sequences of symbols.")
        if isinstance(member, np.ndarray) and member.ndim != 1:
            raise ValueError(f"{name}[{n}] has shape {member.shape}; expected a structured array of shape (T,).")
        names = _names_of(member)
        if n == 0:
            of_first = names
        elif names != of_first:
            raise ValueError(
                f"{name}[{n}] has columns {containers.few(names)}, but {name}[0] has columns "
                f"{containers.few(of_first)}: all sequences must have the same columns in the same order."
            )
    if not of_first:
        raise ValueError(f"{name}[0] has no columns; expected at least 1.")
    if len(set(of_first)) < len(of_first) or not all(isinstance(of, str) for of in of_first):
        raise ValueError(f"{name}[0] has columns {containers.few(of_first)}; expected names, each of its own.")
    return tuple(of_first)


def _names_of(member):
    return list(member.dtype.names) if isinstance(member, np.ndarray) else containers.names_of(member)


def _columns_of(member):
    if isinstance(member, np.ndarray):
        return [member[key] for key in member.dtype.names]
    return [column for _, column in containers.columns_of(member)]


def _read(key, parts, name):
    """The kind and the values of a column, from its part in each member."""

    def place(n, *t):
        return f"{name}[{n}][{key!r}]" + "".join(f"[{step}]" for step in t)

    arrays = [containers.unpack(part, place(n)) for n, part in enumerate(parts)]
    symbolic = [_holds_symbols(part, array) for part, array in zip(parts, arrays, strict=True)]
    if any(symbolic):
        for n, array in enumerate(arrays):
            if not symbolic[n] and array.dtype.kind != "O":
                first = place(symbolic.index(True))
                raise ValueError(
                    f"{place(n)} holds numbers of type {array.dtype}, but {first} holds symbols: a column must be of "
                    "the same type in all sequences."
                )
        symbols, _, kind = flat.join(arrays, place)
        return kind, symbols
    arrays = [containers.numbers_of(array, place(n)) for n, array in enumerate(arrays)]
    for n, array in enumerate(arrays):
        if array.ndim != 1:
            raise ValueError(f"{place(n)} has shape {array.shape}; expected one value per step.")
    return "numbers", np.concatenate(arrays)


def _holds_symbols(column, array):
    """Whether a column of a table, which has been read as `array`, holds symbols rather than numbers."""
    dtype = getattr(column, "dtype", None) or getattr(column, "type", None)  # the latter of Arrow
    if str(dtype).lower().startswith(OF_SYMBOLS) or isinstance(array, list):
        return True
    if array.dtype.kind != "O":
        return array.dtype.kind not in "iufc"
    return any(
        isinstance(value, (bool, np.bool_)) or not (isinstance(value, Number) or flat.is_missing(value))
        for value in array.flat
    )
