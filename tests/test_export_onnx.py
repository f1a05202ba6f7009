"""Export to ONNX: onnxruntime predicts what the estimators predict."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastlstm import LSTMClassifier, LSTMRegressor, SequenceEncoder, SequenceScaler, TableLayout
from fastlstm.export.onnx import to_onnx
from fastlstm.language import LSTMLanguageModel

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

QUICK = {"hidden_size": 5, "max_iter": 1, "learning_rate": "cosine", "random_state": 0}
LENGTHS = np.array([6, 1, 2, 3, 4, 5, 6, 1, 6], "int32")


def outputs_of(model, **inputs):
    """Outputs of an exported model by name, which onnx's checker accepts."""
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    results = dict(zip(names, session.run(None, inputs), strict=True))
    for output in session.get_outputs():
        sizes = [size for size in output.shape if isinstance(size, int)]
        found = results[output.name].shape
        assert len(found) == len(output.shape)
        assert list(found)[len(found) - len(sizes) :] == sizes
    return results


def assert_same(found, expected):
    assert found.shape == np.shape(expected)
    if found.dtype.kind == "f":
        assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    else:
        assert_array_equal(found, expected)


def series(seed=0, n=9, T=6, C=3, dtype="float32"):
    return np.random.default_rng(seed).normal(size=(n, T, C)).astype(dtype)


def fitted(estimator, X, y):
    """The estimator fitted for an epoch, with weights that have an effect."""
    estimator.fit(X, y)
    rng = np.random.default_rng(1)
    for value in estimator.weights_.values():
        value[...] = rng.normal(size=value.shape) / (np.sqrt(value.shape[-1]) if value.ndim == 2 else 2)
    return estimator


def padded(X, lengths):
    """X with NaN behind the end of each series."""
    X = X.copy()
    X[np.arange(X.shape[1]) >= lengths[:, None]] = np.nan
    return X


@pytest.mark.parametrize("seed", range(24))
def test_random_networks(seed):
    rng = np.random.default_rng(seed)
    cell, layers = ("lstm", "gru", "rnn", "cifg")[seed % 4], seed // 4 % 3 + 1
    options = {
        "hidden_size": rng.integers(1, 12, layers).tolist(),
        "num_layers": layers,
        "cell": cell,
        "bidirectional": seed // 12 == 1,
        "return_sequences": bool(rng.integers(2)),
        "standardize": bool(rng.integers(2)),
        "dtype": ("float32", "float64")[rng.integers(2)],
    }
    X, steps = series(seed, C=2), (6,) if options["return_sequences"] else ()
    model = fitted(LSTMRegressor(**QUICK | options), X, rng.normal(size=(9, *steps, 2)) * 10 + 30)
    other = padded(series(seed + 100, n=4, T=11, C=2), np.array([11, 1, 7, 3]))
    for X, lengths in ((series(seed, n=1, T=1, C=2), [1]), (other, [11, 1, 7, 3])):
        found = outputs_of(to_onnx(model, lengths=True), X=X, lengths=np.array(lengths, "int32"))
        assert_same(found["variable"], model.predict(X))
        if len(X) == 1:
            assert_same(outputs_of(to_onnx(model), X=X)["variable"], model.predict(X))


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "cifg"])
def test_steps_behind_the_end_have_no_effect(cell):
    X = series()
    model = fitted(LSTMClassifier(**QUICK, cell=cell, bidirectional=True, num_layers=2), X, np.arange(9) % 3)
    exported, of_series = to_onnx(model, lengths=True), [x[:T] for x, T in zip(X, LENGTHS, strict=True)]
    found = outputs_of(exported, X=X, lengths=LENGTHS)
    assert_same(found["probabilities"], model.predict_proba(of_series))
    again = outputs_of(exported, X=padded(X, LENGTHS), lengths=LENGTHS)
    assert_array_equal(again["probabilities"], found["probabilities"])


@pytest.mark.parametrize("labels", [["down", "up"], [7, -3], [True, False], [2.0, 5.0], np.array(["a", "b"], object)])
def test_classifier(labels):
    X = series()
    model = fitted(LSTMClassifier(**QUICK), X, np.array(labels)[np.arange(9) % 2])
    found = outputs_of(to_onnx(model), X=X)
    assert_same(found["label"], model.predict(X))
    assert_same(found["probabilities"], model.predict_proba(X))


def test_label_for_each_step():
    X, y = series(), np.random.default_rng(0).integers(0, 3, (9, 6))
    model = fitted(LSTMClassifier(**QUICK, return_sequences=True), X, y)
    found = outputs_of(to_onnx(model, lengths=True), X=X, lengths=LENGTHS)
    expected = model.predict(padded(X, LENGTHS))
    assert_same(found["probabilities"], model.predict_proba(padded(X, LENGTHS)))
    there = ~np.isnan(expected)
    assert_array_equal(found["label"][there], expected[there])


@pytest.mark.parametrize("steps", [(), (6,)])
def test_multilabel(steps):
    X, y = series(), np.random.default_rng(0).integers(0, 2, (9, *steps, 3))
    model = fitted(LSTMClassifier(**QUICK, return_sequences=bool(steps)), X, y)
    found = outputs_of(to_onnx(model), X=X)
    assert_same(found["label"], model.predict(X))
    assert_same(found["probabilities"], model.predict_proba(X))


@pytest.mark.parametrize("activation", ["tanh", "logistic"])
def test_out_activation(activation):
    X = series()
    model = fitted(LSTMRegressor(**QUICK, out_activation=activation), X, np.linspace(0, 1, 9))
    assert_same(outputs_of(to_onnx(model), X=X)["variable"], model.predict(X))


@pytest.mark.parametrize("loss", ["poisson", "negative_binomial", "huber", "absolute_error"])
def test_losses(loss):
    X = series()
    model = fitted(LSTMRegressor(**QUICK, loss=loss), X, np.arange(9))
    assert_same(outputs_of(to_onnx(model), X=X)["variable"], model.predict(X))


@pytest.mark.parametrize(
    "options", [{"loss": "gaussian_nll"}, {"loss": "quantile", "quantile": [0.1, 0.3, 0.8]}], ids=["normal", "quantile"]
)
@pytest.mark.parametrize("steps", [(), (6,)])
@pytest.mark.parametrize("targets", [(), (2,)])
def test_quantiles(options, steps, targets):
    X, y = series(), 20 + 5 * np.random.default_rng(0).normal(size=(9, *steps, *targets))
    model = fitted(LSTMRegressor(**QUICK, **options, return_sequences=bool(steps)), X, y)
    levels = [0.8, 0.1, 0.25, 0.5]
    found = outputs_of(to_onnx(model, lengths=True, quantiles=levels), X=X, lengths=LENGTHS)
    assert_same(found["variable"], model.predict(padded(X, LENGTHS)))
    assert_same(found["quantiles"], model.predict_quantiles(padded(X, LENGTHS), levels))


def test_quantiles_of_one_level():
    X = series()
    model = fitted(LSTMRegressor(**QUICK, loss="quantile", quantile=0.9), X, np.arange(9.0))
    found = outputs_of(to_onnx(model, quantiles=0.9), X=X)
    assert_same(found["variable"], model.predict(X))
    assert_same(found["quantiles"], model.predict_quantiles(X))


def test_missing_values():
    rng = np.random.default_rng(0)
    X = series(dtype="float64", T=9)
    X[rng.random(X.shape) < 0.4] = np.nan
    X[:, -1] = 1  # so that the last step is not padding
    model = fitted(LSTMRegressor(**QUICK, missing="mask", bidirectional=True), X, np.arange(9.0))
    assert_same(outputs_of(to_onnx(model, dtype="float64"), X=X)["variable"], model.predict(X))


def test_large_means_in_float64():
    X = series(dtype="float64") + 1e12
    model = fitted(LSTMRegressor(**QUICK), X, np.arange(9.0) + 1e12)
    found = outputs_of(to_onnx(model, dtype="float64"), X=X)["variable"]
    assert_allclose(found - 1e12, model.predict(X) - 1e12, atol=1e-3)


def test_table_of_univariate_series():
    X = series(C=1, n=12)[:, :, 0]
    model = fitted(LSTMRegressor(**QUICK), X, X[:, 0])
    assert_same(outputs_of(to_onnx(model), X=X)["variable"], model.predict(X))


def test_layout_of_a_table():
    X = series(C=1, n=12)[:, :, 0]
    layout = TableLayout(lags={"a": [0, 1, 2], "b": [3, 4]}, known=[-1], time_order="newest_first")
    model = fitted(LSTMRegressor(**QUICK, layout=layout), X, X[:, 0])
    assert_same(outputs_of(to_onnx(model), X=X)["variable"], model.predict(X))


def test_channels_first():
    X = np.ascontiguousarray(series().swapaxes(1, 2))
    model = fitted(LSTMRegressor(**QUICK, layout="aeon"), X, X[:, 0, 0])
    assert_same(outputs_of(to_onnx(model), X=X)["variable"], model.predict(X))


def test_encoder():
    X = series()
    model = fitted(LSTMRegressor(**QUICK, bidirectional=True, return_sequences=True), X, X[:, :, 0])
    encoder = SequenceEncoder(model).fit(X)
    of_series = [x[:T] for x, T in zip(X, LENGTHS, strict=True)]
    found = outputs_of(to_onnx(encoder, lengths=True), X=X, lengths=LENGTHS)
    assert_same(found["variable"], encoder.transform(of_series))


@pytest.mark.parametrize("method", ["standard", "minmax", "robust"])
@pytest.mark.parametrize("shape", [(9, 6, 3), (9, 6)])
def test_scaler(method, shape):
    X = np.random.default_rng(0).normal(size=shape).astype("float32") * 3 + 50
    scaler = SequenceScaler(method).fit(X)
    assert_same(outputs_of(to_onnx(scaler), X=X)["variable"], scaler.transform(X))


@pytest.mark.parametrize("embedding_size", [3, "onehot"])
def test_characters(embedding_size):
    model = fitted(LSTMClassifier(**QUICK, embedding_size=embedding_size), ["abca", "ba", "cab", "cc"], [0, 1, 1, 0])
    X = np.array([list("abz "), list("c   "), list("bbbb")], object)  # z is unknown
    found = outputs_of(to_onnx(model, lengths=True), X=X, lengths=np.array([3, 1, 4], "int32"))
    assert_same(found["probabilities"], model.predict_proba(["abz", "c", "bbbb"]))


def test_integers():
    X = np.random.default_rng(0).integers(-2, 4, (9, 5))
    model = fitted(LSTMRegressor(**QUICK, embedding_size=3), X, np.arange(9.0))
    X[0] = 77  # unknown
    assert_same(outputs_of(to_onnx(model), X=X)["variable"], model.predict(X))


def test_events():
    rng = np.random.default_rng(0)
    tables = [
        pd.DataFrame(
            {
                "value": rng.normal(size=4) + 1e3,
                "word": rng.choice(["one", "two", "three"], 4),
                "flag": rng.random(4) < 0.5,
                "other": rng.normal(size=4),
            }
        )
        for _ in range(9)
    ]
    model = fitted(LSTMRegressor(**QUICK, embedding_size=3), tables, np.arange(9.0))
    columns = {name: np.stack([table[name].to_numpy() for table in tables]) for name in tables[0]}
    columns["flag"] = columns["flag"].astype("int64")
    assert_same(outputs_of(to_onnx(model, dtype="float64"), **columns)["variable"], model.predict(tables))


def test_language_model():
    model = LSTMLanguageModel(8, max_iter=3, random_state=0).fit(["abca", "ba", "cab", "cc"] * 3)
    X = np.array([list("abz "), list("c   "), list("bbbb")], object)
    found = outputs_of(to_onnx(model, lengths=True), X=X, lengths=np.array([3, 1, 4], "int32"))
    texts = ["abz", "c", "bbbb"]
    assert_same(found["probabilities"], model.predict_proba(texts))
    assert_same(found["label"], model.predict(texts))


def test_description():
    X = series()
    model = to_onnx(fitted(LSTMRegressor(**QUICK), X, np.arange(9.0)), lengths=True)
    assert model.producer_name == "fastlstm"
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 13)]
    assert all(value.doc_string for value in (*model.graph.input, *model.graph.output))
    shapes = [[size.dim_param or size.dim_value for size in of.type.tensor_type.shape.dim] for of in model.graph.input]
    assert shapes == [["N", "T", 3], ["N"]]
