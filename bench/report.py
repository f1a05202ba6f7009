"""Results files of `make bench` and `make precision` as tables and pictures.

Run: python bench/report.py [RESULTS.json ...]
Prints Markdown: what was to be reached and what was, and a line for every shape. Draws the pictures beside this file.
"""

import json
import math
import statistics
import sys
from pathlib import Path

from shapes import is_large_batch, streams_weights

BENCHMARKS = Path(__file__).parent.parent / ".benchmarks"
RESULTS, PRECISION = BENCHMARKS / "latest.json", BENCHMARKS / "precision.json"

#: What we want to reach: for a work and a peer, how many times as fast we are, as the geometric mean over all shapes on
#: 1 and on 2 threads, and for the worst shape.
TARGETS = {
    ("inference", "torch"): (1.6, 1.6, 1.05),
    ("inference", "onnxruntime"): (1.3, 1.3, 1.05),
    ("inference, few sequences", "torch"): (1.6, 1.6, 1.05),
    ("inference, few sequences", "onnxruntime"): (1.1, 1.1, 0.95),
    ("training", "torch"): (2.2, 2.0, 1.15),
    ("training, float64", "torch"): (4, 4, 2),
    ("training, unequal lengths", "torch, packed"): (8, 8, 3),
    ("training, unequal lengths", "torch, padded"): (2.5, 2.5, 1.5),
    ("training, bidirectional", "torch"): (2.5, 2.5, 1.5),
    ("training, GRU", "torch"): (4, 4, 1.8),
    ("training, RNN", "torch"): (1.5, 1.5, 1.2),
    ("epoch", "torch"): (2.5, 2.5, 1.3),
    ("epoch", "skorch"): (3, 3, 1.5),
    ("epoch, unequal lengths", "equal lengths, per step"): (0.8, 0.8, None),
    ("epoch, symbols", "torch"): (1.5, 1.5, None),
    ("epoch, dropout", "without"): (0.85, 0.85, 0.85),
    ("stream", "torch LSTM"): (20, 20, None),
    ("stream", "torch LSTMCell"): (6, 6, None),
    ("inference of backends", "numba"): (0.97, 0.97, 0.97),
    ("training of backends", "numba"): (0.97, 0.97, 0.97),
    ("epoch of backends", "numba"): (0.97, 0.97, 0.97),
    ("stream of backends", "numba"): (0.97, 0.97, 0.97),
}
#: The columns of the table with a line for every shape: work, heading, peers.
COLUMNS = {
    "inference": ("inference", ("torch", "onnxruntime")),
    "training": ("training step", ("torch",)),
    "epoch": ("epoch of `fit`", ("torch", "skorch")),
}

#: What we want to reach with precision="bfloat16" on CPUs with an instruction for it: where, works, how many times as
#: fast as what.
PRECISION_TARGETS = [
    ("N >= 64, H >= 256", is_large_batch, ("inference",), "float32", 1.7),
    ("N >= 64, H >= 256", is_large_batch, ("training",), "float32", 1.6),
    ("N <= 8, H >= 512", streams_weights, ("inference", "training"), "float32", 1.7),
    ("N >= 64, H >= 256", is_large_batch, ("inference", "training"), "torch float32", 2),
    ("any shape", lambda N, T, C, H: True, ("inference", "training"), "float32", 0.95),
]


def ratio(row, peer):
    """How many times as long the peer took, or None where it was not there."""
    ms = row["peers_ms"].get(peer)
    return ms / row["ms"] if ms else None


def select(rows, work, threads=None, peer=None, where=lambda N, T, C, H: True):
    """The rows of a work: those on so many threads, beside a peer, of such shapes."""
    return [
        row
        for row in rows
        if row["work"] == work
        and threads in (None, row["threads"])
        and (peer is None or ratio(row, peer))
        and where(*row["shape"])
    ]


def of_peak(rows, row):
    """The fraction of the peak that a row of these reaches.

    The peak is the largest that was measured for its type on as many threads: neighbours of a virtual machine may take
    a quarter of it while one row is timed.
    """

    def kind(row):
        return row["threads"], "float64" in row["work"]

    return row["gflops"] / max(other["peak"] for other in rows if kind(other) == kind(row))


def times(value):
    return "-" if value is None or math.isnan(value) else f"{value:.2f} x"


def in_words(shape):
    return ", ".join(map(str, shape))


def table(heading, lines):
    """Markdown."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (heading, ["---"] * len(heading), *lines))


def text_table(rows):
    """All rows, for a screen."""
    lines = [f"{'work':<27}{'N, T, C, H':<19}threads{'ms':>10} GFLOP/s of peak  times as fast as"]
    for row in rows:
        speed = f"{row['ms']:>10.4g}{row['gflops']:>8.1f}{of_peak(rows, row):>8.0%}"
        beside = "; ".join(f"{peer} {times(ratio(row, peer))}" for peer in row["peers_ms"])
        lines.append(f"{row['work']:<27}{in_words(row['shape']):<19}{row['threads']:>7}{speed}  {beside}")
    return "\n".join(lines)


def against_peers(rows):
    """Means and worst shapes, beside what we want to reach."""
    lines = []
    for (work, peer), targets in TARGETS.items():
        for threads in (1, 2) if select(rows, work) else ():
            some = select(rows, work, threads, peer)
            if not some:
                lines.append([work, peer, str(threads), "-", "-", "-"])
                continue
            worst = min(some, key=lambda row: ratio(row, peer))
            mean, floor = targets[threads - 1], targets[2]
            reached = times(statistics.geometric_mean(ratio(row, peer) for row in some))
            at_worst = f"{times(ratio(worst, peer))} at {in_words(worst['shape'])}" if floor else "-"
            target = f">= {mean} x, >= {floor} x" if floor else f">= {mean} x"
            lines.append([work, peer, str(threads), reached, at_worst, target])
    return table(["work", "against", "threads", "geometric mean", "worst shape (N, T, C, H)", "target"], lines)


def slope(rows, axis):
    """The exponent of the axis in the time: the slope of the straight line through all points, both logarithmic."""
    points = [(math.log(row["shape"]["NTCH".index(axis)]), math.log(row["ms"])) for row in rows]
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def further(rows, processes):
    """What is not a comparison with a peer: the worst of each kind, beside what we want to reach."""
    lines = []

    def worst_of(what, some, figure, target, form=times):
        if some:
            row = min(some, key=figure)
            lines.append([what, f"{form(figure(row))} at {in_words(row['shape'])}", target])

    def against_one_thread(row):
        return ratio(row, "1 thread")

    for threads in (1, 2):
        some = select(rows, "training", threads, where=lambda N, T, C, H: N >= 64 and H >= 128)
        what = f"training at N >= 64, H >= 128, of the FMA peak, threads={threads}"
        worst_of(what, some, lambda row: of_peak(rows, row), ">= 85 %", "{:.0%}".format)
    for work in dict.fromkeys(work for work, _ in TARGETS):
        some = select(rows, work, 2, "1 thread")
        worst_of(f"{work}: 2 threads against 1", some, against_one_thread, ">= 1 x")
        some = select(some, work, where=lambda N, T, C, H: N >= 64 and H >= 64)
        worst_of(f"{work} at N >= 64, H >= 64: 2 threads against 1", some, against_one_thread, ">= 1.8 x")
    what = "part of `fit` beyond its kernels, threads=1"
    beyond = select(rows, "beyond kernels")
    worst_of(what, beyond, lambda row: 1 - ratio(row, "kernels alone"), "<= 15 %", "{:.0%}".format)
    for estimator in ("LSTMRegressor", "LSTMClassifier"):
        what = f"a step of the stream of an {estimator}, microseconds"
        worst_of(what, select(rows, f"stream, {estimator}"), lambda row: 1e3 * row["ms"], "< 5", "{:.1f}".format)
    for work in ("inference", "training"):
        for axis in "TN":
            some = select(rows, f"{work}, growing {axis}")
            if len(some) > 1:
                lines.append([f"{work}: s in time ~ {axis}^s", f"{slope(some, axis):.2f}", "1"])
    for line in processes:
        sides = {"": line["ours"], **line["peers"]}
        measured = ", ".join(f"{name} {figure:.3g} {line['unit']}".strip() for name, figure in sides.items())
        lines.append([line["what"], measured, line["target"]])
    return table(["what", "measured", "target"], lines)


def per_shape(rows, threads):
    """A line for every shape: our milliseconds, and how many times as long each peer takes."""
    found = {(work, tuple(row["shape"])): row for work in COLUMNS for row in select(rows, work, threads)}
    heading = ["N, T, C, H"]
    heading += [f"{name}: ms, x {', x '.join(beside)}" for name, beside in COLUMNS.values()]
    lines = []
    for shape in dict.fromkeys(shape for _, shape in found):
        line = [in_words(shape)]
        for work, (_, beside) in COLUMNS.items():
            row = found.get((work, shape))
            ms = row and (f"{row['ms']:.0f}" if row["ms"] >= 100 else f"{row['ms']:.3g}")
            line.append(", ".join([ms, *(times(ratio(row, peer)) for peer in beside)]) if row else "-")
        lines.append(line)
    return table(heading, lines)


def precision_targets(rows):
    """The worst shapes of bfloat16, beside what we want to reach."""
    lines = []
    for threads in sorted({row["threads"] for row in rows}):
        for where, is_there, works, peer, target in PRECISION_TARGETS:
            for work in works:
                some = select(rows, work, threads, peer, is_there)
                if some:
                    worst = min(some, key=lambda row: ratio(row, peer))
                    reached = f"{times(ratio(worst, peer))} at {in_words(worst['shape'])}"
                    lines.append([f"{work}, {where}", peer, str(threads), reached, f">= {target} x"])
    return table(["bfloat16", "against", "threads", "worst shape (N, T, C, H)", "target"], lines)


def precision_lines(rows, work, threads):
    """A line for every shape: our milliseconds, and how many times as long as our bfloat16 all else takes."""
    some = select(rows, work, threads)
    others = list(dict.fromkeys(name for row in some for name in row["peers_ms"]))
    lines = [
        [
            in_words(row["shape"]),
            *(f"{ms:.3g}" if ms < 100 else f"{ms:.0f}" for ms in (row["peers_ms"]["float32"], row["ms"])),
            *(times(ratio(row, name)) for name in others),
        ]
        for row in some
    ]
    heading = ["N, T, C, H", "float32, ms", "bfloat16, ms", *(f"{name} / bfloat16" for name in others)]
    return table(heading, lines)


def of_precisions(results):
    """Markdown of a file that `precision.py` writes."""
    rows, facts = results["rows"], results["facts"]
    made_by = ", ".join(f"{name} {facts[name]}" for name in ("fastlstm", "numpy", "torch"))
    parts = [f"{of_machine(facts)}, {facts['threads']} CPUs, {facts['backend']} backend; {made_by}"]
    parts.append(precision_targets(rows))
    for threads in sorted({row["threads"] for row in rows}):
        for work in dict.fromkeys(row["work"] for row in rows):
            title = f"{work.capitalize()}, {threads} thread{'s' * (threads > 1)}:"
            parts += [title, precision_lines(rows, work, threads)]
    return "\n\n".join(parts)


def of_machine(facts):
    """The CPU, its level, and whether it multiplies bfloat16 numbers."""
    return f"{facts['cpu']}, {facts.get('vectors', 'NumPy')}, bfloat16: {facts['bfloat16']}"


def of_benchmarks(results):
    """Markdown of a file that `make bench` writes."""
    rows, machine = [bench["extra_info"] for bench in results["benchmarks"]], results["machine_info"]
    versions = ", ".join(f"{name} {version or '-'}" for name, version in machine["versions"].items())
    made_by = (
        f"{cpu_of(machine)}, {machine['cpus']} CPUs, {machine['backend']} backend, {machine['vectors']}; {versions}"
    )
    parts = [made_by, against_peers(rows), further(rows, results.get("processes", []))]
    for threads in sorted({row["threads"] for row in rows}):
        parts += [f"{threads} thread{'s' * (threads > 1)}:", per_shape(rows, threads)]
    return "\n\n".join(parts)


def cpu_of(machine):
    return machine["cpu"].get("brand_raw", "unknown CPU")


def main():
    import pictures  # late, so that the benchmark itself does without matplotlib

    paths = [Path(name) for name in sys.argv[1:]] or [path for path in (RESULTS, PRECISION) if path.exists()]
    if not paths:
        sys.exit(f"Neither {RESULTS} nor {PRECISION} exists: run `make bench` or `make precision` first.")
    for path in paths:
        results = json.loads(path.read_text())
        if "benchmarks" in results:
            print(of_benchmarks(results), end="\n\n")
            rows = [bench["extra_info"] for bench in results["benchmarks"]]
            drawn = pictures.draw_all(rows, cpu_of(results["machine_info"]))
        else:
            print(of_precisions(results), end="\n\n")
            machine = of_machine(results["facts"])
            drawn = [pictures.draw_precision(results["rows"], machine, path.with_suffix(".png").name)]
        for picture in drawn:
            print(f"wrote {picture}", file=sys.stderr)


if __name__ == "__main__":
    main()
