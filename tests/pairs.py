"""All pairs instead of all combinations: the selection of the cases of tests with three parameters or more.

A test of five backends, three cells, two types and seven shapes would have 210 cases. Most faults show with one value,
or where two of them meet. So every pair of values is tested, each at least once; backend and cell count as one
parameter, as together they are one kernel. Which cases these are depends on the test's name only.
"""

import itertools
import zlib
from collections import defaultdict

KERNEL = ("backend", "fast", "cell")


def axes_of(item):
    """The values of a case by axis: the kernel, what stands together in one mark, and each parametrized fixture."""
    values = {name: id(value) for name, value in item.callspec.params.items()}
    marked = [mark.args[0] for mark in item.iter_markers("parametrize")]
    marked = [[name.strip() for name in names.split(",")] if isinstance(names, str) else names for names in marked]
    groups = [KERNEL, *marked, *([name] for name in item.callspec.params)]
    axes = [tuple((name, values.pop(name)) for name in group if name in values) for group in groups]
    return [axis for axis in axes if axis]


def cover(cases):
    """Few cases in which every pair of the values of two axes occurs that occurs in all; by greedy search.

    cases: a list of axes for each; returns their numbers.
    """
    pairs = [set(itertools.combinations(axes, 2)) for axes in cases]
    missing, taken = set().union(*pairs), []
    while missing:
        best = max(range(len(cases)), key=lambda number: len(pairs[number] & missing))
        missing -= pairs[best]
        taken.append(best)
    return taken


def is_selected(item):
    """Whether a test has cases to select from."""
    return hasattr(item, "callspec") and not item.get_closest_marker("every_combination")


def select(items):
    """The items to run, in their order."""
    tests, kept = defaultdict(list), set()
    for item in items:
        tests[item.nodeid.partition("[")[0] if is_selected(item) else item.nodeid].append(item)
    for cases in tests.values():
        if is_selected(cases[0]) and len(axes_of(cases[0])) > 2:
            cases.sort(key=lambda item: zlib.crc32(item.nodeid.encode()))  # a choice of each test's own
            cases = [cases[number] for number in cover(list(map(axes_of, cases)))]
        kept.update(cases)
    return [item for item in items if item in kept]
