"""Classes of the entries, which hold the arguments shared by calls of compiled functions; see ``kernels.compiled``."""

from functools import cache
from importlib import import_module
from typing import NamedTuple

import numpy as np

from fastlstm.kernels import CELLS, parts
from fastlstm.kernels.compiled.layout import BLOCK_ROWS, flat, padded
from fastlstm.kernels.lazy import lazy
from fastlstm.kernels.numba import attention, distributions, dropout, head, matmul, packing, roll_out
from fastlstm.kernels.numba.buffers import add_gradients, add_rows, begin_rows, copy_outputs, load_rows, pack_groups
from fastlstm.kernels.numba.recurrence import recurrence
from fastlstm.kernels.numba.structs import struct_of_part, struct_of_run
from fastlstm.kernels.numba.target import VECTOR_BYTES


@cache
def _cell(name):
    """The `Cell` defined in the module `name`, and its entries."""
    cell = import_module(f"fastlstm.kernels.numba.{name}").CELL
    return cell, recurrence(cell)


class Part(NamedTuple):
    first: int
    last: int
    rank: int
    size: int
    by_units: bool
    barrier: np.ndarray

    share = parts.Part.share

    @property
    def struct(self):
        return struct_of_part(*self[:-1])


class Packed:
    def __init__(self, lanes, cell, C, H, forward, backward, inputs, gradient):
        self.kind, (self.cell, _) = CELLS[cell], _cell(cell)
        self.sizes, self.lanes = (C, H, padded(H, lanes)), lanes
        self.forward, self.backward, self.inputs, self.gradient = forward, backward, inputs, gradient

    def fill(self, part, *weights):
        (C, H, P), G, panel = self.sizes, len(self.kind.gates), 4 * self.lanes
        if self.forward is not None:
            self.cell.pack(self.sizes, part.struct, weights, self.forward)
        if self.backward is not None:
            pack_groups((G, 0), (H, P, H), part.share(P, panel), weights[1], self.backward)
        if self.inputs is not None:  # in the order of slots: with more slots than gates, the last gate comes first
            start = G - 1 if self.kind.n_slots > G else 0
            pack_groups((G, start), (H, P, C), part.share(padded(C, self.lanes), panel), weights[0], self.inputs)

    def unpack(self, part, *d_weights):
        self.cell.unpack(self.sizes, part.struct, self.gradient, d_weights)


class Run:
    def __init__(self, lanes, cell, C, H, starts, buffers):
        self.kind, (self.cell, self.entries), self.lanes, self.buffers = CELLS[cell], _cell(cell), lanes, buffers
        self.C, self.H, self.P, self.starts, self.M = C, H, padded(H, lanes), starts, int(starts[-1])
        states, s_stride = (buffers.h, self.P) if buffers.mask is not None else (buffers.rows[C + 1 :], buffers.stride)
        # of the rows as products read them
        self.is_narrow, self.factors, self.f_stride = buffers.factors is not None, buffers.rows, buffers.stride
        if self.is_narrow:
            self.factors, self.f_stride = buffers.factors.view(np.uint16), 2 * buffers.f_stride
        self._sizes = len(starts) - 1, int(starts[1]), self.M, C, H, self.P, buffers.stride, s_stride, self.f_stride
        # kept alive, like the buffers, because `struct` holds addresses
        self._batch, self.which, self.products = (starts, parts.lengths_of(starts)), None, None
        self._buffers = (
            buffers.rows, states, buffers.mask, buffers.c, buffers.gates, buffers.sums, buffers.zero
        )  # fmt: skip
        self.struct = self._describe()
        self._zeros = buffers.zero[None]

    def _describe(self, backward=None):
        S, which = (0, self._batch[0]) if self.which is None else (self.which.shape[1], self.which.reshape(-1))
        buffers = (*self._buffers, self.products, self.factors, *(backward or (*(None,) * 5, self.factors[:0])))
        return struct_of_run((*self._sizes, S), (*self._batch, which), buffers)

    def look_up(self, products, which):
        self.products, self.which = products, which
        self.struct = self._describe()

    def _initial(self, state):
        """Arguments for the initial states: h, c, and whether they are given."""
        if state is None:
            return self._zeros, self._zeros, False
        return state[0], state[1] if "c" in self.kind.states else state[0], True

    def load(self, part, x, at, state, reverse):
        load_rows(self.struct, part.struct, x, at, reverse, *self._initial(state))

    def begin(self, part, state):
        begin_rows(self.struct, part.struct, *self._initial(state))

    def copy_outputs(self, part, reverse, out, column, stride):
        copy_outputs(self.struct, part.struct, reverse, out, column, stride)

    def forward(self, part, packed):
        self.entries.forward(self.struct, part.struct, packed.forward, part.barrier)

    @lazy
    def _alone(self):
        return struct_of_part(0, int(self.starts[1]), 0, 1, False), np.zeros(1, np.int64)

    def step(self, packed, x, h):
        part, barrier = self._alone
        self.entries.step(self.struct, part, packed.forward, barrier, x, h)

    def prepare_backward(self, dz, dh, panels, d_h, dc, d_seen, dz_factors=None):
        buffers = d_h, dz, dh, dc, d_seen, dz_factors.view(np.uint16) if self.is_narrow else dz
        return Backward(self, buffers, panels, self._describe(buffers))

    def spans(self, first, last):
        """Inputs `first` to `last` of [x, 1, h'] as (first, last, column of the first in a row of factors)."""
        x = self.C + 1
        gap = x % 2 if self.is_narrow else 0
        if gap and first < x < last:
            return [(first, x, first), (x, last, x + gap)]
        return [(first, last, first if first < x else first + gap)]


class Backward:
    def __init__(self, run, buffers, panels, struct):
        self.run, self.struct = run, struct
        self.panels = panels.view(np.uint32) if run.is_narrow else panels  # of operands
        self._buffers, self.dz, self.dz_factors = buffers, buffers[1], buffers[-1]  # kept alive for the struct

    def add_gradients(self, part, reverse, d, column, stride, accumulate):
        add_gradients(self.struct, part.struct, reverse, d, column, stride, accumulate)

    def backward(self, part, packed, to_start):
        self.run.entries.backward(self.struct, part.struct, packed.backward, part.barrier, to_start)

    def add_rows(self, first, last, d_products):
        run, P = self.run, self.run.P
        rows = self.dz, run.M, run.kind.n_slots * P
        add_rows(rows, run.which, (first, last), d_products, len(run.kind.gates) * P)

    def weight_gradient(self, part, packed, accumulate):
        run, P = self.run, self.run.P
        panel = self.panels[part.rank * BLOCK_ROWS * 4 * run.lanes :]
        for first, last, slot, gates, at in run.cell.gradient(run.C, run.H, P):
            dz = self.dz_factors[slot * P :], run.kind.n_slots * P
            columns = part.share(gates * P, 4 * run.lanes)
            for begin, end, column in run.spans(first, last):
                rows = run.factors[column:], run.M, end - begin, run.f_stride
                out = packed.gradient[at + (begin - first) * gates * P :], gates * P
                matmul.gradient(columns, rows, dz, panel, out, accumulate)

    def input_gradient(self, part, packed, d_x):
        run, kind, P = self.run, self.run.kind, self.run.P
        dz, out = (self.dz_factors, len(kind.gates) * P, kind.n_slots * P), (d_x, padded(run.C, run.lanes))
        matmul.multiply_rows(part.share(run.M), run.buffers.zero, dz, packed.inputs, out)


class Linear:
    def __init__(self, weight, bias):
        self.layer = weight, bias

    def forward(self, first, last, features, scores):
        head.forward_rows(first, last, features, *self.layer, scores)

    def differentiate(self, loss, first, last, features, d_scores, d_features):
        head.differentiate_rows(loss.number, (first, last), self.layer, loss.rows, features, d_scores, d_features)

    def backward(self, first, last, d_scores, d_features):
        head.backward_rows(first, last, self.layer[0], d_scores, d_features)


#: Identifier of each loss by name.
LOSSES = {**head.NUMBERS, **{name: name for name in distributions.ENTRIES}}


class Loss:
    def __init__(self, number, K, levels, targets, sample_weight, values):
        self.number, self.K, self.levels, self.rows = number, K, levels, (targets, sample_weight, values)

    def of_rows(self, first, last, d_scores):
        if self.number in distributions.ENTRIES:
            of_rows, slopes = distributions.ENTRIES[self.number], np.empty(len(self.levels))
            of_rows(first, last, self.levels, *self.rows, d_scores, slopes)
        else:
            head.losses_of_rows(self.number, first, last, self.K, *self.rows, d_scores)


class RollOut:
    def __init__(self, runs, packed, linear, forecast):
        x = forecast.x if runs else np.empty((0, 0, 0))
        scores, noise = (np.empty((0, 0), x.dtype) if of is None else of for of in (forecast.scores, forecast.noise))
        self._arrays = forecast.series, forecast.lags, forecast.offset, x, scores, noise.astype("float64", copy=False)
        self._factors = float(forecast.point), float(forecast.width), float(forecast.sharpness)
        self._runs, self._packed, self._linear = runs, packed, linear

    def run(self, part):
        rows = struct_of_part(part.first, part.last, part.rank, part.size, False)
        if not self._runs:
            roll_out.roll_out_lags(rows, self._arrays, self._factors)
            return
        structs, weights = [run.struct for run in self._runs], [packed.forward for packed in self._packed]
        entry = roll_out.roll_out(self._runs[0].cell)
        entry(tuple(structs), rows, part.barrier, tuple(weights), self._linear.layer, self._arrays, self._factors)


class Attention:
    def __init__(self, lanes, A, W, source, target, arrays):
        S, T = np.diff(source), np.diff(target)
        columns = padded(S, lanes)
        before = [np.concatenate([[0], np.cumsum(of)[:-1]]) for of in (columns, T * columns)]
        self._places, self._arrays = (np.array(source), np.array(target), *before), arrays
        self._sizes = A, W, int((T * columns).max())
        self._vector = np.empty(0, arrays.keys.dtype) if arrays.vector is None else arrays.vector
        rows = max(int((T * np.maximum(max(A, W), S)).max()), 1)
        self.scratch = BLOCK_ROWS * 4 * lanes + self._sizes[2] + rows

    def transpose_memory(self, first, last):
        arrays, (A, W, _) = self._arrays, self._sizes
        attention.transpose_memory((first, last), self._places, A, _matrix(arrays.keys), arrays.keys_t)
        if arrays.memory_t is not None:
            attention.transpose_memory((first, last), self._places, W, _matrix(arrays.memory), arrays.memory_t)

    def forward(self, first, last, scratch):
        of, additive = self._arrays, self._arrays.vector is not None
        arrays = of.keys_t, _matrix(of.queries), _matrix(of.memory), _matrix(of.context), of.weights
        attention.attend((first, last), self._places, self._sizes[0], arrays, additive, self._vector, scratch)

    def backward(self, first, last, scratch):
        of, additive = self._arrays, self._arrays.vector is not None
        arrays = _matrix(of.keys), _matrix(of.queries), of.weights, of.memory_t
        gradients = tuple(map(_matrix, (of.d_context, of.d_keys, of.d_queries, of.d_memory)))
        kind = additive, of.d_keys is of.d_memory
        vectors = self._vector, of.d_vector.reshape(-1) if additive else self._vector
        attention.attend_back((first, last), self._places, self._sizes[1:], arrays, gradients, kind, vectors, scratch)


def _matrix(array):
    return array.reshape(-1), array.shape[1]


# -- wrappers of compiled functions with other signatures --------------------------------------------------------------


def pack_panels(H, P, M, first, last, w, out):
    pack_groups((1, 0), (H, P, M), (first, last), w, out)


def multiply_rows(first, last, a, w, start, out):
    K, M = a.shape[1], out.shape[1]
    matmul.multiply_rows((first, last), start, (a.reshape(-1), K, K), w, (out.reshape(-1), M))


def gradient(first, last, R, a, b, panels, out, accumulate):
    (M, stride), Q = a.shape, b.shape[1]
    of_a, of_b, panel = (a.reshape(-1), M, R, stride), (b.reshape(-1), Q), panels[first * BLOCK_ROWS :]
    matmul.gradient((first, last), of_a, of_b, panel, (out.reshape(-1), Q), accumulate)


def gather(starts, order, reverse, first, last, array, column, rows):
    batch = starts, parts.lengths_of(starts) if reverse else starts, order
    packing.gather(batch, reverse, (first, last), (flat(array), *array.shape[1:], column), rows)


def scatter(starts, order, reverse, states, add, rows, out, column):
    packing.scatter((starts, parts.lengths_of(starts), order), reverse, states, add, rows, out, column)


def tanh_rows(first, last, rows):
    edge = np.zeros(VECTOR_BYTES // rows.itemsize, rows.dtype)
    attention.tanh_rows(first, last, rows.shape[1], rows.reshape(-1), edge)


def draw(key, threshold, keep, sequences, first, last, masks):
    dropout.draw(key, threshold, keep, sequences, (first, last), masks)


def scale(starts, first, last, masks, column, rows):
    dropout.scale(starts, (first, last), masks, column, rows)
