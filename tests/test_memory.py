"""Memory of a layer's results: never written to while anybody holds one, and used again afterwards."""

import gc
import pickle
import sys
import threading
import weakref

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastlstm.kernels import workspace
from fastlstm.layers import LSTM
from fastlstm.layers.memory import ROOMS, Room

SHAPE = 4, 5, 3


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal(SHAPE).astype("float32")


@pytest.fixture(params=[False, True], ids=["forward", "both directions"])
def layer(request, backend):
    return LSTM(3, 8, bidirectional=request.param, backend=backend, random_state=0)


def call(layer, x):
    return layer(x)[0]


def call_with_lengths(layer, x):
    return layer(x, lengths=[5, 2, 4, 1])[0]


def record(layer, x):
    return layer.record(x)[0]


def backward(layer, x, keep_tape=True):
    output, _, tape = layer.record(x)
    return layer.backward(tape, np.ones_like(output), keep_tape=keep_tape).x


def backward_in_place(layer, x):
    return backward(layer, x, keep_tape=False)


RESULTS = [call, call_with_lengths, record, backward, backward_in_place]
results = pytest.mark.parametrize("compute", RESULTS)


def address(array):
    return array.__array_interface__["data"][0]


def held_by_a_frame(array):
    def wait(array):
        yield
        yield array

    frame = wait(array)
    next(frame)
    return frame


class HeldByAThread:
    def __init__(self, array):
        self._drop, self._given = threading.Event(), []
        self._thread = threading.Thread(target=self._wait, args=[array])
        self._thread.start()

    def _wait(self, array):
        self._drop.wait()
        self._given.append(array)

    def give(self):
        self._drop.set()
        self._thread.join()
        return self._given.pop()


#: How a result may be held, and how it is then read.
HOLDERS = {
    "array": (lambda array: array, np.asarray),
    "view": (lambda array: array[:, -1], np.asarray),
    "view of a view": (lambda array: array[1:].T[2:], np.asarray),
    "memoryview": (memoryview, np.asarray),
    "slice of a memoryview": (lambda array: memoryview(array)[1:], np.asarray),
    "base": (lambda array: array.base, np.asarray),
    "iterator": (lambda array: array.flat, np.array),
    "frame": (held_by_a_frame, next),
    "thread": (HeldByAThread, HeldByAThread.give),
}


@results
@pytest.mark.parametrize(("hold", "read"), HOLDERS.values(), ids=HOLDERS)
def test_a_result_stays_however_it_is_held(layer, x, compute, hold, read):
    result = compute(layer, x)
    held, expected = hold(result), np.array(read(hold(result)))
    del result
    for n in range(2 * ROOMS):
        compute(layer, x + n)
    assert_array_equal(read(held), expected)


def test_a_finalizer_finds_the_result_that_its_garbage_held(layer, x):
    # the collector may clear weak references to garbage before it calls finalizers
    class Garbage:
        def __init__(self):
            self.itself, self.result, self.expected = self, layer(x)[0], layer(x)[0].copy()

        def __del__(self):
            for n in range(2 * ROOMS):
                layer(x + n)
            found.append(np.array_equal(self.result, self.expected))

    found = []
    Garbage()
    gc.collect()
    assert found == [True]


def test_a_finalizer_plays_the_tape_that_its_garbage_held(layer, x):
    class Garbage:
        def __init__(self):
            self.itself, self.tape = self, layer.record(x)[2]

        def __del__(self):
            for n in range(2 * ROOMS):
                layer.record(x + n)
            found.append(layer.backward(self.tape, ones).x)

    found, ones = [], np.ones_like(layer(x)[0])
    expected = layer.backward(layer.record(x)[2], ones).x
    Garbage()
    gc.collect()
    assert_array_equal(found[0], expected)


@results
def test_memory_returns_once_results_are_dropped(backend, x, compute):
    if backend == "numpy" and "backward" in compute.__name__:
        pytest.skip("its gradients are new arrays")
    layer = LSTM(3, 8, backend=backend, random_state=0)
    assert len({address(compute(layer, x)) for _ in range(10)}) == 1


@results
def test_a_loop_that_holds_its_last_result_allocates_nothing(layer, x, compute, monkeypatch):
    allocated, aligned_bytes = [], workspace._aligned_bytes

    def noted(*args):
        allocated.append(args)
        return aligned_bytes(*args)

    for _ in range(2 * ROOMS):
        result = compute(layer, x)
    monkeypatch.setattr(workspace, "_aligned_bytes", noted)
    for _ in range(2 * ROOMS):
        result = compute(layer, x)
    assert allocated == []
    del result


@pytest.mark.parametrize("keep_tape", [True, False])
def test_a_training_loop_allocates_nothing(layer, x, monkeypatch, keep_tape):
    def train():
        for _ in range(2 * ROOMS):  # all that a step leaves is held until the next one has replaced it
            output, state, tape = layer.record(x)
            grads = layer.backward(tape, ones, keep_tape=keep_tape)
        return output, state, tape, grads

    ones = np.ones_like(layer(x)[0])
    last = train()
    del last
    last = train()
    monkeypatch.setattr(workspace, "_aligned_bytes", None)
    del last
    train()


def test_a_tape_keeps_its_memory_when_its_output_is_dropped(layer, x):
    output, _, tape = layer.record(x)
    ones = np.ones_like(output)
    expected = layer.backward(tape, ones).x.copy()
    del output
    for n in range(2 * ROOMS):
        layer.record(x + n)
    assert_array_equal(layer.backward(tape, ones).x, expected)


def test_an_output_stays_when_its_tape_is_used_up(layer, x):
    output, _, tape = layer.record(x)
    expected = output.copy()
    layer.backward(tape, np.ones_like(output), keep_tape=False)
    del tape
    for n in range(2 * ROOMS):
        backward_in_place(layer, x + n)
    assert_array_equal(output, expected)


def test_a_room_is_free_when_all_that_was_lent_is_gone():
    room, array = Room(1), np.zeros((2, 3))
    first, second = room.lend(array), room.lend(array[1:])
    view = first[0]
    del first, second
    assert not room.is_free()
    del view
    assert room.is_free()


def test_counts_of_references_decide_nothing(layer, x, monkeypatch):
    def none(array):
        raise AssertionError("counted")

    monkeypatch.setattr(sys, "getrefcount", none)
    for compute in RESULTS:
        compute(layer, x)


def test_a_layer_does_not_keep_its_inputs(layer):
    x = np.ones(SHAPE, "float32")
    state = tuple(np.ones((1 + layer.bidirectional, 4, 8), "float32") for _ in range(2))
    kept = [weakref.ref(array) for array in (x, *state)]
    layer(x, state)
    del x, state
    gc.collect()
    assert [array() for array in kept] == [None] * 3


def test_equal_lengths_in_another_order_are_another_layout(layer, x):
    layer(x, lengths=[5, 2, 4, 1])
    again = pickle.loads(pickle.dumps(layer))
    assert_array_equal(layer(x, lengths=[1, 2, 4, 5])[0], again(x, lengths=[1, 2, 4, 5])[0])


def test_runs_that_were_prepared_compute_with_weights_loaded_later(layer, x):
    other = LSTM(3, 8, bidirectional=layer.bidirectional, backend=layer.backend, random_state=1)
    layer(x)
    layer.load_state_dict(other.state_dict())
    assert_array_equal(layer(x)[0], other(x)[0])
