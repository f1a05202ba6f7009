"""Packed weights and runs of all cells: their buffers, and calls of the kernels."""

from typing import NamedTuple

import numpy as np

from fastlstm.kernels import CELLS, NO_GRADIENT
from fastlstm.kernels.compiled.layout import BLOCK_ROWS, SUMS_BYTES, WIDEST, flat, padded, row_layout, zeros
from fastlstm.kernels.lazy import lazy
from fastlstm.kernels.parts import row_bounds
from fastlstm.kernels.workspace import ALIGNMENT


class Buffers(NamedTuple):
    """Flat arrays that a run reads and writes; None if not needed."""

    rows: np.ndarray  # [M+N, C+1+P : stride], starting at the first input
    stride: int
    h: np.ndarray | None  # [M+N, P]: the states, if the rows hold them multiplied by the mask
    mask: np.ndarray | None  # [N, P]
    c: np.ndarray | None  # [M+N, P]; without gates, [N, P]
    gates: np.ndarray | None  # [M, slots, P]
    sums: np.ndarray  # per thread, SUMS_BYTES or [N, 4, lanes], whichever is larger
    zero: np.ndarray  # zeros, [4, P] or [padded C], whichever is larger
    # The rows as products read them, in the memory of a float32 array: for bfloat16, [M+N, f_stride], rounded numbers
    # or only their upper halves; for int8, [threads, N, f_stride], scales and sums of a step's rows, then their bytes.
    factors: np.ndarray | None
    f_stride: int


class Packed:
    """Weights and their gradient, packed for the kernels; see the contract."""

    cell = entries_of = None  # name of the cell; function that returns the backend's entries for a dtype
    PRECISION = "float32"  # of products; float64 numbers keep their own

    def __init__(self, C, H, dtype, workspace, forward=True, backward=False, inputs=False):
        entries, kind = self.entries_of(dtype), CELLS[self.cell]
        if self.PRECISION == "int8" and (backward or inputs):
            raise ValueError(NO_GRADIENT)
        lanes = entries.lanes()
        P, G = padded(H, lanes), len(kind.gates)
        n_operands, of_bytes = entries.operands, self.PRECISION == "int8"
        separate = kind.n_slots + 2 * G if of_bytes else kind.separate_biases  # biases and scales
        size = (G * (n_operands(C + 1) + n_operands(H)) + separate) * P
        of_operands = dtype if self.PRECISION == "float32" else np.dtype(np.uint32)  # of two or four factors
        self.forward = self.backward = self.inputs = self.gradient = None
        if forward:
            self.forward = workspace.empty("packed", (size,), of_operands)
        if backward:
            self.backward = workspace.empty("packed_hh", (n_operands(G * P) * P,), of_operands)
            self.gradient = workspace.empty("gradient", ((G * (C + 1 + H) + kind.separate_biases) * P,), dtype)
        if inputs:
            self.inputs = workspace.empty("packed_ih", (n_operands(G * P) * padded(C, lanes),), of_operands)
        self.kernel = entries.Packed(self.cell, C, H, self.forward, self.backward, self.inputs, self.gradient)
        self._new_part = entries.Part

    def fill(self, part, weights):
        self.kernel.fill(self._part(part), *map(flat, weights))

    def unpack(self, part, d_weights):
        self.kernel.unpack(self._part(part), *map(flat, d_weights))

    def _part(self, part):
        return self._new_part(0, 0, part.rank, part.size, part.by_units, part.barrier)


class Run:
    """A run over a packed batch, with its buffers; see the contract."""

    cell = entries_of = None  # name of the cell; function that returns the backend's entries for a dtype
    PRECISION = "float32"  # of products; float64 numbers keep their own

    def __init__(self, C, H, starts, dtype, workspace, recording=False, threads=1, masked=False):
        self._entries = entries = self.entries_of(dtype)
        self._lanes = lanes = entries.lanes()
        self.starts, self.C, self.H, self.P, self.dtype = starts, C, H, padded(H, lanes), dtype
        self.N, self.M, self._kind = int(starts[1]), int(starts[-1]), CELLS[self.cell]
        begin, stride = row_layout(C + 1, self.P, dtype)
        self.workspace, self._threads, self._bounds = workspace, threads, {1: [0, self.N]}
        rows = workspace.empty("rows", (self.M + self.N, stride), dtype)
        self.inputs, self.h = rows[:, begin : begin + C], rows[:, begin + C + 1 : begin + C + 1 + H]
        h = mask = c = self._c = self._gates = factors = None
        f_stride = 0
        if self.PRECISION == "bfloat16":
            f_begin, f_stride = row_layout(2 * entries.operands(C + 1), self.P, dtype)
            factors = workspace.empty("factors", ((self.M + self.N) * f_stride,), dtype)[f_begin:]
        elif self.PRECISION == "int8":  # a row has two scales, two sums and the bytes
            line = ALIGNMENT // dtype.itemsize
            f_stride = padded(4 + entries.operands(C + 1) + entries.operands(self.P), line)
            factors = workspace.empty("factors", (threads * self.N * f_stride,), dtype)
        if masked:  # the rows hold the masked states, as the gates see them; the states have a buffer of their own
            h, mask = self._room("h", self.M + self.N), self._room("mask", self.N)
            self.h, self.mask = h[:, :H], mask[:, :H]
        self.state, self.state_n = (self.h[: self.N],), (self.h[self.M :],)
        if "c" in self._kind.states:
            c = workspace.empty("c", (self.M + self.N if recording else self.N, self.P), dtype)
            self._c = c[:, :H]
            self.state, self.state_n = (*self.state, c[: self.N, :H]), (*self.state_n, c[-self.N :, :H])
        if recording and self._kind.keeps_gates:
            self._gates = workspace.empty("gates", (self.M * self._kind.n_slots * self.P,), dtype)
        self._sums = workspace.empty("sums", (threads * max(SUMS_BYTES // dtype.itemsize, self.N * 4 * lanes),), dtype)
        flat_h, flat_mask, flat_c = (array if array is None else array.reshape(-1) for array in (h, mask, c))
        self._buffers = Buffers(
            rows.reshape(-1)[begin:], stride, flat_h, flat_mask, flat_c, self._gates, self._sums,
            zeros(max(4 * self.P, padded(C, lanes)), dtype), factors, f_stride,
        )  # fmt: skip
        self._kernel = entries.Run(self.cell, C, H, starts, self._buffers)

    @lazy
    def _alone(self):
        """The part of a single thread: all the work."""
        return self._entries.Part(0, self.N, 0, 1, False, np.zeros(1, np.int64))

    def _part(self, part):
        if part.size == 1:
            return self._alone
        return self._entries.Part(*self.bounds(part), part.rank, part.size, part.by_units, part.barrier)

    def bounds(self, part):
        bounds = self._bounds.get(part.size)
        if bounds is None:
            bounds = self._bounds[part.size] = row_bounds(self.starts, part.size)
        return bounds[part.rank], bounds[part.rank + 1]

    def load(self, part, x, at, state=None, reverse=False):
        self._kernel.load(self._part(part), flat(x), at, state, reverse)

    def connect(self, part, below, reverse, state=None):
        part, column = self._part(part), 0
        self._kernel.begin(part, state)
        for run, is_reversed in zip(below, reverse, strict=True):
            run._kernel.copy_outputs(part, is_reversed, self._buffers.rows, column, self._buffers.stride)
            column += run.H

    def look_up(self, products, which):
        self._kernel.look_up(products.reshape(-1), which)

    def forward(self, part, packed):
        self._kernel.forward(self._part(part), packed.kernel)

    def activations(self):
        gates = {} if self._gates is None else self._by_slot(self._gates)
        return {**gates, **dict(zip(self._kind.states, (self.h, self._c), strict=False))}

    def _by_slot(self, flat):
        """Views [M, H] of a flat array [M, slots, P], by the letters of the slots."""
        array = flat.reshape(self.M, self._kind.n_slots, self.P)
        return {slot: array[:, k, : self.H] for k, slot in enumerate(self._kind.slots or self._kind.gates)}

    def outputs(self, part, reverse, out, column):
        self._kernel.copy_outputs(self._part(part), reverse, out.reshape(-1), column, out.shape[1])

    def step(self, packed, x, h):
        self._kernel.step(packed.kernel, x, h)

    def prepare_backward(self, outputs=False, inputs=False, keep=False):
        if self.PRECISION == "int8":
            raise ValueError(NO_GRADIENT)
        P, H, dtype, empty = self.P, self.H, self.dtype, self.workspace.empty
        self.d_h = self.d_inputs = self.d_x = None
        room = [self._room(f"d{name}", self.N) for name in self._kind.states]
        self.d_state = tuple(array[:, :H] for array in room)
        d_h = d_seen = None
        if outputs:
            d_h = self._room("d_h", self.M)
            self.d_h, d_h = d_h[:, :H], d_h.reshape(-1)
        if self._kind.direct and self._buffers.mask is not None:
            d_seen = self._room("d_seen", self.N).reshape(-1)
        in_place = self._gates is not None and not keep
        self._dz = self._gates if in_place else empty("dz", (self.M * self._kind.n_slots * P,), dtype)
        panels = empty("panel", (self._threads * BLOCK_ROWS * 4 * self._lanes,), dtype)
        if inputs:
            self.d_inputs = empty("d_x", (self.M, padded(self.C, self._lanes)), dtype)
            self.d_x = self.d_inputs[:, : self.C]
        narrow = [] if self._buffers.factors is None else [empty("dz_factors", self._dz.shape, dtype)]
        dh, dc = room[0].reshape(-1), room[1].reshape(-1) if len(room) > 1 else None
        self._backward = self._kernel.prepare_backward(self._dz, dh, panels, d_h, dc, d_seen, *narrow)

    def _room(self, name, rows):
        """Buffer for states or their gradient, with zeros in the padded units."""
        room = self.workspace.empty(name, (rows, self.P), self.dtype)
        room[:, self.H :] = 0
        return room

    def collect(self, part, d_outputs, reverse, column):
        part = self._part(part)
        for n, (d, is_reversed) in enumerate(zip(d_outputs, reverse, strict=True)):
            self._backward.add_gradients(part, is_reversed, d.reshape(-1), column, d.shape[1], n > 0)

    def backward(self, part, packed, to_start=False):
        self._backward.backward(self._part(part), packed.kernel, to_start)

    def d_sums(self):
        return self._by_slot(self._dz)

    def add_rows(self, part, d_products, accumulate=False):
        first, last = part.share(len(self._kind.gates) * self.P, WIDEST)
        if not accumulate:
            d_products.reshape(len(d_products), -1)[:, first:last] = 0
        self._backward.add_rows(first, last, d_products.reshape(-1))

    def weight_gradient(self, part, packed, accumulate=False):
        self._backward.weight_gradient(self._part(part), packed.kernel, accumulate)

    def input_gradient(self, part, packed):
        self._backward.input_gradient(self._part(part), packed.kernel, self.d_inputs.reshape(-1))
