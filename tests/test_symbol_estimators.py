"""Estimators whose X are sequences of symbols."""

import pickle
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from fastlstm import LSTMClassifier, LSTMRegressor, SequenceEncoder, threads
from fastlstm.inspection import GateDisplay, gate_activations, gradient_flow, step_importance

QUICK = {"hidden_size": 8, "max_iter": 2, "random_state": 0, "standardize": False, "dropout": 0.0}


def words(n=60, symbols="abcde", seed=0):
    """Random strings of 1 to 8 characters."""
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list(symbols), rng.integers(1, 9))) for _ in range(n)]


X = words()
Y = [x.count("a") - x.count("b") for x in X]


@pytest.mark.parametrize("embedding_size", [4, "onehot"])
def test_symbols_are_learned(embedding_size):
    texts = words(300)
    difference = [text.count("a") - text.count("b") for text in texts]
    model = LSTMRegressor(16, embedding_size=embedding_size, max_iter=30, random_state=0)
    assert model.fit(texts[:200], difference[:200]).score(texts[200:], difference[200:]) > 0.95
    assert_array_equal(model.vocabulary_, list("abcde"))


@pytest.mark.parametrize("convert", [
    lambda text: list(text),
    lambda text: np.array(list(text)),
    lambda text: np.array(list(text), object),
    lambda text: [ord(symbol) for symbol in text],
    lambda text: np.array([ord(symbol) for symbol in text], np.int32),
])  # fmt: skip
def test_all_forms_of_sequences_give_the_same_model(convert):
    expected = LSTMRegressor(embedding_size=3, **QUICK).fit(X, Y).predict(X)
    members = [convert(text) for text in X]
    assert_array_equal(LSTMRegressor(embedding_size=3, **QUICK).fit(members, Y).predict(members), expected)


def explicit(model, texts):
    """The texts with each character replaced by its vector, or its indicator."""
    table = model.weights_.get("embedding.0.weight")
    table = np.eye(len(model.vocabulary_) + 1, dtype="f") if table is None else table
    code_of = {symbol: code for code, symbol in enumerate(model.vocabulary_)}
    return [table[[code_of.get(symbol, len(code_of)) for symbol in text]] for text in texts]


def of_vectors(model, texts, y):
    """An estimator with the same weights, of `explicit` series."""
    vectors = explicit(model, texts)
    other = clone(model).set_params(embedding_size=None).fit(vectors, y)
    other.weights_ = {name: value for name, value in model.weights_.items() if not name.startswith("embedding")}
    return other, vectors


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "cifg"])
@pytest.mark.parametrize("options", [{"embedding_size": 3}, {"embedding_size": "onehot", "bidirectional": True}])
def test_symbols_are_read_as_their_vectors(cell, options):
    model = LSTMRegressor(cell=cell, dtype="float64", **options, **QUICK).fit(X, Y)
    other, vectors = of_vectors(model, [*X, "xyz"], [*Y, 0])
    assert_allclose(model.predict([*X, "xyz"]), other.predict(vectors), rtol=1e-9)
    (found, expected) = (gradient_flow(of, x, Y) for of, x in ((model, X), (other, vectors[:-1])))
    assert_allclose(found.loss, expected.loss, rtol=1e-9)
    for mine, theirs in zip(found.input, expected.input, strict=True):
        assert_allclose(mine, theirs, rtol=1e-6, atol=1e-12)
    (found, expected) = (gate_activations(of, x) for of, x in ((model, X), (other, vectors)))
    assert_allclose(found.layers[0].forward["hidden_state"][5], expected.layers[0].forward["hidden_state"][5])


@pytest.mark.parametrize("by_units", [False, True])
@pytest.mark.parametrize("options", [{}, {"bptt_checkpoint": 2}, {"bptt_steps": 3}])
def test_training_has_the_same_bits_for_any_threads_and_backend(options, by_units, four_cpus, monkeypatch):
    if by_units:
        monkeypatch.setattr(threads, "LARGE_WEIGHTS", 0)
        monkeypatch.setattr(threads, "FEW_ROWS", 1000)
    fits = []
    for backend in ("cython", "numba"):
        pytest.importorskip(f"fastlstm.kernels.{backend}")
        for n_jobs in (1, 3):
            model = LSTMClassifier(
                embedding_size=5, symbol_dropout=0.2, backend=backend, n_jobs=n_jobs, return_sequences=True,
                **options, **QUICK,
            )  # fmt: skip
            fits.append(model.fit(X, [list(text.upper()) for text in X]))
    for other in fits[1:]:
        for name, value in fits[0].weights_.items():
            assert_array_equal(other.weights_[name], value, err_msg=name)


def test_a_prediction_does_not_depend_on_other_sequences():
    model = LSTMClassifier(embedding_size=3, **QUICK).fit(X, Y)
    expected = model.predict_proba(X)
    for n in (0, 7, 30):
        assert_array_equal(model.predict_proba(X[n : n + 1])[0], expected[n])
    stream = model.stream(method="predict_proba")
    for symbol in X[3]:
        probabilities = stream.step(symbol)
    assert_array_equal(probabilities[0], expected[3])
    streams = model.stream(2)
    assert_array_equal(streams.step("ab"), streams.step(["a", "b"]) if streams.reset() is None else None)
    for bad, message in [("abc", "x_t has 3 steps; expected 2"), (["ab", "c"], "x_t has 'ab'; expected one character"),
                         ([1, 2], "x_t holds sequences of int")]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            streams.step(bad)


def test_unknown_symbols_have_a_vector_that_dropped_symbols_train():
    def fitted(rate, max_iter):
        options = {**QUICK, "max_iter": max_iter, "learning_rate": "constant"}
        return LSTMRegressor(embedding_size=3, symbol_dropout=rate, **options).fit(X, Y)

    for rate, is_trained in ((0.2, True), (0.0, False)):
        earlier, later = (fitted(rate, max_iter).weights_["embedding.0.weight"] for max_iter in (1, 3))
        assert np.array_equal(earlier[-1], later[-1]) != is_trained
        assert (earlier[:-1] != later[:-1]).all()
    model = fitted(0.2, 1)
    assert_array_equal(model.predict(["xy"]), model.predict(["zw"]))


def test_vocabularies_are_limited():
    model = LSTMRegressor(embedding_size=2, max_vocabulary=3, **QUICK).fit([*X, 50 * "abc"], [*Y, 0])
    assert_array_equal(model.vocabulary_, ["a", "b", "c"])
    model = LSTMRegressor(embedding_size=2, min_count=2, **QUICK).fit([*X, "q"], [*Y, 0])
    assert "q" not in model.vocabulary_
    assert model.weights_["embedding.0.weight"].shape == (6, 2)


def test_tags_are_predicted_for_each_symbol():
    texts = words(200)
    tags = [["vowel" if symbol in "ae" else "other" for symbol in text] for text in texts]
    model = LSTMClassifier(8, embedding_size=3, return_sequences=True, max_iter=10, random_state=0)
    model.fit(texts[:150], tags[:150])
    assert model.score(texts[150:], tags[150:]) == 1
    assert [list(of_text) for of_text in model.predict(texts[:3])] == tags[:3]


def test_tags_of_strings_are_strings():
    texts, options = ["e\u0301a", "xyzw", "ab"] * 5, {"embedding_size": 3, "return_sequences": True, **QUICK}
    model = LSTMClassifier(**options).fit(texts, ["VV", "CCCC", "VC"] * 5)
    assert [len(tags) for tags in model.predict(texts[:3])] == [2, 4, 2]
    assert set("".join(model.predict(texts))) <= set("VC")
    assert 0 <= model.score(texts, ["VV", "CCCC", "VC"] * 5) <= 1


def test_streams_hold_the_products_of_few_symbols_of_a_large_vocabulary(monkeypatch):
    model = LSTMClassifier(embedding_size=3, **QUICK).fit(X, Y)
    monkeypatch.setattr("fastlstm.training.streaming.KNOWN_BYTES", 0)
    stream = model.stream(2, method="predict_proba")
    for symbols in ("ab", "bx", "aa", "ca"):
        probabilities = stream.step(symbols)
    assert_array_equal(probabilities, model.predict_proba(["abac", "bxaa"]))


@pytest.mark.parametrize("texts", [["abc", "ab"], [["a", "b"], ["c"]]])
def test_strings_without_an_embedding_are_refused_with_advice(texts):
    with pytest.raises(ValueError, match=r"X holds strings.*set embedding_size"):
        LSTMClassifier().fit(texts, [0, 1])


def test_columns_need_names_of_their_own():
    pandas = pytest.importorskip("pandas")
    for names in (["x", "x"], [0, 1]):
        tables = [pandas.DataFrame([["a", "b"], ["c", "d"]], columns=names)] * 4
        with pytest.raises(ValueError, match="expected names, each of its own"):
            LSTMRegressor(embedding_size=3, **QUICK).fit(tables, [0, 1, 0, 1])


def test_events_have_symbols_beside_numbers():
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    events = [
        pandas.DataFrame({"type": rng.choice(["buy", "sell"], n), "amount": rng.normal(100, 10, n)})
        for n in rng.integers(1, 6, 200)
    ]
    total = [float((of.amount * np.where(of.type == "buy", 1, -1)).sum()) for of in events]
    model = LSTMRegressor(16, embedding_size=2, max_iter=60, random_state=0).fit(events[:150], total[:150])
    assert model.score(events[150:], total[150:]) > 0.9
    assert_array_equal(model.vocabulary_["type"], ["buy", "sell"])
    assert_allclose(model.x_mean_, [np.concatenate([of.amount for of in events[:150]]).mean(), 0], rtol=0.01)
    stream = model.stream()
    for n in range(len(events[0])):
        prediction = stream.step(events[0][n : n + 1])
    assert_array_equal(prediction, model.predict(events[:1]))
    with pytest.raises(ValueError, match="Column names must match those passed during fit"):
        model.predict([events[0][["type"]]])


def test_memory_does_not_grow_with_the_vocabulary_of_every_step():
    """One-hot rows of 64 sequences of 100 symbols of 2000 would take 51 MB."""
    texts = np.random.default_rng(0).integers(0, 2000, (64, 100))
    model = LSTMClassifier(8, embedding_size="onehot", max_iter=1, batch_size=64, random_state=0)
    tracemalloc.start()
    model.fit(texts, texts[:, 0] % 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6


def test_estimators_of_symbols_are_estimators(tmp_path):
    model = LSTMClassifier(embedding_size=3, **QUICK)
    y = [value > 0 for value in Y]
    assert len(cross_val_score(model, X, y, cv=3)) == 3
    model.fit(X, y)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    assert SequenceEncoder(model).fit(X).transform(X).shape == (60, 8)
    assert "embedding" in str(model.summary())
    path = tmp_path / "half"
    clone(model).set_params(max_iter=1, checkpoint_path=path).fit(X, y)
    resumed = clone(model).set_params(checkpoint_path=path, resume=True, learning_rate="constant")
    with pytest.raises(ValueError, match="checkpoint"):
        resumed.set_params(embedding_size=2).fit(X, y)
    model.partial_fit(["zzz"], [True])
    assert_array_equal(model.vocabulary_, list("abcde"))


def test_inspection_reads_symbols():
    model = LSTMClassifier(embedding_size=3, **QUICK).fit(X, Y)
    pytest.importorskip("matplotlib")
    GateDisplay.from_estimator(model, "abba")
    with pytest.raises(TypeError, match="est was fitted with symbols"):
        step_importance(model, X, Y)


@pytest.mark.parametrize(("change", "message"), [
    ({"missing": "mask"}, "missing='mask' is not supported with embedding_size=3"),
    ({"layout": "sktime"}, "layout='sktime' is not supported with embedding_size=3"),
    ({"time_order": "newest_first"}, "time_order='newest_first' is not supported"),
    ({"embedding_size": None, "min_count": 2}, "min_count=2 has no effect without embedding_size"),
    ({"embedding_size": 0}, "embedding_size"),
    ({"embedding_size": "one"}, "embedding_size"),
    ({"max_vocabulary": 1}, "max_vocabulary"),
])  # fmt: skip
def test_bad_parameters_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        LSTMRegressor(**{"embedding_size": 3, **QUICK, **change}).fit(X, Y)


@pytest.mark.parametrize(("bad", "message"), [
    ([""], r"X\[0\] has length 0"),
    ([["a", "b"]], "X holds sequences of str, but the model was fitted with strings"),
    ([[1, 2]], "X holds sequences of int, but the model was fitted with strings"),
    ("abc", "X is a string"),
    (np.zeros((2, 3)), "expected str or int"),
])  # fmt: skip
def test_bad_sequences_are_refused(bad, message):
    model = LSTMRegressor(embedding_size=3, **QUICK).fit(X, Y)
    with pytest.raises(ValueError, match=message):
        model.predict(bad)


def test_a_vocabulary_of_one_is_refused():
    with pytest.raises(ValueError, match=r"at least 2"):
        LSTMRegressor(embedding_size=3, **QUICK).fit(["aa", "a"], [0, 1])
