"""Classifier, regressor and forecaster of aeon."""

import fastlstm
from fastlstm.adapters.panels import NOT_FOR_PANELS, SMALL_NETWORKS, ClassifierAdapter, PanelAdapter
from fastlstm.adapters.parameters import with_parameters_of

try:
    from aeon.classification import BaseClassifier
    from aeon.forecasting.base import (
        BaseForecaster,
        DirectForecastingMixin,
        IterativeForecastingMixin,
        SeriesToSeriesForecastingMixin,
    )
    from aeon.regression import BaseRegressor
    from aeon.utils.validation import check_n_jobs
except ImportError as error:
    raise ImportError(
        f"fastlstm.adapters.aeon requires aeon, whose import failed ({error}): pip install 'fastlstm[aeon]'"
    ) from error

__all__ = ["LSTMClassifier", "LSTMForecaster", "LSTMRegressor"]

#: Tags of all adapters. By aeon's convention, those that can use several threads have ``n_jobs=1`` by default.
TAGS = {"algorithm_type": "deeplearning", "capability:multithreading": True}
PANEL_TAGS = {
    **TAGS,
    "X_inner_type": ["numpy3D", "np-list"],
    "capability:multivariate": True,
    "capability:unequal_length": True,
}


class _Adapter:
    """What all adapters share."""

    _allows_missing = "mask"  # the value of the parameter `missing` with which series may have NaN

    def get_tags(self):
        return super().get_tags() | {"capability:missing_values": self.missing == self._allows_missing}

    def _new_estimator(self):
        self._n_jobs = check_n_jobs(self.n_jobs)
        return self._wraps(**self.get_params(deep=False) | {"n_jobs": self._n_jobs})


class _Panel(_Adapter, PanelAdapter):
    @classmethod
    def _get_test_params(cls, parameter_set="default"):
        return list(SMALL_NETWORKS)


class LSTMClassifier(_Panel, ClassifierAdapter, BaseClassifier):
    """LSTM classifier for collections of aeon.

    Parameters
    ----------
    **parameters
        Those of `fastlstm.LSTMClassifier` except `return_sequences`, `time_order`, `layout` and `warm_start`, with
        ``n_jobs=1`` by default. With ``missing="mask"``, collections may have missing values.

    Attributes
    ----------
    estimator_ : fastlstm.LSTMClassifier
        The fitted estimator.

    See Also
    --------
    fastlstm.LSTMClassifier : The estimator, with a description of the parameters.

    Examples
    --------
    >>> from aeon.datasets import load_unit_test
    >>> from fastlstm.adapters.aeon import LSTMClassifier
    >>> X, y = load_unit_test(split="train")
    >>> model = LSTMClassifier(hidden_size=8, max_iter=2, random_state=0).fit(X, y)
    >>> model.predict_proba(X).shape
    (20, 2)
    """

    _wraps = fastlstm.LSTMClassifier
    _tags = PANEL_TAGS

    @with_parameters_of(_wraps, without=NOT_FOR_PANELS, n_jobs=1)
    def __init__(self):
        super().__init__()


class LSTMRegressor(_Panel, BaseRegressor):
    """LSTM regressor for collections of aeon.

    Parameters
    ----------
    **parameters
        Those of `fastlstm.LSTMRegressor` except `return_sequences`, `time_order`, `layout` and `warm_start`, with
        ``n_jobs=1`` by default. With ``missing="mask"``, collections may have missing values.

    Attributes
    ----------
    estimator_ : fastlstm.LSTMRegressor
        The fitted estimator.

    See Also
    --------
    fastlstm.LSTMRegressor : The estimator, with a description of the parameters.

    Examples
    --------
    >>> from aeon.datasets import load_covid_3month
    >>> from fastlstm.adapters.aeon import LSTMRegressor
    >>> X, y = load_covid_3month(split="train")
    >>> model = LSTMRegressor(hidden_size=8, max_iter=2, random_state=0).fit(X, y)
    >>> model.predict(X).shape == y.shape
    True
    """

    _wraps = fastlstm.LSTMRegressor
    _tags = PANEL_TAGS

    @with_parameters_of(_wraps, without=NOT_FOR_PANELS, n_jobs=1)
    def __init__(self):
        super().__init__()


class LSTMForecaster(
    _Adapter, BaseForecaster, DirectForecastingMixin, IterativeForecastingMixin, SeriesToSeriesForecastingMixin
):
    """LSTM forecaster for series of aeon.

    `predict` returns the value `horizon` steps ahead; `series_to_series_forecast` returns those of all steps up to
    `horizon`, which the model forecasts at once.

    Parameters
    ----------
    horizon : int, default=1
        Number of steps that the model forecasts.
    **parameters
        The other parameters of `fastlstm.LSTMForecaster` except `calendar`, `freq` and `past_covariates`, with
        ``n_jobs=1`` by default. With ``missing="forward_fill"``, series may have missing values.

    Attributes
    ----------
    forecaster_ : fastlstm.LSTMForecaster
        The fitted forecaster.

    See Also
    --------
    fastlstm.LSTMForecaster : The forecaster, with a description of the parameters.

    Notes
    -----
    There are no exogenous variables: `predict` of aeon is passed those of a single step, but the network needs their
    values at all steps of the window and the horizon. Use `fastlstm.LSTMForecaster` for these, and for dates and
    prediction intervals.

    Examples
    --------
    >>> from aeon.datasets import load_airline
    >>> from fastlstm.adapters.aeon import LSTMForecaster
    >>> y = load_airline()
    >>> model = LSTMForecaster(horizon=12, hidden_size=8, max_iter=2, random_state=0).fit(y)
    >>> forecasts = model.series_to_series_forecast(y, 12)
    >>> bool(forecasts[-1] == model.predict(y))
    True
    """

    _wraps = fastlstm.LSTMForecaster
    _tags = TAGS
    _allows_missing = "forward_fill"

    @with_parameters_of(_wraps, without=["calendar", "freq", "past_covariates"], horizon=1, n_jobs=1)
    def __init__(self):
        super().__init__(horizon=self.horizon, axis=1)

    def _fit(self, y, exog=None):
        self.forecaster_ = self._new_estimator().fit(y[0])
        return self

    def _predict(self, y, exog=None):
        return float(self.forecaster_.predict(y=y[0])[-1])

    def _series_to_series_forecast(self, y, prediction_horizon, exog=None):
        self._check_is_fitted()
        y, _ = self._preprocess_forecasting_input(y, exog, self.axis, False)
        return self.forecaster_.predict(prediction_horizon, y=y[0])

    @classmethod
    def _get_test_params(cls, parameter_set="default"):
        small = {"hidden_size": 4, "window": 4, "max_iter": 1}
        return [small, small | {"horizon": 3, "scaling": "last", "missing": "forward_fill"}]
