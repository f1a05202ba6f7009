"""Sources of series: what is read from storage, as `Series` in memory.

A source has a length, and these attributes and methods:

=========================================  =========================================================================
``channels``, ``form``, ``T``              as those of `Series`
``flat``, ``widths``                       as those of `Series`
``shape``, ``is_table``                    shape of an array, else None; whether it is 2-D
``empty``                                  of tables, one of no rows with the same columns, else None
``dtype``                                  type of the numbers; float32 only if all are
``lengths``                                [n], number of steps of each series; None for arrays, which may be padded
``arrange(plan)``                          takes a layout, see `layouts.Plan`, before anything is read
``read(rows, first, counts, dtype, room)`` `Series` of ``counts[k]`` steps of series ``rows[k]`` from step ``first[k]``
                                           on, perhaps in the memory of the `Workspace` `room`
=========================================  =========================================================================
"""

import numpy as np

from fastlstm import containers, sequences
from fastlstm.sequences import BLOCK_VALUES


def consecutive(rows):
    """Indices as a slice if they are consecutive numbers."""
    first, n = int(rows[0]), len(rows)
    whole = int(rows[-1]) - first == n - 1 and (n < 3 or bool((np.diff(rows) == 1).all()))
    return slice(first, first + n) if whole else rows


class RectangularSource:
    """Series of an array of shape (n, T, C) or (n, T).

    Parameters
    ----------
    take : callable
        ``take(rows, *slices)`` returns these rows, a slice or an array of indices, as a NumPy array.
    shape : tuple
    dtype : dtype
    empty : table or None
    in_file : memmap or None
        The array, if it is one.
    """

    form, flat, widths, lengths = "array", None, None, None

    def __init__(self, take, shape, dtype, empty=None, in_file=None):
        self._take, self.shape, self.dtype, self.empty, self._in_file = take, tuple(shape), dtype, empty, None
        if in_file is not None and in_file.flags.c_contiguous:  # otherwise, reshaping would copy it
            self._in_file = in_file
        self._columns, self._channels_first = None, False
        self.is_table = len(shape) == 2
        self.T, self.channels = shape[1], 1 if self.is_table else shape[2]

    def arrange(self, plan):
        """Read the series according to a layout, see `layouts.Plan`."""
        if self.is_table and plan.columns is not None:
            self._columns, self._in_file = plan.columns, None
            self.T, self.channels = plan.columns.shape
        elif plan.channels_first and not self.is_table:
            self._in_file = None
            self._channels_first, (_, self.channels, self.T) = True, self.shape

    def __len__(self):
        return self.shape[0]

    def rows(self, rows, dtype):
        """Whole rows of the array, before a table is read according to its layout."""
        return self._block(rows, slice(0, self.T), dtype) if self._columns is None else self._cast(rows, (), dtype)

    def block(self, rows, first, last, dtype):
        """Steps of series [len(rows), last - first, C]."""
        if self._columns is None:
            return self._block(rows, slice(first, last), dtype).reshape(len(rows), last - first, self.channels)
        columns = self._columns[first:last]
        return self._cast(rows, (), dtype).take(columns.reshape(-1), axis=1).reshape(len(rows), *columns.shape)

    def _block(self, rows, steps, dtype):
        if self._channels_first:
            return np.swapaxes(self._cast(rows, (slice(None), steps), dtype), 1, 2)
        return self._cast(rows, (steps,), dtype)

    def _cast(self, rows, slices, dtype):
        block = np.asarray(self._take(consecutive(rows), *slices))
        with np.errstate(over="ignore"):  # reported as infinite
            return block.astype(dtype, copy=False)

    def _copied(self, rows, room):
        """Whole series of a memory map, copied to `room`."""
        flat = self._in_file.reshape(len(self), -1)
        block = room.empty("rows", (len(rows), flat.shape[1]), self.dtype)
        np.take(flat, rows, axis=0, out=block, mode="clip")
        return block.reshape(len(rows), self.T, self.channels)

    def read(self, rows, first, counts, dtype, room=None):
        low, ends = int(first.min()), first + counts
        T = int(ends.max()) - low
        if len(rows) > 1 and T * len(rows) * self.channels > max(BLOCK_VALUES, 2 * int(counts.sum()) * self.channels):
            parts = [self.read(rows[k : k + 1], first[k : k + 1], counts[k : k + 1], dtype) for k in range(len(rows))]
            return sequences.of_table(np.concatenate([part.table() for part in parts]), counts, "list")
        # what other ways of reading return may be a view of the file
        copied = room is not None and self._in_file is not None and T == self.T and dtype == self.dtype
        block = self._copied(rows, room) if copied else self.block(rows, low, low + T, dtype)
        series = sequences.of_array(block)._with(is_scratch=copied)
        if (counts == T).all():
            return series
        return series.cut(first - low, counts)


class MemberSource:
    """Series of a list of arrays (T_i, C) or (T_i,).

    Parameters
    ----------
    read_members : callable
        ``read_members(rows, first, ends)`` returns the steps first[k] to ends[k] of these series, a list of arrays.
    lengths : array [n]
    channels : int
    dtype : dtype
    flat : array [n]
    widths : array [n, 1] or None
    empty : table or None
    """

    form, T, is_table, shape = "list", 0, False, None

    def __init__(self, read_members, lengths, channels, dtype, flat, widths=None, empty=None):
        self._read_members, self.lengths, self.channels, self.dtype = read_members, lengths, channels, dtype
        self.flat, self.widths, self.empty = flat, widths, empty

    def arrange(self, plan):
        """Read the series according to a layout, see `layouts.Plan`."""
        if plan.channels_first and not self.flat.all():
            raise ValueError("The layout has channels first, but this form of X has series of shape (T_i, C).")

    def __len__(self):
        return len(self.lengths)

    def read(self, rows, first, counts, dtype, room=None):
        members = self._read_members(rows, first, first + counts)
        table = np.empty((int(counts.sum()), self.channels), dtype)
        with np.errstate(over="ignore"):  # reported as infinite
            members = [member.reshape(-1, self.channels) for member in members]
            np.concatenate(members, out=table, casting="unsafe")
        return sequences.of_table(table, counts, "list")._with(is_scratch=True)


class ArraysSource(MemberSource):
    """Series of a list of arrays, some of which are stored; usable after `arrange`."""

    def __init__(self, members, name):
        self._members, self._name, self.empty = members, name, None

    def arrange(self, plan):
        name, first, transposed = self._name, None, []
        for n, member in enumerate(self._members):
            shape = tuple(member.shape)
            if len(shape) not in (1, 2) or 0 in shape:
                raise ValueError(
                    f"{name}[{n}] has shape {shape}; expected a series of shape (T, C), or (T,) for one channel, with "
                    "at least 1 step and 1 channel."
                )
            if member.dtype.kind not in containers.NUMBERS:
                raise ValueError(f"{name}[{n}] is of type {member.dtype}; expected real numbers.")
            transposed.append(plan.channels_first and len(shape) == 2)
            C = shape[0] if transposed[-1] else (*shape, 1)[1]
            first = first or C
            if first != C:
                raise ValueError(
                    f"{name}[{n}] has {C} channels, but {name}[0] has {first}: all series must have the same channels."
                )
        self._transposed = transposed
        lengths = [member.shape[-1 if swap else 0] for member, swap in zip(self._members, transposed, strict=True)]
        flat = np.array([len(member.shape) == 1 for member in self._members])
        dtype = common_dtype(member.dtype for member in self._members)
        super().__init__(self._steps_of, np.array(lengths), first, dtype, flat)

    def _steps_of(self, rows, first, ends):
        parts = zip(rows.tolist(), first.tolist(), ends.tolist(), strict=True)
        return [
            np.asarray(self._members[n][:, a:b]).T if self._transposed[n] else np.asarray(self._members[n][a:b])
            for n, a, b in parts
        ]


def of_array(take, X):
    """Source of an array, whose rows `take` reads; None unless it holds numbers and has 2 or 3 axes."""
    if len(X.shape) not in (2, 3) or 0 in X.shape or X.dtype.kind not in containers.NUMBERS:
        return None
    return RectangularSource(take, X.shape, X.dtype, in_file=X if isinstance(X, np.memmap) else None)


def common_dtype(dtypes):
    """float32 if all types are, else float64."""
    return np.dtype("float32" if all(dtype == np.float32 for dtype in dtypes) else "float64")


def of_object(X, name):
    """Source of an object with the methods of `SeriesSource`."""
    lengths = np.asarray(X.lengths())
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or not len(lengths):
        raise ValueError(
            f"{name}.lengths() returned {containers.brief(lengths)}; expected an array of the number of steps of each "
            "series, at least one integer."
        )
    if lengths.min() < 1:
        n = int(np.argmax(lengths < 1))
        raise ValueError(f"{name}.lengths()[{n}] is {lengths[n]}; expected a series with at least 1 step.")
    lengths = lengths.astype(np.int64)
    reader = _ObjectReader(X, lengths, name)
    flat = np.full(len(lengths), reader.ndim == 1)
    return MemberSource(reader, lengths, reader.channels, reader.dtype, flat)


class _ObjectReader:
    """Checked results of ``X.read``."""

    def __init__(self, X, lengths, name):
        self._X, self._lengths, self._name = X, lengths, name
        self._kept = None, None  # a series of which more is likely to be read
        self.dtype = self.ndim = self.channels = None
        (first,) = self._read(np.zeros(1, np.int64))
        self.dtype, self.ndim, self.channels = common_dtype([first.dtype]), first.ndim, first[0].size

    def __call__(self, rows, first, ends):
        if len(rows) == 1:
            if self._kept[0] != rows[0]:
                self._kept = int(rows[0]), self._read(rows)[0]
            members = [self._kept[1]]
        else:
            members = self._read(rows)
        return [member[a:b] for member, a, b in zip(members, first.tolist(), ends.tolist(), strict=True)]

    def _read(self, rows):
        members, call = self._X.read(rows.copy()), f"{self._name}.read({containers.brief(rows.tolist())})"
        if not isinstance(members, (list, tuple, np.ndarray)) or len(members) != len(rows):
            given = f"{len(members)} members" if hasattr(members, "__len__") else f"a {type(members).__name__}"
            raise ValueError(f"{call} returned {given}; expected a list of {len(rows)} arrays, one per row.")
        for n, member in zip(rows.tolist(), members, strict=True):
            if not isinstance(member, np.ndarray) or member.dtype.kind not in containers.NUMBERS:
                what = f"of type {getattr(member, 'dtype', type(member).__name__)}"
                raise ValueError(f"{call} returned a series {what} for row {n}; expected an array of real numbers.")
            if member.ndim not in (1, 2) or 0 in member.shape[1:]:
                raise ValueError(f"{call} returned shape {member.shape} for row {n}; expected (T_i, C) or (T_i,).")
            if len(member) != self._lengths[n]:
                raise ValueError(
                    f"{call} returned {len(member)} steps for row {n}, but {self._name}.lengths() said "
                    f"{self._lengths[n]}: series must not change."
                )
            if self.dtype is not None and (member.ndim, member[0].size) != (self.ndim, self.channels):
                raise ValueError(
                    f"{call} returned shape {member.shape} for row {n}, but row 0 has {self.ndim} axes and "
                    f"{self.channels} channels: all series must have the same channels."
                )
            if self.dtype == np.float32 and member.dtype != np.float32:
                raise ValueError(
                    f"{call} returned a series of type {member.dtype} for row {n}, but row 0 is float32: all series "
                    "must have the same type."
                )
        return list(members)
