"""What runs on Dask's workers: the collective over their own connections, and the rounds of a training.

Dask's peer-to-peer shuffle does the same: a plugin adds handlers to a worker, which others call by ``worker.rpc``.
"""

import asyncio
import pickle
import time
from collections import deque
from functools import partial

import numpy as np
from distributed import WorkerPlugin, get_worker
from distributed.protocol import to_serialize

from fastlstm.distributed.kinds import kind_of
from fastlstm.training.collective import Collective, Node, Share, gather, root, sliced

PLUGIN = "fastlstm"
HANDLERS = "add", "put", "leave", "forget"
#: A process sends whole gradients up to this size in all, since one message takes less time than two smaller ones.
WHOLE_BYTES = 1 << 20


class PeerError(RuntimeError):
    """A round cannot go on, because another worker failed, is lost or does not answer."""


class Connections(WorkerPlugin):
    """The handlers of one worker, and the trainings that it keeps from round to round."""

    name, idempotent = PLUGIN, True

    def setup(self, worker):
        self.worker, self._trainings = worker, {}
        self._open, self._ended = {}, deque(maxlen=1000)  # of groups and fits, the last that have ended
        worker.handlers.update({f"fastlstm_{name}": getattr(self, name) for name in HANDLERS})

    def teardown(self, worker):
        for name in HANDLERS:
            worker.handlers.pop(f"fastlstm_{name}", None)

    def take(self, key, addresses):
        """The training of a fit by these workers, or None; no other task uses it until it is kept again."""
        of_addresses, *training = self._trainings.pop(key, (None,))
        return training if of_addresses == addresses else None

    def keep(self, key, addresses, training):
        """Keep a training for the next round, unless the fit has ended."""
        if key not in self._ended:
            self._trainings[key] = addresses, *training

    async def forget(self, key):
        """Drop what is kept of a fit that has ended."""
        self._ended.append(key)
        self._trainings.pop(key, None)

    def _slot(self, group, step):
        """What processes have sent for a step, and the future of the result."""
        if group in self._ended:
            raise PeerError("another process of the training has failed")
        if (group, step) not in self._open:
            self._open[group, step] = {}, asyncio.get_running_loop().create_future()
        return self._open[group, step]

    async def add(self, group, step, rank, size, places, gradients, sums, wait=True):
        """Add up the slices of all processes; returns this slice of the whole gradient, and the sums, if it waits."""
        there, total = self._slot(group, step)
        there[rank] = [Node(*place, *row) for place, *row in zip(places, np.array(gradients), sums, strict=True)]
        if len(there) == size:
            del self._open[group, step]
            total.set_result(root([node for source in range(size) for node in there[source]]))
        return await asyncio.shield(total) if wait else None

    async def put(self, group, step, value):
        """Receive the value of a broadcast."""
        self._slot(group, step)[1].set_result(value)

    async def get(self, group, step):
        """The value that another process puts here."""
        value = await asyncio.shield(self._slot(group, step)[1])
        del self._open[group, step]
        return value

    def has_from(self, group, step):
        """Ranks that have sent something for a step that has not ended."""
        return set(self._open.get((group, step), ({},))[0])

    async def leave(self, group):
        """End a group: nobody need wait for others any more."""
        self._ended.append(group)
        for key in [key for key in self._open if key[0] == group]:
            total = self._open.pop(key)[1]
            if not total.done():
                total.set_exception(PeerError("another process of the training has failed"))
                total.exception()  # else asyncio complains of an error that nobody has looked at


def connections():
    """The `Connections` of this worker, which may have come a moment ago."""
    worker = get_worker()
    for _ in range(100):
        if PLUGIN in worker.plugins:
            return worker.plugins[PLUGIN]
        time.sleep(0.1)
    raise PeerError(f"{worker.address} is not connected with the others")


class Group(Collective):
    """The collective of one of several workers.

    name : str
        That of no other group.
    addresses : list of str
        Addresses of the workers, by rank.
    timeout : float
        How many seconds to wait for others in a step.
    """

    def __init__(self, name, addresses, rank, timeout):
        self.rank, self.size, self._step = rank, len(addresses), 0
        self._name, self._addresses, self._timeout = name, addresses, timeout
        self._worker, self._here = get_worker(), connections()

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._worker.loop.asyncio_loop).result()

    async def _all(self, calls, lacks):
        """Results of calls of other workers; `lacks()` are the addresses that have not answered after the timeout."""
        try:
            async with asyncio.timeout(self._timeout):
                return await asyncio.gather(*calls)
        except TimeoutError:
            raise PeerError(f"{', '.join(lacks()) or 'A worker'} did not answer within {self._timeout:g} s") from None
        except OSError as error:  # among them, that a connection was closed
            raise PeerError(f"the connection to another worker was lost: {error}") from error

    def reduce(self, nodes, layout):
        self._step += 1
        gradient, sums = nodes[0].gradient, np.array([node.sums for node in nodes])
        whole = (self.size - 1) * max(map(len, layout)) * gradient.nbytes <= WHOLE_BYTES
        if whole:  # to be added up by each process, without an answer
            slices = [np.array([node.gradient for node in nodes])] * self.size
        else:
            slices = sliced(nodes, self.size, gradient.size, gradient.dtype)
        about = {
            "group": self._name, "step": self._step, "rank": self.rank, "size": self.size,
            "places": layout[self.rank],
        }  # fmt: skip

        def ask(rank):
            if rank == self.rank:
                return self._here.add(gradients=slices[rank], sums=sums, **about)
            given = {"gradients": to_serialize(slices[rank]), "sums": to_serialize(sums)}
            return self._worker.rpc(self._addresses[rank]).fastlstm_add(
                **given, **about, wait=not whole, reply=not whole
            )

        def lacks():
            there = self._here.has_from(self._name, self._step)
            return [address for rank, address in enumerate(self._addresses) if rank not in there]

        parts = self._run(self._all(map(ask, range(self.size)), lacks))
        gradients = parts[self.rank][:1] if whole else [part for part, _ in parts]
        return np.concatenate(gradients)[: gradient.size], parts[self.rank][1]

    def broadcast(self, value, source=0):
        self._step += 1
        if self.size == 1:
            return value
        about = {"group": self._name, "step": self._step}
        if self.rank != source:
            call = self._here.get(**about)
            (value,) = self._run(self._all([call], lambda: [self._addresses[source]]))
            return pickle.loads(value)
        others = [address for rank, address in enumerate(self._addresses) if rank != source]
        value_bytes = pickle.dumps(value)
        calls = [self._worker.rpc(address).fastlstm_put(value=to_serialize(value_bytes), **about) for address in others]
        self._run(self._all(calls, lambda: others))
        return value

    def leave(self):
        """Tell all that this process does not go on."""
        self._run(self._leave())

    async def _leave(self):
        def tell(address):
            return asyncio.wait_for(self._worker.rpc(address).fastlstm_leave(group=self._name), 2)

        await asyncio.gather(*map(tell, self._addresses), return_exceptions=True)  # some may be lost


def copied(parameters, progress):
    """A copy of the state of a training: workers may be threads of the client's process."""
    return parameters.copy(), progress.copy(progress.moments.copy())


# -- tasks ----------------------------------------------------------------------------------------------------------


def read(number, estimator, reset, given, options, member):
    """Read a chunk; `given` without its data."""
    read_chunk = partial(kind_of(estimator).read, estimator, reset, **options)
    return given.apply(read_chunk, number, member, options.get("suffix", ""))


def together(X, y, sample_weight):
    """A chunk of what Dask has as three objects."""
    return X, y, sample_weight


def survey(number, function, given, member):
    """What `function` finds in a chunk."""
    return given.apply(function, number, member)


def run_together(function, given, group, rank, timeout, *members):
    """``function(collective, chunks)`` with the chunks of all workers; the first process returns the result."""
    collective = Group(group[0], group[1], rank, timeout)
    try:
        result = function(collective, [given.loaded(member) for member in members])
        return result if rank == 0 else None
    except BaseException:
        collective.leave()
        raise


def facts(chunk):
    """The facts of a chunk."""
    return chunk.facts


def assemble(estimator, pieces, attributes, *of_pieces):
    """A partition, of the pieces (chunk, first, last); the chunks are `of_pieces`."""
    kind = kind_of(estimator)
    encoded = [kind.encode(estimator, chunk, attributes) for chunk in of_pieces]
    return kind.join([kind.cut(estimator, data, *rows) for data, (_, *rows) in zip(encoded, pieces, strict=True)])


def run_round(job, group, rank, state, seconds, n_parts, *data):
    """Go on with a training for some epochs; the first process returns what it has become.

    job : Job
        The fit.
    group : (str, list of str)
        Name and addresses of a `Group`.
    state : (parameters, Progress) or None
        Of the first process: from which to go on; None to prepare the training, and go through no epoch.
    seconds : float
        After which not to begin another epoch.
    n_parts : int
        How many of `data` are partitions to train on; the others are held out.
    """
    begin, here = time.monotonic(), connections()
    name, addresses = group
    collective = Group(name, addresses, rank, job.timeout)
    try:
        state = collective.broadcast(state)
        kept = here.take(job.key, addresses)
        if not all(gather(collective, kept is not None)):  # all processes prepare a training, or none
            kept = job.prepare(Share(collective, job.n_partitions), data, n_parts)
        estimator, training, description = kept
        if training.n_jobs is None:  # no other task of a fit runs here
            training.n_jobs = here.worker.state.nthreads
        training.examples.share.collective = collective
        if state is None:
            result = job.prepared(estimator, training, description) if rank == 0 else None
        else:
            training.network.parameters[:], training.progress = copied(*state)
            for _ in training.run():
                if training.finished or collective.broadcast(time.monotonic() - begin >= seconds):
                    break
            result = copied(training.network.parameters, training.progress) if rank == 0 else None
    except BaseException:
        collective.leave()
        raise
    here.keep(job.key, addresses, kept)
    return result
