"""What the tests share."""

import importlib.util
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import settings
from numpy.testing import assert_array_equal

from fastlstm import LSTMRegressor, kernels, threads
from fastlstm.stacks import Stack
from fastlstm.training.network import Network, initialise

settings.register_profile("quick", max_examples=40, deadline=None)
settings.register_profile("fuzz", max_examples=3000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

collect_ignore = ["make_golden.py", "torch_peer.py"]  # scripts that need torch, not tests


@pytest.fixture(params=kernels.available())
def backend(request):
    """Every backend that can run here."""
    return request.param


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


LIMIT = 20  # seconds after which a run that should take milliseconds counts as hanging
needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")


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


def problem(N, T, C, H, dtype="float64", seed=0):
    """x, initial state, and gradients of output and last state."""
    rng = np.random.default_rng(seed)
    shapes = (N, T, C), *[(1, N, H)] * 2, (N, T, H), *[(1, N, H)] * 2
    x, h, c, d_output, d_h, d_c = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    return x, (h, c), d_output, (d_h, d_c)


def all_results(layer, x, state, d_output, d_state, lengths=None):
    """Everything a layer computes, by name."""
    output, (h_n, c_n), tape = layer.record(x, state, lengths)
    grads = layer.backward(tape, d_output, d_state)
    results = {"output": output, "h_n": h_n, "c_n": c_n, "d_x": grads.x}
    results |= {"d_h_0": grads.state[0], "d_c_0": grads.state[1]}
    return results | {f"d_{name}": value for name, value in grads.weights.items()}


def run_python(*command, timeout=120, **environment):
    """What Python with these arguments prints; fails if it does, or takes longer than `timeout` seconds."""
    environment = {**os.environ, **{name: str(value) for name, value in environment.items()}}
    command = [sys.executable, *map(str, command)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def within(seconds, function, *args):
    """``function(*args)``, on another thread; fails, and does not hang, if that takes longer."""
    outcome = []

    def work():
        try:
            outcome.append((function(*args), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    assert outcome, f"{function} still runs after {seconds} seconds"
    result, error = outcome[0]
    if error is not None:
        raise error
    return result


def network_results(series, y, checkpoint, backend="numba", n_jobs=1):
    """Losses and gradient, flat, of a network that is trained on a batch of all series."""
    rng, K = np.random.default_rng(0), y.shape[1]
    stack = Stack("lstm", series.channels, (17,))
    network = Network(stack, initialise(stack, K, rng), series.values.dtype, backend, checkpoint)
    rows, starts = series.pack(np.arange(len(series)))
    batch = series.values, series.at[rows], y[rows], np.full((len(y), 1), 1 / len(y), y.dtype), "squared_error"
    with network.team(len(rows), int(series.lengths.sum()), n_jobs) as team:
        network.begin(starts, team.size)
        team.run(lambda part: network.differentiate(part, team.wait, *batch))
    losses = np.empty(len(y))
    losses[rows] = network.values * len(y)  # each came times its share
    return losses, network.gradient


def until(condition):
    """Return when the condition holds."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(1e-5)


QUICK = {"hidden_size": 37, "max_iter": 3, "learning_rate": "cosine", "alpha": 0.1, "batch_size": 8, "random_state": 0}


def series(n=21, T=7, C=3):
    """Series for two whole batches and a remainder, and the sum of each one's first channel."""
    X = np.random.default_rng(0).normal(size=(n, T, C))
    return X, X[:, :, 0].sum(axis=1)


def fitted(estimator, **options):
    X, y = series()
    return estimator(**{**QUICK, "backend": "numba", **options}).fit(X, y if estimator is LSTMRegressor else y > 0)


def assert_same_fit(one, other):
    assert one.loss_curve_ == other.loss_curve_
    for name, value in one.weights_.items():
        assert_array_equal(other.weights_[name], value, err_msg=name)
