"""LSTMRegressor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import pairwise
from numbers import Real
from typing import TYPE_CHECKING, Literal

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import check_array, column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions

from fastlstm import containers
from fastlstm.estimators import fitting
from fastlstm.estimators.base import BaseLSTM
from fastlstm.estimators.inputs import check_levels
from fastlstm.estimators.parameters import documented
from fastlstm.estimators.validation import validates_parameters
from fastlstm.training import losses
from fastlstm.training.answers import Numbers
from fastlstm.training.losses import Loss

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike

    from fastlstm.estimators.base import ArrayOrList

DEFAULT_LEVELS = (0.1, 0.5, 0.9)  # of quantiles, where the loss has none of its own


@documented
@dataclass(repr=False, eq=False)
class LSTMRegressor(RegressorMixin, BaseLSTM):
    """Predict numbers from series by an LSTM.

    LSTM layers (Hochreiter & Schmidhuber 1997; forget gate of Gers, Schmidhuber & Cummins 2000), or those of another
    cell, read each series, and a linear layer on the last hidden state, or on that after each step, gives the outputs.
    Trained by minibatch gradient descent. X and y may be in any unit: see `standardize`.

    Parameters
    ----------
    loss : {"squared_error", "absolute_error", "huber", "quantile", "poisson", "negative_binomial", "gaussian_nll"}, \
            default="squared_error"
        Half the mean square of the residuals, their mean size, or Huber's: square up to 1 (standardised), linear
        beyond. Four learn more of the targets' distribution than one number, for `predict_quantiles`: "quantile" the
        quantiles that `quantile` says, by the pinball loss; "poisson" the mean of counts, which are not scaled;
        "negative_binomial" mean and over-dispersion of counts (Salinas et al. 2020), "gaussian_nll" mean and variance
        of a normal distribution, all of which depend on the series, by their negative log-likelihood.
    quantile : float or sequence of float, default=0.5
        Levels of the quantiles that ``loss="quantile"`` learns, inside (0, 1), and only for that loss. Those of several
        levels, given in rising order, never cross; the loss is their mean.
    out_activation : {"identity", "tanh", "logistic"}, default="identity"
        Function of the head's outputs, for bounded targets: "tanh" for those in [-1, 1], "logistic" for [0, 1]; they
        are not standardised. For the losses "squared_error", "absolute_error" and "huber".

    Attributes
    ----------
    n_features_in_ : int
        Channels of X seen in fit; of a 2-D X, its columns.
    n_outputs_ : int
        Targets per series, or per step.
    y_mean_, y_scale_ : ndarray of shape (K,) or None
        Mean and standard deviation of each target; None without `standardize`, and where targets are counts.
    weights_ : dict of str to ndarray
        ``weight_ih_l0``, ``weight_hh_l0``, ``bias_ih_l0``, ``bias_hh_l0`` and so on, as of ``torch.nn.LSTM`` (or GRU,
        RNN); ``head.weight`` (n_outputs_ S, D H) for D directions and ``head.bias``. S is 1, but the number of levels
        for "quantile", and 2 for "gaussian_nll".
    validation_scores_, validation_loss_curve_ : list of float or None
        R squared and loss on the validation data after every epoch; None without such data. For distributions
        (see `loss`) the score is minus the loss, because R squared says nothing of a distribution.

    Notes
    -----

    See Also
    --------
    LSTMClassifier : The same for labels.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm import LSTMRegressor
    >>> wave = np.sin(np.arange(400) / 5)
    >>> X = np.lib.stride_tricks.sliding_window_view(wave, 20)[:-1]  # 20 values in, the next one out
    >>> y = wave[20:]
    >>> model = LSTMRegressor(hidden_size=16, learning_rate_init=0.01, max_iter=40, batch_size=20,
    ...                       learning_rate="cosine", random_state=0)
    >>> model.fit(X[:300], y[:300]).score(X[300:], y[300:]) > 0.98
    True
    """

    _: KW_ONLY
    loss: str = "squared_error"
    quantile: float | Sequence[float] = 0.5
    out_activation: Literal["identity", "tanh", "logistic"] = "identity"

    _parameter_constraints = {
        **BaseLSTM._parameter_constraints,
        "loss": [StrOptions(losses.names("numbers", "counts"))],
        "out_activation": [StrOptions(set(losses.ACTIVATIONS))],
        "quantile": [Interval(Real, 0, 1, closed="neither"), list, tuple, np.ndarray],
    }

    @validates_parameters
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train on series and their targets.

        Parameters
        ----------
        X : array of shape (n, T, C) or (n, T), or list of n arrays of shape (T_i, C) or (T_i,)
            n series of T steps of C channels; (n, T) is read as univariate. Series of unequal lengths are a list (or a
            tuple, or an object array), or fill (n, T, C) up with steps of NaN at their ends.
        y : array of shape (n,) or (n, K)
            One number or K numbers for each series. With `return_sequences`, and only with it, for each step: (n, T) or
            (n, T, K), or a list of one array (T_i,) or (T_i, K) for each series.
        sample_weight : array of shape (n,), or in the form of y, or None, default=None
            Weights of the series, or with `return_sequences` of their steps, or of each of K outputs; the loss is the
            weighted mean. A step's or an output's target of weight 0 can be anything. None is ones.
        X_val, y_val, sample_weight_val : like X, y, sample_weight, default=None
            Data to validate on after every epoch. Without them, ``early_stopping=True`` holds out
            `validation_fraction` of X.

        Returns
        -------
        self : LSTMRegressor

        Raises
        ------
        ValueError
            If a parameter, X, y or a weight is not as described, or the file to `resume` from not of this training or
            damaged. The estimator stays as it was.
        FloatingPointError
            If the loss or its gradient is no longer finite. The estimator stays as it was.
        OSError
            If a checkpoint cannot be written any more; the last one is still good. The estimator stays as it was.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor
        >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [[2, 0], [1, 1]])
        >>> model.n_outputs_
        2
        """
        return fitting.fit(self, X, y, sample_weight, (X_val, y_val, sample_weight_val))

    @validates_parameters
    def partial_fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one epoch, going on from what was learned before.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self : LSTMRegressor

        Raises
        ------
        ValueError, FloatingPointError
            As `fit`.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor
        >>> model = LSTMRegressor(8).partial_fit([[0, 1]], [2]).partial_fit([[1, 0]], [1])
        >>> model.n_iter_
        2
        """
        return fitting.partial_fit(self, X, y, sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = self.loss in losses.names("counts")
        return tags

    def _asked_loss(self):
        levels = check_levels(self.quantile, "quantile")
        if self.out_activation != "identity" and Loss(self.loss).is_distribution:
            raise ValueError(
                f"out_activation={self.out_activation!r} with loss={self.loss!r}: it is for 'squared_error', "
                "'absolute_error' and 'huber'. Leave it at 'identity'."
            )
        if self.loss != "quantile":
            if levels != [0.5]:
                raise ValueError(
                    f"quantile={containers.brief(self.quantile)} with loss={self.loss!r}: it is for loss='quantile'. "
                    "Leave it at 0.5."
                )
            return Loss(self.loss, activation=self.out_activation)
        if any(above <= below for below, above in pairwise(levels)):
            raise ValueError(
                f"quantile={containers.brief(self.quantile)}: expected levels in rising order, each only once."
            )
        return Loss("quantile", tuple(levels))

    def _of_loss(self):
        asked, fitted = self._asked_loss(), self._model.loss
        if asked.activation != fitted.activation:
            return (("out_activation", asked.activation, fitted.activation),)
        if not (asked.is_distribution or fitted.is_distribution):
            return ()  # all of them read the head's outputs as the targets
        return ("loss", asked.name, fitted.name), ("quantile", asked.levels, fitted.levels)

    def _encode(self, y, counts, reset, classes=None, name="y"):
        y = containers.numbers_of(y, name)
        if not counts.all():
            shape, y = np.shape(y), np.array(y, dtype=float).reshape(len(y), -1)
            y = np.where(counts, y, 0).reshape(shape)
        dtype = "float64" if self._standardised and self._scales_targets() else self.dtype
        y = check_array(y, dtype=dtype, ensure_2d=False, allow_nd=True, input_name=name)
        if y.ndim == 2 and y.shape[1] == 1 and not self._per_step:
            y = column_or_1d(y, warn=True)
        if y.ndim > 2:
            raise ValueError(
                f"{name} has shape {y.shape}; expected (n,) or (n, K), or (n, T) or (n, T, K) with "
                "return_sequences=True."
            )
        targets = y.reshape(len(y), -1)
        if reset:
            self.n_outputs_ = targets.shape[1]
        elif targets.shape[1] != self.n_outputs_:
            raise ValueError(
                f"{name} has {targets.shape[1]} outputs per series; this model was fitted with {self.n_outputs_}."
            )
        if self._asked_loss().targets == "counts" and (targets < 0).any():
            row, place = self._first(targets < 0)
            raise ValueError(
                f"Negative values in {name}: loss={self.loss!r} expects counts, numbers of at least 0, got "
                f"{targets[row].min():g} for {place}."
            )
        self._check_bounds(targets, name)
        return targets

    def _check_bounds(self, targets, name):
        low, high = losses.ACTIVATIONS[self.out_activation].bounds
        outside = (targets < low) | (targets > high)
        if outside.any():
            _, place = self._first(outside)
            raise ValueError(
                f"{name} has {targets[outside][0]:g} for {place}: out_activation={self.out_activation!r} expects "
                f"targets from {low} to {high}. Scale them, or leave it at 'identity'."
            )

    def _first(self, wrong):
        """The first row of targets in which one is wrong, and its place in words."""
        row = int(np.argmax(wrong.any(axis=1)))
        return row, f"step {row}, counted through all series" if self._per_step else f"sample {row}"

    def _check_held_out(self, targets, weights):
        super()._check_held_out(targets, weights)
        if len(targets) < 2 and not self._asked_loss().is_distribution:
            raise ValueError(
                "The validation data hold 1 series, for which R squared is not defined: pass X_val and y_val with at "
                f"least 2, or raise validation_fraction (now {self.validation_fraction:g})."
            )

    def _answers(self, scaling):
        flat = self.n_outputs_ == 1 and not (self._per_step and self._output_axis)
        return Numbers(self._asked_loss(), scaling, flat)

    def _scales_targets(self):
        if self.out_activation != "identity":
            return False  # the bounds are those of the targets as they are
        return self._asked_loss().targets != "counts"  # of counts it is the logarithm of the mean that is learned

    def _score_of(self, scores, targets, weights):
        return self._r2(targets, self._answers(None).points(scores), weights)

    def _score_rows(self, y, scores, weights):
        answers = self._model.answers
        return self._r2(containers.numbers_of(y, "y"), answers.in_units(answers.points(scores)), weights)

    def _r2(self, y, predicted, weights):
        from sklearn.metrics import r2_score  # late: a prediction does without it

        if weights.shape[1] == 1:
            return float(r2_score(y, predicted, sample_weight=weights[:, 0]))
        # each output by its own weights; one that never counts has no score
        of_outputs = [
            r2_score(y[w > 0, k], predicted[w > 0, k], sample_weight=w[w > 0])
            for k, w in enumerate(weights.T)
            if w.any()
        ]
        return float(np.mean(of_outputs))

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """R squared of `predict`: of one output, or the mean over outputs; of all steps together where each has one.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If X, y or a weight is not as described.
        sklearn.exceptions.NotFittedError
            If `fit` was not called.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor
        >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
        >>> model.score([[0, 1], [1, 0]], [2, 1]) <= 1
        True
        """
        from sklearn.metrics import r2_score  # late: a prediction does without it

        def metric(y, predicted, weights):
            return r2_score(containers.numbers_of(y, "y"), predicted, sample_weight=weights)

        return self._score(X, y, sample_weight, metric)

    def predict(self, X: ArrayLike) -> ArrayOrList:
        """The expected target of each series, or with `return_sequences` of each step.

        A model of quantiles predicts the median, or what comes closest: between levels on both sides of it what is
        linear in the level, otherwise the level next to it. One of another distribution predicts the mean.

        Parameters
        ----------
        X : array or list
            Series with the channels that were fitted, in any form that `fit` takes.

        Returns
        -------
        ndarray of shape (n,) or (n, K), of float64
            (n,) where one number per series was fitted. With `return_sequences`, for each step, in the form that X has:
            (n, T) or (n, T, K), with NaN behind an end; or a list of arrays.

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
        >>> model.predict([[0, 1], [0, 2], [0, 3]]).shape
        (3,)
        """
        fitted = self._fitted()
        return fitted._apply(X, fitted._model.answers.predict)

    def predict_quantiles(self, X: ArrayLike, levels: ArrayLike | None = None) -> ArrayOrList:
        """Quantiles of the target of each series, or with `return_sequences` of each step.

        They are those of the distribution that a model of loss "quantile", "poisson", "negative_binomial" or
        "gaussian_nll" has learned; a model of another loss has none. Behind ``TransformedTargetRegressor``, ask its
        `regressor_`, and pass what each level has through its `transformer_`'s inverse.

        Parameters
        ----------
        X : array or list
            Series with the channels that were fitted, in any form that `fit` takes.
        levels : float, sequence of L floats, or None, default=None
            Levels inside (0, 1), in any order. A model of quantiles takes those of `quantile` and all between them,
            whose quantiles are linear in the level. None is the levels of `quantile`, or (0.1, 0.5, 0.9) where the
            loss is another.

        Returns
        -------
        ndarray of shape (n, L) or (n, K, L), of float64
            In the order of `levels`; L is 1 for a single number. With `return_sequences`, in the form that X has, as of
            `predict`: (n, T, L) or (n, T, K, L), with NaN behind an end; or a list of arrays. A higher level's is never
            below a lower one's. Those of counts are whole numbers.

        Raises
        ------
        ValueError
            If X or `levels` is not as described, or the model is of another loss.
        sklearn.exceptions.NotFittedError
            If `fit` was not called.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor
        >>> model = LSTMRegressor(8, loss="quantile", quantile=[0.1, 0.9], max_iter=2, learning_rate="cosine")
        >>> model.fit([[0, 1], [1, 0]], [2, 1]).predict_quantiles([[0, 1], [0, 2], [0, 3]]).shape
        (3, 2)
        >>> model.predict_quantiles([[0, 1], [0, 2], [0, 3]], levels=[0.25, 0.5, 0.75]).shape
        (3, 3)
        """
        fitted = self._fitted()
        levels = fitted._levels(levels)
        return fitted._apply(X, lambda scores: fitted._model.answers.predict_quantiles(scores, levels))

    def _levels(self, levels):
        name, fitted = self._model.loss[:2]
        if not self._model.loss.is_distribution:
            *others, last = (repr(other) for other in losses.NAMES if Loss(other).is_distribution)
            raise ValueError(
                f"predict_quantiles needs a model of loss={', '.join(others)} or {last}, but this one was fitted with "
                f"loss={name!r}: set another loss, and fit anew."
            )
        if levels is None:
            return fitted or DEFAULT_LEVELS
        given, levels = levels, check_levels(levels, "levels")
        if fitted and not (fitted[0] <= min(levels) and max(levels) <= fitted[-1]):
            fitted_with = f"{fitted[0]:g} alone" if len(fitted) == 1 else f"levels from {fitted[0]:g} to {fitted[-1]:g}"
            raise ValueError(
                f"levels is {containers.brief(given)}, but this model was fitted with {fitted_with}: ask for what lies "
                "there, or fit with these levels in quantile."
            )
        return levels
