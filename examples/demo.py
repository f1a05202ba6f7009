"""Demo: train on handwriting and on two time series, print a table of scores, and plot the results in demo/.

Run: make demo, or python examples/demo.py
"""

import importlib.util
import time
from pathlib import Path

import forecasting
import handwriting
import matplotlib
import numpy as np
import remember_forget
import vanishing_gradient
from sklearn.metrics import ConfusionMatrixDisplay

matplotlib.use("Agg")
from matplotlib import pyplot as plt

OUT = Path(__file__).parent.parent / "demo"


def draw_loss_curves(tasks):
    figure, panels = plt.subplots(1, len(tasks), figsize=(13, 3.6), layout="constrained")
    for axes, (name, loss, _, result) in zip(panels, tasks, strict=True):
        curve = result["model"].loss_curve_
        axes.plot(range(1, len(curve) + 1), curve)
        axes.set(title=name, xlabel="epoch", ylabel=f"training loss: {loss}", yscale="log")
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(OUT / "loss_curve.png", dpi=120)


def draw_confusion_matrix(digits):
    figure, axes = plt.subplots(figsize=(6, 5.4), layout="constrained")
    ConfusionMatrixDisplay.from_predictions(digits["truth"], digits["predicted"], ax=axes, cmap="Blues", colorbar=False)
    axes.set(title=f"handwriting: accuracy {digits['scores']['LSTM']:.1%} on {len(digits['truth'])} test images")
    axes.set(xlabel="predicted digit", ylabel="true digit")
    figure.savefig(OUT / "confusion_matrix.png", dpi=120)


def draw_forecasts(results):
    figure, panels = plt.subplots(len(results), 1, figsize=(10, 3.6 * len(results)), layout="constrained")
    for axes, result, unit in zip(panels, results, ("days", "year"), strict=True):
        task, split = result["task"], result["split"]
        shown = slice(split - 30, split + 70)
        axes.plot(task.times[shown], task.numbers[shown], color="0.3", marker=".", label="truth")
        for name, colour in {"linear autoregression": "C0", "LSTM": "C1"}.items():
            error = f"{name}, {task.ahead} ahead: mean absolute error {result['scores'][name]:.3g}"
            axes.plot(task.times[split:][:70], result["forecasts"][name][:70], color=colour, label=error)
        axes.axvline(task.times[split] - 0.5, color="0.6", linestyle=":")
        axes.text(task.times[split], axes.get_ylim()[1], " test set", va="top", color="0.4")
        axes.set(title=task.name, xlabel=unit)
        axes.legend(frameon=False, loc="upper left", fontsize="small")
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(OUT / "forecast.png", dpi=120)


def draw_gates():
    remember_forget.picture(remember_forget.run()).figure_.savefig(OUT / "gates.png", dpi=120)


def draw_gradient_flow():
    figure, axes = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
    vanishing_gradient.draw_gradients(axes, vanishing_gradient.flows())
    figure.savefig(OUT / "gradient_flow.png", dpi=120)


def print_table(tasks):
    print(f"\n{'task':<14}{'model':<34}{'score':>24}{'training':>12}")
    for name, _, measure, result in tasks:
        for model, score in result["scores"].items():
            seconds = f"{result['seconds'][model]:.2f} s" if model in result["seconds"] else "-"
            print(f"{name:<14}{model:<34}{measure.format(score):>24}{seconds:>12}")
            name = ""


def main():
    start = time.perf_counter()
    OUT.mkdir(exist_ok=True)
    digits = handwriting.run()
    forecasts = [forecasting.run(task) for task in (forecasting.of_blood_cells(), forecasting.of_sunspots())]
    squares = "half the mean squared error (standardised)"
    tasks = [("handwriting", "cross-entropy (nats)", "accuracy {:.4f}", digits)]
    tasks += [(result["task"].name, squares, "mean abs. error {:.3g}", result) for result in forecasts]
    draw_loss_curves(tasks)
    draw_confusion_matrix(digits)
    draw_forecasts(forecasts)
    draw_gates()
    draw_gradient_flow()
    print_table(tasks)

    if importlib.util.find_spec("torch"):
        import torch_peer

        for name, _, _, task in tasks:
            seconds = torch_peer.training_seconds(task["model"], *task["training"])
            print(f"{name}: PyTorch trains for {seconds:.2f} s, fastlstm for {task['seconds']['LSTM']:.2f} s")
    pictures = ", ".join(f"{OUT.name}/{path.name}" for path in sorted(OUT.glob("*.png")))
    print(f"figures: {pictures}\n{time.perf_counter() - start:.0f} s in total")


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")  # overflow or NaN would be a bug in the demo
    main()
