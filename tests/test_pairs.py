"""The selection of cases that `make test` runs of tests with many parameters."""

import itertools

import pairs
import pytest

CASES = list(itertools.product("abcd", range(3), "xyz", [False, True]))


def pairs_in(cases):
    return {pair for case in cases for pair in itertools.combinations(enumerate(case), 2)}


def test_every_pair_is_in_a_few_cases():
    covered = [CASES[number] for number in pairs.cover([list(enumerate(case)) for case in CASES])]
    assert pairs_in(covered) == pairs_in(CASES)
    assert len(covered) < len(CASES) // 4


class Case:
    """What `select` looks at of a case of a test with these parameters."""

    def __init__(self, name, params, *marks):
        self.nodeid, self.marks = f"{name}[{params}]", [mark.mark for mark in marks]
        self.callspec = type("CallSpec", (), {"params": params})

    def iter_markers(self, name):
        return [mark for mark in self.marks if mark.name == name]

    def get_closest_marker(self, name):
        return next(iter(self.iter_markers(name)), None)


def cases_of(*marks, names="abcd"):
    return [Case("test", dict(zip(names, case, strict=True)), *marks) for case in CASES]


def test_cases_keep_their_order():
    cases = cases_of()
    selected = pairs.select(cases)
    assert len(selected) < len(cases) // 4
    assert selected == sorted(selected, key=cases.index)


def test_the_mark_keeps_every_combination():
    cases = cases_of(pytest.mark.every_combination)
    assert pairs.select(cases) == cases


def test_rows_of_one_mark_are_all_kept():
    cases = cases_of(pytest.mark.parametrize(("a", "b", "c", "d"), CASES))
    assert pairs.select(cases) == cases


def test_every_kernel_meets_every_value():
    cases = cases_of(names=["backend", "cell", "shape", "dtype"])
    params = [tuple(case.callspec.params.values()) for case in pairs.select(cases)]
    assert {param[:3] for param in params} == {case[:3] for case in CASES}
