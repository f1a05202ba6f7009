"""The runs of the LSTM; see the contract."""

from fastlstm.kernels.compiled import recurrence


class Packed(recurrence.Packed):
    """Weights, and their gradient, as the kernels have them; see the contract."""

    GATES = 4

    def _fill_forward(self, first, last, weight_ih, weight_hh, bias_ih, bias_hh):
        self.entries.pack_gates(
            self.GATES, self.C, self.H, first, last, weight_ih, weight_hh, bias_ih, bias_hh, self.forward
        )


class Run(recurrence.Run):
    """Buffers of one run over a packed batch, and the steps of it; see the contract."""

    SLOTS = 4  # i, f, g, o

    def __init__(self, C, H, starts, dtype, workspace, recording=False, threads=1, masked=False):
        super().__init__(C, H, starts, dtype, workspace, recording, threads, masked)
        c = self._empty("c", (self.M + self.N if recording else self.N, self.P), dtype)
        self._c, self._c_0 = c.reshape(-1), c[: self.N]
        self.state, self.state_n = (*self.state, c[: self.N, :H]), (*self.state_n, c[-self.N :, :H])
        if recording:
            self._gates = self._empty("gates", (self.M * self.SLOTS * self.P,), dtype)

    def _start(self, part, state):
        rows = slice(*self.bounds(part))
        self._c_0[rows] = 0
        if state is not None:
            self._c_0[rows, : self.H] = state[1][rows]
        return super()._start(part, state)

    def forward(self, part, packed):
        where, meeting = self._part(part)
        self.entries.lstm_forward(
            self._starts, *where, self.C, self.H, self.P, self._rows, self.stride, *self._states, self._mask_of_rows,
            self._masked, packed.forward, self._c, self._gates if self._recording else self._unread, self._recording,
            self._sums, part.rank * self._sums_size, self._zero, *meeting,
        )  # fmt: skip

    def _bind(self, packed):
        return self.entries.lstm_stepper(
            self._starts, self.N, self.C, self.H, self.P, self._rows, self.stride, packed.forward, self._c, self._sums,
            self._zero,
        )  # fmt: skip

    def prepare_backward(self, outputs=False, inputs=False, keep=False):
        self._dc = None
        super().prepare_backward(outputs, inputs, keep)
        self._dc = self._room("dc", self.N)
        self.d_state = (*self.d_state, self._dc[:, : self.H])

    def backward(self, part, packed, to_start=False):
        where, meeting = self._part(part)
        self.entries.lstm_backward(
            self._starts, *where, self.H, self.P, self._mask_of_rows, self._masked, packed.backward, self._c,
            self._gates, self._d_h, self.d_h is not None, self._dz, self._dh.reshape(-1), self._dc.reshape(-1),
            self._zero, to_start, *meeting,
        )  # fmt: skip
        self._end_backward(part, to_start)
