"""Teams of threads: their errors, and how many members they have."""

import os
import threading
import time
from collections import deque
from contextlib import nullcontext, suppress

import numpy as np
import pytest
from helpers import FASTEST, LIMIT, assert_same_fit, fitted, problem, run_python, until, within
from numpy.testing import assert_array_equal

from fastlstm import LSTMRegressor, kernels, threads
from fastlstm.layers import LSTM
from fastlstm.layers.memory import Room
from fastlstm.phases import Alone, ByRows, Phase
from fastlstm.stacks import StackRun

# -- errors -------------------------------------------------------------------------------------------------


@pytest.fixture
def new_workers(four_cpus, monkeypatch):
    """No worker has started yet."""
    monkeypatch.setattr(threads, "_idle", deque())
    monkeypatch.setattr(threads, "_started", {})


KERNELS = kernels.load(FASTEST)


def team_of(size):
    return threads.team(size, False, KERNELS)


def run(team, *functions):
    """Have the team go through phases, of these functions."""
    within(LIMIT, team.run, lambda: map(Phase, functions))


def failing(ranks, error=ZeroDivisionError):
    """Functions of which the second raises an error in the members of these ranks, while the others wait for them."""

    def fail(part):
        if part.rank in ranks:
            raise error

    return lambda part: None, fail, lambda part: None


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
@pytest.mark.parametrize("rank", [0, 2])
def test_an_error_in_one_member_is_raised_to_the_caller(four_cpus, rank, error):
    with team_of(4) as team, pytest.raises(error):
        run(team, *failing([rank], error))


@pytest.mark.parametrize("kind", [Phase, ByRows])
@pytest.mark.parametrize("rank", [0, 2])
def test_an_error_between_phases_frees_the_others(four_cpus, rank, kind):
    def phases():
        yield Phase(note)
        if ranks[threading.get_ident()] == rank:
            raise ZeroDivisionError
        yield kind(lambda part: None)

    def note(part):
        ranks[threading.get_ident()] = part.rank

    ranks = {}
    with team_of(4) as team, pytest.raises(ZeroDivisionError):
        within(LIMIT, team.run, phases)


def passed(team, *kinds):
    """How many members of a team of two have ended each phase but the last when the first of them begins the next."""
    ended, seen = [0] * len(kinds), [[] for _ in kinds]

    def function(part, number):
        seen[number].append(ended[number - 1])
        if part.rank == 1:
            time.sleep(0.05)
        ended[number] += 1

    within(LIMIT, team.run, lambda: [kind(function, number) for number, kind in enumerate(kinds)])
    return [min(of_phase) for of_phase in seen[1:]]


@pytest.mark.parametrize(
    ("divided_by_units", "kinds", "expected"),
    [
        (False, (Phase, Phase, Phase), [2, 2]),
        (False, (Phase, ByRows, ByRows, Phase), [2, 1, 2]),
        (True, (Phase, ByRows, ByRows, Phase), [2, 2, 2]),
    ],
    ids=["phases", "rows", "units"],
)
def test_all_members_meet_between_phases_unless_both_divide_rows(four_cpus, divided_by_units, kinds, expected):
    with threads.team(2, divided_by_units, KERNELS) as team:
        assert passed(team, *kinds) == expected


def test_a_phase_alone_is_called_once_while_all_others_wait(four_cpus):
    calls = []
    with team_of(4) as team:
        phases = [Alone(lambda: (time.sleep(0.02), calls.append("alone"))), Phase(lambda part: calls.append("all"))]
        within(LIMIT, team.run, lambda: phases)
    assert calls == ["alone"] + ["all"] * 4


def test_one_of_many_errors_is_raised(monkeypatch):
    monkeypatch.setattr(threads, "cpu_limit", lambda: 12)
    with team_of(12) as team, pytest.raises(ZeroDivisionError):
        run(team, *failing(range(12)))


def test_a_team_runs_again_after_an_error(four_cpus):
    ranks = []
    with team_of(4) as team:
        with pytest.raises(ZeroDivisionError):
            run(team, *failing([1]))
        run(team, lambda part: ranks.append(part.rank))
    assert sorted(ranks) == [0, 1, 2, 3]


def test_workers_return_after_an_error(new_workers):
    for _ in range(3):
        with team_of(4) as team, pytest.raises(ZeroDivisionError):
            run(team, *failing([3]))
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


def test_a_team_is_made_while_its_own_thread_makes_another(new_workers, monkeypatch):
    """As a signal handler or a finalizer does that computes something."""
    inner = []

    def limit():
        if not inner:
            inner.append(None)
            with team_of(3) as team:
                inner.append(team.size)
        return 4

    def outer():
        with team_of(4) as team:
            return team.size

    monkeypatch.setattr(threads, "cpu_limit", limit)
    assert within(LIMIT, outer) == 4
    assert inner == [None, 3]


def test_teams_of_many_threads_have_fewer_workers_than_cpus(new_workers):
    sizes = []

    def make():
        for _ in range(50):
            with team_of(4) as team:
                sizes.append(team.size)

    makers = [threading.Thread(target=make) for _ in range(4)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join(LIMIT)
    assert len(sizes) == 200
    assert len(set(threads._idle)) == len(threads._idle) <= 3


def test_nobody_is_at_work_any_more_when_an_error_is_raised(four_cpus):
    done = []

    def function(part):
        if part.rank == 0:
            raise ZeroDivisionError
        until(lambda: part.barrier[0] >= threads.BROKEN)  # the caller has failed
        time.sleep(0.05)
        done.append(part.rank)

    with team_of(4) as team, pytest.raises(ZeroDivisionError):
        run(team, function)
    assert sorted(done) == [1, 2, 3]


def test_a_worker_late_from_the_last_run_counts_as_at_work(four_cpus):
    handed, done = threading.Event(), []

    def late(barrier, size):
        met = KERNELS.wait(barrier, size)
        if threading.current_thread().name == "fastlstm":
            handed.wait(LIMIT)  # the caller goes on to the next run
        return met

    def function(part):
        if part.rank == 0:
            handed.set()
            until(lambda: done)
            raise ZeroDivisionError
        done.append("begun")
        until(lambda: part.barrier[0] >= threads.BROKEN)
        time.sleep(0.05)
        done.append("ended")

    with team_of(2) as team:
        team._wait = late
        run(team, lambda part: None)
        with pytest.raises(ZeroDivisionError):
            run(team, function)
    assert done == ["begun", "ended"]


def test_an_error_reaches_threads_that_wait_inside_a_kernel(four_cpus, fast, monkeypatch):
    monkeypatch.setattr(threads, "LARGE_WEIGHTS", 0)
    layer, (x, *_) = LSTM(3, 40, dtype="float64", backend=fast, random_state=0), problem(9, 6, 3, 40)
    run = kernels.load(fast).lstm.Run
    forward = run.forward

    def failing_forward(self, part, packed):
        if part.rank == 1:
            raise ZeroDivisionError
        forward(self, part, packed)

    with monkeypatch.context() as patch:
        patch.setattr(run, "forward", failing_forward)
        with pytest.raises(ZeroDivisionError):
            within(LIMIT, layer, x)
    expected = LSTM(3, 40, dtype="float64", backend=fast, n_jobs=1, random_state=0)(x)[0]
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
import _thread, signal, threading
import numpy as np
from fastlstm import LSTMRegressor, kernels, threads
from fastlstm.training.solvers import SOLVERS

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs start without one
threads.cpu_limit, threads.FLOPS_PER_THREAD = lambda: 2, 1
rng = np.random.default_rng(0)
X, y = rng.normal(size=(40, 5, 2)), rng.normal(size=40)
options = {"batch_size": 10, "learning_rate": "constant", "tol": 0, "n_iter_no_change": 1000, "random_state": 0}
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
    monkeypatch.setattr(os, "sched_getaffinity", lambda thread: set(range(8)), raising=False)
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
    LSTM(1, 1, backend=FASTEST, n_jobs=n_jobs)(np.ones((16, 2, 1), "float32"))
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


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity") or os.cpu_count() < 2, reason="needs two CPUs, on Linux")
@pytest.mark.parametrize("fails", [False, True])
def test_members_have_cpus_of_their_own_and_the_caller_gets_its_own_back(fails):
    before, cpus = os.sched_getaffinity(0), {}
    if len(before) < 2:
        pytest.skip("this process may use one CPU only")

    def note(part):
        cpus[part.rank] = os.sched_getaffinity(0)
        if fails:
            raise ZeroDivisionError

    def run():
        with pytest.raises(ZeroDivisionError) if fails else nullcontext(), team_of(2) as team:
            team.run(lambda: [Phase(note)])
        return os.sched_getaffinity(0)

    assert within(LIMIT, run) == before
    assert cpus[0] | cpus[1] == before
    assert not cpus[0] & cpus[1]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity") or os.cpu_count() < 2, reason="needs two CPUs, on Linux")
def test_cpus_that_are_changed_during_a_run_stay_so():
    before = os.sched_getaffinity(0)
    if len(before) < 2:
        pytest.skip("this process may use one CPU only")

    def change(part):
        if part.rank == 0:
            os.sched_setaffinity(0, before - os.sched_getaffinity(0))

    def run():
        with team_of(2) as team:
            team.run(lambda: [Alone(lambda: cpus.append(os.sched_getaffinity(0)))])
            team.run(lambda: [Phase(change)])
        cpus.append(os.sched_getaffinity(0))

    cpus = []
    within(LIMIT, run)
    assert cpus[1] == before - cpus[0]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity") or os.cpu_count() < 2, reason="needs two CPUs, on Linux")
def test_all_threads_set_to_the_cpus_of_the_caller_during_a_run_stay_there():
    before = os.sched_getaffinity(0)
    if len(before) < 2:
        pytest.skip("this process may use one CPU only")

    def change_all(allowed):  # what `taskset -a` does
        for thread in os.listdir("/proc/self/task"):
            with suppress(ProcessLookupError):  # it has ended
                os.sched_setaffinity(int(thread), allowed)

    def change(part):
        if part.rank == 0:
            cpus.append(os.sched_getaffinity(0))
            change_all(cpus[0])

    def run():
        with team_of(2) as team:
            team.run(lambda: [Phase(change)])
        cpus.append(os.sched_getaffinity(0))

    cpus = []
    try:
        within(LIMIT, run)
    finally:
        change_all(before)
    assert cpus[1] == cpus[0]


def test_where_affinity_may_not_be_set_a_team_computes_all_the_same(monkeypatch, four_cpus):
    def deny(*args):
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", deny, raising=False)
    x = np.ones((16, 2, 1), "float32")
    one, two = (LSTM(1, 4, n_jobs=n_jobs, random_state=0)(x)[0] for n_jobs in (1, 2))
    assert_array_equal(one, two)


@pytest.fixture
def interrupted(monkeypatch):
    """Has a method call a function first, once: as a signal handler or a finalizer that comes just then."""

    def interrupt(owner, name, function):
        method, left = getattr(owner, name), [function]

        def first(*args, **options):
            if left:
                left.pop()()
            return method(*args, **options)

        monkeypatch.setattr(owner, name, first)

    return interrupt


@pytest.mark.parametrize("where", ["looking for memory", "computing"])
def test_a_layer_may_be_called_while_its_own_thread_is_in_it(where, interrupted, backend):
    layer, (x, *_) = LSTM(3, 4, dtype="float64", backend=backend, random_state=0), problem(4, 5, 3, 4)
    expected, results = layer(x)[0].copy(), []
    owner, method = (Room, "is_free") if where == "looking for memory" else (kernels.load(backend).lstm.Run, "forward")
    interrupted(owner, method, lambda: results.append(layer(x)[0]))
    results.append(within(LIMIT, layer, x)[0])
    results.append(layer(x)[0])
    assert len(results) == 3
    for output in results:
        assert_array_equal(output, expected)


@pytest.mark.parametrize("outer", [True, False], ids=["keep", "use up"])
@pytest.mark.parametrize("inner", [True, False], ids=["keeping", "using up"])
def test_a_tape_may_be_played_while_its_own_thread_plays_it(outer, inner, interrupted, backend):
    layer, (x, _, d_output, _) = LSTM(3, 4, dtype="float64", backend=backend, random_state=0), problem(4, 5, 3, 4)
    tape, results = layer.record(x)[2], []
    expected = layer.backward(tape, d_output)

    def play():
        with nullcontext() if outer else pytest.raises(ValueError, match="used up"):
            results.append(layer.backward(tape, d_output, keep_tape=inner))

    interrupted(StackRun, "backward", play)
    results.append(within(LIMIT, lambda: layer.backward(tape, d_output, keep_tape=outer)))
    assert len(results) == 1 + outer
    for grads in results:
        assert_array_equal(grads.x, expected.x)
        assert_array_equal(grads.weights["weight_hh_l0"], expected.weights["weight_hh_l0"])


def test_one_tape_may_be_played_by_several_threads_at_once():
    layer, (x, _, d_output, _) = LSTM(8, 64, random_state=0), problem(32, 20, 8, 64, "float32")
    tape = layer.record(x)[2]
    expected, results = layer.backward(tape, d_output), []
    players = [
        threading.Thread(target=lambda: results.extend(layer.backward(tape, d_output) for _ in range(5)))
        for _ in range(4)
    ]
    for player in players:
        player.start()
    for player in players:
        player.join()
    assert len(results) == 20
    for grads in results:
        assert_array_equal(grads.x, expected.x)
