"""LSTMLanguageModel: the next symbol of a sequence."""

import pickle
from unittest import mock

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from fastlstm.language import LSTMLanguageModel
from fastlstm.language.pieces import Codes, cut, inputs_and_targets, weights_of

QUICK = {"hidden_size": 8, "max_iter": 2, "random_state": 0}
WORDS = ["anna", "hannah", "ana", "hana"] * 5


def test_each_symbol_is_predicted_from_those_before_it_and_then_the_end():
    codes = Codes.of(["a", "b"])
    inputs, targets = inputs_and_targets(np.array([0, 2, 1]), codes)
    assert_array_equal(inputs, [3, 0, 2, 1])
    assert_array_equal(targets, [0, 2, 1, 2])
    assert_array_equal(weights_of(np.array([0, 2, 1]), codes), [1, 0, 1, 1])


def test_a_long_text_is_cut_into_pieces_of_several_chunks():
    assert [len(piece) for piece in cut([np.arange(1000)], 5, 1000)] == [32] * 31 + [8]
    assert [len(piece) for piece in cut([np.arange(30), np.arange(3)], 5, 33)] == [20, 10, 3]
    assert_array_equal(np.concatenate(cut([np.arange(1000)], 5, 1000)), np.arange(1000))
    assert len(cut([np.arange(1000)], None, 1000)) == 1


def test_what_repeats_is_learned():
    model = LSTMLanguageModel(16, random_state=0).fit(["abcabcabc"] * 20)
    assert model.bits_per_symbol(["abcabcabc"]) < 0.1
    assert model.predict(["a", "ab", "abc"]).tolist() == ["b", "c", "a"]
    assert model.sample(2, random_state=0) == ["abcabcabc"] * 2
    assert model.score(["abcabcabc"]) > model.score(["cbacbacba"])


def test_a_single_text_is_learned_by_truncated_backpropagation():
    text = "the cat sat on the mat. " * 60
    model = LSTMLanguageModel(32, bptt_steps=12, max_iter=80, random_state=0).fit([text])
    assert model.bits_per_symbol([text]) < 0.5
    assert model.sample(prompt="the c", max_length=20, temperature=0.2, random_state=0)[0].startswith("the cat")


def test_probabilities_are_of_the_vocabulary_and_the_end():
    model = LSTMLanguageModel(**QUICK).fit(WORDS)
    probabilities = model.predict_proba(["h", "xyz"])
    assert probabilities.shape == (2, 4)
    assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    bits = 0.0
    for prefix, following in (("h", 0), ("ha", 2), ("han", 0), ("hana", 3)):
        bits -= np.log2(model.predict_proba([prefix])[0, following])
    bits -= np.log2(model.stream().probabilities[0, 1])
    assert_allclose(model.bits_per_symbol(["hana"]), bits / 5, rtol=1e-5)


def test_a_stream_has_the_bits_of_whole_sequences():
    model = LSTMLanguageModel(**QUICK).fit(WORDS)
    stream = model.stream(2)
    for symbols in ("ha", "an", ["n", "x"]):
        probabilities = stream.step(symbols)
    assert_array_equal(probabilities, model.predict_proba(["han", "anx"]))
    with pytest.raises(ValueError, match="symbols_t has 3 steps; expected 2"):
        stream.step("abc")


@pytest.mark.parametrize("members", [
    [[1, 2, 3], [2, 3]] * 5, [np.array([1, 2, 3]), np.array([2, 3])] * 5, [["do", "re"], ["mi"]] * 5,
])  # fmt: skip
def test_samples_have_the_form_of_the_sequences(members):
    model = LSTMLanguageModel(**QUICK).fit(members)
    samples = model.sample(3, max_length=4, random_state=0)
    assert len(samples) == 3
    assert all(len(sample) <= 4 for sample in samples)
    assert {symbol for sample in samples for symbol in sample} <= set(model.vocabulary_.tolist())
    for sample, again in zip(samples, model.sample(2, max_length=4, random_state=0), strict=False):
        assert_array_equal(sample, again)  # whatever is sampled beside them


def test_low_temperatures_and_few_candidates_sample_what_is_probable():
    model = LSTMLanguageModel(16, random_state=0).fit(["ab"] * 30 + ["ac"] * 10)
    for options in ({"temperature": 0.01}, {"temperature": 1e-309}, {"top_k": 1}):
        assert model.sample(20, random_state=0, **options) == ["ab"] * 20
    samples = model.sample(200, random_state=0)
    assert 100 < samples.count("ab") < 190


def test_sequences_end_where_the_model_ends_them():
    model = LSTMLanguageModel(16, random_state=0).fit((["ab"] * 2 + ["cdc"]) * 10)
    samples = model.sample(30, random_state=0)
    assert set(samples) == {"ab", "cdc"}


def test_rare_symbols_are_unknown_and_never_written():
    model = LSTMLanguageModel(min_count=2, **QUICK).fit([*WORDS, "q"])
    assert_array_equal(model.vocabulary_, ["a", "h", "n"])
    assert model.predict_proba(["q"]).shape == (1, 4)
    assert_allclose(model.bits_per_symbol(["q"]), -np.log2(model.predict_proba(["q"])[0, 3]), rtol=1e-5)
    assert model.sample(prompt="qa", max_length=3, random_state=0)[0].startswith("\N{REPLACEMENT CHARACTER}a")


def test_it_is_an_estimator(tmp_path):
    model = LSTMLanguageModel(**QUICK)
    with pytest.raises(NotFittedError):
        model.sample()
    search = GridSearchCV(model, {"embedding_size": [2, "onehot"]}, cv=2).fit(WORDS)
    assert search.best_score_ < 0
    model = clone(model).set_params(checkpoint_path=tmp_path / "model").fit(WORDS)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(WORDS), model.predict_proba(WORDS))
    assert len(model.loss_curve_) == model.n_iter_ == 2


@pytest.mark.parametrize(("change", "X", "message"), [
    ({"bidirectional": True}, WORDS, "bidirectional=True: a language model reads what comes before"),
    ({"embedding_size": None}, WORDS, "embedding_size"),
    ({}, ["aaa"], "at least 2"),
    ({}, "abc", "X is a string"),
    ({}, [1.5], r"X\[0\] is 1.5"),
])  # fmt: skip
def test_bad_fits_change_nothing(change, X, message):
    model = LSTMLanguageModel(**{**QUICK, **change})
    with pytest.raises(ValueError, match=message):
        model.fit(X)
    assert not hasattr(model, "vocabulary_")


@pytest.mark.parametrize(("call", "message"), [
    ({"n": 0}, "n=0: expected a number of sequences"),
    ({"temperature": 0}, "temperature=0: expected above 0"),
    ({"top_k": 0}, "top_k=0: expected None"),
    ({"max_length": 2.5}, "max_length=2.5"),
    ({"prompt": "anna", "max_length": 3}, "prompt has 4 symbols, more than max_length=3"),
    ({"prompt": ["a", 1]}, r"prompt\[0\]\[1\] is 1"),
])  # fmt: skip
def test_bad_samples_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        LSTMLanguageModel(**QUICK).fit(WORDS).sample(**call)


def test_an_interrupted_fit_keeps_its_complete_epochs():
    model = LSTMLanguageModel(**{**QUICK, "max_iter": 50})
    calls = []

    def epochs(training, *args):
        for progress in training.run():
            calls.append(progress)
            if len(calls) == 3:
                raise KeyboardInterrupt
            yield progress

    with mock.patch("fastlstm.estimators.fitting.report_epochs", epochs), pytest.raises(KeyboardInterrupt):
        model.fit(WORDS)
    assert model.n_iter_ == 3
    assert model.predict_proba(["a"]).shape == (1, 4)


def test_bits_are_computed_in_blocks():
    model = LSTMLanguageModel(**QUICK).fit(WORDS)
    expected = model.bits_per_symbol(WORDS)
    with mock.patch("fastlstm.language.language_model.BLOCK_SCORES", 8):
        assert_allclose(model.bits_per_symbol(WORDS), expected, rtol=1e-6)
