"""Recursive forecasts: the layers read each forecast as the input of the next step."""

import re

import numpy as np
import pytest
from helpers import FAST, TOLERANCE
from numpy.testing import assert_allclose, assert_array_equal

from fastlstm import kernels
from fastlstm.forecasting.linear import Inputs, Linear
from fastlstm.forecasting.predictor import Recursive
from fastlstm.forecasting.predictor import Run as Where
from fastlstm.forecasting.windows import Table
from fastlstm.kernels.forecast import VARIANCE_FLOOR, Forecast
from fastlstm.kernels.parts import Part
from fastlstm.kernels.workspace import Workspace
from fastlstm.stacks import Stack
from fastlstm.training.losses import Loss
from fastlstm.training.model import Model
from fastlstm.training.network import initialise
from fastlstm.training.outputs import RegressionOutput
from fastlstm.training.streaming import Stepper

T, S, C = 18, 5, 2


class Problem:
    """Layers of random weights, a head, states and windows of N sequences."""

    def __init__(self, cell, sizes, dtype, N=7, K=2, noise=True):
        rng, self.cell, self.sizes, self.dtype, self.N = np.random.default_rng(0), cell, sizes, np.dtype(dtype), N
        G, states = len(kernels.CELLS[cell].gates), len(kernels.CELLS[cell].states)

        def normal(*shape):
            return rng.standard_normal(shape).astype(dtype)

        self.weights, self.states, width = [], [], C
        for H in sizes:
            shapes = (G * H, width), (G * H, H), (G * H,), (G * H,)
            self.weights.append([normal(*shape) / np.sqrt(H).astype(dtype) for shape in shapes])
            self.states.append(tuple(normal(N, H) for _ in range(states)))
            width = H
        self.head = (normal(K, width) / np.sqrt(width).astype(dtype), normal(K)) if sizes else None
        of_network = (normal(N, S - 1, C), normal(N, K)) if sizes else (None, None)
        lags = rng.standard_normal(T) / T
        self.forecast = Forecast(rng.standard_normal((N, T + S)), lags, rng.standard_normal((N, S)), *of_network, 0.7)
        if noise and sizes:
            self.forecast = self.forecast._replace(noise=rng.standard_normal((N, S)), width=0.6, sharpness=0.8)

    def made(self, backend, rows=slice(None), size=1):
        """The roll-out of some of the sequences, in as many threads, and its arrays."""
        package, dtype = kernels.load(backend), self.dtype
        module, width, runs, weights = getattr(package, self.cell), C, [], []
        forecast = Forecast(*[np.array(of[rows]) if np.ndim(of) > 1 else of for of in self.forecast])
        N = len(forecast.offset)
        for H, of_layer, state in zip(self.sizes, self.weights, self.states, strict=True):
            run = module.Run(width, H, np.array([0, N]), dtype, Workspace(), threads=size)
            at = np.arange(N) * width
            run.load(Part(), np.zeros(N * width, dtype), at, tuple(np.ascontiguousarray(of[rows]) for of in state))
            packed = module.Packed(width, H, dtype, Workspace())
            packed.fill(Part(), of_layer)
            runs, weights, width = [*runs, run], [*weights, packed], H
        head = None
        if self.head:
            head = package.head.Head(len(self.head[0]), width, dtype, Workspace())
            head.fill(*self.head)
        return package.roll_out.RollOut(runs, weights, head, forecast), forecast, runs

    def results(self, backend, rows=slice(None), size=1):
        """Forecasts, inputs, scores and final states."""
        roll_out, forecast, runs = self.made(backend, rows, size)
        for rank in range(size):
            roll_out.run(Part(rank, size))
        arrays = [forecast.series, forecast.x, forecast.scores, *(state for run in runs for state in run.state)]
        return [np.array(array) for array in arrays if array is not None]


#: One unit, an odd number, one more than any vector has, and two layers.
sizes = pytest.mark.parametrize("sizes", [(1,), (7,), (17,), (33,), (17, 5), (1, 33)])


@pytest.mark.parametrize("noise", [False, True])
@sizes
def test_every_backend_agrees_with_numpy(backend, cell, dtype, sizes, noise):
    problem = Problem(cell, sizes, dtype, noise=noise)
    for ours, theirs in zip(problem.results(backend), problem.results("numpy"), strict=True):
        assert_allclose(ours, theirs, rtol=0, atol=20 * TOLERANCE[dtype] * max(1, np.abs(theirs).max()))


@pytest.mark.every_combination
@pytest.mark.parametrize("noise", [False, True])
@sizes
def test_compiled_backends_give_the_same_bits(cell, dtype, sizes, noise):
    if len({kernels.load(name).bits() for name in FAST}) > 1:
        pytest.skip("one of them has no fused multiply-add")
    problem = Problem(cell, sizes, dtype, noise=noise)
    results = [problem.results(name) for name in FAST]
    for arrays in zip(*results, strict=True):
        for array in arrays[1:]:
            assert_array_equal(array, arrays[0])


@sizes
def test_a_sequence_is_forecast_alone_as_among_others(backend, cell, dtype, sizes):
    problem = Problem(cell, sizes, dtype)
    together = problem.results(backend)
    for rows in (slice(2, 3), slice(3, 7)):
        for alone, among in zip(problem.results(backend, rows), together, strict=True):
            assert_array_equal(alone, among[rows])


@pytest.mark.parametrize("fast", FAST)
@pytest.mark.parametrize("size", [2, 3, 9])
def test_parts_of_several_threads_compute_the_whole(fast, cell, dtype, size):
    problem = Problem(cell, (17, 5), dtype)
    for divided, whole in zip(problem.results(fast, size=size), problem.results(fast), strict=True):
        assert_array_equal(divided, whole)


def test_without_layers_the_lags_forecast(backend):
    problem = Problem("lstm", (), "float64")
    series, lags, offset = problem.forecast[:3]
    expected = series.copy()
    for j in range(S):
        expected[:, T + j] = offset[:, j] + expected[:, j : j + T] @ lags
    assert_allclose(problem.results(backend)[0], expected, rtol=1e-12)


def test_the_first_forecast_by_hand(backend):
    problem = Problem("lstm", (3,), "float64", N=1)
    series, lags, offset, _, (scores,), point, noise, width, sharpness = problem.forecast
    expected = offset[0, 0] + series[0, :T] @ lags + point * scores[0]
    expected += width * np.sqrt(np.exp(2 * scores[1]) + VARIANCE_FLOOR) ** sharpness * noise[0, 0]
    result, x = problem.results(backend)[:2]
    assert_allclose(result[0, T], expected, rtol=1e-12)
    assert_array_equal(result[:, T:-1], x[..., 0])


def test_a_single_step_needs_no_inputs(backend):
    problem = Problem("gru", (3,), "float32")
    whole = problem.results(backend)[0]
    series, _, offset, x, *_ = problem.forecast
    problem.forecast = problem.forecast._replace(
        series=series[:, : T + 1], offset=offset[:, :1], x=x[:, :0], noise=problem.forecast.noise[:, :1]
    )
    assert_array_equal(problem.results(backend)[0], whole[:, : T + 1])


# -- arguments of the Cython class that do not belong together; test_entry_checks.py tests each array -----------------


class Layers:
    """The arguments of a roll-out of two layers."""

    def __init__(self, dtype):
        self.problem = Problem("lstm", (6, 4), dtype)
        _, self.forecast, runs = self.problem.made("cython")
        self.entries = kernels.load("cython").entries(np.dtype(dtype))
        module = kernels.load("cython").lstm
        self.packed = [module.Packed(run.C, run.H, run.dtype, Workspace()).kernel for run in runs]
        self.runs, self.linear = [run._kernel for run in runs], self.entries.Linear(*self.problem.head)

    def refused(self, message, **other):
        given = {name: other.get(name, getattr(self, name)) for name in ("runs", "packed", "linear", "forecast")}
        with pytest.raises(ValueError, match=message):
            self.entries.RollOut(*given.values())


@pytest.fixture
def layers(dtype):
    pytest.importorskip("fastlstm.kernels.cython")
    return Layers(dtype)


def test_layers_that_are_not_stacked_are_refused(layers):
    layers.refused(r"runs\[0\] has other inputs", runs=layers.runs[::-1], packed=layers.packed[::-1])
    layers.refused(r"runs\[1\] has other inputs", runs=layers.runs[:1] * 2, packed=layers.packed[:1] * 2)
    layers.refused("packed is of another cell", packed=layers.packed[::-1])
    layers.refused("packed has 1 elements, but there are 2 runs", packed=layers.packed[:1])
    other = Problem("lstm", (6, 4), layers.problem.dtype, N=3).made("cython")[2]
    layers.refused(r"runs\[1\] has other inputs", runs=[layers.runs[0], other[1]._kernel])


def test_runs_of_several_steps_are_refused(layers):
    run = kernels.load("cython").lstm.Run(C, 6, np.array([0, 7, 14]), layers.problem.dtype, Workspace())
    layers.refused("single steps need a run of one step", runs=[run._kernel, layers.runs[1]])


def test_a_head_of_other_features_is_refused(layers):
    weight, bias = layers.problem.head
    layers.refused("weight is None or has another number of columns", linear=None)
    layers.refused("weight .* another number", linear=layers.entries.Linear(np.ascontiguousarray(weight[:, 1:]), bias))
    scores = np.ascontiguousarray(layers.forecast.scores[:, :1])
    single = layers.entries.Linear(weight[:1], bias[:1])
    layers.refused("rows of weight", linear=single, forecast=layers.forecast._replace(scores=scores))


def test_more_threads_than_there_is_room_for_are_refused(layers):
    roll_out = layers.entries.RollOut(layers.runs, layers.packed, layers.linear, layers.forecast)
    with pytest.raises(ValueError, match=re.escape("sums or factors have room for 1 threads, but rank is 1")):
        roll_out.run(layers.entries.Part(0, 2, 1, 2, False, np.zeros(1, np.int64)))
    with pytest.raises(ValueError, match="sequences from 0 to 8"):
        roll_out.run(layers.entries.Part(0, 8, 0, 1, False, np.zeros(1, np.int64)))


# -- a stepper's ------------------------------------------------------------------------------------------------------


def model_of(cell, dtype, sizes=(9, 4)):
    stack, rng = Stack(cell, C, sizes), np.random.default_rng(0)
    weights = {name: w.astype(dtype) for name, w in initialise(stack, 2, rng).items()}
    return Model(stack, weights, RegressionOutput(Loss("gaussian_nll")), 1)


def test_a_stepper_rolls_out_as_it_steps(backend, cell, dtype):
    """From the states that it has."""
    model, problem = model_of(cell, dtype), Problem(cell, (9, 4), dtype, noise=False)
    series, lags, offset, x, _, point, *_ = problem.forecast
    one, other = (Stepper(model, problem.N, backend) for _ in range(2))
    first = np.random.default_rng(1).standard_normal((problem.N, 3, C)).astype(dtype)
    scores = one.read(first)
    expected, inputs = series.copy(), x.copy()
    one.roll_out(problem.forecast._replace(scores=scores.copy()))
    assert_array_equal(other.read(first), scores)
    for j in range(S):
        expected[:, T + j] = offset[:, j] + expected[:, j : j + T] @ lags + point * scores[:, 0]
        if j + 1 < S:
            inputs[:, j, 0] = expected[:, T + j]
            scores = other.step(inputs[:, j])
    assert_allclose(series, expected, rtol=10 * TOLERANCE[dtype], atol=TOLERANCE[dtype])
    for state, after in zip(one.arrays(), other.arrays(), strict=True):
        assert_allclose(state, after, rtol=0, atol=10 * TOLERANCE[dtype])


@pytest.mark.parametrize("n_jobs", [2, 3])
def test_threads_roll_out_the_same_bits(fast, cell, n_jobs, teams):
    results = []
    for jobs in (1, n_jobs):
        problem = Problem(cell, (9, 4), "float32", N=21)
        stepper = Stepper(model_of(cell, "float32"), 21, fast)
        stepper.roll_out(problem.forecast, jobs)
        results.append([problem.forecast.series, *stepper.arrays()])
    assert teams == [(1, False), (n_jobs, False)]
    for one, several in zip(*results, strict=True):
        assert_array_equal(one, several)


# -- a forecaster's ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [{}, {"past": (1,), "known": (2,), "static": (3,)}])
def test_linear_forecasts_are_lags_and_a_rest(channels):
    """The rest is that of the window that ends before each step."""
    rng, window = np.random.default_rng(0), 6
    inputs, x = Inputs(window, 1, **channels), rng.standard_normal((4, window + S - 1, 4)).astype("float32")
    F = inputs.read(x[:, :window]).shape[1]
    linear = Linear(inputs, rng.standard_normal((1, F)), rng.standard_normal(1), np.ones(1))
    lags, rest = linear.recursion(x)
    expected = np.hstack([linear.predict(x[:, j : j + window]) for j in range(S)])
    lagged = np.stack([x[:, j : j + window, 0] @ lags for j in range(S)], axis=1)
    assert_allclose(lagged + rest, expected, rtol=1e-12, atol=1e-12)
    assert_array_equal(linear.recursion(x[2:3])[1], rest[2:3])


@pytest.mark.parametrize("networks", [0, 1])
def test_forecasts_that_grow_without_bound_are_refused(networks):
    window = 3
    linear = Linear(Inputs(window, 1), np.full((1, window), 1e9), np.zeros(1), np.ones(1))
    predictor = Recursive(window, 1, "none", linear, [model_of("lstm", "float32")] * networks)
    table = Table([window + 9])
    table.y[:], table.covariates = 1, np.ones((window + 9, 1), "float32")
    assert np.isfinite(predictor.predict(table, np.array([0]), Where("auto", 1), 2)[0]).all()
    with pytest.raises(ValueError, match="too large for float32: forecast fewer steps"):
        predictor.predict(table, np.array([0]), Where("auto", 1), 9)
