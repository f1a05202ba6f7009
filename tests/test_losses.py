"""Losses of distributions: what those of quantiles, counts and normal distributions are, and what they learn."""

import pickle
import warnings
from statistics import NormalDist

import numpy as np
import pytest
from helpers import FASTEST, assert_refused, assert_same_fit, assert_update_follows_the_gradient, bare, run_python
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import mean_pinball_loss, mean_poisson_deviance, r2_score
from sklearn.model_selection import GridSearchCV

from fastlstm import LSTMClassifier, LSTMRegressor, kernels
from fastlstm.kernels.parts import Part
from fastlstm.kernels.workspace import Workspace
from fastlstm.training.losses import Loss
from fastlstm.training.losses._functions import LARGE_MEAN
from fastlstm.training.losses.gaussian_nll import VARIANCE_FLOOR

QUICK = {"hidden_size": 5, "learning_rate": "cosine", "max_iter": 3, "batch_size": 8, "random_state": 0}
STILL = {**QUICK, "learning_rate_init": 1e-300, "max_iter": 1, "dtype": "float64"}  # a rate that moves no weight
LEVELS = (0.1, 0.3, 0.5, 0.95)
LOSSES = {
    "one quantile": Loss("quantile", (0.8,)),
    "two quantiles": Loss("quantile", (0.25, 0.75)),
    "quantiles": Loss("quantile", LEVELS),
    "poisson": Loss("poisson"),
    "negative_binomial": Loss("negative_binomial"),
    "gaussian_nll": Loss("gaussian_nll"),
}
N, T, C = 22, 5, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, T, C))
COUNTS = RNG.poisson(np.exp(0.5 * X.sum(axis=1))).astype(float)  # [N, 3]: targets that all of the losses take
LENGTHS = np.array([1, 5, 3, 2, 5, 4, 1, 2, 3, 5, 4, 4, 2, 1, 5, 3, 3, 2, 4, 5, 1, 2])
RAGGED = [x[:length] for x, length in zip(X, LENGTHS, strict=True)]
STEP_COUNTS = [RNG.poisson(2, size=x.shape).astype(float) for x in RAGGED]
WEIGHTS = RNG.random((N, 3)) * (RNG.random((N, 3)) > 0.3)
STEP_WEIGHTS = [RNG.random(y.shape) * (RNG.random(y.shape) > 0.3) for y in STEP_COUNTS]

of_losses = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def options(loss):
    """The estimator's parameters that ask for a loss."""
    return {"loss": loss.name, "quantile": list(loss.levels)} if loss.levels else {"loss": loss.name}


def head_scores(model, x=X):
    """[n, K S]: what the head of a fitted model makes of the last states."""
    states = np.stack([states[-1] for states in model.hidden_states(x)])
    return states @ model.weights_["head.weight"].T + model.weights_["head.bias"]


# -- values and gradients -----------------------------------------------------------------------------------------


def drawn(loss, N=40, K=3, seed=0):
    """Scores and targets."""
    rng = np.random.default_rng(seed)
    targets = rng.poisson(2, size=(N, K)) if loss.targets == "counts" else rng.normal(size=(N, K))
    return rng.normal(size=(N, K * loss.width)), targets.astype(float)


@pytest.mark.parametrize("loss", [loss for loss in LOSSES.values() if loss.levels], ids=lambda loss: str(loss.levels))
def test_the_loss_of_quantiles_is_the_pinball_loss_of_scikit_learn(loss):
    scores, targets = drawn(loss)
    of_levels = loss.quantiles(scores, loss.levels)
    expected = [mean_pinball_loss(targets, of_levels[..., j], alpha=level) for j, level in enumerate(loss.levels)]
    assert_allclose(loss(scores, targets)[0].sum(axis=1).mean(), np.mean(expected), rtol=1e-12)


def test_the_loss_of_counts_is_half_of_scikit_learns_deviance():
    scores, targets = drawn(Loss("poisson"))
    assert (targets == 0).any()  # whose logarithm there is none of
    for k in range(3):
        values = 3 * Loss("poisson")(scores, targets)[0][:, k]
        expected = 0.5 * mean_poisson_deviance(targets[:, k], np.exp(scores[:, k]))
        assert_allclose(values.mean(), expected, rtol=1e-12)


def test_the_loss_of_a_normal_distribution_is_minus_the_logarithm_of_its_density():
    scores, targets = drawn(Loss("gaussian_nll"))
    means, deviations = scores[:, 0::2], np.sqrt(np.exp(2 * scores[:, 1::2]) + VARIANCE_FLOOR)
    expected = -stats.norm.logpdf(targets, means, deviations) / 3
    assert_allclose(Loss("gaussian_nll")(scores, targets)[0], expected, rtol=1e-10, atol=1e-12)


def of_negative_binomial(scores):
    """SciPy's parameters of the distributions of scores [N, 2 K]: number of successes, and probability."""
    dispersions = np.logaddexp(0, scores[:, 1::2]) + 1e-4
    return 1 / dispersions, 1 / (1 + dispersions * np.exp(scores[:, 0::2]))


def test_the_loss_of_over_dispersed_counts_is_minus_the_logarithm_of_their_probability():
    scores, targets = drawn(Loss("negative_binomial"))
    expected = -stats.nbinom.logpmf(targets, *of_negative_binomial(scores)) / 3
    assert_allclose(Loss("negative_binomial")(scores, targets)[0], expected, rtol=1e-9)


def test_quantiles_of_over_dispersed_counts_are_those_of_scipy():
    scores, levels = drawn(Loss("negative_binomial"))[0], [0.05, 0.5, 0.99]
    successes, probability = (part[..., None] for part in of_negative_binomial(scores))
    found = Loss("negative_binomial").quantiles(scores, levels)
    assert_array_equal(found, stats.nbinom.ppf(levels, successes, probability))
    far = Loss("negative_binomial").quantiles(np.array([[np.log(1e12), 0.0]]), [0.5])[0, 0]
    shape = 1 / (np.log(2) + 1e-4)
    assert_allclose(far, 1e12 * stats.gamma.median(shape) / shape, rtol=1e-9)


@pytest.mark.parametrize("name", ["poisson", "gaussian_nll"])
def test_values_and_gradients_are_those_of_torch(name):
    torch = pytest.importorskip("torch")
    loss = Loss(name)
    scores, targets = drawn(loss, K=1)
    s, y = torch.tensor(scores, requires_grad=True), torch.tensor(targets)
    if name == "poisson":
        theirs = torch.nn.PoissonNLLLoss(log_input=True, reduction="none")(s, y)
        constant = np.where(targets > 0, targets * np.log(np.maximum(targets, 1)), 0) - targets
    else:
        variance = torch.exp(2 * s[:, 1:]) + VARIANCE_FLOOR
        theirs, constant = torch.nn.GaussianNLLLoss(full=True, reduction="none")(s[:, :1], y, variance), 0
    theirs.sum().backward()
    values, d_scores = loss(scores, targets)
    assert_allclose(values, theirs.detach().numpy() + constant, rtol=1e-9, atol=1e-12)
    assert_allclose(d_scores, s.grad.numpy(), rtol=1e-9, atol=1e-12)


@of_losses
@pytest.mark.parametrize("K", [1, 3])
def test_gradients_are_those_of_finite_differences(loss, K):
    scores, targets = drawn(loss, K=K)
    _, d_scores = loss(scores, targets)
    step = 1e-6
    for column in range(K * loss.width):
        shift = step * np.eye(K * loss.width)[column]
        up, down = (loss(moved, targets)[0].sum(axis=1) for moved in (scores + shift, scores - shift))
        assert_allclose(d_scores[:, column], (up - down) / (2 * step), rtol=1e-6, atol=1e-8)


@of_losses
def test_a_gradient_far_from_the_target_is_that_of_finite_differences(loss):
    scores, targets = drawn(loss)
    scores *= 8  # softplus and e^s at both of their ends
    _, d_scores = loss(scores, targets)
    step, columns = 1e-6, np.eye(3 * loss.width)
    numeric = [(loss(scores + step * c, targets)[0] - loss(scores - step * c, targets)[0]).sum(axis=1) for c in columns]
    scale = np.maximum(np.abs(d_scores), loss(scores, targets)[0].sum(axis=1, keepdims=True))
    assert (np.abs(np.array(numeric).T / (2 * step) - d_scores) <= 1e-7 * (1 + scale)).all()


def test_what_is_worked_by_hand():
    levels = Loss("quantile", (0.25, 0.5))
    scores = np.array([[1.0, np.log(np.e - 1)]])  # quantiles 1 and 1 + 1
    values, d_scores = levels(scores, np.array([[1.5]]))
    assert_allclose(values, [[(0.25 * 0.5 + 0.5 * 0.5) / 2]], rtol=1e-12)
    assert_allclose(d_scores, [[(-0.25 + 0.5) / 2, 0.5 / 2 * (1 - 1 / np.e)]], rtol=1e-12)
    values, d_scores = Loss("poisson")(np.array([[np.log(2), 0.0]]), np.array([[3.0, 0.0]]))
    assert_allclose(values, [[(3 * np.log(1.5) - 1) / 2, 0.5]], rtol=1e-12)
    assert_allclose(d_scores, [[-0.5, 0.5]], rtol=1e-12)


def test_a_quantile_that_hits_the_target_is_pulled_as_far_as_from_both_sides(backend):
    results = head_of_scores(backend, Loss("quantile", (0.8,)), np.array([[1.0], [0.9], [1.1]]), np.ones((3, 1)))
    assert_allclose(results["d_scores"][:, 0], [-0.3, -0.8, 0.2], rtol=1e-12)


@of_losses
def test_extreme_scores_overflow_nowhere_but_where_the_loss_itself_does(loss, dtype):
    large = {"float32": 80.0, "float64": 600.0}[dtype]
    scores = np.array([[sign * large] * loss.width for sign in (-1, 1)], dtype)
    targets = np.ones((2, 1), dtype)
    values, d_scores = loss(scores, targets)
    assert np.isfinite(values).all()
    assert np.isfinite(d_scores).all()


def test_a_normal_distribution_far_too_narrow_or_too_wide_still_has_a_gradient(backend, dtype):
    scores = np.array([[0, -1e30], [0, -50], [0, 50], [0, 1e30]], dtype)  # e^(2 s) overflows, or is nothing
    results = head_of_scores(backend, Loss("gaussian_nll"), scores, np.ones((4, 1)))
    assert np.isfinite(results["values"]).all()
    assert_allclose(results["d_scores"][:2, 0], [-1e6, -1e6], rtol=1e-5)
    assert_allclose(results["d_scores"][2:, 1], [1, 1], rtol=1e-6)


# -- the backends' heads ------------------------------------------------------------------------------------------


def head_results(backend, loss, K, F, M, dtype, wide, seed=0):
    """All that a head on K targets computes for M rows, in ranges of rows; without its padding."""
    rng, outputs = np.random.default_rng(seed), K * loss.width
    features, weight, bias = (rng.normal(size=shape).astype(dtype) for shape in [(M, F), (outputs, F), outputs])
    targets = rng.poisson(3, size=(M, K)).astype(dtype)
    shares = rng.random((M, K if wide else 1)).astype(dtype)
    shares[rng.random(shares.shape) < 0.3] = 0
    targets[np.broadcast_to(shares == 0, targets.shape)] = rng.choice([np.nan, np.inf, -np.inf])  # do not count
    return head_of(backend, loss, features, weight, bias, targets, shares)


def head_of(backend, loss, features, weight, bias, targets, shares, rows=7):
    package, dtype = kernels.load(backend), features.dtype
    (M, F), outputs = features.shape, len(weight)
    head = package.head.Head(outputs, F, dtype, Workspace(), backward=True)
    head.fill(weight, bias)
    room, d_features = head.room("features", M), head.room("d_features", M)
    room[:, :F] = features
    d_scores, values = np.full((M, head.columns), np.nan, dtype), np.full(M, np.nan)
    with np.errstate(over="ignore", invalid="ignore"):  # as in training
        for first in range(0, M, rows):
            last = min(first + rows, M)
            head.differentiate(loss, first, last, room, targets, shares, values, d_scores, d_features)
    d_weight, d_bias = np.empty_like(weight), np.empty_like(bias)
    head.weight_gradient(Part(0, 1), room, d_scores, d_weight, d_bias)
    return {
        "values": values, "d_scores": d_scores[:, :outputs], "d_features": d_features[:, :F], "d_weight": d_weight,
        "d_bias": d_bias,
    }  # fmt: skip


def head_of_scores(backend, loss, scores, targets):
    """The same of one target where the scores are given, with shares of 1."""
    M, S = scores.shape
    zero, shares = np.zeros(S, scores.dtype), np.ones((M, 1), scores.dtype)
    return head_of(backend, loss, scores, np.eye(S, dtype=scores.dtype), zero, targets.astype(scores.dtype), shares)


@of_losses
@pytest.mark.parametrize("K", [1, 2, 5])
@pytest.mark.parametrize("wide", [False, True], ids=["rows", "targets"])
def test_a_head_computes_what_numpy_does(fast, loss, K, wide, dtype):
    for F in (1, 16, 33):
        ours, theirs = (head_results(backend, loss, K, F, 20, dtype, wide) for backend in (fast, "numpy"))
        # where e^score is large, the scores' own roundings are
        tolerance = {"float32": 1e-4, "float64": 1e-11}[dtype]
        for name, value in theirs.items():
            assert np.isfinite(value).all()
            assert_allclose(ours[name], value, rtol=tolerance, atol=tolerance * np.abs(value).max(), err_msg=name)


@of_losses
@pytest.mark.parametrize("K", [1, 5])
def test_a_row_has_the_same_bits_whatever_rows_are_beside_it(backend, dtype, loss, K):
    rng, outputs = np.random.default_rng(0), K * loss.width
    features, weight = (rng.normal(size=shape).astype(dtype) for shape in [(23, 19), (outputs, 19)])
    bias, targets = np.zeros(outputs, dtype), rng.poisson(3, size=(23, K)).astype(dtype)
    shares = np.full((23, 1), 0.5, dtype)
    together = head_of(backend, loss, features, weight, bias, targets, shares, rows=23)
    for n in range(23):
        alone = head_of(backend, loss, features[[n]], weight, bias, targets[[n]], shares[[n]])
        for name in ("values", "d_scores", "d_features"):
            assert_array_equal(alone[name][0], together[name][n], err_msg=name)


@of_losses
@pytest.mark.parametrize("K", [1, 3])
def test_losses_that_are_not_finite_are_not_hidden(backend, loss, K):
    outputs = K * loss.width
    results = head_of(
        backend, loss, np.full((1, 1), np.nan), np.ones((outputs, 1)), np.zeros(outputs), np.ones((1, K)),
        np.ones((1, 1)),
    )  # fmt: skip
    assert np.isnan(results["values"]).all()
    assert np.isnan(results["d_scores"]).all()


@pytest.mark.skipif("numba" not in kernels.available(), reason="its own")
def test_a_fit_by_another_loss_compiles_none_of_them(tmp_path):
    code = """
import numpy as np
from fastlstm import LSTMRegressor
from fastlstm.kernels.numba import distributions, head

for loss in ("squared_error", "poisson"):
    LSTMRegressor(2, loss=loss, max_iter=1, learning_rate="cosine", backend="numba").fit(np.eye(4), np.ones(4))
    kernels = [head.differentiate_rows, *distributions.ENTRIES.values()]
    print([kernel.py_func.__qualname__ for kernel in kernels if kernel.signatures])
"""
    expected = ["['differentiate_rows']", "['differentiate_rows', 'losses_poisson']"]
    assert run_python("-W", "ignore", "-c", code).splitlines() == expected


# -- training -----------------------------------------------------------------------------------------------------

FORMS = {
    "series": ({}, (X, COUNTS[:, 0], WEIGHTS[:, 1] + 0.1)),
    "targets": ({}, (X, COUNTS, WEIGHTS)),
    "steps": ({"return_sequences": True}, (RAGGED, STEP_COUNTS, STEP_WEIGHTS)),
}
of_forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


@of_losses
@of_forms
def test_an_update_follows_the_gradient_of_the_whole_network(backend, loss, form):
    shape, data = form
    still = {**STILL, "hidden_size": 2, "solver": "sgd", "momentum": 0.0, "clip_norm": None, "batch_size": N}
    model = bare(LSTMRegressor, **{**still, **shape, **options(loss)}, backend=backend, shuffle=False).fit(*data)
    assert_update_follows_the_gradient(model, *data)


@of_losses
@pytest.mark.parametrize("weights", [None, np.arange(N) % 4, WEIGHTS], ids=["none", "series", "targets"])
@pytest.mark.parametrize("batch_size", [7, "auto"])
def test_the_loss_is_the_weighted_mean_over_targets(backend, loss, weights, batch_size):
    model = bare(LSTMRegressor, **{**STILL, "batch_size": batch_size}, **options(loss), backend=backend)
    model.fit(X, COUNTS, weights, X_val=X, y_val=COUNTS, sample_weight_val=weights)
    values = 3 * loss(head_scores(model), COUNTS)[0]
    w = np.ones((N, 3)) if weights is None else weights if weights.ndim == 2 else np.tile(weights[:, None], 3)
    expected = np.average(values, weights=w)
    assert_allclose(model.loss_, expected, rtol=1e-12)
    assert_allclose(model.validation_loss_curve_, [expected], rtol=1e-12)


@of_losses
def test_the_target_of_an_output_of_weight_zero_may_be_any(backend, loss):
    asked = {**QUICK, **options(loss), "backend": backend}
    anything = np.resize([np.nan, -5.0, np.inf], STEP_WEIGHTS[1].shape)
    others = [np.where(w > 0, y, np.resize(anything, y.shape)) for w, y in zip(STEP_WEIGHTS, STEP_COUNTS, strict=True)]
    assert not all(np.array_equal(y, other) for y, other in zip(STEP_COUNTS, others, strict=True))
    one, another = (bare(LSTMRegressor, **asked, return_sequences=True) for _ in range(2))
    assert_same_fit(one.fit(RAGGED, STEP_COUNTS, STEP_WEIGHTS), another.fit(RAGGED, others, STEP_WEIGHTS))
    changed = np.where(WEIGHTS > 0, COUNTS, np.nan)
    one, another = (bare(LSTMRegressor, **asked).fit(X, y, WEIGHTS) for y in (COUNTS, changed))
    assert_same_fit(one, another)


@of_losses
def test_weights_count_only_relative_to_each_other(loss):
    one, other = (bare(LSTMRegressor, **QUICK, **options(loss)).fit(X, COUNTS, f * WEIGHTS) for f in (1, 2.0**-20))
    for name, value in one.weights_.items():
        assert_array_equal(other.weights_[name], value, err_msg=name)


@of_losses
def test_a_target_without_weight_is_not_learned(loss):
    weights = np.tile([1.0, 0.0, 1.0], (N, 1))
    model = bare(LSTMRegressor, **QUICK, **options(loss)).fit(X, COUNTS, weights)
    start = bare(LSTMRegressor, **{**QUICK, "learning_rate_init": 1e-300}, **options(loss)).fit(X, COUNTS, weights)
    ours, theirs = (m.weights_["head.weight"].reshape(3, loss.width, -1) for m in (model, start))
    assert_array_equal(ours[1], theirs[1])
    assert (ours[[0, 2]] != theirs[[0, 2]]).all()


@of_losses
@of_forms
def test_fits_and_quantiles_have_the_same_bits_for_any_n_jobs(four_cpus, by_units, loss, form):
    shape, data = form
    asked = {**QUICK, **shape, **options(loss), "hidden_size": 37, "backend": FASTEST}
    alone, *together = (bare(LSTMRegressor, **asked, n_jobs=n).fit(*data) for n in (1, 2, 4))
    for model in together:
        assert_same_fit(model, alone)
        for ours, theirs in zip(model.predict_quantiles(data[0]), alone.predict_quantiles(data[0]), strict=True):
            assert_array_equal(ours, theirs)


@of_losses
def test_training_starts_from_what_is_to_be_expected(loss):
    model = bare(LSTMRegressor, **STILL, **options(loss)).fit(X, COUNTS, WEIGHTS)
    scores = np.tile(model.weights_["head.bias"], (1, 1))
    if loss.targets == "counts":
        means = [np.average(COUNTS[:, k], weights=WEIGHTS[:, k]) for k in range(3)]
        assert_allclose(loss.point(scores)[0], means, rtol=1e-6)
    else:
        levels = loss.levels or (0.1, 0.5, 0.9)
        normal = [NormalDist().inv_cdf(level) for level in levels]
        assert_allclose(loss.quantiles(scores, levels)[0], np.tile(normal, (3, 1)), rtol=1e-5, atol=1e-12)


def test_levels_next_to_each_other_and_counts_of_zero_can_be_trained_from():
    levels = [0.02, np.nextafter(0.02, 1), 0.6]  # of a normal distribution, the same to the bit
    assert NormalDist().inv_cdf(levels[0]) == NormalDist().inv_cdf(levels[1])
    model = bare(LSTMRegressor, **QUICK, loss="quantile", quantile=levels).fit(X, COUNTS[:, 0])
    assert np.isfinite(model.predict_quantiles(X)).all()
    none = bare(LSTMRegressor, **QUICK, loss="poisson").fit(X, np.zeros(N))
    assert (none.predict(X) < 0.01).all()


# -- what is predicted --------------------------------------------------------------------------------------------


@of_losses
def test_quantiles_have_the_form_of_predictions_and_an_axis_of_levels(backend, loss):
    model = bare(LSTMRegressor, **QUICK, **options(loss), backend=backend)
    L = len(loss.levels) or 3
    assert model.fit(X, COUNTS[:, 0]).predict(X).shape == (N,)
    assert model.predict_quantiles(X).shape == (N, L)
    assert model.n_outputs_ == 1
    assert model.weights_["head.weight"].shape == (loss.width, 5)
    inside = loss.levels[0] if loss.levels else 0.7
    assert model.predict_quantiles(X, inside).shape == (N, 1)
    assert model.fit(X, COUNTS).predict(X).shape == (N, 3)
    assert model.predict_quantiles(RAGGED).shape == (N, 3, L)
    assert model.n_outputs_ == 3
    assert model.predict_quantiles(X).dtype == model.predict(X).dtype == "float64"
    model.set_params(return_sequences=True).fit(X, np.ones((N, T)))
    assert model.predict_quantiles(X).shape == (N, T, L)
    model.fit(X, np.ones((N, T, 1)))
    assert model.predict_quantiles(X).shape == (N, T, 1, L)
    model.fit(RAGGED, STEP_COUNTS)
    together = model.predict_quantiles(RAGGED)
    assert type(together) is list
    for one, point, length in zip(together, model.predict(RAGGED), LENGTHS, strict=True):
        assert one.shape == (length, 3, L)
        assert point.shape == (length, 3)
    padded = np.where((np.arange(T) < LENGTHS[:, None])[..., None], X, np.nan)
    array = model.predict_quantiles(padded)
    for one, member, length in zip(array, together, LENGTHS, strict=True):
        assert_array_equal(one[:length], member)
        assert np.isnan(one[length:]).all()


@of_losses
def test_a_series_has_the_same_quantiles_alone_and_among_others(backend, dtype, loss):
    model = bare(LSTMRegressor, **QUICK, **options(loss), backend=backend, dtype=dtype).fit(X, COUNTS)
    levels = [0.3, 0.8, 0.42] if len(loss.levels) == 4 else None
    together, points = model.predict_quantiles(X, levels), model.predict(X)
    for n in range(N):
        assert_array_equal(model.predict_quantiles(X[[n]], levels)[0], together[n])
        assert_array_equal(model.predict(X[[n]])[0], points[n])


def test_quantiles_of_a_normal_distribution_are_those_of_scipy():
    model = bare(LSTMRegressor, **{**QUICK, "dtype": "float64"}, loss="gaussian_nll").fit(X, COUNTS)
    scores = head_scores(model)
    means, deviations = scores[:, 0::2], np.sqrt(np.exp(2 * scores[:, 1::2]) + VARIANCE_FLOOR)
    levels = [0.9, 0.01, 0.5]
    expected = stats.norm.ppf(levels, means[..., None], deviations[..., None])
    assert_allclose(model.predict_quantiles(X, levels), expected, rtol=1e-10, atol=1e-12)
    assert_allclose(model.predict(X), means, rtol=1e-10, atol=1e-12)
    assert_array_equal(model.predict_quantiles(X), model.predict_quantiles(X, [0.1, 0.5, 0.9]))


def test_quantiles_of_counts_are_those_of_scipy():
    model = bare(LSTMRegressor, **{**QUICK, "dtype": "float64"}, loss="poisson").fit(X, COUNTS)
    levels = [0.9, 0.01, 0.5]
    assert_allclose(model.predict(X), np.exp(head_scores(model)), rtol=1e-10)
    assert_array_equal(model.predict_quantiles(X, levels), stats.poisson.ppf(levels, model.predict(X)[..., None]))


def test_quantiles_of_large_counts_go_on_where_scipy_stops():
    levels = np.array([0.001, 0.1, 0.5, 0.9, 0.999])
    around = LARGE_MEAN * np.array([0.999, 1.001])
    below, above = Loss("poisson").quantiles(np.log(around)[:, None], levels)[:, 0]
    assert_array_equal(below, stats.poisson.ppf(levels, np.exp(np.log(around[0]))))
    assert (np.abs(above - stats.poisson.ppf(levels, around[1])) <= 1).all()
    far = Loss("poisson").quantiles(np.log([[1e12]]), levels)[0, 0]
    assert_allclose((far - 1e12) / 1e6, stats.norm.ppf(levels), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1e-3, 1, 30, 1e4, 1e36])
def test_quantiles_never_cross(dtype, scale):
    """Neither do those between the levels; equal they are where steps vanish beside what they are added to."""
    rng, levels = np.random.default_rng(0), np.linspace(0.05, 0.95, 19)
    scores = (scale * rng.normal(size=(5000, levels.size))).astype(dtype)
    scores[:, 0] *= rng.choice([1, 10], size=5000)
    loss = Loss("quantile", tuple(levels.tolist()))
    asked = np.sort(np.concatenate([levels, rng.uniform(0.05, 0.95, 40), np.nextafter(levels[1:], 0)]))
    found = loss.quantiles(scores, asked)
    assert found.dtype == dtype
    assert np.isfinite(found).all()
    assert (np.diff(found, axis=-1) >= 0).all()
    if scale == 1:
        assert (np.diff(loss.quantiles(scores, levels), axis=-1) > 0).all()


def test_a_level_just_below_one_that_was_fitted_does_not_cross_it():
    low, high = 2.0**-54, np.nextafter(0.75, 1)
    assert 0.75 - low == high - low  # by rounding: what lies between is then taken for the upper end
    scores = np.random.default_rng(0).normal(size=(5000, 2)) * [10, 1]
    below, above = Loss("quantile", (low, high)).quantiles(scores, [0.75, high])[:, 0].T
    assert (below <= above).all()
    assert (below == above).any()  # as near as roundings are


@pytest.mark.parametrize("loss", ["gaussian_nll", "poisson", "negative_binomial"])
def test_quantiles_of_distributions_never_cross(loss):
    scores = (10 * np.random.default_rng(0).normal(size=(300, Loss(loss).width))).astype("float32")
    found = Loss(loss).quantiles(scores, np.linspace(0.01, 0.99, 99))
    assert (np.diff(found, axis=-1) >= 0).all()


def test_over_dispersion_is_learned():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 4, 1))
    counts = rng.negative_binomial(2, 1 / (1 + 0.5 * np.exp(1 + 0.5 * x[:, -1, 0])))  # variance m + m^2 / 2
    model = LSTMRegressor(8, loss="negative_binomial", random_state=0).fit(x, counts)
    low, high = model.predict_quantiles(x, [0.05, 0.95]).T
    assert 0.88 < np.mean((counts >= low) & (counts <= high)) < 0.97
    assert_allclose(model.predict(x).mean(), counts.mean(), rtol=0.05)


def test_levels_come_in_the_order_that_was_asked_for():
    model = bare(LSTMRegressor, **QUICK, loss="quantile", quantile=LEVELS).fit(X, COUNTS)
    known, back = model.predict_quantiles(X), model.predict_quantiles(X, LEVELS[::-1])
    assert_array_equal(back, known[..., ::-1])
    assert_array_equal(model.predict_quantiles(X, 0.3), known[..., [1]])


def test_levels_between_those_fitted_are_linear_in_the_level():
    model = bare(LSTMRegressor, **{**QUICK, "dtype": "float64"}, loss="quantile", quantile=LEVELS).fit(X, COUNTS)
    known = model.predict_quantiles(X)
    assert_allclose(model.predict_quantiles(X, [0.15])[..., 0], 0.75 * known[..., 0] + 0.25 * known[..., 1])
    assert_allclose(model.predict_quantiles(X, [0.77])[..., 0], 0.4 * known[..., 2] + 0.6 * known[..., 3])


@pytest.mark.parametrize(
    ("levels", "shares"),
    [
        (0.9, [1]),
        ([0.9], [1]),
        ([0.1, 0.5, 0.9], [0, 1, 0]),
        ([0.2, 0.4, 0.8], [0, 0.75, 0.25]),
        ([0.6, 0.9], [1, 0]),
        ([0.1, 0.2, 0.45], [0, 0, 1]),
    ],
    ids=str,
)
def test_a_model_of_quantiles_predicts_what_is_closest_to_the_median(backend, levels, shares):
    model = bare(LSTMRegressor, **{**QUICK, "dtype": "float64"}, loss="quantile", quantile=levels, backend=backend)
    predicted = model.fit(X, COUNTS).predict(X)
    assert_allclose(predicted, model.predict_quantiles(X) @ np.array(shares, float), rtol=1e-12)
    assert model.score(X, COUNTS) == pytest.approx(r2_score(COUNTS, predicted), rel=1e-12)
    by_hand = [r2_score(COUNTS[:, k], predicted[:, k], sample_weight=WEIGHTS[:, k]) for k in range(3)]
    assert model.score(X, COUNTS, WEIGHTS) == pytest.approx(np.mean(by_hand), rel=1e-12)


def test_a_single_level_is_that_of_a_sequence_of_one():
    models = [
        bare(LSTMRegressor, **QUICK, loss="quantile", quantile=q).fit(X, COUNTS) for q in (0.9, [0.9], np.array(0.9))
    ]
    for other in models[1:]:
        assert_same_fit(other, models[0])


def test_half_the_absolute_error_is_the_default_quantile():
    half = bare(LSTMRegressor, **STILL, loss="quantile").fit(X, COUNTS)
    whole = bare(LSTMRegressor, **STILL, loss="absolute_error").fit(X, COUNTS)
    assert_allclose(2 * half.loss_, whole.loss_, rtol=1e-12)


def test_scores_of_counts_beyond_every_number_are_the_largest_and_a_warning(dtype):
    model = bare(LSTMRegressor, **{**QUICK, "dtype": dtype}, loss="poisson").fit(X, COUNTS[:, 0])
    model.weights_["head.bias"][:] = 1e4
    largest = np.finfo(dtype).max
    with pytest.warns(RuntimeWarning, match=f"exceed the largest {dtype} number.*diverged"):
        assert_array_equal(model.predict(X), np.full(N, largest))
    with pytest.warns(RuntimeWarning, match="exceed the largest"):
        assert_array_equal(model.predict_quantiles(X), np.full((N, 3), largest))
    model.weights_["head.bias"][:] = {"float32": 80, "float64": 700}[dtype]  # large, but numbers
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(model.predict_quantiles(X)).all()
        assert np.isfinite(model.predict(X)).all()
    model.weights_["head.bias"][:] = -1e4
    assert_array_equal(model.predict(X), np.zeros(N))
    assert_array_equal(model.predict_quantiles(X), np.zeros((N, 3)))


def test_a_normal_distribution_beyond_every_number_is_the_largest_and_a_warning(dtype):
    model = bare(LSTMRegressor, **{**QUICK, "dtype": dtype}, loss="gaussian_nll").fit(X, COUNTS[:, 0])
    model.weights_["head.bias"][1] = 1e4
    with pytest.warns(RuntimeWarning, match="exceed the largest"):
        found = model.predict_quantiles(X, [0.2, 0.5, 0.9])
    assert_array_equal(found[:, [0, 2]], np.tile([-np.finfo(dtype).max, np.finfo(dtype).max], (N, 1)))
    assert_array_equal(found[:, 1], model.predict(X))
    assert np.isfinite(model.predict(X)).all()


# -- what is learned ----------------------------------------------------------------------------------------------

LEARNING = {
    "hidden_size": 16, "learning_rate": "cosine", "learning_rate_init": 0.01, "max_iter": 25, "batch_size": 50,
    "random_state": 0,
}  # fmt: skip


def noisy(seed, n=2000):
    """Series whose first step is the target's mean, and whose last says how far it strays: by e^(x / 2)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5, 1))
    means, deviations = x[:, 0, 0], np.exp(0.5 * x[:, -1, 0])
    return x, means + deviations * rng.normal(size=n), means, deviations


def test_quantiles_are_learned():
    x, y, *_ = noisy(0)
    x_new, y_new, _, deviations = noisy(1)
    model = bare(LSTMRegressor, **LEARNING, loss="quantile", quantile=[0.1, 0.5, 0.9]).fit(x, y)
    found, wide = model.predict_quantiles(x_new), deviations > 1
    for rows in (wide, ~wide):  # one width for all would cover too few here, too many there
        covered = (y_new[rows, None] <= found[rows]).mean(axis=0)
        assert_allclose(covered, [0.1, 0.5, 0.9], atol=0.05)


def test_the_noise_of_a_normal_distribution_is_learned():
    x, y, *_ = noisy(0)
    x_new, _, means, deviations = noisy(1)
    model = bare(LSTMRegressor, **LEARNING, loss="gaussian_nll").fit(x, y)
    found = (model.predict_quantiles(x_new, 0.9)[:, 0] - model.predict(x_new)) / NormalDist().inv_cdf(0.9)
    assert np.mean(np.abs(found / deviations - 1)) < 0.15
    assert np.sqrt(np.mean((model.predict(x_new) - means) ** 2)) < 0.25


@pytest.mark.parametrize("scale", [1, 300])
def test_rates_of_counts_are_learned_whatever_their_size(scale):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 5, 1))
    rates = scale * np.exp(1 + 0.5 * x[:, 0, 0])
    model = bare(LSTMRegressor, **LEARNING, loss="poisson").fit(x[:1500], rng.poisson(rates[:1500]))
    assert np.mean(np.abs(model.predict(x[1500:]) / rates[1500:] - 1)) < 0.1


# -- validation, going on, copies ---------------------------------------------------------------------------------


@of_losses
def test_epochs_are_judged_by_minus_the_validation_loss(loss):
    asked = {**QUICK, "learning_rate_init": 0.3, "max_iter": 12, "dtype": "float64"}
    model = bare(LSTMRegressor, **asked, **options(loss), early_stopping=True)
    model.fit(X, COUNTS, X_val=X[:9], y_val=COUNTS[9:18])  # others' counts: what is learned soon fits them less
    assert model.validation_scores_ == [-value for value in model.validation_loss_curve_]
    best = 3 * loss(head_scores(model, X[:9]), COUNTS[9:18])[0].mean()
    assert model.best_validation_score_ == pytest.approx(-best, rel=1e-12)
    assert model.best_validation_score_ == max(model.validation_scores_) > model.validation_scores_[-1]


@of_losses
def test_one_series_is_enough_to_validate_on(loss):
    model = bare(LSTMRegressor, **QUICK, **options(loss)).fit(X, COUNTS, X_val=X[:1], y_val=COUNTS[:1])
    assert np.isfinite(model.validation_scores_).all()


@of_losses
def test_a_warm_start_and_partial_fit_go_on(loss):
    model = bare(LSTMRegressor, **QUICK, **options(loss), warm_start=True).fit(X, COUNTS)
    first = model.loss_curve_[-1]
    assert model.fit(X, COUNTS).loss_curve_[-1] < first
    assert model.set_params(learning_rate="constant").partial_fit(RAGGED, COUNTS).n_iter_ == 7


def named(loss, levels=()):
    return {"loss": loss, "quantile": list(levels) if levels else 0.5}


@pytest.mark.parametrize(
    ("fitted", "other", "message"),
    [
        (named("squared_error"), named("poisson"), "loss='poisson', .* fitted model has loss='squared_error'"),
        (named("gaussian_nll"), named("huber"), "loss='huber', .* fitted model has loss='gaussian_nll'"),
        (named("poisson"), named("gaussian_nll"), "loss='gaussian_nll', .* fitted model has loss='poisson'"),
        (named("quantile", [0.9]), named("quantile", [0.8]), r"quantile=0\.8, .* fitted model has quantile=0\.9"),
        (
            named("quantile", [0.1, 0.9]),
            named("quantile"),
            r"quantile=0\.5, .* fitted model has quantile=\(0\.1, 0\.9\)",
        ),
        (named("quantile"), named("absolute_error"), "loss='absolute_error', .* fitted model has loss='quantile'"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_going_on_with_a_loss_of_another_meaning_is_refused(method, fitted, other, message):
    asked = {**QUICK, "learning_rate": "constant", "max_iter": 1, "n_iter_no_change": 1, "warm_start": True}
    model = bare(LSTMRegressor, **asked, **fitted).partial_fit(X, COUNTS).set_params(**other)
    assert_refused(lambda: getattr(model, method)(X, COUNTS), ValueError, message + ".*warm_start=False", model)


def test_going_on_with_a_loss_of_the_same_meaning_is_allowed():
    model = bare(LSTMRegressor, **QUICK, warm_start=True).fit(X, COUNTS)
    model.set_params(loss="huber").fit(X, COUNTS)
    assert model.n_iter_ == 6
    levels = bare(LSTMRegressor, **QUICK, loss="quantile", quantile=[0.1, 0.9], warm_start=True).fit(X, COUNTS)
    assert levels.set_params(quantile=np.array([0.1, 0.9])).fit(X, COUNTS).n_iter_ == 6


@of_losses
def test_a_fitted_model_predicts_by_the_loss_it_was_fitted_with(loss):
    model = bare(LSTMRegressor, **QUICK, **options(loss)).fit(X, COUNTS)
    points, found, score = model.predict(X), model.predict_quantiles(X), model.score(X, COUNTS, WEIGHTS)
    model.set_params(loss="squared_error", quantile=0.5)
    assert_array_equal(model.predict(X), points)
    assert_array_equal(model.predict_quantiles(X), found)
    assert model.score(X, COUNTS, WEIGHTS) == score


@of_losses
def test_copies_predict_the_same(loss):
    model = bare(LSTMRegressor, **QUICK, **options(loss)).fit(X, COUNTS)
    found = model.predict_quantiles(X)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict_quantiles(X), found)
    assert_array_equal(clone(model).fit(X, COUNTS).predict_quantiles(X), found)
    assert_array_equal(model.set_params(backend="numpy").predict_quantiles(X).shape, found.shape)
    assert_allclose(model.predict_quantiles(X), found, atol=1e-4)


def test_a_search_may_choose_levels():
    search = GridSearchCV(bare(LSTMRegressor, **QUICK, loss="quantile"), {"quantile": [0.5, [0.1, 0.9]]}, cv=2)
    assert search.fit(X, COUNTS).best_estimator_.predict_quantiles(X).ndim == 3


# -- bad input ----------------------------------------------------------------------------------------------------

INSIDE = r"expected a number or a sequence of numbers in \(0, 1\)"
BAD_LEVELS = {
    "none": [],
    "a zero": [0, 0.5],
    "a one": [0.5, 1.0],
    "NaN": [0.1, np.nan],
    "infinite": [0.1, np.inf],
    "words": ["0.1", "0.9"],
    "truths": np.array([True]),
    "complex": [0.5 + 0j],
    "2-D": [[0.1, 0.9]],
    "lengths": [[0.1], [0.2, 0.3]],
    "None in it": [None, 0.5],
}
bad_levels = pytest.mark.parametrize("levels", BAD_LEVELS.values(), ids=BAD_LEVELS)


@pytest.fixture(params=["fresh", "fitted"])
def model(request):
    model = bare(LSTMRegressor, **QUICK, loss="quantile")
    return model if request.param == "fresh" else model.fit(X, COUNTS[:, 0])


@bad_levels
def test_levels_to_fit(model, levels):
    model.set_params(quantile=levels)
    assert_refused(lambda: model.fit(X, COUNTS[:, 0]), ValueError, f"quantile is .*{INSIDE}", model)


@pytest.mark.parametrize("levels", [[0.5, 0.5], [0.9, 0.1], np.array([0.1, 0.5, 0.4])], ids=["twice", "falling", "not"])
def test_levels_to_fit_that_do_not_rise(model, levels):
    model.set_params(quantile=levels)
    assert_refused(
        lambda: model.fit(X, COUNTS[:, 0]), ValueError, "quantile=.*expected distinct levels in increasing order", model
    )


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "gaussian_nll"])
@pytest.mark.parametrize("levels", [0.9, [0.1, 0.9]])
def test_levels_for_a_loss_that_takes_none(model, loss, levels):
    model.set_params(loss=loss, quantile=levels)
    message = f"quantile=.* has no effect with loss='{loss}': set loss='quantile'"
    assert_refused(lambda: model.fit(X, COUNTS[:, 0]), ValueError, message, model)


@bad_levels
@of_losses
def test_levels_to_predict(loss, levels):
    model = bare(LSTMRegressor, **QUICK, **options(loss)).fit(X, COUNTS)
    assert_refused(lambda: model.predict_quantiles(X, levels), ValueError, f"levels is .*{INSIDE}", model)


@pytest.mark.parametrize("level", [0, 1, -0.5, np.nan, np.inf, "half", True])
def test_a_level_to_predict(level):
    model = bare(LSTMRegressor, **QUICK, loss="poisson").fit(X, COUNTS)
    assert_refused(lambda: model.predict_quantiles(X, level), ValueError, f"levels is .*{INSIDE}", model)


def test_levels_are_read_as_other_arguments_are(model):
    masked = np.ma.masked_equal([0.1, 0.5], 0.5)
    with pytest.raises(TypeError, match="quantile is a masked array"):
        model.set_params(quantile=masked).fit(X, COUNTS[:, 0])
    model = LSTMRegressor(**QUICK, loss="poisson").fit(X, COUNTS)
    assert_refused(lambda: model.predict_quantiles(X, masked), TypeError, "levels is a masked array", model)
    assert_refused(lambda: model.predict_quantiles(X, {0.1, 0.5}), TypeError, r"levels is a set; .*list\(", model)


@pytest.mark.parametrize(
    ("fitted", "asked", "message"),
    [
        ([0.1, 0.9], [0.5, 0.05], r"levels is \[0.5, 0.05\], .* fitted with levels from 0.1 to 0.9"),
        ([0.1, 0.9], 0.95, "levels is 0.95, .* fitted with levels from 0.1 to 0.9"),
        (0.9, [0.5], r"levels is \[0.5\], .* fitted with 0.9 alone"),
    ],
)
def test_levels_outside_of_those_fitted(fitted, asked, message):
    model = bare(LSTMRegressor, **QUICK, loss="quantile", quantile=fitted).fit(X, COUNTS)
    assert_refused(lambda: model.predict_quantiles(X, asked), ValueError, message, model)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_quantiles_of_a_loss_that_has_none(loss):
    model = bare(LSTMRegressor, **QUICK, loss=loss).fit(X, COUNTS)
    message = f"loss='gaussian_nll', 'negative_binomial', 'poisson' or 'quantile', .*fitted with loss='{loss}'"
    assert_refused(lambda: model.predict_quantiles(X), ValueError, message, model)
    with pytest.raises(ValueError, match=message):  # the loss that was fitted is what counts
        model.set_params(loss="poisson").predict_quantiles(X)


def test_quantiles_before_fitting():
    with pytest.raises(NotFittedError, match="LSTMRegressor instance is not fitted yet"):
        bare(LSTMRegressor, loss="poisson").predict_quantiles(X)
    assert not hasattr(LSTMClassifier(), "predict_quantiles")


def test_series_to_predict_quantiles_of():
    model = bare(LSTMRegressor, **QUICK, loss="poisson").fit(X, COUNTS)
    assert_refused(lambda: model.predict_quantiles(X[:, :, :1]), ValueError, "1 channels.*fitted with 3", model)


def test_counts_below_zero():
    model = bare(LSTMRegressor, **QUICK, loss="poisson")
    y = COUNTS.copy()
    y[[4, 7], 1] = -1.5, -2
    message = r"Negative values in y: loss='poisson' expects counts.*non-negative numbers, got -1.5 for sample 4"
    assert_refused(lambda: model.fit(X, y), ValueError, message, model)
    message = "Negative values in y_val: .*got -1.5 for sample 4"
    assert_refused(lambda: model.fit(X, COUNTS, X_val=X, y_val=y), ValueError, message, model)
    steps = [y.copy() for y in STEP_COUNTS]
    steps[1][2, 0] = -3
    model.set_params(return_sequences=True)
    message = "got -3 for step 3, counted over all series"
    assert_refused(lambda: model.fit(RAGGED, steps), ValueError, message, model)


def test_a_loss_that_diverges_is_reported():
    model = bare(LSTMRegressor, **{**QUICK, "clip_norm": None, "solver": "sgd"}, loss="poisson", learning_rate_init=1e4)
    assert_refused(lambda: model.fit(X, 100 * COUNTS), FloatingPointError, "Training diverged", model)
