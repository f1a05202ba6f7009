"""A layer from the weights of another library."""

import numpy as np

from fastlstm import layers
from fastlstm.containers import few

OF_GATES = {4: layers.LSTM, 3: layers.GRU, 1: layers.RNN}


def layer_of(weights, num_layers, kind=None):
    """The layer with these weights, arrays by PyTorch's names; its class is `kind`, or follows from their shapes.

    Without biases, they are zero. Raises ValueError if weights are missing or do not fit together.
    """
    if not any(name.startswith("bias") for name in weights):
        weights |= {
            name.replace("weight", "bias"): np.zeros(np.shape(of)[:1], of.dtype) for name, of in weights.items()
        }
    input_size, _ = _sizes(weights, "weight_ih_l0")
    sizes, gates = zip(*(_sizes(weights, f"weight_hh_l{layer}") for layer in range(num_layers)), strict=True)
    if len(set(gates)) > 1 or gates[0] not in OF_GATES:
        expected = ", ".join(f"{G} ({of.__name__})" for G, of in OF_GATES.items())
        raise ValueError(
            f"The shapes of the recurrent weights of layers 0 to {len(sizes) - 1} are those of {few(gates)} gates; "
            f"expected one of {expected} in all layers: weights of shape (G H, H) for G gates and H units."
        )
    kind = kind or OF_GATES[gates[0]]
    is_small = all(value.dtype in ("float16", "float32") for value in weights.values())
    dtype = "float32" if is_small else "float64"
    layer = kind(input_size, sizes, len(sizes), bidirectional="weight_ih_l0_reverse" in weights, dtype=dtype)
    layer.load_state_dict(weights)
    return layer


def _sizes(weights, name):
    """Number of columns of a weight, and how many times as many rows it has."""
    if name not in weights:
        raise ValueError(f"The mapping lacks {name!r}, but has {few(weights)}.")
    shape = weights[name].shape
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"{name} has shape {shape}; expected 2 dimensions, neither of them zero.")
    return shape[1], shape[0] / shape[1]
