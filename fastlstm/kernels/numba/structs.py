"""Structs that describe a run over a batch and a thread's part of it, like those of ``csrc/table.h``.

# Design: entries take structs of addresses and sizes, passed as integer arrays and read as records. Numba inspects the
# type of every argument of a call: three or four arguments take half the time of the twenty that a struct replaces, and
# there is no reference counting of arrays. The creator of a struct must keep its arrays alive. (NumPy creates integer
# arrays five times as fast as records.)
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from fastlstm.kernels.compiled.layout import SUMS_BYTES
from fastlstm.kernels.numba.jit import entry, kernel
from fastlstm.kernels.numba.pairs import factors_at, reals_at
from fastlstm.kernels.numba.target import VECTOR_BYTES
from fastlstm.kernels.numba.tiles import address, integers_at

SIZES = ("T", "N", "M", "C", "H", "P", "stride", "s_stride", "f_stride", "S")
BUFFERS = (
    "rows", "states", "mask", "c", "gates", "sums", "zero", "known", "factors", "d_h", "dz", "dh", "dc", "d_seen",
    "dz_factors",
)  # fmt: skip

#: A run: sizes, then addresses; the address of an absent buffer is 0.
RUN = np.dtype([(name, np.int64) for name in (*SIZES, "starts", "lengths", "which", *BUFFERS)])
#: A thread's part: the sequences `first` to `last`, or a share of the units.
PART = np.dtype([(name, np.int64) for name in ("first", "last", "rank", "size", "by_units")])


@kernel
def _address(buffer):
    return address(buffer) if buffer.size > 0 else 0


@entry
def _describe(runs, sizes, batch, buffers):
    run, (starts, lengths, which) = runs.view(RUN)[0], batch
    rows, states, mask, c, gates, sums, zero, known, factors, d_h, dz, dh, dc, d_seen, dz_factors = buffers
    run.T, run.N, run.M, run.C, run.H, run.P, run.stride, run.s_stride, run.f_stride, run.S = sizes
    run.starts, run.lengths, run.which = address(starts), address(lengths), address(which)
    run.rows, run.states, run.mask, run.c = _address(rows), _address(states), _address(mask), _address(c)
    run.gates, run.sums, run.zero, run.known = _address(gates), _address(sums), _address(zero), _address(known)
    run.d_h, run.dz, run.dh, run.dc = _address(d_h), _address(dz), _address(dh), _address(dc)
    run.d_seen, run.factors, run.dz_factors = _address(d_seen), _address(factors), _address(dz_factors)


def struct_of_run(sizes, batch, buffers):
    """Create a `RUN`. sizes are `SIZES`, batch is (starts, lengths, which); buffers are `BUFFERS`, flat or None."""
    none, struct = buffers[0][:0], np.empty(len(RUN), np.int64)
    _describe(struct, sizes, batch, tuple([none if buffer is None else buffer for buffer in buffers]))
    return struct


@lru_cache(maxsize=256)
def struct_of_part(first, last, rank, size, by_units):
    """Create a `PART`; it is cached, and must not be modified."""
    return np.array([first, last, rank, size, by_units])


class Run(NamedTuple):
    """A run as the kernels use it; its buffers are pointers."""

    starts: object  # [T+1]
    lengths: object  # [N]
    T: int
    N: int
    M: int
    C: int
    H: int
    P: int
    rows: object  # [M+N, C+1+P : stride]: inputs, ones, and the states as the gates see them
    stride: int
    states: object  # [M+N, P : s_stride]: part of the rows or, if `masked`, a separate buffer
    s_stride: int
    factors: object  # [M+N, C+1+P : f_stride]: the rows as products read them: themselves or, of pairs, beside them
    f_stride: int
    mask: object  # [N, P]: multiplies the states that the gates see
    masked: bool
    c: object  # cell states: [M+N, P] or, unless `recording`, the last ones only, [N, P]
    has_c: bool
    gates: object  # [M, slots, P]: activations stored for the backward pass
    recording: bool
    sums: object  # per thread, the sums of a group of units; see `size_of_sums`
    zero: object  # zeros, [4, P] or [padded C], whichever is larger
    known: object  # [., G, P]: products of inputs that recur; the gates' sums start from some
    looks_up: bool
    which: object  # [M, S]: the rows of `known` that are added up for a row
    S: int
    d_h: object  # [M, P]: gradient of the outputs
    has_d_h: bool
    dz: object  # [M, slots, P]: gradient of the gates' sums; may share memory with `gates`
    dz_factors: object  # the same as products read it, like `factors`
    dh: object  # [N, P]: gradient of the final states and, after the backward pass, of the initial states
    dc: object  # [N, P]: likewise, of the cell states
    d_seen: object  # [N, P]: the contribution of the gates to dh, for a `direct` cell with a mask


@kernel
def read_run(runs, like):
    """Read a `RUN` whose buffers hold numbers like those of `like`, or whose packed weights are like it.

    All fields are read here, once, so that the compiler knows that stores through pointers cannot change them.
    """
    r = runs.view(RUN)[0]
    return Run(
        integers_at(r.starts),
        integers_at(r.lengths),
        r.T,
        r.N,
        r.M,
        r.C,
        r.H,
        r.P,
        reals_at(r.rows, like),
        r.stride,
        reals_at(r.states, like),
        r.s_stride,
        factors_at(r.factors, like),
        r.f_stride,
        reals_at(r.mask, like),
        r.mask != 0,
        reals_at(r.c, like),
        r.c != 0,
        reals_at(r.gates, like),
        r.gates != 0,
        reals_at(r.sums, like),
        reals_at(r.zero, like),
        reals_at(r.known, like),
        r.known != 0,
        integers_at(r.which),
        r.S,
        reals_at(r.d_h, like),
        r.d_h != 0,
        reals_at(r.dz, like),
        factors_at(r.dz_factors, like),
        reals_at(r.dh, like),
        reals_at(r.dc, like),
        reals_at(r.d_seen, like),
    )


@kernel
def read_part(parts):
    return parts.view(PART)[0]


@kernel
def share(part, n, multiple):
    """A part's share of range(n) as (first, last). Bounds are multiples of `multiple`, or n."""
    groups = (n + multiple - 1) // multiple
    first, last = part.rank * groups // part.size, (part.rank + 1) * groups // part.size
    return min(first * multiple, n), min(last * multiple, n)


@kernel
def rows_of(run, part):
    """Range of a part's sequences: all of them if the work is divided by units."""
    return (part.first * (1 - part.by_units), run.N if part.by_units else part.last)


@kernel
def units_of(run, part, L):
    """Range of a part's units: all of them if the work is divided by rows."""
    first, last = share(part, run.P, 4 * L)
    return (first, last) if part.by_units else (0, run.P)


@kernel
def size_of_sums(run, L):
    """Number of elements of a thread's buffer for sums."""
    return max(SUMS_BYTES // VECTOR_BYTES * L, run.N * 4 * L)
