"""SequenceEncoder."""

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted

from fastlstm import containers, sequences
from fastlstm.estimators.agreement import check_same_model
from fastlstm.estimators.base import BaseLSTM
from fastlstm.estimators.classifier import LSTMClassifier
from fastlstm.estimators.drafts import Draft, as_it_is
from fastlstm.estimators.regressor import LSTMRegressor
from fastlstm.layers.checks import named

if TYPE_CHECKING:
    from typing import Any, Self

    from numpy.typing import ArrayLike, NDArray


class SequenceEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Turn each series into the last hidden state of an LSTM: features for any other estimator.

    Parameters
    ----------
    estimator : LSTMClassifier, LSTMRegressor or None, default=None
        Whose states to take. One that is fitted is used as it is, and stays fitted where the encoder is cloned, as in a
        search or in cross-validation: its parameters have no more effect; one that is not is cloned and fitted by
        `fit`. None is an LSTMRegressor where y holds floating-point numbers and an LSTMClassifier otherwise, with their
        defaults.

    Attributes
    ----------
    estimator_ : LSTMClassifier or LSTMRegressor
        The fitted one. Where `estimator` came fitted, a copy, which stays as it is when that is fitted again.
    n_features_in_ : int
        As of `estimator_`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        As of `estimator_`.

    See Also
    --------
    LSTMClassifier.hidden_states : The states after every step.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import RidgeClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from fastlstm import LSTMClassifier, SequenceEncoder
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(length, 2)) for length in rng.integers(5, 15, 60)]  # series of unequal lengths
    >>> y = [series[:, 0].sum() > 0 for series in X]
    >>> lstm = LSTMClassifier(8, learning_rate_init=0.02, learning_rate="cosine", max_iter=20, batch_size=10)
    >>> model = make_pipeline(SequenceEncoder(lstm), RidgeClassifier()).fit(X, y)
    >>> model[:-1].transform(X).shape
    (60, 8)
    """

    _parameter_constraints = {"estimator": [None, BaseLSTM]}

    def __init__(self, estimator: BaseLSTM | None = None) -> None:
        self.estimator = estimator

    def __sklearn_clone__(self):
        fitted = self.estimator is not None and _is_fitted(self.estimator)
        # An estimator that came fitted is data, not a setting: without its weights the copy would encode by chance. It
        # is copied, for parameters of the copy may be set.
        return type(self)(copy.copy(self.estimator) if fitted else clone(self.estimator))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []  # states are of the estimator's dtype
        tags.input_tags.allow_nan = getattr(self.estimator, "missing", "error") == "mask"
        tags.target_tags.required = self.estimator is None or not _is_fitted(self.estimator)
        return tags

    def fit(self, X: ArrayLike | None, y: ArrayLike | None = None, **fit_params: Any) -> Self:
        """Fit the LSTM, unless it came fitted.

        Parameters
        ----------
        X, y
            Series and targets as the estimator's `fit` takes them; not looked at where it came fitted.
        **fit_params
            Passed to the estimator's `fit`; where it came fitted, not looked at beyond their names. With
            ``enable_metadata_routing=True``, what the estimator requests by its `set_fit_request`.

        Returns
        -------
        self : SequenceEncoder

        Raises
        ------
        ValueError
            If `estimator` is none of ours, X or y is not as described, y is None where there is something to fit, or
            metadata is passed that the estimator does not request. The encoder stays as it was.
        TypeError
            If the estimator's `fit` does not take one of `fit_params`; likewise.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor, SequenceEncoder
        >>> lstm = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
        >>> SequenceEncoder(lstm).fit(None).transform([[0, 1], [0, 2], [0, 3]]).shape
        (3, 8)
        """
        self._validate_params()
        draft = Draft(self)
        draft.copy._fit(X, y, fit_params)
        draft.adopt()
        return self

    def _fit(self, X, y, fit_params):
        estimator = self.estimator
        fitted = estimator is not None and _is_fitted(estimator)
        if fitted:
            estimator = as_it_is(estimator)  # which others may fit again
            check_same_model(estimator)
        elif y is None:
            raise ValueError(
                "This SequenceEncoder requires y to be passed, but the target y is None: pass it to train the "
                "LSTM, or make the encoder with a fitted estimator."
            )
        else:
            estimator = _of_targets(y) if estimator is None else clone(estimator)
        if get_config()["enable_metadata_routing"]:
            fit_params = process_routing(self, "fit", **fit_params).estimator.fit
        _check_fit_params(estimator, fit_params)
        if not fitted:
            estimator.fit(X, y, **fit_params)
        self.estimator_, self.n_features_in_ = estimator, estimator.n_features_in_
        if hasattr(estimator, "feature_names_in_"):
            self.feature_names_in_ = estimator.feature_names_in_
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self._n_features_out = estimator._model.stack.width

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """The last hidden states.

        Parameters
        ----------
        X : array or list
            Series with the channels that were fitted, in any form that an LSTMClassifier takes.

        Returns
        -------
        ndarray of shape (n, D H)
            H units of the last layer; with two directions, the states of both, that of the backward one at the first
            step.

        Raises
        ------
        ValueError
            If X is not as described.
        sklearn.exceptions.NotFittedError
            If `fit` was not called.

        Examples
        --------
        >>> from fastlstm import SequenceEncoder
        >>> encoder = SequenceEncoder().fit([[0.0, 1.0], [1.0, 0.0]] * 10, ["rise", "fall"] * 10)
        >>> encoder.transform([[0, 1], [0, 2], [0, 3]]).shape
        (3, 64)
        """
        check_is_fitted(self)
        return self.estimator_._last_states(X)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Names of the features, ``sequenceencoder0`` and so on.

        Parameters
        ----------
        input_features : array of str or None, default=None
            Checked against the columns where X was 2-D, and ignored otherwise.

        Returns
        -------
        ndarray of str

        Raises
        ------
        ValueError
            If a 2-D X was fitted whose columns are others.
        sklearn.exceptions.NotFittedError
            If `fit` was not called.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor, SequenceEncoder
        >>> lstm = LSTMRegressor(2, max_iter=2, learning_rate="cosine")
        >>> SequenceEncoder(lstm).fit([[0, 1], [1, 0]], [2, 1]).get_feature_names_out()
        array(['sequenceencoder0', 'sequenceencoder1'], dtype=object)
        """
        check_is_fitted(self)
        of_table = self.estimator_._columns is not None
        with named("input_features"):
            return super().get_feature_names_out(input_features if of_table else None)

    def get_metadata_routing(self) -> MetadataRouter:
        """Where metadata goes: what is passed to `fit` and `fit_transform`, to the `fit` of the estimator.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter

        Examples
        --------
        >>> import sklearn
        >>> from fastlstm import LSTMClassifier, SequenceEncoder
        >>> with sklearn.config_context(enable_metadata_routing=True):
        ...     lstm = LSTMClassifier(8).set_fit_request(sample_weight=True)
        ...     SequenceEncoder(lstm).get_metadata_routing().consumes("fit", ["sample_weight"])
        {'sample_weight'}
        """
        # which of the two stands in for None, y decides: neither requests anything by itself
        estimator = LSTMClassifier() if self.estimator is None else self.estimator
        mapping = MethodMapping().add(caller="fit", callee="fit").add(caller="fit_transform", callee="fit")
        return MetadataRouter(owner=self).add(estimator=estimator, method_mapping=mapping)


def _is_fitted(estimator):
    return hasattr(estimator, "weights_")


def _check_fit_params(estimator, fit_params):
    """Raise unless the estimator's `fit` takes these, whether it is called or not."""
    try:
        inspect.signature(estimator.fit).bind(X=None, y=None, **fit_params)
    except TypeError as error:
        kind = type(estimator).__name__
        raise TypeError(f"SequenceEncoder.fit passes what else it is given to {kind}.fit, which {error}.") from error


def _of_targets(y):
    y = containers.plain(y, "y")
    if sequences.is_list(y):
        raise ValueError(
            "y has an array for each series: pass one target for each, or an estimator with return_sequences=True."
        )
    return LSTMRegressor() if np.asarray(y).dtype.kind == "f" else LSTMClassifier()
