"""What classifier and regressor share in `fit` and `partial_fit`: from X and y to a trained network."""

import math
from dataclasses import fields
from numbers import Integral

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from fastlstm import containers, kernels, sequences
from fastlstm.callers import warn
from fastlstm.estimators import standardization
from fastlstm.estimators.callbacks import FitTask
from fastlstm.estimators.checkpoints import SEEDS, Checkpoints, fingerprint
from fastlstm.estimators.doubts import doubts
from fastlstm.estimators.drafts import Draft
from fastlstm.estimators.inputs import check_step_weights, check_target_names, check_targets, check_weights
from fastlstm.estimators.view import watched
from fastlstm.layers.checks import check_sizes, named
from fastlstm.stacks import Stack
from fastlstm.training import forecasts, outcome, plan
from fastlstm.training import network as networks
from fastlstm.training.loop import Training
from fastlstm.training.losses import DISTRIBUTIONS
from fastlstm.training.network import Network
from fastlstm.training.progress import Settings
from fastlstm.training.solvers import SOLVERS


class Fitting:
    """The part of `BaseLSTM` that trains; see there what a subclass defines."""

    def _fit(self, X, y, sample_weight, X_val=None, y_val=None, sample_weight_val=None, partial=False, classes=None):
        if partial:
            self._validate_params()  # scikit-learn's `_fit_context` skips this once the estimator is fitted
        task = (
            None
            if partial
            else FitTask(self, X, y, sample_weight, max_subtasks=None if self.max_iter == "auto" else self.max_iter)
        )
        draft = Draft(self)
        model = draft.model
        training, checkpoints = model._training(
            X, y, sample_weight, (X_val, y_val, sample_weight_val), partial, classes
        )
        epochs_before = training.progress.epochs
        if checkpoints:
            checkpoints.restore(training)

        def attributes():
            return {**draft.changes(), **model._fitted_attributes(training, copied=True)}

        try:
            self._watch(model, training, task, attributes, partial)
        except KeyboardInterrupt:
            if training.progress.epochs > epochs_before:
                training.leave()
                model._adopt(training)
                draft.adopt()
            raise
        model._adopt(training)
        draft.adopt()
        if task is not None:
            task.end()
        return self

    def _training(self, X, y, sample_weight, validation_data, partial, classes):
        """The `Training` that is to be run, and its checkpoints or None."""
        if partial:
            self._check_partial()
        self._check_parameters()
        going_on = (partial or self.warm_start) and hasattr(self, "weights_")
        if going_on:
            self._check_same_model()
        self._note_loss()
        data = self._check_data(X, y, sample_weight, not going_on, classes)
        held_out = self._check_validation_data(*validation_data)
        seed, checkpoints = self._seed()
        rng = np.random.default_rng(seed)
        if self.early_stopping and not partial and held_out is None:
            data, held_out = self._split(data, rng)
        if not going_on:
            for doubt in doubts(data[0], self._columns):
                warn(doubt, UserWarning)
            self._learn_scaling(data)
        weighed = self._weigh(*data[1:])
        self.settings_ = self._settle(data[0], partial)
        if checkpoints:
            checkpoints.describe(self, seed, data=fingerprint(data, *([held_out] if held_out else [])))
        data = (*self._prepare(data)[:2], weighed)
        held_out = held_out and self._prepare(held_out, "_val")
        if held_out is not None:
            self._check_held_out(*held_out[1:])

        network = self._network(data, rng, going_on)
        training = Training(
            network,
            self._settings(),
            *data,
            seed,
            held_out and (lambda: self._validate(network, held_out)),
            self._earlier_progress(network, partial) if going_on else None,
            checkpoints and checkpoints.keep,
            self.n_jobs,
        )
        return training, checkpoints

    def _watch(self, model, training, task, attributes, partial):
        """Run the training of `model`, for callbacks and people to see; `attributes()`: those that it has so far."""
        if self.verbose and not partial:
            print(plan.described(model.settings_), flush=True)
        epochs = watched(training, self.verbose, say_why=not partial)
        if task is not None:
            epochs = task.epochs(epochs, training, attributes)
        for _ in epochs:
            pass
        if not partial:
            gated = self.cell in plan.GATED and model.settings_["init"] != "chrono"
            why = outcome.shortfall(training, ["init='chrono'"] if gated else [])
            if why:
                warn(why, ConvergenceWarning)

    def _seed(self):
        """The seed of all that is random, and the checkpoints; a training that goes on from one has its seed."""
        seed = int(check_random_state(self.random_state).randint(SEEDS))
        if self.checkpoint_path is None:
            return seed, None
        checkpoints = Checkpoints(self.checkpoint_path, self.checkpoint_every, self.resume)
        if checkpoints.earlier and not isinstance(self.random_state, Integral):
            seed = checkpoints.earlier[0]["seed"]
        return seed, checkpoints

    def _settle(self, series, partial):
        """What the parameters that may be "auto" come to."""
        given = {name: getattr(self, name) for name in plan.NAMES}
        return plan.settle(given, self.cell, len(series), int(series.lengths.max()), series.steps, online=partial)

    def _weights_of_series(self, series, weights):
        """One weight for each series: the mean over its steps and outputs."""
        weights = weights.mean(axis=1)
        return np.add.reduceat(weights, series.step_at) / series.lengths if self._per_step else weights

    def _network(self, data, rng, going_on):
        if not going_on:
            sizes = check_sizes(self.hidden_size, self.num_layers)
            self._stack = Stack(self.cell, data[0].channels, sizes, bool(self.bidirectional))
        weights = self.weights_ if going_on else self._initial_weights(data, rng)
        return Network(
            self._stack,
            weights,
            np.dtype(self.dtype),
            kernels.resolve(self.backend),
            self.bptt_checkpoint,
            self._per_step,
            self.settings_["dropout"],
            self.recurrent_dropout,
        )

    def _initial_weights(self, data, rng):
        longest = None
        if self.settings_["init"] == "chrono":
            longest = int(data[0].lengths.max()) if self.longest_lag is None else self.longest_lag
        weights = networks.initialise(self._stack, self.n_outputs_ * self._loss.width, rng, longest)
        if self._loss.name in DISTRIBUTIONS:
            weights["head.bias"] = forecasts.first_scores(self._loss, *data[1:])
        return weights

    def _check_parameters(self):
        """Raise where parameters contradict each other."""
        kernels.resolve(self.backend)
        check_sizes(self.hidden_size, self.num_layers)
        if self.init == "chrono" and self.cell == "rnn":
            raise ValueError(
                "init='chrono' with cell='rnn': it draws the biases of gates, which only LSTM and GRU have."
            )
        if self.longest_lag is not None and (self.init == "standard" or self.cell == "rnn"):
            other = "init='standard'" if self.init == "standard" else "cell='rnn'"
            raise ValueError(
                f"longest_lag={self.longest_lag} with {other}: it is for init='chrono', which is for gates."
            )
        if self.bidirectional and self.bptt_checkpoint not in (None, "auto"):
            raise ValueError(
                f"bptt_checkpoint={self.bptt_checkpoint} with bidirectional=True: the backward direction starts at the "
                "last step, so all steps are kept. Leave it at 'auto'."
            )
        if self.bidirectional and self.bptt_steps is not None:
            raise ValueError(
                f"bptt_steps={self.bptt_steps} with bidirectional=True: the backward direction starts at the last "
                "step, so no state of it can pass from one piece of a series to the next. Leave it at None."
            )
        if self.resume and self.checkpoint_path is None:
            raise ValueError("resume=True without a checkpoint_path: name the file to go on from.")
        if self.resume and self.warm_start:
            raise ValueError(
                "resume=True with warm_start=True: one goes on from a file, the other from the fitted weights. Set one "
                "of them to False."
            )

    def _check_partial(self):
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True: it holds no validation data.")
        if self.learning_rate == "cosine":
            raise ValueError("partial_fit does not support learning_rate='cosine', which plans for max_iter epochs.")
        if self.checkpoint_path is not None:
            raise ValueError(
                "partial_fit does not support checkpoint_path, which keeps a whole fit: pickle the estimator between "
                "two calls."
            )

    def _check_data(self, X, y, sample_weight, reset, classes=None, suffix=""):
        """X as series; targets and weights of each series or, with `return_sequences`, of each step of all."""
        if reset:
            self._masked, self._per_step = self.missing == "mask", bool(self.return_sequences)
            self._standardised = bool(self.standardize)
        x = self._read_series(X, reset, "X" + suffix)
        names = "y" + suffix, "sample_weight" + suffix
        with named(names[0]):
            check_targets(X, y, names[0])
            given, y = y, containers.plain(y, names[0])
            if self._per_step:
                check_target_names(self, given, y, names[0], reset)
                y = sequences.rows_of_steps(y, x, names[0], "X" + suffix)
            n_outputs = (y.shape[1] if y.ndim > 1 else 1) if self._per_step else _n_outputs(y, names[0])
        with named(names[1]):
            if self._per_step:
                weights = check_step_weights(sample_weight, x, X, n_outputs, names[1], "X" + suffix)
            else:
                weights = check_weights(sample_weight, X, n_outputs, names[1])
        if reset and self._per_step:
            self._output_axis = y.ndim > 1
        by_parts = self._per_step or weights.shape[1] > 1  # then weight 0 says that there is no target
        counts = weights > 0 if by_parts else np.ones_like(weights, bool)
        with named(names[0], "classes"):
            return x, self._encode(y, counts, reset, classes, names[0]), weights

    def _learn_scaling(self, data):
        """Note the location and scale of channels and targets, as weighted; None where they stay as they are."""
        x, targets, weights = data
        self.x_mean_ = self.x_scale_ = self.y_mean_ = self.y_scale_ = None
        if self._standardised:
            # what a step's target weighs says nothing of its inputs
            of_steps = np.repeat(self._weights_of_series(x, weights), x.lengths)[:, None]
            table = x.table(copy=False)
            try:
                self.x_mean_, self.x_scale_ = standardization.learn(table, of_steps, "X")
            except ValueError:
                with np.errstate(over="ignore"):
                    narrow = x.with_table(table.astype(self.dtype))
                sequences.check_finite(narrow, "X", "keep")  # says where
                raise
        if self._standardised and self._scales_targets():
            self.y_mean_, self.y_scale_ = standardization.learn(targets, weights, "y")

    def _prepare(self, data, suffix=""):
        """Data as the network takes them."""
        x, targets, weights = data
        dtype = np.dtype(self.dtype)
        if self.y_mean_ is not None:
            targets = standardization.Scaling(self.y_mean_, self.y_scale_).apply(targets, dtype)
            if not np.isfinite(targets).all():
                raise ValueError(f"y{suffix} contains a value too large for {dtype} once it is standardised.")
        return self._prepare_series(x, dtype, "X" + suffix), targets, weights

    def _check_validation_data(self, X_val, y_val, sample_weight_val):
        if (X_val is None) != (y_val is None):
            given, lacking = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
            raise ValueError(f"{given} was passed but {lacking} is None: pass both, or neither.")
        if X_val is not None:
            return self._check_data(X_val, y_val, sample_weight_val, False, suffix="_val")
        if sample_weight_val is not None:
            raise ValueError("sample_weight_val was passed without X_val and y_val.")
        return None

    def _split(self, data, rng):
        """Training and validation parts of the data."""
        x, targets, weights = data
        n, held = len(x), math.ceil(self.validation_fraction * len(x))  # as train_test_split counts
        if held >= n:
            raise ValueError(
                f"validation_split={self.validation_split!r} with validation_fraction={self.validation_fraction:g} "
                f"holds out all of the {n} series: pass more, a smaller fraction, or X_val and y_val."
            )
        if self.validation_split == "tail":
            rows = np.split(np.arange(n), [n - held])
        else:
            rows = self._drawn(n, held, targets, int(rng.integers(np.iinfo(np.int32).max)))
        parts = [x.steps_of(part) for part in rows] if self._per_step else rows
        parts = [(x.take(part), targets[at], weights[at]) for part, at in zip(rows, parts, strict=True)]
        if not parts[0][2].any():
            raise ValueError(
                "The training data have no weight: every sample that is not held out has weight 0. Pass X_val and "
                f"y_val, or lower validation_fraction (now {self.validation_fraction:g})."
            )
        return parts

    def _drawn(self, n, held, targets, seed):
        """Of n series with these targets, at random, those to train on and the `held` ones to validate on."""
        from sklearn.model_selection import train_test_split  # late: it imports half of scikit-learn

        return train_test_split(np.arange(n), test_size=held, random_state=seed)

    def _check_same_model(self):
        """Raise unless the parameters are those that the fitted weights were made for."""
        stack = self._stack
        networks.check_weights(stack, self.weights_, self.n_outputs_ * self._loss.width)
        for name, value, fitted in [
            ("hidden_size", check_sizes(self.hidden_size, self.num_layers), stack.hidden_sizes),
            ("cell", self.cell, stack.cell),
            ("bidirectional", bool(self.bidirectional), stack.bidirectional),
            ("return_sequences", bool(self.return_sequences), self._per_step),
            ("missing", self.missing, "mask" if self._masked else "error"),
            ("standardize", bool(self.standardize), self._standardised),
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
                progress.rate = self.settings_["learning_rate_init"]  # it may have been set anew since
            return progress
        progress.solver, progress.moments, progress.updates = self.solver, moments, 0
        progress.rate = self.settings_["learning_rate_init"]
        progress.no_improvement, progress.best_validation_score = 0, -np.inf
        return progress

    def _settings(self):
        given = {field.name: getattr(self, field.name, None) for field in fields(Settings)}
        settled = {name: value for name, value in self.settings_.items() if name in given}
        return Settings(**{**given, **settled, "loss": self._loss})

    def _validate(self, network, held_out):
        x, targets, weights = held_out
        scores = networks.run_over(
            network.stack, x, network.weights, kernels.resolve(self.backend), self.n_jobs, network.per_step
        )
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
        training.progress.best_parameters = None  # of use to nobody now
        vars(self).update(self._fitted_attributes(training))


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
