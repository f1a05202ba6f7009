"""`bptt_steps`: gradients that go back a number of steps, and states that go on."""

import tracemalloc

import numpy as np
import pytest
from helpers import assert_refused, assert_same_fit, bare, class_of
from numpy.testing import assert_allclose, assert_array_equal

from fastlstm import LSTMClassifier, LSTMRegressor
from fastlstm.sequences import of_members
from fastlstm.training import batches

LENGTHS = {"equal": [7] * 5, "unequal": [2, 7, 1, 6, 4], "short": [1, 2, 1, 1, 2]}
of_lengths = pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
heads = pytest.mark.parametrize("per_step", [False, True], ids=["last", "steps"])
RATE = 0.1


def data(lengths, per_step):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(length, 2)) for length in lengths]
    return X, [x[:, 0] for x in X] if per_step else np.array([x.sum() for x in X])


def model(per_step, **options):
    options = {"hidden_size": 6, "dtype": "float64", "random_state": 0, "learning_rate": "cosine", **options}
    return bare(LSTMRegressor, return_sequences=per_step, **options)


def plain_sgd(**options):
    """One epoch of plain gradient descent on one batch."""
    return {"solver": "sgd", "momentum": 0.0, "nesterovs_momentum": False, "learning_rate_init": RATE, "max_iter": 1,
            "shuffle": False, "clip_norm": None, "batch_size": 10, **options}  # fmt: skip


def initial_weights(X, y, **options):
    """Those that the model begins with: after one epoch at next to no rate."""
    return model(**options, **plain_sgd(learning_rate_init=1e-300)).fit(X, y).weights_


class Reference:
    """The same training by the layers and their gradients, a series and a piece at a time."""

    def __init__(self, cell, weights):
        self.weights = {name: value.copy() for name, value in weights.items()}
        sizes = [weights[name].shape[1] for name in weights if name.startswith("weight_hh")]
        self.layer = class_of(cell)(2, sizes[0], len(sizes), dtype="float64", backend="numpy")

    def load(self):
        self.layer.load_state_dict({k: v for k, v in self.weights.items() if not k.startswith("head")})

    def gradient(self, x, targets, share, state, last_only):
        """Of half the squared errors of a piece, times share; and the state after it."""
        self.load()
        output, state, tape = self.layer.record(x[None], state)
        rows = output[0, -1:] if last_only else output[0]
        residuals = rows @ self.weights["head.weight"][0] + self.weights["head.bias"][0] - targets
        d_scores = residuals * share
        d_output = np.zeros_like(output)
        d_output[0, -1 if last_only else slice(None)] = d_scores[:, None] * self.weights["head.weight"]
        gradient = dict(self.layer.backward(tape, d_output).weights)
        return gradient | {"head.weight": d_scores[None] @ rows, "head.bias": d_scores.sum(keepdims=True)}, state

    def update(self, gradients):
        for gradient in gradients:
            for name, value in gradient.items():
                self.weights[name] -= RATE * value


@heads
@of_lengths
@pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"bptt_checkpoint": 2}], ids=["one", "stack", "twice"])
@pytest.mark.parametrize("k", [1, 3])
def test_pieces_are_trained_one_after_the_other(backend, cell, per_step, lengths, options, k):
    X, y = data(lengths, per_step)
    options = {"cell": cell, "backend": backend, "per_step": per_step, **options}
    reference = Reference(cell, initial_weights(X, y, **options))
    trained = model(bptt_steps=k, **options, **plain_sgd()).fit(X, y)
    states = [None] * len(X)
    if per_step:
        for first in range(0, max(lengths), k):
            going_on = [n for n, x in enumerate(X) if len(x) > first]
            share = 1 / sum(len(X[n][first : first + k]) for n in going_on)
            gradients = []
            for n in going_on:
                piece = slice(first, first + k)
                gradient, states[n] = reference.gradient(X[n][piece], y[n][piece], share, states[n], False)
                gradients.append(gradient)
            reference.update(gradients)
    else:
        reference.load()
        gradients = []
        for x, target in zip(X, y, strict=True):
            before, window = x[: max(len(x) - k, 0)], x[max(len(x) - k, 0) :]
            state = reference.layer(before[None])[1] if len(before) else None
            gradients.append(reference.gradient(window, target, 1 / len(X), state, True)[0])
        reference.update(gradients)
    for name, value in reference.weights.items():
        assert_allclose(trained.weights_[name], value, rtol=1e-9, atol=1e-12, err_msg=name)


@heads
@of_lengths
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_as_many_steps_as_there_are_change_nothing(backend, per_step, lengths, dropout):
    X, y = data(lengths, per_step)
    options = {"max_iter": 3, "batch_size": 2, "backend": backend, "dropout": dropout, "recurrent_dropout": dropout}
    whole = model(per_step, **options).fit(X, y)
    assert_same_fit(model(per_step, bptt_steps=7, **options).fit(X, y), whole)
    assert_same_fit(model(per_step, bptt_steps=100, **options).fit(X, y), whole)


@heads
@of_lengths
def test_bits_do_not_depend_on_threads(four_cpus, by_units, cell, per_step, lengths, dtype):
    X, y = data(lengths, per_step)
    options = {"hidden_size": 70, "cell": cell, "dtype": dtype, "max_iter": 3, "batch_size": 3, "dropout": 0.3,
               "recurrent_dropout": 0.3, "bptt_steps": 3}  # fmt: skip
    one, three = (model(per_step, n_jobs=n_jobs, **options).fit(X, y) for n_jobs in (1, 3))
    assert_same_fit(one, three)


def test_steps_without_weight_are_read(backend):
    """A chunk without a target has no update, but its steps count for those after it."""
    X, y = data([9] * 3, True)
    weights = [np.r_[np.zeros(6), np.ones(3)]] * 3
    options = {"bptt_steps": 3, "backend": backend, "max_iter": 2, "shuffle": False}
    trained = model(True, **options).fit(X, y, weights)
    other = model(True, **options).fit([x * np.r_[np.full(6, 2.0), np.ones(3)][:, None] for x in X], y, weights)
    assert trained.loss_ != other.loss_
    nonsense = [np.r_[np.full(6, 1e6), of_series[6:]] for of_series in y]
    assert_same_fit(model(True, **options).fit(X, nonsense, weights), trained)


def test_only_the_last_steps_have_a_gradient(backend):
    """What comes before reaches the loss by the states alone: weights of inputs that are zero since do not move."""
    X = np.random.default_rng(0).normal(size=(6, 9, 2))
    X[:, 5:, 1] = 0  # the second channel ends before the last four steps
    y, options = X[:, 0, 1], {"backend": backend, "max_iter": 5, "solver": "sgd", "learning_rate_init": 0.1}
    begin = model(False, **{**options, "learning_rate_init": 1e-300}).fit(X, y).weights_["weight_ih_l0"]
    of_window = model(False, bptt_steps=4, **options).fit(X, y).weights_["weight_ih_l0"]
    of_more = model(False, bptt_steps=5, **options).fit(X, y).weights_["weight_ih_l0"]
    assert_array_equal(of_window[:, 1], begin[:, 1])
    assert (of_window[:, 0] != begin[:, 0]).any()
    assert (of_more[:, 1] != begin[:, 1]).any()


@pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])
def test_a_bidirectional_network_has_no_pieces(estimator):
    model = bare(estimator, 4, bidirectional=True, bptt_steps=3)
    message = "bptt_steps=3 is not supported with bidirectional=True.*set bptt_steps=None"
    assert_refused(lambda: model.fit(np.zeros((4, 5)), [0, 1, 0, 1]), ValueError, message, model)


@heads
@pytest.mark.parametrize("shortest", [10, 100_000], ids=["unequal", "equal"])
def test_a_chunk_costs_by_its_own_steps(per_step, shortest):
    """However long the series are: an epoch has as many chunks as they have steps."""
    series = of_members([np.zeros(length) for length in (100_000, shortest)], "float32", "X")
    tracemalloc.start()
    try:
        for number in (0, 500, batches.n_chunks(series, np.arange(2), 10) - 1):
            batches.chunk(series, np.arange(2), number, 10, per_step)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20_000


@heads
def test_a_batch_is_sorted_once_however_many_chunks_it_has(monkeypatch, per_step):
    sorts, argsort = [], np.argsort
    monkeypatch.setattr(np, "argsort", lambda *args, **options: sorts.append(1) or argsort(*args, **options))

    def count(steps):
        sorts.clear()
        model(per_step, bptt_steps=steps, max_iter=1).fit(*data(LENGTHS["unequal"], per_step))
        return len(sorts)

    assert count(1) == count(6)
