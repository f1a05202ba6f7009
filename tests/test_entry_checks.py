"""The Cython modules refuse arguments with which a kernel would leave an array, before they change anything."""

import re

import numpy as np
import pytest
from entry_calls import BACKWARD, BUFFERS, NAMES, OF_CELLS, PACKED, alike, good_calls
from numpy.testing import assert_array_equal

from fastlstm import kernels
from fastlstm.kernels.compiled.recurrence import Buffers

pytestmark = pytest.mark.every_combination  # each case takes milliseconds

cython = pytest.importorskip("fastlstm.kernels.cython")

#: Arrays that say themselves how many rows, or columns, the others need: a shorter one is another call.
ROWS_BY = {
    "starts",
    "weight",
    "d_weight",
    "g",
    "gradient_of_rows features",
    "scatter order",
    "gradient b",
    "levels",
    "lags",
}
COLUMNS_BY = {"weight", "d_weight", "gather rows", "scatter rows", "draw masks", "scatter out", "scale masks"}
COLUMNS_BY |= {"which", "tanh_rows rows", "scale rows", "multiply_rows a", "multiply_rows out", "gradient b", "offset"}

#: Those whose ranges of rows or columns may be empty, and what they then do not read.
EMPTY = {f"{cell}_load": ("x", "at") for cell in kernels.CELLS} | {
    "pack_panels": ("w", "out"),
    "multiply_rows": ("w", "start"),
    "gradient": ("panels",),
    "gather": ("order",),
    "draw": ("sequences",),
}
#: The modules, and the type of their numbers.
MODULES = {"f32": "float32", "f64": "float64", "bf16": "float32", "int8": "float32"}
#: What an object holds for all of its methods, of which some write to it.
HELD = {*BUFFERS, *BACKWARD, *PACKED} - {"mask", "zero"}
HELD_BY_ATTENTION = {"context", "weights", "keys_t", "memory_t", "d_keys", "d_queries", "d_memory", "d_vector"}


@pytest.fixture(scope="module")
def calls():
    """Good calls, by module and name."""
    return {name: good_calls(getattr(cython, name), dtype) for name, dtype in MODULES.items()}


@pytest.fixture(params=MODULES)
def module(request):
    return getattr(cython, request.param)


@pytest.fixture
def calls_of(module, calls):
    return calls[module.__name__.rpartition(".")[2]]


@pytest.fixture(params=NAMES)
def call(request, calls_of):
    if request.param not in calls_of:
        pytest.skip("products of int8 have no gradient")
    return calls_of[request.param]


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
        kind = beyond[name].dtype.kind
        beyond[name][size:] = np.nan if kind == "f" else 0xFFFF if kind == "u" else -(2**40)
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


def test_read_only_arrays_are_refused_where_they_are_written(call, name_of):
    after, held = call(), HELD if name_of in OF_CELLS else HELD_BY_ATTENTION if "keys_t" in call.given else set()
    for name, array in call.arrays().items():
        fixed = alike(array)
        fixed.flags.writeable = False
        if np.array_equal(after[name], array, equal_nan=True) and name not in held | {"barrier", "panels"}:
            call(**{name: fixed})
        else:
            assert "read-only" in call.refused(**{name: fixed})


def test_sizes_out_of_range_are_refused(call, name_of):
    for name, value in call.given.items():
        if type(value) is not int:
            continue
        call.refused((ValueError, OverflowError), **{name: -1})
        call.refused((ValueError, OverflowError), **{name: -(2**63)})
        call.refused(OverflowError, **{name: 2**64})
        if name_of != "draw" or name in ("first", "last"):
            for large in (2**31, 2**62, 2**63 - 1)[name_of == "wait" :]:  # so many threads may well wait
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
    for name in {"at", "order"} & call.given.keys():
        for n in (2, 3):
            places = call.given[name].copy()
            places[n] = bad
            assert re.search(rf"\b{name}|sequence {n}\b", call.refused(**{name: places}))


@pytest.mark.parametrize("label", [-1, 2, 2**40, -(2**63)])
def test_labels_without_a_score_are_refused_where_they_have_a_weight(calls_of, label):
    of = calls_of["linear_differentiate"]
    targets, weights = of.given["targets"].copy(), of.given["weights"].copy()
    targets[3] = label
    assert "targets[3]" in of.refused(targets=targets)
    weights[3] = 0
    of(targets=targets, weights=weights)
    weights[3] = np.nan
    of.refused(targets=targets, weights=weights)


def test_a_loss_of_another_kind_is_refused(call, name_of):
    if "number" in call.given:
        others = set(kernels.load("cython").entries(np.dtype("float32")).LOSSES.values()) - {call.given["number"]}
        for number in {number for number in others if (number > 4) != (name_of == "losses_of_distributions")}:
            call.refused(number=number)


@pytest.mark.parametrize("call", sorted(EMPTY), indirect=True)
def test_empty_ranges_read_nothing(call, name_of):
    nothing = {name: call.given[name][:0].copy() for name in EMPTY[name_of]}
    call(first=0, last=0, **nothing)


@pytest.mark.parametrize("name", OF_CELLS)
def test_what_is_not_there_is_refused_where_it_is_needed(name, calls):
    call = calls["f32"][name]
    optional = {"mask", "d_h", "noise"} | ({"gates"} if name.endswith("gradients") else set())
    for array in call.arrays().keys() - optional - {"barrier", "starts", "h_0", "c_0"}:
        if not (name.endswith("fill") and array in PACKED) and not (array == "gates" and "dz" not in call.given):
            call.refused((ValueError, TypeError), **{array: None})


def test_weights_of_another_run_are_refused(module, calls_of):
    given = calls_of["lstm_forward"].given
    run = module.Run("lstm", given["C"], given["H"], given["starts"], Buffers(*map(given.get, BUFFERS)))
    part = module.Part(0, 1, 0, 1, False, given["barrier"])
    numbers = np.zeros(10**5, given["forward"].dtype)
    for cell, C, H in (("gru", given["C"], given["H"]), ("lstm", 1, given["H"]), ("lstm", given["C"], 1)):
        with pytest.raises(ValueError, match="packed is of another cell, level or size"):
            run.forward(part, module.Packed(cell, C, H, numbers, None, None, None))
    other = next((level for level in module.levels() if level != module.level()), None)
    if other:
        before = module.level()
        module.use(other)
        packed = module.Packed("lstm", given["C"], given["H"], numbers, None, None, None)
        module.use(before)
        with pytest.raises(ValueError, match="packed is of another cell, level or size"):
            run.forward(part, packed)


def test_a_batch_that_changes_later_changes_no_run(module, calls_of):
    given = dict(calls_of["lstm_forward"].given)
    starts = given["starts"].copy()
    run = module.Run("lstm", given["C"], given["H"], starts, Buffers(*map(given.get, BUFFERS)))
    before = given["h"].copy()
    starts[:] = 2**62
    packed = module.Packed("lstm", given["C"], given["H"], given["forward"], None, None, None)
    run.forward(module.Part(0, 4, 0, 1, False, given["barrier"]), packed)
    assert not np.array_equal(given["h"], before)


def test_an_unknown_cell_is_refused():
    with pytest.raises(ValueError, match=re.escape(f"cell is 'rnnn', expected one of {list(kernels.CELLS)}")):
        cython.f32.Packed("rnnn", 1, 1, None, None, None, None)


def test_a_level_that_is_not_there_is_refused():
    for module in (cython.f32, cython.f64, cython.bf16, cython.int8):
        for name in ("", "avx", "AVX2", "é"):
            with pytest.raises(ValueError, match=re.escape(str(list(module.levels())))):
                module.use(name)
        assert module.level() in module.levels()
