"""An epoch of `fit` beside a plain PyTorch loop and skorch: the same model, batches, loss, optimiser and clipping."""

import statistics
import time

import numpy as np
import peers
import pytest
from shapes import SHAPES, label, training_flops

from fastlstm import LSTMClassifier, LSTMRegressor, kernels


def data(batches, N, T, C):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((batches * N, T, C), dtype=np.float32)
    return X, rng.standard_normal(batches * N, dtype=np.float32)


def our_epoch(threads, X, y, H, batch_size, **options):
    same_work = {"standardize": False, "dropout": 0.0, **options}  # as the peers'
    model = LSTMRegressor(H, batch_size=batch_size, random_state=0, n_jobs=threads, **same_work)

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


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_epoch_with_dropout(side_by_side, shape, threads):
    N, T, C, H = shape
    flops = training_flops(N * T, C, H)
    batches = 20 if flops < 1e9 else 2
    X, y = data(batches, N, T, C)
    ours = our_epoch(threads, X, y, H, N, dropout=0.3, recurrent_dropout=0.3)
    side_by_side("epoch, dropout", shape, batches * flops, ours, {"without": our_epoch(threads, X, y, H, N)})


def our_classifier_epoch(threads, X, y, H, batch_size):
    model = LSTMClassifier(H, batch_size=batch_size, standardize=False, dropout=0.0, random_state=0, n_jobs=threads)

    def epoch():
        model.partial_fit(X, y, classes=range(9))

    return epoch


def test_epoch_of_unequal_lengths(side_by_side, threads):
    """Series as in JapaneseVowels; what a step costs there, beside a step of as many series of one length."""
    n, N, T, C, H = 270, 32, 18, 12, 64
    rng = np.random.default_rng(0)
    lengths, y = rng.integers(7, 29, n, endpoint=True), rng.integers(9, size=n)
    equal = rng.standard_normal((n, T, C), dtype=np.float32)
    X = [rng.standard_normal((length, C), dtype=np.float32) for length in lengths]
    rivals = {"equal lengths, per step": our_classifier_epoch(threads, equal, y, H, N)}
    if threads > 1:
        rivals["1 thread"] = our_classifier_epoch(1, X, y, H, N)
    ours, flops = our_classifier_epoch(threads, X, y, H, N), training_flops(lengths.sum(), C, H)
    row = side_by_side("epoch, unequal lengths", (N, T, C, H), flops, ours, rivals)
    row["peers_ms"]["equal lengths, per step"] *= lengths.sum() / (n * T)  # to as many steps


def test_epoch_of_symbols(side_by_side, threads):
    """Texts of a vocabulary of 10,000 words, whose frequencies follow Zipf's law, that of natural languages."""
    N, T, E, H, V, batches = 64, 100, 64, 128, 10_000, 8
    rng, frequencies = np.random.default_rng(0), 1 / np.arange(1, V + 1)
    X = rng.choice(V, (batches * N, T), p=frequencies / frequencies.sum())
    X.flat[:V] = rng.permutation(V)  # each occurs
    y = rng.standard_normal(batches * N, dtype=np.float32)
    rivals = {"torch": peers.torch_epoch(X, y, H, N, (V + 1, E))}
    if threads > 1:
        rivals["1 thread"] = our_epoch(1, X, y, H, N, embedding_size=E)
    flops = batches * training_flops(N * T, E, H)
    side_by_side("epoch, symbols", (N, T, E, H), flops, our_epoch(threads, X, y, H, N, embedding_size=E), rivals)


def time_kernels(monkeypatch, entries, spent):
    """From now on, add the seconds that the backend's compiled functions take to spent[0]."""

    class Timed:
        """An object of the entries, whose methods are timed."""

        def __init__(self, of):
            self.of = of

        def __getattr__(self, name):
            return timed(getattr(self.of, name))

    def timed(kernel):
        def call(*args):
            args = [value.of if isinstance(value, Timed) else value for value in args]
            start = time.perf_counter()
            result = kernel(*args)
            spent[0] += time.perf_counter() - start
            return result if result is None or isinstance(result, (bool, int, str)) else Timed(result)

        return call

    for name, value in vars(entries).copy().items():
        if callable(value) and not name.startswith("_"):
            monkeypatch.setattr(entries, name, timed(value))


@pytest.mark.parametrize("threads", [1], ids=["threads1"], indirect=True)
def test_part_of_fit_beyond_its_kernels(side_by_side, monkeypatch, threads):
    N, T, C, H = 32, 24, 1, 32
    epochs, batches, spent = 20, 20, [0.0]
    X, y = data(batches, N, T, C)
    options = {"max_iter": epochs, "learning_rate": "cosine", "standardize": False, "dropout": 0.0}
    model = LSTMRegressor(H, batch_size=N, **options, random_state=0, n_jobs=threads)

    def fit():
        model.fit(X, y)

    flops = epochs * batches * training_flops(N * T, C, H)
    row = side_by_side("beyond kernels", (N, T, C, H), flops, fit)
    time_kernels(monkeypatch, kernels.load().entries(X.dtype), spent)
    in_kernels = []
    for _ in range(9):
        spent[0] = 0.0
        fit()
        in_kernels.append(1e3 * spent[0])
    row["peers_ms"] = {"kernels alone": statistics.median(in_kernels)}
