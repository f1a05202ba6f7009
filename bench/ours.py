"""Ours, each set up as the peers of `peers.py` are: a function here returns what is timed."""

import numpy as np
import peers

from fastlstm.layers import LSTM


def normal(*shape, dtype="float32"):
    return np.random.default_rng(0).standard_normal(shape, dtype=dtype)


def weights_of(C, H, dtype="float32", kind=LSTM, bidirectional=False):
    """The weights of every layer of a kind here: all have the same seed."""
    return kind(C, H, bidirectional=bidirectional, dtype=dtype, random_state=0).state_dict()


def inference_by(layer, x):
    def infer():
        _, (h_n, *_) = layer(x)
        return h_n

    return infer


def training_by(layer, x, d_output, lengths=None):
    checked = peers.last_recurrent(layer.state_dict())

    def step():
        _, _, tape = layer.record(x, lengths=lengths)
        return layer.backward(tape, d_output, input_gradient=False, keep_tape=False).weights[checked]

    return step


def our_inference(threads, x, H, kind=LSTM, backend="auto"):
    return inference_by(kind(x.shape[2], H, n_jobs=threads, backend=backend, random_state=0), x)


def our_training(threads, x, d_output, lengths=None, kind=LSTM, bidirectional=False, backend="auto"):
    C, H = x.shape[2], d_output.shape[2] // (1 + bidirectional)
    options = {"dtype": x.dtype.name, "n_jobs": threads, "backend": backend, "random_state": 0}
    return training_by(kind(C, H, bidirectional=bidirectional, **options), x, d_output, lengths)


def our_stream(threads, C, H, calls, kind=LSTM, backend="auto"):
    """`calls` steps of one stream, its state carried from call to call."""
    layer, x = kind(C, H, n_jobs=threads, backend=backend, random_state=0), normal(1, C)
    state = layer.initial_state(1)

    def run():
        for _ in range(calls):
            h = layer.step(x, state)
        return h

    return run
