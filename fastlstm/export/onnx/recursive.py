"""Recursive forecasts as a loop in a graph: each forecast is the input of the next step."""

import numpy as np

from fastlstm.export.onnx import network, predictions
from fastlstm.export.onnx.graph import add_loop
from fastlstm.forecasting.counts import Counts


def add_forecasts(graph, predictor, x):
    """Forecasts [N, H] of scaled windows x [N, T], float32, without covariates: see `Recursive.predict`."""
    models = predictor.networks if predictor._asked else [None]
    rolled = [_add_rolled(graph, predictor, model, x) for model in models]
    total = graph.add("Sum", *rolled) if len(rolled) > 1 else rolled[0]
    return graph.add("Div", total, float(len(rolled)))


def _add_rolled(graph, predictor, model, x):
    """Forecasts [N, H] by one network, or by the linear model alone."""
    start = [graph.cast(x, "float64")]
    if model is not None:
        weights = network.add_weights(graph, model)
        steps = graph.add("Unsqueeze", graph.add("Transpose", x, perm=[1, 0]), np.array([2]))
        features, states = network.add_recurrence(graph, steps, model, weights, None)
        start += [_add_point(graph, features, model), *(state for of_layer in states for state in of_layer)]

    def step(body, lags, *carried):
        forecast = _add_forecast(body, predictor, lags, carried[0] if carried else None)
        lags = body.add("Concat", body.slice(lags, 1), forecast, axis=1)
        if model is None:
            return [lags], forecast
        per_layer = len(model.stack.states)
        before = [carried[n : n + per_layer] for n in range(1, len(carried), per_layer)]
        now = body.add("Unsqueeze", body.cast(forecast, "float32"), np.array([0]))
        features, after = network.add_recurrence(body, now, model, weights, before)
        return [lags, _add_point(body, features, model), *(state for of_layer in after for state in of_layer)], forecast

    dtypes = ["float64", "float64"] + ["float32"] * (len(start) - 2)
    forecasts = add_loop(graph, predictor.horizon, start, dtypes[: len(start)], step, "float64")  # [H, N, 1]
    return graph.add("Transpose", graph.add("Squeeze", forecasts, np.array([2])), perm=[1, 0])


def _add_point(graph, features, model):
    """Point prediction [N, 1] of the next step."""
    return predictions.add_numbers(graph, network.add_head(graph, features, model), model.output, 1, 1)


def _add_forecast(graph, predictor, lags, point):
    """The next value [N, 1] from the last ones [N, T] and the network's prediction."""
    base = predictor.base
    if isinstance(base, Counts):
        return add_counts(graph, point, base)
    forecast = graph.add("Add", graph.add("MatMul", lags, base.weight[:1].T), base.bias[:1])
    if point is None:
        return forecast
    return graph.add("Add", forecast, graph.add("Mul", point, predictor.share * base.error[0]))


def add_counts(graph, counts, base):
    """Counts as the network sees them: see `Counts.values`."""
    logarithms = graph.add("Log", graph.add("Add", graph.add("Max", counts, 0.0), 1.0))
    return graph.add("Div", graph.add("Sub", logarithms, base.mean), base.std)
