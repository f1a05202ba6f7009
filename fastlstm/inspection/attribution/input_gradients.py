"""Gradients of losses and of outputs with respect to the inputs of a model."""

from typing import NamedTuple

import numpy as np

from fastlstm import sequences
from fastlstm.kernels.workspace import Workspace
from fastlstm.phases import ByRows, Phase
from fastlstm.stacks import Inputs, PackedStack, StackRun
from fastlstm.training.inference import check_channels, team_for
from fastlstm.training.losses import Loss


class WeightedOutput(NamedTuple):
    """The outputs of a model times their weights, in the form of a loss whose targets are the weights [rows, K].

    Outputs are the scores of classes, or point predictions before their standardisation is undone.
    """

    loss: Loss
    compiled = None
    is_distribution = False

    def __call__(self, scores, weights):
        d_scores = self.loss.d_point(scores) * np.repeat(weights, self.loss.width, axis=1)
        return self.loss.point(scores) * weights, d_scores


def input_gradients(model, inputs, loss, targets, row_weights, package, n_jobs=None):
    """Weighted losses, and the gradient of their sum with respect to the inputs of the layers.

    Parameters
    ----------
    model : Model
    inputs : Series
        Inputs of the layers, as `model.prepare` returns them.
    loss : Loss or WeightedOutput
    targets, row_weights : ndarray [rows, .] and [rows]
        Targets of the loss, and a weight for each of its values; one row per series, or per step of all series if the
        head is applied to every step.
    package : backend of the kernels
    n_jobs : int or None, default=None

    Returns
    -------
    losses : ndarray [rows]
    gradient : ndarray [steps, C]
        One row per step of all series.
    """
    stack, dtype = model.stack, model.dtype
    check_channels(inputs, stack.input_size)
    order, tape_width = inputs.order, sum(C + (stack.gates + 2) * H for _, C, H in stack.places)
    blocks = sequences.blocks(len(inputs), int(inputs.lengths[order[0]]), tape_width)
    first = order[blocks[0]]
    losses, gradient = np.empty(len(targets)), np.empty((inputs.steps, stack.input_size), dtype)
    rows = targets, row_weights[:, None].astype(dtype)
    with team_for(package, stack, dtype, len(first), int(inputs.lengths[first].sum()), n_jobs, passes=3) as team:
        pass_ = _Pass(model, package, team.size)
        for block in blocks:
            places, step_rows = pass_.prepare(inputs, order[block], loss, rows)
            team.run(pass_.phases)
            losses[places] = pass_.losses
            gradient[step_rows] = pass_.run.of_both_directions([run.d_x for run in pass_.run.layers[0]])
    return losses, gradient


class _Pass:
    """Forward and backward passes of a model, over one block of series after the other."""

    def __init__(self, model, package, threads):
        self._stack, self._package, self._dtype, self._per_step = model.stack, package, model.dtype, model.per_step
        self._threads, self._weights = threads, model.weights
        self._workspaces, workspace = [Workspace() for _ in model.stack.places], Workspace()
        self._packed = PackedStack(
            model.stack, package, model.dtype, self._workspaces, forward=True, backward=True, inputs=True
        )
        self._head = package.head.Head(model.n_scores, model.stack.width, model.dtype, workspace, backward=True)
        self._empty = workspace.empty

    def prepare(self, inputs, rows, loss, of_rows):
        """Allocate the buffers of a block; the rows of its losses, and of its steps, among those of all series."""
        rows, starts = inputs.pack(rows)
        step_rows = inputs.step_rows(rows, starts)
        places = step_rows if self._per_step else rows
        self._inputs, self._loss = Inputs(inputs.values, inputs.at[rows]), loss
        self._targets, self._row_weights = (array[places] for array in of_rows)
        self.run = StackRun(
            self._stack, self._package, starts, self._dtype, self._workspaces, recording=True, threads=self._threads
        )
        self.run.prepare_backward(outputs=self._per_step, inputs=True)
        M = len(places)
        self.losses = np.empty(M)
        self._features, self._d_features = self._head.room("features", M), self._head.room("d_features", M)
        self._d_scores = self._empty("d_scores", (M, self._head.columns), self._dtype)
        return places, step_rows

    def phases(self):
        run = self.run
        yield Phase(self._fill)
        yield from run.forward(self._packed, self._inputs)
        if self._per_step:
            yield ByRows(run.outputs, self._features)
            yield Phase(self._differentiate_steps)
            yield ByRows(self._scatter)
        else:
            yield ByRows(self._differentiate_last)
        yield from run.backward(self._packed)
        yield Phase(run.input_gradient, self._packed)

    def _fill(self, part):
        self._packed.fill(part, [self._weights[name] for name in self._stack.shapes])
        if part.rank == 0:  # the head may keep what it is given
            self._head.fill(self._weights["head.weight"].copy(), self._weights["head.bias"].copy())

    def _differentiate_last(self, part):
        first, last = self.run.bounds(part)
        self.run.set_d_states(slice(first, last))
        self.run.last_outputs(slice(first, last), self._features)
        self._differentiate(first, last)
        self.run.set_d_last_outputs(slice(first, last), self._d_features, [run.d_state for run in self.run.runs])

    def _differentiate_steps(self, part):
        self._differentiate(*part.share(len(self.losses)))

    def _differentiate(self, first, last):
        self._head.differentiate(
            self._loss, first, last, self._features, self._targets, self._row_weights, self.losses, self._d_scores,
            self._d_features,
        )  # fmt: skip

    def _scatter(self, part):
        self.run.set_d_states(slice(*self.run.bounds(part)))
        self.run.set_d_outputs(part, self._d_features)
