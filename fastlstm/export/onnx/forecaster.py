"""Forecasters as nodes of a graph."""

import numpy as np

from fastlstm import containers
from fastlstm.export.onnx import network, predictions, recursive
from fastlstm.export.onnx.graph import Value
from fastlstm.forecasting.counts import Counts
from fastlstm.forecasting.predictor import Recursive
from fastlstm.forecasting.scaling import FLOOR

#: Exponents of the Box-Cox transform below which it is a logarithm, but for rounding errors.
SMALLEST_POWER = 1e-9


def add_forecaster(graph, estimator, dtype):
    """Add a fitted forecaster; returns its inputs and outputs."""
    _check(estimator)
    plan, fit, static = estimator._plan, estimator._fitted, estimator._data.static
    units, P = fit.units, plan.window + plan.differences.lost
    inputs = [Value("y", "y", dtype, ("N", P), f"The last {P} values of N series, oldest first")]
    mean, std, power, static = _add_of_series(graph, units, static, inputs)
    transform = units[0].levels.name
    stages = [_add_transform(graph, graph.cast("y", "float64"), transform, power)]
    stages += _add_differences(graph, stages[0], plan.differences)
    changes = graph.add("Div", graph.add("Sub", stages.pop(), mean), std)
    y = graph.cast(graph.cast(changes, "float32"), "float64")  # the forecaster's table is float32
    covariates = _add_covariates(graph, estimator, dtype, inputs)
    if static is not None:
        covariates.append(_add_constant_channels(graph, static, y))
    forecasts = _add_predictor(graph, fit.predictor, y, covariates)
    forecasts = graph.add("Add", graph.add("Mul", forecasts, std), mean)
    for before, lag in zip(reversed(stages), reversed(plan.differences.lags), strict=True):
        forecasts = _add_sums(graph, graph.slice(before, -lag), forecasts, lag, plan.horizon)
    forecasts = _add_inverse(graph, forecasts, transform, power)
    if estimator._parameters.positive:
        forecasts = graph.add("Max", forecasts, 0.0)
    doc = "Forecasts of the next values"
    return inputs, [Value("variable", graph.cast(forecasts, dtype), dtype, ("N", plan.horizon), doc)]


def _add_of_series(graph, units, static, inputs):
    """Mean, standard deviation and power [N, 1] of each series, and its static covariates [N, S] or None.

    They are constants, [1, .], if they are the same for all series of `fit`; otherwise, appends `series` to the inputs.
    """
    of_units = np.array([[unit.mean, unit.std, unit.levels.power] for unit in units])
    tables = [*of_units.T[:, :, None], static]
    if all((table == table[0]).all() for table in tables):
        parts = [table[:1] for table in tables]
    else:
        doc = f"Positions of the N series among the {len(units)} series of fit"
        inputs.append(Value("series", "series", "int64", ("N",), doc))
        parts = [graph.add("Gather", table, "series", axis=0) if table.size else None for table in tables]
    return *parts[:3], parts[3] if static.size else None


def _add_constant_channels(graph, static, y):
    """Channels [N, T, S] of static covariates [N, S], for the steps of y [N, T]."""
    shape = graph.add("Concat", graph.add("Shape", y), np.array([1]), axis=0)
    return graph.add("Mul", graph.add("Unsqueeze", static, np.array([1])), graph.add("Expand", np.float32(1), shape))


def _check(estimator):
    """Raise ValueError unless the forecaster can be exported."""
    roles, encoding = estimator._plan.roles, estimator._data.encoding
    categories = [name for name, known in zip(encoding.names, encoding.categories, strict=True) if known is not None]
    for wrong, what, instead in (
        (
            estimator._plan.recursive and (encoding.names or roles.static),
            "Covariates of a forecaster with strategy='recursive'",
            "strategy='direct'",
        ),
        (roles.of_time, "The features of the calendar and the trend of a forecaster", "calendar=() and trend=False"),
        (categories, f"The categories in the columns {containers.few(categories)} of X", "numbers only"),
        (roles.codes, "Embedded categories of a forecaster", "embedding_size=None"),
    ):
        if wrong:
            raise ValueError(f"{what} cannot be exported to ONNX: fit with {instead}.")


def _add_differences(graph, rows, differences):
    """Rows [N, T, ...] after each of the differences along the second axis."""
    stages = []
    for lag in differences.lags:
        rows = graph.add("Sub", graph.slice(rows, lag), graph.slice(rows, 0, -lag))
        stages.append(rows)
    return stages


def _add_covariates(graph, estimator, dtype, inputs):
    """Channels [N, T, .] of the covariates in X, past ones and then those known ahead; appends X to the inputs."""
    plan, data = estimator._plan, estimator._data
    encoding, is_past, H = data.encoding, np.array(data.is_past), plan.horizon
    if not encoding.names:
        return []
    known = not is_past.all()
    steps = plan.window + plan.differences.lost + (H if known else 0)
    doc = f"Covariates {', '.join(map(str, encoding.names))} at the steps of y" + " and of the forecasts" * known
    inputs.append(Value("X", "X", dtype, ("N", steps, len(is_past)), doc))
    x = graph.add("Sub", graph.cast("X", "float64"), np.array(encoding.means))
    x = graph.cast(graph.add("Div", x, np.array(encoding.scales)), "float32")
    x = [x, *_add_differences(graph, x, plan.differences)][-1]
    parts = []
    for columns, first in ((np.flatnonzero(is_past), 0), (np.flatnonzero(~is_past), H)):
        if len(columns):
            parts.append(graph.slice(graph.add("Gather", x, columns, axis=2), first, first + plan.window))
    return parts


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


def _add_predictor(graph, predictor, y, covariates):
    """Forecasts [N, H] of windows [N, T] of standardised values: see `Direct` and `Recursive`."""
    T, centre, spread = predictor.window, 0.0, 1.0
    if predictor.scaling in ("window", "last"):
        mean = graph.add("MatMul", y, np.full((T, 1), 1 / T))
        residuals = graph.add("Sub", y, mean)
        variance = graph.add("MatMul", graph.add("Mul", residuals, residuals), np.full((T, 1), 1 / T))
        spread = graph.add("Max", graph.add("Sqrt", variance), FLOOR)
        centre = mean if predictor.scaling == "window" else graph.slice(y, -1)
    x = graph.cast(graph.add("Div", graph.add("Sub", y, centre), spread), "float32")
    if isinstance(predictor, Recursive):
        forecasts = recursive.add_forecasts(graph, predictor, x)
    else:
        forecasts = _add_direct(graph, predictor, x, covariates)
    return graph.add("Add", graph.add("Mul", forecasts, spread), centre)


def _add_direct(graph, predictor, x, covariates):
    """Scaled forecasts [N, H] of all horizons at once, from scaled windows x [N, T], float32."""
    base, point = predictor.base, None
    x = graph.add("Unsqueeze", x, np.array([2]))
    if covariates:
        x = graph.add("Concat", x, *covariates, axis=2)
    if predictor._asked:
        steps = graph.add("Transpose", x, perm=[1, 0, 2])
        points = [_add_points(graph, steps, model) for model in predictor.networks]
        total = graph.add("Sum", *points) if len(points) > 1 else points[0]
        point = graph.add("Mul", total, predictor.share / len(points))
    if isinstance(base, Counts):
        return recursive.add_counts(graph, point, base)
    values = _add_linear_inputs(graph, x, base.inputs)
    forecasts = graph.add("Add", graph.add("MatMul", values, base.weight.T), base.bias)
    return forecasts if point is None else graph.add("Add", forecasts, graph.add("Mul", point, base.error))


def _add_linear_inputs(graph, x, inputs):
    """Values [N, F] that a linear model reads from windows x [N, T, C]: see `Inputs.read`."""
    parts = []
    for channels, steps in (
        ((0,), inputs.window),
        (inputs.past, inputs._past_lags),
        (inputs.static, 1),
        (inputs.lagged, inputs.horizon + inputs._known_lags),
    ):
        if channels:
            values = graph.add("Gather", graph.slice(x, -steps), np.array(channels), axis=2)
            parts.append(graph.add("Reshape", values, np.array([0, steps * len(channels)])))
    return graph.cast(graph.add("Concat", *parts, axis=1) if len(parts) > 1 else parts[0], "float64")


def _add_points(graph, x, model):
    scores = network.add_head(graph, network.add_layers(graph, x, model), model)
    return predictions.add_numbers(graph, scores, model.output, 1, model.n_targets)


def _add_sums(graph, before, changes, lag, horizon):
    """Sums [N, H] of changes over the steps of `lag`, starting from the last values before [N, lag]."""
    phase = np.arange(horizon) % lag
    earlier = (phase[:, None] == phase) & np.tri(horizon, dtype=bool).T  # [changes, sums]
    sums = graph.add("MatMul", changes, earlier.astype("float64"))
    return graph.add("Add", sums, graph.add("Gather", before, phase, axis=1))
