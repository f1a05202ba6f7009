"""Recurrences whose products are of bfloat16 numbers: rounded as the NumPy oracle rounds, and the same bits however the
work is divided."""

import importlib
import pickle

import numpy as np
import pytest
from helpers import at_once, in_turn
from numpy.testing import assert_array_equal

from fastlstm import kernels, layers
from fastlstm.kernels.numpy.recurrence import bfloat16
from fastlstm.kernels.parts import Part, starts_of
from fastlstm.kernels.workspace import Workspace

#: The preferred compiled backend; the other one has its bits.
COMPILED = [name for name in kernels.available() if name != "numpy"][:1]
pytestmark = pytest.mark.skipif(not COMPILED, reason="there is no compiled backend")


def has_amx():
    return "cython" in COMPILED and "amx" in importlib.import_module("fastlstm.kernels.cython").f32.levels()


@pytest.fixture(params=[*COMPILED, *["amx"] * has_amx()])
def compiled(request):
    """A backend, or the level of one that has bits of its own."""
    if request.param != "amx":
        yield kernels.load(request.param)
        return
    from fastlstm.kernels import cython

    before = cython.f32.level()
    cython.take("amx")
    yield cython.BACKEND
    cython.take(before)


def results_of(
    module, cell, C, H, lengths, size=1, by_units=False, masked=False, n_drawn=None, of_all=1.0, odd_one=0.0
):
    """What a run forward and back computes of random numbers.

    n_drawn: lengths of all sequences to draw, or None; of_all: scale of all numbers; odd_one: added to the first input.
    """
    rng, kind = np.random.default_rng((C, H)), kernels.CELLS[cell]
    G, N, lengths = len(kind.gates), len(lengths), np.asarray(lengths)
    drawn = np.asarray(lengths if n_drawn is None else n_drawn)
    starts = starts_of(lengths).astype(np.int64)

    def normal(*shape, scale=1.0):
        return (of_all * scale * rng.standard_normal(shape)).astype(np.float32)

    weights = [normal(*shape, scale=H**-0.5) for shape in ((G * H, C), (G * H, H), (G * H,), (G * H,))]
    x, state = normal(drawn.sum() * C), [normal(len(drawn), H)[:N] for _ in kind.states]
    x[0] += odd_one
    d_state = [normal(N, H) for _ in kind.states]
    d_outputs, mask = normal(lengths.sum(), H), rng.choice([0, 1.25], (N, H)).astype(np.float32)
    module, dtype, barrier = getattr(module, cell), np.dtype("float32"), np.zeros(1, np.int64)
    parts = [Part(rank, size, by_units, barrier) for rank in range(size)]
    packed = module.Packed(C, H, dtype, Workspace(), backward=True, inputs=True)
    run = module.Run(C, H, starts, dtype, Workspace(), recording=True, threads=size, masked=masked)
    if masked:
        run.mask[:] = mask
    out, d_weights = np.zeros((len(d_outputs), H), np.float32), [np.zeros_like(of) for of in weights]
    in_turn(parts, lambda part: packed.fill(part, weights))
    in_turn(parts, lambda part: run.load(part, x, (np.cumsum(lengths) - lengths) * C, state))
    at_once(parts, lambda part: run.forward(part, packed))
    in_turn(parts, lambda part: run.outputs(part, False, out, 0))
    run.prepare_backward(outputs=True, inputs=True)
    for to, d in zip(run.d_state, d_state, strict=True):
        to[:] = d
    in_turn(parts, lambda part: run.collect(part, [d_outputs], [False], 0))
    state_n = np.stack(run.state_n)
    at_once(parts, lambda part: run.backward(part, packed, True))
    in_turn(parts, lambda part: run.weight_gradient(part, packed))
    in_turn(parts, lambda part: run.input_gradient(part, packed))
    in_turn(parts, lambda part: packed.unpack(part, d_weights))
    named = {f"d_weight_{number}": of for number, of in enumerate(d_weights)}
    return named | {"out": out, "state_n": state_n, "d_x": np.array(run.d_x), "d_state": np.stack(run.d_state)}


SIZES = [(1, 1, [1]), (3, 5, [4, 4, 1]), (2, 17, [3] * 7), (16, 33, [5, 4, 4, 2, 1]), (31, 64, [2] * 70)]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("C", "H", "lengths"), SIZES)
def test_a_run_has_the_oracles_results(compiled, cell, C, H, lengths, masked):
    ours = results_of(compiled.bfloat16, cell, C, H, lengths, masked=masked)
    expected = results_of(kernels.load("numpy").bfloat16, cell, C, H, lengths, masked=masked)
    exact = results_of(kernels.load("numpy"), cell, C, H, lengths, masked=masked)
    for name, array in expected.items():
        scale = max(np.abs(array).max(), 1e-3)
        # here and there, two float32 numbers next to each other are rounded to different bfloat16 numbers
        error = np.abs(ours[name] - array) / scale
        assert np.median(error) < 5e-6, name
        assert error.max() < 2e-3, name
        assert H == 1 or np.abs(exact[name] - array).max() > 1e-4 * scale, name


@pytest.mark.parametrize("masked", [False, True])
def test_an_infinite_input_saturates_gates(compiled, cell, masked):
    """As in float32: padded units, which are NaN then, do not reach others, though one completes the last pair."""
    with np.errstate(invalid="ignore"):
        ours, expected = (
            results_of(of.bfloat16, cell, 16, 33, [5, 4], masked=masked, odd_one=np.inf)
            for of in (compiled, kernels.load("numpy"))
        )
    for name in ("out", "state_n"):
        assert np.isfinite(expected[name]).all(), name
        assert np.abs(ours[name] - expected[name]).max() < 1e-2, name


@pytest.mark.parametrize(("size", "by_units"), [(2, False), (3, False), (2, True)])
@pytest.mark.parametrize(("C", "H", "lengths"), SIZES[1:])
def test_threads_change_no_bits(compiled, cell, C, H, lengths, size, by_units):
    alone = results_of(compiled.bfloat16, cell, C, H, lengths)
    for name, array in results_of(compiled.bfloat16, cell, C, H, lengths, size, by_units).items():
        assert_array_equal(array, alone[name], err_msg=name)


@pytest.mark.parametrize(("C", "H", "lengths"), SIZES[1:])
def test_levels_have_the_same_bits(cell, C, H, lengths):
    """Of the instruction and of two multiply-adds in its place, on vectors of any width."""
    cython = pytest.importorskip("fastlstm.kernels.cython")
    before, found = cython.f32.level(), {}
    try:
        for level in cython.f32.levels():
            cython.take(level)
            found[level] = results_of(cython.BACKEND.bfloat16, cell, C, H, lengths)
    finally:
        cython.take(before)
    for level, results in found.items():
        for name, array in results.items():
            expected = found[cython.f32.levels()[0]][name]
            if level in ("sse2", "amx"):  # without a fused multiply-add, and with another order of sums
                assert np.median(np.abs(array - expected)) < 1e-5, name
            else:
                assert_array_equal(array, expected, err_msg=f"{name} on {level}")


@pytest.fixture
def both():
    """Numba and Cython where they have the same bits: few tests, because Numba compiles a cell for seconds."""
    pytest.importorskip("numba")
    pytest.importorskip("fastlstm.kernels.cython")
    if kernels.load("numba, bfloat16").bits() != kernels.load("cython, bfloat16").bits():
        pytest.skip("without a fused multiply-add, roundings differ")
    return "numba", "cython"


def test_numba_has_the_bits_of_cython(cell, both):
    cases = [(*sizes, {"masked": masked}) for sizes in SIZES for masked in (False, True)]
    cases += [(*SIZES[3], {"of_all": 1e-20}), (*SIZES[3], {"odd_one": np.nan}), (*SIZES[3], {"odd_one": -np.inf})]
    for C, H, lengths, options in cases:
        for size, by_units in ((1, False), (3, False), (2, True)):
            arguments = cell, C, H, lengths, size, by_units
            with np.errstate(all="ignore"):
                ours, theirs = (results_of(kernels.load(name).bfloat16, *arguments, **options) for name in both)
            for name, array in theirs.items():
                assert_array_equal(ours[name], array, err_msg=f"{name} of {arguments}, {options}")
    assert np.float32(2.0**-100) * np.float32(2.0**-30) > 0  # subnormal numbers are zeros in products only


def test_numbas_layers_have_the_bits_of_cythons(both):
    x = np.random.default_rng(0).standard_normal((7, 9, 3)).astype("float32")
    options = {"num_layers": 2, "bidirectional": True, "random_state": 0, "precision": "bfloat16"}
    ours, theirs = (layers.LSTM(3, 33, **options, backend=name) for name in both)
    for array, expected in zip(of_layer(ours, x), of_layer(theirs, x), strict=True):
        assert_array_equal(array, expected)
    ours, theirs = (layers.LSTM(3, 33, random_state=0, precision="bfloat16", backend=name) for name in both)
    output, state = theirs(x)[0], ours.initial_state(7)
    for t in range(9):
        assert_array_equal(ours.step(x[:, t], state), output[:, t])


@pytest.mark.parametrize(("C", "H", "lengths"), SIZES[2:4])
def test_other_rows_of_a_batch_change_no_bits(compiled, cell, C, H, lengths):
    """Forward; a batch of the first sequences has the same weights and inputs."""
    one = results_of(compiled.bfloat16, cell, C, H, lengths[:2], n_drawn=lengths)
    assert_array_equal(one["state_n"], results_of(compiled.bfloat16, cell, C, H, lengths)["state_n"][:, :2])


@pytest.mark.parametrize("name", [name for name in kernels.available() if name != "numpy"])
def test_subnormal_numbers_are_zero_in_products_only(name):
    """As vdpbf16ps has it; the CPU's mode is as before afterwards."""
    module, part, dtype = kernels.load(name).bfloat16.rnn, Part(), np.dtype("float32")
    packed = module.Packed(1, 1, dtype, Workspace())
    packed.fill(part, [np.full(size, value, np.float32) for size, value in ((1, 2.0**-30), (1, 0), (1, 0), (1, 0))])
    run, h = module.Run(1, 1, np.array([0, 1]), dtype, Workspace()), np.ones((1, 1), np.float32)
    for exponent, expected in ((-100, 0.0), (-90, 2.0**-120)):
        run.load(part, np.full(1, 2.0**exponent, np.float32), np.zeros(1, np.int64))
        run.step(packed, np.full((1, 1), 2.0**exponent, np.float32), h)
        assert h[0, 0] == pytest.approx(expected, rel=1e-6, abs=0)
    assert np.float32(2.0**-100) * np.float32(2.0**-30) > 0


def test_the_oracle_rounds_to_the_nearest_even_number():
    step = 2.0**-7  # between bfloat16 numbers from 1 on
    numbers = [1, 1 + step / 2, 1 + 1.5 * step, 1 + 0.51 * step, -1 - step / 2, 3.4e38, np.inf, 0.0]
    expected = [1, 1, 1 + 2 * step, 1 + step, -1, np.inf, np.inf, 0.0]
    assert_array_equal(bfloat16(np.array(numbers, np.float32)), np.array(expected, np.float32))
    assert np.isnan(bfloat16(np.array([np.nan], np.float32))).all()


@pytest.fixture(params=["numpy", *COMPILED])
def name(request):
    return request.param


def of_layer(layer, x):
    """Outputs, states and gradients of a layer; those of the squares of the outputs."""
    output, state, tape = layer.record(x)
    gradients = layer.backward(tape, 2 * output)
    states = [np.stack(of) for of in (*state, *gradients.state)]
    return [output, *states, gradients.x, *gradients.weights.values()]


def test_layers_are_near_those_of_float32(cell, name):
    x, make = np.random.default_rng(0).standard_normal((7, 9, 3)).astype("float32"), getattr(layers, cell.upper())
    options = {"num_layers": 2, "bidirectional": True, "random_state": 0, "backend": name}
    exact, layer = make(3, 33, **options), make(3, 33, **options, precision="bfloat16")
    for ours, expected in zip(of_layer(layer, x), of_layer(exact, x), strict=True):
        error = np.linalg.norm(ours - expected) / np.linalg.norm(expected)
        assert 1e-5 < error < 0.02
        assert ours.dtype == np.float32
    copy = pickle.loads(pickle.dumps(layer))
    assert copy.precision == "bfloat16"
    assert "precision='bfloat16'" in repr(copy)
    assert_array_equal(copy(x)[0], layer(x)[0])


def test_streams_and_threads_have_the_bits_of_a_layer(cell, compiled):
    x = np.random.default_rng(0).standard_normal((7, 9, 3)).astype("float32")
    layer = getattr(layers, cell.upper())(3, 33, precision="bfloat16", random_state=0, n_jobs=1)
    output, _ = layer(x)
    state = layer.initial_state(7)
    for t in range(9):
        assert_array_equal(layer.step(x[:, t], state), output[:, t])
    many = getattr(layers, cell.upper())(3, 33, precision="bfloat16", random_state=0, n_jobs=2)
    for ours, expected in zip(of_layer(many, x), of_layer(layer, x), strict=True):
        assert_array_equal(ours, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "float16"}, r"precision='float16': expected one of \['float32', 'bfloat16', 'int8'\]"),
        ({"precision": None}, r"precision=None: expected one of \['float32', 'bfloat16', 'int8'\]"),
        ({"precision": "bfloat16", "dtype": "float64"}, "requires dtype='float32', but dtype is 'float64'"),
    ],
)
def test_precisions_that_are_not_there_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        layers.LSTM(1, 1, **options)


def test_backends_without_bfloat16_say_which_have_it(monkeypatch):
    monkeypatch.delattr(kernels.load("numpy"), "bfloat16")
    with pytest.raises(ValueError, match=r"not available with backend='numpy': use one of \['(cython|numba)'"):
        layers.LSTM(1, 1, precision="bfloat16", backend="numpy")
