"""Series of unequal lengths, targets for each step and stacks that cannot be right are refused, and change nothing."""

import numpy as np
import pandas as pd
import pytest
from helpers import assert_refused, objects

from fastlstm import LSTMClassifier, LSTMRegressor

pytestmark = pytest.mark.every_combination  # each case takes milliseconds

QUICK = {"hidden_size": 3, "learning_rate": "cosine", "max_iter": 2, "random_state": 0}
LENGTHS = [3, 5, 2, 4, 5, 1]
N, T, C = 6, 5, 2
RNG = np.random.default_rng(0)
MEMBERS = [RNG.normal(size=(length, C)) for length in LENGTHS]
STEPS = [np.arange(length) % 2 for length in LENGTHS]  # numbers or labels
Y = np.arange(N) % 2
ARRAY = RNG.normal(size=(N, T, C))


def but(parts, n, part):
    """The members, one of them replaced."""
    return [*parts[:n], part, *parts[n + 1 :]]


def padded(parts):
    out = np.full((len(parts), T, *np.shape(parts[0])[1:]), np.nan)
    for n, part in enumerate(parts):
        out[n, : len(part)] = part
    return out


def changed(array, index, value):
    array = array.astype(float)
    array[index] = value
    return array


FORMS = {"list": list, "tuple": tuple, "object": objects, "Series": lambda parts: pd.Series(list(parts))}
forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


@pytest.fixture(params=[LSTMClassifier, LSTMRegressor], ids=lambda estimator: estimator.__name__)
def estimator(request):
    return request.param


@pytest.fixture(params=["fresh", "fitted"])
def model(request, estimator):
    model = estimator(**QUICK)
    return model if request.param == "fresh" else model.fit(MEMBERS, Y)


@pytest.fixture(params=["fresh", "fitted"])
def of_steps(request, estimator):
    """An estimator with a target for each step."""
    model = estimator(**QUICK, return_sequences=True)
    return model if request.param == "fresh" else model.fit(MEMBERS, STEPS)


# -- X ----------------------------------------------------------------------------------------------------------

BAD_MEMBERS = {
    "other channels": (np.ones((3, 3)), r"X\[2\] has 3 channels, but X\[0\] has 2"),
    "one channel": (np.ones(3), r"X\[2\] has 1 channels, but X\[0\] has 2"),
    "no step": (np.ones((0, 2)), r"X\[2\] has length 0"),
    "no step, 1-D": (np.ones(0), r"X\[2\] has length 0"),
    "no channel": (np.ones((3, 0)), r"X\[2\] has no channels"),
    "3-D": (np.ones((3, 2, 1)), r"X\[2\] has shape \(3, 2, 1\); expected .*\(T, C\)"),
    "a number": (np.array(1.0), r"X\[2\] has shape \(\); expected .*\(T, C\)"),
    "NaN": (np.array([[1, 2], [3, np.nan]]), "Input X contains NaN in series 2, step 1, channel 1.*missing='mask'"),
    "infinity": (np.array([[1, 2], [-np.inf, 1]]), "Input X contains infinity.* in series 2, step 1, channel 0"),
    "too large": (np.array([[1, 2], [1e300, 1]]), "Input X contains .*too large for float32 in series 2, step 1"),
    "complex": (np.ones((3, 2)) * 1j, r"X\[2\] is not an array of numbers: Complex data not supported"),
    "words": (np.array([["a", "b"]]), r"X\[2\] is not an array of numbers: .*'a'"),
    "ragged": ([[1, 2], [3]], r"X\[2\] is not an array of numbers"),
    "None": (None, r"X\[2\]"),
}
bad_members = pytest.mark.parametrize(("bad", "message"), BAD_MEMBERS.values(), ids=BAD_MEMBERS)


@bad_members
@forms
def test_a_series_to_fit(model, form, bad, message):
    assert_refused(lambda: model.fit(form(but(MEMBERS, 2, bad)), Y), ValueError, message, model)


@bad_members
@pytest.mark.parametrize("method", ["predict", "hidden_states"])
def test_a_series_to_predict(estimator, method, bad, message):
    model = estimator(**QUICK).fit(MEMBERS, Y)
    assert_refused(lambda: getattr(model, method)(but(MEMBERS, 2, bad)), ValueError, message, model)


@bad_members
def test_a_series_to_validate_on(model, bad, message):
    message = message.replace(r"X\[", r"X_val\[").replace("Input X ", "Input X_val ")
    assert_refused(lambda: model.fit(MEMBERS, Y, X_val=but(MEMBERS, 2, bad), y_val=Y), ValueError, message, model)


@pytest.mark.parametrize("empty", [[], (), np.empty(0, object), pd.Series([], dtype=object)], ids=list(FORMS))
def test_no_series(model, empty):
    assert_refused(lambda: model.fit(empty, []), ValueError, "X has 0 series", model)


def test_an_array_with_a_series_of_nothing_but_nan(model):
    bad = changed(ARRAY, 3, np.nan)
    assert_refused(lambda: model.fit(bad, Y), ValueError, r"X\[3\] has no steps: all of its values are NaN", model)
    model.set_params(missing="mask")
    assert_refused(lambda: model.fit(bad, Y), ValueError, r"X\[3\] has no steps: all of its values are NaN", model)


def test_an_array_with_nan_before_an_end(model):
    bad = changed(padded(MEMBERS), (3, 1, 0), np.nan)
    assert_refused(lambda: model.fit(bad, Y), ValueError, "Input X contains NaN in series 3, step 1, channel 0", model)


@pytest.mark.parametrize("form", [*FORMS.values(), np.stack], ids=[*FORMS, "array"])
def test_predicting_from_other_channels(estimator, form):
    model = estimator(**QUICK).fit(MEMBERS, Y)
    for channels in (1, 3):
        message = f"X has {channels} channels.*{estimator.__name__} was fitted with 2"
        assert_refused(
            lambda channels=channels: model.predict(form([np.ones((3, channels))] * 2)), ValueError, message, model
        )


@forms
def test_predicting_channels_where_columns_were_fitted(estimator, form):
    model = estimator(**QUICK).fit(ARRAY[:, :, 0], Y)
    assert_refused(lambda: model.predict(form(MEMBERS)), ValueError, "X has 2 channels.*was fitted with 1", model)


def test_one_series_less_or_more_than_targets(model):
    assert_refused(lambda: model.fit(MEMBERS[1:], Y), ValueError, r"inconsistent numbers of samples: \[5, 6\]", model)
    assert_refused(lambda: model.fit(MEMBERS, Y[1:]), ValueError, r"inconsistent numbers of samples: \[6, 5\]", model)


# -- y ----------------------------------------------------------------------------------------------------------

BAD_STEPS = {
    "a step less": (MEMBERS, but(STEPS, 1, STEPS[1][:-1]), r"y\[1\] has 4 steps, but X\[1\] has 5"),
    "a step more": (MEMBERS, but(STEPS, 0, np.zeros(4)), r"y\[0\] has 4 steps, but X\[0\] has 3"),
    "a step less, objects": (MEMBERS, objects(but(STEPS, 1, STEPS[1][:-1])), r"y\[1\] has 4 steps, but X\[1\] has 5"),
    "a step less, padded": (padded(MEMBERS), but(STEPS, 1, STEPS[1][:-1]), r"y\[1\] has 4 steps, but X\[1\] has 5"),
    "a series less": (MEMBERS, STEPS[1:], r"inconsistent numbers of samples: \[6, 5\]"),
    "other outputs": (MEMBERS, but(STEPS, 1, np.zeros((5, 2))), r"y\[1\] has shape \(5, 2\), y\[0\] has \(3,\)"),
    "a number for a series": (MEMBERS, Y, r"y has shape \(6,\); expected one value per step of X"),
    "a number for one series": (MEMBERS, but(STEPS, 5, np.array(0)), r"y\[5\] has shape \(\)"),
    "3-D": (MEMBERS, [np.zeros((length, 2, 2)) for length in LENGTHS], r"y\[0\] has shape \(3, 2, 2\)"),
    "an array for a list": (MEMBERS, np.zeros((N, T)), r"y has shape \(6, 5\).*X has series of unequal lengths"),
    "steps of an array": (ARRAY, np.zeros((N, T - 1)), r"y has shape \(6, 4\), so 4 steps, but X has 5 steps"),
    "numbers for an array": (ARRAY, Y, r"y has shape \(6,\); expected one value per step of X"),
    "columns": (ARRAY[:, :, 0], np.zeros((N, T + 1)), r"y has shape \(6, 6\), so 6 steps, but X has 5 steps"),
    "None": (MEMBERS, None, "requires y to be passed"),
}
bad_steps = pytest.mark.parametrize(("x", "bad", "message"), BAD_STEPS.values(), ids=BAD_STEPS)


@bad_steps
def test_targets_of_steps(of_steps, x, bad, message):
    assert_refused(lambda: of_steps.fit(x, bad), ValueError, message, of_steps)


@bad_steps
def test_targets_of_steps_to_validate_on(of_steps, x, bad, message):
    if message.startswith("requires"):
        message = "y_val"
    message = message.replace(r"y\[", r"y_val\[").replace("y has", "y_val has").replace(r"X\[", r"X_val\[")
    message = message.replace("X has", "X_val has").replace("of X", "of X_val")
    x_train = MEMBERS if np.ndim(x[0]) == 2 else ARRAY[:, :, 0]
    y_train = STEPS if np.ndim(x[0]) == 2 else ARRAY[:, :, 0] > 0
    of_steps = type(of_steps)(**of_steps.get_params())
    assert_refused(lambda: of_steps.fit(x_train, y_train, X_val=x, y_val=bad), ValueError, message, of_steps)


def test_targets_of_steps_to_score(estimator):
    model = estimator(**QUICK, return_sequences=True).fit(MEMBERS, STEPS)
    for x, bad, message in BAD_STEPS.values():
        if np.ndim(x[0]) == 2:
            assert_refused(lambda x=x, bad=bad: model.score(x, bad), ValueError, message, model)


def test_targets_of_steps_that_are_no_numbers(estimator):
    model = LSTMRegressor(**QUICK, return_sequences=True)
    for value in (np.nan, np.inf):
        bad = but(STEPS, 1, changed(STEPS[1], 2, value))
        assert_refused(lambda bad=bad: model.fit(MEMBERS, bad), ValueError, "Input y contains (NaN|infinity)", model)
    bad = but(STEPS, 1, np.array(["a"] * 5))
    assert_refused(lambda: model.fit(MEMBERS, bad), ValueError, "'a'", model)


def test_labels_of_steps_that_are_nan_or_unknown():
    model = LSTMClassifier(**QUICK, return_sequences=True)
    bad = but(STEPS, 1, changed(STEPS[1], 2, np.nan))
    assert_refused(lambda: model.fit(MEMBERS, bad), ValueError, "Input y contains NaN", model)
    bad = but(STEPS, 1, changed(STEPS[1], 2, 7))
    message = r"y_val contains labels \[7.*\] that are not in classes \[0.*1.*\]"
    assert_refused(lambda: model.fit(MEMBERS, STEPS, X_val=MEMBERS, y_val=bad), ValueError, message, model)


@pytest.mark.parametrize("form", [list, tuple])
def test_targets_of_steps_without_return_sequences(model, form):
    message = "y is a sequence whose members differ in shape.*return_sequences=True"
    assert_refused(lambda: model.fit(MEMBERS, form(STEPS)), ValueError, message, model)


@pytest.mark.parametrize("form", [objects, pd.Series], ids=["object", "Series"])
def test_objects_of_targets_of_steps_without_return_sequences(model, form):
    assert_refused(lambda: model.fit(MEMBERS, form(STEPS)), ValueError, "return_sequences=True", model)


def test_an_array_of_targets_of_steps_without_return_sequences():
    model = LSTMClassifier(**QUICK)
    assert_refused(lambda: model.fit(ARRAY, np.arange(30).reshape(N, T)), ValueError, "return_sequences=True", model)


def test_as_many_outputs_as_were_fitted():
    model = LSTMRegressor(**{**QUICK, "learning_rate": "constant"}, return_sequences=True)
    model.partial_fit(MEMBERS, [np.zeros((length, 2)) for length in LENGTHS])
    assert_refused(lambda: model.partial_fit(MEMBERS, STEPS), ValueError, "1 outputs.*fitted with 2", model)


# -- weights ----------------------------------------------------------------------------------------------------

ONES = [np.ones(length) for length in LENGTHS]
BAD_STEP_WEIGHTS = {
    "a step less": (but(ONES, 1, np.ones(4)), r"sample_weight\[1\] has 4 steps, but X\[1\] has 5"),
    "a series less": (ONES[1:], "sample_weight has 5 members, but X has 6 series"),
    "a number less": (np.ones(N - 1), r"sample_weight.*\(5,\).*expected \(6,\)"),
    "an array for a list": (np.ones((N, T)), r"sample_weight has shape \(6, 5\).*X has series of unequal lengths"),
    "two for one output": ([np.ones((n, 2)) for n in LENGTHS], "sample_weight has 2 weights per step; expected 1"),
    "negative": (
        but(ONES, 1, changed(ONES[1], 2, -1)),
        "Negative values in sample_weight: expected non-negative weights, got -1",
    ),
    "NaN": (but(ONES, 1, changed(ONES[1], 2, np.nan)), "sample_weight contains NaN"),
    "infinity": (but(ONES, 1, changed(ONES[1], 2, np.inf)), "sample_weight contains infinity"),
    "zero": ([np.zeros(n) for n in LENGTHS], "sample_weight is zero for every sample"),
    "zero series": (np.zeros(N), "sample_weight is zero for every sample"),
    "words": (but(ONES, 1, np.array(["a"] * 5)), "'a'"),
}
bad_weights = pytest.mark.parametrize(("bad", "message"), BAD_STEP_WEIGHTS.values(), ids=BAD_STEP_WEIGHTS)


@bad_weights
def test_weights_of_steps(of_steps, bad, message):
    assert_refused(lambda: of_steps.fit(MEMBERS, STEPS, bad), ValueError, message, of_steps)


@bad_weights
def test_weights_of_steps_to_score(estimator, bad, message):
    model = estimator(**QUICK, return_sequences=True).fit(MEMBERS, STEPS)
    assert_refused(lambda: model.score(MEMBERS, STEPS, bad), ValueError, message, model)


def test_weights_of_steps_without_return_sequences(model):
    assert_refused(lambda: model.fit(ARRAY, Y, np.ones((N, T))), ValueError, "Sample weights must be 1D", model)


def test_a_list_of_weights_of_steps_without_return_sequences(model):
    assert_refused(lambda: model.fit(MEMBERS, Y, ONES), ValueError, "sample_weight", model)


PAIRS = np.column_stack([Y, 1 - Y])


@pytest.mark.parametrize("shape", [(N, 3), (N - 1, 2), (N, 1)], ids=str)
@pytest.mark.parametrize("method", ["fit", "score"])
def test_weights_of_outputs(estimator, method, shape):
    model = estimator(**QUICK).fit(MEMBERS, PAIRS)
    call = getattr(model, method)
    message = rf"sample_weight has shape \({shape[0]}, {shape[1]}\); expected \(6,\) or \(6, 2\)"
    assert_refused(lambda: call(MEMBERS, PAIRS, np.ones(shape)), ValueError, message, model)


@pytest.mark.parametrize("value", [-1, np.nan, np.inf])
def test_values_of_weights_of_outputs(estimator, value):
    model = estimator(**QUICK)
    bad = changed(np.ones((N, 2)), (3, 1), value)
    assert_refused(lambda: model.fit(MEMBERS, PAIRS, bad), ValueError, "sample_weight", model)


def test_weights_of_classes_to_score():
    labels = np.arange(N) % 3
    model = LSTMClassifier(**QUICK).fit(MEMBERS, labels)
    assert_refused(
        lambda: model.fit(MEMBERS, labels, np.ones((N, 3))), ValueError, "sample_weight|Sample weights", model
    )
    assert_refused(
        lambda: model.score(MEMBERS, labels, np.ones((N, 3))), ValueError, "sample_weight|Sample weights", model
    )


def test_weights_of_classes_to_score_steps():
    labels = [np.arange(length) % 3 for length in LENGTHS]
    model, bad = LSTMClassifier(**QUICK, return_sequences=True).fit(MEMBERS, labels), [np.ones((n, 3)) for n in LENGTHS]
    assert_refused(lambda: model.fit(MEMBERS, labels, bad), ValueError, "3 weights per step; expected 1", model)
    assert_refused(lambda: model.score(MEMBERS, labels, bad), ValueError, "3 weights per step; expected 1", model)


@pytest.mark.parametrize("columns", [1, 3])
def test_other_outputs_to_score_with_weights_of_outputs(estimator, columns):
    model = estimator(**QUICK).fit(MEMBERS, PAIRS)
    bad = np.column_stack([Y] * columns)
    assert_refused(lambda: model.score(MEMBERS, bad, np.ones((N, 2))), ValueError, "y has|output", model)


def test_other_outputs_to_score_of_steps(estimator):
    pairs = [np.column_stack([steps, 1 - steps]) for steps in STEPS]
    model = estimator(**QUICK, return_sequences=True).fit(MEMBERS, pairs)
    assert_refused(lambda: model.score(MEMBERS, STEPS), ValueError, "y has|output", model)


# -- parameters -------------------------------------------------------------------------------------------------

BAD_PARAMETERS = [
    ({"hidden_size": (4, 3)}, r"hidden_size=\(4, 3\) has sizes of 2 layers, but num_layers=1: pass num_layers=2"),
    ({"hidden_size": [4], "num_layers": 2}, r"hidden_size=\[4\] has sizes of 1 layers, but num_layers=2"),
    ({"hidden_size": (4, 0), "num_layers": 2}, r"hidden_size=\(4, 0\): expected an integer of at least 1"),
    ({"hidden_size": (4, 2.5), "num_layers": 2}, r"hidden_size=\(4, 2.5\): expected an integer of at least 1"),
    ({"hidden_size": (4, True), "num_layers": 2}, r"hidden_size=\(4, True\): expected an integer of at least 1"),
    ({"hidden_size": np.array([[4]]), "num_layers": 1}, "hidden_size=.*expected an integer of at least 1"),
    ({"hidden_size": ()}, r"hidden_size=\(\): expected an integer of at least 1"),
    ({"cell": "LSTM"}, "'cell' parameter .*must be .*'gru'.*Got 'LSTM' instead"),
    (
        {"bptt_checkpoint": 5, "bidirectional": True},
        "bptt_checkpoint=5 is not supported with bidirectional=True.*set bptt_checkpoint='auto'",
    ),
]


@pytest.mark.parametrize(("options", "message"), BAD_PARAMETERS, ids=[str(options) for options, _ in BAD_PARAMETERS])
def test_parameters(model, options, message):
    model.set_params(**options)
    assert_refused(lambda: model.fit(MEMBERS, Y), ValueError, message, model)


@pytest.mark.parametrize("checkpoint", [None, "auto"])
def test_checkpoints_that_both_directions_can_have(estimator, checkpoint):
    model = estimator(**QUICK, bidirectional=True, bptt_checkpoint=checkpoint).fit(MEMBERS, Y)
    assert np.isfinite(model.loss_)


# -- going on ---------------------------------------------------------------------------------------------------

OTHER = [
    ({"cell": "gru"}, "cell='gru', but the fitted model has cell='lstm'"),
    ({"bidirectional": True}, "bidirectional=True, but the fitted model has bidirectional=False"),
    ({"missing": "mask"}, "missing='mask', but the fitted model has missing='error'"),
    ({"hidden_size": 4}, "hidden_size=4, but the fitted model has hidden_size=3"),
    ({"num_layers": 2}, r"hidden_size=\(3, 3\), but the fitted model has hidden_size=3"),
    (
        {"num_layers": 2, "hidden_size": (3, 5)},
        r"hidden_size=\(3, 5\), but the fitted model has hidden_size=3",
    ),
]


@pytest.mark.parametrize(("options", "message"), OTHER, ids=[str(options) for options, _ in OTHER])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_going_on_with_another_network(estimator, method, options, message):
    model = estimator(**{**QUICK, "learning_rate": "constant"}, warm_start=True)
    model.partial_fit(MEMBERS, Y, **({"classes": [0, 1]} if estimator is LSTMClassifier else {}))
    model.set_params(**options)
    message += ".*restore that value, or fit again with warm_start=False"
    assert_refused(lambda: getattr(model, method)(MEMBERS, Y), ValueError, message, model)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("first", [False, True])
def test_going_on_with_targets_of_steps_or_without(estimator, method, first):
    model = estimator(**{**QUICK, "learning_rate": "constant"}, warm_start=True, return_sequences=first)
    classes = {"classes": [0, 1]} if estimator is LSTMClassifier else {}
    model.partial_fit(MEMBERS, STEPS if first else Y, **classes)
    model.set_params(return_sequences=not first)
    message = f"return_sequences={not first}, but the fitted model has return_sequences={first}"
    assert_refused(lambda: getattr(model, method)(MEMBERS, Y if first else STEPS), ValueError, message, model)


def test_parameters_that_say_the_same_go_on(estimator):
    model = estimator(**QUICK, warm_start=True).fit(MEMBERS, Y)
    model.set_params(hidden_size=(3,), n_jobs=1, bptt_checkpoint=2, max_iter=1).fit(MEMBERS, Y)
    assert model.n_iter_ == 3


# -- slips that read as something else ----------------------------------------------------------------------------


def test_words_for_each_step_without_return_sequences():
    model = LSTMClassifier(**QUICK)
    words = np.where(ARRAY[:, :, 0] > 0, "up", "down")
    assert_refused(lambda: model.fit(ARRAY, words), ValueError, r"shape \(6, 5\).*return_sequences=True", model)


@pytest.mark.parametrize(
    "masked", [np.ma.masked_invalid(ARRAY), np.ma.masked_invalid(ARRAY[:, :, 0])], ids=["3-D", "2-D"]
)
def test_masked_arrays(model, masked):
    assert_refused(lambda: model.fit(masked, Y), TypeError, r"masked array.*filled\(np.nan\)", model)


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (np.ma.masked_invalid(MEMBERS[2]), r"X\[2\] is a masked array, .*: pass X\[2\]\.filled\(np\.nan\)\.$"),
        (np.array(["2026-01-01", "2026-01-02"], "datetime64[D]"), r"X\[2\] is of type datetime64.*convert them first"),
        ({1.0, 2.0}, r"X\[2\] is a set; .*: pass list\(X\[2\]\)\.$"),
    ],
    ids=["masked", "dates", "set"],
)
def test_members_that_are_no_numbers(model, member, message):
    assert_refused(lambda: model.fit(but(MEMBERS, 2, member), Y), TypeError, message, model)


def test_missing_values_of_a_table_are_named_and_what_to_do(model):
    message = (
        r"Input X contains NaN in series 2, step 1, channel 0.*missing='mask'.*a list, or an array of shape \(n, T, C\)"
    )
    fresh = type(model)(**QUICK)
    assert_refused(lambda: fresh.fit(changed(ARRAY[:, :, 0], (2, 1), np.nan), Y), ValueError, message, fresh)


def test_weights_that_leave_nothing_to_train_on():
    weights = np.zeros(30)
    weights[[3, 7]] = 1
    X, y = RNG.normal(size=(30, 4, 1)), np.arange(30) % 2
    model = LSTMRegressor(**QUICK, early_stopping=True, validation_fraction=0.5).set_params(random_state=5)
    assert_refused(lambda: model.fit(X, y, weights), ValueError, "Every training sample has weight 0", model)


@pytest.mark.parametrize("weights", ["balanced", {0: 1}], ids=["word", "dict"])
def test_weights_that_are_no_array(model, weights):
    assert_refused(
        lambda: model.fit(MEMBERS, Y, weights), ValueError, "sample_weight is .*expected None, or one weight", model
    )


def test_weights_of_validation_are_named(model):
    message = r"sample_weight_val.shape == \(3,\), expected \(6,\)"
    call = lambda: model.fit(MEMBERS, Y, X_val=MEMBERS, y_val=Y, sample_weight_val=np.ones(3))  # noqa: E731
    assert_refused(call, ValueError, message, model)


def test_a_hidden_size_that_is_an_array_of_no_dimension(model):
    model = type(model)(**{**QUICK, "hidden_size": np.array(4)})
    assert_refused(lambda: model.fit(MEMBERS, Y), ValueError, r"hidden_size=array\(4\): expected an integer", model)


BAD_WEIGHTS_OF_A_SCORE = {
    "negative": (np.arange(N) - 4.0, ValueError, "Negative values in sample_weight"),
    "too large together": (np.full(N, 1e308), ValueError, "The sum of sample_weight overflows float64"),
    "too large": ([10**400] * N, ValueError, "sample_weight is not an array of numbers: int too large"),
    "complex": (np.array([1j] * N, object), ValueError, "sample_weight is not an array of numbers: Complex"),
    "NA": ([pd.NA, 1] * 3, ValueError, "Input sample_weight contains NaN"),
    "None": ([None, 1] * 3, ValueError, "Input sample_weight contains NaN"),
    "bytes": ([b"a", b"b"] * 3, ValueError, "sample_weight"),
    "zeros": (np.zeros(N), ValueError, "sample_weight is zero for every sample"),
}


@pytest.mark.parametrize(("weights", "error", "message"), BAD_WEIGHTS_OF_A_SCORE.values(), ids=BAD_WEIGHTS_OF_A_SCORE)
def test_weights_of_a_score_are_checked_as_those_of_a_fit(estimator, weights, error, message):
    model = estimator(**QUICK).fit(MEMBERS, Y)
    assert_refused(lambda: model.score(MEMBERS, Y, weights), error, message, model)
    with pytest.raises(error) as of_fit:
        estimator(**QUICK).fit(MEMBERS, Y, weights)
    with pytest.raises(error) as of_score:
        model.score(MEMBERS, Y, weights)
    assert str(of_score.value) == str(of_fit.value)


def test_a_score_takes_one_weight_for_all_series_as_a_fit_does(estimator):
    model = estimator(**QUICK).fit(MEMBERS, Y)
    assert model.score(MEMBERS, Y, 3) == model.score(MEMBERS, Y, np.full(N, 3.0))
