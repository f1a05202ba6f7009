"""Series that do not fit into memory, read from where they are stored when they are needed."""

import numpy as np

from fastlstm.storage import arrow, sources
from fastlstm.storage.protocol import SeriesSource
from fastlstm.storage.stored import StoredSeries, stored_series

__all__ = ["SeriesSource", "StoredSeries", "is_read_when_needed", "source_of", "stored_series"]

#: What is recognised, by the packages and names of the classes, which are not imported.
KINDS = {
    ("numpy", "memmap"): "memmap",
    ("h5py", "Dataset"): "hdf5",
    ("zarr", "Array"): "zarr",
    ("pyarrow", "Table"): "table",
    ("pyarrow", "Dataset"): "dataset",
}


def _kind(of):
    """What a class is, or None if its objects are in memory."""
    if of is np.ndarray:
        return None
    for base in of.__mro__:
        kind = KINDS.get((base.__module__.partition(".")[0], base.__name__))
        if kind:
            return kind
    if callable(getattr(of, "lengths", None)) and callable(getattr(of, "read", None)):
        return "object"
    return None


def is_read_when_needed(X):
    """Whether X is of a type that is never in memory."""
    return _kind(type(X)) in ("hdf5", "zarr", "dataset", "object")


def source_of(X, name):
    """The source of series that X is; None if X is in memory, or its type or shape is invalid as that of an array."""
    if isinstance(X, (list, tuple)):
        kinds = {_kind(of) if of is not np.ndarray else "memory" for of in set(map(type, X))}
        if kinds & set(_TAKE) and kinds <= {*_TAKE, "memory"}:
            return sources.ArraysSource(X, name)
        return None
    kind = _kind(type(X))
    if kind in _TAKE:
        return sources.of_array(lambda rows, *slices: _TAKE[kind](X, rows, slices), X)
    if kind == "table":
        return arrow.of_table(X)
    if kind == "dataset":
        return arrow.of_dataset(X, name)
    return sources.of_object(X, name) if kind == "object" else None


def _take_hdf5(X, rows, slices):
    if isinstance(rows, slice):
        return X[rows, *slices]
    rows, inverse = np.unique(rows, return_inverse=True)  # in increasing order, as the library requires
    return X[rows, *slices][inverse]


_TAKE = {
    "memmap": lambda X, rows, slices: X[rows, *slices],
    "hdf5": _take_hdf5,
    "zarr": lambda X, rows, slices: X[rows, *slices] if isinstance(rows, slice) else X.oindex[rows, *slices],
}
