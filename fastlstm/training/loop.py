"""The loop over epochs and minibatches."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fastlstm import sequences
from fastlstm.training.losses import LOSSES
from fastlstm.training.solvers import SOLVERS, Options

SMALLEST_RATE = 1e-6  # "adaptive" stops below it


@dataclass(frozen=True)
class Settings:
    """How to train; the names and meanings are the estimators' parameters'."""

    loss: str
    solver: str
    alpha: float
    batch_size: int
    learning_rate: str
    learning_rate_init: float
    max_iter: int
    clip_norm: float | None
    shuffle: bool
    momentum: float
    nesterovs_momentum: bool
    tol: float
    n_iter_no_change: int
    early_stopping: bool


@dataclass
class Progress:
    """All of a training that changes from epoch to epoch besides the parameters; numbers and arrays only."""

    solver: str
    moments: np.ndarray
    rate: float
    updates: int = 0
    samples: int = 0
    epochs: int = 0
    no_improvement: int = 0
    best_loss: float = math.inf
    best_validation_score: float = -math.inf
    loss_curve: list = field(default_factory=list)
    validation_scores: list = field(default_factory=list)
    validation_loss_curve: list = field(default_factory=list)

    def copy(self):
        """A copy that later epochs do not touch."""
        lists = {name: list(value) for name, value in vars(self).items() if isinstance(value, list)}
        return Progress(**{**vars(self), **lists, "moments": self.moments.copy()})


class Training:
    """Trains a `Network` on arrays, an epoch at a time.

    Parameters
    ----------
    network : Network
    settings : Settings
    x, targets, row_weights : arrays [T, n, C], [n, ...] and [n]
    seed : int
        Of the shuffling. An epoch's order depends on it and the epoch's number alone.
    validate : callable or None
        ``validate() -> (score, loss)`` of the network on data held out.
    progress : Progress or None
        Of an earlier training to go on with.
    """

    def __init__(self, network, settings, x, targets, row_weights, seed, validate: Callable | None, progress=None):
        self.network, self.settings, self.seed, self.validate = network, settings, seed, validate
        self.x, self.targets, self.row_weights = x, targets, row_weights
        self._update, moments = SOLVERS[settings.solver]
        self.progress = progress or Progress(
            settings.solver,
            np.zeros((moments, network.parameters.size), network.parameters.dtype),
            settings.learning_rate_init,
        )
        T, n, C = x.shape
        self._batches = math.ceil(n / settings.batch_size)
        self._batch = np.empty(T * min(settings.batch_size, n) * C, x.dtype)
        self._penalty = settings.alpha * network.is_matrix
        self._options = Options(settings.momentum, settings.nesterovs_momentum, self._penalty)
        self.stopped = None
        self._best_parameters = None
        self._best_loss = math.inf if self.progress.updates == 0 else self.progress.best_loss  # of this run

    def epoch(self):
        """One pass over the data."""
        n, size = self.x.shape[1], self.settings.batch_size
        order = np.arange(n)
        if self.settings.shuffle:
            np.random.default_rng([self.seed, self.progress.epochs]).shuffle(order)
        batches = self._batches
        loss_sum, weight_sum = 0.0, 0.0
        for number in range(batches):
            rows = order[number * size : (number + 1) * size]
            if not self.row_weights[rows].any():
                continue  # nothing of this batch counts
            self._set_rate(number / batches)
            loss, weight = self._minibatch(rows, f"epoch {self.progress.epochs + 1}, batch {number + 1} of {batches}")
            loss_sum, weight_sum = loss_sum + loss, weight_sum + weight
        self.progress.samples += n
        self.progress.loss_curve.append(loss_sum / weight_sum)
        self.progress.epochs += 1

    def _set_rate(self, part_of_epoch):
        if self.settings.learning_rate == "cosine":  # Loshchilov & Hutter (2017), equation 5, without restarts
            done = min(1.0, (self.progress.epochs - self._first_epoch + part_of_epoch) / self.settings.max_iter)
            self.progress.rate = self.settings.learning_rate_init * 0.5 * (1 + math.cos(math.pi * done))

    @np.errstate(over="ignore", invalid="ignore")  # what overflows is reported below, in words that help
    def _minibatch(self, rows, place):
        network, settings, progress = self.network, self.settings, self.progress
        x = sequences.gather(self.x, rows, self._batch)
        weights = self.row_weights[rows]
        total = float(np.sum(weights, dtype=np.float64))
        loss = network.differentiate(x, self.targets[rows], weights, LOSSES[settings.loss])
        if settings.alpha and settings.solver != "adamw":
            pull = self._penalty * network.parameters
            loss += 0.5 * float(np.sum(pull * network.parameters))
            network.gradient += pull / total
        gradient = network.gradient
        norm = math.sqrt(np.sum(np.square(gradient, dtype=np.float64)))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise FloatingPointError(
                f"Training diverged in {place}: the loss is {loss / total:g} and the norm of its gradient {norm:g}. "
                f"{self._advice()}"
            )
        if settings.clip_norm is not None and norm > settings.clip_norm:
            gradient *= settings.clip_norm / norm
        progress.updates += 1
        self._update(network.parameters, gradient, progress.rate, progress.moments, progress.updates, self._options)
        return loss, total

    def _advice(self):
        return (
            f"Try a smaller learning_rate_init (now {self.settings.learning_rate_init:g}), a smaller clip_norm "
            f"(now {self.settings.clip_norm}), inputs and targets scaled to about unit variance, or dtype='float64'."
        )

    def run(self):
        """Train until a rule stops it; yields after every epoch.

        Left early by an exception, `network` and `progress` stand as after the last whole epoch.
        """
        self._first_epoch = self.progress.epochs
        kept = self.network.parameters.copy(), self.progress.copy()
        try:
            for _ in range(self.settings.max_iter):
                self.epoch()
                if not np.isfinite(self.network.parameters).all():
                    raise FloatingPointError(
                        f"Training diverged at the end of epoch {self.progress.epochs}, batch {self._batches} of "
                        f"{self._batches}: its update left weights that are not finite. {self._advice()}"
                    )
                if self.validate is not None:
                    score, loss = self.validate()
                    if not (math.isfinite(score) and math.isfinite(loss)):
                        raise FloatingPointError(
                            f"After epoch {self.progress.epochs} the validation data have a score of {score:g} and a "
                            f"loss of {loss:g}: are their targets on the scale of the training targets?"
                        )
                    self.progress.validation_scores.append(score)
                    self.progress.validation_loss_curve.append(loss)
                self._judge()
                kept = self.network.parameters.copy(), self.progress.copy()
                yield self.progress
                if self.stopped:
                    break
        except BaseException:
            self.network.parameters[:], self.progress = kept
            raise
        if self.settings.early_stopping:
            self.network.parameters[:] = self._best_parameters

    def _judge(self):
        """Count epochs without improvement, keep the best weights, and say whether to stop."""
        progress, settings = self.progress, self.settings
        loss = progress.loss_curve[-1]
        improved = loss <= self._best_loss - settings.tol
        self._best_loss = min(self._best_loss, loss)
        if self.validate is not None:
            score, best = progress.validation_scores[-1], progress.best_validation_score
            if settings.early_stopping:
                improved = score >= best + settings.tol
            if score > best:
                progress.best_validation_score = score
                if settings.early_stopping:
                    self._best_parameters = self.network.parameters.copy()
        progress.best_loss = min(progress.best_loss, loss)
        progress.no_improvement = 0 if improved else progress.no_improvement + 1
        if progress.no_improvement <= settings.n_iter_no_change:
            return
        if settings.learning_rate == "adaptive" and progress.rate > SMALLEST_RATE:
            progress.rate /= 5
            progress.no_improvement = 0
        else:
            self.stopped = "validation score" if settings.early_stopping else "training loss"
