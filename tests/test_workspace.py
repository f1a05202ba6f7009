"""Buffers of kernels: their memory is kept, and lies on cache lines."""

import numpy as np
import pytest

from fastlstm.kernels.workspace import ALIGNMENT, Workspace, aligned_empty


def address(array):
    return array.__array_interface__["data"][0]


@pytest.fixture
def workspace():
    return Workspace()


def test_a_buffer_keeps_its_memory(workspace):
    first = address(workspace.empty("a", (30, 4), "float32"))
    assert address(workspace.empty("a", (5, 7), "float64")) == first


def test_buffers_of_other_names_are_others(workspace):
    assert not np.shares_memory(workspace.empty("a", (4,), "float32"), workspace.empty("b", (4,), "float32"))


def test_a_buffer_too_small_is_replaced(workspace):
    workspace.empty("a", (4,), "float32")
    large = workspace.empty("a", (1000,), "float32")
    assert large.shape == (1000,)


@pytest.mark.parametrize("shape", [(1,), (3, 5), (7, 1, 2)])
def test_buffers_start_on_a_cache_line(workspace, dtype, shape):
    assert address(workspace.empty("a", shape, dtype)) % ALIGNMENT == 0
    assert address(aligned_empty(shape, dtype)) % ALIGNMENT == 0
