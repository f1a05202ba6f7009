"""From the encoder's last states to the decoder's first ones."""

import numpy as np

from fastlstm.training.linear import Linear


class Bridge:
    """Linear layers from the last states of a run of the encoder to the decoder's first ones; none if sizes are equal.

    Parameters
    ----------
    model : TranslationModel
        Only its sizes are read.
    weights : dict of str to array
    package : backend of the kernels
    dtype : dtype
    d_weights : dict of str to array or None
        Where gradients are written; None if there are none.
    """

    def __init__(self, model, weights, package, dtype, d_weights=None):
        self._by_state = [
            [Linear(name, weights, package, dtype, d_weights) for name in names] for names in model.bridges
        ]
        self._layers = [layer for of_layer in self._by_state for layer in of_layer]

    def resize(self, rows):
        """Allocate buffers for so many sequences."""
        for layer in self._layers:
            layer.resize(rows)

    def fill(self):
        """Pack the weights for the kernels."""
        for layer in self._layers:
            layer.fill()

    def forward(self, run, first, last):
        """First states of these sequences: for each layer of the decoder, an array for each state."""
        states = [
            [
                np.concatenate([one.state_n[k][first:last] for one in of_layer], axis=1)
                for k in range(len(of_layer[0].state_n))
            ]
            for of_layer in run.layers
        ]
        for of_layer, layers in zip(states, self._by_state, strict=bool(self._by_state)):
            for k, layer in enumerate(layers):
                layer.inputs[first:last, : layer.F] = of_layer[k]
                of_layer[k] = layer.forward(first, last)
        return states

    def backward(self, run, first, last, d_states):
        """Set the gradients of the last states of these sequences from those that `forward` has returned."""
        for n, of_layer in enumerate(d_states):
            for k, d_state in enumerate(of_layer):
                if self._by_state:
                    d_state = self._by_state[n][k].backward(first, last, d_state)
                column = 0
                for one in run.layers[n]:
                    one.d_state[k][first:last] = d_state[:, column : column + one.H]
                    column += one.H

    def weight_gradient(self, part):
        """This part's share of the gradient of the weights."""
        for layer in self._layers:
            layer.weight_gradient(part)
