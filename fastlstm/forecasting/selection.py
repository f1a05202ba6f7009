"""Choice of the scaling by forecasts of a held-out tail, and the fit of the final predictor."""

from dataclasses import dataclass

import numpy as np

from fastlstm.forecasting.histories import Histories, Units
from fastlstm.forecasting.intervals import Errors, fit_errors
from fastlstm.forecasting.linear import fit_linear, intercept_only
from fastlstm.forecasting.predictor import Predictor, resolve_settings, train_network

TAIL = 0.2  # fraction of a series that is held out
CLOSE = 1.1  # scalings whose linear forecasts are worse than the best by more than this factor are not trained
MOST_ORIGINS = 5000
HARDLY = 1.02  # of scalings that are worse than the best by no more than this factor, the first is used
FEWEST_WINDOWS = 4  # to train on before a held-out tail


@dataclass(frozen=True)
class Fit:
    """A fitted predictor, and what was found on the held-out tail.

    Attributes
    ----------
    units : list of Units
        Of each series.
    settings : dict
        Values used for the parameters of the network that can be "auto".
    errors : Errors or None
        None if no series is long enough to hold out a tail.
    tried : dict of str to dict
        Mean absolute errors of the held-out tail by scaling: of the linear forecasts and, where a network was trained,
        of the final ones.
    """

    units: list
    predictor: Predictor
    settings: dict
    errors: Errors | None
    tried: dict


@dataclass(frozen=True)
class Plan:
    """What to fit: see the parameters of `LSTMForecaster`."""

    window: int
    horizon: int
    scalings: tuple
    transform: str | None
    differences: object
    skip: str | None
    n_models: int
    inputs: object
    most: int | None = None

    @property
    def least(self):
        """Number of values of the shortest series that can be trained on."""
        return self.differences.lost + self.window + self.horizon

    @property
    def least_before_tail(self):
        """Number of values of the shortest series, without its tail, of which a tail is held out."""
        return self.least + FEWEST_WINDOWS - 1


def tails(values, plan):
    """Step at which the held-out tail of each series begins; its end if the series is too short for one."""
    starts = []
    for y in values:
        tail = max(2 * plan.horizon, int(np.ceil(TAIL * (len(y) - plan.differences.lost))))
        tail = min(tail, len(y) - plan.least_before_tail)
        starts.append(len(y) - tail if tail >= plan.horizon else len(y))
    return starts


def held_out_origins(values, observed, ends, horizon, least):
    """Series and first steps of the forecasts of the tails, evenly spaced if there are many.

    least: number of steps from the first observation on.
    """
    counts = [max(0, len(y) - horizon + 1 - end) for y, end in zip(values, ends, strict=True)]
    stride = -(-sum(counts) // MOST_ORIGINS) or 1
    origins = [np.arange(end, end + count, stride) for end, count in zip(ends, counts, strict=True)]
    origins = [at[[there[p : p + horizon].all() for p in at]] for at, there in zip(origins, observed, strict=True)]
    origins = [at[at >= np.argmax(there) + least] for at, there in zip(origins, observed, strict=True)]
    return np.repeat(np.arange(len(values)), list(map(len, origins))), np.concatenate(origins)


def fit(plan, values, observed, covariates, parameters, seed):
    """Choose the scaling, fit the predictor, and measure its errors."""
    ends = tails(values, plan)
    series, origins = held_out_origins(values, observed, ends, plan.horizon, plan.differences.lost + plan.window)
    # without a held-out part, nothing says that a network improves on the linear model
    scaling, share, errors, tried = plan.scalings[0], 0.0 if plan.skip else 1.0, None, {}
    if len(series):
        trials = _Trials(plan, values, observed, covariates, ends, series, origins, parameters, seed)
        scaling, share, errors, tried = trials.best()
    final = make_histories(plan, values, observed, covariates, [len(y) for y in values], scaling)
    windows = final.windows(plan.horizon, scaling, most=plan.most)
    predictor = fit_predictor(plan, windows, fit_base(plan, windows), parameters, seed, share)
    return Fit(final.units, predictor, resolve_settings(windows, parameters), errors, tried)


def make_histories(plan, values, observed, covariates, ends, scaling):
    """`Histories` whose units come from the steps before `ends`."""
    units = [
        Units(y[:end], plan.transform, plan.differences, scaling, plan.window)
        for y, end in zip(values, ends, strict=True)
    ]
    return Histories(values, observed, units, covariates, plan.window)


def fit_base(plan, windows):
    """Fit the linear model, or without one the mean."""
    return (fit_linear if plan.skip == "linear" else intercept_only)(windows, plan.inputs)


def fit_predictor(plan, windows, linear, parameters, seed, share=1.0):
    """Train the networks on the errors of the linear model; without a share, there are none."""
    windows.linear, models = linear, []
    for number in range(plan.n_models if share else 0):
        models.append(train_network(windows, parameters, seed + number, f"scaling={windows.scaling!r}"))
    return Predictor(plan.window, plan.horizon, windows.scaling, linear, models, share)


class _Trials:
    """Fits to the steps before the tails, and their errors in the tails."""

    def __init__(self, plan, values, observed, covariates, ends, series, origins, parameters, seed):
        self._data = values, observed, covariates, ends
        self._plan, self._at, self._parameters, self._seed = plan, (series, origins), parameters, seed

    def best(self):
        """The best scaling, the share of its networks, its errors in units, and the errors of all that was tried."""
        plan, results = self._plan, {}
        linears = {scaling: self._linear(scaling) for scaling in plan.scalings}
        tried = {scaling: {"linear": mean} for scaling, (_, mean) in linears.items()}
        limit = CLOSE * min(of["linear"] for of in tried.values())
        for scaling in plan.scalings:
            if tried[scaling]["linear"] <= limit:
                results[scaling] = self._result(scaling, linears[scaling][0])
                tried[scaling]["network"] = results[scaling][0]
        limit = HARDLY * min(mean for mean, *_ in results.values())
        scaling = next(name for name in plan.scalings if name in results and results[name][0] <= limit)
        return scaling, *results[scaling][1:], tried

    def _linear(self, scaling):
        """The linear model, and the mean absolute error of its forecasts."""
        histories, windows = self._windows(scaling)
        linear = fit_base(self._plan, windows)
        predictor = Predictor(self._plan.window, self._plan.horizon, scaling, linear, [])
        return linear, self._mean(self._error(histories, predictor)[0], histories)

    def _result(self, scaling, linear):
        """Mean absolute error, share of the networks, and errors in units."""
        histories, windows = self._windows(scaling)
        predictor = fit_predictor(self._plan, windows, linear, self._parameters, self._seed)
        error_0, unit = self._error(histories, predictor, 0.0)
        error_1, _ = self._error(histories, predictor, 1.0)
        share = self._share(error_0, error_1, histories)
        error = error_0 + share * (error_1 - error_0)
        return self._mean(error, histories), share, fit_errors(error / unit)

    def _windows(self, scaling):
        # Design: made anew where they are needed, since those of all scalings together take several times the memory
        values, observed, covariates, ends = self._data
        histories = make_histories(self._plan, values, observed, covariates, ends, scaling)
        return histories, histories.windows(self._plan.horizon, scaling, ends=ends, most=self._plan.most)

    def _error(self, histories, predictor, share=0.0):
        series, origins = self._at
        predictor = predictor.with_share(share)
        levels, unit = histories.forecast(predictor, series, origins, self._parameters.backend, self._parameters.n_jobs)
        return histories.actual(series, origins, self._plan.horizon) - levels, unit

    def _sizes(self, histories):
        return np.array([unit.size for unit in histories.units])[self._at[0], None]

    def _mean(self, error, histories):
        return float(np.abs(error / self._sizes(histories)).mean())

    def _share(self, error_0, error_1, histories):
        """Share of the networks' corrections with the least squared error, 0 to 1; 1 without a linear model."""
        if self._plan.skip is None:
            return 1.0
        sizes = self._sizes(histories)
        correction, wanted = (error_0 - error_1) / sizes, error_0 / sizes
        return float(np.clip((correction * wanted).sum() / max((correction**2).sum(), 1e-12), 0, 1))
