"""What the tests share."""

import importlib.util

import pytest

from fastlstm import kernels

collect_ignore = ["make_golden.py", "torch_peer.py"]  # scripts that need torch, not tests


@pytest.fixture(params=kernels.available())
def backend(request):
    """Every backend that can run here."""
    return request.param


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
