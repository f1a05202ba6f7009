"""Training on Dask's workers, as the client sees it: chunks, partitions and rounds."""

import time
import uuid
from dataclasses import dataclass
from typing import Any

import numpy as np
from distributed import CancelledError, KilledWorker, MultiLock, default_client, wait

from fastlstm.distributed import chunks, dask_worker
from fastlstm.distributed.dask_inputs import chunk_futures
from fastlstm.distributed.dask_worker import PeerError
from fastlstm.distributed.kinds import kind_of
from fastlstm.distributed.together import quiet
from fastlstm.estimators import fitting
from fastlstm.estimators.atomic import AtomicUpdate
from fastlstm.training.loop import Training

ROUND_SECONDS = 10.0  # of the epochs after which nothing of them can be lost any more
POLL_SECONDS = 0.5  # how often to see whether workers are there
#: Errors of which another attempt may not suffer.
OF_WORKERS = PeerError, CancelledError, KilledWorker


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

    def prepare(self, share, data, n_parts):
        """The estimator and its training in one process."""
        update = AtomicUpdate(self.estimator)
        parts = list(data[:n_parts])
        held_out = list(data[n_parts:]) or None
        given = self.seed, self.continued, self.partial
        return update, kind_of(update.copy).prepare(update.copy, parts, held_out, *given, None, share)

    def prepared(self, update, training):
        """What the client must know of a training before its first epoch."""
        examples = training.examples
        facts = Facts(len(examples), examples.n_steps, examples.longest, examples.targets, examples.weights)
        state = dask_worker.copied(training.network.parameters, training.progress)
        return update.changes(), facts, state, training.validate is not None


@dataclass(frozen=True)
class Facts:
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

    def __init__(self, network, settings, facts, progress, go_on, validated, save):
        self.network, self.settings, self.examples, self.progress = network, settings, facts, progress
        self.validate, self._go_on, self._save = validated or None, go_on, save
        self.n_batches = -(-len(facts) // settings.batch_size)

    def run(self):
        while not self.finished:
            self.network.parameters[:], self.progress = self._go_on(self.network.parameters, self.progress)
            yield self.progress
            if self._save:
                self._save(self, self.finished)
        if self.settings.early_stopping:
            self.network.parameters[:] = self.progress.best_parameters
        self.progress.best_parameters = None


class Rounds:
    """Rounds of tasks, one on each worker, each done again by those that are there if a worker fails."""

    def __init__(self, client, retries, timeout):
        self.client, self.retries, self.timeout = client, retries, timeout
        self._shunned = set()  # workers that did not answer

    def run(self, job, state, seconds, parts, held_out, name):
        """Some epochs of a training; what the first of the tasks returns."""

        def task(group, rank, size):
            mine = slice(job.n_partitions * rank // size, job.n_partitions * (rank + 1) // size)
            data = *parts[mine], *(held_out[mine] if held_out else ())
            return dask_worker.run_round, job, group, rank, state, seconds, len(parts[mine]), *data

        return self.of_tasks(task, job.n_partitions, name)

    def of_tasks(self, task, most, name):
        """Run tasks on at most so many workers, ``task(group, rank, size)`` their function and arguments."""
        for attempt in range(self.retries + 1):
            try:
                return self._once(task, most, name)
            except OF_WORKERS as error:
                if attempt == self.retries:
                    raise RuntimeError(
                        f"{name} failed {attempt + 1} times, the last time because {_described(error)}. See the logs "
                        "of the workers; retries sets how often to try again, and timeout how long to wait."
                    ) from error

    def workers(self, most):
        """Addresses of at most so many workers that answer."""
        deadline = time.monotonic() + self.timeout
        while True:
            there = sorted(_seen(self.client))
            answering = [address for address in there if address not in self._shunned] or there
            if answering:
                return answering[:most]
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"The cluster has had no worker for {self.timeout:g} s: start workers, for example with "
                    "cluster.scale(2)."
                )
            time.sleep(POLL_SECONDS)

    def _once(self, task, most, name):
        addresses, group = self.workers(most), uuid.uuid4().hex
        size, futures, client = len(addresses), [], self.client
        lock = MultiLock([f"fastlstm-{address}" for address in addresses], client=client)
        if not lock.acquire(timeout=self.timeout):
            raise RuntimeError(f"Another fit has had the workers {', '.join(addresses)} for {self.timeout:g} s.")
        try:
            for rank, address in enumerate(addresses):
                key = f"{name} rank {rank}-{group[:8]}"
                pinned = {"workers": [address], "allow_other_workers": False, "pure": False, "retries": 0, "key": key}
                futures.append(client.submit(*task((group, addresses), rank, size), **pinned))
            self._wait(futures, addresses)
            return futures[0].result()
        except BaseException:
            client.cancel(futures, force=True)
            there = [address for address in addresses if address in _seen(client)]
            _on_workers(client, dask_worker.leave, group, there)
            raise
        finally:
            lock.release()

    def _wait(self, futures, addresses):
        """Wait for tasks; raise the first error of any, or if a worker is lost.

        A task that is pinned to a worker that is lost would never end.
        """
        watch = _Watch(self.client, addresses, self.timeout)
        running = set(futures)
        while running:
            done, running = _some(running, POLL_SECONDS)
            failed = [future for future in done if future.status != "finished"]
            if failed:
                done, _ = _some(running, 1.0)  # the cause may be the error of another
                errors = [_error_of(future) for future in [*failed, *done] if future.status != "finished"]
                raise next((error for error in errors if not isinstance(error, OF_WORKERS)), errors[0])
            try:
                watch.look()
            except PeerError:
                self._shunned |= watch.silent
                raise


class _Watch:
    """Whether workers are there, and have been heard of by the scheduler."""

    def __init__(self, client, addresses, timeout):
        self._client, self._addresses, self._timeout = client, addresses, timeout
        self._heard, self.silent = {}, set()

    def look(self):
        """Raise PeerError if one of the addresses is lost, or any worker is silent."""
        there, now = _seen(self._client), time.monotonic()
        lost = [address for address in self._addresses if address not in there]
        if lost:
            raise PeerError(f"{', '.join(lost)} is lost")
        for address in self._addresses or there:
            seen, since = self._heard.get(address, (None, now))
            self._heard[address] = there[address], since if seen == there[address] else now
            if now - self._heard[address][1] > self._timeout:
                self.silent.add(address)
        if self.silent:
            raise PeerError(f"{', '.join(sorted(self.silent))} was not heard of for {self._timeout:g} s")


def _seen(client):
    """When the scheduler last heard of each worker."""
    return {address: of["last_seen"] for address, of in client.scheduler_info(n_workers=-1)["workers"].items()}


def _some(futures, seconds):
    """Futures that are done after at most some seconds, and the others."""
    if not futures:
        return set(), set()
    try:
        done, running = wait(futures, timeout=seconds, return_when="FIRST_COMPLETED")
    except TimeoutError:
        return set(), set(futures)
    return done, running


def _error_of(future):
    if future.status == "cancelled":
        return CancelledError(future.key)
    return future.exception()


def _described(error):
    if isinstance(error, KilledWorker):
        return "workers ended while they ran it"
    return "its data were lost with a worker" if isinstance(error, CancelledError) else str(error)


def _on_workers(client, function, argument, addresses=None):
    """Call a function on workers, some of which may be lost."""
    if addresses != []:
        client.run(function, argument, workers=addresses, on_error="ignore")


def client_of(client):
    """A client that is connected."""
    try:
        client = client or default_client()
    except ValueError:
        raise ValueError(
            "There is no Dask client: create one, for example distributed.Client(), or pass engine=Dask(client)."
        ) from None
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
    client.register_plugin(dask_worker.Connections())
    members = chunk_futures(client, given)

    def task(group, rank, size):
        return dask_worker.run_together, function, given.without_data, group, rank, options.timeout, *members

    return Rounds(client, options.retries, options.timeout).of_tasks(task, options.n_partitions, "fastlstm fit")


def train(client, estimator, given, validation, options):
    """Train an estimator on the workers of a client."""
    client, partial = client_of(client), options.partial
    client.register_plugin(dask_worker.Connections())
    rounds, key = Rounds(client, options.retries, options.timeout), uuid.uuid4().hex
    continued = hasattr(estimator, "weights_") and (partial or getattr(estimator, "warm_start", False))

    def prepared(copy):
        kind = kind_of(copy)
        kind.begin(copy, continued)
        seed, checkpoints = fitting.seed_of(copy)
        reader = quiet(copy)
        plan = _Plan(client, rounds, reader)
        read = plan.read(given, not continued, options.of_reading)
        facts = plan.facts(read)
        attributes = kind.merge(facts)
        vars(copy).update(attributes)
        vars(reader).update(attributes)
        n = min(options.n_partitions, sum(of.n for of in facts))
        parts, held_out = plan.partitions(read, facts, n, attributes), None
        if not validation.is_nothing:
            read = plan.read(validation, False, {"suffix": "_val"})
            held_out = plan.partitions(read, plan.facts(read), n, {})
        job = Job(key, reader, seed, continued, partial, n, options.timeout)
        every = copy.verbose or checkpoints or hasattr(estimator, "_skl_callbacks")
        changes, known, state, validated = rounds.run(job, None, 0, parts, held_out, "fastlstm set-up")
        vars(copy).update(changes)

        def go_on(parameters, progress):
            name = f"fastlstm epoch {progress.epochs + 1}"
            return rounds.run(job, (parameters, progress), 0 if every else ROUND_SECONDS, parts, held_out, name)

        if checkpoints:
            checkpoints.describe(copy, seed, data=plan.fingerprint(parts + (held_out or [])), n_partitions=n)
        training = RemoteTraining(
            RemoteNetwork(copy._model.weights, state[0]), fitting.settings_of(copy, copy._model.loss), known, state[1],
            go_on, validated, checkpoints and checkpoints.save,
        )  # fmt: skip
        return training, checkpoints

    try:
        if partial:
            return fitting.train_once(estimator, prepared)
        return fitting.train(estimator, given[:3], prepared)
    finally:
        if client.status == "running":
            _on_workers(client, dask_worker.forget, key)


class _Plan:
    """The tasks that read chunks and make partitions."""

    def __init__(self, client, rounds, estimator):
        self._client, self._rounds, self._estimator = client, rounds, estimator

    def read(self, given, reset, options):
        """The futures of chunks."""
        how = self._estimator, reset, given.without_data, options
        members = chunk_futures(self._client, given, options.get("suffix", ""))
        return [self._submit(dask_worker.read, number, *how, member) for number, member in enumerate(members)]

    def survey(self, function, given):
        """What a function finds in each chunk."""
        members = chunk_futures(self._client, given)
        how = function, given.without_data
        return self._results([self._submit(dask_worker.survey, n, *how, member) for n, member in enumerate(members)])

    def facts(self, read):
        """The facts of chunks; what they are of stays where it is."""
        return self._results([self._submit(dask_worker.facts, chunk) for chunk in read])

    def partitions(self, read, facts, n, attributes):
        """The futures of n partitions."""
        out = []
        for pieces in chunks.pieces([of.n for of in facts], n):
            needed = [read[chunk] for chunk, *_ in pieces]
            out.append(self._submit(dask_worker.assemble, self._estimator, pieces, attributes, *needed))
        return out

    def fingerprint(self, parts):
        return " ".join(self._results([self._submit(dask_worker.digest, self._estimator, part) for part in parts]))

    def _submit(self, function, *args):
        return self._client.submit(function, *args, pure=False)

    def _results(self, futures):
        """Results of tasks that are not pinned, so that Dask itself repeats those of lost workers."""
        watch, running = _Watch(self._client, [], self._rounds.timeout), set(futures)
        while running:
            done, running = _some(running, POLL_SECONDS)
            for future in done:
                if future.status != "finished":
                    raise _error_of(future)
            self._rounds.workers(1)  # raises if there have been none for too long
            watch.look()
        return self._client.gather(futures)
