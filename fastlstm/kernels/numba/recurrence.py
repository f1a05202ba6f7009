"""The loop over time of every cell, forward and back: active rows, masks, groups of units, and waiting threads."""

from functools import lru_cache
from typing import NamedTuple

from fastlstm.kernels import CELLS
from fastlstm.kernels.numba.barrier import synchronize
from fastlstm.kernels.numba.jit import entry
from fastlstm.kernels.numba.matmul import Matrix, multiply
from fastlstm.kernels.numba.steps import ZERO, clear_padding, mask_states, place_of, put_inputs, step_of, take_states
from fastlstm.kernels.numba.structs import read_part, read_run, rows_of, size_of_sums, units_of
from fastlstm.kernels.numba.target import ROWS
from fastlstm.kernels.numba.tiles import fma, load, pointer, shift, store, width


class Cell(NamedTuple):
    """What the loop needs of a cell beside `kernels.CELLS`. All functions but `gradient` are compiled."""

    name: str
    pack: object  # (sizes, parts, weights, out): weights as `sums` reads them
    unpack: object  # (sizes, parts, d_w, d_weights): their gradient in the shapes of the weights
    gradient: object  # (C, H, P): which inputs meet which slots of dz: (first, last, slot, gates, where in d_w)
    ahead_of: object  # (run): the length of the products that ask for the memory of the next step's gates
    group: object  # (rows, L): units whose sums are made at once
    sum_at: object  # (active, n, unit, L): where in these sums those of row n and that unit of the group begin
    sums: object  # (run, step, first, last, w, ahead, out): the sums of those units' gates in a step
    state: object  # (run, at, sums): the equations: h of a row's vector of units; stores c and gates
    gradients: object  # (run, at, dh): their derivatives: stores dz and, where there are any, dc or dh


def whole_gradient(gates):
    """`Cell.gradient` where [x, 1, h'] meets all gates."""
    return lambda C, H, P: [(0, C + 1 + H, 0, gates, 0)]


class Recurrence(NamedTuple):
    forward: object
    backward: object
    step: object


def _named(function, cell):
    function.__qualname__ = f"{cell.name}_{function.__name__}"  # machine code is kept under this name
    return entry(function)


@lru_cache
def recurrence(cell):
    """The entries of a cell, of which each run is one call."""
    kind = CELLS[cell.name]
    GATES, SLOTS, KEEPS_GATES, DIRECT = len(kind.gates), kind.n_slots, kind.keeps_gates, kind.direct
    make_sums, state_of, store_gradients = cell.sums, cell.state, cell.gradients
    ahead_of, group_of, sum_at = cell.ahead_of, cell.group, cell.sum_at

    def forward(runs, parts, w, barrier):
        """All steps of a part; w as `Cell.pack` leaves it.

        The rows come with the inputs, ones and initial states, and leave with all states.
        """
        run, part, w, L = read_run(runs, w), read_part(parts), pointer(w), width(w)
        r_first, r_last = rows_of(run, part)
        u_first, u_last = units_of(run, part, L)
        if r_first >= r_last:
            return
        sums, group = shift(run.sums, part.rank * size_of_sums(run, L)), group_of(r_last - r_first, L)
        # Each unit's products ask for a share of the memory that the next step's gates will be written to.
        ahead = (SLOTS * L * ROWS + ahead_of(run) - 1) // ahead_of(run) if run.recording else 0
        for t in range(run.T):
            step = step_of(run, r_first, r_last, t)
            if step.active <= 0:  # all of these sequences have ended; threads that divide units have all, and go on
                break
            for first in range(u_first, u_last, group):
                last = min(first + group, u_last)
                make_sums(run, step, first, last, w, ahead, sums)
                for unit in range(first, last, L):
                    for n in range(step.active):
                        at = place_of(run, step, n, unit, SLOTS)
                        h = state_of(run, at, shift(sums, sum_at(step.active, n, unit - first, L)))
                        store(h, run.states, at.after, 0)
                if run.masked:
                    mask_states(run, step, first, last)
            if part.by_units and part.size > 1:
                synchronize(barrier, part.size)

    def backward(runs, parts, w, barrier, to_start):
        """Back through the steps; w[G, P, P] as `pack_groups` lays it out.

        dh (and dc) come with the gradient of every sequence's last state and, where `to_start`, leave with that of
        its first.
        """
        run, part, w, L = read_run(runs, w), read_part(parts), pointer(w), width(w)
        r_first, r_last = rows_of(run, part)
        u_first, u_last = units_of(run, part, L)
        P, K = run.P, GATES * run.P
        zero = Matrix(run.zero, ZERO)
        out = run.d_seen if DIRECT and run.masked else run.dh
        for t in range(run.T - 1, -2 if to_start else -1, -1):
            step = step_of(run, r_first, r_last, t)
            if step.going_on > 0:
                sequence, start = r_first * P + u_first, zero
                if DIRECT and not run.masked:  # dh holds what the later step has passed on
                    start = Matrix(shift(run.dh, sequence), P)
                elif not DIRECT and not run.masked and run.has_d_h and t >= 0:
                    start = Matrix(shift(run.d_h, step.now * P + u_first), P)
                dz = Matrix(shift(run.dz, (step.later * SLOTS + SLOTS - GATES) * P), SLOTS * P)
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
            if part.by_units and part.size > 1:
                synchronize(barrier, part.size)
        if run.masked and to_start:  # from the gradient of the initial states as the gates see them
            for n in range(r_first, r_last):
                for at in range(n * P + u_first, n * P + u_last, L):
                    dh, mask = load(1, 1, run.dh, at, 0), load(1, 1, run.mask, at, 0)
                    dh = dh + load(1, 1, run.d_seen, at, 0) * mask if DIRECT else dh * mask
                    store(dh, run.dh, at, 0)

    forward = _named(forward, cell)

    def step(runs, parts, w, barrier, x, h):
        """h[N, H]: the state after the inputs x[N, C], left where a next step begins. Of a run of one step."""
        run = read_run(runs, w)
        put_inputs(run, x)
        forward(runs, parts, w, barrier)
        take_states(run, h)

    return Recurrence(forward, _named(backward, cell), _named(step, cell))
