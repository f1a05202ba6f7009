"""Fitted models a step at a time: `stream` of the estimators."""

import copy
import pickle
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError

from fastlstm import LSTMClassifier, LSTMRegressor, kernels

N, T, C = 5, 6, 3
QUICK = {"max_iter": 2, "learning_rate": "cosine", "learning_rate_init": 0.1, "random_state": 0}


def draw(n=N, seed=0):
    return np.random.default_rng(seed).normal(size=(n, T, C))


#: Estimators and what they are fitted to, from the numbers Y [n, T, K]; heads of few and of many outputs.
TARGETS = {
    "regressor": (LSTMRegressor, lambda Y: Y[..., 0]),
    "outputs": (LSTMRegressor, lambda Y: Y[..., :4]),
    "classifier": (LSTMClassifier, lambda Y: np.where(Y[..., 0] > 0, "up", "down")),
    "classes": (LSTMClassifier, lambda Y: np.digitize(Y[..., 0], [-1, -0.3, 0.3, 1])),
    "multilabel": (LSTMClassifier, lambda Y: (Y > 0).astype(int)),
}


def fit(targets="regressor", n=40, **options):
    estimator, of = TARGETS[targets]
    y = of(np.random.default_rng(1).normal(size=(n, T, 5)))
    options = {"hidden_size": 7, **QUICK, **options}
    return estimator(**options).fit(draw(n), y if options.get("return_sequences") else y[:, -1])


def assert_same(prediction, expected):
    assert_array_equal(prediction, expected, strict=True)


def assert_steps_predict(model, stream, X, method="predict"):
    """Every step of the stream is the prediction of the series so far or, where each step has one, of the step."""
    predict = getattr(model, method)
    whole = predict(X) if model.return_sequences else None
    for t in range(X.shape[1]):
        expected = predict(X[:, : t + 1]) if whole is None else whole[:, t]
        assert_same(stream.step(X[:, t]), expected)


@pytest.mark.parametrize("return_sequences", [False, True], ids=["last", "steps"])
@pytest.mark.parametrize("targets", TARGETS)
def test_steps_have_the_bits_of_predict(backend, dtype, targets, return_sequences):
    model = fit(targets, dtype=dtype, backend=backend, return_sequences=return_sequences)
    for n in (1, N):
        assert_steps_predict(model, model.stream(n), draw(n, seed=2))


@pytest.mark.parametrize("hidden_size", [(17,), (16, 16), (5, 18, 3)], ids=str)
@pytest.mark.parametrize("targets", ["regressor", "classes"])
def test_steps_of_every_stack_have_the_bits_of_predict(backend, dtype, cell, hidden_size, targets):
    stack = {"cell": cell, "hidden_size": hidden_size, "num_layers": len(hidden_size)}
    model = fit(targets, dtype=dtype, backend=backend, **stack)
    assert_steps_predict(model, model.stream(N), draw(seed=2))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
@pytest.mark.parametrize("targets", ["classifier", "classes", "multilabel"])
def test_steps_of_a_classifier_can_be_probabilities(backend, targets, method):
    model = fit(targets, backend=backend)
    assert_steps_predict(model, model.stream(N, method=method), draw(seed=2), method)


def test_one_output_in_an_axis_of_its_own_is_predicted_in_such_an_axis():
    model = LSTMRegressor(4, return_sequences=True, **QUICK).fit(draw(), draw()[..., :1])
    assert_steps_predict(model, model.stream(N), draw(seed=2))


def test_many_channels_and_streams_have_the_bits_of_predict(backend):
    X = np.random.default_rng(0).normal(size=(9, T, 20))
    model = LSTMRegressor(8, backend=backend, **QUICK).fit(X, X[:, 0, 0])
    assert_steps_predict(model, model.stream(9), X)


# -- forms of a step --------------------------------------------------------------------------------------------


def as_list(x_t):
    return x_t.tolist()


def with_gaps(x_t):
    return np.repeat(x_t, 2, axis=1)[:, ::2]


def read_only(x_t):
    x_t.flags.writeable = False
    return x_t


def as_objects(x_t):
    return x_t.astype(object)


def as_doubles(x_t):
    return x_t.astype("float64")


@pytest.mark.parametrize("form", [as_list, with_gaps, np.asfortranarray, read_only, as_objects, as_doubles])
def test_every_form_of_a_step_is_the_same(form):
    model, X = fit(), draw().astype("float32")
    stream = model.stream(N)
    for t in range(T):
        prediction = stream.step(form(X[:, t].copy()))
    assert_same(prediction, model.predict(X))


@pytest.mark.parametrize("kind", ["int8", "uint16", "bool", "float16", ">f8"])
def test_a_step_may_be_of_any_real_type(kind):
    model, X = fit(), (2 * np.abs(draw())).astype(kind)
    assert_steps_predict(model, model.stream(N), X)


def test_a_step_of_one_stream_may_lack_its_axis():
    model, X = fit(), draw(1)
    stream = model.stream()
    for t in range(T):
        prediction = stream.step(X[0, t])
    assert_same(prediction, model.predict(X))


@pytest.mark.parametrize("flat", [False, True])
def test_a_step_of_one_channel_may_lack_its_axis(flat):
    X = draw()[..., 0]
    model = LSTMRegressor(4, **QUICK).fit(X, X[:, 0])
    stream = model.stream(N)
    for t in range(T):
        prediction = stream.step(X[:, t] if flat else X[:, t, None])
    assert_same(prediction, model.predict(X))


def test_inputs_are_left_as_they_were_and_predictions_too():
    model, X = fit(missing="mask"), draw()
    X[:, 2, 1] = np.nan
    stream, before = model.stream(N), X.copy()
    predictions = [stream.step(X[:, t]) for t in range(T)]
    assert_array_equal(X, before)
    assert_same(predictions[1], model.predict(X[:, :2]))


# -- missing values ---------------------------------------------------------------------------------------------


def with_holes(n=N):
    X = draw(n, seed=2)
    X[np.random.default_rng(3).random(X.shape) < 0.4] = np.nan
    X[:, -1, 0] = 1  # the series end there
    X[0, 0] = np.nan
    return X


def prefixes_predicted(model, X):
    """Predictions of every series so far; as lists, in which NaN at the end is part of the series."""
    return [model.predict(list(X[:, : t + 1])) for t in range(T)]


@pytest.mark.parametrize("n", [1, N, 20])
def test_missing_values_are_filled_and_marked_as_by_predict(backend, dtype, n):
    model, X = fit(missing="mask", dtype=dtype, backend=backend), with_holes(n)
    stream = model.stream(n)
    for t, expected in enumerate(prefixes_predicted(model, X)):
        assert_same(stream.step(X[:, t]), expected)


def test_a_reset_forgets_the_values_seen():
    model, X = fit(missing="mask"), with_holes()
    X[1, 0] = np.nan
    stream = model.stream(N)
    stream.step(np.full((N, C), 9.0))
    stream.reset()
    for t, expected in enumerate(prefixes_predicted(model, X)):
        assert_same(stream.step(X[:, t]), expected)


def test_the_state_has_the_values_seen():
    model, X = fit(missing="mask"), with_holes()
    stream = model.stream(N)
    for t in range(3):
        stream.step(X[:, t])
    h, c, seen = saved = stream.state
    assert (h.shape, c.shape, seen.shape) == ((1, N, 7), (1, N, 7), (N, C))
    stream.reset()
    stream.state = saved
    for t, expected in enumerate(prefixes_predicted(model, X)[3:], 3):
        assert_same(stream.step(X[:, t]), expected)


# -- states -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", [1, [1, 3], np.array([1, 3]), (), None], ids=["one", "list", "array", "none", "all"])
def test_streams_that_are_reset_begin_anew_and_others_go_on(backend, cell, which):
    model, X = fit("classes", cell=cell, hidden_size=(7, 4), num_layers=2, backend=backend), draw(seed=2)
    stream = model.stream(N, method="predict_proba")
    for t in range(3):
        stream.step(X[:, t])
    stream.reset(which)
    anew = np.isin(np.arange(N), np.arange(N) if which is None else which)
    for t in range(3, T):
        expected = np.where(anew[:, None], model.predict_proba(X[:, 3 : t + 1]), model.predict_proba(X[:, : t + 1]))
        assert_same(stream.step(X[:, t]), expected)


@pytest.mark.parametrize("sizes", [(7,), (4, 4), (5, 8)], ids=str)
def test_a_state_can_be_kept_and_gone_back_to(backend, cell, dtype, sizes):
    model = fit(cell=cell, dtype=dtype, backend=backend, hidden_size=sizes, num_layers=len(sizes))
    X, stream = draw(seed=2), model.stream(N)
    for t in range(3):
        stream.step(X[:, t])
    saved = stream.state
    assert len(saved) == len(kernels.CELLS[cell].states)
    first = [stream.step(X[:, t]) for t in range(3, T)]
    stream.state = saved
    assert_array_equal([stream.step(X[:, t]) for t in range(3, T)], first)
    other = model.stream(N)
    other.state = saved
    assert_array_equal([other.step(X[:, t]) for t in range(3, T)], first)


def test_a_state_is_that_of_the_layer():
    model, X = fit(hidden_size=(6, 6), num_layers=2, return_sequences=True), draw()
    stream = model.stream(N)
    for t in range(T):
        stream.step(X[:, t])
    h, c = stream.state
    assert h.shape == c.shape == (2, N, 6)
    assert_same(h[-1], model.hidden_states(X)[:, -1])
    h[:] = 1  # a copy
    assert_same(stream.state[0][-1], model.hidden_states(X)[:, -1])


def test_streams_do_not_share_their_states():
    model, X = fit(), draw()
    one, other = model.stream(N), model.stream(N)
    for t in range(T):
        prediction = one.step(X[:, t])
        other.step(-X[:, t])
    assert_same(prediction, model.predict(X))


@pytest.mark.parametrize("missing", ["error", "mask"])
@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))], ids=["copy", "deepcopy", "pickle"]
)
def test_a_copied_stream_goes_on_by_itself(backend, copied, missing):
    model, X = fit("classes", backend=backend, missing=missing), draw()
    stream = model.stream(N, method="predict_proba")
    for t in range(3):
        stream.step(X[:, t])
    other = copied(stream)
    other.step(-X[:, 3])
    for t in range(3, T):
        prediction = stream.step(X[:, t])
    assert_same(prediction, model.predict_proba(X))
    assert_same(copied(stream).step(X[:, 0]), stream.step(X[:, 0]))


def refit(model):
    model.set_params(hidden_size=3).fit(draw(40)[..., :1], np.arange(40) % 2)


def train_on(model):
    model.set_params(learning_rate="constant").partial_fit(draw(40), np.arange(40) % 5)


def write_over(model):
    for value in model.weights_.values():
        value[...] = 9


@pytest.mark.parametrize("change", [refit, train_on, write_over])
@pytest.mark.parametrize("targets", ["regressor", "classes"])
def test_a_stream_stays_with_the_model_that_made_it(targets, change):
    model, X = fit(targets), draw()
    expected, stream = model.predict(X), model.stream(N)
    change(model)
    for at in (stream, pickle.loads(pickle.dumps(stream))):
        for t in range(T):
            prediction = at.step(X[:, t])
        assert_same(prediction, expected)


# -- bad input --------------------------------------------------------------------------------------------------


@pytest.fixture(params=["error", "mask"])
def stream(request):
    """Two streams that have taken a step."""
    stream = fit(missing=request.param).stream(2)
    stream.step([[1, 2, 3], [4, 5, 6]])
    return stream


def assert_stays(stream, call, error, message):
    """`call` raises what it should, and the streams go on as if it had not been."""
    before = copy.copy(stream)
    with pytest.raises(error, match=message):
        call()
    for ours, theirs in zip(stream.state, before.state, strict=True):
        assert_array_equal(ours, theirs)
    assert_array_equal(stream.step([[1, 0, 1], [0, 1, 0]]), before.step([[1, 0, 1], [0, 1, 0]]))


@pytest.mark.parametrize(
    ("x_t", "error", "message"),
    [
        (
            np.zeros((2, 4), "float32"),
            ValueError,
            r"x_t has shape \(2, 4\); expected \(2, 3\): .*n_streams=2.* 3 channels",
        ),
        (np.zeros((1, 3), "float32"), ValueError, r"x_t has shape \(1, 3\); expected \(2, 3\)"),
        (np.zeros(3), ValueError, r"x_t has shape \(3,\); expected \(2, 3\)"),
        (np.zeros((2, 1, 3)), ValueError, r"x_t has shape \(2, 1, 3\); expected \(2, 3\)"),
        (1.0, ValueError, r"x_t has shape \(\); expected \(2, 3\)"),
        ([[1, 2, 3], [1, 2]], ValueError, "x_t is a sequence whose members differ in shape"),
        ([[1, 2, 3], [1, 2, np.inf]], ValueError, "x_t contains infinity or a value too large.* stream 1, channel 2"),
        ([[1, 2, 3], [1e99, 2, 3]], ValueError, "x_t contains .*too large for float32 in stream 1, channel 0"),
        (None, TypeError, "x_t is None"),
        (np.zeros((2, 3), complex), TypeError, "x_t is of type complex128; expected real numbers"),
        ([["a"] * 3] * 2, TypeError, "x_t is of type <U1; expected real numbers"),
        (np.array([["a"] * 3] * 2, object), TypeError, "x_t is of type object; expected real numbers"),
        (np.ma.masked_array(np.zeros((2, 3)), True), TypeError, r"x_t is a masked array, .*pass x_t.filled\(np.nan\)"),
        pytest.param(
            [[10**400, 1, 2]] * 2,
            TypeError,
            r"x_t is of type object; .*: int too large to convert to float\.$",
            id="int too large",
        ),
        (np.full((2, 3), 1j, object), TypeError, r"x_t is of type object; .*: Complex data not supported\.$"),
        (np.zeros((2, 3), "datetime64[s]"), TypeError, "x_t is of type datetime64.*convert them first"),
        (np.zeros((2, 3), "timedelta64[s]"), TypeError, "x_t is of type timedelta64.*convert them first"),
    ],
    ids=str,
)
def test_a_bad_step_leaves_the_streams(stream, x_t, error, message):
    assert_stays(stream, lambda: stream.step(x_t), error, message)


@pytest.mark.parametrize("channels", [C, 20], ids=["few", "many"])
def test_a_missing_value_is_an_error_unless_it_may_be(channels):
    X = np.random.default_rng(0).normal(size=(8, T, channels))
    stream, x_t = LSTMRegressor(4, **QUICK).fit(X, X[:, 0, 0]).stream(2), np.zeros((2, channels), "float32")
    x_t[1, 2] = np.nan
    before = stream.state
    with pytest.raises(ValueError, match=r"x_t contains NaN in stream 1, channel 2: impute .* missing='mask'"):
        stream.step(x_t)
    assert_array_equal(stream.state, before)


def test_numbers_whose_sum_is_not_finite_are_no_error():
    model = fit(dtype="float64")
    assert_steps_predict(model, model.stream(N), np.full((N, 2, C), 1.7e308))


@pytest.mark.parametrize("which", [2, -1, [0, 2], 1.0, "all", [True, False]], ids=str)
def test_a_stream_that_there_is_not_cannot_be_reset(stream, which):
    assert_stays(stream, lambda: stream.reset(which), ValueError, "which=.*: expected None, or indices of .* 0 to 1")


def spoil(change):
    def set_state(stream):
        state = [part.copy() for part in stream.state]
        stream.state = change(state)

    return set_state


def fill_first(value):
    def change(state):
        state[0][0, 0, 0] = value
        return state

    return change


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda state: None, ValueError, r"state: expected a tuple of \d, h, c.*; got NoneType"),
        (lambda state: state[0], ValueError, "state: expected a tuple of .*; got ndarray"),
        (lambda state: state[:1], ValueError, "state: expected a tuple of .*; got list of 1"),
        (lambda state: [state[0][:, :1], *state[1:]], ValueError, r"state\[0\] has shape \(1, 1, 7\); expected"),
        (lambda state: [part.astype("float64") for part in state], TypeError, r"state\[0\] is of type float64"),
        (fill_first(np.nan), ValueError, "state contains NaN or infinity"),
    ],
    ids=["nothing", "array", "few", "shape", "type", "nan"],
)
def test_a_bad_state_leaves_the_streams(stream, change, error, message):
    assert_stays(stream, lambda: spoil(change)(stream), error, message)


def test_bad_values_seen_leave_the_streams():
    stream = fit(missing="mask").stream(2)
    for seen in (np.zeros((2, 4), "float32"), np.zeros((2, 3))):
        message = r"state\[2\] is of shape .* and type .*; expected \(2, 3\) and float32"
        assert_stays(stream, lambda seen=seen: spoil(lambda s: [*s[:2], seen])(stream), ValueError, message)


@pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])
def test_a_model_that_is_not_fitted_has_no_streams(estimator):
    with pytest.raises(NotFittedError):
        estimator().stream()


def test_a_bidirectional_model_has_no_streams():
    with pytest.raises(ValueError, match=r"bidirectional=True does not support streams.* bidirectional=False"):
        fit(bidirectional=True).stream()


@pytest.mark.parametrize("n_streams", [0, -1, 1.5, True, "many", None])
def test_the_number_of_streams_is_a_positive_integer(n_streams):
    with pytest.raises(ValueError, match=r"n_streams=.*: expected a number of streams, 1 or more"):
        fit().stream(n_streams)


@pytest.mark.parametrize("n_streams", [10**15, sys.maxsize])
def test_more_streams_than_memory_holds_are_refused_by_name(n_streams):
    with pytest.raises(MemoryError, match=rf"n_streams={n_streams} does not fit into memory"):
        fit().stream(n_streams)


@pytest.mark.parametrize("which", [np.ma.masked_equal([0, 1], 1), {0, 1}, {0: 1}], ids=["masked", "set", "dict"])
def test_streams_to_reset_are_read_as_other_arguments_are(stream, which):
    assert_stays(stream, lambda: stream.reset(which), TypeError, "which is a .*: pass ")


@pytest.mark.parametrize(
    ("targets", "method"), [("regressor", "predict_proba"), ("classes", "score"), ("classes", ["predict"])]
)
def test_the_method_is_one_that_predicts(targets, method):
    with pytest.raises(ValueError, match=r"method=.*: expected one of \['predict'"):
        fit(targets).stream(method=method)
