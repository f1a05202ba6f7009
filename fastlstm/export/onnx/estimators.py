"""Estimators as nodes of a graph: their inputs, and their predictions."""

import numpy as np

from fastlstm.estimators.base import BaseLSTM
from fastlstm.estimators.classifier import LSTMClassifier
from fastlstm.estimators.encoder import SequenceEncoder
from fastlstm.estimators.regressor import LSTMRegressor
from fastlstm.estimators.scaler import SequenceScaler
from fastlstm.export.onnx import network, predictions
from fastlstm.export.onnx.graph import Value

CLASSES = (LSTMClassifier, LSTMRegressor, SequenceEncoder, SequenceScaler)


def inputs_of(estimator, dtype, lengths=False):
    """Inputs of the graph of a fitted estimator; `dtype`: type of numbers."""
    inputs = _inputs_of_symbols if reads_symbols(estimator) else _inputs_of_numbers
    estimator = getattr(estimator, "estimator_", estimator)  # that of an encoder
    inputs = inputs(estimator, dtype)
    if lengths:
        if estimator._plan.columns is not None:
            raise ValueError(
                "lengths=True is not supported for an estimator that was fitted with a table whose columns have a "
                "layout: its series have equal lengths. Leave out lengths."
            )
        inputs.append(Value("lengths", "lengths", "int32", ("N",), "Number of steps of each series, 1 or more"))
    return inputs


def reads_symbols(estimator):
    """Whether X of a fitted estimator holds sequences of symbols."""
    estimator = getattr(estimator, "estimator_", estimator)
    return isinstance(estimator, BaseLSTM) and estimator._reads_symbols


def _inputs_of_numbers(estimator, dtype):
    C, plan = estimator._channels, estimator._plan
    if plan.columns is not None:
        return [Value("X", "X", dtype, ("N", estimator._columns), "Table with a row for each series, as in fit")]
    if estimator._columns is not None:
        return [Value("X", "X", dtype, ("N", "T"), "N univariate series of T steps")]
    shape = ("N", C, "T") if plan.channels_first else ("N", "T", C)
    return [Value("X", "X", dtype, shape, f"N series of T steps with C={C} channels")]


def _inputs_of_symbols(estimator, dtype):
    schema = estimator._schema
    symbols = iter(schema.vocabularies)
    inputs = []
    for kind, name in zip(schema.kinds, schema.names or ("X",), strict=True):
        of_column = dtype if kind == "numbers" else {"str": str, "int": "int64"}[next(symbols).kind]
        doc = {"numbers": "Numbers", "characters": "Characters (NFC)", "words": "Strings (NFC)", "integers": "Symbols"}
        inputs.append(Value(name, name, of_column, ("N", "T"), f"{doc[kind]} of N sequences of T steps"))
    return inputs


def add_estimator(graph, estimator, tensors, dtype, levels=None):
    """Add a fitted estimator; returns its outputs as a list of `Value`.

    tensors: the inputs by name; dtype: the type of numbers, also that of predictions; levels: of quantiles.
    """
    if isinstance(estimator, SequenceScaler):
        return [_add_scaler(graph, estimator, tensors["X"], dtype)]
    encoder = isinstance(estimator, SequenceEncoder)
    estimator = (estimator.estimator_ if encoder else estimator)._fitted()
    model, lengths = estimator._model, tensors.get("lengths")
    x = _add_channels(graph, estimator, tensors)
    per_step = model.per_step and not encoder
    states = network.add_layers(graph, x, model, lengths, per_step)
    if encoder:
        return [Value("variable", graph.cast(states, dtype), dtype, ("N", model.stack.width), "Last hidden states")]
    scores, rows = network.add_head(graph, states, model), ("N", "T") if per_step else ("N",)

    def padded(tensor, dtype, axes):
        if lengths is None or not per_step:
            return tensor
        return predictions.add_padding(graph, tensor, dtype, x, lengths, axes)

    if isinstance(estimator, LSTMClassifier):
        return _add_classifier(graph, model, scores, rows, padded)
    return _add_regressor(graph, model, scores, rows, padded, dtype, levels)


def _add_classifier(graph, model, scores, rows, padded):
    K, multilabel = model.n_targets, model.output.multilabel
    labels, probabilities = predictions.add_labels(graph, scores, model.output)
    dtype = label_type(model.output)
    return [
        Value("label", labels, dtype, (*rows, K) if multilabel else rows, "Predicted labels"),
        Value("probabilities", padded(probabilities, "float32", 1), "float32", (*rows, K), "Probabilities of classes"),
    ]


def label_type(output):
    """Type of the labels of a `ClassificationOutput`; of strings, str."""
    if output.multilabel:
        return "int64"
    labels = predictions.label_constants(output.classes)
    return str if labels.dtype.kind == "U" else labels.dtype


def _add_regressor(graph, model, scores, rows, padded, dtype, levels):
    output, K = model.output, () if model.output.flat else (model.n_targets,)
    points = predictions.add_numbers(graph, scores, output, len(rows), model.n_targets)
    points = padded(graph.cast(points, dtype), dtype, len(K))
    outputs = [Value("variable", points, dtype, (*rows, *K), "Predictions in the units of y")]
    if levels is not None:
        found = predictions.add_quantiles(graph, scores, output, len(rows), model.n_targets, levels)
        found = padded(graph.cast(found, dtype), dtype, len(K) + 1)
        doc = f"Quantiles of the levels {', '.join(f'{level:g}' for level in levels)}"
        outputs.append(Value("quantiles", found, dtype, (*rows, *K, len(levels)), doc))
    return outputs


def _add_channels(graph, estimator, tensors):
    """Inputs [T, N, C] of the layers."""
    model = estimator._model
    if model.embedding is not None:
        return _add_symbols(graph, estimator, tensors)
    x, plan = tensors["X"], estimator._plan
    if plan.columns is not None:
        if model.masked:
            raise ValueError(
                "missing='mask' with a table whose columns have a layout cannot be exported to ONNX: fit with series "
                "of shape (n, T, C), or impute missing values."
            )
        x = graph.add("Gather", x, plan.columns, axis=1)
    elif estimator._columns is not None:
        x = graph.add("Unsqueeze", x, np.array([2]))
    elif plan.channels_first:
        x = graph.add("Transpose", x, perm=[0, 2, 1])
    return network.add_preparation(graph, x, model)


def _add_symbols(graph, estimator, tensors):
    """Numbers, and vectors in the place of symbols."""
    model, schema = estimator._model, estimator._schema
    names, C = schema.channel_names or ("X",), schema.n_numbers
    numbers = None
    if C:
        x = graph.add("Concat", *(graph.add("Unsqueeze", tensors[name], np.array([2])) for name in names[:C]), axis=2)
        numbers = network.add_preparation(graph, x, model, C)
    codes = [
        add_codes(graph, tensors[name], vocabulary.symbols, range(len(vocabulary)), len(vocabulary))
        for name, vocabulary in zip(names[C:], schema.vocabularies, strict=True)
    ]
    return network.add_embedding(graph, model, numbers, codes)


def add_codes(graph, symbols, keys, codes, unknown):
    """Codes [T, N] of symbols [N, T]."""
    kind = "strings" if keys.dtype.kind == "U" else "int64s"
    encoded = graph.add(
        "LabelEncoder",
        symbols,
        domain="ai.onnx.ml",
        **{f"keys_{kind}": keys.tolist(), "values_int64s": list(codes), "default_int64": unknown},
    )
    return graph.add("Transpose", encoded, perm=[1, 0])


def _add_scaler(graph, scaler, x, dtype):
    """Scaled series in the form of X."""
    names = {"standard": "mean_", "minmax": "min_", "robust": "center_"}
    scale, shift = (getattr(scaler, name).astype("float64") for name in ("scale_", names[scaler._method]))
    x = graph.cast(x, "float64")
    if scaler._method == "minmax":
        x = graph.add("Add", graph.add("Mul", x, scale), shift)
    else:
        x = graph.add("Div", graph.add("Sub", x, shift), scale)
    shape = _inputs_of_numbers(scaler, dtype)[0].shape
    return Value("variable", graph.cast(x, dtype), dtype, shape, "Scaled series")
