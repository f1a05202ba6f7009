"""Shapes, timing side by side, and the table at the end."""

import statistics
import time

import numpy as np
import pytest
import report

from fastlstm.kernels.numba.jit import entry
from fastlstm.kernels.numba.target import VECTOR_BYTES
from fastlstm.kernels.numba.tiles import fma, load, store, width

try:
    import torch

    torch.set_num_threads(1)
except ImportError:
    torch = None

#: N sequences, T steps, C inputs, H hidden units.
SHAPES = [
    (1, 100, 1, 32),
    (1, 100, 8, 128),
    (32, 24, 1, 32),
    (32, 50, 8, 32),
    (32, 100, 8, 64),
    (64, 100, 16, 128),
    (128, 50, 32, 128),
    (32, 100, 64, 256),
    (64, 100, 128, 512),
    (32, 35, 512, 1024),
    (256, 28, 28, 128),
]
BUDGET = 2.0  # seconds that one row of the table may take
MIN_ROUNDS, MAX_ROUNDS = 5, 200


@entry
def chains(n, a, out):
    """n times twelve independent fused multiply-adds of whole vectors: nothing but arithmetic."""
    x, y = load(6, 2, a, 0, 0), load(6, 2, a, 2 * width(a), 0)
    z = x
    for _ in range(n):
        z = fma(z, x, y)
    store(z, out, 0, 2 * width(a))


def measure_peak(n=200_000):
    """GFLOP/s of one core's fused multiply-adds, float32, measured now."""
    a, out = np.ones(64, np.float32), np.empty(12 * 16, np.float32)
    chains(10, a, out)
    start = time.perf_counter()
    chains(n, a, out)
    return n * 12 * (VECTOR_BYTES // 4) * 2 / (time.perf_counter() - start) / 1e9


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def step_flops(N, T, C, H):
    """Floating-point operations of the gates' products: of inference, and of a training step without d_x."""
    forward = 8 * H * (C + H) * N * T
    return forward, 2 * forward + 8 * H * H * N * T


@pytest.fixture
def side_by_side(benchmark):
    """Time ours with pytest-benchmark and, before each of its rounds, the peer and the FMA peak."""

    def run(work, shape, flops, ours, peer):
        ours()
        warm = seconds(ours)
        peers, peaks = [], []
        if peer is not None:
            peer()
            warm += seconds(peer)

        def before_each_round():
            if peer is not None:
                peers.append(seconds(peer))
            peaks.append(measure_peak())

        rounds = int(min(MAX_ROUNDS, max(MIN_ROUNDS, BUDGET / warm)))
        benchmark.pedantic(ours, setup=before_each_round, rounds=rounds)
        median = benchmark.stats.stats.median
        benchmark.extra_info.update(
            work=work,
            shape=shape,
            ms=1e3 * median,
            gflops=flops / median / 1e9,
            peak=statistics.median(peaks),
            torch_ms=1e3 * statistics.median(peers) if peers else None,
        )

    return run


def pytest_terminal_summary(terminalreporter, config):
    session = getattr(config, "_benchmarksession", None)
    rows = [bench.extra_info for bench in session.benchmarks] if session else []
    if not rows:
        return
    beside = f"torch {torch.__version__}" if torch else "nothing: torch is not installed (`make torch`)"
    terminalreporter.write_line(f"\none thread, float32, beside {beside}\n{report.text_table(rows)}")
