"""Vanilla RNN from register tiles.

Elman (1990)::

    h = tanh(W [x, 1, h'])      h': the state before the step
"""

import numpy as np

from fastlstm.kernels.numba.activations import tanh
from fastlstm.kernels.numba.buffers import mask_states, put_inputs, take_states, transpose
from fastlstm.kernels.numba.jit import entry
from fastlstm.kernels.numba.matmul import multiply
from fastlstm.kernels.numba.meeting import meet
from fastlstm.kernels.numba.tiles import load, pointer, store, width


@entry
def pack(C, H, P, first, last, weight_ih, weight_hh, bias_ih, bias_hh, out):
    """The weights of [x, 1, h'] of the units from `first` to `last`, in panels as those of `pack_panels`."""
    L, K = width(out), C + 1 + H
    unit = first
    while unit < last:
        wide = 4 * L if unit + 4 * L <= last else 2 * L if unit + 2 * L <= last else L
        at, units = unit * K, min(wide, H - unit)
        if units < wide:
            for j in range(K * wide):
                out[at + j] = 0
        transpose(C, units, weight_ih, unit * C, C, out, at, wide)
        for j in range(units):
            out[at + C * wide + j] = bias_ih[unit + j] + bias_hh[unit + j]
        transpose(H, units, weight_hh, unit * H, H, out, at + (C + 1) * wide, wide)
        unit += wide


@entry
def forward_steps(
    starts, r_first, r_last, u_first, u_last, C, H, P, rows, stride, states, s_at, s_stride, mask, masked, w, sums,
    sums_at, zero, meeting, size,
):  # fmt: skip
    """All steps of the sequences from r_first to r_last, for the units from u_first to u_last.

    rows[M+N, stride] as in `Run`, w as `pack` lays it out; sums from sums_at has room for those of a panel; zero is
    zeros. Threads that divide the units meet after every step: there are `size` of them, or 1. The states are in
    states[M+N, .], from s_at on: in the rows themselves or, where `masked`, beside them, and the rows hold them times
    mask[N, P].
    """
    T = starts.size - 1
    starts, rows, w, sums, zero = pointer(starts), pointer(rows), pointer(w), pointer(sums), pointer(zero)
    states, mask = pointer(states), pointer(mask)
    L, K = width(w), C + 1 + H
    begin = np.int64(0)  # not a literal, for which Numba would compile the products once more
    for t in range(T):
        now = starts[t] + r_first
        active = min(r_last, starts[t + 1] - starts[t]) - r_first
        if active <= 0:  # all of these sequences have ended; threads that meet have all rows, and never come here
            break
        going_on = min(r_last, starts[t + 2] - starts[t + 1]) - r_first if t + 1 < T else 0
        for first in range(u_first, u_last, 4 * L):
            last = min(first + 4 * L, u_last)
            multiply(
                active, K, first, last, zero, begin, begin, rows, now * stride, stride, w, sums, sums_at - first, 4 * L,
                rows, now * stride,
            )  # fmt: skip
            for n in range(active):
                after = (starts[t + 1] if n < going_on else starts[T]) + r_first + n
                for unit in range(first, last, L):
                    h_t = tanh(load(1, 1, sums, sums_at + n * 4 * L + unit - first, 0))
                    store(h_t, states, s_at + after * s_stride + unit, 0)
            if masked:
                mask_states(
                    active, going_on, r_first, first, last, starts[t + 1] + r_first, starts[T] + r_first, P, mask,
                    states, s_at, s_stride, rows, C + 1, stride,
                )  # fmt: skip
        if size > 1:
            meet(meeting, size)


@entry
def backward_steps(
    starts, r_first, r_last, u_first, u_last, H, P, states, s_at, s_stride, mask, masked, w, d_h, has_d_h, dz, dh, zero,
    to_start, meeting, size,
):  # fmt: skip
    """dz[M, P]: the gradient of the sums.

    dh[N, P] comes with the gradient of every sequence's last state and, where `to_start`, leaves with that of its
    first, as the gates see it. d_h[M, P] is that of the outputs. w[P, P] as `pack_panels` lays it out. Parts, states
    and mask as in `forward_steps`.
    """
    T = starts.size - 1
    starts, w, states, mask, d_h = pointer(starts), pointer(w), pointer(states), pointer(mask), pointer(d_h)
    dz, dh, zero = pointer(dz), pointer(dh), pointer(zero)
    L = width(w)
    going_on = np.int64(0)  # rows that have a step after this one; not a literal, as in `forward_steps`
    for t in range(T - 1, -2 if to_start else -1, -1):
        now = starts[max(t, 0)] + r_first
        active = min(r_last, starts[t + 1] - starts[t]) - r_first if t >= 0 else 0
        if going_on > 0:
            source, at, distance = (d_h, now * P, P) if has_d_h and t >= 0 and not masked else (zero, 0, 0)
            multiply(
                going_on, P, u_first, u_last, source, at, distance, dz, (starts[t + 1] + r_first) * P, P, w,
                dh, r_first * P, P, states, s_at + now * s_stride,
            )  # fmt: skip
        for n in range(active):
            after = s_at + ((starts[t + 1] if n < going_on else starts[T]) + r_first + n) * s_stride
            for unit in range(u_first, u_last, L):
                here, state = (now + n) * P + unit, (r_first + n) * P + unit
                dh_t, h_t = load(1, 1, dh, state, 0), load(1, 1, states, after + unit, 0)
                if masked and n < going_on:
                    dh_t = dh_t * load(1, 1, mask, state, 0)
                if has_d_h and (masked or n >= going_on):
                    dh_t = dh_t + load(1, 1, d_h, here, 0)
                store(dh_t * (1 - h_t * h_t), dz, here, 0)
            for unit in range(max(H, u_first), u_last):  # zero already, but where an input is infinite
                dz[(now + n) * P + unit] = 0
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
        starts, begin, N, begin, P, C, H, P, rows, stride, rows, C + 1, stride, zero, no, w, sums, begin, zero, starts,
        size,
    )  # fmt: skip
    take_states(N, C, H, rows, stride, h)
