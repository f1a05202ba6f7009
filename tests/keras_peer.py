"""Keras' answers, as arrays: what golden files hold, and what tests compare with where Keras is installed."""

import os

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "torch")
import keras
from keras.src.backend.common.dtypes import BIT64_TO_BIT32_DTYPE

BIT64_TO_BIT32_DTYPE["float64"] = "float64"  # without it, products of float64 are computed in float32

KINDS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}
N, T, C = 4, 6, 3
#: Sizes of the layers, and whether they are bidirectional.
STACKS = {"one": ((5,), False), "two": ((4, 6), False), "bidirectional": ((4, 3), True)}


def recurrent(cell, units, bidirectional=False, return_sequences=True, **options):
    """A recurrent layer of Keras in float64."""
    layer = KINDS[cell](units, return_sequences=return_sequences, dtype="float64", **options)
    return keras.layers.Bidirectional(layer, dtype="float64") if bidirectional else layer


def model_of(cell, sizes, bidirectional=False, **options):
    """A model of recurrent layers with random weights, biases included."""
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input((None, C), dtype="float64")])
    for units in sizes:
        model.add(recurrent(cell, units, bidirectional, **options))
    model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])
    return model


def outputs_of(model, x, mask=None):
    """Outputs for an array, of `model` or of a layer of Keras."""
    mask = None if mask is None else keras.ops.convert_to_tensor(mask)
    return keras.ops.convert_to_numpy(model(keras.ops.convert_to_tensor(x), mask=mask))


def case(cell):
    """For each stack, weights as `get_weights` returns them, and the outputs for x."""
    x = np.random.default_rng(1).normal(size=(N, T, C))
    arrays = {"x": x}
    for name, stack in STACKS.items():
        model = model_of(cell, *stack)
        arrays |= {f"{name}.{k}": weight for k, weight in enumerate(model.get_weights())}
        arrays[f"{name}.output"] = outputs_of(model, x)
    return arrays
