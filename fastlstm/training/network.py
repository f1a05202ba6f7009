"""The network of an estimator: one LSTM layer and a linear head on its last hidden state."""

import math

import numpy as np

from fastlstm import kernels, sequences, threads
from fastlstm.kernels.workspace import Workspace, aligned_empty
from fastlstm.layers import flops, initial_weights, weight_bytes

RECURRENT = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
TAPE_BYTES = 1 << 30  # the largest tape that checkpoint "auto" keeps whole,
SEGMENT_BYTES = 1 << 25  # and the size of the pieces that it otherwise computes a second time


def initialise(n_channels, hidden_size, n_outputs, random_state):
    """Fresh weights, float64: those of the layer, and a Glorot uniform head without bias."""
    weights = initial_weights(n_channels, hidden_size, random_state)
    limit = math.sqrt(6 / (hidden_size + n_outputs))
    weights["head.weight"] = random_state.uniform(-limit, limit, (n_outputs, hidden_size))
    weights["head.bias"] = np.zeros(n_outputs)
    return weights


def team_for(package, C, H, dtype, rows, steps, n_jobs, passes=1):
    """A team for a run over `steps` steps of `rows` sequences, forward or, with 3 passes, for training."""
    size = threads.worthwhile(n_jobs, passes * flops(C, H, steps), rows, weight_bytes(C, H, dtype))
    return threads.team(*size, package)


def scores(series, weights, backend, n_jobs=None):
    """Scores [n, K] of a `Series` under weights named as in `initialise`."""
    package, workspace = kernels.load(backend), Workspace()
    head, bias = weights["head.weight"], weights["head.bias"]
    recurrent, C, H, dtype = [weights[name] for name in RECURRENT], series.channels, head.shape[1], head.dtype
    out = np.empty((len(series), len(head)), dtype)
    packed = package.lstm.Packed(C, H, dtype, workspace)
    order = np.argsort(-series.lengths, kind="stable")
    blocks = sequences.blocks(len(order), int(series.lengths.max()), C + H)
    run = rows = None

    def compute(part):
        nonlocal run, rows
        packed.fill(part, recurrent)
        for block in blocks:
            if part.rank == 0:
                rows, starts = series.pack(order[block])
                run = package.lstm.Run(C, H, starts, dtype, workspace, threads=part.size)
            team.wait()
            run.load(part, series.values, series.at[rows])
            if part.by_units:
                team.wait()
            run.forward(part, packed)
            first, last = run.bounds(part)
            out[rows[first:last]] = package.head.forward(np.ascontiguousarray(run.h_n[first:last]), head, bias)
            team.wait()

    first = blocks[0].stop
    with team_for(package, C, H, dtype, first, int(series.lengths[order[:first]].sum()), n_jobs) as team:
        team.run(compute)
    return out


class Network:
    """Trainable weights: one flat array of parameters and one of gradients, with named views into both.

    Parameters
    ----------
    weights : dict of str to array
        As `initialise` returns them; copied.
    dtype : dtype
        Type to compute in.
    backend : str
        Name of the kernels' backend.
    checkpoint : int, "auto" or None
        Steps between two kept states: the steps between them are computed once more for the gradient. None keeps
        the whole tape.
    """

    def __init__(self, weights, dtype, backend, checkpoint=None):
        size = sum(value.size for value in weights.values())
        self.parameters, self.gradient = aligned_empty((size,), dtype), aligned_empty((size,), dtype)
        self.is_matrix = np.zeros_like(self.parameters)  # 1 where a penalty acts: matrices, not biases
        self.weights, self.d_weights = {}, {}
        end = 0
        for name, value in weights.items():
            start, end = end, end + value.size
            self.weights[name] = self.parameters[start:end].reshape(value.shape)
            self.d_weights[name] = self.gradient[start:end].reshape(value.shape)
            self.weights[name][...] = value
            self.is_matrix[start:end] = value.ndim == 2
        self.H, self.C = weights["weight_hh_l0"].shape[1], weights["weight_ih_l0"].shape[1]
        self.kernels, self._checkpoint, self._workspace = kernels.load(backend), checkpoint, Workspace()
        self._recurrent = [self.weights[name].reshape(-1) for name in RECURRENT]
        self._d_recurrent = [self.d_weights[name].reshape(-1) for name in RECURRENT]
        self._head, self._bias = self.weights["head.weight"], self.weights["head.bias"]
        self._d_head, self._d_bias = self.d_weights["head.weight"], self.d_weights["head.bias"]
        self._packed = self.kernels.lstm.Packed(self.C, self.H, self.parameters.dtype, self._workspace, backward=True)
        self._starts, self._size, self._run = (), 0, None

    def team(self, rows, steps, n_jobs):
        """A team to train with on batches of so many rows and steps."""
        return team_for(self.kernels, self.C, self.H, self.parameters.dtype, rows, steps, n_jobs, passes=3)

    def begin(self, starts, size):
        """Make room for a packed batch; called once before the team of `size` calls `differentiate`."""
        if (starts is self._starts or np.array_equal(starts, self._starts)) and size == self._size:
            return  # that of the last batch will do
        self._starts, self._size = starts, size
        N, K, dtype = int(starts[1]), len(self._bias), self.parameters.dtype
        self._segments = self._divide(starts)
        self._h_n, self._d_h, self._d_c = np.zeros((3, N, self.H), dtype)
        self._states = np.zeros((len(self._segments), 2, N, self.H), dtype)  # before each segment
        self._d_scores, self.values = np.empty((N, K), dtype), np.empty(N)
        self._run = None
        if len(self._segments) == 1:
            self._start_run(0, recording=True)

    def _divide(self, starts):
        """The segments between kept states: the steps that each begins and ends at."""
        T, rows = len(starts) - 1, int(starts[1])
        steps = self._checkpoint
        if steps == "auto":
            row_bytes = (self.C + 6 * self.H) * self.parameters.itemsize  # inputs, both states, four gates
            whole = int(starts[-1]) * row_bytes <= TAPE_BYTES
            steps = None if whole else max(1, SEGMENT_BYTES // (rows * row_bytes))
        steps = steps or T
        return [(first, min(first + steps, T)) for first in range(0, T, steps)]

    def _start_run(self, segment, recording):
        """Buffers for one segment."""
        first, last = self._segments[segment]
        starts = self._starts[first : last + 1] - self._starts[first]
        self._run = None  # its buffers are free
        self._run = self.kernels.lstm.Run(
            self.C, self.H, starts, self.parameters.dtype, self._workspace, recording, self._size
        )
        if recording:
            self._run.prepare_backward()

    def differentiate(self, part, wait, x, at, targets, shares, loss):
        """A team member's part in the gradient of the weighted mean of the rows' losses, and in `values`, the losses.

        x, at: where the sequences are, the longest first; shares: the rows' weights, which add up to 1.
        """
        last = len(self._segments) - 1
        self._packed.fill(part, self._recurrent)
        for segment in range(last + 1):
            self._forward(part, wait, segment, x, at)
        if last:
            wait()  # a short sequence's last state may be another member's, of an earlier segment
        rows = slice(*(part.share(len(self._h_n)) if last else self._run.bounds(part)))
        self._d_c[rows] = 0
        self.kernels.head.differentiate(
            loss, rows.start, rows.stop, self._h_n, self._head, self._bias, targets, shares, self.values,
            self._d_scores, self._d_h,
        )  # fmt: skip
        if last or part.by_units:
            wait()
        for segment in range(last, -1, -1):
            if segment < last:
                self._forward(part, wait, segment, x, at, again=True)
            self._backward(part, wait, segment)
        self._packed.unpack(part, self._d_recurrent)
        if part.rank == part.size - 1:
            self.kernels.head.weight_gradient(self._d_scores, self._h_n, self._d_head, self._d_bias)
        wait()

    def _forward(self, part, wait, segment, x, at, again=False):
        divided, last = len(self._segments) > 1, segment + 1 == len(self._segments)
        if divided:
            wait()
            if part.rank == 0:
                self._start_run(segment, recording=again or last)
        wait()  # weights and, where divided, buffers and states are there
        run = self._run
        rows = slice(*run.bounds(part))
        state = self._states[segment, :, : len(run.h_n)] if segment else None
        run.load(part, x, at + self._segments[segment][0] * self.C if segment else at, state)
        if part.by_units:
            wait()
        run.forward(part, self._packed)
        if again:
            return
        self._h_n[rows] = run.h_n[rows]
        if not last:
            self._states[segment + 1, :, rows] = run.h_n[rows], run.c_n[rows]

    def _backward(self, part, wait, segment):
        run = self._run
        rows = slice(*run.bounds(part))
        run.dh[rows], run.dc[rows] = self._d_h[rows], self._d_c[rows]
        if part.by_units:
            wait()
        run.backward(part, self._packed, to_start=segment > 0)
        if segment:
            self._d_h[rows], self._d_c[rows] = run.dh[rows], run.dc[rows]
        wait()
        run.weight_gradient(part, self._packed, more=segment < len(self._segments) - 1)
