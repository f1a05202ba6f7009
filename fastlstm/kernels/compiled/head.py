"""A linear layer on features, and the loss of its scores; see the contract.

Like the recurrence, a layer with many outputs uses register-tiled matrix products. One or two outputs would leave the
tiles nearly empty: these use plain loops, which the compiler vectorises.
"""

import numpy as np

from fastlstm.kernels.compiled.layout import BLOCK_ROWS, WIDEST, padded, zeros
from fastlstm.kernels.numpy import losses

FEW = 2  # largest number of outputs for plain loops


def bound(entries, loss, scores, targets, sample_weight, values):
    """A loss of rows of `scores` scores, with the method ``of_rows(first, last, d_scores)``.

    Compiled if the entries have a loss of that name, else in NumPy.
    """
    number = entries.LOSSES.get(loss.compiled)
    if number is None:
        return OfNumPy(loss, scores, targets, sample_weight, values)
    if not loss.is_distribution:
        return entries.Loss(number, scores, None, targets, sample_weight, values)
    levels = np.array(loss.levels or [0] * loss.width, dtype=np.float64)
    return entries.Loss(number, targets.shape[1], levels, targets, sample_weight, values)


class OfNumPy:
    """A loss without a compiled version."""

    def __init__(self, loss, scores, targets, sample_weight, values):
        self._loss, self._scores, self._rows = loss, scores, (targets, sample_weight, values)

    def of_rows(self, first, last, d_scores):
        targets, sample_weight, values = (array[first:last] for array in self._rows)
        scores = d_scores[first:last, : self._scores]
        values[...], scores[...] = losses.weighted(self._loss, scores, targets, sample_weight)


class FewOutputs:
    """A head with one or two outputs."""

    def __init__(self, entries, K, F, dtype, workspace, backward=False):
        self.entries, self._empty = entries(dtype), workspace.empty
        self.columns, self._F, self._dtype = K, F, dtype

    def room(self, name, rows):
        return self._empty(name, (rows, self._F), self._dtype)

    def fill(self, weight, bias):
        self.weights = weight, bias
        self._linear = self.entries.Linear(weight, bias)

    def forward(self, first, last, features, scores):
        self._linear.forward(first, last, features, scores)

    def differentiate(self, loss, first, last, features, targets, sample_weight, values, d_scores, d_features):
        of_rows = bound(self.entries, loss, self.columns, targets, sample_weight, values)
        if loss.is_distribution or isinstance(of_rows, OfNumPy):
            self.forward(first, last, features, d_scores)
            of_rows.of_rows(first, last, d_scores)
            self.backward(first, last, d_scores, d_features)
        else:
            self._linear.differentiate(of_rows, first, last, features, d_scores, d_features)

    def backward(self, first, last, d_scores, d_features):
        self._linear.backward(first, last, d_scores, d_features)

    def weight_gradient(self, part, features, d_scores, d_weight, d_bias, accumulate=False):
        first, last = part.share(self._F, WIDEST)
        self.entries.gradient_of_rows(first, last, features, d_scores, d_weight, d_bias, accumulate)


class ManyOutputs:
    """A head that uses register tiles. Each row of features is followed by a 1, whose weight is the bias."""

    def __init__(self, entries, K, F, dtype, workspace, backward=False):
        self.entries, self._empty = entries(dtype), workspace.empty
        self.K, self.F, self.dtype, lanes = K, F, dtype, self.entries.lanes()
        self.columns, self.width, self._panel = padded(K, lanes), padded(F + 1, lanes), 4 * lanes
        self._forward = self._empty("head", (self.width * self.columns,), dtype)
        self._zero = zeros(max(self.columns, self.width), dtype)
        if backward:
            self._backward = self._empty("head_back", (self.columns * self.width,), dtype)
            self._gradient = self._empty("d_head", (K, self.width), dtype)
            # scratch memory for each panel of columns, so that threads share none
            panels = -(-self.width // self._panel)
            self._panels = self._empty("head_panels", (panels * BLOCK_ROWS * self._panel,), dtype)

    def room(self, name, rows):
        room = self._empty(name, (rows, self.width), self.dtype)
        room[:, self.F] = 1
        room[:, self.F + 1 :] = 0
        return room

    def fill(self, weight, bias):
        K, F = self.K, self.F
        both = np.concatenate([weight.T, bias[None]])
        self.entries.pack_panels(F + 1, self.width, K, 0, self.columns, both.reshape(-1), self._forward)
        if hasattr(self, "_backward"):
            self.entries.pack_panels(K, self.columns, F, 0, self.width, weight.reshape(-1), self._backward)

    def forward(self, first, last, features, scores):
        self.entries.multiply_rows(first, last, features, self._forward, self._zero, scores)

    def differentiate(self, loss, first, last, features, targets, sample_weight, values, d_scores, d_features):
        self.forward(first, last, features, d_scores)
        bound(self.entries, loss, self.K, targets, sample_weight, values).of_rows(first, last, d_scores)
        self.backward(first, last, d_scores, d_features)

    def backward(self, first, last, d_scores, d_features):
        self.entries.multiply_rows(first, last, d_scores, self._backward, self._zero, d_features)

    def weight_gradient(self, part, features, d_scores, d_weight, d_bias, accumulate=False):
        first, last = part.share(self.width, self._panel)
        self.entries.gradient(first, last, self.K, d_scores, features, self._panels, self._gradient, accumulate)
        d_weight[:, first:last] = self._gradient[:, first : min(last, self.F)]
        if first <= self.F < last:
            d_bias[:] = self._gradient[:, self.F]


def Head(entries, K, F, dtype, workspace, backward=False):
    """See the contract."""
    return (FewOutputs if K <= FEW else ManyOutputs)(entries, K, F, dtype, workspace, backward)
