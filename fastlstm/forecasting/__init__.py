"""Forecasts of time series: from the users' series to windows, and from forecasts back to the users' series."""
