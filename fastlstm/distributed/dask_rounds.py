"""Rounds of tasks on Dask's workers, each done again by those that are there if a worker fails."""

import contextlib
import time
import uuid

import dask
from distributed import CancelledError, KilledWorker, Semaphore, wait
from distributed.comm import CommClosedError

from fastlstm.distributed.dask_worker import Connections, PeerError

POLL_SECONDS = 0.5  # how often to see whether workers are there
TELL_SECONDS = 2.0  # how long to wait for workers that are told something
LOST = "The Dask client was closed, or has lost its scheduler: pass another, as engine=Dask(client)."
#: Errors of which another attempt may not suffer.
OF_WORKERS = PeerError, CancelledError, KilledWorker


class Rounds:
    """Rounds of tasks, one on each worker.

    Parameters
    ----------
    client : distributed.Client
    retries : int
        How often to do a round again.
    timeout : float
        How many seconds to wait for workers, and for other fits.
    """

    def __init__(self, client, retries, timeout):
        self.client, self.retries, self.timeout = client, retries, timeout
        self.watch = Watch(client, timeout)

    def run(self, task, most, name, data=()):
        """Run tasks on at most so many workers; what the first of them returns.

        task: ``task(group, rank, size)`` returns the function and arguments of a task.
        data: futures among the arguments of any of them.
        """
        for attempt in range(self.retries + 1):
            try:
                return self._once(task, most, name, data)
            except CommClosedError as error:
                raise RuntimeError(LOST) from error
            except OF_WORKERS as error:
                check_connected(self.client)
                if attempt == self.retries:
                    raise RuntimeError(
                        f"{name} failed {attempt + 1} times, the last time because {_described(error)}. See the logs "
                        "of the workers; retries sets how often to try again, and timeout how long to wait."
                    ) from error

    def connect(self):
        """Connect the workers with each other, also those that come later."""
        for attempt in range(self.retries + 1):
            try:
                return self.client.register_plugin(Connections())
            except OSError as error:  # a worker was lost meanwhile, or the scheduler
                check_connected(self.client)
                if attempt == self.retries:
                    raise RuntimeError(f"The workers could not be connected with each other: {error}") from error

    def workers(self, most):
        """Addresses of at most so many workers that answer."""
        deadline = time.monotonic() + self.timeout
        while True:
            there = self.watch.look()
            answering = [address for address in there if address not in self.watch.silent]
            if answering:
                return answering[:most]
            if time.monotonic() > deadline:
                which = f"; {', '.join(there)} did not answer" if there else ""
                raise RuntimeError(
                    f"The cluster has had no worker for {self.timeout:g} s{which}: start workers, for example with "
                    "cluster.scale(2)."
                )
            time.sleep(POLL_SECONDS)

    def results(self, futures):
        """Results of tasks that are not pinned."""
        self._wait_for_data(futures)
        return self.client.gather(futures)

    def _wait_for_data(self, futures):
        """Wait for tasks that are not pinned, so that Dask itself repeats those of lost workers."""
        running = set(futures)
        while running:
            done, running = _some(running, POLL_SECONDS)
            for future in done:
                if future.status in ("error", "cancelled"):
                    raise _error_of(future)
            running |= {future for future in done if future.status != "finished"}  # lost since, and made again
            if running:
                self.workers(1)  # raises if there have been none for too long
                self.watch.check(self.watch.look())

    def _once(self, task, most, name, data):
        client = self.client
        with _turn(client, self.timeout):
            # else a task could wait for others whose data are to be made by the worker that it occupies
            self._wait_for_data(data)
            addresses, group, futures = self.workers(most), uuid.uuid4().hex, []
            try:
                for rank, address in enumerate(addresses):
                    key = f"{name} rank {rank}-{group[:8]}"
                    pinned = {"workers": [address], "allow_other_workers": False, "retries": 0}
                    futures.append(submit(client, *task((group, addresses), rank, len(addresses)), key=key, **pinned))
                self._wait(futures, addresses)
                return self._result(futures[0], addresses)
            except BaseException:
                if client.status == "running":
                    client.cancel(futures, force=True)
                    there = set(self.watch.look())
                    tell(client, "fastlstm_leave", [of for of in addresses if of in there], group=group)
                raise

    def _result(self, future, addresses):
        """Result of a task that has finished; raise if its worker is lost before it has been fetched."""
        seconds = 1.0
        while True:
            try:
                return future.result(timeout=seconds)
            except TimeoutError:
                self.watch.look()
                self.watch.check(addresses)
                seconds *= 2  # each attempt starts from scratch

    def _wait(self, futures, addresses):
        """Wait for tasks; raise the first error of any, or if a worker is lost or silent.

        A task that is pinned to a worker that is lost would never end, and one that needs its data never begin.
        """
        begin, running = time.monotonic(), set(futures)
        while running:
            done, running = _some(running, POLL_SECONDS)
            failed = [future for future in done if future.status != "finished"]
            if failed:
                done, _ = _some(running, 1.0)  # the cause may be the error of another
                errors = [_error_of(future) for future in [*failed, *done] if future.status != "finished"]
                raise next((error for error in errors if not isinstance(error, OF_WORKERS)), errors[0])
            self.watch.look()
            self.watch.check(addresses)
            waits = any(of in running and at in self.watch.idle for of, at in zip(futures, addresses, strict=True))
            if waits and time.monotonic() - begin > self.timeout:
                self.watch.check(addresses + self.watch.silent)


class Watch:
    """Which workers are there, and which of them the scheduler has heard of lately.

    Attributes
    ----------
    silent, idle : lists of str
        Addresses of workers that had not been heard of for `timeout` seconds, or ran no task, at the last look.
    """

    def __init__(self, client, timeout):
        self._client, self._timeout, self._heard, self.silent, self.idle = client, timeout, {}, [], []

    def look(self):
        """Addresses of all workers."""
        check_connected(self._client)
        info, now, heard = self._client.scheduler_info(n_workers=-1), time.monotonic(), self._heard
        workers, self._heard = info.get("workers", {}), {}  # there are none while the client connects again
        for address, of in sorted(workers.items()):
            last, since = heard.get(address, (None, now))
            self._heard[address] = of["last_seen"], since if of["last_seen"] == last else now
        self.silent = [address for address, (_, since) in self._heard.items() if now - since > self._timeout]
        running = {address: of["metrics"].get("task_counts", {}) for address, of in workers.items()}
        self.idle = [address for address, tasks in running.items() if not tasks.get("executing")]
        return list(self._heard)

    def check(self, addresses):
        """Raise PeerError if one of the workers was lost or silent at the last look."""
        lost = [address for address in addresses if address not in self._heard]
        if lost:
            raise PeerError(f"{', '.join(lost)} was lost")
        silent = [address for address in self.silent if address in addresses]
        if silent:
            raise PeerError(f"{', '.join(silent)} was not heard of for {self._timeout:g} s")


@contextlib.contextmanager
def _turn(client, timeout):
    """Meanwhile no other fit has tasks on the workers, where those of both could wait for each other.

    This is a lease rather than a lock, since that of a client that was killed ends by itself.
    """
    lease = Semaphore(1, "fastlstm", client.scheduler, client.loop)
    try:
        if not lease.acquire(timeout=timeout):
            raise RuntimeError(f"Other fits have had the workers for {timeout:g} s; timeout sets how long to wait.")
        try:
            yield
        finally:
            if client.status == "running":
                lease.release()
    finally:
        client.loop.add_callback(lease.refresh_callback.stop)


def submit(client, function, *args, **options):
    """The future of a task; without Dask's advice to keep large arguments elsewhere, for these are the client's."""
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": 1 << 60}):
        return client.submit(function, *args, pure=False, **options)


def tell(client, handler, workers=None, **message):
    """Call a handler of workers, by default of all; some may be lost or not answer, and so may the scheduler."""
    if client.status != "running":
        return
    message = {"op": handler, **message}
    with contextlib.suppress(OSError):  # among them, a timeout
        client.sync(
            client.scheduler.broadcast, msg=message, workers=workers, on_error="ignore", callback_timeout=TELL_SECONDS
        )


def check_connected(client):
    """Raise RuntimeError if a client is closed."""
    if client.status not in ("running", "connecting"):
        raise RuntimeError(LOST)


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
    """The error of a task that has not finished; it may also have been lost with its worker."""
    return future.exception() if future.status == "error" else CancelledError(future.key)


def _described(error):
    if isinstance(error, KilledWorker):
        return "workers ended while they ran it"
    return "its data were lost with a worker" if isinstance(error, CancelledError) else str(error)
