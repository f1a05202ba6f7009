"""Memory and time of fits to a file, compared with the same fits in memory.

Run: python bench/out_of_core.py [GB [CASE ...]]   (0.4 GB by default; "missing='mask'" takes 9 times as much in memory)

Each fit runs in a process of its own; the file is in the page cache. Memory is the peak of anonymous pages (RssAnon)
during the fit, less those before it, so that neither libraries nor mapped pages of the file count.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

T, C, HIDDEN, EPOCHS = 100, 16, 32, 3
CASES = {
    "standardize=True": {"standardize": True},
    "standardize=False": {"standardize": False},
    "missing='mask'": {"standardize": True, "missing": "mask"},
}


def make(folder, size):
    """A file of about `size` GB of series, and their targets."""
    n, rng = int(size * 1e9) // (4 * T * C), np.random.default_rng(0)
    X = np.lib.format.open_memmap(folder / "X.npy", "w+", "f4", (n, T, C))
    for first in range(0, n, 10_000):
        X[first : first + 10_000] = rng.standard_normal(X[first : first + 10_000].shape, "f4")
    np.save(folder / "y.npy", X[:, -1].mean(axis=1))
    X.flush()


def anonymous():
    """Anonymous memory of this process, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1000


def measure(folder, options, stored):
    """Seconds, MB and a sum of the weights of a fit."""
    from fastlstm import LSTMRegressor

    X, y = np.load(folder / "X.npy", mmap_mode="r" if stored else None), np.load(folder / "y.npy")
    if stored:
        for first in range(0, len(X), 10_000):
            X[first : first + 10_000].sum()  # reads the file into the page cache
    model = LSTMRegressor(HIDDEN, max_iter=EPOCHS, batch_size=256, learning_rate="cosine", random_state=0, **options)
    model.fit(X[:512], y[:512])  # compiles and starts what is needed
    before, peak, done = anonymous(), [0.0], threading.Event()

    def watch():
        while not done.wait(0.01):
            peak[0] = max(peak[0], anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    model.fit(X, y)
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    return seconds, peak[0] - before, float(sum(np.abs(value).sum(dtype=float) for value in model.weights_.values()))


def main(size, names):
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), size)
        print(f"{size:g} GB of series of {T} steps, {C} channels, float32; LSTMRegressor({HIDDEN}), {EPOCHS} epochs")
        print(f"{'':20}{'in memory':>22}{'from a file':>22}{'time ratio':>12}{'same weights':>14}")
        for name in names:
            results = []
            for stored in (0, 1):
                call = [sys.executable, __file__, "measure", folder, name, str(stored)]
                results.append(json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout))
            (seconds, memory, weights), (of_file, memory_of_file, same) = results
            print(
                f"{name:20}{seconds:10.1f} s {memory:7.0f} MB{of_file:10.1f} s {memory_of_file:7.0f} MB"
                f"{of_file / seconds:12.2f}{'yes' if weights == same else 'NO':>14}",
                flush=True,
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        print(json.dumps(measure(Path(sys.argv[2]), CASES[sys.argv[3]], bool(int(sys.argv[4])))))
    else:
        main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.4, sys.argv[2:] or CASES)
