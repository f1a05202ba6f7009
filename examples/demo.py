"""The demo: trains on handwriting and on a real time series, prints a table, and draws pictures in demo/.

Run: make demo, or python examples/demo.py
"""

import importlib.util
import time
from pathlib import Path

import forecasting
import handwriting
import matplotlib
import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay

matplotlib.use("Agg")
from matplotlib import pyplot as plt

OUT = Path(__file__).parent.parent / "demo"


def draw_loss_curves(digits, sunspots):
    figure, panels = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    labels = "cross-entropy (nats)", "half the mean square (standardised)"
    for axes, task, title, label in zip(panels, (digits, sunspots), ("handwriting", "sunspots"), labels, strict=True):
        curve = task["model"].loss_curve_
        axes.plot(range(1, len(curve) + 1), curve)
        axes.set(title=title, xlabel="epoch", ylabel=f"training loss: {label}", yscale="log")
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(OUT / "loss_curve.png", dpi=120)


def draw_confusion_matrix(digits):
    figure, axes = plt.subplots(figsize=(6, 5.4), layout="constrained")
    ConfusionMatrixDisplay.from_predictions(digits["truth"], digits["predicted"], ax=axes, cmap="Blues", colorbar=False)
    axes.set(title=f"handwriting: {digits['scores']['LSTM']:.1%} of {len(digits['truth'])} test images are right")
    axes.set(xlabel="digit predicted", ylabel="digit written")
    figure.savefig(OUT / "confusion_matrix.png", dpi=120)


def draw_forecast(sunspots):
    figure, axes = plt.subplots(figsize=(10, 4), layout="constrained")
    years, numbers, split = sunspots["years"], sunspots["numbers"], sunspots["split"]
    shown = split - 30
    axes.plot(years[shown:], numbers[shown:], color="0.3", marker=".", label="truth")
    axes.plot(years[split:], sunspots["forecasts"]["LSTM"], color="C1", marker=".", label="LSTM, one year ahead")
    axes.axvline(years[split] - 0.5, color="0.6", linestyle=":")
    axes.text(years[split], axes.get_ylim()[1], " never seen in training", va="top", color="0.4")
    axes.set(title=f"sunspots: mean absolute error {sunspots['scores']['LSTM']:.1f}", xlabel="year")
    axes.set_ylabel("sunspot number (yearly mean)")
    axes.legend(frameon=False, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(OUT / "forecast.png", dpi=120)


def print_table(tasks):
    print(f"\n{'task':<12}{'model':<34}{'score':>24}{'training':>12}")
    for name, measure, task in tasks:
        for model, score in task["scores"].items():
            seconds = f"{task['seconds'][model]:.2f} s" if model in task["seconds"] else "-"
            print(f"{name:<12}{model:<34}{measure.format(score):>24}{seconds:>12}")
            name = ""


def main():
    start = time.perf_counter()
    OUT.mkdir(exist_ok=True)
    digits, sunspots = handwriting.run(), forecasting.run()
    draw_loss_curves(digits, sunspots)
    draw_confusion_matrix(digits)
    draw_forecast(sunspots)
    tasks = [("handwriting", "accuracy {:.4f}", digits), ("sunspots", "mean abs. error {:.2f}", sunspots)]
    print_table(tasks)
    ours, *others = sunspots["scores"].values()
    print(f"\nsunspots: {1 - ours / min(others[1:]):.0%} less error than the better of the two naive forecasts")

    if importlib.util.find_spec("torch"):
        import torch_peer

        for name, _, task in tasks:
            seconds = torch_peer.training_seconds(task["model"], *task["training"])
            print(f"{name}: PyTorch takes {seconds:.2f} s for the same training, ours {task['seconds']['LSTM']:.2f} s")
    pictures = ", ".join(f"{OUT.name}/{path.name}" for path in sorted(OUT.glob("*.png")))
    print(f"pictures: {pictures}\n{time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")  # a number that is none would be a mistake here
    main()
