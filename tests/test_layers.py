"""LSTM on every backend: the equations, the gradients, the bits."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from conftest import all_results, needs_torch, problem
from numpy.testing import assert_allclose, assert_array_equal

from fastlstm import kernels
from fastlstm.layers import LSTM

GOLDEN = Path(__file__).parent / "golden"
LSTM_FILES = sorted(GOLDEN.glob("lstm_*.npz"))
AWKWARD = [(1, 1, 1, 1), (5, 6, 3, 50), (17, 4, 5, 100), (7, 3, 40, 17), (13, 2, 1, 33), (2, 9, 7, 16), (32, 5, 300, 8)]
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


@pytest.mark.parametrize("T", [1, 2, 5])
@pytest.mark.parametrize("N", [1, 3])
@pytest.mark.parametrize("C", [1, 4])
@pytest.mark.parametrize("H", [1, 3, 8, 17])
def test_gradients_are_those_of_finite_differences(backend, T, N, C, H):
    layer = LSTM(C, H, dtype="float64", backend=backend, random_state=0)
    x, state, d_output, d_state = problem(N, T, C, H)

    weights = layer.state_dict()

    def loss():
        layer.load_state_dict(weights)
        output, state_n = layer(x, state)
        return np.vdot(output, d_output) + sum(np.vdot(s, d) for s, d in zip(state_n, d_state, strict=True))

    results = all_results(layer, x, state, d_output, d_state)
    variables = {"d_x": x, "d_h_0": state[0], "d_c_0": state[1]}
    variables |= {f"d_{name}": value for name, value in weights.items()}
    for name, variable in variables.items():
        numeric = np.empty(variable.size)
        for k, value in enumerate(variable.flat):
            variable.flat[k] = value + 1e-5
            up = loss()
            variable.flat[k] = value - 1e-5
            numeric[k] = (up - loss()) / 2e-5
            variable.flat[k] = value
        assert_allclose(results[name].ravel(), numeric, rtol=1e-6, atol=1e-8, err_msg=name)


@pytest.mark.parametrize("shape", AWKWARD)
def test_backends_agree(backend, dtype, shape):
    N, T, C, H = shape
    data = problem(N, T, C, H, dtype)
    ours = all_results(LSTM(C, H, dtype=dtype, backend=backend, random_state=0), *data)
    oracle = all_results(LSTM(C, H, dtype=dtype, backend="numpy", random_state=0), *data)
    for name, value in oracle.items():
        assert_allclose(
            ours[name], value, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * np.abs(value).max(), err_msg=name
        )


def assert_equals_torch(case, backend, dtype):
    layer = LSTM(case["x"].shape[2], case["h_0"].shape[2], dtype=dtype, backend=backend)
    layer.load_state_dict({name: case[name] for name in layer.state_dict()})
    case = {name: value.astype(dtype) for name, value in case.items()}
    state, d_state = (case["h_0"], case["c_0"]), (case["d_h_n"], case["d_c_n"])
    for name, value in all_results(layer, case["x"], state, case["d_output"], d_state).items():
        assert_allclose(value, case[name], rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * 10, err_msg=name)


@pytest.mark.parametrize("path", LSTM_FILES, ids=lambda path: path.stem)
def test_outputs_and_gradients_are_those_of_golden_torch(backend, dtype, path):
    assert_equals_torch(dict(np.load(path)), backend, dtype)


@needs_torch
def test_outputs_and_gradients_are_those_of_installed_torch(backend, dtype):
    from torch_peer import SHAPES, lstm_case

    for shape in SHAPES:
        assert_equals_torch(lstm_case(*shape), backend, dtype)


@needs_torch
def test_weights_come_from_torch_and_go_back(backend):
    import torch

    theirs, ours = torch.nn.LSTM(3, 5), LSTM(3, 5, backend=backend)
    ours.load_state_dict(theirs.state_dict())
    again = torch.nn.LSTM(3, 5)
    again.load_state_dict({name: torch.from_numpy(value) for name, value in ours.state_dict().items()})
    for name, value in theirs.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)


def test_one_step_worked_by_hand(backend, dtype):
    # One step with c_0 = (1, 0), x = (1, 0, 0), no biases, and softmax cross-entropy of W_y h on the second of
    # three classes; the numbers were worked by hand to three decimals.
    of_h_and_x = {
        "i": [[-0.209, -0.14, 0.031, 0.226, 0.696], [0.101, -0.435, -0.406, -0.796, 0.324]],
        "f": [[0.813, -0.487, 0.02, -0.778, 0.418], [-0.708, 0.006, 0.856, -0.106, -0.872]],
        "g": [[-0.901, -0.877, -0.413, 0.16, -0.775], [-0.196, 0.077, 0.769, -0.567, -0.905]],
        "o": [[0.668, -0.605, -0.402, -0.691, -0.486], [0.613, 0.875, 0.549, -0.623, 0.262]],
    }
    W_y = np.array([[0.32, -0.172], [0.449, 0.349], [0.914, 0.371]])
    W = np.concatenate([of_h_and_x[gate] for gate in "ifgo"])
    layer = LSTM(3, 2, dtype=dtype, backend=backend)
    zeros = np.zeros(8)
    weights = {"weight_ih_l0": W[:, 2:], "weight_hh_l0": W[:, :2], "bias_ih_l0": zeros, "bias_hh_l0": zeros}
    layer.load_state_dict(weights)
    x = np.array([[[1, 0, 0]]], dtype)
    state = np.zeros((1, 1, 2), dtype), np.array([[[1, 0]]], dtype)
    close = {"rtol": 0, "atol": 0.0011}

    output, (h_n, c_n), tape = layer.record(x, state)
    assert_allclose(h_n[0, 0], [0.119, 0.16], **close)
    assert_allclose(c_n[0, 0], np.array([0.505, 0.702]) * [1, 0] + np.multiply([0.508, 0.4], [-0.391, 0.646]), **close)
    logits = W_y @ output[0, 0]
    assert_allclose(logits, [0.011, 0.109, 0.168], **close)
    probabilities = np.exp(logits) / np.exp(logits).sum()
    assert_allclose(probabilities, [0.305, 0.337, 0.358], **close)

    d_logits = probabilities - [0, 1, 0]
    assert_allclose(d_logits, [0.305, -0.663, 0.358], **close)
    assert_allclose(np.outer(d_logits, h_n), [[0.036, 0.049], [-0.079, -0.106], [0.043, 0.057]], **close)
    grads = layer.backward(tape, d_output=(W_y.T @ d_logits).astype(dtype)[None, None])
    of_first_input = {"i": [-0.005, -0.014], "f": [0.012, 0], "g": [0.02, -0.021], "o": [0.009, -0.009]}
    expected = np.zeros((8, 3))
    expected[:, 0] = np.concatenate([of_first_input[gate] for gate in "ifgo"])
    assert_allclose(grads.weights["weight_ih_l0"], expected, **close)
    assert_array_equal(grads.weights["weight_hh_l0"], np.zeros((8, 2)))  # h_0 is zero


@pytest.mark.parametrize("H", [1, 16, 37])
def test_a_row_has_the_same_bits_alone_and_in_any_batch(backend, dtype, H):
    N, T, C = 23, 4, 3
    layer = LSTM(C, H, dtype=dtype, backend=backend, random_state=0)
    x, state, d_output, d_state = problem(N, T, C, H, dtype)
    together = all_results(layer, x, state, d_output, d_state)
    for rows in [slice(0, 1), slice(5, 7), slice(3, 11), slice(22, 23)]:
        part = all_results(layer, x[rows], [s[:, rows] for s in state], d_output[rows], [d[:, rows] for d in d_state])
        assert_array_equal(part["output"], together["output"][rows])
        assert_array_equal(part["d_x"], together["d_x"][rows])
        for name in ("h_n", "c_n", "d_h_0", "d_c_0"):
            assert_array_equal(part[name], together[name][:, rows], err_msg=name)


@pytest.mark.parametrize("shape", AWKWARD)
def test_recording_changes_no_bit(backend, dtype, shape):
    N, T, C, H = shape
    x, state, _, _ = problem(N, T, C, H, dtype)
    layer = LSTM(C, H, dtype=dtype, backend=backend, random_state=0)
    plain, recorded = layer(x, state), layer.record(x, state)
    assert_array_equal(plain[0], recorded[0])
    for one, other in zip(plain[1], recorded[1], strict=True):
        assert_array_equal(one, other)


def test_a_sequence_in_two_parts_is_the_sequence(backend, dtype):
    x, state, _, _ = problem(3, 9, 2, 5, dtype)
    layer = LSTM(2, 5, dtype=dtype, backend=backend, random_state=0)
    whole, state_n = layer(x, state)
    first, between = layer(x[:, :4], state)
    second, state_n_parts = layer(x[:, 4:], between)
    assert_array_equal(np.concatenate([first, second], axis=1), whole)
    for one, other in zip(state_n, state_n_parts, strict=True):
        assert_array_equal(one, other)


def test_a_tape_can_be_played_twice(backend, dtype):
    x, state, d_output, d_state = problem(3, 4, 2, 5, dtype)
    layer = LSTM(2, 5, dtype=dtype, backend=backend, random_state=0)
    _, _, tape = layer.record(x, state)
    first = layer.backward(tape, d_output, d_state)
    layer.backward(tape, 2 * d_output)
    layer(x[:1] + 1)
    layer.load_state_dict(LSTM(2, 5, random_state=1).state_dict())
    again = layer.backward(tape, d_output, d_state)
    assert_array_equal(again.x, first.x)
    for name, value in first.weights.items():
        assert_array_equal(again.weights[name], value)


def test_gradients_left_out_count_as_zero(backend, dtype):
    x, state, d_output, d_state = problem(3, 4, 2, 5, dtype)
    layer = LSTM(2, 5, dtype=dtype, backend=backend, random_state=0)
    _, _, tape = layer.record(x, state)
    zeros = np.zeros_like(d_state[0])
    for short, full in [
        (layer.backward(tape, d_output), layer.backward(tape, d_output, (zeros, zeros))),
        (layer.backward(tape, d_state=d_state), layer.backward(tape, np.zeros_like(d_output), d_state)),
    ]:
        assert_array_equal(short.x, full.x)
        assert_array_equal(short.weights["weight_hh_l0"], full.weights["weight_hh_l0"])
    assert layer.backward(tape, d_output, input_gradient=False).x is None


def test_inputs_may_be_views_and_read_only_and_are_left_alone(backend, dtype):
    x, state, d_output, d_state = problem(4, 6, 3, 5, dtype)
    layer = LSTM(3, 5, dtype=dtype, backend=backend, random_state=0)
    arrays = [x, *state, d_output, *d_state]
    before = [array.copy() for array in arrays]
    plain = all_results(layer, x, state, d_output, d_state)
    for array, copy in zip(arrays, before, strict=True):
        assert_array_equal(array, copy)
    views = [np.repeat(np.repeat(a, 2, axis=0), 2, axis=2)[::2, :, ::2] for a in arrays]
    for view in views:
        view.flags.writeable = False
    strided = all_results(layer, views[0][:4], [v[:1, :, :] for v in views[1:3]], views[3], [v[:1] for v in views[4:]])
    for name, value in plain.items():
        assert_array_equal(strided[name], value, err_msg=name)


def test_a_state_in_another_memory_order_needs_no_other_machine_code(dtype):
    load_rows = pytest.importorskip("fastlstm.kernels.numba.buffers").load_rows
    layer, (x, state, _, _) = LSTM(3, 5, dtype=dtype, backend="numba", random_state=0), problem(4, 6, 3, 5, dtype)
    layer(x, state)
    before = load_rows.signatures
    layer(x, [np.asfortranarray(part) for part in state])
    assert load_rows.signatures == before


def test_forget_bias_and_orthogonal_recurrent_weights_at_the_start():
    weights = LSTM(3, 6, dtype="float64", random_state=0).state_dict()
    assert_array_equal(weights["bias_ih_l0"], np.repeat([0, 1, 0, 0], 6))
    assert_array_equal(weights["bias_hh_l0"], np.zeros(24))
    for block in np.split(weights["weight_hh_l0"], 4):
        assert_allclose(block @ block.T, np.eye(6), atol=1e-12)
    assert np.abs(weights["weight_ih_l0"]).max() <= np.sqrt(6 / 9)


def test_backends_that_can_be_loaded_are_named_and_forced(monkeypatch):
    assert kernels.available()[-1] == "numpy"
    monkeypatch.setenv(kernels.VARIABLE, "numpy")
    assert LSTM(1, 1).backend == "numpy"
    assert LSTM(1, 1, backend="numba").backend == "numba"
    monkeypatch.delenv(kernels.VARIABLE)
    assert LSTM(1, 1).backend == kernels.available()[0]


def test_layers_can_be_pickled(backend):
    layer = LSTM(2, 3, backend=backend, random_state=0)
    x = np.ones((2, 4, 2), "float32")
    assert_array_equal(pickle.loads(pickle.dumps(layer))(x)[0], layer(x)[0])


def test_an_infinite_input_spoils_no_gradient_that_it_does_not_reach(backend):
    layer = LSTM(2, 3, dtype="float64", backend=backend, random_state=0)
    x = np.ones((1, 3, 2))
    x[0, 0, 0] = np.inf
    output, _, tape = layer.record(x)
    grads = layer.backward(tape, np.ones_like(output))
    assert np.isfinite(grads.x[0, 1:]).all()
    assert np.isfinite(grads.weights["weight_hh_l0"]).all()


def test_a_tape_that_is_not_kept_gives_the_same_gradients_once(backend, dtype):
    layer = LSTM(3, 17, dtype=dtype, backend=backend, random_state=0)
    x, state, d_output, d_state = problem(5, 4, 3, 17, dtype)
    _, _, tape = layer.record(x, state)
    kept = layer.backward(tape, d_output, d_state)
    once = layer.backward(tape, d_output, d_state, keep_tape=False)
    assert_array_equal(once.x, kept.x)
    for name, value in kept.weights.items():
        assert_array_equal(once.weights[name], value, err_msg=name)
    with pytest.raises(ValueError, match=r"used up by backward\(keep_tape=False\)"):
        layer.backward(tape, d_output, d_state)
