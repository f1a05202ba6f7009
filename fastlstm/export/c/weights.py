"""Weights as the arrays of a C file: their order, their quantisation to int8, and their text."""

from typing import NamedTuple

import numpy as np

LEVELS = 127  # largest absolute value of a quantised weight


class Quantized(NamedTuple):
    """A matrix of integers from -`LEVELS` to `LEVELS`, times the scale of its row."""

    values: np.ndarray
    scale: np.ndarray

    @property
    def restored(self):
        """The matrix that the integers stand for."""
        return self.values * self.scale[:, None]


def quantize(stack, weights):
    """`Quantized` versions of all matrices among the weights, by name.

    The largest absolute value of a row defines its scale. The sum of a gate has one scale, which the rows of its input
    and recurrent weights share; those of a GRU's n are two sums.
    """
    scales = {name: _scales(value) for name, value in weights.items() if value.ndim == 2}
    for suffix, _, H in stack.places:
        of_x, of_h = scales[f"weight_ih{suffix}"], scales[f"weight_hh{suffix}"]
        shared = slice(0, 2 * H) if stack.cell == "gru" else slice(None)
        of_x[shared] = of_h[shared] = np.maximum(of_x[shared], of_h[shared])
    return {
        name: Quantized(np.rint(weights[name] / scale[:, None]).astype(np.int8), scale)
        for name, scale in scales.items()
    }


def _scales(matrix):
    largest = np.abs(matrix).max(axis=1, initial=0)
    scale = largest / LEVELS
    return np.where(scale > np.finfo(scale.dtype).tiny, scale, 1).astype(matrix.dtype)


def reordered(cell, matrix):
    """Input weights [G H, C] in the order of the sums that they are added to: for a GRU, n, r, z instead of r, z, n."""
    return np.roll(matrix, len(matrix) // 3, axis=0) if cell == "gru" else matrix


def of_sums(cell, of_x, of_h, joined):
    """Numbers [G H] of the products with x and h as those of the sums of a step.

    joined: function of the numbers of both products that are added to one sum.
    """
    if cell != "gru":
        return joined(of_x, of_h)
    (*gates_of_x, n), (*gates_of_h, m) = np.split(of_x, 3), np.split(of_h, 3)
    return np.concatenate([n, *map(joined, gates_of_x, gates_of_h), m])


def constants(kind, name, values):
    """Definition of a constant array."""
    values = np.asarray(values).reshape(-1)
    if values.dtype.kind == "f":
        single = values.dtype == np.float32
        texts = [_literal(value, *((9, "f") if single else (17, ""))) for value in values.tolist()]
    else:
        texts = list(map(str, values.tolist()))
    return listed(f"static const {kind} {name}[{len(texts)}]", texts)


def _literal(value, digits, suffix):
    """A floating-point number with so many digits that it is read as the same number."""
    text = f"{value:.{digits}g}"
    return text + (suffix if "." in text or "e" in text else f".0{suffix}")


def listed(declaration, texts):
    """Definition of an array with these texts as its elements."""
    lines, line = [], "   "
    for text in texts:
        if len(line) + len(text) > 110:
            lines.append(line)
            line = "   "
        line += f" {text},"
    return "\n".join([f"{declaration} = {{", *lines, line, "};"])


def string(text):
    """A C string literal with the UTF-8 encoding of a text."""
    parts = []
    for byte in str(text).encode("utf-8", "surrogatepass"):
        character = chr(byte)
        if character in '"\\?':  # a question mark may begin a trigraph
            parts.append("\\" + character)
        else:
            parts.append(character if 32 <= byte < 127 else f"\\{byte:03o}")
    return f'"{"".join(parts)}"'
