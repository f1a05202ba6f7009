"""The adapters for aeon: its own checks, and the same results as the estimators that they wrap."""

import doctest

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

import fastlstm

pytest.importorskip("aeon")
from aeon.testing.estimator_checking import check_estimator

from fastlstm.adapters import aeon as adapters
from fastlstm.adapters.aeon import LSTMClassifier, LSTMForecaster, LSTMRegressor

SMALL = {"hidden_size": 4, "max_iter": 2, "random_state": 0}
rng = np.random.default_rng(0)
LABELS = np.repeat(["low", "high"], 10)
SERIES = rng.normal(size=(20, 2, 9)) + (LABELS == "high")[:, None, None]
UNEQUAL = [series[:, : 5 + n % 4] for n, series in enumerate(SERIES)]
Y = np.sin(np.arange(80) / 2) + rng.normal(scale=0.1, size=80)

#: This check calls the attribute `transform` of an estimator, here a parameter, without asking whether it is a method.
EXCLUDED = {LSTMForecaster: "check_raises_not_fitted_error"}


@pytest.mark.parametrize("kind", [LSTMClassifier, LSTMRegressor, LSTMForecaster])
def test_passes_the_checks_of_aeon(kind):
    results = check_estimator(kind, checks_to_exclude=EXCLUDED.get(kind))
    assert {check: result for check, result in results.items() if result != "PASSED"} == {}


def test_examples():
    failed, attempted = doctest.testmod(adapters)
    assert attempted
    assert not failed


@pytest.mark.parametrize(
    ("kind", "left_out"),
    [
        (LSTMClassifier, {"return_sequences", "time_order", "layout", "warm_start"}),
        (LSTMRegressor, {"return_sequences", "time_order", "layout", "warm_start"}),
        (LSTMForecaster, {"calendar", "freq", "past_covariates"}),
    ],
)
def test_parameters_are_those_of_the_estimator(kind, left_out):
    estimator = getattr(fastlstm, kind.__name__)
    assert set(kind._get_param_names()) == set(estimator._get_param_names()) - left_out


# -- collections ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_classifier_has_the_results_of_the_estimator(n_jobs):
    X = SERIES.transpose(0, 2, 1)
    model, expected = LSTMClassifier(**SMALL, n_jobs=n_jobs), fastlstm.LSTMClassifier(**SMALL)
    model.fit(SERIES, LABELS), expected.fit(X, LABELS)
    assert_array_equal(model.predict_proba(SERIES), expected.predict_proba(X))
    assert_array_equal(model.predict(SERIES), expected.predict(X))
    assert_array_equal(model.classes_, model.estimator_.classes_)


def test_series_of_unequal_lengths():
    X, y = [series.T for series in UNEQUAL], rng.normal(size=20)
    model, expected = LSTMRegressor(**SMALL).fit(UNEQUAL, y), fastlstm.LSTMRegressor(**SMALL).fit(X, y)
    assert_array_equal(model.predict(UNEQUAL), expected.predict(X))


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


def test_grid_search_of_scikit_learn():
    search = GridSearchCV(LSTMClassifier(**SMALL), {"hidden_size": [2, 3]}, cv=2).fit(SERIES, LABELS)
    assert search.best_estimator_.estimator_.hidden_size == search.best_params_["hidden_size"]


# -- forecasts --------------------------------------------------------------------------------------------------------


def by_hand(horizon, y=Y[:70], **parameters):
    return fastlstm.LSTMForecaster(horizon, window=6, **SMALL, **parameters).fit(y)


def adapter(**parameters):
    return LSTMForecaster(window=6, **SMALL, **parameters)


@pytest.mark.parametrize("horizon", [1, 3])
def test_forecasts_are_those_of_the_forecaster(horizon):
    model, expected = adapter(horizon=horizon).fit(Y[:70]), by_hand(horizon)
    assert model.predict(Y) == expected.predict(y=Y)[-1]
    assert model.predict(Y[:, None], axis=0) == model.predict(Y)
    assert model.forecast(Y[:70]) == expected.predict(y=Y[:70])[-1]


def test_forecasts_of_a_series_of_steps():
    model, expected = adapter(horizon=3).fit(Y[:70]), by_hand(3)
    assert_array_equal(model.series_to_series_forecast(Y, 3), expected.predict(y=Y))
    assert_array_equal(model.series_to_series_forecast(Y, 2), expected.predict(y=Y)[:2])


def test_direct_forecasts_have_a_model_for_each_step():
    expected = [by_hand(horizon).predict()[-1] for horizon in (1, 2)]
    assert_array_equal(adapter().direct_forecast(Y[:70], 2), expected)


def test_iterative_forecasts_continue_their_own_forecasts():
    model, y, expected = by_hand(1), Y[:70], []
    for _ in range(3):
        expected.append(model.predict(y=y)[0])
        y = np.append(y, expected[-1])
    assert_array_equal(adapter().iterative_forecast(Y[:70], 3), expected)


def test_missing_values_are_allowed_if_filled():
    gaps = Y[:70].copy()
    gaps[20] = np.nan
    with pytest.raises(ValueError, match="Missing values"):
        adapter().fit(gaps)
    model = adapter().set_params(missing="forward_fill").fit(gaps)
    assert model.predict(gaps) == by_hand(1, gaps, missing="forward_fill").predict(y=gaps)[0]


class TestErrors:
    @pytest.mark.parametrize("method", ["predict", "forecasts of steps"])
    def test_not_fitted(self, method):
        with pytest.raises(NotFittedError, match="has not been fitted"):
            adapter().predict(Y) if method == "predict" else adapter().series_to_series_forecast(Y, 1)

    def test_steps_beyond_the_horizon(self):
        with pytest.raises(ValueError, match=r"expected an integer from 1 to 3.*fit with a larger horizon"):
            adapter(horizon=3).fit(Y).series_to_series_forecast(Y, 4)

    def test_exogenous_variables(self):
        with pytest.raises(ValueError, match="cannot handle exogenous variables"):
            adapter().fit(Y, exog=Y)

    def test_several_channels(self):
        with pytest.raises(ValueError, match="Multivariate data not supported"):
            adapter().fit(SERIES[0])

    def test_series_that_are_too_short(self):
        with pytest.raises(ValueError, match="pass longer series"):
            adapter().fit(Y[:5])
