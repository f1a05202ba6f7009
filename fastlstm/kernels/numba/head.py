"""A linear layer on the last hidden states, and the loss of its scores; see the contract.

Plain loops, which the compiler turns into vectors. Every sum is made in one order on every CPU: WAYS partial sums,
whatever the width of its vectors. The losses are those of ``kernels.numpy.losses``.
"""

import math

import numpy as np

from fastlstm.kernels.numba.jit import entry, kernel
from fastlstm.kernels.numpy.losses import HUBER_DELTA, LOSSES

WAYS = 16
CROSS_ENTROPY, SQUARED_ERROR, ABSOLUTE_ERROR, HUBER = range(4)
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


@entry
def _forward(h, weight, bias, out):
    sums = np.empty(WAYS, h.dtype)
    for n in range(len(h)):
        for k in range(len(weight)):
            out[n, k] = bias[k] + dot(h[n], weight[k], sums)


def forward(h, weight, bias):
    out = np.empty((len(h), len(weight)), h.dtype)
    _forward(h, weight, bias, out)
    return out


@kernel
def softmax(scores):
    """Turn scores into probabilities; the largest score, and the logarithm of the sum of e^(score - it)."""
    largest = scores[0]
    for k in range(1, scores.size):
        largest = scores[k] if not scores[k] <= largest else largest  # a NaN stays
    total = scores[0] - scores[0]
    for k in range(scores.size):
        scores[k] = math.exp(scores[k] - largest)
        total += scores[k]
    for k in range(scores.size):
        scores[k] /= total
    return largest, math.log(total)


@kernel
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


@entry
def _differentiate(number, first, last, h, weight, bias, targets, shares, values, d_scores, d_h):
    K = len(weight)
    sums = np.empty(WAYS, h.dtype)
    for n in range(first, last):
        d = d_scores[n]
        for k in range(K):
            d[k] = bias[k] + dot(h[n], weight[k], sums)
        if number == CROSS_ENTROPY:
            label = int(targets[n, 0])
            score = d[label]
            largest, logarithm = softmax(d)
            values[n] = logarithm - (score - largest)
            d[label] -= 1
        else:
            value = 0.0
            for k in range(K):
                loss, derivative = residual_loss(number, d[k] - targets[n, k])
                value += loss
                d[k] = derivative / K
            values[n] = value / K
        for k in range(K):
            d[k] *= shares[n]
        d_h[n] = 0
        for k in range(K):
            for unit in range(d_h.shape[1]):
                d_h[n, unit] += d[k] * weight[k, unit]


def differentiate(loss, first, last, h, weight, bias, targets, shares, values, d_scores, d_h):
    targets = targets.reshape(len(targets), -1)
    _differentiate(NUMBERS[loss], first, last, h, weight, bias, targets, shares, values, d_scores, d_h)


@entry
def weight_gradient(d_scores, h, d_weight, d_bias):
    d_weight[:] = 0
    d_bias[:] = 0
    for n in range(len(h)):
        for k in range(len(d_weight)):
            d_bias[k] += d_scores[n, k]
            for unit in range(h.shape[1]):
                d_weight[k, unit] += d_scores[n, k] * h[n, unit]
