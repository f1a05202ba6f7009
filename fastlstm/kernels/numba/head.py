"""A linear layer on features, and the loss of its scores; see the contract.

Many outputs are products of tiles, as those of the recurrence; one or two are plain loops, which the compiler turns
into vectors: tiles would be nearly empty, and take time to compile. Every sum is made in one order on every CPU. The
losses are those of ``kernels.numpy.losses``.
"""

import math

import numpy as np

from fastlstm.kernels.numba.buffers import pack_panels, padded, zeros
from fastlstm.kernels.numba.distributions import losses_of_distributions
from fastlstm.kernels.numba.jit import entry, inlined, kernel
from fastlstm.kernels.numba.matmul import BLOCK_ROWS, gradient, multiply_rows
from fastlstm.kernels.numba.target import lanes
from fastlstm.kernels.numpy.losses import HUBER_DELTA, LOSSES

WAYS = 16
FEW = 2  # outputs that plain loops are as good for
CROSS_ENTROPY, SQUARED_ERROR, ABSOLUTE_ERROR, HUBER, BINARY_CROSS_ENTROPY = range(5)
NUMBERS = {name: number for number, name in enumerate(LOSSES)}


@kernel
def dot(a, b, sums):
    """The sum of a * b; sums[WAYS] is scratch."""
    sums[:] = 0
    whole = a.size // WAYS * WAYS
    for start in range(0, whole, WAYS):
        for way in range(WAYS):
            sums[way] += a[start + way] * b[start + way]
    for way in range(a.size - whole):
        sums[way] += a[whole + way] * b[whole + way]
    total = sums[0]
    for way in range(1, WAYS):
        total += sums[way]
    return total


@inlined
def softmax(scores, K):
    """Turn K scores into probabilities; the largest score, and the logarithm of the sum of e^(score - it)."""
    largest = scores[0]
    for k in range(1, K):
        largest = scores[k] if not scores[k] <= largest else largest  # a NaN stays
    total = scores[0] - scores[0]
    for k in range(K):
        scores[k] = math.exp(scores[k] - largest)
        total += scores[k]
    for k in range(K):
        scores[k] /= total
    return largest, math.log(total)


@inlined
def residual_loss(number, residual):
    """Loss of one residual, and its derivative."""
    if number == SQUARED_ERROR:
        return residual * residual / 2, residual
    sign = residual - residual  # 0, or NaN
    if residual != 0:
        sign += residual / abs(residual)
    if number == ABSOLUTE_ERROR or abs(residual) > HUBER_DELTA:
        linear = abs(residual) if number == ABSOLUTE_ERROR else HUBER_DELTA * (abs(residual) - HUBER_DELTA / 2)
        return linear, sign
    return residual * residual / 2, residual


@inlined
def binary_loss(score, target):
    """Cross-entropy of sigmoid(score), and its derivative."""
    small = math.exp(-abs(score))
    probability = (1 if score > 0 else small) / (1 + small)
    return max(score, 0) - score * target + math.log1p(small), probability - target


@inlined
def loss_of_row(number, K, targets, shares, d):
    """The row's loss times its share; d [K], the scores, becomes the gradient. `shares` has one for all, or K."""
    value = 0.0
    if number == CROSS_ENTROPY:
        if shares[0] == 0:  # what does not count may be infinite
            d[:] = 0
            return value
        label = int(targets[0])
        score = d[label]
        largest, logarithm = softmax(d, K)
        d[label] -= 1
        for k in range(K):
            d[k] *= shares[0]
        return value + (logarithm - (score - largest)) * shares[0]
    of_all, divisor = shares.size == 1, 1 if number == BINARY_CROSS_ENTROPY else K
    for k in range(K):
        share = shares[0] if of_all else shares[k]
        if share == 0:
            d[k] = 0
            continue
        if number == BINARY_CROSS_ENTROPY:
            loss, derivative = binary_loss(d[k], targets[k])
        else:
            loss, derivative = residual_loss(number, d[k] - targets[k])
        value += loss / divisor * share
        d[k] = derivative / divisor * share
    return value


@entry
def losses_of_rows(number, first, last, K, targets, shares, values, d_scores):
    """The rows' losses; d_scores [M, K and more] comes with the scores and leaves with their gradient."""
    for m in range(first, last):
        values[m] = loss_of_row(number, K, targets[m], shares[m], d_scores[m])


@entry
def forward_rows(first, last, features, weight, bias, scores):
    sums = np.empty(WAYS, features.dtype)
    for m in range(first, last):
        for k in range(len(weight)):
            scores[m, k] = bias[k] + dot(features[m], weight[k], sums)


@entry
def differentiate_rows(number, first, last, features, weight, bias, targets, shares, values, d_scores, d_features):
    K = len(weight)
    sums = np.empty(WAYS, features.dtype)
    for m in range(first, last):
        d = d_scores[m]
        for k in range(K):
            d[k] = bias[k] + dot(features[m], weight[k], sums)
        values[m] = loss_of_row(number, K, targets[m], shares[m], d)
        d_features[m] = 0
        for k in range(K):
            for unit in range(d_features.shape[1]):
                d_features[m, unit] += d[k] * weight[k, unit]


@entry
def backward_rows(first, last, weight, d_scores, d_features):
    for m in range(first, last):
        d_features[m] = 0
        for k in range(len(weight)):
            for unit in range(d_features.shape[1]):
                d_features[m, unit] += d_scores[m, k] * weight[k, unit]


@entry
def gradient_of_rows(first, last, features, d_scores, d_weight, d_bias, more):
    """In the columns from `first` to `last` of the weights; the biases, where `first` is 0."""
    if not more:
        d_weight[:, first:last] = 0
        if first == 0:
            d_bias[:] = 0
    for block in range(0, len(features), BLOCK_ROWS):  # blocks of their own keep roundings small over many rows
        for k in range(len(d_weight)):
            bias, sums = d_bias[k] - d_bias[k], np.zeros(last - first, d_weight.dtype)
            for m in range(block, min(block + BLOCK_ROWS, len(features))):
                bias += d_scores[m, k]
                for unit in range(last - first):
                    sums[unit] += d_scores[m, k] * features[m, first + unit]
            for unit in range(last - first):
                d_weight[k, first + unit] += sums[unit]
            if first == 0:
                d_bias[k] += bias


class FewOutputs:
    """A head of one or two outputs."""

    def __init__(self, K, F, dtype, workspace, backward=False):
        self.columns, self._F, self._dtype, self._empty = K, F, dtype, workspace.empty

    def room(self, name, rows):
        return self._empty(name, (rows, self._F), self._dtype)

    def fill(self, weight, bias):
        self._weight, self._bias = weight, bias

    def forward(self, first, last, features, scores):
        forward_rows(first, last, features, self._weight, self._bias, scores)

    def differentiate(self, loss, first, last, features, targets, shares, values, d_scores, d_features):
        if loss.name not in NUMBERS:
            self.forward(first, last, features, d_scores)
            losses_of_distributions(loss, first, last, targets, shares, values, d_scores)
            backward_rows(first, last, self._weight, d_scores, d_features)
            return
        differentiate_rows(
            NUMBERS[loss.name],
            first,
            last,
            features,
            self._weight,
            self._bias,
            targets,
            shares,
            values,
            d_scores,
            d_features,
        )

    def weight_gradient(self, part, features, d_scores, d_weight, d_bias, more=False):
        first, last = part.share(self._F, WAYS)
        if first < last:  # the first columns' part has the bias, too; others may have none at all
            gradient_of_rows(first, last, features, d_scores, d_weight, d_bias, more)


class ManyOutputs:
    """A head whose products are made of tiles. A row of features ends in a 1, whose weight is the bias."""

    def __init__(self, K, F, dtype, workspace, backward=False):
        self.K, self.F, self.dtype, self._empty = K, F, dtype, workspace.empty
        self.columns, self.width, self._panel = padded(K, dtype), padded(F + 1, dtype), 4 * lanes(dtype)
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
        pack_panels(1, F + 1, self.width, K, 0, self.columns, both.reshape(-1), self._forward)
        if hasattr(self, "_backward"):
            pack_panels(1, K, self.columns, F, 0, self.width, weight.reshape(-1), self._backward)

    def forward(self, first, last, features, scores):
        multiply_rows(
            first, last, self.width, self.width, self.columns, self._zero, features.reshape(-1), self._forward,
            scores.reshape(-1),
        )  # fmt: skip

    def differentiate(self, loss, first, last, features, targets, shares, values, d_scores, d_features):
        self.forward(first, last, features, d_scores)
        if loss.name in NUMBERS:
            losses_of_rows(NUMBERS[loss.name], first, last, self.K, targets, shares, values, d_scores)
        else:
            losses_of_distributions(loss, first, last, targets, shares, values, d_scores)
        multiply_rows(
            first, last, self.columns, self.columns, self.width, self._zero, d_scores.reshape(-1), self._backward,
            d_features.reshape(-1),
        )  # fmt: skip

    def weight_gradient(self, part, features, d_scores, d_weight, d_bias, more=False):
        first, last = part.share(self.width, self._panel)
        gradient(
            len(features), self.K, first, last, self.width, d_scores.reshape(-1), self.columns, features.reshape(-1),
            self.width, self._panels, first * BLOCK_ROWS, self._gradient.reshape(-1), more,
        )  # fmt: skip
        d_weight[:, first:last] = self._gradient[:, first : min(last, self.F)]
        if first <= self.F < last:
            d_bias[:] = self._gradient[:, self.F]


def Head(K, F, dtype, workspace, backward=False):
    """See the contract."""
    return (FewOutputs if K <= FEW else ManyOutputs)(K, F, dtype, workspace, backward)
