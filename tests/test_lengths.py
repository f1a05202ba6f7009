"""Sequences of different lengths in one batch of the layer."""

import numpy as np
import pytest
from conftest import all_results, needs_torch, problem
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from fastlstm import kernels
from fastlstm.layers import LSTM

#: N, T, C, H and lengths: in no order, with and without one of T steps, with many of one length.
CASES = [
    ((1, 4, 1, 1), [3]),
    ((5, 6, 3, 50), [2, 6, 1, 6, 5]),
    ((4, 7, 40, 17), [3, 3, 3, 3]),
    ((13, 3, 2, 33), [1, 2, 3, 1, 2, 3, 1, 1, 1, 2, 2, 1, 3]),
    ((20, 9, 7, 16), list(range(1, 9)) + [1] * 12),
]
cases = pytest.mark.parametrize(("shape", "lengths"), CASES, ids=str)
OF_STATES = ("h_n", "c_n", "d_h_0", "d_c_0")
OF_WEIGHTS = ("d_weight_ih_l0", "d_weight_hh_l0", "d_bias_ih_l0", "d_bias_hh_l0")


def layer_of(shape, dtype, backend):
    return LSTM(*shape[2:], dtype=dtype, backend=backend, random_state=0)


def behind(lengths, T):
    """[N, T]: whether a step lies behind its sequence's last."""
    return np.arange(T) >= np.reshape(lengths, (-1, 1))


def alone(layer, x, state, d_output, d_state, lengths):
    """The results of running every sequence by itself: stacked, or added up where they are of weights."""
    results = []
    for n, length in enumerate(lengths):
        states = [[part[:, n : n + 1] for part in pair] for pair in (state, d_state)]
        results.append(all_results(layer, x[n : n + 1, :length], states[0], d_output[n : n + 1, :length], states[1]))
    together = {name: np.concatenate([one[name] for one in results], axis=1) for name in OF_STATES}
    together |= {name: sum(one[name].astype("float64") for one in results) for name in OF_WEIGHTS}
    for name, like in (("output", d_output), ("d_x", x)):
        together[name] = np.zeros_like(like)
        for n, length in enumerate(lengths):
            together[name][n, :length] = results[n][name][0]
    return together


def assert_same_as_alone(layer, data, lengths):
    ours, theirs = all_results(layer, *data, lengths), alone(layer, *data, lengths)
    for name, value in theirs.items():
        if name in OF_WEIGHTS:
            tolerance = {"float32": 1e-5, "float64": 1e-12}[layer.dtype.name]
            assert_allclose(ours[name], value, rtol=tolerance, atol=tolerance * np.abs(value).max(), err_msg=name)
        else:
            assert_array_equal(ours[name], value, err_msg=name)


@cases
def test_every_sequence_is_computed_as_if_alone(backend, dtype, shape, lengths):
    assert_same_as_alone(layer_of(shape, dtype, backend), problem(*shape, dtype), lengths)


@pytest.mark.parametrize("backend", kernels.available())
@given(data=st.data(), seed=st.integers(0, 1000))
def test_every_sequence_of_any_batch_is_computed_as_if_alone(backend, data, seed):
    shape = N, T, _, _ = [data.draw(st.integers(1, most)) for most in (12, 8, 9, 40)]
    lengths = data.draw(st.lists(st.integers(1, T), min_size=N, max_size=N))
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    assert_same_as_alone(layer_of(shape, dtype, backend), problem(*shape, dtype, seed), lengths)


@cases
def test_a_call_has_the_bits_of_a_recorded_run(backend, dtype, shape, lengths):
    x, state, _, _ = problem(*shape, dtype)
    layer = layer_of(shape, dtype, backend)
    plain, recorded = layer(x, state, lengths), layer.record(x, state, lengths)
    assert_array_equal(plain[0], recorded[0])
    assert_array_equal(plain[1], recorded[1])


@cases
def test_outputs_and_gradients_behind_an_end_are_zero(backend, shape, lengths):
    results = all_results(layer_of(shape, "float32", backend), *problem(*shape, "float32"), lengths)
    gone = behind(lengths, shape[1])
    assert not results["output"][gone].any()
    assert not results["d_x"][gone].any()


@cases
def test_what_stands_behind_an_end_is_not_read(backend, dtype, shape, lengths):
    x, state, d_output, d_state = problem(*shape, dtype)
    layer, gone = layer_of(shape, dtype, backend), behind(lengths, shape[1])
    expected = all_results(layer, x, state, d_output, d_state, lengths)
    x[gone] = d_output[gone] = np.nan
    for name, value in all_results(layer, x, state, d_output, d_state, lengths).items():
        assert_array_equal(value, expected[name], err_msg=name)


def test_full_lengths_are_none(backend, dtype):
    layer, data = LSTM(3, 5, dtype=dtype, backend=backend, random_state=0), problem(4, 6, 3, 5, dtype)
    expected = all_results(layer, *data)
    for name, value in all_results(layer, *data, lengths=[6] * 4).items():
        assert_array_equal(value, expected[name], err_msg=name)


@pytest.mark.parametrize("form", [tuple, np.uint8, np.int64, ">i4"])
def test_lengths_may_be_any_integers(backend, form):
    layer, (x, *_) = LSTM(3, 5, dtype="float64", backend=backend, random_state=0), problem(4, 6, 3, 5)
    lengths = form([2, 6, 1, 3]) if form is tuple else np.array([2, 6, 1, 3], form)
    assert_array_equal(layer(x, lengths=lengths)[0], layer(x, lengths=[2, 6, 1, 3])[0])


def test_lengths_are_left_alone_and_not_looked_at_again(backend):
    layer, (x, state, d_output, _) = LSTM(3, 5, dtype="float64", backend=backend), problem(4, 6, 3, 5)
    lengths = np.array([2, 6, 1, 3])
    _, _, tape = layer.record(x, state, lengths)
    assert lengths.tolist() == [2, 6, 1, 3]
    expected = layer.backward(tape, d_output).x
    lengths[:] = 6
    assert_array_equal(layer.backward(tape, d_output).x, expected)


def test_a_state_goes_on_where_each_sequence_ended(backend, dtype):
    layer, (x, state, _, _) = LSTM(2, 5, dtype=dtype, backend=backend, random_state=0), problem(3, 8, 2, 5, dtype)
    first, second = np.array([5, 1, 3]), np.array([3, 4, 1])
    later = np.stack([np.roll(x[n], -length, axis=0) for n, length in enumerate(first)])
    _, between = layer(x, state, first)
    _, parts = layer(later, between, second)
    _, whole = layer(x, state, first + second)
    assert_array_equal(parts, whole)


def test_a_tape_can_be_played_twice_with_lengths(backend, dtype):
    layer, (x, state, d_output, d_state) = LSTM(2, 5, dtype=dtype, backend=backend), problem(3, 4, 2, 5, dtype)
    _, _, tape = layer.record(x, state, [2, 4, 1])
    first = layer.backward(tape, d_output, d_state)
    layer.backward(tape, 2 * d_output)
    again = layer.backward(tape, d_output, d_state)
    assert_array_equal(again.x, first.x)
    assert_array_equal(again.weights["weight_hh_l0"], first.weights["weight_hh_l0"])


@needs_torch
@cases
def test_outputs_and_gradients_are_those_of_torchs_packed_sequences(backend, dtype, shape, lengths):
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    _, T, C, H = shape
    layer = layer_of(shape, dtype, backend)
    x, state, d_output, d_state = problem(*shape, dtype)
    ours = all_results(layer, x, state, d_output, d_state, lengths)

    lstm = torch.nn.LSTM(C, H, batch_first=True, dtype=torch.float64)
    lstm.load_state_dict({name: torch.from_numpy(value) for name, value in layer.state_dict().items()})
    x, h, c = (torch.tensor(array, dtype=torch.float64, requires_grad=True) for array in (x, *state))
    packed = pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    out, (h_n, c_n) = lstm(packed, (h, c))
    out, _ = pad_packed_sequence(out, batch_first=True, total_length=T)
    torch.autograd.backward([out, h_n, c_n], [torch.tensor(d, dtype=torch.float64) for d in (d_output, *d_state)])

    theirs = {"output": out, "h_n": h_n, "c_n": c_n, "d_x": x.grad, "d_h_0": h.grad, "d_c_0": c.grad}
    theirs |= {f"d_{name}": weight.grad for name, weight in lstm.named_parameters()}
    tolerance = {"float32": 1e-5, "float64": 1e-12}[dtype]
    for name, value in theirs.items():
        value = value.detach().numpy()
        assert_allclose(ours[name], value, rtol=tolerance, atol=tolerance * np.abs(value).max(), err_msg=name)


@needs_torch
def test_lengths_may_be_a_tensor(backend):
    import torch

    layer, (x, *_) = LSTM(3, 5, dtype="float64", backend=backend, random_state=0), problem(4, 6, 3, 5)
    assert_array_equal(layer(x, lengths=torch.tensor([2, 6, 1, 3]))[0], layer(x, lengths=[2, 6, 1, 3])[0])


@pytest.mark.parametrize("method", ["__call__", "record"])
@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ([3, 0, 5], ValueError, r"lengths\[1\] is 0; expected 1 to T=5 steps"),
        ([3, 4, 6], ValueError, r"lengths\[2\] is 6; expected 1 to T=5 steps"),
        ([-1, 4, 5], ValueError, r"lengths\[0\] is -1; expected 1 to T=5 steps"),
        ([3, 4], ValueError, r"lengths has shape \(2,\); expected one length for each of 3 sequences"),
        ([3, 4, 5, 5], ValueError, r"lengths has shape \(4,\); expected one length for each of 3 sequences"),
        ([[3, 4, 5]], ValueError, r"lengths has shape \(1, 3\); expected one length"),
        (5, ValueError, r"lengths has shape \(\); expected one length"),
        ([[3], [4, 5], [1]], ValueError, "lengths is a sequence whose members differ in shape"),
        ([3.0, 4.0, 5.0], TypeError, "lengths are of type float64; expected integers"),
        ([True, True, True], TypeError, "lengths are of type bool; expected integers"),
        (["3", "4", "5"], TypeError, "lengths are of type <U1; expected integers"),
        ([None, 4, 5], TypeError, "lengths are of type object; expected integers"),
    ],
    ids=str,
)
def test_bad_lengths(method, bad, error, message):
    layer = LSTM(2, 4, random_state=0)
    with pytest.raises(error, match=message):
        getattr(layer, method)(np.ones((3, 5, 2), "float32"), lengths=bad)


def test_a_state_of_another_number_of_sequences_than_lengths():
    h = np.zeros((1, 2, 4), "float32")
    with pytest.raises(ValueError, match=r"state\[0\] has shape \(1, 2, 4\); expected \(1, 3, 4\)"):
        LSTM(2, 4)(np.ones((3, 5, 2), "float32"), (h, h), lengths=[3, 4, 5])
