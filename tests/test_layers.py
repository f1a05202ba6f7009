"""Every cell's layers on every backend: the equations, the gradients, the bits."""

import math
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers import (
    TOLERANCE,
    all_results,
    assert_close,
    assert_gradients_are_those_of_finite_differences,
    assert_same_bits,
    class_of,
    is_of_states,
    is_of_weights,
    layer_and_problem,
    needs_torch,
    problem,
)
from numpy.testing import assert_allclose, assert_array_equal

from fastlstm import kernels
from fastlstm.layers import CIFG, LSTM, base

GOLDEN = Path(__file__).parent / "golden"
FILES = {cell: sorted(GOLDEN.glob(f"{cell}_*.npz")) for cell in kernels.CELLS}
AWKWARD = [(1, 1, 1, 1), (5, 6, 3, 50), (17, 4, 5, 100), (7, 3, 40, 17), (13, 2, 1, 33), (2, 9, 7, 16), (32, 5, 300, 8)]


@pytest.mark.parametrize("T", [1, 2, 5])
@pytest.mark.parametrize("N", [1, 3])
@pytest.mark.parametrize("C", [1, 4])
@pytest.mark.parametrize("H", [1, 3, 8, 17])
def test_gradients_are_those_of_finite_differences(backend, cell, T, N, C, H):
    layer, data = layer_and_problem(cell, (N, T, C, H), "float64", backend)
    assert_gradients_are_those_of_finite_differences(layer, *data)


@pytest.mark.parametrize("shape", AWKWARD)
def test_backends_agree(backend, cell, dtype, shape):
    layer, data = layer_and_problem(cell, shape, dtype, backend)
    oracle, _ = layer_and_problem(cell, shape, dtype, "numpy")
    assert_close(all_results(layer, *data), all_results(oracle, *data), dtype)


def assert_equals_torch(case, cell, backend, dtype):
    sizes, layers = (case["x"].shape[2], case["h_0"].shape[2]), sum(name.startswith("weight_hh") for name in case)
    both, lengths = "weight_hh_l0_reverse" in case, case.pop("lengths", None)
    layer = class_of(cell)(*sizes, layers // (1 + both), bidirectional=both, dtype=dtype, backend=backend)
    layer.load_state_dict({name: case[name] for name in layer.state_dict()})
    case = {name: value.astype(dtype) for name, value in case.items()}
    state, d_state = ([case[name] for name in names if name in case] for names in (("h_0", "c_0"), ("d_h_n", "d_c_n")))
    for name, value in all_results(layer, case["x"], state, case["d_output"], d_state, lengths).items():
        assert_allclose(value, case[name], rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * 10, err_msg=name)


@pytest.mark.parametrize(
    ("cell", "path"), [(cell, path) for cell in FILES for path in FILES[cell]], ids=lambda of: getattr(of, "stem", "")
)
def test_outputs_and_gradients_are_those_of_golden_torch(backend, dtype, cell, path):
    assert_equals_torch(dict(np.load(path)), cell, backend, dtype)


def test_there_are_golden_files_of_the_cell(cell):
    assert len(FILES[cell]) == 5


@needs_torch
def test_outputs_and_gradients_are_those_of_installed_torch(backend, cell, dtype):
    from torch_peer import SHAPES, STACKED, layer_case

    for shape in SHAPES:
        assert_equals_torch(layer_case(cell, *shape), cell, backend, dtype)
    assert_equals_torch(layer_case(cell, **STACKED), cell, backend, dtype)


@needs_torch
def test_weights_come_from_torch_and_go_back(backend, cell):
    import torch
    from torch_peer import module_of

    theirs, ours = module_of(cell, 3, 5), class_of(cell)(3, 5, backend=backend)
    ours.load_state_dict(theirs.state_dict())
    again = module_of(cell, 3, 5)
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


def test_a_cifg_computes_its_equations(backend, dtype):
    C, H = 2, 3
    layer = CIFG(C, H, dtype=dtype, backend=backend, random_state=0)
    x, (h_0, c_0), *_ = problem(1, 4, C, H, dtype, cell="cifg")
    output, (h_n, c_n) = layer(x, (h_0, c_0))

    weights = {name: value.tolist() for name, value in layer.state_dict().items()}
    h, c = h_0[0, 0].tolist(), c_0[0, 0].tolist()
    for t in range(4):
        sums = [
            sum(w * x_k for w, x_k in zip(weights["weight_ih_l0"][row], x[0, t].tolist(), strict=True))
            + sum(w * h_k for w, h_k in zip(weights["weight_hh_l0"][row], h, strict=True))
            + weights["bias_ih_l0"][row] + weights["bias_hh_l0"][row]
            for row in range(3 * H)
        ]  # fmt: skip
        f = [1 / (1 + math.exp(-z)) for z in sums[:H]]
        g = [math.tanh(z) for z in sums[H : 2 * H]]
        o = [1 / (1 + math.exp(-z)) for z in sums[2 * H :]]
        c = [f[k] * c[k] + (1 - f[k]) * g[k] for k in range(H)]
        h = [o[k] * math.tanh(c[k]) for k in range(H)]
        assert_allclose(output[0, t], h, rtol=0, atol=TOLERANCE[dtype])
    assert_allclose(h_n[0, 0], h, rtol=0, atol=TOLERANCE[dtype])
    assert_allclose(c_n[0, 0], c, rtol=0, atol=TOLERANCE[dtype])


def test_a_cifg_is_an_lstm_whose_input_gate_mirrors_the_forget_gate(backend, dtype):
    layer, data = layer_and_problem("cifg", (5, 6, 3, 20), dtype, backend)
    lstm = LSTM(3, 20, dtype=dtype, backend=backend)
    lstm.load_state_dict({name: np.concatenate([-w[:20], w]) for name, w in layer.state_dict().items()})
    expected = all_results(lstm, *data)
    for name in filter(is_of_weights, expected):
        of_input, of_others = expected[name][:20], expected[name][20:]
        expected[name] = np.concatenate([of_others[:20] - of_input, of_others[20:]])
    assert_close(all_results(layer, *data), expected, dtype)


@pytest.mark.parametrize("H", [1, 16, 37])
def test_a_row_has_the_same_bits_alone_and_in_any_batch(backend, cell, dtype, H):
    layer, (x, state, d_output, d_state) = layer_and_problem(cell, (23, 4, 3, H), dtype, backend)
    together = all_results(layer, x, state, d_output, d_state)
    for rows in [slice(0, 1), slice(5, 7), slice(3, 11), slice(22, 23)]:
        part = all_results(layer, x[rows], [s[:, rows] for s in state], d_output[rows], [d[:, rows] for d in d_state])
        for name, value in part.items():
            if not is_of_weights(name):  # they are sums over the rows
                expected = together[name][:, rows] if is_of_states(name) else together[name][rows]
                assert_array_equal(value, expected, err_msg=name)


@pytest.mark.parametrize("shape", AWKWARD)
def test_recording_changes_no_bit(backend, cell, dtype, shape):
    layer, (x, state, _, _) = layer_and_problem(cell, shape, dtype, backend)
    plain, recorded = layer(x, state), layer.record(x, state)
    assert_array_equal(plain[0], recorded[0])
    assert_array_equal(plain[1], recorded[1])


def test_a_sequence_in_two_parts_is_the_sequence(backend, cell, dtype):
    layer, (x, state, _, _) = layer_and_problem(cell, (3, 9, 2, 5), dtype, backend)
    whole, state_n = layer(x, state)
    first, between = layer(x[:, :4], state)
    second, state_n_parts = layer(x[:, 4:], between)
    assert_array_equal(np.concatenate([first, second], axis=1), whole)
    assert_array_equal(state_n_parts, state_n)


def test_a_tape_can_be_played_twice(backend, cell, dtype):
    layer, (x, state, d_output, d_state) = layer_and_problem(cell, (3, 4, 2, 5), dtype, backend)
    _, _, tape = layer.record(x, state)
    first = layer.backward(tape, d_output, d_state)
    layer.backward(tape, 2 * d_output)
    layer(x[:1] + 1)
    layer.load_state_dict(class_of(cell)(2, 5, random_state=1).state_dict())
    again = layer.backward(tape, d_output, d_state)
    assert_array_equal(again.x, first.x)
    assert_same_bits(again.weights, first.weights)


def test_gradients_left_out_count_as_zero(backend, cell, dtype):
    layer, (x, state, d_output, d_state) = layer_and_problem(cell, (3, 4, 2, 5), dtype, backend)
    _, _, tape = layer.record(x, state)
    zeros = [np.zeros_like(part) for part in d_state]
    for short, full in [
        (layer.backward(tape, d_output), layer.backward(tape, d_output, zeros)),
        (layer.backward(tape, d_state=d_state), layer.backward(tape, np.zeros_like(d_output), d_state)),
    ]:
        assert_array_equal(short.x, full.x)
        assert_array_equal(short.weights["weight_hh_l0"], full.weights["weight_hh_l0"])
    assert layer.backward(tape, d_output, input_gradient=False).x is None


def test_inputs_may_be_views_and_read_only_and_are_left_alone(backend, cell, dtype):
    layer, (x, state, d_output, d_state) = layer_and_problem(cell, (4, 6, 3, 5), dtype, backend)

    def results_of(x, d_output, *states):
        return all_results(layer, x, states[: len(state)], d_output, states[len(state) :])

    arrays = [x, d_output, *state, *d_state]
    before = [array.copy() for array in arrays]
    plain = results_of(*arrays)
    for array, copy in zip(arrays, before, strict=True):
        assert_array_equal(array, copy)
    views = [np.repeat(np.repeat(array, 2, axis=0), 2, axis=2)[::2, :, ::2] for array in arrays]
    for view in views:
        view.flags.writeable = False
    assert_same_bits(results_of(*views), plain)


def test_a_state_in_another_memory_order_needs_no_other_machine_code(cell, dtype):
    load_rows = pytest.importorskip("fastlstm.kernels.numba.buffers").load_rows
    layer, (x, state, _, _) = layer_and_problem(cell, (4, 6, 3, 5), dtype, "numba")
    layer(x, state)
    before = load_rows.signatures
    layer(x, [np.asfortranarray(part) for part in state])
    assert load_rows.signatures == before


def test_only_a_gate_f_is_open_at_the_start(cell):
    weights = class_of(cell)(3, 6, dtype="float64", random_state=0).state_dict()
    assert_array_equal(weights["bias_ih_l0"], np.repeat([gate == "f" for gate in kernels.CELLS[cell].gates], 6))
    assert not weights["bias_hh_l0"].any()


def test_recurrent_weights_of_each_gate_are_orthogonal_at_the_start(cell):
    weight = class_of(cell)(3, 6, dtype="float64", random_state=0).state_dict()["weight_hh_l0"]
    for block in weight.reshape(-1, 6, 6):
        assert_allclose(block @ block.T, np.eye(6), atol=1e-12)


def test_weights_of_inputs_are_within_glorots_limit_at_the_start(cell):
    weight = class_of(cell)(3, 6, dtype="float64", random_state=0).state_dict()["weight_ih_l0"]
    assert 0.8 * np.sqrt(6 / 9) < np.abs(weight).max() <= np.sqrt(6 / 9)


def test_backends_that_can_be_loaded_are_named_and_forced(monkeypatch):
    assert kernels.available()[-1] == "numpy"
    monkeypatch.setenv(kernels.VARIABLE, "numpy")
    assert LSTM(1, 1).backend == "numpy"
    for name in kernels.available():
        assert LSTM(1, 1, backend=name).backend == name
    monkeypatch.delenv(kernels.VARIABLE)
    assert LSTM(1, 1).backend == kernels.available()[0]


@pytest.mark.parametrize(("name", "value"), [("precision", "bfloat16"), ("backend", "numpy"), ("dtype", "float64")])
def test_what_selects_the_kernels_is_fixed(name, value):
    layer = LSTM(2, 3)
    before = repr(layer)
    with pytest.raises(AttributeError, match=f"{name} of a layer cannot be changed: make a new layer with another"):
        setattr(layer, name, value)
    assert repr(layer) == before


def test_strings_of_numpy_are_strings():
    layer = LSTM(2, 3, backend=np.str_("numpy"), precision=np.str_("bfloat16"))
    assert repr(layer) == "LSTM(2, 3, dtype='float32', backend='numpy', precision='bfloat16')"


def test_layers_can_be_pickled(backend, cell):
    layer, (x, *_) = layer_and_problem(cell, (2, 4, 2, 3), "float32", backend)
    assert_array_equal(pickle.loads(pickle.dumps(layer))(x)[0], layer(x)[0])


def test_an_infinite_input_spoils_no_gradient_that_it_does_not_reach(backend, cell):
    layer = class_of(cell)(2, 3, dtype="float64", backend=backend, random_state=0)
    x = np.ones((1, 3, 2))
    x[0, 0, 0] = np.inf
    output, _, tape = layer.record(x)
    grads = layer.backward(tape, np.ones_like(output))
    assert np.isfinite(grads.x[0, 1:]).all()
    assert np.isfinite(grads.weights["weight_hh_l0"]).all()


@pytest.mark.parametrize("precision", kernels.PRECISIONS)
def test_sums_that_overflow_saturate_gates_without_a_warning(cell, precision):
    layer = class_of(cell)(2, 3, backend="numpy", precision=precision, random_state=0)
    layer.load_state_dict({name: np.full_like(value, 2) for name, value in layer.state_dict().items()})
    output, _ = layer(np.full((1, 1, 2), 3e38, "float32"))
    assert np.isfinite(output).all()


def test_a_tape_that_is_not_kept_gives_the_same_gradients_once(backend, cell, dtype):
    layer, (x, state, d_output, d_state) = layer_and_problem(cell, (5, 4, 3, 17), dtype, backend)
    _, _, tape = layer.record(x, state)
    kept = layer.backward(tape, d_output, d_state)
    once = layer.backward(tape, d_output, d_state, keep_tape=False)
    assert_array_equal(once.x, kept.x)
    assert_array_equal(once.state, kept.state)
    assert_same_bits(once.weights, kept.weights)
    with pytest.raises(ValueError, match=r"used up by backward\(keep_tape=False\)"):
        layer.backward(tape, d_output, d_state)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_what_a_caller_holds_is_left_alone_by_later_runs(cell, backend, bidirectional):
    layer = class_of(cell)(3, 5, bidirectional=bidirectional, backend=backend, random_state=0)
    x = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("float32")

    def run(x):
        """A last step alone of everything: views of views, whatever they are views of."""
        output, state = layer(x)
        recorded, state_n, tape = layer.record(x)
        grads = layer.backward(tape, np.ones_like(recorded), keep_tape=False)
        return [output[:, -1], recorded[0, -1], grads.x[:, -1], *state, *state_n, *grads.state]

    held = run(x)
    before = [array.copy() for array in held]
    for _ in range(3):
        run(x + 1)
    for array, copy in zip(held, before, strict=True):
        assert_array_equal(array, copy)


def test_a_run_that_nobody_looks_at_is_used_again(monkeypatch, backend):
    layer, x = class_of("lstm")(3, 5, backend=backend, random_state=0), np.ones((2, 4, 3), "float32")
    made, run = [], base.StackRun

    def noted(*args):
        made.append(args)
        return run(*args)

    monkeypatch.setattr(base, "StackRun", noted)
    expected = layer(x)[0].copy()
    assert_array_equal(layer(x)[0], expected)
    assert len(made) == 1
    output = layer(x)[0]
    layer(x)  # while its output is held, another is made
    assert len(made) == 2
    assert_array_equal(output, expected)
    layer(np.ones((2, 5, 3), "float32"))
    assert len(made) == 3


def test_views_of_a_recorded_output_are_left_alone(cell, backend):
    layer = class_of(cell)(3, 8, backend=backend, random_state=0)
    x = np.random.default_rng(0).standard_normal((2, 5, 3)).astype("float32")
    for views in range(5):
        output, _, tape = layer.record(x)
        held = [output[:, -1] for _ in range(views)]
        before = output.copy()
        layer.record(x + 1)
        layer.backward(tape, np.ones_like(output), keep_tape=False)
        layer.record(x + 2)
        assert_array_equal(output, before)
        del held


def test_calls_of_one_layer_at_once_leave_each_others_outputs_alone(cell):
    layer = class_of(cell)(3, 8, random_state=0)
    inputs = [np.full((2, 5, 3), value, "float32") for value in range(4)]
    expected = [layer(x)[0].copy() for x in inputs]

    def work(n):
        for _ in range(300):
            output = layer(inputs[n])[0]
            last = output[:, -1]
            layer(inputs[n - 1])
            if not (np.array_equal(output, expected[n]) and np.array_equal(last, expected[n][:, -1])):
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
