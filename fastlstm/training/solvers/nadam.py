"""Dozat (2016): Adam with Nesterov's momentum, whose coefficient rises as in the paper's section 2.2."""

import math

import numpy as np

from fastlstm.training.solvers.adam import BETA1, BETA2, EPSILON, MOMENTS, SQUARES

__all__ = ["MOMENTS", "SQUARES", "numbers", "update"]

BASE, DECAY = 0.96, 0.004  # of the momentum's rise
LAST = 1000  # updates after which the product of all momenta is 0 to any precision


def momentum(t):
    """The coefficient mu of update t."""
    return BETA1 * (1 - 0.5 * BASE ** (t * DECAY))


def numbers(rate, scale, t, options):
    product = math.prod(momentum(i) for i in range(1, t + 1)) if t < LAST else 0.0
    of_gradient = rate * (1 - momentum(t)) / (1 - product)
    of_average = rate * momentum(t + 1) / (1 - product * momentum(t + 1))
    return scale, 1 - BETA1, 1 - BETA2, of_gradient, of_average, 1 / (1 - BETA2**t), EPSILON


def update(first, last, p, g, moments, c):
    scale, rate_m, rate_v, of_gradient, of_average, correction, epsilon = c
    m, v = moments[:, first:last]
    g = scale * g[first:last]
    m += rate_m * (g - m)
    v += rate_v * (g * g - v)
    p[first:last] -= (of_gradient * g + of_average * m) / (np.sqrt(correction * v) + epsilon)
