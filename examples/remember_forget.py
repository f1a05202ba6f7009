"""A cell that remembers, forgets and does not care: one LSTM unit learns to be a flip-flop.

Run: python examples/remember_forget.py [FOLDER]
Pulses set the unit, reset it or ask for its value, and some mean nothing. The target is 1 where a pulse asks while the
unit is set, and 0 at all other steps. After training, the gates can be read like a diagram of the circuit: the forget
gate is open while the unit has something to keep and closes at a reset, and the output gate is closed unless a pulse
asks. The picture is written to FOLDER, by default demo/.
"""

import sys
from pathlib import Path

import numpy as np

from fastlstm import LSTMRegressor
from fastlstm.inspection import GateDisplay, gate_activations

OUT = Path(__file__).parent.parent / "demo"
PULSES = ("set", "reset", "ask", "distractor")
PROBABILITIES = (0.08, 0.08, 0.2, 0.24, 0.4)  # of the pulses, and of none


def draw(n, T, rng):
    """Series (n, T, 4) of pulses, targets (n, T), the pulse of each step, and whether the unit is set before it."""
    pulses = rng.choice(len(PULSES) + 1, (n, T), p=PROBABILITIES)
    is_set, before = np.zeros(n, bool), np.empty((n, T), bool)
    for t in range(T):
        before[:, t] = is_set
        is_set = (is_set | (pulses[:, t] == 0)) & (pulses[:, t] != 1)
    X = (pulses[..., None] == np.arange(len(PULSES))).astype("float32")
    return X, (before & (pulses == PULSES.index("ask"))).astype("float32"), pulses, before


def run(seed=0):
    """Train one unit; returns the model, test data and the mean of each gate in each situation."""
    rng = np.random.default_rng(seed)
    X, y, _, _ = draw(1000, 40, rng)
    model = LSTMRegressor(
        hidden_size=1, return_sequences=True, standardize=False, dropout=0.0, init="standard", batch_size=20,
        learning_rate_init=0.03, learning_rate="cosine", max_iter=40, random_state=seed,
    ).fit(X, y)  # fmt: skip
    X, y, pulses, is_set = draw(500, 40, rng)
    gates = {name: values[..., 0] for name, values in gate_activations(model, X).of().items()}
    asks = pulses == PULSES.index("ask")
    situations = {
        "forget gate while holding": gates["forget"][is_set & (pulses > 1)],
        "forget gate at a reset": gates["forget"][is_set & (pulses == PULSES.index("reset"))],
        "input gate at a set": gates["input"][~is_set & (pulses == PULSES.index("set"))],
        "output gate where a pulse asks": gates["output"][asks],
        "output gate where none asks": gates["output"][~asks],
    }
    return {
        "model": model,
        "accuracy": float(((model.predict(X) > 0.5) == (y > 0.5)).mean()),
        "gates": {name: float(values.mean()) for name, values in situations.items()},
        "X": X,
    }


def picture(result):
    """The gates on one test series, under its pulses."""
    display = GateDisplay.from_estimator(
        result["model"], result["X"][1], gates=["input", "forget", "output", "cell_state"]
    )
    axes = display.axes_["input"]
    for line, pulse in zip(axes.get_lines(), PULSES, strict=True):
        line.set_label(pulse)
    axes.legend(frameon=False, fontsize="x-small", ncols=4, loc="lower right", bbox_to_anchor=(1, 1), borderpad=0)
    display.figure_.suptitle("One LSTM unit as a flip-flop: the forget gate holds, the output gate answers")
    return display


def main(folder=OUT):
    result = run()
    print(f"accuracy on all steps of new series: {result['accuracy']:.4f}")
    for name, mean in result["gates"].items():
        print(f"  {name:<32}{mean:.2f}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "remember_forget.png"
    picture(result).figure_.savefig(path, dpi=120)
    print(f"figure: {path.name} in {folder.name}/")


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    main(*sys.argv[1:2])
