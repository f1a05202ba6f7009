"""Pictures of forecasts and of backtests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastlstm.plotting import axes_for

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from fastlstm.forecasting.backtest import Backtest
    from fastlstm.forecasting.forecaster import LSTMForecaster

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
            Observations to draw beside the forecasts.
        series : hashable, default=None
            The series to draw, by its key, column or unique_id. If None, the first.
        history : int or None, default=None
            Number of past values to draw. If None, four windows.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new ones.

        Returns
        -------
        ForecastDisplay

        Raises
        ------
        ValueError
            If there is no such series, `truth` has several columns, or X is invalid.
        sklearn.exceptions.NotFittedError
            If the forecaster is not fitted.
        """
        if history is not None and (isinstance(history, bool) or not isinstance(history, int) or history < 1):
            raise ValueError(f"history={history!r}; expected an integer, 1 or more.")
        past, future, intervals = forecaster._for_display(X, series, tuple(SHADES), history)
        ax = axes_for(cls.__name__, ax)
        ax.plot(*past, color="0.3", linewidth=1, label="observed")
        ax.plot(*future, color="C0", linewidth=1.5, label="forecast")
        for coverage, (lower, upper) in intervals.items():
            label = f"{100 * coverage:g} % interval"
            ax.fill_between(future[0], lower, upper, color="C0", alpha=SHADES[coverage], linewidth=0, label=label)
        if truth is not None:
            truth = np.asarray(truth, float)
            if truth.ndim == 2 and truth.shape[1] > 1:
                raise ValueError(f"truth has {truth.shape[1]} columns; expected the values of one series.")
            truth = truth.reshape(-1)[: len(future[0])]
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
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new ones.

        Returns
        -------
        ForecastDisplay

        Raises
        ------
        ValueError
            If `metric` is unknown.
        """
        errors = backtest.by_horizon(metric)
        ax = axes_for(cls.__name__, ax)
        for model, values in errors.items():
            ours = model == "lstm"
            style = {"color": "C0", "linewidth": 2} if ours else {"linewidth": 1}
            ax.plot(np.arange(1, len(values) + 1), values, marker="o", markersize=3, label=model, **style)
        ax.set(xlabel="horizon", ylabel=metric)
        ax.set_ylim(bottom=0)
        ax.legend(frameon=False)
        return cls(ax)


def stamps_of(calendar: Any, first: int, last: int) -> NDArray[Any]:
    """Horizontal positions of the steps [first, last) of a calendar: dates, or numbers of steps."""
    stamps = calendar.at(first, last - first)
    wall = calendar.wall_of(stamps)
    return np.asarray(stamps) if wall is None else wall
