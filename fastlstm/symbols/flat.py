"""Symbols of many sequences as one flat array or list, with their type checked and strings in Unicode's form NFC.

`place` is a function of a sequence n, and optionally of a step t in it, that returns its name in error messages.
"""

import unicodedata
from itertools import chain

import numpy as np

from fastlstm import containers

INTEGERS = (int, np.integer, np.bool_)


def normalized(text):
    """A string in the form NFC."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def join_texts(texts, place, allow_empty=False):
    """The characters of n strings as an array of shape (steps,), and the length of each string."""
    texts = list(map(normalized, texts))
    lengths = lengths_of(texts, place, allow_empty)
    points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), "<u4")
    if not points.all():
        _refuse(int(np.argmin(points)), lengths, place, "is the character NUL, which NumPy's strings cannot hold")
    return points.view("<U1"), lengths


def join(members, place, allow_empty=False):
    """The symbols of n lists or 1-D arrays, the length of each, and whether symbols are "words" or "integers".

    Words are returned as a list of str, integers as an array of int64.
    """
    lengths = lengths_of(members, place, allow_empty)
    if all(isinstance(member, np.ndarray) and member.dtype.kind in "iub" for member in members):
        symbols = np.concatenate(members)
        if np.can_cast(symbols.dtype, np.int64):
            return symbols.astype(np.int64, copy=False), lengths, "integers"
    symbols = [member.tolist() if isinstance(member, np.ndarray) else member for member in members]
    symbols = list(chain.from_iterable(symbols))
    types = set(map(type, symbols))
    if all(issubclass(kind, str) for kind in types):
        if types != {str}:
            symbols = list(map(str.__str__, symbols))  # NumPy would read members of an Enum by their names
        return _normalize(symbols, lengths, place), lengths, "words"
    if all(issubclass(kind, INTEGERS) for kind in types):
        try:
            return np.array(symbols, np.int64), lengths, "integers"
        except OverflowError:
            at = next(at for at, symbol in enumerate(symbols) if not -(2**63) <= symbol < 2**63)
            _refuse(at, lengths, place, f"is {containers.brief(symbols[at])}; expected integers that fit into int64")
    _refuse_types(symbols, lengths, place)


def lengths_of(members, place, allow_empty=False):
    """[n]: number of symbols of each sequence; raises for empty ones unless `allow_empty`."""
    lengths = np.fromiter(map(len, members), np.int64, len(members))
    if not allow_empty and not lengths.all():
        raise ValueError(f"{place(int(np.argmin(lengths)))} has length 0; expected a sequence of at least 1 symbol.")
    return lengths


def is_missing(symbol):
    """Whether a symbol is None, NaN, or pandas' NA or NaT."""
    if isinstance(symbol, (float, np.floating)):
        return symbol != symbol
    return symbol is None or type(symbol).__name__ in ("NAType", "NaTType")


def _normalize(words, lengths, place):
    """The words in the form NFC; raises for words that NumPy's strings cannot tell apart."""
    distinct = set(words)
    bad = {word for word in distinct if not word or "\0" in word}
    if bad:
        at = next(at for at, word in enumerate(words) if word in bad)
        what = "contains the character NUL, which NumPy's strings cannot hold"
        if not words[at]:
            what = (
                "is an empty string; expected symbols of at least 1 character: to pass sequences of unequal lengths, "
                "use a list; to mark missing symbols, use a word"
            )
        _refuse(at, lengths, place, what)
    other = {word: normalized(word) for word in distinct if not word.isascii()}
    return [other.get(word, word) for word in words] if other else words


def _refuse(at, lengths, place, what):
    """Raise ValueError for the symbol at position `at` of all."""
    n, t = _step(at, lengths)
    raise ValueError(f"{place(n, t)} {what}.")


def _step(at, lengths):
    ends = np.cumsum(lengths)
    n = int(np.searchsorted(ends, at, side="right"))
    return n, int(at - ends[n] + lengths[n])


def _refuse_types(symbols, lengths, place):
    """Raise ValueError for the first missing symbol, or else for the first of a wrong type."""
    expected = next((kind for kind in (str, INTEGERS) if isinstance(symbols[0], kind)), ())
    at = next((at for at, symbol in enumerate(symbols) if is_missing(symbol)), None)
    if at is None:
        at = next(at for at, symbol in enumerate(symbols) if not isinstance(symbol, expected))
    symbol = symbols[at]
    if is_missing(symbol):
        what = "; expected a symbol: drop missing symbols, or replace them by a symbol of their own"
    elif isinstance(symbol, (str, *INTEGERS)):
        first = place(*_step(0, lengths))
        what = f", but {first} is {containers.brief(symbols[0])}: symbols must be either all str or all int"
    else:
        what = f", of type {type(symbol).__name__}; expected str or int{_advice(symbol)}"
    _refuse(at, lengths, place, f"is {containers.brief(symbol)}{what}")


def _advice(symbol):
    if isinstance(symbol, (bytes, bytearray)):
        return ": decode it first"
    if hasattr(symbol, "__len__"):
        return ", a single symbol"
    return ": convert symbols first, for example by astype(str) or astype(int)"
