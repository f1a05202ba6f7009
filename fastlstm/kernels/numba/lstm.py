"""LSTM from register tiles.

Hochreiter & Schmidhuber (1997), with the forget gate of Gers, Schmidhuber & Cummins (2000)::

    i = sigmoid(W_i [x, 1, h'])      c = f * c' + i * g
    f = sigmoid(W_f [x, 1, h'])      h = o * tanh(c)
    g = tanh(W_g [x, 1, h'])
    o = sigmoid(W_o [x, 1, h'])      h', c': the states before the step

# Design: one row of `rows` holds all that a step's gates depend on, ``[x (C), 1, h' (H)]``: the bias is the
# weight of the 1. So the gates are one product, and so is the gradient of all weights and biases. Units are
# padded to whole vectors (P of them); a padded unit has zero weights, hence zero states and gradients.
"""

from typing import NamedTuple

import numpy as np
from numba import int64

from fastlstm.kernels.numba.activations import sigmoid, tanh
from fastlstm.kernels.numba.jit import entry, kernel
from fastlstm.kernels.numba.matmul import BLOCK_ROWS, gradient, multiply, pack_panels, products4
from fastlstm.kernels.numba.target import lanes
from fastlstm.kernels.numba.tiles import fma, load, store, width
from fastlstm.kernels.workspace import ALIGNMENT, aligned_empty


@entry
def pack(C, H, P, weight_ih, weight_hh, bias_ih, bias_hh, out):
    """out[P/L][C+1+H][4][L]: for each vector of units, the weights of [x, 1, h'] of its four gates."""
    L = width(out)
    at = 0
    for first in range(0, P, L):
        for k in range(C + 1 + H):
            for gate in range(4):
                for unit in range(first, first + L):
                    row = gate * H + unit
                    if unit >= H:
                        out[at] = 0
                    elif k < C:
                        out[at] = weight_ih[row, k]
                    elif k == C:
                        out[at] = bias_ih[row] + bias_hh[row]
                    else:
                        out[at] = weight_hh[row, k - C - 1]
                    at += 1


@kernel
def transpose(R, Q, a, a_at, a_stride, out, first):
    """out[first + r, q] = a[q, r], in blocks of whole cache lines few enough to stay cached."""
    for r0 in range(0, R, 16):
        for q0 in range(0, Q, 8):
            for r in range(r0, min(r0 + 16, R)):
                for q in range(q0, min(q0 + 8, Q)):
                    out[first + r, q] = a[a_at + q * a_stride + r]


@entry
def unpack(C, H, P, d_w, d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh):
    """Gradients in the shapes of the weights, from d_w[C+1+H, 4, P]."""
    for gate in range(4):
        transpose(H, C, d_w, gate * P, 4 * P, d_weight_ih, gate * H)
        transpose(H, H, d_w, (C + 1) * 4 * P + gate * P, 4 * P, d_weight_hh, gate * H)
        for unit in range(H):
            bias = d_w[C * 4 * P + gate * P + unit]
            d_bias_ih[gate * H + unit] = bias
            d_bias_hh[gate * H + unit] = bias


@kernel
def gates_and_states(z, at, c_before):
    """The equations, for one vector of units whose gates' sums are at z[at][4][L]."""
    L = width(z)
    i, f = sigmoid(load(1, 1, z, at, 0)), sigmoid(load(1, 1, z, at + L, 0))
    g, o = tanh(load(1, 1, z, at + 2 * L, 0)), sigmoid(load(1, 1, z, at + 3 * L, 0))
    c = fma(f, c_before, i * g)
    return i, f, g, o, c, o * tanh(c)


@entry
def forward_steps(T, N, C, H, P, rows, stride, w, c, c_stride, gates, recording, z, zero):
    """rows[T+1, N, stride]; w as `pack` lays it out; z[N, 4, L] and zero[4, L] are scratch and zeros.

    Where `recording`, c[T+1, N, P] and gates[T, N, 4, P] keep every step (c_stride = N * P); else c[N, P] holds
    the last state (c_stride = 0).
    """
    L, K = width(w), C + 1 + H
    begin = int64(0)  # not a literal, for which Numba would compile the products once more
    for t in range(T):
        now, after = t * N * stride, (t + 1) * N * stride + C + 1
        for unit in range(0, P, L):
            products4(N, K, zero, begin, begin, rows, now, stride, w, unit * 4 * K, z, begin, 4 * L)
            for n in range(N):
                here = t * c_stride + n * P + unit
                i, f, g, o, c_t, h_t = gates_and_states(z, n * 4 * L, load(1, 1, c, here, 0))
                store(c_t, c, here + c_stride, 0)
                store(h_t, rows, after + n * stride + unit, 0)
                if recording:
                    gate = (t * N + n) * 4 * P + unit
                    store(i, gates, gate, 0)
                    store(f, gates, gate + P, 0)
                    store(g, gates, gate + 2 * P, 0)
                    store(o, gates, gate + 3 * P, 0)


@entry
def backward_steps(T, N, H, P, w, c, gates, d_h, has_d_h, dz, dh, dc, zero, state_gradient):
    """dz[T, N, 4, P]: the gradient of the gates' sums. dh, dc[N, P] come with that of the last state and,
    where `state_gradient`, leave with that of the first. w[4 * P, P] as `pack_panels` lays it out."""
    L = width(w)
    for t in range(T - 1, -2 if state_gradient else -1, -1):
        start, start_at, start_stride = (d_h, t * N * P, P) if has_d_h and t >= 0 else (zero, 0, 0)
        if t < T - 1:
            multiply(N, 4 * P, P, start, start_at, start_stride, dz, (t + 1) * N * 4 * P, 4 * P, w, dh, P)
        elif has_d_h:
            for here in range(0, N * P, L):
                store(load(1, 1, dh, here, 0) + load(1, 1, d_h, start_at + here, 0), dh, here, 0)
        for n in range(N if t >= 0 else 0):
            for unit in range(0, P, L):
                here, gate = n * P + unit, (t * N + n) * 4 * P + unit
                i, f = load(1, 1, gates, gate, 0), load(1, 1, gates, gate + P, 0)
                g, o = load(1, 1, gates, gate + 2 * P, 0), load(1, 1, gates, gate + 3 * P, 0)
                c_before = load(1, 1, c, t * N * P + here, 0)
                tanh_c = tanh(load(1, 1, c, (t + 1) * N * P + here, 0))
                dh_t = load(1, 1, dh, here, 0)
                dc_t = fma(dh_t * o, 1 - tanh_c * tanh_c, load(1, 1, dc, here, 0))
                store(dc_t * g * i * (1 - i), dz, gate, 0)
                store(dc_t * c_before * f * (1 - f), dz, gate + P, 0)
                store(dc_t * i * (1 - g * g), dz, gate + 2 * P, 0)
                store(dh_t * tanh_c * o * (1 - o), dz, gate + 3 * P, 0)
                store(dc_t * f, dc, here, 0)
            for first in range((t * N + n) * 4 * P, (t * N + n + 1) * 4 * P, P):
                for padded in range(H, P):  # zero already, but where an input is infinite
                    dz[first + padded] = 0


class Tape(NamedTuple):
    """What `backward` needs of a recorded run. All flat; see `forward_steps` for the shapes."""

    shape: tuple  # T, N, C, H
    rows: np.ndarray
    c: np.ndarray
    gates: np.ndarray


def _layout(x, weights):
    """T, N, C, H; units padded to whole vectors; distance of two rows."""
    (T, N, C), H = x.shape, weights[1].shape[1]
    line = ALIGNMENT // x.dtype.itemsize
    P = _padded(H, x.dtype)
    # An odd number of cache lines: rows an even number apart would share few of the cache's sets.
    return T, N, C, H, P, (-(-(C + 1 + P) // line) | 1) * line


def _padded(units, dtype):
    return -(-units // lanes(dtype)) * lanes(dtype)


def _zeros(size, empty, dtype):
    zero = empty("zero", (size,), dtype)
    zero[:] = 0
    return zero


def _plain(weights):
    """The arrays as kernels are compiled for: contiguous and, for the compiler, writable."""
    return [w if w.flags.c_contiguous and w.flags.writeable else np.array(w) for w in weights]


def _run(x, weights, state, recording, empty):
    T, N, C, H, P, stride = _layout(x, weights)
    dtype = x.dtype
    w = empty("packed", (P * 4 * (C + 1 + H),), dtype)
    pack(C, H, P, *_plain(weights), w)
    rows, c = empty("rows", (T + 1, N, stride), dtype), empty("c", (T + 1 if recording else 1, N, P), dtype)
    h = rows[:, :, C + 1 : C + 1 + H]
    rows[:T, :, :C] = x
    rows[:, :, C] = 1
    rows[0, :, C + 1 :] = 0
    c[0] = 0
    if state is not None:
        h[0], c[0, :, :H] = state
    z = empty("z", (N * 4 * lanes(dtype),), dtype)
    zero = _zeros(4 * P, empty, dtype)
    gates = empty("gates", (T * N * 4 * P,), dtype) if recording else zero
    rows, cells = rows.ravel(), c.ravel()
    forward_steps(T, N, C, H, P, rows, stride, w, cells, N * P if recording else 0, gates, recording, z, zero)
    return h, (h[-1], c[-1, :, :H]), Tape((T, N, C, H), rows, cells, gates)


def forward(x, weights, state):
    return _run(x, weights, state, False, lambda name, shape, dtype: aligned_empty(shape, dtype))[:2]


def record(x, weights, state, workspace):
    return _run(x, weights, state, True, workspace.empty)


def backward(tape, weights, d_h, d_state, d_weights, workspace, input_gradient, state_gradient):
    (T, N, C, H), dtype, empty = tape.shape, tape.rows.dtype, workspace.empty
    P, M = _padded(H, dtype), _padded(C, dtype)
    weight_ih, weight_hh = _plain(weights[:2])
    zero = _zeros(4 * P + M, empty, dtype)

    w = empty("packed_hh", (4 * P * P,), dtype)
    pack_panels(4, H, P, H, weight_hh.ravel(), w)
    dh, dc = (empty(name, (N, P), dtype) for name in ("dh", "dc"))
    dh[:] = dc[:] = 0
    if d_state is not None:
        dh[:, :H], dc[:, :H] = d_state
    d_outputs = zero
    if d_h is not None:
        d_outputs = d_h
        if P > H or not (d_h.flags.c_contiguous and d_h.flags.writeable):
            d_outputs = empty("d_outputs", (T, N, P), dtype)
            d_outputs[:, :, :H] = d_h
            d_outputs[:, :, H:] = 0
        d_outputs = d_outputs.ravel()
    dz = empty("dz", (T * N * 4 * P,), dtype)
    has_d_h = d_h is not None
    cells, gates, flat_dh, flat_dc = tape.c, tape.gates, dh.ravel(), dc.ravel()
    backward_steps(T, N, H, P, w, cells, gates, d_outputs, has_d_h, dz, flat_dh, flat_dc, zero, state_gradient)

    K = C + 1 + H
    d_w = empty("d_weights", (K * 4 * P,), dtype)
    panel = empty("panel", (BLOCK_ROWS * 4 * lanes(dtype),), dtype)
    gradient(T * N, K, 4 * P, tape.rows, tape.rows.size // ((T + 1) * N), dz, 4 * P, panel, d_w)
    unpack(C, H, P, d_w, *d_weights)

    d_x = None
    if input_gradient:
        w = empty("packed_ih", (4 * P * M,), dtype)
        pack_panels(4, H, P, C, weight_ih.ravel(), w)
        padded_d_x = empty("d_x", (T, N, M), dtype)
        multiply(T * N, 4 * P, M, zero, 0, 0, dz, 0, 4 * P, w, padded_d_x.ravel(), M)
        d_x = padded_d_x[:, :, :C]
    return d_x, (dh[:, :H], dc[:, :H]) if state_gradient else None
