"""Recorded forward passes: gates and states of all layers at every step, in the order of the caller's series."""

from collections.abc import Mapping

import numpy as np

from fastlstm import kernels
from fastlstm.kernels.lazy import lazy
from fastlstm.kernels.numpy.packing import places, reversed_rows
from fastlstm.kernels.parts import Part
from fastlstm.kernels.workspace import Workspace
from fastlstm.lookup import Lookup
from fastlstm.phases import Phase
from fastlstm.stacks import Inputs, PackedStack, StackRun
from fastlstm.training.inference import check_channels, team_for

#: Names of gates and states, by their letters in the kernels.
NAMES = {
    "i": "input",
    "f": "forget",
    "g": "cell",
    "o": "output",
    "r": "reset",
    "z": "update",
    "n": "candidate",
    "c": "cell_state",
    "h": "hidden_state",
}


def gates_of(cell):
    """Letters of a cell's gates by their names, in the order of the weights."""
    kind = kernels.CELLS[cell]
    return {NAMES[letter]: letter for letter in kind.gates} if kind.keeps_gates else {}


def states_of(cell):
    """Letters of a cell's states by their names."""
    return {NAMES[letter]: letter for letter in kernels.CELLS[cell].states}


class Activations(Mapping):
    """Gates and states of one layer in one direction: arrays by name, made when first used.

    The input gate of a CIFG is computed: 1 - forget.

    Parameters
    ----------
    cell : str
        Type of the cell.
    make : callable
        ``make(letter)`` returns the array of a gate or state.
    """

    def __init__(self, cell, make):
        self._cell, self._make, self._made = cell, make, {}
        self._letters = {**gates_of(cell), **states_of(cell)}
        if cell == "cifg":
            self._letters = {"input": None, **self._letters}

    def __getitem__(self, name):
        if name not in self._letters:
            raise KeyError(f"{self._cell!r} cells have no {name!r}; expected one of {list(self._letters)}.")
        if name not in self._made:
            letter = self._letters[name]
            self._made[name] = self._input_gate() if letter is None else self._make(letter)
        return self._made[name]

    def _input_gate(self):
        forget = self["forget"]
        return [1 - of_series for of_series in forget] if isinstance(forget, list) else 1 - forget

    def __iter__(self):
        return iter(self._letters)

    def __len__(self):
        return len(self._letters)

    def __getstate__(self):  # the run's arrays share memory, which default pickling would not preserve
        return {**vars(self), "_make": None, "_made": dict(self)}

    def __repr__(self):
        states = self["hidden_state"]
        what = f"lists of {len(states)} arrays" if isinstance(states, list) else f"arrays of shape {states.shape}"
        return f"<{', '.join(self)} of {self._cell!r} cells: {what}>"


class Recording:
    """A forward pass of a stack over prepared series that keeps its gates and states, and can be differentiated.

    Parameters
    ----------
    stack : Stack
    series : Series
        Inputs of the layers.
    weights : dict of str to array
    package : backend of the kernels
    n_jobs : int or None

    Attributes
    ----------
    run : StackRun
    order : array [n]
        Index of each packed sequence among the series.
    starts : array [T+1]
        First packed row of each step.
    looks_up : bool
        Whether the products of some inputs were looked up.
    d_last : list of array [N, H]
        After `differentiate`, the gradient of the last hidden states of each run.
    """

    def __init__(self, stack, series, weights, package, n_jobs=None, embedding=None):
        check_channels(series, embedding.channels if embedding else stack.input_size)
        self.stack, self._series, self._package, self._n_jobs = stack, series, package, n_jobs
        self._recurrent = [weights[name] for name in stack.shapes]
        self.order, self.starts = series.pack(series.order)
        self._dtype = weights["head.weight"].dtype
        self._workspaces = [Workspace() for _ in stack.places]
        lookup, layers, phases = None, stack, []
        if embedding:
            lookup = Lookup(embedding, stack, package, self._dtype)
            layers, self._recurrent = lookup.stack, lookup.recurrent(weights)
        self._layers, self.looks_up = layers, lookup is not None
        with self._team() as team:
            self.run = StackRun(
                layers, package, self.starts, self._dtype, self._workspaces, recording=True, threads=team.size
            )
            packed = PackedStack(layers, package, self._dtype, self._workspaces)
            inputs = Inputs(series.values, series.at[self.order])
            if lookup:
                inputs.x, inputs.at, which = lookup.take(inputs.x, inputs.at, self.starts)
                self.run.look_up(lookup.known, which)
                lookup.fill(weights)
                phases = [Phase(lookup.multiply)]
            phases = [Phase(packed.fill, self._recurrent), *phases, *self.run.forward(packed, inputs)]
            team.run(phases.__iter__)

    def _team(self):
        return team_for(self._package, self.stack, self._dtype, len(self._series), self._series.steps, self._n_jobs)

    def outputs(self, per_step):
        """Outputs of the last layer as in `Model.states`: one row per series or, if `per_step`, per step."""
        rows = self.step_rows if per_step else self.order
        packed = np.empty((len(rows), self.stack.width), self._dtype)
        if per_step:
            self.run.outputs(Part(), packed)
        else:
            self.run.last_outputs(slice(None), packed)
        out = np.empty_like(packed)
        out[rows] = packed
        return out

    def differentiate(self, d_outputs, per_step):
        """Backpropagate the gradient of `outputs`; the runs then hold the gradient of the gates' sums and inputs."""
        run = self.run
        run.prepare_backward(outputs=per_step, inputs=True, keep=True)
        run.set_d_states(slice(None))
        d_packed = np.ascontiguousarray(d_outputs[self.step_rows if per_step else self.order], self._dtype)
        if per_step:
            run.set_d_outputs(Part(), d_packed)
        else:
            run.set_d_last_outputs(slice(None), d_packed, [one.d_state for one in run.runs])
        self.d_last = [one.d_state[0].copy() for one in run.runs]  # `backward` overwrites them
        packed = PackedStack(self._layers, self._package, self._dtype, self._workspaces, False, True, True)
        phases = [Phase(packed.fill, self._recurrent), *run.backward(packed), Phase(run.gradients, packed, True)]
        with self._team() as team:
            team.run(phases.__iter__)

    @lazy
    def layers(self):
        """For each layer, the `Activations` of its directions, forward before backward, in the form of X."""
        return [
            [Activations(self.stack.cell, _Arranged(self, layer, direction)) for direction in range(len(runs))]
            for layer, runs in enumerate(self.run.layers)
        ]

    @lazy
    def after(self):
        """[M]: for each packed row, the row of the state after its step."""
        return np.concatenate([after for _, after in places(self.starts)])

    @lazy
    def step_rows(self):
        """[M]: for each packed row, its row in an array with one row per step of all series."""
        return self._series.step_rows(self.order, self.starts)

    def steps(self, rows, reverse=False):
        """Packed `rows` [M, H] in the form of X, (n, T, H) or a list; of the backward direction, in forward time.

        A view where all series have the same length.
        """
        series, n = self._series, len(self._series)
        if series.equal:
            arranged = rows.reshape(-1, n, *rows.shape[1:]).swapaxes(0, 1)
            arranged = arranged[:, ::-1] if reverse else arranged
        else:
            arranged = np.empty_like(rows, order="C")
            arranged[self.step_rows] = rows[reversed_rows(self.starts)] if reverse else rows
        arranged.flags.writeable = False  # it may share memory with the tape
        if series.equal:
            return arranged if series.whole else list(arranged)
        return series.members(arranged)

    def states(self, rows, reverse=False):
        """The states after every step, given states [M+N, H]; in the form of `steps`."""
        return self.steps(rows[len(self._series) :] if self._series.equal else rows[self.after], reverse)


class _Arranged:
    """Makes the arrays of one layer and direction of a recording."""

    def __init__(self, recording, layer, direction):
        self._recording, self._reverse = recording, direction == 1
        self._arrays = recording.run.layers[layer][direction].activations()

    def __call__(self, letter):
        recording = self._recording
        arrange = recording.states if letter in recording.stack.states else recording.steps
        return arrange(self._arrays[letter], self._reverse)
