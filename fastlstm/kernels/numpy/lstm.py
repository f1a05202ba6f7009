"""LSTM in NumPy.

Hochreiter & Schmidhuber (1997), with the forget gate of Gers, Schmidhuber & Cummins (2000)::

    i = sigmoid(W_i x + U_i h' + b_i)      c = f * c' + i * g
    f = sigmoid(W_f x + U_f h' + b_f)      h = o * tanh(c)
    g = tanh(W_g x + U_g h' + b_g)
    o = sigmoid(W_o x + U_o h' + b_o)      h', c': the states before the step
"""

import numpy as np

from fastlstm.kernels.numpy.packing import places


def sigmoid(x):
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def rows_times(a, w):
    """a [..., K] @ w [M, K].T, row by row: one product per row, whose bits no other row can change."""
    return np.matmul(w, a[..., None])[..., 0]


def split(z):
    """The four gates' parts of z [..., 4H]."""
    return np.split(z, 4, axis=-1)


class Packed:
    """Weights, and their gradient, as the kernels have them: here, as they are."""

    def __init__(self, C, H, dtype, workspace, backward=False, inputs=False):
        self._shapes = (4 * H, C), (4 * H, H), (4 * H,), (4 * H,)

    def fill(self, part, weights):
        self.weights = [np.array(w).reshape(shape) for w, shape in zip(weights, self._shapes, strict=True)]
        self.gradient = [np.zeros_like(w) for w in self.weights]

    def unpack(self, part, d_weights):
        for d_w, value in zip(d_weights, self.gradient, strict=True):
            d_w[...] = value.reshape(d_w.shape)


class Run:
    """Buffers of one run over a packed batch, and the steps of it; see the contract."""

    def __init__(self, C, H, starts, dtype, workspace, recording=False, threads=1):
        self.N, self.M, self.C, self.H, self.dtype = starts[1], starts[-1], C, H, dtype
        self._places = list(places(starts))
        self._x = np.empty((self.M, C), dtype)
        self.h, self._c = np.zeros((2, self.M + self.N, H), dtype)
        self.h_n, self.c_n = self.h[self.M :], self._c[self.M :]
        self.state = self.h[: self.N], self._c[: self.N]
        self._gates = np.empty((self.M, 4 * H), dtype)

    def bounds(self, part):
        return 0, self.N

    def load(self, part, x, at, state=None):
        for t, (rows, _) in enumerate(self._places):
            active = rows.stop - rows.start
            self._x[rows] = x[at[:active, None] + t * self.C + np.arange(self.C)]
        self.h[: self.N], self._c[: self.N] = (0, 0) if state is None else state

    def forward(self, part, packed):
        weight_ih, weight_hh, bias_ih, bias_hh = packed.weights
        h, c = self.h, self._c
        for now, after in self._places:
            z = rows_times(self._x[now], weight_ih) + rows_times(h[now], weight_hh) + (bias_ih + bias_hh)
            z_i, z_f, z_g, z_o = split(z)
            i, f, g, o = sigmoid(z_i), sigmoid(z_f), np.tanh(z_g), sigmoid(z_o)
            c[after] = f * c[now] + i * g
            h[after] = o * np.tanh(c[after])
            self._gates[now] = np.concatenate([i, f, g, o], axis=-1)

    def step(self, packed, x, h):
        self._x[:] = x
        self.forward(None, packed)
        self.state[0][:], self.state[1][:] = self.h_n, self.c_n
        h[:] = self.h_n

    def prepare_backward(self, outputs=False, inputs=False, keep=False):
        self.dh, self.dc = np.zeros((2, self.N, self.H), self.dtype)
        self.d_h = np.zeros((self.M, self.H), self.dtype)
        self._dz = np.empty_like(self._gates)

    def backward(self, part, packed, to_start=False):
        weight_hh, c, d_h, d_c = packed.weights[1], self._c, self.dh, self.dc
        for now, after in reversed(self._places):
            active = now.stop - now.start
            i, f, g, o = split(self._gates[now])
            tanh_c = np.tanh(c[after])
            dh = d_h[:active] + self.d_h[now]
            dc = d_c[:active] + dh * o * (1 - tanh_c**2)
            self._dz[now] = np.concatenate(
                [dc * g * i * (1 - i), dc * c[now] * f * (1 - f), dc * i * (1 - g**2), dh * tanh_c * o * (1 - o)],
                axis=-1,
            )
            d_h[:active], d_c[:active] = rows_times(self._dz[now], weight_hh.T), dc * f

    def weight_gradient(self, part, packed, more=False):
        dz, h = self._dz, self.h[: self.M]
        d_bias = dz.sum(axis=0)
        parts = np.einsum("mg,mc->gc", dz, self._x), np.einsum("mg,mh->gh", dz, h), d_bias, d_bias
        packed.gradient = [old + new if more else new for old, new in zip(packed.gradient, parts, strict=True)]

    def input_gradient(self, part, packed):
        self.d_x = rows_times(self._dz, packed.weights[0].T)
