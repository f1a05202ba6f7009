"""What NaN inside a series is: an error, or masked."""

import pickle

import numpy as np
import pandas as pd
import pytest
from helpers import assert_same_fit, bare, objects
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.utils import get_tags

from fastlstm import LSTMClassifier, LSTMRegressor

QUICK = {"hidden_size": 5, "learning_rate": "cosine", "max_iter": 3, "batch_size": 4, "random_state": 0}
NAN = np.nan
#: Missing at the start, in the middle, at the end, in one channel, in both, in all steps, and not at all.
MEMBERS = [
    np.array([[NAN, 1.0], [2.0, NAN], [NAN, NAN], [3.0, 4.0]]),
    np.array([[NAN, NAN], [NAN, 5.0], [-1.0, -2.0]]),
    np.array([[0.5, -0.5]]),
    np.array([[NAN, 1.5]]),
    np.array([[1.0, NAN], [NAN, NAN], [2.0, NAN], [0.0, NAN], [NAN, NAN], [-2.0, NAN]]),
    np.array([[0.25, 2.0], [0.5, 1.0], [-0.5, NAN]]),
]
#: The same with what a person would fill in, and 1 beside it where that person did.
FILLED = [
    np.array([[0.0, 1, 1, 0], [2, 1, 0, 1], [2, 1, 1, 1], [3, 4, 0, 0]]),
    np.array([[0.0, 0, 1, 1], [0, 5, 1, 0], [-1, -2, 0, 0]]),
    np.array([[0.5, -0.5, 0, 0]]),
    np.array([[0, 1.5, 1, 0]]),
    np.array([[1.0, 0, 0, 1], [1, 0, 1, 1], [2, 0, 0, 1], [0, 0, 0, 1], [0, 0, 1, 1], [-2, 0, 0, 1]]),
    np.array([[0.25, 2, 0, 0], [0.5, 1, 0, 0], [-0.5, 1, 0, 1]]),
]
TARGETS = np.array([1.0, -1.0, 0.5, 2.0, -2.0, 0.0])
T = 6


def padded(parts, T=T):
    out = np.full((len(parts), T, parts[0].shape[1]), NAN)
    for n, part in enumerate(parts):
        out[n, : len(part)] = part
    return out


FORMS = {
    "list": list,
    "tuple": tuple,
    "object": objects,
    "Series": lambda parts: pd.Series(list(parts)),
    "padded": padded,
}
forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
estimators = pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])


def target_of(estimator):
    return TARGETS if estimator is LSTMRegressor else TARGETS > 0


def predicted(model, X):
    return model.predict_proba(X) if isinstance(model, LSTMClassifier) else model.predict(X)


# -- an error ---------------------------------------------------------------------------------------------------


@estimators
@pytest.mark.parametrize("form", [f for name, f in FORMS.items() if name != "padded"])
def test_nan_in_a_series_is_an_error_that_says_where(estimator, form):
    X = [np.ones((3, 2)), np.ones((4, 2)), np.ones((2, 2))]
    model = bare(estimator, **QUICK).fit(form(X), [0, 1, 0])
    X[1][2, 1] = NAN
    message = "contains NaN in series 1, step 2, channel 1.*missing='mask'"
    with pytest.raises(ValueError, match="Input X " + message):
        bare(estimator, **QUICK).fit(form(X), [0, 1, 0])
    with pytest.raises(ValueError, match="Input X " + message):
        model.predict(form(X))
    with pytest.raises(ValueError, match="Input X_val " + message):
        model.fit(np.ones((3, 3, 2)), [0, 1, 0], X_val=form(X), y_val=[0, 1, 0])


@pytest.mark.parametrize(("step", "channel"), [(0, 0), (2, 1), (4, 0), (4, 1)])
def test_nan_in_an_array_is_an_error_unless_only_nan_follows(step, channel):
    X = np.ones((3, 5, 2))
    X[2, 3:] = NAN  # shorter, which is no error
    X[1, step, channel] = NAN
    with pytest.raises(ValueError, match=f"Input X contains NaN in series 1, step {step}, channel {channel}"):
        bare(LSTMRegressor, **QUICK).fit(X, [0, 1, 0])


def test_nan_in_columns_is_an_error_also_at_the_end():
    # of 2-D X all series have all columns: a value that lacks at the end lacks
    X = np.ones((3, 5))
    X[1, 4] = NAN
    with pytest.raises(ValueError, match="Input X contains NaN"):
        bare(LSTMRegressor, **QUICK).fit(X, [0, 1, 0])


# -- masked -----------------------------------------------------------------------------------------------------


@estimators
@forms
def test_masked_series_are_filled_and_marked_as_by_hand(backend, dtype, estimator, form):
    options = {**QUICK, "backend": backend, "dtype": dtype}
    by_hand = bare(estimator, **options).fit(FILLED, target_of(estimator))
    model = bare(estimator, **options, missing="mask").fit(form(MEMBERS), target_of(estimator))
    assert_same_fit(model, by_hand)
    assert_array_equal(predicted(model, form(MEMBERS)), predicted(by_hand, FILLED), strict=True)
    assert model.score(form(MEMBERS), target_of(estimator)) == by_hand.score(FILLED, target_of(estimator))
    assert model.n_features_in_ == 2
    assert model.weights_["weight_ih_l0"].shape[1] == 4


@estimators
@pytest.mark.parametrize("shape", [{"num_layers": 2}, {"bidirectional": True}, {"cell": "gru"}], ids=str)
def test_masked_series_are_so_in_every_network(estimator, shape):
    options = {**QUICK, **shape}
    by_hand = bare(estimator, **options).fit(FILLED, target_of(estimator))
    model = bare(estimator, **options, missing="mask").fit(MEMBERS, target_of(estimator))
    assert_same_fit(model, by_hand)
    for one, other in zip(model.hidden_states(MEMBERS), by_hand.hidden_states(FILLED), strict=True):
        assert_array_equal(one, other)


@estimators
def test_masked_columns_are_filled_and_marked_as_by_hand(estimator):
    X = np.array([[NAN, 1, NAN, 2], [3, NAN, NAN, NAN], [NAN, NAN, NAN, NAN], [1, 2, 3, 4]])
    filled = np.array([[0.0, 1, 1, 2], [3, 3, 3, 3], [0, 0, 0, 0], [1, 2, 3, 4]])
    y = [0, 1, 0, 1]
    by_hand = bare(estimator, **QUICK).fit(np.stack([filled, np.isnan(X)], axis=2), y)
    model = bare(estimator, **QUICK, missing="mask").fit(X, y)
    assert_same_fit(model, by_hand)
    assert model.n_features_in_ == 4
    assert np.isfinite(predicted(model, X)).all()
    frame = pd.DataFrame(X, columns=list("abcd"))
    assert_array_equal(predicted(clone(model).fit(frame, y), frame), predicted(model, X))


@forms
def test_masked_series_may_have_a_target_for_each_step(form):
    y = [part[:, 0] for part in FILLED]
    by_hand = bare(LSTMRegressor, **QUICK, return_sequences=True).fit(FILLED, y)
    model = bare(LSTMRegressor, **QUICK, return_sequences=True, missing="mask").fit(form(MEMBERS), y)
    assert_same_fit(model, by_hand)
    together = model.predict(form(MEMBERS))
    for n, (one, member) in enumerate(zip(by_hand.predict(FILLED), MEMBERS, strict=True)):
        assert_array_equal(together[n][: len(member)], one)


def test_series_without_gaps_have_the_mask_channels_too():
    X = np.random.default_rng(0).normal(size=(6, 4, 2))
    model = bare(LSTMRegressor, **QUICK, missing="mask").fit(X, TARGETS)
    by_hand = bare(LSTMRegressor, **QUICK).fit(np.concatenate([X, 0 * X], axis=2), TARGETS)
    assert_same_fit(model, by_hand)
    X[0, 0, 0] = NAN
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize(
    "where", [np.s_[:, 0], np.s_[:, :, 1], np.s_[:, 1:3], np.s_[:, ::2, 0], np.s_[:, -1, 0]], ids=str
)
@estimators
def test_no_prediction_is_nan(backend, estimator, where):
    X = np.random.default_rng(0).normal(size=(6, 5, 2))
    whole = bare(estimator, **QUICK, backend=backend, missing="mask").fit(X, target_of(estimator))
    X[where] = NAN
    model = bare(estimator, **QUICK, backend=backend, missing="mask").fit(X, target_of(estimator))
    for one in (whole, model):
        assert np.isfinite(predicted(one, X)).all()
        assert np.isfinite(np.concatenate([s.ravel() for s in one.hidden_states(X)])).all()
    assert np.isfinite(model.loss_curve_).all()


def test_a_list_member_of_nothing_but_nan_is_a_series_of_which_nothing_is_known():
    X = [np.full((3, 2), NAN), *MEMBERS[1:]]
    by_hand = [np.repeat([[0.0, 0, 1, 1]], 3, axis=0), *FILLED[1:]]
    model = bare(LSTMRegressor, **QUICK, missing="mask").fit(X, TARGETS)
    assert_same_fit(model, bare(LSTMRegressor, **QUICK).fit(by_hand, TARGETS))
    assert np.isfinite(model.predict(X)).all()


def test_a_gap_that_the_series_before_ends_with_is_not_filled_from_it():
    model = bare(LSTMRegressor, **QUICK, missing="mask").fit(MEMBERS, TARGETS)
    together = model.predict([np.full((2, 2), 100.0), MEMBERS[1]])
    assert together[1] == model.predict([MEMBERS[1]])[0]


@estimators
def test_a_masked_prediction_depends_on_no_padding_and_on_no_other_series(backend, dtype, estimator):
    options = {**QUICK, "backend": backend, "dtype": dtype, "bidirectional": True}
    model = bare(estimator, **options, missing="mask").fit(MEMBERS, target_of(estimator))
    together = predicted(model, MEMBERS)
    assert_array_equal(predicted(model, padded(MEMBERS, T + 3)), together)
    for n, member in enumerate(MEMBERS):
        assert_array_equal(predicted(model, [member]), together[[n]])


def test_validation_data_are_masked_as_well():
    model = bare(LSTMRegressor, **QUICK, missing="mask", early_stopping=True)
    by_hand = bare(LSTMRegressor, **QUICK, early_stopping=True)
    model.fit(MEMBERS, TARGETS, X_val=MEMBERS[:3], y_val=TARGETS[:3])
    by_hand.fit(FILLED, TARGETS, X_val=FILLED[:3], y_val=TARGETS[:3])
    assert model.validation_scores_ == by_hand.validation_scores_
    held_out = bare(LSTMRegressor, **QUICK, missing="mask", early_stopping=True, validation_fraction=0.4)
    assert np.isfinite(held_out.fit(MEMBERS, TARGETS).validation_scores_).all()


# -- the mode that was fitted -----------------------------------------------------------------------------------


def test_the_mode_that_was_fitted_counts_in_predict():
    masked = bare(LSTMRegressor, **QUICK, missing="mask").fit(MEMBERS, TARGETS)
    expected = masked.predict(MEMBERS)
    assert_array_equal(masked.set_params(missing="error").predict(MEMBERS), expected)
    strict = bare(LSTMRegressor, **QUICK).fit(np.ones((3, 2, 2)), [0, 1, 2]).set_params(missing="mask")
    with pytest.raises(ValueError, match="NaN in series 0, step 0, channel 0"):
        strict.predict(MEMBERS)


def test_a_pickle_keeps_the_mode_and_partial_fit_goes_on_in_it():
    model = bare(LSTMRegressor, **{**QUICK, "learning_rate": "constant"}, missing="mask").partial_fit(MEMBERS, TARGETS)
    by_hand = bare(LSTMRegressor, **{**QUICK, "learning_rate": "constant"}).partial_fit(FILLED, TARGETS)
    copy = pickle.loads(pickle.dumps(model))
    assert_same_fit(copy.partial_fit(padded(MEMBERS), TARGETS), by_hand.partial_fit(FILLED, TARGETS))


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@estimators
@forms
def test_infinity_is_refused_in_either_mode(estimator, form, value):
    X = [member.copy() for member in MEMBERS]
    X[4][2, 0] = value
    message = "Input X contains infinity" if form is padded else r"Input X .*infinity.* in series 4, step 2, channel 0"
    for missing in ("error", "mask"):
        clean = [np.nan_to_num(member, posinf=value, neginf=value) for member in X] if missing == "error" else X
        with pytest.raises(ValueError, match=message):
            bare(estimator, **QUICK, missing=missing).fit(form(clean), target_of(estimator))
    model = bare(estimator, **QUICK, missing="mask").fit(MEMBERS, target_of(estimator))
    with pytest.raises(ValueError, match="Input X contains infinity"):
        model.predict(form(X))


def test_infinity_in_columns_is_refused_in_either_mode():
    X = np.ones((3, 5))
    X[1, 4] = np.inf
    for missing in ("error", "mask"):
        with pytest.raises(ValueError, match="Input X contains infinity"):
            bare(LSTMRegressor, **QUICK, missing=missing).fit(X, [0, 1, 0])


@estimators
def test_the_tags_say_whether_nan_may_be(estimator):
    assert get_tags(bare(estimator, missing="mask")).input_tags.allow_nan
    assert not get_tags(estimator()).input_tags.allow_nan


@forms
def test_masking_leaves_inputs_as_they_were(form):
    X = form([member.copy() for member in MEMBERS])
    before = pickle.dumps(X)
    bare(LSTMRegressor, **QUICK, missing="mask").fit(X, TARGETS).predict(X)
    assert pickle.dumps(X) == before
