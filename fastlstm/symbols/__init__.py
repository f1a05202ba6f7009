"""Sequences of symbols: what users pass to codes, and codes to what users expect.

==================================  ================================================================
form of X                           meaning
==================================  ================================================================
list, tuple, object array or        n sequences of unequal lengths, each of them a str, read character
column of n                         by character, or a list or 1-D array of str or int
``(n, T)`` array of str or int      n sequences of T symbols
list, tuple or object array of n    n sequences of events, one row per event: columns of strings,
tables or structured arrays         categories and bools hold symbols, other columns numbers
==================================  ================================================================

Strings are normalised to Unicode's form NFC, which may change the number of characters, and then compared by code
point. Data flow:

1. `columns.read_columns`: X -> `Columns`, one flat array of the steps of all sequences for each column. `flat` checks
   and joins symbols, `events` tables.
2. `Schema.learn`, in fit: `Columns` -> `Schema`, the names and kinds of the columns and a `Vocabulary` for each column
   of symbols. `Schema.check`, later: raises if these columns are not the ones that were fitted.
3. `Schema.encode`: `Columns` -> `sequences.Series` with C + S channels: first the C columns of numbers, then the codes
   of the S columns of symbols as floating-point numbers. ``Series.restore`` returns results per step in the form of X.
4. `Schema.decode`: n arrays of codes -> sequences of symbols in the form that was fitted.

`learn` is steps 1, 2 and 3 of fit, `read` those of later calls; `to_lists` is step 1, for what needs no codes.
Codes beyond that of unknown symbols are free for special symbols of a model, such as start and end.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from fastlstm import containers, sequences
from fastlstm.symbols.columns import read_columns
from fastlstm.symbols.flat import normalized
from fastlstm.symbols.schema import Counts, Schema
from fastlstm.symbols.vocabulary import Vocabulary

__all__ = [
    "Schema",
    "Vocabulary",
    "are_texts",
    "characters",
    "check_plain",
    "counts",
    "learn",
    "read",
    "read_step",
    "to_lists",
]


def learn(X, name, dtype, max_size=None, min_count=1, missing="error", allow_empty=False):
    """Series of the codes of X, and the `Schema` with the vocabularies of X.

    Parameters
    ----------
    X : sequences of symbols
        In any of the forms above.
    name : str
        Name of X in error messages, for example "y".
    dtype : dtype
        Type of the values of the series: floating-point, or, if X has no column of numbers, integer.
    max_size, min_count : int
        Limits of each vocabulary, see `Vocabulary.learn`.
    missing : "error" or "keep"
        Whether NaN in a column of numbers raises an error or is preserved. Missing symbols are errors.
    allow_empty : bool
        Whether plain sequences may have no symbols.

    Raises
    ------
    TypeError, ValueError
        If X is none of these forms, or a vocabulary would have fewer than two symbols.
    """
    columns = read_columns(X, name, allow_empty)
    schema = Schema.learn(columns, name, max_size, min_count)
    return _encode(columns, schema, name, dtype, missing), schema


def counts(X, name, allow_empty=False):
    """How often each symbol of X occurs, from which, with those of others, ``Schema.of_counts`` makes a schema."""
    return Counts.of(read_columns(X, name, allow_empty))


def read(X, name, schema, dtype, missing="error", allow_empty=False):
    """Series of the codes of X, whose columns must be those of `schema`; the parameters are those of `learn`."""
    columns = read_columns(X, name, allow_empty)
    schema.check(columns, name)
    return _encode(columns, schema, name, dtype, missing)


def read_step(x_t, name, schema, dtype, n):
    """Channels [n, C + S] of the next step of n sequences: a symbol for each, or a table with a row for each."""
    if n == 1 and isinstance(x_t, (str, int, np.integer)) and schema.names is None:
        x_t = [x_t]
    columns = read_columns([x_t], name)
    if schema.kinds == ("characters",) and columns.kinds == ("words",):
        longer = [symbol for symbol in columns.values[0] if len(symbol) > 1]
        if longer:
            raise ValueError(f"{name} has {longer[0]!r}; expected one character, as the model was fitted with strings.")
        columns = replace(columns, kinds=schema.kinds)
    schema.check(columns, name)
    if columns.lengths[0] != n:
        raise ValueError(f"{name} has {columns.lengths[0]} steps; expected {n}, one for each stream.")
    return _encode(columns, schema, name, dtype, "error").table(copy=False)


def to_lists(X, name, allow_empty=False):
    """The symbols of each plain sequence of X as a list, and their kind, see `Columns`; None if there are no symbols.

    allow_empty: whether sequences may have no symbols.
    """
    columns = read_columns(X, name, allow_empty)
    check_plain(columns.names, name)
    (kind,), (values,) = columns.kinds, columns.values
    values = values.tolist() if isinstance(values, np.ndarray) else values
    ends = columns.lengths.cumsum().tolist()
    return [values[start:end] for start, end in pairwise([0, *ends])], kind if values else None


def check_plain(names, name):
    """Raise ValueError if sequences have columns, the names of which are `names`."""
    if names is not None:
        raise ValueError(
            f"{name} has tables with the columns {containers.few(names)}; expected plain sequences of symbols."
        )


def are_texts(y):
    """Whether y holds one string per sequence, whose characters are the targets of its steps."""
    if isinstance(y, (str, np.ndarray)) and np.ndim(y) != 1:
        return False
    try:
        members = list(y)
    except TypeError:
        return False
    return bool(members) and all(isinstance(member, str) for member in members)


def characters(texts):
    """Characters of each string, normalised like those of X."""
    return [list(normalized(text)) for text in texts]


def _encode(columns, schema, name, dtype, missing):
    series = schema.encode(columns, dtype)
    return sequences.check_finite(series, name, missing, names=schema.channel_names) if schema.n_numbers else series
