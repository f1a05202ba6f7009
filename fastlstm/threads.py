"""Thread teams: the calling thread and worker threads go through the phases of a computation together.

# Design: not Numba's ``parallel=True`` or OpenMP, which abort the process on concurrent use or after a fork. A team
# consists of the calling thread and of workers that are idle at that moment. So any number of threads can compute at
# the same time, none waits for a worker, and there are fewer workers than CPUs. Workers are started on first use; a
# forked child starts its own. Taking and returning idle workers is lock-free, because a signal handler or a finalizer
# may start a computation at any moment, and would deadlock on a lock held by its own thread.
"""

import contextlib
import ctypes
import os
import sys
import threading
import time
from _queue import SimpleQueue  # `queue.SimpleQueue` may be replaced by gevent's, which does not work across threads
from collections import deque
from contextvars import copy_context
from functools import cache, partial
from itertools import repeat

import numpy as np

from fastlstm.kernels.parts import BROKEN, Part
from fastlstm.kernels.workspace import aligned_empty

#: Minimum number of multiplications and additions per thread, which take up to half a millisecond. Waking a thread and
#: passing the GIL back and forth takes about a fifth of that.
FLOPS_PER_THREAD = 30_000_000
#: Weights larger than this, in bytes, are read from the L3 cache or from memory in every step.
LARGE_WEIGHTS = 1 << 20
#: With fewer rows per thread than this, large weights are the bottleneck, so threads divide units instead of rows.
FEW_ROWS = 64


@cache
def _cpus(process):
    import joblib  # takes affinity, container quotas and loky's limit into account

    return joblib.cpu_count()


def cpu_limit():
    """Number of CPUs available, by affinity, OMP_NUM_THREADS, and the quota and loky's limit at first use."""
    limit = _cpus(os.getpid())
    if hasattr(os, "sched_getaffinity"):  # the affinity may have changed since
        limit = min(limit, len(os.sched_getaffinity(0)))
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return min(limit, int(asked)) if asked.isdecimal() and int(asked) > 0 else limit


def check_n_jobs(n_jobs):
    """Raise ValueError unless `n_jobs` is None or an integer other than 0."""
    if n_jobs is None:
        return
    if not isinstance(n_jobs, (int, np.integer)) or isinstance(n_jobs, bool) or n_jobs == 0:
        raise ValueError(
            f"n_jobs={n_jobs!r}: expected a positive number of threads, -1 for all CPUs, -2 for all but one and so on, "
            "or None for as many as are worthwhile."
        )


def _in_dask_task():
    """Whether the caller runs in a Dask worker, which runs as many tasks at once as it has been given threads."""
    distributed = sys.modules.get("distributed")  # imported by the worker
    try:
        return distributed is not None and distributed.get_worker() is not None
    except (AttributeError, ValueError):  # partly imported so far, or no worker
        return False


def most(n_jobs):
    """Maximum number of threads allowed by `n_jobs`; None allows all CPUs, but only one in a task of Dask."""
    limit = cpu_limit()
    if n_jobs is None:
        return 1 if _in_dask_task() else limit
    return min(int(n_jobs), limit) if n_jobs > 0 else max(1, limit + 1 + int(n_jobs))


def worthwhile(n_jobs, flops, rows, weight_bytes):
    """Number of threads worth using for a run of `flops` over `rows` rows, and whether they divide units, not rows."""
    size = int(flops) // FLOPS_PER_THREAD
    if size < 2:
        return 1, False
    size = min(size, most(n_jobs))
    by_units = weight_bytes > LARGE_WEIGHTS and rows < FEW_ROWS * size
    return (size, True) if by_units else (min(size, rows), False)


_ALONE = Part()


class BrokenTeamError(RuntimeError):
    """Raised in a team when another thread has failed; that thread's error is reported instead."""


class _Worker:
    """A thread that runs the functions it is given.

    `is_thread` is whether it is an operating system thread. If gevent or eventlet have replaced Python's threads, it
    would share the thread of its creator, so it ends at once.
    """

    def __init__(self):
        self._inbox, self._handed, self._done = SimpleQueue(), 0, 0  # each counter is modified by one thread only
        self._maker = threading.get_native_id()
        self._thread = threading.Thread(target=self._run, name="fastlstm", daemon=True)
        self._thread.start()
        self.is_thread = self._thread.native_id != self._maker

    @property
    def busy(self):
        return self._done < self._handed

    def stay_on(self, cpus):
        """Restrict the thread to these CPUs."""
        _allow(self._thread.native_id, cpus)

    def stays_on(self, cpus):
        """Whether the thread is still restricted to these CPUs, as far as the system reports that."""
        return _is_allowed(self._thread.native_id, cpus)

    def hand(self, function):
        self._handed += 1
        self._inbox.put(function)

    def _run(self):
        if threading.get_native_id() == self._maker:
            return
        while True:
            self._inbox.get()()
            self._done += 1


class Team:
    """The calling thread and some workers. Use as `with team(...) as members: members.run(phases)`."""

    def __init__(self, workers, by_units, wait):
        self.size, self.by_units = len(workers) + 1, by_units and bool(workers)
        self._workers, self._wait = workers, wait
        if workers:
            self._barrier = aligned_empty((8,), np.int64)  # on a cache line of its own
            self._barrier[:] = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def wait(self):
        """Wait until all threads have arrived here."""
        if self.size > 1 and not self._wait(self._barrier, self.size):
            raise BrokenTeamError

    def run(self, phases):
        """Execute phases (see ``phases.py``) in all threads, and raise the first error of any of them.

        Every thread calls ``phases()`` and iterates over the result. A phase after a barrier may depend on anything
        done before it in any thread. All threads run in the caller's context, with its NumPy error state, for example.
        """
        if self.size == 1:
            for phase in phases():
                phase.function(_ALONE, *phase.args)
            return
        errors = []

        def member(rank):
            try:
                self._go_through(phases(), Part(rank, self.size, self.by_units, self._barrier))
            except BaseException as error:
                self._barrier[0] = BROKEN
                if not isinstance(error, BrokenTeamError):
                    errors.append(error)

        try:
            with _apart(self._workers):
                for rank, worker in enumerate(self._workers, 1):
                    worker.hand(partial(copy_context().run, member, rank))
                member(0)
        except BaseException:
            self._barrier[0] = BROKEN
            raise
        finally:
            if self._barrier[0] >= BROKEN:
                # wait until no worker can still write to shared memory
                while any(worker.busy for worker in self._workers):
                    time.sleep(1e-4)
                self._barrier[0] = 0
        try:
            if errors:
                raise errors[0]
        finally:
            errors.clear()  # else the error, its traceback and this frame would keep each other alive

    def _go_through(self, phases, part):
        """Iterate over phases with a barrier after each, except between two that divide the same rows."""
        pending = False  # whether the barrier after the last phase has been postponed
        for phase in phases:
            if pending and not phase.by_rows:
                self.wait()
            phase.function(part, *phase.args)
            pending = phase.by_rows and not self.by_units
            if not pending:
                self.wait()
        if pending:
            self.wait()


#: The C function that returns the CPU of the calling thread, where available.
_current_cpu = getattr(ctypes.CDLL(None), "sched_getcpu", None) if hasattr(os, "sched_setaffinity") else None


def _allow(thread, cpus):
    """Restrict a thread to these CPUs, if the system permits: they may be gone, or the call forbidden."""
    with contextlib.suppress(OSError):
        os.sched_setaffinity(thread, cpus)


def _is_allowed(thread, cpus):
    """Whether a thread is restricted to exactly these CPUs; True if the system does not report it."""
    try:
        return os.sched_getaffinity(thread) == set(cpus)
    except OSError:
        return True


@contextlib.contextmanager
def _apart(workers):
    """Context in which the caller and the workers are pinned to disjoint sets of CPUs.

    The system wakes a thread on the CPU of its waker if the other CPUs seem busy, as those of a virtual machine do
    after sleeping. The thread then stays there for milliseconds, in which two threads are as slow as one.
    """
    allowed = os.sched_getaffinity(0) if _current_cpu else ()
    if len(allowed) <= len(workers):
        yield
        return
    here, size = _current_cpu(), len(workers) + 1
    cpus = sorted(allowed, key=lambda cpu: (cpu != here, cpu))  # the caller stays on its current CPU
    own, of_workers = cpus[::size], [cpus[n::size] for n in range(1, size)]
    moved = False
    try:
        _allow(0, own)
        for worker, of_worker in zip(workers, of_workers, strict=True):
            worker.stay_on(of_worker)
        moved = _is_allowed(0, own) and all(map(_Worker.stays_on, workers, of_workers))
        yield
    finally:
        # Restore the affinity unless something else has changed it in the meantime, possibly to the caller's own set;
        # a change of all threads, as by `taskset -a`, then shows in the workers.
        ours = _is_allowed(0, own)
        if ours and (not moved or all(map(_Worker.stays_on, workers, of_workers))):
            _allow(0, allowed)


#: Idle workers, and all workers that were started, by number. Each operation on these is atomic in the interpreter.
_idle, _started = deque(), {}


def _forget_workers():
    """Reset the workers in a forked child, in which the parent's threads do not run."""
    global _idle, _started
    _idle, _started = deque(), {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_workers)


def _start_workers(wanted):
    """Start workers until `wanted` are idle or there are as many as CPUs allow."""
    most = cpu_limit() - 1
    if len(_started) >= most:
        return
    for number in range(most):
        if len(_idle) >= wanted:
            return
        claim = object()
        if _started.setdefault(number, claim) is not claim:  # another thread starts it, or has started it
            continue
        try:
            worker = _started[number] = _Worker()
        except RuntimeError:  # threads cannot be started, for example at interpreter shutdown: use fewer
            return
        finally:
            if _started.get(number) is claim:
                del _started[number]
        if worker.is_thread:
            _idle.append(worker)


def _claim(workers, wanted):
    """Add up to `wanted` idle workers to `workers`."""
    if len(_idle) < wanted:
        _start_workers(wanted)
    with contextlib.suppress(IndexError):  # no more idle workers; those taken so far are in `workers`
        workers.extend(map(deque.pop, repeat(_idle, wanted)))


def team(size, by_units, kernels):
    """Context with a team of at most `size` threads for the kernels of one backend; workers are returned at its end."""
    if size == 1 or not kernels.PARALLEL:  # cheap: a microsecond matters to small runs
        return Team((), by_units, kernels.wait)
    return _of_workers(size, by_units, kernels)


@contextlib.contextmanager
def _of_workers(size, by_units, kernels):
    idle, workers = _idle, []  # a child forked in the meantime has others
    try:
        _claim(workers, size - 1)
        yield Team(workers, by_units, kernels.wait)
    finally:
        idle.extend(reversed(workers))  # in the original order, so that each worker keeps its CPU
