"""Threads of our own: a team computes one thing together, every member going through the same phases on its part.

# Design: neither Numba's ``parallel=True`` nor OpenMP, which abort the process when two threads call them at once or
# when it forks. A team is made of workers that are idle at that moment and of the thread that asks: so any number of
# threads may compute at once, none waits for a worker, and all workers together are fewer than the CPUs. Workers start
# on first use and belong to one process; a forked child starts its own. Idle workers are taken and given back without a
# lock: a signal handler or a finalizer may compute at any moment, and would wait for its own thread.
"""

import contextlib
import ctypes
import os
import threading
import time
from _queue import SimpleQueue  # what `queue` has until gevent replaces it there, with one that knows no other threads
from collections import deque
from contextvars import copy_context
from functools import cache, partial
from itertools import repeat

import numpy as np

from fastlstm.kernels.parts import BROKEN, Part
from fastlstm.kernels.workspace import aligned_empty

#: Multiplications and additions that a thread must have to do for it to pay: half a millisecond of them or less. Waking
#: a thread and handing the interpreter's lock to and fro takes about a fifth of that.
FLOPS_PER_THREAD = 30_000_000
#: Weights of more bytes than this come from the third-level cache or memory in every step,
LARGE_WEIGHTS = 1 << 20
#: and fewer rows than this per thread do not make up for it: then units are divided, not rows.
FEW_ROWS = 64


@cache
def _cpus(process):
    import joblib  # knows affinity, the quota of a container and loky's limit

    return joblib.cpu_count()


def cpu_limit():
    """CPUs that this thread may use: its affinity, OMP_NUM_THREADS and, as at first use, quota and loky's limit."""
    limit = _cpus(os.getpid())
    if hasattr(os, "sched_getaffinity"):  # which may have changed since
        limit = min(limit, len(os.sched_getaffinity(0)))
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return min(limit, int(asked)) if asked.isdecimal() and int(asked) > 0 else limit


def check_n_jobs(n_jobs):
    """Raise unless `n_jobs` is None or an integer other than 0."""
    if n_jobs is None:
        return
    if not isinstance(n_jobs, (int, np.integer)) or isinstance(n_jobs, bool) or n_jobs == 0:
        raise ValueError(
            f"n_jobs={n_jobs!r}: expected a number of threads (1 or more), -1 for all CPUs, -2 for all but one and so "
            "on, or None for as many as pay."
        )


def most(n_jobs):
    """Threads that `n_jobs` allows here; None allows all CPUs."""
    limit = cpu_limit()
    if n_jobs is None:
        return limit
    return min(int(n_jobs), limit) if n_jobs > 0 else max(1, limit + 1 + int(n_jobs))


def worthwhile(n_jobs, flops, rows, weight_bytes):
    """How many threads pay for a run of `flops` over `rows` rows, and whether they divide its units, not its rows."""
    size = int(flops) // FLOPS_PER_THREAD
    if size < 2:
        return 1, False
    size = min(size, most(n_jobs))
    by_units = weight_bytes > LARGE_WEIGHTS and rows < FEW_ROWS * size
    return (size, True) if by_units else (min(size, rows), False)


_ALONE = Part()


class BrokenTeamError(RuntimeError):
    """Another member of the team failed; its error is the one that counts."""


class _Worker:
    """A thread that runs what it is handed.

    `is_thread` says whether the system runs it: where gevent or eventlet have replaced Python's threads, it would take
    turns with its maker in one thread of the system, and ends at once.
    """

    def __init__(self):
        self._inbox, self._handed, self._done = SimpleQueue(), 0, 0  # each number is changed by one thread only
        self._maker = threading.get_native_id()
        self._thread = threading.Thread(target=self._run, name="fastlstm", daemon=True)
        self._thread.start()
        self.is_thread = self._thread.native_id != self._maker

    @property
    def busy(self):
        return self._done < self._handed

    def stay_on(self, cpus):
        """Run on these CPUs only."""
        _allow(self._thread.native_id, cpus)

    def stays_on(self, cpus):
        """Whether it does, as far as the system says."""
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
    """The calling thread and some workers. Use it as `with team(...) as it: it.run(phases)`."""

    def __init__(self, workers, by_units, wait):
        self.size, self.by_units = len(workers) + 1, by_units and bool(workers)
        self._workers, self._wait = workers, wait
        if workers:
            self._meeting = aligned_empty((8,), np.int64)  # a cache line of its own
            self._meeting[:] = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def wait(self):
        """Return when every member has come here."""
        if self.size > 1 and not self._wait(self._meeting, self.size):
            raise BrokenTeamError

    def run(self, phases):
        """Go through phases (see ``phases.py``) in all members; the first error of one of them is raised here.

        Every member calls ``phases()`` and goes through what it gets from barrier to barrier, so what follows a barrier
        may depend on what any member did before it. All are in the caller's context: what it lets NumPy ignore, say.
        """
        if self.size == 1:
            for phase in phases():
                phase.function(_ALONE, *phase.args)
            return
        errors = []

        def member(rank):
            try:
                self._go_through(phases(), Part(rank, self.size, self.by_units, self._meeting))
            except BaseException as error:
                self._meeting[0] = BROKEN
                if not isinstance(error, BrokenTeamError):
                    errors.append(error)

        try:
            with _apart(self._workers):
                for rank, worker in enumerate(self._workers, 1):
                    worker.hand(partial(copy_context().run, member, rank))
                member(0)
        except BaseException:
            self._meeting[0] = BROKEN
            raise
        finally:
            if self._meeting[0] >= BROKEN:
                # nobody leaves while another may still write to what they share
                while any(worker.busy for worker in self._workers):
                    time.sleep(1e-4)
                self._meeting[0] = 0
        if errors:
            raise errors[0]

    def _go_through(self, phases, part):
        """A member's way, with a barrier after every phase, but not between two that divide the same rows."""
        ahead = False  # of the barrier after the last phase
        for phase in phases:
            if ahead and not phase.by_rows:
                self.wait()
            phase.function(part, *phase.args)
            ahead = phase.by_rows and not self.by_units
            if not ahead:
                self.wait()
        if ahead:
            self.wait()


#: The C library's function for the CPU that the calling thread runs on, where there is one.
_current_cpu = getattr(ctypes.CDLL(None), "sched_getcpu", None) if hasattr(os, "sched_setaffinity") else None


def _allow(thread, cpus):
    """Let a thread run on these CPUs only, where the system agrees: it may have taken them away, or forbid to ask."""
    with contextlib.suppress(OSError):
        os.sched_setaffinity(thread, cpus)


def _is_allowed(thread, cpus):
    """Whether a thread may run on these CPUs and no others; also where the system does not say."""
    try:
        return os.sched_getaffinity(thread) == set(cpus)
    except OSError:
        return True


@contextlib.contextmanager
def _apart(workers):
    """While this lasts, the caller and the workers each have CPUs of their own.

    The system wakes a thread where its waker runs if it takes the other CPUs for busy, as a virtual machine's look when
    they have slept for a while; and there it stays for milliseconds, and two threads take as long as one.
    """
    allowed = os.sched_getaffinity(0) if _current_cpu else ()
    if len(allowed) <= len(workers):
        yield
        return
    here, size = _current_cpu(), len(workers) + 1
    cpus = sorted(allowed, key=lambda cpu: (cpu != here, cpu))  # the caller need not move
    own, of_workers = cpus[::size], [cpus[n::size] for n in range(1, size)]
    moved = False
    try:
        _allow(0, own)
        for worker, of_worker in zip(workers, of_workers, strict=True):
            worker.stay_on(of_worker)
        moved = _is_allowed(0, own) and all(map(_Worker.stays_on, workers, of_workers))
        yield
    finally:
        # Unless somebody else has changed it meanwhile: to our own part too, which shows in the workers if all threads
        # were changed, as `taskset -a` does.
        ours = _is_allowed(0, own)
        if ours and (not moved or all(map(_Worker.stays_on, workers, of_workers))):
            _allow(0, allowed)


#: Idle workers, and by number all that were started. Whatever is done to one of them is one step of the interpreter,
#: which nothing interrupts.
_idle, _started = deque(), {}


def _forget_workers():
    """In a forked child: the parent's workers do not run here."""
    global _idle, _started
    _idle, _started = deque(), {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_workers)


def _start_workers(wanted):
    """Start workers until so many are idle, or all are started that the CPUs are enough for."""
    most = cpu_limit() - 1
    if len(_started) >= most:
        return
    for number in range(most):
        if len(_idle) >= wanted:
            return
        claim = object()
        if _started.setdefault(number, claim) is not claim:  # somebody else starts, or has started, this one
            continue
        try:
            worker = _started[number] = _Worker()
        except RuntimeError:  # a system may refuse to, as it does when the interpreter ends: then there are fewer
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
    with contextlib.suppress(IndexError):  # no more are idle; those that were are in `workers`
        workers.extend(map(deque.pop, repeat(_idle, wanted)))


def team(size, by_units, kernels):
    """A team of at most `size` members for kernels of one backend; workers return when the block ends."""
    if size == 1 or not kernels.PARALLEL:  # at little cost: small runs notice a microsecond
        return Team((), by_units, kernels.wait)
    return _of_workers(size, by_units, kernels)


@contextlib.contextmanager
def _of_workers(size, by_units, kernels):
    idle, workers = _idle, []  # a child forked meanwhile has others
    try:
        _claim(workers, size - 1)
        yield Team(workers, by_units, kernels.wait)
    finally:
        idle.extend(reversed(workers))  # in the order in which they were taken from the end: each keeps its CPU
