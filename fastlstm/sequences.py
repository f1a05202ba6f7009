"""Forms of X to the series that kernels take, and what is computed for their steps back to the form; nothing else knows
the forms.

==================================  ================================================================
form                                meaning
==================================  ================================================================
``(n, T, C)``                       n series of T steps of C channels; where a series ends in steps
                                    of which all channels are NaN, it is shorter
``(n, T)``                          n univariate series of T steps, the oldest value first
list, tuple or object array of n    one series each, of unequal lengths: ``(T_i, C)``, or ``(T_i,)``
==================================  ================================================================

What other containers hold is one of these once `containers` has read it.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from fastlstm import containers
from fastlstm.kernels.lazy import lazy
from fastlstm.kernels.parts import longest_first


@dataclass(frozen=True)
class Series:
    """n series of C channels, each of its own length, somewhere in one flat array."""

    values: np.ndarray
    at: np.ndarray  # [n]: where each starts
    lengths: np.ndarray  # [n]: steps
    channels: int
    form: str = "array"  # or "list", "object": what the series came as,
    T: int = 0  # and of an array its number of steps
    flat: np.ndarray | None = None  # of others [n]: which came as (T_i,)
    widths: np.ndarray | None = None  # of the rows of a table [n, columns]: channels of each cell, 0 of (T_i,)

    @lazy
    def equal(self):
        """Whether all are of one length."""
        return bool((self.lengths == self.lengths[0]).all())

    def __len__(self):
        return len(self.at)

    @lazy
    def steps(self):
        """Steps of all series together."""
        return int(self.lengths.sum())

    @lazy
    def step_at(self):
        """[n]: where each series' steps begin in an array with a row for each step of all."""
        return np.cumsum(self.lengths) - self.lengths

    def steps_of(self, rows):
        """The rows of such an array that belong to the series `rows`, in that order."""
        lengths = self.lengths[rows]
        return np.repeat(self.step_at[rows], lengths) + _within(lengths)

    def step_rows(self, rows, starts):
        """For every row of a packed batch of the series `rows`, its step's row in such an array."""
        t = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        n = np.arange(starts[-1]) - starts[t]
        return self.step_at[rows[n]] + t

    def table(self, copy=True):
        """All steps of all series, one after the other: [steps, C]; without `copy`, it may be their own memory."""
        C = self.channels
        if self.values.size == self.steps * C and np.array_equal(self.at, self.step_at * C):
            rows = self.values.reshape(-1, C)
            return rows.copy() if copy else rows
        return self.values[
            np.repeat(self.at, self.lengths)[:, None] + _within(self.lengths)[:, None] * C + np.arange(C)
        ]

    def with_table(self, table):
        """Series of the same lengths and form whose steps are the rows of `table`."""
        C = table.shape[1]
        return replace(self, values=np.ascontiguousarray(table).reshape(-1), at=self.step_at * C, channels=C)

    def take(self, rows):
        """The series `rows`, in that order; nothing is copied."""
        flat, widths = (None if of_rows is None else of_rows[rows] for of_rows in (self.flat, self.widths))
        return replace(self, at=self.at[rows], lengths=self.lengths[rows], flat=flat, widths=widths)

    def pack(self, rows):
        """`rows` with the longest series first, and where each step's rows start in a packed batch of them."""
        if self.equal:
            return rows, _equal_starts(int(self.lengths[0]), len(rows))
        order, starts = longest_first(self.lengths[rows])
        return rows[order], starts

    @property
    def whole(self):
        """Whether they came as an array in which none ends early."""
        return self.form == "array" and self.equal and bool(self.lengths[0] == self.T)

    def members(self, rows):
        """`rows`, one for every step of all, as a list of one array for each series."""
        return np.split(rows, self.step_at[1:])

    def cells(self, rows):
        """`rows`, one for every step of all, as cells of the table that the series came in: objects [n, columns]."""
        out = np.empty(self.widths.shape, object)
        for n, (member, widths) in enumerate(zip(self.members(rows), self.widths, strict=True)):
            ends = np.cumsum(np.maximum(widths, 1))
            for k, (end, width) in enumerate(zip(ends, widths, strict=True)):
                out[n, k] = member[:, end - width : end] if width else member[:, end - 1]
        return out

    def restore(self, rows):
        """`rows`, one for every step of all, in the form that the series came in.

        NaN stands behind an end in an array (so integers become floats), or None where rows are not numbers.
        """
        if self.form == "array":
            if self.whole:
                return rows.reshape(len(self), self.T, *rows.shape[1:])
            dtype = {"f": rows.dtype, "i": float, "u": float, "b": float}.get(rows.dtype.kind, object)
            out = np.full((len(self), self.T, *rows.shape[1:]), None if dtype is object else np.nan, dtype)
            out[np.arange(self.T) < self.lengths[:, None]] = rows
            return out
        members = self.members(rows)
        return members if self.form == "list" else _objects(members)


@lru_cache(maxsize=8)
def _equal_starts(T, N):
    return np.arange(T + 1) * N


def _within(lengths):
    """0, 1, ... for every length, one after the other."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _objects(members):
    out = np.empty(len(members), object)
    out[:] = members
    return out


def shape_of(X):
    """X's shape as one array."""
    return tuple(X.shape) if hasattr(X, "shape") else np.asarray(X).shape


def is_list(X):
    """Whether X, as `containers` reads it, has a member for each series, rather than being one array."""
    if isinstance(X, (list, tuple)):
        return True
    if getattr(X, "dtype", None) != np.dtype(object) or X.ndim != 1:
        return False
    return not len(X) or any(map(containers.holds_steps, X))


def of_array(X):
    """X of shape (n, T) or (n, T, C) as series."""
    n, T = X.shape[:2]
    C = X.shape[2] if X.ndim == 3 else 1
    return Series(np.ascontiguousarray(X).reshape(-1), np.arange(n) * (T * C), np.full(n, T), C, T=T)


def of_padded(X, name):
    """X of shape (n, T, C) as series that end where only steps of NaN follow."""
    series = of_array(X)
    if not np.isnan(X[:, -1]).all(axis=-1).any():
        return series
    there = ~np.isnan(X).all(axis=-1)
    lengths = np.where(there.any(axis=1), X.shape[1] - np.argmax(there[:, ::-1], axis=1), 0)
    if not lengths.all():
        raise ValueError(f"{name}[{int(np.argmin(lengths))}] has no step: all of its values are NaN.")
    return replace(series, lengths=lengths)


def read_members(X, name):
    """A list or object array of series in any containers as one of arrays of numbers."""
    if isinstance(X, containers.Cells):
        return X
    members = [
        member if containers.is_numeric(member) else _member(member, f"{name}[{n}]") for n, member in enumerate(X)
    ]
    return members if isinstance(X, (list, tuple)) else _objects(members)


def of_members(X, dtype, name):
    """A list or object array of series, as `read_members` gives it, as `Series`."""
    members, flat, channels = [], [], None
    if not len(X):
        raise ValueError(f"{name} has 0 series; expected at least 1.")
    for n, member in enumerate(X):
        if member.ndim not in (1, 2):
            raise ValueError(
                f"{name}[{n}] has shape {member.shape}; expected a series of shape (T, C), or (T,) for one channel."
            )
        if len(member) == 0:
            raise ValueError(f"{name}[{n}] has length 0; expected a series of at least 1 step.")
        flat.append(member.ndim == 1)
        member = member.reshape(len(member), -1)
        if member.shape[1] == 0:
            raise ValueError(f"{name}[{n}] has no channels; expected at least 1.")
        if channels not in (None, member.shape[1]):
            raise ValueError(
                f"{name}[{n}] has {member.shape[1]} channels, but {name}[0] has {channels}: all series must have the "
                "same channels."
            )
        channels = member.shape[1]
        members.append(member)
    lengths = np.array([len(member) for member in members])
    with np.errstate(over="ignore"):  # reported as infinite
        values = np.concatenate([member.astype(dtype, copy=False).reshape(-1) for member in members])
    form = "list" if isinstance(X, (list, tuple)) else "object"
    at = (np.cumsum(lengths) - lengths) * channels
    return Series(values, at, lengths, channels, form, flat=np.array(flat), widths=getattr(X, "widths", None))


def _member(member, name):
    """A member in any container as an array of numbers."""
    member = containers.unpack(member, name)
    try:
        member = containers.numbers(np.asarray(member))
        if member.dtype.kind == "c":
            raise ValueError("Complex data not supported")
        return member if member.dtype.kind in containers.NUMBERS else member.astype("float64")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is not an array of numbers: {containers.reason(error)}.") from error


def check_finite(series, name, missing):
    """`series`, if all values are numbers or, with `missing` "mask" or "keep", NaN; else raise."""
    if np.isfinite(series.values).all():
        return series
    table = series.table()
    wrong = np.isinf(table) if missing != "error" else ~np.isfinite(table)
    if not wrong.any():
        return series
    row, channel = np.argwhere(wrong)[0]
    n = int(np.searchsorted(series.step_at, row, side="right")) - 1
    infinite = np.isinf(table[row, channel])
    what = f"infinity or a value too large for {table.dtype}" if infinite else "NaN"
    advice = "" if infinite else ": fill in what is missing, or pass missing='mask'"
    if advice and series.form == "array" and series.channels == 1:
        advice += "; series that end early are a list, or an array of shape (n, T, C) with NaN at their ends"
    raise ValueError(
        f"Input {name} contains {what} in series {n}, step {row - series.step_at[n]}, channel {channel}{advice}."
    )


def with_mask(series):
    """Series in which NaN became the last value seen, 0 at the start, with a channel more for each: 1 where it was NaN.

    Whether there are any or not, the channels are doubled.
    """
    table = series.table()
    missing = np.isnan(table)
    first = np.repeat(series.step_at, series.lengths)[:, None]
    seen = np.maximum.accumulate(np.where(missing, -1, np.arange(len(table))[:, None]), axis=0)
    filled = np.where(seen >= first, np.take_along_axis(table, np.maximum(seen, 0), axis=0), 0)
    return series.with_table(np.concatenate([filled, missing], axis=1).astype(table.dtype))


def rows_of_steps(values, series, name, X_name="X"):
    """What is given for each step of `series`, as `containers.plain` reads it, with a row for each step of all.

    values: (n, T, ...), of which what lies behind a series' end is left out, or one array (T_i, ...) for each series.
    """
    if is_list(values):
        return _rows_of_members(values, series, name, X_name)
    values = np.asarray(values)
    if values.ndim < 2 or len(values) != len(series):
        raise ValueError(
            f"{name} has shape {values.shape}; expected a value for each step of {X_name}: (n, T) or (n, T, K) with "
            f"n={len(series)}, or one array for each series."
        )
    T = series.T or int(series.lengths.max())
    if values.shape[1] != T or not (series.T or series.equal):
        steps = f"{T} steps" if series.T or series.equal else "series of unequal lengths: pass one array for each"
        raise ValueError(f"{name} has shape {values.shape}, that is {values.shape[1]} steps; {X_name} has {steps}.")
    return values[np.arange(T) < series.lengths[:, None]]


def _rows_of_members(values, series, name, X_name):
    if len(values) != len(series):
        raise ValueError(f"{name} has {len(values)} members; {X_name} has {len(series)} series.")
    members = [np.asarray(member) for member in values]
    for n, member in enumerate(members):
        if member.ndim not in (1, 2) or member.shape[1:] != members[0].shape[1:]:
            raise ValueError(
                f"{name}[{n}] has shape {member.shape}, {name}[0] has {members[0].shape}; expected (T_i,) or (T_i, K), "
                "with the same K for all."
            )
        if len(member) != series.lengths[n]:
            raise ValueError(f"{name}[{n}] has {len(member)} steps; {X_name}[{n}] has {series.lengths[n]}.")
    if len({member.dtype.kind in "US" for member in members}) > 1:  # NumPy would make text of all
        members = [member.astype(object) for member in members]
    return np.concatenate(members)


def blocks(n, T, width, limit=1 << 22):
    """Slices of range(n) of which a block of `width` numbers a step stays below `limit` numbers."""
    size = max(16, limit // (T * width))
    return [slice(first, min(first + size, n)) for first in range(0, n, size)]
