"""What the classifiers and regressors of sktime and aeon share: fitting to, and predicting for, panels of series."""

import numpy as np

from fastlstm import containers

#: Parameters that have no meaning for an adapter: both libraries have one target per series, pass arrays whose axes are
#: known, and fit a new model in each call of `fit`.
NOT_FOR_PANELS = ("return_sequences", "time_order", "layout", "warm_start")
#: Parameter sets for the tests of the libraries.
SMALL_NETWORKS = (
    {"hidden_size": 4, "max_iter": 1},
    {"hidden_size": 4, "max_iter": 2, "cell": "gru", "missing": "mask"},
)


class PanelAdapter:
    """Mixin of adapters that hold the wrapped estimator, an instance of `_wraps`, in `estimator_`."""

    def _new_estimator(self):
        return self._wraps(**self.get_params(deep=False))

    def _fit(self, X, y):
        self.estimator_ = self._new_estimator().fit(steps_first(X), y)
        return self

    def _predict(self, X):
        return self.estimator_.predict(steps_first(X))


class ClassifierAdapter(PanelAdapter):
    """Mixin of adapters of a classifier."""

    def _predict_proba(self, X):
        return self.estimator_.predict_proba(steps_first(X))


def steps_first(X):
    """Series of shape (C, T), in an array (n, C, T) or a list, as arrays of shape (T, C).

    The frames of sktime have a row per step already.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm.adapters.panels import steps_first
    >>> steps_first(np.zeros((5, 2, 9))).shape
    (5, 9, 2)
    >>> [series.shape for series in steps_first([np.zeros((2, 9)), np.zeros((2, 7))])]
    [(9, 2), (7, 2)]
    """
    if isinstance(X, np.ndarray):
        return X.transpose(0, 2, 1)
    return [series.to_numpy() if containers.is_table(series) else series.T for series in X]
