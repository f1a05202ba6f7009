"""What `fit` has learned of the columns of sequences: their names, kinds and vocabularies."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fastlstm import containers, sequences
from fastlstm.symbols.vocabulary import Vocabulary, add_counts, count

MEANINGS = {
    "characters": "strings, which are read character by character",
    "words": "sequences of str",
    "integers": "sequences of int",
}
COLUMN_MEANINGS = {"words": "strings", "integers": "integer symbols", "numbers": "numbers"}


class Counts(NamedTuple):
    """The columns of some sequences, and how often each symbol occurs in them."""

    names: tuple | None
    kinds: tuple
    as_list: bool
    symbols: list  # of each column of symbols, what `count` returns

    @classmethod
    def of(cls, columns):
        counted = [count(columns.values[k]) for k in columns.of_symbols]
        return cls(columns.names, columns.kinds, columns.form == "list", counted)


@dataclass(frozen=True)
class Schema:
    """The columns that a model was fitted with.

    Attributes
    ----------
    names : tuple or None
        Column names; None for plain sequences of symbols.
    kinds : tuple of str
        What each column holds, see `Columns`.
    vocabularies : tuple of Vocabulary
        The vocabulary of each column of symbols, in the order of the columns.
    as_list : bool
        Whether the sequences were passed in a list or tuple, rather than in an array or another container.
    """

    names: tuple | None
    kinds: tuple
    vocabularies: tuple
    as_list: bool

    @classmethod
    def learn(cls, columns, name, max_size=None, min_count=1):
        """Schema of `columns`, with the vocabularies of their symbols; see `Vocabulary.learn`."""
        return cls.of_counts([Counts.of(columns)], name, max_size, min_count)

    @classmethod
    def of_counts(cls, counted, name, max_size=None, min_count=1):
        """Schema of all columns that were counted, whose names and kinds must agree."""
        first, *others = counted
        for number, of in enumerate(others, 1):
            for what, fitted, given in (("columns", first.names, of.names), ("kinds", first.kinds, of.kinds)):
                if fitted != given:
                    raise ValueError(
                        f"Chunk {number} of {name} has {what} {given}, but chunk 0 has {fitted}: all chunks must have "
                        "the same."
                    )
        columns = [k for k, kind in enumerate(first.kinds) if kind != "numbers"]
        vocabularies = tuple(
            Vocabulary.of_counts(
                *add_counts([of.symbols[place] for of in counted]), max_size, min_count,
                name if first.names is None else f"column {first.names[k]!r} of {name}",
            )
            for place, k in enumerate(columns)
        )  # fmt: skip
        return cls(first.names, first.kinds, vocabularies, first.as_list)

    @property
    def n_numbers(self):
        """Number of columns of numbers, C: the first channels of a series."""
        return self.kinds.count("numbers")

    @property
    def channel_names(self):
        """Names of the C + S channels of a series, those of numbers first; None for plain sequences."""
        if self.names is None:
            return None
        order = np.argsort([kind != "numbers" for kind in self.kinds], kind="stable")
        return tuple(self.names[k] for k in order)

    def check(self, columns, name):
        """Raise ValueError unless `columns` have the names and kinds that were fitted."""
        if columns.names != self.names:
            raise ValueError(self._why_other_names(columns.names, name))
        for k, (kind, fitted) in enumerate(zip(columns.kinds, self.kinds, strict=True)):
            if kind != fitted:
                it = name if self.names is None else f"column {self.names[k]!r} of {name}"
                meanings = MEANINGS if self.names is None else COLUMN_MEANINGS
                raise ValueError(
                    f"{it} holds {meanings[kind]}, but the model was fitted with {meanings[fitted]}: pass sequences "
                    "of the same kind as in fit, and a single one in a list."
                )

    def _why_other_names(self, names, name):
        if names is None or self.names is None:
            given, fitted = (
                "plain sequences of symbols" if of is None else f"tables with columns {containers.few(of)}"
                for of in (names, self.names)
            )
            return f"{name} holds {given}, but the model was fitted with {fitted}: pass the same as in fit."
        same = set(names) == set(self.names)
        how = "be in the same order as they were in fit" if same else "match those passed during fit"
        return (
            f"Column names must {how}: the columns of {name} are {containers.few(names)}, but the model was fitted "
            f"with {containers.few(self.names)}."
        )

    def encode(self, columns, dtype):
        """Checked `columns` as Series of type `dtype`, with C channels of numbers and then S channels of codes."""
        dtype = np.dtype(dtype)
        largest = max(map(len, self.vocabularies))
        if dtype.kind == "f" and largest > 2 ** (np.finfo(dtype).nmant + 1):
            raise ValueError(
                f"A vocabulary has {largest} symbols, but {dtype} represents whole numbers only up to "
                f"{2 ** (np.finfo(dtype).nmant + 1)} exactly: limit the size of the vocabulary, or use a wider dtype."
            )
        numbers = [k for k, kind in enumerate(self.kinds) if kind == "numbers"]
        table = np.empty((int(columns.lengths.sum()), len(self.kinds)), dtype)
        with np.errstate(over="ignore"):  # reported as infinite
            for channel, k in enumerate(numbers):
                table[:, channel] = columns.values[k]
        for s, (k, vocabulary) in enumerate(zip(columns.of_symbols, self.vocabularies, strict=True)):
            table[:, len(numbers) + s] = vocabulary.encode(columns.values[k])
        flat = np.full(len(columns.lengths), self.names is None)
        return sequences.of_table(table, columns.lengths, columns.form, flat)

    def decode(self, codes, unknown=None):
        """Plain sequences of symbols in the form that was fitted, from n arrays of codes.

        Sequences are strings, lists of str, or arrays of int, in a list if they were fitted in one, else in an object
        array.

        unknown: symbol that replaces unknown ones; if None, their code is an error.
        """
        (kind,), (vocabulary,) = self.kinds, self.vocabularies
        members = [vocabulary.decode(of_member, unknown) for of_member in codes]
        if kind != "integers":
            members = [member.tolist() for member in members]
        if kind == "characters":
            members = ["".join(member) for member in members]
        return members if self.as_list else containers.objects(members)
