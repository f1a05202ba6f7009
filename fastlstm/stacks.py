"""Layers upon layers, in one direction or in both: the weights and the runs of all of them.

Every layer has a run for each direction, named as in ``torch.nn.LSTM``: suffix ``_l0`` for the first layer forward,
``_l0_reverse`` backward, ``_l1`` for the second. A layer's output is its states after each step, those of the forward
run beside those of the backward run; it is the input of the next layer.
"""

import copy
import math
import sys
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fastlstm import kernels
from fastlstm.kernels.lazy import lazy
from fastlstm.kernels.workspace import Workspace
from fastlstm.phases import ByRows, Phase

KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")  # of every run, in torch's order


class Place(NamedTuple):
    """A run's place in a stack."""

    suffix: str
    C: int  # inputs
    H: int


@dataclass(frozen=True)
class Stack:
    """What a stack is made of: hidden_sizes has one number for each layer."""

    cell: str
    input_size: int
    hidden_sizes: tuple
    bidirectional: bool = False

    @lazy
    def layers(self):
        """A tuple for every layer, with a place for every direction."""
        layers, C = [], self.input_size
        for layer, H in enumerate(self.hidden_sizes):
            suffixes = (f"_l{layer}", f"_l{layer}_reverse") if self.bidirectional else (f"_l{layer}",)
            layers.append(tuple(Place(suffix, C, H) for suffix in suffixes))
            C = len(suffixes) * H
        return tuple(layers)

    @lazy
    def places(self):
        """All runs' places: layer after layer, forward before backward."""
        return tuple(place for layer in self.layers for place in layer)

    @property
    def directions(self):
        return 2 if self.bidirectional else 1

    @lazy
    def is_uniform(self):
        """Whether all layers are of one size."""
        return len(set(self.hidden_sizes)) == 1

    @property
    def width(self):
        """Numbers in the output of a step."""
        return self.widths[-1]

    @property
    def gates(self):
        return len(kernels.CELLS[self.cell].gates)

    @property
    def states(self):
        """Names of the arrays in a run's state."""
        return kernels.CELLS[self.cell].states

    @lazy
    def shapes(self):
        """Names and shapes of all weights, in order."""
        shapes = {}
        for suffix, C, H in self.places:
            G = self.gates * H
            shapes |= zip([kind + suffix for kind in KINDS], [(G, C), (G, H), (G,), (G,)], strict=True)
        return shapes

    @property
    def widths(self):
        """Numbers in the output of a step of every layer."""
        return tuple(self.directions * H for H in self.hidden_sizes)

    @lazy
    def multiplications(self):
        """Multiplications of a forward step of one sequence."""
        return sum(self.gates * H * (C + H) for _, C, H in self.places)

    def flops(self, steps):
        """Multiplications and additions of the gates' products in a forward run over so many steps of sequences."""
        return 2 * self.multiplications * steps

    @lazy
    def largest(self):
        """Weights that every step of the largest layer reads."""
        return max(self.gates * H * (C + H) for _, C, H in self.places)

    def initial_weights(self, rng, longest_lag=None):
        """Fresh weights, float64: input Glorot uniform, recurrent orthogonal, forget biases 1.

        Glorot & Bengio (2010), equation 16; Saxe, McClelland & Ganguli (2014); Gers, Schmidhuber & Cummins (2000).
        Each gate's block is drawn on its own. With a `longest_lag`, biases of gates are drawn for lags up to it:
        Tallec & Ollivier (2018), equation 16, for the GRU's z section 2.2.
        """
        numbers = sum(math.prod(shape) for shape in self.shapes.values())
        if 8 * numbers > sys.maxsize:
            raise ValueError(
                f"hidden sizes {self.hidden_sizes} with {self.input_size} inputs make {numbers:.2g} weights, more than "
                "any memory holds; expected smaller sizes."
            )
        weights, cell = {}, kernels.CELLS[self.cell]
        for suffix, C, H in self.places:
            limit, G = np.sqrt(6 / (C + H)), self.gates * H
            weights[f"weight_ih{suffix}"] = rng.uniform(-limit, limit, (G, C))
            blocks = []
            for _ in range(self.gates):
                q, r = np.linalg.qr(rng.standard_normal((H, H)))
                blocks.append(q * np.where(np.diag(r) < 0, -1, 1))  # the sign makes the draw uniform
            weights[f"weight_hh{suffix}"] = np.concatenate(blocks)
            weights[f"bias_ih{suffix}"], weights[f"bias_hh{suffix}"] = np.zeros((2, G))
            bias = dict(zip(cell.gates, weights[f"bias_ih{suffix}"].reshape(self.gates, H), strict=True))
            if "f" in bias:
                bias["f"][:] = 1
            if longest_lag is not None:
                logarithm = np.log(rng.uniform(1, max(longest_lag - 1, 1), H))
                bias[cell.forget_gate][:] = logarithm
                if "i" in bias:
                    bias["i"][:] = -logarithm
        return weights


def states_by_kind(stack, states):
    """States of all runs, tuples of [N, H], as a tuple with a list of all runs' arrays for each kind of state.

    Where hidden sizes differ from layer to layer, with a tuple of one list for each layer instead.
    """
    of_kinds, D = [list(parts) for parts in zip(*states, strict=True)], stack.directions
    if not stack.is_uniform:
        of_kinds = [tuple(parts[n : n + D] for n in range(0, len(parts), D)) for parts in of_kinds]
    return tuple(of_kinds)


def join(parts, order=None):
    """A list of arrays [N, H], copied to one array (runs, N, H) with the n-th sequence at order[n]; tuples likewise."""
    if isinstance(parts, tuple):
        return tuple([join(some, order) for some in parts])
    joined = np.array(parts)
    if order is None:
        return joined
    out = np.empty_like(joined)
    out[:, order] = joined
    return out


def join_states(stack, states, order=None):
    """States of all runs, tuples of [N, H], in the shapes that callers have them."""
    return join(states_by_kind(stack, states), order)


class PackedStack:
    """The weights of all runs as kernels read them, and their gradient; see `kernels`."""

    def __init__(self, stack, package, dtype, workspaces=None, forward=True, backward=False, inputs=False):
        module = getattr(package, stack.cell)
        workspaces = workspaces or [Workspace() for _ in stack.places]
        self.runs = []
        for n, ((_, C, H), workspace) in enumerate(zip(stack.places, workspaces, strict=True)):
            above = n >= stack.directions  # the gradient of its inputs is that of the outputs below
            self.runs.append(module.Packed(C, H, dtype, workspace, forward, backward, inputs or (backward and above)))

    def fill(self, part, weights):
        """weights: four for each run, in the stack's order."""
        for n, packed in enumerate(self.runs):
            packed.fill(part, weights[4 * n : 4 * n + 4])

    def unpack(self, part, d_weights):
        for n, packed in enumerate(self.runs):
            packed.unpack(part, d_weights[4 * n : 4 * n + 4])


@dataclass(slots=True)
class Inputs:
    """What a run reads: x and at as in a run's `load`; states, a tuple of arrays [N, H] for each run, or None."""

    x: np.ndarray = None
    at: np.ndarray = None
    states: list | None = None


class StackRun:
    """A run of a whole stack over a packed batch, played by all members of a team together.

    States are tuples of [N, H], one for each run; `masks` are for all sequences of the batch, or for more.
    """

    def __init__(self, stack, package, starts, dtype, workspaces, recording=False, threads=1, masks=None):
        module = getattr(package, stack.cell)
        self.masks, self._scale, self._directions = masks, package.dropout.scale, stack.directions
        masked = masks is not None and masks.states[0] is not None
        self.runs = [
            module.Run(C, H, starts, dtype, workspace, recording, threads, masked)
            for (_, C, H), workspace in zip(stack.places, workspaces, strict=True)
        ]
        self.layers, D = self._of_layers(self.runs), self._directions
        self.starts, self.recording, self.threads = starts, recording, threads
        self.rows, self.bounds, self._width = int(starts[1]), self.runs[0].bounds, stack.width
        self._turned = [(False, True)[:D], (True, False)[:D]]  # whether a run goes the other way than the first, second

    def twin(self, workspaces):
        """A run of the same tape, which goes back through it in these workspaces."""
        twin = copy.copy(self)
        twin.runs = [copy.copy(run) for run in self.runs]
        for run, workspace in zip(twin.runs, workspaces, strict=True):
            run.workspace = workspace
        twin.layers = self._of_layers(twin.runs)
        return twin

    def _of_layers(self, runs):
        D = self._directions
        return [runs[n : n + D] for n in range(0, len(runs), D)]

    def forward(self, packed, inputs):
        """The phases of a run through all layers; they look at `inputs`, which has what `Inputs` has, as they begin."""
        for layer, runs in enumerate(self._with_weights(packed)):
            yield ByRows(self._gather, layer, inputs)
            yield ByRows(self._forward, runs)

    def _gather(self, part, layer, inputs):
        """The inputs of a layer's runs."""
        D, states = self._directions, inputs.states
        for direction, run in enumerate(self.layers[layer]):
            if self.masks is not None:
                self._mask_states(part, layer, direction, run)
            state = None if states is None else states[layer * D + direction]
            if layer == 0:
                run.load(part, inputs.x, inputs.at, state, direction == 1)
            else:
                run.connect(part, self.layers[layer - 1], self._turned[direction], state)
                self._mask_outputs(part, layer - 1, 0, run.inputs)

    def _forward(self, part, runs):
        for run, packed in runs:
            run.forward(part, packed)

    def _with_weights(self, packed):
        """For every layer its runs, each with its weights of a `PackedStack`."""
        return self._of_layers(list(zip(self.runs, packed.runs, strict=True)))

    def _mask_states(self, part, layer, direction, run):
        mask = self.masks.states[layer]
        if mask is not None:
            rows, column = slice(*run.bounds(part)), direction * run.H
            run.mask[rows] = mask[rows, column : column + run.H]

    def _mask_outputs(self, part, layer, column, rows):
        """rows[M, .]: outputs of a layer from that column on, or their gradient; the part's sequences only."""
        mask = self.masks and self.masks.outputs[layer]
        if mask is not None:
            self._scale(self.starts, *self.bounds(part), mask, column, rows)

    def outputs(self, part, out):
        """out[M, width]: the last layer's outputs in the rows of their steps; the part's sequences only."""
        column = 0
        for run, turned in zip(self.layers[-1], self._turned[0], strict=True):
            run.outputs(part, turned, out, column)
            column += run.H
        self._mask_outputs(part, -1, 0, out[:, : self._width])

    def last_outputs(self, rows, out):
        """out[N, width]: the last layer's last states, for these rows."""
        column = 0
        for run in self.layers[-1]:
            out[rows, column : column + run.H] = run.state_n[0][rows]
            column += run.H
        self._mask_last(rows, out[:, : self._width])

    def _mask_last(self, rows, outputs):
        """outputs[N, width]: the last layer's last states, or their gradient, for these rows."""
        mask = self.masks and self.masks.outputs[-1]
        if mask is not None:
            outputs[rows] *= mask[rows]

    def set_d_last_outputs(self, rows, d_outputs, d_states):
        """d_outputs[N, width], the gradient of what `last_outputs` gives, into all runs' d_states, for these rows."""
        self._mask_last(rows, d_outputs[:, : self._width])
        column = 0
        for run, d_state in zip(self.layers[-1], d_states[-len(self.layers[-1]) :], strict=True):
            d_state[0][rows] = d_outputs[rows, column : column + run.H]
            column += run.H

    def prepare_backward(self, outputs=False, inputs=False, keep=False):
        """Make room; with `outputs`, the caller gives their gradient to `set_d_outputs` or fills the runs' `d_h`."""
        for runs in self.layers:
            for run in runs:
                run.prepare_backward(
                    outputs=outputs or runs is not self.layers[-1],
                    inputs=inputs or runs is not self.layers[0],
                    keep=keep,
                )

    def set_d_states(self, rows, d_states=None):
        """The gradient of the rows' last states, or zeros."""
        for n, run in enumerate(self.runs):
            for k, d_state in enumerate(run.d_state):
                d_state[rows] = 0 if d_states is None else d_states[n][k][rows]

    def set_d_outputs(self, part, d_outputs):
        """d_outputs[M, width], the gradient of what `outputs` gives, for the part's sequences."""
        column = 0
        for run, turned in zip(self.layers[-1], self._turned[0], strict=True):
            run.collect(part, [d_outputs], [turned], column)
            self._mask_outputs(part, -1, column, run.d_h)
            column += run.H

    def backward(self, packed, to_start=False):
        """The phases of a run back through all layers; `gradients` is for the phase after them."""
        for layer, runs in reversed(list(enumerate(self._with_weights(packed)))):
            yield ByRows(self._backward, runs, to_start)
            if layer:
                yield Phase(self._input_gradient, runs)
                yield ByRows(self._collect, layer)

    def _backward(self, part, runs, to_start):
        for run, packed in runs:
            run.backward(part, packed, to_start)

    def _input_gradient(self, part, runs):
        for run, packed in runs:
            run.input_gradient(part, packed)

    def _collect(self, part, layer):
        """The gradient of the outputs below a layer, from that of its inputs."""
        column, d_inputs = 0, [run.d_inputs for run in self.layers[layer]]
        for direction, below in enumerate(self.layers[layer - 1]):
            below.collect(part, d_inputs, self._turned[direction], column)
            self._mask_outputs(part, layer - 1, column, below.d_h)
            column += below.H

    def gradients(self, part, packed, inputs=False, more=False):
        """The gradient of all weights into `packed`, with `more` added to what is there; with `inputs`, `d_x`, too."""
        if inputs:
            self._input_gradient(part, self._with_weights(packed)[0])
        for run, of_run in zip(self.runs, packed.runs, strict=True):
            run.weight_gradient(part, of_run, more)
