"""Dropout: which numbers are left out, what the network makes of that, and its gradient with the masks held fixed."""

import pickle

import numpy as np
import pytest
from helpers import (
    all_results,
    assert_gradient_is_that_of_finite_differences,
    assert_same_fit,
    class_of,
    fitted,
    is_of_states,
    is_of_weights,
    problem,
    series,
)
from numpy.testing import assert_allclose, assert_array_equal

from fastlstm import LSTMClassifier, LSTMRegressor, kernels, sequences
from fastlstm.dropout import Masks
from fastlstm.kernels.numpy.dropout import philox
from fastlstm.layers import LSTM
from fastlstm.stacks import Stack
from fastlstm.training.losses import Loss
from fastlstm.training.minibatch import Minibatch, differentiate
from fastlstm.training.network import Network, initialise

# -- the generator ----------------------------------------------------------------------------------------------

ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("key", "counter", "words"),
    [
        ([0] * 2, [0] * 4, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([ONES] * 2, [ONES] * 4, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            [0xA4093822, 0x299F31D0],  # digits of pi
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_the_generator_gives_the_known_answers(key, counter, words):
    """Those that come with the authors' Random123."""
    assert " ".join(f"{int(word):08x}" for word in philox(key, counter)) == words


def masks(backend, sequences_, W=37, rate=0.3, seed=5 << 40 | 7, epoch=2, stream=1, dtype="float32"):
    """Of these sequences, drawn in two parts."""
    out, middle = np.full((len(sequences_), W), np.nan, dtype), len(sequences_) // 3
    draw = kernels.load(backend).dropout.draw
    for first, last in [(0, middle), (middle, len(sequences_))]:
        draw(seed, epoch, stream, rate, np.asarray(sequences_), first, last, out)
    return out


@pytest.mark.parametrize("W", [1, 3, 4, 5, 64])
def test_backends_draw_the_same(dtype, W):
    one, *others = (masks(backend, np.arange(11), W, dtype=dtype) for backend in kernels.available())
    for other in others:
        assert_array_equal(other, one)


def test_a_mask_depends_on_its_sequence_not_on_the_batch(backend):
    whole, some = masks(backend, np.arange(50)), [44, 3, 17]
    assert_array_equal(masks(backend, some), whole[some])
    assert_array_equal(masks(backend, np.arange(50), W=12), whole[:, :12])


@pytest.mark.parametrize("change", [{"seed": 8}, {"seed": 6 << 40 | 7}, {"epoch": 3}, {"stream": 0}])
def test_other_seeds_epochs_and_streams_have_other_masks(backend, change):
    one, other = masks(backend, np.arange(200)), masks(backend, np.arange(200), **change)
    together = np.mean((one == 0) & (other == 0))  # independent: the product of both parts
    assert abs(together - 0.09) < 4 * np.sqrt(0.09 * 0.91 / one.size)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_rate_is_left_out_and_the_expectation_stays(backend, rate):
    drawn = masks(backend, np.arange(3000), rate=rate, dtype="float64")
    assert set(np.unique(drawn)) == {0, 1 / (1 - rate)}
    deviation = np.sqrt(rate / (1 - rate))
    assert abs(drawn.mean() - 1) < 4 * deviation / np.sqrt(drawn.size)
    assert np.abs(drawn.mean(axis=0) - 1).max() < 5 * deviation / np.sqrt(len(drawn))  # no unit is preferred,
    assert np.abs(drawn.mean(axis=1) - 1).max() < 6 * deviation / np.sqrt(drawn.shape[1])  # and no sequence


def test_scaling_takes_each_rows_own_mask(backend, dtype):
    starts, W = np.array([0, 4, 7, 8]), 5  # lengths 3, 2, 2, 1
    rows, mask = (
        np.random.default_rng(0).normal(size=(8, 2 * W)).astype(dtype),
        masks(backend, np.arange(4), dtype=dtype),
    )
    of_rows = mask[[0, 1, 2, 3, 0, 1, 2, 0], 3 : 3 + W]
    expected = rows.copy()
    expected[[1, 2, 5, 6], W:] *= of_rows[[1, 2, 5, 6]]  # the second and the third only
    kernels.load(backend).dropout.scale(starts, 1, 3, mask, 3, rows[:, W:])
    assert_array_equal(rows, expected)


# -- the network ------------------------------------------------------------------------------------------------

RATES = [(0.4, 0.0), (0.0, 0.4), (0.3, 0.5)]
LENGTHS = [[4] * 7, [2, 5, 1, 5, 4, 1, 3]]
SHAPES = [((9,), False), ((3, 5), False), ((4,), True), ((3, 2), True)]
shapes = pytest.mark.parametrize(("sizes", "bidirectional"), SHAPES)
of_rates = pytest.mark.parametrize("rates", RATES)
of_lengths = pytest.mark.parametrize("lengths", LENGTHS, ids=["equal", "unequal"])
heads = pytest.mark.parametrize("per_step", [False, True], ids=["last", "steps"])
K, DRAW = 2, (11, 3)  # outputs; seed and epoch


class Problem:
    """A network with dropout, data, and its weights as they are without."""

    def __init__(
        self, lengths, rates, backend="numpy", cell="lstm", sizes=(9,), bidirectional=False, per_step=False,
        dtype="float64", checkpoint=None,
    ):  # fmt: skip
        rng = np.random.default_rng(0)
        self.series = sequences.of_members([rng.normal(size=(length, 2)) for length in lengths], dtype, "X")
        self.stack = Stack(cell, 2, sizes, bidirectional)
        self.weights = {
            name: value + 0.1 * rng.normal(size=value.shape) for name, value in initialise(self.stack, K, rng).items()
        }
        self.targets = rng.normal(size=(self.series.steps if per_step else len(lengths), K)).astype(dtype)
        self.rates, self.backend, self.per_step = rates, backend, per_step
        self.network = self.made(self.weights, *rates, checkpoint)

    def made(self, weights, dropout=0.0, recurrent_dropout=0.0, checkpoint=None):
        return Network(
            self.stack, weights, self.series.values.dtype, self.backend, checkpoint, self.per_step, dropout,
            recurrent_dropout,
        )  # fmt: skip

    def results(self, network=None, of=None, n_jobs=1):
        """The loss of each series, or of each step, and the gradient of their sum; `of`: the series to run over."""
        network, series, numbers = network or self.network, self.series, np.arange(len(self.series))
        rows, starts = series.pack(numbers if of is None else np.asarray(of))
        places = series.step_rows(rows, starts) if self.per_step else rows
        targets = self.targets[places]
        shares = np.ones((len(places), 1), targets.dtype)
        draw = (*DRAW, rows)
        batch = Minibatch(starts, series.values, series.at[rows], targets, shares, Loss("squared_error"), draw)
        with network.team(len(rows), series.steps, n_jobs) as team:
            network.prepare_batch(batch, team.size)
            team.run(lambda: differentiate(network))
        losses = np.full(len(self.targets), np.nan)
        losses[places] = network.values
        return losses, network.gradient.copy()


def without(problem, n):
    """The network without dropout that is, for series n, what the one with its masks is: they are in the weights."""
    package, stack, weights = kernels.load(problem.backend), problem.stack, dict(problem.weights)
    dropout, recurrent = problem.rates
    drawn = Masks(stack, package, 1, np.dtype("float64"), dropout, dropout, recurrent)
    drawn.draw(0, 1, *DRAW, np.array([n]))
    for layer, places in enumerate(stack.layers):
        for direction, (suffix, _, H) in enumerate(places):
            if drawn.states[layer] is not None:
                mask = drawn.states[layer][0, direction * H : (direction + 1) * H]
                weights[f"weight_hh{suffix}"] = weights[f"weight_hh{suffix}"] * mask
            if layer and drawn.outputs[layer - 1] is not None:
                weights[f"weight_ih{suffix}"] = weights[f"weight_ih{suffix}"] * drawn.outputs[layer - 1][0]
    if drawn.outputs[-1] is not None:
        weights["head.weight"] = weights["head.weight"] * drawn.outputs[-1][0]
    return problem.made(weights)


@shapes
@of_rates
@heads
def test_masks_act_on_outputs_and_on_states_before_the_gates(backend, cell, sizes, bidirectional, rates, per_step):
    problem = Problem(LENGTHS[1], rates, backend, cell, sizes, bidirectional, per_step)
    losses, _ = problem.results()
    for n in range(len(problem.series)):
        expected, _ = problem.results(without(problem, n), of=[n])
        there = ~np.isnan(expected)
        assert there.any()
        assert_allclose(losses[there], expected[there], rtol=1e-10)


@shapes
@heads
@of_lengths
def test_the_gradient_is_that_of_finite_differences(backend, cell, sizes, bidirectional, per_step, lengths):
    problem = Problem(lengths[:4], (0.3, 0.5), backend, cell, sizes, bidirectional, per_step)
    _, gradient = problem.results()
    assert_gradient_is_that_of_finite_differences(
        lambda: np.nansum(problem.results()[0]), problem.network.parameters, gradient
    )


@shapes
@heads
@of_lengths
def test_backends_agree(cell, sizes, bidirectional, per_step, lengths, dtype):
    problems = [
        Problem(lengths, (0.3, 0.5), backend, cell, sizes, bidirectional, per_step, dtype)
        for backend in kernels.available()
    ]
    (losses, gradient), *others = (problem.results() for problem in problems)
    close = {"rtol": 1e-10, "atol": 1e-12} if dtype == "float64" else {"rtol": 1e-4, "atol": 1e-5}
    for other_losses, other_gradient in others:
        assert_allclose(other_losses, losses, **close)
        assert_allclose(other_gradient, gradient, **close)


@heads
@of_lengths
@pytest.mark.parametrize("checkpoint", [1, 2, 9])
def test_steps_computed_a_second_time_have_the_same_masks(backend, cell, per_step, lengths, checkpoint):
    whole = Problem(lengths, (0.3, 0.5), backend, cell, (9, 4), False, per_step).results()
    again = Problem(lengths, (0.3, 0.5), backend, cell, (9, 4), False, per_step, checkpoint=checkpoint).results()
    assert_array_equal(again[0], whole[0])
    assert_allclose(again[1], whole[1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("sizes", "bidirectional"), [SHAPES[0], SHAPES[-1]])
@heads
@of_lengths
def test_bits_depend_neither_on_threads_nor_on_the_batch(
    four_cpus, by_units, fast, cell, sizes, bidirectional, per_step, lengths, dtype
):
    sizes = tuple(size * 13 for size in sizes)  # units for several threads
    problem = Problem(lengths, (0.3, 0.5), fast, cell, sizes, bidirectional, per_step, dtype)
    losses, gradient = problem.results()
    for n_jobs in (2, 3):
        more_losses, more_gradient = problem.results(n_jobs=n_jobs)
        assert_array_equal(more_losses, losses)
        assert_array_equal(more_gradient, gradient)
    for some in ([3], [5, 0, 2]):
        of_some, _ = problem.results(of=some)
        there = ~np.isnan(of_some)
        assert_array_equal(of_some[there], losses[there])


# -- estimators -------------------------------------------------------------------------------------------------

BOTH = {"dropout": 0.4, "recurrent_dropout": 0.3}


@pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])
def test_a_fit_has_the_same_bits_for_any_number_of_threads(four_cpus, by_units, estimator):
    assert_same_fit(fitted(estimator, n_jobs=1, **BOTH), fitted(estimator, n_jobs=3, **BOTH))


@pytest.mark.parametrize("rate", BOTH)
def test_each_of_both_changes_training(rate):
    without, with_rate = fitted(LSTMRegressor), fitted(LSTMRegressor, **{rate: 0.3})
    assert without.loss_curve_ != with_rate.loss_curve_


def test_epochs_have_masks_of_their_own():
    """Nothing else changes with so small a rate: losses differ by the masks."""
    X, y = series()
    model = LSTMRegressor(20, dropout=0.5, learning_rate_init=1e-12, learning_rate="cosine", max_iter=4, random_state=0)
    assert len(np.unique(np.round(model.fit(X, y).loss_curve_, 9))) == 4


def test_predictions_leave_out_nothing(backend):
    model, (X, _) = fitted(LSTMRegressor, backend=backend, **BOTH), series()
    predicted = model.predict(X)
    assert_array_equal(model.predict(X), predicted)
    assert_array_equal(model.set_params(dropout=0.0, recurrent_dropout=0.0).predict(X), predicted)


def test_outputs_of_the_head_are_on_average_those_without():
    problem = Problem([3], (0.5, 0.0))
    stack, package = problem.stack, kernels.load("numpy")
    h = np.random.default_rng(0).normal(size=stack.width)
    drawn = Masks(stack, package, 20000, np.dtype("float64"), 0.5, 0.5, 0.0)
    drawn.draw(0, 20000, *DRAW, np.arange(20000))
    outputs = (drawn.outputs[-1] * h) @ problem.weights["head.weight"].T
    deviation = outputs.std(axis=0) / np.sqrt(len(outputs))
    assert (np.abs(outputs.mean(axis=0) - problem.weights["head.weight"] @ h) < 4 * deviation).all()


# -- layers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [None, [2, 4, 1, 4]], ids=["equal", "lengths"])
def test_a_layer_leaves_out_outputs_between_layers_when_it_records(backend, cell, bidirectional, lengths):
    options = {"bidirectional": bidirectional, "dtype": "float64", "backend": backend, "random_state": 3}
    layer, plain = (class_of(cell)(2, 5, 2, dropout=rate, **options) for rate in (0.4, 0.0))
    x, state, d_output, d_state = problem(4, 4, 2, 5, cell=cell, num_layers=2, bidirectional=bidirectional)
    drawn = Masks(layer._stack, kernels.load(backend), 4, np.dtype("float64"), 0.4, 0.0, 0.0)
    drawn.draw(0, 4, layer._seed, 1, np.arange(4))
    whole = all_results(layer, x, state, d_output, d_state, lengths)
    suffixes = ("_l1", "_l1_reverse")[: 1 + bidirectional]
    sums = dict.fromkeys(plain.state_dict(), 0)
    for n, mask in enumerate(drawn.outputs[0]):
        masked = layer.state_dict()
        for suffix in suffixes:
            masked[f"weight_ih{suffix}"] *= mask
        plain.load_state_dict(masked)
        of_n = [tuple(part[:, n : n + 1] for part in parts) for parts in (state, d_state)]
        length = lengths and lengths[n : n + 1]
        alone = all_results(plain, x[n : n + 1], of_n[0], d_output[n : n + 1], of_n[1], length)
        for name, value in alone.items():
            if is_of_weights(name):
                masked_too = name[2:] in [f"weight_ih{suffix}" for suffix in suffixes]
                sums[name[2:]] = sums[name[2:]] + (value * mask if masked_too else value)
            else:
                of_n = whole[name][:, n : n + 1] if is_of_states(name) else whole[name][n : n + 1]
                assert_allclose(of_n, value, rtol=1e-10, atol=1e-12, err_msg=name)
    for name, value in sums.items():
        assert_allclose(whole[f"d_{name}"], value, rtol=1e-9, atol=1e-11, err_msg=name)


def test_a_layer_records_other_masks_in_each_call_and_calls_without(backend):
    layer = LSTM(2, 30, 2, dropout=0.5, backend=backend, random_state=0)
    plain = LSTM(2, 30, 2, backend=backend, random_state=0)
    x = np.random.default_rng(0).normal(size=(3, 4, 2)).astype("float32")
    again = pickle.loads(pickle.dumps(layer))
    first, second = layer.record(x)[0].copy(), layer.record(x)[0].copy()
    assert (first != second).any()
    assert_array_equal(again.record(x)[0], first)
    assert_array_equal(pickle.loads(pickle.dumps(again)).record(x)[0], second)
    assert_array_equal(layer(x)[0], plain(x)[0])
    assert (layer(x)[0] != first).any()


def test_a_tape_that_is_used_up_hands_its_memory_to_other_masks(backend):
    layer = LSTM(2, 30, 2, dropout=0.5, backend=backend, random_state=0)
    x, expected = np.ones((3, 4, 2), "float32"), []
    for keep in (True, False):
        again = pickle.loads(pickle.dumps(layer))
        for number in range(3):
            output, _, tape = again.record(x)
            result = [output.copy(), *again.backward(tape, np.ones_like(output), keep_tape=keep).weights.values()]
            del output, tape
            if keep:
                expected.append(result)
            for value, of_kept in zip(result, expected[number], strict=True):
                assert_array_equal(value, of_kept)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dropout": 1.0, "num_layers": 2}, r"dropout=1.0: expected a number of at least 0 and less than 1"),
        ({"dropout": "half", "num_layers": 2}, "dropout='half'"),
        ({"dropout": True, "num_layers": 2}, "dropout=True"),
        ({"dropout": 0.5}, "dropout=0.5 with num_layers=1.*there is none"),
    ],
)
def test_a_layer_refuses_dropout_that_cannot_be(cell, options, message):
    with pytest.raises(ValueError, match=message):
        class_of(cell)(2, 3, **options)
