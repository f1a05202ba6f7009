"""LSTMForecaster: from series to forecasts with intervals."""

import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastlstm.forecasting import LSTMForecaster, baselines, make_windows, selection
from fastlstm.forecasting.histories import Histories
from fastlstm.forecasting.linear import Inputs, fit_linear, intercept_only
from fastlstm.forecasting.transforms import Differences, fit_levels
from fastlstm.forecasting.windows import Table, Windows, complete_runs
from fastlstm.training.batches import ends_of
from fastlstm.training.collective import ALONE

QUICK = {"hidden_size": 8, "max_iter": 3, "random_state": 0, "n_jobs": 1}


def waves(n=160, noise=0.1, seed=0):
    return 2 + np.sin(np.arange(n) / 3) + noise * np.random.default_rng(seed).normal(size=n)


def lag3(n, seed=0):
    """y_t = 1 - 1.7 y_{t-3}^2 + noise: no linear model can forecast it."""
    rng, y = np.random.default_rng(seed), np.zeros(n + 100)
    y[:3] = rng.uniform(-0.5, 0.5, 3)
    for t in range(3, n + 100):
        y[t] = np.clip(1 - 1.7 * y[t - 3] ** 2 + 0.05 * rng.normal(), -1, 1)
    return y[100:]


def always_network(model, share=1.0):
    """The fitted model with the full contribution of its network, whatever share was chosen."""
    object.__setattr__(model._fitted, "predictor", model._fitted.predictor.with_share(share))
    return model


# -- windows and transforms ---------------------------------------------------------------------------------------


def test_runs_leave_out_windows_with_missing_targets():
    observed = np.ones(12, bool)
    observed[[5, 11]] = False
    # windows of 3 steps and 2 targets begin at 0 to 7; their targets are at +3 and +4
    assert complete_runs(observed, 12, 3, 2) == [(0, 1), (3, 4)]
    assert complete_runs(observed, 4, 3, 2) == []


def table_of(*series):
    table = Table([len(y) for y in series])
    for n, y in enumerate(series):
        table.series(n)[:] = y
    return table


@pytest.mark.parametrize("scaling", ["series", "window", "last"])
def test_batches_hold_the_windows_that_numpy_slices(scaling):
    series = np.random.default_rng(0).normal(size=(2, 9)).astype("f")
    windows = Windows(table_of(*series), 4, 2, [(0, 4), (9, 4)], scaling)
    explicit = np.concatenate([np.lib.stride_tricks.sliding_window_view(y, 6) for y in series]).astype(float)
    before, after = explicit[:, :4], explicit[:, 4:]
    centre = {"series": 0 * before[:, :1], "window": before.mean(1, keepdims=True), "last": before[:, -1:]}[scaling]
    spread = 1 if scaling == "series" else np.maximum(before.std(1, keepdims=True), 0.1)
    windows.base = intercept_only(windows, Inputs(4, 2))
    rows = np.array([7, 0, 3, 4])
    batch = windows.batch(rows, 0, None, np.dtype("float64"))
    assert_allclose(batch.x.reshape(4, 4), ((before - centre) / spread)[rows], rtol=1e-6)
    targets = (after - centre) / spread
    assert_allclose(batch.targets, ((targets - targets.mean(0)) / targets.std(0))[rows], rtol=1e-5, atol=1e-6)
    assert_array_equal(batch.starts, np.arange(5) * 4)


def test_an_epoch_has_each_window_once_or_a_sample_spread_evenly():
    windows = Windows(table_of(np.zeros(107)), 4, 4, [(0, 100)], "series")
    rows = np.concatenate([rows for _, rows in windows.batches(ends_of(len(windows), 7), (0, 0))])
    assert_array_equal(np.sort(rows), np.arange(100))
    few = Windows(table_of(np.zeros(107)), 4, 4, [(0, 100)], "series", most=10)
    first, second = (
        np.concatenate([rows for _, rows in few.batches(ends_of(len(few), 3), (0, epoch))]) for epoch in (0, 1)
    )
    assert_array_equal(np.sort(first) // 10, np.arange(10))
    assert not np.array_equal(np.sort(first), np.sort(second))


def test_the_linear_model_is_ridge_regression():
    y = waves(120)
    windows = Windows(table_of(y), 6, 2, [(0, 113)], "series")
    x, targets, _, _ = windows.scaled(np.arange(113))
    linear = fit_linear(windows, Inputs(6, 2))
    A = np.column_stack([np.ones(113), x[:, :, 0].astype(float)])
    penalties = [113 * p * np.diag([0] + [1] * 6) for p in 10.0 ** np.arange(-6, 2)]
    forecasts = [A @ np.linalg.solve(A.T @ A + penalty, A.T @ targets) for penalty in penalties]
    errors = [np.abs(linear.predict(x) - of_penalty).max(axis=0) for of_penalty in forecasts]
    assert np.min(errors, axis=0).max() < 1e-6  # each horizon has a penalty of its own
    assert_allclose(linear.error, np.sqrt(((linear.predict(x) - targets) ** 2).mean(0)), rtol=1e-4)


def test_the_linear_model_of_few_steps_of_a_random_walk_is_ridge_regression_about_persistence():
    y = np.random.default_rng(0).normal(size=50).cumsum()
    windows = Windows(table_of(y), 12, 2, [(0, 37)], "series")
    x, targets, _, _ = windows.scaled(np.arange(37))
    linear = fit_linear(windows, Inputs(12, 2))
    values = x[:, :, 0].astype(float)
    A, last = np.column_stack([np.ones(37), values]), values[:, -1:]
    forecasts = [
        last + A @ np.linalg.solve(A.T @ A + 37 * p * np.diag([0] + [1] * 12), A.T @ (targets - last))
        for p in 10.0 ** np.arange(-6, 2)
    ]
    errors = [np.abs(linear.predict(x) - of_penalty).max(axis=0) for of_penalty in forecasts]
    assert np.min(errors, axis=0).max() < 1e-6  # each horizon has a penalty of its own


@pytest.mark.parametrize("differences", [Differences(1), Differences(2), Differences(1, 1, 4), Differences(0, 2, 3)])
@pytest.mark.parametrize("horizon", [1, 3, 9])
def test_differences_are_inverted(differences, horizon):
    y = np.random.default_rng(0).normal(size=(2, 30)).cumsum(axis=1)
    changes = differences.apply(y)
    assert changes.shape[1] == 30 - differences.lost
    restored = differences.undo(y[:, :-horizon], changes[:, -horizon:])
    assert_allclose(restored, y[:, -horizon:], rtol=1e-12)


@pytest.mark.parametrize("name", [None, "log", "boxcox"])
def test_transforms_of_values_are_inverted(name):
    y = np.random.default_rng(0).lognormal(size=50)
    levels = fit_levels(name, y)
    assert_allclose(levels.undo(levels.apply(y)), y, rtol=1e-9)


# -- forecasts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scaling", ["series", "window", "last", "none"])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_first_step_depends_on_the_last_observation(scaling, share):
    y = waves()
    model = always_network(LSTMForecaster(3, 8, scaling=scaling, **QUICK).fit(y), share)
    before = model.predict()
    model._data.values[0][-1] += 0.5
    assert abs(model.predict()[0] - before[0]) > 0.01


def test_a_line_is_continued():
    model = LSTMForecaster(4, random_state=0, hidden_size=8).fit(np.arange(1.0, 101.0))
    assert_allclose(model.predict(), [101, 102, 103, 104], atol=0.1)


def test_what_no_linear_model_can_forecast_is_learned():
    y = lag3(700)
    result = LSTMForecaster(3, 12, hidden_size=32, random_state=0).fit(y[:600]).backtest(y[600:])
    errors = {name: of["mae"] for name, of in result.summary().items()}
    assert errors["lstm"] < 0.35 * errors["linear"]


def test_a_linear_process_is_forecast_no_worse_than_by_the_linear_model():
    rng, y = np.random.default_rng(0), np.zeros(500)
    for t in range(2, 500):
        y[t] = 1.5 * y[t - 1] - 0.7 * y[t - 2] + rng.normal()
    result = LSTMForecaster(4, 12, hidden_size=16, random_state=0).fit(y[:400]).backtest(y[400:])
    errors = {name: of["mae"] for name, of in result.summary().items()}
    assert errors["lstm"] < 1.05 * errors["linear"]


def test_forecasts_of_a_panel_are_those_of_one_model_for_each_series_alone():
    panel = {"a": waves(90), "b": 100 * waves(60, seed=1)}
    model = always_network(LSTMForecaster(3, 8, **QUICK).fit(panel))
    together = model.predict()
    before = model._data
    for key in panel:
        n = before.panel.ids.index(key)
        model._data.values[1 - n][:] = 1.0
        assert_array_equal(model.predict()[key], together[key])
        break


def test_forecasts_from_all_origins_are_those_of_updates_one_by_one():
    y = waves(130)
    model = always_network(LSTMForecaster(3, 8, transform="log", differences=1, **QUICK).fit(y[:110]))
    result = model.backtest(y[110:], stride=4)
    assert_array_equal(result.origins, [110, 114, 118, 122, 126])
    for row, origin in enumerate(result.origins):
        known = always_network(pickle.loads(pickle.dumps(model)))
        if origin > 110:
            known.update(y[110:origin])
        assert_array_equal(known.predict(), result.forecasts["lstm"][row])
        lower, upper = known.predict_interval(0.9).T
        assert_array_equal(lower, result.lower[row])
        assert_array_equal(upper, result.upper[row])
        assert_array_equal(result.forecasts["persistence"][row], np.full(3, y[origin - 1]))
        assert_array_equal(result.actual[row], y[origin : origin + 3])


def test_a_backtest_takes_the_known_values_with_what_follows():
    y = waves(130)
    model = LSTMForecaster(3, 8, **QUICK).fit(y[:110])
    whole, rest = model.backtest(y), model.backtest(y[110:])
    assert_array_equal(whole.origins, rest.origins)
    assert_array_equal(whole.forecasts["lstm"], rest.forecasts["lstm"])


def test_a_refitted_backtest_is_that_of_models_fitted_at_each_origin():
    y = waves(80)
    model = LSTMForecaster(2, 6, **QUICK).fit(y[:70])
    result = model.backtest(y[70:], stride=5, refit=True)
    for row, origin in enumerate(result.origins):
        alone = LSTMForecaster(2, 6, **QUICK).fit(y[:origin])
        assert_array_equal(alone.predict(), result.forecasts["lstm"][row])


def test_the_future_does_not_change_a_backtest_forecast():
    y = waves(130)
    model = LSTMForecaster(3, 8, **QUICK).fit(y[:110])
    changed = y.copy()
    changed[120:] += 5
    before, after = model.backtest(y[110:]), model.backtest(changed[110:])
    known = before.origins <= 120
    assert_array_equal(after.forecasts["lstm"][known], before.forecasts["lstm"][known])
    assert not np.array_equal(after.forecasts["lstm"][~known], before.forecasts["lstm"][~known])


@pytest.mark.parametrize("n_jobs", [2, 3])
def test_fits_have_the_same_bits_for_any_n_jobs(four_cpus, n_jobs):
    forecasts = [
        always_network(LSTMForecaster(3, 8, **{**QUICK, "n_jobs": jobs}).fit(waves())).predict() for jobs in (1, n_jobs)
    ]
    assert_array_equal(*forecasts)


def test_the_network_contributes_its_share():
    model = LSTMForecaster(3, 8, **{**QUICK, "max_iter": 30}).fit(lag3(200))
    without, half, whole = (always_network(model, share).predict() for share in (0.0, 0.5, 1.0))
    assert_allclose(half, (without + whole) / 2, rtol=1e-6)
    assert np.abs(whole - without).max() > 1e-4


def test_what_is_held_out_has_no_part_in_the_scaling_of_a_trial():
    y = waves(100)
    model = LSTMForecaster(3, 8, scaling="series", **QUICK).fit(y)
    (end,) = selection.tails([y], model._plan)
    assert end < 90
    trials = selection._Trials(model._plan, [y], [np.ones(100, bool)], None, [end], [], [], model, 0, ALONE)
    histories, _ = trials._windows("series")
    assert (histories.units[0].mean, histories.units[0].std) == (y[:end].mean(), y[:end].std())


def test_the_mean_of_several_networks_is_forecast():
    model = always_network(LSTMForecaster(3, 8, n_models=3, **{**QUICK, "max_iter": 30}).fit(lag3(200)))
    predictor, forecasts = model._fitted.predictor, []
    for network in predictor.networks:
        object.__setattr__(model._fitted, "predictor", type(predictor)(**{**vars(predictor), "networks": [network]}))
        forecasts.append(model.predict())
    object.__setattr__(model._fitted, "predictor", predictor)
    assert_allclose(model.predict(), np.mean(forecasts, axis=0), rtol=1e-6)
    assert np.ptp(forecasts, axis=0).max() > 0


def test_series_that_were_not_seen_are_forecast_from_their_histories():
    y, x = driven(200)
    model = LSTMForecaster(3, 6, scaling="series", **QUICK).fit(
        {"a": y[:150], "b": y[20:]}, X={"a": x[:150, None], "b": x[20:, None]}
    )
    other, x_other = driven(60, seed=7)
    other, x_other = 100 + 10 * other, x_other[:, None]
    forecast = model.predict(y={"c": other[:57]}, X_past={"c": x_other[:57]}, X={"c": x_other[57:]})["c"]
    assert_allclose(np.diff(forecast), np.diff(other[57:]), atol=8)  # of jumps of 30 and more
    lower, upper = model.predict_interval(y={"c": other[:57]}, X_past={"c": x_other[:57]}, X={"c": x_other[57:]})["c"].T
    assert (lower < forecast).all()
    assert (forecast < upper).all()
    assert model.predict(X={"a": x[150:153, None], "b": x[:3, None]}).keys() == {"a", "b"}


@pytest.mark.parametrize("kind", ["level", "trend", "season", "growing season"])
def test_exponential_smoothing_is_that_of_statsmodels(kind):
    ets = pytest.importorskip("statsmodels.tsa.exponential_smoothing.ets")
    rng, t = np.random.default_rng(0), np.arange(120)
    y = 100 + rng.normal(size=120) + (0.0 if kind == "level" else t)
    wave = np.sin(2 * np.pi * t / 6)
    y = {"season": y + 20 * wave, "growing season": y * (1 + 0.3 * wave)}.get(kind, y)
    origins = np.array([100, 101, 113])
    found = baselines.ets(y, 100, origins, 8, 6)
    options = {"trend": None if kind == "level" else "add", "damped_trend": kind != "level"}
    options |= {"seasonal": {"season": "add", "growing season": "mul"}.get(kind), "seasonal_periods": 6}
    params = ets.ETSModel(y[:100], **options).fit(disp=False).params
    for row, origin in zip(found, origins, strict=True):
        assert_allclose(row, ets.ETSModel(y[:origin], **options).smooth(params).forecast(8), rtol=1e-6)


# -- covariates ---------------------------------------------------------------------------------------------------


def driven(n=300, seed=0):
    """y follows the number x of the same step, or its category."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return 3 * x + 0.1 * rng.normal(size=n), x


def test_covariates_known_ahead_are_used_at_the_time_of_the_target():
    y, x = driven()
    model = LSTMForecaster(3, 6, **QUICK).fit(y[:290], X=x[:290, None])
    assert_allclose(model.predict(X=x[290:293, None]), y[290:293], atol=0.5)
    result = model.backtest(y[290:], X=x[290:, None])
    assert result.summary()["lstm"]["mae"] < 0.3


def test_a_shorter_horizon_of_a_backtest_needs_all_covariates_known_ahead():
    y, x = driven(120)
    model = LSTMForecaster(3, 6, **QUICK).fit(y[:100], X=x[:100, None])
    result = model.backtest(y[100:], horizon=1, X=x[100:, None], ets=False)
    assert result.origins.max() == 117
    model.update(y[100:117], X=x[100:117, None])
    assert_array_equal(result.forecasts["lstm"][-1], model.predict(1, X=x[117:, None]))
    with pytest.raises(ValueError, match=r"fewer than 3 observations .* horizon=1 requires with covariates"):
        model.backtest(y[117:119], horizon=1, X=x[117:119, None])


@pytest.mark.parametrize("form", ["dict", "long"])
def test_covariates_of_an_update_have_the_rows_of_each_series(form):
    pandas = pytest.importorskip("pandas")
    days = pandas.date_range("2024", periods=100)
    series = {
        key: pandas.DataFrame(dict(zip("yx", driven(100, seed), strict=True)), days) for seed, key in enumerate("abc")
    }

    def part(columns, **spans):
        frames = {key: series[key][columns][slice(*span)] for key, span in spans.items()}
        if form == "dict":
            return {key: frame if columns == ["x"] else frame["y"] for key, frame in frames.items()}
        return pandas.concat([f.rename_axis("ds").reset_index().assign(unique_id=k) for k, f in frames.items()])

    fit = {"a": (80,), "b": (70,), "c": (60,)}
    more = {"a": (80, 85), "b": (70, 72)}
    model = LSTMForecaster(3, 8, scaling="window", calendar="dayofweek", trend=True, **QUICK)
    model.fit(part(["y"], **fit), X=part(["x"], **fit))
    with pytest.raises(ValueError, match=r"has 5 rows; expected 2, from 2024-03-11 to 2024-03-12"):
        model.update(part(["y"], **more), X=part(["x"], **{**more, "b": (70, 75)}))
    with pytest.raises(ValueError, match=r"X has the unknown series \['c'\]; expected the series \['a', 'b'\]"):
        model.update(part(["y"], **more), X=part(["x"], **more, c=(60, 62)))
    model.update(part(["y"], **more), X=part(["x"], **more))
    now = {"a": (85,), "b": (72,), "c": (60,)}
    future = {key: (end, end + 3) for key, (end,) in now.items()}
    expected = model.predict(y=part(["y"], **now), X_past=part(["x"], **now), X=part(["x"], **future))
    found = model.predict(X=part(["x"], **future))
    for key in "abc":
        mine, wanted = (of[key] if form == "dict" else of[of["unique_id"] == key]["y"] for of in (found, expected))
        assert_allclose(mine, wanted, rtol=1e-6)


def test_categories_are_one_hot_encoded():
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    kind = rng.choice(["low", "high", "odd"], 200)
    y = np.select([kind == "low", kind == "high"], [0.0, 5.0], 20.0)
    X = pandas.DataFrame({"kind": kind})
    model = LSTMForecaster(2, 4, **QUICK).fit(y[:190], X=X[:190])
    assert_allclose(model.predict(X=X[190:192]), y[190:192], atol=0.5)
    with pytest.raises(ValueError, match="'new' in column 'kind', which was not seen in fit; expected one of"):
        model.predict(X=pandas.DataFrame({"kind": ["new", "low"]}))


def test_past_covariates_have_no_future():
    y, x = driven()
    y = np.roll(y, 1)  # x leads by one step
    model = LSTMForecaster(1, 6, past_covariates=[0], **QUICK).fit(y[:290], X=x[:290, None])
    result = model.backtest(y[290:], X=x[290:, None])
    assert result.summary()["lstm"]["mae"] < 0.3
    with pytest.raises(ValueError, match="no covariates whose future is needed"):
        model.predict(X=x[290:291, None])


def test_static_covariates_tell_series_apart():
    rng = np.random.default_rng(0)
    panel = {key: rng.normal(size=60) * 0.1 + level for key, level in [("a", 0.0), ("b", 4.0), ("c", 8.0)]}
    model = LSTMForecaster(2, 5, scaling="none", **QUICK).fit(panel, static={"a": [0.0], "b": [1.0], "c": [2.0]})
    forecasts = model.predict()
    assert [round(float(forecasts[key][0])) for key in panel] == [0, 4, 8]


def test_the_calendar_gives_seasons():
    pandas = pytest.importorskip("pandas")
    index = pandas.date_range("2010-01-31", periods=72, freq="ME")
    y = pandas.Series(np.where(index.month == 12, 10.0, 0.0), index)
    model = LSTMForecaster(3, 5, calendar="month", **QUICK).fit(y[:70])
    assert model.season_length_ == 12
    assert_allclose(model.predict()[:2], y[70:], atol=0.5)
    assert list(model.predict().index[:2]) == list(index[70:])


@pytest.mark.parametrize(("cyclic", "width"), [(None, 12 + 2), (True, 2 + 2), (False, 12 + 366)])
def test_features_of_the_calendar_are_cyclic_or_indicators(cyclic, width):
    pandas = pytest.importorskip("pandas")
    y = pandas.Series(waves(60), pandas.date_range("2024", periods=60))
    model = LSTMForecaster(3, 8, calendar=["month", "dayofyear"], cyclic=cyclic, **QUICK).fit(y)
    assert model._data.known[0].shape == (60, width)
    assert model.predict().shape == (3,)


# -- intervals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scaling", ["series", "last"])
def test_intervals_cover_what_they_promise(scaling):
    rng, y = np.random.default_rng(1), np.zeros((800, 8))
    for t in range(1, 800):
        y[t] = 0.7 * y[t - 1] + rng.normal(size=8)
    model = LSTMForecaster(4, 10, scaling=scaling, **QUICK).fit(y[:400])
    for coverage in (0.5, 0.9):
        found = model.backtest(y[400:], coverage=coverage).summary()["lstm"]["coverage"]
        assert abs(found - coverage) < 0.05


def test_intervals_have_the_size_of_the_errors_of_each_series():
    rng, t = np.random.default_rng(0), np.arange(300)
    noise = np.array([0.3, 0.3, 10.0, 10.0])
    y = 10 * np.sin(2 * np.pi * t[:, None] / 12) + noise * rng.normal(size=(300, 4))
    model = LSTMForecaster(3, 12, scaling="series", **QUICK).fit(y[:200])
    lower, upper = np.moveaxis(model.predict_interval(0.9), 2, 0)
    widths = (upper - lower).mean(axis=0)
    assert widths[:2].max() < 4
    assert widths[2:].min() > 2 * 1.645 * 8
    table = model.backtest(y[200:], ets=False).table()
    of_model = np.array(table["model"]) == "lstm"
    for series in range(4):
        covered = np.array(table["coverage"])[of_model & (np.array(table["series"]) == series)]
        assert 0.8 < covered.mean() < 1
    # of a series that was not in the fit, a usual size: between those of the others
    lower, upper = model.predict_interval(0.9, y=y[:50, 0]).T
    assert 1 < (upper - lower).mean() < 20


def test_a_panel_of_like_series_shares_the_size_of_its_errors():
    y = np.random.default_rng(0).normal(size=(120, 6))
    model = LSTMForecaster(3, 12, scaling="none", **QUICK).fit(y)
    lower, upper = np.moveaxis(model.predict_interval(0.9), 2, 0)
    widths = (upper - lower)[0]
    assert_allclose(widths, widths[0], rtol=1e-6)


def test_a_drifting_level_is_forecast_from_scaled_windows():
    for seed in (56, 57):
        y = np.random.default_rng(seed).normal(size=220).cumsum()
        model = LSTMForecaster(12, **QUICK).fit(y[:120])
        assert model.scaling_ in ("window", "last")


def test_first_steps_do_not_depend_on_the_horizon():
    noise, y = np.random.default_rng(2).normal(size=500), np.zeros(500)
    for t in range(2, 500):
        y[t] = 1.2 * y[t - 1] - 0.5 * y[t - 2] + noise[t]
    errors = []
    for horizon in (1, 12):
        model = LSTMForecaster(horizon, 24, scaling="series", **QUICK).fit(y[:200])
        errors.append(model.backtest(y[200:], 1, ets=False).summary()["linear"]["mae"])
    assert errors[1] < 1.05 * errors[0]


def test_quantiles_never_cross_and_intervals_are_their_ends():
    y = np.exp(waves())
    model = LSTMForecaster(4, 8, transform="log", **QUICK).fit(y)
    quantiles = model.predict_quantiles([0.05, 0.3, 0.5, 0.7, 0.95])
    assert (np.diff(quantiles, axis=1) > 0).all()
    assert_allclose(model.predict_interval(0.9), quantiles[:, [0, -1]], rtol=1e-12)
    assert_allclose(model.predict(), quantiles[:, 2], rtol=1e-12)


def test_positive_forecasts_are_not_negative():
    y = np.maximum(0, np.random.default_rng(0).normal(size=100) - 1)
    model = LSTMForecaster(3, 8, positive=True, **QUICK).fit(y)
    assert (model.predict_interval(0.9) >= 0).all()


# -- memory, state, bad input ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_memory_is_a_small_multiple_of_the_data():
    panel = [waves(50_000, seed=seed) for seed in range(50)]
    data = sum(y.nbytes for y in panel)
    LSTMForecaster(3, 8, **QUICK).fit(panel[0][:99])  # imports what it needs
    tracemalloc.start()
    LSTMForecaster(24, 168, hidden_size=8, max_iter=1, random_state=0).fit(panel)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak + data < 3 * data + 40e6  # for minibatches and blocks of forecasts, however long the data


def test_a_fitted_forecaster_is_pickled_and_cloned():
    model = LSTMForecaster(3, 8, **QUICK).fit(waves())
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(), model.predict())
    again = clone(model)
    assert again.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        again.predict()


def test_a_failed_fit_or_update_changes_nothing():
    model = LSTMForecaster(3, 8, **QUICK).fit(waves())
    before = model.predict()
    with pytest.raises(ValueError, match="at step 4"):
        model.fit(np.where(np.arange(160) == 4, np.nan, waves()))
    with pytest.raises(ValueError, match="infinity at step 1"):
        model.update([1.0, np.inf])
    assert_array_equal(model.predict(), before)


CHANGED = {
    "horizon": 9,
    "window": 3,
    "strategy": "recursive",
    "scaling": "none",
    "transform": "log",
    "differences": 1,
    "season_length": 4,
    "n_models": 3,
    "calendar": "month",
    "trend": True,
    "past_covariates": "x",
    "positive": True,
    "missing": "error",
    "freq": 2,
    "loss": "poisson",
    "hidden_size": 3,
    "random_state": 7,
    "n_jobs": 2,
    "backend": "auto",
}


def test_parameters_that_change_after_fit_do_not_change_the_fitted_model():
    y = waves() - 2
    y[[20, 142, 151]] = np.nan
    before, after = (LSTMForecaster(3, 8, missing="forward_fill", **QUICK).fit(y[:140]) for _ in range(2))
    after.set_params(**CHANGED)
    assert (before.predict_interval() < 0).any()
    for refit in (False, True):
        known, changed = (model.backtest(y[140:], stride=4, refit=refit, ets=False) for model in (before, after))
        assert str(known) == str(changed)
        assert_array_equal(known.forecasts["lstm"], changed.forecasts["lstm"])
    for forecasts in (
        lambda model: model.predict_interval(y=y[:60]),
        lambda model: model.update(y[140:150]).predict_interval(),
    ):
        assert_array_equal(forecasts(before), forecasts(after))


def test_gaps_are_filled_in_windows_and_never_targets():
    y = waves(100)
    y[40:44] = np.nan
    with pytest.raises(ValueError, match="y has NaN at step 40: impute missing values, or set missing='forward_fill'"):
        LSTMForecaster(3, 8, **QUICK).fit(y)
    model = LSTMForecaster(3, 8, missing="forward_fill", **QUICK).fit(y)
    histories = Histories(model._data.values, model._data.observed, model._fitted.units, None, 8)
    windows = model._plan.windows(histories, "last")
    starts = windows.starts_of(np.arange(windows.n_windows))
    targets = starts[:, None] + np.arange(8, 11)
    assert not np.isin(targets, np.arange(40, 44)).any()
    assert len(starts) == 100 - 10 - (4 + 2)


def test_short_series_are_left_out_of_training_with_a_warning():
    panel = {"long": waves(80), "short": waves(9)}
    with pytest.warns(UserWarning, match=r"The series \['short'\] have fewer than 11 values"):
        model = LSTMForecaster(3, 8, **QUICK).fit(panel)
    assert model.predict()["short"].shape == (3,)


@pytest.mark.parametrize(
    ("change", "y", "message"),
    [
        ({}, np.arange(10.0), "y has 10 values, but window=8 and horizon=3 require at least 11: pass longer series"),
        ({"transform": "log"}, np.arange(50.0), "y has 0, but transform='log' requires positive values"),
        ({"seasonal_differences": 1}, np.arange(50.0), "seasonal_differences requires a season: set season_length"),
        ({"past_covariates": ["a"]}, np.arange(50.0), "past_covariates=.*, but X is None"),
        ({"calendar": "month"}, np.arange(50.0), "need dates, but the time index of the series has none"),
        ({"scaling": "robust"}, np.arange(50.0), "'scaling' parameter of LSTMForecaster must be a str among"),
        ({"horizon": 0}, np.arange(50.0), "'horizon' parameter of LSTMForecaster must be an int in the range"),
        ({"cyclic": True}, np.arange(50.0), "cyclic=True has no effect without calendar"),
        ({"init": "standard", "longest_lag": 3}, np.arange(50.0), "longest_lag=3 has no effect"),
    ],
)
def test_bad_parameters_and_series_are_refused(change, y, message):
    with pytest.raises(ValueError, match=message):
        LSTMForecaster(**{"horizon": 3, "window": 8, **QUICK, **change}).fit(y)


def test_bad_calls_of_a_fitted_forecaster_are_refused():
    y, x = driven(100)
    model = LSTMForecaster(3, 8, **QUICK).fit(y, X=x[:, None])
    for call, message in [
        (lambda: model.predict(4, X=x[:3, None]), "horizon=4; expected an integer from 1 to 3"),
        (lambda: model.predict(), r"X is None, but the model was fitted with the covariates \['x0'\]"),
        (lambda: model.predict(X=x[:2, None]), "expected 3, from 100 to 102"),
        (lambda: model.predict_interval(1.0, X=x[:3, None]), "coverage"),
        (lambda: model.predict_quantiles([0.5, 1.5], X=x[:3, None]), "levels"),
        (lambda: model.update(y[:5]), "X is None"),
        (lambda: model.predict(X=x[:3, None], static=[1.0]), "X_past and static belong to other series"),
        (lambda: model.predict(X=x[:3, None], y=y), "X_past is None, but"),
        (lambda: model.predict(X=x[:3, None], y=y, X_past=x[:, None], static=[1.0]), "static was passed"),
        (
            lambda: model.backtest(y[:2], X=x[:2, None]),
            "fewer than 3 observations after those known, which horizon=3 requires",
        ),
        (lambda: model.backtest(y[:9], stride=0, X=x[:9, None]), "stride=0; expected an integer, 1 or more"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda m: m.fit(np.where(np.arange(99) == 7, 1e200, 1.0)),
            r"y has 1e\+200 in row 7; expected absolute values",
        ),
        (lambda m: m.fit(waves(), X=np.full((160, 1), -1e99)), r"X\[:, 0\] has -1e\+99 in row 0"),
        (lambda m: m.fit(waves(), X=np.empty((160, 0))), "X has no columns; expected at least one covariate"),
        (lambda m: m.predict(y=[1.0, 1e308]), r"y has 1e\+308 in row 1"),
        (lambda m: m.update([1.0, 1e50, 1.0]), r"y has 1e\+50, which is more than 1e\+30 times the usual spread"),
        (lambda m: m.update([1.0], X=np.ones((1, 1))), "X was passed, but the model was fitted without covariates"),
        (lambda m: m.predict(y=[1.0], X_past=np.ones((1, 1))), "X_past was passed, but the model was fitted without"),
        (lambda m: m.update([1j]), "Complex data not supported"),
        (lambda m: m.backtest([1.0, 1e50, 1.0, 1.0]), r"y has 1e\+50, which is more than"),
        (lambda m: m.backtest(waves(9), X=np.ones((9, 1))), "X was passed, but the model was fitted without"),
        (lambda m: m.backtest(waves(9), refit="yes"), "refit='yes'; expected True or False"),
        (lambda m: m.backtest(waves(9), ets=1), "ets=1; expected True or False"),
        (lambda m: m.backtest(waves(9), stride=1.5), "stride=1.5; expected an integer, 1 or more"),
        (lambda m: m.backtest(waves(9), coverage=[0.5, 0.9]), "expected one number in"),
        (lambda m: m.predict_quantiles([0.1, 0.5, 0.5]), "levels has 0.5 more than once; expected levels that differ"),
        (lambda m: m.predict_quantiles([0.3, 0.1 + 0.2]), "levels has 0.3 more than once"),
        (lambda m: m.predict("3"), "horizon='3'; expected an integer, 1 or more"),
    ],
)
def test_bad_calls_change_nothing(call, message):
    model = LSTMForecaster(3, 8, **QUICK).fit(waves(60))
    before = model.predict()
    with pytest.raises(ValueError, match=message):
        call(model)
    assert_array_equal(model.predict(), before)


def test_covariates_that_are_large_beside_those_of_the_fit_are_refused():
    y, x = driven(100)
    model = LSTMForecaster(3, 8, **QUICK).fit(y, X=x[:, None])
    message = r"X has -1e\+50 in column 'x0', which is more than 1e\+30 times the standard deviation in fit, "
    with pytest.raises(ValueError, match=message):
        model.predict(X=np.array([[1.0], [-1e50], [2.0]]))
    with pytest.raises(ValueError, match=message.replace("X", "X_past", 1)):
        model.predict(y=[1.0], X_past=np.array([[-1e50]]), X=np.ones((3, 1)))


@pytest.mark.parametrize("size", [1e20, 1e59])
@pytest.mark.parametrize("transform", [None, "boxcox"])
def test_forecasts_after_an_extreme_value_are_finite(size, transform):
    y = waves()
    y[40] = size
    assert np.isfinite(LSTMForecaster(3, 8, transform=transform, **QUICK).fit(y).predict_interval()).all()


# -- windows as arrays ----------------------------------------------------------------------------------------------


def test_windows_that_nan_follows_are_left_out():
    X, y = make_windows([0, 1, 2, 3, np.nan, 5, 6, 7, 8], 2, 2)
    assert_array_equal(y, [[2, 3], [5, 6], [6, 7], [7, 8]])
    assert_array_equal(X[1:, :, 0], [[3, np.nan], [np.nan, 5], [5, 6]])
    with pytest.raises(ValueError, match="y has NaN among the 2 values after every window"):
        make_windows([0, 1, 2, np.nan, np.nan], 2, 2)


def test_a_forecaster_of_windows_that_nan_always_follows_is_refused():
    y = np.where(np.arange(60) % 5 == 4, np.nan, 1.0)
    with pytest.raises(ValueError, match="y has NaN among the 5 values after every window: reduce horizon"):
        LSTMForecaster(5, 4, missing="forward_fill", **QUICK).fit(y)


@pytest.mark.parametrize("missing", ["error", "forward_fill"])
def test_nan_at_the_start_of_a_series_is_a_later_start(missing):
    y, options = np.stack([waves(60), waves(60, seed=1)], axis=1), {"scaling": "window", "skip": None, **QUICK}
    late = LSTMForecaster(2, 5, **options).fit([y[:, 0], y[20:, 1]])
    y[:20, 1] = np.nan
    model = LSTMForecaster(2, 5, missing=missing, **options).fit(y)
    assert_allclose(model.predict(), np.stack(late.predict(), axis=1), rtol=1e-5)
    y[40, 1] = np.nan
    with pytest.raises(ValueError, match="y has NaN at step 40 of series 1"):
        LSTMForecaster(2, 5, **options).fit(y)


def test_a_single_table_with_the_columns_of_y_is_refused():
    y = pd.DataFrame({"a": waves(60), "b": waves(60, seed=1)})
    with pytest.raises(ValueError, match=r"X has the columns of y.*pass a dict with one table for each series"):
        LSTMForecaster(2, 5, **QUICK).fit(y, X=y)


def test_windows_of_one_series_are_views():
    X, y = make_windows(np.arange(1000.0), 24, 3)
    assert X.shape == (974, 24, 1)
    assert_array_equal(X[7, :, 0], np.arange(7, 31))
    assert_array_equal(y[7], [31, 32, 33])
    assert np.shares_memory(X, y)


def test_windows_of_several_series_have_their_covariates():
    X, y = make_windows(
        [np.arange(5.0), np.arange(2.0), np.arange(10.0, 14.0)], 3, X=[-np.arange(n) for n in (5, 2, 4)]
    )
    assert_array_equal(X[2], [[10, 0], [11, -1], [12, -2]])
    assert_array_equal(y, [[3], [4], [13]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.arange(4.0), 3, 2), "y has 4 values, but window=3 and horizon=2 require at least 5"),
        ((np.arange(4.0), 0), "window=0; expected an integer, 1 or more"),
        ((np.arange(4.0), 2, 1, [["a"], ["b"], ["a"], ["b"]]), "."),
    ],
)
def test_windows_that_cannot_be_made_are_refused(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make_windows(*arguments)


# -- several series, gaps, threads -----------------------------------------------------------------------------------


def walks(*lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=n).cumsum() for n in lengths]


def test_threads_do_not_share_buffers():
    y, x = driven(160)
    model = LSTMForecaster(3, 10, **QUICK).fit(y, X=x[:, None])
    futures = [np.full((3, 1), value) for value in (1.0, -1.0)]
    expected = [model.predict(X=future) for future in futures]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(300):
            found = list(pool.map(lambda future: model.predict(X=future), futures))
            assert_array_equal(found, expected)


def test_windows_before_an_origin_do_not_depend_on_what_follows_a_gap():
    (y,) = walks(130)
    y[103:106] = np.nan
    changed = y.copy()
    changed[106] += 50
    model = LSTMForecaster(1, 8, missing="forward_fill", **QUICK).fit(y[:100])
    before, after = model.backtest(y, ets=False), model.backtest(changed, ets=False)
    row = list(before.origins).index(106)
    for name in before.forecasts:
        assert before.forecasts[name][row] == after.forecasts[name][row]
    assert before.forecasts["persistence"][row, 0] == y[102]


def test_leading_gaps_are_in_no_window_of_the_training():
    (y,) = walks(60)
    y[:20] = np.nan
    model = LSTMForecaster(2, 5, missing="forward_fill", **QUICK).fit(y)
    histories = Histories(model._data.values, model._data.observed, model._fitted.units, None, 5)
    windows = model._plan.windows(histories, "last")
    assert windows.starts_of(np.arange(windows.n_windows)).min() == 20


def test_an_update_that_begins_with_a_gap_goes_on_from_the_last_known_value():
    (y,) = walks(60)
    y[50:52] = np.nan
    model = LSTMForecaster(2, 5, missing="forward_fill", **QUICK).fit(y[:50])
    assert_array_equal(model.update(y[50:])._data.values[0][48:53], [*y[48:50], y[49], y[49], y[52]])


def test_series_that_end_at_different_times_are_refitted_to_as_many_more_steps():
    a, b = walks(90, 80)
    model = LSTMForecaster(2, 5, **QUICK).fit({"a": a[:70], "b": b[:40]})
    result = model.backtest({"a": a[70:74], "b": b[40:44]}, stride=2, refit=True, ets=False)
    assert list(zip(result.ids, result.origins, strict=True)) == [("a", 70), ("a", 72), ("b", 40), ("b", 42)]
    alone = LSTMForecaster(2, 5, **QUICK).fit({"a": a[:72], "b": b[:42]}).predict()
    assert_array_equal(result.forecasts["lstm"][[1, 3]], [alone["a"], alone["b"]])


def test_refitted_models_without_intervals_have_none_in_the_backtest():
    (y,) = walks(40)
    with pytest.warns(UserWarning, match="no prediction intervals"):
        model = LSTMForecaster(3, 20, **QUICK).fit(y[:25])
    result = model.backtest(y, refit=True, stride=5, ets=False)
    assert np.isnan(result.lower[0]).all()
    assert np.isfinite(result.lower[-1]).all()


def test_a_short_series_does_not_read_the_rows_of_another_in_a_backtest():
    a, b = walks(140, 45)
    with pytest.warns(UserWarning, match="left out of training"):
        model = LSTMForecaster(3, 10, scaling="last", **QUICK).fit({"a": a[:100], "b": b[:5]})
    result = model.backtest({"a": a[100:] + 1000, "b": b[5:]}, ets=False)
    row = result.ids.index("b")
    assert_array_equal(result.forecasts["lstm"][row], model.predict()["b"])


def test_known_observations_are_recognised():
    a, b = walks(90, 80)
    model = LSTMForecaster(2, 5, **QUICK).fit({"a": a[:70], "b": b[:40]})
    expected = model.backtest({"a": a, "b": b}, ets=False)
    assert expected.origins.min() == 40
    reordered = model.backtest({"b": b.astype("float32"), "a": a}, ets=False)
    assert_array_equal(reordered.origins, expected.origins)
    assert reordered.ids == expected.ids
    with pytest.raises(ValueError, match=r"begins with known observations, but lacks the series \['b'\]"):
        model.backtest({"a": a})
    with pytest.raises(ValueError, match="y begins with the known observations: pass only those that follow"):
        model.update({"a": a, "b": b})


def test_stamps_tell_new_observations_from_known_ones():
    pandas = pytest.importorskip("pandas")
    y = pandas.Series(waves(60), pandas.date_range("2024", periods=60))
    model, later = LSTMForecaster(3, 8, **QUICK).fit(y), y.shift(60, freq="D")
    assert_array_equal(model.backtest(later, stride=30, ets=False).origins, [60, 90])
    assert model.update(later).predict().index[0] == pandas.Timestamp("2024-04-30")
    with pytest.raises(ValueError, match="y begins with the known observations"):
        LSTMForecaster(3, 8, **QUICK).fit(y).update(y)


def test_covariates_without_a_number_are_refused_in_every_method():
    y, x = driven(100)
    model = LSTMForecaster(3, 8, **QUICK).fit(y, X=x[:, None])
    before, future = model.predict(X=x[:3, None]), np.array([[1.0], [np.nan], [0.0]])
    for call in (
        lambda: model.predict(X=future),
        lambda: model.update(y[:3], X=future),
        lambda: model.backtest(y[:3], X=future),
    ):
        with pytest.raises(ValueError, match="X has nan in column 'x0', row 1; expected finite numbers"):
            call()
    with pytest.raises(ValueError, match="X has 'low' in column 'x0', which held numbers in fit"):
        model.predict(X=np.array([["low"]] * 3, object))
    assert_array_equal(model.predict(X=x[:3, None]), before)


def test_the_season_is_that_of_the_longest_series():
    pandas = pytest.importorskip("pandas")
    days = pandas.date_range("2020", periods=60)
    (y,) = walks(60)
    short, long = pandas.Series(y[:2], days[:2]), pandas.Series(y, days)
    for panel in ({"short": short, "long": long}, {"long": long, "short": short}):
        with pytest.warns(UserWarning, match="left out of training"):
            assert LSTMForecaster(2, 5, **QUICK).fit(panel).season_length_ == 7


@pytest.mark.parametrize("size", [1e-30, 1e-13, 1e12])
def test_forecasts_scale_with_the_series(size):
    y = waves(100) - 2
    small = LSTMForecaster(3, 8, **QUICK).fit(size * y).predict()
    assert_allclose(small / size, LSTMForecaster(3, 8, **QUICK).fit(y).predict(), rtol=1e-3)


def test_box_cox_forecasts_are_finite():
    y = 1 / np.linspace(1, 0.01, 200)
    assert np.isfinite(LSTMForecaster(3, 10, transform="boxcox", **QUICK).fit(y).predict_interval()).all()


def test_an_update_may_lack_series_with_features_of_the_calendar():
    pandas = pytest.importorskip("pandas")
    days = pandas.date_range("2020", periods=80)
    y = {key: pandas.Series(values, days) for key, values in zip("ab", walks(80, 80), strict=True)}
    model = LSTMForecaster(2, 8, calendar="dayofweek", **QUICK).fit({key: of[:70] for key, of in y.items()})
    model.update({"a": y["a"][70:]})
    assert model.predict()["a"].index[0] == pandas.Timestamp("2020-03-21")
    assert model.predict()["b"].index[0] == days[70]


def test_differences_of_a_panel_with_a_single_value():
    (y,) = walks(50)
    with pytest.warns(UserWarning, match="left out of training"):
        model = LSTMForecaster(2, 5, differences=1, **QUICK).fit({"b": y[:1], "a": y})
    assert np.isfinite(model.predict()["b"]).all()


def test_a_shorter_horizon_gives_the_first_steps_of_everything():
    y = np.random.default_rng(5).normal(size=160).cumsum()
    for loss in ("squared_error", "gaussian_nll"):
        model = LSTMForecaster(4, 12, loss=loss, **QUICK).fit(y[:120])
        whole = model.predict_interval()
        for steps in (1, 2):
            assert_array_equal(model.predict_interval(0.9, steps), whole[:steps])
            assert_array_equal(model.predict_quantiles([0.3, 0.5], steps), model.predict_quantiles([0.3, 0.5])[:steps])
            result = model.backtest(y[120:], horizon=steps, ets=False)
            assert result.lower.shape == result.actual.shape == (40 - steps + 1, steps)


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
@pytest.mark.parametrize("lag", [0, 3])
@pytest.mark.parametrize("differences", [{}, {"differences": 1}, {"seasonal_differences": 1, "season_length": 5}])
def test_a_covariate_known_ahead_acts_at_once_or_later(strategy, lag, differences):
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    y = 5 + 3 * np.concatenate([np.zeros(lag), x])[:300] + 0.01 * rng.normal(size=300)
    model = LSTMForecaster(4, 12, strategy=strategy, **differences, **QUICK).fit(y[:240], X=x[:240, None])
    errors = model.backtest(y[240:], X=x[240:, None], ets=False).summary()
    assert errors["lstm"]["mae"] < 0.1 * errors["persistence"]["mae"]


def test_covariates_are_differenced_like_the_series():
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    y = 5 + 3 * x + 0.01 * rng.normal(size=300)
    # in a window of the horizon's length, no earlier values stand in for the differences
    model = LSTMForecaster(4, 4, differences=1, **QUICK).fit(y[:240], X=x[:240, None])
    errors = model.backtest(y[240:], X=x[240:, None], ets=False).summary()
    assert errors["lstm"]["mae"] < 0.1 * errors["persistence"]["mae"]


def test_a_past_covariate_is_used_while_its_values_reach():
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    y = 3 * np.concatenate([np.zeros(3), x])[:300] + 0.01 * rng.normal(size=300)
    model = LSTMForecaster(4, 12, strategy="recursive", past_covariates=[0], **QUICK).fit(y[:240], X=x[:240, None])
    errors = model.backtest(y[240:], X=x[240:, None], ets=False).by_horizon()["linear"]
    assert max(errors[:3]) < 0.1 < 1 < errors[3]


def test_quantiles_of_paths_do_not_depend_on_other_series():
    panel = {key: np.random.default_rng(seed).normal(size=80).cumsum() for seed, key in enumerate("abc")}
    model = LSTMForecaster(3, 9, strategy="recursive", loss="gaussian_nll", scaling="last", **QUICK).fit(panel)
    assert_array_equal(model.predict_interval(y={"c": panel["c"]})["c"], model.predict_interval()["c"])


def test_missing_categories_are_refused():
    X = pd.DataFrame({"kind": ["a", "b"] * 30})
    X.loc[7, "kind"] = None
    with pytest.raises(ValueError, match="X has a missing value in column 'kind', row 7; expected categories"):
        LSTMForecaster(3, 9, **QUICK).fit(waves(60), X=X)


def test_an_update_has_as_many_columns_as_the_fit():
    model = LSTMForecaster(3, 9, **QUICK).fit(np.stack([waves(60), waves(60)], axis=1))
    with pytest.raises(ValueError, match="y has 1 series; expected 2, as in fit"):
        model.update(waves(3))


def test_a_history_shorter_than_the_window_is_reported():
    model = LSTMForecaster(3, 9, **QUICK).fit(waves(60))
    with pytest.warns(UserWarning, match=r"The series \['new'\] have fewer than 9 values, which the window requires"):
        assert model.predict(y={"new": waves(5)})["new"].shape == (3,)


def test_a_network_in_double_precision_forecasts_like_one_in_single_precision():
    y = lag3(200)
    single, double = (
        always_network(LSTMForecaster(3, 9, dtype=dtype, **{**QUICK, "max_iter": 10}).fit(y)).predict()
        for dtype in ("float32", "float64")
    )
    assert_allclose(single, double, rtol=0.05, atol=0.01)
