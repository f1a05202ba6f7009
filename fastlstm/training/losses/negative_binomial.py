"""Negative log-likelihood of the negative binomial distribution with mean m and variance m + a m^2.

Scores are log m, as for "poisson", and s, where the dispersion is a = softplus(s) + MIN_DISPERSION. Salinas et al.
(2020), section 3.1.
"""

import numpy as np
from scipy import special, stats

from fastlstm.training.losses._functions import LARGE_MEAN, MIN_MEAN, initial_log_means, sigmoid, softplus

TARGETS, LIKELIHOOD = "counts", True
MIN_DISPERSION = 1e-4  # nearly a Poisson distribution
LARGE = 20  # above it, Stirling's series is accurate to 1e-13


def width(levels):
    return 2


def loss(scores, targets, levels):
    scores, y = scores.astype(float), targets.astype(float)
    mean, a = np.exp(scores[..., 0]), softplus(scores[..., 1]) + MIN_DISPERSION
    r, am = 1 / a, a * mean
    log_ratio, (rising, d_rising) = np.log1p(am), _rising(r, y)
    values = special.gammaln(y + 1) - rising + (r + y) * log_ratio - y * (np.log(a) + scores[..., 0])
    d_a = (d_rising - log_ratio) * r * r + (mean - y) * r / (1 + am)
    return values, np.stack([(mean - y) / (1 + am), d_a * sigmoid(scores[..., 1])], axis=-1)


def _rising(r, y):
    """log(gamma(r + y) / gamma(r)) and its derivative with respect to r, without cancellation for large r."""

    def stirling(x):
        return 1 / (12 * x) - 1 / (360 * x**3) + 1 / (1260 * x**5)

    def d_stirling(x):
        return -1 / (2 * x) - 1 / (12 * x**2) + 1 / (120 * x**4) - 1 / (252 * x**6)

    large, ratio = np.maximum(r, LARGE), np.log1p(y / np.maximum(r, LARGE))
    series = (y + large - 0.5) * ratio + y * (np.log(large) - 1) + stirling(y + large) - stirling(large)
    d_series = ratio + d_stirling(y + large) - d_stirling(large)
    small = np.minimum(r, LARGE)
    exact = special.gammaln(y + small) - special.gammaln(small), special.digamma(y + small) - special.digamma(small)
    return np.where(r < LARGE, exact[0], series), np.where(r < LARGE, exact[1], d_series)


def initial_scores(means, levels):
    log_means = initial_log_means(means)
    return np.stack([log_means, np.zeros_like(log_means)], axis=-1)


def constant(y, weights, levels):
    """The mean, and the best dispersion of a grid."""
    score = np.log(max(np.average(y, weights=weights), MIN_MEAN))
    others = np.linspace(-12, 6, 181)
    values, _ = loss(np.stack(np.broadcast_arrays(score, others), axis=-1)[None], np.tile(y[:, None], 181), levels)
    return [score, others[np.argmin(np.average(values, axis=0, weights=weights))]]


def point(scores, levels):
    with np.errstate(over="ignore"):
        return np.exp(scores[..., 0])


def d_point(scores, levels):
    means = point(scores, levels)
    return np.stack([means, np.zeros_like(means)], axis=-1)


def quantiles(scores, asked, levels):
    """Quantiles; for large means, those of the gamma distribution with the same mean and variance."""
    means, a = point(scores, levels)[..., None], softplus(scores[..., 1:]) + MIN_DISPERSION
    small = np.minimum(means, LARGE_MEAN)
    exact = stats.nbinom.ppf(asked, 1 / a, 1 / (1 + a * small))
    return np.where(means < LARGE_MEAN, exact, np.rint(stats.gamma.ppf(asked, 1 / a) * a * means))
