"""Export of forecasters and Pipelines to ONNX, and errors of all exports."""

import dataclasses
import os
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from test_export_onnx import QUICK, assert_same, fitted, outputs_of, series

from fastlstm import LSTMClassifier, LSTMForecaster, LSTMRegressor, SequenceEncoder, SequenceScaler, TableLayout
from fastlstm.export.onnx import register_onnx_converters, to_onnx
from fastlstm.language import LSTMTranslator

skl2onnx = pytest.importorskip("skl2onnx")

FORECASTER = {"horizon": 5, "window": 8, "hidden_size": 4, "max_iter": 1, "random_state": 0}


def counts(n=60):
    rng = np.random.default_rng(0)
    return np.round(50 + 10 * np.sin(np.arange(n) / 3) + rng.normal(size=n) + np.arange(n) * 0.2)


def forecaster(y, X=None, static=None, **options):
    """A forecaster whose networks, if it has any, have an effect."""
    model = LSTMForecaster(**FORECASTER, **options).fit(y, X, static)
    predictor = model._fitted.predictor
    for network in predictor.networks:
        network.weights["head.weight"][:] = np.random.default_rng(0).normal(size=network.weights["head.weight"].shape)
    if predictor.networks and not options.get("loss", "").endswith(("poisson", "binomial")):
        model._fitted = dataclasses.replace(model._fitted, predictor=predictor.with_share(0.6))
    return model


@pytest.mark.parametrize(
    "options",
    [
        {"scaling": "window", "loss": "gaussian_nll"},
        {"scaling": "last", "loss": "quantile", "n_models": 2},
        {"scaling": "series", "loss": "gaussian_nll", "positive": True},
        {"differences": 1, "seasonal_differences": 1, "season_length": 4},
        {"seasonal_differences": 2, "season_length": 3},
        {"transform": "log", "skip": None},
        {"transform": "boxcox"},
        {"loss": "poisson"},
        {"loss": "negative_binomial"},
        {"strategy": "recursive"},
        {"strategy": "recursive", "loss": "gaussian_nll", "n_models": 2, "num_layers": 2, "differences": 1},
        {"strategy": "recursive", "cell": "gru", "skip": None, "scaling": "last"},
        {"strategy": "recursive", "loss": "poisson"},
    ],
    ids=str,
)
def test_forecaster(options):
    y = counts()
    model = forecaster(y[:50], **options).update(y[50:])
    exported = to_onnx(model, dtype="float64")
    P = exported.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    found = outputs_of(exported, y=y[None, -P:])["variable"]
    assert_same(found, model.predict()[None])


@pytest.mark.parametrize("options", [{"scaling": "series"}, {"transform": "boxcox", "skip": None}], ids=str)
def test_forecaster_of_several_series(options):
    series = [counts(), 3 * counts(50) + 7, counts(55) ** 2]
    model = forecaster(series, **options)
    last = np.stack([series[n][-8:] for n in (2, 0, 1, 2)])
    found = outputs_of(to_onnx(model, dtype="float64"), y=last, series=np.array([2, 0, 1, 2]))["variable"]
    expected = model.predict()
    assert_same(found, np.stack([expected[n] for n in (2, 0, 1, 2)]))


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "gaussian_nll"},
        {"loss": "gaussian_nll", "past_covariates": [1]},
        {"loss": "quantile", "past_covariates": [0, 2]},
        {"differences": 1, "seasonal_differences": 1, "season_length": 3, "past_covariates": [0, 1, 2]},
        {"loss": "poisson"},
    ],
    ids=str,
)
def test_forecaster_with_covariates(options):
    rng = np.random.default_rng(0)
    series, X = [counts(), 2 * counts(50)], [rng.normal(size=(n + 5, 3)) * 9 + 40 for n in (60, 50)]
    known = [k for k in range(3) if k not in options.get("past_covariates", ())]
    model = forecaster(series, [x[:-5] for x in X], [["a", 1.5], ["b", 2.5]], **options)
    exported = to_onnx(model, dtype="float64")
    sizes = {value.name: value.type.tensor_type.shape.dim for value in exported.graph.input}
    P, steps = sizes["y"][1].dim_value, sizes["X"][1].dim_value
    if not known:
        X = [x[:-5] for x in X]
    inputs = {"y": np.stack([y[-P:] for y in series]), "X": np.stack([x[-steps:] for x in X])}
    found = outputs_of(exported, **inputs, series=np.array([0, 1]))["variable"]
    assert_same(found, np.stack(model.predict(X=[x[-5:, known] for x in X] if known else None)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pipeline_of_a_table(dtype):
    X = np.random.default_rng(0).normal(size=(30, 7)) * 3 + 5
    model = make_pipeline(StandardScaler(), LSTMClassifier(**QUICK)).fit(X, np.where(X[:, 0] > 5, "up", "down"))
    found = outputs_of(to_onnx(model, dtype=dtype), X=X[:4].astype(dtype))
    assert_same(found["label"], model.predict(X[:4]))
    assert_same(found["probabilities"], model.predict_proba(X[:4]))


def test_pipeline_of_series():
    X = series()
    steps = SequenceScaler("minmax"), SequenceEncoder(LSTMRegressor(**QUICK, missing="mask")), LogisticRegression()
    model = make_pipeline(make_pipeline(*steps[:2]), steps[2]).fit(X, np.arange(9) % 2)
    found = outputs_of(to_onnx(model), X=series(1, n=2, T=13))
    assert_same(found["probabilities"], model.predict_proba(series(1, n=2, T=13)))


def test_pipeline_with_a_label_for_each_step():
    X, y = series(), np.random.default_rng(0).integers(0, 3, (9, 6))
    model = make_pipeline(SequenceScaler(), LSTMClassifier(**QUICK, return_sequences=True)).fit(X, y)
    assert_same(outputs_of(to_onnx(model), X=X)["probabilities"], model.predict_proba(X))


def test_registered_converters():
    from skl2onnx.common.data_types import FloatTensorType

    X = np.random.default_rng(0).normal(size=(30, 7)).astype("float32")
    model = make_pipeline(StandardScaler(), LSTMRegressor(**QUICK)).fit(X, X[:, 0])
    register_onnx_converters()
    for opset in (13, 18):
        assert_same(
            outputs_of(skl2onnx.to_onnx(model, X, target_opset=opset), X=X)["variable"].ravel(), model.predict(X)
        )
    with pytest.raises(ValueError, match="LSTMRegressor has 2 inputs"):
        skl2onnx.to_onnx(model[-1], initial_types=[(name, FloatTensorType([None, 1])) for name in "ab"])
    with pytest.raises(ValueError, match="target_opset=12"):
        skl2onnx.to_onnx(model, X, target_opset=12)


def test_file(tmp_path):
    model = fitted(LSTMRegressor(**QUICK), series(), np.arange(9.0))
    exported = to_onnx(model, tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == exported.SerializeToString()
    assert os.listdir(tmp_path) == ["model.onnx"]


def test_a_failed_export_leaves_the_old_file(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")
    model = fitted(LSTMRegressor(**QUICK), series(), np.arange(9.0))
    with pytest.raises(ValueError, match="quantile"):
        to_onnx(model, path, quantiles=0.5)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["model.onnx"]


def test_a_path_that_is_a_folder(tmp_path):
    model = fitted(LSTMRegressor(**QUICK), series(), np.arange(9.0))
    with pytest.raises(OSError, match="Is a folder"):
        to_onnx(model, tmp_path)


X, TABLE = series(), np.random.default_rng(0).normal(size=(9, 4))
Y = np.arange(9.0)


@pytest.mark.parametrize(
    ("make", "options", "error", "message"),
    [
        (lambda: LSTMRegressor(), {}, NotFittedError, "not fitted"),
        (lambda: LSTMForecaster(3), {}, NotFittedError, "not fitted"),
        (lambda: make_pipeline(StandardScaler(), LSTMRegressor()), {}, NotFittedError, "not fitted"),
        (lambda: LSTMTranslator(), {}, TypeError, "type LSTMTranslator; expected a fitted LSTMClassifier"),
        (lambda: LogisticRegression(), {}, TypeError, "type LogisticRegression"),
        (lambda: LSTMRegressor(**QUICK).fit(X, Y), {"dtype": "float16"}, ValueError, "dtype='float16'"),
        (lambda: LSTMRegressor(**QUICK).fit(X, Y), {"quantiles": 0.5}, ValueError, "requires loss="),
        (lambda: LSTMRegressor(**QUICK, loss="gaussian_nll").fit(X, Y), {"quantiles": 2}, ValueError, "quantiles is 2"),
        (lambda: LSTMRegressor(**QUICK, loss="poisson").fit(X, Y), {"quantiles": 0.5}, ValueError, "loss='poisson'"),
        (lambda: LSTMClassifier(**QUICK).fit(X, Y > 4), {"quantiles": 0.5}, ValueError, "for LSTMClassifier"),
        (
            lambda: LSTMRegressor(**QUICK, layout=TableLayout(known=[0])).fit(TABLE, Y),
            {"lengths": True},
            ValueError,
            "layout",
        ),
        (
            lambda: LSTMRegressor(**QUICK, layout=TableLayout(known=[0]), missing="mask").fit(TABLE, Y),
            {},
            ValueError,
            "missing='mask' with a table",
        ),
        (
            lambda: LSTMClassifier(**QUICK).fit(X, np.array([2**63, 1, 2] * 3, "uint64")),
            {},
            ValueError,
            "the label 9223372036854775808",
        ),
        (
            lambda: make_pipeline(SequenceScaler(), LSTMRegressor(**QUICK)).fit(X, Y),
            {"lengths": True},
            ValueError,
            "lengths=True is not supported for Pipeline",
        ),
        (lambda: make_pipeline("passthrough").fit(TABLE), {}, ValueError, "nothing to export"),
        (
            lambda: make_pipeline(FunctionTransformer(np.sqrt), LSTMRegressor(**QUICK)).fit(np.abs(TABLE), Y),
            {},
            ValueError,
            "FunctionTransformer",
        ),
        (
            lambda: make_pipeline("passthrough", LSTMClassifier(**QUICK, embedding_size=2)).fit(["ab"] * 9, Y > 4),
            {},
            ValueError,
            "LSTMClassifier of symbols",
        ),
        (
            lambda: LSTMForecaster(**FORECASTER, strategy="recursive").fit(counts(), counts()[:, None]),
            {},
            ValueError,
            "strategy='recursive'",
        ),
        (lambda: LSTMForecaster(**FORECASTER, trend=True).fit(counts()), {}, ValueError, "the trend"),
        (
            lambda: LSTMForecaster(**FORECASTER).fit(counts(), pd.DataFrame({"day": ["a", "b"] * 30})),
            {},
            ValueError,
            "categories in the columns .*day",
        ),
    ],
)
def test_what_cannot_be_exported(make, options, error, message, tmp_path):
    model = make()
    with pytest.raises(error, match=message):
        to_onnx(model, tmp_path / "model.onnx", **options)
    assert os.listdir(tmp_path) == []


def test_a_column_named_like_an_output():
    table = np.array([("a", 1.0), ("b", 2.0)], [("variable", "U1"), ("value", "f8")])
    model = LSTMRegressor(**QUICK, embedding_size=2).fit([table] * 9, Y)
    with pytest.raises(ValueError, match="column 'variable'"):
        to_onnx(model)


def test_a_model_larger_than_protobuf_allows(monkeypatch):
    monkeypatch.setattr("fastlstm.export.onnx.LARGEST", 1000)
    with pytest.raises(ValueError, match="weights of this LSTMRegressor"):
        to_onnx(LSTMRegressor(**QUICK).fit(X, Y))


def test_without_onnx(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match="pip install onnx"):
        to_onnx(LSTMRegressor(**QUICK).fit(X, Y))
