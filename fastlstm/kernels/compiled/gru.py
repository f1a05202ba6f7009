"""The runs of the GRU, whose sums stand as [n, r, z, m]; see the contract."""

import numpy as np

from fastlstm.kernels.compiled import recurrence
from fastlstm.kernels.compiled.layout import flat


class Packed(recurrence.Packed):
    """Weights, and their gradient, as the kernels have them; see the contract."""

    GATES = 3

    def _forward_size(self):
        return super()._forward_size() + self.P

    def _gradient_size(self):
        return (3 * (self.C + 1 + self.H) + 1) * self.P

    def _fill_forward(self, first, last, weight_ih, weight_hh, bias_ih, bias_hh):
        self.entries.gru_pack(self.C, self.H, first, last, weight_ih, weight_hh, bias_ih, bias_hh, self.forward)

    def _in_order_of_slots(self, weight_ih):
        return np.roll(weight_ih, self.H * self.C)  # n, r, z

    def blocks_of_gradient(self):
        """Where the products begin of [x, 1, h'] and r, z [C+1+H, 2, P], of [x, 1] and n, of [1, h'] and m."""
        of_n = (self.C + 1 + self.H) * 2 * self.P
        return 0, of_n, of_n + (self.C + 1) * self.P

    def unpack(self, part, d_weights):
        of_both, of_one = (part.share(gates * self.P, 4 * self.lanes) for gates in (2, 1))
        _, of_n, of_m = self.blocks_of_gradient()
        self.entries.gru_unpack(
            self.C, self.H, self.P, *of_both, *of_one, self.gradient, of_n, of_m, *map(flat, d_weights)
        )


class Run(recurrence.Run):
    """Buffers of one run over a packed batch, and the steps of it; see the contract."""

    SLOTS = 4  # n, r, z, m

    def __init__(self, C, H, starts, dtype, workspace, recording=False, threads=1, masked=False):
        super().__init__(C, H, starts, dtype, workspace, recording, threads, masked)
        if recording:
            self._gates = self._empty("gates", (self.M * self.SLOTS * self.P,), dtype)

    def forward(self, part, packed):
        where, meeting = self._part(part)
        self.entries.gru_forward(
            self._starts, *where, self.C, self.H, self.P, self._rows, self.stride, *self._states, self._mask_of_rows,
            self._masked, packed.forward, self._gates if self._recording else self._unread, self._recording, self._sums,
            part.rank * self._sums_size, self._zero, *meeting,
        )  # fmt: skip

    def _bind(self, packed):
        return self.entries.gru_stepper(
            self._starts, self.N, self.C, self.H, self.P, self._rows, self.stride, packed.forward, self._sums,
            self._zero,
        )  # fmt: skip

    def prepare_backward(self, outputs=False, inputs=False, keep=False):
        self._d_seen = None
        super().prepare_backward(outputs, inputs, keep)
        if self._masked:
            self._d_seen = self._room("d_seen", self.N)

    def backward(self, part, packed, to_start=False):
        where, meeting = self._part(part)
        self.entries.gru_backward(
            self._starts, *where, self.H, self.P, *self._states, self._mask_of_rows, self._masked, packed.backward,
            self._gates, self._d_h, self.d_h is not None, self._dz, self._dh.reshape(-1),
            self._d_seen.reshape(-1) if self._masked else self._unread, self._zero, to_start, *meeting,
        )  # fmt: skip
        self._end_backward(part, to_start)

    def _end_backward(self, part, to_start):
        if self._masked and to_start:
            (first, last, u_first, u_last), _ = self._part(part)
            here = slice(first, last), slice(u_first, u_last)
            self._dh[here] += self._d_seen[here] * self._mask[here]

    def weight_gradient(self, part, packed, more=False):
        C, H, P = self.C, self.H, self.P
        of_gates, of_n, of_m = (packed.gradient[begin:] for begin in packed.blocks_of_gradient())
        self._products(part, 0, C + 1 + H, P, 2 * P, of_gates, more)
        self._products(part, 0, C + 1, 0, P, of_n, more)
        self._products(part, C, 1 + H, 3 * P, P, of_m, more)
