"""Layers upon layers, in one direction or in both."""

import copy
import pickle

import numpy as np
import pytest
from helpers import (
    all_results,
    assert_close,
    assert_gradients_are_those_of_finite_differences,
    assert_same_as_alone,
    assert_same_bits,
    behind,
    class_of,
    needs_torch,
    problem,
)
from numpy.testing import assert_array_equal

from fastlstm import kernels

#: N, T, C, H and lengths: one of everything; more inputs than units, and fewer; in no order, and many of one length.
CASES = [
    ((1, 1, 1, 1), None),
    ((3, 5, 4, 17), None),
    ((5, 6, 3, 50), [2, 6, 1, 6, 5]),
    ((9, 4, 40, 8), [1, 2, 3, 1, 2, 3, 1, 1, 1]),
]
cases = pytest.mark.parametrize(("shape", "lengths"), CASES, ids=str)
unequal = pytest.mark.parametrize(("shape", "lengths"), CASES[2:], ids=str)
UNEQUAL = pytest.mark.parametrize("lengths", [None, [2, 6, 1, 6, 5]], ids=["equal", "unequal"])
DEEP = {"num_layers": 2, "bidirectional": True}


@pytest.fixture(params=[False, True], ids=["forward", "bidirectional"])
def bidirectional(request):
    return request.param


def layer_and_problem(cell, shape, dtype, backend, n_jobs=None, **options):
    """Layers, and what to compute with them."""
    _, _, C, H = shape
    of_layer = {"num_layers": len(H), **options} if np.ndim(H) else options
    layer = class_of(cell)(C, H, dtype=dtype, backend=backend, n_jobs=n_jobs, random_state=0, **of_layer)
    return layer, problem(*shape, dtype, cell=cell, **options)


def with_weights(layer, weights, suffixes):
    """The layer, with those weights that end with the first of each pair of suffixes, for its own with the second."""
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    layer.load_state_dict({kind + own: weights[kind + its] for its, own in suffixes for kind in kinds})
    return layer


# -- the numbers --------------------------------------------------------------------------------------------


@needs_torch
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@cases
def test_outputs_states_and_gradients_are_those_of_torch(backend, cell, num_layers, bidirectional, shape, lengths):
    from torch_peer import results_with_weights_of

    options = {"num_layers": num_layers, "bidirectional": bidirectional}
    layer, data = layer_and_problem(cell, shape, "float64", backend, **options)
    assert_close(all_results(layer, *data, lengths), results_with_weights_of(layer, *data, lengths), "float64")


@cases
def test_backends_agree(fast, cell, dtype, bidirectional, shape, lengths):
    layer, data = layer_and_problem(cell, shape, dtype, fast, num_layers=3, bidirectional=bidirectional)
    oracle, _ = layer_and_problem(cell, shape, dtype, "numpy", num_layers=3, bidirectional=bidirectional)
    assert_close(all_results(layer, *data, lengths), all_results(oracle, *data, lengths), dtype)


def test_gradients_are_those_of_finite_differences(backend, cell):
    layer, data = layer_and_problem(cell, (3, 4, 2, 3), "float64", backend, **DEEP)
    assert_gradients_are_those_of_finite_differences(layer, *data, [2, 4, 1])


@UNEQUAL
def test_a_stack_is_its_layers_one_after_the_other(backend, cell, dtype, bidirectional, lengths):
    sizes, C, results = (17, 5, 8), 3, {}
    stack, (x, state, d_output, d_state) = layer_and_problem(
        cell, (5, 6, C, sizes), dtype, backend, bidirectional=bidirectional
    )
    layers, outputs, ends, tapes, weights = [], x, [], [], stack.state_dict()
    for number, H in enumerate(sizes):
        layer = class_of(cell)(C, H, bidirectional=bidirectional, dtype=dtype, backend=backend)
        with_weights(
            layer, weights, [(f"_l{number}{way}", f"_l0{way}") for way in ("", "_reverse")[: 1 + bidirectional]]
        )
        outputs, end, tape = layer.record(outputs, [part[number] for part in state], lengths)
        layers, ends, tapes, C = [*layers, layer], [*ends, end], [*tapes, tape], outputs.shape[2]
    results["output"], d_outputs = outputs, d_output
    for number in (2, 1, 0):
        grads = layers[number].backward(tapes[number], d_outputs, [part[number] for part in d_state])
        d_outputs = grads.x
        for kind, after, d_before in zip("hc", ends[number], grads.state, strict=False):
            results |= {f"{kind}_n of layer {number}": after, f"d_{kind}_0 of layer {number}": d_before}
        results |= {f"d_{name.replace('_l0', f'_l{number}')}": value for name, value in grads.weights.items()}
    assert_same_bits(all_results(stack, x, state, d_output, d_state, lengths), results | {"d_x": d_outputs})


def turned(array, lengths):
    """Sequences (N, T, .) from their ends to their starts; zeros behind."""
    out = np.zeros_like(array)
    for n, length in enumerate(lengths):
        out[n, :length] = array[n, :length][::-1]
    return out


@UNEQUAL
def test_the_backward_direction_is_a_layer_on_sequences_turned_round(backend, cell, dtype, lengths):
    shape = 5, 6, 3, 17
    both, (x, state, d_output, d_state) = layer_and_problem(cell, shape, dtype, backend, bidirectional=True)
    ends = lengths or [6] * 5
    results = []
    for way, suffix in enumerate(("_l0", "_l0_reverse")):
        layer = with_weights(class_of(cell)(3, 17, dtype=dtype, backend=backend), both.state_dict(), [(suffix, "_l0")])
        d = d_output[..., 17 * way : 17 * way + 17]
        arrays = (turned(x, ends), turned(d, ends)) if way else (x, d)
        states = ([part[way : way + 1] for part in of] for of in (state, d_state))
        one = all_results(layer, arrays[0], next(states), arrays[1], next(states), lengths)
        for name in ("output", "d_x"):
            one[name] = turned(one[name], ends) if way else one[name]
        results.append(one)
    ahead, back = results
    expected = {"output": np.concatenate([ahead["output"], back["output"]], axis=2), "d_x": ahead["d_x"] + back["d_x"]}
    for name, value in ahead.items():
        if name.endswith("_l0"):
            expected |= {name: value, f"{name}_reverse": back[name]}
        elif name not in expected:
            expected[name] = np.concatenate([value, back[name]])
    assert_same_bits(all_results(both, x, state, d_output, d_state, lengths), expected)


# -- unequal lengths ----------------------------------------------------------------------------------------


@unequal
def test_every_sequence_is_computed_as_if_alone(backend, cell, dtype, shape, lengths):
    layer, data = layer_and_problem(cell, shape, dtype, backend, **DEEP)
    assert_same_as_alone(layer, data, lengths)


@unequal
def test_what_stands_behind_an_end_is_not_read(backend, cell, dtype, shape, lengths):
    layer, (x, state, d_output, d_state) = layer_and_problem(cell, shape, dtype, backend, **DEEP)
    expected, gone = all_results(layer, x, state, d_output, d_state, lengths), behind(lengths, shape[1])
    x[gone] = d_output[gone] = np.nan
    assert_same_bits(all_results(layer, x, state, d_output, d_state, lengths), expected)


@unequal
def test_outputs_and_gradients_behind_an_end_are_zero(backend, cell, shape, lengths):
    layer, data = layer_and_problem(cell, shape, "float32", backend, **DEEP)
    results, gone = all_results(layer, *data, lengths), behind(lengths, shape[1])
    assert not results["output"][gone].any()
    assert not results["d_x"][gone].any()


# -- runs ---------------------------------------------------------------------------------------------------


@cases
def test_recording_changes_no_bit(backend, cell, dtype, shape, lengths):
    layer, (x, state, _, _) = layer_and_problem(cell, shape, dtype, backend, **DEEP)
    plain, recorded = layer(x, state, lengths), layer.record(x, state, lengths)
    assert_array_equal(plain[0], recorded[0])
    assert_array_equal(plain[1], recorded[1])


def test_a_tape_can_be_played_twice_and_then_used_up(backend, cell, dtype):
    layer, (x, state, d_output, d_state) = layer_and_problem(cell, (3, 4, 2, 17), dtype, backend, **DEEP)
    _, _, tape = layer.record(x, state, [2, 4, 1])
    first = layer.backward(tape, d_output, d_state)
    layer.backward(tape, 2 * d_output)
    layer(x[:1] + 1)
    for keep_tape in (True, False):
        again = layer.backward(tape, d_output, d_state, keep_tape=keep_tape)
        assert_array_equal(again.x, first.x)
        assert_array_equal(again.state, first.state)
        assert_same_bits(again.weights, first.weights)


def test_gradients_left_out_count_as_zero(backend, cell):
    layer, (x, state, d_output, d_state) = layer_and_problem(cell, (3, 4, 2, 5), "float64", backend, **DEEP)
    _, _, tape = layer.record(x, state)
    zeros = [np.zeros_like(part) for part in d_state]
    for short, full in [
        (layer.backward(tape, d_output), layer.backward(tape, d_output, zeros)),
        (layer.backward(tape, d_state=d_state), layer.backward(tape, np.zeros_like(d_output), d_state)),
    ]:
        assert_array_equal(short.x, full.x)
        assert_same_bits(short.weights, full.weights)


def test_gradients_of_weights_do_not_depend_on_whether_that_of_inputs_is_wanted(backend, cell, dtype):
    layer, (x, state, d_output, d_state) = layer_and_problem(cell, (3, 4, 2, 17), dtype, backend, **DEEP)
    _, _, tape = layer.record(x, state)
    without = layer.backward(tape, d_output, d_state, input_gradient=False)
    assert without.x is None
    assert_same_bits(without.weights, layer.backward(tape, d_output, d_state).weights)


def test_a_forward_stack_goes_on_where_it_stopped(backend, cell, dtype):
    layer, (x, state, _, _) = layer_and_problem(cell, (3, 9, 2, (5, 17)), dtype, backend)
    whole, state_n = layer(x, state)
    first, between = layer(x[:, :4], state)
    second, parts = layer(x[:, 4:], between)
    assert_array_equal(np.concatenate([first, second], axis=1), whole)
    for part, expected in zip(parts, state_n, strict=True):
        for of_layer, of_whole in zip(part, expected, strict=True):
            assert_array_equal(of_layer, of_whole)


def test_stacks_can_be_pickled(backend, cell):
    layer, data = layer_and_problem(cell, (2, 4, 2, (3, 4)), "float32", backend, bidirectional=True)
    assert_same_bits(all_results(pickle.loads(pickle.dumps(layer)), *data), all_results(layer, *data))


# -- threads ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [2, 4])
@pytest.mark.parametrize(
    ("shape", "lengths"),
    [((3, 4, 2, 40), None), ((9, 6, 40, 17), [2, 6, 1, 6, 5, 1, 1, 4, 3]), ((17, 5, 3, (100, 33)), [5, 1] * 8 + [3])],
    ids=str,
)
def test_a_stack_has_the_same_bits_for_any_number_of_threads(
    teams, by_units, fast, cell, dtype, shape, lengths, n_jobs
):
    options = {"bidirectional": True} if np.ndim(shape[3]) else DEEP
    layer, data = layer_and_problem(cell, shape, dtype, fast, n_jobs=1, **options)
    together, _ = layer_and_problem(cell, shape, dtype, fast, n_jobs=n_jobs, **options)
    expected = all_results(layer, *data, lengths)
    teams.clear()
    assert_same_bits(all_results(together, *data, lengths), expected)
    assert teams == [(n_jobs if by_units else min(n_jobs, shape[0]), by_units)] * 2  # forward and backward


# -- streams ------------------------------------------------------------------------------------------------


@pytest.fixture(params=[(17, 17), (5, 17, 3)], ids=str)
def stream(request, backend, cell):
    """A stack of layers of equal or other sizes, three sequences, and the state of their streams before them."""
    layer, (x, state, _, _) = layer_and_problem(cell, (3, 5, 2, request.param), "float64", backend)
    return layer, x, layer.initial_state(3, state), state


def flat(state):
    """The arrays of a state, also of one whose layers differ in size."""
    return [array for part in state for array in (part if isinstance(part, tuple) else (part,))]


def assert_same_states(state, expected):
    for array, other in zip(flat(state), flat(expected), strict=True):
        assert_array_equal(array, other)


def test_steps_have_the_bits_of_a_call(stream):
    layer, x, state, initial = stream
    output, state_n = layer(x, initial)
    steps = [layer.step(x[:, t], state) for t in range(5)]
    assert_array_equal(np.stack(steps, axis=1), output)
    assert_same_states(state.state, state_n)


def test_a_call_goes_on_where_a_stream_is(stream):
    layer, x, state, initial = stream
    for t in range(3):
        layer.step(x[:, t], state)
    assert_array_equal(layer(x[:, 3:], state.state)[0], layer(x, initial)[0][:, 3:])


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_a_copied_stream_goes_on_by_itself(stream, copied):
    layer, x, state, initial = stream
    layer.step(x[:, 0], state)
    other = copied(state)
    layer.step(-x[:, 1], other)
    steps = [layer.step(x[:, t], state) for t in range(1, 5)]
    assert_array_equal(np.stack(steps, axis=1), layer(x, initial)[0][:, 1:])


def test_a_pickled_stream_goes_on_where_it_was(stream):
    layer, x, state, initial = stream
    layer.step(x[:, 0], state)
    layer, state = pickle.loads(pickle.dumps((layer, state)))
    steps = [layer.step(x[:, t], state) for t in range(1, 5)]
    assert_array_equal(np.stack(steps, axis=1), layer(x, initial)[0][:, 1:])


def test_a_stream_shows_its_states_one_by_one(stream):
    layer, x, state, initial = stream
    layer.step(x[:, 0], state)
    _, state_n = layer(x[:, :1], initial)
    shown = [getattr(state, name) for name in "hc"[: len(initial)]]
    assert_same_states(shown, state_n)


@pytest.mark.parametrize("cell", sorted(name for name, its in kernels.CELLS.items() if "c" not in its.states))
def test_a_stream_without_a_cell_state_says_so(cell):
    state = class_of(cell)(2, 3, num_layers=2).initial_state()
    with pytest.raises(AttributeError, match=f"The state of {cell.upper()} is h alone; it has no cell state c"):
        _ = state.c


def test_a_bidirectional_layer_refuses_streams(cell):
    with pytest.raises(ValueError, match="A bidirectional layer has no streams: its backward"):
        class_of(cell)(2, 3, bidirectional=True).initial_state()


# -- names, shapes and words --------------------------------------------------------------------------------


@needs_torch
def test_names_order_and_shapes_of_weights_are_those_of_torch(cell, bidirectional):
    from torch_peer import module_of

    theirs = module_of(cell, 4, 5, num_layers=3, bidirectional=bidirectional).state_dict()
    ours = class_of(cell)(4, 5, num_layers=3, bidirectional=bidirectional).state_dict()
    assert [(name, value.shape) for name, value in ours.items()] == [(k, tuple(v.shape)) for k, v in theirs.items()]


def test_states_have_one_row_for_each_layer_and_direction(backend, cell, bidirectional):
    layer, (x, *_) = layer_and_problem(
        cell, (4, 3, 2, 5), "float32", backend, num_layers=3, bidirectional=bidirectional
    )
    output, state = layer(x)
    assert output.shape == (4, 3, 5 * (1 + bidirectional))
    assert [part.shape for part in state] == [(3 * (1 + bidirectional), 4, 5)] * len(kernels.CELLS[cell].states)


def test_states_of_layers_of_other_sizes_are_a_tuple_for_each_layer(backend, cell, bidirectional):
    layer, (x, state, d_output, d_state) = layer_and_problem(
        cell, (4, 3, 2, (5, 1, 7)), "float32", backend, bidirectional=bidirectional
    )
    output, state_n, tape = layer.record(x, state)
    grads = layer.backward(tape, d_output, d_state)
    shapes = [[(1 + bidirectional, 4, H) for H in (5, 1, 7)]] * len(kernels.CELLS[cell].states)
    assert output.shape == (4, 3, 7 * (1 + bidirectional))
    for given in (state_n, grads.state):
        assert all(type(part) is tuple for part in given)
        assert [[array.shape for array in part] for part in given] == shapes


@pytest.mark.parametrize("sizes", [(5, 5), [5, 5], np.array([5, 5])], ids=["tuple", "list", "array"])
def test_one_size_for_all_layers_is_as_good_as_one_for_each(cell, sizes):
    one, each = (class_of(cell)(3, size, num_layers=2, random_state=0) for size in (5, sizes))
    assert one.hidden_size == each.hidden_size == 5
    assert_same_bits(each.state_dict(), one.state_dict())


def test_a_layer_says_what_it_was_made_of(cell):
    name = cell.upper()
    layer = class_of(cell)(3, (5, 7), 2, bidirectional=True, backend="numpy")
    assert (layer.input_size, layer.hidden_size, layer.num_layers, layer.bidirectional) == (3, (5, 7), 2, True)
    assert repr(layer) == f"{name}(3, (5, 7), 2, bidirectional=True, dtype='float32', backend='numpy')"
    assert repr(class_of(cell)(3, 5, backend="numpy")) == f"{name}(3, 5, dtype='float32', backend='numpy')"


@pytest.mark.parametrize("cell", sorted(name for name, its in kernels.CELLS.items() if len(its.states) == 1))
def test_a_state_of_one_array_may_come_without_a_tuple(backend, cell):
    layer, (x, (h,), d_output, (d_h,)) = layer_and_problem(cell, (3, 4, 2, 5), "float64", backend, num_layers=2)
    assert_same_bits(all_results(layer, x, h, d_output, d_h), all_results(layer, x, (h,), d_output, (d_h,)))
    assert_array_equal(layer.initial_state(3, h).h, h)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"hidden_size": (5, 6, 7), "num_layers": 2},
            r"hidden_size=\(5, 6, 7\) has sizes of 3 layers, but num_layers=2",
        ),
        ({"hidden_size": (5,), "num_layers": 2}, r"pass num_layers=1, or one size for all layers"),
        ({"hidden_size": (5, 6)}, r"hidden_size=\(5, 6\) has sizes of 2 layers, but num_layers=1: pass num_layers=2"),
        ({"hidden_size": ()}, r"hidden_size=\(\): expected an integer of at least 1, or one such integer for every"),
        ({"hidden_size": (5, 0), "num_layers": 2}, r"hidden_size=\(5, 0\): expected an integer of at least 1"),
        ({"hidden_size": (5, True), "num_layers": 2}, r"hidden_size=\(5, True\): expected an integer of at least 1"),
        ({"num_layers": 0}, "num_layers=0: expected an integer from 1 to 10000"),
        ({"num_layers": 1.0}, r"num_layers=1\.0: expected an integer from 1 to 10000"),
        ({"num_layers": True}, "num_layers=True: expected an integer from 1 to 10000"),
        ({"bidirectional": "yes"}, "bidirectional='yes': expected True or False"),
        ({"bidirectional": 1}, "bidirectional=1: expected True or False"),
    ],
    ids=str,
)
def test_options_that_make_no_stack(cell, options, message):
    with pytest.raises(ValueError, match=message):
        class_of(cell)(**{"input_size": 3, "hidden_size": 5, **options})


@pytest.mark.parametrize("more", [-1, 1])
def test_a_state_of_another_number_of_arrays(cell, more):
    right = len(kernels.CELLS[cell].states)
    number, layer, h = right + more, class_of(cell)(3, 5, num_layers=2), np.zeros((2, 4, 5), "float32")
    expected = {1: "a tuple of one array, hidden", 2: "a pair of arrays, hidden and cell"}[right]
    with pytest.raises(ValueError, match=f"state: expected {expected}, got tuple of {number}"):
        layer(np.zeros((4, 2, 3), "float32"), (h,) * number)


@pytest.mark.parametrize(
    ("sizes", "part", "message"),
    [
        ((5, 5), np.zeros((2, 4, 5)), r"state\[0\] has shape \(2, 4, 5\); expected \(4, 4, 5\)"),
        (
            (5, 6),
            np.zeros((4, 4, 5)),
            r"state\[0\]: expected one array for each of 2 layers, whose hidden sizes differ",
        ),
        ((5, 6), (np.zeros((2, 4, 5)),), r"state\[0\]: expected one array for each of 2 layers"),
        (
            (5, 6),
            (np.zeros((2, 4, 5)), np.zeros((2, 4, 5))),
            r"state\[0\]\[1\] has shape \(2, 4, 5\); expected \(2, 4, 6\)",
        ),
    ],
    ids=["directions", "one array", "layers", "size"],
)
def test_a_state_of_another_stack(cell, sizes, part, message):
    layer = class_of(cell)(3, sizes, num_layers=2, bidirectional=True, dtype="float64")
    with pytest.raises(ValueError, match=message):
        layer(np.zeros((4, 2, 3)), (part,) * len(kernels.CELLS[cell].states))
