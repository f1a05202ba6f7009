"""Sequences of symbols in every form are read as the same codes, and results come back in the form of X."""

import pickle
import unicodedata
from collections import deque
from enum import Enum

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from helpers import objects
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from fastlstm import symbols

TEXTS = ["to be", "or", "not to be"]
WORDS = [text.split() for text in TEXTS]
INTS = [[3, 1, 2], [7], [2, 2, 9, -1]]
GRID = np.array([["a", "b", "c"], ["b", "b", "d"]])

TEXTS_IN = {
    "list": list,
    "tuple": tuple,
    "deque": deque,
    "array": np.array,
    "object array": objects,
    "StringDType": lambda texts: np.array(texts, np.dtypes.StringDType()),
    "pandas": lambda texts: pd.Series(texts, index=range(5, 8)),
    "pandas, object": lambda texts: pd.Series(texts, dtype=object),
    "pandas, string": lambda texts: pd.Series(texts, dtype="string"),
    "pandas, category": lambda texts: pd.Series(texts, dtype="category"),
    "pandas Index": pd.Index,
    "polars": pl.Series,
    "polars, category": lambda texts: pl.Series(texts, dtype=pl.Categorical),
    "arrow": pa.array,
    "arrow, chunks": lambda texts: pa.chunked_array([texts[:1], texts[1:]]),
    "arrow, dictionary": lambda texts: pa.array(texts).dictionary_encode(),
}
LISTS_IN = {
    "list": list,
    "tuple of tuples": lambda lists: tuple(map(tuple, lists)),
    "arrays": lambda lists: list(map(np.array, lists)),
    "object arrays": lambda lists: [np.array(member, object) for member in lists],
    "object array of arrays": lambda lists: objects(list(map(np.array, lists))),
    "pandas": pd.Series,
    "pandas members": lambda lists: list(map(pd.Series, lists)),
    "polars": pl.Series,
    "polars members": lambda lists: list(map(pl.Series, lists)),
    "arrow": pa.array,
    "arrow members": lambda lists: list(map(pa.array, lists)),
    "lists and arrays": lambda lists: [lists[0], np.array(lists[1]), tuple(lists[2])],
    "deques": lambda lists: list(map(deque, lists)),
}


def learn(X, name="X", dtype="float32", **options):
    return symbols.learn(X, name, dtype, **options)


def read(X, schema, name="X", dtype="float32"):
    return symbols.read(X, name, schema, dtype)


def codes_of(series):
    """The codes of each member."""
    return [member[:, -1].astype(int) for member in series.members(series.table())]


def assert_same_members(these, those):
    assert len(these) == len(those)
    for one, other in zip(these, those, strict=True):
        assert_array_equal(one, other, strict=True)


@pytest.mark.parametrize("form", TEXTS_IN.values(), ids=TEXTS_IN)
def test_strings_are_read_by_character(form):
    series, schema = learn(form(TEXTS))
    (vocabulary,) = schema.vocabularies
    assert schema.kinds == ("characters",)
    assert vocabulary.symbols.tolist() == sorted(set("".join(TEXTS)))
    assert series.lengths.tolist() == list(map(len, TEXTS))
    assert_same_members(
        [vocabulary.symbols[codes] for codes in codes_of(series)], [np.array([*text]) for text in TEXTS]
    )


@pytest.mark.parametrize("form", LISTS_IN.values(), ids=LISTS_IN)
@pytest.mark.parametrize("lists", [WORDS, INTS], ids=["words", "ints"])
def test_lists_are_read_by_symbol(form, lists):
    series, schema = learn(form(lists))
    (vocabulary,) = schema.vocabularies
    assert schema.kinds == ("words" if lists is WORDS else "integers",)
    assert vocabulary.symbols.tolist() == sorted({symbol for member in lists for symbol in member})
    assert series.lengths.tolist() == list(map(len, lists))
    assert [vocabulary.symbols[codes].tolist() for codes in codes_of(series)] == lists


@pytest.mark.parametrize("dtype", ["i8", "u1", "u8", ">i4", "?"])
def test_arrays_of_any_type_of_integers(dtype):
    members = [np.array([1, 0, 1], dtype), np.array([0], dtype)]
    series, schema = learn(members)
    assert schema.vocabularies[0].symbols.tolist() == [0, 1]
    assert [codes.tolist() for codes in codes_of(series)] == [[1, 0, 1], [0]]


def test_integers_of_several_types():
    members = [np.array([1, 2**40]), np.array([3], "u8"), [np.int8(-1), True]]
    _, schema = learn(members)
    assert schema.vocabularies[0].symbols.tolist() == [-1, 1, 3, 2**40]


@pytest.mark.parametrize(
    "form",
    [np.asarray, lambda grid: grid.astype(object), lambda grid: grid.T.copy().T, lambda grid: grid.astype("T")],
    ids=["str", "object", "strided", "StringDType"],
)
def test_rows_of_an_array_are_sequences(form):
    series, schema = learn(form(GRID))
    assert schema.kinds == ("words",)
    assert_array_equal(series.restore(series.table()[:, 0]), [[0, 1, 2], [1, 1, 3]])
    assert series.whole


def test_rows_of_an_integer_array_are_sequences():
    series, schema = learn(np.array([[5, 3, 3], [4, 4, 5]]))
    assert schema.vocabularies[0].symbols.tolist() == [3, 4, 5]
    assert_array_equal(series.restore(series.table()[:, 0]), [[2, 0, 0], [1, 1, 2]])


def test_results_per_step_come_in_the_form_of_x():
    steps = np.arange(sum(map(len, WORDS)))
    expected = [np.arange(3)[: len(WORDS[0])], np.array([2]), np.array([3, 4, 5])]
    for form in (list, tuple):
        restored = learn(form(WORDS))[0].restore(steps)
        assert isinstance(restored, list)
        assert_same_members(restored, expected)
    for form in (objects, pd.Series, pl.Series, pa.array):
        restored = learn(form(WORDS))[0].restore(steps)
        assert restored.dtype == object
        assert_same_members(restored, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_codes_have_the_type_that_is_asked_for(dtype):
    series, _ = learn(WORDS, dtype=dtype)
    assert series.values.dtype == dtype
    assert series.values.tolist() == [3, 0, 2, 1, 3, 0]


def test_codes_that_a_type_cannot_represent_are_refused():
    X = [np.arange(2049)]
    assert learn([X[0][:-1]], dtype="float16")[0].values[-1] == 2047
    with pytest.raises(ValueError, match="has 2049 symbols, but float16 represents whole numbers only up to 2048"):
        learn(X, dtype="float16")


@pytest.mark.parametrize("form", [list, pd.Series, pl.Series, pa.array])
def test_one_long_string_needs_no_memory_in_the_others(form):
    texts = ["ab" * 500_000] + ["ba"] * 100_000  # 400 GB as an array of strings of equal lengths
    series, _ = learn(form(texts))
    assert series.steps == sum(map(len, texts))


# -- later calls ------------------------------------------------------------------------------------------------


def test_later_calls_use_the_codes_of_fit():
    _, schema = learn(TEXTS)
    symbols_ = schema.vocabularies[0].symbols.tolist()
    series = read(["rob", "x o"], schema)
    assert [codes.tolist() for codes in codes_of(series)] == [
        [symbols_.index(character) for character in "rob"],
        [len(symbols_), symbols_.index(" "), symbols_.index("o")],
    ]


def test_a_single_sequence_may_repeat_one_symbol_in_later_calls():
    _, schema = learn(TEXTS)
    assert len(set(read(["ooo"], schema).values.tolist())) == 1


@pytest.mark.parametrize("fitted", TEXTS_IN.values(), ids=TEXTS_IN)
def test_containers_need_not_be_those_of_fit(fitted):
    _, schema = learn(fitted(TEXTS))
    assert_array_equal(read(TEXTS, schema).values, learn(TEXTS)[0].values)


KINDS = {"strings": TEXTS, "str": WORDS, "int": INTS}


@pytest.mark.parametrize("given", KINDS)
@pytest.mark.parametrize("fitted", KINDS)
def test_sequences_of_another_kind_than_fitted_are_refused(fitted, given):
    _, schema = learn(KINDS[fitted])
    if given == fitted:
        read(KINDS[given], schema)
        return
    with pytest.raises(ValueError, match=f"y holds .*{given}.*, but the model was fitted with .*{fitted}"):
        read(KINDS[given], schema, name="y")


def test_limits_of_the_vocabulary():
    assert learn(WORDS, max_size=2)[1].vocabularies[0].symbols.tolist() == ["be", "to"]
    assert learn(WORDS, min_count=2)[1].vocabularies[0].symbols.tolist() == ["be", "to"]


# -- predictions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", TEXTS_IN.values(), ids=TEXTS_IN)
def test_predictions_are_strings_if_strings_were_fitted(form):
    series, schema = learn(form(TEXTS), name="y")
    decoded = schema.decode(codes_of(series))
    assert list(decoded) == TEXTS
    assert set(map(type, decoded)) == {str}
    assert isinstance(decoded, list) == (form in (list, tuple, deque))


@pytest.mark.parametrize("form", LISTS_IN.values(), ids=LISTS_IN)
def test_predictions_are_lists_of_words_if_words_were_fitted(form):
    series, schema = learn(form(WORDS), name="y")
    decoded = schema.decode(codes_of(series))
    assert list(decoded) == WORDS
    assert type(decoded[0][0]) is str


@pytest.mark.parametrize("form", LISTS_IN.values(), ids=LISTS_IN)
def test_predictions_are_arrays_of_ints_if_ints_were_fitted(form):
    series, schema = learn(form(INTS), name="y")
    assert_same_members(schema.decode(codes_of(series)), [np.array(member) for member in INTS])


@pytest.mark.parametrize("n", [1, 2])
def test_predictions_may_have_equal_lengths_or_be_empty(n):
    for X in (TEXTS, WORDS, INTS):
        _, schema = learn(objects(X))
        assert schema.decode([np.arange(2)] * n).shape == (n,)
        assert len(schema.decode([np.arange(0)] * n)[0]) == 0


def test_unknown_symbols_in_predictions():
    _, schema = learn(TEXTS)
    assert schema.decode([np.array([0, 1, 7])], unknown="<?>") == [" b<?>"]
    with pytest.raises(ValueError, match="codes include 7"):
        schema.decode([np.array([0, 1, 7])])


def test_pickled_schemas_are_equal_and_read_the_same():
    for X in (TEXTS, WORDS, INTS):
        series, schema = learn(X)
        copy = pickle.loads(pickle.dumps(schema))
        assert copy == schema
        assert_array_equal(read(X, copy).values, series.values)
    assert learn(TEXTS)[1] != learn(WORDS)[1]


# -- Unicode ----------------------------------------------------------------------------------------------------

COMPOSED, DECOMPOSED = "é가", unicodedata.normalize("NFD", "é가")


@pytest.mark.parametrize("of", [lambda text: [text, "ab"], lambda text: [[text], ["ab"]]], ids=["strings", "words"])
def test_canonically_equivalent_strings_are_the_same(of):
    composed, decomposed = learn(of(COMPOSED)), learn(of(DECOMPOSED))
    assert composed[1] == decomposed[1]
    assert_array_equal(composed[0].values, decomposed[0].values)
    assert composed[1].decode(codes_of(decomposed[0])) == of(COMPOSED)


def test_marks_are_not_composed_across_sequences():
    assert learn(["e", "\u0301a"])[1].vocabularies[0].symbols.tolist() == ["a", "e", "\u0301"]


def test_compatible_characters_remain_distinct():
    assert learn(["ﬁfi", "①1"])[1].vocabularies[0].symbols.tolist() == sorted("ﬁfi①1")


@pytest.mark.parametrize("text", ["a\U0001f600b", "a\ud800b", "a\n\tb "])
def test_strings_of_any_characters(text):
    series, schema = learn([text, "ab"])
    assert schema.decode(codes_of(series)) == [text, "ab"]


def test_words_may_be_members_of_an_enum():
    class Note(str, Enum):  # noqa: UP042 the str of a StrEnum is its value
        DO = "c"
        RE = "d"

    series, schema = learn([[Note.DO, "d", "e"], [Note.RE]])
    assert schema.vocabularies[0].symbols.tolist() == ["c", "d", "e"]
    assert schema.decode(codes_of(series)) == [["c", "d", "e"], ["d"]]
    assert type(schema.decode(codes_of(series))[0][0]) is str


texts = st.text(st.characters(min_codepoint=1), min_size=1)


@given(st.lists(texts, min_size=1))
def test_texts_survive_coding(X):
    normal = [unicodedata.normalize("NFC", text) for text in X]
    if len(set("".join(normal))) > 1:
        series, schema = learn(X)
        assert schema.decode(codes_of(series)) == normal


@given(st.lists(st.lists(texts, min_size=1), min_size=1))
def test_words_survive_coding(X):
    normal = [[unicodedata.normalize("NFC", word) for word in words] for words in X]
    if len({word for words in normal for word in words}) > 1:
        series, schema = learn(X)
        assert schema.decode(codes_of(series)) == normal


@given(st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1), min_size=1))
def test_integers_survive_coding(X):
    if len({symbol for member in X for symbol in member}) > 1:
        series, schema = learn(X, dtype="float64")
        assert [member.tolist() for member in schema.decode(codes_of(series))] == X


def test_what_is_read_is_not_changed():
    X = [np.array(["b", DECOMPOSED]), np.array([DECOMPOSED])]
    before = pickle.dumps(X)
    learn(X)
    grid = np.array([[1, 2], [2, 3]])
    series, _ = learn(grid)
    series.values[:] = 0
    assert pickle.dumps(X) == before
    assert grid.tolist() == [[1, 2], [2, 3]]
