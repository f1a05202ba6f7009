"""Sequences of different lengths in one batch of a layer."""

import numpy as np
import pytest
from helpers import (
    all_results,
    assert_close,
    assert_same_as_alone,
    assert_same_bits,
    behind,
    layer_and_problem,
    needs_torch,
    problem,
)
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

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


@cases
def test_every_sequence_is_computed_as_if_alone(backend, cell, dtype, shape, lengths):
    assert_same_as_alone(*layer_and_problem(cell, shape, dtype, backend), lengths)


@pytest.mark.parametrize("any_backend", kernels.available())  # a fixture would not do for properties
@given(data=st.data(), seed=st.integers(0, 1000))
def test_every_sequence_of_any_batch_is_computed_as_if_alone(any_backend, data, seed):
    cell = data.draw(st.sampled_from(list(kernels.CELLS)))
    options = {"num_layers": data.draw(st.integers(1, 2)), "bidirectional": data.draw(st.booleans())}
    shape = N, T, _, _ = [data.draw(st.integers(1, most)) for most in (12, 8, 9, 40)]
    lengths = data.draw(st.lists(st.integers(1, T), min_size=N, max_size=N))
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    assert_same_as_alone(*layer_and_problem(cell, shape, dtype, any_backend, seed, **options), lengths)


@cases
def test_a_call_has_the_bits_of_a_recorded_run(backend, cell, dtype, shape, lengths):
    layer, (x, state, _, _) = layer_and_problem(cell, shape, dtype, backend)
    plain, recorded = layer(x, state, lengths), layer.record(x, state, lengths)
    assert_array_equal(plain[0], recorded[0])
    assert_array_equal(plain[1], recorded[1])


@cases
def test_outputs_and_gradients_behind_an_end_are_zero(backend, cell, shape, lengths):
    layer, data = layer_and_problem(cell, shape, "float32", backend)
    results, gone = all_results(layer, *data, lengths), behind(lengths, shape[1])
    assert not results["output"][gone].any()
    assert not results["d_x"][gone].any()


@cases
def test_what_stands_behind_an_end_is_not_read(backend, cell, dtype, shape, lengths):
    layer, (x, state, d_output, d_state) = layer_and_problem(cell, shape, dtype, backend)
    expected, gone = all_results(layer, x, state, d_output, d_state, lengths), behind(lengths, shape[1])
    x[gone] = d_output[gone] = np.nan
    assert_same_bits(all_results(layer, x, state, d_output, d_state, lengths), expected)


def test_full_lengths_are_none(backend, cell, dtype):
    layer, data = layer_and_problem(cell, (4, 6, 3, 5), dtype, backend)
    assert_same_bits(all_results(layer, *data, lengths=[6] * 4), all_results(layer, *data))


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


def test_a_state_goes_on_where_each_sequence_ended(backend, cell, dtype):
    layer, (x, state, _, _) = layer_and_problem(cell, (3, 8, 2, 5), dtype, backend)
    first, second = np.array([5, 1, 3]), np.array([3, 4, 1])
    later = np.stack([np.roll(x[n], -length, axis=0) for n, length in enumerate(first)])
    _, between = layer(x, state, first)
    _, parts = layer(later, between, second)
    _, whole = layer(x, state, first + second)
    assert_array_equal(parts, whole)


def test_a_tape_can_be_played_twice_with_lengths(backend, cell, dtype):
    layer, (x, state, d_output, d_state) = layer_and_problem(cell, (3, 4, 2, 5), dtype, backend)
    _, _, tape = layer.record(x, state, [2, 4, 1])
    first = layer.backward(tape, d_output, d_state)
    layer.backward(tape, 2 * d_output)
    again = layer.backward(tape, d_output, d_state)
    assert_array_equal(again.x, first.x)
    assert_same_bits(again.weights, first.weights)


@needs_torch
@cases
def test_outputs_and_gradients_are_those_of_torchs_packed_sequences(backend, cell, dtype, shape, lengths):
    from torch_peer import results_with_weights_of

    layer, data = layer_and_problem(cell, shape, dtype, backend)
    assert_close(all_results(layer, *data, lengths), results_with_weights_of(layer, *data, lengths), dtype)


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


@cases
def test_runs_are_recorded_again_in_the_room_of_those_before(backend, cell, dtype, shape, lengths):
    layer, data = layer_and_problem(cell, shape, dtype, backend)
    expected = all_results(layer, *data, lengths)
    for _ in range(2):
        layer.record(data[0], data[1], lengths)  # whose output and tape nobody holds
    assert_same_bits(all_results(layer, *data, lengths), expected)
