"""The fixtures and hooks of all tests."""

import os
from contextlib import nullcontext
from pathlib import Path

import pairs
import pytest
from hypothesis import settings
from threadpoolctl import threadpool_limits

from fastlstm import kernels, threads

pytest.register_assert_rewrite("helpers")  # its assertions, too, say what differs
from helpers import FAST, OTHER_LEVELS, on_level  # noqa: E402

# where tests run side by side, BLAS's threads spin while they wait for each other: a second became twenty
threadpool_limits(1, "blas")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

settings.register_profile("quick", max_examples=40, deadline=None)
settings.register_profile("fuzz", max_examples=3000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
#: Scripts that need torch, and the tests of `make contracts`.
collect_ignore = ["make_golden.py", "torch_peer.py", "contracts"]
OF_KERNELS = (Path(__file__).parent / "kernels.txt").read_text().split()


@pytest.fixture
def backend(request):
    """Every backend that can run here; in tests of kernels the compiled one on every level of this CPU."""
    name, _, level = request.param.partition("-")
    with on_level(level) if level else nullcontext():
        yield name


def pytest_addoption(parser):
    parser.addoption(
        "--every-combination", action="store_true", help="run all combinations of parameters, not only all pairs"
    )
    parser.addoption("--only-cython", action="store_true", help="leave out the cases of the other backends")


def is_of_another_backend(item):
    params = item.callspec.params if hasattr(item, "callspec") else {}
    names = [params[name] for name in ("backend", "fast") if name in params]
    return any(not name.startswith("cython") for name in names)


@pytest.hookimpl(trylast=True)  # after -k and -m
def pytest_collection_modifyitems(config, items):
    kept = items
    if config.option.only_cython:
        kept = [item for item in kept if not is_of_another_backend(item)]
    chosen = config.getoption("lf", False) or any("[" in arg for arg in config.args)  # by the user, case by case
    if not (config.option.every_combination or chosen):
        kept = pairs.select(kept)
    config.hook.pytest_deselected(items=list(set(items).difference(kept)))
    items[:] = kept


def pytest_generate_tests(metafunc):
    if "backend" in metafunc.fixturenames:
        of_kernels = f"tests/{Path(metafunc.module.__file__).name}" in OF_KERNELS
        names = [*kernels.available(), *(f"cython-{level}" for level in OTHER_LEVELS if of_kernels)]
        metafunc.parametrize("backend", names, indirect=True)


@pytest.fixture(params=FAST)
def fast(request):
    """Every backend but NumPy's."""
    return request.param


@pytest.fixture(params=kernels.CELLS)
def cell(request):
    """Every kind of recurrence."""
    return request.param


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture(params=["rows", "units"])
def by_units(request, monkeypatch):
    """Both ways of dividing a recurrence."""
    monkeypatch.setattr(threads, "LARGE_WEIGHTS", 0 if request.param == "units" else 1 << 60)
    return request.param == "units"


@pytest.fixture
def four_cpus(monkeypatch):
    """Four CPUs, and every run worth as many threads."""
    monkeypatch.setattr(threads, "cpu_limit", lambda: 4)
    monkeypatch.setattr(threads, "FLOPS_PER_THREAD", 1)


@pytest.fixture
def teams(four_cpus, monkeypatch):
    """The teams that were made, as (size, by_units)."""
    made = []

    class Noted(threads.Team):
        def __init__(self, *args):
            super().__init__(*args)
            made.append((self.size, self.by_units))

    monkeypatch.setattr(threads, "Team", Noted)
    return made
