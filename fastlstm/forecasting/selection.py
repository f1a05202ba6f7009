"""Choice of the scaling by forecasts of a held-out tail, and the fit of the final predictor."""

from dataclasses import dataclass, replace

import numpy as np

from fastlstm.forecasting.counts import Counts
from fastlstm.forecasting.histories import Histories, Units
from fastlstm.forecasting.intervals import LEVELS, Errors, fit_errors, fit_hits
from fastlstm.forecasting.linear import fit_linear, intercept_only
from fastlstm.forecasting.predictor import ONE_SIGMA, Direct, Recursive, Run, resolve_settings, train_network
from fastlstm.forecasting.transforms import Differences
from fastlstm.forecasting.windows import RollingWindows, Windows
from fastlstm.training.collective import ALONE

TAIL = 0.2  # fraction of a series that is held out
CLOSE = 1.1  # scalings whose linear forecasts are worse than the best by more than this factor are not trained
MOST_ORIGINS = 5000
FEW_ORIGINS, FEW_PATHS = 200, 100  # to compare quantiles of counts with what happened
HARDLY = 1.02  # of scalings that are worse than the best by no more than this factor, the first is used
CAUTION = 1.0  # where the level drifts, likewise by no more than this number of standard errors
DRIFT = 1.25  # the level drifts if the standard deviation of a series is larger than that of its windows by this factor
EXPONENTS = np.linspace(0, 1, 11)  # of the networks' standard deviations
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
    predictor: Direct | Recursive
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
    differences: Differences
    skip: str | None
    n_models: int
    roles: object
    loss: object
    recursive: bool = False
    most: int | None = None

    @property
    def inputs(self):
        """What the linear model reads."""
        return self.roles.inputs(self.window, 1 if self.recursive else self.horizon)

    @property
    def counts(self):
        """Whether the series are counts, which the base model does not forecast."""
        return self.loss.targets == "counts"

    @property
    def shift(self):
        """Number of steps from the end of a window to the time of its covariates known ahead."""
        return 1 if self.recursive else self.horizon

    def ahead(self, steps):
        """Number of steps beyond the end of a series whose covariates are read to forecast `steps` steps."""
        return steps - 1 if self.recursive else 0

    @property
    def blends(self):
        """Whether the networks' corrections count in part only."""
        return self.skip is not None and not self.counts

    def units(self, values, scaling):
        """The `Units` of series; those of counts are shared by all series."""
        if self.counts:
            shared = Units.of(np.concatenate(values), "log1p", self.differences, "series", self.window)
            return [shared] * len(values)
        return [Units.of(y, self.transform, self.differences, scaling, self.window) for y in values]

    def windows(self, histories, scaling, ends=None):
        """Windows to train on; their targets end before the steps `ends`."""
        what = histories.table, self.window, self.horizon, histories.runs(self.horizon, ends), scaling, self.most
        return RollingWindows(*what, self.roles.past) if self.recursive else Windows(*what)

    def base(self, windows, units):
        """Fit what forecasts start from."""
        if self.counts:
            return Counts(units[0].mean, units[0].std)
        fitted = fit_linear if self.skip == "linear" else intercept_only
        return fitted(windows.one_step if self.recursive else windows, self.inputs)

    def predictor(self, scaling, base, networks, share):
        what = self.window, self.horizon, scaling, base, networks, share
        return Recursive(*what, held=self.roles.past) if self.recursive else Direct(*what)

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


def fit(plan, values, observed, covariates, parameters, seed, processes=ALONE):
    """Choose the scaling, fit the predictor, and measure its errors; `processes` as in `train_network`."""
    ends = tails(values, plan)
    series, origins = held_out_origins(values, observed, ends, plan.horizon, plan.differences.lost + plan.window)
    # without a held-out part, nothing says that a network improves on the linear model
    scaling, share, spread, errors, tried = plan.scalings[0], float(not plan.blends), {"sharpness": 0.0}, None, {}
    trials = _Trials(plan, values, observed, covariates, ends, series, origins, parameters, seed, processes)
    if trials.are_possible:
        scaling, share, spread, errors, tried = trials.best()
    final = Histories(values, observed, plan.units(values, scaling), covariates, plan.window)
    windows = plan.windows(final, scaling)
    if not len(windows):
        raise ValueError(
            f"y has NaN among the {plan.horizon} values after every window: reduce horizon, or impute missing values; "
            "for days without values, such as Sundays, leave them out and pass freq, for example 'B'."
        )
    predictor = fit_predictor(plan, windows, plan.base(windows, final.units), parameters, seed, processes, share)
    if errors is not None and errors.factors is not None and not plan.counts:
        for unit, factor in zip(final.units, errors.factors, strict=True):
            unit.error = factor
    settings = resolve_settings(windows, parameters, processes)
    return Fit(final.units, replace(predictor, **spread), settings, errors, tried)


def fit_predictor(plan, windows, base, parameters, seed, processes, share=1.0):
    """Train the networks on the targets of the base model; there are none if nothing depends on them."""
    windows.base, models = base, []
    for number in range(plan.n_models if share or plan.loss.is_distribution else 0):
        name = f"scaling={windows.scaling!r}"
        models.append(train_network(windows, parameters, plan.loss, plan.roles.codes, seed + number, name, processes))
    return plan.predictor(windows.scaling, base, models, share)


class _Trials:
    """Fits to the steps before the tails, and their errors in the tails."""

    def __init__(self, plan, values, observed, covariates, ends, series, origins, parameters, seed, processes):
        self._processes = processes
        self._data = values, observed, covariates, ends
        self._plan, self._at, self._parameters, self._seed = plan, (series, origins), parameters, seed
        self._run = Run(parameters._kernels_for(parameters.dtype), parameters.n_jobs)
        histories, windows = self._windows(plan.scalings[0])  # if there are several, the first is "window"
        self.are_possible = len(series) > 0 and len(windows) > 0
        self._drifts = float(np.mean([unit.size / unit.std for unit in histories.units])) > DRIFT

    def best(self):
        """The best scaling, share of its networks, how far to trust their spread, errors, and those of all trials."""
        plan, results = self._plan, {}
        bases = {scaling: self._base(scaling) for scaling in plan.scalings}
        linear = {scaling: sizes for scaling, (_, sizes) in bases.items() if sizes is not None}
        tried = {scaling: {"linear": float(linear[scaling].mean())} if linear else {} for scaling in plan.scalings}
        for scaling in self._as_good(linear, CLOSE) or plan.scalings:
            results[scaling] = self._result(scaling, bases[scaling][0])
            tried[scaling]["network"] = float(results[scaling][0].mean())
        scaling = self._as_good({scaling: sizes for scaling, (sizes, *_) in results.items()}, HARDLY)[0]
        return scaling, *results[scaling][1:], tried

    def _as_good(self, sizes, factor):
        """The scalings that are worse than the best by no more than a factor.

        Where the level drifts, also those that are worse by no more than may be chance: scaled by the series, windows
        are like none before as soon as the level leaves its range. sizes: sizes of the errors by scaling, [n]; one in H
        of them counts for the standard error, since forecasts overlap.
        """
        if not sizes:
            return []
        best = min(sizes.values(), key=np.mean)
        number = max(1.0, len(best) / self._plan.horizon)
        differences = {scaling: of - best for scaling, of in sizes.items()}
        limits = {
            scaling: max((factor - 1) * best.mean(), self._drifts * CAUTION * of.std() / np.sqrt(number))
            for scaling, of in differences.items()
        }
        return [scaling for scaling, of in differences.items() if of.mean() <= limits[scaling]]

    def _base(self, scaling):
        """The base model, and the sizes of the errors of its forecasts; None for counts."""
        histories, windows = self._windows(scaling)
        base = self._plan.base(windows, histories.units)
        if self._plan.counts:
            return base, None
        return base, self._in_size(self._error(histories, self._plan.predictor(scaling, base, [], 0.0))[0], histories)

    def _result(self, scaling, base):
        """Sizes of the errors, share of the networks, how far to trust their spread, and errors in units."""
        plan = self._plan
        histories, windows = self._windows(scaling)
        predictor = fit_predictor(plan, windows, base, self._parameters, self._seed, self._processes)
        error, unit = self._error(histories, predictor)
        if plan.blends:
            error_0, _ = self._error(histories, predictor.with_share(0.0))
            predictor = predictor.with_share(self._share(error_0, error, histories))
            if plan.recursive:  # its forecasts are not linear in the share
                error, unit = self._error(histories, predictor)
            else:
                error = error_0 + predictor.share * (error - error_0)
        spread = {}
        if plan.loss.name == "gaussian_nll":
            spread = self._spread(histories, predictor, error)
            _, unit = self._error(histories, replace(predictor, **spread))
        errors = fit_errors(error / unit, self._at[0], len(histories))
        if plan.loss.name == "quantile":
            found = histories.quantiles(predictor, *self._at, plan.loss.levels, self._run)
            errors = errors.with_shifts(
                (self._actual(histories)[..., None] - found) / unit[..., None], plan.loss.levels
            )
        if plan.counts:
            errors = replace(errors, hits=self._hits(histories, predictor))
        return self._in_size(error, histories), predictor.share, spread, errors

    def _hits(self, histories, predictor):
        """How often quantiles of counts are right, at some of the origins."""
        few = slice(None, None, -(-len(self._at[0]) // FEW_ORIGINS))
        series, origins = (of[few] for of in self._at)
        if self._plan.recursive:
            shape = len(series), self._plan.horizon, FEW_PATHS
            uniform = np.random.default_rng(self._seed).random(shape)
            paths = histories.sample(predictor, series, origins, self._plan.horizon, uniform, self._run)
            quantiles = np.moveaxis(np.quantile(paths, LEVELS, axis=2, method="higher"), 0, 2)
        else:
            quantiles = histories.quantiles(predictor, series, origins, LEVELS, self._run)
        actual = histories.undo(series, self._actual(histories)[few])
        return fit_hits(np.rint(actual), np.rint(histories.undo(series, quantiles)))

    def _windows(self, scaling):
        # Design: made anew where they are needed, since those of all scalings together take several times the memory
        values, observed, covariates, ends = self._data
        units = self._plan.units([y[:end] for y, end in zip(values, ends, strict=True)], scaling)
        histories = Histories(values, observed, units, covariates, self._plan.window)
        return histories, self._plan.windows(histories, scaling, ends)

    def _error(self, histories, predictor):
        levels, unit = histories.forecast(predictor, *self._at, self._run)
        return self._actual(histories) - levels, unit

    def _actual(self, histories):
        return histories.actual(*self._at, self._plan.horizon)

    def _spread(self, histories, predictor, error):
        """How far to trust the networks' standard deviations: the exponent and the factor of the highest likelihood."""
        _, constant = self._error(histories, replace(predictor, sharpness=0.0))
        if self._plan.recursive:
            levels = (np.full((len(error), 1, 1), level) for level in (0.5, ONE_SIGMA))
            middle, above = (histories.sample(predictor, *self._at, 1, uniform, self._run) for uniform in levels)
            constant, error = constant * predictor.base.error, error[:, :1]
            learned = (above - middle)[..., 0] / constant
        else:
            learned = self._error(histories, replace(predictor, sharpness=1.0))[1] / constant
        error, learned, best = error / constant, np.maximum(learned, 1e-12), None
        for exponent in EXPONENTS:
            factors = np.sqrt(np.mean((error / learned**exponent) ** 2, axis=0))
            loss = np.mean(np.log(np.maximum(factors, 1e-12) * learned**exponent))
            if best is None or loss < best[0]:
                best = loss, exponent, factors[0]
        return {"sharpness": float(best[1]), "calibration": float(best[2])}

    def _sizes(self, histories):
        return np.array([unit.size for unit in histories.units])[self._at[0], None]

    def _in_size(self, error, histories):
        """Mean absolute errors [n], in standard deviations of the series."""
        return np.abs(error / self._sizes(histories)).mean(axis=1)

    def _share(self, error_0, error_1, histories):
        """Share of the networks' corrections with the least squared error, 0 to 1, less what may be chance.

        Its variance, as if only one in H forecasts counted, since they overlap, shrinks it as in James & Stein (1961).
        """
        sizes = self._sizes(histories)
        correction, wanted = (error_0 - error_1) / sizes, error_0 / sizes
        size = max((correction**2).sum(), 1e-12)
        share = min(1.0, float((correction * wanted).sum() / size))
        if share <= 0:
            return 0.0
        variance = ((wanted - share * correction) ** 2).sum() / size * self._plan.horizon / len(wanted)
        return max(0.0, float(share - variance / share))
