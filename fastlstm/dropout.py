"""Dropout masks of a stack of layers."""

import numpy as np


class Masks:
    """Dropout masks of a batch: for each layer, masks [N, D H] of its outputs and of its states, or None.

    All steps of a sequence share one mask (Gal & Ghahramani 2016, equation 7). A mask is a function of the seed, the
    epoch, the sequence and the unit, so it does not depend on the batch.
    """

    def __init__(self, stack, package, N, dtype, between, last, states):
        """between, last, states: rates for outputs between layers, outputs of the last layer, and recurrent states."""
        layers, self._draw = len(stack.widths), package.dropout.draw

        def room(rates):
            return [
                np.empty((N, width), dtype) if rate else None for rate, width in zip(rates, stack.widths, strict=True)
            ]

        of_outputs, of_states = [between] * (layers - 1) + [last], [states] * layers
        self.outputs, self.states = room(of_outputs), room(of_states)
        self._all = [*zip(of_outputs, self.outputs, strict=True), *zip(of_states, self.states, strict=True)]

    def draw(self, first, last, seed, epoch, sequences):
        """Draw the masks of rows `first` to `last` of the batch; sequences[n] is the index of row n in the data set."""
        for stream, (rate, mask) in enumerate(self._all):
            if mask is not None:
                self._draw(seed, epoch, stream, rate, sequences, first, last, mask)
