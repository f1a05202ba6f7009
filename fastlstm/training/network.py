"""The network of an estimator: a stack of recurrent layers and a linear head, on the last states or on every step."""

import math
from typing import NamedTuple

import numpy as np

from fastlstm import kernels
from fastlstm.dropout import Masks
from fastlstm.kernels.workspace import Workspace, aligned_empty
from fastlstm.stacks import Inputs, PackedStack, StackRun
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


class Segment(NamedTuple):
    """The steps of a batch between two kept states."""

    number: int
    first: int
    last: int


class Network:
    """Trainable weights: one flat array of parameters and one of gradients, with named views into both.

    Its methods with a `part` are phases, or steps of them; ``minibatch.py`` says in which order.

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
        self.packed = PackedStack(stack, self.kernels, self.parameters.dtype, backward=True)
        K = len(self.weights["head.bias"])
        self._head = self.kernels.head.Head(K, stack.width, self.parameters.dtype, self._workspace, backward=True)
        self._layout = (), 0, True
        self.run = self.batch = self._masks = self._carried = self._after = None
        self.inputs = Inputs()

    def team(self, rows, steps, n_jobs):
        """A team to train with on batches of so many rows and steps."""
        return team_for(self.kernels, self.stack, self.parameters.dtype, rows, steps, n_jobs, passes=3)

    def carry(self, N):
        """From now on, N sequences come in pieces: each begins in the states in which the one before ended."""
        self._carried, self._after, self._carried_rows = self._zero_states(N), self._zero_states(N), 0

    def lay_out(self, batch, size, recording=True):
        """Make room for a `Minibatch` and a team of `size`; without `recording`, only to run forward.

        Returns whether the room for the last batch will do, and so the phases of it.
        """
        self.batch, starts = batch, batch.starts
        if self._carried is not None:
            copy_states(self._after, slice(self._carried_rows), self._carried)
            self._carried_rows = batch.rows
        same = starts is self._layout[0] or np.array_equal(starts, self._layout[0])
        same = same and (size, recording) == self._layout[1:]
        if not same:
            self._make_layout(starts, size, recording)
        if self.is_whole:
            self._take_inputs(self.segments[0])
        return same

    def _make_layout(self, starts, size, recording):
        self._layout, N = (starts, size, recording), int(starts[1])
        self.run = None
        if any(self._rates):
            self._masks = Masks(self.stack, self.kernels, N, self.parameters.dtype, *self._rates)
        self.segments = self._divide(starts) if recording else [Segment(0, 0, len(starts) - 1)]
        self.is_whole = len(self.segments) == 1
        if recording:
            self.values = np.empty(int(starts[-1]) if self.per_step else N)
            if not self.per_step:
                self._make_room(N)
        if self.is_whole:
            self._make_run(self.segments[0], recording)
            self._d_states = [run.d_state for run in self.run.runs] if recording else None
        else:  # states before each segment, and their gradient
            self._states = [self._zero_states(N) for _ in self.segments]
            self._d_states = self._zero_states(N)

    def _zero_states(self, N):
        dtype, kinds = self.parameters.dtype, len(self.stack.states)
        return [tuple(np.zeros((kinds, N, H), dtype)) for _, _, H in self.stack.places]

    def _divide(self, starts):
        """The segments between kept states."""
        T, rows = len(starts) - 1, int(starts[1])
        steps = None if self.stack.bidirectional else self._checkpoint
        if steps == "auto":
            numbers = sum(C + (self.stack.gates + 2) * H for _, C, H in self.stack.places)  # inputs, gates, states
            row_bytes = numbers * self.parameters.itemsize
            whole = int(starts[-1]) * row_bytes <= TAPE_BYTES
            steps = None if whole else max(1, SEGMENT_BYTES // (rows * row_bytes))
        steps = steps or T
        return [Segment(number, first, min(first + steps, T)) for number, first in enumerate(range(0, T, steps))]

    def _make_room(self, rows):
        """Buffers of the head."""
        self._features, self._d_features = self._head.room("features", rows), self._head.room("d_features", rows)
        self._d_scores = self._workspace.empty("d_scores", (rows, self._head.columns), self.parameters.dtype)

    def start_run(self, segment, recording):
        """Buffers and inputs for one segment of several."""
        self._make_run(segment, recording)
        self._take_inputs(segment)

    def _make_run(self, segment, recording):
        starts, size, _ = self._layout
        starts = starts[segment.first : segment.last + 1] - starts[segment.first]
        self.run = None  # its buffers are free
        self.run = StackRun(
            self.stack, self.kernels, starts, self.parameters.dtype, self._workspaces, recording, size, self._masks
        )
        if recording:
            self.run.prepare_backward(outputs=self.per_step)
            if self.per_step:
                self._features = self._d_features = self._d_scores = None  # likewise
                self._make_room(int(starts[-1]))

    def _take_inputs(self, segment):
        inputs, states = self.inputs, self._states[segment.number] if segment.number else self._carried
        inputs.x, inputs.at = self.batch.x, self.batch.at
        if segment.first:
            inputs.at = inputs.at + segment.first * self.stack.input_size
        inputs.states = states and [tuple(array[: self.run.rows] for array in state) for state in states]

    def fill(self, part):
        """Weights into the kernels' order, and dropout's masks."""
        self.packed.fill(part, self._recurrent)
        if part.rank == 0:
            self._head.fill(self.weights["head.weight"], self.weights["head.bias"])
        if self._masks:
            self._masks.draw(*part.share(self.batch.rows), *self.batch.draw)

    def keep_states(self, part, segment):
        """A segment's last states, for the head, the next segment or the next piece."""
        run, (_, _, recording) = self.run, self._layout
        rows = slice(*run.bounds(part))
        if recording and not self.per_step:
            run.last_outputs(rows, self._features)
        later = self._after if segment is self.segments[-1] else self._states[segment.number + 1]
        if later:
            copy_states([now.state_n for now in run.runs], rows, later)

    def begin_backward(self, part):
        """The gradient of the last states: that of the losses where the head is on them, otherwise zeros."""
        batch = self.batch
        # where the batch is one segment, rows are divided as they are in its run
        rows = slice(*(self.run.bounds(part) if self.is_whole else part.share(batch.rows)))
        for state in self._d_states:
            for d_state in state:
                d_state[rows] = 0
        if not self.per_step:
            self._head.differentiate(
                batch.loss, rows.start, rows.stop, self._features, batch.targets, batch.shares, self.values,
                self._d_scores, self._d_features,
            )  # fmt: skip
            self.run.set_d_last_outputs(rows, self._d_features, self._d_states)

    def gather_outputs(self, part):
        """The outputs of a segment's steps, for the head."""
        self.run.outputs(part, self._features)

    def differentiate_steps(self, part, segment):
        """The losses of a segment's steps, and the gradient of its outputs."""
        batch = self.batch
        here = slice(int(batch.starts[segment.first]), int(batch.starts[segment.last]))
        first, last = part.share(here.stop - here.start)
        self._head.differentiate(
            batch.loss, first, last, self._features, batch.targets[here], batch.shares[here], self.values[here],
            self._d_scores, self._d_features,
        )  # fmt: skip

    def scatter_d_outputs(self, part):
        """The gradient of a segment's outputs to the runs that go back through it."""
        self.run.set_d_outputs(part, self._d_features)

    def take_d_states(self, part):
        """The gradient of a segment's last states, from the segment after it."""
        self.run.set_d_states(slice(*self.run.bounds(part)), self._d_states)

    def collect_gradients(self, part, segment):
        """The gradient of all weights, summed over the segments, and that of the states before a segment."""
        run, later = self.run, segment is not self.segments[-1]
        run.gradients(part, self.packed, more=later)
        if self.per_step or not later:  # the head's rows are complete
            weight, bias = self.d_weights["head.weight"], self.d_weights["head.bias"]
            self._head.weight_gradient(part, self._features, self._d_scores, weight, bias, more=later)
        if segment.number:
            copy_states([now.d_state for now in run.runs], slice(*run.bounds(part)), self._d_states)
        else:
            self.packed.unpack(part, self._d_recurrent)
