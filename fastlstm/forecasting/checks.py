"""Checks of arguments and of parameters against each other: each raises ValueError for what is invalid."""

import numpy as np

from fastlstm import containers
from fastlstm.estimators.inputs import check_levels
from fastlstm.forecasting.data import COUNTS
from fastlstm.layers.checks import is_count


def check_count(value, name):
    """A positive integer as int."""
    if not is_count(value):
        raise ValueError(f"{name}={containers.brief(value)}; expected an integer, 1 or more.")
    return int(value)


def check_flag(value, name):
    """A boolean as bool."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name}={containers.brief(value)}; expected True or False.")
    return bool(value)


def check_horizon(horizon, plan):
    """The number of steps to forecast, that of the fit for None."""
    if horizon is None:
        return plan.horizon
    if check_count(horizon, "horizon") > plan.horizon and not plan.recursive:
        raise ValueError(
            f"horizon={containers.brief(horizon)}; expected an integer from 1 to {plan.horizon}, the horizon that the "
            "model was fitted for: for more, fit with a larger horizon, or with strategy='recursive'."
        )
    return int(horizon)


def check_coverage(coverage):
    """The coverage of an interval as float."""
    levels = check_levels(coverage, "coverage")
    if len(levels) != 1:
        raise ValueError(f"coverage={containers.brief(coverage)}; expected one number in (0, 1).")
    return levels[0]


def check_distinct_levels(levels):
    """Levels of quantiles as floats, and the names of their columns."""
    levels = check_levels(levels, "levels")
    names = [f"{level:g}" for level in levels]
    doubled = [name for n, name in enumerate(names) if name in names[:n]]
    if doubled:
        raise ValueError(
            f"levels has {', '.join(dict.fromkeys(doubled))} more than once; expected levels that differ in their "
            "first six digits, as they name the columns of the result."
        )
    return levels, names


def check_parameters(parameters):
    """Check the parameters of a forecaster against each other."""
    loss, strategy = parameters.loss, parameters.strategy
    neutral = {}
    if loss == "quantile":
        levels = check_levels(parameters.quantile, "quantile")
        if sorted(set(levels)) != list(levels):
            raise ValueError(f"quantile={containers.brief(parameters.quantile)}: expected levels in increasing order.")
        if strategy == "recursive":
            raise ValueError(
                "loss='quantile' describes each step on its own, which is not enough for strategy='recursive': set "
                "strategy='direct' or loss='gaussian_nll'."
            )
        neutral = {"differences": 0, "seasonal_differences": 0}
    elif loss in COUNTS:
        neutral = {"scaling": "auto", "transform": None, "differences": 0, "seasonal_differences": 0}
    for name, value in neutral.items():
        if getattr(parameters, name) != value:
            raise ValueError(
                f"{name}={getattr(parameters, name)!r}, but loss={loss!r} requires {value!r}: change one of them."
            )
    if strategy == "recursive" and parameters.bidirectional:
        raise ValueError(
            "strategy='recursive' forecasts step by step, but bidirectional=True requires whole series: set "
            "strategy='direct' or bidirectional=False."
        )
    if parameters.cyclic is not None and not len(parameters.calendar):
        raise ValueError(f"cyclic={parameters.cyclic} has no effect without calendar: set it to None, or set calendar.")
