"""Vanilla RNN in NumPy.

Elman (1990)::

    h = tanh(W x + U h' + b)

h' is the state before the step.
"""

import numpy as np

from fastlstm.kernels.numpy import recurrence


class Packed(recurrence.Packed):
    GATES = "h"


class Run(recurrence.Run):
    GATES = "h"

    def forward(self, part, packed):
        *_, bias_ih, bias_hh = packed.weights
        h = self.h
        for now, after in self._places:
            h[after] = np.tanh(
                self._products_of_x(now, packed) + self._products_of_h(now, packed) + (bias_ih + bias_hh)
            )

    def backward(self, part, packed, to_start=False):
        for now, after in reversed(self._places):
            d_h = self.d_state[0][: now.stop - now.start]
            dh = d_h + self.d_h[now]
            self._d_of_x[now] = self._d_of_h[now] = dh * (1 - self.h[after] ** 2)
            d_h[:] = self._past(self._d_of_h[now], packed)
