"""Stacked, optionally bidirectional recurrent layers: their weights and runs.

Each layer has one run per direction, with a suffix as in ``torch.nn.LSTM``: ``_l0`` for the forward direction of the
first layer, ``_l0_reverse`` for its backward direction, ``_l1`` for the second layer. The output of a layer, and the
input of the next, is its hidden states after each step, with the two directions concatenated.
"""

import copy
import math
import sys
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fastlstm import kernels
from fastlstm.kernels.lazy import lazy
from fastlstm.kernels.numpy.packing import reversed_rows
from fastlstm.kernels.workspace import Workspace
from fastlstm.phases import ByRows, Phase

KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")  # of each run, in PyTorch's order


class Place(NamedTuple):
    """Position of a run in a stack, with its sizes."""

    suffix: str
    C: int  # number of inputs
    H: int


@dataclass(frozen=True)
class Stack:
    """Configuration of a stack; hidden_sizes has one number per layer."""

    cell: str
    input_size: int
    hidden_sizes: tuple
    bidirectional: bool = False

    @lazy
    def layers(self):
        """For each layer, a tuple with one `Place` per direction."""
        layers, C = [], self.input_size
        for layer, H in enumerate(self.hidden_sizes):
            suffixes = (f"_l{layer}", f"_l{layer}_reverse") if self.bidirectional else (f"_l{layer}",)
            layers.append(tuple(Place(suffix, C, H) for suffix in suffixes))
            C = len(suffixes) * H
        return tuple(layers)

    @lazy
    def places(self):
        """Places of all runs, layer by layer, forward before backward."""
        return tuple(place for layer in self.layers for place in layer)

    @property
    def directions(self):
        return 2 if self.bidirectional else 1

    @lazy
    def is_uniform(self):
        """Whether all layers are of one size."""
        return len(set(self.hidden_sizes)) == 1

    @lazy
    def width(self):
        """Width of the output."""
        return self.widths[-1]

    @property
    def gates(self):
        return len(kernels.CELLS[self.cell].gates)

    @property
    def states(self):
        """Names of the arrays in the state of a run."""
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
        """Width of the output of each layer."""
        return tuple(self.directions * H for H in self.hidden_sizes)

    @lazy
    def multiplications(self):
        """Number of multiplications in one forward step of one sequence."""
        return sum(self.gates * H * (C + H) for _, C, H in self.places)

    def flops(self, steps):
        """Number of multiplications and additions of the matrix products in `steps` forward steps."""
        return 2 * self.multiplications * steps

    @lazy
    def largest(self):
        """Number of weights of the largest layer, all of which are read in each step."""
        return max(self.gates * H * (C + H) for _, C, H in self.places)

    @property
    def widest(self):
        """Number of inputs and hidden units of the widest layer, in all directions."""
        return max(C + H for _, C, H in self.places) * self.directions

    def check_sizes(self, precision):
        """Raise ValueError if a layer is too large for products of this precision."""
        if precision != "int8":
            return
        for n, (_, C, H) in enumerate(self.places):
            for size, what in (C, "channels" if n < self.directions else "outputs of a layer"), (H, "units"):
                if size > kernels.MOST_OF_INT8:
                    raise ValueError(
                        f"{size} {what} are too many for precision='int8', whose sums might overflow; expected at most "
                        f"{kernels.MOST_OF_INT8}: use precision='bfloat16' or 'float32'."
                    )

    def initial_weights(self, rng, longest_lag=None):
        """Initial weights, float64.

        Input weights are Glorot uniform (Glorot & Bengio 2010, equation 16), recurrent weights orthogonal (Saxe,
        McClelland & Ganguli 2014), each gate drawn separately; the bias of a forget gate f is 1 (Gers,
        Schmidhuber & Cummins 2000). With a `longest_lag`, gate biases are drawn for time lags up to it (Tallec &
        Ollivier 2018, equation 16; section 2.2 for the GRU's update gate z).
        """
        numbers = sum(math.prod(shape) for shape in self.shapes.values())
        if 8 * numbers > sys.maxsize:
            raise ValueError(
                f"hidden sizes {self.hidden_sizes} with {self.input_size} inputs require {numbers:.2g} weights, which "
                "exceeds the address space; expected smaller sizes."
            )
        weights, cell = {}, kernels.CELLS[self.cell]
        for suffix, C, H in self.places:
            limit, G = np.sqrt(6 / (C + H)), self.gates * H
            weights[f"weight_ih{suffix}"] = rng.uniform(-limit, limit, (G, C))
            blocks = []
            for _ in range(self.gates):
                q, r = np.linalg.qr(rng.standard_normal((H, H)))
                blocks.append(q * np.where(np.diag(r) < 0, -1, 1))  # fixing the signs makes the distribution uniform
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
    """Group the states of all runs, tuples of [N, H], by kind of state: a tuple with a list of arrays for each.

    If hidden sizes differ between layers, with a tuple of one list per layer instead.
    """
    of_kinds, D = [list(parts) for parts in zip(*states, strict=True)], stack.directions
    if not stack.is_uniform:
        of_kinds = [tuple(parts[n : n + D] for n in range(0, len(parts), D)) for parts in of_kinds]
    return tuple(of_kinds)


def join(parts, order=None):
    """Copy a list of arrays [N, H] to an array (runs, N, H), with sequence n at order[n]; tuples likewise."""
    if isinstance(parts, tuple):
        return tuple([join(some, order) for some in parts])
    joined = np.array(parts)
    if order is None:
        return joined
    out = np.empty_like(joined)
    out[:, order] = joined
    return out


def join_states(stack, states, order=None):
    """Copy the states of all runs, tuples of [N, H], to arrays in the shapes of the public interface."""
    return join(states_by_kind(stack, states), order)


class PackedStack:
    """Packed weights of all runs, and their gradient; see `kernels`."""

    def __init__(self, stack, package, dtype, workspaces=None, forward=True, backward=False, inputs=False):
        module = getattr(package, stack.cell)
        stack.check_sizes(module.Packed.PRECISION)
        workspaces = workspaces or [Workspace() for _ in stack.places]
        self.runs = []
        for n, ((_, C, H), workspace) in enumerate(zip(stack.places, workspaces, strict=True)):
            above = n >= stack.directions  # its input gradient is the output gradient of the layer below
            self.runs.append(module.Packed(C, H, dtype, workspace, forward, backward, inputs or (backward and above)))

    def fill(self, part, weights):
        """weights: four arrays per run, in the order of the stack."""
        for n, packed in enumerate(self.runs):
            packed.fill(part, weights[4 * n : 4 * n + 4])

    def unpack(self, part, d_weights):
        for n, packed in enumerate(self.runs):
            packed.unpack(part, d_weights[4 * n : 4 * n + 4])


@dataclass(slots=True)
class Inputs:
    """Inputs of a run: x and at as in `load`; states, a tuple of arrays [N, H] per run, or None."""

    x: np.ndarray = None
    at: np.ndarray = None
    states: list | None = None


class StackRun:
    """A run of a stack over a packed batch, in the threads of a team.

    States are tuples of [N, H], one per run; `masks` has at least as many rows as the batch has sequences.
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
        self._reversed = [(False, True)[:D], (True, False)[:D]]  # relative to the first, second

    def twin(self, workspaces):
        """A run with the same tape, and with these workspaces for the backward pass."""
        twin = copy.copy(self)
        twin.runs = [copy.copy(run) for run in self.runs]
        for run, workspace in zip(twin.runs, workspaces, strict=True):
            run.workspace = workspace
        twin.layers = self._of_layers(twin.runs)
        return twin

    def _of_layers(self, runs):
        D = self._directions
        return [runs[n : n + D] for n in range(0, len(runs), D)]

    def look_up(self, known, which):
        """Take the products known [., G, P] of each run of the first layer; `which` [M, S] of them belong to a row."""
        for run, of_run, reverse in zip(self.layers[0], known, (False, True), strict=False):
            run.look_up(of_run, which[reversed_rows(self.starts)] if reverse else np.ascontiguousarray(which))

    def forward(self, packed, inputs):
        """Phases of the forward pass; `inputs`, an `Inputs`, is read when the phases are executed."""
        for layer, runs in enumerate(self._with_weights(packed)):
            yield ByRows(self._gather, layer, inputs)
            yield ByRows(self._forward, runs)

    def _gather(self, part, layer, inputs):
        """Gather the inputs of a layer."""
        D, states = self._directions, inputs.states
        for direction, run in enumerate(self.layers[layer]):
            if self.masks is not None:
                self._mask_states(part, layer, direction, run)
            state = None if states is None else states[layer * D + direction]
            if layer == 0:
                run.load(part, inputs.x, inputs.at, state, direction == 1)
            else:
                run.connect(part, self.layers[layer - 1], self._reversed[direction], state)
                self._mask_outputs(part, layer - 1, 0, run.inputs)

    def _forward(self, part, runs):
        for run, packed in runs:
            run.forward(part, packed)

    def _with_weights(self, packed):
        """For each layer, pairs of its runs and their packed weights."""
        return self._of_layers(list(zip(self.runs, packed.runs, strict=True)))

    def _mask_states(self, part, layer, direction, run):
        mask = self.masks.states[layer]
        if mask is not None:
            rows, column = slice(*run.bounds(part)), direction * run.H
            run.mask[rows] = mask[rows, column : column + run.H]

    def _mask_outputs(self, part, layer, column, rows):
        """Mask rows [M, .], outputs of a layer from `column` on or their gradient, for the part's sequences."""
        mask = self.masks and self.masks.outputs[layer]
        if mask is not None:
            self._scale(self.starts, *self.bounds(part), mask, column, rows)

    def outputs(self, part, out):
        """Write the outputs of the last layer to out [M, width], for the part's sequences."""
        column = 0
        for run, reverse in zip(self.layers[-1], self._reversed[0], strict=True):
            run.outputs(part, reverse, out, column)
            column += run.H
        self._mask_outputs(part, -1, 0, out[:, : self._width])

    def last_outputs(self, rows, out):
        """Write the last hidden states of the last layer to out [N, width], for these rows."""
        column = 0
        for run in self.layers[-1]:
            out[rows, column : column + run.H] = run.state_n[0][rows]
            column += run.H
        self._mask_last(rows, out[:, : self._width])

    def _mask_last(self, rows, outputs):
        """Mask outputs [N, width], the last hidden states of the last layer or their gradient, for these rows."""
        mask = self.masks and self.masks.outputs[-1]
        if mask is not None:
            outputs[rows] *= mask[rows]

    def set_d_last_outputs(self, rows, d_outputs, d_states):
        """Write d_outputs [N, width], the gradient of `last_outputs`, to the d_states of all runs, for these rows."""
        self._mask_last(rows, d_outputs[:, : self._width])
        column = 0
        for run, d_state in zip(self.layers[-1], d_states[-len(self.layers[-1]) :], strict=True):
            d_state[0][rows] = d_outputs[rows, column : column + run.H]
            column += run.H

    def prepare_backward(self, outputs=False, inputs=False, keep=False):
        """Allocate buffers; with `outputs`, the caller passes their gradient to `set_d_outputs` or fills `d_h`."""
        for runs in self.layers:
            for run in runs:
                run.prepare_backward(
                    outputs=outputs or runs is not self.layers[-1],
                    inputs=inputs or runs is not self.layers[0],
                    keep=keep,
                )

    def set_d_states(self, rows, d_states=None):
        """Set the gradient of the last states of these rows, to zero if `d_states` is None."""
        for n, run in enumerate(self.runs):
            for k, d_state in enumerate(run.d_state):
                d_state[rows] = 0 if d_states is None else d_states[n][k][rows]

    def set_d_outputs(self, part, d_outputs):
        """Set d_outputs [M, width], the gradient of `outputs`, for the part's sequences."""
        column = 0
        for run, reverse in zip(self.layers[-1], self._reversed[0], strict=True):
            run.collect(part, [d_outputs], [reverse], column)
            self._mask_outputs(part, -1, column, run.d_h)
            column += run.H

    def backward(self, packed, to_start=False):
        """Phases of the backward pass; `gradients` belongs to the phase after them."""
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
        """Set the output gradient of the layer below to the input gradient of a layer."""
        column, d_inputs = 0, [run.d_inputs for run in self.layers[layer]]
        for direction, below in enumerate(self.layers[layer - 1]):
            below.collect(part, d_inputs, self._reversed[direction], column)
            self._mask_outputs(part, layer - 1, column, below.d_h)
            column += below.H

    def input_gradient(self, part, packed):
        """Gradient of x, as `d_x` of the runs of the first layer; belongs to the phase after `backward`."""
        self._input_gradient(part, self._with_weights(packed)[0])

    def of_both_directions(self, rows):
        """Sum of rows [M, .] of the runs of the first layer, which are in the order of their own time."""
        forward, *backward = rows
        return forward + backward[0][reversed_rows(self.starts)] if backward else forward

    def gradients(self, part, packed, inputs=False, accumulate=False):
        """Gradient of all weights, into `packed` or added to it if `accumulate`; with `inputs`, also of x."""
        if inputs:
            self.input_gradient(part, packed)
        for run, of_run in zip(self.runs, packed.runs, strict=True):
            run.weight_gradient(part, of_run, accumulate)
