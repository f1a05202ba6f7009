"""Base class of the estimators."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import issparse
from sklearn.utils._param_validation import validate_parameter_constraints
from sklearn.utils.validation import check_is_fitted

from fastlstm import containers, sequences, storage
from fastlstm.estimators.atomic import snapshot
from fastlstm.estimators.callbacks import CallbackSupportMixin
from fastlstm.estimators.data import check_targets, has_target
from fastlstm.estimators.estimator import Estimator
from fastlstm.estimators.inputs import check_lengths, check_series, check_weights
from fastlstm.estimators.metadata import MetadataRequestMixin
from fastlstm.estimators.parameters import OF_RUNS, Parameters
from fastlstm.estimators.stream import Stream
from fastlstm.estimators.summary import Summary, summarize
from fastlstm.estimators.symbolic import check_symbols, vocabulary_of
from fastlstm.layers.checks import check_state_dict, named

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import ArrayLike, NDArray

    #: An array, or a list of arrays if X is a list; Any, so that type checkers do not require callers to distinguish.
    ArrayOrList = NDArray[Any] | Any


@dataclass(repr=False, eq=False)
class BaseLSTM(MetadataRequestMixin, Parameters, CallbackSupportMixin, Estimator):
    """Recurrent layers and a linear head; subclasses define targets, losses and scores."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing == "mask"
        tags.input_tags.string = self.embedding_size is not None
        return tags

    # -- hooks for subclasses ---------------------------------------------------------------------------

    _methods = ("predict",)  # prediction methods, which are also those of the model's `output`

    def _encode(self, y, valid, reset, classes=None, name="y"):
        """Encode y as targets [rows, .] of the loss; with `reset`, set the outputs, else check y against them.

        Targets of rows whose `valid` [rows, .] is all False are ignored.
        """
        raise NotImplementedError

    class_weight = None  # a parameter of classifiers
    _has_labels = False  # whether targets are labels, by which `_random_split` stratifies unless they are per step

    def _combine_weights(self, targets, weights, masses):
        """Sample weights multiplied with weights that depend on the targets; `masses`: weight of each class."""
        return weights

    def _make_loss(self):
        """The `Loss` selected by the parameters, if any; raises if they are invalid."""

    def _output(self, scaling):
        """Conversion of scores to predictions; `scaling`: the standardisation of the targets, or None."""
        raise NotImplementedError

    def _fixed_parameters(self):
        """(name, value, fitted value) of parameters that define the head's outputs and so must not change."""
        return ()

    def _scales_targets(self):
        """Whether `standardize` applies to the targets."""
        return False

    def _n_targets(self):
        """Number of columns of y."""
        return self.n_outputs_

    def _score_encoded(self, scores, targets, weights):
        """Validation score for encoded targets; greater is better."""
        raise NotImplementedError

    def _score_rows(self, y, scores, weights):
        """Score for y [rows, .] in its original form."""
        raise NotImplementedError

    def _check_validation_data(self, targets, weights):
        """Raise unless a score is defined for the validation data."""
        if not weights.any():
            raise ValueError(
                "Every validation sample has weight 0: pass X_val and y_val with positive weights, or raise "
                f"validation_fraction (now {self.validation_fraction:g})."
            )

    def _check_partial_fit(self):
        """Raise if parameters of the subclass are incompatible with `partial_fit`."""

    def _random_split(self, n, held, targets, seed):
        """Random indices of the training series, and of the `held` validation series."""
        from sklearn.model_selection import train_test_split  # imported here because it is slow

        return train_test_split(np.arange(n), test_size=held, random_state=seed)

    def _check_split(self, trained, held_out):
        """Raise unless the training part has all labels of the part held out.

        Both are a number of series, and the codes of their labels.
        """

    # -- what training and prediction depend on: parameters, and once fitted the model -------------------

    @property
    def _per_step(self):
        return self._model.per_step if "_model" in vars(self) else bool(self.return_sequences)

    @property
    def _masked(self):
        return self._model.masked if "_model" in vars(self) else self.missing == "mask"

    @property
    def _reads_symbols(self):
        return self._model.embedding is not None if "_model" in vars(self) else self.embedding_size is not None

    @property
    def _standardised(self):
        return self._model.scaling is not None if "_model" in vars(self) else bool(self.standardize)

    # -- the fitted model -------------------------------------------------------------------------------

    @property
    def weights_(self):
        return self._model_for("weights_").weights

    @weights_.setter
    def weights_(self, weights):
        self._model = replace(self._model_for("weights_"), weights=weights)

    def load_state_dict(self, mapping: Mapping[str, ArrayLike]) -> None:
        """Load weights from a mapping such as `weights_`, or the state dict of a PyTorch module of `to_torch`.

        Everything else that was fitted remains, including the standardisation of channels and targets.

        Parameters
        ----------
        mapping : mapping of str to array or tensor
            One entry for each name in `weights_`, of the same shape; converted to the type of `weights_`. Names may
            have prefixes, as in ``module.rnn.weight_ih_l0``: one for the weights of the recurrent layers, and one for
            all others.

        Raises
        ------
        ValueError
            If names are missing or unknown, a shape is wrong or a weight is not finite. The estimator is left
            unchanged.
        TypeError
            If `mapping` is not a mapping, or a weight does not consist of real numbers. The estimator is left
            unchanged.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted: fit it first, for example with ``max_iter=1`` to data of the same form.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor
        >>> X, y = [[0, 1], [1, 0]], [2, 1]
        >>> one, other = (LSTMRegressor(8, max_iter=2, random_state=seed, learning_rate="cosine") for seed in (0, 1))
        >>> other.fit(X, y).load_state_dict(one.fit(X, y).weights_)
        >>> bool((one.predict(X) == other.predict(X)).all())
        True
        """
        model = self._fitted()._model
        self._model = replace(model, weights=check_state_dict(mapping, model.shapes, model.dtype))

    @property
    def vocabulary_(self):
        if self._model_for("vocabulary_").embedding is None:
            raise AttributeError(f"{type(self).__name__!r} object has no vocabulary_: it was fitted without symbols.")
        return vocabulary_of(self._schema)

    @property
    def x_mean_(self):
        return _scaling_attribute(self._model_for("x_mean_").scaling, "mean")

    @property
    def x_scale_(self):
        return _scaling_attribute(self._model_for("x_scale_").scaling, "scale")

    @property
    def y_mean_(self):
        return _scaling_attribute(self._model_for("y_mean_").target_scaling, "mean")

    @property
    def y_scale_(self):
        return _scaling_attribute(self._model_for("y_scale_").target_scaling, "scale")

    def _model_for(self, name):
        """The fitted `Model`, which holds the attribute `name`."""
        try:
            return vars(self)["_model"]
        except KeyError:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}: call fit first.") from None

    def _fitted(self):
        """Snapshot of the fitted estimator for prediction, not affected by fits in other threads."""
        if "_model" not in vars(self):
            check_is_fitted(self)  # raises; otherwise too slow for each call
        fitted = snapshot(self)
        # the defaults need no validation
        if fitted.n_jobs is not None or fitted.backend != "auto" or fitted.precision != "float32":
            constraints = {name: self._parameter_constraints[name] for name in OF_RUNS}
            given = {name: getattr(fitted, name) for name in constraints}
            validate_parameter_constraints(constraints, given, caller_name=type(self).__name__)
        fitted._model.check()
        return fitted

    # -- prediction -------------------------------------------------------------------------------------

    def _check_series(self, X, reset=False, name="X"):
        """Validate X and return it as series in the original units."""
        dtype = self.dtype if name != "X" or reset else self._model.dtype
        if self._standardised:
            dtype = None  # values may be large, and are not rounded before their mean is subtracted
        if self._reads_symbols:
            _check_in_memory(X, name)
            return check_symbols(self, X, dtype or "float64", reset, name)
        return check_series(self, X, dtype, reset, name, "keep" if self._masked else "error")

    def _predict_with(self, X, function):
        """Result of `function` on the scores [rows, K S], in the form of X."""
        x, model = self._check_series(X), self._model
        rows = function(model.scores(x, self._kernels_for(model.dtype), self.n_jobs))
        return x.restore(rows) if model.per_step else rows

    def _score(self, X, y, sample_weight, metric):
        """Score of the predictions; `metric(y, predicted, weights)` is used for one weight per series."""
        fitted = self._fitted()
        if fitted._per_step:
            return fitted._score_weighted(X, y, sample_weight)
        sample_weight = containers.plain(sample_weight, "sample_weight")
        with named("sample_weight"):
            per_output = sample_weight is not None and len(sequences.shape_of(sample_weight)) > 1
        if per_output:
            return fitted._score_weighted(X, y, sample_weight)
        y, predicted = containers.plain(y, "y"), fitted.predict(X)
        with named("sample_weight"):
            weights = (
                None if sample_weight is None else check_weights(sample_weight, predicted, 1, "sample_weight")[:, 0]
            )
        with named("y"):
            if weights is not None and not weights.all():
                check_lengths(predicted, y, "y")
                present = has_target(y, weights, "y")
                y, predicted, weights = (np.asarray(rows)[present] for rows in (y, predicted, weights))
            return metric(y, predicted, weights)

    def _score_weighted(self, X, y, sample_weight):
        """Score with a weight for each step, or for each output."""
        x = self._check_series(X)
        y, weights = check_targets(self, x, y, sample_weight, n_targets=self._n_targets())
        with named("y"):
            y = y.toarray() if issparse(y) else np.asarray(y)
            y = y.reshape(len(y), -1)
        scores = self._model.scores(x, self._kernels_for(self._model.dtype), self.n_jobs)
        used = weights.any(axis=1)
        with named("y"):
            return self._score_rows(y[used], scores[used], weights[used])

    def _last_states(self, X):
        """Last hidden states [n, D H] of the last layer; for the backward direction, those at the first step."""
        return self._fitted()._states(X, per_step=False)[1]

    def _states(self, X, per_step):
        """X as series, and the hidden states of the last layer."""
        x = self._check_series(X)
        return x, self._model.states(x, self._kernels_for(self._model.dtype), self.n_jobs, per_step)

    def hidden_states(self, X: ArrayLike) -> ArrayOrList:
        """Hidden states of the last layer after every step.

        Parameters
        ----------
        X : array or list
            Series in any form accepted by `fit`, with the same channels.

        Returns
        -------
        ndarray of shape (n, T, D H), or list of n ndarray of shape (T_i, D H)
            Hidden states of the H units, those of D directions side by side. A list if X is a list or the series have
            unequal lengths.

        Raises
        ------
        ValueError
            If X is invalid.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor
        >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
        >>> model.hidden_states([[0, 1], [0, 2], [0, 3]]).shape
        (3, 2, 8)
        """
        x, states = self._fitted()._states(X, per_step=True)
        return x.restore(states) if x.whole else x.members(states)

    def stream(self, n_streams: int = 1, method: str = "predict", gates: bool = False) -> Stream:
        """Create a stream for online prediction, step by step, in microseconds per step.

        Parameters
        ----------
        n_streams : int, default=1
            Number of parallel series.
        method : str, default="predict"
            Prediction method to apply at each step: "predict" or, for a classifier, "predict_proba" or
            "predict_log_proba".
        gates : bool, default=False
            Whether to record the gates of each step, which takes longer, for the stream's `gates` method.

        Returns
        -------
        Stream
            Object with a method ``step(x_t)``, which processes the next step of every series and returns its
            prediction, with the same bits as `predict` for the series so far; a method ``reset(which=None)``, which
            starts new series; and an attribute ``state``, which can be saved and assigned.

        Raises
        ------
        ValueError
            If the model is bidirectional, or a parameter is invalid.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor
        >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
        >>> stream = model.stream()
        >>> steps = [stream.step([value]) for value in (0, 1)]
        >>> bool(steps[-1] == model.predict([[0, 1]]))
        True
        """
        return Stream(self, n_streams, method, gates)

    def summary(self) -> Summary:
        """Table of the layers: shapes, number and size of the parameters, and multiplications per step.

        Returns
        -------
        Summary
            Object whose `str` is the table, with the attributes `layers` and `total`. Multiplications are those of the
            matrix products for one series, at each of its steps and after the last one.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor
        >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
        >>> print(model.summary())
        LSTMRegressor
        -----------------------------------------------------------------
        layer   output shape  parameters  bytes  multiplications per step
        -----------------------------------------------------------------
        input   (T, 1)                 0      0                         0
        lstm 1  (8,)                 352  1,408                       288
        linear  (1,)                   9     36        0 (+ 8 at the end)
        -----------------------------------------------------------------
        total                        361  1,444      288 (+ 8 at the end)
        """
        return summarize(self._fitted()._model, type(self).__name__)


def _check_in_memory(X, name):
    """Raise unless X can be read as symbols."""
    if storage.is_read_when_needed(X):
        raise ValueError(
            f"{name} is a {type(X).__name__}, which is read from storage; symbols (embedding_size) are not: pass them "
            "in memory, for example as an array or a list."
        )


def _scaling_attribute(scaling, name):
    return None if scaling is None else getattr(scaling, name)
