"""What is not a sequence of symbols is refused with its place, what it is, what was expected and what to do."""

from collections import namedtuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from fastlstm import symbols

Pair = namedtuple("Pair", ["a", "b"])
DAYS = np.array(["2024-03-05", "2024-03-06"], "M8[ns]")

CONTAINERS = {
    "None": (None, r"^X is None; expected a list of sequences of symbols, each a string, a list"),
    "a string": ("abc", r"^X is a string, 'abc'; expected .*\. To pass a single sequence, pass \[X\]"),
    "bytes": (b"abc", r"^X is b'abc'; expected a list of sequences"),
    "a number": (3, r"^X is 3; expected a list of sequences"),
    "a number of NumPy": (np.float64(2.5), r"^X is .*2\.5.*; expected a list of sequences"),
    "one sequence of ints": ([1, 2], r"^X\[0\] is 1, of type int; .*to pass a single sequence, wrap it in a list"),
    "one array of ints": (np.array([1, 2]), r"^X\[0\] is .*, of type int64; .*wrap it in a list"),
    "a 0-d array": (np.array("abc"), r"^X is array\('abc'.*\); expected a list of sequences"),
    "floats": (np.ones((2, 3)), r"^X is an array of type float64; expected str or int: convert symbols first"),
    "floats in lists": ([[1.0, 2.0]], r"^X\[0\]\[0\] is 1\.0, of type float; expected str or int: convert"),
    "bytes in an array": (np.array([[b"a", b"b"]]), r"^X is an array of type \|S1; expected str or int"),
    "dates": (DAYS, r"^X is an array of type datetime64"),
    "3-D": (np.zeros((2, 3, 4), int), r"^X has shape \(2, 3, 4\); expected .* of shape \(n, T\)\."),
    "dict": ({"a": "b"}, r"^X is a dict; expected an array or a sequence: pass list\(X\.values\(\)\)"),
    "set": ({"a"}, r"^X is a set; .*pass list\(X\)"),
    "iterator": (iter(["ab"]), r"^X is a \w*iterator; .*pass list\(X\)"),
    "named tuple": (Pair("ab", "c"), r"^X is a Pair, a named tuple"),
    "masked array": (np.ma.array([["a", "b"]]), r"^X is a masked array"),
    "a table": (pd.DataFrame({"a": ["b"]}), r"^X is a table; .*pass X\[column\]; .*X\.to_numpy\(\); .*pass \[X\]"),
    "a lazy table": (pl.LazyFrame({"a": ["b"]}), r"^X is <LazyFrame .*>; expected a list of sequences"),
    "one structured array": (np.zeros(2, [("a", "U1")]), r"^X is a structured array .*, a single sequence; .*\[X\]"),
    "nothing": ([], r"^X has 0 sequences; expected at least 1"),
    "an empty column": (pd.Series([], dtype=object), r"^X has 0 sequences"),
    "no row": (np.zeros((0, 3), int), r"^X has 0 sequences"),
    "no step": (np.zeros((3, 0), int), r"^X\[0\] has length 0; expected a sequence of at least 1 symbol"),
    "a column with None": (pd.Series(["ab", None]), r"^X\[1\] is (nan|None), of type \w+; .*: drop missing sequences"),
    "Polars, null": (pl.Series(["ab", None]), r"^X\[1\] is None, of type NoneType; .*: drop missing"),
    "Polars, null list": (pl.Series([["a"], None]), r"^X\[1\] is None, of type NoneType; .*: drop missing"),
    "Polars, null in a list": (pl.Series([["a"], ["b", None]]), r"^X\[1\]\[1\] is None; expected a symbol: drop"),
    "Arrow, null": (pa.array(["ab", None]), r"^X\[1\] is None"),
    "a column of dates": (pd.Series(DAYS), r"^X\[0\] is Timestamp\(.*\), of type Timestamp; expected a string"),
}

MEMBERS = {
    "None": (None, r"^X\[1\] is None, of type NoneType; expected a string, or a list or 1-D array of symbols: drop"),
    "NaN": (float("nan"), r"^X\[1\] is nan, of type float; .*: drop missing sequences"),
    "NA": (pd.NA, r"^X\[1\] is <NA>, of type NAType; .*: drop missing sequences"),
    "a float": (3.5, r"^X\[1\] is 3\.5, of type float; expected a string, or a list"),
    "an int": (3, r"^X\[1\] is 3, of type int; .*: to pass a single sequence, wrap it in a list"),
    "bytes": (b"ab", r"^X\[1\] is b'ab', of type bytes; .*: decode it first"),
    "an object": (object(), r"^X\[1\] is <object .*>, of type object; expected a string"),
    "dict": ({"a": 1}, r"^X\[1\] is a dict; .*pass list\(X\[1\]\.values\(\)\)"),
    "set": ({"a"}, r"^X\[1\] is a set; .*pass list\(X\[1\]\)"),
    "iterator": (iter("ab"), r"^X\[1\] is a \w*iterator; .*pass list\(X\[1\]\)"),
    "generator": ((c for c in "ab"), r"^X\[1\] is a generator; .*pass list\(X\[1\]\)"),
    "named tuple": (Pair("ab", "c"), r"^X\[1\] is a Pair, a named tuple"),
    "masked array": (np.ma.array(["a"]), r"^X\[1\] is a masked array"),
    "dates": (DAYS, r"^X\[1\] is of type datetime64"),
    "a 0-d array": (np.array("a"), r"^X\[1\] is array\('a'.*\), of type ndarray; expected a string"),
    "2-D": (np.array([["a", "b"]]), r"^X\[1\] has shape \(1, 2\); expected a list or 1-D array of symbols"),
    "a list of lists": ([["a"]], r"^X\[1\]\[0\] is \['a'\], of type list; expected str or int, a single symbol"),
    "a list of dicts": ([{"a": 1}], r"^X\[1\]\[0\] is \{'a': 1\}, of type dict; expected str or int, a single symbol"),
    "nothing": ([], r"^X\[1\] has length 0; expected a sequence of at least 1 symbol"),
    "an empty array": (np.array([], int), r"^X\[1\] has length 0"),
    "a string": ("ab", r"^X\[1\] is a str, but X\[0\] is a list: sequences must be either all strings, which are read"),
    "a table": (pd.DataFrame({"a": ["b"]}), r"^X\[0\] is \['a', 'b'\], but X\[1\] is a table"),
    "ints": ([1, 2], r"^X\[1\]\[0\] is 1, but X\[0\]\[0\] is 'a': symbols must be either all str or all int"),
    "an array of ints": (np.array([1]), r"^X\[1\]\[0\] is 1, but X\[0\]\[0\] is 'a'"),
    "bools": ([True], r"^X\[1\]\[0\] is True, but X\[0\]\[0\] is 'a'"),
}

STEPS = {
    "None": (None, r" is None; expected a symbol: drop missing symbols, or replace them by a symbol of their own"),
    "NaN": (float("nan"), r" is nan; expected a symbol: drop missing symbols"),
    "NaN of NumPy": (np.float32("nan"), r" is .*nan.*; expected a symbol: drop missing symbols"),
    "NA": (pd.NA, r" is <NA>; expected a symbol: drop missing symbols"),
    "NaT": (pd.NaT, r" is NaT; expected a symbol: drop missing symbols"),
    "a float": (1.5, r" is 1\.5, of type float; expected str or int: convert symbols first"),
    "bytes": (b"a", r" is b'a', of type bytes; expected str or int: decode it first"),
    "a tuple": (("a",), r" is \('a',\), of type tuple; expected str or int, a single symbol"),
    "an array": (np.array(["a"]), r" is array\(.*\), of type ndarray; expected str or int, a single symbol"),
    "complex": (1j, r" is 1j, of type complex; expected str or int: convert"),
    "a date": (DAYS[0], r" is np\.datetime64\(.*\), of type datetime64; expected str or int: convert"),
}

WORDS = {
    "an empty string": ("", r" is an empty string; .*of unequal lengths, use a list; to mark missing symbols, use a w"),
    "NUL": ("a\0", r" contains the character NUL, which NumPy's strings cannot hold"),
    "an int": (3, r" is 3, but X\[0\]\[0\] is 'a': symbols must be either all str or all int"),
}

NUMBERS = {
    "a string": ("b", r" is 'b', but X\[0\]\[0\] is 1: symbols must be either all str or all int"),
    "too large": (2**63, r" is 9223372036854775808; expected integers that fit into int64"),
    "too small": (-(2**63) - 1, r" is -9223372036854775809; expected integers that fit into int64"),
    "too large for NumPy": (np.uint64(2**63), r" is .*9223372036854775808.*; expected integers that fit into int64"),
    "of 5000 digits": (10**5000, r" is an integer of 16610 bits; expected integers that fit into int64"),
    "a whole float": (2.0, r" is 2\.0, of type float; expected str or int: convert"),
}


def assert_refused(X, message):
    """In fit and later, whatever was fitted."""
    with pytest.raises((TypeError, ValueError), match=message):
        symbols.learn(X, "X", "float32")
    _, schema = symbols.learn(["abc"], "X", "float32")
    if not hasattr(X, "__next__"):
        with pytest.raises((TypeError, ValueError), match=message):
            symbols.read(X, "X", schema, "float32")


@pytest.mark.parametrize(("X", "message"), CONTAINERS.values(), ids=CONTAINERS)
def test_containers_without_sequences_of_symbols_are_refused(X, message):
    assert_refused(X, message)


@pytest.mark.parametrize(("member", "message"), MEMBERS.values(), ids=MEMBERS)
def test_members_that_are_no_sequence_of_symbols_are_refused(member, message):
    assert_refused([["a", "b"], member, ["b"]], message)


@pytest.mark.parametrize("member", [None, float("nan"), b"ab", 3, object()], ids=lambda member: type(member).__name__)
def test_members_that_are_no_string_are_refused_among_strings(member):
    assert_refused(["ab", member], r"^X\[1\] is .*; expected a string")


def test_lists_among_strings_are_refused():
    assert_refused(["ab", ["a"]], r"^X\[1\] is a list, but X\[0\] is a str: sequences must be either all strings")


def test_empty_strings_are_refused():
    assert_refused(["ab", "c", ""], r"^X\[2\] has length 0; expected a sequence of at least 1 symbol")


def test_strings_with_the_character_nul_are_refused():
    assert_refused(["ab", "c", "de\0"], r"^X\[2\]\[2\] is the character NUL, which NumPy's strings cannot hold")


@pytest.mark.parametrize(("symbol", "message"), [*STEPS.values(), *WORDS.values()], ids=[*STEPS, *WORDS])
def test_what_is_no_symbol_is_refused_among_words(symbol, message):
    assert_refused([["a", "b"], ["c"], ["b", symbol]], r"^X\[2\]\[1\]" + message)


@pytest.mark.parametrize(("symbol", "message"), [*STEPS.values(), *NUMBERS.values()], ids=[*STEPS, *NUMBERS])
def test_what_is_no_symbol_is_refused_among_ints(symbol, message):
    assert_refused([np.array([1, 2]), [3], [2, symbol]], r"^X\[2\]\[1\]" + message)


def test_padding_of_an_array_is_refused():
    assert_refused(np.array([["a", "b"], ["c", ""]]), r"^X\[1\]\[1\] is an empty string; .*use a list")


def test_unsigned_integers_beyond_int64_are_refused():
    assert_refused([np.array([1, 2**63], "u8")], r"^X\[0\]\[1\] is 9223372036854775808; expected integers that fit")
    assert_refused([np.array([2**63], "u8"), np.array([-1])], r"^X\[0\]\[0\] is 9223372036854775808; expected integ")


def test_messages_call_y_by_its_name():
    with pytest.raises(ValueError, match=r"^y\[0\]\[1\] is None"):
        symbols.learn([["a", None]], "y", "float32")
    with pytest.raises(ValueError, match=r"^The vocabulary of y is \['a'\]; expected at least 2 symbols"):
        symbols.learn(["aa"], "y", "float32")


@pytest.mark.parametrize("X", [["a" * 10**6, 3.5], [["a"] * 10**6 + [None]], "a" * 10**6, [["a" * 10**6, 3]]])
def test_messages_are_brief(X):
    with pytest.raises(ValueError, match=r"^.{,400}$"):
        symbols.learn(X, "X", "float32")
