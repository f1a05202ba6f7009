"""Forecasters as nodes of a graph."""

import numpy as np

from fastlstm.export.onnx import network, predictions
from fastlstm.export.onnx.graph import Value
from fastlstm.forecasting.counts import Counts
from fastlstm.forecasting.scaling import FLOOR

#: Exponents of the Box-Cox transform below which it is a logarithm, but for rounding errors.
SMALLEST_POWER = 1e-9


def add_forecaster(graph, estimator, dtype):
    """Add a fitted forecaster; returns its inputs and outputs."""
    plan, fit, positive = estimator._plan, estimator._fitted, estimator._parameters.positive
    _check(estimator)
    units, predictor, lost = fit.units, fit.predictor, plan.differences.lost
    width = plan.window + lost
    inputs = [Value("y", "y", dtype, ("N", width), f"The last {width} values of N series, oldest first")]
    of_units = np.array([[unit.mean, unit.std, unit.levels.power] for unit in units])
    if len({tuple(row) for row in of_units.tolist()}) > 1:
        doc = f"Positions of the N series among the {len(units)} series of fit"
        inputs.append(Value("series", "series", "int64", ("N",), doc))
        mean, std, power = (graph.add("Gather", column, "series", axis=0) for column in of_units.T[:, :, None])
    else:
        mean, std, power = of_units[0]
    transform = units[0].levels.name
    levels = _add_transform(graph, graph.cast("y", "float64"), transform, power)
    stages = [levels]
    for lag in plan.differences.lags:
        earlier = graph.columns(stages[-1], 0, -lag)
        stages.append(graph.add("Sub", graph.columns(stages[-1], lag), earlier))
    changes = graph.add("Div", graph.add("Sub", stages.pop(), mean), std)
    values = graph.cast(graph.cast(changes, "float32"), "float64")  # the forecaster's table is float32
    forecasts = _add_predictor(graph, predictor, values)
    forecasts = graph.add("Add", graph.add("Mul", forecasts, std), mean)
    for before, lag in zip(reversed(stages), reversed(plan.differences.lags), strict=True):
        forecasts = _add_sums(graph, graph.columns(before, -lag), forecasts, lag, plan.horizon)
    forecasts = _add_inverse(graph, forecasts, transform, power)
    if positive:
        forecasts = graph.add("Max", forecasts, 0.0)
    doc = "Forecasts of the next values"
    return inputs, [Value("variable", graph.cast(forecasts, dtype), dtype, ("N", plan.horizon), doc)]


def _check(estimator):
    """Raise ValueError unless the forecaster can be exported."""
    plan, why = estimator._plan, None
    if plan.recursive:
        why = "strategy='recursive' cannot be exported to ONNX: fit with strategy='direct'."
    elif any(plan.roles):
        why = (
            "The covariates of a forecaster (X, static, calendar, trend) cannot be exported to ONNX: fit without them."
        )
    if why:
        raise ValueError(why)


def _add_transform(graph, y, name, power):
    """Levels of values: see `Levels.apply`."""
    if name is None:
        return y
    logarithms = graph.add("Log", graph.add("Add", y, 1.0) if name == "log1p" else y)
    if name != "boxcox":
        return logarithms
    is_log, power = _box_cox(graph, power)
    powers = graph.add("Sub", graph.add("Exp", graph.add("Mul", logarithms, power)), 1.0)
    return graph.add("Where", is_log, logarithms, graph.add("Div", powers, power))


def _add_inverse(graph, levels, name, power):
    """Values of levels: see `Levels.undo`."""
    if name is None:
        return levels
    if name != "boxcox":
        values = graph.add("Exp", levels)
        return graph.add("Sub", values, 1.0) if name == "log1p" else values
    is_log, power = _box_cox(graph, power)
    powers = graph.add("Max", graph.add("Add", graph.add("Mul", levels, power), 1.0), 0.0)
    exponents = graph.add("Where", is_log, levels, graph.add("Div", graph.add("Log", powers), power))
    return graph.add("Exp", exponents)


def _box_cox(graph, power):
    """Whether the transform is a logarithm, and the exponent, 1 if it is."""
    power = power if isinstance(power, str) else np.array(power)
    is_log = graph.add("Less", power, SMALLEST_POWER)
    return is_log, graph.add("Where", is_log, 1.0, power)


def _add_predictor(graph, predictor, values):
    """Forecasts [N, H] of windows [N, T] of standardised values: see `Direct.predict`."""
    T = predictor.window
    centre, spread = 0.0, 1.0
    if predictor.scaling in ("window", "last"):
        mean = graph.add("MatMul", values, np.full((T, 1), 1 / T))
        residuals = graph.add("Sub", values, mean)
        variance = graph.add("MatMul", graph.add("Mul", residuals, residuals), np.full((T, 1), 1 / T))
        spread = graph.add("Max", graph.add("Sqrt", variance), FLOOR)
        centre = mean if predictor.scaling == "window" else graph.columns(values, -1)
    x = graph.cast(graph.add("Div", graph.add("Sub", values, centre), spread), "float32")
    base, point = predictor.base, None
    if predictor._asked:
        steps = graph.add("Unsqueeze", graph.add("Transpose", x, perm=[1, 0]), np.array([2]))
        points = [_add_points(graph, steps, model) for model in predictor.networks]
        total = graph.add("Sum", *points) if len(points) > 1 else points[0]
        point = graph.add("Mul", total, predictor.share / len(points))
    if isinstance(base, Counts):
        logarithms = graph.add("Log", graph.add("Add", graph.add("Max", point, 0.0), 1.0))
        forecasts = graph.add("Div", graph.add("Sub", logarithms, base.mean), base.std)
    else:
        forecasts = graph.add("Add", graph.add("MatMul", graph.cast(x, "float64"), base.weight.T), base.bias)
        if point is not None:
            forecasts = graph.add("Add", forecasts, graph.add("Mul", point, base.error))
    return graph.add("Add", graph.add("Mul", forecasts, spread), centre)


def _add_points(graph, x, model):
    scores = network.add_head(graph, network.add_layers(graph, x, model), model)
    return predictions.add_numbers(graph, scores, model.output, 1, model.n_targets)


def _add_sums(graph, before, changes, lag, horizon):
    """Sums [N, H] of changes over the steps of `lag`, starting from the last values before [N, lag]."""
    phase = np.arange(horizon) % lag
    earlier = (phase[:, None] == phase) & np.tri(horizon, dtype=bool).T  # [changes, sums]
    sums = graph.add("MatMul", changes, earlier.astype("float64"))
    return graph.add("Add", sums, graph.add("Gather", before, phase, axis=1))
