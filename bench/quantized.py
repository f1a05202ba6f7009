"""Streams and predictions of a single LSTM layer by the precision of its products: `python bench/quantized.py`.

Every round times each precision in a loop, one after another; the table has the medians of all rounds, in microseconds
on one thread, and ratios. "stream" is one step of N streams, "layer" one of the T steps of a call on N series, whose
weights are packed already, and "pack" this packing, which `predict` of an estimator does in every call.

It needs NumPy and the built extension modules, nothing else: scikit-learn may be missing.
"""

import argparse
import statistics
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
from timing import loop

HERE = Path(__file__).parents[1]
PRECISIONS = ("float32", "bfloat16", "int8")
T, ROUNDS = 24, 15  # steps of a call, and rounds


def without_estimators():
    """Let modules of the package be imported without its `__init__`, which needs scikit-learn."""
    package = ModuleType("fastlstm")
    package.__path__ = [str(HERE / "fastlstm")]
    sys.modules["fastlstm"] = package


def microseconds(function):
    """Microseconds of one call, in a loop."""
    calls, taken = loop(function)
    return 1e6 * taken / calls


def medians(functions):
    """The median time of each of some functions, called in turn."""
    for function in functions:
        function()
    rounds = [[microseconds(function) for function in functions] for _ in range(ROUNDS)]
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def calls_of(layer, n):
    """What is timed of a layer on n series, by name, and how many steps that is."""
    from fastlstm.kernels.parts import Part
    from fastlstm.stacks import PackedStack

    x = np.random.default_rng(0).standard_normal((n, T, layer.input_size)).astype("float32")
    state, step, weights = layer.initial_state(n), x[:, 0].copy(), list(layer.state_dict().values())
    packed = PackedStack(layer._stack, layer._kernels, layer.dtype)
    return {
        "stream": (lambda: layer.step(step, state), 1),
        "layer": (lambda: layer(x), T),
        "pack": (lambda: packed.fill(Part(), weights), 1),
    }


def main():
    arguments = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    arguments.add_argument("--inputs", type=int, default=64)
    arguments.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    arguments.add_argument("--series", type=int, nargs="+", default=[1, 2, 4, 8])
    given = arguments.parse_args()
    if find_spec("sklearn") is None:
        without_estimators()
    sys.path.insert(0, str(HERE))
    from fastlstm import kernels, layers

    package = kernels.load("cython")
    print(f"{package.isa()}, for int8 {package.int8.isa()}; {given.inputs} inputs")
    print(f"{'':22}" + "".join(f"{precision:>11}" for precision in PRECISIONS) + "  bfloat16/int8  float32/int8")
    for H in given.sizes:
        made = [
            layers.LSTM(given.inputs, H, precision=precision, n_jobs=1, random_state=0, backend="cython")
            for precision in PRECISIONS
        ]
        for n in given.series:
            calls = [calls_of(layer, n) for layer in made]
            for name, (_, steps) in calls[0].items():
                if name == "pack" and n != given.series[0]:
                    continue  # does not depend on the series
                times = [taken / steps for taken in medians([of_layer[name][0] for of_layer in calls])]
                columns = "".join(f"{taken:11.1f}" for taken in times)
                ratios = f"{times[1] / times[2]:15.2f}{times[0] / times[2]:14.2f}"
                print(f"H={H:<5} N={n:<3} {name:8}" + columns + ratios, flush=True)


if __name__ == "__main__":
    main()
