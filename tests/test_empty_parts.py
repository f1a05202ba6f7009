"""A part of a team that has no rows, columns, units or series changes nothing, in any entry of any backend."""

import numpy as np
import pytest
from entry_calls import METHODS, NAMES, OF_CELLS, alike, good_calls
from helpers import COMPILED
from numpy.testing import assert_array_equal

from fastlstm import kernels

WHOLE = {"wait", "scatter"} | {f"{cell}_step" for cell in kernels.CELLS}  # which are for no part
BY_RANK = ("fill", "unpack", "weight_gradient", "input_gradient")  # methods that divide something else than rows


@pytest.fixture(scope="module")
def calls():
    """A function that returns an entry's call, with random numbers in all arrays."""
    made, rng = {}, np.random.default_rng(0)

    def call_of(backend, dtype, name):
        if (backend, dtype) not in made:
            narrow = dtype if dtype in ("bfloat16", "int8") else None  # products of such numbers, else float32
            dtype_of_arrays, package = "float32" if narrow else dtype, kernels.load(backend)
            entries_of = getattr(package, narrow).lstm.Run.entries_of if narrow else package.entries
            entries = entries_of(np.dtype(dtype_of_arrays))
            made[backend, dtype] = good_calls(entries, dtype_of_arrays)
        call = made[backend, dtype][name]
        given = {n: alike(value) if isinstance(value, np.ndarray) else value for n, value in call.given.items()}
        for value in given.values():
            if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                value[...] = rng.standard_normal(value.shape)
        return call._replace(given=given)

    return call_of


def empty_parts(name, given):
    """For each way of having nothing, the arguments: nothing at the beginning, and nothing further on.

    A recurrence has rows and units, of which either may be none.
    """
    method = name.split("_", 1)[-1]
    if method == "add_rows":
        yield {"q_first": 0, "q_last": 0}
        yield {"q_first": given["q_last"]}
        return
    if "rank" not in given or method not in BY_RANK:
        alone = {"rank": 0, "size": 1, "by_units": False} if "rank" in given else {}
        later = given["first" if name == "gradient" else "last"]  # a panel's columns begin there
        yield {"first": 0, "last": 0, **alone}
        yield {"first": later, "last": later, **alone}
    if "rank" in given and (method in BY_RANK or method in ("forward", "backward")):
        yield {"rank": 0, "size": 64}
        yield {"rank": 1, "size": 64}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WHOLE])
def test_an_empty_part_changes_nothing(name, fast, dtype, calls):
    assert_unchanged(name, calls(fast, dtype, name))


@pytest.mark.skipif(COMPILED is None, reason="the extension modules are not built")
@pytest.mark.parametrize("name", [name for name in OF_CELLS if name not in WHOLE])
def test_an_empty_part_changes_nothing_where_products_are_of_bfloat16(name, calls):
    assert_unchanged(name, calls("cython", "bfloat16", name))


@pytest.mark.skipif("numba" not in kernels.available(), reason="Numba is not installed")
@pytest.mark.parametrize("name", ["lstm_forward", "lstm_backward", "lstm_weight_gradient", "lstm_input_gradient"])
def test_an_empty_part_changes_nothing_where_numba_has_products_of_bfloat16(name, calls):
    """Of one cell, because Numba compiles a cell for seconds."""
    assert_unchanged(name, calls("numba", "bfloat16", name))


@pytest.mark.skipif(COMPILED is None, reason="the extension modules are not built")
@pytest.mark.parametrize("method", ["fill", "load", "begin", "copy_outputs", "forward", "roll_out", "look_up"])
def test_an_empty_part_changes_nothing_where_products_are_of_int8(cell, method, calls):
    assert_unchanged(f"{cell}_{method}", calls("cython", "int8", f"{cell}_{method}"))


def assert_unchanged(name, call):
    for given in empty_parts(name, call.given):
        for array, after in call(**given).items():
            if array not in ("barrier", "factors"):  # a thread without units waits, and rounds its rows for the others
                assert_array_equal(after, call.given[array], err_msg=f"{array}, {given}")


def test_every_method_is_called():
    assert {name.split("_", 1)[-1] for name in NAMES} >= METHODS.keys()
