"""Models of Keras with the weights of ours, and layers with those of Keras' layers, where Keras is installed."""

import numpy as np
import pytest
from helpers import class_of
from numpy.testing import assert_allclose, assert_array_equal

from fastlstm import LSTMClassifier, LSTMRegressor, SequenceEncoder
from fastlstm.export.keras import from_keras, to_keras

keras_peer = pytest.importorskip("keras_peer", reason="Keras or PyTorch is not installed", exc_type=ImportError)

import keras  # noqa: E402
from keras_peer import KINDS, STACKS, model_of, outputs_of, recurrent  # noqa: E402

RNG = np.random.default_rng(0)
N, T, C = 6, 5, 3
X = RNG.normal(3, 5, size=(N, T, C))
LENGTHS = np.array([5, 2, 4, 1, 5, 3])
MASK = np.arange(T) < LENGTHS[:, None]
MEMBERS = [series[:length] for series, length in zip(X, LENGTHS, strict=True)]
ONCE = {"max_iter": 1, "learning_rate": "cosine", "random_state": 0, "dtype": "float64"}
CLOSE = {"rtol": 1e-12, "atol": 1e-12}

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # of Keras' backend
    pytest.mark.filterwarnings("ignore:Layer 'functional:UserWarning"),  # the mask does not go beyond the model
]
cells = pytest.mark.parametrize("cell", KINDS)


def softmax(scores):
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


# -- from Keras -----------------------------------------------------------------------------------------------------


@cells
@pytest.mark.parametrize("stack", STACKS)
def test_models_become_layers_and_layers_models(cell, stack):
    model = model_of(cell, *STACKS[stack])
    layer = from_keras(model)
    assert_allclose(layer(X)[0], outputs_of(model, X), **CLOSE)
    again = to_keras(layer)
    assert_allclose(outputs_of(again, X, MASK)[MASK], layer(X, lengths=LENGTHS)[0][MASK], **CLOSE)
    for ours, theirs in zip(again.get_weights(), model.get_weights(), strict=True):
        assert_array_equal(ours, theirs)


@cells
def test_layers_without_bias(cell):
    model = model_of(cell, (4,), use_bias=False)
    for given in (model, model.layers[0]):
        assert_allclose(from_keras(given)(X)[0], outputs_of(model, X), **CLOSE)


WORDS = ["abc", "ba", "cab", "b"] * 6


@pytest.mark.parametrize(
    ("make", "X"),
    [
        (lambda: LSTMClassifier(4, bidirectional=True, **ONCE).fit(X, np.arange(N) % 3), X),
        (lambda: LSTMRegressor(4, cell="gru", num_layers=2, **ONCE).fit(X, X[:, 0]), X),
        (lambda: LSTMClassifier(4, embedding_size=2, **ONCE).fit(WORDS, [0, 1] * 12), WORDS),
        (lambda: LSTMClassifier(4, embedding_size="onehot", **ONCE).fit(WORDS, [0, 1] * 12), WORDS),
    ],
    ids=["classifier", "regressor", "symbols", "one-hot"],
)
def test_weights_trained_in_keras_come_back(make, X):
    model, other = make(), make()
    expected = model.weights_
    other.load_state_dict({name: value + 1 for name, value in other.weights_.items()})
    assert from_keras(to_keras(model), other) is other
    for name, value in expected.items():
        if "bias" not in name or "head" in name:
            assert_array_equal(other.weights_[name], value)
    assert_allclose(other.predict(X), model.predict(X), **CLOSE)  # the sums of two biases


def test_weights_that_do_not_fit_an_estimator_leave_it_as_it_was():
    model = LSTMRegressor(4, **ONCE).fit(X, X[:, 0, 0])
    before = model.predict(X)
    with pytest.raises(ValueError, match=r"lacks \['head.bias', 'head.weight'\]; expected"):
        from_keras(model_of("lstm", (4,)), model)
    with pytest.raises(TypeError, match="model is a list of arrays; expected the Keras model itself"):
        from_keras(to_keras(model).get_weights(), model)
    with pytest.raises(TypeError, match="estimator is of type int"):
        from_keras(to_keras(model), 3)
    assert_array_equal(model.predict(X), before)


def test_other_layers_around_recurrent_ones_are_ignored():
    x = keras.Input((None, C))
    first = keras.layers.LSTM(4, return_sequences=True)
    second = keras.layers.LSTM(2)
    hidden = keras.layers.Dropout(0.1)(first(keras.layers.Rescaling(2.0)(x)))
    for model in (
        keras.Model(x, keras.layers.Dense(3)(second(hidden))),
        keras.Sequential([first, keras.layers.Dropout(0.1), second, keras.layers.Dense(3)]),
    ):
        layer = from_keras(model)
        assert (layer.input_size, layer.hidden_size, layer.dtype) == (C, (4, 2), "float32")


def functional(combine):
    x = keras.Input((None, C))
    return keras.Model(x, combine(x))


LAYERS = keras.layers


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LAYERS.LSTM(3, activation="relu"), "has activation='relu'; expected 'tanh'"),
        (lambda: LAYERS.LSTM(3, recurrent_activation="hard_sigmoid"), "recurrent_activation='hard_sigmoid'; expected"),
        (lambda: LAYERS.GRU(3, reset_after=False), "has reset_after=False; expected True"),
        (lambda: LAYERS.SimpleRNN(3, go_backwards=True), "SimpleRNN .* has go_backwards=True; expected False"),
        (lambda: LAYERS.Bidirectional(LAYERS.LSTM(3), merge_mode="sum"), "has merge_mode='sum'; expected 'concat'"),
        (lambda: LAYERS.LSTM(3), "LSTM .* has no weights yet"),
        (lambda: LAYERS.Dense(3), "Dense .* has no LSTM, GRU or SimpleRNN layer: pass"),
        (lambda: LAYERS.RNN(LAYERS.LSTMCell(3)), "RNN .* has no LSTM, GRU or SimpleRNN layer"),
        (lambda: functional(LAYERS.Dense(2)), "Functional .* has no LSTM.*, but .*Dense"),
        (
            lambda: keras.Sequential([recurrent("lstm", 3), LAYERS.Dense(2), recurrent("lstm", 3)]),
            "input of LSTM .* comes from Dense .*; expected the output of LSTM",
        ),
        (
            lambda: functional(lambda x: LAYERS.Concatenate()([LAYERS.LSTM(2)(x), LAYERS.LSTM(3)(x)])),
            "input of LSTM .* comes from InputLayer .*; expected the output of LSTM",
        ),
        (
            lambda: keras.Sequential([recurrent("lstm", 3), recurrent("gru", 3)]),
            "LSTM .* and GRU .* have different cells",
        ),
        (
            lambda: keras.Sequential([recurrent("lstm", 3), recurrent("lstm", 3, bidirectional=True)]),
            "Bidirectional .* is bidirectional, LSTM .* is not",
        ),
    ],
)
def test_layers_without_a_counterpart_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        from_keras(make())


# -- to Keras -------------------------------------------------------------------------------------------------------


@cells
def test_a_classifiers_scores_are_those_of_its_probabilities(cell):
    options = {"hidden_size": (4, 3), "num_layers": 2, "bidirectional": True, "standardize": True}
    model = LSTMClassifier(cell=cell, **options, **ONCE).fit(MEMBERS, np.arange(N) % 3)
    made = to_keras(model)
    assert_allclose(softmax(outputs_of(made, X)), model.predict_proba(X), **CLOSE)
    assert_allclose(softmax(outputs_of(made, X, MASK)), model.predict_proba(MEMBERS), **CLOSE)


@pytest.mark.parametrize("activation", ["identity", "tanh", "logistic"])
def test_a_regressor_predicts_in_the_units_of_its_targets(activation):
    y = RNG.uniform(size=(N, 2)) * (1e6 if activation == "identity" else 1)
    model = LSTMRegressor(3, out_activation=activation, standardize=True, **ONCE).fit(X, y)
    assert_allclose(outputs_of(to_keras(model), X), model.predict(X), **CLOSE)


def test_targets_per_step():
    model = LSTMRegressor(3, return_sequences=True, **ONCE).fit(MEMBERS, [series[:, 0] for series in MEMBERS])
    outputs = outputs_of(to_keras(model), X, MASK)
    for n, expected in enumerate(model.predict(MEMBERS)):
        assert_allclose(outputs[n, : LENGTHS[n], 0], expected, **CLOSE)


def test_distributions_have_the_scores_of_the_loss():
    model = LSTMRegressor(3, loss="quantile", quantile=[0.1, 0.9], **ONCE).fit(X, RNG.normal(5, 3, size=(N, 2)))
    assert_allclose(model._model.output.predict(outputs_of(to_keras(model), X)), model.predict(X), **CLOSE)


@pytest.mark.parametrize("size", [2, "onehot"])
def test_symbols_are_given_by_their_codes(size):
    words = ["abca", "bbcc", "cabc", "aaaa", "bcab", "cccc"]
    model = LSTMClassifier(3, embedding_size=size, **ONCE).fit(words, np.arange(N) % 2)
    words[0] = "ab?c"  # unknown
    codes = np.array([["abc?".index(symbol) for symbol in word] for word in words])[..., None].astype("float64")
    assert_allclose(softmax(outputs_of(to_keras(model), codes)), model.predict_proba(words), **CLOSE)


def test_symbols_beside_numbers():
    import pandas as pd

    words = RNG.choice(["a", "b", "c"], (N, T))
    tables = [pd.DataFrame({"word": words[n], "x": X[n, :, 0], "y": X[n, :, 1]}) for n in range(N)]
    model = LSTMRegressor(3, embedding_size=2, standardize=True, **ONCE).fit(tables, np.arange(N))
    codes = np.searchsorted(model.vocabulary_["word"], words)
    x = np.concatenate([X[..., :2], codes[..., None]], axis=2)
    assert_allclose(outputs_of(to_keras(model), x)[:, 0], model.predict(tables), **CLOSE)


def test_an_encoder_has_the_last_states():
    model = LSTMClassifier(3, bidirectional=True, return_sequences=True, **ONCE)
    encoder = SequenceEncoder(model.fit(X, np.arange(N * T).reshape(N, T) % 2)).fit(None)
    assert_allclose(outputs_of(to_keras(encoder), X), encoder.transform(X), **CLOSE)


def test_models_can_be_saved(tmp_path):
    model = LSTMRegressor(3, standardize=True, **ONCE).fit(X, np.arange(N))
    to_keras(model).save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert_allclose(outputs_of(again, X)[:, 0], model.predict(X), **CLOSE)
    assert isinstance(from_keras(again), class_of("lstm"))
