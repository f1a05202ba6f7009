"""The loop over epochs and minibatches."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fastlstm.training.losses import Loss
from fastlstm.training.solvers import SOLVERS, Options

SMALLEST_RATE = 1e-6  # "adaptive" stops below it
LARGEST_POOL = 4  # batches that series of unequal lengths are sorted into at a time


@dataclass(frozen=True)
class Settings:
    """How to train; the names and meanings are the estimators' parameters'."""

    loss: Loss
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

    def copy(self, moments):
        """A copy, with these moments, that later epochs do not touch."""
        lists = {name: list(value) for name, value in vars(self).items() if isinstance(value, list)}
        return Progress(**{**vars(self), **lists, "moments": moments})


class Training:
    """Trains a `Network` on arrays, an epoch at a time.

    Parameters
    ----------
    network : Network
    settings : Settings
    series : Series
    targets, weights : arrays [n, .] and [n, .]
        For each series or, where the network's head is on every step, for each step of all series, one after the other.
        A row of weights has one for all outputs, or one for each.
    seed : int
        Of the shuffling. An epoch's order depends on it and the epoch's number alone.
    validate : callable or None
        ``validate() -> (score, loss)`` of the network on data held out.
    progress : Progress or None
        Of an earlier training to go on with.
    n_jobs : int or None
        Threads to use at the most; the results do not depend on them.
    """

    def __init__(
        self,
        network,
        settings,
        series,
        targets,
        weights,
        seed,
        validate: Callable | None,
        progress=None,
        n_jobs=None,
    ):
        self.network, self.settings, self.seed, self.validate = network, settings, seed, validate
        self.series, self.targets, self.weights, self.n_jobs = series, targets, weights, n_jobs
        of_rows = weights.any(axis=1)
        self._counts = np.logical_or.reduceat(of_rows, series.step_at) if network.per_step else of_rows
        self._update, moments = SOLVERS[settings.solver]
        self.progress = progress or Progress(
            settings.solver,
            np.zeros((moments, network.parameters.size), network.parameters.dtype),
            settings.learning_rate_init,
        )
        self._batches = math.ceil(len(series) / settings.batch_size)
        decay = settings.alpha * network.is_matrix if settings.alpha else 0.0
        self._options = Options(settings.momentum, settings.nesterovs_momentum, decay)
        self._penalised = settings.alpha > 0 and settings.solver != "adamw"
        self._squares = np.empty(-(-network.parameters.size // network.kernels.solvers.BLOCK))
        self.stopped = None
        self._best_parameters = None
        self._best_loss = math.inf if self.progress.updates == 0 else self.progress.best_loss  # of this run

    def epoch(self):
        """One pass over the data."""
        n = len(self.series)
        batches = [(number, rows) for number, rows in enumerate(self._draw_batches()) if self._counts[rows].any()]
        self._loss_sum, self._weight_sum = 0.0, 0.0
        steps = max(int(self.series.lengths[rows].sum()) for _, rows in batches)
        with self.network.team(max(len(rows) for _, rows in batches), steps, self.n_jobs) as team:
            team.run(lambda part: self._train(part, team.wait, batches))
        self.progress.samples += n
        self.progress.loss_curve.append(self._loss_sum / self._weight_sum)
        self.progress.epochs += 1

    def _draw_batches(self):
        """The series of every batch of an epoch."""
        n, size = len(self.series), self.settings.batch_size
        order = np.arange(n)
        if not self.settings.shuffle:
            return [order[first : first + size] for first in range(0, n, size)]
        rng = np.random.default_rng([self.seed, self.progress.epochs])
        rng.shuffle(order)
        pool = size * min(LARGEST_POOL, self._batches // 2)
        if self.series.equal or pool <= size:
            return [order[first : first + size] for first in range(0, n, size)]
        # Design: series of like lengths in a batch fill the tiles of their last steps, too; with no padding anyway,
        # that gains up to a tenth of an epoch where few series are much longer, nothing where lengths spread evenly.
        # They are drawn from pools of a few batches, not from all series: so who is with whom still changes from epoch
        # to epoch.
        batches = []
        for first in range(0, n, pool):
            drawn = order[first : first + pool]
            drawn = drawn[np.argsort(-self.series.lengths[drawn], kind="stable")]
            batches += [drawn[begin : begin + size] for begin in range(0, len(drawn), size)]
        rng.shuffle(batches)
        return batches

    @np.errstate(over="ignore", invalid="ignore")  # what overflows is reported in words that help
    def _train(self, part, wait, batches):
        """A team member's part in an epoch: all members go from minibatch to minibatch together."""
        network, progress = self.network, self.progress
        parameters = network.parameters
        blocks, mine = part.share(len(self._squares)), part.share(parameters.size, 16)
        for number, rows in batches:
            if part.rank == 0:
                self._begin(rows, part.size)
            wait()
            network.differentiate(
                part, wait, self.series.values, self._at, self._batch_targets, self._shares, self.settings.loss
            )
            if self._penalised:
                if part.rank == 0:
                    self._penalise()
                wait()
            network.kernels.solvers.square_sums(*blocks, network.gradient, self._squares)
            wait()
            if part.rank == 0:
                self._judge_minibatch(number)
            wait()
            kernels = network.kernels.solvers
            self._update(
                kernels, *mine, parameters, network.gradient, progress.moments, progress.rate, self._scale,
                progress.updates, self._options,
            )  # fmt: skip

    def _set_rate(self, part_of_epoch):
        if self.settings.learning_rate == "cosine":  # Loshchilov & Hutter (2017), equation 5, without restarts
            done = min(1.0, (self.progress.epochs - self._first_epoch + part_of_epoch) / self.settings.max_iter)
            self.progress.rate = self.settings.learning_rate_init * 0.5 * (1 + math.cos(math.pi * done))

    def _begin(self, rows, size):
        rows, starts = self.series.pack(rows)
        places = self.series.step_rows(rows, starts) if self.network.per_step else rows
        self._at, self._batch_targets, weights = self.series.at[rows], self.targets[places], self.weights[places]
        self._total = float(np.add.reduce(weights, axis=None)) / weights.shape[1]
        self._shares = (weights / self._total).astype(self.network.parameters.dtype)
        self._extra_loss = 0.0
        self.network.begin(starts, size)

    def _penalise(self):
        """Add the penalty's part to the gradient and the loss."""
        parameters = self.network.parameters
        pull = self._options.decay * parameters
        self._extra_loss = 0.5 * float(np.sum(pull * parameters))
        self.network.gradient += pull / self._total

    def _judge_minibatch(self, number):
        """Note the loss, and set what the update needs: the rate, and the factor by which clipping scales."""
        loss = float(np.add.reduce(self.network.values)) * self._total + self._extra_loss
        norm = math.sqrt(np.add.reduce(self._squares))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            place = f"epoch {self.progress.epochs + 1}, batch {number + 1} of {self._batches}"
            raise FloatingPointError(
                f"Training diverged in {place}: the loss is {loss / self._total:g} and the norm of its gradient "
                f"{norm:g}. {self._advice()}"
            )
        clip = self.settings.clip_norm
        self._scale = clip / norm if clip is not None and norm > clip else 1.0
        self._loss_sum, self._weight_sum = self._loss_sum + loss, self._weight_sum + self._total
        self.progress.updates += 1
        self._set_rate(number / self._batches)

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
        # one memory for all epochs: with many parameters, fresh memory costs as much as a minibatch
        parameters, moments = np.empty_like(self.network.parameters), np.empty_like(self.progress.moments)
        for _ in range(self.settings.max_iter):
            parameters[:], moments[:] = self.network.parameters, self.progress.moments
            before = self.progress.copy(moments)
            try:
                self.epoch()
                self._check_epoch()
                self._judge()
            except BaseException:
                self.network.parameters[:], self.progress = parameters, before
                raise
            yield self.progress
            if self.stopped:
                break
        if self.settings.early_stopping:
            self.network.parameters[:] = self._best_parameters

    def _check_epoch(self):
        """Raise unless the weights are finite and, where there are data held out, their score; note that."""
        if not np.isfinite(self.network.parameters).all():
            raise FloatingPointError(
                f"Training diverged at the end of epoch {self.progress.epochs}, batch {self._batches} of "
                f"{self._batches}: its update left weights that are not finite. {self._advice()}"
            )
        if self.validate is None:
            return
        score, loss = self.validate()
        if not (math.isfinite(score) and math.isfinite(loss)):
            raise FloatingPointError(
                f"After epoch {self.progress.epochs} the validation data have a score of {score:g} and a loss of "
                f"{loss:g}: are their targets on the scale of the training targets?"
            )
        self.progress.validation_scores.append(score)
        self.progress.validation_loss_curve.append(loss)

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
