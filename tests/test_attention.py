"""Attention: gradients by differences, the compiled backends against the NumPy oracle, and equal bits."""

import numpy as np
import pytest
from helpers import FAST, OTHER_LEVELS, TOLERANCE, on_level
from numpy.testing import assert_allclose, assert_array_equal

from fastlstm import kernels
from fastlstm.kernels.parts import Part
from fastlstm.kernels.workspace import Workspace

#: Numbers of a key and of a row of memory, whether keys are rows of their own, and steps of source and target.
SIZES = {
    "ones": (1, 1, False, [1], [1]),
    "odd": (5, 3, True, [1, 9, 4], [7, 1, 3]),
    "two": (2, 2, False, [2, 3], [1, 5]),
    "beyond a vector": (17, 17, False, [17, 33, 16, 1], [9, 2, 1, 20]),
    "wide": (33, 140, True, [70, 5], [66, 130]),
    "vectors": (16, 32, True, [16, 32], [16, 64]),
}
ALONE = (Part(),)
INPUTS = ("memory", "keys", "queries", "vector")


class Problem:
    def __init__(self, size, additive, dtype="float64"):
        self.A, self.W, self.own_keys, S, T = SIZES[size]
        self.own_keys |= additive
        self.additive, self.dtype, rng = additive, np.dtype(dtype), np.random.default_rng(0)
        self.source, self.target = np.concatenate([[0], np.cumsum(S)]), np.concatenate([[0], np.cumsum(T)])
        shapes = (sum(S), self.W), (sum(S), self.A), (sum(T), self.A), (self.A,), (sum(T), self.W)
        normals = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
        self.given, self.d_context = dict(zip(INPUTS, normals[:4], strict=True)), normals[4]

    def made(self, backend, parts=ALONE, backward=True, sequences=None):
        """The attention of some of the sequences, forward and backward."""
        source, target = self.source, self.target
        rows, queries = slice(None), slice(None)
        if sequences is not None:
            rows, queries = slice(*source[list(sequences)]), slice(*target[list(sequences)])
            first, last = sequences
            source, target = source[first : last + 1] - source[first], target[first : last + 1] - target[first]
        make = kernels.load(backend).attention.Attention
        made = make(
            self.additive, self.A, self.W, source, target, self.dtype, Workspace(), backward, own_keys=self.own_keys
        )
        made.memory[:, : self.W] = self.given["memory"][rows]
        if self.own_keys:
            made.keys[:, : self.A] = self.given["keys"][rows]
        made.queries[:, : self.A] = self.given["queries"][queries]
        if self.additive:
            made.vector[: self.A] = self.given["vector"]
        for phase in (made.prepare, made.forward):
            for part in parts:
                phase(part)
        if backward:
            made.d_context[:, : self.W] = self.d_context[queries]
            for part in parts:
                made.backward(part)
        return made

    def results(self, made):
        """All results by name, without padding."""
        out = {"context": made.context[:, : self.W], "d_memory": made.d_memory[:, : self.W]}
        out["d_queries"] = made.d_queries[:, : self.A]
        if self.own_keys:
            out["d_keys"] = made.d_keys[:, : self.A]
        if self.additive:
            out["d_vector"] = made.d_vector[:, : self.A]
        return out | {f"weights of {n}": made.weights_of(n) for n in range(made.N)}


sizes = pytest.mark.parametrize("size", SIZES)
scores = pytest.mark.parametrize("additive", [False, True], ids=["dot", "additive"])


@sizes
@scores
def test_gradients_are_differences(size, additive):
    problem = Problem(size, additive)
    found = problem.results(problem.made("numpy"))
    rng, step = np.random.default_rng(1), 1e-5
    for name in INPUTS:
        if f"d_{name}" not in found:
            continue
        direction = rng.standard_normal(problem.given[name].shape)
        given, values = problem.given[name], []
        for sign in (1, -1):
            problem.given[name] = given + sign * step * direction
            values.append((problem.made("numpy", backward=False).context * problem.d_context).sum())
        problem.given[name] = given
        gradient = found[f"d_{name}"].sum(axis=0) if name == "vector" else found[f"d_{name}"]
        assert_allclose((gradient * direction).sum(), (values[0] - values[1]) / (2 * step), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@sizes
@scores
def test_backends_agree_with_numpy(fast, dtype, size, additive):
    problem = Problem(size, additive, dtype)
    expected, found = (problem.results(problem.made(name)) for name in ("numpy", fast))
    for name, value in expected.items():
        assert_allclose(found[name], value, rtol=0, atol=20 * TOLERANCE[dtype] * np.abs(value).max(), err_msg=name)


@pytest.mark.parametrize("columns", [1, 8, 19, 48])
def test_tanh_of_rows(backend, dtype, columns):
    rows = 3 * np.random.default_rng(0).standard_normal((5, columns)).astype(dtype)
    found = rows.copy()
    kernels.load(backend).attention.tanh(1, 4, found)
    assert_allclose(found[1:4], np.tanh(rows[1:4]), rtol=0, atol=TOLERANCE[dtype])
    assert_array_equal(found[[0, 4]], rows[[0, 4]])
    alone = rows.copy()
    kernels.load(backend).attention.tanh(2, 3, alone)
    assert_array_equal(alone[2], found[2])


@pytest.mark.skipif(len(FAST) < 2, reason="there is one compiled backend only")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@sizes
@scores
def test_compiled_backends_have_the_same_bits(dtype, size, additive):
    problem = Problem(size, additive, dtype)
    first, second = (problem.results(problem.made(name)) for name in FAST)
    for name, value in first.items():
        assert_array_equal(second[name], value, err_msg=name)


@pytest.mark.parametrize("level", [level for level in OTHER_LEVELS if level != "sse2"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@sizes
@scores
def test_levels_have_the_same_bits(level, dtype, size, additive):
    problem = Problem(size, additive, dtype)
    expected = problem.results(problem.made("cython"))
    with on_level(level):
        found = problem.results(problem.made("cython"))
    for name, value in expected.items():
        assert_array_equal(found[name], value, err_msg=name)


@scores
def test_bits_depend_neither_on_threads_nor_on_the_batch(backend, additive):
    problem = Problem("beyond a vector", additive, "float32")
    whole = problem.results(problem.made(backend))
    divided = problem.results(problem.made(backend, [Part(rank, 3) for rank in range(3)]))
    for name, value in whole.items():
        assert_array_equal(divided[name], value, err_msg=name)
    alone = problem.results(problem.made(backend, sequences=(1, 3)))
    assert_array_equal(alone["weights of 0"], whole["weights of 1"])
    for name, rows in (
        ("context", problem.target), ("d_queries", problem.target), ("d_memory", problem.source),
    ):  # fmt: skip
        assert_array_equal(alone[name], whole[name][rows[1] : rows[3]], err_msg=name)


def test_bits_of_a_query_do_not_depend_on_the_others(backend):
    problem = Problem("wide", additive=False, dtype="float32")
    whole = problem.results(problem.made(backend))
    last = problem.target[2]
    few = Problem("wide", additive=False, dtype="float32")
    few.target = np.array([0, 1, 6])
    few.given["queries"] = np.concatenate([problem.given["queries"][:1], problem.given["queries"][last - 5 : last]])
    few.d_context = problem.d_context[:6]
    found = few.results(few.made(backend))
    assert_array_equal(found["context"][1:], whole["context"][last - 5 : last])
