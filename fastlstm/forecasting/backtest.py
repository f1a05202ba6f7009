"""Backtests: forecasts from all origins of held-out data, and their errors beside those of the baselines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

METRICS = ("mae", "rmse", "mape", "smape", "mase", "coverage", "pinball")


@dataclass(frozen=True)
class Backtest:
    """Forecasts from n origins, the values that followed, and forecasts of the baselines from the same origins.

    Attributes
    ----------
    ids : list
        Series of each origin.
    origins : ndarray of shape (n,)
        Number of observed steps before each forecast.
    actual : ndarray of shape (n, H)
        The values that followed.
    forecasts : dict of str to ndarray of shape (n, H)
        Forecasts by model: "lstm" and the baselines.
    lower, upper : ndarray of shape (n, H) or None
        Prediction intervals of "lstm"; NaN where a refitted model has none.
    coverage : float
        Nominal coverage of the intervals.
    units : ndarray of shape (n,)
        Error of seasonal naive forecasts in the training data, the unit of "mase".

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm.forecasting import LSTMForecaster
    >>> y = np.sin(np.arange(200) / 5)
    >>> model = LSTMForecaster(4, window=20, hidden_size=8, max_iter=2, random_state=0).fit(y[:150])
    >>> result = model.backtest(y[150:], ets=False)
    >>> result.actual.shape
    (47, 4)
    >>> sorted(result.summary())
    ['linear', 'lstm', 'persistence']
    """

    ids: list[Any]
    origins: NDArray[np.int64]
    actual: NDArray[np.float64]
    forecasts: dict[str, NDArray[np.float64]]
    lower: NDArray[np.float64] | None
    upper: NDArray[np.float64] | None
    coverage: float
    units: NDArray[np.float64]

    def summary(self) -> dict[str, dict[str, float]]:
        """Errors of each model over all series and horizons.

        Returns
        -------
        dict of str to dict of str to float
            By model, the metrics of `table`.

        Examples
        --------
        >>> import numpy as np
        >>> from fastlstm.forecasting import LSTMForecaster
        >>> y = np.sin(np.arange(200) / 5)
        >>> model = LSTMForecaster(4, window=20, hidden_size=8, max_iter=2, random_state=0).fit(y[:150])
        >>> result = model.backtest(y[150:], ets=False)
        >>> list(result.summary()["lstm"])
        ['mae', 'rmse', 'mape', 'smape', 'mase', 'coverage', 'pinball']
        """
        return {model: self._errors(model, slice(None), slice(None)) for model in self.forecasts}

    def by_horizon(self, metric: str = "mae") -> dict[str, list[float]]:
        """One error of each model, by horizon.

        Parameters
        ----------
        metric : {"mae", "rmse", "mape", "smape", "mase"}, default="mae"
            The error.

        Returns
        -------
        dict of str to list of float
            By model, the errors over all series at horizons 1 to H.

        Raises
        ------
        ValueError
            If `metric` is unknown.

        Examples
        --------
        >>> import numpy as np
        >>> from fastlstm.forecasting import LSTMForecaster
        >>> y = np.sin(np.arange(200) / 5)
        >>> model = LSTMForecaster(4, window=20, hidden_size=8, max_iter=2, random_state=0).fit(y[:150])
        >>> result = model.backtest(y[150:], ets=False)
        >>> errors = result.by_horizon("rmse")["persistence"]
        >>> len(errors), errors == sorted(errors)
        (4, True)
        """
        if metric not in METRICS[:5]:
            raise ValueError(f"metric={metric!r}; expected one of {', '.join(METRICS[:5])}.")
        horizons = [slice(h, h + 1) for h in range(self.actual.shape[1])]
        return {model: [self._errors(model, slice(None), h)[metric] for h in horizons] for model in self.forecasts}

    def table(self) -> dict[str, list[Any]]:
        """Errors by model, series and horizon.

        Returns
        -------
        dict of str to list
            Columns of a table, to be passed to ``pandas.DataFrame`` for example, with one row per model, series and
            horizon. The metrics are "mae", "rmse", "mape" and "smape" (in percent), "mase", "coverage" and "pinball"
            (mean pinball loss of the bounds of the interval). The last two are NaN for the baselines.

        Examples
        --------
        >>> import numpy as np
        >>> from fastlstm.forecasting import LSTMForecaster
        >>> y = np.sin(np.arange(200) / 5)
        >>> model = LSTMForecaster(4, window=20, hidden_size=8, max_iter=2, random_state=0).fit(y[:150])
        >>> result = model.backtest(y[150:], ets=False)
        >>> table = result.table()
        >>> table["model"][:5], table["horizon"][:5]
        (['lstm', 'lstm', 'lstm', 'lstm', 'linear'], [1, 2, 3, 4, 1])
        """
        rows = {name: [] for name in ("model", "series", "horizon", *METRICS)}
        series = list(dict.fromkeys(self.ids))
        number = {key: n for n, key in enumerate(series)}
        numbers = np.array([number[key] for key in self.ids])
        for model in self.forecasts:
            for key in series:
                mine = numbers == number[key]
                for h in range(self.actual.shape[1]):
                    values = self._errors(model, mine, slice(h, h + 1))
                    for name, value in {"model": model, "series": key, "horizon": h + 1, **values}.items():
                        rows[name].append(value)
        return rows

    def _errors(self, model, rows, horizons):
        actual, forecast = self.actual[rows, horizons], self.forecasts[model][rows, horizons]
        error, units = np.abs(actual - forecast), np.broadcast_to(self.units[rows, None], actual.shape)
        with np.errstate(divide="ignore", invalid="ignore"):
            size = np.abs(actual) + np.abs(forecast)
            values = {
                "mae": error.mean(),
                "rmse": np.sqrt((error**2).mean()),
                "mape": 100 * (error / np.abs(actual)).mean(),
                "smape": 100 * np.where(size == 0, 0, 2 * error / size).mean(),
                "mase": (error / units).mean(),
            }
        values |= {"coverage": np.nan, "pinball": np.nan}
        if model == "lstm" and self.lower is not None:
            lower, upper = self.lower[rows, horizons], self.upper[rows, horizons]
            known = np.isfinite(lower)  # some refitted models may have no intervals
            if known.any():
                lower, upper, actual = lower[known], upper[known], actual[known]
                values["coverage"] = ((lower <= actual) & (actual <= upper)).mean()
                low = (1 - self.coverage) / 2
                values["pinball"] = (pinball(actual - lower, low).mean() + pinball(actual - upper, 1 - low).mean()) / 2
        return {name: float(value) for name, value in values.items()}

    def __str__(self):
        summary = self.summary()
        series = len(set(self.ids))
        lines = [
            f"{len(self.origins)} origins, {series} series, horizon {self.actual.shape[1]}",
            f"{'':16}" + "".join(f"{name:>10}" for name in METRICS),
        ]
        for model, values in summary.items():
            cells = "".join(f"{values[name]:10.4g}" if np.isfinite(values[name]) else f"{'-':>10}" for name in METRICS)
            lines.append(f"{model:16}{cells}")
        return "\n".join(lines)


def pinball(error, level):
    """Pinball loss of errors, actual minus predicted quantile of this level."""
    return np.maximum(level * error, (level - 1) * error)
