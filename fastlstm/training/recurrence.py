"""Recurrent layers that are trained: their packed weights and, where inputs are symbols, the products looked up."""

import numpy as np

from fastlstm.kernels.workspace import Workspace
from fastlstm.lookup import Lookup
from fastlstm.stacks import Inputs, PackedStack, StackRun


class Recurrence:
    """The layers of a stack, one batch at a time.

    Methods that take a `part` are phases; that of a lookup's products, ``lookup.multiply``, follows `fill`.

    Parameters
    ----------
    stack : Stack
    embedding : Embedding or None
        Which of the inputs are codes of symbols, and how these become channels of the stack.
    weights : dict of str to array
        Weights of the layers and the embedding.
    package : backend of the kernels
    dtype : dtype
    d_weights : dict of str to array or None
        Where gradients are written; None if there are none.
    symbol_dropout : float
        Fraction of the symbols that are replaced by the last code of their channel, that of unknown symbols.

    Attributes
    ----------
    layers : Stack
        The layers as the kernels run them: with numbers as their only inputs.
    inputs : Inputs
        What ``run.forward`` reads.
    """

    def __init__(self, stack, embedding, weights, package, dtype, d_weights=None, symbol_dropout=0.0):
        self.stack, self.lookup, self.layers = stack, None, stack
        self._package, self._dtype, self._symbol_dropout = package, dtype, symbol_dropout
        self._weights, self._d_weights = weights, d_weights
        if embedding is not None:
            self.lookup = Lookup(embedding, stack, package, dtype, backward=d_weights is not None)
            self.layers = self.lookup.stack
        self._recurrent = self._of_layers(weights)
        self._d_recurrent = d_weights and self._of_layers(d_weights)
        self.packed = PackedStack(self.layers, package, dtype, backward=d_weights is not None)
        self._workspaces = [Workspace() for _ in stack.places]
        self.inputs, self.run = Inputs(), None

    def _of_layers(self, weights):
        """The weights that the kernels of `layers` read or write, flat."""
        if self.lookup:
            return [value.reshape(-1) for value in self.lookup.recurrent(weights)]
        return [weights[name].reshape(-1) for name in self.stack.shapes]

    def take(self, x, at, starts, seed):
        """Take the inputs of a packed batch, whose sequences begin at x[at[n]]; `seed` of the symbols that are dropped.

        With symbols, calls of `fill` and ``lookup.multiply`` must follow.
        """
        self._x, self._at = x, at
        if self.lookup:
            rng = np.random.default_rng(seed) if self._symbol_dropout else None
            self._x, self._at, self._which = self.lookup.take(x, at, starts, rng, self._symbol_dropout)
            self._recurrent = self._of_layers(self._weights)

    def make_run(self, starts, recording=True, threads=1, masks=None):
        """Make `run`, a run over a packed batch, or over some of its steps."""
        self.run = None  # release its buffers first
        self.run = StackRun(
            self.layers, self._package, starts, self._dtype, self._workspaces, recording, threads, masks
        )
        return self.run

    def set_inputs(self, states=None, first=0, rows=slice(None)):
        """Set what the run reads: the inputs from step `first` on, whose packed rows are `rows`, and initial states."""
        self.inputs.x, self.inputs.at = self._x, self._at
        if first:
            self.inputs.at = self._at + first * self.layers.input_size
        if self.lookup:
            self.run.look_up(self.lookup.known, self._which[rows])
        self.inputs.states = states

    def fill(self, part):
        """Pack the weights for the kernels."""
        self.packed.fill(part, self._recurrent)
        if self.lookup and part.rank == 0:
            self.lookup.fill(self._weights)

    def gradients(self, part, accumulate=False):
        """Gradient of the weights by the run, or add it with `accumulate`."""
        self.run.gradients(part, self.packed, accumulate=accumulate)
        if self.lookup:
            self.lookup.add(part, self.run.layers[0], accumulate)

    def unpack(self, part):
        """Write the gradients; those of the first layer's input weights and of the embedding follow by `collect`."""
        self.packed.unpack(part, self._d_recurrent)

    def collect(self):
        """Write the gradients of the first layer's weights, and of the embedding, after ``lookup.backward``."""
        self.lookup.collect(self._d_weights, self._d_recurrent)
