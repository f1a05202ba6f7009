"""What classifier and regressor share: parameters, training, scores, states."""

import contextlib
import math
import warnings
from dataclasses import fields
from numbers import Integral, Real

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted

from fastlstm import kernels, sequences
from fastlstm.estimators.callbacks import CallbackSupportMixin, FitTask
from fastlstm.estimators.inputs import check_series, check_step_weights, check_targets, check_weights
from fastlstm.estimators.stream import Stream
from fastlstm.estimators.view import watched
from fastlstm.layers.checks import check_sizes
from fastlstm.stacks import Stack
from fastlstm.training import forecasts
from fastlstm.training import network as networks
from fastlstm.training.loop import Training
from fastlstm.training.losses import DISTRIBUTIONS
from fastlstm.training.network import Network
from fastlstm.training.progress import Settings
from fastlstm.training.solvers import SOLVERS

AUTO_BATCH_SIZE = 200  # as MLPClassifier's


class Integers(Interval):
    """Whole numbers from `least` up; unlike `Interval` alone, True is none."""

    def __init__(self, least):
        super().__init__(Integral, least, None, closed="left")

    def is_satisfied_by(self, val):
        return not isinstance(val, bool) and super().is_satisfied_by(val)


class Jobs(Integers):
    """Numbers of threads: 1 or more, or counted back from all CPUs, which are -1."""

    def __init__(self):
        Interval.__init__(self, Integral, None, None, closed="neither")

    def is_satisfied_by(self, val):
        return super().is_satisfied_by(val) and val != 0

    def __str__(self):
        return "an int other than 0 (-1 for all CPUs)"


class BaseLSTM(CallbackSupportMixin, BaseEstimator):
    """Recurrent layers and a linear head; a subclass says what targets and scores mean."""

    _parameter_constraints = {
        "hidden_size": [Integers(1), list, tuple, np.ndarray],
        "num_layers": [Integers(1)],
        "cell": [StrOptions(set(kernels.CELLS))],
        "bidirectional": ["boolean"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "recurrent_dropout": [Interval(Real, 0, 1, closed="left")],
        "return_sequences": ["boolean"],
        "missing": [StrOptions({"error", "mask"})],
        "init": [StrOptions({"standard", "chrono"})],
        "longest_lag": [None, Integers(1)],
        "solver": [StrOptions(set(SOLVERS))],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Integers(1)],
        "learning_rate": [StrOptions({"constant", "adaptive", "cosine"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Integers(1)],
        "clip_norm": [None, Interval(Real, 0, None, closed="neither")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_iter_no_change": [Integers(1)],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "validation_split": [StrOptions({"random", "tail"})],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "checkpoint_path": [None],
        "checkpoint_every": [Integers(1)],
        "resume": [Options(bool, {False})],
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

    def _strata(self, targets):
        """What a part held out must have its share of, or None."""
        return None

    def _note_loss(self):
        """Note as `_loss` by which `Loss` to train, where a parameter says so; raise unless it can be."""

    def _of_loss(self):
        """Parameters that must stay because of what they make the head's outputs mean: (name, value, fitted)."""
        return ()

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

    # -- training ---------------------------------------------------------------------------------------

    def _fit(self, X, y, sample_weight, X_val=None, y_val=None, sample_weight_val=None, partial=False, classes=None):
        task = None if partial else FitTask(self, X, y, sample_weight, max_subtasks=self.max_iter)
        with unchanged_on_error(self) as commit:
            if partial:
                self._check_partial()
            self._check_init()
            going_on = (partial or self.warm_start) and hasattr(self, "weights_")
            backend, sizes = kernels.resolve(self.backend), check_sizes(self.hidden_size, self.num_layers)
            if self.bidirectional and self.bptt_checkpoint not in (None, "auto"):
                raise ValueError(
                    f"bptt_checkpoint={self.bptt_checkpoint} with bidirectional=True: the backward direction starts at "
                    "the last step, so all steps are kept. Leave it at 'auto'."
                )
            if self.bidirectional and self.bptt_steps is not None:
                raise ValueError(
                    f"bptt_steps={self.bptt_steps} with bidirectional=True: the backward direction starts at the last "
                    "step, so no state of it can pass from one piece of a series to the next. Leave it at None."
                )
            if going_on:
                self._check_same_model(sizes)
            self._note_loss()
            data = self._check_data(X, y, sample_weight, not going_on, classes)
            held_out = None
            if (X_val is None) != (y_val is None):
                given, lacking = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
                raise ValueError(f"{given} was passed but {lacking} is None: pass both, or neither.")
            if X_val is not None:
                held_out = self._check_data(X_val, y_val, sample_weight_val, False, suffix="_val")
            elif sample_weight_val is not None:
                raise ValueError("sample_weight_val was passed without X_val and y_val.")
            seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
            rng = np.random.default_rng(seed)
            if self.early_stopping and not partial and held_out is None:
                data, held_out = self._split(data, rng)
                if not data[2].any():
                    raise ValueError(
                        "The training data have no weight: every sample that is not held out has weight 0. Pass X_val "
                        f"and y_val, or lower validation_fraction (now {self.validation_fraction:g})."
                    )
            data = (*data[:2], self._weigh(*data[1:]))
            if held_out is not None:
                self._check_held_out(*held_out[1:])

            if not going_on:
                self._stack = Stack(self.cell, data[0].channels, sizes, bool(self.bidirectional))
            weights = self.weights_ if going_on else self._initial_weights(data, rng)
            network = Network(
                self._stack, weights, np.dtype(self.dtype), backend, self.bptt_checkpoint, self._per_step, self.dropout,
                self.recurrent_dropout,
            )  # fmt: skip
            progress = self._earlier_progress(network, partial) if going_on else None
            validate = held_out and (lambda: self._validate(network, held_out, backend))
            training = Training(
                network, self._settings(data, partial), *data, seed, validate, progress, n_jobs=self.n_jobs
            )
            epochs_before = training.progress.epochs
            epochs = watched(training, self.verbose, say_why=not partial)
            if task is not None:
                epochs = task.epochs(epochs, training, lambda: self._fitted_attributes(training, copied=True))
            try:
                for _ in epochs:
                    pass
            except KeyboardInterrupt:
                if training.progress.epochs > epochs_before:
                    self._adopt(training)
                    commit()
                raise
            if not (training.progress.stopped or partial or self.learning_rate == "cosine"):
                warnings.warn(
                    f"Training was still improving after max_iter={self.max_iter} epochs: raise max_iter, or stop on "
                    "purpose with early_stopping=True or learning_rate='cosine'.",
                    ConvergenceWarning,
                    stacklevel=4,
                )
            self._adopt(training)
            commit()
        if task is not None:
            task.end()
        return self

    def _initial_weights(self, data, rng):
        longest = None
        if self.init == "chrono":
            longest = int(data[0].lengths.max()) if self.longest_lag is None else self.longest_lag
        weights = networks.initialise(self._stack, self.n_outputs_ * self._loss.width, rng, longest)
        if self._loss.name in DISTRIBUTIONS:
            weights["head.bias"] = forecasts.first_scores(self._loss, *data[1:])
        return weights

    def _check_init(self):
        if self.init == "chrono" and self.cell == "rnn":
            raise ValueError(
                "init='chrono' with cell='rnn': it draws the biases of gates, which only LSTM and GRU have."
            )
        if self.init != "chrono" and self.longest_lag is not None:
            raise ValueError(f"longest_lag={self.longest_lag} with init={self.init!r}: it is for init='chrono'.")

    def _check_partial(self):
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True: it holds no validation data.")
        if self.learning_rate == "cosine":
            raise ValueError("partial_fit does not support learning_rate='cosine', which plans for max_iter epochs.")

    def _check_data(self, X, y, sample_weight, reset, classes=None, suffix=""):
        """X as series; targets and weights of each series or, with `return_sequences`, of each step of all."""
        if reset:
            self._masked, self._per_step = self.missing == "mask", bool(self.return_sequences)
        x = self._check_series(X, reset, "X" + suffix)
        names = "y" + suffix, "sample_weight" + suffix
        check_targets(X, y, names[0])
        if self._per_step:
            y = sequences.rows_of_steps(y, x, names[0], "X" + suffix)
            n_outputs = y.shape[1] if y.ndim > 1 else 1
            weights = check_step_weights(sample_weight, x, X, n_outputs, names[1], "X" + suffix)
            if reset:
                self._output_axis = y.ndim > 1
        else:
            weights = check_weights(sample_weight, X, _n_outputs(y, names[0]), names[1])
        by_parts = self._per_step or weights.shape[1] > 1  # then weight 0 says that there is no target
        counts = weights > 0 if by_parts else np.ones_like(weights, bool)
        return x, self._encode(y, counts, reset, classes, names[0]), weights

    def _check_series(self, X, reset=False, name="X"):
        dtype = self.dtype if name != "X" or reset else self._dtype()
        series = check_series(self, X, dtype, reset, name, "keep" if self._masked else "error")
        return sequences.with_mask(series) if self._masked else series

    def _split(self, data, rng):
        """Training and validation parts of the data."""
        x, targets, weights = data
        rows = self._tail(len(x)) if self.validation_split == "tail" else self._drawn(len(x), targets, rng)
        parts = [x.steps_of(part) for part in rows] if self._per_step else rows
        return [(x.take(part), targets[at], weights[at]) for part, at in zip(rows, parts, strict=True)]

    def _drawn(self, n, targets, rng):
        return train_test_split(
            np.arange(n),
            test_size=self.validation_fraction,
            stratify=None if self._per_step else self._strata(targets),
            random_state=int(rng.integers(np.iinfo(np.int32).max)),
        )

    def _tail(self, n):
        held = math.ceil(self.validation_fraction * n)  # as train_test_split counts
        if held >= n:
            raise ValueError(
                f"validation_split='tail' with validation_fraction={self.validation_fraction:g} holds out all of the "
                f"{n} series: pass more, a smaller fraction, or X_val and y_val."
            )
        return np.split(np.arange(n), [n - held])

    def _check_same_model(self, sizes):
        """Raise unless the parameters are those that the fitted weights were made for."""
        stack = self._stack
        for name, value, fitted in [
            ("hidden_size", sizes, stack.hidden_sizes),
            ("cell", self.cell, stack.cell),
            ("bidirectional", bool(self.bidirectional), stack.bidirectional),
            ("return_sequences", bool(self.return_sequences), self._per_step),
            ("missing", self.missing, "mask" if self._masked else "error"),
            *self._of_loss(),
        ]:
            if value != fitted:
                value, fitted = (v[0] if isinstance(v, tuple) and len(v) == 1 else v for v in (value, fitted))
                raise ValueError(
                    f"{name}={value!r}, but training goes on with a model of {name}={fitted!r}: set it back, or fit "
                    "with warm_start=False."
                )

    def _earlier_progress(self, network, partial):
        """What training goes on with: everything for partial_fit, the history for warm_start."""
        progress = self._progress.copy(self._progress.moments.copy())
        moments = np.zeros((SOLVERS[self.solver][1], network.parameters.size), network.parameters.dtype)
        same = (self.solver, moments.dtype) == (progress.solver, progress.moments.dtype)
        if partial and same:
            if self.learning_rate != "adaptive":
                progress.rate = self.learning_rate_init  # it may have been set anew since
            return progress
        progress.solver, progress.moments, progress.updates = self.solver, moments, 0
        progress.rate = self.learning_rate_init
        progress.no_improvement, progress.best_validation_score = 0, -np.inf
        return progress

    def _settings(self, data, partial):
        given = {field.name: getattr(self, field.name, None) for field in fields(Settings)}
        given["loss"] = self._loss
        given["batch_size"] = min(AUTO_BATCH_SIZE if self.batch_size == "auto" else self.batch_size, len(data[0]))
        if partial:
            given["max_iter"] = 1
        return Settings(**given)

    def _validate(self, network, held_out, backend):
        x, targets, weights = held_out
        scores = networks.run_over(network.stack, x, network.weights, backend, self.n_jobs, network.per_step)
        with np.errstate(over="ignore", invalid="ignore"):  # the training reports what is not finite
            values, _ = self._loss(scores, targets)
            loss = float(np.where(weights > 0, values * weights, 0).sum() * weights.shape[1] / weights.sum())
            # R squared is greatest for the mean, which a quantile is not, and says nothing of a distribution's width
            judged = self._loss.name in DISTRIBUTIONS
            return -loss if judged else self._score_of(scores, targets, weights), loss

    def _fitted_attributes(self, training, copied=False):
        """What a fit that ended now would set; `copied` where the training goes on."""
        progress = training.progress
        progress = progress.copy(progress.moments.copy()) if copied else progress
        curve, validated = progress.loss_curve, training.validate is not None
        return {
            "weights_": {name: value.copy() for name, value in training.network.weights.items()},
            "n_iter_": progress.epochs,
            "t_": progress.samples,
            "loss_": curve[-1] if curve else math.inf,
            "loss_curve_": list(curve),
            "grad_norm_curve_": list(progress.grad_norm_curve),
            "best_loss_": None if self.early_stopping else progress.best_loss,
            "validation_scores_": list(progress.validation_scores) if validated else None,
            "validation_loss_curve_": list(progress.validation_loss_curve) if validated else None,
            "best_validation_score_": progress.best_validation_score if validated else None,
            "_progress": progress,
        }

    def _adopt(self, training):
        """Take over what was trained as fitted attributes."""
        vars(self).update(self._fitted_attributes(training))

    # -- prediction -------------------------------------------------------------------------------------

    def _dtype(self):
        """The type that the fitted model computes in."""
        return self.weights_["head.bias"].dtype

    def _run_over(self, X, per_step=None, with_head=True):
        """X as series, and what the network makes of them; see `networks.run_over`. `per_step` None: as fitted."""
        check_is_fitted(self)
        x, backend = self._check_series(X), kernels.resolve(self.backend)
        per_step = self._per_step if per_step is None else per_step
        return x, networks.run_over(self._stack, x, self.weights_, backend, self.n_jobs, per_step, with_head)

    def _apply(self, X, function):
        """`function` of the scores [rows, K], in the form that X has; it is called only if the model is fitted."""
        x, scores = self._run_over(X)
        rows = function(scores)
        return x.restore(rows) if self._per_step else rows

    def _score(self, X, y, sample_weight, of_series):
        """The score; `of_series` is scikit-learn's, for one target and weight for each series."""
        check_is_fitted(self)
        if not self._per_step and (sample_weight is None or len(sequences.shape_of(sample_weight)) < 2):
            return of_series(X, y, sample_weight)
        x, scores = self._run_over(X)
        check_targets(X, y, "y")
        if self._per_step:
            y = sequences.rows_of_steps(y, x, "y")
            weights = check_step_weights(sample_weight, x, X, self._n_targets(), "sample_weight", "X")
        else:
            y = y.toarray() if issparse(y) else np.asarray(y)
            weights = check_weights(sample_weight, X, self._n_targets(), "sample_weight")
        y = y.reshape(len(y), -1)
        if y.shape[1] != self._n_targets():
            of_what = "step" if self._per_step else "series"
            raise ValueError(
                f"y has {y.shape[1]} targets for each {of_what}; this model was fitted with {self._n_targets()}."
            )
        seen = weights.any(axis=1)
        return self._score_rows(y[seen], scores[seen], weights[seen])

    def _last_states(self, X):
        """The last layer's last states [n, D H], of the backward direction those at the first step."""
        return self._run_over(X, per_step=False, with_head=False)[1]

    def hidden_states(self, X):
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
        x, states = self._run_over(X, per_step=True, with_head=False)
        return x.restore(states) if x.whole else x.members(states)

    def stream(self, n_streams=1, method="predict"):
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


def _n_outputs(y, name):
    """Targets of each series."""
    try:
        shape = sequences.shape_of(y)
    except ValueError as error:
        raise ValueError(
            f"{name} is a sequence whose members differ in shape; expected one target for each series, or with "
            "return_sequences=True one for each step."
        ) from error
    if len(shape) == 1 and sequences.is_list(y):  # an object array of arrays
        raise ValueError(
            f"{name} has an array for each series; expected one target for each, or with return_sequences=True one for "
            "each step."
        )
    return shape[1] if len(shape) > 1 else 1


@contextlib.contextmanager
def unchanged_on_error(estimator):
    """Put the estimator's attributes back if the body fails before it calls the function that this yields."""
    before, committed = vars(estimator).copy(), []
    try:
        yield lambda: committed.append(True)
    except BaseException:
        if not committed:
            vars(estimator).clear()
            vars(estimator).update(before)
        raise
