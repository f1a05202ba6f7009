"""GRU in NumPy.

Cho et al. (2014), with the reset gate applied after the matrix product, as in ``torch.nn.GRU`` (``reset_after=True`` in
Keras)::

    r = sigmoid(W_r x + b_r + U_r h' + c_r)      n = tanh(W_n x + b_n + r * m),   m = U_n h' + c_n
    z = sigmoid(W_z x + b_z + U_z h' + c_z)      h = (1 - z) * n + z * h'

h' is the state before the step.
"""

import numpy as np

from fastlstm.kernels.numpy import recurrence
from fastlstm.kernels.numpy.recurrence import sigmoid


class Packed(recurrence.Packed):
    GATES = "rzn"

    def _biases(self, bias_ih, bias_hh):
        gates = np.arange(len(bias_hh)) < len(bias_hh) // 3 * 2  # of r and z; the candidate has two sums
        return bias_ih + np.where(gates, bias_hh, 0), np.where(gates, 0, bias_hh)


class Run(recurrence.Run):
    GATES, KEPT, ORDER = "rzn", "rznm", "nrz"

    def forward(self, part, packed):
        *_, bias_ih, bias_hh = packed.weights
        h = self.h
        for now, after in self._places:
            of_x = np.split(self._products_of_x(now, packed) + bias_ih, 3, axis=-1)
            of_h = np.split(self._products_of_h(now, packed) + bias_hh, 3, axis=-1)
            r, z, m = sigmoid(of_x[0] + of_h[0]), sigmoid(of_x[1] + of_h[1]), of_h[2]
            n = np.tanh(of_x[2] + r * m)
            h[after] = (1 - z) * n + z * h[now]
            self._kept[:, now] = r, z, n, m

    def backward(self, part, packed, to_start=False):
        for now, _ in reversed(self._places):
            d_h = self.d_state[0][: now.stop - now.start]
            r, z, n, m = self._kept[:, now]
            dh = d_h + self.d_h[now]
            d_n = dh * (1 - z) * (1 - n**2)
            d_r, d_z = d_n * m * r * (1 - r), dh * (self.h[now] - n) * z * (1 - z)
            self._d_of_x[now] = np.concatenate([d_r, d_z, d_n], axis=-1)
            self._d_of_h[now] = np.concatenate([d_r, d_z, d_n * r], axis=-1)
            d_h[:] = dh * z + self._past(self._d_of_h[now], packed)
