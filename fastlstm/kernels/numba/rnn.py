"""Vanilla RNN in Numba.

Elman (1990)::

    h = tanh(W [x, 1, h'])

h' is the state before the step.
"""

from functools import partial

from fastlstm.kernels.numba.activations import tanh
from fastlstm.kernels.numba.buffers import transpose, unpack_gates
from fastlstm.kernels.numba.jit import entry, inlined, kernel
from fastlstm.kernels.numba.matmul import Matrix, multiply
from fastlstm.kernels.numba.pairs import has_gaps, operands, operands_of_row, put_factor
from fastlstm.kernels.numba.recurrence import Cell, whole_gradient
from fastlstm.kernels.numba.steps import ZERO, start_from_known
from fastlstm.kernels.numba.structs import read_part, share
from fastlstm.kernels.numba.tiles import load, pointer, shift, store, width


@entry
def pack(sizes, parts, weights, out):
    """Pack the weights of [x, 1, h'] into panels like those of `pack_groups`."""
    (C, H, P), (weight_ih, weight_hh, bias_ih, bias_hh) = sizes, weights
    L, K = width(out), operands_of_row(C, H, out)
    weight_ih, weight_hh, out = pointer(weight_ih), pointer(weight_hh), pointer(out)
    bias_ih, bias_hh = pointer(bias_ih), pointer(bias_hh)
    unit, u_last = share(read_part(parts), P, 4 * L)
    while unit < u_last:
        wide = 4 * L if unit + 4 * L <= u_last else 2 * L if unit + 2 * L <= u_last else L
        at, units = unit * K, min(wide, H - unit)
        if units < wide or has_gaps(C, H, out):
            for j in range(K * wide):
                out[at + j] = 0
        for side in range(2):  # a single loop for both halves the compile time
            of_h = at + operands(C + 1, out) * wide
            inputs, weight, there = (H, weight_hh, of_h) if side else (C, weight_ih, at)
            transpose(inputs, units, Matrix(shift(weight, unit * inputs), inputs), Matrix(shift(out, there), wide))
        for j in range(units):
            put_factor(shift(out, at + j), C, wide, bias_ih[unit + j] + bias_hh[unit + j])
        unit += wide


@kernel
def ahead_of(run):
    return 1  # this cell stores no gates, so there is nothing to prefetch


@kernel
def group(rows, L):
    return 4 * L


@kernel
def sum_at(active, n, unit, L):
    return n * 4 * L + unit


@inlined
def sums(run, step, first, last, w, ahead, out):
    L, K, rows = width(w), operands_of_row(run.C, run.H, w), shift(run.factors, step.now * run.f_stride)
    start = Matrix(run.zero, ZERO)
    if run.looks_up:
        for unit in range(first, last, L):
            start_from_known(run, step, unit, 1, shift(out, unit - first), 4 * L)
        start = Matrix(out, 4 * L)
    rows_of_step = Matrix(rows, run.f_stride)
    multiply(step.active, K, last - first, start, rows_of_step, shift(w, first * K), Matrix(out, 4 * L), rows)


@kernel
def state(run, at, sums):
    return tanh(load(1, 1, sums, 0, 0))


@kernel
def gradients(run, at, dh):
    h = load(1, 1, run.states, at.after, 0)
    store(dh * (1 - h * h), run.dz, at.gate, 0)


CELL = Cell(
    name="rnn",
    pack=pack,
    unpack=partial(unpack_gates, 1),
    gradient=whole_gradient(1),
    ahead_of=ahead_of,
    group=group,
    sum_at=sum_at,
    sums=sums,
    state=state,
    gradients=gradients,
)
