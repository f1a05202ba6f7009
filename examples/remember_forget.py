"""A cell that remembers, forgets and does not care: one LSTM unit learns to be a flip-flop.

Run: python examples/remember_forget.py [FOLDER]
At every step, the unit reads a value of 1 or -1. A pulse may tell it to set its memory to this value, to reset it, or
ask for it; at all other steps, the value is a distractor. The target is the value in the memory where a pulse asks, and
0 elsewhere. After training, the gates can be read like the diagram of a circuit: the forget gate is open while the unit
holds a value, with a half-life of hundreds of steps, and closes at a reset and where a new value replaces the old one.
The input gate opens at a set only, and the output gate only where a pulse asks; the picture hatches all other steps.
Where the output gate is shut, the cell is a "don't care" for the prediction. Where the input gate is shut, nothing is
written, so the value read is a "don't care" for the cell; but the pulses still drive the forget and output gates, and a
reset matters most at a step at which nothing is written. The sign of the cell is arbitrary: training made the weights
of the candidate and of the output both negative, so the cell is positive while the unit holds -1. The picture is
written to FOLDER, by default demo/.
"""

import sys
from pathlib import Path

import numpy as np

from fastlstm import LSTMRegressor
from fastlstm.inspection import GateDisplay, gate_activations

OUT = Path(__file__).parent.parent / "demo"
PULSES = ("set", "reset", "ask")
PROBABILITIES = (0.05, 0.05, 0.2, 0.7)  # of the pulses, and of none
STEPS = 50


def draw(n, T, rng):
    """Series (n, T, 4) of pulses and values, targets (n, T), the pulse of each step, and what is held before it."""
    pulses, values = rng.choice(len(PULSES) + 1, (n, T), p=PROBABILITIES), rng.choice([-1.0, 1.0], (n, T))
    memory, held = np.zeros(n), np.empty((n, T))
    for t in range(T):
        held[:, t] = memory
        memory = np.select([pulses[:, t] == 0, pulses[:, t] == 1], [values[:, t], 0], memory)
    X = np.concatenate([pulses[..., None] == np.arange(len(PULSES)), values[..., None]], axis=-1).astype("float32")
    return X, (held * (pulses == 2)).astype("float32"), pulses, held


def run(seed=1):
    """Train one unit; returns the model, its accuracy, the mean of each gate in each situation, and a test series."""
    rng = np.random.default_rng(seed)
    X, y, _, _ = draw(1000, STEPS, rng)
    model = LSTMRegressor(
        hidden_size=1, return_sequences=True, standardize=False, dropout=0.0, init="standard", batch_size=20,
        learning_rate_init=0.05, learning_rate="cosine", max_iter=60, random_state=seed,
    ).fit(X, y)  # fmt: skip
    X, y, pulses, held = draw(500, STEPS, rng)
    gates = {name: values[..., 0] for name, values in gate_activations(model, X).of().items()}
    sets, resets, asks = (pulses == number for number in range(3))
    situations = {
        "forget gate while holding": gates["forget"][(held != 0) & ~sets & ~resets],
        "forget gate at a reset": gates["forget"][(held != 0) & resets],
        "input gate at a set": gates["input"][sets],
        "input gate at a distractor": gates["input"][~sets],
        "output gate where a pulse asks": gates["output"][asks],
        "output gate where none asks": gates["output"][~asks],
    }
    return {
        "model": model,
        "accuracy": float((np.rint(model.predict(X)) == y).mean()),
        "gates": {name: float(values.mean()) for name, values in situations.items()},
        "x": X[longest_hold(pulses, held)],
    }


def longest_hold(pulses, held):
    """Index of the series that holds a value longest before a reset."""
    holds = np.zeros(len(held), int)
    for t in range(held.shape[1]):
        ends = (held[:, t] != 0) & (pulses[:, t] == 1)
        lengths = np.cumprod(held[:, t::-1] == held[:, t : t + 1], axis=1).sum(axis=1)
        holds = np.maximum(holds, np.where(ends, lengths, 0))
    return int(holds.argmax())


def picture(result):
    """The memory of the unit on one test series."""
    display = GateDisplay.from_estimator(result["model"], result["x"], kind="memory")
    axes, names = display.axes_["input"], (*PULSES, "value")
    for line, name in zip(axes.get_lines(), names, strict=True):
        line.set_label(name)
        if name == "value":
            line.set(linestyle="none", marker=".", zorder=0)
    axes.legend(frameon=False, fontsize="x-small", ncols=4, loc="lower right", bbox_to_anchor=(1, 1), borderpad=0)
    display.figure_.suptitle("One LSTM unit as a flip-flop: it remembers, forgets and does not care")
    return display


def main(folder=OUT):
    result = run()
    print(f"accuracy on all steps of new series: {result['accuracy']:.4f}")
    for name, mean in result["gates"].items():
        print(f"  {name:<32}{mean:.2f}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path, display = folder / "remember_forget.png", picture(result)
    print(f"half-life of the memory while it is kept: {display.half_life_[0]:.0f} steps")
    display.figure_.savefig(path, dpi=120)
    print(f"figure: {path.name} in {folder.name}/")


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    main(*sys.argv[1:2])
