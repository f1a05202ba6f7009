"""An epoch of `fit` beside a plain PyTorch loop and skorch: the same model, batches, loss, optimiser and clipping."""

import statistics
import time

import numpy as np
import peers
import pytest
from numba.core.dispatcher import Dispatcher
from shapes import SHAPES, label, training_flops

from fastlstm import LSTMRegressor
from fastlstm.kernels import numba as numba_kernels


def data(batches, N, T, C):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((batches * N, T, C), dtype=np.float32)
    return X, rng.standard_normal(batches * N, dtype=np.float32)


def our_epoch(threads, X, y, H, batch_size):
    model = LSTMRegressor(H, batch_size=batch_size, random_state=0, n_jobs=threads)

    def epoch():
        model.partial_fit(X, y)

    return epoch


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_epoch(side_by_side, shape, threads):
    N, T, C, H = shape
    flops = training_flops(N * T, C, H)
    batches = 20 if flops < 1e9 else 2
    X, y = data(batches, N, T, C)
    rivals = {"torch": peers.torch_epoch(X, y, H, N), "skorch": peers.skorch_epoch(X, y, H, N)}
    if threads > 1:
        rivals["1 thread"] = our_epoch(1, X, y, H, N)
    side_by_side("epoch", shape, batches * flops, our_epoch(threads, X, y, H, N), rivals)


def time_kernels(monkeypatch, spent):
    """From now on, add the seconds that the backend's compiled functions take to spent[0]."""

    def timed(kernel):
        def call(*args):
            start = time.perf_counter()
            kernel(*args)
            spent[0] += time.perf_counter() - start

        return call

    for module in (numba_kernels.lstm, numba_kernels.head, numba_kernels.solvers):
        for name, value in vars(module).copy().items():
            if isinstance(value, Dispatcher):
                monkeypatch.setattr(module, name, timed(value))


@pytest.mark.parametrize("threads", [1], ids=["threads1"], indirect=True)
def test_part_of_fit_beyond_its_kernels(side_by_side, monkeypatch, threads):
    N, T, C, H = 32, 24, 1, 32
    epochs, batches, spent = 20, 20, [0.0]
    X, y = data(batches, N, T, C)
    model = LSTMRegressor(H, batch_size=N, max_iter=epochs, learning_rate="cosine", random_state=0, n_jobs=threads)

    def fit():
        model.fit(X, y)

    flops = epochs * batches * training_flops(N * T, C, H)
    row = side_by_side("beyond kernels", (N, T, C, H), flops, fit)
    time_kernels(monkeypatch, spent)
    in_kernels = []
    for _ in range(9):
        spent[0] = 0.0
        fit()
        in_kernels.append(1e3 * spent[0])
    row["peers_ms"] = {"kernels alone": statistics.median(in_kernels)}
