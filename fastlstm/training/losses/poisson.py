"""Half the deviance y log(y / m) + m - y of counts y whose mean is m = e^score, as MLPRegressor's "poisson"."""

import numpy as np
from scipy import stats

from fastlstm.training.losses._functions import LARGE_MEAN, SMALLEST_MEAN, first_means, normal_quantiles

TARGETS = "counts"


def width(levels):
    return 1


def loss(scores, targets, levels):
    score, mean = scores[..., 0], np.exp(scores[..., 0])
    logarithms = np.log(np.where(targets > 0, targets, 1))  # 0 log 0 is 0
    return targets * (logarithms - score) + mean - targets, (mean - targets)[..., None]


def constant(y, weights, levels):
    return [np.log(max(np.average(y, weights=weights), SMALLEST_MEAN))]


def first_scores(targets, weights, levels):
    return first_means(targets, weights)[:, None]


def point(scores, levels):
    with np.errstate(over="ignore"):
        return np.exp(scores[..., 0])


def quantiles(scores, asked, levels):
    """Of large means by Cornish & Fisher (1938) to the second term, which is right but for 1."""
    means, normal = point(scores, levels)[..., None], normal_quantiles(asked)
    exact, roots = stats.poisson.ppf(asked, np.minimum(means, LARGE_MEAN)), np.sqrt(means)
    return np.where(means < LARGE_MEAN, exact, np.rint(roots * (roots + normal) + (normal**2 - 1) / 6))
