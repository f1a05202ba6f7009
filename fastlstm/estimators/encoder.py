"""Hidden states of a recurrent network as features."""

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING

import numpy as np
from sklearn import get_config
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted

from fastlstm import containers, sequences
from fastlstm.estimators.atomic import AtomicUpdate, snapshot
from fastlstm.estimators.base import BaseLSTM
from fastlstm.estimators.classifier import LSTMClassifier
from fastlstm.estimators.estimator import Estimator
from fastlstm.estimators.regressor import LSTMRegressor
from fastlstm.estimators.summary import Summary, summarize
from fastlstm.estimators.validation import check_compatible
from fastlstm.layers.checks import check_state_dict, named

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Self

    from numpy.typing import ArrayLike, NDArray


class SequenceEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """Encode each series as the last hidden state of an LSTM, to be used as features by other estimators.

    Parameters
    ----------
    estimator : LSTMClassifier, LSTMRegressor or None, default=None
        Estimator whose hidden states are the features. An unfitted estimator is cloned and fitted by `fit`. A fitted
        estimator is used without refitting and stays fitted when the encoder is cloned, as in a grid search or in
        cross-validation; changes of its parameters have no effect. If None, an LSTMRegressor with default parameters if
        y is of a floating-point type, and an LSTMClassifier otherwise.

    Attributes
    ----------
    estimator_ : LSTMClassifier or LSTMRegressor
        The fitted estimator. If `estimator` was fitted before, a copy of it, which is not affected by refitting
        `estimator`.
    n_features_in_ : int
        Number of features seen by `estimator_` during `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Feature names seen by `estimator_` during `fit`. Defined only if it has them.

    See Also
    --------
    LSTMClassifier.hidden_states : Hidden states after every step.

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
        # A fitted estimator is data, not a parameter: without its weights, the clone would encode with random ones. It
        # is copied so that setting parameters of the clone does not change the original.
        return type(self)(copy.copy(self.estimator) if fitted else clone(self.estimator))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []  # states have the estimator's dtype
        tags.input_tags.allow_nan = getattr(self.estimator, "missing", "error") == "mask"
        tags.target_tags.required = self.estimator is None or not _is_fitted(self.estimator)
        return tags

    def fit(self, X: ArrayLike | None, y: ArrayLike | None = None, **fit_params: Any) -> Self:
        """Fit the estimator, unless it is already fitted.

        If an error is raised, the encoder remains unchanged.

        Parameters
        ----------
        X, y
            Series and targets, as in the estimator's `fit`. Ignored if the estimator is already fitted.
        **fit_params
            Parameters passed to the estimator's `fit`; if it is already fitted, only their names are checked. With
            ``enable_metadata_routing=True``, the metadata requested by the estimator's `set_fit_request`.

        Returns
        -------
        self : SequenceEncoder
            The fitted encoder.

        Raises
        ------
        ValueError
            If `estimator` is not an LSTMClassifier or LSTMRegressor, X or y is invalid, y is None and the estimator is
            not fitted, or metadata is passed that the estimator does not request.
        TypeError
            If the estimator's `fit` does not accept one of `fit_params`.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor, SequenceEncoder
        >>> lstm = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
        >>> SequenceEncoder(lstm).fit(None).transform([[0, 1], [0, 2], [0, 3]]).shape
        (3, 8)
        """
        self._validate_params()
        update = AtomicUpdate(self)
        update.copy._fit(X, y, fit_params)
        update.commit()
        return self

    def _fit(self, X, y, fit_params):
        estimator = self.estimator
        fitted = estimator is not None and _is_fitted(estimator)
        if fitted:
            estimator = snapshot(estimator)  # the original may be refitted
            check_compatible(estimator)
        elif y is None:
            raise ValueError(
                "This SequenceEncoder requires y to be passed, but the target y is None: pass y to train the "
                "estimator, or pass a fitted estimator to SequenceEncoder."
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
        """Encode series as last hidden states.

        Parameters
        ----------
        X : array or list
            Series in any form accepted by the estimator, with the same channels as in `fit`.

        Returns
        -------
        ndarray of shape (n, D H)
            Last hidden states of the last layer, of H units and D directions. For the backward direction, this is the
            state at the first step.

        Raises
        ------
        ValueError
            If X is invalid.
        sklearn.exceptions.NotFittedError
            If the encoder is not fitted.

        Examples
        --------
        >>> from fastlstm import SequenceEncoder
        >>> encoder = SequenceEncoder().fit([[0.0, 1.0], [1.0, 0.0]] * 10, ["rise", "fall"] * 10)
        >>> encoder.transform([[0, 1], [0, 2], [0, 3]]).shape
        (3, 64)
        """
        check_is_fitted(self)
        return self.estimator_._last_states(X)

    def load_state_dict(self, mapping: Mapping[str, ArrayLike]) -> None:
        """Load weights of the layers, as `LSTMClassifier.load_state_dict` does.

        Parameters
        ----------
        mapping : mapping of str to array or tensor
            One entry for each name in the estimator's `weights_` but ``head.weight`` and ``head.bias``.

        Raises
        ------
        ValueError, TypeError
            See `LSTMClassifier.load_state_dict`. The encoder is left unchanged.
        sklearn.exceptions.NotFittedError
            If the encoder is not fitted.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor, SequenceEncoder
        >>> lstm = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
        >>> encoder = SequenceEncoder(lstm).fit(None)
        >>> weights = {name: 0 * value for name, value in lstm.weights_.items() if not name.startswith("head")}
        >>> encoder.load_state_dict(weights)
        >>> bool(encoder.transform([[0, 1]]).any())
        False
        """
        check_is_fitted(self)
        estimator = self.estimator_._fitted()  # a copy: other encoders may share the estimator
        model = estimator._model
        shapes = {name: shape for name, shape in model.shapes.items() if not name.startswith("head.")}
        loaded = check_state_dict(mapping, shapes, model.dtype)
        estimator.weights_ = {**model.weights, **loaded}
        self.estimator_ = estimator

    def summary(self) -> Summary:
        """Table of the layers that encode a series, as that of `LSTMClassifier.summary`.

        Returns
        -------
        Summary

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the encoder is not fitted.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor, SequenceEncoder
        >>> lstm = LSTMRegressor(8, max_iter=2, learning_rate="cosine")
        >>> SequenceEncoder(lstm).fit([[0, 1], [1, 0]], [2, 1]).summary().total.n_parameters
        352
        """
        check_is_fitted(self)
        return summarize(self.estimator_._fitted()._model, type(self).__name__, with_head=False)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Names of the output features: ``sequenceencoder0``, ``sequenceencoder1`` and so on.

        Parameters
        ----------
        input_features : array of str or None, default=None
            If X was 2-D, checked against its columns; ignored otherwise.

        Returns
        -------
        ndarray of str

        Raises
        ------
        ValueError
            If X was 2-D and `input_features` does not match its columns.
        sklearn.exceptions.NotFittedError
            If the encoder is not fitted.

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
        """Metadata routing: metadata of `fit` and `fit_transform` is routed to the `fit` of the estimator.

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
        # if None, the class depends on y, but neither class requests metadata by default
        estimator = LSTMClassifier() if self.estimator is None else self.estimator
        mapping = MethodMapping().add(caller="fit", callee="fit").add(caller="fit_transform", callee="fit")
        return MetadataRouter(owner=self).add(estimator=estimator, method_mapping=mapping)


def _is_fitted(estimator):
    return hasattr(estimator, "weights_")


def _check_fit_params(estimator, fit_params):
    """Raise TypeError unless the estimator's `fit` accepts these parameters, whether or not it will be called."""
    try:
        inspect.signature(estimator.fit).bind(X=None, y=None, **fit_params)
    except TypeError as error:
        kind = type(estimator).__name__
        raise TypeError(f"SequenceEncoder.fit passes fit_params to {kind}.fit, which raised: {error}.") from error


def _of_targets(y):
    y = containers.plain(y, "y")
    if sequences.is_list(y):
        raise ValueError(
            "y has one array per series: pass one target per series, or an estimator with return_sequences=True."
        )
    return LSTMRegressor() if np.asarray(y).dtype.kind == "f" else LSTMClassifier()
