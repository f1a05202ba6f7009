"""What classifier and regressor share: parameters, training, scores."""

import contextlib
import time
import warnings
from dataclasses import fields
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from fastlstm import kernels
from fastlstm.estimators.inputs import check_lengths, check_series, check_weights
from fastlstm.training import network as networks
from fastlstm.training.loop import Settings, Training
from fastlstm.training.losses import LOSSES
from fastlstm.training.network import Network
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


class BaseLSTM(BaseEstimator):
    """An LSTM layer and a linear head; a subclass says what targets and scores mean."""

    _parameter_constraints = {
        "hidden_size": [Integers(1)],
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
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "dtype": [StrOptions({"float32", "float64"})],
        "backend": [StrOptions({"auto", *kernels.BACKENDS})],
        "n_jobs": [None, Jobs()],
        "bptt_checkpoint": [None, StrOptions({"auto"}), Integers(1)],
    }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        return tags

    # -- what a subclass defines ------------------------------------------------------------------------

    def _encode(self, y, reset, classes=None, name="y"):
        """y as targets of the loss; `reset` notes what outputs there are, otherwise y must fit what was noted."""
        raise NotImplementedError

    def _weigh(self, targets, weights):
        """Row weights, with what else the estimator weighs rows by multiplied in."""
        return weights

    def _loss_name(self):
        raise NotImplementedError

    def _score_of(self, scores, targets, weights):
        """What early stopping watches; greater is better."""
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
        with _unchanged_on_error(self) as commit:
            if partial:
                self._check_partial()
            going_on = (partial or self.warm_start) and hasattr(self, "weights_")
            backend = kernels.resolve(self.backend)
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
            data = (*data[:2], self._weigh(*data[1:]))
            if held_out is not None:
                self._check_held_out(*held_out[1:])

            weights = self._first_weights(data[0].channels, going_on, rng)
            network = Network(weights, np.dtype(self.dtype), backend, self.bptt_checkpoint)
            progress = self._earlier_progress(network, partial) if going_on else None
            validate = held_out and (lambda: self._validate(network.weights, held_out, backend))
            training = Training(network, self._settings(data, partial), *data, seed, validate, progress, self.n_jobs)
            epochs_before = training.progress.epochs
            try:
                self._watch(training, partial)
            except KeyboardInterrupt:
                if training.progress.epochs > epochs_before:
                    self._adopt(training)
                    commit()
                raise
            if not (training.stopped or partial or self.learning_rate == "cosine"):
                warnings.warn(
                    f"Training was still improving after max_iter={self.max_iter} epochs: raise max_iter, or stop on "
                    "purpose with early_stopping=True or learning_rate='cosine'.",
                    ConvergenceWarning,
                    stacklevel=4,
                )
            self._adopt(training)
            commit()
        return self

    def _check_partial(self):
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True: it holds no validation data.")
        if self.learning_rate == "cosine":
            raise ValueError("partial_fit does not support learning_rate='cosine', which plans for max_iter epochs.")

    def _check_data(self, X, y, sample_weight, reset, classes=None, suffix=""):
        """X as series, targets and row weights."""
        x = check_series(self, X, self.dtype, reset, "X" + suffix)
        check_lengths(X, y, "y" + suffix)
        targets = self._encode(y, reset, classes, "y" + suffix)
        weights = check_weights(sample_weight, X, "sample_weight" + suffix)
        return x, targets, weights

    def _split(self, data, rng):
        """Training and validation parts of the data."""
        x, targets, weights = data
        rows = train_test_split(
            np.arange(len(weights)),
            test_size=self.validation_fraction,
            stratify=targets if targets.ndim == 1 else None,
            random_state=int(rng.integers(np.iinfo(np.int32).max)),
        )
        return [(x.take(part), targets[part], weights[part]) for part in rows]

    def _first_weights(self, n_channels, going_on, rng):
        if not going_on:
            return networks.initialise(n_channels, self.hidden_size, self.n_outputs_, rng)
        fitted = self.weights_["weight_hh_l0"].shape[1]
        if fitted != self.hidden_size:
            raise ValueError(
                f"hidden_size={self.hidden_size}, but training goes on with a model of {fitted} hidden units: set it "
                "back, or fit with warm_start=False."
            )
        return self.weights_

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
        given["loss"] = self._loss_name()
        given["batch_size"] = min(AUTO_BATCH_SIZE if self.batch_size == "auto" else self.batch_size, len(data[2]))
        if partial:
            given["max_iter"] = 1
        return Settings(**given)

    def _validate(self, weights, held_out, backend):
        x, targets, row_weights = held_out
        scores = networks.scores(x, weights, backend, self.n_jobs)
        with np.errstate(over="ignore", invalid="ignore"):  # the training reports what is not finite
            values, _ = LOSSES[self._loss_name()](scores, targets)
            return self._score_of(scores, targets, row_weights), float(np.average(values, weights=row_weights))

    def _watch(self, training, partial):
        """Run the training; with `verbose`, print a line an epoch."""
        start = time.perf_counter()
        for progress in training.run():
            if self.verbose:
                line = f"epoch {progress.epochs:4d}  loss {progress.loss_curve[-1]:.6f}"
                if training.validate is not None:
                    line += f"  validation loss {progress.validation_loss_curve[-1]:.6f}"
                    line += f"  validation score {progress.validation_scores[-1]:.4f}"
                print(f"{line}  rate {progress.rate:.2e}  {time.perf_counter() - start:.1f} s", flush=True)
        if self.verbose and training.stopped and not partial:
            print(f"stopped: the {training.stopped} no longer improved by tol={self.tol:g}", flush=True)

    def _adopt(self, training):
        """Take over what was trained as fitted attributes."""
        progress = training.progress
        self.weights_ = {name: value.copy() for name, value in training.network.weights.items()}
        self._progress = progress  # the training is over: nothing else changes it
        self.n_iter_, self.t_ = progress.epochs, progress.samples
        self.loss_, self.loss_curve_ = progress.loss_curve[-1], list(progress.loss_curve)
        self.best_loss_ = None if self.early_stopping else progress.best_loss
        validated = training.validate is not None
        self.validation_scores_ = list(progress.validation_scores) if validated else None
        self.validation_loss_curve_ = list(progress.validation_loss_curve) if validated else None
        self.best_validation_score_ = progress.best_validation_score if validated else None

    # -- prediction -------------------------------------------------------------------------------------

    def _scores(self, X):
        """Scores [n, K] of the head."""
        check_is_fitted(self)
        x = check_series(self, X, self.weights_["head.bias"].dtype, reset=False)
        return networks.scores(x, self.weights_, kernels.resolve(self.backend), self.n_jobs)


@contextlib.contextmanager
def _unchanged_on_error(estimator):
    """Put the estimator's attributes back if the body fails before it calls the function that this yields."""
    before, committed = vars(estimator).copy(), []
    try:
        yield lambda: committed.append(True)
    except BaseException:
        if not committed:
            vars(estimator).clear()
            vars(estimator).update(before)
        raise
