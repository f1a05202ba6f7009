"""Workers that are killed, suspended, or end during a fit on Dask: the same bits, or a clear error in time."""

import contextlib
import os
import random
import signal
import threading
import time
from unittest.mock import patch

import pytest
from helpers import assert_same_bits, within
from test_distributed import QUICK, X, Y, new, results
from test_distributed_dask import dask, distributed, psutil

from fastlstm import LSTMRegressor
from fastlstm.distributed import Local, dask_client, dask_rounds, fit

pytestmark = [
    pytest.mark.filterwarnings("ignore:Training was still improving", "ignore:Training might not have converged"),
    pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system has no such signals"),
]
LIMIT = 90  # seconds
EPOCHS = {"max_iter": 60, "n_iter_no_change": 100, "batch_size": 20}
MODEL = LSTMRegressor(**{**QUICK, **EPOCHS}, dropout=0.2)
LONG = new(MODEL, max_iter=100_000, n_iter_no_change=100_000)  # goes on until it is ended


@contextlib.contextmanager
def cluster_of(n_workers, **config):
    """Client of a cluster, whose processes have ended afterwards."""
    options = {"processes": True, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "silence_logs": 60}
    before = set(psutil.Process().children(recursive=True))
    with (
        patch.dict(os.environ),
        distributed.LocalCluster(n_workers=n_workers, threads_per_worker=1, **options) as cluster,
        distributed.Client(cluster, timeout=LIMIT) as client,
    ):
        yield client
    left = set(psutil.Process().children(recursive=True)) - before
    _, alive = psutil.wait_procs(left, timeout=5)
    # joblib's and multiprocessing's resource tracker stays for the next cluster
    assert [process.cmdline() for process in alive if "resource_tracker" not in " ".join(process.cmdline())] == []


@pytest.fixture(scope="module")
def expected():
    return results(fit(new(MODEL), X, Y, engine=Local(1)))


@pytest.fixture
def short_rounds(monkeypatch):
    """Many rounds, so that there are moments between them."""
    monkeypatch.setattr(dask_client, "ROUND_SECONDS", 0.05)
    monkeypatch.setattr(dask_rounds, "POLL_SECONDS", 0.1)


def pids(client):
    return list(client.run(os.getpid).values())


def fit_and(action, seconds, model=MODEL, **options):
    """A fit during which an action is taken after some seconds; it fails where workers wait for each other."""
    timer = threading.Timer(seconds, action)
    timer.start()
    try:
        return within(LIMIT, lambda: fit(new(model), X, Y, **{"timeout": 2 * LIMIT, **options}))
    finally:
        timer.cancel()
        timer.join()


def resume(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def kill(pid):
    with contextlib.suppress(ProcessLookupError):  # the nanny may have ended it
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("n_workers", "moments"),
    [
        (2, [0.5]),
        pytest.param(2, [0.05, 0.3, 0.8], marks=pytest.mark.system),  # from set-up on
        pytest.param(1, [0.05, 0.5], marks=pytest.mark.system),
    ],
)
def test_killed_workers_change_no_bit(n_workers, moments, short_rounds, expected):
    with cluster_of(n_workers) as client:
        for seconds in moments:
            within(LIMIT, client.wait_for_workers, 1)  # Dask does not replace those that are killed while they start
            victim = pids(client)[0]
            assert_same_bits(results(fit_and(lambda pid=victim: kill(pid), seconds)), expected)


@pytest.mark.system
def test_a_worker_joins(short_rounds, expected):
    with cluster_of(1) as client:
        assert_same_bits(results(fit_and(lambda: client.cluster.scale(3), 0.1)), expected)


@pytest.mark.system
def test_all_workers_have_gone(short_rounds):
    with cluster_of(2) as client:
        with pytest.raises(RuntimeError, match="The cluster has had no worker for 2 s: start workers"):
            fit_and(lambda: client.cluster.scale(0), 0.5, LONG, timeout=2)
        client.cluster.scale(1)
        within(LIMIT, lambda: fit(new(MODEL, max_iter=1), X, Y))


@pytest.mark.system
def test_a_worker_is_suspended(short_rounds, expected):
    """Where Dask gives it up soon, the others go on; the worker may come back."""
    with dask.config.set({"distributed.scheduler.worker-ttl": "4s"}), cluster_of(3) as client:
        within(LIMIT, lambda: fit(new(MODEL, max_iter=1), X, Y))
        victim = pids(client)[0]
        try:
            model = fit_and(lambda: os.kill(victim, signal.SIGSTOP), 0.5, timeout=3)
        finally:
            resume(victim)
        assert_same_bits(results(model), expected)
        assert_same_bits(results(within(LIMIT, lambda: fit(new(MODEL), X, Y))), expected)


@pytest.mark.system
def test_a_worker_that_stays_suspended_is_named(short_rounds):
    with cluster_of(2) as client:
        within(LIMIT, lambda: fit(new(MODEL, max_iter=1), X, Y))
        (address, victim), *_ = client.run(os.getpid).items()
        try:
            with pytest.raises(RuntimeError, match=address):
                fit_and(lambda: os.kill(victim, signal.SIGSTOP), 0.5, LONG, timeout=2)
        finally:
            resume(victim)


@pytest.mark.system
def test_a_worker_is_suspended_for_a_moment(short_rounds, expected):
    with cluster_of(2) as client:
        victim = pids(client)[0]

        def suspend():
            os.kill(victim, signal.SIGSTOP)
            time.sleep(2)
            os.kill(victim, signal.SIGCONT)

        assert_same_bits(results(fit_and(suspend, 0.5)), expected)


@pytest.mark.system
def test_the_scheduler_ends(short_rounds):
    """Within the time that Dask itself takes to connect again."""
    with dask.config.set({"distributed.comm.timeouts.connect": "3s"}):
        scheduler = distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=60
        )
        with distributed.Client(scheduler.scheduler_address):
            within(LIMIT, lambda: fit(new(MODEL, max_iter=1), X, Y))
            with pytest.raises(RuntimeError, match="The Dask client was closed, or has lost"):
                fit_and(scheduler.close, 1.0, LONG, timeout=5)


def test_a_client_that_was_killed_does_not_keep_the_workers():
    """Its turn ends when nobody renews it."""
    locks, here = (
        "distributed.scheduler.locks",
        {"processes": False, "dashboard_address": "127.0.0.1:0", "silence_logs": 60},
    )
    with (
        dask.config.set({f"{locks}.lease-timeout": "3s", f"{locks}.lease-validation-interval": "0.2s"}),
        distributed.LocalCluster(n_workers=1, **here) as cluster,
        distributed.Client(cluster) as client,
    ):
        lease = distributed.Semaphore(1, "fastlstm", client.scheduler, client.loop)
        lease.refresh_leases = False
        assert lease.acquire()
        with pytest.raises(RuntimeError, match="Other fits have had the workers for 1 s"):
            within(LIMIT, lambda: fit(new(MODEL), X, Y, timeout=1))
        within(LIMIT, lambda: fit(new(MODEL), X, Y))
        lease.close()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_kills_at_random_moments_change_no_bit(seed, short_rounds, expected):
    moments = random.Random(seed)
    with cluster_of(3) as client:
        for _ in range(4):
            within(LIMIT, client.wait_for_workers, 1)
            victim = moments.choice(pids(client))
            model = fit_and(lambda pid=victim: kill(pid), moments.uniform(0, 1.5))
            assert_same_bits(results(model), expected)
