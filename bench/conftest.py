"""Timing side by side on 1 and 2 threads, and the tables at the end."""

import importlib.metadata
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import report
from peers import torch
from threadpoolctl import threadpool_limits
from timing import PAUSE, check_same, loop, seconds

from fastlstm import kernels
from fastlstm.kernels.numba import target
from fastlstm.kernels.numba.jit import entry
from fastlstm.kernels.numba.tiles import fma, load, store, width

BUDGET = 1.5  # seconds that one row of the table may take, where MIN_ROUNDS allow it
MIN_ROUNDS, MAX_ROUNDS = 3, 40


def pytest_benchmark_update_machine_info(config, machine_info):
    """What the figures depend on besides the machine."""
    machine_info["backend"], machine_info["vectors"] = kernels.resolve(), kernels.load().isa()
    machine_info["cpus"] = joblib.cpu_count()
    machine_info["versions"] = {}
    for name in ("fastlstm", "numpy", "numba", "scikit-learn", "torch", "skorch", "onnxruntime"):
        try:
            machine_info["versions"][name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            machine_info["versions"][name] = None


@pytest.fixture(params=[n for n in (1, 2) if n <= joblib.cpu_count()], ids="threads{}".format)
def threads(request):
    """The threads of all sides; 2 only where there are as many CPUs."""
    if torch:
        torch.set_num_threads(request.param)
    with threadpool_limits(request.param, user_api="blas"):  # NumPy's
        yield request.param


@entry
def chains(n, a, out):
    """n times twelve independent fused multiply-adds of whole vectors: nothing but arithmetic."""
    x, y = load(6, 2, a, 0, 0), load(6, 2, a, 2 * width(a), 0)
    z = x
    for _ in range(n):
        z = fma(z, x, y)
    store(z, out, 0, 2 * width(a))


def core_peak(dtype, n=400_000):
    """GFLOP/s of one core's fused multiply-adds, measured now."""
    dtype = np.dtype(dtype)
    a, out = np.ones(64, dtype), np.empty(12 * target.lanes(dtype), dtype)
    chains(10, a, out)
    return n * 12 * target.lanes(dtype) * 2 / seconds(lambda: chains(n, a, out)) / 1e9


def measure_peak(dtype, threads):
    """GFLOP/s of as many cores at once."""
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(core_peak, [dtype] * threads))


@pytest.fixture
def side_by_side(benchmark, threads):
    """Time ours with pytest-benchmark and, before each of its rounds, the peers and the FMA peak."""

    def run(work, shape, flops, ours, peers=None, dtype="float32", steps=1):
        """`ours` does `steps` times what `flops` counts and the table's milliseconds are for, and so does every peer.

        `peers` are functions by name, None for what is not installed.
        """
        installed = {name: peer for name, peer in (peers or {}).items() if peer}
        result = ours()  # these first calls also compile and set up
        for name, peer in installed.items():
            check_same(result, peer(), name)
        pause = PAUSE if threads > 1 and installed else 0
        times, round_seconds = {}, 0.0
        for name, side in {**installed, "ours": ours}.items():
            times[name], taken = loop(side)
            round_seconds += taken + pause
        peer_seconds, peaks = {name: [] for name in installed}, []

        def before_each_round():
            for name, peer in installed.items():
                time.sleep(pause)
                peer_seconds[name].append(seconds(peer, times[name]))
            peaks.append(measure_peak(dtype, threads))
            time.sleep(pause)

        benchmark.pedantic(
            lambda: seconds(ours, times["ours"]),
            setup=before_each_round,
            rounds=int(min(MAX_ROUNDS, max(MIN_ROUNDS, BUDGET / round_seconds))),
        )
        median = benchmark.stats.stats.median / times["ours"] / steps
        peers_ms = dict.fromkeys(peers or {})
        peers_ms |= {name: 1e3 * statistics.median(some) / steps for name, some in peer_seconds.items()}
        benchmark.extra_info.update(
            work=work,
            shape=shape,
            threads=threads,
            ms=1e3 * median,
            peers_ms=peers_ms,
            gflops=flops / median / 1e9,
            peak=statistics.median(peaks),
        )
        return benchmark.extra_info

    return run


def pytest_terminal_summary(terminalreporter, config):
    session = getattr(config, "_benchmarksession", None)
    rows = [bench.extra_info for bench in session.benchmarks] if session else []
    if rows:
        terminalreporter.write_line(f"\n{report.text_table(rows)}")
