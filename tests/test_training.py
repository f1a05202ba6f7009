"""What training does: solvers, losses, weights, rates, stopping, going on, bits, interruptions."""

import warnings

import numpy as np
import pytest
from helpers import assert_refused, bare, needs_torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPRegressor
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_is_fitted

from fastlstm import LSTMClassifier, LSTMRegressor, kernels
from fastlstm.training.loop import Training
from fastlstm.training.losses import NAMES, Loss
from fastlstm.training.solvers import SOLVERS, Options

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL = {"hidden_size": 4, "dtype": "float64", "random_state": 0}
STILL = 1e-300  # a learning rate that moves no weight


def series(n=24, T=5, C=2, seed=0):
    """Series, and the sum of each one's first channel."""
    X = np.random.default_rng(seed).normal(size=(n, T, C))
    return X, X[:, :, 0].sum(axis=1)


def flat(weights):
    return np.concatenate([value.ravel() for value in weights.values()])


def assert_same_weights(one, other):
    assert one.weights_.keys() == other.weights_.keys()
    for name, value in one.weights_.items():
        assert_array_equal(value, other.weights_[name], err_msg=name)


def assert_close_weights(one, other):
    assert_allclose(flat(one.weights_), flat(other.weights_), rtol=1e-9, atol=1e-11)


@pytest.fixture
def updates(monkeypatch):
    """What solver "sgd" is called with, update by update: (gradient, rate, number); it moves nothing."""
    calls = []

    def note(kernels, first, last, p, g, moments, rate, scale, t, options):
        g = g * scale
        calls.append((g.copy(), rate, t))

    monkeypatch.setitem(SOLVERS, "sgd", (note, 1))
    return calls


# -- solvers ------------------------------------------------------------------------------------------------

GRADIENTS = np.array([[0.5, -2.0, 0.0], [1.0, 1.0, -1e-3], [-0.25, 4.0, 1e-3]])
START = np.array([1.25, -0.75, 0.5])
RATE = 0.1


def path(backend, solver, **options):
    """Parameters after every step of a solver along GRADIENTS."""
    (update, n_moments), package = SOLVERS[solver], kernels.load(backend)
    p, moments, points = START.copy(), np.zeros((n_moments, 3)), []
    for t, gradient in enumerate(GRADIENTS, 1):
        for part in [(0, 1), (1, 3)]:
            update(package.solvers, *part, p, 4 * gradient, moments, RATE, 0.25, t, Options(**options))
        points.append(p.copy())
    return np.array(points)


def decayed_sums(values, decay):
    """sum over i <= t of decay**(t - i) * values[i], for every t."""
    return np.array([sum(decay ** (t - i) * values[i] for i in range(t + 1)) for t in range(len(values))])


def adam_steps():
    means = [
        decayed_sums(values, beta) / decayed_sums(np.ones(3), beta)[:, None]  # weighted means: the bias is corrected
        for values, beta in ((GRADIENTS, 0.9), (GRADIENTS**2, 0.999))
    ]
    return RATE * means[0] / (np.sqrt(means[1]) + 1e-8)


def test_adam_divides_the_mean_gradient_by_its_root_mean_square(backend):
    assert_allclose(path(backend, "adam"), START - np.cumsum(adam_steps(), axis=0), rtol=1e-12)


def test_adamw_decays_the_parameters_apart_from_adams_step(backend):
    p, expected = START, []
    for step in adam_steps():
        p = p * (1 - RATE * 0.3) - step
        expected.append(p)
    assert_allclose(path(backend, "adamw", decay=0.3), expected, rtol=1e-12)


def test_sgd_moves_by_the_velocity(backend):
    expected = START - RATE * np.cumsum(decayed_sums(GRADIENTS, 0.9), axis=0)
    assert_allclose(path(backend, "sgd", momentum=0.9, nesterov=False), expected, rtol=1e-12)


def test_sgd_with_nesterov_moves_by_the_velocity_of_the_next_step(backend):
    steps = GRADIENTS + 0.9 * decayed_sums(GRADIENTS, 0.9)
    assert_allclose(
        path(backend, "sgd", momentum=0.9, nesterov=True), START - RATE * np.cumsum(steps, axis=0), rtol=1e-12
    )


def test_sgd_without_momentum_moves_by_the_gradient(backend):
    expected = START - RATE * np.cumsum(GRADIENTS, axis=0)
    assert_allclose(path(backend, "sgd", momentum=0.0, nesterov=False), expected, rtol=1e-12)
    assert_allclose(path(backend, "sgd", momentum=0.0, nesterov=True), expected, rtol=1e-12)


def test_rmsprop_divides_the_gradient_by_its_root_mean_square(backend):
    squares = 0.01 * decayed_sums(GRADIENTS**2, 0.99)
    steps = RATE * GRADIENTS / (np.sqrt(squares) + 1e-8)
    assert_allclose(path(backend, "rmsprop"), START - np.cumsum(steps, axis=0), rtol=1e-12)


@needs_torch
@pytest.mark.parametrize(("ours", "theirs"), [("adam", "Adam"), ("nadam", "NAdam"), ("rmsprop", "RMSprop")])
def test_a_solver_takes_the_steps_of_torch(backend, ours, theirs):
    import torch

    p, points = torch.tensor(START, requires_grad=True), []
    solver = getattr(torch.optim, theirs)([p], lr=RATE)
    for gradient in GRADIENTS:
        p.grad = torch.tensor(gradient)
        solver.step()
        points.append(p.detach().numpy().copy())
    assert_allclose(path(backend, ours), points, rtol=1e-8)  # torch keeps the product of nadam's momenta in float32


def test_nadam_moves_by_the_gradient_and_by_the_average_of_the_next_step(backend):
    mu = [0.9 * (1 - 0.5 * 0.96 ** (0.004 * t)) for t in range(1, 5)]
    averages = [0.1 * decayed_sums(GRADIENTS, 0.9), 0.001 * decayed_sums(GRADIENTS**2, 0.999)]
    p, expected = START, []
    for t, (g, m, v) in enumerate(zip(GRADIENTS, *averages, strict=True)):
        product = np.prod(mu[: t + 1])
        ahead = (1 - mu[t]) / (1 - product) * g + mu[t + 1] / (1 - product * mu[t + 1]) * m
        p = p - RATE * ahead / (np.sqrt(v / (1 - 0.999 ** (t + 1))) + 1e-8)
        expected.append(p)
    assert_allclose(path(backend, "nadam"), expected, rtol=1e-12)


@pytest.mark.parametrize("options", [{"momentum": 0.0}, {"nesterovs_momentum": False}], ids=str)
def test_the_estimators_momentum_reaches_sgd(options):
    X, y = series()
    plain = bare(LSTMRegressor, **SMALL, solver="sgd", max_iter=3).fit(X, y)
    other = bare(LSTMRegressor, **SMALL, solver="sgd", max_iter=3, **options).fit(X, y)
    assert (flat(plain.weights_) != flat(other.weights_)).any()


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_learns(solver):
    X, y = series(n=60)
    model = bare(LSTMRegressor, **SMALL, solver=solver, learning_rate_init=0.02, batch_size=10, max_iter=60).fit(X, y)
    assert model.score(X, y) > 0.9


# -- losses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "scores", "targets", "value"),
    [
        ("squared_error", [1.0, 3.0], [0.0, 1.0], 0.5 * (1 + 4) / 2),
        ("absolute_error", [1.0, 3.0], [2.0, 1.0], (1 + 2) / 2),
        ("huber", [0.5, 3.0], [0.0, 0.0], (0.5 * 0.25 + (3 - 0.5)) / 2),
        ("cross_entropy", [0.0, np.log(3)], [0], np.log(4)),
        ("cross_entropy", [0.0, np.log(3)], [1], np.log(4 / 3)),
        ("cross_entropy", [1000.0, 0.0], [1], 1000.0),
        ("binary_cross_entropy", [0.0, np.log(3)], [1, 0], np.log(2) + np.log(4)),
        ("binary_cross_entropy", [1000.0, -1000.0], [0, 0], 1000.0),
    ],
)
def test_losses_worked_by_hand(loss, scores, targets, value):
    values, _ = Loss(loss)(np.array([scores]), np.array([targets]))
    assert_allclose(values.sum(axis=1), [value], rtol=1e-12)


@pytest.mark.parametrize("loss", [name for name in NAMES if not Loss(name).is_distribution])
def test_gradients_of_losses_are_those_of_finite_differences(loss):
    rng = np.random.default_rng(0)
    scores, step = rng.normal(size=(8, 3)) * 2, 1e-6
    targets = rng.integers(3, size=(8, 1)) if loss == "cross_entropy" else rng.normal(size=(8, 3))
    _, d_scores = Loss(loss)(scores, targets)
    for k in range(3):
        shift = step * np.eye(3)[k]
        up, down = (Loss(loss)(moved, targets)[0].sum(axis=1) for moved in (scores + shift, scores - shift))
        assert_allclose(d_scores[:, k], (up - down) / (2 * step), rtol=1e-6, atol=1e-8)


RESIDUAL_LOSSES = {
    "squared_error": lambda r: 0.5 * r**2,
    "absolute_error": np.abs,
    "huber": lambda r: np.where(np.abs(r) <= 1, 0.5 * r**2, np.abs(r) - 0.5),
}


@pytest.mark.parametrize("batch_size", ["auto", 7])
@pytest.mark.parametrize("loss", RESIDUAL_LOSSES)
def test_the_loss_of_an_epoch_is_the_weighted_mean_over_series_and_outputs(loss, batch_size):
    X, y = series()
    Y, weights = np.column_stack([y, 2 * y]), np.arange(1.0, 25.0)
    model = bare(LSTMRegressor, **SMALL, loss=loss, batch_size=batch_size, learning_rate_init=STILL, max_iter=1)
    model.fit(X, Y, weights)
    losses = RESIDUAL_LOSSES[loss](model.predict(X) - Y).mean(axis=1)
    assert_allclose(model.loss_, np.average(losses, weights=weights), rtol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_loss_of_a_classifier_is_the_log_loss(n_classes):
    X, _ = series()
    y = np.arange(24) % n_classes
    model = bare(LSTMClassifier, **SMALL, learning_rate_init=STILL, max_iter=1).fit(X, y)
    assert_allclose(model.loss_, log_loss(y, model.predict_proba(X)), rtol=1e-12)


@pytest.mark.parametrize("solver", ["sgd", "adamw"])
@pytest.mark.parametrize("loss", RESIDUAL_LOSSES)
@pytest.mark.parametrize("alpha", [0.0, 3.0])
def test_the_gradient_is_that_of_the_penalised_loss(updates, monkeypatch, loss, alpha, solver):
    monkeypatch.setitem(SOLVERS, solver, SOLVERS["sgd"])
    X, y = series(n=6, T=3, C=1)
    model = bare(LSTMRegressor, 2, loss=loss, solver=solver, alpha=alpha, clip_norm=None, max_iter=1, shuffle=False)
    model.set_params(dtype="float64", random_state=0, warm_start=True).fit(X, y)
    gradient, numeric = updates[0][0], []
    for name in list(model.weights_):
        for k in range(model.weights_[name].size):
            losses = []
            for step in (1e-5, -1e-5):
                model.weights_[name].flat[k] += step
                losses.append(model.fit(X, y).loss_)
                model.weights_[name].flat[k] -= step
            numeric.append((losses[0] - losses[1]) / 2e-5)
    assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-9)


def test_alpha_penalises_half_the_square_of_matrices_but_no_bias():
    X, y = series()
    plain, penalised = (
        bare(LSTMRegressor, **SMALL, alpha=alpha, learning_rate_init=STILL, max_iter=1).fit(X, y)
        for alpha in (0.0, 3.0)
    )
    squares = sum(np.sum(value**2) for value in plain.weights_.values() if value.ndim == 2)
    assert_allclose(penalised.loss_ - plain.loss_, 0.5 * 3.0 * squares / len(X), rtol=1e-12)


def test_adamw_decays_matrices_apart_from_the_loss():
    X, y = series()
    first = bare(LSTMRegressor, **SMALL, learning_rate_init=STILL, max_iter=1).fit(X, y)
    plain, decayed = (bare(LSTMRegressor, **SMALL, solver="adamw", alpha=a, max_iter=1).fit(X, y) for a in (0.0, 3.0))
    assert decayed.loss_ == plain.loss_
    for name, value in first.weights_.items():
        pull = 1e-3 * 3.0 * value * (value.ndim == 2)
        assert_allclose(plain.weights_[name] - decayed.weights_[name], pull, rtol=1e-9, atol=1e-14, err_msg=name)


# -- weights of series and classes --------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_weight_k_is_k_copies_and_weight_zero_is_absence(alpha):
    X, y = series()
    weights = np.arange(24) % 4
    weighted = bare(LSTMRegressor, **SMALL, alpha=alpha, max_iter=20).fit(X, y, weights)
    repeated = bare(LSTMRegressor, **SMALL, alpha=alpha, max_iter=20).fit(X.repeat(weights, axis=0), y.repeat(weights))
    assert_close_weights(weighted, repeated)
    assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-9)


def test_weights_count_only_relative_to_each_other():
    X, y = series()
    weights = np.arange(24.0)
    one, other = (bare(LSTMRegressor, **SMALL, max_iter=20).fit(X, y, factor * weights) for factor in (1, 2.0**-20))
    assert_same_weights(one, other)


def test_a_minibatch_counts_for_what_its_series_weigh():
    X, y = series(n=12)
    weights = np.array([100.0] + [1.0] * 11)
    sgd = {"solver": "sgd", "momentum": 0.0, "max_iter": 1, "random_state": 0, "clip_norm": None, "dtype": "float64"}
    whole = bare(LSTMRegressor, 3, **sgd, batch_size=12, learning_rate_init=4e-6).fit(X, y, weights)
    parts = bare(LSTMRegressor, 3, **sgd, batch_size=3, learning_rate_init=1e-6).fit(X, y, weights)
    start = bare(LSTMRegressor, 3, **sgd, batch_size=12, learning_rate_init=1e-300).fit(X, y)
    for name, before in start.weights_.items():
        moved = whole.weights_[name] - before
        assert_allclose(parts.weights_[name] - before, moved, rtol=1e-3, atol=1e-5 * abs(moved).max(), err_msg=name)


def test_a_batch_without_weight_changes_nothing():
    X, y = series()
    options = {**SMALL, "batch_size": 12, "shuffle": False, "max_iter": 3}
    half = bare(LSTMRegressor, **options).fit(X[:12], y[:12])
    assert_same_weights(bare(LSTMRegressor, **options).fit(X, y, np.arange(24) < 12), half)


def test_class_weights_are_sample_weights():
    X, y = series()
    y = np.where(y > 0.5, "high", "low")
    by_class = bare(LSTMClassifier, **SMALL, class_weight={"high": 3, "low": 0.5}, max_iter=5).fit(X, y)
    assert_same_weights(by_class, bare(LSTMClassifier, **SMALL, max_iter=5).fit(X, y, np.where(y == "high", 3, 0.5)))


def test_balanced_class_weights_are_sample_weights():
    X, y = series()
    y = y > 1
    balanced = bare(LSTMClassifier, **SMALL, class_weight="balanced", max_iter=5).fit(X, y)
    assert_same_weights(
        balanced, bare(LSTMClassifier, **SMALL, max_iter=5).fit(X, y, compute_sample_weight("balanced", y))
    )


def test_class_weights_and_sample_weights_multiply():
    X, y = series()
    y, weights = (y > 1).astype(int), np.arange(1.0, 25.0)
    both = bare(LSTMClassifier, **SMALL, class_weight={0: 1, 1: 3}, max_iter=5).fit(X, y, weights)
    assert_same_weights(both, bare(LSTMClassifier, **SMALL, max_iter=5).fit(X, y, weights * np.where(y, 3, 1)))


def test_balance_counts_copies():
    X, y = series()
    y = y > 1
    weights = np.where(y, 1, 3)
    weighted = bare(LSTMClassifier, **SMALL, class_weight="balanced", max_iter=20).fit(X, y, weights)
    repeated = bare(LSTMClassifier, **SMALL, class_weight="balanced", max_iter=20)
    assert_close_weights(weighted, repeated.fit(X.repeat(weights, axis=0), y.repeat(weights)))


# -- batches, clipping, rates -------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "batch_size", "expected"), [(450, "auto", 57), (20, "auto", 1), (20, 7, 3), (20, 99, 1)])
def test_an_epoch_has_an_update_for_every_batch(updates, n, batch_size, expected):
    bare(LSTMRegressor, **SMALL, solver="sgd", batch_size=batch_size, max_iter=1).fit(*series(n))
    assert len(updates) == expected


def test_updates_are_counted_from_one_and_on_in_partial_fit(updates):
    model = bare(LSTMRegressor, **SMALL, solver="sgd", batch_size=12, max_iter=2).fit(*series())
    model.partial_fit(*series())
    assert [number for _, _, number in updates] == [1, 2, 3, 4, 5, 6]


def test_without_shuffling_batches_are_taken_in_order():
    X, y = series()
    together = bare(LSTMRegressor, **SMALL, batch_size=10, shuffle=False, max_iter=1).fit(X, y)
    apart = bare(LSTMRegressor, **SMALL, batch_size=10, shuffle=False)
    for rows in (slice(0, 10), slice(10, 20), slice(20, 24)):
        apart.partial_fit(X[rows], y[rows])
    assert_same_weights(together, apart)


def test_with_shuffling_batches_change_from_epoch_to_epoch(updates):
    bare(LSTMRegressor, **SMALL, solver="sgd", batch_size=10, max_iter=2).fit(*series())
    assert not np.array_equal(updates[0][0], updates[3][0])


def test_a_long_gradient_is_scaled_down_to_clip_norm(updates):
    X, y = series()
    for clip_norm in (None, 0.01):
        bare(LSTMRegressor, **SMALL, solver="sgd", clip_norm=clip_norm, max_iter=1).fit(X, y)
    whole, clipped = (gradient for gradient, _, _ in updates)
    assert np.linalg.norm(whole) > 0.01
    assert_allclose(clipped, 0.01 * whole / np.linalg.norm(whole), rtol=1e-12)


def test_a_short_gradient_is_not_scaled(updates):
    X, y = series()
    for clip_norm in (None, 1e6):
        bare(LSTMRegressor, **SMALL, solver="sgd", clip_norm=clip_norm, max_iter=1).fit(X, y)
    assert_array_equal(updates[0][0], updates[1][0])


def rates(updates):
    return [rate for _, rate, _ in updates]


def test_a_constant_rate_stays(updates):
    bare(LSTMRegressor, **SMALL, solver="sgd", learning_rate_init=0.25, max_iter=5).fit(*series())
    assert rates(updates) == [0.25] * 5


def test_a_cosine_rate_falls_to_zero_over_max_iter_batch_by_batch(updates):
    model = bare(LSTMRegressor, **SMALL, solver="sgd", learning_rate="cosine", learning_rate_init=0.2, max_iter=4)
    model.set_params(batch_size=12).fit(*series())
    assert_allclose(rates(updates), 0.1 * (1 + np.cos(np.pi * np.arange(8) / 8)), rtol=1e-12)


def test_a_cosine_rate_starts_again_in_a_warm_start(updates):
    model = bare(LSTMRegressor, **SMALL, solver="sgd", learning_rate="cosine", max_iter=3, warm_start=True)
    model.fit(*series()).fit(*series())
    assert rates(updates)[:3] == rates(updates)[3:]


def test_an_adaptive_rate_is_divided_by_five_until_it_is_below_1e_6(updates):
    model = bare(LSTMRegressor, **SMALL, solver="sgd", learning_rate="adaptive", learning_rate_init=1e-5, max_iter=50)
    model.set_params(tol=1e3, n_iter_no_change=1).fit(*series())  # no epoch but the first improves by 1000
    assert_allclose(rates(updates), [1e-5] * 3 + [2e-6] * 2 + [4e-7] * 2, rtol=1e-12)


# -- when training stops ------------------------------------------------------------------------------------


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("n_iter_no_change", [1, 4])
def test_training_stops_when_mlp_does(early_stopping, n_iter_no_change):
    X, y = series()
    options = {"tol": 1e3, "n_iter_no_change": n_iter_no_change, "early_stopping": early_stopping, "max_iter": 50}
    peer = MLPRegressor(**options, random_state=0).fit(X[:, :, 0], y)
    assert bare(LSTMRegressor, **SMALL, **options).fit(X, y).n_iter_ == peer.n_iter_ < 50


def test_epochs_that_improve_by_less_than_tol_do_not_count():
    X, y = series()
    model = bare(LSTMRegressor, **SMALL, max_iter=50, n_iter_no_change=3)
    steps = -np.diff(model.fit(X, y).loss_curve_)
    assert model.n_iter_ == 50  # every epoch improves by more than the default tol
    assert model.set_params(tol=2 * steps.max()).fit(X, y).n_iter_ < 50


def test_training_that_could_go_on_warns():
    model = bare(LSTMRegressor, **SMALL, max_iter=3, learning_rate_init=0.05)
    with pytest.warns(ConvergenceWarning, match="max_iter=3") as caught:
        model.fit(*series())
    assert caught[0].filename == __file__


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "options", [{"learning_rate": "cosine", "max_iter": 3}, {"tol": 1e3, "n_iter_no_change": 1}], ids=["plan", "tol"]
)
def test_training_that_ends_on_purpose_does_not_warn(options):
    bare(LSTMRegressor, **SMALL, **options).fit(*series())


@pytest.fixture
def overfitted():
    """A regressor stopped early by a few noisy rows, and those rows: its best epoch is not its last."""
    X_val, y_val = series(8, seed=1)
    y_val = y_val + np.random.default_rng(0).normal(size=8)
    model = bare(LSTMRegressor, **SMALL, early_stopping=True, learning_rate_init=0.05, max_iter=60)
    return model.fit(*series(), X_val=X_val, y_val=y_val), X_val, y_val


def test_early_stopping_ends_with_the_best_score(overfitted):
    model, X_val, y_val = overfitted
    assert model.best_validation_score_ == max(model.validation_scores_) > model.validation_scores_[-1]
    assert model.score(X_val, y_val) == model.best_validation_score_


def test_early_stopping_ends_with_the_weights_of_the_best_epoch(overfitted):
    model = overfitted[0]
    best = 1 + int(np.argmax(model.validation_scores_))
    shorter = bare(LSTMRegressor, **SMALL, learning_rate_init=0.05, max_iter=best).fit(*series())
    assert_same_weights(model, shorter)


def test_early_stopping_stops_when_the_score_stays(overfitted):
    model = overfitted[0]
    assert model.n_iter_ < 60
    assert model.n_iter_ - 1 - np.argmax(model.validation_scores_) <= model.n_iter_no_change + 1


def test_early_stopping_keeps_the_best_epoch_where_it_is_better_by_less_than_tol():
    X_val, y_val = series(8, seed=1)
    model = bare(LSTMRegressor, **SMALL, early_stopping=True, tol=1e3, n_iter_no_change=3)
    model.fit(*series(), X_val=X_val, y_val=y_val)
    assert model.score(X_val, y_val) == max(model.validation_scores_) > model.validation_scores_[0]


def test_early_stopping_restores_a_classifiers_best_epoch():
    X, y = series()
    X_val, y_val = series(40, seed=1)
    model = bare(LSTMClassifier, **SMALL, early_stopping=True, learning_rate_init=0.05, max_iter=40)
    model.fit(X, y > 0, X_val=X_val, y_val=y_val > 0)
    assert model.score(X_val, y_val > 0) == model.best_validation_score_ == max(model.validation_scores_)


def test_early_stopping_holds_out_a_part_of_the_data():
    model = bare(LSTMRegressor, **SMALL, early_stopping=True, validation_fraction=0.25, max_iter=3).fit(*series(40))
    assert model.t_ == 3 * 30
    assert len(model.validation_scores_) == 3


def test_the_part_held_out_has_every_class():
    X, _ = series(40)
    y = np.arange(40) % 10 == 0
    for seed in range(10):  # only the rare class has weight: where none of it was held out there is no score
        model = bare(LSTMClassifier, 4, early_stopping=True, validation_fraction=0.25, random_state=seed, max_iter=1)
        assert np.isfinite(model.fit(X, y, sample_weight=y.astype(float)).best_validation_score_)


def test_early_stopping_needs_a_score():
    # R squared of one series is not defined
    with pytest.raises(ValueError, match="validation"):
        bare(LSTMRegressor, **SMALL, early_stopping=True, max_iter=3).fit(*series(9))


def test_early_stopping_needs_a_score_that_is_finite():
    X, y = series()
    model = bare(LSTMRegressor, **SMALL, early_stopping=True, max_iter=3)
    with pytest.raises(FloatingPointError, match="validation"):
        model.fit(X, y, X_val=X, y_val=1e200 * y)  # its squares overflow


@pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])
def test_early_stopping_needs_weight_in_the_validation_data(estimator):
    X, y = series()
    with pytest.raises(ValueError, match="validation"):
        bare(estimator, **SMALL, early_stopping=True, max_iter=3).fit(X, y > 0, np.arange(24) < 3)


# -- the last series held out -------------------------------------------------------------------------------

TAIL = {**SMALL, "early_stopping": True, "validation_split": "tail"}


@pytest.mark.parametrize(("fraction", "held"), [(0.1, 3), (0.25, 6), (0.26, 7), (0.9, 22)])
@pytest.mark.parametrize("return_sequences", [False, True], ids=["last", "steps"])
def test_the_tail_is_the_last_series_as_they_stand(fraction, held, return_sequences):
    X, y = series()
    y = X[:, :, 0].cumsum(axis=1) if return_sequences else y
    weights = np.arange(1.0, 25.0)
    options = {"max_iter": 3, "return_sequences": return_sequences}
    model = bare(LSTMRegressor, **TAIL, **options, validation_fraction=fraction).fit(X, y, weights)
    parts = X[:-held], y[:-held], weights[:-held]
    last = {"X_val": X[-held:], "y_val": y[-held:], "sample_weight_val": weights[-held:]}
    expected = bare(LSTMRegressor, **SMALL, **options, early_stopping=True).fit(*parts, **last)
    assert_same_weights(model, expected)
    assert model.validation_loss_curve_ == expected.validation_loss_curve_


def test_the_tail_of_a_list_of_unequal_series():
    X, y = series()
    X = [one[: 2 + n % 3] for n, one in enumerate(X)]
    model = bare(LSTMClassifier, **TAIL, max_iter=3, validation_fraction=0.25).fit(X, y > 0)
    last = {"X_val": X[-6:], "y_val": y[-6:] > 0}
    assert_same_weights(
        model, bare(LSTMClassifier, **SMALL, max_iter=3, early_stopping=True).fit(X[:-6], y[:-6] > 0, **last)
    )


def test_the_tail_is_not_drawn():
    X, y = series()
    one, other = (bare(LSTMRegressor, **{**TAIL, "random_state": seed}, max_iter=1, tol=0).fit(X, y) for seed in (0, 1))
    for model in (one, other):
        assert model.validation_scores_ == [model.score(X[-3:], y[-3:])]


@pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])
def test_something_must_stay_before_the_tail(estimator):
    X, y = series(4)
    model = bare(estimator, **TAIL, validation_fraction=0.8)
    message = "validation_split='tail' with validation_fraction=0.8 holds out all of the 4 series"
    assert_refused(lambda: model.fit(X, y > 0), ValueError, message, model)


@pytest.mark.parametrize("return_sequences", [False, True], ids=["last", "steps"])
def test_a_label_must_not_occur_in_the_tail_alone(return_sequences):
    X, _ = series(20)
    labels = np.array(["a", "b"] * 9 + ["a", "c"])
    labels = np.repeat(labels[:, None], X.shape[1], axis=1) if return_sequences else labels
    model = bare(LSTMClassifier, **TAIL, return_sequences=return_sequences, max_iter=1)
    message = r"Labels \['c'\] occur only in the last 2 series, which validation_split='tail' holds out"
    assert_refused(lambda: model.fit(X, labels), ValueError, message, model)
    weights = np.arange(20) != 19  # what does not count need not be known
    model.fit(X, labels, weights.astype(float))


def test_validation_data_alone_only_watch():
    X, y = series()
    X_val, y_val = series(8, seed=1)
    watched = bare(LSTMRegressor, **SMALL, max_iter=5).fit(X, y, X_val=X_val, y_val=y_val)
    assert_same_weights(watched, bare(LSTMRegressor, **SMALL, max_iter=5).fit(X, y))
    assert len(watched.validation_scores_) == len(watched.validation_loss_curve_) == 5
    assert watched.validation_scores_[-1] == watched.score(X_val, y_val)


def test_validation_weights_weigh_score_and_loss():
    X, y = series()
    X_val, y_val = series(8, seed=1)
    weights = np.arange(1.0, 9.0)
    model = bare(LSTMRegressor, **SMALL, max_iter=2).fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weights)
    assert model.validation_scores_[-1] == model.score(X_val, y_val, weights)
    loss = np.average(0.5 * (model.predict(X_val) - y_val) ** 2, weights=weights)
    assert_allclose(model.validation_loss_curve_[-1], loss, rtol=1e-12)


def test_fitted_attributes_tell_the_history():
    model = bare(LSTMRegressor, **SMALL, learning_rate_init=3.0, max_iter=4).fit(
        *series()
    )  # so high that the loss rises
    assert model.n_iter_ == len(model.loss_curve_) == 4
    assert model.t_ == 4 * 24
    assert model.loss_ == model.loss_curve_[-1]
    assert model.best_loss_ == min(model.loss_curve_) < model.loss_
    assert model.validation_scores_ is model.validation_loss_curve_ is model.best_validation_score_ is None


def test_gradient_norms_tell_how_steep_it_was(backend):
    X, y = series()
    options = {**SMALL, "backend": backend, "solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.1}
    model = bare(LSTMRegressor, **options, max_iter=1, clip_norm=None, alpha=0.1, warm_start=True)
    start = bare(LSTMRegressor, **{**options, "learning_rate_init": STILL}, max_iter=1).fit(X, y).weights_
    model.fit(X, y)
    step = np.concatenate([(model.weights_[name] - start[name]).ravel() for name in start])
    assert_allclose(model.grad_norm_curve_, [np.linalg.norm(step) / 0.1], rtol=1e-9)
    clipped = bare(LSTMRegressor, **options, max_iter=1, clip_norm=1e-3, alpha=0.1).fit(X, y)
    assert clipped.grad_norm_curve_ == model.grad_norm_curve_  # before clipping


def test_gradient_norms_are_the_means_of_the_batches():
    X, y = series()
    options = {**SMALL, "max_iter": 1, "learning_rate_init": STILL, "shuffle": False}
    whole = bare(LSTMRegressor, **options, batch_size=8).fit(X, y)
    parts = [bare(LSTMRegressor, **options).fit(X[n : n + 8], y[n : n + 8]).grad_norm_curve_[0] for n in (0, 8, 16)]
    assert_allclose(whole.grad_norm_curve_, [np.mean(parts)], rtol=1e-9)
    weighted = bare(LSTMRegressor, **options, batch_size=8).fit(X, y, np.arange(24) < 16)  # the last batch is left out
    assert_allclose(weighted.grad_norm_curve_, [np.mean(parts[:2])], rtol=1e-9)


def test_gradient_norms_grow_as_other_curves_do():
    X, y = series()
    model = bare(LSTMRegressor, **SMALL, max_iter=3, warm_start=True).fit(X, y)
    first = model.grad_norm_curve_
    assert len(first) == 3
    model.partial_fit(X, y)
    model.fit(X, y)
    assert len(first) == 3
    assert model.grad_norm_curve_[:3] == first
    assert len(model.grad_norm_curve_) == len(model.loss_curve_) == 7
    assert np.isfinite(model.grad_norm_curve_).all()


# -- going on -----------------------------------------------------------------------------------------------


def test_a_warm_start_goes_on_from_the_last_weights():
    X, y = series()
    model = bare(LSTMRegressor, **SMALL, max_iter=10, warm_start=True).fit(X, y)
    first, loss = model.loss_curve_, 0.5 * np.mean((model.predict(X) - y) ** 2)
    model.fit(X, y)
    assert model.loss_curve_[:10] == first
    assert model.n_iter_ == len(model.loss_curve_) == 20
    assert_allclose(model.loss_curve_[10], loss, rtol=1e-12)


def test_a_warm_start_with_early_stopping_reports_the_score_of_its_weights():
    X, y = series()
    X_val, y_val = series(8, seed=1)
    model = bare(LSTMRegressor, **SMALL, early_stopping=True, warm_start=True, learning_rate_init=0.03, max_iter=30)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    model.set_params(learning_rate_init=2.0, max_iter=2).fit(X, y, X_val=X_val, y_val=y_val)  # spoils it
    assert model.score(X_val, y_val) == model.best_validation_score_


def test_without_warm_start_a_fit_begins_anew():
    X, y = series()
    again = bare(LSTMRegressor, **SMALL, max_iter=3).fit(X[:, 1:, :1], -y).fit(X, y)
    assert_same_weights(again, bare(LSTMRegressor, **SMALL, max_iter=3).fit(X, y))
    assert again.n_iter_ == 3


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("shuffle", [False, True])
def test_partial_fits_are_the_epochs_of_a_fit(solver, shuffle):
    X, y = series()
    options = {**SMALL, "solver": solver, "batch_size": 10, "shuffle": shuffle}
    whole = bare(LSTMRegressor, **options, max_iter=3).fit(X, y)
    parts = bare(LSTMRegressor, **options)
    for _ in range(3):
        parts.partial_fit(X, y)
    assert_same_weights(parts, whole)
    assert (parts.n_iter_, parts.t_, parts.loss_curve_) == (whole.n_iter_, whole.t_, whole.loss_curve_)


def test_partial_fits_of_a_classifier_are_the_epochs_of_a_fit():
    X, y = series()
    whole = bare(LSTMClassifier, **SMALL, max_iter=2).fit(X, y > 0)
    parts = bare(LSTMClassifier, **SMALL).partial_fit(X, y > 0, classes=[False, True]).partial_fit(X, y > 0)
    assert_same_weights(parts, whole)


def test_partial_fit_goes_on_after_fit():
    X, y = series()
    model = bare(LSTMRegressor, **SMALL, max_iter=2).fit(X, y).partial_fit(X, y)
    assert_same_weights(model, bare(LSTMRegressor, **SMALL, max_iter=3).fit(X, y))


def test_partial_fit_keeps_classes_that_it_has_not_seen_yet():
    X, _ = series()
    model = bare(LSTMClassifier, **SMALL).partial_fit(X, np.zeros(24), classes=[2, 0, 1]).partial_fit(X, np.ones(24))
    assert_array_equal(model.classes_, [0, 1, 2])
    assert model.predict_proba(X).shape == (24, 3)


def test_another_solver_does_not_take_over_the_moments_of_the_last():
    X, y = series()
    changed = bare(LSTMRegressor, **SMALL, solver="rmsprop").partial_fit(X, y)
    fresh = bare(LSTMRegressor, **SMALL, solver="rmsprop", warm_start=True, max_iter=1).fit(X, y)
    changed.set_params(solver="sgd").partial_fit(X, y)
    assert_same_weights(changed, fresh.set_params(solver="sgd").fit(X, y))


# -- the same bits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_seed_gives_the_same_bits_again(backend, dtype, early_stopping):
    options = {"hidden_size": 5, "batch_size": 7, "max_iter": 3, "random_state": 42, "early_stopping": early_stopping}
    one, other = (bare(LSTMRegressor, **options, backend=backend, dtype=dtype).fit(*series(40)) for _ in range(2))
    assert_same_weights(one, other)


@pytest.mark.parametrize(("one", "other"), [(0, 1), (None, None)])
def test_other_seeds_give_other_weights(one, other):
    one, other = (bare(LSTMRegressor, 4, max_iter=1, random_state=seed).fit(*series()) for seed in (one, other))
    assert (flat(one.weights_) != flat(other.weights_)).any()


def test_a_random_state_is_drawn_from():
    state = np.random.RandomState(0)
    one, other = (bare(LSTMRegressor, 4, max_iter=1, random_state=state).fit(*series()) for _ in range(2))
    assert (flat(one.weights_) != flat(other.weights_)).any()


def test_the_global_random_state_is_left_alone():
    np.random.seed(0)  # noqa: NPY002
    bare(LSTMRegressor, 4, max_iter=1, random_state=0).fit(*series())
    after = np.random.random()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    assert np.random.random() == after  # noqa: NPY002


@pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])
def test_backends_train_to_the_same_predictions(estimator, fast, dtype):
    X, y = series()
    options = {"hidden_size": 9, "dtype": dtype, "random_state": 0, "batch_size": 7, "max_iter": 5}
    one, other = (bare(estimator, **options, backend=backend).fit(X, y > 0) for backend in (fast, "numpy"))
    score = "predict_proba" if estimator is LSTMClassifier else "predict"
    assert_allclose(getattr(one, score)(X), getattr(other, score)(X), atol={"float32": 1e-5, "float64": 1e-12}[dtype])


def test_types_train_to_nearly_the_same_predictions(backend):
    X, y = series()
    options = {"hidden_size": 9, "random_state": 0, "batch_size": 7, "max_iter": 5, "backend": backend}
    one, other = (bare(LSTMRegressor, **options, dtype=dtype).fit(X, y) for dtype in ("float32", "float64"))
    assert_allclose(one.predict(X), other.predict(X), atol=1e-5)


@pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])
@pytest.mark.parametrize("hidden_size", [3, 16, 37])
def test_a_prediction_has_the_same_bits_in_any_batch(backend, dtype, estimator, hidden_size):
    X, y = series(n=30)
    model = estimator(hidden_size, backend=backend, dtype=dtype, random_state=0, max_iter=1).fit(X, y > 0)
    predict = model.predict_proba if estimator is LSTMClassifier else model.predict
    together = predict(X)
    for rows in [slice(0, 1), slice(3, 5), slice(7, 24), slice(29, 30), slice(None, None, -1)]:
        assert_array_equal(predict(X[rows]), together[rows])


def test_a_prediction_has_the_same_bits_in_a_batch_too_large_for_one_block(backend):
    model = bare(LSTMRegressor, 64, backend=backend, max_iter=1, random_state=0).fit(*series())
    X, _ = series(n=500, T=200)  # 500 * 200 * (2 + 64) numbers: two blocks
    together = model.predict(X)
    for rows in (slice(0, 1), slice(310, 330), slice(499, 500)):
        assert_array_equal(model.predict(X[rows]), together[rows])


# -- what goes wrong ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "scale"), [({"solver": "sgd", "clip_norm": None, "learning_rate_init": 1e200}, 1), ({}, 1e200)]
)
def test_training_that_diverges_raises_and_leaves_the_estimator_unfitted(backend, options, scale):
    X, y = series()
    model = bare(LSTMRegressor, **SMALL, backend=backend, batch_size=6, **options)
    before = vars(model).copy()
    with pytest.raises(FloatingPointError, match=r"epoch 1, batch \d of 4.*learning_rate_init"):
        model.fit(X, scale * y)
    assert vars(model) == before
    with pytest.raises(NotFittedError):
        check_is_fitted(model)


@pytest.mark.parametrize("call", ["fit", "warm_start", "partial_fit"])
def test_training_that_diverges_leaves_a_fitted_estimator_as_it_was(monkeypatch, call):
    X, y = series()
    model = bare(LSTMRegressor, **SMALL, max_iter=3, warm_start=call == "warm_start").fit(X, y)
    before, bits = vars(model).copy(), {name: value.copy() for name, value in model.weights_.items()}
    curve, predictions = model.loss_curve_.copy(), model.predict(X)
    monkeypatch.setattr(Training, "prepare_update", interrupting(1, lambda: np.nan))
    with pytest.raises(FloatingPointError, match="batch 1 of 1: the loss is nan"):
        getattr(model, "partial_fit" if call == "partial_fit" else "fit")(X, y)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())
    assert model.loss_curve_ == curve
    for name, value in bits.items():
        assert_array_equal(model.weights_[name], value)
    assert_array_equal(model.predict(X), predictions)


def interrupting(calls, action):
    """`Training.prepare_update`, but from the given call on of losses that `action` returns, if it raises no error."""
    judge, left = Training.prepare_update, [calls]

    def replaced(training):
        left[0] -= 1
        if left[0] <= 0:
            training.network.values[:] = action()
        judge(training)

    return replaced


def interrupt():
    raise KeyboardInterrupt


def test_the_error_names_epoch_and_batch(monkeypatch):
    monkeypatch.setattr(Training, "prepare_update", interrupting(7, lambda: np.inf))
    with pytest.raises(FloatingPointError, match="epoch 3, batch 1 of 3"):
        bare(LSTMRegressor, **SMALL, batch_size=8).fit(*series())


@pytest.mark.parametrize("early_stopping", [False, True])
def test_an_interrupted_fit_keeps_the_last_whole_epoch(monkeypatch, early_stopping):
    X, y = series()
    X_val, y_val = series(8, seed=1)
    options = {**SMALL, "batch_size": 8, "learning_rate_init": 0.05}
    whole = bare(LSTMRegressor, **options, max_iter=2).fit(X, y, X_val=X_val, y_val=y_val)
    model = bare(LSTMRegressor, **options, early_stopping=early_stopping)
    monkeypatch.setattr(Training, "prepare_update", interrupting(8, interrupt))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y, X_val=X_val, y_val=y_val)  # in the second of three batches of the third epoch
    assert_same_weights(model, whole)
    assert (model.n_iter_, model.t_, model.loss_curve_) == (2, 48, whole.loss_curve_)
    assert_array_equal(model.predict(X), whole.predict(X))


def test_an_interrupted_fit_can_go_on(monkeypatch):
    X, y = series()
    options = {**SMALL, "batch_size": 8}
    model = bare(LSTMRegressor, **options)
    with monkeypatch.context() as patch:
        patch.setattr(Training, "prepare_update", interrupting(8, interrupt))
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
    assert_same_weights(model.partial_fit(X, y), bare(LSTMRegressor, **options, max_iter=3).fit(X, y))


def test_a_fit_interrupted_before_the_first_epoch_ends_leaves_the_estimator_unfitted(monkeypatch):
    model = bare(LSTMRegressor, **SMALL, batch_size=8)
    before = vars(model).copy()
    monkeypatch.setattr(Training, "prepare_update", interrupting(2, interrupt))
    with pytest.raises(KeyboardInterrupt):
        model.fit(*series())
    assert vars(model) == before


def test_a_refit_interrupted_before_the_first_epoch_ends_leaves_the_estimator_as_it_was(monkeypatch):
    X, y = series()
    model = bare(LSTMRegressor, **SMALL, batch_size=8, max_iter=2).fit(X, y)
    before, predictions = vars(model).copy(), model.predict(X)
    monkeypatch.setattr(Training, "prepare_update", interrupting(2, interrupt))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X[:, :, :1], y)
    assert all(vars(model)[name] is value for name, value in before.items())
    assert_array_equal(model.predict(X), predictions)


# -- found by review ----------------------------------------------------------------------------------------


def test_weights_that_the_last_update_makes_infinite_are_not_kept():
    model = bare(LSTMRegressor, 4, solver="sgd", learning_rate_init=1e40, max_iter=1, random_state=0)
    with pytest.raises(FloatingPointError, match=r"epoch 1, batch 1 of 1.*non-finite weights.*learning_rate_init"):
        model.fit(*series())
    assert not hasattr(model, "weights_")


def test_class_weights_may_name_a_class_that_a_batch_lacks():
    X, y = series()
    model = bare(LSTMClassifier, 4, class_weight={2: 5}, random_state=0)
    assert model.partial_fit(X, y > 0, classes=[0, 1, 2]).n_outputs_ == 3


def test_class_weights_do_not_weigh_the_validation_score():
    X, y = series()
    model = bare(LSTMClassifier, 4, class_weight={False: 9}, max_iter=2, learning_rate="cosine", random_state=0)
    model.fit(X, y > 0, X_val=X, y_val=y > 0)
    assert model.validation_scores_[-1] == model.score(X, y > 0)


def test_a_warm_start_on_harder_data_is_judged_by_its_own_losses():
    X, y = series()
    model = bare(LSTMRegressor, 4, warm_start=True, max_iter=30, random_state=0, learning_rate_init=0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, 0.01 * y).fit(X, 100 * y)
    assert model.n_iter_ >= 30 + 11
    assert model.loss_curve_[-1] < model.loss_curve_[-30]


def test_of_epochs_with_the_same_score_the_first_is_kept():
    X = np.random.default_rng(0).normal(size=(40, 5, 2))
    options = {"hidden_size": 4, "early_stopping": True, "learning_rate_init": 1e-6, "random_state": 0}
    one, several = (bare(LSTMClassifier, **{**options, "max_iter": n}).fit(X, X[:, 0, 0] > 0) for n in (1, 4))
    assert several.validation_scores_ == 4 * one.validation_scores_
    for name, value in one.weights_.items():
        assert_array_equal(several.weights_[name], value)
