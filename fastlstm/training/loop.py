"""The loop over epochs and minibatches."""

import math
from collections.abc import Callable

import numpy as np

from fastlstm.phases import Alone
from fastlstm.training import batches, minibatch
from fastlstm.training.model import check_channels
from fastlstm.training.progress import Progress
from fastlstm.training.restoring import restored
from fastlstm.training.solvers import SOLVERS, Options

SMALLEST_RATE = 1e-6  # "adaptive" stops below it


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
    keep : callable or None
        ``keep(training, over)`` after every epoch, to write the training down; `over`: it was the last.
    n_jobs : int or None
        Threads to use at the most; the results do not depend on them.
    """

    def __init__(
        self,
        network,
        settings,
        series,
        *,
        targets,
        weights,
        seed,
        validate: Callable | None = None,
        progress=None,
        keep: Callable | None = None,
        n_jobs=None,
    ):
        check_channels(series, network.stack.input_size)
        self.network, self.settings, self.seed, self.validate = network, settings, seed, validate
        self.series, self.targets, self.weights, self.n_jobs = series, targets, weights, n_jobs
        self._weighed = weights.any(axis=1)
        self._all_weighed = bool(self._weighed.all())
        self._counts = np.logical_or.reduceat(self._weighed, series.step_at) if network.per_step else self._weighed
        # Design: a minibatch is divided by what as many rows weigh on average. Divided by its own weight, a heavy row
        # would count for little more than a light one, having mostly its own weight below the line.
        self._mean_weight = float(np.add.reduce(weights, axis=None)) / weights.shape[1] / np.sum(self._weighed)
        self._update, moments = SOLVERS[settings.solver]
        self.progress = progress or Progress(
            settings.solver,
            np.zeros((moments, network.parameters.size), network.parameters.dtype),
            settings.learning_rate_init,
        )
        self.n_batches = math.ceil(len(series) / settings.batch_size)
        decay = settings.alpha * network.is_matrix if settings.alpha else 0.0
        self._options = Options(settings.momentum, settings.nesterovs_momentum, decay)
        self.penalised = settings.alpha > 0 and settings.solver != "adamw"
        self._squares = np.empty(-(-network.parameters.size // network.kernels.solvers.BLOCK))
        self._keep, self._kept_phases = keep, None
        self.progress.begin()

    def epoch(self):
        """One pass over the data."""
        settings = self.settings
        drawn = batches.draw(
            self.series, settings.batch_size, self.seed if settings.shuffle else None, self.progress.epochs
        )
        if settings.bptt_steps is not None:
            drawn = [batches.longest_first(self.series, rows) for rows in drawn]
        drawn = [(number, rows) for number, rows in enumerate(drawn) if self._counts[rows].any()]
        self._loss_sum, self._weight_sum, self._norms = 0.0, 0.0, []
        longest = np.minimum(self.series.lengths, settings.bptt_steps or self.series.lengths)
        steps = max(int(longest[rows].sum()) for _, rows in drawn)
        with (
            self.network.team(max(len(rows) for _, rows in drawn), steps, self.n_jobs) as team,
            np.errstate(over="ignore", invalid="ignore"),  # what overflows is reported in words that help
        ):
            team.run(lambda: self._phases(drawn, team.size))
        self.progress.samples += len(self.series)
        self.progress.loss_curve.append(self._loss_sum / self._weight_sum)
        self.progress.grad_norm_curve.append(math.fsum(self._norms) / len(self._norms))
        self.progress.epochs += 1

    def _phases(self, drawn, size):
        """Those of an epoch: all members of the team of `size` go from minibatch to minibatch together."""
        for number, rows in drawn:
            for piece in range(batches.n_pieces(self.series, rows, self.settings.bptt_steps)):
                yield Alone(self.lay_out, number, rows, piece, size)
                yield from self._kept_phases or minibatch.learn(self)

    def _set_rate(self, part_of_epoch):
        if self.settings.learning_rate == "cosine":  # Loshchilov & Hutter (2017), equation 5, without restarts
            done = min(1.0, (self.progress.epochs - self.progress.first_epoch + part_of_epoch) / self.settings.max_iter)
            self.progress.rate = self.settings.learning_rate_init * 0.5 * (1 + math.cos(math.pi * done))

    def lay_out(self, number, rows, piece, size):
        """Make a piece of a batch the `minibatch`, with room for a team of `size`."""
        network, steps = self.network, self.settings.bptt_steps
        if steps is not None and piece == 0:
            network.carry(len(rows))
        rows, starts, at, places = batches.piece(self.series, rows, piece, steps, network.per_step)
        weights, expected, shares = self.weights[places], 1.0, None
        weight = float(np.add.reduce(weights, axis=None)) / weights.shape[1]
        if weight:
            n_weighed = len(places) if self._all_weighed else np.count_nonzero(self._weighed[places])
            expected = self._mean_weight * n_weighed
            shares = (weights / expected).astype(network.parameters.dtype)
        self.minibatch = minibatch.Minibatch(
            starts, self.series.values, at, self.targets[places], shares, self.settings.loss,
            (self.seed, self.progress.epochs, rows), number, weight, expected,
        )  # fmt: skip
        same = network.lay_out(self.minibatch, size, recording=shares is not None)
        # Design: runs of several segments come and go among the phases, but those of a batch in one segment are the
        # same until its layout changes; making them takes a few microseconds, which small minibatches would notice.
        if not (same and self._kept_phases):
            self._kept_phases = list(minibatch.learn(self)) if network.is_whole else None

    def penalise(self):
        """Add the penalty's part to the gradient and the loss."""
        batch, parameters = self.minibatch, self.network.parameters
        pull = self._options.decay * parameters
        batch.penalty = 0.5 * float(np.sum(pull * parameters))
        self.network.gradient += pull / batch.expected

    def sum_squares(self, part):
        """Of the gradient, for its norm."""
        blocks = part.share(len(self._squares))
        self.network.kernels.solvers.square_sums(*blocks, self.network.gradient, self._squares)

    def judge_minibatch(self):
        """Note the loss, and set what the update needs: the rate, and the factor by which clipping scales."""
        batch = self.minibatch
        loss = float(np.add.reduce(self.network.values)) * batch.expected + batch.penalty
        norm = math.sqrt(np.add.reduce(self._squares))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            place = f"epoch {self.progress.epochs + 1}, batch {batch.number + 1} of {self.n_batches}"
            raise FloatingPointError(
                f"Training diverged in {place}: the loss is {loss / batch.weight:g} and the norm of its gradient "
                f"{norm:g}. {self._advice()}"
            )
        clip = self.settings.clip_norm
        batch.scale = clip / norm if clip is not None and norm > clip else 1.0
        self._loss_sum, self._weight_sum = self._loss_sum + loss, self._weight_sum + batch.weight
        self._norms.append(norm)
        self.progress.updates += 1
        self._set_rate(batch.number / self.n_batches)

    def update(self, part):
        """The parameters, by the solver."""
        network, progress = self.network, self.progress
        mine = part.share(network.parameters.size, 16)
        self._update(
            network.kernels.solvers, *mine, network.parameters, network.gradient, progress.moments, progress.rate,
            self.minibatch.scale, progress.updates, self._options,
        )  # fmt: skip

    def _advice(self):
        return (
            f"Try a smaller learning_rate_init (now {self.settings.learning_rate_init:g}), a smaller clip_norm "
            f"(now {self.settings.clip_norm}), inputs and targets scaled to about unit variance, or dtype='float64'."
        )

    @property
    def over(self):
        """Whether no epoch follows."""
        progress = self.progress
        return progress.stopped is not None or progress.epochs - progress.first_epoch >= self.settings.max_iter

    @property
    def updates_per_epoch(self):
        """The largest number of updates in an epoch."""
        steps = self.settings.bptt_steps
        return self.n_batches * (1 if steps is None else math.ceil(int(self.series.lengths.max()) / steps))

    def state(self):
        """All that training goes on from, as a record of what JSON can hold, and arrays."""
        record, arrays = self.progress.divided()
        return record, {**arrays, "parameters": self.network.parameters}

    def restore(self, record, arrays):
        """Go on from what `state` gave; ForgedError, and nothing changed, unless this training could have given it."""
        self.network.parameters[:], self.progress = restored(self, record, arrays)
        if self.progress.stopped == "callback":  # which need not be there any more
            self.progress.stopped = None

    def run(self):
        """Train until a rule stops it, or somebody who sets `stopped` after an epoch; yields after every epoch.

        Left early by an exception, `network` and `progress` stand as after the last whole epoch.
        """
        # one memory for all epochs: with many parameters, fresh memory costs as much as a minibatch
        parameters, moments = np.empty_like(self.network.parameters), np.empty_like(self.progress.moments)
        while not self.over:
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
            if self._keep:  # now that whoever watches has said whether to go on
                self._keep(self, self.over)
        if self.settings.early_stopping:
            self.network.parameters[:] = self.progress.best_parameters
        self.progress.best_parameters = None

    def leave(self):
        """Leave a run that was interrupted: with what its last whole epoch has come to."""
        if self._keep:
            self._keep(self, True)
        if self.settings.early_stopping and self.progress.best_parameters is not None:
            self.network.parameters[:] = self.progress.best_parameters

    def _check_epoch(self):
        """Raise unless the weights are finite and, where there are data held out, their score; note that."""
        if not np.isfinite(self.network.parameters).all():
            raise FloatingPointError(
                f"Training diverged at the end of epoch {self.progress.epochs}, batch {self.n_batches} of "
                f"{self.n_batches}: its update left weights that are not finite. {self._advice()}"
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
        improved = loss <= progress.best_loss_of_run - settings.tol
        progress.best_loss_of_run = min(progress.best_loss_of_run, loss)
        if self.validate is not None:
            score, best = progress.validation_scores[-1], progress.best_validation_score
            if settings.early_stopping:
                improved = score >= best + settings.tol
            if score > best:
                progress.best_validation_score = score
                if settings.early_stopping:
                    progress.best_parameters = self.network.parameters.copy()
        progress.best_loss = min(progress.best_loss, loss)
        progress.no_improvement = 0 if improved else progress.no_improvement + 1
        if progress.no_improvement <= settings.n_iter_no_change:
            return
        if settings.learning_rate == "cosine" and not settings.early_stopping:
            return  # the loss falls again with the rate
        if settings.learning_rate == "adaptive" and progress.rate > SMALLEST_RATE:
            progress.rate /= 5
            progress.no_improvement = 0
        else:
            progress.stopped = "validation score" if settings.early_stopping else "training loss"
