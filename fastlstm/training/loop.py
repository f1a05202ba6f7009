"""The training loop over epochs and minibatches."""

import math
from collections.abc import Callable

import numpy as np

from fastlstm.phases import Alone
from fastlstm.training import batches, minibatch
from fastlstm.training.checkpoint_validation import validated_state
from fastlstm.training.inference import check_channels
from fastlstm.training.progress import Progress
from fastlstm.training.solvers import SOLVERS, Options

MIN_RATE = 1e-6  # learning rate below which "adaptive" stops


class Training:
    """Training of a `Network` on examples, epoch by epoch.

    Parameters
    ----------
    network : Network
    settings : Settings
    examples : Examples
    seed : int
        Seed of the shuffling. The order of an epoch depends only on the seed and the number of the epoch.
    validate : callable or None
        ``validate() -> (score, loss)`` of the network on validation data.
    progress : Progress or None
        Progress of an earlier training to continue.
    save : callable or None
        ``save(training, finished)``, called after every epoch to write a checkpoint; `finished` is True for the last.
    n_jobs : int or None
        Maximum number of threads. Results do not depend on it.
    """

    def __init__(
        self,
        network,
        settings,
        examples,
        *,
        seed,
        validate: Callable | None = None,
        progress=None,
        save: Callable | None = None,
        n_jobs=None,
    ):
        check_channels(examples, network.embedding.channels if network.embedding else network.stack.input_size)
        self.network, self.settings, self.seed, self.validate = network, settings, seed, validate
        self.examples, self.n_jobs = examples, n_jobs
        self._update, moments = SOLVERS[settings.solver]
        self.progress = progress or Progress(
            settings.solver,
            np.zeros((moments, network.parameters.size), network.parameters.dtype),
            settings.learning_rate_init,
        )
        self.n_batches = math.ceil(len(examples) / settings.batch_size)
        decay = settings.alpha * network.is_matrix if settings.alpha else 0.0
        self._options = Options(settings.momentum, settings.nesterovs_momentum, decay)
        self.has_penalty = settings.alpha > 0 and settings.solver != "adamw"
        self._squares = np.empty(-(-network.parameters.size // network.kernels.solvers.BLOCK))
        self._save, self._cached_phases = save, None
        self.progress.begin()

    def epoch(self):
        """One pass over the data."""
        key = (self.seed, self.progress.epochs) if self.settings.shuffle else None
        drawn, rows, steps = self._draw(key)
        self._loss_sum, self._weight_sum, self._norms = 0.0, 0.0, []
        with (
            self.examples.reading(drawn, self.settings.bptt_steps),
            self.network.team(rows, steps, self.n_jobs) as team,
            np.errstate(over="ignore", invalid="ignore"),  # overflow is reported by `prepare_update`
        ):
            team.run(lambda: self._phases(drawn, team.size))
        self.progress.samples += len(self.examples)
        self.progress.loss_curve.append(self._loss_sum / self._weight_sum)
        self.progress.grad_norm_curve.append(math.fsum(self._norms) / len(self._norms))
        self.progress.rate_curve.append(float(self.progress.rate))
        self.progress.epochs += 1

    def _draw(self, key):
        """What an epoch goes through, and the most series and steps of its batches."""
        steps = self.settings.bptt_steps
        ends = batches.ends_of(len(self.examples), self.settings.batch_size)
        drawn = self.examples.batches(ends, key, steps)
        return drawn, max(len(rows) for _, rows in drawn), max(self.examples.steps_of(rows, steps) for _, rows in drawn)

    def _phases(self, drawn, size):
        """Phases of an epoch, for a team of `size` threads."""
        for number, rows in drawn:
            for chunk in range(self.examples.n_chunks(rows, self.settings.bptt_steps)):
                yield Alone(self.prepare_batch, self.examples, number, rows, chunk, size)
                yield from self._cached_phases or self._step()

    def _step(self):
        """Phases of a training step on `minibatch`."""
        return minibatch.train_step(self)

    def _set_rate(self, fraction):
        if self.settings.learning_rate == "cosine":  # Loshchilov & Hutter (2017), equation 5, without restarts
            done = min(1.0, (self.progress.epochs - self.progress.first_epoch + fraction) / self.settings.max_iter)
            self.progress.rate = self.settings.learning_rate_init * 0.5 * (1 + math.cos(math.pi * done))

    def prepare_batch(self, examples, number, rows, chunk, size, before=0):
        """Make `minibatch` a chunk of the batch `rows`, and allocate buffers for a team of `size` threads.

        before: number of the first of the examples among all of a training.
        """
        network, steps = self.network, self.settings.bptt_steps
        if steps is not None and chunk == 0:
            network.start_chunks(len(rows))
        drawn = examples.batch(rows, chunk, steps, network.parameters.dtype)
        rows = drawn.rows + before if before else drawn.rows
        self.minibatch = minibatch.Minibatch(
            drawn.starts, drawn.x, drawn.at, drawn.targets, drawn.sample_weight, self.settings.loss,
            (self.seed, self.progress.epochs, rows), number, drawn.total_weight, drawn.expected_weight,
            decoder=drawn.decoder,
        )  # fmt: skip
        same = network.prepare_batch(self.minibatch, size, recording=drawn.sample_weight is not None)
        # Design: the phases of a single-segment batch do not change until its layout does, so they are cached: making
        # them takes a few microseconds, which is noticeable for small minibatches. With several segments, runs are made
        # and dropped from phase to phase.
        if not (same and self._cached_phases):
            self._cached_phases = list(self._step()) if network.is_whole else None

    def add_penalty(self):
        """Add the L2 penalty to the loss and the gradient."""
        batch, parameters = self.minibatch, self.network.parameters
        decay = self._options.decay * parameters
        batch.penalty = 0.5 * float(np.sum(decay * parameters))
        self.network.gradient += decay / np.float64(batch.expected_weight)  # divided in float64

    def sum_squares(self, part):
        """Sums of squares of the gradient, for its norm."""
        blocks = part.share(len(self._squares))
        self.network.kernels.solvers.square_sums(*blocks, self.network.gradient, self._squares)

    def prepare_update(self):
        """Record the loss, and set the learning rate and the factor that clips the gradient."""
        batch = self.minibatch
        loss = self._batch_loss() + batch.penalty
        norm = math.sqrt(np.add.reduce(self._squares))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            place = f"epoch {self.progress.epochs + 1}, batch {batch.number + 1} of {self.n_batches}"
            raise FloatingPointError(
                f"Training diverged in {place}: the loss is {loss / batch.total_weight:g} and the gradient norm "
                f"{norm:g}. {self._advice()}"
            )
        clip = self.settings.clip_norm
        batch.scale = clip / norm if clip is not None and norm > clip else 1.0
        self._loss_sum, self._weight_sum = self._loss_sum + loss, self._weight_sum + batch.total_weight
        self._norms.append(norm)
        self.progress.updates += 1
        self._set_rate(batch.number / self.n_batches)

    def _batch_loss(self):
        """Sum of the weighted losses of `minibatch`."""
        return float(np.add.reduce(self.network.values)) * self.minibatch.expected_weight

    def update(self, part):
        """Update this part's parameters by the solver."""
        network, progress = self.network, self.progress
        mine = part.share(network.parameters.size, 16)
        self._update(
            network.kernels.solvers, *mine, network.parameters, network.gradient, progress.moments, progress.rate,
            self.minibatch.scale, progress.updates, self._options,
        )  # fmt: skip

    def _advice(self):
        return (
            f"Try a smaller learning_rate_init (now {self.settings.learning_rate_init:g}), a smaller clip_norm "
            f"(now {self.settings.clip_norm}), inputs and targets scaled to about unit variance, or dtype='float64' "
            "and precision='float32'."
        )

    @property
    def finished(self):
        """Whether the last epoch is done."""
        progress = self.progress
        return progress.stopped is not None or progress.epochs - progress.first_epoch >= self.settings.max_iter

    @property
    def updates_per_epoch(self):
        """Maximum number of updates in an epoch."""
        steps = self.settings.bptt_steps
        return self.n_batches * (1 if steps is None else math.ceil(self.examples.longest / steps))

    def state(self):
        """The state of the training, as a dict that JSON can hold and a dict of arrays."""
        record, arrays = self.progress.to_record()
        return record, {**arrays, "parameters": self.network.parameters}

    def restore(self, record, arrays):
        """Restore what `state` returned.

        Raises InvalidCheckpointError, and changes nothing, unless this training could have returned it.
        """
        self.network.parameters[:], self.progress = validated_state(self, record, arrays)
        if self.progress.stopped == "callback":  # the callback may not be set any more
            self.progress.stopped = None

    def run(self, undo=True):
        """Train until a stopping criterion is met, or the caller sets `stopped`; yields after every epoch.

        After an exception, `network` and `progress` are as they were at the end of the last complete epoch; without
        `undo`, for a caller that then discards the training, only the counts and curves of `progress` are.
        """
        # allocated once: with many parameters, fresh memory costs as much as a minibatch
        parameters, moments = self.network.parameters, self.progress.moments
        if undo:
            parameters, moments = np.empty_like(parameters), np.empty_like(moments)
        while not self.finished:
            if undo:
                parameters[:], moments[:] = self.network.parameters, self.progress.moments
            before = self.progress.copy(moments)
            try:
                self.epoch()
                self._validate_epoch()
                self._check_stopping()
            except BaseException:
                self.network.parameters[:], self.progress = parameters, before
                raise
            yield self.progress
            self._agree()
            if self._save:  # after the caller has decided whether to stop
                self._save(self, self.finished)
        if self.settings.early_stopping:
            self.network.parameters[:] = self.progress.best_parameters
        self.progress.best_parameters = None

    def _agree(self):
        """Agree with other processes, if there are any, on whether the caller has stopped the training."""

    def finish_interrupted(self):
        """End an interrupted run with the results of its last complete epoch."""
        try:
            if self._save:
                self._save(self, True)
        finally:
            if self.settings.early_stopping and self.progress.best_parameters is not None:
                self.network.parameters[:] = self.progress.best_parameters

    def _validate_epoch(self):
        """Raise unless the weights are finite and, with validation data, so are their score and loss; record these."""
        if not np.isfinite(self.network.parameters).all():
            raise FloatingPointError(
                f"Training diverged at the end of epoch {self.progress.epochs}, batch {self.n_batches} of "
                f"{self.n_batches}: its update produced non-finite weights. {self._advice()}"
            )
        if self.validate is None:
            return
        score, loss = self.validate()
        if not (math.isfinite(score) and math.isfinite(loss)):
            raise FloatingPointError(
                f"After epoch {self.progress.epochs}, the validation score is {score:g} and the validation loss is "
                f"{loss:g}: check that the validation targets are on the scale of the training targets."
            )
        self.progress.validation_scores.append(score)
        self.progress.validation_loss_curve.append(loss)

    def _check_stopping(self):
        """Track improvements and the best weights, and stop or lower the learning rate if there are no more."""
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
            return  # the loss decreases further as the rate decays
        if settings.learning_rate == "adaptive" and progress.rate > MIN_RATE:
            progress.rate /= 5
            progress.no_improvement = 0
        else:
            progress.stopped = "validation score" if settings.early_stopping else "training loss"
