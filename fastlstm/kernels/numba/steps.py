"""One step of a part's sequences: what it reads and writes, and what all cells use."""

from typing import NamedTuple

import numpy as np

from fastlstm.kernels.compiled.layout import SUMS_BYTES
from fastlstm.kernels.numba.jit import kernel
from fastlstm.kernels.numba.target import VECTOR_BYTES
from fastlstm.kernels.numba.tiles import load, store, width

ZERO = np.int64(0)  # not a literal, for which Numba would compile what takes it once more


class Step(NamedTuple):
    r_first: int  # the first of the sequences
    active: int  # how many have this step,
    going_on: int  # and how many the next
    now: int  # the row of the first one's state before the step,
    later: int  # and after it, if it goes on,
    end: int  # or if this was its last step


@kernel
def step_of(run, r_first, r_last, t):
    """Step t of some sequences, or -1: the end of the way back, where none is active and all go on to step 0."""
    starts = run.starts
    active = min(r_last, starts[t + 1] - starts[t]) - r_first if t >= 0 else 0
    going_on = min(r_last, starts[t + 2] - starts[t + 1]) - r_first if t + 1 < run.T else 0
    return Step(r_first, active, going_on, starts[max(t, 0)] + r_first, starts[t + 1] + r_first, run.M + r_first)


@kernel
def row_after(step, n):
    """The row of the n-th one's state after the step."""
    return (step.later if n < step.going_on else step.end) + n


class Place(NamedTuple):
    """Where one row and vector of units is in a run's buffers."""

    before: int  # in `states`, before
    after: int  # and after the step
    c_before: int  # in `c`, likewise
    c_after: int
    output: int  # in d_h
    gate: int  # in `gates` and dz; the next gate is P further on
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
def mask_states(run, step, first, last):
    """The states after a step as the gates of the next see them, into the rows; of the units from `first` to `last`."""
    for n in range(step.active):
        after, mask = row_after(step, n), (step.r_first + n) * run.P
        for unit in range(first, last, width(run.rows)):
            h = load(1, 1, run.states, after * run.s_stride + unit, 0)
            seen = h * load(1, 1, run.mask, mask + unit, 0)
            store(seen, run.rows, after * run.stride + run.C + 1 + unit, 0)


@kernel
def clear_padding(run, u_first, u_last, dz, at, slots):
    """The gradient of a row's sums in the padded units: zero already, unless an input is infinite."""
    for slot in range(slots):
        for unit in range(max(run.H, u_first), u_last):
            dz[at + slot * run.P + unit] = 0


@kernel
def put_inputs(run, x):
    """x[N, C] as the inputs of the first rows."""
    for n in range(run.N):
        for k in range(run.C):
            run.rows[n * run.stride + k] = x[n, k]


@kernel
def take_states(run, h):
    """h[N, H]: the states after one step; they are left where the next begins."""
    for n in range(run.N):
        before = n * run.stride + run.C + 1
        for unit in range(run.H):
            h[n, unit] = run.rows[before + unit] = run.rows[run.N * run.stride + before + unit]


@kernel
def group_in_cache(rows, L):
    """With few rows, all units' sums come first: their gates, which depend on nothing else, then overlap."""
    return max(1, SUMS_BYTES // (rows * 4 * VECTOR_BYTES)) * L


def sum_of_slots(slots):
    """Where the sums [units / L][active][slots][L] of a row and a group's unit begin."""

    @kernel
    def sum_at(active, n, unit, L):
        return (unit * active + n * L) * slots

    return sum_at
