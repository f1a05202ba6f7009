"""What the runs of all cells share: their buffers, the parts of them, and the products beside the recurrence.

A cell derives its `Packed` and `Run` from these, and adds its steps forward and back.
"""

from fastlstm.kernels.compiled.layout import BLOCK_ROWS, SUMS_BYTES, flat, padded, row_layout, zeros
from fastlstm.kernels.lazy import lazy
from fastlstm.kernels.parts import lengths_of, row_bounds


class Packed:
    """Weights, and their gradient, as the kernels have them; see the contract."""

    GATES = None
    entries_of = None  # the backend's, of a type

    def __init__(self, C, H, dtype, workspace, forward=True, backward=False, inputs=False):
        self.entries = self.entries_of(dtype)
        self.lanes = self.entries.lanes()
        self.C, self.H, self.P = C, H, padded(H, self.lanes)
        self.columns = self.GATES * self.P
        self.forward = self.backward = self.inputs = None
        if forward:
            self.forward = self.entries.held(workspace.empty("packed", (self._forward_size(),), dtype))
        if backward:
            self.backward = self.entries.held(workspace.empty("packed_hh", (self.columns * self.P,), dtype))
            self.gradient = workspace.empty("gradient", (self._gradient_size(),), dtype)
        if inputs:
            self.inputs = workspace.empty("packed_ih", (self.columns * padded(C, self.lanes),), dtype)

    def _forward_size(self):
        return (self.C + 1 + self.H) * self.columns

    def _gradient_size(self):
        return (self.C + 1 + self.H) * self.columns

    def fill(self, part, weights):
        C, H, P, panel = self.C, self.H, self.P, 4 * self.lanes
        weight_ih, weight_hh, bias_ih, bias_hh = map(flat, weights)
        first, last = part.share(P, panel)
        if self.forward is not None:
            self._fill_forward(first, last, weight_ih, weight_hh, bias_ih, bias_hh)
        if self.backward is not None:
            self.entries.pack_panels(self.GATES, H, P, H, first, last, weight_hh, self.backward)
        if self.inputs is not None:
            columns = part.share(padded(C, self.lanes), panel)
            weight_ih = self._in_order_of_slots(weight_ih)
            self.entries.pack_panels(self.GATES, H, P, C, *columns, weight_ih, self.inputs)

    def _fill_forward(self, first, last, weight_ih, weight_hh, bias_ih, bias_hh):
        """Weights of the units from `first` to `last` as the steps forward read them."""
        raise NotImplementedError

    def _in_order_of_slots(self, weight_ih):
        """The blocks of the inputs' weights as their gates stand in a run's `_dz`."""
        return weight_ih

    def unpack(self, part, d_weights):
        columns = part.share(self.columns, 4 * self.lanes)
        self.entries.unpack(self.GATES, self.C, self.H, self.P, *columns, self.gradient, *map(flat, d_weights))


class Run:
    """Buffers of one run over a packed batch, and the steps of it; see the contract."""

    #: Numbers that a step leaves for each row and unit: the gates and, after `backward`, the gradients of their sums.
    SLOTS = None
    entries_of = None  # the backend's, of a type
    _gates = None  # those of the steps forward, where they are kept
    _stepping_with = None  # the weights of `_stepper`

    def __init__(self, C, H, starts, dtype, workspace, recording=False, threads=1, masked=False):
        self.entries = self.entries_of(dtype)
        self.lanes = lanes = self.entries.lanes()
        self.starts, self.C, self.H, self.P, self.dtype = starts, C, H, padded(H, lanes), dtype
        self.N, self.M = int(starts[1]), int(starts[-1])
        begin, self.stride = row_layout(C, self.P, dtype)
        self._empty, self._recording, self._threads = workspace.empty, recording, threads
        self._bounds = {1: [0, self.N]}
        rows = self._empty("rows", (self.M + self.N, self.stride), dtype)
        self.inputs = rows[:, begin : begin + C]
        self._flat_rows, zero = rows.reshape(-1)[begin:], zeros(4 * self.P + padded(C, lanes), dtype)
        unread, held = self.entries.unread, self.entries.held
        self._unread, self._no_state, self._nowhere = unread(zero), unread(zero[None]), unread(starts)
        self._rows, self._zero, self._starts = held(self._flat_rows), held(zero), self.entries.held_sizes(starts)
        self._masked = masked
        if masked:  # rows hold the states times the mask, as the gates see them; the states are beside them
            self._seen = rows[:, begin + C + 1 : begin + C + 1 + H]
            h, self._mask = self._room("h", self.M + self.N), self._room("mask", self.N)
            self.h, self.mask, self._mask_of_rows = h[:, :H], self._mask[:, :H], self._mask.reshape(-1)
            self._states = h.reshape(-1), 0, self.P
        else:
            self.h, self._mask_of_rows = rows[:, begin + C + 1 : begin + C + 1 + H], self._unread
            self._states = self._rows, C + 1, self.stride
        self._sums_size = max(SUMS_BYTES // dtype.itemsize, self.N * 4 * lanes)
        self._sums = self._empty("sums", (threads * self._sums_size,), dtype)
        self.state, self.state_n = (self.h[: self.N],), (self.h[self.M :],)

    @lazy
    def _lengths(self):
        return lengths_of(self.starts)

    def _part(self, part):
        """Rows and units of a part, and where how many threads meet after each step."""
        if part.by_units:
            return (0, self.N, *part.share(self.P, 4 * self.lanes)), (part.meeting, part.size)
        return (*self.bounds(part), 0, self.P), (self._nowhere, 1)

    def step(self, packed, x, h):
        if packed is not self._stepping_with:
            self._stepping_with, self._stepper = packed, self._bind(packed)
        self._stepper(x, h)

    def _bind(self, packed):
        """A function of x and h that takes a step with these weights: it has found its buffers once for all steps."""
        raise NotImplementedError

    def bounds(self, part):
        bounds = self._bounds.get(part.size)
        if bounds is None:
            bounds = self._bounds[part.size] = row_bounds(self.starts, part.size)
        return bounds[part.rank], bounds[part.rank + 1]

    def _start(self, part, state):
        """Take the other initial states, and return h_0, or what stands for none."""
        return self._no_state if state is None else state[0]

    def _mask_start(self, part, state):
        """What `_start` leaves to the rows, where they hold the masked states."""
        rows = slice(*self.bounds(part))
        self.h[rows] = 0 if state is None else state[0][rows]
        self._seen[rows] = self.h[rows] * self.mask[rows]

    def load(self, part, x, at, state=None, reverse=False):
        h_0 = self._start(part, state)
        lengths = self._lengths if reverse else self._nowhere
        self.entries.load_rows(
            self._starts, lengths, reverse, *self.bounds(part), self.C, self.H, self.P, flat(x), at, h_0,
            state is not None, self._rows, self.stride,
        )  # fmt: skip
        if self._masked:
            self._mask_start(part, state)

    def connect(self, part, below, turned, state=None):
        h_0 = self._start(part, state)
        self.entries.begin_rows(
            self._starts, *self.bounds(part), self.C, self.H, self.P, h_0, state is not None, self._rows, self.stride
        )
        if self._masked:
            self._mask_start(part, state)
        column = 0
        for run, other_way in zip(below, turned, strict=True):
            run._copy_outputs(part, other_way, self._rows, column, self.stride)
            column += run.H

    def outputs(self, part, turned, out, column):
        self._copy_outputs(part, turned, out.reshape(-1), column, out.shape[1])

    def _copy_outputs(self, part, turned, out, column, stride):
        self.entries.copy_outputs(
            self._starts, self._lengths, turned, *self.bounds(part), self.H, *self._states, out, column, stride
        )

    def collect(self, part, d_outputs, turned, column):
        for n, (d, other_way) in enumerate(zip(d_outputs, turned, strict=True)):
            self.entries.add_gradients(
                self._starts, self._lengths, other_way, *self.bounds(part), self.H, d.reshape(-1), column, d.shape[1],
                self._d_h, self.P, n > 0,
            )  # fmt: skip

    def prepare_backward(self, outputs=False, inputs=False, keep=False):
        P, H, dtype = self.P, self.H, self.dtype
        # buffers of an earlier time are free
        self._dh = self._d_h = self._dz = self._panels = self.d_state = self.d_h = self.d_inputs = self.d_x = None
        self._dh = self._room("dh", self.N)
        self.d_state = (self._dh[:, :H],)
        self._d_h = self._unread
        if outputs:
            d_h = self._room("d_h", self.M)
            self.d_h, self._d_h = d_h[:, :H], d_h.reshape(-1)
        in_place = self._gates is not None and not keep
        self._dz = self._gates if in_place else self._empty("dz", (self.M * self.SLOTS * P,), dtype)
        self._panels = self._empty("panel", (self._threads * BLOCK_ROWS * 4 * self.lanes,), dtype)
        if inputs:
            self.d_inputs = self._empty("d_x", (self.M, padded(self.C, self.lanes)), dtype)
            self.d_x = self.d_inputs[:, : self.C]

    def _room(self, name, rows):
        """Room for gradients of states, zero in the padded units."""
        room = self._empty(name, (rows, self.P), self.dtype)
        room[:, self.H :] = 0
        return room

    def _end_backward(self, part, to_start):
        """The gradient of the initial states, from that of them as the gates see them."""
        if self._masked and to_start:
            (first, last, u_first, u_last), _ = self._part(part)
            self._dh[first:last, u_first:u_last] *= self._mask[first:last, u_first:u_last]

    def weight_gradient(self, part, packed, more=False):
        self._products(part, 0, self.C + 1 + self.H, 0, packed.columns, packed.gradient, more)

    def _products(self, part, input_, inputs, column, Q, out, more):
        """A part of out[inputs, Q]: those inputs from `input_` on, times the columns from `column` on of dz."""
        stride, panel = self.SLOTS * self.P, self._panels.size // self._threads * part.rank
        self.entries.gradient(
            self.M, inputs, *part.share(Q, 4 * self.lanes), Q, self._flat_rows[input_:], self.stride,
            self._dz[column:], stride, self._panels, panel, out, more,
        )  # fmt: skip

    def input_gradient(self, part, packed):
        self.entries.multiply_rows(
            *part.share(self.M), packed.columns, self.SLOTS * self.P, self.d_inputs.shape[1], self._zero, self._dz,
            packed.inputs, self.d_inputs.reshape(-1),
        )  # fmt: skip
