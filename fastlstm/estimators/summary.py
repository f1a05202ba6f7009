"""Tables of the layers of a fitted model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastlstm.stacks import Stack
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


def layer_of(weights, name, shape, *multiplications):
    """The summary of a layer with these weights."""
    number, size = (sum(getattr(value, of) for value in weights) for of in ("size", "nbytes"))
    return LayerSummary(name, shape, number, size, *multiplications)


def layers_of(stack: Stack, weights: dict, steps: str, at_last: tuple) -> list[LayerSummary]:
    """Summaries of recurrent layers, over `steps` steps; `at_last` is the shape of the steps of the last one's."""
    layers = []
    for number, places in enumerate(stack.layers):
        suffixes = tuple(place.suffix for place in places)
        own = [weights[name] for name in stack.shapes if name.endswith(suffixes)]
        products = sum(stack.gates * H * (C + H) for _, C, H in places)
        name = f"{stack.cell} {number + 1}{', bidirectional' * stack.bidirectional}"
        before = at_last if number + 1 == len(stack.layers) else (steps,)
        layers.append(layer_of(own, name, (*before, stack.widths[number]), products))
    return layers


def summarize(model: Model, title: str, with_head: bool = True) -> Summary:
    """The `Summary` of a model; without its head, of the layers whose last states are features."""
    stack, weights = model.stack, model.weights
    layers = [layer_of((), "input", ("T", model.embedding.channels if model.embedding else stack.input_size))]
    if model.embedding:
        tables = [weights[name] for name in model.embedding.shapes]
        layers.append(layer_of(tables, "embedding", ("T", stack.input_size)))
    layers += layers_of(stack, weights, "T", ("T",) if model.per_step and with_head else ())
    if with_head:
        products = model.n_scores * stack.width
        steps, counts = (("T",), (products, 0)) if model.per_step else ((), (0, products))
        head = weights["head.weight"], weights["head.bias"]
        layers.append(layer_of(head, "linear", (*steps, model.n_scores), *counts))
    return Summary(title, layers)
