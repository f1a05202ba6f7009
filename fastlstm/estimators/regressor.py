"""Regression on series."""

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
from fastlstm.training.losses import Loss
from fastlstm.training.outputs import RegressionOutput

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike

    from fastlstm.estimators.base import ArrayOrList

DEFAULT_LEVELS = (0.1, 0.5, 0.9)  # quantile levels, unless the loss was fitted with levels of its own


@documented
@dataclass(repr=False, eq=False)
class LSTMRegressor(RegressorMixin, BaseLSTM):
    """LSTM regressor for series.

    One or more layers of an LSTM (Hochreiter & Schmidhuber 1997; with the forget gate of Gers, Schmidhuber & Cummins
    2000) or another recurrent cell process each series. A linear layer maps the last hidden state, or with
    `return_sequences` the hidden state after each step, to the outputs. The model is trained by minibatch gradient
    descent.

    Parameters
    ----------
    loss : {"squared_error", "absolute_error", "huber", "quantile", "poisson", "negative_binomial", "gaussian_nll"}, \
            default="squared_error"
        Loss function. "squared_error" is half the mean squared error, "absolute_error" the mean absolute error, and
        "huber" is quadratic for residuals up to 1 (of standardised targets) and linear beyond. The other losses predict
        distributions, see `predict_quantiles`:

        - "quantile": the quantiles given by `quantile`, by the pinball loss.
        - "poisson": Poisson distribution of counts, by its deviance.
        - "negative_binomial": negative binomial distribution of counts with predicted mean and dispersion, by its
          negative log-likelihood (Salinas et al. 2020).
        - "gaussian_nll": normal distribution with predicted mean and variance, by its negative log-likelihood.

        Counts are not standardised.
    quantile : float or sequence of float, default=0.5
        Quantile levels for ``loss="quantile"``, in (0, 1) and in increasing order. Predicted quantiles of several
        levels never cross; the loss is the mean over levels.
    out_activation : {"identity", "tanh", "logistic"}, default="identity"
        Output activation for bounded targets: "tanh" for targets in [-1, 1], "logistic" for targets in [0, 1]. These
        targets are not standardised. Only for the losses "squared_error", "absolute_error" and "huber".

    Attributes
    ----------
    n_features_in_ : int
        Number of channels seen during `fit`; for a 2-D X, its number of columns.
    n_outputs_ : int
        Number of targets per series, or per step.
    y_mean_ : ndarray of shape (K,) or None
        Mean of each target; None if targets are not standardised.
    y_scale_ : ndarray of shape (K,) or None
        Standard deviation of each target; None if targets are not standardised.
    weights_ : dict of str to ndarray
        Weights of the recurrent layers, named and shaped as in ``torch.nn.LSTM`` (or GRU, RNN): ``weight_ih_l0``,
        ``weight_hh_l0``, ``bias_ih_l0``, ``bias_hh_l0`` and so on. Weights of the linear layer: ``head.weight`` of
        shape (n_outputs_ S, D H), where D is the number of directions, and ``head.bias`` of shape (n_outputs_ S,). S is
        the number of levels for "quantile", 2 for "negative_binomial" and "gaussian_nll", and 1 otherwise.
    validation_scores_ : list of float or None
        R squared on the validation data after each epoch, or for the losses of distributions the negative loss; None
        without validation data.
    validation_loss_curve_ : list of float or None
        Loss on the validation data after each epoch; None without validation data.

    Notes
    -----

    See Also
    --------
    LSTMClassifier : Classification.
    SequenceEncoder : Hidden states as features for other estimators.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm import LSTMRegressor
    >>> wave = np.sin(np.arange(400) / 5)
    >>> X = np.lib.stride_tricks.sliding_window_view(wave, 20)[:-1]  # windows of 20 values
    >>> y = wave[20:]  # the value after each window
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
        """Fit the model to series and their targets.

        If an error is raised, the estimator remains unchanged.

        Parameters
        ----------
        X : array of shape (n, T, C) or (n, T), or list of n arrays of shape (T_i, C) or (T_i,)
            n series of T steps with C channels; 2-D input is n univariate series, or a table described by `layout`.
            Series of unequal lengths can be a list (or tuple, or object array), or an array of shape (n, T, C) padded
            with NaN at the end. Series that do not fit into memory can be read from storage (``numpy.memmap``, h5py,
            Zarr, Arrow, Parquet and others), see `SeriesSource`.
            With `embedding_size`, n sequences of symbols.
        y : array of shape (n,) or (n, K)
            One target or K targets per series. If ``return_sequences=True``, one target or K targets per step: an array
            of shape (n, T) or (n, T, K), or a list of n arrays of shape (T_i,) or (T_i, K).
        sample_weight : array of shape (n,) or like y, or None, default=None
            Weights of the series, of their steps, or of each of the K outputs; the loss is the weighted mean. Where the
            weight of a series, a step or an output is 0, its target may be NaN, which leaves it out. If None, all
            weights are 1.
        X_val, y_val, sample_weight_val : like X, y, sample_weight, default=None
            Validation data, evaluated after each epoch. If None and ``early_stopping=True``, a fraction of the training
            data, `validation_fraction`, is held out.

        Returns
        -------
        self : LSTMRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an input is invalid, or if ``resume=True`` and the checkpoint is damaged or belongs to a
            different fit.
        FloatingPointError
            If training diverges: the loss or its gradient is not finite.
        OSError
            If a checkpoint cannot be written. The previous checkpoint remains valid.

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
        """Train for one more epoch on the given data.

        Parameters
        ----------
        X, y, sample_weight
            See `fit`.

        Returns
        -------
        self : LSTMRegressor
            The fitted estimator.

        Raises
        ------
        ValueError, FloatingPointError
            See `fit`.

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

    def _make_loss(self):
        levels = check_levels(self.quantile, "quantile")
        if self.out_activation != "identity" and Loss(self.loss).is_distribution:
            raise ValueError(
                f"out_activation={self.out_activation!r} is not supported with loss={self.loss!r}: set it to "
                "'identity', or use the loss 'squared_error', 'absolute_error' or 'huber'."
            )
        if self.loss != "quantile":
            if levels != [0.5]:
                raise ValueError(
                    f"quantile={containers.brief(self.quantile)} has no effect with loss={self.loss!r}: set "
                    "loss='quantile', or leave quantile at 0.5."
                )
            return Loss(self.loss, activation=self.out_activation)
        if any(above <= below for below, above in pairwise(levels)):
            raise ValueError(
                f"quantile={containers.brief(self.quantile)}: expected distinct levels in increasing order."
            )
        return Loss("quantile", tuple(levels))

    def _fixed_parameters(self):
        asked, fitted = self._make_loss(), self._model.loss
        if asked.activation != fitted.activation:
            return (("out_activation", asked.activation, fitted.activation),)
        if not (asked.is_distribution or fitted.is_distribution):
            return ()  # all of them predict the targets themselves, so the loss may change
        return ("loss", asked.name, fitted.name), ("quantile", asked.levels, fitted.levels)

    def _encode(self, y, valid, reset, classes=None, name="y"):
        y = containers.numbers_of(y, name)
        if not valid.all():
            shape, y = np.shape(y), np.array(y, dtype=float).reshape(len(y), -1)
            y = np.where(valid, y, 0).reshape(shape)
        dtype = "float64" if self._standardised and self._scales_targets() else self.dtype
        with np.errstate(over="ignore"):  # reported as infinite
            y = check_array(y, dtype=dtype, ensure_2d=False, allow_nd=True, input_name=name)
        if y.ndim == 2 and y.shape[1] == 1 and not self._per_step:
            y = column_or_1d(y, warn=True)
        if y.ndim > 2:
            raise ValueError(
                f"{name} has shape {y.shape}; expected (n,) or (n, K), or with return_sequences=True (n, T) or "
                "(n, T, K)."
            )
        targets = y.reshape(len(y), -1)
        if reset:
            self.n_outputs_ = targets.shape[1]
        elif targets.shape[1] != self.n_outputs_:
            raise ValueError(
                f"{name} has {targets.shape[1]} outputs per series, but the model was fitted with {self.n_outputs_}."
            )
        if self._make_loss().targets == "counts" and (targets < 0).any():
            row, place = self._locate_first(targets < 0)
            raise ValueError(
                f"Negative values in {name}: loss={self.loss!r} expects counts, that is, non-negative numbers, got "
                f"{targets[row].min():g} for {place}."
            )
        self._check_bounds(targets, name)
        return targets

    def _check_bounds(self, targets, name):
        low, high = losses.ACTIVATIONS[self.out_activation].bounds
        outside = (targets < low) | (targets > high)
        if outside.any():
            _, place = self._locate_first(outside)
            raise ValueError(
                f"{name} is {targets[outside][0]:g} for {place}, but out_activation={self.out_activation!r} expects "
                f"targets in [{low}, {high}]: scale them, or set out_activation='identity'."
            )

    def _locate_first(self, wrong):
        """The first row with an invalid target, and a description of its position."""
        row = int(np.argmax(wrong.any(axis=1)))
        return row, f"step {row}, counted over all series" if self._per_step else f"sample {row}"

    def _check_validation_data(self, targets, weights):
        super()._check_validation_data(targets, weights)
        if len(targets) < 2 and not self._make_loss().is_distribution:
            raise ValueError(
                "R squared is not defined for a single validation series: pass X_val and y_val with at least 2 series, "
                f"or raise validation_fraction (now {self.validation_fraction:g})."
            )

    def _output(self, scaling):
        flat = self.n_outputs_ == 1 and not (self._per_step and self._output_axis)
        return RegressionOutput(self._make_loss(), scaling, flat)

    def _scales_targets(self):
        if self.out_activation != "identity":
            return False  # the activation's range is that of the original targets
        return self._make_loss().targets != "counts"  # the model predicts the logarithm of the mean count

    def _score_encoded(self, scores, targets, weights):
        return self._r2(targets, self._output(None).point(scores), weights)

    def _score_rows(self, y, scores, weights):
        output = self._model.output
        return self._r2(containers.numbers_of(y, "y"), output.unscale(output.point(scores)), weights)

    def _r2(self, y, predicted, weights):
        from sklearn.metrics import r2_score  # imported here because predictions do not need it

        if weights.shape[1] == 1:
            return float(r2_score(y, predicted, sample_weight=weights[:, 0]))
        # each output has weights of its own; outputs whose weights are all 0 have no score
        scores = [
            r2_score(y[w > 0, k], predicted[w > 0, k], sample_weight=w[w > 0])
            for k, w in enumerate(weights.T)
            if w.any()
        ]
        return float(np.mean(scores))

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Coefficient of determination, R squared, of the predictions.

        Parameters
        ----------
        X, y, sample_weight
            See `fit`.

        Returns
        -------
        float
            R squared over all series, or over all steps if ``return_sequences=True``, averaged over outputs.

        Raises
        ------
        ValueError
            If an input is invalid.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor
        >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
        >>> model.score([[0, 1], [1, 0]], [2, 1]) <= 1
        True
        """
        from sklearn.metrics import r2_score  # imported here because predictions do not need it

        def metric(y, predicted, weights):
            return r2_score(containers.numbers_of(y, "y"), predicted, sample_weight=weights)

        return self._score(X, y, sample_weight, metric)

    def predict(self, X: ArrayLike) -> ArrayOrList:
        """Predict targets.

        With ``loss="quantile"`` the prediction is the median: interpolated linearly between the fitted levels, or the
        quantile of the nearest level if all are on one side of 0.5. With the losses of other distributions it is the
        mean.

        Parameters
        ----------
        X : array or list
            Series in any form accepted by `fit`, with the same channels.

        Returns
        -------
        ndarray of shape (n,) or (n, K), float64
            Predicted targets, of shape (n,) if y had one target per series. If ``return_sequences=True``, one
            prediction per step in the form of X: an array of shape (n, T) or (n, T, K), padded with NaN after the end
            of each series; or a list of arrays.

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
        >>> model.predict([[0, 1], [0, 2], [0, 3]]).shape
        (3,)
        """
        fitted = self._fitted()
        return fitted._predict_with(X, fitted._model.output.predict)

    def predict_quantiles(self, X: ArrayLike, levels: ArrayLike | None = None) -> ArrayOrList:
        """Predict quantiles of the targets' distribution.

        Requires a model fitted with the loss "quantile", "poisson", "negative_binomial" or "gaussian_nll". Inside a
        ``TransformedTargetRegressor``, call this method of its `regressor_`, and apply the inverse transform of its
        `transformer_` to the quantiles of each level.

        Parameters
        ----------
        X : array or list
            Series in any form accepted by `fit`, with the same channels.
        levels : float, sequence of L floats, or None, default=None
            Quantile levels in (0, 1), in any order. With ``loss="quantile"`` they must lie between the lowest and the
            highest level fitted; quantiles are interpolated linearly between the fitted levels. If None, the levels
            given by `quantile`, or (0.1, 0.5, 0.9) for other losses.

        Returns
        -------
        ndarray of shape (n, L) or (n, K, L), float64
            Quantiles in the order of `levels`; L is 1 for a single level. Quantiles of a higher level are never below
            those of a lower one, and quantiles of counts are integers. If ``return_sequences=True``, quantiles of each
            step in the form of X: an array of shape (n, T, L) or (n, T, K, L), padded with NaN, or a list of arrays.

        Raises
        ------
        ValueError
            If X or `levels` is invalid, or the model was fitted with another loss.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

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
        return fitted._predict_with(X, lambda scores: fitted._model.output.predict_quantiles(scores, levels))

    def _levels(self, levels):
        name, fitted = self._model.loss[:2]
        if not self._model.loss.is_distribution:
            *others, last = (repr(other) for other in losses.NAMES if Loss(other).is_distribution)
            raise ValueError(
                f"predict_quantiles requires loss={', '.join(others)} or {last}, but the model was fitted with "
                f"loss={name!r}: set another loss, and fit again."
            )
        if levels is None:
            return fitted or DEFAULT_LEVELS
        given, levels = levels, check_levels(levels, "levels")
        if fitted and not (fitted[0] <= min(levels) and max(levels) <= fitted[-1]):
            fitted_with = f"{fitted[0]:g} alone" if len(fitted) == 1 else f"levels from {fitted[0]:g} to {fitted[-1]:g}"
            raise ValueError(
                f"levels is {containers.brief(given)}, but the model was fitted with {fitted_with}: pass levels in "
                "that range, or fit with a quantile that covers them."
            )
        return levels
