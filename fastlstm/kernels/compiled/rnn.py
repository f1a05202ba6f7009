"""The runs of the vanilla RNN; see the contract."""

from fastlstm.kernels.compiled import recurrence


class Packed(recurrence.Packed):
    """Weights, and their gradient, as the kernels have them; see the contract."""

    GATES = 1

    def _fill_forward(self, first, last, weight_ih, weight_hh, bias_ih, bias_hh):
        self.entries.rnn_pack(self.C, self.H, self.P, first, last, weight_ih, weight_hh, bias_ih, bias_hh, self.forward)


class Run(recurrence.Run):
    """Buffers of one run over a packed batch, and the steps of it; see the contract."""

    SLOTS = 1  # the gradient of the sum; forward, a step leaves its state only

    def forward(self, part, packed):
        where, meeting = self._part(part)
        self.entries.rnn_forward(
            self._starts, *where, self.C, self.H, self.P, self._rows, self.stride, *self._states, self._mask_of_rows,
            self._masked, packed.forward, self._sums, part.rank * self._sums_size, self._zero, *meeting,
        )  # fmt: skip

    def _bind(self, packed):
        return self.entries.rnn_stepper(
            self._starts, self.N, self.C, self.H, self.P, self._rows, self.stride, packed.forward, self._sums,
            self._zero,
        )  # fmt: skip

    def backward(self, part, packed, to_start=False):
        where, meeting = self._part(part)
        self.entries.rnn_backward(
            self._starts, *where, self.H, self.P, *self._states, self._mask_of_rows, self._masked, packed.backward,
            self._d_h, self.d_h is not None, self._dz, self._dh.reshape(-1), self._zero, to_start, *meeting,
        )  # fmt: skip
        self._end_backward(part, to_start)
