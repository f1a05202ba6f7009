"""Vocabularies: which symbols they keep, and the codes of symbols."""

import pickle
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from fastlstm.symbols import Vocabulary

WORDS = ["the", "cat", "saw", "the", "dog", "the", "cat", "ran"]
CHARACTERS = np.array(list("abracadabra"))
INTS = np.array([5, -3, 5, 70_000, -3, 5, 2**40])
ALL = {"words": WORDS, "array of words": np.array(WORDS), "characters": CHARACTERS, "ints": INTS}
all_kinds = pytest.mark.parametrize("symbols", ALL.values(), ids=ALL)


def test_symbols_are_distinct_and_sorted():
    assert Vocabulary.learn(WORDS).symbols.tolist() == ["cat", "dog", "ran", "saw", "the"]
    assert Vocabulary.learn(CHARACTERS).symbols.tolist() == ["a", "b", "c", "d", "r"]
    assert Vocabulary.learn(INTS).symbols.tolist() == [-3, 5, 70_000, 2**40]


def test_strings_are_sorted_by_code_point():
    symbols = ["é", "z", "Z", "가", "\U0001f600", "\uffff"]
    assert Vocabulary.learn(symbols).symbols.tolist() == ["Z", "z", "é", "가", "\uffff", "\U0001f600"]
    assert Vocabulary.learn(np.array(symbols)) == Vocabulary.learn(symbols)


@all_kinds
def test_the_type_of_symbols(symbols):
    vocabulary = Vocabulary.learn(symbols)
    is_int = symbols is INTS
    assert vocabulary.kind == ("int" if is_int else "str")
    assert vocabulary.symbols.dtype.kind == ("i" if is_int else "U")
    assert len(vocabulary) == len(vocabulary.symbols)


@all_kinds
def test_codes_are_positions_and_decode_to_the_symbols(symbols):
    vocabulary = Vocabulary.learn(symbols)
    codes = vocabulary.encode(symbols)
    assert codes.dtype == np.int64
    assert_array_equal(vocabulary.symbols[codes], symbols)
    assert_array_equal(vocabulary.decode(codes), symbols)


def test_codes_keep_the_shape_of_an_array():
    for symbols in [CHARACTERS[:10].reshape(2, 5), INTS[:6].reshape(3, 2), np.array(WORDS).reshape(4, 2)]:
        vocabulary = Vocabulary.learn(symbols.ravel())
        assert_array_equal(vocabulary.decode(vocabulary.encode(symbols)), symbols)


@pytest.mark.parametrize(
    ("symbols", "unknown"),
    [
        (WORDS, ["", "a", "thee", "the ", "zebra"]),
        (WORDS, np.array(["x", "y"])),  # single characters, none of which is in the vocabulary
        (CHARACTERS, ["ab", "e"]),
        (CHARACTERS, np.array(["A", "e", "z", "가", "\U0001f600"])),
        (INTS, [-4, 0, 6, 2**62, -(2**62)]),
    ],
)
def test_unknown_symbols_have_the_code_behind_the_last(symbols, unknown):
    vocabulary = Vocabulary.learn(symbols)
    assert vocabulary.encode(unknown).tolist() == [len(vocabulary)] * len(unknown)


def test_characters_and_words_in_one_vocabulary():
    vocabulary = Vocabulary.learn(["a", "ab", "b"])
    assert vocabulary.encode(np.array(["b", "a", "c"])).tolist() == [2, 0, 3]


def test_unknown_symbols_are_decoded_to_their_replacement():
    words, ints = Vocabulary.learn(WORDS), Vocabulary.learn(INTS)
    assert words.decode([0, 5], unknown="<something longer>").tolist() == ["cat", "<something longer>"]
    assert ints.decode([0, 4], unknown=-1).tolist() == [-3, -1]


def test_unknown_symbols_without_a_replacement_are_refused():
    with pytest.raises(ValueError, match=r"codes include 5; expected whole numbers from 0 to 4"):
        Vocabulary.learn(WORDS).decode([0, 5])


@pytest.mark.parametrize("code", [6, -1])
def test_codes_that_are_none_are_refused(code):
    with pytest.raises(ValueError, match=f"codes include {code}; expected whole numbers from 0 to 5"):
        Vocabulary.learn(WORDS).decode([0, code], unknown="?")


def test_symbols_of_the_other_type_are_refused():
    words, ints = Vocabulary.learn(WORDS), Vocabulary.learn(INTS)
    with pytest.raises(TypeError, match="symbols are of type int64; expected str"):
        words.encode(INTS)
    with pytest.raises(TypeError, match="symbols are of type <U3; expected int"):
        ints.encode(WORDS)
    with pytest.raises(TypeError, match="unknown is -1; expected a symbol of type str"):
        words.decode([0], unknown=-1)
    with pytest.raises(TypeError, match=r"unknown is '\?'; expected a symbol of type int"):
        ints.decode([0], unknown="?")


# -- limits -----------------------------------------------------------------------------------------------------


def test_the_most_frequent_symbols_are_kept():
    assert Vocabulary.learn(WORDS, max_size=2).symbols.tolist() == ["cat", "the"]
    assert Vocabulary.learn(CHARACTERS, max_size=3).symbols.tolist() == ["a", "b", "r"]
    assert Vocabulary.learn(INTS, max_size=2).symbols.tolist() == [-3, 5]


def test_of_equally_frequent_symbols_the_smaller_is_kept():
    assert Vocabulary.learn(WORDS, max_size=4).symbols.tolist() == ["cat", "dog", "ran", "the"]
    assert Vocabulary.learn([3, 2, 1, 0], max_size=2).symbols.tolist() == [0, 1]


@all_kinds
def test_a_limit_that_is_not_reached_changes_nothing(symbols):
    assert Vocabulary.learn(symbols, max_size=100, min_count=1) == Vocabulary.learn(symbols)


def test_rare_symbols_are_left_out():
    assert Vocabulary.learn(WORDS, min_count=2).symbols.tolist() == ["cat", "the"]
    assert Vocabulary.learn(INTS, min_count=2).symbols.tolist() == [-3, 5]
    assert Vocabulary.learn(CHARACTERS, max_size=2, min_count=2).symbols.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("symbols", "options", "message"),
    [
        (["a", "a"], {}, r"The vocabulary of X is \['a'\]; expected at least 2 symbols: .* carries no information"),
        ([7, 7], {}, r"The vocabulary of X is \[7\]; expected at least 2 symbols"),
        (
            WORDS,
            {"max_size": 1},
            r"is \['the'\]; .*, min_count=1 and max_vocabulary=1 leave out all others: change these",
        ),
        (WORDS, {"min_count": 9}, r"is empty; .* of \['cat', 'dog', .*\], min_count=9 leave out all others"),
        ([*"ab", "x" * 999], {"min_count": 2}, r"is empty; .{,250}$"),
    ],
)
def test_a_vocabulary_of_fewer_than_two_symbols_is_refused(symbols, options, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary.learn(symbols, **options, name="X")


# -- objects ----------------------------------------------------------------------------------------------------


@all_kinds
def test_pickled_vocabularies_are_equal(symbols):
    vocabulary = Vocabulary.learn(symbols)
    size = len(pickle.dumps(vocabulary))
    vocabulary.encode(symbols)
    assert len(pickle.dumps(vocabulary)) == size  # without tables that are computed on first use
    assert pickle.loads(pickle.dumps(vocabulary)) == vocabulary


def test_vocabularies_are_compared_by_type_and_symbols():
    assert Vocabulary.learn(["a", "b"]) == Vocabulary.learn(["b", "a", "b"])
    assert Vocabulary.learn(["a", "b"]) != Vocabulary.learn(["a", "c"])
    assert Vocabulary.learn(["1", "2"]) != Vocabulary.learn([1, 2])
    assert Vocabulary.learn(["1", "2"]) != ["1", "2"]


def test_vocabularies_cannot_be_changed():
    vocabulary = Vocabulary.learn(WORDS)
    with pytest.raises(ValueError, match="read-only"):
        vocabulary.symbols[0] = "x"
    with pytest.raises(AttributeError):
        vocabulary.symbols = np.array(["x", "y"])
    with pytest.raises(ValueError, match="read-only"):
        pickle.loads(pickle.dumps(vocabulary)).symbols[0] = "x"


letters = st.characters(min_codepoint=1)


@given(st.lists(letters, min_size=2).filter(lambda symbols: len(set(symbols)) > 1), st.lists(letters))
def test_arrays_of_characters_have_the_codes_of_lists(symbols, others):
    of_list, of_array = Vocabulary.learn(symbols), Vocabulary.learn(np.array(symbols))
    assert of_list == of_array
    assert of_list.symbols.tolist() == sorted(set(symbols))
    others = symbols + others
    assert_array_equal(of_array.encode(np.array(others)), of_list.encode(others))


@pytest.mark.slow
def test_ten_million_characters_are_encoded_within_two_seconds():
    rng = np.random.default_rng(0)
    characters = (rng.zipf(1.3, 10_000_000) % 11_000 + 44_032).astype("u4").view("U1")
    begin = time.perf_counter()
    Vocabulary.learn(characters).encode(characters)
    assert time.perf_counter() - begin < 2
