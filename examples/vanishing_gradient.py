"""The long-term dependency problem in one figure: how far back the gradient reaches, and what can be learned then.

Run: python examples/vanishing_gradient.py [FOLDER]
The task is temporal order (Hochreiter & Schmidhuber 1997, section 5.6): among random symbols, two marks X or Y appear
at about a tenth and at half of the series, and the class is their order. The last mark lies half a series before the
prediction, so the lag grows with the length.

On the left is the gradient of the loss by the state at each of 200 steps, before any training. In a vanilla RNN it
vanishes. An LSTM and a GRU multiply it by the forget or update gate at each step, so it reaches as far as this gate is
open, and the initialisation decides. With init="chrono", the gates are open for lags up to the length of the series,
and both cells carry the gradient alike: their lines lie on each other. With init="standard", a forget gate starts at
about 0.7, because its bias is 1, and an update gate at 0.5: the LSTM keeps more of the gradient than the RNN, whose
recurrent weights are orthogonal at first, but the GRU keeps less.

On the right is the accuracy on new series after seven epochs. The picture is written to FOLDER, by default demo/.
"""

import sys
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
#: GRU and LSTM lie on each other: the LSTM is drawn as dashes on the wider line of the GRU.
STYLES = {
    "RNN": {"linewidth": 1.8},
    "GRU": {"linewidth": 5.0, "alpha": 0.45},
    "LSTM": {"linewidth": 1.8, "linestyle": (0, (4, 2))},
}
#: Step, and distance in points, at which lines are labelled.
PLACES = {"GRU": (140, 9), "RNN": (140, -14), 'GRU, init="standard"': (140, -14), 'LSTM, init="standard"': (196, 17)}


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
            model = model_of(cell, init, max_iter=7, learning_rate_init=0.01)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # the RNN cannot learn it, which is the point
                model.fit(X, y)
            found[label].append(model.score(X_test, y_test))
    return found


def carried(flow):
    """Mean norm of the gradient of the state at each step before the last, relative to the last."""
    norms = flow.mean("state", from_end=True)
    return norms / norms[0]


def draw_gradients(axes, flow_of):
    """Gradient norms of all networks, relative to the last step."""
    display = GradientFlowDisplay(flow_of).plot(axes, relative=True)
    for line in display.lines_:
        label = line.get_label()
        name, *standard = label.split(",")
        line.set(color=COLOURS[name], **({"linewidth": 1.8, "linestyle": ":"} if standard else STYLES[name]))
        if label != "LSTM":  # whose line lies on that of the GRU
            text = 'LSTM and GRU, init="chrono"' if label == "GRU" else label
            (x, y), offset = line.get_xydata()[PLACES[label][0]], (0, PLACES[label][1])
            axes.annotate(
                text, (x, y), offset, textcoords="offset points", color=line.get_color(), va="center", size=8.5
            )
    axes.get_legend().remove()
    axes.set(ylim=(None, 1e3), ylabel="gradient of the cell state (LSTM) or\nhidden state, relative to the last step")
    axes.set_title("gradient before training, 200 steps", fontsize="medium")


def draw_accuracies(axes, scores, lengths=LENGTHS):
    for label, values in scores.items():
        axes.plot(lengths, values, marker="o", color=COLOURS[label], label=label, **STYLES[label])
    axes.axhline(0.25, color="0.5", linestyle=":", linewidth=1)
    axes.text(lengths[0], 0.23, "chance", color="0.5", va="top", fontsize="small")
    axes.set(xlabel="length of the series T (the marks are 0.4 T to 0.9 T before the end)", ylabel="test accuracy")
    axes.set(ylim=(0, 1.05), xticks=lengths)
    axes.set_title("temporal order, after seven epochs", fontsize="medium")
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="center right", handlelength=4)


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
    scores = accuracies()
    print("accuracy" + "".join(f"{f'T={T}':>9}" for T in LENGTHS))
    for label, values in scores.items():
        print(f"  {label:<6}" + "".join(f"{value:9.3f}" for value in values))
    figure = picture(flow_of, scores)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "vanishing_gradient.png"
    figure.savefig(path, dpi=120)
    print(f"figure: {path.name} in {folder.name}/")


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    main(*sys.argv[1:2])
