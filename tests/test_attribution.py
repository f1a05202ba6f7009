"""Importance of channels and steps."""

import sys

import numpy as np
import pandas as pd
import pytest
from helpers import FASTEST, needs_torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.metrics import get_scorer
from sklearn.pipeline import make_pipeline

from fastlstm import LSTMClassifier, LSTMRegressor, SequenceScaler, TableLayout
from fastlstm.inspection import ImportanceDisplay, step_importance
from fastlstm.inspection.attribution.groups import Groups
from fastlstm.sequences import of_members

RNG = np.random.default_rng(0)
X = RNG.normal(2, 3, size=(30, 6, 2))
Y = X[:, -2:, 1].sum(axis=1)
LISTS = [RNG.normal(2, 3, size=(length, 2)) for length in (3, 6, 1, 6, 4)]
QUICK = {"max_iter": 3, "learning_rate": "cosine", "random_state": 0, "backend": FASTEST}


def finite_differences(function, series, step=1e-5):
    """Derivatives of numbers [n], one per series of a list, by the values of that series."""
    gradients = []
    for n, member in enumerate(series):
        gradient = np.empty(member.shape)
        for index in np.ndindex(member.shape):
            both = []
            for shift in (step, -step):
                moved = [other.copy() for other in series]
                moved[n][index] += shift
                both.append(function(moved)[n])
            gradient[index] = (both[0] - both[1]) / (2 * step)
        gradients.append(gradient)
    return gradients


def assert_is_absolute_gradient(importance, gradients, series):
    """The importance of single steps is the absolute gradient times the standard deviation of the channel."""
    spread = np.concatenate(series).std(axis=0)
    for values, gradient in zip(importance.values, gradients, strict=True):
        T = len(gradient)
        assert_allclose(values[-T:], np.abs(gradient) * spread, rtol=1e-5, atol=1e-8)
        assert not values[:-T].any()


@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "num_layers": 2}, {"standardize": False}], ids=str)
def test_gradients_are_finite_differences_of_predictions(cell, options):
    model = LSTMRegressor(3, cell=cell, dtype="float64", **options, **QUICK)
    model.fit(LISTS, [member[:, 0].sum() for member in LISTS])
    importance = step_importance(model, LISTS, method="gradient", by="both", block_size=1)
    assert_is_absolute_gradient(importance, finite_differences(model.predict, LISTS), LISTS)


def test_gradients_are_the_same_for_all_backends(backend):
    model = LSTMRegressor(3, dtype="float64", **QUICK).fit(LISTS, [member[:, 0].sum() for member in LISTS])
    expected = step_importance(model, LISTS, method="gradient").values
    model.set_params(backend=backend)
    assert_allclose(step_importance(model, LISTS, method="gradient").values, expected, rtol=1e-10)


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "poisson"},
        {"loss": "negative_binomial"},
        {"loss": "gaussian_nll"},
        {"loss": "quantile", "quantile": [0.2, 0.4, 0.9]},
        {"loss": "quantile", "quantile": [0.6, 0.9]},
        {"out_activation": "logistic"},
    ],
    ids=str,
)
def test_gradients_of_distributions_are_those_of_their_predictions(options):
    y = np.arange(5) if "loss" in options else np.arange(5) / 5
    model = LSTMRegressor(3, dtype="float64", **options, **QUICK).fit(LISTS, y)
    importance = step_importance(model, LISTS, method="gradient", by="both", block_size=1)
    assert_is_absolute_gradient(importance, finite_differences(model.predict, LISTS), LISTS)


def test_with_targets_gradients_are_those_of_the_loss():
    y = np.arange(5) % 3
    model = LSTMClassifier(3, dtype="float64", **QUICK).fit(LISTS, y)
    importance = step_importance(model, LISTS, y, method="gradient", by="both", block_size=1)
    gradients = finite_differences(lambda series: -model.predict_log_proba(series)[np.arange(5), y], LISTS)
    assert_is_absolute_gradient(importance, gradients, LISTS)


def test_gradients_with_targets_per_step_are_those_of_the_mean_loss_and_of_the_last_output():
    y = [member[:, 0] for member in LISTS]
    model = LSTMRegressor(3, dtype="float64", return_sequences=True, bidirectional=True, **QUICK).fit(LISTS, y)

    def losses(series):
        errors = [(a - b) / model.y_scale_ for a, b in zip(model.predict(series), y, strict=True)]
        return [np.mean(error**2) / 2 for error in errors]

    importance = step_importance(model, LISTS, y, method="gradient", by="both", block_size=1)
    assert_is_absolute_gradient(importance, finite_differences(losses, LISTS), LISTS)
    importance = step_importance(model, LISTS, method="gradient", by="both", block_size=1)
    last = finite_differences(lambda series: [member[-1] for member in model.predict(series)], LISTS)
    assert_is_absolute_gradient(importance, last, LISTS)


@needs_torch
def test_gradients_are_those_of_torch():
    import torch

    model = LSTMClassifier(5, num_layers=2, bidirectional=True, dtype="float64", standardize=False, **QUICK)
    model.fit(X, np.arange(30) % 3)
    lstm = torch.nn.LSTM(2, 5, 2, bidirectional=True, batch_first=True, dtype=torch.float64)
    weights = {name: torch.tensor(value) for name, value in model.weights_.items()}
    lstm.load_state_dict({name: value for name, value in weights.items() if "head" not in name})
    x = torch.tensor(X, requires_grad=True)
    _, (h_n, _) = lstm(x)
    scores = torch.cat([h_n[-2], h_n[-1]], dim=1) @ weights["head.weight"].T + weights["head.bias"]
    scores[:, 2].sum().backward()
    importance = step_importance(model, X, method="gradient", output=2, by="both", block_size=1)
    assert_allclose(importance.values, np.abs(x.grad.numpy()) * X.std(axis=(0, 1)), rtol=1e-10)


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"standardize": False}], ids=str)
def test_integrated_gradients_sum_to_the_difference_of_predictions(cell, options):
    y = [member[:, 0].sum() for member in LISTS]
    model = LSTMRegressor(4, cell=cell, **options, **{**QUICK, "max_iter": 100}).fit(LISTS, y)
    baseline = [np.tile([1.0, -1.0], (len(member), 1)) for member in LISTS]
    importance = step_importance(model, LISTS, y, method="integrated_gradients", by="both", baseline=[1, -1])
    differences = model.predict(LISTS) - model.predict(baseline)
    assert np.abs(differences).max() > 1
    assert_allclose(importance.values.sum(axis=(1, 2)), differences, atol=1e-3)


def test_integrated_gradients_sum_to_differences_in_the_units_of_the_target():
    """Differences are small compared with the spread of the targets, which standardisation divides by."""
    x = np.random.default_rng(0).normal(size=(300, 20, 2)) * [1, 3]
    y = 1000 * np.sign(x[:, 5, 0]) * (np.abs(x[:, -1, 1]) + x[:, 2, 0])
    options = {**QUICK, "max_iter": 60, "learning_rate": "constant", "learning_rate_init": 0.03, "dtype": "float64"}
    model = LSTMRegressor(16, **options).fit(x, y)
    importance = step_importance(model, x, method="integrated_gradients", by="both")
    differences = model.predict(x) - model.predict(np.broadcast_to(x.mean(axis=(0, 1)), x.shape))
    smallest = 0.01 * np.sqrt((differences**2).mean())
    errors = importance.values.sum(axis=(1, 2)) - differences
    assert (np.abs(errors) <= 1e-3 * np.maximum(np.abs(differences), smallest)).all()


def test_integrated_gradients_of_a_series_equal_to_its_baseline_are_zero(recwarn):
    model = LSTMRegressor(4, **QUICK).fit(X, Y)
    importance = step_importance(model, np.ones((1, 6, 2)), method="integrated_gradients", baseline=[1, 1])
    assert_array_equal(importance.values, 0)
    assert importance.n_points == 16


def test_integrated_gradients_sum_where_the_output_changes_abruptly():
    """A saturated vanilla RNN switches at a point of the path."""
    model = LSTMClassifier(4, cell="rnn", standardize=False, **QUICK).fit(X, Y.mean() < Y)
    for name in ("weight_ih_l0", "weight_hh_l0", "head.weight"):
        model.weights_[name] *= 20
    importance = step_importance(model, X, method="integrated_gradients", output=1, by="step")

    def scores(x):
        return model.hidden_states(x)[:, -1] @ model.weights_["head.weight"][1]

    differences = scores(X) - scores(np.broadcast_to(X.mean(axis=(0, 1)), X.shape))
    assert importance.n_points > 100
    assert_allclose(importance.values.sum(axis=1), differences, atol=1e-3)


def test_integrated_gradients_explain_the_predicted_class():
    y = np.arange(30) % 3
    model = LSTMClassifier(4, **{**QUICK, "max_iter": 50}).fit(X, y)
    importance = step_importance(model, X, method="integrated_gradients")
    of_classes = [step_importance(model, X, method="integrated_gradients", output=k).values for k in range(3)]
    assert_array_equal(importance.values, np.stack(of_classes)[model.predict(X), np.arange(30)])


def test_integrated_gradients_sum_with_missing_values_and_targets_per_step():
    holes = X.copy()
    holes[::2, 2:4, 1] = np.nan
    model = LSTMRegressor(4, missing="mask", return_sequences=True, **{**QUICK, "max_iter": 50})
    model.fit(holes, np.nan_to_num(holes).sum(axis=2))
    importance = step_importance(model, holes, method="integrated_gradients", by="both", baseline=[0, 0])
    assert importance.values.shape == (30, 6, 2)
    differences = model.predict(holes)[:, -1] - model.predict(np.zeros_like(X))[:, -1]
    assert_allclose(importance.values.sum(axis=(1, 2)), differences, atol=1e-3)


@pytest.mark.parametrize("method", ["permutation", "gradient", "integrated_gradients", "occlusion"])
def test_the_informative_channel_and_steps_are_found(method):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 8, 3))
    y = x[:, 4:6, 1].sum(axis=1)
    model = LSTMRegressor(8, **{**QUICK, "max_iter": 30}).fit(x, y)
    importance = step_importance(model, x, y, method=method, by="both", block_size=2, random_state=0)
    assert np.unravel_index(importance.mean.argmax(), importance.mean.shape) == (2, 1)
    assert importance.blocks[2].tolist() == [-4, -2]


def test_permutations_are_the_drop_of_the_score():
    model = LSTMRegressor(4, **QUICK).fit(X, Y)
    importance = step_importance(model, X, Y, n_repeats=2, random_state=3, scoring="neg_mean_absolute_error")
    rng, scorer = np.random.RandomState(3), get_scorer("neg_mean_absolute_error")
    expected = np.empty((2, 2))
    for repeat, channel in np.ndindex(2, 2):
        permuted = X.copy()
        permuted[:, :, channel] = X[rng.permutation(30), :, channel]
        expected[repeat, channel] = scorer(model, X, Y) - scorer(model, permuted, Y)
    assert_allclose(importance.values, expected, rtol=1e-12)
    assert_array_equal(importance.mean, importance.values.mean(axis=0))
    assert_array_equal(importance.std, importance.values.std(axis=0))


def test_occlusion_is_the_change_of_predictions():
    model = LSTMRegressor(4, **QUICK).fit(X, Y)
    importance = step_importance(model, X, method="occlusion", by="both", n_blocks=2, baseline=model.x_mean_)
    occluded = X.copy()
    occluded[:, 3:, 1] = model.x_mean_[1]
    difference = model.predict(X) - model.predict(occluded)
    assert_allclose(importance.values[:, 1, 1], difference, rtol=1e-4, atol=1e-5)
    assert_allclose(importance.mean[1, 1], np.abs(difference).mean(), rtol=1e-4)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.randoms())
def test_series_exchange_all_values_at_the_same_distance_from_their_ends(lengths, random):
    series = of_members([np.arange(length)[::-1, None] + 100.0 * n for n, length in enumerate(lengths)], "float64", "X")
    order = np.array(random.sample(range(len(lengths)), len(lengths)))
    table = series.table()[:, 0]
    donors = Groups(series, "channel", None).donors(order)
    assert sorted(donors) == list(range(series.steps))
    assert_array_equal(table[donors] % 100, table % 100)
    for n, member in enumerate(series.members(table[donors])):
        if lengths[order[n]] >= lengths[n]:
            assert set(member // 100) == {order[n]}


def test_series_that_end_before_a_block_are_left_out_of_its_mean():
    model = LSTMRegressor(4, **QUICK).fit(LISTS, [member[:, 0].sum() for member in LISTS])
    importance = step_importance(model, LISTS, method="gradient", by="step", block_size=3)
    assert importance.blocks.tolist() == [[-6, -3], [-3, 0]]
    long = np.array([len(member) > 3 for member in LISTS])
    assert_array_equal(importance.mean, [importance.values[long, 0].mean(), importance.values[:, 1].mean()])
    assert not importance.values[~long, 0].any()


@pytest.mark.parametrize("method", ["permutation", "gradient", "integrated_gradients"])
def test_results_are_the_same_bits_for_any_number_of_threads(method, four_cpus):
    model = LSTMClassifier(4, bidirectional=True, **QUICK).fit(X, Y > 0)
    one, other = (
        step_importance(model, X, Y > 0, method=method, by="step", random_state=0, n_jobs=number) for number in (1, -1)
    )
    assert_array_equal(one.values, other.values)


@pytest.mark.parametrize("options", [{}, {"return_sequences": True}], ids=str)
def test_every_form_of_x_has_the_same_importance(options):
    y = X.sum(axis=2) if options else Y
    frames = [pd.DataFrame(x, columns=["speed", "load"]) for x in X]
    results = []
    for form in (X, list(X), frames):
        model = LSTMRegressor(4, **options, **QUICK).fit(form, list(y) if form is not X and options else y)
        targets = list(y) if form is not X and options else y
        for method in ("permutation", "occlusion"):
            results.append(step_importance(model, form, targets, method=method, by="both", random_state=0))
    for result in results[2:4]:
        assert result.channels == ["x0", "x1"]
    for result in results[4:]:
        assert result.channels == ["speed", "load"]
    for k, result in enumerate(results):
        assert_array_equal(result.values, results[k % 2].values)


def test_padded_arrays_have_the_importance_of_lists():
    padded = np.full((5, 6, 2), np.nan)
    for n, member in enumerate(LISTS):
        padded[n, : len(member)] = member
    targets = padded[:, :, 0]
    model = LSTMRegressor(4, return_sequences=True, **QUICK).fit(padded, targets)
    for method in ("permutation", "integrated_gradients"):
        one, other = (
            step_importance(model, x, y, method=method, by="step", random_state=0)
            for x, y in [(padded, targets), (LISTS, [member[:, 0] for member in LISTS])]
        )
        assert_array_equal(one.values, other.values)


def test_scores_of_probabilities_and_of_series_with_missing_values():
    holes = X.copy()
    holes[::3, 5, 0] = np.nan
    model = LSTMClassifier(4, missing="mask", **{**QUICK, "max_iter": 60}).fit(holes, np.where(Y > 4, "high", "low"))
    labels = model.predict(holes)
    importance = step_importance(model, holes, labels, scoring="neg_log_loss", random_state=0)
    assert importance.mean.argmax() == 1
    assert (importance.mean > 0).all()


def test_tables_with_a_layout_have_the_names_of_their_columns():
    table = pd.DataFrame(RNG.normal(size=(40, 4)), columns=["lag_2", "lag_1", "price", "lag_3"])
    model = LSTMRegressor(4, **QUICK).fit(table, table["lag_1"] + table["price"])
    importance = step_importance(model, table, method="gradient", by="both", block_size=1)
    assert importance.channels == ["lag_1", "price"]
    assert importance.values.shape == (40, 3, 2)
    unnamed = LSTMRegressor(4, layout=TableLayout(known=[-1]), **QUICK).fit(X[:, :, 0], Y)
    assert step_importance(unnamed, X[:, :, 0], Y).channels == ["x0", "x1"]


def test_several_targets_are_explained_one_at_a_time():
    y = np.stack([Y, -100 * Y], axis=1)
    model = LSTMRegressor(4, **{**QUICK, "dtype": "float64"}).fit(X, y)
    importance = step_importance(model, X, method="integrated_gradients", output=1)
    baseline = np.broadcast_to(X.mean(axis=(0, 1)), X.shape)
    differences = (model.predict(X) - model.predict(baseline))[:, 1]
    assert_allclose(importance.values.sum(axis=1), differences, rtol=1e-3)
    with pytest.raises(ValueError, match="The model has 2 targets: pass output, the index of the one to explain"):
        step_importance(model, X, method="integrated_gradients")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "shap"}, r"method='shap': expected one of \['permutation'"),
        ({"by": "feature"}, r"by='feature': expected one of \['channel', 'step', 'both'\]"),
        ({"y": None}, "method='permutation' requires y"),
        ({"y": Y[:-1]}, "inconsistent numbers of samples"),
        ({"X": X[:1], "y": Y[:1]}, "X has 1 series, which leaves nothing to permute"),
        ({"X": X[:, :, :1]}, "X has 1 channels"),
        ({"n_blocks": 2}, "have no effect with by='channel'"),
        ({"by": "step", "n_blocks": 7}, "n_blocks=7: expected a number of blocks from 1 to 6"),
        ({"by": "step", "block_size": 0}, "block_size=0: expected a number of steps from 1 to 6"),
        ({"by": "step", "block_size": 1, "n_blocks": 2}, "pass one of them"),
        ({"n_repeats": 0}, "n_repeats=0: expected an integer, 1 or more"),
        ({"n_jobs": 0}, "n_jobs=0"),
        ({"scoring": ["r2"]}, "scoring=.*expected a single score"),
        ({"method": "gradient", "scoring": "r2"}, "scoring has no effect with method='gradient'"),
        ({"method": "gradient", "output": 0}, "output has no effect with method='gradient' and y"),
        ({"method": "gradient", "baseline": [0, 0]}, "baseline has no effect"),
        ({"method": "occlusion", "baseline": [0]}, r"baseline has shape \(1,\); expected \(2,\)"),
        ({"method": "occlusion", "baseline": [0, np.nan]}, "baseline contains NaN"),
        ({"method": "integrated_gradients", "output": 1}, "output=1: expected an index from 0 to 0"),
    ],
)
def test_invalid_arguments_are_refused(arguments, message):
    model = LSTMRegressor(4, **QUICK).fit(X, Y)
    with pytest.raises(ValueError, match=message):
        step_importance(model, **{"X": X, "y": Y, **arguments})


def test_other_estimators_are_refused():
    with pytest.raises(NotFittedError):
        step_importance(LSTMRegressor(4), X, Y)
    with pytest.raises(TypeError, match="est is of type Pipeline; expected a fitted LSTMClassifier or LSTMRegressor"):
        step_importance(make_pipeline(SequenceScaler(), LSTMRegressor(4)), X, Y)


@pytest.mark.parametrize("per_step", [False, True])
def test_integrated_gradients_of_a_classifier_that_does_not_standardise_explain_its_predictions(per_step, backend):
    labels = (X[:, :, 0] > 2).astype(int)
    labels = labels if per_step else labels[:, -1]
    options = {**QUICK, "backend": backend, "standardize": False, "return_sequences": per_step}
    model = LSTMClassifier(4, **options).fit(X, labels)
    found = step_importance(model, X, method="integrated_gradients")
    exact = step_importance(
        LSTMClassifier(4, **{**options, "dtype": "float64"}).fit(X, labels), X, method="integrated_gradients"
    )
    assert_allclose(found.mean, exact.mean, rtol=0.02, atol=1e-3)


def test_a_missing_matplotlib_is_reported_before_any_work(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="ImportanceDisplay requires matplotlib"):
        ImportanceDisplay.from_estimator(None, X, Y)
