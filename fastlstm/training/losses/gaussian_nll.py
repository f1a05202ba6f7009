"""Negative log-likelihood of a normal distribution of mean m and variance e^(2 s) + VARIANCE_FLOOR, for scores m, s.

Without the floor, the loss would be unbounded below for targets that can be predicted exactly, and one such series
would outweigh all others.

Nix & Weigend (1994), equation 4.
"""

import math

import numpy as np

from fastlstm.kernels.forecast import VARIANCE_FLOOR
from fastlstm.training.losses._functions import MIN_MEAN, normal_quantiles, sigmoid, softplus

TARGETS, LIKELIHOOD = "numbers", True


def width(levels):
    return 2


def loss(scores, targets, levels):
    residuals, excess = targets - scores[..., 0], 2 * scores[..., 1] - np.log(VARIANCE_FLOOR)
    log_variance = np.log(VARIANCE_FLOOR) + softplus(excess)  # avoids e^(2 s), which may overflow
    precision = np.exp(-log_variance)
    square = residuals * precision * residuals
    d_scores = np.stack([-residuals * precision, (1 - square) * sigmoid(excess)], axis=-1)
    return 0.5 * (np.log(2 * np.pi) + log_variance + square), d_scores


def constant(y, weights, levels):
    mean = np.average(y, weights=weights)
    return [mean, 0.5 * np.log(max(np.average((y - mean) ** 2, weights=weights), MIN_MEAN))]


def initial_scores(means, levels):
    return np.zeros((len(means), 2))


def point(scores, levels):
    return scores[..., 0]


def d_point(scores, levels):
    return np.broadcast_to([1.0, 0.0], scores.shape)


def quantiles(scores, asked, levels):
    normal = normal_quantiles(asked)
    with np.errstate(over="ignore", invalid="ignore"):
        deviations = np.hypot(np.exp(scores[..., 1:]), math.sqrt(VARIANCE_FLOOR))
        distances = np.where(normal == 0, 0, deviations * normal)  # avoids infinity * 0 for the median
        return scores[..., :1] + distances
