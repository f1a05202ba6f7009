"""The layer beside its peers: inference, a training step (forward and backward, no input gradient), one stream."""

import numpy as np
import peers
import pytest
from ours import normal, our_inference, our_stream, our_training, weights_of
from shapes import BATCHES, BOTH_WAYS, FEW, GROWING, MODERATE, RAGGED, SHAPES, inference_flops, label, training_flops

from fastlstm import LSTMClassifier, LSTMRegressor, layers
from fastlstm.kernels import CELLS
from fastlstm.layers import LSTM


def on_one_thread(threads, make, *args):
    """Ours on 1 thread as a peer of ours on more."""
    return {"1 thread": make(1, *args)} if threads > 1 else {}


def time_inference(side_by_side, work, shape, threads, **others):
    N, T, C, H = shape
    x = normal(N, T, C)
    rivals = {"torch": peers.torch_inference(weights_of(C, H), x)}
    rivals |= {name: make(weights_of(C, H), x, threads) for name, make in others.items()}
    rivals |= on_one_thread(threads, our_inference, x, H)
    side_by_side(work, shape, inference_flops(N * T, C, H), our_inference(threads, x, H), rivals)


def time_training(side_by_side, work, shape, threads, dtype="float32", kind=LSTM, bidirectional=False):
    (N, T, C, H), directions = shape, 1 + bidirectional
    x, d_output = normal(N, T, C, dtype=dtype), normal(N, T, directions * H, dtype=dtype)
    weights = weights_of(C, H, dtype, kind, bidirectional)
    rivals = {"torch": peers.torch_training(weights, x, d_output, kind.__name__)}
    rivals |= on_one_thread(threads, our_training, x, d_output, None, kind, bidirectional)
    ours = our_training(threads, x, d_output, None, kind, bidirectional)
    flops = training_flops(N * T, C, H, len(weights["bias_hh_l0"]) // H, directions)
    side_by_side(work, shape, flops, ours, rivals, dtype)


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_inference(side_by_side, shape, threads):
    time_inference(side_by_side, "inference", shape, threads, onnxruntime=peers.onnx_inference)


@pytest.mark.parametrize("shape", FEW, ids=label)
def test_inference_of_few(side_by_side, shape, threads):
    time_inference(side_by_side, "inference, few sequences", shape, threads, onnxruntime=peers.onnx_inference)


@pytest.mark.parametrize("shape", SHAPES, ids=label)
def test_training(side_by_side, shape, threads):
    time_training(side_by_side, "training", shape, threads)


@pytest.mark.parametrize("shape", MODERATE, ids=label)
def test_float64_training(side_by_side, shape, threads):
    time_training(side_by_side, "training, float64", shape, threads, "float64")


@pytest.mark.parametrize("shape", BATCHES, ids=label)
@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell != "lstm"])
def test_training_of_other_cells(side_by_side, cell, shape, threads):
    kind = getattr(layers, cell.upper())  # torch has it under this name, too
    time_training(side_by_side, f"training, {kind.__name__}", shape, threads, kind=kind)


@pytest.mark.parametrize("shape", BOTH_WAYS, ids=label)
def test_bidirectional_training(side_by_side, shape, threads):
    time_training(side_by_side, "training, bidirectional", shape, threads, bidirectional=True)


@pytest.mark.parametrize("shape", RAGGED, ids=label)
def test_unequal_lengths_training(side_by_side, shape, threads):
    N, T, C, H = shape
    lengths = np.random.default_rng(0).integers(T // 4, T, N, endpoint=True)
    T = lengths.max()  # nobody pads to more than the longest
    x, d_output = normal(N, T, C), normal(N, T, H)
    d_output[np.arange(T) >= lengths[:, None]] = 0
    rivals = {
        "torch, packed": peers.torch_packed_training(weights_of(C, H), x, lengths, d_output),
        "torch, padded": peers.torch_training(weights_of(C, H), x, d_output),
        **on_one_thread(threads, our_training, x, d_output, lengths),
    }
    ours = our_training(threads, x, d_output, lengths)
    side_by_side("training, unequal lengths", shape, training_flops(lengths.sum(), C, H), ours, rivals)


def test_stream(side_by_side, threads):
    """One step of one stream, one call each."""
    C, H, calls = 8, 32, 1000
    ours, x = our_stream(threads, C, H, calls), normal(1, C)
    rivals = {
        "torch LSTM": peers.torch_stream(weights_of(C, H), x, calls),
        "torch LSTMCell": peers.torch_cell_stream(weights_of(C, H), x, calls),
    }
    side_by_side("stream", (1, 1, C, H), inference_flops(1, C, H), ours, rivals, steps=calls)


@pytest.mark.parametrize("estimator", [LSTMRegressor, LSTMClassifier])
@pytest.mark.parametrize("threads", [1], ids=["threads1"], indirect=True)
def test_stream_of_an_estimator(side_by_side, estimator, threads):
    """The same through a fitted estimator, with its head, checks and labels; beside the layer alone."""
    C, H, calls = 8, 32, 1000
    X = normal(20, 5, C)
    model = estimator(H, max_iter=1, learning_rate="cosine", random_state=0).fit(X, np.arange(20) % 9)
    stream, layer, x = model.stream(), LSTM(C, H, random_state=0), normal(1, C)
    state = layer.initial_state(1)

    def ours():
        for _ in range(calls):
            stream.step(x)

    def of_layer():
        for _ in range(calls):
            layer.step(x, state)

    work = f"stream, {estimator.__name__}"
    side_by_side(work, (1, 1, C, H), inference_flops(1, C, H), ours, {"layer": of_layer}, steps=calls)


@pytest.mark.parametrize("threads", [1], ids=["threads1"], indirect=True)
@pytest.mark.parametrize(
    ("axis", "shape"), [(axis, shape) for axis, shapes in GROWING.items() for shape in shapes], ids=label
)
@pytest.mark.parametrize("work", ["inference", "training"])
def test_growing(side_by_side, work, axis, shape, threads):
    """Time against one of H, T and N."""
    measure = time_inference if work == "inference" else time_training
    measure(side_by_side, f"{work}, growing {axis}", shape, threads)
