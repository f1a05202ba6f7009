"""Dropout of a stack of layers: what it leaves of their outputs and states."""

import numpy as np


class Masks:
    """What dropout leaves of a batch: for every layer, masks [N, D H] of its outputs and of its states, or None.

    One mask for all steps of a sequence (Gal & Ghahramani 2016, equation 7). It depends on the seed, the epoch, the
    sequence and the unit; not on the batch.
    """

    def __init__(self, stack, package, N, dtype, between, last, states):
        """The rates: of outputs to the next layer, of the last layer's outputs, and of states to the next step."""
        layers, self._draw = len(stack.widths), package.dropout.draw

        def room(rates):
            return [
                np.empty((N, width), dtype) if rate else None for rate, width in zip(rates, stack.widths, strict=True)
            ]

        of_outputs, of_states = [between] * (layers - 1) + [last], [states] * layers
        self.outputs, self.states = room(of_outputs), room(of_states)
        self._all = [*zip(of_outputs, self.outputs, strict=True), *zip(of_states, self.states, strict=True)]

    def draw(self, first, last, seed, epoch, sequences):
        """The masks of the sequences from `first` to `last`, of which the n-th is number sequences[n] of all."""
        for stream, (rate, mask) in enumerate(self._all):
            if mask is not None:
                self._draw(seed, epoch, stream, rate, sequences, first, last, mask)
