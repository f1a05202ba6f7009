"""Predictions keep the buffers of small runs for the next call: bounded, for one call at a time, never with weights."""

import copy
import pickle
import threading

import numpy as np
import pytest
from helpers import run_python
from numpy.testing import assert_array_equal
from test_processes import FORK, can_fork

from fastlstm import LSTMClassifier, LSTMRegressor, kernels, sequences
from fastlstm.pool import Pool
from fastlstm.training import inference

T = 6
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, T))
QUICK = {"max_iter": 1, "learning_rate": "cosine", "random_state": 0}


@pytest.fixture(autouse=True)
def idle(monkeypatch):
    """An empty pool."""
    pool = Pool(inference.KEPT)
    monkeypatch.setattr(inference, "_idle", pool)
    return pool


def fitted(backend="auto", **options):
    return LSTMRegressor(5, backend=backend, **{**QUICK, **options}).fit(X, X[:, 0])


def afresh(function, *args):
    """The result of a call that finds no buffers."""
    kept, inference._idle = inference._idle, Pool(inference.KEPT)
    try:
        return function(*args)
    finally:
        inference._idle = kept


# -- the pool -----------------------------------------------------------------------------------------------


def test_the_pool_gives_what_fits_and_keeps_the_others():
    pool = Pool(3)
    for item in "abc":
        pool.leave(item)
    assert pool.take(lambda item: item == "b") == "b"
    assert pool.take(lambda item: item == "b") is None
    assert len(pool) == 2


def test_the_pool_drops_the_least_recent():
    pool = Pool(2)
    for item in "ab":
        pool.leave(item)
    pool.leave(pool.take(lambda item: item == "a"))
    pool.leave("c")
    assert [pool.take(lambda item: True) for _ in range(3)] == ["a", "c", None]


# -- results ------------------------------------------------------------------------------------------------


def lists(n):
    return [X[k, : 1 + k % T] for k in range(n)]


LONGER = [X[k, k % 3 :] for k in range(7)]  # as many as seven of `lists`, and the longest is as long
BATCHES = [X[:1], X[:7], X[:1, :, None], X[:7], lists(7), LONGER, lists(7), X[:1], lists(8), X, X[3:4]]


@pytest.mark.parametrize(
    "options",
    [{}, {"num_layers": 2, "bidirectional": True}, {"cell": "gru", "dtype": "float64"}, {"missing": "mask"}],
    ids=["plain", "stacked", "float64", "masked"],
)
@pytest.mark.parametrize("method", ["predict", "hidden_states"])
def test_results_do_not_depend_on_earlier_calls(backend, options, method):
    method = getattr(fitted(backend, **options), method)
    for batch in BATCHES:
        for one, other in zip(method(batch), afresh(method, batch), strict=True):
            assert_array_equal(one, other, strict=True)


def test_models_of_the_same_sizes_do_not_mix(backend):
    models = [fitted(backend, random_state=seed) for seed in range(3)]
    expected = [afresh(model.predict, X[:2]) for model in models]
    for _ in range(2):
        for model, result in zip(models, expected, strict=True):
            assert_array_equal(model.predict(X[:2]), result)
    assert len({result.tobytes() for result in expected}) == 3


def test_models_of_different_heads_do_not_mix(backend):
    labels = np.arange(len(X)) % 9
    few, many = (LSTMClassifier(5, backend=backend, **QUICK).fit(X, labels % n) for n in (2, 9))
    for _ in range(2):
        for model in (few, many):
            assert_array_equal(model.predict_proba(X[:2]), afresh(model.predict_proba, X[:2]))


def test_a_result_stays_when_the_next_is_computed(backend):
    model = fitted(backend)
    first = model.predict(X[:2])
    expected = first.copy()
    model.predict(X[2:4])
    assert_array_equal(first, expected)


def test_blocks_and_threads_do_not_change_results(backend, four_cpus, monkeypatch):
    model = fitted(backend)
    expected = model.predict(X), model.hidden_states(X)
    monkeypatch.setattr(sequences, "blocks", lambda n, *_: [slice(k, min(k + 16, n)) for k in range(0, n, 16)])
    for _ in range(2):
        assert_array_equal(model.predict(X), expected[0])
        assert_array_equal(model.hidden_states(X), expected[1])


# -- weights ------------------------------------------------------------------------------------------------


NAMES = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "head.weight", "head.bias"]


@pytest.mark.parametrize("name", NAMES)
def test_a_weight_edited_in_place_takes_effect_in_the_next_call(backend, name):
    model = fitted(backend)
    before = model.predict(X[:1])
    model.weights_[name][...] += 0.5
    after = model.predict(X[:1])
    assert after != before
    assert_array_equal(after, afresh(copy.deepcopy(model).predict, X[:1]))


def test_assigned_weights_take_effect_in_the_next_call(backend):
    model, other = fitted(backend), fitted(backend, random_state=1)
    model.predict(X[:1])
    model.weights_["head.bias"] = model.weights_["head.bias"] + 1
    moved = model.predict(X[:1])
    model.weights_ = {**other.weights_}
    assert moved != model.predict(X[:1])


def test_weights_edited_in_place_to_another_shape_raise(backend):
    model = fitted(backend)
    model.predict(X[:1])
    model.weights_["head.bias"] = np.zeros(2, "float32")
    with pytest.raises(ValueError, match=r"weights_\['head.bias'\]"):
        model.predict(X[:1])


def test_no_weights_are_kept(backend):
    model = fitted(backend)
    weights = model.weights_["head.weight"]
    model.predict(X[:1])
    del model
    weights.resize((1, 3))  # raises if anything refers to the array


# -- memory -------------------------------------------------------------------------------------------------


def test_a_repeated_call_prepares_nothing(monkeypatch, backend):
    model = fitted(backend)
    expected = model.predict(X[:1])
    monkeypatch.delattr(inference, "StackRun")
    monkeypatch.delattr(inference, "PackedStack")
    assert_array_equal(model.predict(X[:1].copy()), expected)


def test_the_last_few_layouts_are_kept(monkeypatch, idle):
    model = fitted()
    for n in range(1, inference.KEPT + 3):
        model.predict(X[:n])
    assert len(idle) == inference.KEPT
    monkeypatch.delattr(inference, "StackRun")
    for n in range(3, inference.KEPT + 3):
        model.predict(X[:n])
    with pytest.raises(NameError):
        model.predict(X[:2])


@pytest.mark.parametrize("options", [{}, {"return_sequences": True}, {"hidden_size": 40, "num_layers": 2}])
@pytest.mark.parametrize("n", [1, 40, 400])
def test_the_size_of_buffers_is_about_as_estimated(fast, options, n):
    sizes, y = {"hidden_size": 24} | options, np.tile(X, (10, 1))[:n]
    model = LSTMRegressor(**sizes, backend=fast, **QUICK).fit(y, y if "return_sequences" in options else y[:, 0])
    model.predict(y)
    forward = inference._idle.take(lambda _: True)
    spaces = [*forward._workspaces, forward._workspace]
    size = sum(owner.size for space in spaces for owner, _ in space._kept.values())
    assert 0.3 * forward.bytes < size < 3 * forward.bytes + 50_000


def test_large_buffers_are_not_kept(monkeypatch, idle):
    model = fitted()
    monkeypatch.setattr(inference, "KEPT_BYTES", 3_000)
    model.predict(X)
    assert len(idle) == 0
    model.predict(X[:1])
    assert len(idle) == 1


def test_the_input_is_not_kept():
    model, x = fitted(standardize=False, dtype="float64"), X[:1].copy()
    model.predict(x)
    x.resize((2, T))  # raises if anything refers to the array


def test_a_failed_call_keeps_no_buffers(monkeypatch, backend, idle):
    model = fitted(backend)
    expected = model.predict(X[:1])

    def fail(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(inference.StackRun, "last_outputs", fail)
        with pytest.raises(KeyboardInterrupt):
            model.predict(X[:1])
    assert len(idle) == 0
    assert_array_equal(model.predict(X[:1]), expected)


def test_pickles_do_not_grow_by_predictions():
    model = fitted()
    before = pickle.dumps(model)
    model.predict(X)
    assert pickle.dumps(model) == before


# -- several calls at once ----------------------------------------------------------------------------------


def test_threads_share_a_model(fast):
    model = fitted(fast)
    batches = [X[:1], X[:7], lists(7), X[1:2]]
    expected = [afresh(model.predict, batch) for batch in batches]
    wrong = []

    def work(first):
        for n in range(first, first + 200):
            k = n % len(batches)
            if not np.array_equal(model.predict(batches[k]), expected[k]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=[first]) for first in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_call_within_a_call_has_buffers_of_its_own(monkeypatch, backend):
    model = fitted(backend)
    expected, others = model.predict(X[:1]), model.predict(X[1:2])
    last_outputs, nested = inference.StackRun.last_outputs, []

    def call_again(*args):
        if not nested:
            nested.append(None)
            nested.append(model.predict(X[1:2]))
        return last_outputs(*args)

    monkeypatch.setattr(inference.StackRun, "last_outputs", call_again)
    assert_array_equal(model.predict(X[:1]), expected)
    assert_array_equal(nested[1], others)


@can_fork
def test_a_child_predicts_while_another_thread_predicted_when_it_was_forked():
    program = """
import numpy as np
from fastlstm import LSTMRegressor
from fastlstm.stacks import StackRun

X = np.random.default_rng(0).normal(size=(20, 5))
model = LSTMRegressor(4, max_iter=1, learning_rate="cosine").fit(X, X[:, 0])
expected, last_outputs = model.predict(X[:1]), StackRun.last_outputs


def other_thread(inside, leave):
    def stay(*args):
        if threading.current_thread() is thread:
            inside.set()
            leave.wait()
        return last_outputs(*args)

    thread = threading.current_thread()
    StackRun.last_outputs = stay
    model.predict(X[:1])


def child():
    return np.array_equal(model.predict(X[:1]), expected)


fork_while(other_thread, child)
"""
    assert run_python("-c", FORK + program) == "0"


# -- models without an estimator ----------------------------------------------------------------------------


def test_scores_of_a_model_are_those_of_its_estimator(backend):
    model = fitted(backend)
    for _ in range(2):
        scores = model._model.scores(sequences.of_array(X[:3]), kernels.resolve(backend))
        assert_array_equal(model._model.output.predict(scores), model.predict(X[:3]))
