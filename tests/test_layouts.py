"""Layouts of 2-D X: the columns that forecasting libraries pass, read as series laid out by hand."""

import pickle

import numpy as np
import pandas as pd
import pytest
from helpers import FASTEST
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastlstm import LSTMClassifier, LSTMRegressor, SequenceEncoder, TableLayout

N, T = 60, 6
QUICK = {"hidden_size": 5, "learning_rate": "cosine", "max_iter": 3, "batch_size": 8, "random_state": 0}
RNG = np.random.default_rng(0)
LAGS, OTHER = RNG.normal(size=(N, T)), RNG.normal(size=(N, T))  # of two channels, oldest first
KNOWN = RNG.normal(size=(N, 2))
Y = LAGS[:, -3] + KNOWN[:, 0]
NAN = np.nan


def series(*channels, constant=KNOWN):
    """Channels and constant channels laid out by hand, (N, T, C)."""
    constants = [np.repeat(column[:, None], channels[0].shape[1], axis=1) for column in constant.T]
    return np.stack([*channels, *constants], axis=2)


NONE = KNOWN[:, :0]
NEWEST = LAGS[:, ::-1]
SIDE_BY_SIDE = np.stack([LAGS, OTHER], axis=2).reshape(N, -1)  # ordered by time, then by channel
#: A table, its layout, and the same series laid out by hand.
TABLES = {
    "skforecast": (NEWEST, "skforecast", series(LAGS, constant=NONE)),
    "skforecast, exogenous": (
        np.hstack([NEWEST, KNOWN]),
        TableLayout(lags=T, known=[-2, -1], time_order="newest_first"),
        series(LAGS),
    ),
    "skforecast, several series": (
        np.hstack([NEWEST, OTHER[:, ::-1], KNOWN]),
        TableLayout(lags=T, known=[-2, -1], time_order="newest_first"),
        series(LAGS, OTHER),
    ),
    "mlforecast": (NEWEST, "mlforecast", series(LAGS, constant=NONE)),
    "mlforecast, exogenous": (
        np.hstack([KNOWN, NEWEST]),
        TableLayout(known=[0], static=[1], time_order="newest_first"),
        series(LAGS),
    ),
    "sktime": (LAGS, "sktime", series(LAGS, constant=NONE)),
    "sktime, exogenous": (np.hstack([LAGS, OTHER]), TableLayout(lags=T), series(LAGS, OTHER, constant=NONE)),
    "aeon": (LAGS, "aeon", series(LAGS, constant=NONE)),
    "aeon, exogenous": (np.hstack([LAGS, KNOWN]), TableLayout(known=range(T, T + 2)), series(LAGS)),
    "darts": (LAGS, "darts", series(LAGS, constant=NONE)),
    "darts, past and future covariates": (
        np.hstack([LAGS, OTHER, KNOWN]),
        TableLayout(lags={"target": range(T), "past": range(T, 2 * T)}, known=[-2], static=[-1]),
        series(LAGS, OTHER),
    ),
    "darts, two components": (
        SIDE_BY_SIDE,
        TableLayout(lags={"a": range(0, 2 * T, 2), "b": range(1, 2 * T, 2)}),
        series(LAGS, OTHER, constant=NONE),
    ),
}
tables = pytest.mark.parametrize(("table", "layout", "by_hand"), TABLES.values(), ids=TABLES)
LAG_NAMES = {
    "mlforecast": [f"lag{lag}" for lag in range(1, T + 1)],
    "skforecast": [f"lag_{lag}" for lag in range(1, T + 1)],
    "sktime, direct": [f"lag_{lag}__y" for lag in range(T)],
    "sktime, recursive": [f"lag_1__lag_{lag}__y" for lag in range(T)],
}
lag_names = pytest.mark.parametrize("names", LAG_NAMES.values(), ids=LAG_NAMES)


def regressor(**options):
    return LSTMRegressor(**{**QUICK, **options})


def frame(names=LAG_NAMES["mlforecast"], known=("x", "rolling_mean_lag3_window_size7")):
    """Known values, then the lags, newest first."""
    return pd.DataFrame(np.hstack([KNOWN[:, : len(known)], NEWEST]), columns=[*known, *names])


# -- what is read ---------------------------------------------------------------------------------------------


@tables
def test_a_table_is_read_as_the_series_laid_out_by_hand(table, layout, by_hand):
    expected = regressor().fit(by_hand, Y).predict(by_hand)
    assert_array_equal(regressor(layout=layout).fit(table, Y).predict(table), expected)


@lag_names
def test_names_of_lags_are_read(names):
    expected = regressor().fit(series(LAGS), Y).predict(series(LAGS))
    assert_array_equal(regressor().fit(frame(names), Y).predict(frame(names)), expected)


def test_names_of_lags_are_read_in_any_order():
    columns = RNG.permutation(T + 2)
    table, constants = frame().iloc[:, columns], [c for c in columns if c < 2]
    by_hand = series(LAGS, constant=KNOWN[:, constants])
    expected = regressor().fit(by_hand, Y).predict(by_hand)
    assert_array_equal(regressor().fit(table, Y).predict(table), expected)


def test_names_of_lags_of_several_channels_are_read():
    names = [f"lag_{lag}__{channel}" for channel in "xy" for lag in range(T)]
    table = pd.DataFrame(np.hstack([LAGS[:, ::-1], OTHER[:, ::-1]]), columns=names)
    by_hand = series(LAGS, OTHER, constant=NONE)
    assert_array_equal(regressor().fit(table, Y).predict(table), regressor().fit(by_hand, Y).predict(by_hand))


@pytest.mark.parametrize("layout", ["skforecast", "mlforecast", "sktime"])
def test_a_library_named_as_layout_has_its_names_read(layout):
    expected = regressor().fit(series(LAGS), Y).predict(series(LAGS))
    assert_array_equal(regressor(layout=layout).fit(frame(), Y).predict(frame()), expected)


def test_other_names_are_not_taken_for_lags():
    table = pd.DataFrame(LAGS, columns=["lag", "lag1b", "flag1", "mean_lag3", "lag_1_x", "Lag2"])
    assert_array_equal(regressor().fit(table, Y).predict(table), regressor().fit(LAGS, Y).predict(LAGS))


@pytest.mark.parametrize("time_order", ["auto", "oldest_first"])
def test_an_array_is_oldest_first(time_order):
    expected = regressor().fit(LAGS[:, :, None], Y).predict(LAGS[:, :, None])
    assert_array_equal(regressor(time_order=time_order).fit(LAGS, Y).predict(LAGS), expected)


def test_an_explicit_time_order_ignores_names():
    table = frame(known=())
    expected = regressor().fit(NEWEST, Y).predict(NEWEST)
    assert_array_equal(regressor(time_order="oldest_first").fit(table, Y).predict(table), expected)


def test_newest_first():
    expected = regressor().fit(LAGS, Y).predict(LAGS)
    assert_array_equal(regressor(time_order="newest_first").fit(NEWEST, Y).predict(NEWEST), expected)


def test_columns_by_name():
    layout = TableLayout(known=["x"], static=["rolling_mean_lag3_window_size7"], time_order="newest_first")
    expected = regressor().fit(series(LAGS), Y).predict(series(LAGS))
    assert_array_equal(regressor(layout=layout).fit(frame(), Y).predict(frame()), expected)


def test_a_channel_with_fewer_lags_repeats_its_oldest():
    layout = TableLayout(lags={"y": range(T), "x": [T, T + 1]})
    extended = np.hstack([OTHER[:, :1]] * (T - 1) + [OTHER[:, 1:2]])
    by_hand = series(LAGS, extended, constant=NONE)
    table = np.hstack([LAGS, OTHER[:, :2]])
    expected = regressor().fit(by_hand, Y).predict(by_hand)
    assert_array_equal(regressor(layout=layout).fit(table, Y).predict(table), expected)


@pytest.mark.parametrize("layout", ["sktime", "aeon", TableLayout(channels_first=True)], ids=["sktime", "aeon", "own"])
def test_channels_first(layout):
    X = series(LAGS, OTHER)
    expected = regressor().fit(X, Y).predict(X)
    swapped = np.swapaxes(X, 1, 2)
    assert_array_equal(regressor(layout=layout).fit(swapped, Y).predict(swapped), expected)


def test_channels_first_in_a_list():
    members = [member[: 1 + n % T] for n, member in enumerate(series(LAGS, OTHER))]
    expected = regressor().fit(members, Y).predict(members)
    swapped = [member.T for member in members]
    assert_array_equal(regressor(layout="aeon").fit(swapped, Y).predict(swapped), expected)


def test_columns_of_frames_in_a_list_are_always_channels():
    members = [pd.DataFrame(member) for member in series(LAGS)]
    expected = regressor().fit(members, Y).predict(members)
    assert_array_equal(regressor(layout="aeon").fit(members, Y).predict(members), expected)


# -- the estimators -------------------------------------------------------------------------------------------


def test_the_layout_of_fit_applies_to_arrays_without_names():
    model = regressor().fit(frame(), Y)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        predicted = model.predict(frame().to_numpy())
    assert_array_equal(predicted, model.predict(frame()))


def test_the_number_of_features_is_that_of_the_columns():
    model = regressor().fit(frame(), Y)
    assert model.n_features_in_ == T + 2
    assert list(model.feature_names_in_) == list(frame().columns)


def test_columns_in_another_order_are_refused():
    with pytest.raises(ValueError, match="Feature names must be in the same order"):
        regressor().fit(frame(), Y).predict(frame().iloc[:, ::-1])


def test_rows_are_predicted_alike_one_at_a_time():
    table, layout, _ = TABLES["skforecast, exogenous"]
    model = regressor(layout=layout).fit(table, Y)
    assert_array_equal(np.concatenate([model.predict(row[None]) for row in table]), model.predict(table))


@pytest.mark.parametrize(
    "make", [lambda model: pickle.loads(pickle.dumps(model)), lambda model: clone(model).fit(frame(), Y)]
)
def test_copies_keep_the_layout(make):
    model = regressor(layout="mlforecast").fit(frame(), Y)
    assert_array_equal(make(model).predict(frame()), model.predict(frame()))


def test_layouts_can_be_searched():
    table, layout, _ = TABLES["mlforecast, exogenous"]
    search = GridSearchCV(regressor(), {"layout": [None, layout]}, cv=2).fit(table, Y)
    assert len(search.cv_results_["params"]) == 2


def test_a_classifier_in_a_pipeline():
    table, layout, by_hand = TABLES["skforecast, exogenous"]
    pipe = make_pipeline(StandardScaler(), LSTMClassifier(**QUICK, layout=layout)).fit(table, Y > 0)
    scaled = pipe[0].transform(table)
    by_hand = series(scaled[:, :T][:, ::-1], constant=scaled[:, T:])
    assert_array_equal(pipe.predict_proba(table), LSTMClassifier(**QUICK).fit(by_hand, Y > 0).predict_proba(by_hand))


def test_hidden_states_as_features():
    encoder = SequenceEncoder(regressor(layout="skforecast")).fit(NEWEST, Y)
    assert_array_equal(encoder.transform(NEWEST), SequenceEncoder(regressor()).fit(LAGS, Y).transform(LAGS))
    assert len(make_pipeline(encoder, Ridge()).fit(NEWEST, Y).predict(NEWEST)) == N


def test_partial_fit_and_validation_data():
    table, layout, by_hand = TABLES["skforecast, exogenous"]
    options = {"batch_size": 8, "random_state": 0}
    ours, expected = LSTMRegressor(5, **options, layout=layout), LSTMRegressor(5, **options)
    for half in (slice(30), slice(30, N)):
        ours.partial_fit(table[half], Y[half])
        expected.partial_fit(by_hand[half], Y[half])
    assert_array_equal(ours.predict(table), expected.predict(by_hand))
    ours = regressor(layout=layout).fit(table, Y, X_val=table, y_val=Y)
    expected = regressor().fit(by_hand, Y, X_val=by_hand, y_val=Y)
    assert ours.validation_scores_ == expected.validation_scores_


# -- missing lags ---------------------------------------------------------------------------------------------


def short(n_missing=(0, 1, T - 1)):
    """Lags, newest first, and known values of rows in which the oldest lags are NaN, and the series by hand."""
    table, members = np.hstack([NEWEST, KNOWN]), []
    for n, member in enumerate(series(LAGS)):
        missing = n_missing[n % len(n_missing)]
        table[n, T - missing : T] = NAN
        members.append(member[missing:])
    return table, members


@pytest.mark.parametrize("missing", ["error", "mask"])
def test_lags_missing_at_the_old_end_shorten_the_series(missing):
    (table, members), layout = short(), TABLES["skforecast, exogenous"][1]
    expected = regressor(missing=missing).fit(members, Y).predict(members)
    assert_array_equal(regressor(layout=layout, missing=missing).fit(table, Y).predict(table), expected)


def test_short_series_by_name():
    table, members = short()
    names = [*LAG_NAMES["mlforecast"], "x", "z"]
    expected = regressor().fit(series(LAGS), Y).predict(members)
    model = regressor().fit(pd.DataFrame(np.hstack([NEWEST, KNOWN]), columns=names), Y)
    assert_array_equal(model.predict(pd.DataFrame(table, columns=names)), expected)


@pytest.mark.parametrize(
    ("column", "label"), [(2, "'lag1'"), (4, "'lag3'"), (0, "'x'")], ids=["newest lag", "lag inside", "known value"]
)
def test_other_missing_values_are_named_by_their_column(column, label):
    table = frame()
    table.iloc[7, column] = NAN
    with pytest.raises(ValueError, match=f"Input X contains NaN in row 7, column {label}: impute .* missing='mask'"):
        regressor().fit(table, Y)


def test_a_series_without_any_lag_is_refused():
    table = frame()
    table.iloc[3, 2:] = NAN
    with pytest.raises(ValueError, match="Input X contains NaN in row 3, column 'lag1'"):
        regressor().fit(frame(), Y).predict(table)


def test_a_missing_value_of_an_array_is_named_by_its_position():
    table = NEWEST.copy()
    table[2, 0] = NAN
    with pytest.raises(ValueError, match="Input X contains NaN in row 2, column 0"):
        regressor(layout="skforecast").fit(table, Y)


# -- layouts that do not fit ----------------------------------------------------------------------------------

BAD_LAYOUTS = {
    "too few lags": ({"lags": T - 1}, f"{T - 1} lags per channel, but X has {T} columns .* not a multiple"),
    "too many lags": ({"lags": T + 1}, f"{T + 1} lags per channel, but X has {T} columns"),
    "column out of range": ({"known": [T]}, f"a column {T}, but X has {T} columns"),
    "negative column out of range": ({"known": [-T - 1]}, f"a column {-T - 1}, but X has {T} columns"),
    "name in an array": ({"known": ["x"]}, "a column 'x', but X has no column names: pass a DataFrame, or positions"),
    "two roles": ({"lags": range(T), "known": [2]}, r"more than one role for 1 of the 6 columns of X, \[2\]"),
    "the same column twice": (
        {"lags": [0, 0, 1, 2, 3, 4, 5]},
        r"more than one role for 1 of the 6 columns of X, \[0\]",
    ),
    "columns left over": ({"lags": range(3)}, r"no role for 3 of the 6 columns of X, \[3, 4, 5\]"),
    "no lags": ({"known": range(T)}, "a channel without lags: X has 6 columns, of which 6 are known or static"),
    "an empty channel": ({"lags": {"y": range(T), "x": []}}, "a channel without lags"),
}


@pytest.mark.parametrize(("options", "message"), BAD_LAYOUTS.values(), ids=BAD_LAYOUTS)
def test_layouts_that_do_not_fit_the_table(options, message):
    with pytest.raises(ValueError, match=f"The layout has .*{message}"):
        regressor(layout=TableLayout(**options)).fit(LAGS, Y)


def test_a_name_that_the_table_lacks():
    with pytest.raises(ValueError, match=r"a column 'z', but X has the columns \['x', "):
        regressor(layout=TableLayout(known=["z"])).fit(frame(), Y)


BAD_FIELDS = {
    "no lags": ({"lags": 0}, "lags=0: expected a number of lags"),
    "a bool": ({"lags": True}, "lags=True: expected a number of lags"),
    "a name for a sequence": ({"lags": "lag1"}, "lags='lag1': expected a sequence"),
    "a name in a dict": ({"lags": {"y": "lag1"}}, r"lags\['y'\]='lag1': expected a sequence"),
    "a number for a sequence": ({"known": 3}, "known=3: expected a sequence"),
    "a float as position": ({"static": [1.0]}, "static contains 1.0"),
    "time order": ({"time_order": "auto"}, "time_order='auto': expected 'oldest_first' or 'newest_first'"),
}


@pytest.mark.parametrize(("options", "message"), BAD_FIELDS.values(), ids=BAD_FIELDS)
def test_fields_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        TableLayout(**options)


def test_a_time_order_that_contradicts_the_layout():
    with pytest.raises(ValueError, match="time_order='oldest_first', but layout='skforecast' is 'newest_first'"):
        regressor(layout="skforecast", time_order="oldest_first").fit(LAGS, Y)


@pytest.mark.parametrize(
    "options",
    [{"layout": "skforecast"}, {"layout": TableLayout(known=[0])}, {"time_order": "newest_first"}],
    ids=["library", "own", "time order"],
)
@pytest.mark.parametrize("form", [lambda X: X, list], ids=["array", "list"])
def test_a_layout_of_columns_is_refused_for_series(options, form):
    with pytest.raises(ValueError, match="describes the columns of a 2-D X, but X has another form"):
        regressor(**options).fit(form(series(LAGS)), Y)


@pytest.mark.parametrize("form", [lambda X: X, list], ids=["array", "list"])
def test_series_are_refused_after_a_table(form):
    model = regressor(layout="skforecast").fit(NEWEST, Y)
    with pytest.raises(ValueError, match=f"X is not 2-D, but LSTMRegressor was fitted with a table.* {T} columns"):
        model.predict(form(LAGS[:, :, None]))


def test_two_columns_for_the_same_lag():
    table = frame(known=("lag_1",))
    with pytest.raises(ValueError, match="Columns 'lag_1' and 'lag1' of X are both lag 1: rename or drop"):
        regressor().fit(table, Y)


def test_targets_per_step_of_a_table_with_a_layout_are_refused():
    with pytest.raises(
        ValueError, match="return_sequences=True is not supported for a 2-D X whose columns have a layout"
    ):
        regressor(return_sequences=True, layout="skforecast").fit(NEWEST, LAGS)


def test_another_layout_in_a_warm_start_is_refused():
    model = regressor(warm_start=True).fit(LAGS, Y).set_params(time_order="newest_first")
    with pytest.raises(ValueError, match="time_order='newest_first' differ from those of the fitted model"):
        model.fit(LAGS, Y)


def test_channels_first_names_the_axes_in_errors():
    X = np.swapaxes(series(LAGS), 1, 2)
    with pytest.raises(ValueError, match=r"2 channels \(its shape is \(60, 2, 6\)\).* with 3.* shape \(n, 3, T\)"):
        regressor(layout="aeon").fit(X, Y).predict(X[:, 1:])


# -- what it is for -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["skforecast, exogenous", "mlforecast, exogenous"])
def test_a_known_value_and_a_lag_are_learnt(name):
    rng = np.random.default_rng(1)
    lags, known = rng.normal(size=(800, T)), rng.normal(size=(800, 2))
    y = np.tanh(2 * lags[:, -3]) + np.sin(2 * known[:, 0])
    table = {
        "skforecast, exogenous": np.hstack([lags[:, ::-1], known]),
        "mlforecast, exogenous": np.hstack([known, lags[:, ::-1]]),
    }[name]
    model = LSTMRegressor(16, layout=TABLES[name][1], max_iter=25, random_state=0, backend=FASTEST)
    assert model.fit(table[:600], y[:600]).score(table[600:], y[600:]) > 0.95
