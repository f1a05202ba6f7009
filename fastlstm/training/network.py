"""A trainable network: recurrent layers and a linear head, applied to the last states or to every step."""

import math
from typing import NamedTuple

import numpy as np

from fastlstm import kernels
from fastlstm.dropout import Masks
from fastlstm.kernels.workspace import Workspace
from fastlstm.training import minibatch
from fastlstm.training.inference import team_for
from fastlstm.training.recurrence import Recurrence
from fastlstm.training.weights import FlatWeights

TAPE_BYTES = 1 << 30  # largest tape that `checkpoint="auto"` stores completely
SEGMENT_BYTES = 1 << 25  # size of the segments that it recomputes otherwise


def initialise(stack, n_outputs, random_state, longest_lag=None):
    """Initial weights, float64: those of the layers, and a Glorot uniform head with zero bias."""
    weights = stack.initial_weights(random_state, longest_lag)
    limit = math.sqrt(6 / (stack.width + n_outputs))
    weights["head.weight"] = random_state.uniform(-limit, limit, (n_outputs, stack.width))
    weights["head.bias"] = np.zeros(n_outputs)
    return weights


def copy_states(states, rows, out):
    """Copy rows of the states of all runs into `out`."""
    for state, of_out in zip(states, out, strict=True):
        for value, array in zip(state, of_out, strict=True):
            array[rows] = value[rows]


class Segment(NamedTuple):
    """The steps of a batch between two stored states."""

    number: int
    first: int
    last: int


class Network(FlatWeights):
    """A network of recurrent layers and a head.

    Methods that take a `part` are phases; ``minibatch.py`` defines their order.

    Parameters
    ----------
    stack : Stack
        The recurrent layers.
    weights : dict of str to array
        Weights as returned by `initialise`; copied.
    dtype : dtype
        Floating-point type of the computation.
    backend : str
        Name of the kernels' backend.
    checkpoint : int, "auto" or None
        Number of steps between two stored states; the steps between them are recomputed in the backward pass. None
        stores the whole tape, as a bidirectional stack always does.
    per_step : bool
        Whether the head is applied to every step instead of the last states of each series.
    dropout, recurrent_dropout : float
        Dropout rates of all layers' outputs, and of the states passed to the next step.
    symbol_dropout : float
        Fraction of the symbols that are replaced by the last code of their channel, that of unknown symbols.
    embedding : Embedding or None
        Which of the inputs are codes of symbols, and how these become channels of the stack.
    """

    def __init__(
        self, stack, weights, dtype, backend, checkpoint=None, per_step=False, dropout=0.0, recurrent_dropout=0.0,
        embedding=None, symbol_dropout=0.0,
    ):  # fmt: skip
        super().__init__(weights, dtype)
        self.stack, self.per_step, self.kernels, self.embedding = stack, per_step, kernels.load(backend), embedding
        self._checkpoint, self._rates = checkpoint, (dropout, dropout, recurrent_dropout)
        self._workspace, dtype = Workspace(), self.parameters.dtype
        self.recurrence = Recurrence(
            stack, embedding, self.weights, self.kernels, dtype, self.d_weights, symbol_dropout
        )
        self.packed = self.recurrence.packed
        K = len(self.weights["head.bias"])
        self._head = self.kernels.head.Head(K, stack.width, dtype, self._workspace, backward=True)
        self._layout = (), 0, True
        self.batch = self._masks = None
        self.carried = None, None, 0

    @property
    def run(self):
        """The run of the current segment."""
        return self.recurrence.run

    def team(self, rows, steps, n_jobs):
        """Team of threads to train on batches of up to `rows` sequences and `steps` steps."""
        return team_for(self.kernels, self.stack, self.parameters.dtype, rows, steps, n_jobs, passes=3)

    def start_chunks(self, N):
        """Start on N sequences that come in chunks: each chunk starts from the final states of the chunk before."""
        self.carried = self._zero_states(N), self._zero_states(N), 0

    @property
    def carried(self):
        """What chunks of the same sequences hand on, to continue with these after others."""
        return self._initial_states, self._final_states, self._n_initial

    @carried.setter
    def carried(self, states):
        self._initial_states, self._final_states, self._n_initial = states

    def prepare_batch(self, batch, size, recording=True):
        """Allocate buffers for a `Minibatch` and a team of `size` threads; forward only unless `recording`.

        Returns whether the layout, and so the phases, are those of the previous batch.
        """
        self.batch, starts, (seed, epoch, _) = batch, batch.starts, batch.dropout_key
        self.recurrence.take(batch.x, batch.at, starts, [seed, epoch, batch.number, int(batch.at[0])])
        if self._initial_states is not None:
            copy_states(self._final_states, slice(self._n_initial), self._initial_states)
            self._n_initial = batch.rows
        same = starts is self._layout[0] or np.array_equal(starts, self._layout[0])
        same = same and (size, recording) == self._layout[1:]
        if not same:
            self._make_layout(starts, size, recording)
        if self.is_whole:
            self._set_inputs(self.segments[0])
        return same

    def _make_layout(self, starts, size, recording):
        self._layout, N = (starts, size, recording), int(starts[1])
        self.recurrence.run = None
        if any(self._rates):
            self._masks = Masks(self.stack, self.kernels, N, self.parameters.dtype, *self._rates)
        self.segments = self._split_segments(starts) if recording else [Segment(0, 0, len(starts) - 1)]
        self.is_whole = len(self.segments) == 1
        if recording:
            self.values = np.empty(int(starts[-1]) if self.per_step else N)
            if not self.per_step:
                self._allocate_head(N)
        if self.is_whole:
            self._make_run(self.segments[0], recording)
            self._d_states = [run.d_state for run in self.run.runs] if recording else None
        else:  # states at the start of each segment, and their gradient
            self._states = [self._zero_states(N) for _ in self.segments]
            self._d_states = self._zero_states(N)

    def _zero_states(self, N):
        dtype, kinds = self.parameters.dtype, len(self.stack.states)
        return [tuple(np.zeros((kinds, N, H), dtype)) for _, _, H in self.stack.places]

    def _split_segments(self, starts):
        """Split the steps of a batch into segments."""
        T, rows = len(starts) - 1, int(starts[1])
        steps = None if self.stack.bidirectional else self._checkpoint
        if steps == "auto":
            numbers = sum(C + (self.stack.gates + 2) * H for _, C, H in self.stack.places)  # inputs, gates, states
            row_bytes = numbers * self.parameters.itemsize
            whole = int(starts[-1]) * row_bytes <= TAPE_BYTES
            steps = None if whole else max(1, SEGMENT_BYTES // (rows * row_bytes))
        steps = steps or T
        return [Segment(number, first, min(first + steps, T)) for number, first in enumerate(range(0, T, steps))]

    def _allocate_head(self, rows):
        """Allocate the head's buffers."""
        self._features, self._d_features = self._head.room("features", rows), self._head.room("d_features", rows)
        self._d_scores = self._workspace.empty("d_scores", (rows, self._head.columns), self.parameters.dtype)

    def start_run(self, segment, recording):
        """Allocate the run of one of several segments, and set its inputs."""
        self._make_run(segment, recording)
        self._set_inputs(segment)

    def _make_run(self, segment, recording):
        starts, size, _ = self._layout
        starts = starts[segment.first : segment.last + 1] - starts[segment.first]
        self.recurrence.make_run(starts, recording, size, self._masks)
        if recording:
            self.run.prepare_backward(outputs=self.per_step)
            if self.per_step:
                self._features = self._d_features = self._d_scores = None  # release them first
                self._allocate_head(int(starts[-1]))

    def _set_inputs(self, segment):
        states = self._states[segment.number] if segment.number else self._initial_states
        states = states and [tuple(array[: self.run.rows] for array in state) for state in states]
        rows = slice(*(int(self.batch.starts[step]) for step in (segment.first, segment.last)))
        self.recurrence.set_inputs(states, segment.first, rows)

    def fill(self, part):
        """Pack the weights for the kernels, and draw the dropout masks."""
        self.recurrence.fill(part)
        if part.rank == 0:
            self._head.fill(self.weights["head.weight"], self.weights["head.bias"])
        if self._masks:
            self._masks.draw(*part.share(self.batch.rows), *self.batch.dropout_key)

    def save_states(self, part, segment):
        """Save the last states of a segment for the head, the next segment or the next chunk."""
        run, (_, _, recording) = self.run, self._layout
        rows = slice(*run.bounds(part))
        if recording and not self.per_step:
            run.last_outputs(rows, self._features)
        later = self._final_states if segment is self.segments[-1] else self._states[segment.number + 1]
        if later:
            copy_states([now.state_n for now in run.runs], rows, later)

    def begin_backward(self, part):
        """Initialise the gradient of the last states: that of the losses if the head is applied to them, else zero."""
        batch = self.batch
        # with a single segment, rows are split as in its run, so that no barrier is needed
        rows = slice(*(self.run.bounds(part) if self.is_whole else part.share(batch.rows)))
        for state in self._d_states:
            for d_state in state:
                d_state[rows] = 0
        if not self.per_step:
            self._head.differentiate(
                batch.loss, rows.start, rows.stop, self._features, batch.targets, batch.sample_weight, self.values,
                self._d_scores, self._d_features,
            )  # fmt: skip
            self.run.set_d_last_outputs(rows, self._d_features, self._d_states)

    def gather_outputs(self, part):
        """Gather the outputs of a segment's steps for the head."""
        self.run.outputs(part, self._features)

    def differentiate_steps(self, part, segment):
        """Compute the losses of a segment's steps, and the gradient of its outputs."""
        batch = self.batch
        here = slice(int(batch.starts[segment.first]), int(batch.starts[segment.last]))
        first, last = part.share(here.stop - here.start)
        self._head.differentiate(
            batch.loss, first, last, self._features, batch.targets[here], batch.sample_weight[here], self.values[here],
            self._d_scores, self._d_features,
        )  # fmt: skip

    def scatter_d_outputs(self, part):
        """Scatter the gradient of a segment's outputs to its runs."""
        self.run.set_d_outputs(part, self._d_features)

    def load_d_states(self, part):
        """Set the gradient of a segment's last states to that computed by the next segment."""
        self.run.set_d_states(slice(*self.run.bounds(part)), self._d_states)

    def accumulate_gradients(self, part, segment):
        """Accumulate the gradient of all weights over the segments, and save that of the segment's initial states."""
        run, later = self.run, segment is not self.segments[-1]
        self.recurrence.gradients(part, accumulate=later)
        if self.per_step or not later:  # on the last states, the head has no gradient from earlier segments
            weight, bias = self.d_weights["head.weight"], self.d_weights["head.bias"]
            self._head.weight_gradient(part, self._features, self._d_scores, weight, bias, later)
        if segment.number:
            copy_states([now.d_state for now in run.runs], slice(*run.bounds(part)), self._d_states)
        else:
            self.recurrence.unpack(part)

    def phases(self, forward_only=False):
        """Phases of the training on a batch, or only of carrying states forward; see ``minibatch.py``."""
        return minibatch.forward_only(self) if forward_only else minibatch.differentiate(self)
