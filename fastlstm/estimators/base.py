"""What classifier and regressor share: parameters, training, scores, states."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import validate_parameter_constraints
from sklearn.utils.validation import check_is_fitted

from fastlstm import containers, kernels, sequences
from fastlstm.estimators.callbacks import CallbackSupportMixin
from fastlstm.estimators.drafts import as_it_is
from fastlstm.estimators.inputs import (
    check_series,
    check_step_weights,
    check_target_names,
    check_targets,
    check_weights,
)
from fastlstm.estimators.parameters import Parameters
from fastlstm.estimators.stream import Stream
from fastlstm.layers.checks import named

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import ArrayLike, NDArray

    #: An array, or a list of arrays for a list; Any, so that callers need not check which of the two it is.
    ArrayOrList = NDArray[Any] | Any


@dataclass(repr=False, eq=False)
class BaseLSTM(Parameters, CallbackSupportMixin, BaseEstimator):
    """Recurrent layers and a linear head; a subclass says what targets and scores mean."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing == "mask"
        return tags

    # -- what a subclass defines ------------------------------------------------------------------------

    _methods = ("predict",)  # that predict, and are those of the model's `answers`, too

    def _encode(self, y, counts, reset, classes=None, name="y"):
        """y as targets [rows, .] of the loss; `reset` notes what outputs there are, otherwise y must fit what is noted.

        A row of `counts` [rows, .] without a True is not looked at, and its target may be any.
        """
        raise NotImplementedError

    def _weigh(self, targets, weights):
        """Weights of the rows, with what else the estimator weighs rows by multiplied in."""
        return weights

    def _asked_loss(self):
        """By which `Loss` to train, so far as parameters say that."""

    def _answers(self, scaling):
        """What scores of the network stand for; `scaling` of the targets, where they were standardised."""
        raise NotImplementedError

    def _of_loss(self):
        """Parameters that must stay because of what they make the head's outputs mean: (name, value, fitted)."""
        return ()

    def _scales_targets(self):
        """Whether `standardize` acts on targets, too."""
        return False

    def _n_targets(self):
        """Columns of y."""
        return self.n_outputs_

    def _score_of(self, scores, targets, weights):
        """What early stopping watches; greater is better."""
        raise NotImplementedError

    def _score_rows(self, y, scores, weights):
        """The same, of y [rows, .] as it was given."""
        raise NotImplementedError

    def _check_held_out(self, targets, weights):
        """Raise unless validation data have a score."""
        if not weights.any():
            raise ValueError(
                "The validation data have no weight: every sample held out has weight 0. Pass X_val and y_val, or "
                f"raise validation_fraction (now {self.validation_fraction:g})."
            )

    def _check_partial(self):
        """Raise where parameters of the subclass do not go with `partial_fit`."""

    def _drawn(self, n, held, targets, seed):
        """Of n series with these targets, at random, those to train on and the `held` ones to validate on."""
        from sklearn.model_selection import train_test_split  # late: it imports half of scikit-learn

        return train_test_split(np.arange(n), test_size=held, random_state=seed)

    def _check_split(self, trained, held_out):
        """Raise unless what is held out can be validated by what is trained."""

    # -- the fitted model -------------------------------------------------------------------------------

    @property
    def weights_(self):
        return self._of_model("weights_").weights

    @weights_.setter
    def weights_(self, weights):
        self._model = replace(self._of_model("weights_"), weights=weights)

    @property
    def x_mean_(self):
        return _part_of(self._of_model("x_mean_").scaling, "mean")

    @property
    def x_scale_(self):
        return _part_of(self._of_model("x_scale_").scaling, "scale")

    @property
    def y_mean_(self):
        return _part_of(self._of_model("y_mean_").target_scaling, "mean")

    @property
    def y_scale_(self):
        return _part_of(self._of_model("y_scale_").target_scaling, "scale")

    def _of_model(self, name):
        """The fitted `Model`, of which the attribute `name` is a part."""
        try:
            return vars(self)["_model"]
        except KeyError:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}: call fit first.") from None

    def _fitted(self):
        """The estimator as it is now, ready to predict; a fit in another thread does not change what this returns."""
        check_is_fitted(self)
        fitted = as_it_is(self)
        if fitted.n_jobs is not None or fitted.backend != "auto":  # which need no check
            constraints = {name: self._parameter_constraints[name] for name in ("backend", "n_jobs")}
            given = {name: getattr(fitted, name) for name in constraints}
            validate_parameter_constraints(constraints, given, caller_name=type(self).__name__)
        fitted._model.check()
        return fitted

    # -- prediction -------------------------------------------------------------------------------------

    def _read_series(self, X, reset=False, name="X"):
        """X as series, as they are."""
        dtype = self.dtype if name != "X" or reset else self._model.dtype
        if self._standardised:
            dtype = None  # the numbers may be large, and are not rounded before their mean is taken away
        return check_series(self, X, dtype, reset, name, "keep" if self._masked else "error")

    def _apply(self, X, function):
        """`function` of the scores [rows, K S], in the form that X has."""
        x, model = self._read_series(X), self._model
        rows = function(model.scores(x, kernels.resolve(self.backend), self.n_jobs))
        return x.restore(rows) if model.per_step else rows

    def _score(self, X, y, sample_weight, metric):
        """The score; `metric` of y, predictions and weights is scikit-learn's, for one target and weight a series."""
        fitted = self._fitted()
        given, y = y, containers.plain(y, "y")
        sample_weight = containers.plain(sample_weight, "sample_weight")
        if fitted._per_step:
            check_target_names(fitted, given, y, "y")
        with named("sample_weight"):
            simple = not fitted._per_step and (sample_weight is None or len(sequences.shape_of(sample_weight)) < 2)
        if simple:
            predicted = fitted.predict(X)
            with named("sample_weight"):
                weights = None if sample_weight is None else check_weights(sample_weight, X, 1, "sample_weight")[:, 0]
            with named("y"):
                return metric(y, predicted, weights)
        return fitted._score_by_weights(X, y, sample_weight)

    def _score_by_weights(self, X, y, sample_weight):
        """The score where each step, or each output, has a weight of its own."""
        x = self._read_series(X)
        scores = self._model.scores(x, kernels.resolve(self.backend), self.n_jobs)
        with named("y"):
            check_targets(X, y, "y")
            y = sequences.rows_of_steps(y, x, "y") if self._per_step else y.toarray() if issparse(y) else np.asarray(y)
            y = y.reshape(len(y), -1)
        with named("sample_weight"):
            if self._per_step:
                weights = check_step_weights(sample_weight, x, X, self._n_targets(), "sample_weight", "X")
            else:
                weights = check_weights(sample_weight, X, self._n_targets(), "sample_weight")
        if y.shape[1] != self._n_targets():
            of_what = "step" if self._per_step else "series"
            raise ValueError(
                f"y has {y.shape[1]} targets for each {of_what}; this model was fitted with {self._n_targets()}."
            )
        seen = weights.any(axis=1)
        with named("y"):
            return self._score_rows(y[seen], scores[seen], weights[seen])

    def _last_states(self, X):
        """The last layer's last states [n, D H], of the backward direction those at the first step."""
        return self._fitted()._states(X, per_step=False)[1]

    def _states(self, X, per_step):
        """X as series, and the last layer's states."""
        x = self._read_series(X)
        return x, self._model.states(x, kernels.resolve(self.backend), self.n_jobs, per_step)

    def hidden_states(self, X: ArrayLike) -> ArrayOrList:
        """The last layer's hidden state after every step of each series.

        Parameters
        ----------
        X : array or list
            Series with the channels that were fitted, in any form that `fit` takes.

        Returns
        -------
        ndarray of shape (n, T, D H), or list of n ndarray of shape (T_i, D H)
            H units, of both directions side by side where there are two (D). A list for a list, and where the series'
            lengths are unequal.

        Raises
        ------
        ValueError
            If X is not as described.
        sklearn.exceptions.NotFittedError
            If `fit` was not called.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor
        >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
        >>> model.hidden_states([[0, 1], [0, 2], [0, 3]]).shape
        (3, 2, 8)
        """
        x, states = self._fitted()._states(X, per_step=True)
        return x.restore(states) if x.whole else x.members(states)

    def stream(self, n_streams: int = 1, method: str = "predict") -> Stream:
        """Series that are predicted step by step, as they come, in microseconds a step.

        Parameters
        ----------
        n_streams : int, default=1
            Series that go on side by side.
        method : str, default="predict"
            What a step gives: "predict" or, of a classifier, "predict_proba" or "predict_log_proba".

        Returns
        -------
        Stream
            ``step(x_t)`` reads the next step of every stream and predicts, with the bits of `predict` for the series so
            far, or with `return_sequences` for this step; ``reset(which=None)`` begins anew; ``state`` can be kept,
            and set again.

        Raises
        ------
        ValueError
            If the model is bidirectional, or a parameter is not as described.
        sklearn.exceptions.NotFittedError
            If `fit` was not called.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor
        >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
        >>> stream = model.stream()
        >>> steps = [stream.step([value]) for value in (0, 1)]
        >>> bool(steps[-1] == model.predict([[0, 1]]))
        True
        """
        return Stream(self, n_streams, method)


def _part_of(scaling, name):
    return None if scaling is None else getattr(scaling, name)
