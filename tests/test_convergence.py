"""What a training says of itself: what "auto" came to, and when it has not learned."""

import tracemalloc
import warnings

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from fastlstm import LSTMClassifier, LSTMRegressor
from fastlstm.training import defaults
from fastlstm.training.baselines import best_constant_loss
from fastlstm.training.losses import Loss

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 5, 2))
Y = X[:, :, 0].sum(axis=1)
NOISE = RNG.normal(size=80)
LOSSES = {
    "squared_error": Loss("squared_error"),
    "absolute_error": Loss("absolute_error"),
    "quantile": Loss("quantile", (0.1, 0.5, 0.9)),
    "poisson": Loss("poisson"),
    "negative_binomial": Loss("negative_binomial"),
    "gaussian_nll": Loss("gaussian_nll"),
    "binary_cross_entropy": Loss("binary_cross_entropy"),
    "cross_entropy": Loss("cross_entropy"),
}


def targets_of(name):
    if name == "cross_entropy":
        return RNG.integers(0, 3, (80, 1))
    if name == "binary_cross_entropy":
        return RNG.integers(0, 2, (80, 2)).astype(float)
    return RNG.poisson(4, (80, 2)).astype(float)


@pytest.mark.parametrize("name", list(LOSSES))
def test_no_constant_has_a_smaller_loss(name):
    loss, targets = LOSSES[name], targets_of(name)
    weights = RNG.integers(0, 3, (80, 1)).astype(float)
    columns = 3 if name == "cross_entropy" else 2 * loss.width

    def of_constant(scores):
        values, _ = loss(np.tile(scores, (80, 1)), targets)
        return (values * weights).sum() / weights.sum()

    best = min(minimize(of_constant, start, method="Powell").fun for start in RNG.normal(size=(3, columns)))
    assert best_constant_loss(loss, targets, weights) < best + 1e-3


def test_many_classes_need_no_scores_of_all_rows():
    targets = np.random.default_rng(0).integers(0, 20_000, (20_000, 1))
    tracemalloc.start()
    loss = best_constant_loss(Loss("cross_entropy"), targets, np.ones((20_000, 1)))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    shares = np.bincount(targets[:, 0]) / 20_000
    assert np.isclose(loss, -(shares[shares > 0] * np.log(shares[shares > 0])).sum(), rtol=1e-6)
    assert most < 20 * targets.nbytes


@pytest.mark.parametrize(
    "model", [LSTMRegressor(random_state=0, alpha=5.0), LSTMClassifier(random_state=0, solver="adamw", alpha=90.0)]
)
def test_a_model_that_learned_nothing_says_so(model):
    model.set_params(hidden_size=4, batch_size=8, max_iter=30)
    y = NOISE if isinstance(model, LSTMRegressor) else NOISE > 0
    with pytest.warns(ConvergenceWarning, match="no better than predicting a constant") as caught:
        model.fit(X, y)
    assert caught[0].filename == __file__
    assert "learning_rate_init=0.003 or 0.03, max_iter=90" in str(caught[0].message)
    assert "cosine" not in str(caught[0].message)


def test_a_model_that_learned_says_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LSTMRegressor(hidden_size=4, random_state=0).fit(X, Y)


def test_a_short_training_is_not_judged():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LSTMRegressor(hidden_size=4, random_state=0, max_iter=2).fit(X, NOISE)


def test_the_loss_still_falls_in_proportion_to_itself():
    options = {"learning_rate": "constant", "batch_size": 20, "dropout": 0.0, "random_state": 0}
    model = LSTMRegressor(hidden_size=4, max_iter=12, **options)
    with pytest.warns(ConvergenceWarning, match="still improving after max_iter=12 epochs: raise max_iter, or set"):
        model.fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(learning_rate_init=1e-7).fit(X, Y)


def test_what_is_set_already_is_not_advised():
    model = LSTMRegressor(hidden_size=4, learning_rate="constant", max_iter=5, early_stopping=True, random_state=0)
    with pytest.warns(ConvergenceWarning, match="still improving") as caught:
        model.fit(X, Y)
    assert "early_stopping" not in str(caught[0].message)


def test_settings_say_what_auto_came_to():
    model = LSTMRegressor(hidden_size=4, max_iter=3, random_state=0).fit(X, Y)
    settings = model.settings_
    assert "auto" not in settings.values()
    assert settings["max_iter"] == model.n_iter_ == 3
    assert settings["learning_rate"] == "cosine"
    model.partial_fit(X, Y)
    assert model.settings_["learning_rate"] == "constant"


def test_what_is_passed_is_obeyed():
    given = {
        "batch_size": 7,
        "learning_rate": "constant",
        "learning_rate_init": 0.02,
        "max_iter": 2,
        "dropout": 0.3,
        "init": "chrono",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert LSTMRegressor(hidden_size=4, **given).fit(X, Y).settings_ == given


def test_verbose_shows_the_settings(capsys):
    model = LSTMRegressor(hidden_size=4, max_iter=2, verbose=1).fit(X, Y)
    first = capsys.readouterr().out.splitlines()[0]
    assert first == "  ".join(f"{name}={value!r}" for name, value in model.settings_.items())


def test_a_cosine_runs_to_its_end():
    model = LSTMRegressor(hidden_size=4, max_iter=30, tol=10.0, n_iter_no_change=1, random_state=0).fit(X, Y)
    assert model.n_iter_ == 30
    model.set_params(early_stopping=True).fit(X, Y)
    assert model.n_iter_ < 30


def shortfalls(model, x, y):
    """What a fit warns of how it trained."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x, y)
    return [str(warning.message) for warning in caught if warning.category is ConvergenceWarning]


def test_a_weak_signal_in_many_series_is_no_failure():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8000, 3))
    y = 0.12 * x[:, -1] + rng.normal(size=8000)  # R squared is 0.014 at best
    model = LSTMRegressor(4, max_iter=3, random_state=0)
    assert shortfalls(model, x, y) == []
    assert np.corrcoef(model.predict(x), x[:, -1])[0, 1] > 0.9


def test_what_was_switched_off_is_advised_first():
    x, y = 1000 * X + 10000, 1000 * Y + 10000
    [raw] = shortfalls(LSTMRegressor(4, standardize=False, random_state=0), x, y)
    assert "then try standardize=True, learning_rate_init=" in raw
    [penalised] = shortfalls(LSTMRegressor(4, alpha=1e3, random_state=0), x, y)
    assert "then try a smaller alpha (now 1000), learning_rate_init=" in penalised


def test_a_first_partial_fit_on_constants_far_from_zero_warns():
    with pytest.warns(UserWarning, match="first call of partial_fit has a constant y"):
        LSTMRegressor(2).partial_fit(X[:1], [10000.0])
    LSTMRegressor(2).partial_fit(X[:1], [2.0]).partial_fit(X[1:2], [10000.0])  # no warning: near 0, or not the first


@pytest.mark.parametrize("n", [1, 32, 33])
def test_long_series_train_for_no_more_steps_than_the_limit(n):
    T = 2_000_000 // n
    settings = defaults.resolve(dict.fromkeys(defaults.NAMES, "auto"), "lstm", n, T, n * T)
    assert settings["max_iter"] * n * T <= defaults.STEPS


# -- data that are hardly what was meant ------------------------------------------------------------------------------


def doubted(X, y=None):
    """What a fit warns of X, beside how it trained."""
    y = np.arange(len(X)) % 7.0 if y is None else y
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        LSTMRegressor(2, max_iter=1).fit(X, y)
    return [str(warning.message) for warning in caught if warning.category is UserWarning]


def test_ids_in_one_channel_are_doubted():
    words = RNG.integers(0, 100, (60, 12))
    assert [*doubted(words), *doubted(list(words)), *doubted([row[: 3 + n % 9] for n, row in enumerate(words)])] == [
        *doubted(words[:, :, None])
    ] * 3
    assert "one-hot" in doubted(words)[0]


@pytest.mark.parametrize(
    "X",
    [
        RNG.integers(0, 17, (60, 64)),  # levels of grey
        RNG.integers(0, 100, (60, 12, 2)),
        RNG.integers(0, 100, (60, 12)) - 1,
        RNG.integers(0, 100, (60, 12)) / 2,
        RNG.integers(0, 100, (60, 12)).cumsum(axis=1),
        RNG.poisson(200, (60, 12)),
        np.lib.stride_tricks.sliding_window_view(np.round(100 + 100 * np.sin(np.arange(90))), 20),
    ],
    ids=["few", "two channels", "negative", "fractions", "sums", "counts", "a wave"],
)
def test_amounts_are_not_doubted(X):
    assert doubted(X) == []


def test_a_table_of_one_column_is_doubted():
    [doubt] = doubted(np.arange(30.0)[:, None])
    assert "30 series of one step" in doubt
    assert "sliding_window_view" in doubt
    assert doubted(np.arange(30.0)[:, None, None]) == []  # who says that there is one step means it


def test_what_is_doubted_is_fitted_all_the_same_and_points_to_the_user():
    with pytest.warns(UserWarning, match="one step each") as caught:
        LSTMRegressor(2, max_iter=1, learning_rate="cosine").fit([[1], [2]], [1, 2])
    assert caught[0].filename == __file__
