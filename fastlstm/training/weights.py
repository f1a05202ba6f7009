"""The weights of a network that is trained, in one flat array, which solvers update at once."""

import numpy as np

from fastlstm.kernels.workspace import aligned_empty


class FlatWeights:
    """Weights that are views into one flat array of parameters, as are their gradients.

    Parameters
    ----------
    weights : dict of str to array
        Initial weights; copied.
    dtype : dtype

    Attributes
    ----------
    parameters, gradient : array [P]
    weights, d_weights : dict of str to array
        Views into these.
    is_matrix : array [P]
        1 for weight matrices, which are penalised; 0 for biases.
    """

    def __init__(self, weights, dtype):
        size = sum(value.size for value in weights.values())
        self.parameters, self.gradient = aligned_empty((size,), dtype), aligned_empty((size,), dtype)
        self.is_matrix = np.zeros_like(self.parameters)
        self.weights, self.d_weights = {}, {}
        end = 0
        for name, value in weights.items():
            start, end = end, end + value.size
            self.weights[name] = self.parameters[start:end].reshape(value.shape)
            self.d_weights[name] = self.gradient[start:end].reshape(value.shape)
            self.weights[name][...] = value
            self.is_matrix[start:end] = value.ndim == 2


def named(weights, prefix):
    """The weights whose names begin with `prefix`, by the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
