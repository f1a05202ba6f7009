"""The long-term dependency problem in one figure: how far back the gradient reaches, and what can be learned then.

Run: python examples/vanishing_gradient.py [FOLDER]
The task is temporal order (Hochreiter & Schmidhuber 1997, section 5.6): among random symbols, two marks X or Y appear
at about a tenth and at half of the series, and the class is their order. The last mark lies half a series before the
prediction, so the lag grows with the length. On the left is the gradient of the loss at each of 200 steps before any
training: in a vanilla RNN it vanishes, while an LSTM and a GRU carry it as far as their gates are open. With
init="standard" they are half closed, with init="chrono" they are open for lags up to the length of the series. On the
right is the accuracy after training. The picture is written to FOLDER, by default demo/.
"""

import sys
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastlstm import LSTMClassifier
from fastlstm.inspection import GradientFlowDisplay, gradient_flow

OUT = Path(__file__).parent.parent / "demo"
LENGTHS = (20, 50, 100, 200)
MODELS = {"RNN": ("rnn", "standard"), "GRU": ("gru", "chrono"), "LSTM": ("lstm", "chrono")}
HALF_CLOSED = {'GRU, init="standard"': ("gru", "standard"), 'LSTM, init="standard"': ("lstm", "standard")}
COLOURS = {"RNN": "#D55E00", "GRU": "#009E73", "LSTM": "#0072B2"}
WIDTHS = {"RNN": 1.8, "GRU": 4.0, "LSTM": 1.5}  # GRU and LSTM lie on each other


def temporal_order(n, T, rng):
    """n series (n, T, 6) of 4 symbols and the marks X and Y, and the order of the marks as a class."""
    symbols, marks, rows = rng.integers(0, 4, (n, T)), rng.integers(0, 2, (n, 2)), np.arange(n)
    symbols[rows, rng.integers(T // 10, T // 5, n)] = 4 + marks[:, 0]
    symbols[rows, rng.integers(T // 2, T // 2 + T // 10, n)] = 4 + marks[:, 1]
    return np.eye(6, dtype="float32")[symbols], np.array(["XX", "XY", "YX", "YY"])[2 * marks[:, 0] + marks[:, 1]]


def model_of(cell, init, **options):
    return LSTMClassifier(
        hidden_size=32, cell=cell, init=init, standardize=False, dropout=0.0, batch_size=32, learning_rate="cosine",
        random_state=0, **options,
    )  # fmt: skip


def flows(T=200, seed=0):
    """Gradient flow in untrained networks, by label."""
    X, y = temporal_order(100, T, np.random.default_rng(seed))
    found = {}
    for label, (cell, init) in (MODELS | HALF_CLOSED).items():
        untrained = model_of(cell, init, max_iter=1, learning_rate_init=1e-12).fit(X, y)
        found[label] = gradient_flow(untrained, X, y)
    return found


def accuracies(lengths=LENGTHS, seed=0):
    """Test accuracy of each trained model for each length."""
    rng, found = np.random.default_rng(seed), {label: [] for label in MODELS}
    for T in lengths:
        (X, y), (X_test, y_test) = temporal_order(1600, T, rng), temporal_order(500, T, rng)
        for label, (cell, init) in MODELS.items():
            start = time.perf_counter()
            model = model_of(cell, init, max_iter=7, learning_rate_init=0.01)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # the RNN cannot learn it, which is the point
                model.fit(X, y)
            found[label].append(model.score(X_test, y_test))
            seconds = time.perf_counter() - start
            print(f"  T={T}, {label}: accuracy {found[label][-1]:.3f}, {seconds:.1f} s", flush=True)
    return found


def carried(flow):
    """Norms at each step before the last, relative to the last: of the cell state, or without one the hidden state."""
    norms = flow.mean("cell_state" if flow.cell == "lstm" else "hidden_state", from_end=True)
    return norms / norms[0]


def draw_gradients(axes, flow_of):
    """Gradient norms of all networks, relative to the last step."""
    for what, cells in (("hidden_state", ("rnn", "gru")), ("cell_state", ("lstm",))):
        shown = {label: flow for label, flow in flow_of.items() if flow.cell in cells}
        GradientFlowDisplay(shown).plot(axes, what=what, relative=True)
    for line in axes.get_lines():
        name, *standard = line.get_label().split(",")
        width, style = (1.5, "--") if standard else (WIDTHS[name], "-")
        line.set(color=COLOURS[name], linewidth=width, linestyle=style)
    axes.legend(frameon=False, fontsize="small", loc="lower right")
    axes.set_ylabel("gradient of the state, relative to the last step\n(cell state of the LSTM)")
    axes.set_title("gradient before training, 200 steps", fontsize="medium")


def draw_accuracies(axes, scores, lengths=LENGTHS):
    for label, values in scores.items():
        width = WIDTHS[label]
        axes.plot(lengths, values, "o-", color=COLOURS[label], label=label, linewidth=width, markersize=3 + 1.5 * width)
    axes.axhline(0.25, color="0.5", linestyle=":", linewidth=1)
    axes.text(lengths[-1], 0.26, "chance", color="0.5", ha="right", va="bottom", fontsize="small")
    axes.set(xlabel="length of the series (the last mark is at half of it)", ylabel="test accuracy", ylim=(0, 1.05))
    axes.set_title("temporal order, after training", fontsize="medium")
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="center right")


def picture(flow_of, scores):
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    draw_gradients(left, flow_of)
    draw_accuracies(right, scores)
    return figure


def main(folder=OUT):
    flow_of = flows()
    for label, flow in flow_of.items():
        print(f"{label}: {carried(flow)[-1]:.1e} of the gradient is left after 200 steps")
    share = np.nanmean(flow_of["LSTM"].mean("forget_share"))
    print(f"LSTM: {share:.0%} of dL/dc comes through the forget gate, the rest through the hidden state")
    figure = picture(flow_of, accuracies())
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "vanishing_gradient.png"
    figure.savefig(path, dpi=120)
    print(f"figure: {path.name} in {folder.name}/")


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    main(*sys.argv[1:2])
