"""Tables of darts: oldest first, in blocks of the target, past covariates and future covariates."""

import pandas as pd
import pytest
from lag3 import LAGS, TRAIN, N, assert_as_good_as_by_hand, regressor, seeds, series

from fastlstm import TableLayout

pytest.importorskip("darts")
from darts import TimeSeries
from darts.models import SKLearnModel

DATES = pd.date_range("2015-01-01", periods=N, freq="D")
LAYOUTS = {
    None: "darts",
    "past": TableLayout(lags={"y": range(LAGS), "x": range(LAGS, 2 * LAGS)}),
    "known": TableLayout(known=[-1]),
}
OPTIONS = {None: {}, "past": {"lags_past_covariates": LAGS}, "known": {"lags_future_covariates": [0]}}
COVARIATES = {"past": "past_covariates", "known": "future_covariates"}


@seeds
@pytest.mark.parametrize("exogenous", [None, "past", "known"])
def test_one_step_forecasts(exogenous, seed):
    y, *x = (TimeSeries.from_times_and_values(DATES, values) for values in series(exogenous))
    model = SKLearnModel(model=regressor(seed, layout=LAYOUTS[exogenous]), lags=LAGS, **OPTIONS[exogenous])
    covariates = {COVARIATES[exogenous]: x[0]} if x else {}
    model.fit(y[:TRAIN], **{name: of[:TRAIN] for name, of in covariates.items()})
    start = DATES[TRAIN]
    predicted = model.historical_forecasts(y, start=start, forecast_horizon=1, retrain=False, **covariates)
    assert_as_good_as_by_hand(predicted.values(), seed, exogenous)
