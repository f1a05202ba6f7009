"""What only a process of its own can measure: imports, first fits, peaks of memory.

Run: python bench/processes.py [RESULTS.json]   (adds its lines to the results of `make bench`)
"""

# This file imports little: every process that it starts imports it too.
import json
import os
import pickle
import statistics
import sys
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

SHAPES = [(64, 100, 128, 512), (32, 100, 64, 256)]  # N, T, C, H
LONG, LONG_H = 100_000, 64


def alone(function, *args):
    """function(*args), in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def megabytes(field):
    """VmRSS, the memory that this process has now, or VmHWM, the most that it has had."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(field))


def peak_beyond(function):
    """Megabytes that the process has at the most while it runs `function`, beyond those it has now."""
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew: what imports needed for a moment is over
    before = megabytes("VmRSS")
    function()
    return megabytes("VmHWM") - before


def is_available(backend):
    from fastlstm import kernels

    return backend in kernels.available()


def import_seconds():
    import sklearn.base  # noqa: F401

    start = time.perf_counter()
    import fastlstm  # noqa: F401

    return time.perf_counter() - start


def first_fit_seconds():
    import numpy as np

    from fastlstm import LSTMRegressor

    warnings.simplefilter("ignore")  # of a fit that has not converged
    X, y = np.ones((320, 24, 1), "float32"), np.ones(320, "float32")
    return seconds(lambda: LSTMRegressor(32, batch_size=32, max_iter=1, random_state=0).fit(X, y))


def fitted_model():
    """A pickled model."""
    import numpy as np

    from fastlstm import LSTMRegressor

    X, y = np.ones((32, 24, 1), "float32"), np.ones(32, "float32")
    return pickle.dumps(LSTMRegressor(32, max_iter=1, learning_rate="cosine").fit(X, y))


def first_prediction_seconds(model, backend):
    """From the import to a prediction, what is imported anyway apart."""
    import numpy as np
    import sklearn.base  # noqa: F401

    os.environ["FASTLSTM_BACKEND"] = backend
    X = np.ones((1, 24, 1), "float32")
    return seconds(lambda: pickle.loads(model).predict(X))


def step_megabytes(shape):
    """Ours, on 1 thread; inputs and weights are there before."""
    import numpy as np

    from fastlstm.layers import LSTM

    def prepare(N, T, C, H):
        layer = LSTM(C, H, n_jobs=1)
        x, d_output = np.ones((N, T, C), "float32"), np.ones((N, T, H), "float32")
        return lambda: layer.backward(layer.record(x)[2], d_output, input_gradient=False, keep_tape=False)

    prepare(2, 2, 2, 2)()
    return peak_beyond(prepare(*shape))


def torch_step_megabytes(shape):
    import torch

    torch.set_num_threads(1)

    def prepare(N, T, C, H):
        lstm, x, d_output = torch.nn.LSTM(C, H), torch.ones(T, N, C), torch.ones(T, N, H)
        return lambda: lstm(x)[0].backward(d_output)

    prepare(2, 2, 2, 2)()
    return peak_beyond(prepare(*shape))


def long_fit(checkpoint, T=LONG):
    """A function that fits one long series for one epoch."""
    import numpy as np

    from fastlstm import LSTMRegressor

    X, y = np.sin(np.arange(T, dtype="float32") / 5).reshape(1, T, 1), np.ones(1, "float32")
    model = LSTMRegressor(LONG_H, batch_size=1, random_state=0, n_jobs=1, bptt_checkpoint=checkpoint)
    return lambda: model.partial_fit(X, y)


def long_megabytes(checkpoint):
    return peak_beyond(long_fit(checkpoint))


def long_seconds(checkpoints, rounds=3):
    """In one process, in turn; medians."""
    fits = [long_fit(checkpoint) for checkpoint in checkpoints]
    for fit in fits:
        fit()
    times = [[seconds(fit) for fit in fits] for _ in range(rounds)]
    return [statistics.median(some) for some in zip(*times, strict=True)]


def line(what, unit, target, ours, **peers):
    """One line of the report."""
    print(f"{what}: {ours:.3g} {unit} (target: {target})", peers or "", flush=True)
    return {"what": what, "unit": unit, "target": target, "ours": ours, "peers": peers}


def starts():
    """Imports and first fits."""
    imports = statistics.median(alone(import_seconds) for _ in range(7))
    yield line("`import fastlstm` beyond `import sklearn.base`", "s", "<= 0.2", imports)
    model = alone(fitted_model)
    for backend, target in (("cython", "<= 0.1"), ("numba", "-")):
        if alone(is_available, backend):
            times = statistics.median(alone(first_prediction_seconds, model, backend) for _ in range(7))
            what = f"import and first prediction beyond `import numpy, sklearn.base`, {backend} backend"
            yield line(what, "s", target, times)
    cold, warm = [], []
    os.environ["FASTLSTM_BACKEND"] = "numba"
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["NUMBA_CACHE_DIR"] = folder
            cold.append(alone(first_fit_seconds))
            warm.append(alone(first_fit_seconds))
            del os.environ["NUMBA_CACHE_DIR"]
    del os.environ["FASTLSTM_BACKEND"]
    yield line("first `fit` in a process, numba backend, empty cache", "s", "<= 8", statistics.median(cold))
    yield line("first `fit` in a process, numba backend, warm cache", "s", "<= 0.8", statistics.median(warm))


def memory():
    """Peaks of memory, and what it costs to keep less. Kernels are compiled before: compilers need memory too."""
    alone(step_megabytes, SHAPES[0])
    for shape in SHAPES:
        peers = {"torch": alone(torch_step_megabytes, shape)} if find_spec("torch") else {}
        what = f"peak memory of a training step at {', '.join(map(str, shape))}"
        yield line(what, "MB", "<= torch", alone(step_megabytes, shape), **peers)
    checkpoints = [None, "auto", 1000]
    times = alone(long_seconds, checkpoints)
    for checkpoint, taken in zip(checkpoints, times, strict=True):
        what = f"a series of {LONG} steps, H={LONG_H}, bptt_checkpoint={checkpoint}"
        yield line(f"{what}: peak memory", "MB", "<= 300" if checkpoint else "-", alone(long_megabytes, checkpoint))
        if checkpoint:
            yield line(f"{what}: time", "x that of None", "<= 1.5", taken / times[0])


def main():
    lines = list(starts())
    if sys.platform == "linux":  # /proc
        lines += memory()
    if len(sys.argv) > 1:
        path = Path(sys.argv[1])
        path.write_text(json.dumps(json.loads(path.read_text()) | {"processes": lines}, indent=4))


if __name__ == "__main__":
    main()
