"""From the decoder's outputs to scores: attention to the encoder's outputs, and the head.

With decoder outputs s_t and the encoder's outputs m_j as the memory (Luong, Pham & Manning 2015, equations 5 to 8;
Bahdanau, Cho & Bengio 2015, section A.1.2)::

    score_tj = s_t . m_j    (dot; if the sizes differ, s_t . K m_j)
    score_tj = v . tanh(Q s_t + b + K m_j)    (additive)
    c_t = sum over j of softmax(score_t)_j m_j
    scores_t = W_head tanh(W_combine [c_t, s_t] + b) + b_head

Rows are those of one sequence after another, without padding.
"""

import numpy as np

from fastlstm.kernels.workspace import Workspace
from fastlstm.phases import Alone, Phase
from fastlstm.training.linear import Linear


class Readout:
    """Attention and head of a `TranslationModel`.

    Methods that take a `part` are phases.

    Parameters
    ----------
    model : TranslationModel
        Only its sizes are read.
    weights : dict of str to array
    package : backend of the kernels
    dtype : dtype
    d_weights : dict of str to array or None
        Where gradients are written; None if there are none.
    """

    def __init__(self, model, weights, package, dtype, d_weights=None):
        self._model, self._weights, self._d_weights, self._package = model, weights, d_weights, package
        self._dtype, self._workspace, self.H, self.W = dtype, Workspace(), model.decoder.width, model.encoder.width
        self.head, self.attention = self._linear("head"), None
        self._key = self._query = self._combine = None
        if model.attention is not None:
            self._combine = self._linear("combine")
            self._key = None if model.keys_are_memory else self._linear("attention.key")
            self._query = self._linear("attention.query") if model.attention == "additive" else None

    def _linear(self, name):
        return Linear(name, self._weights, self._package, self._dtype, self._d_weights)

    @property
    def _layers(self):
        return [layer for layer in (self.head, self._combine, self._key, self._query) if layer]

    def fill(self):
        """Pack the weights for the kernels."""
        for layer in self._layers:
            layer.fill()

    def lay_out(self, source, target):
        """Allocate buffers for sequences with the rows source[n] to source[n + 1] of the memory, and likewise of the
        decoder's outputs."""
        self.target, rows, model = target, int(target[-1]), self._model
        for layer in self._layers:
            layer.resize(int(source[-1]) if layer is self._key else rows)
        if model.attention is None:
            return
        self.attention = self._package.attention.Attention(
            model.attention == "additive", self.H, self.W, source, target, self._dtype, self._workspace,
            backward=self._d_weights is not None, own_keys=self._key is not None,
        )  # fmt: skip
        if self._query:
            self.attention.vector[: self.H] = self._weights["attention.vector"]

    # -- forward -----------------------------------------------------------------------------------------------

    def set_memory(self, first, last, memory):
        """Set rows of the memory."""
        self.attention.memory[first:last, : self.W] = memory
        if self._key:
            self._key.inputs[first:last, : self.W] = memory
            self.attention.keys[first:last, : self.H] = self._key.forward(first, last)

    def set_outputs(self, first, last, outputs):
        """Set rows of the decoder's outputs."""
        if not self._combine:
            self.head.inputs[first:last, : self.H] = outputs
            return
        self._combine.inputs[first:last, self.W : self.W + self.H] = outputs
        if self._query:
            self._query.inputs[first:last, : self.H] = outputs
            outputs = self._query.forward(first, last)
        self.attention.queries[first:last, : self.H] = outputs

    def prepare_memory(self):
        """Phases after the memory has been set."""
        if self._combine:
            yield Phase(self.attention.prepare)

    def forward(self):
        """Phases that make the head's inputs, after the decoder's outputs have been set."""
        if self._combine:
            yield Phase(self.attention.forward)
            yield Phase(self._mix)

    def _mix(self, part):
        first, last = part.share(self._combine.rows)
        self._combine.inputs[first:last, : self.W] = self.attention.context[first:last, : self.W]
        self._combine.forward(first, last)
        self._package.attention.tanh(first, last, self._combine.outputs)
        self.head.inputs[first:last, : self.H] = self._combine.outputs[first:last, : self.H]

    # -- backward ----------------------------------------------------------------------------------------------

    def backward(self):
        """Phases from the gradient of the head's inputs to those of outputs and memory."""
        if self._combine:
            yield Phase(self._unmix)
            yield Phase(self.attention.backward)
            if self._query:
                yield Alone(self._sum_vector)

    def _unmix(self, part):
        first, last = part.share(self._combine.rows)
        mixed, d_mixed = (array[first:last, : self.H] for array in (self.head.inputs, self.head.d_inputs))
        d_inputs = self._combine.backward(first, last, d_mixed * (1 - mixed * mixed))
        self.attention.d_context[first:last, : self.W] = d_inputs[:, : self.W]

    def _sum_vector(self):
        self._d_weights["attention.vector"][:] = np.add.reduce(self.attention.d_vector[:, : self.H], axis=0)

    def d_outputs(self, first, last):
        """The gradient of rows of the decoder's outputs."""
        if not self._combine:
            return self.head.d_inputs[first:last, : self.H]
        d_queries = self.attention.d_queries[first:last, : self.H]
        if self._query:
            d_queries = self._query.backward(first, last, d_queries)
        return self._combine.d_inputs[first:last, self.W : self.W + self.H] + d_queries

    def d_memory(self, first, last):
        """The gradient of rows of the memory."""
        d_memory = self.attention.d_memory[first:last, : self.W]
        if self._key:
            d_memory = d_memory + self._key.backward(first, last, self.attention.d_keys[first:last, : self.H])
        return d_memory

    def weight_gradients(self, part):
        """This part's share of the gradients of all weights."""
        for layer in self._layers:
            layer.weight_gradient(part)
