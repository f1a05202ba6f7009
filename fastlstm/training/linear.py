"""A linear layer between other parts of a network."""

import numpy as np

from fastlstm.kernels.workspace import Workspace


class Linear:
    """Rows [M, F] to rows [M, K]: outputs = inputs @ weight.T + bias.

    Parameters
    ----------
    name : str
        Its weights are ``name.weight`` [K, F] and, if there is one, ``name.bias`` [K].
    weights : dict of str to array
    package : backend of the kernels
    dtype : dtype
    d_weights : dict of str to array or None
        Where gradients are written; None if there are none.

    Attributes
    ----------
    inputs, outputs, d_inputs, d_outputs : arrays [M, .]
        Of the M rows of `resize`; columns beyond F and K are padding.
    """

    def __init__(self, name, weights, package, dtype, d_weights=None):
        self._weight, self._dtype, self._workspace = weights[f"{name}.weight"], dtype, Workspace()
        self.K, self.F = self._weight.shape
        no_bias = np.zeros(self.K, dtype)
        self._bias = weights.get(f"{name}.bias", no_bias)
        if d_weights is not None:
            self._gradients = d_weights[f"{name}.weight"], d_weights.get(f"{name}.bias", np.empty(self.K, dtype))
        self._backward = d_weights is not None
        self.head = package.head.Head(self.K, self.F, dtype, self._workspace, self._backward)

    def resize(self, rows):
        """Allocate buffers for so many rows."""
        self.rows, shape = rows, (rows, self.head.columns)
        self.inputs = self.head.room("inputs", rows)
        self.outputs = self._workspace.empty("outputs", shape, self._dtype)
        if self._backward:
            self.d_inputs = self.head.room("d_inputs", rows)
            self.d_outputs = self._workspace.empty("d_outputs", shape, self._dtype)
            self.d_outputs[:, self.K :] = 0

    def fill(self):
        """Pack the weights for the kernels."""
        self.head.fill(self._weight, self._bias)

    def forward(self, first, last):
        """The outputs of these rows."""
        self.head.forward(first, last, self.inputs, self.outputs)
        return self.outputs[first:last, : self.K]

    def backward(self, first, last, d_outputs):
        """The gradient of the inputs of these rows from that of their outputs [last - first, K]."""
        self.d_outputs[first:last, : self.K] = d_outputs
        self.head.backward(first, last, self.d_outputs, self.d_inputs)
        return self.d_inputs[first:last, : self.F]

    def weight_gradient(self, part):
        """This part's share of the gradient of the weights."""
        self.head.weight_gradient(part, self.inputs, self.d_outputs, *self._gradients)
