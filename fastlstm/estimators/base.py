"""What classifier and regressor share: parameters, training, scores, states."""

from __future__ import annotations

import os
import sys
from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions, validate_parameter_constraints
from sklearn.utils.validation import check_is_fitted

from fastlstm import containers, kernels, sequences
from fastlstm.estimators.callbacks import CallbackSupportMixin
from fastlstm.estimators.drafts import as_it_is
from fastlstm.estimators.fitting import Fitting
from fastlstm.estimators.inputs import (
    check_series,
    check_step_weights,
    check_target_names,
    check_targets,
    check_weights,
)
from fastlstm.estimators.standardization import Scaling
from fastlstm.estimators.stream import Stream
from fastlstm.layers.checks import MOST_LAYERS, named
from fastlstm.training import network as networks
from fastlstm.training.solvers import SOLVERS

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import ArrayLike, NDArray

    #: An array, or a list of arrays for a list; Any, so that callers need not check which of the two it is.
    ArrayOrList = NDArray[Any] | Any


class Integers(Interval):
    """Whole numbers from `least` to `most`, by default the largest C integer; unlike `Interval` alone, True is none."""

    def __init__(self, least, most=sys.maxsize):
        super().__init__(Integral, least, most, closed="both")

    def is_satisfied_by(self, val):
        return not isinstance(val, bool) and super().is_satisfied_by(val)


class Numbers(Interval):
    """Floats and whole numbers that are not too large for a C double."""

    def __init__(self, left, right, closed):
        super().__init__(Real, left, right, closed=closed)

    def is_satisfied_by(self, val):
        of_numpy = isinstance(val, (float, np.floating, Integral))  # which has no isnan for fractions
        return of_numpy and super().is_satisfied_by(val) and abs(val) <= sys.float_info.max


class Jobs(Integers):
    """Numbers of threads: 1 or more, or counted back from all CPUs, which are -1."""

    def __init__(self):
        super().__init__(-sys.maxsize)

    def is_satisfied_by(self, val):
        return super().is_satisfied_by(val) and val != 0

    def __str__(self):
        return "an int other than 0 (-1 for all CPUs)"


class BaseLSTM(Fitting, CallbackSupportMixin, BaseEstimator):
    """Recurrent layers and a linear head; a subclass says what targets and scores mean."""

    _parameter_constraints = {
        "hidden_size": [Integers(1), list, tuple, np.ndarray],
        "num_layers": [Integers(1, MOST_LAYERS)],
        "cell": [StrOptions(set(kernels.CELLS))],
        "bidirectional": ["boolean"],
        "dropout": [StrOptions({"auto"}), Numbers(0, 1, "left")],
        "recurrent_dropout": [Numbers(0, 1, "left")],
        "return_sequences": ["boolean"],
        "missing": [StrOptions({"error", "mask"})],
        "standardize": ["boolean"],
        "init": [StrOptions({"auto", "standard", "chrono"})],
        "longest_lag": [None, Integers(1)],
        "solver": [StrOptions(set(SOLVERS))],
        "alpha": [Numbers(0, None, "left")],
        "batch_size": [StrOptions({"auto"}), Integers(1)],
        "learning_rate": [StrOptions({"auto", "constant", "adaptive", "cosine"})],
        "learning_rate_init": [StrOptions({"auto"}), Numbers(0, None, "neither")],
        "max_iter": [StrOptions({"auto"}), Integers(1)],
        "clip_norm": [None, Numbers(0, None, "neither")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Numbers(0, None, "left")],
        "n_iter_no_change": [Integers(1)],
        "early_stopping": ["boolean"],
        "validation_fraction": [Numbers(0, 1, "neither")],
        "validation_split": [StrOptions({"random", "tail"})],
        "momentum": [Numbers(0, 1, "both")],
        "nesterovs_momentum": ["boolean"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "checkpoint_path": [None, str, os.PathLike],
        "checkpoint_every": [Integers(1), str],
        "resume": ["boolean"],
        "dtype": [StrOptions({"float32", "float64"})],
        "backend": [StrOptions({"auto", *kernels.BACKENDS})],
        "n_jobs": [None, Jobs()],
        "bptt_steps": [None, Integers(1)],
        "bptt_checkpoint": [None, StrOptions({"auto"}), Integers(1)],
    }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing == "mask"
        return tags

    # -- what a subclass defines ------------------------------------------------------------------------

    _of_scores = {}  # for each method that predicts, the name of that which does so from scores

    def _encode(self, y, counts, reset, classes=None, name="y"):
        """y as targets [rows, .] of the loss; `reset` notes what outputs there are, otherwise y must fit what is noted.

        A row of `counts` [rows, .] without a True is not looked at, and its target may be any.
        """
        raise NotImplementedError

    def _weigh(self, targets, weights):
        """Weights of the rows, with what else the estimator weighs rows by multiplied in."""
        return weights

    def _note_loss(self):
        """Note as `_loss` by which `Loss` to train, where a parameter says so; raise unless it can be."""

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

    # -- prediction -------------------------------------------------------------------------------------

    def _read_series(self, X, reset=False, name="X"):
        """X as series, as they are."""
        dtype = self.dtype if name != "X" or reset else self._dtype()
        if self._standardised:
            dtype = None  # the numbers may be large, and are not rounded before their mean is taken away
        return check_series(self, X, dtype, reset, name, "keep" if self._masked else "error")

    def _prepare_series(self, series, dtype, name="X"):
        """Series as the network reads them."""
        if self.x_mean_ is not None:
            networks.check_channels(series, len(self.x_mean_))
            scaling = Scaling(self.x_mean_, self.x_scale_)
            series = series.with_table(scaling.apply(series.table(copy=False), dtype))
            sequences.check_finite(series, name, "keep")  # what was finite may be too large for the dtype
        return sequences.with_mask(series) if self._masked else series

    def _dtype(self):
        """The type that the fitted model computes in."""
        return self.weights_["head.bias"].dtype

    def _fitted(self):
        """The estimator as it is now, ready to predict; a fit in another thread does not change what this returns."""
        check_is_fitted(self)
        fitted = as_it_is(self)
        if fitted.n_jobs is not None or fitted.backend != "auto":  # which need no check
            constraints = {name: self._parameter_constraints[name] for name in ("backend", "n_jobs")}
            given = {name: getattr(fitted, name) for name in constraints}
            validate_parameter_constraints(constraints, given, caller_name=type(self).__name__)
        networks.check_weights(fitted._stack, fitted.weights_, fitted.n_outputs_ * fitted._loss.width)
        return fitted

    def _run_over(self, X, per_step=None, with_head=True):
        """X as series, and what the network makes of them; see `networks.run_over`. `per_step` None: as fitted."""
        x, backend = self._prepare_series(self._read_series(X), self._dtype()), kernels.resolve(self.backend)
        per_step = self._per_step if per_step is None else per_step
        return x, networks.run_over(self._stack, x, self.weights_, backend, self.n_jobs, per_step, with_head)

    def _apply(self, X, function):
        """`function` of the scores [rows, K], in the form that X has."""
        x, scores = self._run_over(X)
        rows = function(scores)
        return x.restore(rows) if self._per_step else rows

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
        x, scores = self._run_over(X)
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
        return self._fitted()._run_over(X, per_step=False, with_head=False)[1]

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
        x, states = self._fitted()._run_over(X, per_step=True, with_head=False)
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
