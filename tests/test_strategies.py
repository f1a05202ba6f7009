"""Forecasts step by step, the losses of distributions, and sampled paths."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastlstm import sequences
from fastlstm.forecasting import LSTMForecaster
from fastlstm.forecasting.intervals import LEVELS, fit_hits
from fastlstm.forecasting.linear import Inputs, intercept_only
from fastlstm.forecasting.windows import RollingWindows, Table
from fastlstm.kernels import CELLS
from fastlstm.stacks import Stack
from fastlstm.training.losses import Loss
from fastlstm.training.model import Model
from fastlstm.training.network import initialise
from fastlstm.training.outputs import RegressionOutput
from fastlstm.training.streaming import Stepper

QUICK = {"hidden_size": 5, "max_iter": 2, "random_state": 0, "n_jobs": 1}
STEPWISE = {"strategy": "recursive", **QUICK}
DISTRIBUTIONS = ["gaussian_nll", "poisson", "negative_binomial"]


def noise(n, seed=0):
    return np.random.default_rng(seed).normal(size=n)


def counts(n, seed=0):
    return np.random.default_rng(seed).poisson(3 + 2 * np.sin(np.arange(n) / 2))


def series_for(loss, n=90, seed=0):
    return noise(n, seed).cumsum() if loss == "gaussian_nll" else counts(n, seed)


# -- windows ----------------------------------------------------------------------------------------------------------


def rolling(held=()):
    table = Table([9, 8])
    table.y[:] = noise(17).astype("f")
    table.covariates = noise(34, 1).astype("f").reshape(17, 2)
    return RollingWindows(table, 4, 3, [(0, 3), (9, 2)], "last", held=held)


def test_a_rolling_window_has_targets_from_its_end_on():
    windows = rolling()
    windows.base = intercept_only(windows.one_step, Inputs(4, 1))
    batch = windows.batch(np.array([4, 0]), 0, None, np.dtype("float64"))
    x, targets, weights = batch.x.reshape(2, 6, 3), *(a.reshape(6, 2).T for a in (batch.targets, batch.sample_weight))
    for row, start in enumerate((10, 0)):
        y = windows.table.y[start : start + 7].astype(float)
        y = (y - y[3]) / max(y[:4].std(), 0.1)
        assert_allclose(x[row, :, 0], y[:6], rtol=1e-6)
        assert_array_equal(x[row, :, 1:].astype("f"), windows.table.covariates[start : start + 6])
        assert_allclose(targets[row, 3:], (y[4:] - windows.base.bias) / windows.base.error, rtol=1e-6)
    assert_allclose(weights, np.tile([0, 0, 0, 1 / 6, 1 / 6, 1 / 6], (2, 1)))


def test_covariates_whose_future_is_unknown_keep_their_last_value():
    x, *_ = rolling(held=(2,)).scaled(np.array([0, 9]))
    free, *_ = rolling().scaled(np.array([0, 9]))
    assert_array_equal(x[:, :, 1], free[:, :, 1])
    assert_array_equal(x[:, 3:, 2], np.repeat(free[:, 3:4, 2], 3, axis=1))


def test_a_linear_model_of_the_next_step_sees_every_step_of_a_rolling_window_once():
    windows = rolling()
    x, y = windows.one_step.examples(np.arange(windows.one_step.n_windows))
    whole, targets, _, _ = windows.scaled(windows.starts_of(np.arange(5)))
    whole = np.concatenate([whole[:, :, 0], targets[:, -1:]], axis=1)
    expected = np.lib.stride_tricks.sliding_window_view(whole, 5, axis=1).reshape(-1, 5)
    found = np.concatenate([x[:, :, 0], y], axis=1)
    assert_allclose(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)], rtol=1e-6)


# -- reading a window, then step by step ------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("sizes", [(1,), (9, 5)])
def test_reading_a_window_at_once_leaves_the_states_of_single_steps(cell, sizes, backend):
    stack = Stack(cell, 2, sizes, False)
    weights = initialise(stack, 1, np.random.default_rng(0))
    model = Model(stack, {k: v.astype("f") for k, v in weights.items()}, RegressionOutput(Loss("squared_error")), 1)
    x = noise(3 * 7 * 2).astype("f").reshape(3, 7, 2)
    at_once, single = Stepper(model, 3, backend), Stepper(model, 3, backend)
    scores = [at_once.read(x[:, :4]), at_once.read(x[:, 4:])]
    steps = [single.step(x[:, t]) for t in range(7)]
    assert_array_equal(scores[0], steps[3])
    assert_array_equal(scores[1], steps[6])
    for read, stepped in zip(at_once.arrays(), single.arrays(), strict=True):
        assert_array_equal(read, stepped)
    twice = at_once.repeated(2)
    assert_array_equal(twice.step(np.repeat(x[:, 0], 2, axis=0)), np.repeat(single.step(x[:, 0]), 2, axis=0))


def test_a_recursive_forecast_is_that_of_the_whole_sequence_of_its_own_forecasts():
    y = noise(80).cumsum()
    model = LSTMForecaster(4, 9, dtype="float64", scaling="last", skip=None, **STEPWISE).fit(y)
    predictor, unit = model._fitted.predictor, model._fitted.units[0]
    x = ((y - unit.mean) / unit.std).astype("f")[-9:].astype(float)
    centre, spread = x[-1], max(x.std(), 0.1)
    x = list((x - centre) / spread)
    for _ in range(6):
        scores = predictor.networks[0].scores(sequences.of_array(np.array(x)[None, :, None]), "numpy")
        x.append(predictor.base.bias[0] + predictor.base.error[0] * scores[-1, 0])
    expected = (np.array(x[9:]) * spread + centre) * unit.std + unit.mean
    assert_allclose(model.predict(6), expected, rtol=1e-6)


def test_an_exact_recursion_is_continued_for_as_long_as_asked():
    t = np.arange(120)
    y = 3 * np.sin(t / 4) + 0.1 * t
    model = LSTMForecaster(3, 12, scaling="last", **STEPWISE).fit(y[:100])
    assert np.abs(model.predict(20) - y[100:]).max() < 0.05
    assert model.strategy_ == "recursive"


def test_each_step_depends_on_the_last_observation():
    y = noise(80).cumsum()
    model = LSTMForecaster(4, 9, **STEPWISE).fit(y)
    changed = y[-20:].copy()
    changed[-1] += 1
    assert (np.abs(model.predict(y=y[-20:]) - model.predict(y=changed)) > 1e-3).all()


def test_forecasts_of_a_batch_and_alone_have_the_same_bits():
    panel = {key: noise(60, seed).cumsum() for seed, key in enumerate("abc")}
    model = LSTMForecaster(3, 9, loss="gaussian_nll", **STEPWISE).fit(panel)
    together = model.predict(7)
    for key, y in panel.items():
        alone = LSTMForecaster(3, 9, loss="gaussian_nll", **STEPWISE).fit(panel)
        assert_array_equal(alone.predict(7, y={key: y})[key], together[key])


def test_known_covariates_are_needed_for_the_steps_asked_for():
    x = noise(130)
    y = 2 * x + 0.1 * noise(130, 1)
    model = LSTMForecaster(3, 9, **STEPWISE).fit(y[:100], X=pd.DataFrame({"x": x[:100]}))
    forecast = model.predict(30, X=pd.DataFrame({"x": x[100:]}))
    assert np.corrcoef(forecast, y[100:])[0, 1] > 0.98
    with pytest.raises(ValueError, match=r"X, with the columns \['x'\], has 3 rows; expected 5"):
        model.predict(5, X=pd.DataFrame({"x": x[100:103]}))


def test_a_known_covariate_acts_at_its_own_time():
    x = (noise(140) > 1.2) * 1.0
    y = 5 * x + 0.05 * noise(140, 1)
    model = LSTMForecaster(4, 6, **STEPWISE).fit(y, X=x[:, None])
    future = np.zeros((8, 1))
    future[5] = 1
    assert np.argmax(model.predict(8, X=future)) == 5


def test_a_past_covariate_has_no_future():
    x = noise(101)
    y = x[:-1] + 0.1 * noise(100, 1)
    model = LSTMForecaster(3, 9, past_covariates="x", **STEPWISE).fit(y, X=pd.DataFrame({"x": x[1:]}))
    assert model.predict(5).shape == (5,)
    assert abs(model.predict(1)[0]) < 3


def test_a_backtest_goes_beyond_the_horizon_of_the_fit_without_intervals():
    y = noise(120).cumsum()
    model = LSTMForecaster(3, 9, **STEPWISE).fit(y[:90])
    result = model.backtest(y[90:], horizon=6, ets=False)
    assert result.actual.shape == (25, 6)
    assert result.lower is None
    later = LSTMForecaster(3, 9, **STEPWISE).fit(y[:90]).update(y[90:100])
    assert_allclose(result.forecasts["lstm"][10], later.predict(6), rtol=1e-12)
    with pytest.raises(ValueError, match="horizon=6, but forecast errors are known up to horizon=3"):
        model.predict_interval(horizon=6)


def test_the_future_does_not_change_a_recursive_backtest():
    y = counts(120)
    model = LSTMForecaster(3, 9, loss="poisson", **STEPWISE).fit(y[:90])
    changed = y.copy()
    changed[105:] += 50
    before, after = (model.backtest(of[90:], ets=False) for of in (y, changed))
    rows = before.origins <= 105
    assert_array_equal(before.forecasts["lstm"][rows], after.forecasts["lstm"][rows])


def test_direct_forecasts_end_at_the_horizon():
    model = LSTMForecaster(3, 9, **QUICK).fit(noise(60))
    assert model.strategy_ == "direct"
    with pytest.raises(ValueError, match=r"expected an integer from 1 to 3, .* or with strategy='recursive'"):
        model.predict(4)


# -- distributions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [*DISTRIBUTIONS, "quantile"])
@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_quantiles_never_cross_and_include_the_interval(loss, strategy):
    if (loss, strategy) == ("quantile", "recursive"):
        return
    model = LSTMForecaster(3, 9, loss=loss, strategy=strategy, **QUICK).fit(series_for(loss))
    levels = [0.9, 0.05, 0.5, 0.2, 0.95]
    quantiles = model.predict_quantiles(levels)
    assert (np.diff(quantiles[:, np.argsort(levels)], axis=1) >= 0).all()
    assert_array_equal(model.predict_interval(0.9), quantiles[:, [1, 4]])
    assert (quantiles[:, 4] > quantiles[:, 1]).all()


@pytest.mark.parametrize("loss", ["poisson", "negative_binomial"])
@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_counts_have_quantiles_that_are_counts(loss, strategy):
    model = LSTMForecaster(3, 9, loss=loss, strategy=strategy, **QUICK).fit(counts(90))
    quantiles = model.predict_quantiles([0.01, 0.5, 0.99])
    assert_array_equal(quantiles, np.rint(quantiles))
    assert (quantiles >= 0).all()
    assert (model.predict() > 0).all()


def test_a_normal_distribution_knows_when_noise_is_large():
    t, rng = np.arange(900), np.random.default_rng(0)
    y = np.where(t % 8 < 4, 3.0, 0.1) * rng.normal(size=900)
    model = LSTMForecaster(1, 16, loss="gaussian_nll", hidden_size=16, max_iter=20, random_state=0, n_jobs=1).fit(y)
    width = [float(np.ptp(model.predict_interval(y=y[:end]))) for end in range(800, 816)]
    loud = np.arange(800, 816) % 8 < 4
    assert np.median(np.array(width)[loud]) > 4 * np.median(np.array(width)[~loud])


def test_an_untrustworthy_spread_is_made_constant():
    y = np.zeros(400)
    for t in range(1, 400):
        y[t] = 0.8 * y[t - 1] + noise(400)[t]
    model = LSTMForecaster(3, 12, loss="gaussian_nll", hidden_size=32, max_iter=60, random_state=0, n_jobs=1).fit(y)
    assert model._fitted.predictor.sharpness < 0.5


def test_a_normal_distribution_has_no_quantiles_where_nothing_was_held_out():
    model = LSTMForecaster(4, 8, loss="gaussian_nll", **STEPWISE)
    with pytest.warns(UserWarning, match="there are no prediction intervals: pass at least 19 values"):
        model.fit(noise(13))
    with pytest.raises(ValueError, match="The series were too short to hold out a part of them"):
        model.predict_interval()
    assert model.sample(5).shape == (4, 5)


def test_quantiles_of_counts_are_corrected_to_the_outside_only():
    actual = np.array([[0], [4], [9], [2]])
    hits = fit_hits(actual, np.broadcast_to(3.0, (4, 1, len(LEVELS))))
    assert_array_equal(hits.up_to, np.full(len(LEVELS), 0.5))
    assert_array_equal(hits.levels(np.array([0.05, 0.95])), [LEVELS[0], LEVELS[-1]])
    perfect = fit_hits(np.arange(1000)[:, None], np.broadcast_to(1000 * LEVELS, (1000, 1, len(LEVELS))))
    assert_allclose(perfect.levels(np.array([0.05, 0.5, 0.9])), [0.05, 0.5, 0.9], atol=0.002)


def test_series_of_counts_keep_their_levels():
    panel = {"few": counts(90), "many": 50 * counts(90, 1) + 100}
    model = LSTMForecaster(3, 9, loss="poisson", hidden_size=8, max_iter=30, random_state=0, n_jobs=1).fit(panel)
    forecasts = model.predict()
    assert forecasts["few"].max() < 30
    assert forecasts["many"].min() > 80
    assert_array_equal(model.predict(y={"x": panel["few"]})["x"], forecasts["few"])


# -- sampled paths ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", DISTRIBUTIONS)
def test_paths_are_seeded_and_have_the_form_of_the_series(loss):
    panel = {key: series_for(loss, seed=seed) for seed, key in enumerate("ab")}
    model = LSTMForecaster(3, 9, loss=loss, n_models=2, **STEPWISE).fit(panel)
    paths = model.sample(7, horizon=5, random_state=1)
    assert {key: of.shape for key, of in paths.items()} == {"a": (5, 7), "b": (5, 7)}
    again, other = model.sample(7, horizon=5, random_state=1), model.sample(7, horizon=5, random_state=2)
    assert_array_equal(again["a"], paths["a"])
    assert (other["a"] != paths["a"]).any()
    frame = LSTMForecaster(3, 9, loss=loss, **STEPWISE).fit(pd.Series(panel["a"], pd.period_range("2000", periods=90)))
    assert frame.sample(4).columns.tolist() == ["0", "1", "2", "3"]


@pytest.mark.parametrize("loss", DISTRIBUTIONS)
def test_paths_spread_about_the_forecast_as_the_distribution_says(loss):
    model = LSTMForecaster(3, 9, loss=loss, scaling="auto", **STEPWISE).fit(series_for(loss))
    first = model.sample(4000, horizon=1, random_state=0)[0]
    scatter = first.std() / np.sqrt(4000)
    assert abs(first.mean() - model.predict(1)[0]) < 5 * scatter
    low, high = np.quantile(first, [0.1, 0.9])
    wanted = model.predict_quantiles([0.1, 0.9], 1)[0]
    tolerance = 0.4 * first.std() if loss == "gaussian_nll" else 1 + 0.1 * first.std()
    assert abs(low - wanted[0]) <= tolerance or loss != "gaussian_nll"  # those of counts may be corrected
    assert wanted[0] <= low + tolerance
    assert wanted[1] >= high - tolerance


def test_paths_carry_their_own_past():
    y = noise(200).cumsum()
    paths = LSTMForecaster(3, 9, loss="gaussian_nll", **STEPWISE).fit(y).sample(500, horizon=20, random_state=0)
    assert np.corrcoef(paths[10], paths[11])[0, 1] > 0.9  # a random walk
    assert paths[-1].std() > 2 * paths[0].std()


def test_differences_of_paths_are_summed():
    y = noise(120).cumsum() + 100
    model = LSTMForecaster(3, 9, loss="gaussian_nll", differences=1, scaling="series", **STEPWISE).fit(y)
    paths = model.sample(300, random_state=0)
    assert np.abs(paths[0] - y[-1]).max() < 8
    assert_allclose(paths.mean(axis=1), model.predict(), atol=1)


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"loss": "quantile", "strategy": "recursive"}, "loss='quantile' describes each step on its own"),
        ({"loss": "quantile", "differences": 1}, "differences=1, but loss='quantile' requires 0"),
        ({"loss": "quantile", "quantile": [0.9, 0.1]}, "expected levels in increasing order"),
        ({"loss": "poisson", "scaling": "last"}, "scaling='last', but loss='poisson' requires 'auto'"),
        ({"loss": "poisson", "transform": "log"}, "transform='log', but loss='poisson' requires None"),
        ({"loss": "negative_binomial", "seasonal_differences": 1}, "seasonal_differences=1, but"),
        ({"strategy": "recursive", "bidirectional": True}, "bidirectional=True requires whole series"),
        ({"strategy": "both"}, "strategy"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        LSTMForecaster(3, 9, season_length=4, **{**QUICK, **parameters}).fit(counts(60))


def test_negative_counts_are_refused_everywhere():
    y = counts(60).astype(float)
    model = LSTMForecaster(3, 9, loss="poisson", **QUICK).fit(y)
    message = "y has -1, but loss='poisson' requires counts, 0 or more"
    with pytest.raises(ValueError, match=message):
        LSTMForecaster(3, 9, loss="poisson", **QUICK).fit([*y[:-1], -1])
    with pytest.raises(ValueError, match=message):
        model.update([1.0, -1.0])
    with pytest.raises(ValueError, match=message):
        model.predict(y=[*y, -1.0])


def test_paths_need_a_distribution_and_steps():
    model = LSTMForecaster(3, 9, **STEPWISE).fit(noise(60))
    with pytest.raises(ValueError, match="sample requires strategy='recursive' and a loss of a distribution"):
        model.sample()
    with pytest.raises(ValueError, match="n_samples=0; expected an integer, 1 or more"):
        LSTMForecaster(3, 9, loss="poisson", **STEPWISE).fit(counts(60)).sample(0)
    with pytest.raises(ValueError, match=r"random_state: Seed must be between 0 and"):
        LSTMForecaster(3, 9, loss="poisson", **STEPWISE).fit(counts(60)).sample(2, random_state=-1)


def test_levels_outside_the_fitted_ones_are_refused():
    model = LSTMForecaster(3, 9, loss="quantile", quantile=[0.2, 0.5, 0.8], **QUICK).fit(noise(80))
    assert model.predict_quantiles([0.2, 0.35, 0.8]).shape == (3, 3)
    with pytest.raises(ValueError, match=r"levels 0.1 and 0.9 are not between 0.2 and 0.8|not between 0.2 and 0.8"):
        model.predict_interval(0.8)
