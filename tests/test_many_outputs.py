"""Many labels at once, weights of single outputs, and the states behind the outputs."""

import pickle

import numpy as np
import pandas as pd
import pytest
from helpers import FASTEST, assert_same_fit, assert_update_follows_the_gradient, bare
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPClassifier

from fastlstm import LSTMClassifier, LSTMRegressor, layers

QUICK = {"hidden_size": 5, "learning_rate": "cosine", "max_iter": 3, "batch_size": 8, "random_state": 0}
STILL = {**QUICK, "learning_rate_init": 1e-300, "max_iter": 1, "dtype": "float64"}  # a rate that moves no weight
N, T, C = 22, 5, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, T, C))
SUMS = X.sum(axis=1)  # [N, 3]
LABELS = (SUMS > 0).astype(int)
LENGTHS = np.array([1, 5, 3, 2, 5, 4, 1, 2, 3, 5, 4, 4, 2, 1, 5, 3, 3, 2, 4, 5, 1, 2])
RAGGED = [x[:length] for x, length in zip(X, LENGTHS, strict=True)]
STEP_SUMS = [np.cumsum(x, axis=0) for x in RAGGED]
STEP_LABELS = [(sums > 0).astype(int) for sums in STEP_SUMS]
WEIGHTS = RNG.random((N, 3)) * (RNG.random((N, 3)) > 0.3)
STEP_WEIGHTS = [RNG.random(y.shape) * (RNG.random(y.shape) > 0.3) for y in STEP_SUMS]
estimators = pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])


def target_of(estimator):
    return SUMS if estimator is LSTMRegressor else LABELS


def cross_entropy(probabilities, labels):
    return -np.where(labels, np.log(probabilities), np.log1p(-probabilities))


# -- indicators -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("K", [2, 3])
def test_indicators_are_predicted_with_a_probability_for_each_label(backend, dtype, K):
    model = bare(LSTMClassifier, **QUICK, backend=backend, dtype=dtype).fit(X, LABELS[:, :K])
    probabilities, predicted = model.predict_proba(X), model.predict(X)
    assert model.classes_.tolist() == list(range(K))
    assert model.n_outputs_ == K
    assert probabilities.shape == predicted.shape == (N, K)
    assert probabilities.dtype == dtype
    assert predicted.dtype.kind == "i"
    assert_array_equal(predicted, probabilities > 0.5)
    assert len(np.unique(probabilities.sum(axis=1))) > 1  # they are no shares of one
    tolerance = {"float32": 1e-6, "float64": 1e-14}[dtype]
    assert_allclose(np.exp(model.predict_log_proba(X)), probabilities, rtol=10 * tolerance)
    scores = model.hidden_states(X)[:, -1] @ model.weights_["head.weight"].T + model.weights_["head.bias"]
    assert_allclose(probabilities, 1 / (1 + np.exp(-scores)), rtol=10 * tolerance)


def test_classes_and_shapes_are_those_of_mlpclassifier():
    peer = MLPClassifier(5, max_iter=400, random_state=0, tol=1).fit(X.reshape(N, -1), LABELS)
    model = bare(LSTMClassifier, **QUICK).fit(X, LABELS)
    assert_array_equal(model.classes_, peer.classes_)
    assert model.predict(X).shape == peer.predict(X.reshape(N, -1)).shape
    assert model.predict_proba(X).shape == peer.predict_proba(X.reshape(N, -1)).shape
    assert model.n_outputs_ == peer.n_outputs_


def test_probabilities_and_logarithms_stay_finite_at_the_limits():
    model = bare(LSTMClassifier, **QUICK).fit(X, LABELS)
    model.weights_["head.bias"][:] = [-500, 0, 500]
    probabilities, logarithms = model.predict_proba(X), model.predict_log_proba(X)
    assert_allclose(logarithms[:, 0], -500, rtol=0.02)
    assert_array_equal(probabilities[:, [0, 2]], np.tile([0.0, 1.0], (N, 1)))
    assert_array_equal(logarithms[:, 2], np.zeros(N))


@pytest.mark.parametrize("weights", [None, np.arange(N) % 4, WEIGHTS], ids=["none", "series", "labels"])
@pytest.mark.parametrize("batch_size", [7, "auto"])
def test_the_loss_adds_up_over_labels_and_is_the_mean_over_series(backend, weights, batch_size):
    model = bare(LSTMClassifier, **{**STILL, "batch_size": batch_size}, backend=backend)
    model.fit(X, LABELS, weights, X_val=X, y_val=LABELS, sample_weight_val=weights)
    losses = cross_entropy(model.predict_proba(X), LABELS)
    w = np.ones((N, 3)) if weights is None else weights if weights.ndim == 2 else np.tile(weights[:, None], 3)
    expected = 3 * np.average(losses, weights=w)  # the mean over labels, times their number
    assert_allclose(model.loss_, expected, rtol=1e-12)
    assert_allclose(model.validation_loss_curve_, [expected], rtol=1e-12)


@pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])
@pytest.mark.parametrize("K", [2, 3])
def test_an_update_follows_the_gradient_of_the_loss_with_weights_of_outputs(backend, estimator, K):
    options = {**STILL, "hidden_size": 2, "solver": "sgd", "momentum": 0.0, "clip_norm": None, "batch_size": N}
    data = X, target_of(estimator)[:, :K], WEIGHTS[:, :K]
    model = bare(estimator, **options, backend=backend, shuffle=False).fit(*data)
    assert_update_follows_the_gradient(model, *data)


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_matrix, sparse.coo_array, sparse.csr_array])
def test_sparse_indicators_are_those_of_their_dense_array(kind):
    expected, model = bare(LSTMClassifier, **QUICK).fit(X, LABELS), bare(LSTMClassifier, **QUICK).fit(X, kind(LABELS))
    assert_same_fit(model, expected)
    assert model.score(X, kind(LABELS).tocsr()) == expected.score(X, LABELS)


def test_sparse_indicators_have_the_score_of_their_dense_array_with_weights_of_labels():
    model = bare(LSTMClassifier, **QUICK).fit(X, LABELS)
    assert model.score(X, sparse.csr_matrix(LABELS), WEIGHTS) == model.score(X, LABELS, WEIGHTS)


@pytest.mark.parametrize("kind", [np.ndarray.tolist, pd.DataFrame, lambda y: y.astype(bool), lambda y: y.astype("f4")])
def test_indicators_may_be_of_any_type(kind):
    expected, model = bare(LSTMClassifier, **QUICK).fit(X, LABELS), bare(LSTMClassifier, **QUICK).fit(X, kind(LABELS))
    assert_same_fit(model, expected)
    assert model.score(X, kind(LABELS)) == expected.score(X, LABELS)


def test_many_labels_are_learned():
    x = np.random.default_rng(1).choice([-1.0, 1.0], size=(300, 6, 3))
    y = (x[:, 0] > 0).astype(int)  # each channel's first step: remember all three
    options = {"hidden_size": 16, "learning_rate": "cosine", "learning_rate_init": 0.02, "batch_size": 25}
    model = bare(LSTMClassifier, **options, max_iter=40, random_state=0).fit(x[:200], y[:200])
    assert model.score(x[200:], y[200:]) > 0.95  # all three right
    assert_array_equal(model.predict(x[200:])[:, 1], model.predict_proba(x[200:])[:, 1] > 0.5)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 1.0, 1: 2.0, 2: 1.0}])
def test_class_weights_of_indicators_are_refused(class_weight):
    with pytest.raises(ValueError, match=r"class_weight=.*not supported in multi-label classification.*sample_weight"):
        bare(LSTMClassifier, **QUICK, class_weight=class_weight).fit(X, LABELS)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_partial_fit_of_indicators_is_one_epoch_of_a_fit():
    options = {**QUICK, "learning_rate": "constant", "max_iter": 1}
    whole = bare(LSTMClassifier, **options).fit(X, LABELS, WEIGHTS)
    part = bare(LSTMClassifier, **options).partial_fit(X, LABELS, classes=[0, 1, 2], sample_weight=WEIGHTS)
    assert_same_fit(part, whole)
    part.partial_fit(RAGGED, sparse.csr_matrix(LABELS))
    assert part.n_iter_ == 2
    assert part.predict(X).shape == (N, 3)


def test_partial_fit_of_indicators_may_start_with_labels_that_none_has():
    part = bare(LSTMClassifier, **{**QUICK, "learning_rate": "constant"})
    part.partial_fit(X, np.zeros_like(LABELS), classes=[0, 1, 2])
    assert part.partial_fit(X, LABELS).predict_proba(X).shape == (N, 3)


def test_a_warm_start_with_indicators_goes_on():
    model = bare(LSTMClassifier, **QUICK, warm_start=True).fit(X, LABELS)
    before = model.loss_curve_[-1]
    assert model.fit(X, LABELS).loss_curve_[3] < before
    with pytest.raises(ValueError, match=r"one label per series or step, but .* with indicators of several labels"):
        model.fit(X, LABELS[:, 0])
    with pytest.raises(ValueError, match="indicators of 2 labels, but the model was fitted with 3"):
        model.fit(X, LABELS[:, :2])


def test_early_stopping_watches_the_part_with_all_labels_right():
    options = {**QUICK, "early_stopping": True, "learning_rate_init": 0.05, "max_iter": 15}
    model = bare(LSTMClassifier, **options).fit(X, LABELS, X_val=X[:9], y_val=LABELS[:9])
    assert len(set(model.validation_scores_)) > 1
    assert model.best_validation_score_ == model.score(X[:9], LABELS[:9])
    assert model.best_validation_score_ == accuracy_score(LABELS[:9], model.predict(X[:9]))


def test_cross_validation_and_pickles_take_indicators():
    assert np.isfinite(cross_val_score(bare(LSTMClassifier, **QUICK), RAGGED, LABELS, cv=3, error_score="raise")).all()
    model = bare(LSTMClassifier, **QUICK).fit(RAGGED, LABELS)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(RAGGED), model.predict_proba(RAGGED))


# -- indicators for each step -----------------------------------------------------------------------------------


def test_indicators_of_steps_come_back_in_the_form_of_x(backend):
    model = bare(LSTMClassifier, **QUICK, return_sequences=True, backend=backend).fit(RAGGED, STEP_LABELS)
    assert model.classes_.tolist() == [0, 1, 2]
    for method in ("predict", "predict_proba", "predict_log_proba"):
        together = getattr(model, method)(RAGGED)
        assert type(together) is list
        for one, length, x in zip(together, LENGTHS, RAGGED, strict=True):
            assert one.shape == (length, 3)
            assert_array_equal(getattr(model, method)(x[None])[0], one)
    flat = np.concatenate(model.predict(RAGGED))
    assert_array_equal(flat, np.concatenate(model.predict_proba(RAGGED)) > 0.5)
    right = (flat == np.concatenate(STEP_LABELS)).all(axis=1)
    assert model.score(RAGGED, STEP_LABELS) == pytest.approx(right.mean(), rel=1e-12)


def test_an_array_of_indicators_of_steps_is_their_list():
    y = (np.cumsum(X, axis=1) > 0).astype(int)
    model = bare(LSTMClassifier, **QUICK, return_sequences=True).fit(X, y)
    assert_same_fit(bare(LSTMClassifier, **QUICK, return_sequences=True).fit(list(X), list(y)), model)
    assert model.predict(X).shape == (N, T, 3)
    assert model.predict(X).dtype.kind == "i"


@pytest.mark.parametrize("weights", [None, STEP_WEIGHTS], ids=["none", "labels"])
def test_the_loss_of_steps_adds_up_over_labels_and_is_the_mean_over_steps(backend, weights):
    model = bare(LSTMClassifier, **STILL, backend=backend, return_sequences=True)
    model.fit(RAGGED, STEP_LABELS, weights, X_val=RAGGED, y_val=STEP_LABELS, sample_weight_val=weights)
    losses = cross_entropy(np.concatenate(model.predict_proba(RAGGED)), np.concatenate(STEP_LABELS))
    expected = 3 * np.average(losses, weights=None if weights is None else np.concatenate(weights))
    assert_allclose(model.loss_, expected, rtol=1e-12)
    assert_allclose(model.validation_loss_curve_, [expected], rtol=1e-12)


# -- weights of outputs -----------------------------------------------------------------------------------------


@estimators
def test_weights_of_outputs_that_are_all_one_are_none(backend, estimator):
    y = target_of(estimator)
    one, other = (bare(estimator, **QUICK, backend=backend).fit(X, y, w) for w in (None, np.ones((N, 3))))
    assert_same_fit(one, other)
    steps = STEP_SUMS if estimator is LSTMRegressor else STEP_LABELS
    options = {**QUICK, "backend": backend, "return_sequences": True}
    one, other = (bare(estimator, **options).fit(RAGGED, steps, w) for w in (None, [np.ones(y.shape) for y in steps]))
    assert_same_fit(one, other)


@estimators
def test_weights_of_a_series_are_those_of_all_of_its_outputs(backend, estimator):
    weights = np.arange(N) % 4
    one, other = (
        bare(estimator, **QUICK, backend=backend, dtype="float64").fit(X, target_of(estimator), w)
        for w in (weights, np.tile(weights[:, None], 3))
    )
    assert_allclose(other.loss_curve_, one.loss_curve_, rtol=1e-12)
    for name, value in one.weights_.items():
        assert_allclose(other.weights_[name], value, rtol=1e-9, atol=1e-12, err_msg=name)


BY_HAND = {
    "squared_error": lambda r: 0.5 * r**2,
    "absolute_error": np.abs,
    "huber": lambda r: np.where(np.abs(r) <= 1, 0.5 * r**2, np.abs(r) - 0.5),
}


@pytest.mark.parametrize("loss", BY_HAND)
@pytest.mark.parametrize("weights", [np.tile([1.0, 0.25, 3.0], (N, 1)), WEIGHTS], ids=["a vector", "any"])
@pytest.mark.parametrize("batch_size", [7, "auto"])
def test_the_loss_is_the_weighted_mean_over_outputs(backend, loss, weights, batch_size):
    model = bare(LSTMRegressor, **{**STILL, "batch_size": batch_size}, loss=loss, backend=backend)
    model.fit(X, SUMS, weights, X_val=X, y_val=SUMS, sample_weight_val=weights)
    expected = np.average(BY_HAND[loss](model.predict(X) - SUMS), weights=weights)
    assert_allclose(model.loss_, expected, rtol=1e-12)
    assert_allclose(model.validation_loss_curve_, [expected], rtol=1e-12)


def test_the_loss_of_steps_is_the_weighted_mean_over_outputs(backend):
    model = bare(LSTMRegressor, **STILL, backend=backend, return_sequences=True).fit(RAGGED, STEP_SUMS, STEP_WEIGHTS)
    residuals = np.concatenate(model.predict(RAGGED)) - np.concatenate(STEP_SUMS)
    assert_allclose(model.loss_, np.average(0.5 * residuals**2, weights=np.concatenate(STEP_WEIGHTS)), rtol=1e-12)


@estimators
def test_weights_of_outputs_count_only_relative_to_each_other(estimator):
    one, other = (bare(estimator, **QUICK).fit(X, target_of(estimator), f * WEIGHTS) for f in (1, 2.0**-20))
    for name, value in one.weights_.items():
        assert_array_equal(other.weights_[name], value, err_msg=name)


@estimators
def test_the_target_of_an_output_of_weight_zero_may_be_any(backend, estimator):
    y = target_of(estimator)
    other = np.where(WEIGHTS > 0, y, 1 - y if estimator is LSTMClassifier else 1e6)
    assert (other != y).any()
    one, another = (bare(estimator, **QUICK, backend=backend).fit(X, targets, WEIGHTS) for targets in (y, other))
    assert_same_fit(one, another)
    steps = STEP_SUMS if estimator is LSTMRegressor else STEP_LABELS
    others = [
        np.where(w > 0, s, 1 - s if estimator is LSTMClassifier else np.nan)
        for s, w in zip(steps, STEP_WEIGHTS, strict=True)
    ]
    options = {**QUICK, "backend": backend, "return_sequences": True}
    one, another = (bare(estimator, **options).fit(RAGGED, targets, STEP_WEIGHTS) for targets in (steps, others))
    assert_same_fit(one, another)


def test_an_output_without_weight_is_not_learned():
    weights = np.tile([1.0, 0.0, 1.0], (N, 1))
    model = bare(LSTMRegressor, **QUICK, warm_start=True).fit(X, SUMS, weights)
    start = bare(LSTMRegressor, **{**QUICK, "learning_rate_init": 1e-300}).fit(X, SUMS, weights)
    assert_array_equal(model.weights_["head.weight"][1], start.weights_["head.weight"][1])
    assert (model.weights_["head.weight"][[0, 2]] != start.weights_["head.weight"][[0, 2]]).all()


def test_r_squared_weighs_each_output_by_its_own_weights():
    model = bare(LSTMRegressor, **QUICK).fit(X, SUMS)
    predicted = model.predict(X)
    expected = np.mean([r2_score(SUMS[:, k], predicted[:, k], sample_weight=WEIGHTS[:, k]) for k in range(3)])
    assert model.score(X, SUMS, WEIGHTS) == pytest.approx(expected, rel=1e-6)
    assert model.score(X, SUMS, np.ones((N, 3))) == pytest.approx(model.score(X, SUMS), rel=1e-6)
    anything = np.where(WEIGHTS > 0, SUMS, np.nan)
    assert model.score(X, anything, WEIGHTS) == pytest.approx(expected, rel=1e-6)
    without = WEIGHTS * [1, 0, 1]
    expected = np.mean([r2_score(SUMS[:, k], predicted[:, k], sample_weight=WEIGHTS[:, k]) for k in (0, 2)])
    assert model.score(X, SUMS, without) == pytest.approx(expected, rel=1e-6)


def test_accuracy_weighs_a_series_by_the_mean_of_its_labels_weights():
    model = bare(LSTMClassifier, **QUICK).fit(X, LABELS)
    hits = model.predict(X) == LABELS
    right = hits.all(axis=1)
    assert 0 < right.mean() < 1
    expected = np.average((hits | (WEIGHTS == 0)).all(axis=1), weights=WEIGHTS.mean(axis=1))
    assert model.score(X, LABELS, WEIGHTS) == pytest.approx(expected, rel=1e-12)
    assert model.score(X, np.where(WEIGHTS > 0, LABELS, 1 - LABELS), WEIGHTS) == pytest.approx(expected, rel=1e-12)
    assert model.score(X, LABELS, np.ones((N, 3))) == pytest.approx(right.mean(), rel=1e-12)


def test_validation_scores_are_weighted_by_outputs():
    options = {**QUICK, "dtype": "float64"}
    for estimator in (LSTMClassifier, LSTMRegressor):
        y = target_of(estimator)
        model = bare(estimator, **options).fit(X, y, X_val=X[:9], y_val=y[:9], sample_weight_val=WEIGHTS[:9])
        assert model.validation_scores_[-1] == pytest.approx(model.score(X[:9], y[:9], WEIGHTS[:9]), rel=1e-12)


def test_outputs_one_by_one_have_no_influence_on_each_other_behind_multioutput():
    model = MultiOutputRegressor(bare(LSTMRegressor, **QUICK)).fit(X, SUMS)
    assert_array_equal(model.predict(X)[:, 1], bare(LSTMRegressor, **QUICK).fit(X, SUMS[:, 1]).predict(X))


@estimators
@pytest.mark.parametrize("shape", [{}, {"return_sequences": True}], ids=["series", "steps"])
def test_fits_with_weights_of_outputs_have_the_same_bits_for_any_n_jobs(four_cpus, by_units, estimator, shape):
    data = X, target_of(estimator), WEIGHTS
    if shape:
        data = RAGGED, STEP_SUMS if estimator is LSTMRegressor else STEP_LABELS, STEP_WEIGHTS
    options = {**QUICK, **shape, "hidden_size": 37, "backend": FASTEST}
    alone, *together = (bare(estimator, **options, n_jobs=n).fit(*data) for n in (1, 2, 4))
    for model in together:
        assert_same_fit(model, alone)


# -- states -----------------------------------------------------------------------------------------------------

SHAPES = {
    "one": {},
    "two layers": {"num_layers": 2, "hidden_size": (5, 9)},
    "bidirectional": {"bidirectional": True},
    "both": {"num_layers": 2, "bidirectional": True},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_hidden_states_are_the_outputs_of_a_layer_with_the_fitted_weights(backend, cell, dtype, shape):
    options = {**QUICK, "max_iter": 1, "cell": cell, "dtype": dtype, "backend": backend, **shape}
    model = bare(LSTMRegressor, **options).fit(X, SUMS[:, 0])
    names = {"num_layers": options.get("num_layers", 1), "bidirectional": options.get("bidirectional", False)}
    layer = getattr(layers, cell.upper())(C, options["hidden_size"], **names, dtype=dtype, backend=backend)
    layer.load_state_dict({name: w for name, w in model.weights_.items() if not name.startswith("head.")})
    x = X.astype(dtype)
    states = model.hidden_states(X)
    assert_array_equal(states, layer(x)[0], strict=True)
    assert states.shape == (N, T, model.weights_["head.weight"].shape[1])
    output, _ = layer(x, lengths=LENGTHS)
    of_list = model.hidden_states(RAGGED)
    assert type(of_list) is list
    for one, of_layer, length in zip(of_list, output, LENGTHS, strict=True):
        assert_array_equal(one, of_layer[:length], strict=True)


def test_hidden_states_are_a_list_for_a_list_and_where_lengths_differ():
    model = bare(LSTMRegressor, **QUICK).fit(X, SUMS)
    padded = X.copy()
    padded[np.arange(T) >= LENGTHS[:, None]] = np.nan
    as_objects = np.empty(N, object)
    as_objects[:] = RAGGED
    expected = model.hidden_states(RAGGED)
    for form in (padded, as_objects, tuple(RAGGED), pd.Series(RAGGED)):
        states = model.hidden_states(form)
        assert type(states) is list
        for one, other in zip(states, expected, strict=True):
            assert_array_equal(one, other, strict=True)
    as_list = model.hidden_states(list(X))
    assert type(as_list) is list
    assert_array_equal(as_list, model.hidden_states(X))


def test_the_head_on_the_last_hidden_state_is_the_prediction(cell):
    model = bare(LSTMRegressor, **QUICK, dtype="float64", cell=cell).fit(X, SUMS)
    by_hand = model.hidden_states(X)[:, -1] @ model.weights_["head.weight"].T + model.weights_["head.bias"]
    assert_allclose(model.predict(X), by_hand, rtol=1e-12, atol=1e-14)


def test_hidden_states_have_the_same_bits_for_any_n_jobs(four_cpus, by_units, cell):
    options = {**QUICK, "hidden_size": 37, "cell": cell, "bidirectional": True, "num_layers": 2, "backend": FASTEST}
    model = bare(LSTMRegressor, **options, n_jobs=1).fit(X, SUMS)
    expected = np.concatenate(model.hidden_states(RAGGED))
    for n_jobs in (2, 4):
        assert_array_equal(np.concatenate(model.set_params(n_jobs=n_jobs).hidden_states(RAGGED)), expected)
