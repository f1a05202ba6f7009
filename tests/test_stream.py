"""Layers a step at a time."""

import copy
import pickle

import numpy as np
import pytest
from helpers import class_of
from numpy.testing import assert_array_equal

from fastlstm.layers import LSTM


def draw(*shape, dtype="float64"):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize(("n", "C", "H"), [(1, 8, 32), (1, 1, 1), (3, 2, 17), (7, 5, 50)])
def test_steps_have_the_bits_of_a_call(backend, cell, dtype, n, C, H):
    layer, x = class_of(cell)(C, H, dtype=dtype, backend=backend, random_state=0), draw(n, 6, C, dtype=dtype)
    output, state_n = layer(x)
    state = layer.initial_state(n)
    steps = [layer.step(x[:, t], state) for t in range(6)]
    assert_array_equal(np.stack(steps, axis=1), output)
    assert_array_equal(state.state, state_n)


@pytest.fixture
def layer(backend, cell):
    return class_of(cell)(3, 5, dtype="float64", backend=backend, random_state=0)


def test_a_stream_starts_from_the_state_it_is_given(layer):
    x = draw(2, 6, 3)
    _, so_far = layer(x[:, :4])
    state = layer.initial_state(2, so_far)
    assert_array_equal(state.state, so_far)
    assert_array_equal(layer.step(x[:, 4], state), layer(x)[0][:, 4])


def test_a_stream_shows_hidden_and_cell_states(backend):
    layer, x = LSTM(3, 5, dtype="float64", backend=backend, random_state=0), draw(2, 1, 3)
    state = layer.initial_state(2)
    layer.step(x[:, 0], state)
    assert_array_equal((state.h, state.c), layer(x)[1])


def test_streams_do_not_share_their_states(layer):
    x, one, other = draw(1, 4, 3), layer.initial_state(), layer.initial_state()
    layer.step(-x[:, 0], other)
    steps = [layer.step(x[:, t], one) for t in range(4)]
    assert_array_equal(np.stack(steps, axis=1), layer(x)[0])


def test_a_step_takes_the_weights_that_the_layer_has_then(layer):
    other = type(layer)(3, 5, dtype="float64", backend=layer.backend, random_state=1)
    x, state = draw(1, 1, 3), layer.initial_state()
    layer.step(x[:, 0], layer.initial_state())
    layer.load_state_dict(other.state_dict())
    assert_array_equal(layer.step(x[:, 0], state), other(x)[0][:, 0])


def test_inputs_of_a_step_may_be_views_and_read_only(layer):
    view = draw(2, 3, 8)[:, 0, ::3]
    view.flags.writeable = False
    expected = layer(np.ascontiguousarray(view)[:, None])[0][:, 0]
    assert_array_equal(layer.step(view, layer.initial_state(2)), expected)


@pytest.mark.parametrize(
    ("x_t", "error", "message"),
    [
        (np.zeros((1, 4)), ValueError, r"x_t has shape \(1, 4\); expected \(1, 3\)"),
        (np.zeros(3), ValueError, r"x_t has shape \(3,\); expected \(1, 3\)"),
        (np.zeros((1, 3), "float32"), TypeError, "x_t is of type float32; this layer computes in float64"),
    ],
    ids=["channels", "axes", "type"],
)
def test_bad_inputs_of_a_step_leave_the_state(layer, x_t, error, message):
    state = layer.initial_state()
    with pytest.raises(error, match=message):
        layer.step(x_t, state)
    assert not np.any(state.state)


def test_a_state_of_another_kind_is_named():
    layer = LSTM(3, 5, random_state=0)
    x_t = np.zeros((1, 3), "float32")
    for state in (None, layer(x_t[None])[1], LSTM(3, 5).initial_state()):
        with pytest.raises(ValueError, match="state: expected what `initial_state` of this layer returned"):
            layer.step(x_t, state)
    for n in (0, 1.5, True):
        with pytest.raises(ValueError, match="expected a number of streams, 1 or more"):
            layer.initial_state(n)
    with pytest.raises(ValueError, match=r"state\[0\] has shape \(1, 1, 4\); expected \(1, 1, 5\)"):
        layer.initial_state(state=(np.zeros((1, 1, 4), "float32"),) * 2)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_a_copied_state_goes_on_by_itself(layer, copied):
    x, state = draw(2, 4, 3), layer.initial_state(2)
    layer.step(x[:, 0], state)
    other = copied(state)
    layer.step(-x[:, 1], other)
    steps = [layer.step(x[:, t], state) for t in range(1, 4)]
    assert_array_equal(np.stack(steps, axis=1), layer(x)[0][:, 1:])


def test_a_pickled_state_goes_on_where_it_was(layer):
    x, state = draw(2, 4, 3), layer.initial_state(2)
    layer.step(x[:, 0], state)
    layer, state = pickle.loads(pickle.dumps((layer, state)))
    for t in range(1, 4):
        h_t = layer.step(x[:, t], state)
    assert_array_equal(h_t, layer(x)[0][:, 3])
    assert_array_equal(state.h[0], h_t)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_state_may_start_from_arrays_of_any_order(order):
    layer, h = LSTM(2, 3, dtype="float64", random_state=0), np.arange(12.0).reshape(1, 4, 3)
    state = layer.initial_state(4, (np.asarray(h, order=order), np.array(h, order=order)))
    assert_array_equal(state.h, h)
