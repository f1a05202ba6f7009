"""Functions shared by several losses."""

from statistics import NormalDist

import numpy as np
from scipy import special

NORMAL = NormalDist()
MIN_STEP = 1e-6  # minimum distance between adjacent quantiles
MIN_MEAN = 1e-12  # lower bound of probabilities and means whose logarithm is taken
MIN_INITIAL_MEAN = 1e-3  # lower bound of the mean count that training starts from
LARGE_MEAN = 1e8  # mean count above which SciPy's quantiles are NaN


def sigmoid(scores):
    """1 / (1 + e^-scores), without overflow; the derivative of `softplus`."""
    small = np.exp(-np.abs(scores))
    return np.where(scores > 0, 1, small) / (1 + small)


def softplus(scores):
    """log(1 + e^scores), without overflow."""
    return np.logaddexp(0, scores)


def softplus_inverse(values):
    """Inverse of `softplus`, for values clipped below at `MIN_STEP`."""
    return np.log(np.expm1(np.maximum(values, MIN_STEP)))


def softmax(scores):
    """Class probabilities of each row."""
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def log_softmax(scores):
    shifted = scores - scores.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def log_sigmoid(scores):
    return np.minimum(scores, 0) - np.log1p(np.exp(-np.abs(scores)))


def weighted_sums(targets, weights):
    """Sums of each column and of its weights [2, K]; their ratio are the weighted means."""
    return np.stack([(targets * weights).sum(axis=0), np.broadcast_to(weights, targets.shape).sum(axis=0)])


def weighted_means(sums):
    """Means [K] of what `weighted_sums` returns, or the sum of several; 0 where there are no weights."""
    return sums[0] / np.where(sums[1] > 0, sums[1], 1)


def initial_log_means(means):
    """Logarithm of each column's mean, from which training on counts starts."""
    return np.log(np.maximum(means, MIN_INITIAL_MEAN))


def weighted_quantiles(y, weights, levels):
    return np.quantile(y, levels, weights=weights, method="inverted_cdf")


def normal_quantiles(levels):
    """Quantiles of the standard normal distribution."""
    if np.ndim(levels) > 1:  # random ones, of which there are many
        return special.ndtri(levels)
    return np.array([NORMAL.inv_cdf(level) for level in levels])
