"""The layers of an encoder-decoder, and their weights."""

from dataclasses import dataclass

import numpy as np

from fastlstm.stacks import Stack
from fastlstm.training.embedding import Embedding
from fastlstm.training.losses import Loss
from fastlstm.training.weights import named

ATTENTION = ("dot", "additive")


@dataclass(frozen=True)
class TranslationModel:
    """An encoder and a decoder.

    Parameters
    ----------
    encoder, decoder : Stack
        Recurrent layers, as many in both; the decoder has one direction.
    source, target : Embedding
        What the codes of source and target become. The last code of each is that of unknown symbols; of the target, the
        one before it is that of the start.
    attention : "dot", "additive" or None
    n_outputs : int
        Number of symbols that the decoder predicts, the last of which is the end.
    weights : dict of str to array
        Those of encoder and decoder are named as in a ``Stack`` and an ``Embedding``, after ``encoder.`` and
        ``decoder.``; see `shapes` for the others.
    """

    encoder: Stack
    decoder: Stack
    source: Embedding
    target: Embedding
    attention: str | None
    n_outputs: int
    weights: dict

    @property
    def loss(self):
        """The loss of training."""
        return Loss("cross_entropy")

    @property
    def dtype(self):
        """Floating-point type of the computation."""
        return self.weights["head.bias"].dtype

    @property
    def end(self):
        """Code of the end, which the decoder predicts."""
        return self.n_outputs - 1

    @property
    def start(self):
        """Code of the start, which the decoder reads."""
        return self.target.sizes[0] - 2

    @property
    def bridges(self):
        """Names of the linear layers that make the decoder's first states: for each layer, one for each state.

        Empty if encoder and decoder have states of the same sizes, which are then handed on as they are.
        """
        if self.encoder.widths == self.decoder.widths:
            return []
        return [[f"bridge.{state}_l{n}" for state in self.decoder.states] for n in range(len(self.decoder.widths))]

    @property
    def keys_are_memory(self):
        """Whether queries and the encoder's outputs can be multiplied as they are."""
        return self.attention == "dot" and self.encoder.width == self.decoder.width

    @property
    def linear_shapes(self):
        """Shapes of the weights of all linear layers, by name; H and W are the widths of decoder and encoder."""
        H, W, shapes = self.decoder.width, self.encoder.width, {}

        def add(name, outputs, inputs, bias=True):
            shapes[f"{name}.weight"] = (outputs, inputs)
            if bias:
                shapes[f"{name}.bias"] = (outputs,)

        for names, of_encoder, of_decoder in zip(
            self.bridges, self.encoder.widths, self.decoder.widths, strict=bool(self.bridges)
        ):
            for name in names:
                add(name, of_decoder, of_encoder)
        if self.attention is not None:
            if not self.keys_are_memory:
                add("attention.key", H, W, bias=False)
            if self.attention == "additive":
                add("attention.query", H, H)
                shapes["attention.vector"] = (H,)
            add("combine", H, W + H)
        add("head", self.n_outputs, H)
        return shapes

    @property
    def shapes(self):
        """Names and shapes of all weights, in order."""
        both = ("encoder.", self.encoder, self.source), ("decoder.", self.decoder, self.target)
        return {
            prefix + name: shape
            for prefix, stack, embedding in both
            for name, shape in {**stack.shapes, **embedding.shapes}.items()
        } | self.linear_shapes

    def initial_weights(self, rng, longest_lag=None):
        """Initial weights, float64: linear layers are Glorot uniform, with zero biases."""
        weights = {}
        for prefix, stack, embedding in (
            ("encoder.", self.encoder, self.source), ("decoder.", self.decoder, self.target),
        ):  # fmt: skip
            of_side = stack.initial_weights(rng, longest_lag) | embedding.initial_weights(rng)
            weights |= {prefix + name: value for name, value in of_side.items()}
        for name, shape in self.linear_shapes.items():
            limit = np.sqrt(6 / sum(shape)) if len(shape) == 2 else np.sqrt(6 / (1 + shape[0]))
            is_bias = name.endswith(".bias")
            weights[name] = np.zeros(shape) if is_bias else rng.uniform(-limit, limit, shape)
        return weights

    def side(self, prefix):
        """The weights of "encoder" or "decoder", by the names of its stack and embedding."""
        return named(self.weights, f"{prefix}.")
