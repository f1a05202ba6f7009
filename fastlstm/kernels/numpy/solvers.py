"""Solvers in NumPy: one update of a range of the parameters, and the norm that clipping needs; see the contract."""

import numpy as np

BLOCK = 4096


def square_sums(first, last, g, sums):
    for block in range(first, last):
        sums[block] = np.sum(np.square(g[block * BLOCK : (block + 1) * BLOCK], dtype=np.float64))


def adam(first, last, p, g, moments, c):
    scale, rate_m, rate_v, rate, correction, epsilon = c
    m, v = moments[:, first:last]
    g = scale * g[first:last]
    m += rate_m * (g - m)
    v += rate_v * (g * g - v)
    p[first:last] -= rate * m / (np.sqrt(correction * v) + epsilon)


def sgd(first, last, p, g, moments, c):
    scale, momentum, nesterov, rate = c
    velocity = moments[0, first:last]
    g = scale * g[first:last]
    velocity *= momentum
    velocity += g
    p[first:last] -= rate * (velocity + nesterov * (g + momentum * velocity - velocity))


def rmsprop(first, last, p, g, moments, c):
    scale, rate_v, rate, epsilon = c
    v = moments[0, first:last]
    g = scale * g[first:last]
    v += rate_v * (g * g - v)
    p[first:last] -= rate * g / (np.sqrt(v) + epsilon)
