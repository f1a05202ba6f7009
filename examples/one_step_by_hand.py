"""One step of an LSTM by hand: forward, backward and an update, number by number.

Run: python examples/one_step_by_hand.py
An LSTM of two units without biases reads the first of three symbols and should predict the second. The library
computes the gates, states and probabilities (a stream of a classifier), and dz and dL/dW of every gate (a layer's
`backward`; dz, the gradient of the sum before a gate's function, is that of its bias). NumPy computes the rest from
them: the scores and the loss, their gradients, dh and dc, and the update. The second part adds up the loss of two
steps, "ab" -> "bc", as in training on sequences.
"""

import numpy as np

from fastlstm import LSTMClassifier
from fastlstm.layers import LSTM

SYMBOLS = "abc"
GATES = {"i": "input", "f": "forget", "g": "cell", "o": "output"}  # in the order of the weights
#: Weights of [h' (2), x (3)] for each gate, and of the scores.
WEIGHTS = {
    "i": [[-0.209, -0.14, 0.031, 0.226, 0.696], [0.101, -0.435, -0.406, -0.796, 0.324]],
    "f": [[0.813, -0.487, 0.02, -0.778, 0.418], [-0.708, 0.006, 0.856, -0.106, -0.872]],
    "g": [[-0.901, -0.877, -0.413, 0.16, -0.775], [-0.196, 0.077, 0.769, -0.567, -0.905]],
    "o": [[0.668, -0.605, -0.402, -0.691, -0.486], [0.613, 0.875, 0.549, -0.623, 0.262]],
}
SCORES = np.array([[0.32, -0.172], [0.449, 0.349], [0.914, 0.371]])
H_BEFORE, C_BEFORE = np.array([0.0, 0.0]), np.array([1.0, 0.0])
RATE = 0.1
#: Gradient of the sum before each gate's function.
D_SUMS = {
    "o": "dh * tanh(c) o (1 - o)",
    "f": "dc * c' f (1 - f)",
    "i": "dc * g i (1 - i)",
    "g": "dc * i (1 - g^2)",
}


def one_hot(text):
    """Symbols as channels (1, T, 3)."""
    return np.array([[[float(symbol == known) for known in SYMBOLS] for symbol in text]])


def weights(stacked, scores):
    """Weights under the library's names, from those of [h', x] (8, 5) and of the scores (3, 2)."""
    return {
        "weight_ih_l0": np.ascontiguousarray(stacked[:, 2:]),
        "weight_hh_l0": np.ascontiguousarray(stacked[:, :2]),
        "bias_ih_l0": np.zeros(8),
        "bias_hh_l0": np.zeros(8),
        "head.weight": scores,
        "head.bias": np.zeros(3),
    }


def classifier(of_model):
    """A classifier with these weights."""
    model = LSTMClassifier(hidden_size=2, return_sequences=True, standardize=False, dtype="float64", random_state=0)
    model.partial_fit(one_hot("abc"), [list("bca")], classes=list(SYMBOLS))
    model.weights_ = of_model
    return model


def forward(model, symbol, h, c):
    """One step: gates, states and probabilities by name, arrays of one number per unit or symbol."""
    stream = model.stream(method="predict_proba", gates=True)
    stream.state = h.reshape(1, 1, 2), c.reshape(1, 1, 2)
    probabilities = stream.step(one_hot(symbol)[:, 0])[0]
    (gates,) = stream.gates()
    named = {letter: gates[name][0] for letter, name in GATES.items()}
    return {**named, "c": gates["cell_state"][0], "h": gates["hidden_state"][0], "p": probabilities}


def differentiate(of_model, text, targets, h, c):
    """Loss summed over the steps, and its gradients by name.

    They are those of the scores of each step, of the weights of the scores and of each gate, and of the sum before each
    gate's function, added up over the steps.
    """
    layer = LSTM(3, 2, dtype="float64", random_state=0)
    layer.load_state_dict({name: value for name, value in of_model.items() if not name.startswith("head")})
    outputs, _, tape = layer.record(one_hot(text), (h.reshape(1, 1, 2), c.reshape(1, 1, 2)))
    scores = outputs[0] @ of_model["head.weight"].T
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    y = one_hot(targets)[0]
    d_scores = p - y
    gradients = layer.backward(tape, d_output=(d_scores @ of_model["head.weight"])[None]).weights
    d_stacked = np.concatenate([gradients["weight_hh_l0"], gradients["weight_ih_l0"]], axis=1)
    return {
        "loss": float(-np.log((p * y).sum(axis=1)).sum()),
        "scores": scores,
        "d_scores": d_scores,
        "dW_y": d_scores.T @ outputs[0],
        **{f"dW_{gate}": d_stacked[2 * k : 2 * k + 2] for k, gate in enumerate(GATES)},
        **{f"dz_{gate}": gradients["bias_ih_l0"][2 * k : 2 * k + 2] for k, gate in enumerate(GATES)},
    }


def run():
    """Everything that `main` prints."""
    stacked = np.concatenate([WEIGHTS[gate] for gate in GATES])
    before = weights(stacked, SCORES)
    step = forward(classifier(before), "a", H_BEFORE, C_BEFORE)
    backward = differentiate(before, "a", "b", H_BEFORE, C_BEFORE)
    backward["dh"] = SCORES.T @ backward["d_scores"][0]
    backward["dc"] = backward["dh"] * step["o"] * (1 - np.tanh(step["c"]) ** 2)
    updated = {gate: WEIGHTS[gate] - RATE * backward[f"dW_{gate}"] for gate in GATES}
    updated["y"] = SCORES - RATE * backward["dW_y"]
    after = weights(np.concatenate([updated[gate] for gate in GATES]), updated["y"])
    return {
        "forward": step,
        "backward": backward,
        "updated": updated,
        "loss after": differentiate(after, "a", "b", H_BEFORE, C_BEFORE)["loss"],
        "two steps": differentiate(before, "ab", "bc", H_BEFORE, C_BEFORE),
        "single steps": [
            differentiate(before, "a", "b", H_BEFORE, C_BEFORE)["loss"],
            differentiate(before, "b", "c", step["h"], step["c"])["loss"],
        ],
    }


def show(equation, values):
    lines = str(np.array2string(np.asarray(values), precision=4, suppress_small=True, floatmode="fixed")).splitlines()
    print(f"  {equation:<41}{lines[0]}")
    for line in lines[1:]:
        print(" " * 43 + line)


def main():
    result = run()
    step, backward = result["forward"], result["backward"]
    print("Weights: two columns for h', three for x; no biases")
    for gate in "figo":
        show(f"W_{gate}", WEIGHTS[gate])
    show("W_y", SCORES)
    print("Forward: x = a")
    show("h'", H_BEFORE)
    show("c'", C_BEFORE)
    show("x", one_hot("a")[0, 0])
    for gate in "fig":
        function = "tanh" if gate == "g" else "sigmoid"
        show(f"{gate} = {function}(W_{gate} [h', x])", step[gate])
    show("c = f * c' + i * g", step["c"])
    show("o = sigmoid(W_o [h', x])", step["o"])
    show("h = o * tanh(c)", step["h"])
    show("scores = W_y h", backward["scores"][0])
    show("p = softmax(scores)", step["p"])
    show("L = -log p[b]", backward["loss"])
    print("Backward: the target is b, y = [0, 1, 0]")
    show("dL/dscores = p - y", backward["d_scores"][0])
    show("dL/dW_y = (p - y) h^T", backward["dW_y"])
    show("dh = W_y^T (p - y)", backward["dh"])
    show("dc = dh * o (1 - tanh(c)^2)", backward["dc"])
    for gate, equation in D_SUMS.items():
        show(f"dz_{gate} = {equation}", backward[f"dz_{gate}"])
    for gate in D_SUMS:
        show(f"dL/dW_{gate} = dz_{gate} [h', x]^T", backward[f"dW_{gate}"])
    print(f"Update: W = W - {RATE} dL/dW")
    for gate in (*D_SUMS, "y"):
        show(f"W_{gate}", result["updated"][gate])
    show("L before, after", [backward["loss"], result["loss after"]])
    print("Two steps, ab -> bc: the losses add up, and the gradient of step 2 reaches step 1")
    show("L_1, L_2", result["single steps"])
    show("L = L_1 + L_2", result["two steps"]["loss"])
    show("dL/dW_f, now with recurrent weights", result["two steps"]["dW_f"])


if __name__ == "__main__":
    main()
