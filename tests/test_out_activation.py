"""Bounded outputs: tanh and the logistic function of a regressor's scores."""

import numpy as np
import pytest
from helpers import assert_refused, bare
from numpy.testing import assert_allclose, assert_array_equal

from fastlstm import LSTMRegressor
from fastlstm.training.losses import ACTIVATIONS, Loss

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 6, 2))
SIGNAL = np.tanh(2 * X[:, -1, 0] + X[:, -3, 1])
TARGETS = {"tanh": SIGNAL, "logistic": (SIGNAL + 1) / 2}
QUICK = {"max_iter": 3, "learning_rate": "cosine", "batch_size": 8, "random_state": 0, "dtype": "float64"}

of_bounded = pytest.mark.parametrize("activation", TARGETS)


@of_bounded
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_gradients_are_those_of_finite_differences(activation, loss):
    scores, targets, step = 2 * RNG.normal(size=(8, 3)), RNG.uniform(size=(8, 3)), 1e-6
    of_activated = Loss(loss, activation=activation)
    _, d_scores = of_activated(scores, targets)
    for k in range(3):
        shift = step * np.eye(3)[k]
        up, down = (of_activated(moved, targets)[0].sum(axis=1) for moved in (scores + shift, scores - shift))
        assert_allclose(d_scores[:, k], (up - down) / (2 * step), rtol=1e-6, atol=1e-8)


@of_bounded
def test_predictions_are_the_function_of_what_the_head_gives(activation):
    model = bare(LSTMRegressor, 5, **QUICK, out_activation=activation).fit(X, TARGETS[activation])
    states = np.stack([states[-1] for states in model.hidden_states(X)])
    scores = (states @ model.weights_["head.weight"].T + model.weights_["head.bias"])[:, 0]
    expected = np.tanh(scores) if activation == "tanh" else 1 / (1 + np.exp(-scores))
    assert_allclose(model.predict(X), expected, rtol=1e-12)
    stream = model.stream(len(X))
    for t in range(X.shape[1]):
        predicted = stream.step(X[:, t])
    assert_array_equal(predicted, model.predict(X))


def test_a_vanilla_rnn_with_tanh_outputs_is_that_of_the_textbooks():
    model = bare(LSTMRegressor, 4, cell="rnn", **QUICK, out_activation="tanh").fit(X, SIGNAL)
    weights, h = model.weights_, np.zeros(4)
    for x in X[0]:
        bias = weights["bias_ih_l0"] + weights["bias_hh_l0"]
        h = np.tanh(weights["weight_ih_l0"] @ x + weights["weight_hh_l0"] @ h + bias)
    assert_allclose(model.predict(X[:1]), np.tanh(weights["head.weight"] @ h + weights["head.bias"]), rtol=1e-6)


@of_bounded
def test_bounded_targets_are_learned_and_not_left(activation):
    y = TARGETS[activation]
    model = LSTMRegressor(16, out_activation=activation, random_state=0).fit(X, y)
    low, high = ACTIVATIONS[activation].bounds
    predicted = model.predict(10 * X)
    assert model.score(X, y) > 0.9
    assert ((predicted >= low) & (predicted <= high)).all()
    assert model.y_mean_ is None


def test_all_backends_train_alike(backend):
    asked = {**QUICK, "out_activation": "tanh"}
    fits = [bare(LSTMRegressor, 5, **asked, backend=name).fit(X, SIGNAL) for name in (backend, "numpy")]
    assert_allclose(*(model.predict(X) for model in fits), rtol=1e-10)


def test_targets_out_of_bounds_are_refused():
    model = bare(LSTMRegressor, 5, **QUICK, out_activation="logistic")
    message = r"y is 1.5 for sample 3, but out_activation='logistic' expects targets in \[0, 1\]"
    assert_refused(lambda: model.fit(X[:5], [0.1, 0.2, 0.3, 1.5, 0.1]), ValueError, message, model)


def test_distributions_have_none():
    model = bare(LSTMRegressor, 5, **QUICK, out_activation="tanh", loss="gaussian_nll")
    message = "out_activation='tanh' is not supported with loss='gaussian_nll'"
    assert_refused(lambda: model.fit(X, SIGNAL), ValueError, message, model)


def test_training_does_not_go_on_with_another():
    model = bare(LSTMRegressor, 5, **QUICK, out_activation="tanh").fit(X, SIGNAL)
    model.set_params(out_activation="logistic", learning_rate="constant")
    message = "out_activation='logistic', but the fitted model has out_activation='tanh'"
    assert_refused(lambda: model.partial_fit(X, TARGETS["logistic"]), ValueError, message, model)
