"""The forms of series that forecasters take: read, extended and written back, with covariates."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import objects
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal, assert_series_equal
from polars.testing import assert_frame_equal as assert_polars_equal
from polars.testing import assert_series_equal as assert_polars_series_equal

from fastlstm.forecasting import from_long
from fastlstm.forecasting.covariates import read_covariates, read_static
from fastlstm.forecasting.panel import read_panel

MONTHS = pd.date_range("2023-10-31", periods=8, freq="ME", name="month")
SALES = np.array([3.0, np.nan, 5.0, 4.0, 6.0, 7.0, 6.5, 8.0])
PAIR = np.stack([SALES, SALES + 10], axis=1)
LEVELS = ["low", "high"]


def both(column):
    """Two results per step of a column of forecasts."""
    return np.stack([column - 1, column + 1], axis=-1)


def long_of(*series):
    """A long table of (id, stamps, values)."""
    return pd.DataFrame(
        {
            "unique_id": [key for key, stamps, _ in series for _ in stamps],
            "ds": [stamp for _, stamps, _ in series for stamp in stamps],
            "y": np.concatenate([values for _, _, values in series]),
        }
    )


def polars_wide(rows, columns=("a", "b")):
    return pl.DataFrame({"month": MONTHS[rows]} | {name: PAIR[rows, k] for k, name in enumerate(columns)})


#: For each form, what the rows of a slice of all eight months look like in it, and the ids of the series.
FORMS = {
    "array": (lambda rows: SALES[rows], [0]),
    "2-D array": (lambda rows: PAIR[rows], [0, 1]),
    "Series": (lambda rows: pd.Series(SALES, MONTHS, name="sales")[rows], ["sales"]),
    "Series of periods": (lambda rows: pd.Series(SALES, pd.period_range("2023-10", periods=8, freq="M"))[rows], [0]),
    "Series of steps": (lambda rows: pd.Series(SALES, pd.RangeIndex(10, 18), name="sales")[rows], ["sales"]),
    "frame": (lambda rows: pd.DataFrame(PAIR, MONTHS, ["a", "b"])[rows], ["a", "b"]),
    "frame of labels": (
        lambda rows: pd.DataFrame(PAIR, MONTHS, pd.MultiIndex.from_tuples([("x", 1), ("x", 2)]))[rows],
        [("x", 1), ("x", 2)],
    ),
    "frame of one column": (lambda rows: pd.DataFrame({"sales": SALES}, MONTHS)[rows], ["sales"]),
    "Polars Series": (lambda rows: pl.Series("sales", SALES[rows]), ["sales"]),
    "Polars frame": (polars_wide, ["a", "b"]),
    "Polars frame of steps": (lambda rows: polars_wide(rows).drop("month"), ["a", "b"]),
    "list": (lambda rows: [SALES[rows], PAIR[rows, 1]], [0, 1]),
    "list of Series": (lambda rows: [pd.Series(SALES, MONTHS)[rows], pl.Series("p", PAIR[rows, 1])], [0, 1]),
    "dict": (
        lambda rows: {"a": pd.DataFrame({"v": SALES}, MONTHS)[rows], "b": polars_wide(rows).drop("a")},
        ["a", "b"],
    ),
    "long table": (
        lambda rows: long_of(("b", MONTHS[rows], PAIR[rows, 0]), ("a", MONTHS[rows], PAIR[rows, 1])),
        ["b", "a"],
    ),
    "long table of steps": (
        lambda rows: long_of((2, np.arange(8)[rows], PAIR[rows, 0]), (1, np.arange(8)[rows], PAIR[rows, 1])),
        [2, 1],
    ),
    "long table of categories": (
        lambda rows: long_of(("b", MONTHS[rows], PAIR[rows, 0])).astype({"unique_id": pd.CategoricalDtype(["a", "b"])}),
        ["b"],
    ),
    "Polars long table": (
        lambda rows: pl.DataFrame(long_of(("b", MONTHS[rows], PAIR[rows, 0]), ("a", MONTHS[rows], PAIR[rows, 1]))),
        ["b", "a"],
    ),
}
EVERY_FORM = pytest.mark.parametrize("form", FORMS)
OBSERVED, LATER = slice(0, 5), slice(5, 8)


def assert_same(result, expected):
    assert type(result) is type(expected)
    if isinstance(expected, list):
        for one, other in zip(result, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, dict):
        assert list(result) == list(expected)
        assert_same(list(result.values()), list(expected.values()))
    elif isinstance(expected, pl.DataFrame):
        assert_polars_equal(result, expected)
    elif isinstance(expected, pl.Series):
        assert_polars_series_equal(result, expected)
    elif isinstance(expected, pd.DataFrame):
        assert_frame_equal(result, expected, check_freq=False)
    elif isinstance(expected, pd.Series):
        assert_series_equal(result, expected, check_freq=False)
    else:
        assert_array_equal(result, expected)


@EVERY_FORM
def test_values_are_read(form):
    make, ids = FORMS[form]
    panel = read_panel(make(OBSERVED))
    assert panel.ids == ids
    assert len(panel) == len(ids)
    for k, values in enumerate(panel.values):
        assert values.dtype == np.float64
        assert_array_equal(values, PAIR[OBSERVED, k])


@EVERY_FORM
def test_forecasts_have_the_form_of_the_series(form):
    make, ids = FORMS[form]
    panel = read_panel(make(OBSERVED))
    assert_same(panel.write([PAIR[LATER, k] for k in range(len(ids))]), make(LATER))


@EVERY_FORM
def test_extended_panel_is_that_of_all_observations(form):
    make, _ = FORMS[form]
    panel, whole = read_panel(make(OBSERVED)).extend(make(LATER)), read_panel(make(slice(0, 8)))
    assert panel.ids == whole.ids
    for part, all_of_it in zip(panel.values, whole.values, strict=True):
        assert_array_equal(part, all_of_it)
    forecasts = [np.zeros(2)] * len(whole)
    assert_same(panel.write(forecasts), whole.write(forecasts))


@EVERY_FORM
def test_panel_can_be_pickled(form):
    make, ids = FORMS[form]
    panel = pickle.loads(pickle.dumps(read_panel(make(OBSERVED))))
    assert_same(panel.write([PAIR[LATER, k] for k in range(len(ids))]), make(LATER))


def test_series_are_copied():
    y = np.zeros(3)
    panel = read_panel(y)
    y[:] = 1
    assert_array_equal(panel.values[0], np.zeros(3))


def test_extending_leaves_the_panel_as_it_is():
    panel = read_panel([1.0, 2.0])
    panel.extend([3.0])
    assert_array_equal(panel.values[0], [1, 2])
    assert panel.index[0].future(1) == range(2, 3)


# -- several results per step ---------------------------------------------------------------------------------


def written(y, columns=LEVELS):
    panel = read_panel(y)
    return panel.write([both(PAIR[LATER, k]) for k in range(len(panel))], columns)


def test_quantiles_of_arrays():
    assert_array_equal(written(SALES[OBSERVED]), both(SALES[LATER]))
    assert_array_equal(written(PAIR[OBSERVED]), both(PAIR[LATER]))


def test_quantiles_of_a_series():
    expected = pd.DataFrame(both(SALES[LATER]), MONTHS[LATER], LEVELS)
    assert_same(written(pd.Series(SALES, MONTHS)[OBSERVED]), expected)


def test_quantiles_of_a_frame():
    result = written(pd.DataFrame(PAIR, MONTHS, ["a", "b"])[OBSERVED])
    assert result.columns.tolist() == [("a", "low"), ("a", "high"), ("b", "low"), ("b", "high")]
    assert_array_equal(result.index, MONTHS[LATER])
    assert_array_equal(result["b"], both(PAIR[LATER, 1]))


def test_quantiles_of_polars():
    result = written(polars_wide(OBSERVED))
    assert result.columns == ["month", "a_low", "a_high", "b_low", "b_high"]
    assert_array_equal(result[["b_low", "b_high"]].to_numpy(), both(PAIR[LATER, 1]))
    result = written(pl.Series(SALES[OBSERVED]))
    assert result.columns == LEVELS
    assert_array_equal(result.to_numpy(), both(SALES[LATER]))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_quantiles_of_a_long_table(library):
    y = long_of(("b", MONTHS[OBSERVED], PAIR[OBSERVED, 0]), ("a", MONTHS[OBSERVED], PAIR[OBSERVED, 1]))
    result = written(y if library == "pandas" else pl.DataFrame(y))
    assert list(result.columns) == ["unique_id", "ds", *LEVELS]
    assert result["unique_id"].to_list() == ["b"] * 3 + ["a"] * 3
    assert_array_equal(result["high"].to_numpy(), np.concatenate([PAIR[LATER, 0], PAIR[LATER, 1]]) + 1)


def test_quantiles_of_a_dict():
    result = written({"a": SALES[OBSERVED], "b": pd.Series(SALES, MONTHS)[OBSERVED]})
    assert_array_equal(result["a"], both(SALES[LATER]))
    assert result["b"].columns.tolist() == LEVELS


def test_unnamed_results_are_numbered():
    assert written(pd.Series(SALES[OBSERVED]), None).columns.tolist() == [0, 1]


# -- forms ----------------------------------------------------------------------------------------------------


def test_unequal_lengths_and_starts():
    y = [pd.Series(SALES[:3], MONTHS[2:5]), pd.Series(SALES[:5], MONTHS[:5]), pd.Series(SALES[:1], MONTHS[4:5])]
    panel = read_panel(y)
    assert [len(values) for values in panel.values] == [3, 5, 1]
    assert [panel.index[1].offset(index.stamps[0]) for index in panel.index] == [2, 0, 4]
    for forecast in panel.write([SALES[:2]] * 3):
        assert_array_equal(forecast.index, MONTHS[5:7])


def test_horizons_may_differ():
    forecasts = read_panel([SALES, SALES]).write([np.zeros(2), np.zeros(3)])
    assert [len(forecast) for forecast in forecasts] == [2, 3]


@pytest.mark.parametrize("make", [tuple, objects])
def test_other_sequences_of_series(make):
    assert [values.tolist() for values in read_panel(make([SALES[:1], SALES[2:5]])).values] == [[3], [5, 4, 6]]


def test_lists_of_numbers():
    assert read_panel([1, None, 3.5]).form == "single"
    assert_array_equal(read_panel([1, None, 3.5]).values[0], [1, np.nan, 3.5])
    assert len(read_panel([[1, 2], [3, 4]])) == 2


@pytest.mark.parametrize("dtype", ["Int64", "Float32", "boolean", "int64[pyarrow]"])
def test_nullable_numbers(dtype):
    assert_array_equal(read_panel(pd.Series([1, None, 0], dtype=dtype)).values[0], [1, np.nan, 0])


def test_interleaved_long_table():
    y = long_of(("b", [1, 2, 3], SALES[:3]), ("a", [5, 6], SALES[3:5])).iloc[[0, 3, 1, 4, 2]]
    panel = read_panel(y)
    assert panel.ids == ["b", "a"]
    assert_array_equal(panel.values[0], SALES[:3])
    assert panel.write([np.zeros(1)] * 2)["ds"].tolist() == [4, 7]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_stamps_of_a_long_table_keep_their_type(library):
    y = long_of(("b", MONTHS[OBSERVED], SALES[OBSERVED]))
    if library == "polars":
        y = pl.DataFrame(y).with_columns(pl.col("ds").cast(pl.Date), pl.col("unique_id").cast(pl.Categorical))
    else:
        y = y.astype({"ds": "timestamp[us][pyarrow]", "unique_id": "string"})
    forecasts = read_panel(y).write([SALES[LATER]])
    assert list(forecasts.dtypes)[:2] == list(y.dtypes)[:2]
    assert [str(stamp)[:10] for stamp in forecasts["ds"].to_list()] == ["2024-03-31", "2024-04-30", "2024-05-31"]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_from_long(library):
    y = long_of(("b", MONTHS[:3], SALES[:3]), ("a", MONTHS[1:5], SALES[1:5])).set_axis(["shop", "day", "sales"], axis=1)
    series = from_long(y if library == "pandas" else pl.DataFrame(y), id="shop", time="day", target="sales")
    assert list(series) == ["b", "a"]
    if library == "pandas":
        assert_same(series["a"], pd.Series(SALES[1:5], MONTHS[1:5].rename("day"), name="sales"))
    else:
        assert_same(series["a"], pl.DataFrame({"day": MONTHS[1:5], "sales": SALES[1:5]}))
    panel = read_panel(series)
    assert panel.ids == ["b", "a"]
    assert panel.index[0].offset(panel.index[1].stamps[0]) == 1


@pytest.mark.parametrize("column", ["id", "time", "target"])
def test_from_long_without_a_column(column):
    with pytest.raises(ValueError, match=r"df has no column 'z'; its columns are \['unique_id', 'ds', 'y'\]"):
        from_long(long_of(("b", [1, 2], SALES[:2])), **{column: "z"})


def test_from_long_of_another_type():
    with pytest.raises(TypeError, match="df is a dict; expected a pandas or Polars DataFrame"):
        from_long({"unique_id": [1]})


# -- bad series -----------------------------------------------------------------------------------------------

LONG = long_of(("a", MONTHS[:4], SALES[:4]), ("b", MONTHS[:4], SALES[:4]))


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        ([], ValueError, "y is empty; expected at least one observation"),
        ({}, ValueError, "y is empty; expected at least one series"),
        ([[1.0], []], ValueError, r"y\[1\] is empty"),
        (3.0, ValueError, "y has type float; expected one value per step"),
        (np.zeros((2, 2, 2)), ValueError, r"y has shape \(2, 2, 2\); expected one value per step"),
        (pl.LazyFrame({"a": [1]}), ValueError, "y has type LazyFrame; expected"),
        (["a", "b"], TypeError, "y holds strings, for example 'a'; expected numbers"),
        (pd.Series(["1", "2"]), TypeError, "y holds strings, for example '1'"),
        (pd.DataFrame({"a": [1], "b": ["x"]}), TypeError, r"y\['b'\] holds strings"),
        ([[1.0, 2.0], [1j, 2]], ValueError, r"y\[1\] is not an array of numbers: Complex"),
        (pd.Series(MONTHS), TypeError, r"y is of type datetime64.*convert them first"),
        (pd.DataFrame(PAIR, columns=["a", "a"]), ValueError, r"y has several columns of the name \['a'\]"),
        (
            [pd.DataFrame(PAIR, columns=["a", "b"])],
            ValueError,
            r"y\[0\] has 2 columns; expected one value per step",
        ),
        (pd.Series(SALES, [list("aaaabbbb"), MONTHS]), ValueError, "y has an index of several levels"),
        (LONG[["unique_id", "y"]], ValueError, r"but not \['ds'\]; a long table has"),
        (LONG[["unique_id", "ds"]], ValueError, r"but not 'y': .*from_long"),
        (LONG.assign(x=1), ValueError, r"y has the columns \['x'\] besides .*: pass them as X"),
        (LONG.assign(unique_id=["a", None] * 4), ValueError, "y has a missing 'unique_id' at row 1"),
        (LONG[:0], ValueError, "y is empty"),
        (pd.concat([LONG, LONG[-1:]]), ValueError, "y of series 'b' has the stamp 2024-01-31 more than once"),
        (LONG.drop(index=6), ValueError, "y of series 'b' has 2024-01-31 after 2023-11-30; expected 2023-12-31"),
        ({"a": pd.Series(SALES[:3], MONTHS[[0, 2, 1]])}, ValueError, r"y\['a'\] is not sorted by time"),
        (pl.DataFrame({"d": MONTHS, "e": MONTHS}), ValueError, r"y has several columns of dates, \['d', 'e'\]"),
        (
            pd.Series(SALES, np.arange(8.0)),
            TypeError,
            "The time index of y has dtype float64; expected dates or integers",
        ),
        (pl.DataFrame({"d": MONTHS}), ValueError, "y has no columns of values"),
    ],
)
def test_bad_series(y, error, message):
    with pytest.raises(error, match=message):
        read_panel(y)


def test_frequency_is_passed_on():
    y = pd.Series(SALES[:1], MONTHS[:1])
    assert_array_equal(read_panel(y, freq="ME").write([np.zeros(2)]).index, MONTHS[1:3])


def test_errors_use_the_name_of_the_argument():
    with pytest.raises(ValueError, match="y_test is empty"):
        read_panel([], name="y_test")


# -- new observations -----------------------------------------------------------------------------------------


def test_some_series_may_be_extended():
    panel = read_panel({"a": [1, 2], "b": [3, 4]}).extend({"b": [5]})
    assert [values.tolist() for values in panel.values] == [[1, 2], [3, 4, 5]]
    panel = read_panel(LONG).extend(long_of(("b", MONTHS[4:6], [1, 2])))
    assert [len(values) for values in panel.values] == [4, 6]
    assert [str(index.future(1)[0])[:10] for index in panel.index] == ["2024-02-29", "2024-04-30"]


def test_columns_of_new_observations_are_matched_by_name():
    y = pd.DataFrame(PAIR, MONTHS, ["a", "b"])
    panel = read_panel(y[OBSERVED]).extend(y.loc[MONTHS[LATER], ["b", "a"]])
    assert_array_equal(panel.values[0], SALES)


FRAME = pd.DataFrame(PAIR, MONTHS, ["a", "b"])


@pytest.mark.parametrize(
    ("y", "more", "message"),
    [
        (
            LONG,
            long_of(("b", MONTHS[6:], [1, 2])),
            "y of series 'b' starts at 2024-04-30.* is 2024-02-29: a gap of 2 steps",
        ),
        (LONG, long_of(("b", MONTHS[3:], SALES[3:])), "y of series 'b' .* is 2024-02-29: an overlap of 1 step "),
        ({"k": FRAME["a"][:4]}, {"k": FRAME["a"][6:]}, r"y\['k'\] starts at 2024-04-30.*: a gap of 2 steps"),
        (FRAME[:4], FRAME[2:], "y starts at 2023-12-31, but the expected first stamp is 2024-02-29: an overlap of 2"),
        ({"k": [1]}, {"m": [1]}, r"y has the series \['m'\], which are unknown; expected series of \['k'\]"),
        (FRAME[:4], FRAME[["a"]][4:], r"y lacks the series \['b'\]; expected all 2 series"),
        ([[1], [2]], [[1]], r"y lacks the series \[1\]"),
        (PAIR, np.ones((1, 3)), r"y has the series \[2\], which are unknown"),
        ([1, 2], [[1, 2]], "y is a list; expected an array, as before"),
        (FRAME["a"], [1.0], "y is an array; expected a pandas Series, as before"),
        (LONG, {"b": [1]}, "y is a dict; expected a long table, as before"),
    ],
)
def test_new_observations_that_do_not_follow(y, more, message):
    with pytest.raises(ValueError, match=message):
        read_panel(y).extend(more)


# -- covariates -----------------------------------------------------------------------------------------------

WEATHER = pd.DataFrame(
    {"rain": np.arange(8.0), "sky": list("abcabcab"), "open": [True, False] * 4, "shop": pd.Categorical([1, 2] * 4)},
    MONTHS,
)
Y = FRAME["a"][OBSERVED]


def check_table(table, rows, columns=("rain", "sky", "open", "shop")):
    assert table.dtype == object
    assert table.tolist() == WEATHER[list(columns)][rows].to_numpy(object).tolist()


def test_covariates_of_one_series():
    tables, names, kinds = read_covariates(WEATHER[OBSERVED], read_panel(Y))
    assert names == ["rain", "sky", "open", "shop"]
    assert kinds == ["number", "category", "category", "category"]
    check_table(tables[0], OBSERVED)


def test_future_covariates():
    tables, _, _ = read_covariates(WEATHER[LATER], read_panel(Y), ahead=3)
    check_table(tables[0], LATER)


def test_columns_are_matched_by_name():
    columns = ["open", "sky", "rain", "shop"]
    tables, names, kinds = read_covariates(WEATHER[OBSERVED], read_panel(Y), columns=columns)
    assert names == columns
    assert kinds == ["category", "category", "number", "category"]
    check_table(tables[0], OBSERVED, columns)


def test_wide_panel_shares_its_covariates():
    one, other = read_covariates(WEATHER[["rain"]][OBSERVED], read_panel(FRAME[OBSERVED])).tables
    assert one is other
    assert_array_equal(one, WEATHER[["rain"]][OBSERVED])


@pytest.mark.parametrize("form", ["list", "dict", "long", "Polars dict", "Polars long"])
def test_covariates_of_each_series(form):
    rows = {"b": slice(1, 5), "a": slice(0, 5)}
    panel = read_panel({key: FRAME["a"][of_key] for key, of_key in rows.items()})
    X = {key: WEATHER[["rain"]][of_key] for key, of_key in rows.items()}
    long = pd.concat([X[key].rename_axis("ds").reset_index().assign(unique_id=key) for key in ("a", "b")])
    polars = read_panel({key: pl.DataFrame(FRAME[["a"]][of_key].reset_index()) for key, of_key in rows.items()})
    X, panel = {
        "list": ([X["b"], X["a"]], panel),
        "dict": (dict(reversed(X.items())), panel),
        "long": (long, panel),
        "Polars dict": ({key: pl.DataFrame(table.reset_index()) for key, table in X.items()}, polars),
        "Polars long": (pl.DataFrame(long), polars),
    }[form]
    tables, names, kinds = read_covariates(X, panel)
    assert (names, kinds) == (["rain"], ["number"])
    assert [table[:, 0].tolist() for table in tables] == [[1, 2, 3, 4], [0, 1, 2, 3, 4]]


def test_arrays_are_matched_by_position():
    tables, names, _ = read_covariates(np.eye(5), read_panel(Y))
    assert names == ["x0", "x1", "x2", "x3", "x4"]
    assert_array_equal(tables[0], np.eye(5))
    tables, _, _ = read_covariates(WEATHER[["rain"]][LATER], read_panel(SALES[OBSERVED]), ahead=3)
    assert_array_equal(tables[0][:, 0], [5, 6, 7])


def test_missing_values_stay():
    X = pd.DataFrame({"n": [1.0, None], "c": ["a", None], "b": pd.array([True, None], "boolean")})
    tables, _, _ = read_covariates(X, read_panel([1, 2]))
    assert tables[0].tolist()[0] == [1, "a", True]
    assert np.isnan(tables[0][1, 0])
    assert tables[0].tolist()[1][1:] == [None, None]


def test_categories_missing_in_one_series():
    tables, _, kinds = read_covariates([[None, None], ["a", "b"]], read_panel([[1, 2], [3, 4]]))
    assert kinds == ["category"]
    assert [table[:, 0].tolist() for table in tables] == [[None, None], ["a", "b"]]


PANEL = read_panel({"k": Y, "m": Y})
RAIN = WEATHER[["rain"]]


@pytest.mark.parametrize(
    ("X", "ahead", "message"),
    [
        (RAIN[1:5], 0, r"X, with the columns \['rain'\], starts at 2023-11-30, .* is 2023-10-31: a gap of 1 step "),
        (RAIN[:4], 0, r"X, with the columns \['rain'\], has 4 rows; expected 5, from 2023-10-31 to 2024-02-29"),
        (RAIN[:6], 0, "has 6 rows; expected 5"),
        (RAIN[5:7], 3, r"has 2 rows; expected 3, from 2024-03-31 to 2024-05-31, one for each step of the horizon"),
        (RAIN[4:7], 3, r"\['rain'\], starts at 2024-02-29, .* is 2024-03-31: an overlap of 1 step "),
        (RAIN[6:], 3, "expected first stamp is 2024-03-31: a gap of 1 step "),
        (RAIN.iloc[[5, 7]], 3, "has 2024-05-31 after 2024-03-31; expected 2024-04-30"),
        (RAIN[:0], 3, "has 0 rows; expected 3, from 2024-03-31"),
        (np.ones((4, 1)), 0, r"X, with the columns \['x0'\], has 4 rows; expected 5, from 2023-10-31"),
        (RAIN[:5].reset_index(drop=True), 0, "has stamps of dtype int64; expected datetime64.* 2023-10-31"),
        (pl.DataFrame(RAIN[:5].reset_index()), 0, "has stamps of dtype Datetime"),
        ([RAIN[:5], RAIN[:5]], 0, "X has 2 tables; expected 1, one for each series"),
        ({"z": RAIN[:5]}, 0, r"X lacks series \['a'\]; expected the series \['a'\], got \['z'\]"),
        ({"a": RAIN[:5], "z": RAIN[:5]}, 0, r"X has the unknown series \['z'\]"),
        (RAIN.assign(unique_id="a", ds=MONTHS, y=1)[:5], 0, "X has the column 'y', the target"),
        (RAIN.assign(unique_id="a"), 0, r"X has the columns .* but not \['ds'\]"),
    ],
)
def test_wrong_rows_of_covariates(X, ahead, message):
    with pytest.raises(ValueError, match=message):
        read_covariates(X, read_panel(Y), ahead=ahead)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["rain", "sky", "open"], r"X has the unexpected columns \['shop'\]; expected the columns"),
        (["rain", "sky", "open", "shop", "snow"], r"X lacks the columns \['snow'\]; expected the columns"),
    ],
)
def test_wrong_columns_of_covariates(columns, message):
    with pytest.raises(ValueError, match=message):
        read_covariates(WEATHER[OBSERVED], read_panel(Y), columns=columns)


def test_wrong_number_of_columns():
    with pytest.raises(ValueError, match=r"X has 1 columns; expected 2, the columns \['rain', 'sky'\]"):
        read_covariates(np.ones((5, 1)), read_panel(Y), columns=["rain", "sky"])


def test_tables_of_series_must_agree():
    with pytest.raises(
        ValueError, match=r"X\['m'\] lacks the columns \['rain'\] and has the unexpected columns \['sky'\]"
    ):
        read_covariates({"k": RAIN[OBSERVED], "m": WEATHER[["sky"]][OBSERVED]}, PANEL)
    with pytest.raises(TypeError, match=r"X\['rain'\] holds numbers in some series and categories in others"):
        read_covariates({"k": RAIN[OBSERVED], "m": RAIN[OBSERVED].astype(str)}, PANEL)


def test_single_table_for_several_series():
    with pytest.raises(ValueError, match="X is a single table for 2 series; expected a table for each series"):
        read_covariates(WEATHER[OBSERVED], PANEL)


def test_dates_as_covariates():
    with pytest.raises(TypeError, match=r"X\['day'\] is of type datetime64"):
        read_covariates(pd.DataFrame({"day": MONTHS}, MONTHS)[OBSERVED], read_panel(Y))


# -- static attributes ----------------------------------------------------------------------------------------

SHOPS = pd.DataFrame({"size": [1.0, 2.0, 3.0], "town": ["x", None, "z"]}, ["m", "other", "k"])
AS_COLUMN = SHOPS.rename_axis("unique_id").reset_index()


@pytest.mark.parametrize(
    "static",
    [
        SHOPS,
        AS_COLUMN,
        pl.DataFrame(AS_COLUMN),
        {"m": {"size": 1.0, "town": "x"}, "k": {"town": "z", "size": 3.0}},
    ],
    ids=["index", "unique_id", "Polars", "dict"],
)
def test_static_attributes(static):
    table, names, kinds = read_static(static, PANEL)
    assert table.tolist() == [[3, "z"], [1, "x"]]
    assert names == ["size", "town"]
    assert kinds == ["number", "category"]


@pytest.mark.parametrize(
    "static", [np.array([[3.0], [1.0]]), np.array([3, 1]), [3, 1], {"m": 1, "k": 3}, {"m": [1], "k": [3]}]
)
def test_static_attributes_without_names(static):
    table, names, kinds = read_static(static, PANEL)
    assert_array_equal(table, [[3.0], [1.0]])
    assert (names, kinds) == (["s0"], ["number"])


def test_static_series():
    table, names, _ = read_static(SHOPS["size"], PANEL)
    assert_array_equal(table, [[3.0], [1.0]])
    assert names == ["size"]


def test_static_columns_are_matched_by_name():
    table, names, _ = read_static(SHOPS, PANEL, columns=["town", "size"])
    assert table.tolist() == [["z", 3], ["x", 1]]
    assert names == ["town", "size"]


@pytest.mark.parametrize(
    ("static", "message"),
    [
        (SHOPS[:2], r"static has no rows for the series \['k'\]"),
        (pd.concat([SHOPS, SHOPS[:1]]), r"static has several rows for the series \['m'\]"),
        (pl.DataFrame({"size": [1, 2]}), r"static has the columns \['size'\]; expected 'unique_id' among them"),
        (np.ones((3, 1)), r"static has shape \(3, 1\); expected one row for each of the 2 series"),
        ({"m": [1, 2], "k": [3]}, r"The rows of static have \[1, 2\] values; expected equally many"),
        ({"m": {"a": 1}, "k": {"b": 1}}, r"row 1 of static lacks the columns \['a'\]"),
    ],
)
def test_bad_static_attributes(static, message):
    with pytest.raises(ValueError, match=message):
        read_static(static, PANEL)


def test_wrong_static_columns():
    with pytest.raises(ValueError, match=r"static lacks the columns \['age'\]"):
        read_static(SHOPS, PANEL, columns=["size", "town", "age"])


# -- imports --------------------------------------------------------------------------------------------------


def test_arrays_need_no_library_of_tables():
    code = (
        "import sys, numpy as np\n"
        "sys.modules.update(dict.fromkeys(['pandas', 'polars', 'pyarrow']))\n"  # cannot be imported
        "from fastlstm.forecasting.covariates import read_covariates, read_static\n"
        "from fastlstm.forecasting.panel import read_panel\n"
        "panel = read_panel({'a': np.ones(3), 'b': [1.0, None]})\n"
        "read_covariates([['x', 'y', None], ['x', None]], panel)\n"
        "read_static({'a': 1, 'b': 2}, panel)\n"
        "panel.extend({'b': [1.0]}).write([np.ones(2), np.ones(2)])\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_dates_in_a_column_of_a_frame_belong_in_its_index():
    frame = pd.DataFrame({"ds": pd.date_range("2024", periods=3), "y": [1.0, 2.0, 3.0]})
    with pytest.raises(ValueError, match=r"y has dates in the column 'ds'.*y.set_index\('ds'\) or, for a long table"):
        read_panel(frame)
