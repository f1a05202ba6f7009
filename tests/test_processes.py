"""Threads in other processes, however those are started, and under joblib's threads."""

import os

import pytest
from helpers import FASTEST, run_python

#: Fits and predicts on two threads; then again in other processes or threads, and prints whether the bits are the same.
PROGRAM = """
import multiprocessing, os, sys
import joblib
import numpy as np
from fastlstm import LSTMRegressor, threads


def watch():  # two CPUs, every run worth two threads; sizes of teams are noted
    if hasattr(threads, "sizes"):
        return
    threads.sizes = []

    class Noted(threads.Team):
        def __init__(self, *args):
            super().__init__(*args)
            threads.sizes.append(self.size)

    threads.Team, threads.cpu_limit, threads.FLOPS_PER_THREAD = Noted, lambda: 2, 1


def work(_=None):
    watch()
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 5, 3)), rng.normal(size=20)
    model = LSTMRegressor(9, batch_size=6, max_iter=3, learning_rate="cosine", random_state=0)
    return model.fit(X, y).predict(X), max(threads.sizes), os.getpid()


def in_processes(method):
    with multiprocessing.get_context(method).Pool(2) as pool:
        return pool.map_async(work, range(2)).get(60)


def in_joblib(backend):
    return joblib.Parallel(n_jobs=2, backend=backend, timeout=60)(joblib.delayed(work)() for _ in range(4))


if __name__ == "__main__":
    how, expected = sys.argv[1], work()[0]
    threads.sizes.clear()
    results = (in_joblib if how in ("loky", "threading") else in_processes)(how)
    elsewhere = all(process != os.getpid() for _, _, process in results)
    print(all(np.array_equal(result, expected) for result, _, _ in results), max(s for _, s, _ in results), elsewhere)
"""


def outcome(tmp_path, how, backend):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    same, size, elsewhere = run_python(program, how, FASTLSTM_BACKEND=backend).split()
    return same == "True", int(size), elsewhere == "True"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_fit_on_threads_to_the_same_bits(tmp_path, method, fast):
    import multiprocessing

    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("this system has no such processes")
    assert outcome(tmp_path, method, fast) == (True, 2, True)


# joblib divides the CPUs in the same way for every backend
@pytest.mark.system
@pytest.mark.parametrize(("method", "elsewhere"), [("loky", True), ("threading", False)])
def test_joblibs_workers_fit_on_threads_to_the_same_bits(tmp_path, method, elsewhere):
    assert outcome(tmp_path, method, FASTEST) == (True, 2, elsewhere)


@pytest.mark.system
def test_joblibs_processes_share_the_cpus():
    program = """
import joblib
from fastlstm import threads

with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=1):
    print(*joblib.Parallel()(joblib.delayed(threads.cpu_limit)() for _ in range(2)))
"""
    assert run_python("-c", program) == "1 1"


#: What a forked child does while another thread holds something; the child is killed where that takes long.
FORK = """
import os, signal, threading


def fork_while(other_thread, child):
    inside, leave = threading.Event(), threading.Event()
    thread = threading.Thread(target=other_thread, args=(inside, leave))
    thread.start()
    inside.wait()
    threading.Timer(0.5, leave.set).start()
    pid = os.fork()
    if pid == 0:
        signal.alarm(10)
        os._exit(0 if child() else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    thread.join()
"""
can_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no such processes")


@can_fork
@pytest.mark.parametrize("use", ["layer(x)", "layer.record(x)", "layer.backward(tape, output)"])
def test_a_child_uses_a_layer_that_another_thread_used_when_it_was_forked(use):
    program = f"""
import numpy as np
from fastlstm.layers import LSTM
from fastlstm.stacks import StackRun

layer, x = LSTM(2, 3, random_state=0), np.ones((4, 5, 2), "float32")
output, _, tape = layer.record(x)
method = "prepare_backward" if "backward" in "{use}" else "forward"
whole = getattr(StackRun, method)


def other_thread(inside, leave):
    def stay(run, *args, **options):
        if threading.current_thread() is thread:
            inside.set()
            leave.wait()
        return whole(run, *args, **options)

    thread = threading.current_thread()
    setattr(StackRun, method, stay)
    {use}


def child():
    {use}
    return np.array_equal(layer(x)[0], output)


fork_while(other_thread, child)
"""
    assert run_python("-c", FORK + program) == "0"


@can_fork
def test_a_child_has_attributes_that_another_thread_computed_when_it_was_forked():
    program = """
from fastlstm.kernels.lazy import lazy


class Slow:
    @lazy
    def attribute(self):
        if threading.current_thread() is not threading.main_thread():
            self.inside.set()
            self.leave.wait()
        return 7


def other_thread(inside, leave):
    slow = Slow()
    slow.inside, slow.leave = inside, leave
    slow.attribute


fork_while(other_thread, lambda: Slow().attribute == 7)
"""
    assert run_python("-c", FORK + program) == "0"


@pytest.mark.system
@can_fork
def test_a_child_compiles_where_another_thread_compiled_when_it_was_forked():
    pytest.importorskip("numba")
    program = """
from numba.core.compiler_lock import global_compiler_lock
import fastlstm.kernels.numba.jit


def other_thread(inside, leave):
    with global_compiler_lock:
        inside.set()
        leave.wait()


def child():
    with global_compiler_lock:
        return True


fork_while(other_thread, child)
"""
    assert run_python("-c", FORK + program) == "0"
