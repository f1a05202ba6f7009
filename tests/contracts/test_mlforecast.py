"""Tables of mlforecast: static and exogenous variables first, then lags, then their transforms; named unless arrays."""

import numpy as np
import pandas as pd
import pytest
from lag3 import LAGS, TRAIN, N, assert_as_good_as_by_hand, regressor, seeds, series

from fastlstm import TableLayout

pytest.importorskip("mlforecast")
from mlforecast import MLForecast
from mlforecast.lag_transforms import RollingMean

ALL = range(1, LAGS + 1)


def forecasts(model, exogenous=None, as_numpy=False, **options):
    y, *x = series(exogenous)
    frame = pd.DataFrame({"unique_id": "a", "ds": range(N), "y": y} | ({"x": x[0]} if x else {}))
    forecaster = MLForecast({"model": model}, freq=1, lags=ALL, **options)
    windows = {"n_windows": N - TRAIN, "h": 1, "step_size": 1, "refit": False}
    return forecaster.cross_validation(frame, static_features=[], as_numpy=as_numpy, **windows)["model"]


@seeds
def test_names_of_lags_are_read_by_default(seed):
    assert_as_good_as_by_hand(forecasts(regressor(seed)), seed)


@seeds
def test_exogenous_variable(seed):
    assert_as_good_as_by_hand(forecasts(regressor(seed), "known"), seed, "known")


@seeds
def test_arrays(seed):
    model = regressor(seed, layout=TableLayout(known=[0], time_order="newest_first"))
    assert_as_good_as_by_hand(forecasts(model, "known", as_numpy=True), seed, "known")


def test_transforms_are_not_taken_for_lags():
    predicted = forecasts(regressor(0), lag_transforms={3: [RollingMean(7)]})
    assert np.corrcoef(predicted, series()[0][TRAIN:])[0, 1] > 0.95


def test_a_short_series_among_long_ones():
    frames = [
        pd.DataFrame({"unique_id": name, "ds": range(length), "y": series()[0][:length]})
        for name, length in [("long", 300), ("short", 10)]
    ]
    forecaster = MLForecast({"model": regressor(0)}, freq=1, lags=ALL).fit(pd.concat(frames))
    assert forecaster.predict(2)["model"].notna().all()
