"""Half the Poisson deviance, y log(y / m) + m - y for counts y and mean m = e^score, as in MLPRegressor."""

import numpy as np
from scipy import stats

from fastlstm.training.losses._functions import LARGE_MEAN, MIN_MEAN, initial_log_means, normal_quantiles

TARGETS = "counts"


def width(levels):
    return 1


def loss(scores, targets, levels):
    score, mean = scores[..., 0], np.exp(scores[..., 0])
    logarithms = np.log(np.where(targets > 0, targets, 1))  # 0 log 0 = 0
    return targets * (logarithms - score) + mean - targets, (mean - targets)[..., None]


def constant(y, weights, levels):
    return [np.log(max(np.average(y, weights=weights), MIN_MEAN))]


def initial_scores(means, levels):
    return initial_log_means(means)[:, None]


def point(scores, levels):
    with np.errstate(over="ignore"):
        return np.exp(scores[..., 0])


def d_point(scores, levels):
    return point(scores, levels)[..., None]


def quantiles(scores, asked, levels):
    """Quantiles; for large means, by the expansion of Cornish & Fisher (1938) to second order, accurate to within 1."""
    means, normal = point(scores, levels)[..., None], normal_quantiles(asked)
    exact, roots = stats.poisson.ppf(asked, np.minimum(means, LARGE_MEAN)), np.sqrt(means)
    return np.where(means < LARGE_MEAN, exact, np.rint(roots * (roots + normal) + (normal**2 - 1) / 6))
