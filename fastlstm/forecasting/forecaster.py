"""The forecaster: from series to forecasts with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from fastlstm import containers
from fastlstm.estimators.atomic import AtomicUpdate
from fastlstm.estimators.inputs import check_levels
from fastlstm.estimators.links import DocumentationLinkMixin
from fastlstm.estimators.parameters import Integers, NetworkParameters, documented
from fastlstm.estimators.summary import Summary, summarize
from fastlstm.estimators.validation import check_network_parameters, validates_parameters
from fastlstm.forecasting import backtest, baselines, selection
from fastlstm.forecasting.calendars import season_of
from fastlstm.forecasting.data import COUNTS, extended, read_data, read_future, renewed, unseen
from fastlstm.forecasting.displays import stamps_of
from fastlstm.forecasting.histories import Histories
from fastlstm.forecasting.panel import read_panel
from fastlstm.forecasting.predictor import Run
from fastlstm.forecasting.scaling import SCALINGS
from fastlstm.forecasting.transforms import Differences
from fastlstm.layers.checks import is_count
from fastlstm.training import losses
from fastlstm.training.losses import Loss
from fastlstm.user_warnings import warn

if TYPE_CHECKING:
    from typing import Any, Self

#: Scalings that "auto" chooses from. If others are hardly better, the first one is used.
AUTO = ("window", "last", "series")
MAX_SEED = np.iinfo(np.int32).max
#: Most steps of windows in an epoch: of more windows, each epoch takes a sample.
EPOCH_STEPS = 2_000_000
#: Number of sampled paths from which quantiles are computed.
N_PATHS = 200
TINY = 1e-12  # least uniform random number, as that of 0 would be infinite


@documented
@dataclass(repr=False, eq=False)
class LSTMForecaster(NetworkParameters, DocumentationLinkMixin, BaseEstimator):
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
        Number of times to take differences from step to step.
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
        Features of the date to use as covariates: "month", "quarter", "dayofweek", "hour" and so on. Features of up to
        twelve values are one-hot encoded; others become a sine and a cosine.
    trend : bool, default=False
        Whether to use the time since the start as a covariate.
    embedding_size : int or None, default=None
        How to encode categories in X and `static`: one channel for each category (None), or as many channels as this
        for each column, vectors that the network learns (for columns of many categories; the linear model does not
        read them).
    past_covariates : str, or sequence of str or int, default=()
        Columns of X whose future is unknown. The future of all other columns must be passed to `predict`.
    positive : bool, default=False
        Whether forecasts and quantiles below 0 are set to 0.
    missing : {"error", "forward_fill"}, default="error"
        How to handle NaN in y: raise an error, or replace it by the last observed value, and leave out of training the
        windows that have NaN among their targets. Forecasts after missing values are less certain than their intervals.
    freq : str or None, default=None
        Frequency of the time index, such as "MS" (pandas) or "1mo" (Polars). If None, it is inferred.
    loss : {"squared_error", "absolute_error", "huber", "gaussian_nll", "quantile", "poisson", "negative_binomial"}, \
default="squared_error"
        Loss function of the network. Some learn a distribution, from which quantiles and intervals are computed:

        - "gaussian_nll": the mean and the standard deviation of a normal distribution. Intervals are corrected by the
          errors on held-out data; with ``strategy="recursive"``, they are those of sampled paths.
        - "quantile": the quantiles given by `quantile`, corrected likewise; for ``strategy="direct"``.
        - "poisson", "negative_binomial": distributions of counts, values of 0 or more. The network reads logarithms and
          forecasts alone, without a linear model; `scaling`, `transform`, `differences` and `seasonal_differences` must
          have their defaults.
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
    series with fewer than about 60 values tend to be too narrow.

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
            Covariates of the series: numbers or categories.
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
        self._check_loss()
        update = AtomicUpdate(self)
        update.copy._fit(read_panel(y, freq=self.freq), X, static)
        update.commit()
        return self

    def _fit(self, panel, X, static):
        self.season_length_ = self.season_length or season_of(max(panel.index, key=len))
        if self.seasonal_differences and self.season_length_ == 1:
            raise ValueError("seasonal_differences requires a season: set season_length, the number of its steps.")
        self.window_ = self.window or self._default_window(panel)
        self._fit_data(read_data(self, panel, X, static, self.window_))
        if self._fitted.errors is None:
            warn(
                "No series is long enough to hold out a part of it, so the scaling was not chosen by forecasts, and "
                f"there are no prediction intervals: pass at least {self._least_for_errors()} values.",
                UserWarning,
            )

    def _fit_data(self, data):
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
        self._seed = seed = int(check_random_state(self.random_state).randint(MAX_SEED - self.n_models))
        self._data, self._plan = data, plan
        self._fitted = selection.fit(plan, data.values, data.observed, data.channels(plan.shift), self, seed)
        self.settings_, self.strategy_ = self._fitted.settings, "recursive" if recursive else "direct"
        self.scaling_, self.network_share_ = self._fitted.predictor.scaling, self._fitted.predictor.share
        self.validation_errors_ = self._fitted.tried

    def _check_loss(self):
        """Raise ValueError for parameters that do not go with the loss or the strategy."""
        if self.loss == "quantile":
            levels = check_levels(self.quantile, "quantile")
            if sorted(set(levels)) != list(levels):
                raise ValueError(f"quantile={containers.brief(self.quantile)}: expected levels in increasing order.")
        wrong = None
        if self.loss in COUNTS:
            neutral = {"scaling": "auto", "transform": None, "differences": 0, "seasonal_differences": 0}
            wrong = next((name for name, value in neutral.items() if getattr(self, name) != value), None)
        elif self.loss == "quantile":
            neutral = {"differences": 0, "seasonal_differences": 0}
            wrong = next((name for name, value in neutral.items() if getattr(self, name) != value), None)
            if self.strategy == "recursive":
                raise ValueError(
                    "loss='quantile' describes each step on its own, which is not enough for strategy='recursive': set "
                    "strategy='direct' or loss='gaussian_nll'."
                )
        if wrong is not None:
            raise ValueError(
                f"{wrong}={getattr(self, wrong)!r}, but loss={self.loss!r} requires {neutral[wrong]!r}: change one of "
                "them."
            )
        if self.strategy == "recursive" and self.bidirectional:
            raise ValueError(
                "strategy='recursive' forecasts step by step, but bidirectional=True requires whole series: set "
                "strategy='direct' or bidirectional=False."
            )

    def _least_for_errors(self):
        return self._plan.least_before_tail + self._plan.horizon

    def _default_window(self, panel):
        longest = max(map(len, panel.values))
        season = self.season_length_
        return max(1, self.horizon, min(2 * season if season > 1 else 24, longest // 3))

    def _check_lengths(self, data, plan):
        least = plan.least
        short = [key for key, y in zip(data.panel.ids, data.values, strict=True) if len(y) < least]
        if len(short) == len(data.values):
            longest = max(map(len, data.values))
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
            Other series to forecast, also such that were not seen in training. If None, those of `fit`.
        X_past, static : like X and static of `fit`, default=None
            Covariates of `y`.

        Returns
        -------
        array, Series, DataFrame, list, dict or long table
            Forecasts in the form of y, with the stamps that follow.

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
        data, histories, at, h = self._start(horizon, X, y, X_past, static)
        return data.panel.write(list(self._values(histories, self._levels(histories, at, h)[0])))

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
        conformal prediction), as if these were symmetric about the forecast; a transform is inverted afterwards.

        Parameters
        ----------
        levels : float or sequence of float, default=(0.1, 0.5, 0.9)
            Quantile levels in (0, 1).
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
        levels = check_levels(levels, "levels")
        return self._write_quantiles(levels, [f"{level:g}" for level in levels], horizon, X, y, X_past, static)

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
        levels = _levels_of(_check_coverage(coverage))
        return self._write_quantiles(levels, ["lower", "upper"], horizon, X, y, X_past, static)

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
        if not self._samples:
            raise ValueError(
                f"strategy={self.strategy_!r} and loss={self._plan.loss.name!r}; sample requires strategy='recursive' "
                "and a loss of a distribution: 'gaussian_nll', 'poisson' or 'negative_binomial'."
            )
        if not is_count(n_samples):
            raise ValueError(f"n_samples={containers.brief(n_samples)}; expected an integer, 1 or more.")
        data, histories, at, h = self._start(horizon, X, y, X_past, static)
        seed = check_random_state(random_state).randint(MAX_SEED)
        paths = self._paths(histories, at, h, n_samples, seed)
        return data.panel.write(list(paths), [str(number) for number in range(n_samples)])

    def _write_quantiles(self, levels, names, *what):
        data, histories, at, h = self._start(*what)
        return data.panel.write(list(self._quantiles(histories, at, h, levels)), names)

    def _start(self, horizon, X, y=None, X_past=None, static=None):
        """The data, their histories, the series and origins of the forecasts, and their number of steps."""
        check_is_fitted(self)
        h, plan = self._check_horizon(horizon), self._plan
        data, units = self._data, self._fitted.units
        if y is not None:
            data = unseen(self, data, y, X_past, static)
            units = units[:1] * len(data.values)
            if not plan.counts:
                units = plan.units(data.values, self._fitted.predictor.scaling)
        elif X_past is not None or static is not None:
            raise ValueError("X_past and static belong to other series: pass these as y, or leave them out.")
        data = read_future(data, X, h if plan.recursive else plan.horizon)
        histories = self._histories(data.last(plan), units, ahead=plan.ahead(h))
        return data, histories, (np.arange(len(units)), np.array([len(of) for of in histories.values])), h

    @property
    def _samples(self):
        """Whether quantiles are those of sampled paths."""
        return self._plan.recursive and self._plan.loss.is_distribution

    @property
    def _has_quantiles(self):
        return self._fitted.errors is not None or self._samples or self._plan.counts

    def _levels(self, histories, at, h, share=None):
        """Forecasts [n, h] of levels, and the units of their errors [n, 1 or h]."""
        predictor = self._fitted.predictor
        predictor = predictor if share is None else predictor.with_share(share)
        steps = {"steps": h} if self._plan.recursive else {}
        levels, unit = histories.forecast(predictor, *at, Run(self.backend, self.n_jobs), **steps)
        return levels[:, :h], unit[:, :h]

    def _paths(self, histories, at, h, n_samples, seed):
        """Sampled paths [n, h, S]."""
        uniform = np.random.default_rng(seed).uniform(TINY, 1, (len(at[0]), h, n_samples))
        run = Run(self.backend, self.n_jobs)
        return self._values(histories, histories.sample(self._fitted.predictor, *at, h, uniform, run), at[0])

    def _quantiles(self, histories, at, h, asked):
        """Quantiles [n, h, L] of the next values."""
        asked, plan, errors = np.array(asked), self._plan, self._fitted.errors
        if plan.counts and errors is not None:
            asked = errors.hits.levels(asked)
        if self._samples:
            paths = self._paths(histories, at, h, N_PATHS, self._seed)
            found = np.quantile(paths, asked, axis=2, method="higher" if plan.counts else "linear")
            return np.moveaxis(np.rint(found) if plan.counts else found, 0, 2)
        if not self._has_quantiles:
            raise ValueError(
                "The series were too short to hold out a part of them, so the size of forecast errors is unknown: fit "
                f"to at least {self._least_for_errors()} values."
            )
        if h > plan.horizon:
            raise ValueError(
                f"horizon={h}, but forecast errors are known up to horizon={plan.horizon}, that of the fit: fit with a "
                "larger horizon, or with loss='gaussian_nll'."
            )
        if plan.counts or plan.loss.name == "quantile":
            levels = self._learned(histories, at, h, asked)
        else:
            levels, unit = self._levels(histories, at, h)
            signed = 2 * asked - 1
            levels = levels[..., None] + np.sign(signed) * errors.width(np.abs(signed), unit)
        values = self._values(histories, levels, at[0])
        return np.rint(values) if plan.counts else values

    def _learned(self, histories, at, h, asked):
        """Quantiles [n, h, L] of levels, that the networks have learned, corrected by the errors on held-out data."""
        plan, predictor, run = self._plan, self._fitted.predictor, Run(self.backend, self.n_jobs)
        fitted = plan.loss.levels
        if fitted and not (fitted[0] <= asked.min() and asked.max() <= fitted[-1]):
            raise ValueError(
                f"The levels {containers.few(asked.tolist())} are not between {fitted[0]:g} and {fitted[-1]:g}, those "
                "that the model was fitted for: fit with a `quantile` that covers them."
            )
        found = histories.quantiles(predictor, *at, asked, run)[:, :h]
        if fitted:
            errors, (_, unit) = self._fitted.errors, self._levels(histories, at, h)
            shifts = np.interp(asked, fitted, errors.shifts)
            found = found + (unit * errors.size[:h])[..., None] * shifts
            order = np.argsort(asked)
            found[..., order] = np.sort(found, axis=2)  # the shifts may make quantiles cross
        return found

    def _histories(self, data, units, origins=None, ahead=0):
        channels = data.channels(self._plan.shift, ahead)
        return Histories(data.values, data.observed, units, channels, self._plan.window, origins, ahead)

    def _check_horizon(self, horizon):
        most = self._plan.horizon
        if horizon is None:
            return most
        if not is_count(horizon):
            raise ValueError(f"horizon={containers.brief(horizon)}; expected an integer, 1 or more.")
        if horizon > most and not self._plan.recursive:
            raise ValueError(
                f"horizon={containers.brief(horizon)}; expected an integer from 1 to {most}, the horizon that the "
                "model was fitted for: for more, fit with a larger horizon, or with strategy='recursive'."
            )
        return int(horizon)

    def _values(self, histories, levels, series=None):
        """Forecasts [n, ...] from their levels; of all series unless some are given."""
        values = histories.undo(np.arange(len(levels)) if series is None else series, levels)
        return np.maximum(values, 0) if self.positive else values

    def _for_display(self, X, key, coverages, history):
        """Stamps and values of the past, and of the forecasts, and intervals by coverage, of one series."""
        _, histories, at, h = self._start(None, X)
        ids = self._data.panel.ids
        if key is not None and key not in ids:
            raise ValueError(f"series={key!r} is unknown; expected one of {containers.few(ids)}.")
        n = 0 if key is None else ids.index(key)
        y, calendar = self._data.values[n], self._data.panel.index[n]
        first = max(0, len(y) - (history or 4 * self.window_))
        past = stamps_of(calendar, first, len(y)), np.where(self._data.observed[n], y, np.nan)[first:]
        intervals = {}
        for coverage in coverages if self._has_quantiles else ():
            bounds = self._quantiles(histories, at, h, _levels_of(coverage))
            intervals[coverage] = list(bounds[n].T)
        forecast = self._values(histories, self._levels(histories, at, h)[0])[n]
        return past, (stamps_of(calendar, len(y), len(y) + h), forecast), intervals

    # -- new observations -------------------------------------------------------------------------------------

    def update(self, y: Any, X: Any = None) -> Self:
        """Append new observations, from which the next forecasts start; the model is not trained again.

        Parameters
        ----------
        y : like y of `fit`
            Observations that follow those known.
        X : like X of `fit`, default=None
            Their covariates.

        Returns
        -------
        self : LSTMForecaster

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
        self._data = extended(self, self._data, y, X)
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
    ) -> backtest.Backtest:
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
            Forecasts and errors; print it for a summary.

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
        h = self._check_horizon(horizon)
        backtest.check_stride(stride)
        coverage = _check_coverage(coverage)
        before = [len(values) for values in self._data.values]
        data = renewed(self, self._data, y, X)
        # covariates known ahead are needed for the horizon of the model
        reach = self._plan.horizon if data.known[0].shape[1] and not self._plan.recursive else h
        places = [
            (n, p)
            for n, values in enumerate(data.values)
            for p in range(before[n], len(values) - reach + 1, stride)
            if data.observed[n][p : p + h].all()
        ]
        if not places:
            raise ValueError(
                f"y has fewer than {reach} observations after those known, which horizon={h} requires"
                f"{' with covariates that are known ahead' * (reach > h)}: pass more."
            )
        series, origins = np.array(places).T
        if not refit:
            forecasts = self._forecasts_from(data, series, origins, h, coverage)
        else:
            forecasts = {}
            steps = origins - np.array(before)[series]  # since the end of what was known
            for step in np.unique(steps):
                rows = np.flatnonzero(steps == step)
                ends = [min(end + step, len(values)) for end, values in zip(before, data.values, strict=True)]
                model = self._refitted(data.cut([0] * len(ends), ends))
                for name, value in model._forecasts_from(data, series[rows], origins[rows], h, coverage).items():
                    empty = np.full((len(origins), h), np.nan)
                    forecasts.setdefault(name, empty)[rows] = value
        return self._compared(data, series, origins, h, forecasts, coverage, ets)

    def _refitted(self, data):
        """A forecaster like this one, fitted to other data."""
        model = clone(self).set_params(horizon=self._plan.horizon, strategy=self.strategy_)
        model.window_, model.season_length_ = self.window_, self.season_length_
        model._fit_data(data)
        return model

    def _forecasts_from(self, data, series, origins, h, coverage):
        """Forecasts [n, h] of the model, of its linear part, and bounds of its intervals."""
        first = [int(origins[series == n].min()) if (series == n).any() else len(y) for n, y in enumerate(data.values)]
        histories, at = self._histories(data, self._fitted.units, first), (series, origins)
        found = {"lstm": self._values(histories, self._levels(histories, at, h)[0], series)}
        if self._plan.blends:
            found["linear"] = self._values(histories, self._levels(histories, at, h, share=0.0)[0], series)
        if self._has_quantiles and (h <= self._plan.horizon or self._samples):
            bounds = self._quantiles(histories, at, h, _levels_of(coverage))
            found |= {"lower": bounds[..., 0], "upper": bounds[..., 1]}
        return found

    def _compared(self, data, series, origins, h, forecasts, coverage, ets):
        """A `Backtest` of forecasts and baselines."""
        m = self.season_length_
        lower, upper = forecasts.pop("lower", None), forecasts.pop("upper", None)
        recent = np.stack([_last(data.values[n][:p], m) for n, p in zip(series, origins, strict=True)])
        forecasts["persistence"] = baselines.persistence(recent, h)
        if m > 1:
            forecasts["seasonal_naive"] = baselines.seasonal_naive(recent, h, m)
        smoothed = self._ets(data, series, origins, h) if ets else None
        if smoothed is not None:
            forecasts["ets"] = smoothed
        actual = np.stack([data.values[n][p : p + h] for n, p in zip(series, origins, strict=True)])
        units = [baselines.naive_error(values, m) for values in self._data.values]
        ids = [data.panel.ids[n] for n in series]
        return backtest.Backtest(ids, origins, actual, forecasts, lower, upper, coverage, np.array(units)[series])

    def _ets(self, data, series, origins, h):
        """Forecasts of exponential smoothing, fitted to the values known before; None without statsmodels."""
        forecasts = np.empty((len(series), h))
        for n in np.unique(series):
            rows = series == n
            of_series = baselines.ets(data.values[n], len(self._data.values[n]), origins[rows], h, self.season_length_)
            if of_series is None:
                return None
            forecasts[rows] = of_series
        return forecasts


def _check_coverage(coverage):
    levels = check_levels(coverage, "coverage")
    if len(levels) != 1:
        raise ValueError(f"coverage={containers.brief(coverage)}; expected one number in (0, 1).")
    return levels[0]


def _levels_of(coverage):
    """Quantile levels of the bounds of a central interval."""
    return round((1 - coverage) / 2, 12), round((1 + coverage) / 2, 12)


def _last(values, count):
    """The last `count` values, extended at the start by the first one if there are fewer."""
    return np.concatenate([np.repeat(values[:1], max(0, count - len(values))), values[-count:]])
