"""LSTM in NumPy.

Hochreiter & Schmidhuber (1997), with the forget gate of Gers, Schmidhuber & Cummins (2000)::

    i = sigmoid(W_i x + U_i h' + b_i)      c = f * c' + i * g
    f = sigmoid(W_f x + U_f h' + b_f)      h = o * tanh(c)
    g = tanh(W_g x + U_g h' + b_g)
    o = sigmoid(W_o x + U_o h' + b_o)      h', c': the states before the step
"""

from typing import NamedTuple

import numpy as np


def sigmoid(x):
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def rows_times(a, w):
    """a [..., K] @ w [M, K].T, row by row: one product per row, whose bits no other row can change."""
    return np.matmul(w, a[..., None])[..., 0]


def split(z):
    """The four gates' parts of z [..., 4H]."""
    return np.split(z, 4, axis=-1)


class Tape(NamedTuple):
    """What `backward` needs of a recorded run."""

    x: np.ndarray  # [T, N, C]
    h: np.ndarray  # [T+1, N, H]
    c: np.ndarray  # [T+1, N, H]
    gates: np.ndarray  # [T, N, 4H]


def record(x, weights, state, workspace=None):
    weight_ih, weight_hh, bias_ih, bias_hh = weights
    (T, N, _), H = x.shape, weight_hh.shape[1]
    h, c = np.zeros((2, T + 1, N, H), x.dtype)
    gates = np.empty((T, N, 4 * H), x.dtype)
    if state is not None:
        h[0], c[0] = state
    for t in range(T):
        z_i, z_f, z_g, z_o = split(rows_times(x[t], weight_ih) + rows_times(h[t], weight_hh) + (bias_ih + bias_hh))
        i, f, g, o = sigmoid(z_i), sigmoid(z_f), np.tanh(z_g), sigmoid(z_o)
        c[t + 1] = f * c[t] + i * g
        h[t + 1] = o * np.tanh(c[t + 1])
        gates[t] = np.concatenate([i, f, g, o], axis=-1)
    return h, (h[-1], c[-1]), Tape(np.array(x), h, c, gates)


def forward(x, weights, state):
    return record(x, weights, state)[:2]


def backward(tape, weights, d_h, d_state, d_weights, workspace, input_gradient, state_gradient):
    x, h, c, gates = tape
    weight_ih, weight_hh = weights[:2]
    dh, dc = np.zeros((2, *h.shape[1:]), x.dtype) if d_state is None else d_state
    dz = np.empty_like(gates)
    for t in reversed(range(len(x))):
        i, f, g, o = split(gates[t])
        tanh_c = np.tanh(c[t + 1])
        if d_h is not None:
            dh = dh + d_h[t]
        dc = dc + dh * o * (1 - tanh_c**2)
        dz[t] = np.concatenate(
            [dc * g * i * (1 - i), dc * c[t] * f * (1 - f), dc * i * (1 - g**2), dh * tanh_c * o * (1 - o)], axis=-1
        )
        dh, dc = rows_times(dz[t], weight_hh.T), dc * f
    d_weights[0][...] = np.einsum("tng,tnc->gc", dz, x)
    d_weights[1][...] = np.einsum("tng,tnh->gh", dz, h[:-1])
    d_weights[2][...] = d_weights[3][...] = dz.sum(axis=(0, 1))
    return rows_times(dz, weight_ih.T) if input_gradient else None, (dh, dc) if state_gradient else None
