"""What all cells share: packing of weights, sequences in and gradients out; rows are as in ``compiled.layout``."""

from fastlstm.kernels.numba.jit import entry, inlined, kernel
from fastlstm.kernels.numba.tiles import load, load_transposed, pointer, prefetch, store, width

AHEAD = 8  # rows that are asked for before they are copied


@kernel
def transpose(R, Q, a, a_at, a_stride, out, out_at, out_stride):
    """out[R, Q] = a[Q, R].T"""
    L = width(a)
    for r in range(0, R, L):
        for q in range(0, Q, L):
            if r + L <= R and q + L <= Q:
                store(
                    load_transposed(a, a_at + q * a_stride + r, a_stride), out, out_at + r * out_stride + q, out_stride
                )
                continue
            for r_edge in range(r, min(r + L, R)):
                for q_edge in range(q, min(q + L, Q)):
                    out[out_at + r_edge * out_stride + q_edge] = a[a_at + q_edge * a_stride + r_edge]


@entry
def pack_gates(G, C, H, first, last, weight_ih, weight_hh, bias_ih, bias_hh, out):
    """out[P/L][C+1+H][G][L]: for each vector of units, the weights of [x, 1, h'] of its G gates."""
    weight_ih, weight_hh, out = pointer(weight_ih), pointer(weight_hh), pointer(out)
    bias_ih, bias_hh = pointer(bias_ih), pointer(bias_hh)
    L, K = width(out), C + 1 + H
    for unit in range(first, last, L):
        at, units = unit * G * K, min(L, H - unit)
        if units < L:
            for j in range(K * G * L):
                out[at + j] = 0
        for gate in range(G):
            row, here = gate * H + unit, at + gate * L
            for side in range(2):  # one loop for both, which halves the time to compile it
                inputs, weights, there = (H, weight_hh, here + (C + 1) * G * L) if side else (C, weight_ih, here)
                transpose(inputs, units, weights, row * inputs, inputs, out, there, G * L)
            for j in range(units):
                out[here + C * G * L + j] = bias_ih[row + j] + bias_hh[row + j]


@entry
def pack_panels(G, H, P, M, first, last, w, out):
    """out: columns `first` to `last` of w[G * H, M] in panels of 4L, then 2L, then L, each contiguous, zeros beyond M.

    Each of the G groups of H rows becomes P rows, zeros beyond H.
    """
    L = width(w)
    w, out, m = pointer(w), pointer(out), first
    while m < last:
        wide = 4 * L if m + 4 * L <= last else 2 * L if m + 2 * L <= last else L
        filled, at = min(wide, M - m), m * G * P
        for g in range(G):
            for row in range(P):
                if row < H and filled == 4 * L:
                    store(load(1, 4, w, (g * H + row) * M + m, 0), out, at, 0)
                else:
                    for j in range(wide):
                        out[at + j] = w[(g * H + row) * M + m + j] if row < H and j < filled else 0
                at += wide
        m += wide


@kernel
def copy(size, a, a_at, out, out_at):
    """out[size] = a[size]"""
    L = width(a)
    whole = size // L * L
    for j in range(0, whole, L):
        store(load(1, 1, a, a_at + j, 0), out, out_at + j, 0)
    for j in range(whole, size):
        out[out_at + j] = a[a_at + j]


@kernel
def put_state(first, last, C, H, P, h_0, has_state, rows, stride):
    """Initial states of the sequences from `first` to `last`: h_0[N, H], or zeros."""
    for n in range(first, last):
        for unit in range(P):
            rows[n * stride + C + 1 + unit] = h_0[n, unit] if has_state and unit < H else 0


@kernel
def mask_states(N, going_on, r_first, first, last, later, end, P, mask, states, s_at, s_stride, rows, h_at, stride):
    """What a step's states are for the gates of the next: the states times mask[., P], into the rows.

    For N sequences from r_first on and the units from `first` to `last`; the states are in the rows from `later` on for
    those sequences that are going on, from `end` on for the others.
    """
    L = width(rows)
    for n in range(N):
        after = (later if n < going_on else end) + n
        for unit in range(first, last, L):
            seen = load(1, 1, states, s_at + after * s_stride + unit, 0) * load(1, 1, mask, (r_first + n) * P + unit, 0)
            store(seen, rows, h_at + after * stride + unit, 0)


@entry
def load_rows(starts, lengths, reverse, first, last, C, H, P, x, at, h_0, has_state, rows, stride):
    """Inputs, ones and the initial states of the sequences from `first` to `last`; see `Run.load`."""
    T = starts.size - 1
    starts, lengths, x, at, rows = pointer(starts), pointer(lengths), pointer(x), pointer(at), pointer(rows)
    for t in range(T):
        end = min(last, starts[t + 1] - starts[t])
        for n in range(first, end):
            row = (starts[t] + n) * stride
            # series and rows lie far apart: no cache foresees them
            prefetch(x, at[min(n + AHEAD, end - 1)] + t * C)
            prefetch(rows, row + AHEAD * stride)
            copy(C, x, at[n] + (lengths[n] - 1 - t if reverse else t) * C, rows, row)
            rows[row + C] = 1
    put_state(first, last, C, H, P, h_0, has_state, rows, stride)


@entry
def begin_rows(starts, first, last, C, H, P, h_0, has_state, rows, stride):
    """Ones and the initial states of the sequences from `first` to `last`."""
    T = starts.size - 1
    starts, rows = pointer(starts), pointer(rows)
    for t in range(T):
        for n in range(first, min(last, starts[t + 1] - starts[t])):
            rows[(starts[t] + n) * stride + C] = 1
    put_state(first, last, C, H, P, h_0, has_state, rows, stride)


@entry
def copy_outputs(starts, lengths, turned, first, last, H, states, s_at, s_stride, out, o_at, o_stride):
    """out[row of step t] = states[row after step t], H numbers, for the sequences from `first` to `last`.

    Where `turned`, out goes through time the other way.
    """
    T = starts.size - 1
    M = starts[T]
    starts, lengths, states, out = pointer(starts), pointer(lengths), pointer(states), pointer(out)
    for t in range(T):
        for n in range(first, min(last, starts[t + 1] - starts[t])):
            after = (starts[t + 1] if t + 1 < lengths[n] else M) + n
            there = (starts[lengths[n] - 1 - t] if turned else starts[t]) + n
            copy(H, states, s_at + after * s_stride, out, o_at + there * o_stride)


@entry
def add_gradients(starts, lengths, turned, first, last, H, d, d_at, d_stride, d_h, h_stride, more):
    """d_h[row of step t] = d[row of step t], or added to it where `more`; otherwise as `copy_outputs`."""
    T, L = starts.size - 1, width(d)
    starts, lengths, d, d_h = pointer(starts), pointer(lengths), pointer(d), pointer(d_h)
    whole = H // L * L
    for t in range(T):
        for n in range(first, min(last, starts[t + 1] - starts[t])):
            here = (starts[t] + n) * h_stride
            there = d_at + ((starts[lengths[n] - 1 - t] if turned else starts[t]) + n) * d_stride
            if not more:
                copy(H, d, there, d_h, here)
                continue
            for j in range(0, whole, L):
                store(load(1, 1, d_h, here + j, 0) + load(1, 1, d, there + j, 0), d_h, here + j, 0)
            for j in range(whole, H):
                d_h[here + j] += d[there + j]


@inlined
def put_inputs(N, C, x, rows, stride):
    """x[N, C] as the inputs of the first N rows."""
    rows = pointer(rows)
    for n in range(N):
        for k in range(C):
            rows[n * stride + k] = x[n, k]


@inlined
def take_states(N, C, H, rows, stride, h):
    """h[N, H]: the states after one step; they are left where the next begins."""
    rows = pointer(rows)
    for n in range(N):
        before = n * stride + C + 1
        for unit in range(H):
            h[n, unit] = rows[before + unit] = rows[N * stride + before + unit]


@entry
def unpack(G, C, H, P, first, last, d_w, d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh):
    """Gradients in the shapes of the weights, from the columns `first` to `last` of d_w[C+1+H, G * P]."""
    d_w, d_weight_ih, d_weight_hh = pointer(d_w), pointer(d_weight_ih), pointer(d_weight_hh)
    d_bias_ih, d_bias_hh, Q = pointer(d_bias_ih), pointer(d_bias_hh), G * P
    for gate in range(G):
        begin, end = max(first - gate * P, 0), min(last - gate * P, H)
        column, unit = gate * P + begin, gate * H + begin
        for side in range(2):  # one loop for both, which halves the time to compile it
            K, row, d_weight = (H, C + 1, d_weight_hh) if side else (C, 0, d_weight_ih)
            if begin < end:
                transpose(end - begin, K, d_w, row * Q + column, Q, d_weight, unit * K, K)
        for j in range(end - begin):
            bias = d_w[C * Q + column + j]
            d_bias_ih[unit + j] = bias
            d_bias_hh[unit + j] = bias
