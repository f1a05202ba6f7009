"""A linear layer on features, and the loss of its scores; see the contract.

Many outputs are products of tiles, as those of the recurrence; one or two are plain loops, which the compiler turns
into vectors: tiles would be nearly empty.
"""

import numpy as np

from fastlstm.kernels.compiled.layout import BLOCK_ROWS, padded, zeros

FEW = 2  # outputs that plain loops are as good for
WIDEST = 16  # numbers of the widest vector: what threads divide columns by
LOSSES = ("cross_entropy", "squared_error", "absolute_error", "huber", "binary_cross_entropy")
DISTRIBUTIONS = ("quantile", "poisson", "gaussian_nll")
NUMBERS = {name: number for number, name in enumerate([*LOSSES, *DISTRIBUTIONS])}  # what kernels know losses by


def differentiate_scores(entries, loss, first, last, K, targets, shares, values, d_scores):
    """Losses of the rows from `first` to `last`; d_scores comes with K scores a row and leaves with their gradient."""
    number = NUMBERS[loss.name]
    if loss.name in LOSSES:
        entries.losses_of_rows(number, first, last, K, targets, shares, values, d_scores)
        return
    levels, slopes = np.array(loss.levels, dtype=np.float64), np.empty(loss.width)
    entries.losses_of_distributions(number, first, last, loss.width, levels, targets, shares, values, d_scores, slopes)


class FewOutputs:
    """A head of one or two outputs."""

    def __init__(self, entries, K, F, dtype, workspace, backward=False):
        self.entries, self._empty = entries(dtype), workspace.empty
        self.columns, self._F, self._dtype = K, F, dtype

    def room(self, name, rows):
        return self._empty(name, (rows, self._F), self._dtype)

    def fill(self, weight, bias):
        self._weight, self._bias = weight, bias

    def forward(self, first, last, features, scores):
        self.entries.forward_rows(first, last, features, self._weight, self._bias, scores)

    def differentiate(self, loss, first, last, features, targets, shares, values, d_scores, d_features):
        if loss.name in DISTRIBUTIONS:
            self.forward(first, last, features, d_scores)
            differentiate_scores(self.entries, loss, first, last, self.columns, targets, shares, values, d_scores)
            self.entries.backward_rows(first, last, self._weight, d_scores, d_features)
            return
        self.entries.differentiate_rows(
            NUMBERS[loss.name], first, last, features, self._weight, self._bias, targets, shares, values, d_scores,
            d_features,
        )  # fmt: skip

    def weight_gradient(self, part, features, d_scores, d_weight, d_bias, more=False):
        first, last = part.share(self._F, WIDEST)
        self.entries.gradient_of_rows(first, last, features, d_scores, d_weight, d_bias, more)


class ManyOutputs:
    """A head whose products are made of tiles. A row of features ends in a 1, whose weight is the bias."""

    def __init__(self, entries, K, F, dtype, workspace, backward=False):
        self.entries, self._empty = entries(dtype), workspace.empty
        self.K, self.F, self.dtype, lanes = K, F, dtype, self.entries.lanes()
        self.columns, self.width, self._panel = padded(K, lanes), padded(F + 1, lanes), 4 * lanes
        self._forward = self._empty("head", (self.width * self.columns,), dtype)
        self._zero = zeros(max(self.columns, self.width), dtype)
        if backward:
            self._backward = self._empty("head_back", (self.columns * self.width,), dtype)
            self._gradient = self._empty("d_head", (K, self.width), dtype)
            # room for every thread: panels of columns are few
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
        self.entries.pack_panels(1, F + 1, self.width, K, 0, self.columns, both.reshape(-1), self._forward)
        if hasattr(self, "_backward"):
            self.entries.pack_panels(1, K, self.columns, F, 0, self.width, weight.reshape(-1), self._backward)

    def forward(self, first, last, features, scores):
        self.entries.multiply_rows(
            first, last, self.width, self.width, self.columns, self._zero, features.reshape(-1), self._forward,
            scores.reshape(-1),
        )  # fmt: skip

    def differentiate(self, loss, first, last, features, targets, shares, values, d_scores, d_features):
        self.forward(first, last, features, d_scores)
        differentiate_scores(self.entries, loss, first, last, self.K, targets, shares, values, d_scores)
        self.entries.multiply_rows(
            first, last, self.columns, self.columns, self.width, self._zero, d_scores.reshape(-1), self._backward,
            d_features.reshape(-1),
        )  # fmt: skip

    def weight_gradient(self, part, features, d_scores, d_weight, d_bias, more=False):
        first, last = part.share(self.width, self._panel)
        self.entries.gradient(
            len(features), self.K, first, last, self.width, d_scores.reshape(-1), self.columns, features.reshape(-1),
            self.width, self._panels, first * BLOCK_ROWS, self._gradient.reshape(-1), more,
        )  # fmt: skip
        d_weight[:, first:last] = self._gradient[:, first : min(last, self.F)]
        if first <= self.F < last:
            d_bias[:] = self._gradient[:, self.F]


def Head(entries, K, F, dtype, workspace, backward=False):
    """See the contract."""
    return (FewOutputs if K <= FEW else ManyOutputs)(entries, K, F, dtype, workspace, backward)
