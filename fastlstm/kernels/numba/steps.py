"""The rows and offsets of a step, and functions shared by all cells."""

from typing import NamedTuple

import numpy as np

from fastlstm.kernels.compiled.layout import SUMS_BYTES
from fastlstm.kernels.numba.jit import inlined, kernel
from fastlstm.kernels.numba.pairs import factors_in, factors_of_x, for_pairs, put_factors
from fastlstm.kernels.numba.target import VECTOR_BYTES
from fastlstm.kernels.numba.tiles import load, store, width

ZERO = np.int64(0)  # for a literal 0, Numba would compile another version of each function it is passed to


class Step(NamedTuple):
    r_first: int  # first sequence of the part
    active: int  # number of sequences that have this step
    going_on: int  # number of sequences that have the next step
    now: int  # row of the first sequence's state before the step
    later: int  # row of its state after the step, if it has a next step
    end: int  # row of its state after the step, if this is its last


@kernel
def step_of(run, r_first, r_last, t):
    """Step t, or -1 for the end of backpropagation, where no sequence is active and all have step 0 next."""
    starts = run.starts
    active = min(r_last, starts[t + 1] - starts[t]) - r_first if t >= 0 else 0
    going_on = min(r_last, starts[t + 2] - starts[t + 1]) - r_first if t + 1 < run.T else 0
    return Step(r_first, active, going_on, starts[max(t, 0)] + r_first, starts[t + 1] + r_first, run.M + r_first)


@kernel
def row_after(step, n):
    """Row of the n-th sequence's state after the step."""
    return (step.later if n < step.going_on else step.end) + n


@inlined
def start_from_known(run, step, unit, gates, out, out_stride):
    """out[active, gates, L : out_stride]: what the sums of a step's rows start from, for a vector of units."""
    L, P = width(out), run.P
    for n in range(step.active):
        at = (step.now + n) * run.S
        for gate in range(gates):
            column = gate * P + unit
            total = load(1, 1, run.known, run.which[at] * gates * P + column, 0)
            for s in range(1, run.S):
                total = total + load(1, 1, run.known, run.which[at + s] * gates * P + column, 0)
            store(total, out, n * out_stride + gate * L, 0)


class Place(NamedTuple):
    """Offsets of a row and vector of units in a run's buffers."""

    before: int  # in `states`, before the step
    after: int  # in `states`, after the step
    c_before: int  # in `c`, before the step
    c_after: int  # in `c`, after the step
    output: int  # in d_h
    gate: int  # in `gates` and dz; gates are P elements apart
    sequence: int  # in buffers [N, P]


@kernel
def place_of(run, step, n, unit, slots):
    now, after, sequence, P = step.now + n, row_after(step, n), step.r_first + n, run.P
    return Place(
        now * run.s_stride + unit,
        after * run.s_stride + unit,
        (now if run.recording else sequence) * P + unit,
        (after if run.recording else sequence) * P + unit,
        now * P + unit,
        now * slots * P + unit,
        sequence * P + unit,
    )


@kernel
def show_states(run, n, row, first, last):
    """Write the states of units `first` to `last` in a row as factors, multiplied by the mask of sequence n."""
    for unit in range(first, last, width(run.rows)):
        h = load(1, 1, run.states, row * run.s_stride + unit, 0)
        if run.masked:
            h = h * load(1, 1, run.mask, n * run.P + unit, 0)
        put_factors(h, run.factors, row * run.f_stride + factors_of_x(run.C, run.factors) + unit)
    # A padded unit that completes the last operand has no weight, but is NaN where an input is infinite.
    if run.H % factors_in(run.factors) > 0 and first <= run.H < last:
        run.factors[row * run.f_stride + factors_of_x(run.C, run.factors) + run.H] = 0


@for_pairs
def show_inputs(run, part):
    """Write the inputs and initial states of a part's sequences as factors."""
    C, L = run.C, width(run.rows)
    whole = (C + 1) // L * L
    for t in range(run.T):
        first, end = run.starts[t], run.starts[t + 1]
        for row in range(first + part.first, min(first + part.last, end)):
            at, out = row * run.stride, row * run.f_stride
            for k in range(0, whole, L):
                put_factors(load(1, 1, run.rows, at + k, 0), run.factors, out + k)
            for k in range(whole, C + 1):
                put_factors(run.rows[at + k], run.factors, out + k)
            for k in range(C + 1, factors_of_x(C, run.factors)):
                run.factors[out + k] = 0
    for n in range(part.first, part.last):
        show_states(run, n, n, ZERO, run.P)


@for_pairs
def show_gradients(run, row, slots, first, last):
    """Write the gradient of a row's sums as factors, for units `first` to `last`."""
    for slot in range(slots):
        at = (row * slots + slot) * run.P
        for unit in range(at + first, at + last, width(run.rows)):
            put_factors(load(1, 1, run.dz, unit, 0), run.dz_factors, unit)


@kernel
def clear_padding(run, u_first, u_last, dz, at, slots):
    """Clear the padded units in the gradient of a row's sums. They are already zero unless an input is infinite."""
    for slot in range(slots):
        for unit in range(max(run.H, u_first), u_last):
            dz[at + slot * run.P + unit] = 0


@kernel
def put_inputs(run, part, x):
    """Copy a part's rows of the `Matrix` x[N, C] to the inputs of the first step."""
    for n in range(part.first, part.last):
        for k in range(run.C):
            run.rows[n * run.stride + k] = x.at[n * x.stride + k]


@kernel
def take_states(run, part, h):
    """Copy a part's states after a run of one step to the `Matrix` h[N, H], and to the next call's initial states."""
    for n in range(part.first, part.last):
        before = n * run.stride + run.C + 1
        for unit in range(run.H):
            h.at[n * h.stride + unit] = run.rows[before + unit] = run.rows[run.N * run.stride + before + unit]


@kernel
def group_in_cache(rows, L):
    """Units per group. With few rows, all sums are computed first, so that the independent gates can overlap."""
    return max(1, SUMS_BYTES // (rows * 4 * VECTOR_BYTES)) * L


def sum_of_slots(slots):
    """`Cell.sum_at` for sums [units / L][active][slots][L]."""

    @kernel
    def sum_at(active, n, unit, L):
        return (unit * active + n * L) * slots

    return sum_at
