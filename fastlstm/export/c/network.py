"""What is exported, and its sizes in C."""

from dataclasses import dataclass

import numpy as np

from fastlstm.stacks import Stack
from fastlstm.training.embedding import Embedding
from fastlstm.training.outputs import ClassificationOutput, RegressionOutput
from fastlstm.training.standardization import Scaling


@dataclass(frozen=True)
class Network:
    """What is exported: parts of a `Model`, and what describes them to users.

    Attributes
    ----------
    title : str
        Name of the class of the estimator or layer.
    output : ClassificationOutput, RegressionOutput or None
        If None, outputs are the hidden states of the last layer, and there is no head.
    channel_names, vocabularies : sequence or None
        Names of the channels, and the vocabulary of each channel of symbols.

    The others are those of `Model`.
    """

    title: str
    stack: Stack
    weights: dict
    output: ClassificationOutput | RegressionOutput | None = None
    per_step: bool = False
    masked: bool = False
    scaling: Scaling | None = None
    embedding: Embedding | None = None
    channel_names: tuple | None = None
    vocabularies: tuple = ()

    @property
    def dtype(self):
        return next(iter(self.weights.values())).dtype

    @property
    def real(self):
        """C's name of the dtype."""
        return "float" if self.dtype == np.float32 else "double"

    @property
    def target_scaling(self):
        """Standardisation of the targets, or None."""
        return getattr(self.output, "scaling", None)

    @property
    def one_hot(self):
        """Whether symbols are one-hot encoded."""
        return self.embedding is not None and self.embedding.width is None

    @property
    def n_symbols(self):
        """Number of channels of symbols, which are the last."""
        return len(self.embedding.columns) if self.embedding else 0

    @property
    def n_inputs(self):
        """Number of channels."""
        if self.embedding:
            return self.embedding.channels
        return self.stack.input_size // 2 if self.masked else self.stack.input_size

    @property
    def n_numbers(self):
        return self.n_inputs - self.n_symbols

    @property
    def n_features(self):
        """Width of the rows that the first layer reads."""
        return self.n_numbers + self.n_symbols if self.one_hot else self.stack.input_size

    @property
    def n_scores(self):
        """Number of outputs of the head, 0 if there is none."""
        return 0 if self.output is None else len(self.weights["head.bias"])

    @property
    def n_outputs(self):
        return self.stack.width if self.output is None else self.n_scores // self.output.loss.width

    @property
    def buffers(self):
        """Number of values per step of the two buffers of a bidirectional network, which its layers use in turn."""
        widths = [self.n_features, *self.stack.widths]
        if not self.per_step:
            widths.pop()  # only the last states are kept
        return max(widths[::2]), max(widths[1::2], default=0)
