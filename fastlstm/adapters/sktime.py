"""Classifier, regressor and forecaster of sktime."""

from sklearn.base import clone

import fastlstm
from fastlstm.adapters.panels import NOT_FOR_PANELS, SMALL_NETWORKS, ClassifierAdapter, PanelAdapter
from fastlstm.adapters.parameters import with_parameters_of

try:
    import pandas as pd
    from sktime.classification.base import BaseClassifier
    from sktime.forecasting.base import BaseForecaster
    from sktime.regression.base import BaseRegressor
except ImportError as error:
    raise ImportError(
        f"fastlstm.adapters.sktime requires sktime, whose import failed ({error}): pip install 'fastlstm[sktime]'"
    ) from error

__all__ = ["LSTMClassifier", "LSTMForecaster", "LSTMRegressor"]

TAGS = {
    "authors": "The fastlstm developers",
    "maintainers": "The fastlstm developers",
    "capability:random_state": True,
    "property:randomness": "derandomized",
    "capability:missing_values": True,  # depends on the parameter `missing`; instances set this tag
}
PANEL_TAGS = {
    **TAGS,
    "X_inner_mtype": ["df-list", "numpy3D"],  # the first one is that to which sktime converts all other forms
    "capability:multivariate": True,
    "capability:unequal_length": True,
    "capability:categorical_in_X": False,
    "capability:multithreading": True,
}


class _Panel(PanelAdapter):
    def __post_init__(self):
        self.set_tags(**{"capability:missing_values": self.missing == "mask"})

    @classmethod
    def get_test_params(cls, parameter_set="default"):
        """Parameters for the tests of sktime.

        Parameters
        ----------
        parameter_set : str, default="default"
            Ignored: there is one list of parameter sets.

        Returns
        -------
        list of dict
        """
        return [{**parameters, "random_state": 0} for parameters in SMALL_NETWORKS]


class LSTMClassifier(_Panel, ClassifierAdapter, BaseClassifier):
    """LSTM classifier for panels of sktime.

    Parameters
    ----------
    **parameters
        Those of `fastlstm.LSTMClassifier` except `return_sequences`, `time_order`, `layout` and `warm_start`. With
        ``missing="mask"``, panels may have missing values.

    Attributes
    ----------
    estimator_ : fastlstm.LSTMClassifier
        The fitted estimator.

    See Also
    --------
    fastlstm.LSTMClassifier : The estimator, with a description of the parameters.

    Examples
    --------
    >>> from fastlstm.adapters.sktime import LSTMClassifier
    >>> from sktime.datasets import load_unit_test
    >>> X, y = load_unit_test(split="train")
    >>> model = LSTMClassifier(hidden_size=8, max_iter=2, random_state=0).fit(X, y)
    >>> model.predict_proba(X).shape
    (20, 2)
    """

    _wraps = fastlstm.LSTMClassifier
    _tags = {**PANEL_TAGS, "capability:predict_proba": True, "capability:class_weight": True}

    @with_parameters_of(_wraps, without=NOT_FOR_PANELS)
    def __init__(self):
        super().__init__()


class LSTMRegressor(_Panel, BaseRegressor):
    """LSTM regressor for panels of sktime.

    Several targets are outputs of one network.

    Parameters
    ----------
    **parameters
        Those of `fastlstm.LSTMRegressor` except `return_sequences`, `time_order`, `layout` and `warm_start`. With
        ``missing="mask"``, panels may have missing values.

    Attributes
    ----------
    estimator_ : fastlstm.LSTMRegressor
        The fitted estimator.

    See Also
    --------
    fastlstm.LSTMRegressor : The estimator, with a description of the parameters.

    Examples
    --------
    >>> from fastlstm.adapters.sktime import LSTMRegressor
    >>> from sktime.datasets import load_unit_test
    >>> X, y = load_unit_test(split="train")
    >>> model = LSTMRegressor(hidden_size=8, max_iter=2, random_state=0).fit(X, y.astype(float))
    >>> model.predict(X).shape
    (20,)
    """

    _wraps = fastlstm.LSTMRegressor
    _tags = {**PANEL_TAGS, "y_inner_mtype": "numpy2D", "capability:multioutput": True}

    @with_parameters_of(_wraps, without=NOT_FOR_PANELS)
    def __init__(self):
        super().__init__()

    def _fit(self, X, y):
        return super()._fit(X, y[:, 0] if y.shape[1] == 1 else y)


class LSTMForecaster(BaseForecaster):
    """LSTM forecaster for series of sktime.

    The columns of a multivariate series are forecast by one model that is fitted to all of them. Of a panel, each
    series has a model of its own.

    Parameters
    ----------
    horizon : int or None, default=None
        Number of steps that the model forecasts. If None, the last step of `fh`, which must then be passed to `fit`;
        otherwise, `predict` accepts any `fh` up to this number.
    **parameters
        The other parameters of `fastlstm.LSTMForecaster`. With ``missing="forward_fill"``, y may have missing values.

    Attributes
    ----------
    forecaster_ : fastlstm.LSTMForecaster
        The fitted forecaster.

    See Also
    --------
    fastlstm.LSTMForecaster : The forecaster, with a description of the parameters.

    Notes
    -----
    `predict` requires the future values of X, except for the columns `past_covariates`, at all steps of the horizon,
    including those between the steps of `fh`.

    `update` fits the model again to all observations. With ``update_params=False``, it only appends the new ones, from
    which the next forecasts start.

    Examples
    --------
    >>> from fastlstm.adapters.sktime import LSTMForecaster
    >>> from sktime.datasets import load_airline
    >>> y = load_airline()
    >>> model = LSTMForecaster(hidden_size=8, max_iter=2, random_state=0).fit(y, fh=[1, 2, 6])
    >>> model.predict().index.astype(str).tolist()
    ['1961-01', '1961-02', '1961-06']
    """

    _tags = {
        **TAGS,
        "y_inner_mtype": "pd.DataFrame",
        "X_inner_mtype": "pd.DataFrame",
        "capability:multivariate": True,
        "capability:insample": False,
        "capability:pred_int": True,
        "capability:pred_int:insample": False,
        "capability:non_contiguous_X": False,
        "capability:update": True,
    }
    _config = {"remember_data": False}  # `_history` is what updates need

    @with_parameters_of(fastlstm.LSTMForecaster, horizon=None)
    def __init__(self):
        super().__init__()

    def __post_init__(self):
        self._y = self._X = None  # which sktime expects if "remember_data" is set later
        self.set_tags(
            **{
                "requires-fh-in-fit": self.horizon is None,
                "capability:missing_values": self.missing == "forward_fill",
            }
        )

    def _fit(self, y, X, fh):
        parameters = self.get_params(deep=False)
        if self.horizon is None:
            parameters["horizon"] = int(max(fh.to_indexer(self.cutoff))) + 1
        X = None if X is None else X.loc[y.index]
        self.forecaster_ = fastlstm.LSTMForecaster(**parameters).fit(y, X)
        self._history = y, X
        return self

    def _predict(self, fh, X):
        return self._forecast(self.forecaster_.predict, fh, X)

    def _predict_quantiles(self, fh, X, alpha):
        quantiles = self._forecast(self.forecaster_.predict_quantiles, fh, X, levels=alpha)
        return quantiles.set_axis(self._get_columns("predict_quantiles", alpha=alpha), axis=1)

    def _predict_interval(self, fh, X, coverage):
        bounds = [self._forecast(self.forecaster_.predict_interval, fh, X, coverage=level) for level in coverage]
        bounds = pd.concat(bounds, axis=1, keys=coverage).swaplevel(0, 1, axis=1)  # variable, coverage, bound
        return bounds[self._get_columns("predict_interval", coverage=coverage)]

    def _forecast(self, method, fh, X, **options):
        """The steps `fh` of the forecasts by a method of the forecaster."""
        steps = fh.to_indexer(self.cutoff)
        if X is not None:
            X = X[X.index > self.cutoff[0]].iloc[: self.forecaster_.horizon]
            X = X.drop(columns=self._past_columns, errors="ignore")
            X = X if X.shape[1] else None
        return method(horizon=int(max(steps)) + 1, X=X, **options).iloc[steps]

    @property
    def _past_columns(self):
        """Names of the columns of X whose future is unknown; `past_covariates` may hold their positions instead."""
        past, X = self.forecaster_.past_covariates, self._history[1]
        past = [past] if isinstance(past, str) else past
        return [column if column in X.columns else X.columns[column] for column in past]

    def _update(self, y, X=None, update_params=True):
        try:
            self._append(y, X, update_params)
        except Exception:
            self._set_cutoff_from_y(self._history[0])  # `update` has moved it
            raise
        return self

    def _append(self, y, X, update_params):
        known, known_X = self._history
        last = known.index[-1]
        if y.index[-1] < last:
            raise ValueError(f"y ends at {y.index[-1]}, but is known up to {last}: pass observations that follow.")
        y = y[y.index > last]  # windows of update_predict overlap
        if not len(y):
            return
        X = None if X is None else X.loc[y.index]
        history = pd.concat([known, y]), None if known_X is None else pd.concat([known_X, X])
        if update_params:
            self.forecaster_ = clone(self.forecaster_).fit(*history)
        else:
            self.forecaster_.update(y, X)
        self._history = history

    @classmethod
    def get_test_params(cls, parameter_set="default"):
        """Parameters for the tests of sktime, see `LSTMClassifier`."""
        small = {"hidden_size": 4, "window": 5, "max_iter": 1, "random_state": 0}
        return [small, small | {"scaling": "last", "skip": None, "missing": "forward_fill", "trend": True}]
