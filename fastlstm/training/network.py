"""The network of an estimator: one LSTM layer and a linear head on its last hidden state."""

import math

import numpy as np

from fastlstm import kernels, sequences
from fastlstm.kernels.workspace import Workspace, aligned_empty
from fastlstm.layers import initial_weights

RECURRENT = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


def initialise(n_channels, hidden_size, n_outputs, random_state):
    """Fresh weights, float64: those of the layer, and a Glorot uniform head without bias."""
    weights = initial_weights(n_channels, hidden_size, random_state)
    limit = math.sqrt(6 / (hidden_size + n_outputs))
    weights["head.weight"] = random_state.uniform(-limit, limit, (n_outputs, hidden_size))
    weights["head.bias"] = np.zeros(n_outputs)
    return weights


def head(h, weight, bias):
    """Scores [N, K] of hidden states h [N, H]."""
    # Design: not a BLAS product, whose order of additions depends on the number of rows. A sum along the last
    # axis is made row by row, so a prediction has the same bits in every batch.
    return (h[:, None, :] * weight).sum(axis=-1) + bias


def scores(x, weights, backend):
    """Scores [n, K] of x [T, n, C] under weights named as in `initialise`."""
    forward = kernels.load(backend).lstm.forward
    recurrent = tuple(weights[name] for name in RECURRENT)
    T, n, C = x.shape
    parts = []
    for block in sequences.blocks(n, T, C + weights["head.weight"].shape[1]):
        h, _ = forward(x[:, block], recurrent, None)
        parts.append(head(h[-1], weights["head.weight"], weights["head.bias"]))
    return np.concatenate(parts)


class Network:
    """Trainable weights: one flat array of parameters and one of gradients, with named views into both.

    Parameters
    ----------
    weights : dict of str to array
        As `initialise` returns them; copied.
    dtype : dtype
        Type to compute in.
    backend : str
        Name of the kernels' backend.
    """

    def __init__(self, weights, dtype, backend):
        size = sum(value.size for value in weights.values())
        self.parameters, self.gradient = aligned_empty((size,), dtype), aligned_empty((size,), dtype)
        self.is_matrix = np.zeros_like(self.parameters)  # 1 where a penalty acts: matrices, not biases
        self.weights, self.d_weights = {}, {}
        end = 0
        for name, value in weights.items():
            start, end = end, end + value.size
            self.weights[name] = self.parameters[start:end].reshape(value.shape)
            self.d_weights[name] = self.gradient[start:end].reshape(value.shape)
            self.weights[name][...] = value
            self.is_matrix[start:end] = value.ndim == 2
        self._lstm = kernels.load(backend).lstm
        self._recurrent = tuple(self.weights[name] for name in RECURRENT)
        self._d_recurrent = tuple(self.d_weights[name] for name in RECURRENT)
        self._workspace = Workspace()

    def differentiate(self, x, targets, row_weights, loss):
        """Weighted sum of the rows' losses on x [T, N, C]; writes the gradient of their weighted mean."""
        h, _, tape = self._lstm.record(x, self._recurrent, None, self._workspace)
        last = h[-1]
        values, d_scores = loss(head(last, self.weights["head.weight"], self.weights["head.bias"]), targets)
        d_scores *= (row_weights / row_weights.sum())[:, None]
        # as in `head`, no BLAS: its threads would change the order of additions
        self.d_weights["head.weight"][...] = (d_scores[:, :, None] * last[:, None, :]).sum(axis=0)
        self.d_weights["head.bias"][...] = d_scores.sum(axis=0)
        d_last = (d_scores[:, :, None] * self.weights["head.weight"]).sum(axis=1)
        self._lstm.backward(
            tape,
            self._recurrent,
            None,
            (d_last, np.zeros_like(d_last)),
            self._d_recurrent,
            self._workspace,
            input_gradient=False,
            state_gradient=False,
        )
        return float(np.sum(row_weights * values, dtype=np.float64))
