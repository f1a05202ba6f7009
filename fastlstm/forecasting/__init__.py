"""Forecasts of time series: from the users' series to windows, and from forecasts back to the users' series."""

from fastlstm.forecasting.arrays import make_windows
from fastlstm.forecasting.backtest import Backtest
from fastlstm.forecasting.displays import ForecastDisplay
from fastlstm.forecasting.forecaster import LSTMForecaster
from fastlstm.forecasting.panel import from_long

__all__ = ["Backtest", "ForecastDisplay", "LSTMForecaster", "from_long", "make_windows"]
