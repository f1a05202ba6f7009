"""Language models as nodes of a graph."""

import numpy as np

from fastlstm.export.onnx import network
from fastlstm.export.onnx.estimators import add_codes
from fastlstm.export.onnx.graph import Value


def add_language_model(graph, estimator, lengths):
    """Add a fitted language model; returns its inputs and outputs."""
    estimator = estimator._fitted()
    classifier, codes = estimator.classifier_._fitted(), estimator._codes
    symbols, model = estimator.vocabulary_, classifier._model
    # codes of the classifier, whose symbols are the codes of the language model
    inner = classifier._schema.vocabularies[0].encode(np.array([*range(len(symbols)), codes.unknown, codes.start]))
    *known, unknown, start = inner.tolist()
    text = symbols.dtype.kind == "U"
    inputs = [Value("X", "X", str if text else "int64", ("N", "T"), "N sequences of T symbols")]
    x = add_codes(graph, "X", symbols, known, unknown)
    N = graph.slice(graph.add("Shape", x), 1, 2, axis=0)
    first = graph.add("Expand", np.array([[start]]), graph.add("Concat", np.array([1]), N, axis=0))
    x = graph.add("Concat", first, x, axis=0)
    steps = None
    if lengths:
        inputs.append(Value("lengths", "lengths", "int32", ("N",), "Number of symbols of each sequence"))
        steps = graph.add("Add", "lengths", np.int32(1))
    states = network.add_layers(graph, network.add_embedding(graph, model, None, [x]), model, steps)
    scores = network.add_head(graph, states, model)
    best = graph.add("ArgMax", graph.slice(scores, 0, -1), axis=1, keepdims=0)
    V = len(symbols)
    return inputs, [
        Value("label", graph.add("Gather", symbols, best), str if text else "int64", ("N",), "The next symbol"),
        Value(
            "probabilities",
            graph.add("Softmax", scores, axis=1),
            "float32",
            ("N", V + 1),
            "Probabilities of the symbols of the vocabulary and, last, of the end of the sequence",
        ),
    ]
