"""A results file of `make bench` as tables and a picture.

Run: python bench/report.py [RESULTS.json]   (needs matplotlib: the extra `plot`)
Prints the README's table in Markdown and writes bench/speed.png.
"""

import json
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE.parent / ".benchmarks" / "latest.json"
WORKS = {
    "inference": "inference",
    "training": "training step (forward and backward)",
    "epoch": "epoch of `fit` (Adam, clipping)",
}


def ratio(row):
    """How many times as long PyTorch took, or None."""
    return row["torch_ms"] / row["ms"] if row["torch_ms"] else None


def milliseconds(row):
    return f"{row['ms']:.0f} ms" if row["ms"] >= 100 else f"{row['ms']:.3g} ms"


def by_work(rows):
    return {work: [row for row in rows if row["work"] == work] for work in WORKS}


def text_table(rows):
    """All rows, for a screen."""
    lines = [f"{'work':<11}{'N, T, C, H':<20}{'ms':>10}{'GFLOP/s':>9}{'of peak':>9}{'torch ms':>10}{'x torch':>9}"]
    for row in rows:
        shape = ", ".join(map(str, row["shape"]))
        peer = f"{row['torch_ms']:10.3f}{ratio(row):9.2f}" if row["torch_ms"] else f"{'-':>10}{'-':>9}"
        speed = f"{row['ms']:10.3f}{row['gflops']:9.1f}{row['gflops'] / row['peak']:9.0%}"
        lines.append(f"{row['work']:<11}{shape:<20}{speed}{peer}")
    for work, some in by_work(rows).items():
        ratios = [ratio(row) for row in some if row["torch_ms"]]
        if ratios:
            lines.append(
                f"{work}: geometric mean {statistics.geometric_mean(ratios):.2f} x torch, worst {min(ratios):.2f} x"
            )
    return "\n".join(lines)


def markdown_table(rows):
    """One line a shape: our milliseconds and how many times as long PyTorch takes."""
    lines = ["| N, T, C, H | " + " | ".join(WORKS.values()) + " |", "|---|" + "---|" * len(WORKS)]
    shapes = dict.fromkeys(tuple(row["shape"]) for row in rows)
    cell = {(tuple(row["shape"]), row["work"]): f"{milliseconds(row)}, {ratio(row):.2f} x" for row in rows}
    for shape in shapes:
        lines.append(f"| {', '.join(map(str, shape))} | " + " | ".join(cell[shape, work] for work in WORKS) + " |")
    means = [statistics.geometric_mean([ratio(row) for row in some]) for some in by_work(rows).values()]
    lines.append("| geometric mean | " + " | ".join(f"{mean:.2f} x" for mean in means) + " |")
    return "\n".join(lines)


def draw(rows, path, machine):
    """The ratios to PyTorch of every shape, as bars."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 4.2), layout="constrained")
    width = 0.26
    for n, (work, some) in enumerate(by_work(rows).items()):
        places = [place + (n - 1) * width for place in range(len(some))]
        axes.bar(places, [ratio(row) for row in some], width, label=WORKS[work].replace("`", ""))
    axes.axhline(1, color="black", linewidth=1)
    axes.set_xticks(
        range(len(some)), ["\n".join(f"{k}={v}" for k, v in zip("NTCH", row["shape"], strict=True)) for row in some]
    )
    axes.set_ylabel("times as fast as PyTorch")
    axes.set_title(f"fastlstm beside torch.nn.LSTM, one thread, float32, {machine}", fontsize=10)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    results = json.loads(Path(sys.argv[1] if len(sys.argv) > 1 else RESULTS).read_text())
    found = [bench["extra_info"] for bench in results["benchmarks"]]
    if not all(row["torch_ms"] for row in found):
        sys.exit("These results have no PyTorch in them: run `make torch bench` first.")
    print(markdown_table(found))
    draw(found, HERE / "speed.png", results["machine_info"]["cpu"]["brand_raw"])
    print(f"\nwrote {HERE.name}/speed.png")
