"""Conversion of sequences of symbols in any form to `Columns`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastlstm import containers
from fastlstm.symbols import events, flat

FORMS = (
    "a list of sequences of symbols, each a string, a list or 1-D array of str or int, or a table; or an array of str "
    "or int of shape (n, T)"
)


@dataclass(frozen=True)
class Columns:
    """All steps of n sequences, one flat array or list per column.

    Attributes
    ----------
    names : tuple or None
        Column names, None unless the sequences are tables or structured arrays.
    kinds : tuple of str
        What each column holds: "characters" of strings, "words", "integers" (as symbols), or "numbers".
    values : tuple of ndarray or list
        The values of each column for all steps of all sequences.
    lengths : ndarray of shape (n,)
        Number of steps of each sequence.
    form : str
        "array" for an array of shape (n, T), "list", or "object" for other containers of n sequences.
    """

    names: tuple | None
    kinds: tuple
    values: tuple
    lengths: np.ndarray
    form: str

    @property
    def of_symbols(self):
        """Indices of the columns of symbols."""
        return [k for k, kind in enumerate(self.kinds) if kind != "numbers"]


def read_columns(X, name, allow_empty=False):
    """X in any form as `Columns`; raises TypeError or ValueError if it holds anything else.

    allow_empty: whether plain sequences may have no symbols.
    """
    members, form = _members(X, name)
    if not len(members):
        raise ValueError(f"{name} has 0 sequences; expected at least 1.")
    if any(map(events.is_table, members)):
        return Columns(*events.read(members, name), form)
    texts = [isinstance(member, str) for member in members]
    if all(texts):
        characters, lengths = flat.join_texts(members, _place(name), allow_empty)
        return Columns(None, ("characters",), (characters,), lengths, form)
    members = [_member(member, f"{name}[{n}]") for n, member in enumerate(members)]
    if any(texts):
        n = texts.index(not texts[0])
        kinds = [f"{name}[{k}] is a {type(members[k]).__name__}" for k in (n, 0)]
        raise ValueError(
            f"{', but '.join(kinds)}: sequences must be either all strings, which are read character by character, or "
            "all lists or arrays of symbols."
        )
    symbols, lengths, kind = flat.join(members, _place(name), allow_empty)
    return Columns(None, (kind,), (symbols,), lengths, form)


def _place(name):
    return lambda n, *t: name + "".join(f"[{index}]" for index in (n, *t))


def _members(X, name):
    """The n sequences in X as passed, and the form of X."""
    if isinstance(X, str):
        raise ValueError(
            f"{name} is a string, {containers.brief(X)}; expected {FORMS}. To pass a single sequence, pass [{name}]."
        )
    if isinstance(X, Sequence) and not isinstance(X, (bytes, bytearray, memoryview)) and not _is_record(X):
        return X, "list"
    if containers.is_table(X):
        raise ValueError(
            f"{name} is a table; expected {FORMS}. To read one column, pass {name}[column]; to read each row as a "
            f"sequence, pass {name}.to_numpy(); and if the table is a single sequence, pass [{name}]."
        )
    if containers.is_column(X):
        X = np.asarray(X, dtype=object)  # Polars would make an array of strings as long as the longest
    elif not hasattr(type(X), "__array__") or np.ma.isMaskedArray(X):
        X = containers.unpack(X, name)  # raises for dicts, sets, iterators, named tuples and masked arrays
    if not hasattr(type(X), "__array__") or not np.ndim(X):
        raise ValueError(f"{name} is {containers.brief(X)}; expected {FORMS}.")
    return _members_of_array(np.asarray(X), name)


def _members_of_array(X, name):
    if X.ndim > 2:
        raise ValueError(f"{name} has shape {X.shape}; expected {FORMS}.")
    if X.dtype.names and X.ndim == 1:
        raise ValueError(
            f"{name} is a structured array of shape {X.shape}, a single sequence; expected {FORMS}. Pass [{name}]."
        )
    if X.dtype.kind in "fcSmM":
        raise ValueError(
            f"{name} is an array of type {X.dtype}; expected str or int: convert symbols first, for example by "
            "astype(str) or astype(int)."
        )
    if X.ndim == 2:
        return list(X), "array"
    return X.tolist() if X.dtype.kind in "UT" else list(X), "object"


def _is_record(values):
    return isinstance(values, tuple) and hasattr(values, "_fields")


def _member(member, it):
    """A sequence of symbols in any container as a list or 1-D array."""
    if isinstance(member, (str, list)) or (isinstance(member, tuple) and not _is_record(member)):
        return member
    array = member
    if not isinstance(member, np.ndarray) or member.dtype.kind not in "iubfSUOT" or np.ma.isMaskedArray(member):
        array = containers.unpack(member, it)
        if isinstance(array, (list, tuple)):
            return array
        array = np.asarray(array) if hasattr(type(array), "__array__") else None
    if not np.ndim(array):
        raise ValueError(
            f"{it} is {containers.brief(member)}, of type {type(member).__name__}; expected a string, or a list or "
            f"1-D array of symbols{_advice(member)}."
        )
    if array.ndim != 1:
        raise ValueError(f"{it} has shape {array.shape}; expected a list or 1-D array of symbols.")
    return array


def _advice(member):
    """What to do about a member that is no sequence."""
    if flat.is_missing(member):
        return ": drop missing sequences"
    if isinstance(member, (bytes, bytearray)):
        return ": decode it first"
    return ": to pass a single sequence, wrap it in a list" if isinstance(member, flat.INTEGERS) else ""
