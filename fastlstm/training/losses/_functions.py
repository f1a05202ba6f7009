"""What several losses are made of: functions of scores, and of distributions."""

from statistics import NormalDist

import numpy as np

NORMAL = NormalDist()
SMALLEST_STEP = 1e-6  # between quantiles
SMALLEST_MEAN = 1e-12  # a probability or a mean of 0 has no logarithm
FIRST_MEAN = 1e-3  # of counts, what training starts from at the least
LARGE_MEAN = 1e8  # of counts, beyond which SciPy's quantiles become NaN


def sigmoid(scores):
    """The derivative of `softplus`."""
    small = np.exp(-np.abs(scores))
    return np.where(scores > 0, 1, small) / (1 + small)


def softplus(scores):
    """log(1 + e^scores), which is positive and never overflows."""
    return np.logaddexp(0, scores)


def softplus_inverse(values):
    """Scores whose softplus is `values`, or the least step that logarithms allow where these are smaller."""
    return np.log(np.expm1(np.maximum(values, SMALLEST_STEP)))


def softmax(scores):
    """Probabilities of classes, of which each row has one."""
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def log_softmax(scores):
    shifted = scores - scores.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def log_sigmoid(scores):
    return np.minimum(scores, 0) - np.log1p(np.exp(-np.abs(scores)))


def first_means(targets, weights):
    """The logarithm of each column's weighted mean, where training on counts starts."""
    totals = np.broadcast_to(weights, targets.shape).sum(axis=0)
    means = (targets * weights).sum(axis=0) / np.where(totals > 0, totals, 1)
    return np.log(np.maximum(means, FIRST_MEAN))


def weighted_quantiles(y, weights, levels):
    return np.quantile(y, levels, weights=weights, method="inverted_cdf")


def normal_quantiles(levels):
    """Those of the standard normal distribution."""
    return np.array([NORMAL.inv_cdf(level) for level in levels])
