"""An epoch of `fit` beside a plain PyTorch loop and skorch: the same model, batches, loss, optimiser and clipping."""

import numpy as np
import peers
import pytest
from shapes import SHAPES, label, training_flops

from fastlstm import LSTMRegressor


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


@pytest.mark.parametrize("threads", [1], ids=["threads1"], indirect=True)
def test_fixed_cost_of_a_minibatch(side_by_side, threads):
    """As many minibatches of as many sequences, but of one step and one unit: what an epoch spends beyond kernels."""
    N, T, C, H = 32, 24, 1, 32
    X, y = data(20, N, T, C)
    rivals = {"T=1, H=1": our_epoch(threads, X[:, :1].copy(), y, 1, N)}
    flops = 20 * training_flops(N * T, C, H)
    side_by_side("fixed cost", (N, T, C, H), flops, our_epoch(threads, X, y, H, N), rivals)
