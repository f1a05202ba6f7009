"""Solvers and sums of squares for gradient clipping, each in a single pass over the parameters; see the contract.

Coefficients are passed in an array of the parameters' dtype; Python floats would promote all operations to float64.
"""

import math

import numpy as np

from fastlstm.kernels.compiled.layout import SQUARES
from fastlstm.kernels.numba.jit import entry

WAYS = 16


@entry
def square_sums(first, last, g, sums):
    # WAYS partial sums, which the compiler can vectorise without changing the order of additions
    ways = np.empty(WAYS)
    for block in range(first, last):
        part = g[block * SQUARES : (block + 1) * SQUARES]
        ways[:] = 0
        whole = part.size // WAYS * WAYS
        for start in range(0, whole, WAYS):
            for way in range(WAYS):
                ways[way] += np.float64(part[start + way]) * np.float64(part[start + way])
        for way in range(part.size - whole):
            ways[way] += np.float64(part[whole + way]) * np.float64(part[whole + way])
        total = 0.0
        for way in range(WAYS):
            total += ways[way]
        sums[block] = total


@entry
def adam(first, last, p, g, moments, c):
    scale, rate_m, rate_v, rate, correction, epsilon = c[0], c[1], c[2], c[3], c[4], c[5]
    p, g, m, v = p[first:last], g[first:last], moments[0, first:last], moments[1, first:last]
    for j in range(p.size):
        g_j = scale * g[j]
        m[j] += rate_m * (g_j - m[j])
        v[j] += rate_v * (g_j * g_j - v[j])
        p[j] -= rate * m[j] / (math.sqrt(correction * v[j]) + epsilon)


@entry
def sgd(first, last, p, g, moments, c):
    scale, momentum, nesterov, rate = c[0], c[1], c[2], c[3]
    p, g, velocity = p[first:last], g[first:last], moments[0, first:last]
    for j in range(p.size):
        g_j = scale * g[j]
        velocity[j] = momentum * velocity[j] + g_j
        ahead = g_j + momentum * velocity[j]
        p[j] -= rate * (velocity[j] + nesterov * (ahead - velocity[j]))


@entry
def rmsprop(first, last, p, g, moments, c):
    scale, rate_v, rate, epsilon = c[0], c[1], c[2], c[3]
    p, g, v = p[first:last], g[first:last], moments[0, first:last]
    for j in range(p.size):
        g_j = scale * g[j]
        v[j] += rate_v * (g_j * g_j - v[j])
        p[j] -= rate * g_j / (math.sqrt(v[j]) + epsilon)
