"""The loop over time of every cell, forward and backward: active rows, masks, groups of units, and barriers."""

from functools import lru_cache
from typing import NamedTuple

from fastlstm.kernels import CELLS
from fastlstm.kernels.numba.barrier import synchronize
from fastlstm.kernels.numba.jit import entry, kernel
from fastlstm.kernels.numba.matmul import Matrix, matrix_of, multiply
from fastlstm.kernels.numba.pairs import factors_in, operands
from fastlstm.kernels.numba.steps import (
    ZERO,
    clear_padding,
    place_of,
    put_inputs,
    row_after,
    show_gradients,
    show_inputs,
    show_states,
    step_of,
    take_states,
)
from fastlstm.kernels.numba.structs import read_part, read_run, rows_of, size_of_sums, units_of
from fastlstm.kernels.numba.subnormals import restore, without_subnormals
from fastlstm.kernels.numba.target import ROWS
from fastlstm.kernels.numba.tiles import fma, load, pointer, shift, store, width


class Cell(NamedTuple):
    """What the loop needs of a cell in addition to `kernels.CELLS`. All functions except `gradient` are compiled."""

    name: str
    pack: object  # (sizes, parts, weights, out): pack the weights for `sums`
    unpack: object  # (sizes, parts, d_w, d_weights): copy their gradient to arrays in the shapes of the weights
    gradient: object  # (C, H, P): blocks of d_w: inputs `first` to `last`, `gates` slots of dz from `slot` on, offset
    ahead_of: object  # (run): length K of the products that prefetch the memory of the next step's gates
    group: object  # (rows, L): number of units whose sums are computed together
    sum_at: object  # (active, n, unit, L): offset of the sums of row n and the group's unit
    sums: object  # (run, step, first, last, w, ahead, out): compute the sums of these units' gates in a step
    state: object  # (run, at, sums): the equations; return h for a row and vector of units, and store c and gates
    gradients: object  # (run, at, dh): their derivatives; store dz and, if applicable, dc or dh


def whole_gradient(gates):
    """`Cell.gradient` for cells in which every gate depends on all of [x, 1, h']."""
    return lambda C, H, P: [(0, C + 1 + H, 0, gates, 0)]


class Recurrence(NamedTuple):
    forward: object
    backward: object
    step: object
    advance: object  # called from other entries


def named(function, cell):
    function.__qualname__ = f"{cell.name}_{function.__name__}"  # key of the machine code cache
    return entry(function)


@lru_cache
def recurrence(cell):
    """The entries of a cell; each runs a whole loop over time in one call."""
    kind = CELLS[cell.name]
    GATES, SLOTS, KEEPS_GATES, DIRECT = len(kind.gates), kind.n_slots, kind.keeps_gates, kind.direct
    make_sums, state_of, store_gradients = cell.sums, cell.state, cell.gradients
    ahead_of, group_of, sum_at = cell.ahead_of, cell.group, cell.sum_at

    def forward(runs, parts, w, barrier):
        """Compute all steps of a part; w is packed by `Cell.pack`.

        On entry, the rows hold the inputs, ones and initial states; on return, all states.
        """
        run, part, w, L = read_run(runs, w), read_part(parts), pointer(w), width(w)
        r_first, r_last = rows_of(run, part)
        u_first, u_last = units_of(run, part, L)
        if r_first >= r_last:
            return
        mode, has_factors = without_subnormals(w), factors_in(w) > 1
        show_inputs(run, part)
        if has_factors and part.by_units and part.size > 1:
            synchronize(barrier, part.size)
        sums, group = shift(run.sums, part.rank * size_of_sums(run, L)), group_of(r_last - r_first, L)
        # The products of each unit prefetch a share of the memory that the next step's gates are written to.
        ahead = (SLOTS * L * ROWS + ahead_of(run) - 1) // ahead_of(run) if run.recording else 0
        for t in range(run.T):
            step = step_of(run, r_first, r_last, t)
            if step.active <= 0:  # all sequences of this part have ended; never true if the work is divided by units
                break
            for first in range(u_first, u_last, group):
                last = min(first + group, u_last)
                make_sums(run, step, first, last, w, ahead, sums)
                for unit in range(first, last, L):
                    for n in range(step.active):
                        at = place_of(run, step, n, unit, SLOTS)
                        h = state_of(run, at, shift(sums, sum_at(step.active, n, unit - first, L)))
                        store(h, run.states, at.after, 0)
                if has_factors or run.masked:
                    for n in range(step.active):
                        show_states(run, r_first + n, row_after(step, n), first, last)
            if part.by_units and part.size > 1:
                synchronize(barrier, part.size)
        restore(mode, w)

    def backward(runs, parts, w, barrier, to_start):
        """Backpropagate through these steps; w[G, P, P] is packed by `pack_groups`.

        On entry, dh (and dc) hold the gradient of the final states; with `to_start`, they return that of the initial
        states.
        """
        run, part, w, L = read_run(runs, w), read_part(parts), pointer(w), width(w)
        r_first, r_last = rows_of(run, part)
        u_first, u_last = units_of(run, part, L)
        P, K, mode = run.P, operands(GATES * run.P, w), without_subnormals(w)
        zero = Matrix(run.zero, ZERO)
        out = run.d_seen if DIRECT and run.masked else run.dh
        for t in range(run.T - 1, -2 if to_start else -1, -1):
            step = step_of(run, r_first, r_last, t)
            if step.going_on > 0:
                sequence, start = r_first * P + u_first, zero
                if DIRECT and not run.masked:  # dh holds the direct contribution of the later step
                    start = Matrix(shift(run.dh, sequence), P)
                elif not DIRECT and not run.masked and run.has_d_h and t >= 0:
                    start = Matrix(shift(run.d_h, step.now * P + u_first), P)
                dz = Matrix(shift(run.dz_factors, (step.later * SLOTS + SLOTS - GATES) * P), SLOTS * P)
                if KEEPS_GATES:
                    soon = shift(run.gates, step.now * SLOTS * P)
                else:
                    soon = shift(run.states, step.now * run.s_stride)
                multiply(
                    step.going_on, K, u_last - u_first, start, dz, shift(w, u_first * K),
                    Matrix(shift(out, sequence), P), soon,
                )  # fmt: skip
            for n in range(step.active):
                goes_on = n < step.going_on
                for unit in range(u_first, u_last, L):
                    at = place_of(run, step, n, unit, SLOTS)
                    dh = load(1, 1, run.dh, at.sequence, 0)
                    if run.masked and goes_on:
                        mask = load(1, 1, run.mask, at.sequence, 0)
                        dh = fma(load(1, 1, run.d_seen, at.sequence, 0), mask, dh) if DIRECT else dh * mask
                    if run.has_d_h and (DIRECT or run.masked or not goes_on):
                        dh = dh + load(1, 1, run.d_h, at.output, 0)
                    store_gradients(run, at, dh)
                clear_padding(run, u_first, u_last, run.dz, (step.now + n) * SLOTS * P, SLOTS)
                show_gradients(run, step.now + n, SLOTS, u_first, u_last)
            if part.by_units and part.size > 1:
                synchronize(barrier, part.size)
        if run.masked and to_start:  # apply the mask to the gradient of the initial states as seen by the gates
            for n in range(r_first, r_last):
                for at in range(n * P + u_first, n * P + u_last, L):
                    dh, mask = load(1, 1, run.dh, at, 0), load(1, 1, run.mask, at, 0)
                    dh = dh + load(1, 1, run.d_seen, at, 0) * mask if DIRECT else dh * mask
                    store(dh, run.dh, at, 0)
        restore(mode, w)

    forward = named(forward, cell)

    @kernel
    def advance(runs, parts, w, barrier, x, h):
        """`step` of the `Matrix` x and h, for a part's sequences; the work is divided by rows."""
        run, part = read_run(runs, w), read_part(parts)
        put_inputs(run, part, x)
        forward(runs, parts, w, barrier)
        take_states(run, part, h)

    def step(runs, parts, w, barrier, x, h):
        """Advance a run of one step by the inputs x[N, C]; write the state to h[N, H] and to the initial states."""
        advance(runs, parts, w, barrier, matrix_of(x), matrix_of(h))

    return Recurrence(forward, named(backward, cell), named(step, cell), advance)
