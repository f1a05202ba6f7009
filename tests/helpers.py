"""What tests of several files use."""

import copy
import importlib
import importlib.util
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import joblib
import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils.fixes import parse_version

from fastlstm import LSTMRegressor, kernels, layers
from fastlstm.pool import Pool
from fastlstm.stacks import Stack
from fastlstm.training import inference
from fastlstm.training.losses import Loss
from fastlstm.training.minibatch import Minibatch, differentiate
from fastlstm.training.network import Network, initialise

COMPILED = importlib.import_module("fastlstm.kernels.cython") if "cython" in kernels.available() else None
#: The levels of this CPU, the best first.
LEVELS = COMPILED.f32.levels() if COMPILED else ()
OTHER_LEVELS = [level for level in LEVELS if level != COMPILED.f32.level()]
#: Parameters that leave numbers as they are and train as scikit-learn's MLP does, for tests that compute by hand.
PLAIN = {"standardize": False, "dropout": 0.0, "init": "standard", "batch_size": 200, "max_iter": 200}
PLAIN |= {"learning_rate": "constant", "learning_rate_init": 1e-3}


def bare(estimator, *sizes, **parameters):
    """The estimator with `PLAIN`, and what else is passed."""
    return estimator(*sizes, **{**PLAIN, **parameters})


@contextmanager
def on_level(level):
    """Meanwhile the cython backend computes as on such a CPU; what was packed before is not for it."""
    before, idle = COMPILED.f32.level(), inference._idle
    COMPILED.take(level)
    inference._idle = Pool(inference.KEPT)
    try:
        yield
    finally:
        COMPILED.take(before)
        inference._idle = idle


#: The backends whose kernels may have a part of several, the preferred one first.
FAST = kernels.available()[:-1]
FASTEST = kernels.available()[0]


def class_of(cell):
    """The class of a cell's layers."""
    return getattr(layers, cell.upper())


#: How far from the truth numbers of each type may be, of the size of the largest.
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
LIMIT = 20  # seconds after which a run that should take milliseconds counts as hanging
#: Before 1.9, scikit-learn gives a Series of series that a transformer turns into a frame new row labels.
keeps_row_labels = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"), reason="this scikit-learn renumbers the rows"
)
needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")


def problem(N, T, C, H, dtype="float64", seed=0, cell="lstm", num_layers=1, bidirectional=False):
    """x, initial state, and gradients of output and last state; H is a size, or one for each layer."""
    rng, D, number = np.random.default_rng(seed), 1 + bidirectional, len(kernels.CELLS[cell].states)
    sizes = [H] * num_layers if np.ndim(H) == 0 else H

    def draw(*shape):
        return rng.standard_normal(shape).astype(dtype)

    def draw_states():
        if len(set(sizes)) == 1:
            return tuple(draw(len(sizes) * D, N, sizes[0]) for _ in range(number))
        return tuple(tuple(draw(D, N, size) for size in sizes) for _ in range(number))

    return draw(N, T, C), draw_states(), draw(N, T, D * sizes[-1]), draw_states()


def layer_and_problem(cell, shape, dtype, backend, seed=0, **options):
    """A layer, and what to compute with it."""
    layer = class_of(cell)(*shape[2:], dtype=dtype, backend=backend, random_state=0, **options)
    return layer, problem(*shape, dtype, seed, cell=cell, **options)


def by_name(prefix, state, suffix):
    """A state's arrays as `all_results` names them: h_n and c_n, or h_n of layer 0 and so on where sizes differ."""
    named = {}
    for kind, part in zip("hc", state, strict=False):
        name = f"{prefix}{kind}_{suffix}"
        if isinstance(part, tuple):
            named |= {f"{name} of layer {layer}": array for layer, array in enumerate(part)}
        else:
            named[name] = part
    return named


def all_results(layer, x, state, d_output, d_state, lengths=None):
    """Everything a layer computes, by name."""
    output, state_n, tape = layer.record(x, state, lengths)
    grads = layer.backward(tape, d_output, d_state)
    results = {"output": output, "d_x": grads.x, **by_name("", state_n, "n"), **by_name("d_", grads.state, "0")}
    return results | {f"d_{name}": value for name, value in grads.weights.items()}


def is_of_states(name):
    """Whether a result is of states, whose rows are the second axis."""
    return name.split()[0] in ("h_n", "c_n", "d_h_0", "d_c_0")


def is_of_weights(name):
    return name.startswith(("d_weight", "d_bias"))


def assert_same_bits(results, expected):
    assert results.keys() == expected.keys()
    for name, value in expected.items():
        assert_array_equal(results[name], value, err_msg=name)


def assert_close(results, expected, dtype):
    """The same but for roundings of numbers of this type."""
    assert results.keys() == expected.keys()
    for name, value in expected.items():
        tolerance = TOLERANCE[dtype]
        assert_allclose(
            results[name], value, rtol=tolerance, atol=tolerance * np.abs(value).max(initial=0), err_msg=name
        )


def directions(size, number=16):
    """Unit vectors [., size] to change so many variables by: one by one or, where they are many, all at random."""
    if size <= 2 * number:
        return np.eye(size)
    drawn = np.random.default_rng(0).normal(size=(number, size))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def assert_gradient_is_that_of_finite_differences(loss, variable, gradient, name="", step=1e-5):
    """loss(): a number that depends on the array `variable`, which is changed in place."""
    before, along = variable.copy(), directions(variable.size)
    numeric = []
    for direction in along:
        shift = step * direction.reshape(variable.shape)
        variable[...] = before + shift
        up = loss()
        variable[...] = before - shift
        numeric.append((up - loss()) / (2 * step))
    variable[...] = before
    assert_allclose(along @ gradient.ravel(), numeric, rtol=1e-6, atol=1e-8, err_msg=name)


def assert_gradients_are_those_of_finite_differences(layer, x, state, d_output, d_state, lengths=None):
    weights = layer.state_dict()

    def loss():
        layer.load_state_dict(weights)
        output, state_n = layer(x, state, lengths)
        return np.vdot(output, d_output) + sum(np.vdot(s, d) for s, d in zip(state_n, d_state, strict=True))

    results = all_results(layer, x, state, d_output, d_state, lengths)
    variables = {"d_x": x, **by_name("d_", state, "0"), **{f"d_{name}": value for name, value in weights.items()}}
    for name, variable in variables.items():
        assert_gradient_is_that_of_finite_differences(loss, variable, results[name], name)


def behind(lengths, T):
    """[N, T]: whether a step lies behind its sequence's last."""
    return np.arange(T) >= np.reshape(lengths, (-1, 1))


def results_alone(layer, x, state, d_output, d_state, lengths):
    """The results of running every sequence by itself: stacked, or added up where they are of weights."""
    results = []
    for n, length in enumerate(lengths):
        states = [[part[:, n : n + 1] for part in pair] for pair in (state, d_state)]
        results.append(all_results(layer, x[n : n + 1, :length], states[0], d_output[n : n + 1, :length], states[1]))
    together = {"output": np.zeros_like(d_output), "d_x": np.zeros_like(x)}
    for n, length in enumerate(lengths):
        for name, array in together.items():
            array[n, :length] = results[n][name][0]
    for name in results[0]:
        if is_of_states(name):
            together[name] = np.concatenate([one[name] for one in results], axis=1)
        elif is_of_weights(name):
            together[name] = sum(one[name].astype("float64") for one in results)
    return together


def assert_same_as_alone(layer, data, lengths):
    """Bits where a row's own are meant; gradients of weights, which are sums over the rows, but for roundings."""
    ours, theirs = all_results(layer, *data, lengths), results_alone(layer, *data, lengths)
    of_weights = {name for name in theirs if is_of_weights(name)}
    assert_same_bits(
        {name: ours[name] for name in ours.keys() - of_weights},
        {name: theirs[name] for name in theirs.keys() - of_weights},
    )
    # a sum's roundings go by its terms, which may cancel: the largest gradient of any weight says how large they are
    tolerance = TOLERANCE[layer.dtype.name]
    scale = max(np.abs(theirs[name]).max() for name in of_weights)
    for name in of_weights:
        assert_allclose(ours[name], theirs[name], rtol=tolerance, atol=tolerance * scale, err_msg=name)


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


def network_results(series, y, checkpoint, backend=FASTEST, n_jobs=1):
    """Losses and gradient, flat, of a network that is trained on a batch of all series."""
    rng, K = np.random.default_rng(0), y.shape[1]
    stack = Stack("lstm", series.channels, (17,))
    network = Network(stack, initialise(stack, K, rng), series.values.dtype, backend, checkpoint)
    rows, starts = series.pack(np.arange(len(series)))
    shares = np.full((len(y), 1), 1 / len(y), y.dtype)
    batch = Minibatch(starts, series.values, series.at[rows], y[rows], shares, Loss("squared_error"))
    with network.team(len(rows), int(series.lengths.sum()), n_jobs) as team:
        network.prepare_batch(batch, team.size)
        team.run(lambda: differentiate(network))
    losses = np.empty(len(y))
    losses[rows] = network.values * len(y)  # each came times its share
    return losses, network.gradient


def until(condition):
    """Return when the condition holds."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(1e-5)


def objects(members):
    """An object array of these members."""
    out = np.empty(len(members), object)
    out[:] = members
    return out


QUICK = {"hidden_size": 37, "max_iter": 3, "learning_rate": "cosine", "alpha": 0.1, "batch_size": 8, "random_state": 0}


def series(n=21, T=7, C=3):
    """Series for two whole batches and a remainder, and the sum of each one's first channel."""
    X = np.random.default_rng(0).normal(size=(n, T, C))
    return X, X[:, :, 0].sum(axis=1)


def fitted(estimator, **options):
    X, y = series()
    return estimator(**{**QUICK, "backend": FASTEST, **options}).fit(X, y if estimator is LSTMRegressor else y > 0)


def assert_same_fit(one, other):
    assert one.loss_curve_ == other.loss_curve_
    assert one.weights_.keys() == other.weights_.keys()
    for name, value in one.weights_.items():
        assert_array_equal(other.weights_[name], value, err_msg=name, strict=True)


def assert_update_follows_the_gradient(model, *data, step=1e-5):
    """A fitted model changes by the gradient of its loss in an epoch of plain gradient descent of rate 1."""

    def loss_at(name, shift):
        moved = copy.deepcopy(model).set_params(warm_start=True, learning_rate_init=1e-300)
        moved.weights_[name] += shift.reshape(moved.weights_[name].shape)
        return moved.fit(*data).loss_

    updated = copy.deepcopy(model).set_params(warm_start=True, learning_rate_init=1.0).fit(*data)
    for name, value in model.weights_.items():
        along = directions(value.size, 3)
        numeric = [(loss_at(name, step * d) - loss_at(name, -step * d)) / (2 * step) for d in along]
        update = along @ (value - updated.weights_[name]).ravel()
        assert_allclose(update, numeric, rtol=1e-6, atol=1e-8, err_msg=name)


def assert_refused(call, error, message, model):
    """`call` raises what it should and leaves the estimator's parameters and fitted state, to the bit, as they were."""
    before = joblib.hash(vars(model))
    with pytest.raises(error, match=message):
        call()
    assert joblib.hash(vars(model)) == before


def in_turn(parts, work):
    """Kernels of all parts, one after the other."""
    for part in parts:
        work(part)


def at_once(parts, work):
    """Parts that wait for each other."""
    if not parts[0].by_units:
        return in_turn(parts, work)
    with ThreadPoolExecutor(len(parts)) as pool:
        return list(pool.map(work, parts))
