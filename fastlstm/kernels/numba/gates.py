"""Packing and matrix products for cells whose gates are all functions of W [x, 1, h']; see ``recurrence.py``."""

from functools import partial

from fastlstm.kernels.numba.buffers import pack_gates, unpack_gates
from fastlstm.kernels.numba.jit import inlined, kernel
from fastlstm.kernels.numba.matmul import PRODUCTS, Matrix
from fastlstm.kernels.numba.pairs import operands_of_row
from fastlstm.kernels.numba.recurrence import Cell, whole_gradient
from fastlstm.kernels.numba.steps import ZERO, group_in_cache, start_from_known, sum_of_slots
from fastlstm.kernels.numba.target import ROWS
from fastlstm.kernels.numba.tiles import shift, width


@kernel
def _ahead_of(run):
    return operands_of_row(run.C, run.H, run.factors)


def cell_of_gates(name, gates, state, gradients):
    """Create a `Cell` with `gates` gates from its equations, `state`, and their derivatives, `gradients`."""
    products = PRODUCTS[gates]

    @inlined
    def sums(run, step, first, last, w, ahead, out):
        L, P, K = width(w), run.P, operands_of_row(run.C, run.H, w)
        rows, zero = Matrix(shift(run.factors, step.now * run.f_stride), run.f_stride), Matrix(run.zero, ZERO)
        next_gates = shift(run.gates, step.later * gates * P if run.recording else 0)
        for unit in range(first, last, L):
            at = Matrix(shift(out, (unit - first) * step.active * gates), gates * L)
            soon, start = (shift(next_gates, unit * gates * ROWS), gates * P, ahead), zero
            if run.looks_up:
                start_from_known(run, step, unit, gates, at.at, at.stride)
                start = at
            products(step.active, K, start, rows, shift(w, unit * gates * K), at, soon)

    return Cell(
        name=name,
        pack=partial(pack_gates, gates),
        unpack=partial(unpack_gates, gates),
        gradient=whole_gradient(gates),
        ahead_of=_ahead_of,
        group=group_in_cache,
        sum_at=sum_of_slots(gates),
        sums=sums,
        state=state,
        gradients=gradients,
    )
