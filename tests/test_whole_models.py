"""A fitted estimator is replaced as a whole: whoever uses it meanwhile has the old model or the new one."""

import threading
import warnings
from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.utils._param_validation import InvalidParameterError

from fastlstm import LSTMClassifier, LSTMRegressor, SequenceEncoder, SequenceScaler
from fastlstm.estimators import fitting

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 5, 3))
Y = RNG.normal(size=12)
QUICK = {"max_iter": 2, "learning_rate": "cosine", "random_state": 0}


def watched_by(monkeypatch, look):
    """From now on, `look` is called after every epoch of a fit."""
    report_epochs = fitting.report_epochs

    def watched_by_us(*args, **kwargs):
        for epoch in report_epochs(*args, **kwargs):
            look()
            yield epoch

    monkeypatch.setattr(fitting, "report_epochs", watched_by_us)


def test_predictions_during_a_refit_are_those_of_the_old_model(monkeypatch, fast):
    model = LSTMRegressor(4, backend=fast, **QUICK).fit(X, Y)
    before, seen = model.predict(X), []
    watched_by(monkeypatch, lambda: seen.append(model.predict(X)))
    model.set_params(hidden_size=33).fit(X, Y)
    assert len(seen) == 2
    for predicted in seen:
        assert_array_equal(predicted, before)
    assert model.weights_["weight_hh_l0"].shape == (4 * 33, 33)


def test_a_prediction_that_a_refit_interrupts_ends_with_the_old_model(monkeypatch, fast):
    model = LSTMClassifier(4, backend=fast, **QUICK).fit(X, Y > 0)
    before, check_series = model.predict_proba(X), LSTMClassifier._check_series

    def refit_first(self, *args, **kwargs):
        monkeypatch.undo()
        model.set_params(hidden_size=33).fit(X[:, :, :2], np.arange(12) % 5)
        return check_series(self, *args, **kwargs)

    monkeypatch.setattr(LSTMClassifier, "_check_series", refit_first)
    assert_array_equal(model.predict_proba(X), before)
    assert model.predict_proba(X[:, :, :2]).shape == (12, 5)


def test_threads_that_predict_during_refits_get_one_model_or_the_other(fast):
    models = [LSTMRegressor(size, backend=fast, **QUICK).fit(X, Y) for size in (4, 40)]
    right = {model.predict(X).tobytes() for model in models}
    model, wrong, over = models[0], [], threading.Event()

    def predict():
        while not over.is_set():
            predicted = model.predict(X).tobytes()
            if predicted not in right:
                wrong.append(predicted)

    threads = [threading.Thread(target=predict) for _ in range(2)]
    for thread in threads:
        thread.start()
    for size in [40, 4] * 10:
        model.set_params(hidden_size=size).fit(X, Y)
    over.set()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    ("estimator", "bad"),
    [
        (LSTMRegressor(4, **QUICK), lambda model: model.fit(X, np.full(12, np.nan))),
        (SequenceScaler(), lambda scaler: scaler.fit([])),
        (SequenceEncoder(LSTMRegressor(4, **QUICK)), lambda encoder: encoder.fit(X, np.full(12, np.nan))),
    ],
    ids=["regressor", "scaler", "encoder"],
)
def test_a_fit_that_fails_leaves_the_estimator_as_it_was(estimator, bad):
    estimator.fit(X, Y)
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match=r"NaN|0 series"):
        bad(estimator)
    assert vars(estimator) == before


def test_attributes_set_by_others_during_a_fit_stay(monkeypatch):
    model = LSTMRegressor(4, **QUICK)
    watched_by(monkeypatch, lambda: setattr(model, "noted", "by a callback"))
    assert model.fit(X, Y).noted == "by a callback"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("head.weight", np.zeros((2, 4), "float32")),
        ("weight_hh_l0", np.zeros((16, 5), "float32")),
        ("bias_ih_l0", np.zeros(16)),
        ("head.bias", [0.0]),
    ],
)
def test_weights_that_do_not_fit_are_refused_before_a_kernel_sees_them(name, value, fast):
    model = LSTMRegressor(4, backend=fast, **QUICK).fit(X, Y).set_params(learning_rate="constant")
    model.weights_[name] = value
    for use in (model.predict, model.hidden_states, lambda X: model.stream(), lambda X: model.partial_fit(X, Y)):
        with pytest.raises(ValueError, match=rf"weights_\['{name}'\] is .*expected an array of shape"):
            use(X)


@pytest.mark.parametrize("name", ["head.weight", "weight_hh_l0"])
def test_weights_that_are_not_in_c_order_are_refused_before_a_kernel_sees_them(name, fast):
    model = LSTMRegressor(4, backend=fast, **QUICK).fit(X, Y)
    model.weights_[name] = model.weights_[name][:, ::-1]
    with pytest.raises(ValueError, match=rf"weights_\['{name}'\] has strides .*through np.ascontiguousarray"):
        model.predict(X)


@pytest.mark.parametrize("name", ["head.weight", "head.bias", "bias_hh_l0"])
def test_the_one_array_of_another_type_is_the_one_refused(name):
    model = LSTMRegressor(4, **QUICK).fit(X, Y)
    model.weights_[name] = model.weights_[name].astype("float64")
    with pytest.raises(ValueError, match=rf"weights_\['{name}'\] is of shape .* and type float64"):
        model.predict(X)


@pytest.mark.parametrize("channels", [1, 7])
def test_series_of_other_channels_than_the_weights_are_refused_before_a_kernel_sees_them(channels, fast):
    model = LSTMRegressor(4, backend=fast, **QUICK).fit(X, Y).set_params(learning_rate="constant")
    model._channels, other = channels, np.zeros((12, 5, channels))
    for use in (model.predict, model.hidden_states, lambda X: model.partial_fit(X, Y)):
        with pytest.raises(ValueError, match=f"X has {channels} channels, but the weights expect 3"):
            use(other)


def test_missing_weights_are_refused(fast):
    model = LSTMRegressor(4, backend=fast, **QUICK).fit(X, Y)
    del model.weights_["head.weight"]
    with pytest.raises(ValueError, match=r"weights_ has .*expected .*head\.weight"):
        model.predict(X)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate_init", -1.0),
        ("batch_size", 0),
        ("solver", "x"),
        ("dtype", "float16"),
        ("dropout", 1.0),
        ("alpha", -1.0),
        ("clip_norm", 0.0),
        ("tol", np.nan),
        ("bptt_steps", 0),
        ("n_jobs", 0),
        ("shuffle", None),
        ("learning_rate_init", Fraction(1, 3)),
        ("alpha", Fraction(1, 3)),
        ("clip_norm", Fraction(1, 3)),
        ("dropout", Fraction(1, 3)),
        ("momentum", Fraction(1, 3)),
        ("validation_fraction", Fraction(1, 3)),
    ],
)
def test_partial_fit_checks_the_parameters_of_a_fitted_model(name, value):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LSTMRegressor(4, max_iter=1, random_state=0).fit(X, Y)
    before = {name: value.copy() for name, value in model.weights_.items()}
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of LSTMRegressor must be"):
        model.set_params(**{name: value}).partial_fit(X, Y)
    for weight in before:
        assert_array_equal(model.weights_[weight], before[weight])


@pytest.mark.parametrize(("name", "value"), [("n_jobs", 0), ("n_jobs", 1.5), ("backend", "fortran"), ("backend", 3)])
def test_predict_checks_the_parameters_that_it_uses(name, value):
    model = LSTMRegressor(4, **QUICK).fit(X, Y).set_params(**{name: value})
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of LSTMRegressor must be"):
        model.predict(X)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", [{}, {"return_sequences": True}, {"loss": "gaussian_nll"}], ids=str)
def test_a_regressor_predicts_in_float64_whatever_it_computes_in(options, dtype):
    y = X.sum(axis=2) if options.get("return_sequences") else Y
    model = LSTMRegressor(4, dtype=dtype, **options, **QUICK).fit(X, y)
    assert model.predict(X).dtype == np.float64
    assert model.stream().step(X[0, 0]).dtype == np.float64
    if "loss" in options:
        assert model.predict_quantiles(X).dtype == np.float64
    assert model.hidden_states(X).dtype == dtype
