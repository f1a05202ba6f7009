"""GRU from register tiles.

Cho et al. (2014), as ``torch.nn.GRU`` computes it, the reset gate on the product (Keras: ``reset_after=True``)::

    r = sigmoid(W_r [x, 1] + U_r h' + b_r)      n = tanh(W_n [x, 1] + r * m),   m = U_n h' + b_m
    z = sigmoid(W_z [x, 1] + U_z h' + b_z)      h = (1 - z) * n + z * h';       h': the state before the step

The candidate's two sums stay apart until r is known. They stand around those of the gates, [n, r, z, m]: so the
inputs' products fill the first three, the states' products the last three, and none is done for nothing.
"""

import numpy as np

from fastlstm.kernels.compiled.layout import SUMS_BYTES
from fastlstm.kernels.numba.activations import sigmoid, tanh
from fastlstm.kernels.numba.buffers import mask_states, put_inputs, take_states, transpose
from fastlstm.kernels.numba.jit import entry, kernel
from fastlstm.kernels.numba.matmul import multiply, products3
from fastlstm.kernels.numba.meeting import meet
from fastlstm.kernels.numba.target import ROWS, VECTOR_BYTES
from fastlstm.kernels.numba.tiles import fma, load, pointer, store, width


@entry
def pack(C, H, first, last, weight_ih, weight_hh, bias_ih, bias_hh, out):
    """Each vector of units: the bias of m [L], the weights of [x, 1] [C+1][n, r, z][L], of h' [H][r, z, m][L]."""
    L = width(out)
    block = (1 + 3 * (C + 1 + H)) * L
    for unit in range(first, last, L):
        at, units = unit // L * block, min(L, H - unit)
        if units < L:
            for j in range(block):
                out[at + j] = 0
        x_at, h_at = at + L, at + (1 + 3 * (C + 1)) * L
        for gate in range(3):  # r, z, n as the weights have them
            row, x_slot, h_slot = gate * H + unit, x_at + (gate + 1) % 3 * L, h_at + gate * L
            transpose(C, units, weight_ih, row * C, C, out, x_slot, 3 * L)
            transpose(H, units, weight_hh, row * H, H, out, h_slot, 3 * L)
            for j in range(units):
                both = gate < 2
                out[x_slot + C * 3 * L + j] = bias_ih[row + j] + bias_hh[row + j] if both else bias_ih[row + j]
                if not both:
                    out[at + j] = bias_hh[row + j]


@entry
def unpack(
    C, H, P, first, last, n_first, n_last, d_w, of_n, of_m, d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh
):  # fmt: skip
    """Gradients in the shapes of the weights, from d_w as `blocks_of_gradient` of ``compiled.gru`` says.

    The columns from `first` to `last` of r and z are read, and those from n_first to n_last of n and of m.
    """
    d_w, d_weight_ih, d_weight_hh = pointer(d_w), pointer(d_weight_ih), pointer(d_weight_hh)
    d_bias_ih, d_bias_hh = pointer(d_bias_ih), pointer(d_bias_hh)
    for gate in range(3):
        both = gate < 2
        Q, column = (2 * P, gate * P) if both else (P, 0)
        begin, end = (max(first - column, 0), min(last - column, H)) if both else (n_first, min(n_last, H))
        for side in range(2):  # one loop for both, which halves the time to compile it
            K, d_weight, d_bias = (H, d_weight_hh, d_bias_hh) if side else (C, d_weight_ih, d_bias_ih)
            block = 0 if both else of_m if side else of_n
            bias_row = C if both or side == 0 else 0
            row = bias_row + 1 if side else 0
            at, bias_at, unit = block + row * Q + column, block + bias_row * Q + column, gate * H
            if begin < end:
                transpose(end - begin, K, d_w, at + begin, Q, d_weight, (unit + begin) * K, K)
            for j in range(begin, end):
                d_bias[unit + j] = d_w[bias_at + j]


@kernel
def gates_and_state(sums, at, h_before):
    """The equations, for one vector of units whose sums are at sums[at][4][L]."""
    L = width(sums)
    r, z = sigmoid(load(1, 1, sums, at + L, 0)), sigmoid(load(1, 1, sums, at + 2 * L, 0))
    m = load(1, 1, sums, at + 3 * L, 0)
    n = tanh(fma(r, m, load(1, 1, sums, at, 0)))
    return r, z, m, n, fma(z, h_before - n, n)


@entry
def forward_steps(
    starts, r_first, r_last, u_first, u_last, C, H, P, rows, stride, states, s_at, s_stride, mask, masked, w, gates,
    recording, sums, sums_at, zero, meeting, size,
):  # fmt: skip
    """All steps of the sequences from r_first to r_last, for the units from u_first to u_last.

    rows[M+N, stride] and gates[M, 4, P] as in `Run`, w as `pack` lays it out; sums from sums_at has room for a group of
    units; zero[4, L] is zeros. Threads that divide the units meet after every step: there are `size` of them, or 1.
    The states are in states[M+N, .], from s_at on: in the rows themselves or, where `masked`, beside them, and the rows
    hold them times mask[N, P].
    """
    T = starts.size - 1
    starts, rows, w, states, mask = pointer(starts), pointer(rows), pointer(w), pointer(states), pointer(mask)
    gates, sums, zero = pointer(gates), pointer(sums), pointer(zero)
    L = width(w)
    block = 1 + 3 * (C + 1 + H)
    # Each unit's products ask for a share of the memory that the next step's gates will be written to.
    share = (4 * L * ROWS + H - 1) // H if recording else 0
    # With few rows, all units' sums come first: their gates, which depend on nothing else, then overlap.
    group = max(1, SUMS_BYTES // ((r_last - r_first) * 4 * VECTOR_BYTES)) * L
    begin = np.int64(0)  # not a literal, for which Numba would compile the products once more
    for t in range(T):
        now = starts[t] + r_first
        active = min(r_last, starts[t + 1] - starts[t]) - r_first
        if active <= 0:  # all of these sequences have ended; threads that meet have all rows, and never come here
            break
        going_on = min(r_last, starts[t + 2] - starts[t + 1]) - r_first if t + 1 < T else 0
        next_gates = (starts[t + 1] + r_first) * 4 * P * recording
        for first in range(u_first, u_last, group):
            last = min(first + group, u_last)
            for unit in range(first, last, L):
                at, w_at = sums_at + (unit - first) * active * 4, unit * block
                bias = load(1, 1, w, w_at, 0)
                for n in range(active):
                    store(bias, sums, at + (n * 4 + 3) * L, 0)
                products3(
                    active, C + 1, zero, begin, begin, rows, now * stride, stride, w, w_at + L,
                    sums, at, 4 * L, gates, next_gates, begin, begin,
                )  # fmt: skip
                products3(
                    active, H, sums, at + L, 4 * L, rows, now * stride + C + 1, stride, w, w_at + (1 + 3 * (C + 1)) * L,
                    sums, at + L, 4 * L, gates, next_gates + unit * 4 * ROWS, 4 * P, share,
                )  # fmt: skip
            for unit in range(first, last, L):
                for n in range(active):
                    after = (starts[t + 1] if n < going_on else starts[T]) + r_first + n
                    h_before = load(1, 1, states, s_at + (now + n) * s_stride + unit, 0)
                    at = sums_at + ((unit - first) * active + n * L) * 4
                    r_t, z_t, m_t, n_t, h_t = gates_and_state(sums, at, h_before)
                    store(h_t, states, s_at + after * s_stride + unit, 0)
                    if recording:
                        gate = (now + n) * 4 * P + unit
                        store(n_t, gates, gate, 0)
                        store(r_t, gates, gate + P, 0)
                        store(z_t, gates, gate + 2 * P, 0)
                        store(m_t, gates, gate + 3 * P, 0)
            if masked:
                mask_states(
                    active, going_on, r_first, first, last, starts[t + 1] + r_first, starts[T] + r_first, P, mask,
                    states, s_at, s_stride, rows, C + 1, stride,
                )  # fmt: skip
        if size > 1:
            meet(meeting, size)


@entry
def backward_steps(
    starts, r_first, r_last, u_first, u_last, H, P, states, s_at, s_stride, mask, masked, w, gates, d_h, has_d_h, dz,
    dh, d_seen, zero, to_start, meeting, size,
):  # fmt: skip
    """dz[M, 4, P]: the gradient of the sums n, r, z, m, which may be stored where the gates were.

    dh[N, P] comes with the gradient of every sequence's last state and, where `to_start`, leaves with that of its
    first. d_h[M, P] is that of the outputs. w[3 * P, P] as `pack_panels` lays it out. Parts, states and mask as in
    `forward_steps`; where `masked`, the part of dh that comes through the gates stays in d_seen[N, P].
    """
    T = starts.size - 1
    starts, w, states, gates, d_h = pointer(starts), pointer(w), pointer(states), pointer(gates), pointer(d_h)
    dz, dh, d_seen, mask, zero = pointer(dz), pointer(dh), pointer(d_seen), pointer(mask), pointer(zero)
    through_gates = d_seen if masked else dh
    L = width(w)
    going_on = np.int64(0)  # rows that have a step after this one; not a literal, as in `forward_steps`
    for t in range(T - 1, -2 if to_start else -1, -1):
        now = starts[max(t, 0)] + r_first
        active = min(r_last, starts[t + 1] - starts[t]) - r_first if t >= 0 else 0
        if going_on > 0:  # dh holds what the later step passed on by z
            after = (starts[t + 1] + r_first) * 4 * P + P
            source, at, distance = (zero, 0, 0) if masked else (dh, r_first * P, P)
            multiply(
                going_on, 3 * P, u_first, u_last, source, at, distance, dz, after, 4 * P, w, through_gates, r_first * P,
                P, gates, now * 4 * P,
            )  # fmt: skip
        for n in range(active):
            for unit in range(u_first, u_last, L):
                gate, state = (now + n) * 4 * P + unit, (r_first + n) * P + unit
                dh_t = load(1, 1, dh, state, 0)
                if masked and n < going_on:
                    dh_t = fma(load(1, 1, d_seen, state, 0), load(1, 1, mask, state, 0), dh_t)
                if has_d_h:
                    dh_t = dh_t + load(1, 1, d_h, (now + n) * P + unit, 0)
                n_t, r_t = load(1, 1, gates, gate, 0), load(1, 1, gates, gate + P, 0)
                z_t, m_t = load(1, 1, gates, gate + 2 * P, 0), load(1, 1, gates, gate + 3 * P, 0)
                h_before = load(1, 1, states, s_at + (now + n) * s_stride + unit, 0)
                d_n = dh_t * (1 - z_t) * (1 - n_t * n_t)
                store(d_n, dz, gate, 0)
                store(d_n * m_t * r_t * (1 - r_t), dz, gate + P, 0)
                store(dh_t * (h_before - n_t) * z_t * (1 - z_t), dz, gate + 2 * P, 0)
                store(d_n * r_t, dz, gate + 3 * P, 0)
                store(dh_t * z_t, dh, state, 0)
            for first in range((now + n) * 4 * P, (now + n + 1) * 4 * P, P):
                for unit in range(max(H, u_first), u_last):  # zero already, but where an input is infinite
                    dz[first + unit] = 0
        going_on = active
        if size > 1:
            meet(meeting, size)


@entry
def one_step(starts, N, C, H, P, rows, stride, w, sums, zero, x, h):
    """h[N, H]: the state after the inputs x[N, C]; it is left where a next step begins. rows[2, N, stride]."""
    # not literals, for which Numba would compile the steps once more
    begin, no, size = np.int64(0), starts[0] > 0, np.int64(1)
    put_inputs(N, C, x, rows, stride)
    forward_steps(
        starts, begin, N, begin, P, C, H, P, rows, stride, rows, C + 1, stride, zero, no, w, zero, no, sums, begin,
        zero, starts, size,
    )  # fmt: skip
    take_states(N, C, H, rows, stride, h)
