"""RMSprop. Tieleman & Hinton (2012), lecture 6.5."""

import numpy as np

MOMENTS, SQUARES = 1, 0
DECAY, EPSILON = 0.99, 1e-8


def coefficients(rate, scale, t, options):
    return scale, 1 - DECAY, rate, EPSILON


def update(first, last, p, g, moments, c):
    scale, rate_v, rate, epsilon = c
    v = moments[0, first:last]
    g = scale * g[first:last]
    v += rate_v * (g * g - v)
    p[first:last] -= rate * g / (np.sqrt(v) + epsilon)
