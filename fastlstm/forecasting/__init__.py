"""Forecasts of time series: from the users' series to windows, and from forecasts back to the users' series."""

from fastlstm.forecasting.panel import from_long

__all__ = ["from_long"]
