"""A part of a team that has no rows, columns, units or series changes nothing, in any entry of any backend."""

import numpy as np
import pytest
from entry_calls import NAMES, alike, recorded
from numpy.testing import assert_array_equal

from fastlstm import kernels

WHOLE = {"wait", "scatter"} | {f"{cell}_stepper" for cell in kernels.CELLS}  # which are for no part
RANGES = [("first", "last"), ("n_first", "n_last"), ("r_first", "r_last"), ("u_first", "u_last")]


@pytest.fixture(scope="module")
def calls():
    """A function that returns an entry's call, with random numbers in all arrays."""
    recordings, rng = {}, np.random.default_rng(0)

    def call_of(backend, dtype, name):
        if (backend, dtype) not in recordings:
            recordings[backend, dtype] = recorded(backend, dtype)
        call = recordings[backend, dtype][name]
        given = {n: alike(value) if isinstance(value, np.ndarray) else value for n, value in call.given.items()}
        for value in given.values():
            if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                value[...] = rng.standard_normal(value.shape)
        return call._replace(given=given)

    return call_of


def empty_ranges(name, given):
    """For each way of having nothing, the arguments: nothing at the beginning, and nothing further on.

    A recurrence has rows and units, of which either may be none; in other entries all ranges are empty.
    """
    bounds = [pair for pair in RANGES if pair[0] in given]
    ways = [[pair] for pair in bounds] if "r_first" in given else [bounds]
    later = 0 if name == "gradient" else 1  # whose columns begin at multiples of a panel's, as the last of them do not
    for way in ways:
        yield {bound: 0 for pair in way for bound in pair}
        yield {bound: given[pair[later]] for pair in way for bound in pair}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WHOLE])
def test_an_empty_part_changes_nothing(name, fast, dtype, calls):
    call = calls(fast, dtype, name)
    alone = {"size": 1} if "size" in call.given else {}  # nobody to meet
    for ranges in empty_ranges(name, call.given):
        for array, after in call(**ranges, **alone).items():
            assert_array_equal(after, call.given[array], err_msg=f"{array}, {ranges}")
