"""NAdam: Adam with Nesterov momentum and the momentum schedule of section 2.2. Dozat (2016)."""

import math

import numpy as np

from fastlstm.training.solvers.adam import BETA1, BETA2, EPSILON, MOMENTS, SQUARES

__all__ = ["MOMENTS", "SQUARES", "coefficients", "update"]

BASE, DECAY = 0.96, 0.004  # of the momentum schedule
LAST = 1000  # updates after which the product of all momenta underflows any precision in use


def momentum(t):
    """Momentum coefficient mu of update t."""
    return BETA1 * (1 - 0.5 * BASE ** (t * DECAY))


def coefficients(rate, scale, t, options):
    product = math.prod(momentum(i) for i in range(1, t + 1)) if t < LAST else 0.0
    rate_g = rate * (1 - momentum(t)) / (1 - product)
    rate_mean = rate * momentum(t + 1) / (1 - product * momentum(t + 1))
    return scale, 1 - BETA1, 1 - BETA2, rate_g, rate_mean, 1 / (1 - BETA2**t), EPSILON


def update(first, last, p, g, moments, c):
    scale, rate_m, rate_v, rate_g, rate_mean, correction, epsilon = c
    m, v = moments[:, first:last]
    g = scale * g[first:last]
    m += rate_m * (g - m)
    v += rate_v * (g * g - v)
    p[first:last] -= (rate_g * g + rate_mean * m) / (np.sqrt(correction * v) + epsilon)
