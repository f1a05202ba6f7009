"""Tables of the layers of a fitted model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastlstm.training.model import Model

HEADINGS = ("layer", "output shape", "parameters", "bytes", "multiplications per step")


@dataclass(frozen=True)
class LayerSummary:
    """One layer: sizes of its output and of its weights, and the multiplications of its matrix products.

    Attributes
    ----------
    name : str
    output_shape : tuple
        Shape of the output for one series; "T" is its number of steps.
    n_parameters, n_bytes, multiplications : int
        Number of weights, their size, and the number of multiplications at each step.
    multiplications_at_end : int
        Number of multiplications for a series, after its last step.
    """

    name: str
    output_shape: tuple[int | str, ...]
    n_parameters: int = 0
    n_bytes: int = 0
    multiplications: int = 0
    multiplications_at_end: int = 0

    def _cells(self) -> tuple[str, ...]:
        shape = ", ".join(map(str, self.output_shape)) + "," * (len(self.output_shape) == 1)
        products = f"{self.multiplications:,}"
        if self.multiplications_at_end:
            products = f"{products} (+ {self.multiplications_at_end:,} at the end)"
        return self.name, f"({shape})" * bool(shape), f"{self.n_parameters:,}", f"{self.n_bytes:,}", products


@dataclass(frozen=True, repr=False)
class Summary:
    """Table of the layers of a fitted model, which is its `str`.

    Attributes
    ----------
    title : str
    layers : list of LayerSummary
        From the input to the output.
    total : LayerSummary
        Sums over all layers.
    """

    title: str
    layers: list[LayerSummary]

    @property
    def total(self) -> LayerSummary:
        counts = ("n_parameters", "n_bytes", "multiplications", "multiplications_at_end")
        return LayerSummary("total", (), *(sum(getattr(layer, name) for layer in self.layers) for name in counts))

    def __str__(self) -> str:
        if not self.layers:
            return self.title
        rows = [HEADINGS, *(layer._cells() for layer in self.layers), self.total._cells()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = []
        for row in rows:
            texts = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
            numbers = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
            lines.append("  ".join(texts + numbers).rstrip())
        rule = "-" * max(map(len, lines))
        return "\n".join([self.title, rule, lines[0], rule, *lines[1:-1], rule, lines[-1]])

    __repr__ = __str__


def summarize(model: Model, title: str, with_head: bool = True) -> Summary:
    """The `Summary` of a model; without its head, of the layers whose last states are features."""
    stack, itemsize = model.stack, model.dtype.itemsize

    def layer(name, shape, names, *multiplications):
        number = sum(model.weights[weight].size for weight in names)
        return LayerSummary(name, shape, number, number * itemsize, *multiplications)

    layers = [layer("input", ("T", model.embedding.channels if model.embedding else stack.input_size), ())]
    if model.embedding:
        layers.append(layer("embedding", ("T", stack.input_size), model.embedding.shapes))
    last = len(stack.layers) - 1
    for number, places in enumerate(stack.layers):
        suffixes = tuple(place.suffix for place in places)
        names = [name for name in stack.shapes if name.endswith(suffixes)]
        products = sum(stack.gates * H * (C + H) for _, C, H in places)
        direction = ", bidirectional" * stack.bidirectional
        per_step = model.per_step and with_head
        steps = ("T",) if per_step or number < last else ()
        layers.append(layer(f"{stack.cell} {number + 1}{direction}", (*steps, stack.widths[number]), names, products))
    if with_head:
        products = model.n_scores * stack.width
        steps, counts = (("T",), (products, 0)) if model.per_step else ((), (0, products))
        layers.append(layer("linear", (*steps, model.n_scores), ("head.weight", "head.bias"), *counts))
    return Summary(title, layers)
