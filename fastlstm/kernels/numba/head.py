"""A linear layer with one or two outputs, in plain loops, and the losses of ``training/losses``.

The order of additions is the same on every CPU.
"""

import math

import numpy as np

from fastlstm.kernels.compiled.layout import BLOCK_ROWS
from fastlstm.kernels.numba.jit import entry, inlined, kernel

WAYS = 16
HUBER_DELTA = 1.0
CROSS_ENTROPY, SQUARED_ERROR, ABSOLUTE_ERROR, HUBER, BINARY_CROSS_ENTROPY = range(5)
NUMBERS = {
    "cross_entropy": CROSS_ENTROPY,
    "squared_error": SQUARED_ERROR,
    "absolute_error": ABSOLUTE_ERROR,
    "huber": HUBER,
    "binary_cross_entropy": BINARY_CROSS_ENTROPY,
}


@kernel
def dot(a, b, sums):
    """Dot product of a and b; sums[WAYS] is scratch."""
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
    """Replace K scores by probabilities, in place. Return the maximum, and log(sum of exp(score - maximum))."""
    largest = scores[0]
    for k in range(1, K):
        largest = scores[k] if not scores[k] <= largest else largest  # propagates NaN
    total = scores[0] - scores[0]
    for k in range(K):
        scores[k] = math.exp(scores[k] - largest)
        total += scores[k]
    for k in range(K):
        scores[k] /= total
    return largest, math.log(total)


@inlined
def residual_loss(number, residual):
    """Loss of a residual, and its derivative."""
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
def loss_of_row(number, K, targets, sample_weight, d):
    """Weighted loss of a row; overwrites the scores d [K] with the gradient. `sample_weight` has 1 or K elements."""
    value = 0.0
    if number == CROSS_ENTROPY:
        if sample_weight[0] == 0:  # ignored targets may be infinite
            d[:] = 0
            return value
        label = int(targets[0])
        score = d[label]
        largest, logarithm = softmax(d, K)
        d[label] -= 1
        for k in range(K):
            d[k] *= sample_weight[0]
        return value + (logarithm - (score - largest)) * sample_weight[0]
    of_all, divisor = sample_weight.size == 1, 1 if number == BINARY_CROSS_ENTROPY else K
    for k in range(K):
        weight = sample_weight[0] if of_all else sample_weight[k]
        if weight == 0:
            d[k] = 0
            continue
        if number == BINARY_CROSS_ENTROPY:
            loss, derivative = binary_loss(d[k], targets[k])
        else:
            loss, derivative = residual_loss(number, d[k] - targets[k])
        value += loss / divisor * weight
        d[k] = derivative / divisor * weight
    return value


@entry
def losses_of_rows(number, first, last, K, targets, sample_weight, values, d_scores):
    """Compute the losses of rows, and overwrite the scores in d_scores [M, >= K] with the gradient."""
    for m in range(first, last):
        values[m] = loss_of_row(number, K, targets[m], sample_weight[m], d_scores[m])


@entry
def forward_rows(first, last, features, weight, bias, scores):
    sums = np.empty(WAYS, features.dtype)
    for m in range(first, last):
        for k in range(len(weight)):
            scores[m, k] = bias[k] + dot(features[m], weight[k], sums)


@entry
def differentiate_rows(number, rows, layer, loss, features, d_scores, d_features):
    """Compute losses and gradients in one pass.

    rows is (first, last), layer is (weight, bias), loss is (targets, sample_weight, values).
    """
    (first, last), (weight, bias), (targets, sample_weight, values) = rows, layer, loss
    K = len(weight)
    sums = np.empty(WAYS, features.dtype)
    for m in range(first, last):
        d = d_scores[m]
        for k in range(K):
            d[k] = bias[k] + dot(features[m], weight[k], sums)
        values[m] = loss_of_row(number, K, targets[m], sample_weight[m], d)
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
def gradient_of_rows(first, last, features, d_scores, d_weight, d_bias, accumulate):
    """Gradient of columns `first` to `last` of the weights; that of the biases is computed with the first column."""
    if first >= last:
        return
    if not accumulate:
        d_weight[:, first:last] = 0
        if first == 0:
            d_bias[:] = 0
    for block in range(0, len(features), BLOCK_ROWS):  # separate sums per block limit rounding errors over many rows
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
