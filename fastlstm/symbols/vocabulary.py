"""Vocabularies: the symbols that a model knows, and their codes."""

from collections import Counter
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from fastlstm import containers
from fastlstm.kernels.lazy import lazy


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """V symbols with the codes 0, ..., V - 1; the code V stands for all unknown symbols.

    Strings are compared by code point.

    Attributes
    ----------
    symbols : ndarray of shape (V,), str or int64
        The symbols in ascending order: the position of a symbol is its code.
    """

    symbols: np.ndarray

    def __post_init__(self):
        self.symbols.flags.writeable = False

    @classmethod
    def learn(cls, symbols, max_size=None, min_count=1, name="symbols"):
        """Vocabulary of the distinct symbols of a flat array or list of non-empty str or of int.

        Parameters
        ----------
        symbols : ndarray or list of shape (n_symbols,)
            All symbols of all sequences.
        max_size : int or None
            Maximum size of the vocabulary, which keeps the most frequent symbols; of equally frequent ones, the
            smaller. If None, unlimited.
        min_count : int
            Symbols that occur less often are left out.
        name : str
            What the symbols are called in error messages.

        Raises
        ------
        ValueError
            If fewer than two symbols remain.
        """
        return cls.of_counts(*count(symbols), max_size, min_count, name)

    @classmethod
    def of_counts(cls, distinct, counts, max_size=None, min_count=1, name="symbols"):
        """The same for what `count` returns."""
        kept = np.flatnonzero(counts >= min_count)
        if max_size is not None:
            kept = np.sort(kept[np.argsort(-counts[kept], kind="stable")[:max_size]])
        if len(kept) < 2:
            raise ValueError(_why_too_small(distinct, kept, max_size, min_count, name))
        return cls(distinct[kept])

    @property
    def kind(self):
        """Type of the symbols: "str" or "int"."""
        return "str" if self.symbols.dtype.kind == "U" else "int"

    def __len__(self):
        return len(self.symbols)

    def __eq__(self, other):
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return self.kind == other.kind and np.array_equal(self.symbols, other.symbols)

    __hash__ = None

    def __reduce__(self):  # without what is computed on first use
        return Vocabulary, (self.symbols,)

    def encode(self, symbols):
        """Codes, int64, of an array or list of symbols; those not in the vocabulary have the code V."""
        V = len(self)
        if self.kind == "int":
            symbols = np.asarray(symbols)
            if symbols.dtype.kind not in "iub":
                raise TypeError(f"symbols are of type {symbols.dtype}; expected int, like those of the vocabulary.")
            codes = np.minimum(np.searchsorted(self.symbols, symbols), V - 1)
            return np.where(self.symbols[codes] == symbols, codes, V)
        if isinstance(symbols, np.ndarray):
            if symbols.dtype.kind not in "UOT":
                raise TypeError(f"symbols are of type {symbols.dtype}; expected str, like those of the vocabulary.")
            if _are_characters(symbols):
                # Design: a table takes a fifth of the time of a binary search, 0.13 s for 10 million characters.
                return self._code_at[np.minimum(_code_points(symbols), len(self._code_at) - 1)]
            return self.encode(symbols.ravel().tolist()).reshape(symbols.shape)
        return np.fromiter(map(self._code_of.get, symbols, repeat(V)), np.int64, len(symbols))

    def decode(self, codes, unknown=None):
        """Symbols of an array of codes.

        unknown: symbol that replaces unknown ones; if None, their code is an error.
        """
        codes, V = np.asarray(codes), len(self)
        if unknown is not None and not isinstance(unknown, str if self.kind == "str" else (int, np.integer)):
            raise TypeError(f"unknown is {containers.brief(unknown)}; expected a symbol of type {self.kind}.")
        last = V - 1 if unknown is None else V
        wrong = (codes < 0) | (codes > last)
        if wrong.any():
            raise ValueError(f"codes include {codes[wrong][0]}; expected whole numbers from 0 to {last}.")
        symbols = self.symbols[np.minimum(codes, V - 1)]
        return symbols if unknown is None else np.where(codes == V, unknown, symbols)

    @lazy
    def _code_of(self):
        return {symbol: code for code, symbol in enumerate(self.symbols.tolist())}

    @lazy
    def _code_at(self):
        """Code of each code point up to that of the last symbol of one character; the last entry is for all others."""
        single = np.flatnonzero(np.strings.str_len(self.symbols) == 1)
        points = _code_points(self.symbols[single].astype("U1"))
        table = np.full(int(points.max(initial=0)) + 2, len(self))
        table[points] = single
        return table


def _are_characters(symbols):
    """Whether the symbols are an array of single characters."""
    return isinstance(symbols, np.ndarray) and symbols.dtype.kind == "U" and symbols.dtype.itemsize == 4


def _code_points(characters):
    return np.ascontiguousarray(characters, "<U1").view("<u4")


def count(symbols):
    """The distinct symbols in ascending order, and how often each occurs; see `Vocabulary.learn`."""
    if _are_characters(symbols):
        points, counts = np.unique(_code_points(symbols), return_counts=True)
        return points.view("<U1").astype("U1", copy=False), counts
    array = symbols if isinstance(symbols, np.ndarray) else np.array(symbols[:1])
    if array.dtype.kind in "iub":
        return np.unique(np.asarray(symbols, np.int64), return_counts=True)
    count_of = Counter(symbols.tolist() if isinstance(symbols, np.ndarray) else symbols)
    distinct = sorted(count_of)
    return np.array(distinct, "U"), np.array([count_of[symbol] for symbol in distinct], np.int64)


def add_counts(counted):
    """What `count` returns for the symbols of all of several."""
    distinct, counts = zip(*counted, strict=True)
    there = [of for of in distinct if len(of)] or distinct  # what is empty may be of another type
    distinct, places = np.unique(np.concatenate(there), return_inverse=True)
    total = np.zeros(len(distinct), np.int64)
    np.add.at(total, places.ravel(), np.concatenate(counts))
    return distinct, total


def _why_too_small(distinct, kept, max_size, min_count, name):
    has = f"is {containers.brief(distinct[kept].tolist())}" if len(kept) else "is empty"
    why = "a symbol that never changes carries no information"
    if len(distinct) > 1:
        limits = f"min_count={min_count}" + ("" if max_size is None else f" and max_vocabulary={max_size}")
        why = f"of {containers.brief(distinct.tolist())}, {limits} leave out all others: change these limits"
    return f"The vocabulary of {name} {has}; expected at least 2 symbols: {why}."
