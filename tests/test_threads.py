"""Threads: how many, the same bits for any number and any schedule, errors."""

import os
import threading
import time

import numpy as np
import pytest
from conftest import all_results, network_results, problem, run_python, within
from numpy.testing import assert_array_equal

from fastlstm import LSTMClassifier, LSTMRegressor, kernels, threads
from fastlstm.layers import LSTM
from fastlstm.sequences import Series

numba = pytest.importorskip("fastlstm.kernels.numba")
LIMIT = 20  # seconds after which a run that should take milliseconds counts as hanging


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
def test_a_layer_has_the_same_bits_for_any_number_of_threads(teams, by_units, dtype, shape, lengths, n_jobs):
    data = problem(*shape, dtype)
    alone, together = (
        LSTM(*shape[2:], dtype=dtype, backend="numba", n_jobs=number, random_state=0) for number in (1, n_jobs)
    )
    expected = all_results(alone, *data, lengths)
    teams.clear()
    for name, value in all_results(together, *data, lengths).items():
        assert_array_equal(value, expected[name], err_msg=name)
    size = n_jobs if by_units else min(n_jobs, shape[0])
    assert teams == [(size, by_units)] * 2  # forward and backward


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
    from fastlstm import sequences

    model, (X, _) = fitted(LSTMRegressor, n_jobs=1), series(50)
    together = model.predict(X)
    blocks = sequences.blocks
    monkeypatch.setattr(sequences, "blocks", lambda n, T, width: blocks(n, T, width, limit=1))
    assert_array_equal(model.set_params(n_jobs=4).predict(X), together)


# -- the same bits for any schedule -------------------------------------------------------------------------


def until(condition):
    """Return when the condition holds."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(1e-5)


@pytest.fixture(params=["caller", "worker"])
def laggard(request, four_cpus, monkeypatch):
    """Teams of two of which one is as slow as it can be: it sets off when the other has come to the next meeting."""
    slow = ["caller", "worker"].index(request.param)

    class Uneven(threads.Team):
        lagging = None

        def lag(self):
            # only while the other waits is the number of arrivals odd
            until(lambda: self._meeting[0] % 2 == 1 or self._meeting[0] >= threads.BROKEN)

        def wait(self):
            super().wait()
            if threading.get_ident() == self.lagging:
                self.lag()

        def run(self, function):
            def unevenly(part):
                if part.size > 1 and part.rank == slow:
                    self.lagging = threading.get_ident()
                    self.lag()
                function(part)
                if part.size > 1 and part.rank == slow:
                    self.lagging = None

            super().run(unevenly)

    monkeypatch.setattr(threads, "Team", Uneven)


@pytest.mark.parametrize("lengths", [None, [2, 6, 1, 6, 5, 1, 1, 4, 3]], ids=["equal", "lengths"])
def test_a_layer_has_the_same_bits_however_slow_a_thread_is(laggard, by_units, lengths):
    shape = 9, 6, 40, 70
    data = problem(*shape)
    alone, together = (LSTM(*shape[2:], dtype="float64", backend="numba", n_jobs=n, random_state=0) for n in (1, 2))
    expected = all_results(alone, *data, lengths)
    for name, value in within(LIMIT, all_results, together, *data, lengths).items():
        assert_array_equal(value, expected[name], err_msg=name)


@pytest.mark.parametrize("bptt_checkpoint", [None, 3])
def test_a_fit_has_the_same_bits_however_slow_a_thread_is(laggard, by_units, bptt_checkpoint):
    alone = fitted(LSTMRegressor, bptt_checkpoint=bptt_checkpoint, n_jobs=1)
    assert_same_fit(within(LIMIT, lambda: fitted(LSTMRegressor, bptt_checkpoint=bptt_checkpoint, n_jobs=2)), alone)


@pytest.mark.parametrize("checkpoint", [None, 3])
def test_a_gradient_over_lengths_has_the_same_bits_however_slow_a_thread_is(laggard, by_units, checkpoint):
    rng, lengths = np.random.default_rng(0), np.array([2, 7, 1, 6, 5, 1, 1, 4, 3])
    series = Series(rng.normal(size=9 * 7 * 3), np.arange(9) * 7 * 3, lengths, 3)
    data = series, rng.normal(size=(9, 2)), checkpoint, "numba"
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


def test_threads_that_call_one_layer_at_once_get_the_same_bits(four_cpus, by_units):
    layer, (x, state, _, _) = LSTM(3, 40, backend="numba", random_state=0), problem(9, 6, 3, 40, "float32")
    expected, state_n = LSTM(3, 40, backend="numba", random_state=0)(x, state)
    for output, (h_n, c_n) in at_once(lambda: layer(x, state)):
        assert_array_equal(output, expected)
        assert_array_equal(h_n, state_n[0])
        assert_array_equal(c_n, state_n[1])


def test_threads_that_differentiate_one_layer_at_once_get_the_same_bits(four_cpus, by_units):
    layer, data = LSTM(3, 40, backend="numba", random_state=0), problem(9, 6, 3, 40, "float32")
    expected = all_results(LSTM(3, 40, backend="numba", random_state=0), *data)
    for results in at_once(lambda: all_results(layer, *data)):
        for name, value in expected.items():
            assert_array_equal(results[name], value, err_msg=name)


@pytest.fixture
def loading(backend, monkeypatch):
    """A layer, and another whose weights it loads while it runs for the first time."""
    layer, other = (LSTM(2, 5, backend=backend, random_state=seed) for seed in (0, 1))
    run = kernels.load(backend).lstm.Run
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


def test_weights_loaded_while_a_run_is_recorded_are_not_those_of_its_gradient(loading):
    layer, _ = loading
    original = LSTM(2, 5, backend=layer.backend, random_state=0)
    data = problem(3, 4, 2, 5, "float32")
    assert_array_equal(all_results(layer, *data)["d_x"], all_results(original, *data)["d_x"])


# -- errors -------------------------------------------------------------------------------------------------


@pytest.fixture
def new_workers(four_cpus, monkeypatch):
    """No worker has started yet."""
    monkeypatch.setattr(threads, "_idle", set())
    monkeypatch.setattr(threads, "_started", 0)


def team_of(size):
    return threads.team(size, False, numba)


def failing(team, ranks, error=ZeroDivisionError):
    """What the members of these ranks raise an error in, while the others wait for them."""

    def function(part):
        team.wait()
        if part.rank in ranks:
            raise error
        team.wait()

    return function


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
@pytest.mark.parametrize("rank", [0, 2])
def test_an_error_in_one_member_is_raised_to_the_caller(four_cpus, rank, error):
    with team_of(4) as team, pytest.raises(error):
        within(LIMIT, team.run, failing(team, [rank], error))


def test_one_of_many_errors_is_raised(monkeypatch):
    monkeypatch.setattr(threads, "cpu_limit", lambda: 12)
    with team_of(12) as team, pytest.raises(ZeroDivisionError):
        within(LIMIT, team.run, failing(team, range(12)))


def test_a_team_runs_again_after_an_error(four_cpus):
    ranks = []
    with team_of(4) as team:
        with pytest.raises(ZeroDivisionError):
            within(LIMIT, team.run, failing(team, [1]))
        within(LIMIT, team.run, lambda part: ranks.append(part.rank))
    assert sorted(ranks) == [0, 1, 2, 3]


def test_workers_return_after_an_error(new_workers):
    for _ in range(3):
        with team_of(4) as team, pytest.raises(ZeroDivisionError):
            within(LIMIT, team.run, failing(team, [3]))
    with team_of(4) as team:
        assert team.size == 4


def test_workers_return_after_an_interrupt_before_the_team_is_made(new_workers, monkeypatch):
    claim = threads._claim

    def interrupted(*args):
        claim(*args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threads, "_claim", interrupted)
        with pytest.raises(KeyboardInterrupt), team_of(4):
            pass
    with team_of(4) as team:
        assert team.size == 4


def test_nobody_is_at_work_any_more_when_an_error_is_raised(four_cpus):
    done = []

    def function(part):
        if part.rank == 0:
            raise ZeroDivisionError
        until(lambda: part.meeting[0] >= threads.BROKEN)  # the caller has failed
        time.sleep(0.05)
        done.append(part.rank)

    with team_of(4) as team, pytest.raises(ZeroDivisionError):
        within(LIMIT, team.run, function)
    assert sorted(done) == [1, 2, 3]


def test_a_worker_late_from_the_last_run_counts_as_at_work(four_cpus):
    handed, done = threading.Event(), []

    def late(meeting, size):
        met = numba.wait(meeting, size)
        if threading.current_thread().name == "fastlstm":
            handed.wait(LIMIT)  # the caller goes on to the next run
        return met

    def function(part):
        if part.rank == 0:
            handed.set()
            until(lambda: done)
            raise ZeroDivisionError
        done.append("begun")
        until(lambda: part.meeting[0] >= threads.BROKEN)
        time.sleep(0.05)
        done.append("ended")

    with team_of(2) as team:
        team._wait = late
        within(LIMIT, team.run, lambda part: None)
        with pytest.raises(ZeroDivisionError):
            within(LIMIT, team.run, function)
    assert done == ["begun", "ended"]


def test_an_error_reaches_threads_that_wait_inside_a_kernel(four_cpus, monkeypatch):
    monkeypatch.setattr(threads, "LARGE_WEIGHTS", 0)
    layer, (x, *_) = LSTM(3, 40, dtype="float64", backend="numba", random_state=0), problem(9, 6, 3, 40)
    forward = numba.lstm.Run.forward

    def failing_forward(self, part, packed):
        if part.rank == 1:
            raise ZeroDivisionError
        forward(self, part, packed)

    with monkeypatch.context() as patch:
        patch.setattr(numba.lstm.Run, "forward", failing_forward)
        with pytest.raises(ZeroDivisionError):
            within(LIMIT, layer, x)
    expected = LSTM(3, 40, dtype="float64", backend="numba", n_jobs=1, random_state=0)(x)[0]
    assert_array_equal(within(LIMIT, layer, x)[0], expected)


def test_training_that_diverges_on_threads_raises_and_the_next_fit_works(four_cpus):
    with pytest.raises(FloatingPointError, match="diverged"):
        within(LIMIT, lambda: fitted(LSTMRegressor, learning_rate_init=1e40, clip_norm=None))
    assert_same_fit(within(LIMIT, fitted, LSTMRegressor), fitted(LSTMRegressor, n_jobs=1))


def test_without_threads_to_start_the_caller_computes_alone(new_workers, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    expected = fitted(LSTMRegressor, n_jobs=1)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert_same_fit(fitted(LSTMRegressor, n_jobs=4), expected)


def test_an_interrupt_from_the_keyboard_ends_a_fit_on_threads_after_the_last_whole_epoch():
    program = """
import _thread, threading
import numpy as np
from fastlstm import LSTMRegressor, threads
from fastlstm.training.solvers import SOLVERS

threads.cpu_limit, threads.FLOPS_PER_THREAD = lambda: 2, 1
rng = np.random.default_rng(0)
X, y = rng.normal(size=(40, 5, 2)), rng.normal(size=40)
options = {"batch_size": 10, "tol": 0, "n_iter_no_change": 1000, "random_state": 0}
(adam, moments), calls = SOLVERS["adam"], []

def interrupting(*args):
    if threading.current_thread().name == "fastlstm":
        calls.append(args)
        if len(calls) == 10:  # in the third epoch of four batches
            _thread.interrupt_main()
    adam(*args)

SOLVERS["adam"] = interrupting, moments
model = LSTMRegressor(8, max_iter=1000, n_jobs=2, **options)
try:
    model.fit(X, y)
except KeyboardInterrupt:
    print("interrupted")
SOLVERS["adam"] = adam, moments
whole = LSTMRegressor(8, max_iter=2, n_jobs=2, **options).fit(X, y)
print(model.n_iter_, all(np.array_equal(whole.weights_[name], value) for name, value in model.weights_.items()))
"""
    assert run_python("-W", "ignore", "-c", program).split() == ["interrupted", "2", "True"]


# -- how many -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "expected"),
    [(None, 8), ("3", 3), ("16", 8), (" 2 ", 2), ("2,4", 2), ("", 8), ("0", 8), ("-1", 8), ("many", 8)],
)
def test_openmps_variable_limits_the_threads(monkeypatch, variable, expected):
    monkeypatch.setattr(threads, "_cpus", lambda process: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert threads.cpu_limit() == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs a system where CPUs can be set")
def test_the_cpus_that_a_process_may_use_limit_the_threads():
    program = """
import os
os.environ.pop("OMP_NUM_THREADS", None)
os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])
from fastlstm import threads
print(threads.cpu_limit())
"""
    assert run_python("-c", program) == "1"


@pytest.mark.parametrize(
    ("n_jobs", "expected"), [(None, 4), (1, 1), (3, 3), (100, 4), (np.int64(2), 2), (-1, 4), (-2, 3), (-4, 1), (-9, 1)]
)
def test_n_jobs_asks_for_threads_up_to_the_number_of_cpus(teams, n_jobs, expected):
    LSTM(1, 1, backend="numba", n_jobs=n_jobs)(np.ones((16, 2, 1), "float32"))
    assert teams == [(expected, False)]


@pytest.mark.parametrize(
    ("flops", "expected"), [(0, (1, False)), (3e7, (3, False)), (1e12, (4, False))], ids=["none", "few", "many"]
)
def test_no_more_threads_than_pay(monkeypatch, flops, expected):
    monkeypatch.setattr(threads, "cpu_limit", lambda: 4)
    monkeypatch.setattr(threads, "FLOPS_PER_THREAD", 10**7)
    assert threads.worthwhile(None, flops, rows=1000, weight_bytes=1000) == expected


def test_units_are_divided_where_weights_are_large_and_rows_few(four_cpus):
    many, large = 4 * threads.FEW_ROWS, threads.LARGE_WEIGHTS + 1
    assert [
        threads.worthwhile(4, 1e12, rows, weight_bytes)[1]
        for rows, weight_bytes in [(many - 1, large), (many, large), (many - 1, large - 1)]
    ] == [True, False, False]


def test_a_backend_without_threads_computes_alone(teams):
    LSTM(1, 1, backend="numpy", n_jobs=4)(np.ones((16, 2, 1), "float32"))
    assert teams == [(1, False)]
