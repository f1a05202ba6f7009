"""Training on Dask's workers, as the client sees it: chunks, partitions and rounds."""

import contextlib
import uuid
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
from distributed import Future, default_client

from fastlstm.distributed import chunks, dask_worker
from fastlstm.distributed.dask_inputs import chunk_futures
from fastlstm.distributed.dask_rounds import Rounds, submit, tell
from fastlstm.distributed.kinds import kind_of
from fastlstm.distributed.together import quiet
from fastlstm.estimators import fitting
from fastlstm.estimators.atomic import AtomicUpdate
from fastlstm.training.loop import Training

ROUND_SECONDS = 10.0  # of the epochs after which nothing of them can be lost any more


@dataclass(frozen=True)
class Job:
    """What all workers must know of a fit."""

    key: str
    estimator: Any
    seed: int
    continued: bool
    partial: bool
    n_partitions: int
    timeout: float
    has_checkpoints: bool

    def prepare(self, share, data, n_parts):
        """The estimator and its training in one process, and what identifies the training if there are checkpoints."""
        description = Description() if self.has_checkpoints and share.collective.rank == 0 else None
        update = AtomicUpdate(self.estimator)
        parts = list(data[:n_parts])
        held_out = list(data[n_parts:]) or None
        given = self.seed, self.continued, self.partial, description
        return update, kind_of(update.copy).prepare(update.copy, parts, held_out, *given, share), description

    def prepared(self, update, training, description):
        """What the client must know of a training before its first epoch."""
        examples = training.examples
        about = RemoteExamples(len(examples), examples.n_steps, examples.longest, examples.targets, examples.weights)
        state = dask_worker.copied(training.network.parameters, training.progress)
        return update.changes(), about, state, training.validate is not None, description


class Description:
    """What checkpoints are described by where the data are, for those of the client."""

    save = None

    def describe(self, estimator, seed, **given):
        self.given = given


@dataclass(frozen=True)
class RemoteExamples:
    """Of the examples on the workers, what the client needs; see `Partitions`."""

    n: int
    n_steps: int
    longest: int
    targets: np.ndarray
    weights: np.ndarray

    def __len__(self):
        return self.n


class RemoteNetwork:
    """The weights of a network on the workers."""

    def __init__(self, weights, parameters):
        self.parameters, self.weights, first = parameters, {}, 0
        for name, value in weights.items():
            self.weights[name] = parameters[first : first + value.size].reshape(value.shape)
            first += value.size


class RemoteTraining(Training):
    """A training whose epochs run on the workers; otherwise as a `Training`, for callbacks, checkpoints and reports.

    go_on : callable
        ``go_on(parameters, progress)`` runs some epochs, and returns the two as they are then.
    """

    def __init__(self, network, settings, examples, progress, go_on, validated, save):
        self.network, self.settings, self.examples, self.progress = network, settings, examples, progress
        self.validate, self._go_on, self._save = validated or None, go_on, save
        self.n_batches = -(-len(examples) // settings.batch_size)

    def run(self, undo=True):
        """As the method of the base class; an epoch that fails never arrives here."""
        while not self.finished:
            self.network.parameters[:], self.progress = self._go_on(self.network.parameters, self.progress)
            yield self.progress
            if self._save:
                self._save(self, self.finished)
        if self.settings.early_stopping:
            self.network.parameters[:] = self.progress.best_parameters
        self.progress.best_parameters = None


def client_of(client):
    """A client that is connected."""
    try:
        client = client or default_client()
    except ValueError:
        raise ValueError(
            "There is no Dask client: create one, for example distributed.Client(), or pass engine=Dask(client)."
        ) from None
    if not hasattr(client, "asynchronous") or not hasattr(client, "scheduler_info"):
        raise TypeError(f"engine=Dask({client!r}): expected a Dask client, such as distributed.Client({client!r}).")
    if client.asynchronous:
        raise ValueError("The Dask client is asynchronous: pass another, as engine=Dask(Client(address)).")
    if client.status != "running":
        raise ValueError(f"The Dask client is {client.status}: create another, and pass it as engine=Dask(client).")
    return client


def survey(client, function, given, options):
    """What a function finds in each chunk."""
    client = client_of(client)
    return _Plan(client, Rounds(client, options.retries, options.timeout), None).survey(function, given)


def together(client, function, given, options):
    """``function(collective, chunks)`` on each worker, with the chunks of all of them; the first result."""
    client = client_of(client)
    rounds = Rounds(client, options.retries, options.timeout)
    rounds.connect()
    members = chunk_futures(client, given)

    def task(group, rank, size):
        return dask_worker.run_together, function, given.without_data, group, rank, options.timeout, *members

    return rounds.run(task, options.n_partitions, "fastlstm fit", [of for of in members if isinstance(of, Future)])


def train(client, estimator, given, validation, options):
    """Train an estimator on the workers of a client."""
    client, partial = client_of(client), options.partial
    rounds, key = Rounds(client, options.retries, options.timeout), uuid.uuid4().hex
    rounds.connect()
    continued = options.continues(estimator)

    def prepared(copy):
        kind = kind_of(copy)
        kind.begin(copy, continued)
        seed, checkpoints = fitting.seed_of(copy)
        reader = quiet(copy)
        plan = _Plan(client, rounds, reader)
        stack.callback(plan.release)
        read = plan.read(given, not continued, options.of_reading)
        facts = plan.facts(read)
        attributes = kind.merge(facts)
        vars(copy).update(attributes)
        vars(reader).update(attributes)
        n = min(options.n_partitions, sum(of.n for of in facts))
        parts, held_out = plan.partitions(read, facts, n, attributes), None
        if not validation.is_nothing:
            read = plan.read(validation, False, {"suffix": "_val"})
            facts = plan.facts(read)
            if not any(of.n for of in facts):
                raise chunks.without_series("X_val")
            held_out = plan.partitions(read, facts, n, {})
        job = Job(key, reader, seed, continued, partial, n, options.timeout, checkpoints is not None)
        every = copy.verbose or checkpoints or hasattr(estimator, "_skl_callbacks")

        def run(name, state):
            def task(group, rank, size):
                mine = slice(n * rank // size, n * (rank + 1) // size)
                data = *parts[mine], *(held_out[mine] if held_out else ())
                given = state if rank == 0 else None, 0 if every else ROUND_SECONDS, len(parts[mine])
                return dask_worker.run_round, job, group, rank, *given, *data

            return rounds.run(task, n, name, [*parts, *(held_out or ())])

        def go_on(parameters, progress):
            return run(f"fastlstm epoch {progress.epochs + 1}", (parameters, progress))

        changes, known, state, validated, description = run("fastlstm set-up", None)
        vars(copy).update(changes)
        if checkpoints:
            checkpoints.describe(copy, seed, **description.given)
        training = RemoteTraining(
            RemoteNetwork(copy._model.weights, state[0]), fitting.settings_of(copy, copy._model.loss), known, state[1],
            go_on, validated, checkpoints and checkpoints.save,
        )  # fmt: skip
        return training, checkpoints

    with contextlib.ExitStack() as stack:
        stack.callback(tell, client, "fastlstm_forget", key=key)
        if partial:
            return fitting.train_once(estimator, prepared)
        return fitting.train(estimator, given[:3], prepared)


class _Plan:
    """The tasks that read chunks and make partitions."""

    def __init__(self, client, rounds, estimator):
        self._client, self._rounds, self._estimator = client, rounds, estimator
        self._futures = weakref.WeakSet()  # chunks are dropped when there are partitions

    def read(self, given, reset, options):
        """The futures of chunks."""
        how = self._estimator, reset, given.without_data, options
        members = chunk_futures(self._client, given, options.get("suffix", ""))
        return [self._submit(dask_worker.read, number, *how, member) for number, member in enumerate(members)]

    def survey(self, function, given):
        """What a function finds in each chunk."""
        members = chunk_futures(self._client, given)
        how = function, given.without_data
        return self._rounds.results(
            [self._submit(dask_worker.survey, n, *how, member) for n, member in enumerate(members)]
        )

    def facts(self, read):
        """The facts of chunks; what they are of stays where it is."""
        return self._rounds.results([self._submit(dask_worker.facts, chunk) for chunk in read])

    def partitions(self, read, facts, n, attributes):
        """The futures of n partitions."""
        out = []
        for pieces in chunks.pieces([of.n for of in facts], n):
            needed = [read[chunk] for chunk, *_ in pieces]
            out.append(self._submit(dask_worker.assemble, self._estimator, pieces, attributes, *needed))
        return out

    def _submit(self, function, *args):
        future = submit(self._client, function, *args)
        self._futures.add(future)
        return future

    def release(self):
        """Let the workers drop the data, even if an exception that is kept refers to futures."""
        for future in self._futures:
            future.release()
