"""What describes a call: structs of a run over a batch and of a thread's part in it, as those of ``csrc/table.h``.

# Design: entries are given structs of addresses and sizes, in arrays of integers that they read as records. Numba looks
# at the type of every argument of a call: three or four take half the time of the twenty that a struct holds, and no
# reference to an array is counted. Whoever makes a struct keeps its arrays alive. (NumPy makes arrays of integers five
# times as fast as records.)
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from fastlstm.kernels.compiled.layout import SUMS_BYTES
from fastlstm.kernels.numba.jit import entry, kernel
from fastlstm.kernels.numba.target import VECTOR_BYTES
from fastlstm.kernels.numba.tiles import address, integers_at, pointer_to

SIZES = ("T", "N", "M", "C", "H", "P", "stride", "s_stride")
BUFFERS = ("rows", "states", "mask", "c", "gates", "sums", "zero", "d_h", "dz", "dh", "dc", "d_seen")

#: A run: sizes, then addresses, 0 for a buffer that it does not have.
RUN = np.dtype([(name, np.int64) for name in (*SIZES, "starts", "lengths", *BUFFERS)])
#: A thread's part: the sequences from `first` to `last`, or a share of the units.
PART = np.dtype([(name, np.int64) for name in ("first", "last", "rank", "size", "by_units")])


@kernel
def _address(buffer):
    return address(buffer) if buffer.size > 0 else 0


@entry
def _describe(runs, sizes, batch, buffers):
    run, (starts, lengths) = runs.view(RUN)[0], batch
    rows, states, mask, c, gates, sums, zero, d_h, dz, dh, dc, d_seen = buffers
    run.T, run.N, run.M, run.C, run.H, run.P, run.stride, run.s_stride = sizes
    run.starts, run.lengths = address(starts), address(lengths)
    run.rows, run.states, run.mask, run.c = _address(rows), _address(states), _address(mask), _address(c)
    run.gates, run.sums, run.zero, run.d_h = _address(gates), _address(sums), _address(zero), _address(d_h)
    run.dz, run.dh, run.dc, run.d_seen = _address(dz), _address(dh), _address(dc), _address(d_seen)


def struct_of_run(sizes, batch, buffers):
    """A `RUN`, of `SIZES`, of starts and lengths, and of `BUFFERS`, each a flat array or None."""
    none, struct = buffers[0][:0], np.empty(len(RUN), np.int64)
    _describe(struct, sizes, batch, tuple([none if buffer is None else buffer for buffer in buffers]))
    return struct


@lru_cache(maxsize=256)
def struct_of_part(first, last, rank, size, by_units):
    """A `PART`, which nobody writes to."""
    return np.array([first, last, rank, size, by_units])


class Run(NamedTuple):
    """A run as kernels see it; its buffers are pointers."""

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
    states: object  # [M+N, P : s_stride]: in the rows or, where `masked`, beside them
    s_stride: int
    mask: object  # [N, P]: the gates see the states times it
    masked: bool
    c: object  # cell states: [M+N, P] or, unless `recording`, [N, P], the last ones only
    has_c: bool
    gates: object  # [M, slots, P]: what backward reads of the steps
    recording: bool
    sums: object  # for each thread, sums of a group of units: see `size_of_sums`
    zero: object  # zeros, [4, P] and [padded C]
    d_h: object  # [M, P]: the gradient of the outputs
    has_d_h: bool
    dz: object  # [M, slots, P]: that of the gates' sums; may be `gates`
    dh: object  # [N, P]: that of every sequence's last states, and in the end of the first
    dc: object  # [N, P]: likewise, of the cell states
    d_seen: object  # [N, P]: the part of dh that comes through the gates, where a mask and a `direct` cell need it


@kernel
def read_run(runs, like):
    """A struct's run, with numbers of the type of those in `like`.

    Its fields are read once, here: no store through a pointer can change them later.
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
        pointer_to(r.rows, like),
        r.stride,
        pointer_to(r.states, like),
        r.s_stride,
        pointer_to(r.mask, like),
        r.mask != 0,
        pointer_to(r.c, like),
        r.c != 0,
        pointer_to(r.gates, like),
        r.gates != 0,
        pointer_to(r.sums, like),
        pointer_to(r.zero, like),
        pointer_to(r.d_h, like),
        r.d_h != 0,
        pointer_to(r.dz, like),
        pointer_to(r.dh, like),
        pointer_to(r.dc, like),
        pointer_to(r.d_seen, like),
    )


@kernel
def read_part(parts):
    return parts.view(PART)[0]


@kernel
def share(part, n, multiple):
    """A part's share of range(n), as (first, last); bounds are multiples of `multiple`, or n."""
    groups = (n + multiple - 1) // multiple
    first, last = part.rank * groups // part.size, (part.rank + 1) * groups // part.size
    return min(first * multiple, n), min(last * multiple, n)


@kernel
def rows_of(run, part):
    """The first and the last of a part's sequences: all, where units are divided."""
    return (part.first * (1 - part.by_units), run.N if part.by_units else part.last)


@kernel
def units_of(run, part, L):
    """The first and the last of a part's units."""
    first, last = share(part, run.P, 4 * L)
    return (first, last) if part.by_units else (0, run.P)


@kernel
def size_of_sums(run, L):
    """Numbers of a thread's room for sums."""
    return max(SUMS_BYTES // VECTOR_BYTES * L, run.N * 4 * L)
