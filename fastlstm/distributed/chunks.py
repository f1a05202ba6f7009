"""Chunks of the data, in whatever pieces users have them, and the partitions that are made of these.

Data flow: `read` a chunk -> its `Facts`; `merge` the facts of all chunks -> what the estimator knows of the data;
`encode` each chunk by that; `pieces` -> which rows of which chunks make a partition; `join` these. Partitions are equal
shares of all series in their order, so they do not depend on how the data are cut into chunks.
"""

from typing import NamedTuple

import numpy as np

from fastlstm import containers, sequences
from fastlstm.estimators.atomic import AtomicUpdate
from fastlstm.estimators.data import Data, check_data
from fastlstm.estimators.fitting import begin as begin
from fastlstm.estimators.fitting import prepare as prepare

#: What the attributes set by reading data are called in error messages.
NAMES = {
    "n_features_in_": "channels",
    "_channels": "channels",
    "_columns": "columns",
    "feature_names_in_": "names of channels",
    "_target_names": "names of targets",
    "n_outputs_": "outputs per series",
    "_multilabel": "several labels per series",
    "_output_axis": "an axis of outputs",
}


class Facts(NamedTuple):
    """What all processes must know of a chunk."""

    n: int  # number of series
    dtype: str
    attributes: dict  # that reading it sets in the estimator
    has_weight: bool = True


class Chunk(NamedTuple):
    """A chunk of the data, with labels encoded by its own classes."""

    facts: Facts
    data: Data | None  # None if the chunk has no series


NOTHING = Chunk(Facts(0, "", {}), None)


def read(estimator, reset, X, y=None, sample_weight=None, classes=None, suffix="", schema=None):
    """Validate a chunk, which may be empty; `reset` and the others as in `check_data`.

    schema: where X are symbols, that of all chunks.
    """
    if not _length(X):
        return NOTHING
    update = AtomicUpdate(unfitted(estimator) if reset else estimator)
    update.copy._known_schema = schema
    data = check_data(update.copy, X, y, sample_weight, reset, classes, suffix, of_all=False)
    if data is None:
        return NOTHING
    del update.copy._known_schema
    n, has_weight = len(data.series), bool(data.weights.any())
    return Chunk(Facts(n, str(data.series.type_of_values), update.changes(), has_weight), data)


def _length(X):
    try:
        return len(X) if X is not None else 1
    except TypeError:
        return 1


def unfitted(estimator):
    """A copy with the parameters alone: whatever reading sets is a change, even if an earlier fit has set the same."""
    copy = object.__new__(type(estimator))
    vars(copy).update(estimator.get_params(deep=False))
    return copy


def merge(facts, differing=()):
    """Attributes of the estimator that follow from the facts of all chunks; raise ValueError if these do not agree.

    differing: names of attributes that may differ.
    """
    there = [(number, of) for number, of in enumerate(facts) if of.n]
    if not there:
        raise without_series()
    if not any(of.has_weight for _, of in there):
        raise ValueError("sample_weight is zero for every sample: at least one weight must be positive.")
    first, reference = there[0]
    is_labelled = "classes_" in reference.attributes and not reference.attributes["_multilabel"]
    for number, of in there[1:]:
        if of.dtype != reference.dtype:
            raise ValueError(
                f"X is read as {of.dtype} in chunk {number}, but as {reference.dtype} in chunk {first}: "
                "convert all chunks to the same type."
            )
        for name in {**reference.attributes, **of.attributes}:
            value, expected = of.attributes.get(name), reference.attributes.get(name)
            if (
                name in {"classes_", *differing}
                or (is_labelled and name == "n_outputs_")
                or _are_equal(value, expected)
            ):
                continue
            raise ValueError(
                f"chunk {number} has {_named(name, value)}, but chunk {first} has {_named(name, expected)}: "
                "all chunks must have the same."
            )
    if not is_labelled:
        return reference.attributes
    # a chunk of targets per step has no classes where no step has a weight
    labels = {number: of.attributes["classes_"] for number, of in there if len(of.attributes["classes_"])}
    of_kinds = {of_chunk.dtype.kind: number for number, of_chunk in labels.items()}
    if len({"number" if kind in "iufb" else kind for kind in of_kinds}) > 1:
        raise ValueError(
            f"The labels in y are of several types, for example in chunks {sorted(of_kinds.values())}: use labels "
            "of a single type."
        )
    classes = np.unique(np.concatenate(list(labels.values())))
    return {**reference.attributes, "classes_": classes, "n_outputs_": len(classes)}


def without_series(name="X"):
    """The error if all chunks are empty."""
    return ValueError(f"{name} has 0 series in all chunks; expected at least 1.")


def _are_equal(value, other):
    if isinstance(value, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(value, other)
    return value == other


def _named(name, value):
    what = NAMES.get(name, name)
    if value is None:
        return f"no {what}"
    if isinstance(value, bool):
        return what if value else f"not {what}"
    return f"{what} {containers.few(list(value))}" if isinstance(value, np.ndarray) else f"{value} {what}"


def encode(estimator, chunk, attributes):
    """The data of a chunk with labels encoded by the classes of all chunks."""
    own, classes, data = chunk.facts.attributes.get("classes_"), attributes.get("classes_"), chunk.data
    if data is None or own is None or not len(own) or np.array_equal(own, classes):
        return data
    targets = np.searchsorted(classes, own)[data.targets]
    if estimator._per_step:
        targets[~data.weights.any(axis=1)] = 0  # whatever the chunk, since checkpoints know the data by these
    return data._replace(targets=targets)


def pieces(sizes, n_partitions):
    """(chunk, first, last) of the pieces that make each partition, for chunks of these sizes."""
    ends = np.cumsum(sizes)
    total, out = int(ends[-1]), []
    for number in range(n_partitions):
        first, last = total * number // n_partitions, total * (number + 1) // n_partitions
        of_partition = []
        for chunk, (size, end) in enumerate(zip(sizes, ends, strict=True)):
            begin = int(end) - size
            piece = max(first - begin, 0), min(last - begin, size)
            if piece[0] < piece[1]:
                of_partition.append((chunk, *piece))
        out.append(of_partition)
    return out


def cut(estimator, data, first, last):
    """The series first, ..., last - 1 of data."""
    series, targets, weights = data
    rows = series.steps_between(first, last) if estimator._per_step else slice(first, last)
    return Data(series.between(first, last), targets[rows], weights[rows])


def join(parts):
    """Data of one piece after another as one; None if there are none."""
    if len(parts) < 2:
        return parts[0] if parts else None
    series, targets, weights = zip(*parts, strict=True)
    widths = {of.shape[1] for of in weights}
    if len(widths) > 1:  # one weight for all outputs in one piece, one for each in another
        weights = [np.broadcast_to(of, (len(of), max(widths))) for of in weights]
    return Data(join_series(series), np.concatenate(targets), np.concatenate(weights))


def join_series(parts):
    """Series of one part after another."""
    table = np.concatenate([of.table(copy=False) for of in parts])
    return sequences.of_table(table, np.concatenate([of.lengths for of in parts]), "list")
