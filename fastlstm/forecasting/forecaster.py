"""The forecaster: from series to forecasts with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from fastlstm import containers
from fastlstm.estimators.atomic import AtomicUpdate
from fastlstm.estimators.estimator import Estimator
from fastlstm.estimators.parameters import OF_RUNS, Integers, NetworkParameters, documented
from fastlstm.estimators.summary import Summary, summarize
from fastlstm.estimators.validation import check_network_parameters, validates_parameters
from fastlstm.forecasting import evaluation, selection
from fastlstm.forecasting.backtest import Backtest
from fastlstm.forecasting.calendars import season_of
from fastlstm.forecasting.checks import (
    check_count,
    check_coverage,
    check_distinct_levels,
    check_flag,
    check_horizon,
    check_parameters,
)
from fastlstm.forecasting.data import COUNTS, extended, read_data, read_future, renewed, unseen
from fastlstm.forecasting.forecasts import Fitted, interval_levels
from fastlstm.forecasting.panel import read_panel
from fastlstm.forecasting.predictor import Run
from fastlstm.forecasting.scaling import SCALINGS
from fastlstm.forecasting.transforms import Differences
from fastlstm.layers.checks import named
from fastlstm.training import losses
from fastlstm.training.collective import ALONE
from fastlstm.training.losses import Loss
from fastlstm.user_warnings import warn

if TYPE_CHECKING:
    from typing import Any, Self

#: Scalings that "auto" chooses from. If others are hardly better, the first one is used.
AUTO = ("window", "last", "series")
MAX_SEED = np.iinfo(np.int32).max
#: Most steps of windows in an epoch: of more windows, each epoch takes a sample.
EPOCH_STEPS = 2_000_000


@documented
@dataclass(repr=False, eq=False)
class LSTMForecaster(NetworkParameters, Estimator):
    """LSTM forecaster for one or many time series.

    Forecasts are computed from a scaled window of past values. A linear autoregression predicts the next `horizon`
    values, and a recurrent network is trained on its errors. One model is fitted to all series. The last part of each
    series is held out first: to choose the scaling, to decide how much the network contributes, and to measure the
    errors from which prediction intervals are computed. The final model is then fitted to all data.

    Parameters
    ----------
    horizon : int
        Number of steps to forecast, H.
    window : int or None, default=None
        Number of past values that a forecast is computed from. If None, two seasons, or 24 values without a season, but
        at least `horizon` and at most a third of the longest series.
    strategy : {"auto", "direct", "recursive"}, default="auto"
        How to forecast several steps: all at once ("direct"), or step by step, each forecast being the input of the
        next ("recursive"): the network carries its states on, and can forecast any number of steps. "auto" is "direct".
    scaling : {"auto", "window", "last", "series", "none"}, default="auto"
        How to scale a window: subtract its mean ("window") or its last value ("last") and divide by its standard
        deviation; or standardise by the mean and standard deviation of the whole series ("series"), or not at all
        ("none"). "auto" chooses among the first three by the held-out part.
    transform : {"log", "boxcox"} or None, default=None
        Transform of the values before anything else, inverted in forecasts: the logarithm, or the Box-Cox transform
        with an exponent from 0 to 2 that is fitted to each series. Both require positive values.
    differences : int, default=0
        Number of times to take differences from step to step; of covariates, too, so that their effect remains the
        same.
    seasonal_differences : int, default=0
        Number of times to take differences from season to season.
    season_length : int or None, default=None
        Number of steps in a season. If None, it is derived from the frequency of the index, for example 12 for months.
        1 means no season.
    skip : {"linear"} or None, default="linear"
        Whether a linear model of the same inputs forecasts beside the network, which then learns its errors only.
    n_models : int, default=1
        Number of networks to train, with different random seeds; forecasts are their mean.
    calendar : str or sequence of str, default=()
        Features of the date to use as covariates: "quarter", "month", "weekofyear", "dayofyear", "day", "dayofweek",
        "hour", "minute", "is_weekend", "is_month_start" and "is_month_end".
    cyclic : bool or None, default=None
        Encoding of the features of the date: if True, the sine and cosine of the position in the cycle; if False, one
        indicator per value. If None, features of up to twelve values are one-hot encoded and others are cyclic.
    trend : bool, default=False
        Whether to use the time since the start as a covariate.
    embedding_size : int or None, default=None
        How to encode categories in X and `static`: one channel for each category (None), or as many channels as this
        for each column, vectors that the network learns (for columns of many categories; the linear model does not
        read them).
    past_covariates : str, or sequence of str or int, default=()
        Columns of X whose future is unknown. The future of all other columns must be passed to `predict`. With
        ``strategy="recursive"``, they keep their last value from the second step on, so "direct" is better for them.
    positive : bool, default=False
        Whether forecasts and quantiles below 0 are set to 0.
    missing : {"error", "forward_fill"}, default="error"
        How to handle NaN in y: raise an error, or replace it by the last observed value, and leave out of training the
        windows that have NaN among their targets. Forecasts after missing values are less certain than their intervals.
        NaN before the first observation is no gap: the series begins later.
    freq : str or None, default=None
        Frequency of the time index, such as "MS" (pandas) or "1mo" (Polars). If None, it is inferred.
    loss : {"squared_error", "absolute_error", "huber", "gaussian_nll", "quantile", "poisson", "negative_binomial"}, \
default="squared_error"
        Loss function of the network. Some learn a distribution, from which quantiles and intervals are computed:

        - "gaussian_nll": the mean and the standard deviation of a normal distribution. Intervals are corrected by the
          errors on held-out data; with ``strategy="recursive"``, they are those of sampled paths.
        - "quantile": the quantiles given by `quantile`, corrected likewise; for ``strategy="direct"``.
        - "poisson", "negative_binomial": distributions of counts, values of 0 or more; the second for counts that vary
          more than a Poisson distribution, such as those with many zeros. The network reads logarithms and forecasts
          alone, without a linear model: for few observations, compare it with the default in a backtest. `scaling`,
          `transform`, `differences` and `seasonal_differences` must have their defaults.
    quantile : sequence of float, default=(0.05, 0.25, 0.5, 0.75, 0.95)
        Quantile levels for ``loss="quantile"``, in increasing order.

    Attributes
    ----------
    window_ : int
        Number of past values that a forecast is computed from.
    season_length_ : int
        Number of steps in a season; 1 without one.
    strategy_ : str
        The strategy used.
    scaling_ : str
        The scaling used.
    network_share_ : float
        Weight of the network beside the linear model, 0 to 1: the best on the held-out data, or 0 if the series are too
        short to hold out a part of them.
    settings_ : dict of str
        Values used for the parameters that can be "auto".
    validation_errors_ : dict of str to dict
        Mean absolute errors in the held-out part, in standard deviations of the series, for each scaling: of the
        linear model ("linear") and, for scalings whose linear model was close to the best, of the whole model
        ("network").

    Notes
    -----
    Below, n is the number of windows of all series, and T the window. Prediction intervals of
    series with fewer than about 100 values tend to be too narrow.

    After `fit`, changes of parameters take effect with the next `fit`. The exceptions are `backend`, `precision`,
    `n_jobs` and `verbose`, which change results by roundings at most.

    See Also
    --------
    fastlstm.LSTMRegressor : Regression on sequences that you have made yourself.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm.forecasting import LSTMForecaster
    >>> y = np.sin(np.arange(200) / 5)
    >>> model = LSTMForecaster(horizon=5, window=20, hidden_size=8, random_state=0).fit(y)
    >>> bool(np.abs(model.predict() - np.sin(np.arange(200, 205) / 5)).max() < 0.05)
    True
    """

    horizon: int
    window: int | None = None
    _: KW_ONLY
    strategy: Literal["auto", "direct", "recursive"] = "auto"
    scaling: Literal["auto", "window", "last", "series", "none"] = "auto"
    transform: Literal["log", "boxcox"] | None = None
    differences: int = 0
    seasonal_differences: int = 0
    season_length: int | None = None
    skip: Literal["linear"] | None = "linear"
    n_models: int = 1
    calendar: str | Sequence[str] = ()
    cyclic: bool | None = None
    trend: bool = False
    embedding_size: int | None = None
    past_covariates: str | Sequence[str] | Sequence[int] = ()
    positive: bool = False
    missing: Literal["error", "forward_fill"] = "error"
    freq: str | None = None
    loss: Literal[
        "squared_error", "absolute_error", "huber", "gaussian_nll", "quantile", "poisson", "negative_binomial"
    ] = "squared_error"
    quantile: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95)

    _parameter_constraints = {
        **NetworkParameters._parameter_constraints,
        "horizon": [Integers(1)],
        "window": [None, Integers(1)],
        "strategy": [StrOptions({"auto", "direct", "recursive"})],
        "scaling": [StrOptions({"auto", *SCALINGS})],
        "transform": [None, StrOptions({"log", "boxcox"})],
        "differences": [Integers(0)],
        "seasonal_differences": [Integers(0)],
        "season_length": [None, Integers(1)],
        "skip": [None, StrOptions({"linear"})],
        "n_models": [Integers(1)],
        "calendar": [str, list, tuple],
        "cyclic": [None, "boolean"],
        "trend": ["boolean"],
        "embedding_size": [None, Integers(1)],
        "past_covariates": [str, list, tuple],
        "positive": ["boolean"],
        "missing": [StrOptions({"error", "forward_fill"})],
        "freq": "no_validation",
        "loss": [StrOptions(losses.names("numbers", "counts"))],
        "quantile": [list, tuple, np.ndarray],
    }

    # -- fitting ----------------------------------------------------------------------------------------------

    @validates_parameters
    def fit(self, y: Any, X: Any = None, static: Any = None) -> Self:
        """Fit the model to one or many series.

        If an error is raised, the forecaster remains unchanged.

        Parameters
        ----------
        y : array of shape (T,) or (T, n), Series, DataFrame, list or dict of series, or long table
            The series. In a 2-D array or a wide DataFrame, each column is a series. Series in a list or a dict may
            differ in length and start. A long table is a DataFrame with the columns ``unique_id``, ``ds`` and ``y``.
        X : array of shape (T, P), DataFrame, list or dict of tables, or long table, default=None
            Covariates of the series: numbers or categories. With a wide y, one table has covariates of all series; for
            covariates of each, pass a list or dict of tables.
        static : DataFrame, dict or array with one row per series, default=None
            Covariates that are constant in time.

        Returns
        -------
        self : LSTMForecaster
            The fitted forecaster.

        Raises
        ------
        ValueError
            If a parameter or an input is invalid, or all series are too short.
        FloatingPointError
            If training diverges: the loss or its gradient is not finite.

        Examples
        --------
        >>> import numpy as np
        >>> from fastlstm.forecasting import LSTMForecaster
        >>> y = {"a": np.sin(np.arange(99) / 5), "b": np.cos(np.arange(70) / 5)}
        >>> model = LSTMForecaster(3, window=10, hidden_size=8, max_iter=2, random_state=0).fit(y)
        >>> {name: forecast.shape for name, forecast in model.predict().items()}
        {'a': (3,), 'b': (3,)}
        """
        check_network_parameters(self)
        check_parameters(self)
        update = AtomicUpdate(self)
        update.copy._fit(read_panel(y, freq=self.freq), X, static)
        update.commit()
        return self

    def _draw_seed(self):
        return int(check_random_state(self.random_state).randint(MAX_SEED - self.n_models))

    def _fit(self, panel, X, static, processes=ALONE, seed=None):
        self.season_length_ = self.season_length or season_of(max(panel.index, key=len))
        if self.seasonal_differences and self.season_length_ == 1:
            raise ValueError("seasonal_differences requires a season: set season_length, the number of its steps.")
        self.window_ = self.window or self._default_window(panel)
        self._fit_data(read_data(self, panel, X, static, self.window_), processes, seed)
        if self._fitted.errors is None:
            warn(
                "No series is long enough to hold out a part of it, so the scaling was not chosen by forecasts, and "
                f"there are no prediction intervals: pass at least {self._model.least_for_errors} values.",
                UserWarning,
            )

    def _fit_data(self, data, processes=ALONE, seed=None):
        window, H, recursive = self.window_, self.horizon, self.strategy == "recursive"
        counts = self.loss in COUNTS
        scalings = ("none",) if counts else AUTO if self.scaling == "auto" else (self.scaling,)
        plan = selection.Plan(
            window,
            H,
            scalings,
            self.transform,
            Differences(self.differences, self.seasonal_differences, self.season_length_),
            self.skip,
            self.n_models,
            data.roles(),
            Loss(self.loss, tuple(self.quantile) if self.loss == "quantile" else ()),
            recursive,
            max(1, EPOCH_STEPS // (window + H - 1 if recursive else window)),
        )
        self._check_lengths(data, plan)
        self._seed = seed = processes.collective.broadcast(self._draw_seed() if seed is None else seed)
        self._data, self._plan, self._parameters = data, plan, clone(self)
        self._fitted = selection.fit(
            plan, data.values, data.observed, data.channels(plan.shift, 0, plan.differences), self, seed, processes
        )
        self.settings_, self.strategy_ = self._fitted.settings, "recursive" if recursive else "direct"
        self.scaling_, self.network_share_ = self._fitted.predictor.scaling, self._fitted.predictor.share
        self.validation_errors_ = self._fitted.tried

    def _default_window(self, panel):
        longest = max(map(len, panel.values))
        season = self.season_length_
        return max(1, self.horizon, min(2 * season if season > 1 else 24, longest // 3))

    def _check_lengths(self, data, plan):
        least = plan.least
        lengths = [len(there) - int(np.argmax(there)) for there in data.observed]
        short = [key for key, length in zip(data.panel.ids, lengths, strict=True) if length < least]
        if len(short) == len(data.values):
            longest = max(lengths)
            raise ValueError(
                f"y has {longest} values{' at most' * (len(data.values) > 1)}, but window={plan.window} and "
                f"horizon={plan.horizon} require at least {least}: pass longer series, or reduce window or horizon."
            )
        if short:
            warn(
                f"The series {containers.few(short)} have fewer than {least} values, which window={plan.window} and "
                f"horizon={plan.horizon} require, and are left out of training; for forecasts they are extended at "
                "the start by their first value.",
                UserWarning,
            )

    @staticmethod
    def _warn_of_short(data, least):
        short = [key for key, y in zip(data.panel.ids, data.values, strict=True) if len(y) < least]
        if short:
            warn(
                f"The series {containers.few(short)} have fewer than {least} values, which the window requires, and "
                "are extended at the start by their first value: forecasts may be poor.",
                UserWarning,
            )

    # -- forecasts --------------------------------------------------------------------------------------------

    def predict(
        self, horizon: int | None = None, X: Any = None, *, y: Any = None, X_past: Any = None, static: Any = None
    ) -> Any:
        """Forecast the next values of all series, or of others.

        Parameters
        ----------
        horizon : int or None, default=None
            Number of steps. The default is the horizon of the model, which is also the maximum unless
            ``strategy="recursive"``.
        X : like X of `fit`, default=None
            Values of the covariates at the steps of the model's horizon or, if ``strategy="recursive"``, at `horizon`
            steps.
        y : like y of `fit`, default=None
            Other series to forecast, also such that were not seen in training; their scale is computed from the values
            given here. If None, the series of `fit`.
        X_past, static : like X and static of `fit`, default=None
            Covariates of `y`.

        Returns
        -------
        array, Series, DataFrame, list, dict or long table
            Forecasts in the form of y, with the stamps that follow. With ``strategy="recursive"`` and a loss of counts,
            each step is the mean if the steps before were the means; for the mean of all paths, see `sample`.

        Raises
        ------
        ValueError
            If `horizon` exceeds that of the model, or X is invalid.
        sklearn.exceptions.NotFittedError
            If the forecaster is not fitted.

        Examples
        --------
        >>> import numpy as np
        >>> from fastlstm.forecasting import LSTMForecaster
        >>> y = np.sin(np.arange(100) / 5)
        >>> model = LSTMForecaster(4, window=10, hidden_size=8, max_iter=2, random_state=0).fit(y)
        >>> model.predict().shape, model.predict(2).shape
        ((4,), (2,))
        """
        panel, forecasts = self._forecasts(horizon, X, y, X_past, static)
        return panel.write(list(forecasts.points()))

    def predict_quantiles(
        self,
        levels: Any = (0.1, 0.5, 0.9),
        horizon: int | None = None,
        X: Any = None,
        *,
        y: Any = None,
        X_past: Any = None,
        static: Any = None,
    ) -> Any:
        """Forecast quantiles of the next values.

        Unless the loss is one of a distribution, quantiles are computed from the errors on held-out data (split
        conformal prediction), as if these were symmetric about the forecast; a transform is inverted afterwards. With
        ``loss="quantile"``, they are corrected by these errors, so that the median may differ from `predict`, which is
        not; levels must lie between the lowest and the highest of the parameter `quantile`.

        Parameters
        ----------
        levels : float or sequence of float, default=(0.1, 0.5, 0.9)
            Quantile levels in (0, 1), without duplicates.
        horizon, X, y, X_past, static
            See `predict`.

        Returns
        -------
        array, DataFrame, list, dict or long table
            Quantiles in the form of y, with a last axis, or a column, for each level.

        Raises
        ------
        ValueError
            If an argument is invalid, or the series were too short to hold out a part of them.
        sklearn.exceptions.NotFittedError
            If the forecaster is not fitted.

        Examples
        --------
        >>> import numpy as np
        >>> from fastlstm.forecasting import LSTMForecaster
        >>> y = np.sin(np.arange(100) / 5)
        >>> model = LSTMForecaster(4, window=10, hidden_size=8, max_iter=2, random_state=0).fit(y)
        >>> model.predict_quantiles([0.1, 0.9]).shape
        (4, 2)
        """
        levels, names = check_distinct_levels(levels)
        panel, forecasts = self._forecasts(horizon, X, y, X_past, static)
        return panel.write(list(forecasts.quantiles(levels)), names)

    def predict_interval(
        self,
        coverage: float = 0.9,
        horizon: int | None = None,
        X: Any = None,
        *,
        y: Any = None,
        X_past: Any = None,
        static: Any = None,
    ) -> Any:
        """Forecast intervals that contain the next values with a given probability, each on its own.

        Parameters
        ----------
        coverage : float, default=0.9
            Probability, in (0, 1).
        horizon, X, y, X_past, static
            See `predict`.

        Returns
        -------
        array, DataFrame, list, dict or long table
            Lower and upper bounds in the form of y, with a last axis of length 2, or the columns "lower" and "upper".

        Raises
        ------
        ValueError
            If an argument is invalid, or the series were too short to hold out a part of them.
        sklearn.exceptions.NotFittedError
            If the forecaster is not fitted.

        Examples
        --------
        >>> import numpy as np
        >>> from fastlstm.forecasting import LSTMForecaster
        >>> y = np.sin(np.arange(100) / 5)
        >>> model = LSTMForecaster(4, window=10, hidden_size=8, max_iter=2, random_state=0).fit(y)
        >>> model.predict_interval(0.8).shape
        (4, 2)
        """
        levels = interval_levels(check_coverage(coverage))
        panel, forecasts = self._forecasts(horizon, X, y, X_past, static)
        return panel.write(list(forecasts.quantiles(levels)), ["lower", "upper"])

    def sample(
        self,
        n_samples: int = 100,
        horizon: int | None = None,
        X: Any = None,
        *,
        y: Any = None,
        X_past: Any = None,
        static: Any = None,
        random_state: Any = None,
    ) -> Any:
        """Sample paths of the next values; requires ``strategy="recursive"`` and the loss of a distribution.

        Paths of different series are independent.

        Parameters
        ----------
        n_samples : int, default=100
            Number of paths of each series.
        horizon, X, y, X_past, static
            See `predict`.
        random_state : int, RandomState or None, default=None
            Seed of the random numbers.

        Returns
        -------
        array, DataFrame, list, dict or long table
            Paths in the form of y, with a last axis, or a column, for each sample.

        Raises
        ------
        ValueError
            If an argument is invalid, or the strategy or the loss is another.
        sklearn.exceptions.NotFittedError
            If the forecaster is not fitted.

        Examples
        --------
        >>> import numpy as np
        >>> from fastlstm.forecasting import LSTMForecaster
        >>> y = np.random.default_rng(0).poisson(3, 100)
        >>> model = LSTMForecaster(4, window=10, strategy="recursive", loss="poisson", max_iter=2, random_state=0)
        >>> model.fit(y).sample(20, horizon=6, random_state=0).shape
        (6, 20)
        """
        check_is_fitted(self)
        if not self._model.samples:
            raise ValueError(
                f"strategy={self.strategy_!r} and loss={self._plan.loss.name!r}; sample requires strategy='recursive' "
                "and a loss of a distribution: 'gaussian_nll', 'poisson' or 'negative_binomial'."
            )
        n_samples = check_count(n_samples, "n_samples")
        with named("random_state"):
            random_state = check_random_state(random_state)
        panel, forecasts = self._forecasts(horizon, X, y, X_past, static)
        seed = random_state.randint(MAX_SEED)
        return panel.write(list(forecasts.paths(n_samples, seed)), [str(number) for number in range(n_samples)])

    def _forecasts(self, horizon, X, y=None, X_past=None, static=None):
        """The panel, and the `Forecasts` of the steps that follow its series."""
        check_is_fitted(self)
        h, model = check_horizon(horizon, self._plan), self._model
        data, units = self._data, self._fitted.units
        if y is not None:
            data = unseen(self._parameters, data, y, X_past, static)
            units = model.units_of(data.values)
            self._warn_of_short(data, self._plan.differences.lost + self._plan.window)
        elif X_past is not None or static is not None:
            raise ValueError("X_past and static belong to other series: pass these as y, or leave them out.")
        data = read_future(data, X, h if self._plan.recursive else self._plan.horizon)
        return data.panel, model.after(data, units, h)

    @property
    def _model(self):
        run = Run(self._kernels_for(self._parameters.dtype), self.n_jobs)
        return Fitted(self._plan, self._fitted, self._parameters.positive, self._seed, run)

    # -- new observations -------------------------------------------------------------------------------------

    def update(self, y: Any, X: Any = None) -> Self:
        """Append new observations, from which the next forecasts start; the model is not trained again.

        Parameters
        ----------
        y : like y of `fit`
            Observations that follow those known. Of several series, their numbers may differ; in a dict or a long
            table, series may be absent.
        X : like X of `fit`, default=None
            Covariates of `y`: the same series, and as many rows.

        Returns
        -------
        self : LSTMForecaster
            The forecaster with the new observations.

        Raises
        ------
        ValueError
            If an input is invalid, or leaves a gap or an overlap: the message says how large it is.
        sklearn.exceptions.NotFittedError
            If the forecaster is not fitted.

        Examples
        --------
        >>> import numpy as np
        >>> from fastlstm.forecasting import LSTMForecaster
        >>> y = np.sin(np.arange(100) / 5)
        >>> model = LSTMForecaster(4, window=10, hidden_size=8, max_iter=2, random_state=0).fit(y[:90])
        >>> model.update(y[90:]).predict().shape
        (4,)
        """
        check_is_fitted(self)
        data = extended(self._parameters, self._data, y, X)
        self._model.check(data, [len(values) for values in self._data.values])
        self._data = data
        return self

    def summary(self) -> Summary:
        """Table of the layers of a network, as that of `LSTMClassifier.summary`.

        Returns
        -------
        Summary
            All networks have the same layers; the title tells how many there are. If there is none, because
            `network_share_` is 0, the table has no layers.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the forecaster is not fitted.

        Examples
        --------
        >>> import numpy as np
        >>> from fastlstm.forecasting import LSTMForecaster
        >>> y = np.sin(np.arange(100) / 5)
        >>> model = LSTMForecaster(4, window=10, hidden_size=8, max_iter=2, skip=None, random_state=0).fit(y)
        >>> [layer.name for layer in model.summary().layers]
        ['input', 'lstm 1', 'linear']
        """
        check_is_fitted(self)
        networks = self._fitted.predictor.networks
        title = f"{type(self).__name__}, {len(networks)} network{'s' * (len(networks) != 1)}"
        return summarize(networks[0], title) if networks else Summary(title, [])

    # -- backtests --------------------------------------------------------------------------------------------

    def backtest(
        self,
        y: Any,
        horizon: int | None = None,
        stride: int = 1,
        refit: bool = False,
        *,
        X: Any = None,
        coverage: float = 0.9,
        ets: bool = True,
    ) -> Backtest:
        """Forecast from many origins in data that follow the training data, and compare with baselines.

        The baselines forecast from the same origins: the linear model, persistence, the seasonal naive forecast if
        there is a season, and exponential smoothing if statsmodels is installed.

        Parameters
        ----------
        y : like y of `fit`
            Observations that follow those known, or the known ones and those that follow.
        horizon : int or None, default=None
            Number of steps, at most that of the model, which is the default.
        stride : int, default=1
            Number of steps between origins.
        refit : bool, default=False
            Whether to fit the model again at each origin, to all values before it. Of several series, those that end
            at different times are extended by the same number of steps.
        X : like X of `fit`, default=None
            Covariates of y.
        coverage : float, default=0.9
            Nominal coverage of the intervals.
        ets : bool, default=True
            Whether to include exponential smoothing, which takes a second or so for each series.

        Returns
        -------
        Backtest
            Forecasts and errors; print it for a summary. There are no intervals beyond the horizon of the fit, unless
            they are those of sampled paths.

        Raises
        ------
        ValueError
            If an argument is invalid, or y is shorter than the horizon.
        sklearn.exceptions.NotFittedError
            If the forecaster is not fitted.

        Examples
        --------
        >>> import numpy as np
        >>> from fastlstm.forecasting import LSTMForecaster
        >>> y = np.sin(np.arange(200) / 5)
        >>> model = LSTMForecaster(4, window=20, hidden_size=8, max_iter=2, random_state=0).fit(y[:150])
        >>> print(str(model.backtest(y[150:], stride=10)).splitlines()[0])
        5 origins, 1 series, horizon 4
        """
        check_is_fitted(self)
        h, stride, coverage = (
            check_horizon(horizon, self._plan),
            check_count(stride, "stride"),
            check_coverage(coverage),
        )
        refit, ets = check_flag(refit, "refit"), check_flag(ets, "ets")
        known, data = self._data.values, renewed(self._parameters, self._data, y, X)
        # covariates known ahead are needed for the horizon of the model
        reach = self._plan.horizon if data.known[0].shape[1] and not self._plan.recursive else h
        lengths = [len(values) for values in known]
        origins = evaluation.find_origins(data, lengths, h, stride, reach)
        if refit:
            forecasts = evaluation.forecasts_by_refits(self._refitted, lengths, origins, coverage)
        else:
            forecasts = evaluation.forecasts_by(self._model, origins, coverage)
        return evaluation.compare(forecasts, known, origins, self.season_length_, coverage, ets)

    def _refitted(self, data):
        """The `Fitted` of a forecaster like this one, fitted to other data."""
        now = {name: getattr(self, name) for name in (*OF_RUNS, "verbose")}
        model = clone(self._parameters).set_params(**now)
        model.window_, model.season_length_ = self.window_, self.season_length_
        model._fit_data(data)
        return model._model
