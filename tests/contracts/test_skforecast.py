"""Tables of skforecast: plain arrays with the newest lag first, then window features and exogenous variables."""

import warnings

import numpy as np
import pandas as pd
import pytest
from lag3 import LAGS, TRAIN, N, assert_as_good_as_by_hand, regressor, seeds, series

from fastlstm import TableLayout

pytest.importorskip("skforecast")
from skforecast.direct import ForecasterDirect, ForecasterDirectMultiVariate
from skforecast.model_selection import (
    TimeSeriesFold,
    backtesting_forecaster,
    backtesting_forecaster_multiseries,
)
from skforecast.recursive import ForecasterRecursive, ForecasterRecursiveMultiSeries

DATES = pd.date_range("2015-01-01", periods=N, freq="D")
FOLDS = TimeSeriesFold(steps=1, initial_train_size=TRAIN, refit=False)
EXOGENOUS = TableLayout(known=[-1], time_order="newest_first")


def column(values, name):
    return pd.Series(values, index=DATES, name=name)


def forecasts(forecaster, exogenous=None):
    y, *x = series(exogenous)
    exog = column(x[0], "x") if x else None
    backtest = backtesting_forecaster(
        forecaster, y=column(y, "y"), exog=exog, cv=FOLDS, metric="mean_absolute_error", show_progress=False
    )
    return backtest[1]["pred"]


@seeds
def test_recursive(seed):
    forecaster = ForecasterRecursive(estimator=regressor(seed, layout="skforecast"), lags=LAGS)
    assert_as_good_as_by_hand(forecasts(forecaster), seed)


@seeds
def test_recursive_with_an_exogenous_variable(seed):
    forecaster = ForecasterRecursive(estimator=regressor(seed, layout=EXOGENOUS), lags=LAGS)
    assert_as_good_as_by_hand(forecasts(forecaster, "known"), seed, "known")


@seeds
def test_direct(seed):
    forecaster = ForecasterDirect(estimator=regressor(seed, layout=EXOGENOUS), lags=LAGS, steps=1)
    assert_as_good_as_by_hand(forecasts(forecaster, "known"), seed, "known")


def forecasts_of_several(forecaster, columns, exog=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        backtest = backtesting_forecaster_multiseries(
            forecaster,
            series=pd.DataFrame(columns),
            exog=exog,
            levels="y",
            cv=FOLDS,
            metric="mean_absolute_error",
            show_progress=False,
        )
    return backtest[1]["pred"]


@seeds
def test_several_series_as_channels(seed):
    y, x = series("past")
    model = regressor(seed, layout=TableLayout(lags=LAGS, time_order="newest_first"))
    forecaster = ForecasterDirectMultiVariate(estimator=model, level="y", lags=LAGS, steps=1, transformer_series=None)
    columns = {"y": column(y, "y"), "x": column(x, "x")}
    assert_as_good_as_by_hand(forecasts_of_several(forecaster, columns), seed, "past")


@seeds
def test_one_model_of_several_series_has_names_in_fit_only(seed):
    y, x = series("known")
    columns = {"y": column(y, "y"), "other": column(y[::-1].copy(), "other")}
    forecaster = ForecasterRecursiveMultiSeries(estimator=regressor(seed), lags=LAGS)
    forecaster.fit(pd.DataFrame(columns)[:TRAIN], exog=column(x, "x")[:TRAIN])
    table, targets = forecaster.create_train_X_y(pd.DataFrame(columns), exog=column(x, "x"))[:2]
    of_y = table["_level_skforecast"].to_numpy() == 1
    named = forecaster.estimator.predict(table[of_y])
    with pytest.warns(UserWarning, match="valid feature names"):
        assert np.array_equal(forecaster.estimator.predict(table[of_y].to_numpy()), named)
    error = np.asarray(targets)[of_y][-100:] - named[-100:]
    assert 1 - np.mean(error**2) / np.var(y[TRAIN:]) > 0.9
