"""The classes of the entries, which hold what calls of compiled functions share; see ``kernels.compiled``."""

from typing import NamedTuple

import numpy as np

from fastlstm.kernels import CELLS, parts
from fastlstm.kernels.compiled.layout import BLOCK_ROWS, SUMS_BYTES, flat, padded
from fastlstm.kernels.compiled.recurrence import SLOTS
from fastlstm.kernels.lazy import lazy
from fastlstm.kernels.numba import buffers, distributions, dropout, gru, head, lstm, matmul, packing, rnn

MODULES = {"lstm": lstm, "gru": gru, "rnn": rnn}


class Part(NamedTuple):
    first: int
    last: int
    rank: int
    size: int
    by_units: bool
    meeting: np.ndarray

    share = parts.Part.share


class Packed:
    def __init__(self, lanes, cell, C, H, forward, backward, inputs, gradient):
        self.cell, self.sizes, self.lanes, self.G = cell, (C, H, padded(H, lanes)), lanes, len(CELLS[cell].gates)
        self.forward, self.backward, self.inputs, self.gradient = forward, backward, inputs, gradient

    def fill(self, part, weight_ih, weight_hh, bias_ih, bias_hh):
        (C, H, P), G, panel = self.sizes, self.G, 4 * self.lanes
        units, weights = part.share(P, panel), (weight_ih, weight_hh, bias_ih, bias_hh)
        if self.forward is not None and self.cell == "lstm":
            buffers.pack_gates(G, C, H, *units, *weights, self.forward)
        elif self.forward is not None and self.cell == "gru":
            gru.pack(C, H, *units, *weights, self.forward)
        elif self.forward is not None:
            rnn.pack(C, H, P, *units, *weights, self.forward)
        if self.backward is not None:
            buffers.pack_panels(G, H, P, H, *units, weight_hh, self.backward)
        if self.inputs is not None:
            if self.cell == "gru":  # in the order of a run's slots: n, r, z
                weight_ih = np.roll(weight_ih, H * C)
            buffers.pack_panels(G, H, P, C, *part.share(padded(C, self.lanes), panel), weight_ih, self.inputs)

    def blocks_of_gradient(self):
        """Where a GRU's products begin of [x, 1] and n, and of [1, h'] and m, behind [x, 1, h'] and r, z."""
        C, H, P = self.sizes
        of_n = (C + 1 + H) * 2 * P
        return of_n, of_n + (C + 1) * P

    def unpack(self, part, *d_weights):
        P, panel = self.sizes[-1], 4 * self.lanes
        if self.cell == "gru":
            columns = *part.share(2 * P, panel), *part.share(P, panel)
            gru.unpack(*self.sizes, *columns, self.gradient, *self.blocks_of_gradient(), *d_weights)
        else:
            buffers.unpack(self.G, *self.sizes, *part.share(self.G * P, panel), self.gradient, *d_weights)


class Run:
    def __init__(self, lanes, cell, C, H, starts, of):
        self.lanes, self.cell, self.sizes, self.starts = lanes, cell, (C, H, padded(H, lanes)), starts
        self.buffers, self.N, self.masked = of, int(starts[1]), of.mask is not None
        self.states = (of.h, 0, self.sizes[-1]) if self.masked else (of.rows, C + 1, of.stride)
        self.seen = (of.mask if self.masked else of.zero), self.masked
        self.of_sums = max(SUMS_BYTES // of.zero.itemsize, self.N * 4 * lanes)
        self.slots, self.module = SLOTS[cell], MODULES[cell]
        recording, gates = of.gates is not None, of.zero if of.gates is None else of.gates
        self._kept = (gates, recording) if self.slots.kept else ()
        self._c = () if of.c is None else (of.c,)
        # arguments that are the same in all calls
        self._rows = of.rows, of.stride
        self._of_forward = *self.sizes, *self._rows, *self.states, *self.seen
        self._room = *self._c, *self._kept, of.sums
        self._units, self._nobody, self._no_state = (0, self.sizes[-1]), (starts, 1), of.zero[None]
        if self._c:
            self._c_0 = of.c.reshape(-1, self.sizes[-1])[: self.N]
        self._stepping_with = None  # the weights of `_buffers_of_step`

    @lazy
    def lengths(self):
        return parts.lengths_of(self.starts)

    def where(self, part):
        """Rows and units of a part, and where how many threads wait for each other after each step."""
        if part.by_units:
            return (0, self.N, *part.share(self.sizes[-1], 4 * self.lanes)), (part.meeting, part.size)
        return (part.first, part.last, *self._units), self._nobody

    def _start(self, part, state):
        """The initial states, but for what goes into the rows: h_0, or what stands for none."""
        if self._c:
            rows = slice(part.first, part.last)
            self._c_0[rows] = 0
            if state is not None:
                self._c_0[rows, : self.sizes[1]] = state[1][rows]
        return self._no_state if state is None else state[0]

    def _mask_start(self, part, state):
        """What `_start` leaves to the rows, where they hold the masked states."""
        (C, H, P), of, rows, N = self.sizes, self.buffers, slice(part.first, part.last), self.N
        h, mask = (array.reshape(-1, P)[:N][rows, :H] for array in (of.h, of.mask))
        h[:] = 0 if state is None else state[0][rows]
        of.rows[: N * of.stride].reshape(N, -1)[rows, C + 1 : C + 1 + H] = h * mask

    def load(self, part, x, at, state, reverse):
        buffers.load_rows(
            self.starts, self.lengths if reverse else self.starts, reverse, part.first, part.last, *self.sizes, x, at,
            self._start(part, state), state is not None, *self._rows,
        )  # fmt: skip
        if self.masked:
            self._mask_start(part, state)

    def begin(self, part, state):
        buffers.begin_rows(
            self.starts, part.first, part.last, *self.sizes, self._start(part, state), state is not None, *self._rows
        )
        if self.masked:
            self._mask_start(part, state)

    def copy_outputs(self, part, reverse, out, column, stride):
        buffers.copy_outputs(
            self.starts, self.lengths, reverse, part.first, part.last, self.sizes[1], *self.states, out, column, stride
        )

    def forward(self, part, packed):
        where, meeting = self.where(part)
        self.module.forward_steps(
            self.starts, *where, *self._of_forward, packed.forward, *self._room, part.rank * self.of_sums,
            self.buffers.zero, *meeting,
        )  # fmt: skip

    def step(self, packed, x, h):
        if packed is not self._stepping_with:
            of = self.buffers
            self._buffers_of_step = (
                self.starts, self.N, *self.sizes, of.rows, of.stride, packed.forward, *self._c, of.sums, of.zero
            )  # fmt: skip
            self._stepping_with = packed
        self.module.one_step(*self._buffers_of_step, x, h)

    def prepare_backward(self, dz, dh, panels, d_h, dc, d_seen):
        return Backward(self, dz, dh, panels, d_h, dc, d_seen)


class Backward:
    def __init__(self, run, dz, dh, panels, d_h, dc, d_seen):
        self.run, self.dz, self.dh, self.panels, self.d_h, self.d_seen = run, dz, dh, panels, d_h, d_seen
        zero = run.buffers.zero
        outputs = (zero if d_h is None else d_h), d_h is not None
        of_cell = {"lstm": (dc,), "gru": (zero if d_seen is None else d_seen,), "rnn": ()}
        self._read = *run._c, *run._kept[:1]
        self._sizes = *run.sizes[1:], *(() if run._c else run.states), *run.seen
        self._gradients = *outputs, dz, dh, *of_cell[run.cell], zero

    def add_gradients(self, part, reverse, d, column, stride, more):
        _, H, P = self.run.sizes
        buffers.add_gradients(
            self.run.starts, self.run.lengths, reverse, part.first, part.last, H, d, column, stride, self.d_h, P, more
        )

    def backward(self, part, packed, to_start):
        run, (where, meeting) = self.run, self.run.where(part)
        run.module.backward_steps(
            run.starts, *where, *self._sizes, packed.backward, *self._read, *self._gradients, to_start, *meeting
        )
        if run.masked and to_start:  # from the gradient of the initial states as the gates see them
            here = slice(where[0], where[1]), slice(where[2], where[3])
            dh, mask = (array.reshape(run.N, -1)[here] for array in (self.dh, run.buffers.mask))
            if run.cell == "gru":
                dh += self.d_seen.reshape(run.N, -1)[here] * mask
            else:
                dh *= mask

    def _products(self, part, first, last, slot, gates, out, more):
        """A part of out[inputs, gates * P]: those inputs from `first` to `last`, times as many slots of dz."""
        run, P = self.run, self.run.sizes[-1]
        columns, panel = part.share(gates * P, 4 * run.lanes), part.rank * BLOCK_ROWS * 4 * run.lanes
        matmul.gradient(
            int(run.starts[-1]), last - first, *columns, gates * P, run.buffers.rows[first:], run.buffers.stride,
            self.dz[slot * P :], run.slots.number * P, self.panels, panel, out, more,
        )  # fmt: skip

    def weight_gradient(self, part, packed, more):
        (C, H, _), d_w = self.run.sizes, packed.gradient
        if self.run.cell == "gru":
            of_n, of_m = packed.blocks_of_gradient()
            self._products(part, 0, C + 1 + H, 1, 2, d_w, more)
            self._products(part, 0, C + 1, 0, 1, d_w[of_n:], more)
            self._products(part, C, C + 1 + H, 3, 1, d_w[of_m:], more)
        else:
            self._products(part, 0, C + 1 + H, 0, packed.G, d_w, more)

    def input_gradient(self, part, packed, d_x):
        run, (C, _, P) = self.run, self.run.sizes
        rows, columns = part.share(int(run.starts[-1])), padded(C, run.lanes)
        matmul.multiply_rows(
            *rows, packed.G * P, run.slots.number * P, columns, run.buffers.zero, self.dz, packed.inputs, d_x
        )


class Linear:
    def __init__(self, weight, bias):
        self.layer = weight, bias

    def forward(self, first, last, features, scores):
        head.forward_rows(first, last, features, *self.layer, scores)

    def differentiate(self, loss, first, last, features, d_scores, d_features):
        number, _, _, of_rows = loss.of
        head.differentiate_rows(number, first, last, features, *self.layer, *of_rows, d_scores, d_features)

    def backward(self, first, last, d_scores, d_features):
        head.backward_rows(first, last, self.layer[0], d_scores, d_features)


#: Losses by their names: what stands for each in a call.
LOSSES = {**head.NUMBERS, **{name: name for name in distributions.ENTRIES}}


class Loss:
    def __init__(self, number, K, levels, targets, shares, values):
        self.of = number, K, levels, (targets, shares, values)

    def of_rows(self, first, last, d_scores):
        number, K, levels, of_rows = self.of
        if number in distributions.ENTRIES:
            slopes = np.empty(len(levels))
            distributions.ENTRIES[number](first, last, len(levels), levels, *of_rows, d_scores, slopes)
        else:
            head.losses_of_rows(number, first, last, K, *of_rows, d_scores)


# -- functions whose arguments are other arrays than those of the compiled ones ----------------------------------------


def pack_panels(H, P, M, first, last, w, out):
    buffers.pack_panels(1, H, P, M, first, last, w, out)


def multiply_rows(first, last, a, w, start, out):
    K, M = a.shape[1], out.shape[1]
    matmul.multiply_rows(first, last, K, K, M, start, a.reshape(-1), w, out.reshape(-1))


def gradient(first, last, R, a, b, panels, out, more):
    M, Q = b.shape
    of_a, of_b, panel = a.reshape(-1), b.reshape(-1), first * BLOCK_ROWS
    matmul.gradient(M, R, first, last, Q, of_a, a.shape[1], of_b, Q, panels, panel, out.reshape(-1), more)


def gather(starts, order, reverse, first, last, array, column, rows):
    lengths = parts.lengths_of(starts) if reverse else starts
    packing.gather(starts, lengths, order, reverse, first, last, *array.shape[1:], column, flat(array), rows)


def scatter(starts, order, reverse, states, add, rows, out, column):
    packing.scatter(starts, parts.lengths_of(starts), order, reverse, states, add, rows, out, column)


def draw(key, threshold, keep, sequences, first, last, masks):
    dropout.draw(*key, threshold, keep, sequences, first, last, masks)


def scale(starts, first, last, masks, column, rows):
    stride, m_stride = (array.strides[0] // array.itemsize for array in (rows, masks))
    dropout.scale(starts, first, last, masks, m_stride, column, rows.shape[1], rows, stride)
