"""Packing of weights, and copying of inputs, outputs and gradients; for the layout of rows, see ``compiled.layout``."""

from fastlstm.kernels.numba.jit import entry, kernel
from fastlstm.kernels.numba.matmul import Matrix
from fastlstm.kernels.numba.pairs import (
    factors_in,
    has_gaps,
    operands,
    operands_of_row,
    put_factor,
    put_operands,
    put_transposed,
)
from fastlstm.kernels.numba.structs import read_part, read_run, share
from fastlstm.kernels.numba.tiles import load, load_transposed, pointer, prefetch, shift, store, width

AHEAD = 8  # prefetch distance in rows


@entry
def add_rows(rows, which, columns, out, Q):
    """out[which[m, s]] += rows[m] for all M rows in order and each s, in the range of `columns` of out[., Q].

    rows is (array, M, row stride).
    """
    (rows, M, stride), (first, last) = rows, columns
    for m in range(M):
        for s in range(which.shape[1]):
            at = which[m, s] * Q
            for q in range(first, last):
                out[at + q] += rows[m * stride + q]


@kernel
def transpose(R, Q, a, out):
    """out[R, Q] = a[Q, R].T, R factors"""
    L = width(a.at)
    for r in range(0, R, L):
        for q in range(0, Q, L):
            if r + L <= R and q + L <= Q:
                square = load_transposed(a.at, q * a.stride + r, a.stride)
                put_transposed(square, out.at, operands(r, out.at) * out.stride + q, out.stride)
                continue
            for r_edge in range(r, min(r + L, R)):
                for q_edge in range(q, min(q + L, Q)):
                    put_factor(shift(out.at, q_edge), r_edge, out.stride, a.at[q_edge * a.stride + r_edge])


@entry
def pack_gates(G, sizes, parts, weights, out):
    """out[P/L][K][G][L]: for each vector of a part's units, the K operands of [x, 1, h'] for its G gates."""
    (C, H, P), (weight_ih, weight_hh, bias_ih, bias_hh) = sizes, weights
    L, K = width(out), operands_of_row(C, H, out)
    weight_ih, weight_hh, out = pointer(weight_ih), pointer(weight_hh), pointer(out)
    bias_ih, bias_hh = pointer(bias_ih), pointer(bias_hh)
    first, last = share(read_part(parts), P, 4 * L)
    for unit in range(first, last, L):
        at, units = unit * G * K, min(L, H - unit)
        if units < L or has_gaps(C, H, out):
            for j in range(K * G * L):
                out[at + j] = 0
        for gate in range(G):
            row, here = gate * H + unit, at + gate * L
            for side in range(2):  # a single loop for both halves the compile time
                of_h = here + operands(C + 1, out) * G * L
                inputs, weight, there = (H, weight_hh, of_h) if side else (C, weight_ih, here)
                transpose(inputs, units, Matrix(shift(weight, row * inputs), inputs), Matrix(shift(out, there), G * L))
            for j in range(units):
                put_factor(shift(out, here + j), C, G * L, bias_ih[row + j] + bias_hh[row + j])


@entry
def pack_groups(groups, sizes, columns, w, out):
    """Pack columns of w[G, H, M] into contiguous panels of 4L, then 2L, then L columns, padded with zeros beyond M.

    groups is (G, start): the groups are rotated to start with group `start`, and each is padded from H to P rows with
    zeros. sizes is (H, P, M), columns is (first, last).
    """
    (G, start), (H, P, M), (m, last) = groups, sizes, columns
    L, size = width(w), factors_in(out)
    w, out = pointer(w), pointer(out)
    while m < last:
        wide = 4 * L if m + 4 * L <= last else 2 * L if m + 2 * L <= last else L
        filled, at = min(wide, M - m), m * operands(G * P, out)
        for g in range(G):
            group = (g + start) % G
            for row in range(0, P, size):
                if row < H and filled == 4 * L:
                    put_operands(4, w, (group * H + row) * M + m, M, H - row, out, at)
                else:
                    for j in range(wide):
                        for k in range(size):
                            is_there = row + k < H and j < filled
                            put_factor(
                                shift(out, at + j), k, wide, w[(group * H + row + k) * M + m + j] if is_there else 0
                            )
                at += wide
        m += wide


@entry
def unpack_gates(G, sizes, parts, d_w, d_weights):
    """Copy the gradient from a part's columns of d_w[C+1+H, G * P] to arrays in the shapes of the weights."""
    (C, H, P), (d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh) = sizes, d_weights
    d_weight_ih, d_weight_hh, L, Q = pointer(d_weight_ih), pointer(d_weight_hh), width(d_w), G * P
    d_bias_ih, d_bias_hh, d_w = pointer(d_bias_ih), pointer(d_bias_hh), pointer(d_w)
    first, last = share(read_part(parts), Q, 4 * L)
    for gate in range(G):
        begin, end = max(first - gate * P, 0), min(last - gate * P, H)
        column, unit = gate * P + begin, gate * H + begin
        for side in range(2):  # a single loop for both halves the compile time
            K, row, d_weight = (H, C + 1, d_weight_hh) if side else (C, 0, d_weight_ih)
            if begin < end:
                block = Matrix(shift(d_w, row * Q + column), Q)
                transpose(end - begin, K, block, Matrix(shift(d_weight, unit * K), K))
        for j in range(end - begin):
            bias = d_w[C * Q + column + j]
            d_bias_ih[unit + j] = bias
            d_bias_hh[unit + j] = bias


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
def put_states(run, part, h_0, c_0, given):
    """Write the initial states of a part's sequences: h_0[N, H] and c_0[N, H] if `given`, else zeros."""
    for n in range(part.first, part.last):
        for unit in range(run.P):
            h = h_0[n, unit] if given and unit < run.H else 0
            run.states[n * run.s_stride + unit] = h
            if run.masked:
                run.rows[n * run.stride + run.C + 1 + unit] = h * run.mask[n * run.P + unit]
            if run.has_c:
                run.c[n * run.P + unit] = c_0[n, unit] if given and unit < run.H else 0


@entry
def load_rows(runs, parts, x, at, reverse, h_0, c_0, given):
    """Write the inputs, ones and initial states of a part's sequences; see `Run.load`."""
    run, part, x = read_run(runs, x), read_part(parts), pointer(x)
    starts, lengths, C, at = run.starts, run.lengths, run.C, pointer(at)
    for t in range(run.T):
        end = min(part.last, starts[t + 1] - starts[t])
        for n in range(part.first, end):
            row = (starts[t] + n) * run.stride
            # series and rows are far apart in memory: the hardware prefetcher does not anticipate them
            prefetch(x, at[min(n + AHEAD, end - 1)] + t * C)
            prefetch(run.rows, row + AHEAD * run.stride)
            copy(C, x, at[n] + (lengths[n] - 1 - t if reverse else t) * C, run.rows, row)
            run.rows[row + C] = 1
    put_states(run, part, h_0, c_0, given)


@entry
def begin_rows(runs, parts, h_0, c_0, given):
    """Write the ones and initial states of a part's sequences."""
    run, part = read_run(runs, h_0), read_part(parts)
    for t in range(run.T):
        for n in range(part.first, min(part.last, run.starts[t + 1] - run.starts[t])):
            run.rows[(run.starts[t] + n) * run.stride + run.C] = 1
    put_states(run, part, h_0, c_0, given)


@entry
def copy_outputs(runs, parts, reverse, out, column, stride):
    """out[row of step t] = the state after step t, in H columns starting at `column`, for a part's sequences.

    With `reverse`, out is in reversed time.
    """
    run, part, out = read_run(runs, out), read_part(parts), pointer(out)
    starts, lengths = run.starts, run.lengths
    for t in range(run.T):
        for n in range(part.first, min(part.last, starts[t + 1] - starts[t])):
            after = (starts[t + 1] if t + 1 < lengths[n] else run.M) + n
            there = (starts[lengths[n] - 1 - t] if reverse else starts[t]) + n
            copy(run.H, run.states, after * run.s_stride, out, column + there * stride)


@entry
def add_gradients(runs, parts, reverse, d, column, stride, accumulate):
    """d_h[row of step t] = d[row of step t], or += it with `accumulate`; otherwise as `copy_outputs`."""
    run, part, d, L = read_run(runs, d), read_part(parts), pointer(d), width(d)
    starts, lengths, d_h = run.starts, run.lengths, run.d_h
    whole = run.H // L * L
    for t in range(run.T):
        for n in range(part.first, min(part.last, starts[t + 1] - starts[t])):
            here = (starts[t] + n) * run.P
            there = column + ((starts[lengths[n] - 1 - t] if reverse else starts[t]) + n) * stride
            if not accumulate:
                copy(run.H, d, there, d_h, here)
                continue
            for j in range(0, whole, L):
                store(load(1, 1, d_h, here + j, 0) + load(1, 1, d, there + j, 0), d_h, here + j, 0)
            for j in range(whole, run.H):
                d_h[here + j] += d[there + j]
