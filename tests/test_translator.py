"""LSTMTranslator: sequences of symbols to sequences of other symbols."""

import itertools
import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.utils import estimator_checks

from fastlstm import kernels
from fastlstm.inspection import LossCurveDisplay
from fastlstm.language import LSTMLanguageModel, LSTMTranslator, edit_distance, translator_fitting
from fastlstm.training.loop import Training
from fastlstm.translation.decoding import Search, _largest
from fastlstm.translation.network import TranslationNetwork

QUICK = {"hidden_size": 8, "embedding_size": 4, "max_iter": 2, "random_state": 0}
WORDS = ["one", "two", "three", "four", "seventeen"] * 4
WORTE = ["eins", "zwei", "drei", "vier", "siebzehn"] * 4


@pytest.fixture(scope="module")
def fitted():
    """A translator that has learned a few words."""
    return LSTMTranslator(16, max_iter=80, random_state=0).fit(WORDS, WORTE)


@pytest.fixture(scope="module")
def reversing():
    """One that reverses strings, and strings that it does not know."""
    rng = np.random.default_rng(0)
    strings = sorted({"".join(rng.choice(list("abcd"), rng.integers(2, 6))) for _ in range(900)})
    rng.shuffle(strings)
    X, unseen = strings[:-60], strings[-60:]
    translator = LSTMTranslator(32, random_state=0, max_iter=20).fit(X, [text[::-1] for text in X])
    return translator, unseen


# -- what it learns ----------------------------------------------------------------------------------------------------


def test_strings_are_reversed(reversing):
    translator, unseen = reversing
    assert translator.score(unseen, [text[::-1] for text in unseen]) >= 0.95
    assert edit_distance([text[::-1] for text in unseen], translator.predict(unseen)) <= 0.1


def test_attention_looks_where_the_next_symbol_comes_from(reversing):
    translator, unseen = reversing
    right = total = 0
    for text, weights in zip(unseen, translator.attention_weights(unseen), strict=True):
        assert weights.shape == (len(text) + 1, len(text))
        assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
        # the encoder's states know of their neighbours, too
        right += (np.abs(weights[:-1].argmax(axis=1) - np.arange(len(text))[::-1]) <= 1).sum()
        total += len(text)
    assert right > 0.8 * total


@pytest.mark.parametrize("attention", ["additive", None])
def test_other_attention_learns_too(attention):
    translator = LSTMTranslator(16, attention=attention, bidirectional=attention is not None, random_state=0)
    assert translator.fit(WORDS, WORTE).score(WORDS, WORTE) == 1


def test_own_predictions_are_read_where_they_are_not_taught():
    forced, free = (LSTMTranslator(16, random_state=0, teacher_forcing=rate).fit(WORDS, WORTE) for rate in (1.0, 0.5))
    assert free.score(WORDS, WORTE) == 1
    assert not np.array_equal(forced.weights_["head.weight"], free.weights_["head.weight"])


def of_training(translator, X, y):
    """Pairs of a fitted translator, in one minibatch."""
    pairs = translator_fitting.read_pairs(translator, X, y)
    ((_, batch),) = translator_fitting.minibatches(pairs, translator._model.dtype, translator._model.loss)
    return pairs, batch


def test_an_own_prediction_is_that_of_the_step_before(fitted):
    _, batch = of_training(fitted, WORDS, WORTE)
    network, seen = TranslationNetwork(fitted._model, "float32", "numpy", teacher_forcing=0.0), []
    take = network.decoder.take
    network.decoder.take = lambda x, *args: seen.append((x, network.predicted.copy())) if seen else take(x, *args)
    network.prepare_batch(batch, 1)
    seen.append(None)  # from now on, what replaces the inputs is noted, and the first inputs remain
    with network.team(batch.rows, 999, 1) as team:
        team.run(network.phases)
    (codes, predicted), ends = seen[1], network.readout.target
    for first, last in itertools.pairwise(ends):
        assert codes[first] == fitted._model.start
        before, after = predicted[first : last - 1], codes[first + 1 : last]
        kept = before != fitted._model.end  # an end is never read
        assert_array_equal(after[kept], before[kept])
    assert kept.any()


def test_unknown_symbols_of_targets_have_no_weight():
    translator = LSTMTranslator(**QUICK, min_count=2).fit(WORDS + ["six"], WORTE + ["sexQ"])
    pairs, _ = of_training(translator, ["six"], ["sexQ"])
    assert "Q" not in translator.target_vocabulary_
    assert pairs.weights[:, 0].tolist() == [1, 1, 0, 0, 1]  # x occurs once, too


def test_the_last_validation_loss_is_that_of_the_fitted_weights():
    given = {"X_val": WORDS[:7], "y_val": WORTE[:7]}
    translator = LSTMTranslator(**{**QUICK, "max_iter": 5}, dropout=0.3).fit(WORDS, WORTE, **given)
    network = TranslationNetwork(translator._model, "float32", kernels.resolve("auto"))
    pairs, _ = of_training(translator, *given.values())
    total, weight = translator_fitting.evaluate(network, pairs, 1)
    assert translator.validation_loss_curve_[-1] == total / weight == -translator.validation_scores_[-1]
    assert len(set(translator.validation_loss_curve_)) == 5


# -- decoding ----------------------------------------------------------------------------------------------------------


def all_targets(translator, most):
    """Codes of all targets of at most so many symbols."""
    V = len(translator.target_vocabulary_)
    for length in range(most + 1):
        yield from itertools.product(range(V), repeat=length)


@pytest.fixture(scope="module")
def tiny():
    """A translator into two symbols, of up to three symbols, that is unsure."""
    translator = LSTMTranslator(4, embedding_size=3, max_length=3, max_iter=3, random_state=1, dtype="float64")
    return translator.fit(["ab", "ba", "aab"] * 3, ["x", "yx", "xyy"] * 3)


def test_a_wide_beam_finds_all_targets_with_their_probabilities(tiny):
    found = tiny.predict_n_best(["ab"], 100)[0]
    letters = tiny.target_vocabulary_
    expected = {"".join(letters[list(codes)]): codes for codes in all_targets(tiny, 3)}
    assert {text for text, _ in found} == expected.keys()
    sources, *_ = tiny._source_schema.vocabularies
    for text, value in found:
        codes = [np.array(sources.encode(np.array(list("ab")))), np.array(expected[text], int)]
        pairs = translator_fitting.pairs_of(*(translator_fitting.series_of([of], float) for of in codes), np.ones(1), 2)
        network = TranslationNetwork(tiny._model, float, "numpy")
        ((_, batch),) = translator_fitting.minibatches(pairs, np.dtype(float), tiny._model.loss)
        translator_fitting.run(network, batch, 1)
        assert_allclose(value, -network.values.sum() * batch.expected_weight, rtol=1e-9)
    scores = [value / ((6 + len(text)) / 6) ** 0.6 for text, value in found]
    assert scores == sorted(scores, reverse=True)
    total = np.exp([value for _, value in found]).sum()
    assert total < 1  # longer ones would be possible


def test_without_a_penalty_the_most_probable_is_the_best(tiny):
    tiny = clone(tiny).set_params(length_penalty=0.0).fit(["ab", "ba", "aab"] * 3, ["x", "yx", "xyy"] * 3)
    values = [value for _, value in tiny.predict_n_best(["ab"], 100)[0]]
    assert values == sorted(values, reverse=True)


def test_longer_translations_are_favoured_by_the_power_of_their_length():
    """Wu et al. (2016), equation 14, in which the end counts: ((5 + 4) / 6)^0.6 for three symbols."""
    assert Search(length_penalty=0.6).score(-2.0, 3) == -2.0 / (9 / 6) ** 0.6


def test_a_beam_of_one_takes_the_most_probable_symbol(fitted):
    greedy = fitted.predict(WORDS[:5])
    assert [best for ((best, _),) in fitted.predict_n_best(WORDS[:5], 1)] == greedy


def test_translations_end_at_max_length():
    translator = LSTMTranslator(**{**QUICK, "max_length": 8}).fit(WORDS, WORTE)
    assert all(len(text) <= 8 for text in translator.predict(WORDS))
    assert LSTMTranslator(**QUICK).fit(WORDS, WORTE).max_length_ == 16


@pytest.mark.parametrize("attention", ["dot", "additive", None])
def test_bits_do_not_depend_on_the_batch(attention, backend):
    translator = LSTMTranslator(**QUICK, attention=attention, backend=backend).fit(WORDS, WORTE)
    sources = [*WORDS[:5], "o", "twotwotwotwo", "four"]
    whole = translator.predict_n_best(sources, 3)
    for order in (slice(None, None, -1), slice(1, 2), slice(5, 7)):
        assert translator.predict_n_best(sources[order], 3) == whole[order]
    if attention is not None:
        weights = translator.attention_weights(sources)
        for n, source in enumerate(sources):
            assert_array_equal(translator.attention_weights([source])[0], weights[n])


def test_bits_depend_neither_on_threads_nor_on_the_backend():
    X, y = ["".join(np.random.default_rng(n).choice(list("abc"), 30)) for n in range(300)], WORTE * 15
    options = {**QUICK, "hidden_size": 40, "batch_size": 150, "max_iter": 1}
    expected = LSTMTranslator(**options, n_jobs=1).fit(X, y)
    for backend in kernels.available()[:-1]:
        translator = LSTMTranslator(**options, n_jobs=2, backend=backend).fit(X, y)
        for name, value in expected.weights_.items():
            assert_array_equal(translator.weights_[name], value, err_msg=name)
        assert translator.predict_n_best(X, 2) == expected.predict_n_best(X, 2)


# -- forms of sequences ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("X", "y"), [
    (WORDS, [list(text) for text in WORTE]),
    ([[1, 2, 3], [2]] * 5, ["abc", "d"] * 5),
    ([["good", "night"], ["good"]] * 5, [np.array([7, 9]), np.array([9])] * 5),
    (pd.Series(WORDS), pd.Series(WORTE)),
    (np.array(WORDS, object), np.array(WORTE, object)),
])  # fmt: skip
def test_translations_have_the_form_of_y(X, y):
    predicted = LSTMTranslator(**QUICK).fit(X, y).predict(X)
    assert isinstance(predicted, list) == isinstance(y, list)
    for one, other in zip(predicted, y, strict=True):
        assert type(one) is type(other)
        assert np.asarray(one).dtype.kind == np.asarray(other).dtype.kind or len(one) == 0


def test_decomposed_letters_are_composed():
    composed, decomposed = "né", "ne\N{COMBINING ACUTE ACCENT}"
    translator = LSTMTranslator(16, random_state=0).fit([composed, "na"] * 5, [decomposed, "an"] * 5)
    assert translator.predict([decomposed]) == [composed]
    assert translator.score([composed], [decomposed]) == 1


def test_unknown_symbols_of_x_are_read_and_those_of_y_are_wrong(fitted):
    assert len(fitted.predict(["one?", "two?"])) == 2
    with pytest.warns(UserWarning, match="60% of the symbols of X are unknown"):
        assert len(fitted.predict(["ne", "???"])) == 2
    assert fitted.score(["one", "two"], ["eins", "zwei?"]) == 0.5


def test_rare_symbols_of_y_are_never_written():
    y = [*WORTE, "q"]
    translator = LSTMTranslator(**QUICK, min_count=2).fit([*WORDS, "one"], y)
    assert "q" not in translator.target_vocabulary_
    assert translator.score(["one"], ["q"]) == 0


def test_weights_count_in_training_and_score(fitted):
    X, y, weights = ["a", "b"] * 5, ["x", "y"] * 5, np.array([1.0, 0.0] * 5)
    translator = LSTMTranslator(16, random_state=0).fit(X, y, weights)
    assert translator.predict(["a", "b"]) == ["x", "x"]
    assert translator.score(X, y) == 0.5
    assert translator.score(X, y, weights) == 1


def test_targets_may_be_empty():
    X, y = ["ab", "ba", "aab"] * 4, ["x", "", "xyx"] * 4
    translator = LSTMTranslator(16, random_state=0).fit(X, y)
    assert translator.predict(X) == y
    assert translator.score(X, y) == 1
    for of_y, of_none in zip(translator.attention_weights(X, y), translator.attention_weights(X), strict=True):
        assert_array_equal(of_y, of_none)


# -- as an estimator ---------------------------------------------------------------------------------------------------


def test_it_is_an_estimator():
    translator = LSTMTranslator(**QUICK)
    for method, arguments in (("predict", [WORDS]), ("score", [WORDS, WORTE]), ("attention_weights", [WORDS])):
        with pytest.raises(NotFittedError):
            getattr(translator, method)(*arguments)
    search = GridSearchCV(translator, {"attention": ["dot", None], "embedding_size": [2, "onehot"]}, cv=2)
    search.fit(WORDS, WORTE)
    assert 0 <= search.best_score_ <= 1
    assert cross_val_score(translator, WORDS, WORTE, cv=KFold(2)).shape == (2,)


@pytest.mark.parametrize("check", [
    "estimator_cloneable", "estimator_repr", "get_params_invariance", "set_params", "parameters_default_constructible",
    "no_attributes_set_in_init", "valid_tag_types", "mixin_order",
])  # fmt: skip
def test_scikit_learns_checks_that_need_no_table(check):
    getattr(estimator_checks, f"check_{check}")("LSTMTranslator", LSTMTranslator(**QUICK))


def test_pickles_translate_the_same(fitted):
    again = pickle.loads(pickle.dumps(fitted))
    assert again.predict_n_best(WORDS, 2) == fitted.predict_n_best(WORDS, 2)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_fit_resumes_to_the_same_bits(tmp_path, early_stopping):
    options = {**QUICK, "max_iter": 6, "learning_rate": "constant", "early_stopping": early_stopping, "dropout": 0.2}
    options |= {"teacher_forcing": 0.5, "symbol_dropout": 0.1}
    whole = LSTMTranslator(**options).fit(WORDS, WORTE)
    path = tmp_path / "checkpoint"
    translator = LSTMTranslator(**options, checkpoint_path=path, resume=True)
    translator.set_params(max_iter=3).fit(WORDS, WORTE)
    translator.set_params(max_iter=6).fit(WORDS, WORTE)
    assert translator.loss_curve_ == whole.loss_curve_
    for name, value in whole.weights_.items():
        assert_array_equal(translator.weights_[name], value, err_msg=name)
    with pytest.raises(ValueError, match="different data: pass the same"):
        translator.fit(WORDS, WORTE[::-1])


def test_an_interrupted_fit_keeps_its_complete_epochs(monkeypatch):
    translator, calls, update = LSTMTranslator(**{**QUICK, "max_iter": 50}), [], Training.prepare_update

    def interrupted(training):
        calls.append(training)
        if len(calls) == 4:
            raise KeyboardInterrupt
        update(training)

    monkeypatch.setattr(Training, "prepare_update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        translator.fit(WORDS, WORTE)
    assert translator.n_iter_ == 3
    assert len(translator.predict(WORDS)) == 20


def test_validation_data_stop_the_training():
    translator = LSTMTranslator(**{**QUICK, "max_iter": 300}, early_stopping=True, n_iter_no_change=3)
    translator.fit(WORDS, WORTE, X_val=WORDS[:5], y_val=WORTE[:5])
    assert translator.n_iter_ < 300
    assert translator.best_validation_score_ == max(translator.validation_scores_)
    assert len(translator.validation_loss_curve_) == translator.n_iter_
    held_out = LSTMTranslator(**QUICK, early_stopping=True, validation_fraction=0.2).fit(WORDS, WORTE)
    assert held_out.validation_scores_ == [-loss for loss in held_out.validation_loss_curve_]


def test_validation_scores_are_of_the_symbols_when_the_target_is_read():
    translator = LSTMTranslator(**QUICK).fit(WORDS, WORTE, X_val=WORDS, y_val=WORTE)
    assert_allclose(translator.validation_loss_curve_[-1], translator.validation_loss_curve_[0], rtol=1)
    values = []
    for word, wort in zip(WORDS[:5], WORTE[:5], strict=True):
        best = dict(translator.predict_n_best([word], 40)[0])
        if wort in best:
            values.append(best[wort])
    total = sum(len(wort) + 1 for wort in WORTE[:5])
    assert -sum(values) / total <= translator.validation_loss_curve_[-1] + 1e-6


def test_the_validation_score_is_minus_the_loss():
    translator = LSTMTranslator(16, random_state=0).fit(WORDS, WORTE, np.linspace(0.1, 3, 20), X_val=WORDS, y_val=WORTE)
    assert translator.score(WORDS, WORTE) == 1
    assert translator.best_validation_score_ == -min(translator.validation_loss_curve_)
    assert all(type(value) is float for value in translator.validation_loss_curve_)


def test_its_learning_curve_can_be_drawn(fitted):
    pytest.importorskip("matplotlib").use("agg")
    display = LossCurveDisplay.from_estimator(fitted)
    assert display.loss == fitted.loss_curve_
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(LSTMTranslator())
    model = LSTMLanguageModel(4, max_iter=2).fit(["ab", "ba"])
    assert LossCurveDisplay.from_estimator(model).loss == model.loss_curve_


@pytest.mark.parametrize("attention", ["dot", "additive", None])
def test_its_summary_counts_all_weights(attention):
    translator = LSTMTranslator(**QUICK, attention=attention).fit(WORDS, WORTE)
    summary = translator.summary()
    assert summary.total.n_parameters == sum(value.size for value in translator.weights_.values())
    assert [layer.name for layer in summary.layers][:3] == [
        "encoder, embedding",
        "encoder, lstm 1, bidirectional",
        "bridge",
    ]


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("change", "X", "y", "message"), [
    ({}, ["abc", ""], ["x", "y"], r"X\[1\]"),
    ({}, ["abc", 1], ["x", "y"], r"X\[1\] is 1"),
    ({}, ["abc", ["d", 1]], ["x", "y"], r"X\[1\]"),
    ({}, ["ab", "ba"], ["x", "xx"], "vocabulary of y is .*at least 2"),
    ({}, ["aa", "a"], ["x", "y"], "vocabulary of X is .*at least 2"),
    ({"max_length": 3}, ["ab", "ba"], ["xy", "yyyx"], r"y\[1\] has 4 symbols, more than max_length=3: raise"),
    ({}, ["ab", "ba", "b"], ["xy", "yy"], "X has 3 sequences, but y has 2; expected one target per source"),
    ({}, "abc", ["x", "y"], "X is a string"),
    ({"attention": "luong"}, WORDS, WORTE, "attention"),
    ({"embedding_size": None}, WORDS, WORTE, "embedding_size"),
    ({"beam_width": 0}, WORDS, WORTE, "beam_width"),
    ({"teacher_forcing": 1.5}, WORDS, WORTE, "teacher_forcing"),
    ({"resume": True}, WORDS, WORTE, "resume=True requires checkpoint_path"),
    ({"early_stopping": True, "validation_fraction": 0.99}, WORDS, WORTE, "holds out all of the 20 pairs"),
])  # fmt: skip
def test_bad_fits_change_nothing(change, X, y, message):
    translator = LSTMTranslator(**QUICK).fit(WORDS, WORTE)
    before = vars(translator).copy()
    translator.set_params(**change)
    with pytest.raises((ValueError, TypeError), match=message):
        translator.fit(X, y)
    assert all(vars(translator)[name] is value for name, value in before.items() if name not in change)


@pytest.mark.parametrize(("weights", "fraction", "message"), [
    ([0, 1, 1, 0, 0], 0.2, "Every pair held out has weight 0"),
    ([1, 0, 0, 0, 0], 0.5, "Every pair to train on has weight 0, except those held out"),
])  # fmt: skip
def test_parts_without_weight_are_refused(weights, fraction, message):
    X, y = ["ab", "ba", "aab", "b", "bbaa"], ["xy", "yx", "x", "yyx", "xx"]
    translator = LSTMTranslator(**QUICK, early_stopping=True, validation_fraction=fraction)

    def fit_all():
        for seed in range(20):  # some of them hold out such a part
            translator.set_params(random_state=seed).fit(X, y, weights)

    with pytest.raises(ValueError, match=message):
        fit_all()


@pytest.mark.parametrize(("change", "message"), [
    ({"beam_width": 2.5}, "beam_width"), ({"beam_width": 0}, "beam_width"), ({"length_penalty": -1}, "length_penalty"),
    ({"n_jobs": 0}, "n_jobs"),
])  # fmt: skip
def test_bad_parameters_of_predictions_are_refused(fitted, change, message):
    translator = pickle.loads(pickle.dumps(fitted)).set_params(**change)
    with pytest.raises(ValueError, match=message):
        translator.predict(WORDS)


def test_of_equal_candidates_the_first_are_kept():
    values = np.random.default_rng(0).integers(0, 4, (20, 30)).astype(float)
    expected = np.argsort(-values, axis=1, kind="stable")[:, :7]
    assert_array_equal(_largest(values, 7), expected)


@pytest.mark.parametrize(("method", "arguments", "message"), [
    ("predict", [[[1, 2]]], "fitted with strings"),
    ("predict", [["one", ""]], r"X\[1\]"),
    ("predict_n_best", [["one"], 0], "n=0: expected a number of translations"),
    ("score", [["one"], ["eins", "zwei"]], "X has 1 sequences, but y has 2"),
    ("score", [["one"], [[1]]], "fitted with strings"),
    ("attention_weights", [["one"], ["eins", "zwei"]], "X has 1 sequences, but y has 2"),
])  # fmt: skip
def test_bad_calls_are_refused(fitted, method, arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        getattr(fitted, method)(*arguments)


def test_weights_without_attention_are_refused():
    translator = LSTMTranslator(**QUICK, attention=None).fit(WORDS, WORTE)
    with pytest.raises(ValueError, match="has no attention; fit one with attention='dot'"):
        translator.attention_weights(WORDS)
