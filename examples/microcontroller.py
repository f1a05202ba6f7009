"""A vibration sensor's forecaster as C code for a microcontroller, with float and with int8 weights.

Run: python examples/microcontroller.py
An LSTM learns to forecast the next value of a noisy oscillation whose frequency differs from series to series. It is
exported, compiled by this machine's C compiler, and read step by step beside the estimator's stream. Needs gcc or cc.
"""

import ctypes
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from fastlstm import LSTMRegressor, to_c

CC = shutil.which("gcc") or shutil.which("cc")
UNITS = 32


def oscillations(n, T, rng):
    """Values (n, T, 1): sines of random frequency and phase with noise, around 20."""
    frequency, phase = rng.uniform(0.1, 0.6, (n, 1)), rng.uniform(0, 2 * np.pi, (n, 1))
    values = np.sin(frequency * np.arange(T) + phase) + rng.normal(0, 0.05, (n, T))
    return (20 + 2 * values).astype("float32")[..., None]


def train(X):
    """A model that forecasts the next value after every step."""
    model = LSTMRegressor(UNITS, return_sequences=True, max_iter=60, learning_rate="cosine", random_state=0)
    return model.fit(X[:, :-1], X[:, 1:, 0])


class Compiled:
    """Exported code as a shared library."""

    def __init__(self, model, folder, name, X, **options):
        source = folder / f"{name}.c"
        to_c(model, source, name=name, **options)
        self.header = source.with_suffix(".h").read_text()
        library = folder / f"{name}.so"
        subprocess.run([CC, "-std=c99", "-O3", "-shared", "-fPIC", "-o", library, source, "-lm"], check=True)
        functions = ctypes.CDLL(str(library))
        self._functions = [getattr(functions, f"{name}_{of}") for of in ("reset", "step", "predict")]
        self._state = ctypes.create_string_buffer(self.bytes("for each state"))

    def bytes(self, what):
        """A number of bytes from the header's comment."""
        return int(re.search(rf"([\d,]+) bytes {what}", " ".join(self.header.split()))[1].replace(",", ""))

    def steps(self, series):
        """Forecasts [T] after every step of a series [T, 1], which is read step by step."""
        reset, step, _ = self._functions
        reset(self._state)
        out = np.empty(len(series), "float32")
        for t in range(len(series)):
            step(self._state, pointer(series[t:]), pointer(out[t:]))
        return out

    def microseconds(self, series):
        """Time for each step of a whole series [T, 1]."""
        predict, out, times = self._functions[2], np.empty(len(series), "float32"), []
        for _ in range(5):
            start = time.perf_counter()
            predict(pointer(series), len(series), pointer(out))
            times.append(time.perf_counter() - start)
        return 1e6 * np.median(times) / len(series)


def pointer(array):
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_float))


def run():
    """Everything that `main` prints."""
    rng = np.random.default_rng(0)
    X, new = oscillations(200, 60, rng), oscillations(20, 60, rng)
    model = train(X)
    stream = model.stream(len(new))
    streamed = np.stack([stream.step(new[:, t].astype("float64")) for t in range(new.shape[1])], axis=1)
    errors = {"persistence": rmse(new[:, :-1, 0], new[:, 1:, 0]), "LSTM": rmse(streamed[:, :-1], new[:, 1:, 0])}
    one, times = model.stream(), []
    for value in np.tile(new[0], (5, 1)).astype("float64"):
        start = time.perf_counter()
        one.step(value[None])
        times.append(time.perf_counter() - start)
    results = {"RMSE": errors, "us per step of stream": 1e6 * np.median(times)}
    with tempfile.TemporaryDirectory() as folder:
        for name, options in (("float", {}), ("int8", {"quantize": "int8", "X_check": X})):
            compiled = Compiled(model, Path(folder), f"sensor_{name}", X, **options)
            forecasts = np.stack([compiled.steps(series) for series in new])
            results[name] = {
                "largest difference": float(np.abs(forecasts - streamed).max()),
                "RMSE": rmse(forecasts[:, :-1], new[:, 1:, 0]),
                "bytes of constants": compiled.bytes("of constants"),
                "bytes of state": compiled.bytes("for each state"),
                "us per step": compiled.microseconds(np.tile(new[0], (100, 1))),
            }
    return results


def rmse(forecasts, values):
    return float(np.sqrt(np.mean((forecasts - values) ** 2)))


def main():
    results = run()
    for name, error in results["RMSE"].items():
        print(f"RMSE of {name}: {error:.3f}")
    print(f"us per step of est.stream: {results['us per step of stream']:.1f}")
    for name in ("float", "int8"):
        print(f"C code with {name} weights")
        for what, value in results[name].items():
            print(f"  {what + ':':<20} {value:,}" if isinstance(value, int) else f"  {what + ':':<20} {value:.2g}")


if __name__ == "__main__":
    main()
