"""LSTM in NumPy.

Hochreiter & Schmidhuber (1997), with the forget gate of Gers, Schmidhuber & Cummins (2000)::

    i = sigmoid(W_i x + U_i h' + b_i)      c = f * c' + i * g
    f = sigmoid(W_f x + U_f h' + b_f)      h = o * tanh(c)
    g = tanh(W_g x + U_g h' + b_g)
    o = sigmoid(W_o x + U_o h' + b_o)

h' and c' are the states before the step.
"""

import numpy as np

from fastlstm.kernels.numpy import recurrence
from fastlstm.kernels.numpy.recurrence import sigmoid


class Packed(recurrence.Packed):
    GATES = "ifgo"


class Run(recurrence.Run):
    STATES, GATES, KEPT = "hc", "ifgo", "ifgo"

    def forward(self, part, packed):
        *_, bias_ih, bias_hh = packed.weights
        h, c = self._states
        for now, after in self._places:
            sums = self._products_of_x(now, packed) + self._products_of_h(now, packed) + (bias_ih + bias_hh)
            of_i, of_f, of_g, of_o = np.split(sums, 4, axis=-1)
            i, f, g, o = sigmoid(of_i), sigmoid(of_f), np.tanh(of_g), sigmoid(of_o)
            c[after] = f * c[now] + i * g
            h[after] = o * np.tanh(c[after])
            self._kept[:, now] = i, f, g, o

    def backward(self, part, packed, to_start=False):
        c = self._states[1]
        for now, after in reversed(self._places):
            d_h, d_c = (d[: now.stop - now.start] for d in self.d_state)
            i, f, g, o = self._kept[:, now]
            tanh_c = np.tanh(c[after])
            dh = d_h + self.d_h[now]
            dc = d_c + dh * o * (1 - tanh_c**2)
            d_sums = dc * g * i * (1 - i), dc * c[now] * f * (1 - f), dc * i * (1 - g**2), dh * tanh_c * o * (1 - o)
            self._d_of_x[now] = self._d_of_h[now] = np.concatenate(d_sums, axis=-1)
            d_h[:], d_c[:] = self._past(self._d_of_h[now], packed), dc * f
