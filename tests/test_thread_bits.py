"""Threads change no bit: however many there are, however slow one is, and with others at once."""

import copy
import itertools
import threading

import numpy as np
import pytest
from helpers import (
    FASTEST,
    LIMIT,
    all_results,
    assert_same_bits,
    assert_same_fit,
    class_of,
    fitted,
    network_results,
    problem,
    series,
    until,
    within,
)
from numpy.testing import assert_array_equal

from fastlstm import LSTMClassifier, LSTMRegressor, kernels, sequences, threads
from fastlstm.kernels.parts import Part, starts_of
from fastlstm.kernels.workspace import Workspace
from fastlstm.phases import Phase

pytestmark = pytest.mark.every_combination  # equal bits can fail in a single combination

# -- the same bits for any number of threads ----------------------------------------------------------------

#: N, T, C, H and lengths: fewer rows and vectors of units than threads, remainders of every tile and panel.
BATCHES = [
    ((1, 3, 1, 1), None),
    ((3, 4, 2, 40), None),
    ((17, 4, 5, 100), None),
    ((32, 3, 300, 8), None),
    ((9, 6, 40, 17), [2, 6, 1, 6, 5, 1, 1, 4, 3]),
    ((21, 5, 3, 150), [5] * 4 + [1] * 15 + [3, 2]),
]


@pytest.mark.parametrize("n_jobs", [2, 4])
@pytest.mark.parametrize(("shape", "lengths"), BATCHES, ids=str)
def test_a_layer_has_the_same_bits_for_any_number_of_threads(
    teams, by_units, fast, cell, dtype, shape, lengths, n_jobs
):
    data = problem(*shape, dtype, cell=cell)
    alone, together = (
        class_of(cell)(*shape[2:], dtype=dtype, backend=fast, n_jobs=number, random_state=0) for number in (1, n_jobs)
    )
    expected = all_results(alone, *data, lengths)
    teams.clear()
    assert_same_bits(all_results(together, *data, lengths), expected)
    size = n_jobs if by_units else min(n_jobs, shape[0])
    assert teams == [(size, by_units)] * 2  # forward and backward


@pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])
@pytest.mark.parametrize("bptt_checkpoint", [None, 3])
def test_a_fit_has_the_same_bits_for_any_number_of_threads(teams, by_units, dtype, estimator, bptt_checkpoint):
    options = {"dtype": dtype, "bptt_checkpoint": bptt_checkpoint}
    alone = fitted(estimator, **options, n_jobs=1)
    for n_jobs in (2, 4):
        teams.clear()
        assert_same_fit(fitted(estimator, **options, n_jobs=n_jobs), alone)
        assert teams == [(n_jobs, by_units)] * 3  # one an epoch


@pytest.mark.parametrize("solver", ["adamw", "sgd", "rmsprop"])
def test_every_solver_has_the_same_bits_for_any_number_of_threads(four_cpus, solver):
    options = {"solver": solver, "learning_rate_init": 1e-3}
    assert_same_fit(fitted(LSTMRegressor, **options, n_jobs=4), fitted(LSTMRegressor, **options, n_jobs=1))


def predict(model, X):
    return model.predict_proba(X) if isinstance(model, LSTMClassifier) else model.predict(X)


@pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])
def test_a_prediction_has_the_same_bits_for_any_number_of_threads(teams, by_units, dtype, estimator):
    model, (X, _) = fitted(estimator, dtype=dtype, n_jobs=1), series(50)
    alone = predict(model, X)
    for n_jobs in (2, 4):
        teams.clear()
        assert_array_equal(predict(model.set_params(n_jobs=n_jobs), X), alone)
        assert teams == [(n_jobs, by_units)]


def test_a_prediction_has_the_same_bits_in_any_batch_with_threads(four_cpus, by_units, dtype):
    model, (X, _) = fitted(LSTMRegressor, dtype=dtype), series(50)
    together = model.predict(X)
    for rows in [slice(0, 1), slice(3, 5), slice(7, 24), slice(49, 50), slice(None, None, -1)]:
        assert_array_equal(model.predict(X[rows]), together[rows])


def test_a_prediction_in_several_blocks_has_the_same_bits_for_any_number_of_threads(four_cpus, by_units, monkeypatch):
    model, (X, _) = fitted(LSTMRegressor, n_jobs=1), series(50)
    together = model.predict(X)
    blocks = sequences.blocks
    monkeypatch.setattr(sequences, "blocks", lambda n, T, width: blocks(n, T, width, limit=1))
    assert_array_equal(model.set_params(n_jobs=4).predict(X), together)


# -- the same bits for any schedule -------------------------------------------------------------------------


@pytest.fixture(params=["caller", "worker"])
def laggard(request, four_cpus, monkeypatch):
    """Teams of two of which one is as slow as it can be: it starts when the other has reached the next barrier."""
    slow = ["caller", "worker"].index(request.param)

    class Uneven(threads.Team):
        lagging = None

        def lag(self):
            # only while the other waits is the number of arrivals odd
            until(lambda: self._barrier[0] % 2 == 1 or self._barrier[0] >= threads.BROKEN)

        def wait(self):
            super().wait()
            if threading.get_ident() == self.lagging:
                self.lag()

        def run(self, phases):
            def begin(part):
                if part.size > 1 and part.rank == slow:
                    self.lagging = threading.get_ident()

            def end(part):
                if part.rank == slow:
                    self.lagging = None

            super().run(lambda: itertools.chain([Phase(begin)], phases(), [Phase(end)]))

    monkeypatch.setattr(threads, "Team", Uneven)


@pytest.mark.parametrize("lengths", [None, [2, 6, 1, 6, 5, 1, 1, 4, 3]], ids=["equal", "lengths"])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}], ids=["one", "stack"])
def test_a_layer_has_the_same_bits_however_slow_a_thread_is(laggard, by_units, fast, cell, options, lengths):
    shape = 9, 6, 40, 70
    data = problem(*shape, cell=cell, **options)
    options = {**options, "dtype": "float64", "backend": fast, "random_state": 0}
    alone, together = (class_of(cell)(*shape[2:], n_jobs=number, **options) for number in (1, 2))
    expected = all_results(alone, *data, lengths)
    assert_same_bits(within(LIMIT, all_results, together, *data, lengths), expected)


@pytest.mark.parametrize("bptt_checkpoint", [None, 3])
def test_a_fit_has_the_same_bits_however_slow_a_thread_is(laggard, by_units, bptt_checkpoint):
    alone = fitted(LSTMRegressor, bptt_checkpoint=bptt_checkpoint, n_jobs=1)
    assert_same_fit(within(LIMIT, lambda: fitted(LSTMRegressor, bptt_checkpoint=bptt_checkpoint, n_jobs=2)), alone)


@pytest.mark.parametrize("checkpoint", [None, 3])
def test_a_gradient_over_lengths_has_the_same_bits_however_slow_a_thread_is(laggard, by_units, checkpoint):
    rng, lengths = np.random.default_rng(0), np.array([2, 7, 1, 6, 5, 1, 1, 4, 3])
    several = sequences.Series(rng.normal(size=9 * 7 * 3), np.arange(9) * 7 * 3, lengths, 3)
    data = several, rng.normal(size=(9, 2)), checkpoint, FASTEST
    losses, gradient = network_results(*data, n_jobs=1)
    losses_again, gradient_again = within(LIMIT, lambda: network_results(*data, n_jobs=2))
    assert_array_equal(losses_again, losses)
    assert_array_equal(gradient_again, gradient)


def test_a_prediction_has_the_same_bits_however_slow_a_thread_is(laggard, by_units):
    model, (X, _) = fitted(LSTMRegressor, n_jobs=1), series(50)
    alone = model.predict(X)
    assert_array_equal(within(LIMIT, model.set_params(n_jobs=2).predict, X), alone)


# -- many at once -------------------------------------------------------------------------------------------


def at_once(function, number=8, repeats=5):
    """What `function` returns, called `repeats` times by each of so many threads at once."""
    barrier, results = threading.Barrier(number), []

    def work():
        barrier.wait()
        results.extend(function() for _ in range(repeats))

    def all_of_them():
        callers = [threading.Thread(target=work, daemon=True) for _ in range(number)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()

    within(LIMIT, all_of_them)
    assert len(results) == number * repeats
    return results


def test_threads_that_predict_at_once_with_one_estimator_get_the_same_bits(four_cpus, by_units):
    model, (X, _) = fitted(LSTMRegressor), series(50)
    expected = model.predict(X)
    for result in at_once(lambda: model.predict(X)):
        assert_array_equal(result, expected)


@pytest.fixture
def layer(fast, cell):
    return class_of(cell)(3, 40, num_layers=2, bidirectional=True, backend=fast, random_state=0)


@pytest.fixture
def data(cell):
    return problem(9, 6, 3, 40, "float32", cell=cell, num_layers=2, bidirectional=True)


def test_threads_that_call_one_layer_at_once_get_the_same_bits(four_cpus, by_units, layer, data):
    x, state, _, _ = data
    expected, state_n = copy.copy(layer)(x, state)
    for output, end in at_once(lambda: layer(x, state)):
        assert_array_equal(output, expected)
        assert_array_equal(end, state_n)


def test_threads_that_differentiate_one_layer_at_once_get_the_same_bits(four_cpus, by_units, layer, data):
    expected = all_results(copy.copy(layer), *data)
    for results in at_once(lambda: all_results(layer, *data)):
        assert_same_bits(results, expected)


@pytest.fixture
def loading(backend, cell, monkeypatch):
    """A layer, and another whose weights it loads while it runs for the first time."""
    layer, other = (class_of(cell)(2, 5, backend=backend, random_state=seed) for seed in (0, 1))
    run = getattr(kernels.load(backend), cell).Run
    forward, weights = run.forward, [other.state_dict()]

    def load_and_forward(self, part, packed):
        if weights:
            layer.load_state_dict(weights.pop())
        forward(self, part, packed)

    monkeypatch.setattr(run, "forward", load_and_forward)
    return layer, other


def test_weights_loaded_while_a_call_runs_are_those_of_the_next_call(loading):
    layer, other = loading
    x = np.ones((3, 4, 2), "float32")
    layer(x)
    assert_array_equal(layer(x)[0], other(x)[0])


def test_weights_loaded_while_a_run_is_recorded_are_not_those_of_its_gradient(loading, cell):
    layer, _ = loading
    original = class_of(cell)(2, 5, backend=layer.backend, random_state=0)
    data = problem(3, 4, 2, 5, "float32", cell=cell)
    assert_array_equal(all_results(layer, *data)["d_x"], all_results(original, *data)["d_x"])


def test_a_part_whose_sequences_have_ended_leaves_others_memory_alone(fast, cell, dtype):
    N, C, H = 12, 3, 150
    lengths = np.array([9] * 2 + [4] * 10)
    starts, numbers = starts_of(lengths), np.random.default_rng(0)
    package, kind = kernels.load(fast), np.dtype(dtype)
    layer = class_of(cell)(C, H, dtype=dtype, backend=fast, random_state=0)
    packed = getattr(package, cell).Packed(C, H, kind, Workspace())
    packed.fill(Part(), list(layer.state_dict().values()))
    run = getattr(package, cell).Run(C, H, starts, kind, Workspace(), recording=True, threads=2)
    x = numbers.standard_normal(N * 9 * C).astype(dtype)
    for rank in range(2):
        run.load(Part(rank, 2), x, np.arange(N) * 9 * C)
    last = Part(1, 2)
    assert run.bounds(last)[0] >= 2  # none of its sequences goes on beyond the fourth step
    of_first = slice(run._sums.size // 2)
    run._sums[of_first] = np.nan
    run.forward(last, packed)
    assert np.isnan(run._sums[of_first]).all()
