"""Layers of both precisions beside torch's: inference and training steps, on one thread and on two.

Run: python bench/precision.py [--threads 1 2] [--seconds S] [--json FILE], or `make precision`
Prints Markdown: what was to be reached and what was, and a line for every shape. FASTLSTM_ISA=avx2 selects another
level of the CPU.

A round times every side in turn, every other round in reverse order; the tables have medians of all rounds. Shapes that
are named in the targets come first, and those that there is no time for are left out.
"""

import argparse
import contextlib
import functools
import io
import json
import platform
import re
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import peers
import report
from ours import inference_by, normal, training_by
from shapes import of_precisions
from threadpoolctl import threadpool_limits
from timing import PAUSE, check_same, loop, seconds

import fastlstm
from fastlstm import threads as cpus
from fastlstm.kernels import OF_TRAINING
from fastlstm.layers import LSTM

SECONDS = 240  # that the shapes take together on as many threads
MIN_ROUNDS, MAX_ROUNDS = 3, 20
SLOW = 1.0  # seconds of a first call of torch in bfloat16 that is not repeated
WORKS = ("inference", "training")
#: torch's sides, by what `peers` calls them.
TORCH = {"float32": "torch float32", "bfloat16": "torch .bfloat16()", "autocast": "torch autocast"}
#: Relative to the largest number of our float32: torch's .bfloat16() also accumulates in bfloat16.
TOLERANCES = {"float32": 1e-3, "torch float32": 1e-3}
BFLOAT16_TOLERANCE = 0.2


def facts():
    """What `show_versions` prints, and torch's version and the CPU, by name."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        fastlstm.show_versions()
    found = dict(line.split(": ", 1) for line in printed.getvalue().splitlines())
    found["torch"] = peers.torch.__version__ if peers.torch else "not installed"
    cpuinfo = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return found | {"cpu": named[1] if named else platform.processor() or platform.machine()}


@functools.lru_cache(len(OF_TRAINING))
def layer_of(C, H, threads, precision):
    """All layers of a size have the same weights; drawing them takes a second at H=1024."""
    return LSTM(C, H, n_jobs=threads, random_state=0, precision=precision)


def make_sides(work, shape, threads):
    """Functions to time, by name: of both our precisions, then torch's if it is installed."""
    N, T, C, H = shape
    x, d_output = normal(N, T, C), normal(N, T, H)
    layers = {name: layer_of(C, H, threads, name) for name in OF_TRAINING}
    weights = layers["float32"].state_dict()
    if work == "inference":
        ours = {name: inference_by(layer, x) for name, layer in layers.items()}
        theirs = {TORCH[name]: peers.torch_inference(weights, x, name) for name in TORCH}
    else:
        ours = {name: training_by(layer, x, d_output) for name, layer in layers.items()}
        theirs = {TORCH[name]: peers.torch_training(weights, x, d_output, precision=name) for name in TORCH}
    return ours | {name: side for name, side in theirs.items() if side}


def first_calls(sides):
    """The seconds of a first call of each side, whose result is checked; nan for a side that torch cannot run here."""
    taken, reference = {}, None
    for name, side in sides.items():
        start = time.perf_counter()
        try:
            result = side()
        except RuntimeError:
            if name not in TORCH.values():
                raise
            taken[name] = float("nan")
            continue
        taken[name] = time.perf_counter() - start
        if name in TORCH.values():
            result = result.float()
        reference = result if reference is None else reference
        if np.abs(reference).max() > 0:  # the gradient of recurrent weights is 0 if T is 1
            check_same(reference, result, name, TOLERANCES.get(name, BFLOAT16_TOLERANCE))
    return taken


def measure(work, shape, threads, budget):
    """A row as `report` takes it, our bfloat16 being timed beside all else, in about `budget` seconds."""
    start = time.perf_counter()
    sides = make_sides(work, shape, threads)
    first = first_calls(sides)
    samples = {name: [taken] for name, taken in first.items()}
    # without the instruction, torch's bfloat16 takes up to 20 s a call: the first one must do
    able = [name for name in sides if name in (*OF_TRAINING, TORCH["float32"]) or first[name] <= SLOW]
    times, round_seconds = {}, 0.0
    for name in able:
        times[name], taken = loop(sides[name])
        round_seconds += taken
        samples[name] = []

    pause = PAUSE if threads > 1 and len(sides) > len(OF_TRAINING) else 0
    left = budget - (time.perf_counter() - start)
    rounds = int(min(MAX_ROUNDS, max(MIN_ROUNDS, left / (round_seconds + len(able) * pause))))
    for done in range(rounds):
        for name in able if done % 2 else able[::-1]:
            time.sleep(pause)
            samples[name].append(seconds(sides[name], times[name]))
    ms = {name: 1e3 * statistics.median(some) for name, some in samples.items()}
    of_bfloat16 = ms.pop("bfloat16")
    return {"work": work, "shape": shape, "threads": threads, "rounds": rounds, "ms": of_bfloat16, "peers_ms": ms}


def measure_all(threads, shapes, budget):
    """Rows, one after another, until `budget` seconds are over."""
    if peers.torch:
        peers.torch.set_num_threads(threads)
    for work in WORKS:  # the first calls in a process set torch up
        first_calls(make_sides(work, (2, 2, 2, 8), threads))
    cases = [(shape, work) for shape in shapes for work in WORKS]
    deadline = time.perf_counter() + budget
    for done, (shape, work) in enumerate(cases):
        left = deadline - time.perf_counter()
        if left <= 0:
            print(f"no time for {len(cases) - done} of {len(cases)} cases on {threads} threads", file=sys.stderr)
            return
        yield measure(work, shape, threads, left / (len(cases) - done))


def parse(arguments=None):
    limit = cpus.cpu_limit()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[n for n in (1, 2) if n <= limit])
    parser.add_argument("--seconds", type=float, help=f"of all together; by default {SECONDS} per number of threads")
    parser.add_argument("--json", type=Path, metavar="FILE", help="for `bench/report.py FILE`, which draws it, too")
    options = parser.parse_args(arguments)
    if not all(1 <= n <= limit for n in options.threads):
        parser.error(f"--threads {options.threads}: expected numbers from 1 to {limit}, the CPUs available.")
    return options


def main():
    options = parse()
    budget = options.seconds / len(options.threads) if options.seconds else SECONDS
    results = {"facts": facts(), "rows": []}
    for threads in options.threads:
        with threadpool_limits(threads, user_api="blas"):  # NumPy's, which draws weights
            for row in measure_all(threads, of_precisions(), budget):
                results["rows"].append(row)
                ratio = report.times(report.ratio(row, "float32"))
                print(row["work"], report.in_words(row["shape"]), f"threads={threads}:", ratio, file=sys.stderr)
                if options.json:  # after every row, so that an interrupted run has results
                    options.json.parent.mkdir(exist_ok=True)
                    options.json.write_text(json.dumps(results, indent=1))
    print(report.of_precisions(results))


if __name__ == "__main__":
    main()
