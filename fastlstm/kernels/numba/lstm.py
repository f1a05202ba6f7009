"""LSTM from register tiles.

Hochreiter & Schmidhuber (1997), with the forget gate of Gers, Schmidhuber & Cummins (2000)::

    i = sigmoid(W_i [x, 1, h'])      c = f * c' + i * g
    f = sigmoid(W_f [x, 1, h'])      h = o * tanh(c)
    g = tanh(W_g [x, 1, h'])
    o = sigmoid(W_o [x, 1, h'])      h', c': the states before the step
"""

import numpy as np

from fastlstm.kernels.compiled.layout import SUMS_BYTES
from fastlstm.kernels.numba.activations import sigmoid, tanh
from fastlstm.kernels.numba.buffers import mask_states, put_inputs, take_states
from fastlstm.kernels.numba.jit import entry, kernel
from fastlstm.kernels.numba.matmul import multiply, products4
from fastlstm.kernels.numba.meeting import meet
from fastlstm.kernels.numba.target import ROWS, VECTOR_BYTES
from fastlstm.kernels.numba.tiles import fma, load, pointer, store, width


@kernel
def gates_and_states(sums, at, c_before):
    """The equations, for one vector of units whose gates' sums are at sums[at][4][L]."""
    L = width(sums)
    i, f = sigmoid(load(1, 1, sums, at, 0)), sigmoid(load(1, 1, sums, at + L, 0))
    g, o = tanh(load(1, 1, sums, at + 2 * L, 0)), sigmoid(load(1, 1, sums, at + 3 * L, 0))
    c = fma(f, c_before, i * g)
    return i, f, g, o, c, o * tanh(c)


@entry
def forward_steps(
    starts,
    r_first,
    r_last,
    u_first,
    u_last,
    C,
    H,
    P,
    rows,
    stride,
    states,
    s_at,
    s_stride,
    mask,
    masked,
    w,
    c,
    gates,
    recording,
    sums,
    sums_at,
    zero,
    meeting,
    size,
):
    """All steps of the sequences from r_first to r_last, for the units from u_first to u_last.

    rows[M+N, stride], c[M+N, P] and gates[M, 4, P] as in `Run`, w as `pack_gates` lays it out; sums has room for those
    of a group of units, from sums_at on; zero[4, L] is zeros. Unless `recording`, c[N, P] holds the last state only.
    The states h are in states[M+N, .], from s_at on: in the rows themselves or, where `masked`, beside them, and the
    rows hold them times mask[N, P].
    Threads that divide the units meet after every step: there are `size` of them, or 1.
    """
    T = starts.size - 1
    starts, rows, w, c = pointer(starts), pointer(rows), pointer(w), pointer(c)
    states, mask = pointer(states), pointer(mask)
    gates, sums, zero = pointer(gates), pointer(sums), pointer(zero)
    L, K = width(w), C + 1 + H
    # Each unit's products ask for a share of the memory that the next step's gates will be written to.
    share = (4 * L * ROWS + K - 1) // K if recording else 0
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
                products4(
                    active, K, zero, begin, begin, rows, now * stride, stride, w, unit * 4 * K,
                    sums, sums_at + (unit - first) * active * 4, 4 * L,
                    gates, next_gates + unit * 4 * ROWS, 4 * P, share,
                )  # fmt: skip
            for unit in range(first, last, L):
                for n in range(active):
                    after = (starts[t + 1] if n < going_on else starts[T]) + r_first + n
                    here, there = (now + n, after) if recording else (r_first + n, r_first + n)
                    at = sums_at + ((unit - first) * active + n * L) * 4
                    i, f, g, o, c_t, h_t = gates_and_states(sums, at, load(1, 1, c, here * P + unit, 0))
                    store(c_t, c, there * P + unit, 0)
                    store(h_t, states, s_at + after * s_stride + unit, 0)
                    if recording:
                        gate = here * 4 * P + unit
                        store(i, gates, gate, 0)
                        store(f, gates, gate + P, 0)
                        store(g, gates, gate + 2 * P, 0)
                        store(o, gates, gate + 3 * P, 0)
            if masked:
                mask_states(
                    active, going_on, r_first, first, last, starts[t + 1] + r_first, starts[T] + r_first, P, mask,
                    states, s_at, s_stride, rows, C + 1, stride,
                )  # fmt: skip
        if size > 1:
            meet(meeting, size)


@entry
def backward_steps(
    starts, r_first, r_last, u_first, u_last, H, P, mask, masked, w, c, gates, d_h, has_d_h, dz, dh, dc, zero, to_start,
    meeting, size,
):  # fmt: skip
    """dz[M, 4, P]: the gradient of the gates' sums, which may be stored where the gates were.

    dh, dc[N, P] come with the gradient of every sequence's last state and, where `to_start`, leave with that of its
    first, of h as the gates see it. d_h[M, P] is that of the outputs. w[4 * P, P] as `pack_panels` lays it out. Parts
    and mask as in `forward_steps`.
    """
    T = starts.size - 1
    starts, w, c, gates, d_h = pointer(starts), pointer(w), pointer(c), pointer(gates), pointer(d_h)
    mask = pointer(mask)
    dz, dh, dc, zero = pointer(dz), pointer(dh), pointer(dc), pointer(zero)
    L = width(w)
    going_on = np.int64(0)  # rows that have a step after this one; not a literal, as in `forward_steps`
    for t in range(T - 1, -2 if to_start else -1, -1):
        now = starts[max(t, 0)] + r_first
        active = min(r_last, starts[t + 1] - starts[t]) - r_first if t >= 0 else 0
        if going_on > 0:
            after, with_outputs = (starts[t + 1] + r_first) * 4 * P, has_d_h and t >= 0 and not masked
            source, at, distance = (d_h, now * P, P) if with_outputs else (zero, 0, 0)
            multiply(
                going_on, 4 * P, u_first, u_last, source, at, distance, dz, after, 4 * P, w, dh, r_first * P, P, gates,
                now * 4 * P,
            )  # fmt: skip
        for n in range(active):
            for unit in range(u_first, u_last, L):
                here, gate, state = (now + n) * P + unit, (now + n) * 4 * P + unit, (r_first + n) * P + unit
                dh_t = load(1, 1, dh, state, 0)
                if masked and n < going_on:
                    dh_t = dh_t * load(1, 1, mask, state, 0)
                if has_d_h and (masked or n >= going_on):
                    dh_t = dh_t + load(1, 1, d_h, here, 0)
                i, f = load(1, 1, gates, gate, 0), load(1, 1, gates, gate + P, 0)
                g, o = load(1, 1, gates, gate + 2 * P, 0), load(1, 1, gates, gate + 3 * P, 0)
                after = (starts[t + 1] if n < going_on else starts[T]) + r_first + n
                c_before, tanh_c = load(1, 1, c, here, 0), tanh(load(1, 1, c, after * P + unit, 0))
                dc_t = fma(dh_t * o, 1 - tanh_c * tanh_c, load(1, 1, dc, state, 0))
                store(dc_t * g * i * (1 - i), dz, gate, 0)
                store(dc_t * c_before * f * (1 - f), dz, gate + P, 0)
                store(dc_t * i * (1 - g * g), dz, gate + 2 * P, 0)
                store(dh_t * tanh_c * o * (1 - o), dz, gate + 3 * P, 0)
                store(dc_t * f, dc, state, 0)
            for first in range((now + n) * 4 * P, (now + n + 1) * 4 * P, P):
                for unit in range(max(H, u_first), u_last):  # zero already, but where an input is infinite
                    dz[first + unit] = 0
        going_on = active
        if size > 1:
            meet(meeting, size)


@entry
def one_step(starts, N, C, H, P, rows, stride, w, c, sums, zero, x, h):
    """h[N, H]: the state after the inputs x[N, C]; it is left where a next step begins. rows[2, N, stride]."""
    # not literals, for which Numba would compile the steps once more
    begin, no, size = np.int64(0), starts[0] > 0, np.int64(1)
    put_inputs(N, C, x, rows, stride)
    forward_steps(
        starts, begin, N, begin, P, C, H, P, rows, stride, rows, C + 1, stride, zero, no, w, c, zero, no, sums, begin,
        zero, starts, size,
    )  # fmt: skip
    take_states(N, C, H, rows, stride, h)
