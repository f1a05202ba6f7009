"""The Cython modules refuse arguments with which a kernel would leave an array, before they change anything."""

import inspect
import re
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastlstm import kernels
from fastlstm.kernels.compiled.head import NUMBERS
from fastlstm.kernels.parts import BROKEN, Part, lengths_of, starts_of
from fastlstm.kernels.workspace import Workspace

cython = pytest.importorskip("fastlstm.kernels.cython")

NAMES = sorted(
    {f"{cell}_{what}" for cell in kernels.CELLS for what in ("forward", "backward", "stepper")}
    | {"pack_gates", "pack_panels", "gru_pack", "rnn_pack", "unpack", "gru_unpack", "load_rows", "begin_rows"}
    | {"copy_outputs", "add_gradients", "multiply_rows", "gradient", "gather", "scatter", "draw", "scale", "wait"}
    | {"forward_rows", "differentiate_rows", "backward_rows", "gradient_of_rows", "losses_of_rows"}
    | {"losses_of_distributions", "square_sums", "adam", "sgd", "rmsprop"}
)
STEPPER = ["starts", "N", "C", "H", "P", "rows", "stride", "w", "c", "sums", "zero", "x", "h"]

#: Arrays that say themselves how many rows, or columns, the others need: a shorter one is another call.
ROWS_BY = {"starts", "weight", "d_weight", "g", "gradient_of_rows features", "scatter order"}
COLUMNS_BY = {"weight", "d_weight", "gather rows", "scatter rows", "draw masks", "scatter out", "scale masks"}
COLUMNS_BY |= {"losses_of_distributions targets"}

#: Those whose ranges of rows, units or columns may be empty.
EMPTY = {f"{cell}_{what}" for cell in kernels.CELLS for what in ("forward", "backward")}
EMPTY |= {"pack_gates", "pack_panels", "gru_pack", "rnn_pack", "unpack", "load_rows", "begin_rows", "copy_outputs"}
EMPTY |= {"add_gradients", "multiply_rows", "gradient", "gather", "draw", "scale"}


class Call(NamedTuple):
    """A call that is good, and what it is made of."""

    function: object
    given: dict  # the arguments by name, in order

    def __call__(self, **other):
        """Call it, with other arguments in place of some; the arrays, of which the others are copied, afterwards."""
        given = {name: alike(value) if isinstance(value, np.ndarray) else value for name, value in self.given.items()}
        given |= other
        self.function(*given.values())
        return {name: value for name, value in given.items() if isinstance(value, np.ndarray)}

    def refused(self, expected=ValueError, **other):
        """What the error says; these arrays are as they were."""
        before = {name: value.copy() for name, value in other.items() if isinstance(value, np.ndarray)}
        with pytest.raises(expected) as error:
            self(**other)
        for name, value in before.items():
            assert_array_equal(other[name], value)
        return str(error.value)

    def arrays(self):
        return {name: value for name, value in self.given.items() if isinstance(value, np.ndarray)}


def alike(array):
    """A copy, whose rows lie as far apart."""
    if array.flags.c_contiguous:
        return array.copy()
    copy = np.zeros((len(array), array.strides[0] // array.itemsize), array.dtype)[:, : array.shape[1]]
    copy[:] = array
    return copy


def record(entries, module, take):
    """The last call of each function that `take` makes, where one has every array to read."""
    calls = {}

    def recorder(name, function, names):
        def call(*arguments):
            given = dict(zip(names, arguments, strict=True))
            assert all(value for value in given.values() if isinstance(value, bool)), name
            calls[name] = Call(function, {n: alike(v) if isinstance(v, np.ndarray) else v for n, v in given.items()})
            return function(*arguments)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("held", "held_sizes", "unread"):  # of which no copy could be made
            patch.setattr(entries, name, lambda array: array)
        for name in NAMES:
            function = getattr(entries, name)
            if name.endswith("_stepper"):
                names = [n for n in STEPPER if n != "c" or name == "lstm_stepper"]
                step = recorder(name, lambda *given, of=function: of(*given[:-2])(*given[-2:]), names)
                patch.setattr(entries, name, lambda *buffers, step=step: lambda x, h: step(*buffers, x, h))
            else:
                patch.setattr(entries, name, recorder(name, function, list(inspect.signature(function).parameters)))
        take(module, entries)
    return calls


def take_runs(backend, entries):
    """Calls of runs, of a part that has all units and half of the rows."""
    rng, dtype = np.random.default_rng(0), np.dtype(f"f{8 if entries is cython.f64 else 4}")
    C, H, N, lengths = 3, 21, 4, np.array([4, 4, 3, 1])
    starts, part = starts_of(lengths).astype(np.int64), Part(1, 2, True, np.full(1, BROKEN, np.int64))
    M = int(starts[-1])

    def normal(*shape):
        return rng.standard_normal(shape).astype(dtype)

    for cell, (gates, states) in kernels.CELLS.items():
        G, module = len(gates), getattr(backend, cell)
        weights, state = [normal(G * H, C), normal(G * H, H), normal(G * H), normal(G * H)], []
        state = tuple(normal(N, 2 * H)[:, :H] for _ in states)
        packed = module.Packed(C, H, dtype, Workspace(), backward=True, inputs=True)
        packed.gradient[:] = 0
        for rank in (0, 1):
            packed.fill(part._replace(rank=rank), weights)
        steps = module.Run(C, H, starts_of(np.ones(N, int)).astype(np.int64), dtype, Workspace())
        steps.load(part, normal(N * C), np.arange(N) * C, state, True)
        steps._rows[:] = 0
        steps.step(packed, normal(N, C), np.empty((N, H), dtype))

        run = module.Run(C, H, starts, dtype, Workspace(), recording=True, threads=2, masked=True)
        run.mask[:] = normal(N, H)
        for rank in (0, 1):
            run.load(part._replace(rank=rank), normal(M * C), (np.cumsum(lengths) - lengths) * C, state, True)
        run.forward(part, packed)
        run.outputs(part, True, np.zeros((M, H + 5), dtype), 3)
        module.Run(H, H, starts, dtype, Workspace()).connect(part, [run], [True], state)
        run.prepare_backward(outputs=True, inputs=True, keep=True)
        for array in (run._dz, run.d_h):
            array[:] = 0
        run.d_h[:], run.d_state[0][:] = normal(M, H), normal(N, H)
        entries.add_gradients(starts, lengths, True, 2, N, H, normal(M * (H + 5)), 2, H + 5, run._d_h, run.P, True)
        run.backward(part, packed, True)
        run.weight_gradient(part, packed, True)
        run.input_gradient(part, packed)
        packed.unpack(part, [np.zeros_like(weight) for weight in weights])


def take_others(backend, entries):
    """Calls of what has no runs."""
    rng, dtype = np.random.default_rng(0), np.dtype(f"f{8 if entries is cython.f64 else 4}")
    M, F, K, S = 7, 19, 2, 3

    def normal(*shape):
        return rng.standard_normal(shape).astype(dtype)

    x, weight, bias, values, labels = normal(M, F), normal(K, F), normal(K), np.zeros(M), rng.integers(0, K, (M, 1))
    entries.forward_rows(2, M, x, weight, bias, normal(M, K))
    entries.differentiate_rows(0, 2, M, x, weight, bias, labels, normal(M, 1), values, normal(M, K), normal(M, F))
    entries.backward_rows(2, M, weight, normal(M, K), normal(M, F))
    entries.gradient_of_rows(0, F, x, normal(M, K), normal(K, F), normal(K), True)
    K, values, levels = 3, np.zeros(M), np.array([0.1, 0.5, 0.9])
    entries.losses_of_rows(NUMBERS["huber"], 2, M, K, normal(M, K), normal(M, K), values, normal(M, K + 1))
    of_rows = normal(M, K), normal(M, K), values, normal(M, K * S + 1)
    entries.losses_of_distributions(NUMBERS["quantile"], 2, M, S, levels, *of_rows, np.zeros(S))

    lengths = np.array([4, 3, 3, 1])
    starts, N, T, W = starts_of(lengths).astype(np.int64), 4, 5, 6
    batch, rows = (starts, lengths_of(starts), rng.permutation(N), True), int(starts[-1]) + N
    entries.gather(*batch, 0, 4, T, W + 3, 2, normal(N * T * (W + 3)), normal(rows, W + 2)[:, :W])
    entries.scatter(*batch, True, True, normal(rows, W + 2)[:, :W], normal(N, T, W + 3), 2)
    entries.draw(9, 5, 2, 2**31, 2.0, rng.integers(0, 9, N), 1, N, normal(N, W + 2)[:, :W])
    entries.scale(starts, 1, N, normal(N, W + 2), W + 2, 1, W, normal(rows, W + 2)[:, :W], W + 2)
    entries.wait(np.zeros(1, np.int64), 1)

    P = 5000
    entries.square_sums(0, 2, normal(P), np.zeros(2))
    for solver in ("adam", "sgd", "rmsprop"):
        settings = np.array([0.7, 0.1, 0.001, 1e-3, 1.5, 1e-8], dtype)
        getattr(entries, solver)(9, P, normal(P), normal(P), np.abs(normal(2, P)), settings)


@pytest.fixture(scope="module")
def calls():
    """Good calls, by the type of numbers and name."""
    backend = kernels.load("cython")
    return {
        module.__name__[-3:]: record(module, backend, take_runs) | record(module, backend, take_others)
        for module in (cython.f32, cython.f64)
    }


@pytest.fixture(params=NAMES)
def call(request, dtype, calls):
    return calls[f"f{8 * np.dtype(dtype).itemsize}"][request.param]


def first_rows(array, size):
    """Its first rows, or numbers, in memory of their own."""
    return alike(array[:size])


def needed(call, name, array):
    """How many of an array's rows, or numbers, are needed."""
    refused, accepted = -1, len(array)
    while accepted - refused > 1:
        size = (accepted + refused) // 2
        try:
            call(**{name: first_rows(array, size)})
            accepted = size
        except ValueError:
            refused = size
    return accepted


def sizes(call, of):
    """How many rows, or numbers, of each array are needed; those that decide it are left out."""
    arrays = call.arrays()
    return {name: needed(call, name, array) for name, array in arrays.items() if not {name, f"{of} {name}"} & ROWS_BY}


@pytest.fixture
def name_of(call, request):
    return request.node.callspec.params["call"]


def test_arrays_that_are_too_short_are_refused_by_name(call, name_of):
    for name, size in sizes(call, name_of).items():
        assert size > 0, name
        for shorter in {size - 1, size // 2, 0}:
            assert re.search(rf"\b{name}\b", call.refused(**{name: first_rows(call.given[name], shorter)}))


def test_rows_that_are_too_short_are_refused(call, name_of):
    for name, array in call.arrays().items():
        if array.ndim > 1 and not {name, f"{name_of} {name}"} & COLUMNS_BY:
            columns = array.shape[1] - (name == "d_scores" and name_of.startswith("losses_"))
            assert re.search(rf"\b{name}\b", call.refused(**{name: np.ascontiguousarray(array[:, : columns - 1])}))


def test_nothing_is_read_or_written_beyond_what_is_needed(call, name_of):
    lengths, expected = sizes(call, name_of), call()
    beyond = {}
    for name, size in lengths.items():
        beyond[name] = alike(call.given[name])
        beyond[name][size:] = np.nan if beyond[name].dtype.kind == "f" else -(2**40)
    before = {name: alike(array) for name, array in beyond.items()}
    after = call(**beyond)
    exact = call(**{name: first_rows(call.given[name], size) for name, size in lengths.items()})
    for name, size in lengths.items():
        assert_array_equal(after[name][size:], before[name][size:], err_msg=name)
        assert_array_equal(after[name][:size], expected[name][:size], err_msg=name)
        assert_array_equal(exact[name], expected[name][:size], err_msg=name)


def test_other_types_are_refused(call):
    for name, array in call.arrays().items():
        for other in {"float32", "float64", "int64", "int32"} - {array.dtype.name}:
            assert call.refused(**{name: np.zeros(array.shape, other)})


def test_numbers_that_are_not_side_by_side_are_refused(call):
    for name, array in call.arrays().items():
        if array.size > 1:
            call.refused(**{name: np.repeat(array, 2, axis=-1)[..., ::2]})


def test_read_only_arrays_are_refused_where_they_are_written(call):
    after = call()
    for name, array in call.arrays().items():
        fixed = alike(array)
        fixed.flags.writeable = False
        if np.array_equal(after[name], array, equal_nan=True) and name not in ("meeting", "slopes"):
            call(**{name: fixed})
        else:
            assert "read-only" in call.refused(**{name: fixed})


def test_sizes_out_of_range_are_refused(call, name_of):
    for name, value in call.given.items():
        if type(value) is not int or (name_of, name) == ("rnn_pack", "P"):  # which nothing depends on
            continue
        call.refused((ValueError, OverflowError), **{name: -1})
        call.refused((ValueError, OverflowError), **{name: -(2**63)})
        call.refused(OverflowError, **{name: 2**64})
        if name_of != "draw" or name in ("first", "last"):
            for large in (2**31, 2**62, 2**63 - 1)[name == "size" :]:  # so many threads may well meet
                call.refused(**{name: large})


def test_sizes_whose_products_are_too_large_are_refused(call, name_of):
    sizes = [
        name for name in ("C", "H", "P", "Q", "R", "K", "T", "F", "M", "stride") if type(call.given.get(name)) is int
    ]
    for large in (2**20, 2**30, 2**32, 2**40, 2**60):
        if sizes:
            call.refused(**dict.fromkeys(sizes, large))


@pytest.mark.parametrize(
    "bad", [[0], [], [0, 0], [0, 3, 2], [0, 2, 5], [1, 3], [0, -1], [0, 4, 8, 8], [0, 2**62, 2**63 - 1]]
)
def test_starts_of_no_batch_are_refused(call, bad):
    if "starts" in call.given:
        call.refused(starts=np.array(bad, np.int64))


@pytest.mark.parametrize("bad", [-1, 2**62, -(2**63)])
def test_places_outside_an_array_are_refused(call, bad):
    for name in {"at", "order", "lengths"} & call.given.keys():
        for n in (2, 3):
            places = call.given[name].copy()
            places[n] = bad
            assert re.search(rf"\b{name}|sequence {n}\b", call.refused(**{name: places}))


def test_lengths_of_another_batch_are_refused(call):
    if "lengths" in call.given:
        for more in (-1, 1):
            lengths = call.given["lengths"].copy()
            lengths[2] += more
            assert "lengths[2]" in call.refused(lengths=lengths)


@pytest.mark.parametrize("label", [-1, 2, 2**40, -(2**63)])
def test_labels_without_a_score_are_refused_where_they_have_a_share(dtype, calls, label):
    of = calls[f"f{8 * np.dtype(dtype).itemsize}"]["differentiate_rows"]
    targets, shares = of.given["targets"].copy(), of.given["shares"].copy()
    targets[3] = label
    assert "targets[3]" in of.refused(targets=targets)
    shares[3] = 0
    of(targets=targets, shares=shares)
    shares[3] = np.nan
    of.refused(targets=targets, shares=shares)


def test_a_loss_of_another_kind_is_refused(call, name_of):
    if "number" in call.given:
        others = set(NUMBERS.values()) - {call.given["number"]}
        for number in {number for number in others if (number > 4) != (name_of == "losses_of_distributions")}:
            call.refused(number=number)


@pytest.mark.parametrize("call", sorted(EMPTY), indirect=True)
def test_empty_ranges_read_nothing(call, name_of, dtype):
    bounds = ("r_first", "r_last") if "r_first" in call.given else ("first", "last")
    nothing = {name: np.empty(0, dtype) for name, array in call.arrays().items() if array.ndim == 1}
    for name in {"starts", "lengths", "order", "at", "sequences", "meeting"} & nothing.keys():
        del nothing[name]
    call(**dict.fromkeys(bounds, 0), **({"size": 1} if "size" in call.given else {}), **nothing)


def test_a_level_that_is_not_there_is_refused():
    for module in (cython.f32, cython.f64):
        for name in ("", "avx", "AVX2", "é"):
            with pytest.raises(ValueError, match=re.escape(str(list(module.levels())))):
                module.use(name)
        assert module.level() in module.levels()
