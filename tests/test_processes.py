"""Threads in other processes, however those are started, and under joblib's threads."""

import pytest
from conftest import run_python

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


def test_joblibs_processes_fit_on_threads_to_the_same_bits(tmp_path, fast):
    assert outcome(tmp_path, "loky", fast) == (True, 2, True)


def test_joblibs_threads_fit_on_threads_to_the_same_bits(tmp_path, fast):
    assert outcome(tmp_path, "threading", fast) == (True, 2, False)


def test_joblibs_processes_share_the_cpus():
    program = """
import joblib
from fastlstm import threads

with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=1):
    print(*joblib.Parallel()(joblib.delayed(threads.cpu_limit)() for _ in range(2)))
"""
    assert run_python("-c", program) == "1 1"
