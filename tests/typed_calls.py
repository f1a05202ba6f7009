"""Calls that a type checker must accept, and the types that it must see in them; nothing here runs.

`mypy` in the root of the checkout checks this file, as pyproject.toml says.
"""

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

from fastlstm import LSTMClassifier, LSTMRegressor, SequenceEncoder, SequenceScaler, TableLayout, show_versions
from fastlstm.inspection import (
    AttentionDisplay,
    GateActivations,
    GateDisplay,
    GradientFlow,
    GradientFlowDisplay,
    ImportanceDisplay,
    LossCurveDisplay,
    StepImportance,
    gate_activations,
    gradient_flow,
    step_importance,
)
from fastlstm.language import edit_distance, token_accuracy
from fastlstm.layers import CIFG, GRU, LSTM, RNN, Gradients, StreamState


def call_layers(x: NDArray[np.float32]) -> None:
    layer = LSTM(input_size=3, hidden_size=8, random_state=0)
    LSTM(3, (16, 8), 2, bidirectional=True, dropout=0.1, dtype="float64", backend="numpy", n_jobs=-1)
    CIFG(3, 8, dtype=np.dtype("float32"))
    RNN(3, 8, random_state=np.random.default_rng(0))
    output, (h_n, c_n) = layer(x, lengths=[5, 3])
    assert_type(output, NDArray[Any])
    output, (h_n,) = GRU(3, 8)(x, state=None, lengths=np.array([5, 3]))
    output, state, tape = layer.record(x, (h_n, c_n))
    grads = layer.backward(tape, d_output=np.ones_like(output), d_state=state)
    assert_type(grads, Gradients)
    print(grads.weights["weight_hh_l0"].shape, grads.x.shape, grads.state[0].shape)
    stream = layer.initial_state(2)
    assert_type(stream, StreamState)
    assert_type(layer.step(x[:, 0], stream), NDArray[Any])
    print(stream.h.shape, stream.c.shape)
    layer.load_state_dict(layer.state_dict())


def call_classifier(model: LSTMClassifier, X: list[NDArray[np.float64]], y: list[str]) -> None:
    assert_type(model.fit(X, y, sample_weight=np.ones(len(y)), X_val=X, y_val=y), LSTMClassifier)
    assert_type(model.partial_fit(X, y, classes=["fall", "rise"]), LSTMClassifier)
    model.load_state_dict(model.weights_)
    assert_type(model.score(X, y), float)
    print(model.predict(X).tolist(), model.predict_proba([[0, 1], [0, 2]]).shape, model.hidden_states(X)[0].shape)


def call_regressor(model: LSTMRegressor, X: NDArray[np.float64]) -> None:
    assert_type(model.fit(X, [2, 1]), LSTMRegressor)
    assert_type(model.partial_fit(X, [2, 1]), LSTMRegressor)
    print(model.predict(X).shape, model.predict_quantiles(X, 0.5), model.predict_quantiles(X, levels=[0.1, 0.9]))
    stream = model.stream(n_streams=2)
    assert_type(stream.step([0, 1]), NDArray[Any])
    stream.reset([0, 1])
    stream.state = stream.state


def make_layouts() -> None:
    LSTMRegressor(layout="skforecast", time_order="newest_first")
    LSTMClassifier(layout=TableLayout({"y": range(24)}, known=["x"], static=[-1], time_order="newest_first"))


def call_transformers(model: LSTMRegressor, X: list[NDArray[np.float64]]) -> None:
    show_versions()
    scaler = SequenceScaler("minmax")
    assert_type(scaler.fit(X), SequenceScaler)
    assert_type(scaler.partial_fit(X), SequenceScaler)
    print(scaler.inverse_transform(scaler.transform(X))[0].shape, scaler.fit_transform(X)[0].shape)
    encoder = SequenceEncoder(model)
    assert_type(encoder.fit(X, [2.0, 1.0]), SequenceEncoder)
    assert_type(encoder.transform(X), NDArray[Any])
    assert_type(encoder.get_feature_names_out(), NDArray[Any])


def look_inside(model: LSTMRegressor, X: NDArray[np.float64], y: list[float]) -> None:
    activations = gate_activations(model, X)
    assert_type(activations, GateActivations)
    print(activations.get("forget", layer=0, direction="forward").shape, list(activations.layers[-1].forward))
    flow = gradient_flow(model, X, y)
    assert_type(flow, GradientFlow)
    assert_type(flow.mean("state", from_end=True), NDArray[np.float64])
    importance = step_importance(model, X, y, method="occlusion", by="both", n_blocks=3, baseline=[0.0, 0.0])
    assert_type(importance, StepImportance)
    print(importance.mean.shape, importance.channels[0], importance.blocks[0], model.summary().total.n_parameters)


def draw(model: LSTMRegressor, X: NDArray[np.float64], y: list[float]) -> None:
    assert_type(GateDisplay.from_estimator(model, X[0], kind="memory"), GateDisplay)
    assert_type(GateDisplay.from_activations(gate_activations(model, X), 1, x=X[1], gates=["forget"]), GateDisplay)
    assert_type(GateDisplay.compare(model, model, X[0]), GateDisplay)
    assert_type(GradientFlowDisplay.from_estimators({"LSTM": model}, X, y, what="cell_state"), GradientFlowDisplay)
    assert_type(GradientFlowDisplay({"LSTM": gradient_flow(model, X, y)}).plot(relative=True), GradientFlowDisplay)
    assert_type(ImportanceDisplay.from_estimator(model, X, y, by="step"), ImportanceDisplay)
    assert_type(LossCurveDisplay.from_estimator(model, learning_rate=True), LossCurveDisplay)
    assert_type(AttentionDisplay([[0.5, 0.5], [0, 1]], "ab", "a").plot(), AttentionDisplay)


def compare_sequences(y: list[str], sample_weight: NDArray[np.float64]) -> None:
    assert_type(edit_distance(y, y, normalize=True, sample_weight=sample_weight), float)
    assert_type(token_accuracy([[1, 2]], [[1]], sample_weight=[1.0]), float)
