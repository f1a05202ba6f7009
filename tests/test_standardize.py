"""`standardize=True`: channels and targets have any unit, and everything that comes out is in the units of y."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastlstm import LSTMClassifier, LSTMRegressor, SequenceEncoder

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 6, 2))
Y = X[:, :3, 0].sum(axis=1)
STEPS = X.cumsum(axis=1)[..., 0]
QUICK = {"hidden_size": 5, "max_iter": 3, "learning_rate": "cosine", "dropout": 0.0, "random_state": 0}


def in_other_units(values):
    return values * 1000.0 + 10_000.0


def test_learned_are_the_mean_and_deviation_of_all_steps_of_each_channel():
    model = LSTMRegressor(**QUICK).fit(in_other_units(X), in_other_units(Y))
    table = in_other_units(X).reshape(-1, 2)
    assert_allclose(model.x_mean_, table.mean(axis=0))
    assert_allclose(model.x_scale_, table.std(axis=0))
    assert_allclose(model.y_mean_, [in_other_units(Y).mean()])
    assert_allclose(model.y_scale_, [in_other_units(Y).std()])


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile", "gaussian_nll"])
def test_units_do_not_matter(loss):
    plain = LSTMRegressor(**QUICK, loss=loss).fit(X, Y)
    other = LSTMRegressor(**QUICK, loss=loss).fit(in_other_units(X), in_other_units(Y))
    assert_allclose(other.predict(in_other_units(X)), in_other_units(plain.predict(X)), rtol=1e-4)
    assert_allclose(other.score(in_other_units(X), in_other_units(Y)), plain.score(X, Y), atol=1e-4)
    if loss in ("quantile", "gaussian_nll"):
        assert_allclose(
            other.predict_quantiles(in_other_units(X)), in_other_units(plain.predict_quantiles(X)), rtol=1e-4
        )


def test_units_of_a_classifiers_channels_do_not_matter():
    plain, other = (LSTMClassifier(**QUICK).fit(inputs, Y > 0) for inputs in (X, in_other_units(X)))
    assert_allclose(other.predict_proba(in_other_units(X)), plain.predict_proba(X), atol=1e-4)
    assert not hasattr(LSTMClassifier(), "y_mean_")
    assert plain.y_mean_ is None


def test_several_outputs_have_each_their_own_unit():
    y = np.stack([Y, 1e6 + 1e3 * Y], axis=1)
    model = LSTMRegressor(**QUICK).fit(X, y)
    assert_allclose(model.predict(X).mean(axis=0), y.mean(axis=0), rtol=0.1, atol=1)
    weights = np.ones((60, 2))
    assert_allclose(model.score(X, y, sample_weight=weights), model.score(X, y))


@pytest.mark.parametrize("form", ["array", "list"])
def test_targets_of_steps_are_standardised_together(form):
    y = in_other_units(STEPS)
    inputs, targets = (X, y) if form == "array" else ([x[: 3 + n % 4] for n, x in enumerate(X)], None)
    targets = y if form == "array" else [row[: 3 + n % 4] for n, row in enumerate(y)]
    model = LSTMRegressor(**QUICK, return_sequences=True).fit(inputs, targets)
    flat = np.concatenate(targets)
    assert_allclose(model.y_mean_, [flat.mean()])
    predicted = np.concatenate(model.predict(inputs))
    assert abs(predicted.mean() - flat.mean()) < flat.std()
    assert abs(model.score(inputs, targets)) < 1


@pytest.mark.parametrize("missing", ["error", "mask"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("given", ["float32", "float64", "int64"])
def test_streams_have_the_bits_of_predict(missing, dtype, given, fast):
    inputs = in_other_units(X).astype(given)
    model = LSTMRegressor(**QUICK, missing=missing, dtype=dtype, backend=fast).fit(inputs, Y)
    if missing == "mask" and given != "int64":
        inputs[::3, 2, 1] = np.nan
    stream = model.stream(60)
    for t in range(6):
        predicted = stream.step(inputs[:, t])
    assert_array_equal(predicted, model.predict(inputs))


def test_missing_values_say_nothing_of_mean_and_deviation():
    holes = X.copy()
    holes[::4, 1, 0] = np.nan
    model = LSTMRegressor(**QUICK, missing="mask").fit(holes, Y)
    assert_allclose(model.x_mean_, np.nanmean(holes, axis=(0, 1)))
    assert_allclose(model.x_scale_, np.nanstd(holes, axis=(0, 1)))


def test_weights_act_as_repeated_series_do():
    weights = RNG.integers(0, 4, 60)
    weighted = LSTMRegressor(**QUICK).fit(X, Y, sample_weight=weights)
    repeated = LSTMRegressor(**QUICK).fit(X.repeat(weights, axis=0), Y.repeat(weights))
    for name in ("x_mean_", "x_scale_", "y_mean_", "y_scale_"):
        assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-12)


def test_what_weighs_nothing_has_no_part():
    y, inputs, weights = Y.copy(), X.copy(), np.ones(60)
    inputs[7], y[7], weights[7] = 1e30, -1e30, 0
    model = LSTMRegressor(**QUICK).fit(inputs, y, sample_weight=weights)
    assert_allclose(model.x_mean_, np.delete(X, 7, axis=0).mean(axis=(0, 1)))
    assert_allclose(model.y_mean_, [np.delete(Y, 7).mean()])


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e9])
def test_a_constant_channel_or_target_is_only_shifted(constant):
    inputs = X.copy()
    inputs[..., 1] = constant
    model = LSTMRegressor(**QUICK).fit(inputs, np.full(60, constant))
    assert model.x_scale_[1] == model.y_scale_[0] == 1
    assert_allclose(model.predict(inputs), constant, atol=2)


def test_what_is_held_out_has_no_part():
    options = {"early_stopping": True, "validation_split": "tail", "validation_fraction": 0.5}
    far = X.copy()
    far[30:] += 1e3
    one, other = (LSTMRegressor(**QUICK, **options).fit(inputs, Y) for inputs in (X, far))
    assert_array_equal(one.x_mean_, other.x_mean_)
    assert_array_equal(one.y_mean_, [Y[:30].mean()])


def test_validation_data_are_scaled_as_the_training_data_are():
    k = {**QUICK, "early_stopping": True}
    plain = LSTMRegressor(**k).fit(X[:40], Y[:40], X_val=X[40:], y_val=Y[40:])
    a, b = in_other_units(X), in_other_units(Y)
    other = LSTMRegressor(**k).fit(a[:40], b[:40], X_val=a[40:], y_val=b[40:])
    assert_allclose(other.validation_scores_, plain.validation_scores_, atol=1e-4)


def test_going_on_keeps_the_first_statistics():
    model = LSTMRegressor(**{**QUICK, "learning_rate": "auto"}, warm_start=True).fit(X, Y)
    before = model.x_mean_, model.y_scale_
    for go_on in (model.fit, model.partial_fit):
        go_on(in_other_units(X), in_other_units(Y))
        assert_array_equal(model.x_mean_, before[0])
        assert_array_equal(model.y_scale_, before[1])
    with pytest.raises(ValueError, match="standardize=False, but the fitted model has standardize=True"):
        model.set_params(standardize=False).partial_fit(X, Y)


def test_counts_stay_as_they_are():
    model = LSTMRegressor(**QUICK, loss="poisson").fit(X, RNG.poisson(5, 60))
    assert model.y_mean_ is None
    assert model.x_mean_ is not None


def test_without_it_nothing_is_scaled():
    model = LSTMRegressor(**QUICK, standardize=False).fit(X, Y)
    assert model.x_mean_ is model.x_scale_ is model.y_mean_ is model.y_scale_ is None
    by_hand = LSTMRegressor(**QUICK).fit(X, Y)
    a, b = (X - by_hand.x_mean_) / by_hand.x_scale_, (Y - by_hand.y_mean_) / by_hand.y_scale_
    model.fit(a, b)
    for name, value in by_hand.weights_.items():
        assert_array_equal(model.weights_[name], value)
    assert_array_equal(model.predict(a) * by_hand.y_scale_ + by_hand.y_mean_, by_hand.predict(X))


def test_a_large_mean_is_taken_away_before_numbers_are_rounded():
    fine = X / 1e3
    plain, other = LSTMRegressor(**QUICK).fit(fine, Y), LSTMRegressor(**QUICK).fit(fine + 1e9, Y)
    assert_allclose(other.predict(fine + 1e9), plain.predict(fine), atol=1e-3)


def test_states_and_features_are_those_of_standardised_series():
    model = LSTMRegressor(**QUICK).fit(in_other_units(X), Y)
    assert np.abs(model.hidden_states(in_other_units(X))).max() < 1
    assert_array_equal(
        SequenceEncoder(model).fit(X).transform(in_other_units(X)), model.hidden_states(in_other_units(X))[:, -1]
    )


@pytest.mark.parametrize("which", ["X", "y"])
def test_numbers_too_large_to_be_squared_are_refused(which):
    large = {"X": X, "y": Y, which: {"X": X, "y": Y}[which] * 1e200}
    place = "infinity or a value too large for float32 in series 0, step 0, channel 0"
    message = {"X": place, "y": "values too large to standardise"}[which]
    with pytest.raises(ValueError, match=f"{which} contains {message}"):
        LSTMRegressor(**QUICK).fit(large["X"], large["y"])
    if which == "X":
        with pytest.raises(ValueError, match="X contains values too large to standardise"):
            LSTMRegressor(**QUICK, dtype="float64").fit(large["X"], large["y"])


def test_a_number_far_off_is_refused_in_predict():
    model = LSTMRegressor(**QUICK).fit(X, Y)
    far = X.copy()
    far[3, 2, 1] = 1e300
    with pytest.raises(ValueError, match="infinity or a value too large for float32 in series 3, step 2, channel 1"):
        model.predict(far)
