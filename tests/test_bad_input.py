"""What cannot be right is refused in words that help, and changes nothing."""

import re

import joblib
import numpy as np
import pandas as pd
import pytest
from helpers import assert_refused
from sklearn.exceptions import NotFittedError

from fastlstm import LSTMClassifier, LSTMRegressor, kernels
from fastlstm.layers import LSTM

pytestmark = pytest.mark.every_combination  # each case takes milliseconds

QUICK = {"hidden_size": 3, "learning_rate": "cosine", "max_iter": 2, "random_state": 0}
N, T, C = 12, 5, 2
X = np.random.default_rng(0).normal(size=(N, T, C))
FLAT = X[:, :, 0]
Y = np.arange(N) % 3  # numbers or labels
ONES = np.ones(N)


def but(array, value):
    """The array, its first number replaced."""
    array = array.astype(object if isinstance(value, (str, dict)) else np.result_type(array, np.array(value)))
    array.flat[0] = value
    return array


@pytest.fixture(params=[LSTMClassifier, LSTMRegressor], ids=lambda estimator: estimator.__name__)
def estimator(request):
    return request.param


@pytest.fixture(params=["fresh", "fitted"])
def model(request, estimator):
    model = estimator(**QUICK)
    return model if request.param == "fresh" else model.fit(X, Y)


@pytest.fixture
def fitted(estimator):
    return estimator(**QUICK).fit(X, Y)


# -- X --------------------------------------------------------------------------------------------------------

BAD_SERIES = {
    "1-D": (FLAT[:, 0], ValueError, r"got 1D array instead(.|\n)*Reshape your data: pass np.reshape\(X, \(1, -1\)\)"),
    "1-D list": (FLAT[:, 0].tolist(), ValueError, r"got 1D array instead(.|\n)*pass np.reshape\(X, \(1, -1\)\)"),
    "4-D": (X[..., None], ValueError, r"\(n, T, C\)"),
    "NaN": (but(X, np.nan), ValueError, "Input X contains NaN"),
    "NaN 2-D": (but(FLAT, np.nan), ValueError, "Input X contains NaN"),
    "inf": (but(X, np.inf), ValueError, "Input X contains infinity"),
    "inf 2-D": (but(FLAT, -np.inf), ValueError, "Input X contains infinity"),
    "no series": (X[:0], ValueError, r"0 sample.*shape=\(0, 5, 2\)"),
    "no series 2-D": (FLAT[:0], ValueError, r"0 sample.*shape=\(0, 5\)"),
    "no steps": (X[:, :0], ValueError, r"\(12, 0, 2\).*\(n, T, C\).*at least 1 time step"),
    "no steps 2-D": (FLAT[:, :0], ValueError, r"0 feature.*shape=\(12, 0\)"),
    "no channels": (X[:, :, :0], ValueError, r"\(12, 5, 0\).*\(n, T, C\).*at least 1 channel"),
    "complex": (X + 0j, ValueError, "Complex data not supported"),
    "complex 2-D": (FLAT + 0j, ValueError, "Complex data not supported"),
    "string": (but(X, "abc"), ValueError, "'abc'"),
    "string 2-D": (but(FLAT, "abc"), ValueError, "'abc'"),
    "object": (but(X, {}), TypeError, "must be a string or a real number, not 'dict'"),
}


@pytest.mark.parametrize("case", BAD_SERIES)
def test_series_to_fit(model, case):
    bad, error, message = BAD_SERIES[case]
    assert_refused(lambda: model.fit(bad, Y), error, message, model)


@pytest.mark.parametrize("case", BAD_SERIES)
def test_series_to_predict(estimator, case):
    bad, error, message = BAD_SERIES[case]
    model = estimator(**QUICK).fit(FLAT if case.endswith("2-D") else X, Y)
    assert_refused(lambda: model.predict(bad), error, message, model)


def test_series_too_large_for_the_type(model):
    assert_refused(lambda: model.fit(but(X, 1e300), Y), ValueError, r"X contains .* too large for .*float32", model)
    model.set_params(standardize=False)
    assert_refused(lambda: model.fit(but(X, 1e300), Y), ValueError, r"X contains .* too large for .*float32", model)


@pytest.mark.parametrize(
    ("trained", "given", "message"),
    [
        (X, np.ones((2, T, 3)), r"3 channels.*\(2, 5, 3\).*fitted with 2.*\(n, T, 2\)"),
        (X, np.ones((2, T)), r"\(2, 5\).*univariate.*fitted with 2 channels.*\(n, T, 2\)"),
        (FLAT, np.ones((2, T, 3)), r"3 channels.*\(2, 5, 3\).*fitted with 1.*\(n, T, 1\)"),
        (FLAT, np.ones((2, T + 1)), "6 features.*expecting 5 features"),
    ],
    ids=["other channels", "2-D for channels", "channels for 2-D", "other columns"],
)
def test_other_channels_or_columns_than_were_fitted(estimator, trained, given, message):
    model = estimator(**QUICK).fit(trained, Y)
    assert_refused(lambda: model.predict(given), ValueError, message, model)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
def test_predicting_before_fitting(method):
    with pytest.raises(NotFittedError, match=r"LSTMClassifier instance is not fitted yet\. Call 'fit'"):
        getattr(LSTMClassifier(), method)(X)


def test_predicting_and_scoring_before_fitting(estimator):
    message = f"{estimator.__name__} instance is not fitted yet. Call 'fit'"
    with pytest.raises(NotFittedError, match=message):
        estimator().predict(X)
    with pytest.raises(NotFittedError, match=message):
        estimator().score(X, Y)


# -- y --------------------------------------------------------------------------------------------------------

BAD_TARGETS = {
    "NaN": (but(Y, np.nan), ValueError, "Input y contains NaN"),
    "inf": (but(Y, np.inf), ValueError, "Input y contains infinity"),
    "complex": (Y + 0j, ValueError, "Complex data not supported"),
    "object": (but(Y, {}), (TypeError, ValueError), "label type|must be a string or a real number, not 'dict'"),
    "one less": (Y[:-1], ValueError, r"inconsistent numbers of samples: \[12, 11\]"),
    "one more": (np.append(Y, 0), ValueError, r"inconsistent numbers of samples: \[12, 13\]"),
    "none": (None, ValueError, "y .*None"),
    "3-D": (np.ones((N, 2, 2)), ValueError, r"array with dim 3|\(12, 2, 2\)"),
    "no outputs": (np.ones((N, 0)), ValueError, r"0 feature.*shape=\(12, 0\)"),
}


@pytest.mark.parametrize(("bad", "error", "message"), BAD_TARGETS.values(), ids=BAD_TARGETS)
def test_targets(model, bad, error, message):
    assert_refused(lambda: model.fit(X, bad), error, message, model)


def test_words_for_a_regressor():
    model = LSTMRegressor(**QUICK)
    assert_refused(lambda: model.fit(X, Y.astype(str).tolist()[:-1] + ["abc"]), ValueError, "'abc'", model)


def test_targets_too_large_for_the_type():
    model = LSTMRegressor(**QUICK)
    message = "y contains values too large to standardise"
    assert_refused(lambda: model.fit(X, but(Y, 1e300)), ValueError, message, model)
    model.set_params(standardize=False)
    assert_refused(lambda: model.fit(X, but(Y, 1e300)), ValueError, r"y contains .* too large for .*float32", model)


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (Y + 0.5 * np.sin(Y), ValueError, "Unknown label type: continuous"),
        (np.full((N, 2), 2), ValueError, r"shape \(12, 2\).*indicators of 2 labels.*values other than 0 and 1"),
        (but(Y, "abc"), (TypeError, ValueError), "labels"),
    ],
    ids=["continuous", "2-D", "words among numbers"],
)
def test_labels(bad, error, message):
    model = LSTMClassifier(**QUICK)
    assert_refused(lambda: model.fit(X, bad), error, message, model)


# -- weights --------------------------------------------------------------------------------------------------

BAD_WEIGHTS = {
    "negative": (but(ONES, -1.5), ValueError, "sample_weight.*non-negative.*-1.5.*sample 0"),
    "all zero": (0 * ONES, ValueError, "zero"),
    "NaN": (but(ONES, np.nan), ValueError, "sample_weight contains NaN"),
    "inf": (but(ONES, np.inf), ValueError, "sample_weight contains infinity"),
    "short": (ONES[1:], ValueError, r"sample_weight.*\(11,\).*expected \(12,\)"),
    "2-D": (np.ones((N, 2)), ValueError, "Sample weights must be 1D array"),
    "complex": (ONES + 0j, ValueError, "Complex data not supported"),
    "string": (["abc"] * N, ValueError, "sample_weight.*'abc'"),
    "a number that is NaN": (np.nan, ValueError, "sample_weight contains NaN"),
    "a number that is infinite": (np.inf, ValueError, "sample_weight contains infinity"),
    "zero for all": (0, ValueError, "sample_weight is zero for every sample"),
    "too large for float64": (10**400, ValueError, "sample_weight: int too large"),
    "of too large a sum": (
        1e308 * ONES,
        ValueError,
        "The sum of sample_weight overflows float64.*1e.308.*ratios",
    ),
    "a type": (int, TypeError, "sample_weight: float.*not 'type'"),
}


@pytest.mark.parametrize(("bad", "error", "message"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_weights(model, bad, error, message):
    assert_refused(lambda: model.fit(X, Y, bad), error, message, model)


@pytest.mark.parametrize(
    "bad",
    [{0: 0, 1: 0, 2: 0}, {0: -1, 1: 1, 2: 1}, {0: np.nan, 1: 1, 2: 1}, {0: np.inf, 1: 1, 2: 1}, {"a": 1}],
    ids=["all zero", "negative", "NaN", "inf", "no such class"],
)
def test_class_weights(bad):
    model = LSTMClassifier(**QUICK, class_weight=bad)
    assert_refused(lambda: model.fit(X, Y), ValueError, "class_weight", model)


# -- validation data ------------------------------------------------------------------------------------------

BAD_VALIDATION = {
    "NaN": ((but(X, np.nan), Y, None), "X_val contains NaN"),
    "other channels": ((X[:, :, :1], Y, None), r"X_val .*1 channels.*\(n, T, 2\)"),
    "only X_val": ((X, None, None), "y_val .*None"),
    "only y_val": ((None, Y, None), "X_val"),
    "only weights": ((None, None, ONES), "sample_weight_val .*without X_val and y_val"),
    "NaN in y": ((X, but(Y, np.nan), None), "y_val contains NaN"),
    "one less": ((X, Y[1:], None), r"\[12, 11\]"),
    "negative weight": ((X, Y, but(ONES, -1)), "sample_weight_val.*non-negative.*-1.*sample 0"),
    "NaN weight": ((X, Y, but(ONES, np.nan)), "sample_weight_val contains NaN"),
}


@pytest.mark.parametrize(("bad", "message"), BAD_VALIDATION.values(), ids=BAD_VALIDATION)
def test_validation_data(model, bad, message):
    names = dict(zip(("X_val", "y_val", "sample_weight_val"), bad, strict=True))
    assert_refused(lambda: model.fit(X, Y, **names), ValueError, message, model)


def test_columns_to_validate_on_in_another_order(estimator):
    model = estimator(**QUICK)
    frame = pd.DataFrame(FLAT, columns=list("abcde"))
    message = "Feature names must be in the same order as they were in fit"
    assert_refused(lambda: model.fit(frame, Y, X_val=frame[list("edcba")], y_val=Y), ValueError, message, model)


def test_labels_to_validate_on_that_were_not_trained():
    model = LSTMClassifier(**QUICK)
    assert_refused(lambda: model.fit(X, Y, X_val=X, y_val=Y + 1), ValueError, r"y_val .*\[3\].*\[0, 1, 2\]", model)


# -- parameters -----------------------------------------------------------------------------------------------

BAD_PARAMETERS = {
    "hidden_size": [0, -1, 2.5, "many", None, True],
    "num_layers": [0, 1.5, "two", None, True],
    "cell": ["LSTM", "transformer", None],
    "bidirectional": ["yes", None],
    "dropout": [-0.1, 1, 1.5, np.nan, "half", None],
    "recurrent_dropout": [-0.1, 1, 1.5, np.nan, "half", None],
    "return_sequences": ["yes", None],
    "missing": ["drop", np.nan, None],
    "embedding_size": [0, 2.5, True, "one-hot"],
    "max_vocabulary": [1, 2.5, True],
    "min_count": [0, 2.5, None],
    "symbol_dropout": [-0.1, 1, np.nan, None],
    "time_order": ["ascending", None],
    "layout": ["keras", ["lag1"], {"lags": 3}],
    "standardize": ["yes", None],
    "init": ["glorot", None],
    "longest_lag": [0, 2.5, True, "auto"],
    "solver": ["lbfgs", None],
    "alpha": [-1e-3, np.nan, np.inf, "none", None],
    "batch_size": [0, 2.5, "all", None],
    "learning_rate": ["invscaling", 0.1],
    "learning_rate_init": [0, -1.0, np.nan, np.inf, None],
    "max_iter": [0, -1, 2.5, None],
    "clip_norm": [0, -1.0, np.nan, "auto"],
    "shuffle": ["yes", None],
    "random_state": [-1, 1.5, "seed"],
    "tol": [-1e-4, np.nan, None],
    "n_iter_no_change": [0, -1, 2.5, None],
    "early_stopping": ["auto", None],
    "validation_fraction": [0, 1, -0.1, 1.5, None],
    "validation_split": ["shuffle", None],
    "out_activation": ["sigmoid", None],
    "momentum": [-0.1, 1.1, np.nan, None],
    "nesterovs_momentum": ["yes", None],
    "warm_start": ["yes", None],
    "verbose": [-1, "yes", None],
    "checkpoint_path": [3, True],
    "checkpoint_every": [0, 2.5, True, None],
    "resume": ["yes", None],
    "dtype": ["float16", "int64", np.float32, None],
    "backend": ["torch", None],
    "n_jobs": [0, 1.5, True, "all"],
    "precision": ["float16", None, True],
    "bptt_steps": [0, -1, 2.5, True, "auto"],
    "bptt_checkpoint": [0, 2.5, True, "always"],
    "loss": ["hinge", None],
    "quantile": [0, 1, -0.1, 1.5, np.nan, "median", None],
    "class_weight": ["equal", 2.0, [1, 2, 3]],
}


@pytest.mark.parametrize(
    ("estimator", "name", "value"),
    [
        (estimator, name, value)
        for estimator in (LSTMClassifier, LSTMRegressor)
        for name in estimator().get_params()
        for value in BAD_PARAMETERS[name]
    ],
)
def test_parameters_out_of_range(model, name, value):
    model.set_params(**{name: value})
    message = f"'{name}' parameter of {type(model).__name__} must be .* Got {re.escape(repr(value))} instead"
    assert_refused(lambda: model.fit(X, Y), ValueError, message, model)


# -- going on -------------------------------------------------------------------------------------------------

GOING_ON = {k: v for k, v in QUICK.items() if k != "learning_rate"}


def first_call(estimator):
    return {"classes": [0, 1, 2]} if estimator is LSTMClassifier else {}


@pytest.mark.parametrize(
    "option", [{"early_stopping": True}, {"learning_rate": "cosine"}], ids=["early_stopping", "cosine"]
)
def test_partial_fit_without_what_needs_a_whole_fit(estimator, option):
    model = estimator(**{**GOING_ON, **option})
    message = f"partial_fit does not support {next(iter(option))}="
    assert_refused(lambda: model.partial_fit(X, Y, **first_call(estimator)), ValueError, message, model)


def test_partial_fit_with_balanced_class_weights():
    model = LSTMClassifier(**GOING_ON, class_weight="balanced")
    message = "class_weight='balanced' is not supported by partial_fit"
    assert_refused(lambda: model.partial_fit(X, Y, classes=[0, 1, 2]), ValueError, message, model)


@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_going_on_with_other_channels(estimator, method):
    model = estimator(**GOING_ON, warm_start=True).partial_fit(X, Y, **first_call(estimator))
    message = r"1 channels.*fitted with 2.*\(n, T, 2\)"
    assert_refused(lambda: getattr(model, method)(X[:, :, :1], Y), ValueError, message, model)


@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_going_on_with_another_size(estimator, method):
    model = estimator(**GOING_ON, warm_start=True).partial_fit(X, Y, **first_call(estimator))
    model.set_params(hidden_size=4)
    assert_refused(
        lambda: getattr(model, method)(X, Y),
        ValueError,
        "hidden_size=4, but the fitted model has hidden_size=3",
        model,
    )


@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_going_on_with_another_number_of_outputs(method):
    model = LSTMRegressor(**GOING_ON, warm_start=True).partial_fit(X, np.ones((N, 3)))
    assert_refused(lambda: getattr(model, method)(X, Y), ValueError, "1 outputs.*fitted with 3", model)


def test_partial_fit_without_classes_in_the_first_call():
    model = LSTMClassifier(**GOING_ON)
    assert_refused(lambda: model.partial_fit(X, Y), ValueError, "classes must be passed on the first call", model)


def test_partial_fit_with_labels_that_classes_lack():
    model = LSTMClassifier(**GOING_ON)
    message = r"labels \[2\].*not in classes \[0, 1\]"
    assert_refused(lambda: model.partial_fit(X, Y, classes=[0, 1]), ValueError, message, model)


def test_partial_fit_with_unseen_labels_later():
    model = LSTMClassifier(**GOING_ON).partial_fit(X, Y, classes=[0, 1, 2])
    message = r"labels \[3\].*not in classes \[0, 1, 2\].*first call of partial_fit"
    assert_refused(lambda: model.partial_fit(X, Y + 1), ValueError, message, model)


def test_partial_fit_with_other_classes_later():
    model = LSTMClassifier(**GOING_ON).partial_fit(X, Y, classes=[0, 1, 2])
    message = r"classes=\[0, 1\] is not the same as in the first call of partial_fit: \[0, 1, 2\]"
    assert_refused(lambda: model.partial_fit(X, Y % 2, classes=[0, 1]), ValueError, message, model)


def test_a_warm_start_with_unseen_labels():
    model = LSTMClassifier(**GOING_ON, warm_start=True).partial_fit(X, Y, classes=[0, 1, 2])
    assert_refused(lambda: model.fit(X, Y + 1), ValueError, r"labels \[3\].*\[0, 1, 2\].*warm_start=False", model)


# -- backends -------------------------------------------------------------------------------------------------

UNKNOWN = "FASTLSTM_BACKEND=torch is not an available backend; expected .*'numpy'"


def test_an_unknown_backend_in_the_environment_to_fit_with(monkeypatch, model):
    monkeypatch.setenv("FASTLSTM_BACKEND", "torch")
    assert_refused(lambda: model.fit(X, Y), ValueError, UNKNOWN, model)


def test_an_unknown_backend_in_the_environment_to_predict_with(monkeypatch, fitted):
    monkeypatch.setenv("FASTLSTM_BACKEND", "torch")
    assert_refused(lambda: fitted.predict(X), ValueError, UNKNOWN, fitted)


def test_an_unknown_backend_in_the_environment_of_a_layer(monkeypatch):
    monkeypatch.setenv("FASTLSTM_BACKEND", "torch")
    with pytest.raises(ValueError, match=UNKNOWN):
        LSTM(1, 1)


@pytest.fixture
def loaded(monkeypatch):
    """Names of the backends that are loaded."""
    names, load = [], kernels.load
    monkeypatch.setattr(kernels, "load", lambda name: names.append(name) or load(name))
    return names


@pytest.mark.parametrize(("given", "expected"), [("numpy", "numpy"), ("auto", kernels.available()[0])])
def test_an_explicit_backend_wins_over_the_environment(monkeypatch, estimator, loaded, given, expected):
    monkeypatch.setenv("FASTLSTM_BACKEND", expected if given == "auto" else "torch")
    estimator(**QUICK, backend=given).fit(X, Y).predict(X)
    assert set(loaded) == {expected}


def test_the_environment_wins_over_auto(monkeypatch, estimator, loaded):
    monkeypatch.setenv("FASTLSTM_BACKEND", "numpy")
    estimator(**QUICK).fit(X, Y).predict(X)
    assert set(loaded) == {"numpy"}


# -- layers ---------------------------------------------------------------------------------------------------

H = 4
x = X.astype("float32")
h = np.zeros((1, N, H), "float32")


@pytest.fixture
def layer():
    return LSTM(C, H, random_state=0)


@pytest.fixture
def tape(layer):
    return layer.record(x)[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_size": 0}, "input_size=0: expected an integer of at least 1"),
        ({"hidden_size": -3}, "hidden_size=-3: expected an integer of at least 1"),
        ({"hidden_size": 2.5}, "hidden_size=2.5: expected an integer"),
        ({"hidden_size": True}, "hidden_size=True: expected an integer"),
        ({"dtype": "float16"}, r"dtype='float16': expected one of \['float32', 'float64'\]"),
        ({"backend": "torch"}, "backend='torch' is not an available backend; expected 'auto' or one of"),
        ({"n_jobs": 0}, "n_jobs=0: expected a positive number of threads"),
        ({"n_jobs": 1.5}, "n_jobs=1.5: expected a positive number of threads"),
        ({"n_jobs": True}, "n_jobs=True: expected a positive number of threads"),
        ({"n_jobs": "all"}, "n_jobs='all': expected a positive number of threads"),
    ],
    ids=str,
)
def test_options_of_a_layer(options, message):
    with pytest.raises(ValueError, match=message):
        LSTM(**{"input_size": C, "hidden_size": H, **options})


@pytest.mark.parametrize("sizes", [(2**62, 2), (2, 2**62), (2**32, 2**32)], ids=str)
def test_sizes_whose_products_no_memory_holds(sizes):
    with pytest.raises(ValueError, match=r"hidden sizes .* require .* weights, which exceeds .*; expected smaller"):
        LSTM(*sizes)


@pytest.mark.parametrize("n", [2**58, 2**62])
def test_more_streams_than_any_memory_holds(n, layer, fitted):
    for call in (lambda: layer.initial_state(n), lambda: fitted.stream(n)):
        with pytest.raises(MemoryError, match="bytes, which exceeds the address space; expected fewer"):
            call()


WRONG_TYPE = "is of type {}; this layer computes in float32: pass"


@pytest.mark.parametrize("method", ["__call__", "record"])
@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (x[0], ValueError, r"x has shape \(5, 2\); expected \(N, T, C\)"),
        (x[None], ValueError, r"x has shape \(1, 12, 5, 2\); expected \(N, T, C\)"),
        (x[:, :, :1], ValueError, r"x has shape \(12, 5, 1\); expected .*C=2"),
        (x[:0], ValueError, r"x has shape \(0, 5, 2\); expected .*none of them zero"),
        (x[:, :0], ValueError, r"x has shape \(12, 0, 2\); expected .*none of them zero"),
        (X, TypeError, "x " + WRONG_TYPE.format("float64") + ".*dtype='float64'"),
        (x + 0j, TypeError, "x " + WRONG_TYPE.format("complex64")),
        (x.astype(object), TypeError, "x " + WRONG_TYPE.format("object")),
    ],
    ids=["2-D", "4-D", "inputs", "no sequence", "no step", "float64", "complex", "object"],
)
def test_x_of_a_layer(layer, method, bad, error, message):
    with pytest.raises(error, match=message):
        getattr(layer, method)(bad)


@pytest.mark.parametrize("kind", ["int64", "complex64", "object"])
def test_the_advice_on_types_names_only_types_that_exist(layer, kind):
    with pytest.raises(TypeError) as caught:
        layer(x.astype(kind))
    assert f"dtype='{kind}'" not in str(caught.value)


BAD_STATES = {
    "one array": (h, ValueError, "expected a pair of arrays, hidden and cell, got ndarray"),
    "three arrays": ((h, h, h), ValueError, "expected a pair of arrays, hidden and cell, got .*3"),
    "2-D": ((h[0], h[0]), ValueError, r"\[0\] has shape \(12, 4\); expected \(1, 12, 4\)"),
    "sequences": ((h, h[:, 1:]), ValueError, r"\[1\] has shape \(1, 11, 4\); expected \(1, 12, 4\)"),
    "units": ((h[..., 1:], h), ValueError, r"\[0\] has shape \(1, 12, 3\); expected \(1, 12, 4\)"),
    "float64": ((h, h.astype(float)), TypeError, r"\[1\] " + WRONG_TYPE.format("float64")),
    "object": ((h, h.astype(object)), TypeError, r"\[1\] " + WRONG_TYPE.format("object")),
}
bad_states = pytest.mark.parametrize(("bad", "error", "message"), BAD_STATES.values(), ids=BAD_STATES)


@bad_states
@pytest.mark.parametrize("method", ["__call__", "record"])
def test_state_of_a_layer(layer, method, bad, error, message):
    with pytest.raises(error, match="^state.*" + message):
        getattr(layer, method)(x, bad)


@bad_states
def test_gradient_of_the_state_of_a_layer(layer, tape, bad, error, message):
    with pytest.raises(error, match="^d_state.*" + message):
        layer.backward(tape, d_state=bad)


@pytest.mark.parametrize(
    ("shape", "dtype", "error", "message"),
    [
        ((T, H), "float32", ValueError, r"shape \(5, 4\); expected \(12, 5, 4\)"),
        ((1, T, H), "float32", ValueError, r"shape \(1, 5, 4\); expected \(12, 5, 4\)"),
        ((N, 1, H), "float32", ValueError, r"shape \(12, 1, 4\); expected \(12, 5, 4\)"),
        ((N, T, 1), "float32", ValueError, r"shape \(12, 5, 1\); expected \(12, 5, 4\)"),
        ((N, T, H), "float64", TypeError, WRONG_TYPE.format("float64")),
        ((N, T, H), "complex64", TypeError, WRONG_TYPE.format("complex64")),
        ((N, T, H), "object", TypeError, WRONG_TYPE.format("object")),
    ],
)
def test_gradient_of_the_output_of_a_layer(layer, tape, shape, dtype, error, message):
    with pytest.raises(error, match="^d_output .*" + message):
        layer.backward(tape, np.ones(shape, dtype))


def test_no_gradient_at_all(layer, tape):
    with pytest.raises(ValueError, match="d_output and d_state are both None"):
        layer.backward(tape)


@pytest.mark.parametrize("bad", [None, LSTM(C, H).record(x)[2]], ids=["None", "another layer's"])
def test_a_tape_that_is_not_of_the_layer(layer, bad):
    with pytest.raises(ValueError, match="tape: expected what `record` of this layer returned"):
        layer.backward(bad, np.ones((N, T, H), "float32"))


BAD_WEIGHTS_TO_LOAD = {
    "missing": (lambda w: w.pop("bias_hh_l0"), "lacks .*'bias_hh_l0'.*expected .*'weight_ih_l0'"),
    "unknown": (lambda w: w.update(weight_ih_l1=0), "unknown .*'weight_ih_l1'.*expected .*'weight_ih_l0'"),
    "shape": (lambda w: w.update(bias_hh_l0=np.ones(3)), r"bias_hh_l0 has shape \(3,\); .* \(16,\)"),
    "transposed": (
        lambda w: w.update(weight_ih_l0=np.ones((C, 4 * H))),
        r"weight_ih_l0 has shape \(2, 16\).*\(16, 2\)",
    ),
    "complex": (lambda w: w.update(bias_hh_l0=np.ones(4 * H) * 1j), "bias_hh_l0.*complex"),
    "object": (lambda w: w.update(bias_hh_l0=np.array([None] * 4 * H)), "bias_hh_l0.*object"),
}


@pytest.mark.parametrize(("spoil", "message"), BAD_WEIGHTS_TO_LOAD.values(), ids=BAD_WEIGHTS_TO_LOAD)
def test_weights_to_load(layer, spoil, message):
    weights = LSTM(C, H, random_state=1).state_dict()
    spoil(weights)
    before = joblib.hash(layer.state_dict())
    with pytest.raises((ValueError, TypeError), match=message):
        layer.load_state_dict(weights)
    assert joblib.hash(layer.state_dict()) == before


# -- arguments are named ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [0, np.int8(3), iter(Y), np.array(5.0)], ids=["int", "scalar", "iterator", "0-D"])
def test_targets_that_are_no_array(model, bad):
    assert_refused(lambda: model.fit(X, bad), TypeError, "^y: ", model)


@pytest.mark.parametrize("bad", [10**30, True, ..., [[0, 1], [2]]], ids=str)
def test_classes_that_are_no_array(bad):
    model = LSTMClassifier(**GOING_ON)
    assert_refused(lambda: model.partial_fit(X, Y, classes=bad), ValueError, "^classes: ", model)


@pytest.mark.parametrize(
    ("y", "weights", "message"),
    [
        (memoryview(b"abc"), None, "^y: "),
        (Y, ["a"] * N, "^sample_weight: "),
        (Y, np.ones((N, 2)), "^sample_weight: "),
    ],
    ids=["y", "words", "2-D weights"],
)
def test_what_cannot_be_scored(fitted, y, weights, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fitted.score(X, y, weights)


def test_infinite_targets_of_several_outputs_are_named_in_score():
    Y2 = np.column_stack([Y, Y])
    model = LSTMRegressor(**QUICK).fit(X, Y2)
    with pytest.raises(ValueError, match=r"^y: Input contains infinity"):
        model.score(X, but(Y2 * 1.0, np.inf), np.ones((N, 2)))


@pytest.mark.parametrize(
    "method", [np.zeros(0), pd.Series([1.0]), pd.NA, len], ids=["array", "Series", "NA", "function"]
)
def test_methods_of_a_stream_that_are_no_names(fitted, method):
    with pytest.raises(ValueError, match=r"method=(.|\n)*expected one of"):
        fitted.stream(method=method)


@pytest.mark.parametrize("which", [[1, [2]], "a"], ids=str)
def test_streams_that_there_are_not(fitted, which):
    with pytest.raises(ValueError, match=r"^which"):
        fitted.stream(3).reset(which)


@pytest.mark.parametrize(
    ("argument", "bad"),
    [
        ("dtype", pd.Series(["float32"])),
        ("backend", pd.NA),
        ("backend", np.array(["numpy", "numba"])),
        ("random_state", ...),
    ],
    ids=["Series", "NA", "array", "random_state"],
)
def test_options_of_a_layer_that_are_no_options(argument, bad):
    with pytest.raises((TypeError, ValueError), match=f"^{argument}[:=]"):
        LSTM(2, 3, **{argument: bad})


@pytest.mark.parametrize("bad", [None, 3, [("weight_ih_l0", 1)], {1: 2, "a": 3}], ids=str)
def test_mappings_of_weights_that_are_none(bad):
    with pytest.raises((TypeError, ValueError), match="mapping"):
        LSTM(2, 3).load_state_dict(bad)
