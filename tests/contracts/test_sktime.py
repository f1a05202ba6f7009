"""sktime: tables oldest first, one block per channel; panels with the channels first; or named lags, newest first."""

import numpy as np
import pandas as pd
import pytest
from lag3 import LAGS, TRAIN, N, assert_as_good_as_by_hand, regressor, seeds, series

from fastlstm import TableLayout

pytest.importorskip("sktime")
from sktime.forecasting.compose import DirectReductionForecaster, RecursiveReductionForecaster, make_reduction


def forecasts(forecaster, exogenous=None):
    """One-step forecasts of a forecaster that is fitted once."""
    y, *x = series(exogenous)
    y = pd.Series(y, name="y")
    X = pd.DataFrame({"x": x[0]}) if x else None
    forecaster.fit(y[:TRAIN], X=None if X is None else X[:TRAIN], fh=[1])
    out = []
    for t in range(TRAIN, N):
        now = None if X is None else X[t : t + 1]
        out.append(float(np.ravel(forecaster.predict(X=now))[0]))
        forecaster.update(y[t : t + 1], X=now, update_params=False)
    return out


@seeds
@pytest.mark.parametrize("scitype", ["tabular-regressor", "time-series-regressor"])
@pytest.mark.parametrize("exogenous", [None, "past"])
def test_reduction(scitype, exogenous, seed):
    layout = TableLayout(lags=LAGS) if scitype == "tabular-regressor" else "sktime"
    model = regressor(seed, layout=layout)
    forecaster = make_reduction(model, scitype=scitype, strategy="direct", window_length=LAGS)
    assert_as_good_as_by_hand(forecasts(forecaster, exogenous), seed, exogenous)


@seeds
@pytest.mark.parametrize("kind", [DirectReductionForecaster, RecursiveReductionForecaster])
@pytest.mark.parametrize("exogenous", [None, "known"])
def test_names_of_lags_are_read_by_default(kind, exogenous, seed):
    forecaster = kind(regressor(seed), window_length=LAGS)
    assert_as_good_as_by_hand(forecasts(forecaster, exogenous), seed, exogenous)
