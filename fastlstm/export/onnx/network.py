"""The network of a `Model` as nodes of a graph: preparation of the inputs, recurrent layers and head.

Tensors are float32 and, up to the head, time-major as in ONNX's recurrent operators: [T, N, C].
"""

import numpy as np

from fastlstm.export.onnx.graph import info_of
from fastlstm.kernels import CELLS

#: Operator of each cell, its attributes, and the order of its gates.
OPERATORS = {
    "lstm": ("LSTM", {}, "iofg"),
    "cifg": ("LSTM", {}, "iofg"),
    "gru": ("GRU", {"linear_before_reset": 1}, "zrn"),
    "rnn": ("RNN", {}, "h"),
}


def add_preparation(graph, x, model, C=None):
    """Channels [T, N, C'] from X [N, T, C], the first C channels in the original units: see `Model.prepare`."""
    if model.scaling is not None:
        x = graph.add("Sub", graph.cast(x, "float64"), model.scaling.mean[:C])
        x = graph.add("Div", x, model.scaling.scale[:C])
    x = graph.add("Transpose", graph.cast(x, "float32"), perm=[1, 0, 2])
    return _add_indicators(graph, x) if model.masked else x


def _add_indicators(graph, x):
    """Replace NaN by the last value before it, or 0, and add an indicator channel for each channel."""
    from onnx import helper

    nodes = [
        helper.make_node("IsNaN", ["now"], ["missing"]),
        helper.make_node("Where", ["missing", "last", "now"], ["filled"]),
        helper.make_node("Identity", ["filled"], ["kept"]),
    ]
    inputs, outputs = ([info_of(name, "float32") for name in names] for names in (("last", "now"), ("kept", "filled")))
    step = helper.make_graph(nodes, "fill", inputs, outputs)
    shape = graph.add("Gather", graph.add("Shape", x), np.array([1, 2]), axis=0)
    start = graph.add("Expand", np.float32(0), shape)
    _, filled = graph.add("Scan", start, x, outputs=2, body=step, num_scan_inputs=1)
    return graph.add("Concat", filled, graph.cast(graph.add("IsNaN", x), "float32"), axis=2)


def add_embedding(graph, model, numbers, codes):
    """Channels [T, N, C] from numbers [T, N, C'], or None, and codes [T, N] of each channel of symbols."""
    embedding, parts = model.embedding, [] if numbers is None else [numbers]
    for name, size, of_column in zip(embedding.names, embedding.sizes, codes, strict=True):
        if embedding.width is None:
            parts.append(graph.add("OneHot", of_column, np.array([size]), np.array([0, 1], "float32")))
        else:
            parts.append(graph.add("Gather", _single(model.weights[name]), of_column))
    return graph.add("Concat", *parts, axis=2) if len(parts) > 1 else parts[0]


def add_layers(graph, x, model, lengths=None, per_step=False):
    """Hidden states of the last layer: the last ones [N, D H] or, if `per_step`, those of all steps [N, T, D H].

    lengths: the number of steps [N] of each sequence, int32; None if all have T.
    """
    weights = add_weights(graph, model)
    for layer, of_layer in enumerate(weights):
        states, (last, *_) = _add_layer(graph, x, model, layer, of_layer, lengths)
        width, at_end = model.stack.widths[layer], layer + 1 == len(weights)
        if at_end and not per_step:
            return _joined(graph, last, model, layer)
        order = [2, 0, 1, 3] if at_end else [0, 2, 1, 3]  # of [T, D, N, H]
        x = graph.add("Reshape", graph.add("Transpose", states, perm=order), np.array([0, 0, width]))
    return x


def add_weights(graph, model):
    """Weights, recurrent weights and biases of each layer, with its directions stacked."""
    stack, weights = model.stack, []
    for places in stack.layers:
        W, R, *biases = (
            np.stack([_gates(stack.cell, model.weights[f"{kind}{place.suffix}"]) for place in places])
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        weights.append([graph.constant(array) for array in (W, R, np.concatenate(biases, axis=1))])
    return weights


def add_recurrence(graph, x, model, weights, states):
    """Last hidden states [N, H] of a unidirectional network, and the states of all layers, a list of lists [1, N, H].

    states: those before the first step, as returned; None for zeros.
    """
    after = []
    for layer, of_layer in enumerate(weights):
        before = () if states is None else states[layer]
        outputs, last = _add_layer(graph, x, model, layer, of_layer, None, before)
        after.append(last)
        x = graph.add("Squeeze", outputs, np.array([1]))
    return _joined(graph, after[-1][0], model, layer), after


def _add_layer(graph, x, model, layer, weights, lengths, states=()):
    """Hidden states [T, D, N, H] of a layer after each step, and the states [D, N, H] after the last one."""
    stack = model.stack
    operator, attributes, _ = OPERATORS[stack.cell]
    direction = "bidirectional" if stack.bidirectional else "forward"
    attributes = {"hidden_size": stack.hidden_sizes[layer], "direction": direction, **attributes}
    outputs, *last = graph.add(operator, x, *weights, lengths, *states, outputs=1 + len(stack.states), **attributes)
    return outputs, last


def _joined(graph, last, model, layer):
    """Last states [N, D H] from [D, N, H]."""
    width = model.stack.widths[layer]
    return graph.add("Reshape", graph.add("Transpose", last, perm=[1, 0, 2]), np.array([0, width]))


def add_head(graph, features, model):
    """Scores [..., K S] of the head."""
    products = graph.add("MatMul", features, _single(model.weights["head.weight"].T))
    return graph.add("Add", products, _single(model.weights["head.bias"]))


def _gates(cell, weights):
    """Weights or biases of a run with the gates in ONNX's order."""
    gates = CELLS[cell].gates
    blocks = dict(zip(gates, np.split(_single(weights), len(gates)), strict=True))
    if cell == "cifg":
        blocks["i"] = -blocks["f"]  # i = 1 - f, and 1 - sigmoid(a) = sigmoid(-a)
    return np.concatenate([blocks[gate] for gate in OPERATORS[cell][2]])


def _single(weights):
    return np.ascontiguousarray(weights, "float32")
