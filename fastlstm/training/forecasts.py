"""Distributions that scores of the losses "quantile", "poisson" and "gaussian_nll" stand for.

Scores are [N, K S]: for each of K targets S side by side, as ``kernels.numpy.losses`` says.
"""

import math
from statistics import NormalDist

import numpy as np
from scipy import stats

from fastlstm.callers import warn
from fastlstm.kernels.numpy import losses
from fastlstm.training.losses import softplus_inverse

NORMAL = NormalDist()
LARGE_MEAN = 1e8  # of a Poisson distribution, beyond which SciPy's quantiles become NaN
SMALL_MEAN = 1e-3  # what training starts from at the least, where logarithms need more than 0


def first_scores(loss, targets, weights):
    """The scores that a head's biases start with, [K S]: those of what is to be expected before anything is learned.

    Targets are taken for scaled, with quantiles of a standard normal distribution, but for counts, which must not be:
    their first mean is that of the data, which updates of the usual size would take long to come to.
    """
    K = targets.shape[1]
    if loss.name == "poisson":
        totals = np.broadcast_to(weights, targets.shape).sum(axis=0)
        means = (targets * weights).sum(axis=0) / np.where(totals > 0, totals, 1)
        return np.log(np.maximum(means, SMALL_MEAN))
    if loss.name == "quantile":
        normal = np.array([NORMAL.inv_cdf(level) for level in loss.levels])
        return np.tile([normal[0], *softplus_inverse(np.diff(normal))], K)
    return np.zeros(K * loss.width)


def point(loss, scores):
    """The one number [N, K] that is predicted for each target: the mean or, of quantiles, what is closest to the
    median."""
    groups = _by_target(loss, scores)
    if loss.name == "quantile":
        median = min(max(0.5, loss.levels[0]), loss.levels[-1])
        return _limited(_between(losses.quantiles(groups), loss.levels, median), scores.dtype)
    return _limited(_means(loss, groups), scores.dtype)


def quantiles(loss, scores, levels):
    """Quantiles of these levels of each target, [N, K, L]."""
    groups = _by_target(loss, scores)
    if loss.name == "quantile":
        known = losses.quantiles(groups)
        return _limited(np.stack([_between(known, loss.levels, level) for level in levels], axis=-1), scores.dtype)
    means, normal = _means(loss, groups)[..., None], np.array([NORMAL.inv_cdf(level) for level in levels])
    if loss.name == "poisson":
        return _limited(_poisson_quantiles(means, levels, normal), scores.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        deviations = np.hypot(np.exp(groups[..., 1:]), math.sqrt(losses.VARIANCE_FLOOR))
        distances = np.where(normal == 0, 0, deviations * normal)  # the median is the mean, be they infinite
        return _limited(means + distances, scores.dtype)


def _by_target(loss, scores):
    """Scores [N, K, S]: float64, which what is made of float32 does not overflow so soon."""
    return scores.astype(float).reshape(len(scores), -1, loss.width)


def _means(loss, groups):
    with np.errstate(over="ignore"):
        return np.exp(groups[..., 0]) if loss.name == "poisson" else groups[..., 0]


def _between(known, levels, level):
    """Out of quantiles of `levels` [N, K, S] that of a level which is one of them or between two: [N, K]."""
    above = int(np.searchsorted(levels, level))
    if levels[above] == level:
        return known[..., above]
    low, high = known[..., above - 1], known[..., above]
    part = (level - levels[above - 1]) / (levels[above] - levels[above - 1])
    return low + part * (high - low)  # at most `high`, roundings included, for that is `low` plus a step


def _poisson_quantiles(means, levels, normal):
    """Of means [N, K, 1]; of large ones by Cornish & Fisher (1938) to the second term, which is right but for 1."""
    exact, roots = stats.poisson.ppf(levels, np.minimum(means, LARGE_MEAN)), np.sqrt(means)
    return np.where(means < LARGE_MEAN, exact, np.rint(roots * (roots + normal) + (normal**2 - 1) / 6))


def _limited(values, dtype):
    """`values` as `dtype`; beyond its range the largest number that there is, and a warning."""
    largest = float(np.finfo(dtype).max)
    if (np.abs(values) > largest).any():
        warn(
            f"Predictions are beyond the largest number of {np.dtype(dtype)}, {largest:.1e}, which stands for them: "
            "has the training diverged?",
            RuntimeWarning,
        )
    return np.clip(values, -largest, largest).astype(dtype)
