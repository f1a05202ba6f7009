"""Sources of Arrow tables and of data sets of files, such as Parquet.

Nothing is imported: all methods are those of what the user passes.
"""

import tempfile

import numpy as np

from fastlstm.sequences import BLOCK_VALUES
from fastlstm.storage.sources import MemberSource, RectangularSource, common_dtype, consecutive

NUMBERS = {"halffloat", "float", "double", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}
LISTS = ("list<", "large_list<", "fixed_size_list<")


def of_table(table):
    """Source of an Arrow table of numbers, or of a single column of lists of numbers; None for others."""
    form = _form(table.schema)
    if form is None or not len(table):
        return None
    if form == "lists":
        lengths = np.concatenate([_lengths(chunk) for chunk in table.column(0).chunks])
        if not lengths.all():
            return None
        ((step,),) = _table_reader(table)(np.zeros(1, int), np.zeros(1, int), np.ones(1, int))
        return _of_lists(_table_reader(table, step.size), lengths, table.schema, step.size)

    def take(rows, steps=slice(None)):
        part = _rows(table.select(range(table.num_columns)[steps]), rows)
        return np.stack([np.asarray(column) for column in part.columns], axis=1)

    return RectangularSource(take, table.shape, _dtype(table.schema), table.schema.empty_table())


def of_dataset(dataset, name):
    """Source of a data set of files, whose numbers are first written to a temporary file.

    # Design: to read one row of a Parquet file, thousands are decompressed, and a minibatch consists of rows from
    # anywhere. A file of plain numbers is read at random, and the system keeps as much of it in memory as there is.
    """
    schema = dataset.schema
    form = _form(schema)
    if form is None:
        wrong = [field for field in schema if _kind(field.type) != "number"]
        what = f"column {wrong[0].name!r} of type {wrong[0].type}" if wrong else "no columns"
        raise ValueError(
            f"{name} is a {type(dataset).__name__} with {what}; expected columns of numbers, which are the steps of "
            f"series, or a single column of lists of numbers. Write these to a file of their own, or pass {name}."
            "to_table(columns=[...]) if they fit into memory."
        )
    dtype = _dtype(schema)
    with tempfile.TemporaryFile(prefix="fastlstm-") as file:
        lengths, C = _write(dataset, form, dtype, file)
        if not len(lengths) or not lengths.all():
            where = f"[{int(np.argmin(lengths))}] has length 0" if len(lengths) else " has 0 series"
            raise ValueError(f"{name}{where}; expected at least 1 series, and 1 step in each.")
        file.flush()
        values = np.memmap(file, dtype, "r")  # remains when the file is closed
    if form == "columns":
        values = values.reshape(len(lengths), -1)
        return RectangularSource(
            lambda rows, *steps: values[rows, *steps], values.shape, dtype, schema.empty_table(), values
        )
    values, at = values.reshape(-1, C), np.cumsum(lengths) - lengths

    def read_members(rows, first, ends):
        return [values[n + a : n + b] for n, a, b in zip(at[rows].tolist(), first.tolist(), ends.tolist(), strict=True)]

    return _of_lists(read_members, lengths, schema, C)


def _write(dataset, form, dtype, file):
    """Write the numbers of a data set; returns the length of each series, and the number of channels."""
    lengths, C = [np.zeros(0, int)], None
    size = max(1, BLOCK_VALUES // len(dataset.schema)) if form == "columns" else 1024
    for batch in filter(len, _batches(dataset, size)):  # filters leave empty ones
        if form == "columns":
            values = np.stack([np.asarray(column) for column in batch.columns], axis=1)
            lengths.append(np.full(*values.shape))
        else:
            lengths.append(_lengths(batch.column(0)))
            values = _steps(batch.column(0).flatten(), C)
            C = values[0].size if len(values) else C
        file.write(np.ascontiguousarray(values, dtype).tobytes())
    return np.concatenate(lengths), C


def _batches(dataset, size):
    """Batches of at most `size` rows; of Parquet files, one row group at a time, as others are read ahead."""
    try:
        fragments = list(dataset.get_fragments())
    except ValueError:  # a filtered data set has none
        yield from dataset.to_batches(batch_size=size)
        return
    for fragment in fragments:
        for part in fragment.split_by_row_group() if hasattr(fragment, "split_by_row_group") else [fragment]:
            yield from part.to_batches(schema=dataset.schema, batch_size=size)


def _form(schema):
    """ "columns" if all columns are numbers, "lists" for a single column of lists, or None."""
    kinds = [_kind(field.type) for field in schema]
    if kinds and set(kinds) == {"number"}:
        return "columns"
    return "lists" if kinds == ["lists"] else None


def _kind(of):
    if str(of) in NUMBERS:
        return "number"
    for _ in range(2):
        of = of.value_type if str(of).startswith(LISTS) else of
    return "lists" if str(of) in NUMBERS else None


def _dtype(schema):
    return common_dtype(np.dtype("float32") if _number(field.type) == "float" else None for field in schema)


def _number(of):
    """Name of the type of the numbers."""
    return _number(of.value_type) if str(of).startswith(LISTS) else str(of)


def _rows(table, rows):
    return table.slice(rows.start, rows.stop - rows.start) if isinstance(rows, slice) else table.take(rows)


def _lengths(lists):
    """Lengths of lists, 0 where a list is missing."""
    of = str(lists.type)
    if of.startswith("fixed_size_list<"):
        return np.where(np.asarray(lists.is_null()), 0, lists.type.list_size)
    return np.nan_to_num(np.asarray(lists.value_lengths())).astype(np.int64)


def _steps(values, C=None):
    """Numbers [steps], or [steps, C] if each step is a list of C numbers, by default as many as in the first."""
    if not str(values.type).startswith(LISTS):
        return np.asarray(values)
    lengths = _lengths(values)
    if C is None:
        C = lengths[0] if len(lengths) else 0
    if (lengths != C).any():
        n = int(np.argmax(lengths != C))
        raise ValueError(f"X has a step of {lengths[n]} numbers, but others have {C}: one for each channel.")
    return np.asarray(values.flatten()).reshape(len(values), C)


def _table_reader(table, C=None):
    def read_members(rows, first, ends):
        column, members = _rows(table, consecutive(rows)).column(0), []
        for chunk in filter(len, column.chunks):
            ends_of = np.cumsum(_lengths(chunk))
            members += np.split(_steps(chunk.flatten(), C), ends_of[:-1])
        return [member[a:b] for member, a, b in zip(members, first.tolist(), ends.tolist(), strict=True)]

    return read_members


def _of_lists(read_members, lengths, schema, channels):
    nested = str(schema.field(0).type.value_type).startswith(LISTS)
    n = len(lengths)
    widths = np.full((n, 1), channels if nested else 0)
    return MemberSource(
        read_members, lengths, channels, _dtype(schema), np.full(n, not nested), widths, schema.empty_table()
    )
