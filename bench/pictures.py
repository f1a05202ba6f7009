"""The pictures of `report.py`."""

from pathlib import Path

import matplotlib
import numpy as np
from report import of_peak, ratio, select, slope
from shapes import OVER_H

matplotlib.use("Agg")
from matplotlib import pyplot as plt

HERE = Path(__file__).parent
WORKS = ("inference", "training")


def panels(title, rows=1, columns=2, **options):
    """Axes side by side."""
    figure, axes = plt.subplots(rows, columns, layout="constrained", **options)
    figure.suptitle(title, fontsize=10)
    for one in axes.flat:
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save(figure, name):
    path = HERE / name
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path


def lines(axes, rows, axis, label, **style):
    """Time against one axis, ours and torch's."""
    rows = sorted(rows, key=lambda row: row["shape"]["NTCH".index(axis)])
    sizes = [row["shape"]["NTCH".index(axis)] for row in rows]
    (line,) = axes.plot(sizes, [row["ms"] for row in rows], "o-", markersize=4, label=label, **style)
    if all(row["peers_ms"].get("torch") for row in rows):
        theirs = [row["peers_ms"]["torch"] for row in rows]
        axes.plot(sizes, theirs, "x--", markersize=4, linewidth=1, color=line.get_color())
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel(axis)
    axes.set_xticks(sizes, sizes)
    axes.minorticks_off()
    axes.legend(frameon=False)


def draw_speed(rows, machine):
    figure, axes = panels(
        f"PyTorch's time / ours; 1 thread, float32, T=50, C=16; {machine}", figsize=(9, 4.2), sharey=True
    )
    for one, work in zip(axes, WORKS, strict=True):
        some = [row for row in select(rows, f"{work}, growing H") if ratio(row, "torch")]
        for N in sorted({row["shape"][0] for row in some}):
            of_N = sorted((row for row in some if row["shape"][0] == N), key=lambda row: row["shape"][3])
            sizes = [row["shape"][3] for row in of_N]
            one.plot(sizes, [ratio(row, "torch") for row in of_N], "o-", markersize=4, label=f"N={N}")
            one.set_xscale("log", base=2)
            one.set_xticks(sizes, sizes)
        one.axhline(1, color="black", linewidth=1)
        one.set_yscale("log", base=2)
        one.set_yticks([0.5, 1, 2, 4, 8], ["0.5 x", "1 x", "2 x", "4 x", "8 x"])
        one.minorticks_off()
        one.set_title(work, fontsize=10)
        one.set_xlabel("H")
        one.legend(frameon=False)
    axes[0].set_ylabel("speedup")
    return save(figure, "speed.png")


def draw_linear(rows, machine):
    title = f"1 thread, float32, C=8, H=64; dashed: torch; {machine}"
    figure, axes = panels(title, figsize=(9, 4.2), sharey=True)
    for one, axis in zip(axes, "TN", strict=True):
        for work in WORKS:
            some = select(rows, f"{work}, growing {axis}")
            if len(some) > 1:
                lines(one, some, axis, f"{work}, slope {slope(some, axis):.2f}")
    axes[0].set_title("N=32", fontsize=10)
    axes[1].set_title("T=50", fontsize=10)
    axes[0].set_ylabel("milliseconds")
    return save(figure, "linear.png")


def draw_peak(rows, machine):
    figure, axes = panels(f"1 thread, float32; {machine}", figsize=(9, 5.2), sharex=True, sharey=True)
    for one, work in zip(axes, WORKS, strict=True):
        some = select(rows, work, threads=1)
        places = range(len(some))
        fractions = [of_peak(rows, row) for row in some]
        one.barh([place - 0.2 for place in places], fractions, 0.4, label="fastlstm")
        theirs = [row["ms"] / (row["peers_ms"].get("torch") or float("inf")) for row in some]
        fractions = [ours * times for ours, times in zip(fractions, theirs, strict=True)]
        one.barh([place + 0.2 for place in places], fractions, 0.4, label="torch.nn.LSTM")
        one.set_yticks(places, [", ".join(map(str, row["shape"])) for row in some], fontsize=8)
        one.set_title(work, fontsize=10)
        one.set_xlabel("fraction of the FMA peak")
        one.set_xlim(0, 1)
    axes[0].invert_yaxis()
    axes[0].set_ylabel("N, T, C, H")
    axes[1].legend(frameon=False)
    return save(figure, "peak.png")


def draw_precision(rows, machine, name):
    """Ratios of times to those of our bfloat16: a row of axes for each work, a column for each N."""
    threads = min(row["threads"] for row in rows)
    title = f"time / that of fastlstm in bfloat16; {threads} thread{'s' * (threads > 1)}; {machine}"
    batches = sorted({N for N, *_ in OVER_H})
    figure, axes = panels(title, len(WORKS), len(batches), figsize=(10, 6), sharex=True, sharey=True)
    for of_work, work in zip(axes, WORKS, strict=True):
        for one, N in zip(of_work, batches, strict=True):
            some = [
                row for row in select(rows, work, threads) if tuple(row["shape"]) in OVER_H and row["shape"][0] == N
            ]
            some.sort(key=lambda row: row["shape"][3])
            for other in dict.fromkeys(other for row in some for other in row["peers_ms"]):
                sizes, ratios = [row["shape"][3] for row in some], [ratio(row, other) for row in some]
                if np.isnan(np.array(ratios, float)).all():  # torch cannot do it here
                    continue
                label = "fastlstm float32" if other == "float32" else other
                one.plot(sizes, ratios, "o-" if other == "float32" else "x--", markersize=4, label=label)
            one.axhline(1, color="black", linewidth=1)
            one.set_title(f"{work}, N={N}", fontsize=10)
    sizes, speeds = sorted({shape[3] for shape in OVER_H}), (0.5, 1, 2, 4, 8, 16, 32)
    one.set_xscale("log", base=2)
    one.set_yscale("log", base=2)
    one.set_xticks(sizes, sizes)
    one.set_yticks(speeds, [f"{speed} x" for speed in speeds])
    for one in axes[-1]:
        one.set_xlabel("H")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), frameon=False, ncols=4, loc="outside lower center")
    return save(figure, name)


def draw_all(rows, machine):
    return [draw(rows, machine) for draw in (draw_speed, draw_peak, draw_linear)]
