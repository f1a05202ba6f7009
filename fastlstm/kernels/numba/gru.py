"""GRU in Numba.

Cho et al. (2014), with the reset gate applied after the matrix product, as in ``torch.nn.GRU`` (``reset_after=True`` in
Keras)::

    r = sigmoid(W_r [x, 1] + U_r h' + b_r)      n = tanh(W_n [x, 1] + r * m),   m = U_n h' + b_m
    z = sigmoid(W_z [x, 1] + U_z h' + b_z)      h = (1 - z) * n + z * h'

h' is the state before the step. The terms of x and h' in the candidate are kept separate until r is known. The slots
are ordered [n, r, z, m], so that the products of the inputs fill the first three and those of the states the last
three, without any redundant work.
"""

from fastlstm.kernels.numba.activations import sigmoid, tanh
from fastlstm.kernels.numba.buffers import transpose
from fastlstm.kernels.numba.jit import entry, inlined, kernel
from fastlstm.kernels.numba.matmul import Matrix, products3
from fastlstm.kernels.numba.pairs import factors_of_x, has_gaps, operands, operands_of_row, put_factor, reals
from fastlstm.kernels.numba.recurrence import Cell
from fastlstm.kernels.numba.steps import ZERO, group_in_cache, start_from_known, sum_of_slots
from fastlstm.kernels.numba.structs import read_part, share
from fastlstm.kernels.numba.target import ROWS
from fastlstm.kernels.numba.tiles import fma, load, pointer, shift, store, width


@entry
def pack(sizes, parts, weights, out):
    """For each vector of units: bias of m [L], operands of [x, 1] [.][n, r, z][L], and those of h' [.][r, z, m][L]."""
    (C, H, P), (weight_ih, weight_hh, bias_ih, bias_hh) = sizes, weights
    L, block = width(out), (1 + 3 * operands_of_row(C, H, out)) * width(out)
    weight_ih, weight_hh, out = pointer(weight_ih), pointer(weight_hh), pointer(out)
    bias_ih, bias_hh = pointer(bias_ih), pointer(bias_hh)
    first, last = share(read_part(parts), P, 4 * L)
    for unit in range(first, last, L):
        at, units = unit // L * block, min(L, H - unit)
        if units < L or has_gaps(C, H, out):
            for j in range(block):
                out[at + j] = 0
        x_at, h_at = at + L, at + (1 + 3 * operands(C + 1, out)) * L
        for gate in range(3):  # r, z, n, in the order of the weights
            row, x_slot, h_slot = gate * H + unit, x_at + (gate + 1) % 3 * L, h_at + gate * L
            for side in range(2):  # a single loop for both halves the compile time
                inputs, weight, slot = (H, weight_hh, h_slot) if side else (C, weight_ih, x_slot)
                transpose(inputs, units, Matrix(shift(weight, row * inputs), inputs), Matrix(shift(out, slot), 3 * L))
            for j in range(units):
                both = gate < 2
                bias = bias_ih[row + j] + bias_hh[row + j] if both else bias_ih[row + j]
                put_factor(shift(out, x_slot + j), C, 3 * L, bias)
                if not both:
                    reals(out)[at + j] = bias_hh[row + j]


@kernel
def offset_of_n(C, H, P):
    return (C + 1 + H) * 2 * P


@kernel
def offset_of_m(C, H, P):
    return offset_of_n(C, H, P) + (C + 1) * P


def gradient(C, H, P):
    """The three blocks of d_w: [x, 1, h'] by r and z [C+1+H, 2, P], [x, 1] by n [C+1, P], and [1, h'] by m [1+H, P]."""
    K, of_n = C + 1 + H, offset_of_n.py_func(C, H, P)
    return [(0, K, 1, 2, 0), (0, C + 1, 0, 1, of_n), (C, K, 3, 1, of_n + (C + 1) * P)]


@entry
def unpack(sizes, parts, d_w, d_weights):
    """Copy the gradient from d_w, laid out as `gradient` describes, to arrays in the shapes of the weights."""
    (C, H, P), (d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh) = sizes, d_weights
    d_weight_ih, d_weight_hh, L = pointer(d_weight_ih), pointer(d_weight_hh), width(d_w)
    d_bias_ih, d_bias_hh, d_w = pointer(d_bias_ih), pointer(d_bias_hh), pointer(d_w)
    first, last = share(read_part(parts), 2 * P, 4 * L)
    n_first, n_last = share(read_part(parts), P, 4 * L)
    for gate in range(3):
        both = gate < 2  # the weights of inputs and states are in the same block
        Q, column = (2 * P, gate * P) if both else (P, 0)
        begin, end = (max(first - column, 0), min(last - column, H)) if both else (n_first, min(n_last, H))
        for side in range(2):  # a single loop for both halves the compile time
            K, d_weight, d_bias = (H, d_weight_hh, d_bias_hh) if side else (C, d_weight_ih, d_bias_ih)
            block = 0 if both else offset_of_m(C, H, P) if side else offset_of_n(C, H, P)
            bias_row = C if both or side == 0 else 0
            row = bias_row + 1 if side else 0
            at, bias_at, unit = block + row * Q + column + begin, block + bias_row * Q + column, gate * H
            if begin < end:
                transpose(end - begin, K, Matrix(shift(d_w, at), Q), Matrix(shift(d_weight, (unit + begin) * K), K))
            for j in range(begin, end):
                d_bias[unit + j] = d_w[bias_at + j]


@kernel
def ahead_of(run):
    return operands(run.H, run.factors)


@inlined
def sums(run, step, first, last, w, ahead, out):
    L, C, H, P = width(w), run.C, run.H, run.P
    x = Matrix(shift(run.factors, step.now * run.f_stride), run.f_stride)
    h, of_x, of_h = Matrix(shift(x.at, factors_of_x(C, w)), run.f_stride), operands(C + 1, w), operands(H, w)
    next_gates = shift(run.gates, step.later * 4 * P if run.recording else 0)
    for unit in range(first, last, L):
        block, at = shift(w, unit * (1 + 3 * (of_x + of_h))), shift(out, (unit - first) * step.active * 4)
        bias_m, w_x = reals(block), shift(block, L)
        for n in range(step.active):
            store(load(1, 1, bias_m, 0, 0), at, (n * 4 + 3) * L, 0)
        start = Matrix(run.zero, ZERO)
        if run.looks_up:
            start_from_known(run, step, unit, 3, at, 4 * L)
            start = Matrix(at, 4 * L)
        products3(step.active, of_x, start, x, w_x, Matrix(at, 4 * L), (next_gates, ZERO, ZERO))
        sums_h = Matrix(shift(at, L), 4 * L)
        soon = shift(next_gates, unit * 4 * ROWS), 4 * P, ahead
        products3(step.active, of_h, sums_h, h, shift(w_x, 3 * of_x * L), sums_h, soon)


@kernel
def state(run, at, sums):
    L, P = width(sums), run.P
    h_before, m = load(1, 1, run.states, at.before, 0), load(1, 1, sums, 3 * L, 0)
    r, z = sigmoid(load(1, 1, sums, L, 0)), sigmoid(load(1, 1, sums, 2 * L, 0))
    n = tanh(fma(r, m, load(1, 1, sums, 0, 0)))

    if run.recording:
        store(n, run.gates, at.gate, 0)
        store(r, run.gates, at.gate + P, 0)
        store(z, run.gates, at.gate + 2 * P, 0)
        store(m, run.gates, at.gate + 3 * P, 0)
    return fma(z, h_before - n, n)


@kernel
def gradients(run, at, dh):
    P = run.P
    n, r = load(1, 1, run.gates, at.gate, 0), load(1, 1, run.gates, at.gate + P, 0)
    z, m = load(1, 1, run.gates, at.gate + 2 * P, 0), load(1, 1, run.gates, at.gate + 3 * P, 0)
    h_before = load(1, 1, run.states, at.before, 0)
    d_n = dh * (1 - z) * (1 - n * n)

    store(d_n, run.dz, at.gate, 0)
    store(d_n * m * r * (1 - r), run.dz, at.gate + P, 0)
    store(dh * (h_before - n) * z * (1 - z), run.dz, at.gate + 2 * P, 0)
    store(d_n * r, run.dz, at.gate + 3 * P, 0)
    store(dh * z, run.dh, at.sequence, 0)


CELL = Cell(
    name="gru",
    pack=pack,
    unpack=unpack,
    gradient=gradient,
    ahead_of=ahead_of,
    group=group_in_cache,
    sum_at=sum_of_slots(4),
    sums=sums,
    state=state,
    gradients=gradients,
)
