"""Sequences of events: columns of symbols, each with a vocabulary of its own, beside columns of numbers."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

from fastlstm import symbols

EVENTS = [
    {"type": ["pay", "buy", "pay"], "amount": [5.5, 2.0, 1.0], "online": [True, False, True], "items": [1, 3, 2]},
    {"type": ["refund"], "amount": [4.0], "online": [False], "items": [7]},
]
#: amount, items, type, online
TABLE = [[5.5, 1, 1, 1], [2, 3, 0, 0], [1, 2, 1, 1], [4, 7, 2, 0]]


def structured(events, dtype=None):
    dtype = dtype or [("type", "U6"), ("amount", float), ("online", bool), ("items", int)]
    return np.array(list(zip(*events.values(), strict=True)), dtype)


FORMS = {
    "pandas": pd.DataFrame,
    "pandas, object": lambda events: pd.DataFrame(events, dtype=object),
    "pandas, category": lambda events: pd.DataFrame(events).astype({"type": "category", "online": "category"}),
    "pandas, nullable": lambda events: pd.DataFrame(events).convert_dtypes(),
    "pandas, other rows": lambda events: pd.DataFrame(events).set_axis([7] * len(events["type"])),
    "polars": pl.DataFrame,
    "polars, category": lambda events: pl.DataFrame(events, schema_overrides={"type": pl.Categorical}),
    "polars, enum": lambda events: pl.DataFrame(events, schema_overrides={"type": pl.Enum(["refund", "pay", "buy"])}),
    "arrow": pa.table,
    "arrow, dictionary": lambda events: pa.table({**events, "type": pa.array(events["type"]).dictionary_encode()}),
    "structured": structured,
    "record": lambda events: structured(events).view(np.recarray),
}
FRAMES = [pd.DataFrame(events) for events in EVENTS]


def learn(X, dtype="float64", **options):
    return symbols.learn(X, "X", dtype, **options)


def read(X, schema, **options):
    return symbols.read(X, "X", schema, "float64", **options)


def changed(**columns):
    """The frames, with other columns in the second."""
    return [FRAMES[0], FRAMES[1].assign(**columns)]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_numbers_come_first_and_codes_after_them(form):
    series, schema = learn(list(map(form, EVENTS)))
    assert_array_equal(series.table(), TABLE)
    assert series.lengths.tolist() == [3, 1]
    assert schema.kinds == ("words", "numbers", "integers", "numbers")
    assert schema.names == ("type", "amount", "online", "items")
    assert schema.channel_names == ("amount", "items", "type", "online")
    assert schema.n_numbers == 2
    assert [vocabulary.symbols.tolist() for vocabulary in schema.vocabularies] == [["buy", "pay", "refund"], [0, 1]]


def test_rows_of_a_structured_array_are_sequences():
    series, _ = learn(np.stack([structured(EVENTS[0])] * 2))
    assert_array_equal(series.table(), [*TABLE[:3], *TABLE[:3]])
    assert_array_equal(series.restore(np.arange(6)), [[0, 1, 2], [3, 4, 5]])


def test_results_per_step_come_in_the_form_of_x():
    series, _ = learn(FRAMES)
    assert [member.tolist() for member in series.restore(np.arange(4))] == [[0, 1, 2], [3]]


def test_tables_of_symbols_alone():
    series, schema = learn([frame[["type", "online"]] for frame in FRAMES], dtype="float32")
    assert_array_equal(series.table(), np.array(TABLE)[:, 2:])
    assert series.values.dtype == "float32"
    assert schema.n_numbers == 0


def test_categories_of_integers_are_symbols():
    frames = [pd.DataFrame({"code": pd.Categorical([30, 10])}), pd.DataFrame({"code": pd.Categorical([20, 10])})]
    series, schema = learn(frames)
    assert schema.vocabularies[0].symbols.tolist() == [10, 20, 30]
    assert series.values.tolist() == [2, 0, 1, 0]


def test_columns_of_integers_are_numbers():
    assert learn([FRAMES[0][["type", "items"]]])[1].kinds == ("words", "numbers")


def test_the_same_word_has_a_code_in_each_column():
    series, schema = learn([pd.DataFrame({"from": ["a", "b"], "to": ["b", "c"]})])
    assert_array_equal(series.table(), [[0, 0], [1, 1]])
    assert schema.vocabularies[0] != schema.vocabularies[1]


def test_limits_hold_for_each_column():
    frames = [pd.DataFrame({"from": [*"aabbc"], "to": [*"xxyzz"]})]
    _, schema = learn(frames, max_size=2)
    assert [vocabulary.symbols.tolist() for vocabulary in schema.vocabularies] == [["a", "b"], ["x", "z"]]


def test_strings_of_tables_are_normalised():
    composed, decomposed = ([pd.DataFrame({"a": [text, "b"]})] for text in ("é", "e\u0301"))
    assert learn(composed)[1] == learn(decomposed)[1]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_later_tables_need_not_be_of_the_type_that_was_fitted(form):
    _, schema = learn(FRAMES)
    assert_array_equal(read(list(map(form, EVENTS)), schema).table(), TABLE)
    assert pickle.loads(pickle.dumps(schema)) == schema


def test_unknown_symbols_have_a_code_in_each_column():
    _, schema = learn(FRAMES)
    series = read([FRAMES[1].assign(type=["lend"])], schema)
    assert series.values.tolist() == [4, 7, 3, 0]


def test_missing_numbers_are_refused_unless_they_are_kept():
    X = changed(amount=[np.nan])
    with pytest.raises(ValueError, match="Input X contains NaN in series 1, step 0, channel 'amount'"):
        learn(X)
    series, schema = learn(X, missing="keep")
    assert np.isnan(series.table()[3, 0])
    with pytest.raises(ValueError, match="Input X contains NaN in series 1, step 0, channel 'amount'"):
        read(X, schema)
    assert_array_equal(read(X, schema, missing="keep").table(), series.table())


# -- bad input --------------------------------------------------------------------------------------------------

OTHER_TYPE = "a column must be of the same type in all sequences"
BAD = {
    "None": (changed(type=[None]), r"^X\[1\]\['type'\]\[0\] is None; expected a symbol: drop missing symbols"),
    "a missing category": (
        [pd.DataFrame({"code": pd.Categorical([3, None, 5])})],
        r"^X\[0\]\['code'\]\[1\] is nan; expected a symbol",
    ),
    "a missing bool": (changed(online=pd.array([None], "boolean")), r"^X\[1\]\['online'\]\[0\] is nan; expected a s"),
    "a missing bool in Polars": (
        [pl.DataFrame({"online": [True, None, False]})],
        r"^X\[0\]\['online'\]\[1\] is nan; expected a symbol",
    ),
    "an object bool": (changed(online=np.array([None], object)), r"^X\[1\]\['online'\]\[0\] is None; expected a symb"),
    "bytes": (changed(type=[b"pay"]), r"^X\[1\]\['type'\]\[0\] is b'pay', of type bytes; .*decode it first"),
    "an empty string": (changed(type=[""]), r"^X\[1\]\['type'\]\[0\] is an empty string"),
    "a list": (changed(type=[["pay"]]), r"^X\[1\]\['type'\]\[0\] is \['pay'\], of type list; .*a single symbol"),
    "a list in Polars": (
        [pl.DataFrame({"type": [["pay"], ["buy", "pay"]]})],
        r"^X\[0\]\['type'\]\[0\] is array\(.*\), of type ndarray; .*a single symbol",
    ),
    "a date": (changed(type=[pd.Timestamp("2024-03-05")]), r"^X\[1\]\['type'\] is of type datetime64"),
    "float categories": ([pd.DataFrame({"a": pd.Categorical([0.5, 1])})], r"^X\[0\]\['a'\]\[0\] is 0\.5, of type flo"),
    "numbers for symbols": (
        changed(type=[1]),
        rf"^X\[1\]\['type'\] holds numbers of type int64, but X\[0\]\['type'\] holds symbols: {OTHER_TYPE}",
    ),
    "symbols for numbers": (
        changed(amount=["1"]),
        rf"^X\[0\]\['amount'\] holds numbers of type float64, but X\[1\]\['amount'\] holds symbols: {OTHER_TYPE}",
    ),
    "strings and integers": (changed(online=["yes"]), r"^X\[1\]\['online'\]\[0\] is 'yes', but X\[0\].* is True"),
    "infinity": (changed(amount=[np.inf]), r"^Input X contains infinity .* in series 1, step 0, channel 'amount'"),
    "complex": (changed(amount=[1j]), r"^X\[1\]\['amount'\] is not an array of numbers: Complex data not supported"),
    "another column": (changed(extra=[1]), r"^X\[1\] has columns \['type', .*'extra'\], but X\[0\] has columns"),
    "another order": (
        [FRAMES[0], FRAMES[1][["amount", "type", "online", "items"]]],
        r"^X\[1\] has columns \['amount', 'type', .*same columns in the same order",
    ),
    "no row": ([FRAMES[0], FRAMES[1][:0]], r"^X\[1\] has length 0"),
    "no field": ([np.zeros(3, np.dtype([]))], r"^X\[0\] has no columns; expected at least 1"),
    "no column": ([FRAMES[0][[]]], r"^X\[0\] has no columns; expected at least 1"),
    "no column of symbols": (
        [FRAMES[0][["amount"]]],
        r"^X has no column of symbols: its columns \['amount'\] hold num",
    ),
    "a string": ([FRAMES[0], "pay"], r"^X\[1\] is 'pay', but X\[0\] is a table: sequences must be either all tables"),
    "an array": ([FRAMES[0], np.array(["a"])], r"^X\[1\] is array\(.*\), but X\[0\] is a table"),
    "None for a table": ([None, FRAMES[0]], r"^X\[0\] is None, but X\[1\] is a table"),
    "2-D": ([np.stack([structured(EVENTS[0])] * 2)], r"^X\[0\] has shape \(2, 3\); expected a structured array of sh"),
    "a field of arrays": (
        [np.array([("a", [1, 2]), ("b", [3, 4])], [("type", "U1"), ("at", float, (2,))])],
        r"^X\[0\]\['at'\] has shape \(2, 2\); expected one value per step",
    ),
    "one symbol": ([FRAMES[1][["type", "amount"]]], r"^The vocabulary of column 'type' of X is \['refund'\]; expected"),
}


@pytest.mark.parametrize(("X", "message"), BAD.values(), ids=BAD)
def test_bad_tables_are_refused(X, message):
    with pytest.raises((TypeError, ValueError), match=message):
        learn(X)


LATER = {
    "another order": (
        [frame[["amount", "type", "online", "items"]] for frame in FRAMES],
        r"^Column names must be in the same order as they were in fit: the columns of X are \['amount', .*fitted with",
    ),
    "other names": (
        [frame.rename(columns={"type": "kind"}) for frame in FRAMES],
        r"^Column names must match those passed during fit: the columns of X are \['kind', .*fitted with \['type'",
    ),
    "a column less": ([frame.drop(columns="items") for frame in FRAMES], r"^Column names must match those passed dur"),
    "plain sequences": (
        [["pay", "buy"]],
        r"^X holds plain sequences of symbols, but the model was fitted with tables with columns \['type', .*",
    ),
    "integers for strings": (
        [FRAMES[1].assign(type=pd.Categorical([3]))],
        r"^column 'type' of X holds integer symbols, but the model was fitted with strings: pass sequences of the same",
    ),
    "numbers for symbols": (
        [FRAMES[1].assign(online=[1])],
        r"^column 'online' of X holds numbers, but the model was fitted with integer symbols",
    ),
    "symbols for numbers": (
        [FRAMES[1].assign(items=["1"])],
        r"^column 'items' of X holds strings, but the model was fitted with numbers",
    ),
}


@pytest.mark.parametrize(("X", "message"), LATER.values(), ids=LATER)
def test_tables_unlike_those_fitted_are_refused(X, message):
    _, schema = learn(FRAMES)
    with pytest.raises(ValueError, match=message):
        read(X, schema)


def test_tables_are_refused_where_plain_sequences_were_fitted():
    _, schema = learn([["pay", "buy"]])
    with pytest.raises(ValueError, match=r"^X holds tables with columns \['type', .*fitted with plain sequences of"):
        read(FRAMES, schema)
