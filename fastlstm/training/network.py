"""The network of an estimator: a stack of recurrent layers and a linear head, on the last states or on every step."""

import math

import numpy as np

from fastlstm import kernels
from fastlstm.dropout import Masks
from fastlstm.kernels.workspace import Workspace, aligned_empty
from fastlstm.stacks import PackedStack, StackRun
from fastlstm.training.model import team_for

TAPE_BYTES = 1 << 30  # the largest tape that checkpoint "auto" keeps whole,
SEGMENT_BYTES = 1 << 25  # and the size of the pieces that it otherwise computes a second time


def initialise(stack, n_outputs, random_state, longest_lag=None):
    """Fresh weights, float64: those of the layers, and a Glorot uniform head without bias."""
    weights = stack.initial_weights(random_state, longest_lag)
    limit = math.sqrt(6 / (stack.width + n_outputs))
    weights["head.weight"] = random_state.uniform(-limit, limit, (n_outputs, stack.width))
    weights["head.bias"] = np.zeros(n_outputs)
    return weights


def copy_states(states, rows, out):
    """Those rows of all runs' states into `out`."""
    for state, of_out in zip(states, out, strict=True):
        for value, array in zip(state, of_out, strict=True):
            array[rows] = value[rows]


class Network:
    """Trainable weights: one flat array of parameters and one of gradients, with named views into both.

    Parameters
    ----------
    stack : Stack
        The recurrent layers.
    weights : dict of str to array
        As `initialise` returns them; copied.
    dtype : dtype
        Type to compute in.
    backend : str
        Name of the kernels' backend.
    checkpoint : int, "auto" or None
        Steps between two kept states: the steps between them are computed once more for the gradient. None keeps
        the whole tape, as a bidirectional stack always does.
    per_step : bool
        Whether the head is on every step, not on each series's last states.
    dropout, recurrent_dropout : float
        Rates: of all layers' outputs, and of states on their way to the next step.
    """

    def __init__(
        self, stack, weights, dtype, backend, checkpoint=None, per_step=False, dropout=0.0, recurrent_dropout=0.0
    ):
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
        self.stack, self.per_step, self.kernels = stack, per_step, kernels.load(backend)
        self._checkpoint, self._rates = checkpoint, (dropout, dropout, recurrent_dropout)
        self._workspace = Workspace()
        self._workspaces = [Workspace() for _ in stack.places]
        self._recurrent = [self.weights[name].reshape(-1) for name in stack.shapes]
        self._d_recurrent = [self.d_weights[name].reshape(-1) for name in stack.shapes]
        self._packed = PackedStack(stack, self.kernels, self.parameters.dtype, backward=True)
        K = len(self.weights["head.bias"])
        self._head = self.kernels.head.Head(K, stack.width, self.parameters.dtype, self._workspace, backward=True)
        self._starts, self._size, self._recording = (), 0, True
        self._run = self._masks = self._carried = None

    def team(self, rows, steps, n_jobs):
        """A team to train with on batches of so many rows and steps."""
        return team_for(self.kernels, self.stack, self.parameters.dtype, rows, steps, n_jobs, passes=3)

    def carry(self, N):
        """From now on, N sequences come in pieces: each begins in the states in which the one before ended."""
        self._carried, self._after, self._carried_rows = self._zero_states(N), self._zero_states(N), 0

    def begin(self, starts, size, draw=(0, 0, ()), recording=True):
        """Make room for a packed batch; called once before the team of `size` calls `differentiate` or `read`.

        draw: seed, epoch and the sequences' numbers, on which dropout depends. Without `recording`, it can `read` only.
        """
        self._drawn = draw
        if self._carried is not None:
            copy_states(self._after, slice(self._carried_rows), self._carried)
            self._carried_rows = int(starts[1])
        same = starts is self._starts or np.array_equal(starts, self._starts)
        if same and (size, recording) == (self._size, self._recording):
            return  # that of the last batch will do
        self._starts, self._size, self._recording = starts, size, recording
        self._run = None
        if any(self._rates):
            rows = int(starts[1])
            self._masks = Masks(self.stack, self.kernels, rows, self.parameters.dtype, *self._rates)
        if not recording:
            self._segments = [(0, len(starts) - 1)]
            self._start_run(0, recording=False)
            return
        self._segments = self._divide(starts)
        self.values = np.empty(int(starts[-1] if self.per_step else starts[1]))
        if not self.per_step:
            self._make_room(int(starts[1]))
        if len(self._segments) == 1:
            self._start_run(0, recording=True)
            self._d_states = [run.d_state for run in self._run.runs]
        else:  # states before each segment, and their gradient
            N = int(starts[1])
            self._states = [self._zero_states(N) for _ in self._segments]
            self._d_states = self._zero_states(N)

    def _zero_states(self, N):
        dtype, kinds = self.parameters.dtype, len(self.stack.states)
        return [tuple(np.zeros((kinds, N, H), dtype)) for _, _, H in self.stack.places]

    def _divide(self, starts):
        """The segments between kept states: the steps that each begins and ends at."""
        T, rows = len(starts) - 1, int(starts[1])
        steps = None if self.stack.bidirectional else self._checkpoint
        if steps == "auto":
            numbers = sum(C + (self.stack.gates + 2) * H for _, C, H in self.stack.places)  # inputs, gates, states
            row_bytes = numbers * self.parameters.itemsize
            whole = int(starts[-1]) * row_bytes <= TAPE_BYTES
            steps = None if whole else max(1, SEGMENT_BYTES // (rows * row_bytes))
        steps = steps or T
        return [(first, min(first + steps, T)) for first in range(0, T, steps)]

    def _make_room(self, rows):
        """Buffers of the head."""
        self._features, self._d_features = self._head.room("features", rows), self._head.room("d_features", rows)
        self._d_scores = self._workspace.empty("d_scores", (rows, self._head.columns), self.parameters.dtype)

    def _start_run(self, segment, recording):
        """Buffers for one segment."""
        first, last = self._segments[segment]
        starts = self._starts[first : last + 1] - self._starts[first]
        self._run = None  # its buffers are free
        self._run = StackRun(
            self.stack,
            self.kernels,
            starts,
            self.parameters.dtype,
            self._workspaces,
            recording,
            self._size,
            self._masks,
        )
        if recording:
            self._run.prepare_backward(outputs=self.per_step)
            if self.per_step:
                self._features = self._d_features = self._d_scores = None  # likewise
                self._make_room(int(starts[-1]))

    def differentiate(self, part, wait, x, at, targets, shares, loss):
        """A team member's part in the gradient of the losses' sum, and in `values`, the losses, each times its share.

        x, at: where the sequences are, the longest first; targets, shares: of each row of the packed batch where the
        head is on every step, of each sequence otherwise.
        """
        last = len(self._segments) - 1
        self._prepare(part)
        if part.rank == 0:
            self._head.fill(self.weights["head.weight"], self.weights["head.bias"])
        for segment in range(last + 1):
            self._forward(part, wait, segment, x, at)
        if last:
            wait()  # a short sequence's last state may be another member's, of an earlier segment
        rows = slice(*(part.share(int(self._starts[1])) if last else self._run.bounds(part)))
        for state in self._d_states:
            for d_state in state:
                d_state[rows] = 0
        if not self.per_step:
            self._head.differentiate(
                loss, rows.start, rows.stop, self._features, targets, shares, self.values, self._d_scores,
                self._d_features,
            )  # fmt: skip
            self._run.set_d_last_outputs(rows, self._d_features, self._d_states)
        if last or part.by_units:
            wait()
        for segment in range(last, -1, -1):
            if segment < last:
                self._forward(part, wait, segment, x, at, again=True)
            if self.per_step:
                self._differentiate_steps(part, wait, segment, targets, shares, loss)
            self._backward(part, wait, segment)
        self._packed.unpack(part, self._d_recurrent)
        wait()

    def read(self, part, wait, x, at):
        """A team member's part in a run forward alone, for the states that it leaves to the next piece."""
        self._prepare(part)
        self._forward(part, wait, 0, x, at)
        wait()

    def _prepare(self, part):
        self._packed.fill(part, self._recurrent)
        if self._masks:
            self._masks.draw(*part.share(int(self._starts[1])), *self._drawn)

    def _forward(self, part, wait, segment, x, at, again=False):
        divided, last = len(self._segments) > 1, segment + 1 == len(self._segments)
        if divided:
            wait()
            if part.rank == 0:
                self._start_run(segment, recording=again or last)
        wait()  # weights and, where divided, buffers and states are there
        run = self._run
        states = self._states[segment] if segment else self._carried
        if states:
            rows = run.rows
            states = [tuple(array[:rows] for array in state) for state in states]
        skipped = self._segments[segment][0] * self.stack.input_size
        run.forward(part, wait, self._packed, x, at + skipped if segment else at, states)
        if again:
            return
        rows = slice(*run.bounds(part))
        if not self.per_step and self._recording:
            run.last_outputs(rows, self._features)
        states_n = [now.state_n for now in run.runs]
        if not last:
            copy_states(states_n, rows, self._states[segment + 1])
        elif self._carried:
            copy_states(states_n, rows, self._after)

    def _differentiate_steps(self, part, wait, segment, targets, shares, loss):
        """The losses of a segment's steps, and the gradient of its outputs."""
        run, here = self._run, slice(*(int(self._starts[t]) for t in self._segments[segment]))
        run.outputs(part, self._features)
        wait()
        first, last = part.share(here.stop - here.start)
        self._head.differentiate(
            loss, first, last, self._features, targets[here], shares[here], self.values[here], self._d_scores,
            self._d_features,
        )  # fmt: skip
        wait()
        run.set_d_outputs(part, self._d_features)
        if part.by_units:
            wait()

    def _backward(self, part, wait, segment):
        run, last = self._run, segment == len(self._segments) - 1
        if len(self._segments) > 1:
            rows = slice(*run.bounds(part))
            run.set_d_states(rows, self._d_states)
            if part.by_units:
                wait()
        run.backward(part, wait, self._packed, to_start=segment > 0, more=not last)
        if segment:
            copy_states([now.d_state for now in run.runs], rows, self._d_states)
        if self.per_step or last:  # the head's rows are complete
            weight, bias = self.d_weights["head.weight"], self.d_weights["head.bias"]
            self._head.weight_gradient(part, self._features, self._d_scores, weight, bias, more=not last)
