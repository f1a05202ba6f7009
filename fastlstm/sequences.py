"""Conversion of every accepted form of X to `Series`, and of results per step back to that form.

No other module knows the forms:

==================================  ================================================================
form                                meaning
==================================  ================================================================
``(n, T, C)``                       n series of T steps with C channels; steps at the end of a series
                                    in which all channels are NaN are padding
``(n, T)``                          n univariate series of T steps, oldest value first
list, tuple or object array of n    n series ``(T_i, C)`` or ``(T_i,)``, of unequal lengths
==================================  ================================================================

Other containers are first converted to one of these by `containers`; what is read from storage is in `storage`.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from fastlstm import containers, kernels
from fastlstm.kernels.lazy import lazy
from fastlstm.kernels.parts import longest_first

BLOCK_VALUES = 1 << 20  # number of values read or checked at a time


@dataclass(frozen=True)
class Series:
    """n series with C channels and individual lengths, stored in one flat array."""

    values: np.ndarray
    at: np.ndarray  # [n]: offset of each series in `values`
    lengths: np.ndarray  # [n]: number of steps
    channels: int
    form: str = "array"  # or "list", "object": the form of X
    T: int = 0  # number of steps of an array
    flat: np.ndarray | None = None  # [n], for other forms: which series were passed as (T_i,)
    widths: np.ndarray | None = None  # [n, columns], for tables of series: channels of each cell, 0 for (T_i,)
    origin: tuple | None = None  # of parts of other series: the index there [n] and the first step there [n] of each
    is_scratch: bool = False  # whether `values` may be overwritten

    @lazy
    def equal(self):
        """Whether all series have the same length."""
        return bool((self.lengths == self.lengths[0]).all())

    def __len__(self):
        return len(self.at)

    @lazy
    def steps(self):
        """Total number of steps."""
        return int(self.lengths.sum())

    @lazy
    def order(self):
        """[n]: indices that stably sort the series by decreasing length."""
        return np.arange(len(self)) if self.equal else np.argsort(-self.lengths, kind="stable")

    @lazy
    def step_at(self):
        """[n]: first row of each series in an array with one row per step of all series."""
        return np.cumsum(self.lengths) - self.lengths

    @lazy
    def is_dense(self):
        """Whether each series follows the previous one in `values`."""
        return np.array_equal(self.at, self.step_at * self.channels)

    def steps_of(self, rows):
        """Rows of such an array that belong to the series `rows`, in that order."""
        lengths = self.lengths[rows]
        return np.repeat(self.step_at[rows], lengths) + within(lengths)

    def step_rows(self, rows, starts):
        """For each row of a packed batch of the series `rows`, the corresponding row of such an array."""
        t = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        n = np.arange(starts[-1]) - starts[t]
        return self.step_at[rows[n]] + t

    def table(self, copy=True):
        """All steps of all series as a table [steps, C]; a view if possible and not `copy`."""
        C = self.channels
        if self.values.size == self.steps * C and self.is_dense:
            rows = self.values.reshape(-1, C)
            return rows.copy() if copy else rows
        return self.values[np.repeat(self.at, self.lengths)[:, None] + within(self.lengths)[:, None] * C + np.arange(C)]

    def with_table(self, table):
        """Series of the same lengths and form with the rows of `table` as steps."""
        C, values = table.shape[1], np.ascontiguousarray(table).reshape(-1)
        at = self.at if self.is_dense and self.channels == C else self.step_at * C
        return self._with(values=values, at=at, channels=C, is_dense=True)

    def _with(self, **changes):
        """Series of the same lengths; what has been computed from the lengths remains."""
        series = object.__new__(Series)
        vars(series).update(vars(self), **changes)
        return series

    def take(self, rows):
        """The series `rows`, in that order, without copying values."""
        flat, widths = (None if of_rows is None else of_rows[rows] for of_rows in (self.flat, self.widths))
        return replace(self, at=self.at[rows], lengths=self.lengths[rows], flat=flat, widths=widths)

    def cut(self, first, counts):
        """`counts` steps of each series, from step `first` on, without copying values."""
        return replace(self, at=self.at + first * self.channels, lengths=counts)

    def located(self, rows, first):
        """The same as a part of other series, see `origin`."""
        return self._with(origin=(rows, first))

    def prepared_by(self, prepare, channels, dtype, fills):
        """The series that `prepare` makes of these, with `channels` channels of type `dtype`.

        fills: whether a value may depend on earlier steps of its series, by those last observed.
        """
        return prepare(self)

    def inputs(self, rows, at, starts):
        """(x, at) of packed series, or chunks of them: flat values, and where in them each of `rows` begins.

        at: where they begin in `values`.
        starts: first packed row of each step.
        """
        return self.values, at

    def each(self, function, requests):
        """Iterate over ``function(*request)``, where the function reads `inputs`; a generator, to be closed."""
        return (function(*request) for request in requests)

    def step_table(self):
        """All steps of all series as a table [steps, C] of which slices of rows may be taken."""
        return self.table(copy=False)

    def parts(self):
        """Iterate over parts in memory, which together are all series."""
        yield self

    def rows_within(self, steps):
        """The series with steps in a slice of all steps of all series, the first of these in each, and their number."""
        first, last, _ = steps.indices(self.steps)
        begin, end = np.searchsorted(self.step_at, (first, last - 1), side="right") - 1
        rows = np.arange(begin, end + 1)
        starts = np.maximum(self.step_at[rows], first)
        ends = np.minimum(self.step_at[rows] + self.lengths[rows], last)
        return rows, starts - self.step_at[rows], ends - starts

    def bytes_to_hash(self):
        """Iterate over bytes that differ between different series."""
        for array in (self.values, self.at, self.lengths):
            yield from bytes_of(array)

    @property
    def type_of_values(self):
        """The dtype of the values."""
        return self.values.dtype

    def between(self, first, last):
        """The series first, ..., last - 1, one after another in an array of their own, without a copy if possible."""
        table = self.table(copy=False)[self.steps_between(first, last)]
        return of_table(table, self.lengths[first:last], "list")

    def steps_between(self, first, last):
        """Slice of the rows, in an array with one row per step, of the series first, ..., last - 1."""
        return slice(int(self.step_at[first]), int(self.step_at[last - 1] + self.lengths[last - 1]))

    def pack(self, rows):
        """`rows` sorted by decreasing length, and the first row of each step in a packed batch of them."""
        if self.equal:
            return rows, _equal_starts(int(self.lengths[0]), len(rows))
        order, starts = longest_first(self.lengths[rows])
        return rows[order], starts

    @property
    def whole(self):
        """Whether X was an array without padding."""
        return self.form == "array" and self.equal and bool(self.lengths[0] == self.T)

    def members(self, rows):
        """Split `rows`, one per step of all series, into a list of one array per series."""
        return np.split(rows, self.step_at[1:])

    def cells(self, rows):
        """Split `rows`, one per step of all series, into the cells of a table like X: object array [n, columns]."""
        out = np.empty(self.widths.shape, object)
        for n, (member, widths) in enumerate(zip(self.members(rows), self.widths, strict=True)):
            ends = np.cumsum(np.maximum(widths, 1))
            for k, (end, width) in enumerate(zip(ends, widths, strict=True)):
                out[n, k] = member[:, end - width : end] if width else member[:, end - 1]
        return out

    def restore(self, rows):
        """Convert `rows`, one per step of all series, to the form of X.

        In an array, padding is NaN (so integers become floats), or None if rows are not numbers.
        """
        if self.form == "array":
            if self.whole:
                return rows.reshape(len(self), self.T, *rows.shape[1:])
            dtype = {"f": rows.dtype, "i": float, "u": float, "b": float}.get(rows.dtype.kind, object)
            out = np.full((len(self), self.T, *rows.shape[1:]), None if dtype is object else np.nan, dtype)
            out[np.arange(self.T) < self.lengths[:, None]] = rows
            return out
        members = self.members(rows)
        return members if self.form == "list" else containers.objects(members)


class PerStep:
    """Values of series [n, ...] as rows of an array with one row per step, of which slices are made."""

    def __init__(self, values, series):
        self._values, self._series = values, series

    def __getitem__(self, steps):
        rows, _, counts = self._series.rows_within(steps)
        return np.repeat(self._values[rows], counts, axis=0)


def header_of(dtype, shape):
    """Description of an array for a hash."""
    return f"{dtype} {shape} ".encode()


def bytes_of(array):
    """The bytes of an array, after a description of it."""
    yield header_of(array.dtype, array.shape)
    yield np.ascontiguousarray(array).data.cast("B")


@lru_cache(maxsize=8)
def _equal_starts(T, N):
    return np.arange(T + 1) * N


def within(lengths):
    """0, 1, ..., length - 1 for each length, concatenated."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def shape_of(X):
    """Shape of X as an array."""
    return tuple(X.shape) if hasattr(X, "shape") else np.asarray(X).shape


def is_list(X):
    """Whether X, as converted by `containers`, is a sequence of series rather than one array."""
    if isinstance(X, (list, tuple)):
        return True
    if getattr(X, "dtype", None) != np.dtype(object) or X.ndim != 1:
        return False
    return not len(X) or any(map(containers.holds_steps, X))


def of_array(X):
    """Series from X of shape (n, T) or (n, T, C)."""
    n, T = X.shape[:2]
    C = X.shape[2] if X.ndim == 3 else 1
    layout = _equal_series if n <= 1024 else _equal_series.__wrapped__  # the arrays of few series are kept
    return layout(n, T, C)._with(values=np.ascontiguousarray(X).reshape(-1))


@lru_cache(maxsize=8)
def _equal_series(n, T, C):
    """n series of T steps without values."""
    step_at, lengths, order = np.arange(n) * T, np.full(n, T), np.arange(n)
    series = Series(None, step_at * C, lengths, C, T=T)
    vars(series).update(equal=True, is_dense=True, steps=n * T, step_at=step_at, order=order)
    for array in (series.at, step_at, lengths, order):
        array.flags.writeable = False
    return series


def of_table(table, lengths, form, flat=None, widths=None):
    """Series from a table [steps, C] of all steps of all series; the other arguments are attributes of `Series`."""
    if form == "array":
        return of_array(table.reshape(len(lengths), int(lengths[0]), -1))
    C = table.shape[1]
    return Series(table.reshape(-1), (np.cumsum(lengths) - lengths) * C, lengths, C, form, flat=flat, widths=widths)


def of_padded(X, name, first=0):
    """Series from X of shape (n, T, C), where trailing steps of NaN are padding; X[0] is series `first` of all."""
    series = of_array(X)
    if not np.isnan(X[:, -1]).all(axis=-1).any():
        return series
    lengths = np.concatenate([_ends(X[rows]) for rows in row_blocks(X)])
    if not lengths.all():
        raise without_steps(name, first + int(np.argmin(lengths)))
    return replace(series, lengths=lengths)


def _ends(X):
    there = ~np.isnan(X).all(axis=-1)
    return np.where(there.any(axis=1), X.shape[1] - np.argmax(there[:, ::-1], axis=1), 0)


def without_steps(name, n):
    return ValueError(f"{name}[{n}] has no steps: all of its values are NaN.")


def row_blocks(X):
    """Slices of the rows of an array with at most about `BLOCK_VALUES` values, so that temporary arrays are small."""
    size = max(1, BLOCK_VALUES * len(X) // max(1, X.size))
    return [slice(first, first + size) for first in range(0, len(X), size)]


def all_finite(X, limit=np.inf):
    """Whether all values of an array are finite and smaller than `limit` in absolute value."""

    def are_finite(values):
        return (np.isfinite(values) if limit == np.inf else np.abs(values) < limit).all()

    if X.size <= BLOCK_VALUES:
        return are_finite(X)
    return all(are_finite(X[rows]) for rows in row_blocks(X))


def read_members(X, name, channels_first=False):
    """A list or object array of series in any container, as a list or object array of numeric arrays.

    channels_first: whether arrays have shape (C, T_i) instead of (T_i, C); the columns of tables are always channels.
    """
    if isinstance(X, containers.Cells):
        return X
    members = [
        member if containers.is_numeric(member) else _member(member, f"{name}[{n}]") for n, member in enumerate(X)
    ]
    if channels_first:
        members = [
            member.T if member.ndim == 2 and not containers.is_table(given) else member
            for given, member in zip(X, members, strict=True)
        ]
    return members if isinstance(X, (list, tuple)) else containers.objects(members)


def of_members(X, dtype, name):
    """Series from a list or object array returned by `read_members`."""
    members, flat, channels = [], [], None
    if not len(X):
        raise ValueError(f"{name} has 0 series; expected at least 1.")
    for n, member in enumerate(X):
        if member.ndim not in (1, 2):
            raise ValueError(
                f"{name}[{n}] has shape {member.shape}; expected a series of shape (T, C), or (T,) for one channel."
            )
        if len(member) == 0:
            raise ValueError(f"{name}[{n}] has length 0; expected a series with at least 1 step.")
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
        table = np.concatenate([member.astype(dtype, copy=False) for member in members])
    form = "list" if isinstance(X, (list, tuple)) else "object"
    return of_table(table, lengths, form, np.array(flat), getattr(X, "widths", None))


def _member(member, name):
    """A series in any container as a numeric array."""
    member = containers.unpack(member, name)
    try:
        member = containers.numbers(np.asarray(member))
        if member.dtype.kind == "c":
            raise ValueError("Complex data not supported")
        return member if member.dtype.kind in containers.NUMBERS else member.astype("float64")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is not an array of numbers: {containers.reason(error)}.") from error


def too_large(value, precision):
    """What is wrong with a number that is infinite in products of this precision, and advice."""
    if np.isinf(value):
        return f"infinity or a value too large for {value.dtype}", ""
    return f"a value too large for {precision}", ": set precision='float32'"


def check_finite(series, name, missing, columns=None, names=None, precision="float32"):
    """Return `series` if all values are finite, or NaN unless ``missing="error"``; raise otherwise.

    columns: for series read from a table, the label of the column of each step and channel [T, C].
    names: the name of each channel [C], if they have names.
    precision: of products, in which values must be finite, too.
    """
    limit = kernels.LIMITS.get(precision, np.inf)
    if all_finite(series.values, limit):
        return series
    table = series.table(copy=False)
    for rows in row_blocks(table):
        sizes = np.abs(table[rows])
        wrong = sizes >= limit if missing != "error" else ~(sizes < limit)
        if wrong.any():
            break
    else:
        return series
    row, channel = np.argwhere(wrong)[0] + (rows.start, 0)
    here = n = int(np.searchsorted(series.step_at, row, side="right")) - 1
    step = row - series.step_at[n]
    if series.origin is not None:
        rows, first = series.origin
        n, step = rows[n], step + first[n]
    is_missing = np.isnan(table[row, channel])
    what, advice = "NaN", ": impute missing values, or set missing='mask'"
    if not is_missing:
        what, advice = too_large(table[row, channel], precision)
    if columns is not None:
        label = columns[row - series.step_at[here] - series.lengths[here], channel]
        place = f"row {n}, column {label if isinstance(label, np.integer) else repr(label)}"
    else:
        place = f"series {n}, step {step}, channel {channel if names is None else repr(names[channel])}"
        if is_missing and series.form == "array" and series.channels == 1:
            advice += "; to pass series of unequal lengths, use a list, or an array of shape (n, T, C) padded with NaN"
    raise ValueError(f"Input {name} contains {what} in {place}{advice}.")


def with_mask(series):
    """Replace NaN by the last observed value, or 0 before the first, and add an indicator channel per channel.

    The number of channels doubles, whether or not values are missing.
    """
    table = series.table()
    missing = np.isnan(table)
    first = np.repeat(series.step_at, series.lengths)[:, None]
    seen = np.maximum.accumulate(np.where(missing, -1, np.arange(len(table))[:, None]), axis=0)
    filled = np.where(seen >= first, np.take_along_axis(table, np.maximum(seen, 0), axis=0), 0)
    return series.with_table(np.concatenate([filled, missing], axis=1).astype(table.dtype))


def rows_of_steps(values, series, name, X_name="X"):
    """Values per step, as returned by `containers.plain`, as an array with one row per step of all `series`.

    values: an array (n, T, ...), whose padding is dropped, or one array (T_i, ...) per series.
    """
    if is_list(values):
        return _rows_of_members(values, series, name, X_name)
    values = np.asarray(values)
    if values.ndim < 2 or len(values) != len(series):
        raise ValueError(
            f"{name} has shape {values.shape}; expected one value per step of {X_name}: an array of shape (n, T) or "
            f"(n, T, K) with n={len(series)}, or one array per series."
        )
    T = series.T or int(series.lengths.max())
    if values.shape[1] != T or not (series.T or series.equal):
        steps = f"{T} steps" if series.T or series.equal else "series of unequal lengths: pass one array per series"
        raise ValueError(f"{name} has shape {values.shape}, so {values.shape[1]} steps, but {X_name} has {steps}.")
    return values[np.arange(T) < series.lengths[:, None]]


def _rows_of_members(values, series, name, X_name):
    if len(values) != len(series):
        raise ValueError(f"{name} has {len(values)} members, but {X_name} has {len(series)} series.")
    members = [np.asarray(member) for member in values]
    for n, member in enumerate(members):
        if member.ndim not in (1, 2) or member.shape[1:] != members[0].shape[1:]:
            raise ValueError(
                f"{name}[{n}] has shape {member.shape}, {name}[0] has {members[0].shape}; expected (T_i,) or (T_i, K) "
                "with the same K for all series."
            )
        if len(member) != series.lengths[n]:
            raise ValueError(f"{name}[{n}] has {len(member)} steps, but {X_name}[{n}] has {series.lengths[n]}.")
    if len({member.dtype.kind in "US" for member in members}) > 1:  # NumPy would convert all to strings
        members = [member.astype(object) for member in members]
    return np.concatenate(members)


def blocks(n, T, width, limit=1 << 22):
    """Slices of range(n) into blocks of sequences with T steps of `width` values, at most about `limit` values each."""
    size = max(16, limit // (T * width))
    return [slice(first, min(first + size, n)) for first in range(0, n, size)]
