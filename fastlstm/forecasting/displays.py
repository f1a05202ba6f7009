"""Pictures of forecasts and of backtests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastlstm import containers
from fastlstm.forecasting.backtest import Backtest
from fastlstm.forecasting.checks import check_count
from fastlstm.forecasting.forecaster import LSTMForecaster
from fastlstm.forecasting.forecasts import interval_levels
from fastlstm.forecasting.frames import read_frames
from fastlstm.plotting import axes_for

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

SHADES = {0.5: 0.35, 0.9: 0.18}  # opacity of the intervals by their coverage


class ForecastDisplay:
    """Picture of the forecasts of one series, or of the errors of a backtest.

    Create it by `from_forecaster` or `from_backtest`. Requires matplotlib.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm.forecasting import ForecastDisplay, LSTMForecaster
    >>> y = np.sin(np.arange(120) / 5)
    >>> model = LSTMForecaster(10, window=20, hidden_size=8, max_iter=2, random_state=0).fit(y[:110])
    >>> display = ForecastDisplay.from_forecaster(model, truth=y[110:])
    >>> display.ax_.get_legend_handles_labels()[1]
    ['observed', 'forecast', '50 % interval', '90 % interval', 'truth']
    """

    def __init__(self, ax: Any) -> None:
        self.ax_, self.figure_ = ax, ax.figure

    @classmethod
    def from_forecaster(
        cls,
        forecaster: LSTMForecaster,
        *,
        X: Any = None,
        truth: Any = None,
        series: Any = None,
        history: int | None = None,
        ax: Any = None,
    ) -> ForecastDisplay:
        """Draw the history, the forecasts and their intervals.

        Parameters
        ----------
        forecaster : LSTMForecaster
            Fitted forecaster.
        X : like X of `LSTMForecaster.predict`, default=None
            Future values of the covariates.
        truth : array of shape (h,), default=None
            Observations to draw beside the forecasts, from the first step of these on.
        series : hashable, default=None
            The series to draw, by its key, column or unique_id. If None, the first.
        history : int or None, default=None
            Number of past values to draw. If None, four windows.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new ones.

        Returns
        -------
        ForecastDisplay
            The picture; its axes are in `ax_`.

        Raises
        ------
        ValueError
            If there is no such series, `truth` is not one series of numbers that begins with the first forecast, or X
            is invalid.
        TypeError
            If `forecaster` is not an LSTMForecaster.
        sklearn.exceptions.NotFittedError
            If the forecaster is not fitted.

        Examples
        --------
        >>> import numpy as np
        >>> from fastlstm.forecasting import ForecastDisplay, LSTMForecaster
        >>> y = {"a": np.sin(np.arange(120) / 5), "b": np.cos(np.arange(120) / 5)}
        >>> model = LSTMForecaster(10, window=20, hidden_size=8, max_iter=2, random_state=0).fit(y)
        >>> display = ForecastDisplay.from_forecaster(model, series="b", history=30)
        >>> len(display.ax_.get_lines()[0].get_xdata())
        30
        """
        if not isinstance(forecaster, LSTMForecaster):
            raise TypeError(f"forecaster is of type {type(forecaster).__name__}; expected a fitted LSTMForecaster.")
        past, future, intervals, calendar = _of_series(forecaster, X, series, history)
        truth = None if truth is None else _one_column(truth, calendar)
        ax = axes_for(cls.__name__, ax)
        ax.plot(*past, color="0.3", linewidth=1, label="observed")
        ax.plot(*future, color="C0", linewidth=1.5, label="forecast")
        for coverage, (lower, upper) in intervals.items():
            label = f"{100 * coverage:g} % interval"
            ax.fill_between(future[0], lower, upper, color="C0", alpha=SHADES[coverage], linewidth=0, label=label)
        if truth is not None:
            truth = truth[: len(future[0])]
            ax.plot(future[0][: len(truth)], truth, color="C1", linewidth=1, label="truth")
        ax.legend(frameon=False)
        return cls(ax)

    @classmethod
    def from_backtest(cls, backtest: Backtest, *, metric: str = "mae", ax: Any = None) -> ForecastDisplay:
        """Draw the error of each model by horizon.

        Parameters
        ----------
        backtest : Backtest
            Result of `LSTMForecaster.backtest`.
        metric : {"mae", "rmse", "mape", "smape", "mase"}, default="mae"
            The error to draw.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new ones.

        Returns
        -------
        ForecastDisplay
            The picture; its axes are in `ax_`.

        Raises
        ------
        ValueError
            If `metric` is unknown.
        TypeError
            If `backtest` is not a Backtest.

        Examples
        --------
        >>> import numpy as np
        >>> from fastlstm.forecasting import ForecastDisplay, LSTMForecaster
        >>> y = np.sin(np.arange(200) / 5)
        >>> model = LSTMForecaster(4, window=20, hidden_size=8, max_iter=2, random_state=0).fit(y[:150])
        >>> display = ForecastDisplay.from_backtest(model.backtest(y[150:], ets=False), metric="rmse")
        >>> display.ax_.get_ylabel()
        'rmse'
        """
        if not isinstance(backtest, Backtest):
            raise TypeError(f"backtest is of type {type(backtest).__name__}; expected the result of a backtest.")
        errors = backtest.by_horizon(metric)
        ax = axes_for(cls.__name__, ax)
        for k, (model, values) in enumerate(errors.items()):
            ours = model == "lstm"
            style = {"color": "C0", "linewidth": 2} if ours else {"color": f"C{k}", "linewidth": 1, "zorder": 3}
            ax.plot(np.arange(1, len(values) + 1), values, marker="o", markersize=3, label=model, **style)
        ax.set(xlabel="horizon", ylabel=metric)
        ax.set_ylim(bottom=0)
        ax.legend(frameon=False)
        return cls(ax)


def _one_column(truth: Any, calendar: Any) -> NDArray[Any]:
    """The values of one series in any form; raises unless they follow the steps of a calendar."""
    frames = read_frames(truth, "truth").frames
    columns = [column for frame in frames for column in frame.columns]
    if len(columns) != 1:
        raise ValueError(f"truth has {len(columns)} columns; expected the values of one series.")
    if frames[0].kinds != ["number"]:
        raise ValueError(f"truth has {containers.brief(columns[0][0])}; expected numbers.")
    calendar.require(frames[0].stamps, len(calendar), "truth")
    return columns[0]


def _of_series(
    forecaster: LSTMForecaster, X: Any, key: Any, history: int | None
) -> tuple[Any, Any, dict[float, Any], Any]:
    """Stamps and values of the past, the same of the forecasts, intervals by coverage, and the calendar of a series."""
    if history is not None:
        history = check_count(history, "history")
    panel, forecasts = forecaster._forecasts(None, X)
    if key is not None and key not in panel.ids:
        raise ValueError(f"series={key!r} is unknown; expected one of {containers.few(panel.ids)}.")
    n = 0 if key is None else panel.ids.index(key)
    data, calendar = forecaster._data, panel.index[n]
    y = np.where(data.observed[n], data.values[n], np.nan)
    first = max(0, len(y) - (history or 4 * forecaster.window_))
    intervals = {}
    for coverage in SHADES if forecasts.model.has_quantiles else ():
        intervals[coverage] = forecasts.quantiles(interval_levels(coverage))[n].T
    future = _stamps(calendar, len(y), len(y) + forecasts.steps), forecasts.points()[n]
    return (_stamps(calendar, first, len(y)), y[first:]), future, intervals, calendar


def _stamps(calendar: Any, first: int, last: int) -> NDArray[Any]:
    """Horizontal positions of the steps [first, last) of a calendar: dates, or numbers of steps."""
    stamps = calendar.at(first, last - first)
    wall = calendar.wall_of(stamps)
    return np.asarray(stamps) if wall is None else wall
