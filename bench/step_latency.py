"""How long a single `step` of stacked layers takes, in every precision: `make latency` prints the table.

Run: python bench/step_latency.py [--steps 20000]

The models are those of Myrtle.ai's benchmark of its FPGA accelerator, https://vollo.myrtle.ai/latest/benchmark-lstm.html:
as many inputs as hidden units, and one step of one sequence a call. Blocks of calls, each timed alone, alternate
between the precisions, and between a process pinned to one CPU and one that is not.
"""

import argparse
import contextlib
import os
from time import perf_counter_ns

import numpy as np
from ours import normal
from precision import facts
from report import of_machine, table, times

from fastlstm.kernels import PRECISIONS
from fastlstm.layers import LSTM

#: Layers and hidden units: mean microseconds on the FPGA, and 99th percentile.
MODELS = {(2, 128): (1.9, 2.0), (3, 256): (3.0, 3.1), (3, 480): (4.2, 4.4)}
SOURCES = """\
FPGA: Vollo on a BittWare IA-840F, measured by its maker (https://vollo.myrtle.ai/latest/benchmark-lstm.html).
GPU: 4.6 microseconds, p99, for LSTM_A, the smallest model of STAC-ML Markets (Inference), on an NVIDIA GH200
(https://developer.nvidia.com/blog/achieving-single-digit-microsecond-latency-inference-for-capital-markets)."""
BLOCK, WARM_UP = 1000, 200  # calls that are timed in a row, and those before them that are not
PLACES = ("unpinned", "pinned")


@contextlib.contextmanager
def on_cpus(place):
    """Pin the process to one of its CPUs, the last, as the first ones serve interrupts; or leave it as it is."""
    if place == "unpinned":
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def block(layer, x, state, calls):
    """Nanoseconds of each call."""
    taken = np.empty(calls, np.int64)
    for n in range(calls):
        start = perf_counter_ns()
        layer.step(x, state)
        taken[n] = perf_counter_ns() - start
    return taken


def measure(L, H, steps, places):
    """p50 and p99 in microseconds of `steps` calls, by precision and place."""
    layers = {name: LSTM(H, H, L, random_state=0, precision=name) for name in PRECISIONS}
    states, x = {name: layer.initial_state() for name, layer in layers.items()}, normal(1, H)
    taken = {(name, place): [] for name in layers for place in places}
    for _ in range(-(-steps // BLOCK)):
        for (name, place), some in taken.items():
            with on_cpus(place):
                block(layers[name], x, states[name], WARM_UP)
                some.append(block(layers[name], x, states[name], BLOCK))
    return {key: np.percentile(np.concatenate(some), [50, 99]) / 1e3 for key, some in taken.items()}


def lines_of(L, H, found, places):
    """A line of the table for each precision."""
    for name in PRECISIONS:
        line = [f"{L} x {H}", name]
        for place in places:
            p50, p99 = found[name, place]
            line += [f"{p50:.1f}", f"{p99:.1f}", times(found["float32", place][0] / p50)]
        mean, p99 = MODELS[L, H]
        yield [*line, f"{mean} ({p99})"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=20_000, help="calls of each model, precision and place")
    steps = parser.parse_args().steps
    places = PLACES if hasattr(os, "sched_setaffinity") else PLACES[:1]
    lines = [line for L, H in MODELS for line in lines_of(L, H, measure(L, H, steps, places), places)]
    columns = [f"{place}: {what}" for place in places for what in ("p50", "p99", "float32's p50 / p50")]
    print(f"One step of one stream in microseconds; {of_machine(facts())}\n")
    print(table(["layers x units", "precision", *columns, "FPGA: mean (p99)"], lines))
    print(f"\n{SOURCES}")


if __name__ == "__main__":
    main()
