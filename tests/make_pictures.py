"""Reference pictures of the displays, which test_pictures.py compares with what is drawn: python tests/make_pictures.py

They have no text, so that other versions of matplotlib and of its fonts draw the same.
"""

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("agg")
from matplotlib import pyplot
from matplotlib.text import Text
from matplotlib.ticker import NullFormatter
from sklearn.base import clone

from fastlstm import LSTMRegressor
from fastlstm.inspection import AttentionDisplay, GateDisplay, GradientFlowDisplay, ImportanceDisplay, LossCurveDisplay

FOLDER = Path(__file__).parent / "pictures"
STYLES = {"light": "default", "dark": "dark_background"}

X = np.random.default_rng(0).normal(size=(40, 20, 2))
Y = X[:, 5:8, 0].sum(axis=1)


def fitted(cell="lstm", **options):
    options = {"max_iter": 6, "learning_rate": "cosine", "random_state": 0, "dtype": "float64", **options}
    return LSTMRegressor(6, cell=cell, **options).fit(X, Y)


def comparison():
    after = fitted()
    before = clone(after).set_params(max_iter=1, learning_rate_init=1e-30).fit(X, Y)
    return GateDisplay.compare(before, after, X[0])


def attention():
    distances = np.subtract.outer(np.arange(9), 0.8 * np.arange(11))
    weights = np.exp(-(distances**2))
    return AttentionDisplay(weights / weights.sum(axis=1, keepdims=True), "a source of", "a target").plot()


#: What makes each picture.
DISPLAYS = {
    "attention": attention,
    "gates": lambda: GateDisplay.from_estimator(fitted(), X[0]),
    "memory": lambda: GateDisplay.from_estimator(fitted("gru"), X[0], kind="memory"),
    "comparison": comparison,
    "gradient_flow": lambda: GradientFlowDisplay.from_estimators({"LSTM": fitted(), "RNN": fitted("rnn")}, X, Y),
    "importance": lambda: ImportanceDisplay.from_estimator(fitted(), X, Y, random_state=0),
    "importance_map": lambda: ImportanceDisplay.from_estimator(fitted(), X, by="both", method="gradient"),
    "loss_curve": lambda: LossCurveDisplay.from_estimator(
        fitted(early_stopping=True), learning_rate=True, grad_norm=True
    ),
}


def draw(name, style, path):
    """Save a picture without its text, in a style of `STYLES`."""
    with pyplot.style.context(STYLES[style]):
        figure = DISPLAYS[name]().figure_
        for axes in figure.axes:
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_formatter(NullFormatter())
                axis.set_minor_formatter(NullFormatter())
            if axes.get_legend():
                axes.get_legend().remove()
        for text in figure.findobj(Text):
            text.set_visible(False)
        figure.savefig(path, dpi=40, metadata={"Software": None})
        pyplot.close(figure)


def main():
    FOLDER.mkdir(exist_ok=True)
    for name in DISPLAYS:
        for style in STYLES:
            draw(name, style, FOLDER / f"{name}_{style}.png")


if __name__ == "__main__":
    main()
