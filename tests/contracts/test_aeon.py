"""Tables of aeon's forecaster: lags with the oldest first, then exogenous variables at the time of the target."""

import pytest
from lag3 import LAGS, TRAIN, N, assert_as_good_as_by_hand, regressor, seeds, series

from fastlstm import TableLayout

pytest.importorskip("aeon")
from aeon.forecasting import RegressionForecaster


@seeds
@pytest.mark.parametrize(
    ("exogenous", "layout"), [(None, "aeon"), ("known", TableLayout(known=[-1]))], ids=["alone", "known"]
)
def test_one_step_forecasts(exogenous, layout, seed):
    y, *x = series(exogenous)
    forecaster = RegressionForecaster(window=LAGS, regressor=regressor(seed, layout=layout))
    forecaster.fit(y[:TRAIN], exog=x[0][:TRAIN, None] if x else None)
    predicted = [forecaster.predict(y[:t], exog=x[0][t : t + 1, None] if x else None) for t in range(TRAIN, N)]
    assert_as_good_as_by_hand(predicted, seed, exogenous)
