"""Data that Dask holds, or that its workers read, as futures of chunks (X, y, sample_weight)."""

from itertools import pairwise

import dask
from dask.delayed import Delayed
from distributed import Future

from fastlstm import containers
from fastlstm.distributed.dask_worker import together

IN_MEMORY = 8  # pieces in which data of the client go to the workers


def chunk_futures(client, given, suffix=""):
    """The members of `given` as futures, where Dask has them.

    Raises ValueError if y or sample_weight are partitioned otherwise than X.
    """
    names, (X, y, sample_weight, *_) = given.named(suffix), given
    if given.load is not None:
        return given.members(suffix)
    if are_chunks(X):
        for name, given in zip(names[1:], (y, sample_weight), strict=True):
            if given is not None:
                raise ValueError(
                    f"{name} was passed, but the members of {names[0]} are chunks (X, y) or (X, y, sample_weight): "
                    "leave it out."
                )
        return [client.compute(chunk) if dask.is_dask_collection(chunk) else chunk for chunk in X]
    _check_form(X, names[0])
    if not dask.is_dask_collection(X):
        return _pieces(X, y, sample_weight)
    for name, given in zip(names[1:], (y, sample_weight), strict=True):
        if given is not None and not dask.is_dask_collection(given):
            raise ValueError(
                f"{name} is a {type(given).__name__}, but {names[0]} a Dask {type(X).__name__}: convert {name} with "
                f"the same chunks, for example dask.array.from_array({name}, chunks={names[0]}.chunks[0])."
            )
    there = {name: of for name, of in zip(names, (X, y, sample_weight), strict=True) if of is not None}
    are_arrays = all(hasattr(of, "numblocks") for of in there.values())
    if are_arrays:  # one by one, what they have in common could become different tasks of the same name
        there = dict(zip(there, dask.optimize(*there.values()), strict=True))
    parts = {name: parts_of(of, name, optimize=not are_arrays) for name, of in there.items()}
    n = len(parts[names[0]])
    for name, of in list(there.items())[1:]:
        _check_alike(there[names[0]], of, names[0], name, n, len(parts[name]))
    columns = [parts.get(name, [None] * n) for name in names]
    futures = [client.compute(column) if column[0] is not None else column for column in columns]
    return [client.submit(together, *row, pure=False) for row in zip(*futures, strict=True)]


def _check_form(X, name):
    """Raise TypeError for delayed objects or futures that are not a list of chunks."""
    if isinstance(X, (Future, Delayed)):
        what = "future" if isinstance(X, Future) else "delayed object"
        raise TypeError(f"{name} is a single {what}; expected a list of them, one for each chunk (X_i, y_i).")
    first = X[0] if isinstance(X, (list, tuple)) and X else None
    if isinstance(first, (list, tuple)) and any(isinstance(of, (Future, Delayed)) for of in first):
        raise TypeError(
            f"{name}[0] is a {type(first).__name__} of delayed objects or futures; expected one for the whole chunk, "
            "such as dask.delayed((X_i, y_i))."
        )


def are_chunks(X):
    return isinstance(X, (list, tuple)) and bool(X) and all(isinstance(of, (Future, Delayed)) for of in X)


def parts_of(collection, name, optimize=True):
    """The partitions of a Dask array, which must be cut along axis 0 only, or of a Dask dataframe."""
    if hasattr(collection, "numblocks"):
        if any(number > 1 for number in collection.numblocks[1:]):
            chunks = ", ".join(["0: 1000", *(f"{axis}: -1" for axis in range(1, collection.ndim))])
            raise ValueError(
                f"{name} has {collection.numblocks} chunks along its axes; expected chunks of whole series: pass "
                f"{name}.rechunk({{{chunks}}}), for example."
            )
        return list(collection.to_delayed(optimize_graph=optimize).ravel())
    # further optimization could merge small files, and those of y otherwise than those of X
    return list(collection.simplify().to_delayed(optimize_graph=False))


def _check_alike(X, y, X_name, y_name, n_parts, n_parts_of_y):
    """Raise ValueError if, as far as Dask knows, two collections are not partitioned alike."""
    unknown = ""
    sizes, sizes_of_y = (of.chunks[0] if hasattr(of, "chunks") else None for of in (X, y))
    if sizes is not None and sizes_of_y is not None:
        known = all(size == size for size in sizes + sizes_of_y)  # else NaN
        are_alike = sizes == sizes_of_y if known else n_parts == n_parts_of_y
        how = f"{y_name}.rechunk({{0: {X_name}.chunks[0]}})"
    else:
        divisions, of_y = (getattr(of, "divisions", (None,)) for of in (X, y))
        known = None not in divisions + of_y
        are_alike = divisions == of_y if known else n_parts == n_parts_of_y
        sizes, sizes_of_y = (divisions, of_y) if known else (f"{n_parts} partitions", f"{n_parts_of_y} partitions")
        how = f"{y_name}.repartition(divisions={X_name}.divisions)"
        if hasattr(y, "chunks"):
            how = f"{y_name}.rechunk((tuple({X_name}.map_partitions(len).compute()), *{y_name}.chunks[1:]))"
        elif not known:
            unknown = f" Where divisions are not known, set them by {X_name}.set_index(...) first."
    if not are_alike:
        raise ValueError(
            f"{y_name} is partitioned otherwise than {X_name}: {containers.brief(sizes_of_y)}, but {X_name} has "
            f"{containers.brief(sizes)}. Pass {how}.{unknown}"
        )


def _pieces(X, y, sample_weight):
    """Data of the client in a few pieces; a source of series without a length is one."""
    n = len(X) if hasattr(X, "__len__") else 0
    bounds = sorted({n * number // IN_MEMORY for number in range(IN_MEMORY + 1)})

    def rows(data, first, last):
        if data is None or not hasattr(data, "__len__"):
            return data
        return (data.iloc if hasattr(data, "iloc") else data)[first:last]

    return [tuple(rows(data, first, last) for data in (X, y, sample_weight)) for first, last in pairwise(bounds)] or [
        (X, y, sample_weight)
    ]
