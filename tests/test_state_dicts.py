"""Weights that users load or assign: what is accepted, and that they are checked before they are used."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError

from fastlstm import LSTMClassifier, LSTMRegressor, SequenceEncoder
from fastlstm.inspection import gate_activations, gradient_flow
from fastlstm.language import LSTMTranslator
from fastlstm.layers import LSTM

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 5, 2))
Y = np.arange(12) % 2


def classifier(seed=0, X=X, **options):
    options = {"max_iter": 2, "learning_rate": "cosine"} | options
    return LSTMClassifier(3, random_state=seed, **options).fit(X, Y)


def pair_of_translators():
    return [LSTMTranslator(4, max_iter=2, random_state=seed).fit(["ab", "ba"], ["x", "yx"]) for seed in (0, 1)]


# -- load_state_dict ----------------------------------------------------------------------------------------------


def test_predictions_are_those_of_the_weights_loaded():
    one, other = classifier(0), classifier(1)
    other.load_state_dict(one.weights_)
    assert_array_equal(other.predict_proba(X), one.predict_proba(X))
    one.weights_["head.bias"][:] = 5  # copied, not shared
    assert not (other.weights_["head.bias"] == 5).any()


def test_symbols_have_their_vectors_in_the_mapping():
    one, other = (classifier(seed, ["ab", "bc"] * 6, embedding_size=2) for seed in (0, 1))
    other.load_state_dict(one.weights_)
    assert_array_equal(other.predict_proba(["abc"]), one.predict_proba(["abc"]))


def test_a_regressor_keeps_its_units():
    one, other = (LSTMRegressor(3, max_iter=2, learning_rate="cosine").fit(X, 1000 + shift * Y) for shift in (1, 5))
    other.load_state_dict(one.weights_)
    ratio = (other.predict(X) - other.y_mean_) / (one.predict(X) - one.y_mean_)
    np.testing.assert_allclose(ratio, np.full(12, 5))


def test_an_encoder_loads_its_layers_alone():
    one, other, shared = classifier(0), classifier(1), classifier(2)
    encoder = SequenceEncoder(other).fit(None)
    twin, before = copy.copy(encoder), other.predict_proba(X)
    encoder.load_state_dict({name: w for name, w in one.weights_.items() if not name.startswith("head")})
    assert_array_equal(encoder.transform(X), SequenceEncoder(one).fit(None).transform(X))
    assert_array_equal(other.predict_proba(X), before)
    assert (twin.transform(X) != encoder.transform(X)).any()
    with pytest.raises(ValueError, match=r"unknown \['head.bias', 'head.weight'\]"):
        encoder.load_state_dict(shared.weights_)


def test_a_translator_loads_the_weights_of_another():
    one, other = pair_of_translators()
    other.load_state_dict(one.weights_)
    for name, weight in one.weights_.items():
        assert_array_equal(other.weights_[name], weight)


@pytest.mark.parametrize(("outer", "of_layers"), [("module.", ""), ("", "rnn."), ("module.net.", "rnn.")])
def test_prefixes_are_stripped(outer, of_layers):
    one, other = classifier(0), classifier(1)
    prefixed = {outer + ("" if "." in name else of_layers) + name: w for name, w in one.weights_.items()}
    other.load_state_dict(prefixed)
    assert_array_equal(other.predict_proba(X), one.predict_proba(X))


def test_numbers_are_converted_to_the_type_of_the_weights():
    one, other = classifier(0, dtype="float64"), classifier(1)
    other.load_state_dict({name: weight.tolist() for name, weight in one.weights_.items()})
    assert {weight.dtype.name for weight in other.weights_.values()} == {"float32"}
    np.testing.assert_allclose(other.predict_proba(X), one.predict_proba(X), rtol=1e-5)


BAD = {
    "missing": (lambda w: w.pop("head.weight"), ValueError, r"lacks \['head.weight'\]; expected"),
    "unknown": (lambda w: w.update(more=1), ValueError, r"unknown \['more'\]"),
    "a key that is missing": (lambda w: w.update({float("nan"): 2}), ValueError, r"unknown \[nan\]"),
    "no string": (lambda w: w.update({1: 2}), ValueError, r"unknown \[1\]"),
    "one logit": (
        lambda w: w.update({"head.weight": w["head.weight"][:1], "head.bias": w["head.bias"][:1]}),
        ValueError,
        r"head.weight has shape \(1, 3\); expected \(2, 3\)",
    ),
    "NaN": (lambda w: w.update({"head.bias": [np.nan, 0]}), ValueError, "head.bias has values that are not finite"),
    "too large": (lambda w: w.update({"head.bias": [1e300, 0]}), ValueError, "too large for float32"),
    "strings": (lambda w: w.update({"head.bias": ["a", "b"]}), TypeError, "head.bias is of type .*real numbers"),
    "ragged": (lambda w: w.update({"head.weight": [[1, 2, 3], [4]]}), ValueError, "^head.weight: "),
    "two modules": (
        lambda w: w.update({"other.head.bias": w["head.bias"]}),
        ValueError,
        "'head.bias' and 'other.head.bias' for 'head.bias'",
    ),
    "parts of two modules": (
        lambda w: w.update({"other.weight_hh_l0": w.pop("weight_hh_l0")}),
        ValueError,
        "different prefixes, 'weight_ih_l0' and 'other.weight_hh_l0'",
    ),
}


@pytest.mark.parametrize(("spoil", "error", "message"), BAD.values(), ids=BAD)
def test_weights_that_do_not_fit_leave_the_estimator_as_it_was(spoil, error, message):
    model = classifier()
    mapping, before = dict(classifier(1).weights_), model.predict_proba(X)
    spoil(mapping)
    with pytest.raises(error, match=message):
        model.load_state_dict(mapping)
    assert_array_equal(model.predict_proba(X), before)


@pytest.mark.parametrize("bad", [None, 3, [("head.bias", 1)]], ids=str)
def test_what_is_no_mapping_is_refused(bad):
    with pytest.raises(TypeError, match=r"mapping is of type .*expected a mapping of"):
        classifier().load_state_dict(bad)


@pytest.mark.parametrize("estimator", [LSTMClassifier(), LSTMRegressor(), SequenceEncoder(), LSTMTranslator()])
def test_weights_need_a_fitted_estimator(estimator):
    with pytest.raises(NotFittedError):
        estimator.load_state_dict({})


def test_a_layer_strips_prefixes_too():
    one, other = LSTM(2, 3), LSTM(2, 3)
    other.load_state_dict({f"module.{name}": weight for name, weight in one.state_dict().items()})
    x = np.ones((1, 2, 2), "float32")
    assert_array_equal(other(x)[0], one(x)[0])


# -- weights assigned by hand ---------------------------------------------------------------------------------------

USES = {
    "predict": lambda model: model.predict(X),
    "predict_proba": lambda model: model.predict_proba(X),
    "hidden_states": lambda model: model.hidden_states(X),
    "stream": lambda model: model.stream(),
    "summary": lambda model: model.summary(),
    "score": lambda model: model.score(X, Y),
    "partial_fit": lambda model: model.partial_fit(X, Y),
    "gate_activations": lambda model: gate_activations(model, X),
    "gradient_flow": lambda model: gradient_flow(model, X, Y),
    "encoder": lambda model: SequenceEncoder(model).fit(None).transform(X),
    "load_state_dict": lambda model: model.load_state_dict({}),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda w: None, TypeError, "weights_ is of type NoneType; expected a dict of"),
        (lambda w: list(w.values()), TypeError, "weights_ is of type list; expected a dict of"),
        (lambda w: {name: w[name] for name in w if name != "head.bias"}, ValueError, "weights_ has .*head.bias"),
        (
            lambda w: {**w, "head.weight": w["head.weight"][:1].copy(), "head.bias": w["head.bias"][:1].copy()},
            ValueError,
            r"weights_\['head.weight'\] is of shape \(1, 3\).*expected an array of shape \(2, 3\)",
        ),
    ],
    ids=["None", "list", "no head", "one logit"],
)
def test_assigned_weights_are_checked_at_their_next_use(use, change, error, message):
    model = classifier().set_params(learning_rate="constant", max_iter=1)
    model.weights_ = change(model.weights_)
    with pytest.raises(error, match=message):
        use(model)


def test_a_series_of_pandas_is_read_by_its_keys():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match=r"has unknown \[0, 1\]"):
        classifier().load_state_dict(pandas.Series([1, pandas.NA], dtype="Int64"))
