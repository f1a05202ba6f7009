"""Pictures of forecasts."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")
from fastlstm.forecasting import ForecastDisplay, LSTMForecaster  # noqa: E402


@pytest.fixture
def axes():
    from matplotlib import pyplot

    yield pyplot.subplots()[1]
    pyplot.close("all")


def fitted(**parameters):
    y = 2 + np.sin(np.arange(120) / 5)
    panel = {"a": y[:100], "b": y[10:110]}
    return LSTMForecaster(6, 12, hidden_size=8, max_iter=2, random_state=0, **parameters).fit(panel)


def test_history_forecasts_and_intervals_are_drawn(axes):
    model = fitted(transform="log")
    display = ForecastDisplay.from_forecaster(model, series="b", history=np.int64(20), truth=np.ones(6), ax=axes)
    observed, forecast, truth = display.ax_.get_lines()
    assert_array_equal(observed.get_xdata(), np.arange(80, 100))
    assert_array_equal(observed.get_ydata(), model._data.values[1][-20:])
    assert_array_equal(forecast.get_xdata(), np.arange(100, 106))
    assert_array_equal(forecast.get_ydata(), model.predict()["b"])
    assert_array_equal(truth.get_ydata(), np.ones(6))
    outline = display.ax_.collections[1].get_paths()[0].vertices
    lower, upper = model.predict_interval(0.9)["b"].T
    assert_allclose([outline[:, 1].min(), outline[:, 1].max()], [lower.min(), upper.max()], rtol=1e-12)


def test_errors_by_horizon_are_drawn(axes):
    result = fitted().backtest({"a": 2 + np.sin(np.arange(100, 120) / 5)})
    display = ForecastDisplay.from_backtest(result, metric="rmse", ax=axes)
    lines = {line.get_label(): line.get_ydata() for line in display.ax_.get_lines()}
    assert list(lines) == list(result.forecasts)
    errors = result.actual - result.forecasts["lstm"]
    assert_allclose(lines["lstm"], np.sqrt((errors**2).mean(axis=0)), rtol=1e-12)


def test_unknown_series_and_metrics_are_refused(axes):
    with pytest.raises(ValueError, match=r"series='c' is unknown; expected one of \['a', 'b'\]"):
        ForecastDisplay.from_forecaster(fitted(), series="c", ax=axes)
    with pytest.raises(ValueError, match="truth has 2 columns; expected the values of one series"):
        ForecastDisplay.from_forecaster(fitted(), truth=np.ones((6, 2)), ax=axes)
    with pytest.raises(ValueError, match="truth has 'a'; expected numbers"):
        ForecastDisplay.from_forecaster(fitted(), truth=["a"], ax=axes)
    for history in (0, True, 2.5, "a"):
        with pytest.raises(ValueError, match=f"history={history!r}; expected an integer, 1 or more"):
            ForecastDisplay.from_forecaster(fitted(), history=history, ax=axes)
    with pytest.raises(TypeError, match="forecaster is of type ndarray; expected a fitted LSTMForecaster"):
        ForecastDisplay.from_forecaster(np.ones(3))
    with pytest.raises(TypeError, match="backtest is of type LSTMForecaster; expected the result of a backtest"):
        ForecastDisplay.from_backtest(fitted())
    result = fitted().backtest({"a": np.arange(10.0)})
    with pytest.raises(ValueError, match="metric='coverage'; expected one of mae, rmse"):
        ForecastDisplay.from_backtest(result, metric="coverage", ax=axes)
