"""The adapters for sktime: its own checks, and the same results as the estimators that they wrap."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal, assert_series_equal

import fastlstm

pytest.importorskip("sktime")
from sktime.classification.model_selection import TSCGridSearchCV
from sktime.datatypes import convert_to
from sktime.forecasting.base import ForecastingHorizon
from sktime.forecasting.model_selection import ForecastingGridSearchCV
from sktime.split import ExpandingWindowSplitter, SlidingWindowSplitter
from sktime.utils.estimator_checks import check_estimator

from fastlstm.adapters.sktime import LSTMClassifier, LSTMForecaster, LSTMRegressor

SMALL = {"hidden_size": 4, "max_iter": 2, "random_state": 0}
rng = np.random.default_rng(0)
LABELS = np.repeat(["low", "high"], 10)
SERIES = rng.normal(size=(20, 2, 9)) + (LABELS == "high")[:, None, None]
FRAMES = [pd.DataFrame(series[:, : 5 + n % 4].T) for n, series in enumerate(SERIES)]  # of unequal lengths

N = 60
INDEXES = {
    "range": pd.RangeIndex(N),
    "int": pd.Index(np.arange(5, 5 + N)),
    "period": pd.period_range("2020-01", periods=N, freq="M"),
    "datetime": pd.date_range("2020-01-31", periods=N, freq="ME"),
}
Y = pd.Series(np.sin(np.arange(N) / 2) + rng.normal(scale=0.1, size=N), INDEXES["period"], name="sales")
X = pd.DataFrame({"price": rng.normal(size=N), "day": pd.Categorical(["a", "b"] * (N // 2))}, Y.index)
TWO = pd.DataFrame({"north": Y, "south": 2 - Y**2})


def by_hand(horizon, y=Y, X=None, **parameters):
    return fastlstm.LSTMForecaster(horizon, window=6, **SMALL, **parameters).fit(y, X)


def adapter(**parameters):
    return LSTMForecaster(window=6, **SMALL, **parameters)


@pytest.mark.parametrize("kind", [LSTMClassifier, LSTMRegressor, LSTMForecaster])
def test_passes_the_checks_of_sktime(kind):
    results = check_estimator(kind, raise_exceptions=False, verbose=False)
    assert {check: result for check, result in results.items() if result != "PASSED"} == {}


@pytest.mark.parametrize(
    ("kind", "left_out"),
    [
        (LSTMClassifier, {"return_sequences", "time_order", "layout", "warm_start"}),
        (LSTMRegressor, {"return_sequences", "time_order", "layout", "warm_start"}),
        (LSTMForecaster, set()),
    ],
)
def test_parameters_are_those_of_the_estimator(kind, left_out):
    estimator = getattr(fastlstm, kind.__name__)
    assert set(kind.get_param_names()) == set(estimator._get_param_names()) - left_out
    assert "horizon" not in kind.get_param_names() or kind.get_param_defaults()["horizon"] is None


@pytest.mark.parametrize("kind", [LSTMClassifier, LSTMRegressor, LSTMForecaster])
def test_creation_does_not_warn(kind):
    with warnings.catch_warnings(action="error"):
        kind()


# -- panels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mtype", ["numpy3D", "nested_univ", "pd-multiindex", "df-list"])
def test_classifier_has_the_results_of_the_estimator(mtype):
    expected = fastlstm.LSTMClassifier(**SMALL).fit(SERIES.transpose(0, 2, 1), LABELS)
    panel = convert_to(SERIES, mtype)
    model = LSTMClassifier(**SMALL).fit(panel, LABELS)
    assert_array_equal(model.predict_proba(panel), expected.predict_proba(SERIES.transpose(0, 2, 1)))
    assert_array_equal(model.predict(panel), expected.predict(SERIES.transpose(0, 2, 1)))
    assert_array_equal(model.classes_, model.estimator_.classes_)


@pytest.mark.parametrize("mtype", ["nested_univ", "pd-multiindex", "df-list"])
def test_series_of_unequal_lengths(mtype):
    arrays, y = [frame.to_numpy() for frame in FRAMES], rng.normal(size=20)
    expected = fastlstm.LSTMRegressor(**SMALL).fit(arrays, y).predict(arrays)
    panel = convert_to(FRAMES, mtype)
    assert_array_equal(LSTMRegressor(**SMALL).fit(panel, y).predict(panel), expected)


def test_several_targets_are_outputs_of_one_network():
    X, y = SERIES.transpose(0, 2, 1), rng.normal(size=(20, 2))
    model = LSTMRegressor(**SMALL).fit(SERIES, y)
    assert model.estimator_.n_outputs_ == 2
    assert_array_equal(model.predict(SERIES), fastlstm.LSTMRegressor(**SMALL).fit(X, y).predict(X))


def test_missing_values_are_allowed_if_masked():
    gaps = SERIES.copy()
    gaps[3, 0, 4] = np.nan
    with pytest.raises(ValueError, match="missing values"):
        LSTMClassifier(**SMALL).fit(gaps, LABELS)
    model = LSTMClassifier(**SMALL).set_params(missing="mask").fit(gaps, LABELS)
    expected = fastlstm.LSTMClassifier(**SMALL, missing="mask").fit(gaps.transpose(0, 2, 1), LABELS)
    assert_array_equal(model.predict_proba(gaps), expected.predict_proba(gaps.transpose(0, 2, 1)))


def test_another_number_of_channels_is_refused():
    model = LSTMClassifier(**SMALL).fit(SERIES, LABELS)
    with pytest.raises(ValueError, match="channels"):
        model.predict(SERIES[:, :1])


def test_invalid_parameters_are_refused_in_fit():
    with pytest.raises(ValueError, match="The 'cell' parameter of LSTMClassifier"):
        LSTMClassifier(cell="LSTM").fit(SERIES, LABELS)


def test_grid_search_for_classifiers():
    search = TSCGridSearchCV(LSTMClassifier(**SMALL), {"hidden_size": [2, 3]}, cv=2).fit(SERIES, LABELS)
    assert search.best_estimator_.estimator_.hidden_size == search.best_params_["hidden_size"]


# -- forecasts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", INDEXES)
@pytest.mark.parametrize("is_relative", [True, False])
def test_forecasts_are_those_of_the_forecaster(index, is_relative):
    y = pd.Series(Y.to_numpy(), INDEXES[index], name="sales")
    fh = ForecastingHorizon([2, 5])
    fh = fh if is_relative else fh.to_absolute(y.index[-1:])
    predicted = adapter().fit(y, fh=fh).predict()
    assert_series_equal(predicted, by_hand(5, y).predict().iloc[[1, 4]], check_freq=False)


def test_intervals_and_quantiles_are_those_of_the_forecaster():
    model, expected = adapter().fit(Y, fh=[1, 3]), by_hand(3)
    intervals = model.predict_interval(coverage=[0.8, 0.9])
    for coverage in (0.8, 0.9):
        bounds = expected.predict_interval(coverage).iloc[[0, 2]]
        assert_frame_equal(intervals["sales"][coverage], bounds, check_names=False)
    quantiles = model.predict_quantiles(alpha=[0.25, 0.75])
    assert_array_equal(quantiles["sales"], expected.predict_quantiles([0.25, 0.75]).iloc[[0, 2]])
    assert quantiles.columns.tolist() == [("sales", 0.25), ("sales", 0.75)]


def test_one_model_forecasts_all_columns():
    model, expected = adapter().fit(TWO, fh=[1, 2]), by_hand(2, TWO)
    assert_frame_equal(model.predict(), expected.predict())
    intervals = model.predict_interval(coverage=[0.5, 0.9])
    assert_array_equal(intervals["south"][0.9], expected.predict_interval(0.9)["south"])


def test_covariates_known_ahead():
    model = adapter().fit(Y[:-3], X=X[:-3], fh=[1, 3])
    expected = by_hand(3, Y[:-3], X[:-3]).predict(X=X[-3:])
    assert_series_equal(model.predict(X=X[-3:]), expected.iloc[[0, 2]], check_freq=False)
    assert_series_equal(model.predict(X=X), model.predict(X=X[-3:]))


@pytest.mark.parametrize("past", ["price", ["price"], [0]])
def test_past_covariates_need_not_be_left_out(past):
    model = adapter(past_covariates=past).fit(Y[:-3], X=X[:-3], fh=[1, 2, 3])
    expected = by_hand(3, Y[:-3], X[:-3], past_covariates=past).predict(X=X[["day"]][-3:])
    assert_series_equal(model.predict(X=X[-3:]), expected)
    assert_series_equal(model.predict(X=X[["day"]][-3:]), expected)


def test_only_past_covariates():
    price = X[["price"]]
    model = adapter(past_covariates="price").fit(Y[:-3], X=price[:-3], fh=[1, 2, 3])
    expected = by_hand(3, Y[:-3], price[:-3], past_covariates="price").predict()
    assert_series_equal(model.predict(), expected)
    assert_series_equal(model.predict(X=price[-3:]), expected)


@pytest.mark.parametrize("y", [Y, TWO], ids=["one", "two"])
def test_update_without_training(y):
    model, expected = adapter().fit(y[:50], X=X[:50], fh=[1, 2]), by_hand(2, y[:50], X[:50])
    forecaster = model.forecaster_
    for first in (50, 53):
        model.update(y[first : first + 3], X=X[first : first + 3], update_params=False)
        expected.update(y[first : first + 3], X[first : first + 3])
    assert model.forecaster_ is forecaster
    assert model.cutoff[0] == y.index[55]
    assert_array_equal(model.predict(X=X[56:58]), expected.predict(X=X[56:58]))


def test_update_with_training_is_a_fit_to_all_data():
    model = adapter().fit(Y[:50], X=X[:50], fh=[1, 2]).update(Y[50:55], X=X[50:55], update_params=True)
    expected = by_hand(2, Y[:55], X[:55])
    assert_series_equal(model.predict(X=X[55:57]), expected.predict(X=X[55:57]))


def test_update_predict_with_overlapping_windows():
    model = adapter().fit(Y[:50], fh=1)
    cv = ExpandingWindowSplitter(fh=1, initial_window=1)
    predicted = model.update_predict(Y[50:], cv, update_params=False)
    expected = by_hand(1, Y[:50])
    for n in range(50, N - 1):
        expected.update(Y[n : n + 1])
        assert predicted.iloc[n - 50] == expected.predict().iloc[0]
    assert model.cutoff[0] == Y.index[49]


def test_horizon_of_the_model_may_exceed_that_of_a_forecast():
    model, expected = adapter(horizon=4).fit(Y), by_hand(4).predict()
    assert_series_equal(model.predict(fh=[1]), expected[:1])
    assert_series_equal(model.predict(fh=[2, 4]), expected.iloc[[1, 3]], check_freq=False)


def test_missing_values_are_allowed_if_filled():
    gaps = Y.copy()
    gaps.iloc[20] = np.nan
    with pytest.raises(ValueError, match="missing data"):
        adapter().fit(gaps, fh=[1])
    model = adapter(missing="forward_fill").fit(gaps, fh=[1])
    assert_series_equal(model.predict(), by_hand(1, gaps, missing="forward_fill").predict())


def test_grid_search_for_forecasters():
    cv = SlidingWindowSplitter(fh=[1, 2], window_length=40, step_length=10)
    search = ForecastingGridSearchCV(adapter(), cv, {"scaling": ["last", "window"]}, backend=None).fit(Y, fh=[1, 2])
    assert search.best_forecaster_.forecaster_.scaling == search.best_params_["scaling"]


class TestErrors:
    def test_forecasts_of_known_values(self):
        with pytest.raises(NotImplementedError, match="in-sample"):
            adapter().fit(Y, fh=[-1, 1])

    def test_steps_beyond_the_horizon(self):
        with pytest.raises(ValueError, match=r"expected an integer from 1 to 3.*fit with a larger horizon"):
            adapter(horizon=3).fit(Y).predict(fh=[4])

    def test_covariates_of_too_few_steps(self):
        model = adapter().fit(Y[:-3], X=X[:-3], fh=[1, 3])
        with pytest.raises(ValueError, match=r"expected 3, from .*, one for each step of the horizon"):
            model.predict(X=X[-3:-1])
        with pytest.raises(ValueError, match="X is None"):
            model.predict()

    def test_covariates_that_the_model_was_not_fitted_with(self):
        with pytest.raises(ValueError, match="X was passed"):
            adapter().fit(Y[:-3], fh=[1]).predict(X=X[-3:])

    def test_series_that_are_too_short(self):
        with pytest.raises(ValueError, match="pass longer series"):
            adapter().fit(Y[:5], fh=[1])

    @pytest.mark.parametrize(("first", "last", "message"), [(52, 55, "gap"), (40, 45, "known up to")])
    def test_updates_that_do_not_follow(self, first, last, message):
        model = adapter().fit(Y[:50], fh=[1])
        before = model.predict()
        with pytest.raises(ValueError, match=message):
            model.update(Y[first:last], update_params=False)
        assert_series_equal(model.predict(), before)
