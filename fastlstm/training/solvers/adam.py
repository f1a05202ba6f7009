"""Adam. Kingma & Ba (2015), algorithm 1."""

import numpy as np

MOMENTS, SQUARES = 2, 1
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def coefficients(rate, scale, t, options):
    return scale, 1 - BETA1, 1 - BETA2, rate / (1 - BETA1**t), 1 / (1 - BETA2**t), EPSILON


def update(first, last, p, g, moments, c):
    scale, rate_m, rate_v, rate, correction, epsilon = c
    m, v = moments[:, first:last]
    g = scale * g[first:last]
    m += rate_m * (g - m)
    v += rate_v * (g * g - v)
    p[first:last] -= rate * m / (np.sqrt(correction * v) + epsilon)
