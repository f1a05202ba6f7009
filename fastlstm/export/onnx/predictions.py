"""Predictions from the scores of a network, as nodes of a graph: see ``training/outputs``.

Scores are [N, K S] or, of each step, [N, T, K S]; `axes` is the number of axes before the last, 1 or 2, and K the
number of targets.
"""

import math

import numpy as np

from fastlstm.kernels.forecast import VARIANCE_FLOOR
from fastlstm.training.losses._functions import normal_quantiles

LARGEST = float(np.finfo("float32").max)
OF_ANY_QUANTILE = ("quantile", "gaussian_nll")  # losses whose quantiles are elementary functions of the scores


def add_labels(graph, scores, output):
    """Predicted labels, and probabilities."""
    if output.multilabel:
        return graph.cast(graph.add("Greater", scores, np.float32(0)), "int64"), graph.add("Sigmoid", scores)
    best = graph.add("ArgMax", scores, axis=-1, keepdims=0)
    return graph.add("Gather", label_constants(output.classes), best), graph.add("Softmax", scores, axis=-1)


def label_constants(classes):
    """Class labels as an array of a type that ONNX has."""
    kind = classes.dtype.kind
    if kind in "OUT":
        return np.array(classes.tolist(), str)
    if kind == "u" and classes.max() >= 2**63:
        raise ValueError(
            f"classes_ has the label {classes.max()}; expected at most {2**63 - 1}, ONNX's largest int64: fit with "
            "smaller labels, or with strings."
        )
    return classes.astype({"b": bool, "f": "float64"}.get(kind, "int64"))


def add_numbers(graph, scores, output, axes, K):
    """Point predictions in the targets' units, float64."""
    loss = output.loss
    if loss.is_distribution:
        points = _add_points(graph, _by_target(graph, scores, loss, axes, K), loss)
        points = graph.add("Clip", points, -LARGEST, LARGEST)
    else:
        activation = {"identity": None, "tanh": "Tanh", "logistic": "Sigmoid"}[loss.activation]
        points = graph.cast(graph.add(activation, scores) if activation else scores, "float64")
    if output.scaling is not None:
        points = _add_unscaling(graph, points, output.scaling.scale, output.scaling.mean)
    return graph.add("Squeeze", points, np.array([-1])) if output.flat else points


def add_quantiles(graph, scores, output, axes, K, levels):
    """Quantiles [..., K, L] of the levels in the targets' units, float64."""
    loss = output.loss
    if loss.name not in OF_ANY_QUANTILE:
        raise ValueError(
            f"The quantiles of loss={loss.name!r} cannot be computed by ONNX's operators: leave out quantiles, or fit "
            f"with one of the losses {', '.join(OF_ANY_QUANTILE)}."
        )
    by_target = _by_target(graph, scores, loss, axes, K)
    if loss.name == "quantile":
        quantiles = graph.add("MatMul", _add_steps(graph, by_target, loss.width), _interpolation(loss.levels, levels))
    else:
        means, logs = (graph.add("Gather", by_target, np.array([k]), axis=-1) for k in (0, 1))
        logs = graph.add("Min", logs, math.log(LARGEST))  # whose square does not overflow
        deviations = graph.add("Exp", graph.add("Add", logs, logs))
        deviations = graph.add("Sqrt", graph.add("Add", deviations, VARIANCE_FLOOR))
        quantiles = graph.add("Add", means, graph.add("Mul", deviations, normal_quantiles(levels)))
    quantiles = graph.add("Clip", quantiles, -LARGEST, LARGEST)
    if output.scaling is not None:
        quantiles = _add_unscaling(graph, quantiles, output.scaling.scale[:, None], output.scaling.mean[:, None])
    return graph.add("Squeeze", quantiles, np.array([-2])) if output.flat else quantiles


def add_padding(graph, rows, dtype, x, lengths, others=0):
    """Replace rows [N, T, ...] of a type behind the end of each sequence by NaN.

    x: the inputs [T, N, C] of the layers; others: the number of axes of the rows after the first two.
    """
    T = graph.add("Gather", graph.add("Shape", x), np.int64(0))
    steps = graph.add("Range", np.int64(0), T, np.int64(1))
    within = graph.add("Less", steps, graph.add("Unsqueeze", graph.cast(lengths, "int64"), np.array([1])))
    if others:
        within = graph.add("Unsqueeze", within, np.arange(2, 2 + others))
    return graph.add("Where", within, rows, np.array(np.nan, dtype))


def _by_target(graph, scores, loss, axes, K):
    """Scores [..., K, S], float64."""
    return graph.add("Reshape", graph.cast(scores, "float64"), np.array([0] * axes + [K, loss.width]))


def _add_points(graph, scores, loss):
    if loss.name == "quantile":
        level = min(max(0.5, loss.levels[0]), loss.levels[-1])
        weights = _interpolation(loss.levels, [level])[:, 0]
        return graph.add("MatMul", _add_steps(graph, scores, loss.width), weights)
    first = graph.add("Gather", scores, np.int64(0), axis=-1)
    return first if loss.name == "gaussian_nll" else graph.add("Exp", first)


def _add_steps(graph, scores, width):
    """The lowest quantile, and the distances of the others from the one below: softplus of their scores."""
    tail = graph.add("Exp", graph.add("Neg", graph.add("Abs", scores)))
    steps = graph.add("Add", graph.add("Max", scores, 0.0), graph.add("Log", graph.add("Add", tail, 1.0)))
    return graph.add("Where", np.arange(width) == 0, scores, steps)


def _interpolation(fitted, asked):
    """Weights [S, L] of the steps between the fitted quantiles in those asked for."""
    weights = np.array([[np.interp(level, fitted, unit) for level in asked] for unit in np.eye(len(fitted))])
    return np.cumsum(weights[::-1], axis=0)[::-1].copy()  # a step is part of its own quantile and of all above it


def _add_unscaling(graph, rows, scale, mean):
    return graph.add("Add", graph.add("Mul", rows, scale), mean)
