"""Pinball loss max(l r, (l - 1) r) of residuals r, averaged over levels l. Koenker & Bassett (1978), equation 3.1.

The quantiles of increasing levels are q_0 = s_0, q_j = q_(j-1) + softplus(s_j) for scores s, so they never cross.
"""

import numpy as np

from fastlstm.training.losses._functions import (
    normal_quantiles,
    sigmoid,
    softplus,
    softplus_inverse,
    weighted_quantiles,
)

TARGETS = "numbers"


def width(levels):
    return len(levels)


def fitted_quantiles(scores):
    """Quantiles at the levels of the loss."""
    steps = softplus(scores)
    steps[..., 0] = scores[..., 0]
    return np.cumsum(steps, axis=-1)


def loss(scores, targets, levels):
    residuals = targets[..., None] - fitted_quantiles(scores)
    values = np.maximum(levels * residuals, (levels - 1) * residuals)
    slopes = (1 - np.sign(residuals)) / 2 - levels  # with respect to the quantiles
    return values.mean(axis=-1), _by_scores(slopes, scores) / len(levels)


def _by_scores(d_quantiles, scores):
    """Gradient with respect to the scores, given that with respect to the fitted quantiles."""
    d_scores = np.cumsum(d_quantiles[..., ::-1], axis=-1)[..., ::-1]  # a step shifts its own quantile and all above it
    d_scores[..., 1:] *= sigmoid(scores[..., 1:])
    return d_scores


def constant(y, weights, levels):
    best = weighted_quantiles(y, weights, levels)
    return [best[0], *softplus_inverse(np.diff(best))]


def initial_scores(means, levels):
    """Quantiles of the standard normal distribution."""
    normal = normal_quantiles(levels)
    return np.tile([normal[0], *softplus_inverse(np.diff(normal))], (len(means), 1))


def point(scores, levels):
    """The median, or the quantile of the nearest level."""
    return _between(fitted_quantiles(scores), levels, _nearest_to_median(levels))


def d_point(scores, levels):
    # the point is a linear function of the fitted quantiles; applied to unit vectors, it gives its coefficients
    coefficients = _between(np.eye(len(levels)), levels, _nearest_to_median(levels))
    return _by_scores(np.broadcast_to(coefficients, scores.shape), scores)


def _nearest_to_median(levels):
    return min(max(0.5, levels[0]), levels[-1])


def quantiles(scores, asked, levels):
    fitted = fitted_quantiles(scores)
    return np.stack([_between(fitted, levels, level) for level in asked], axis=-1)


def _between(fitted, levels, level):
    """Quantile [N, K] of a level between the first and the last of `levels`, interpolated linearly."""
    above = int(np.searchsorted(levels, level))
    if levels[above] == level:
        return fitted[..., above]
    low, high = fitted[..., above - 1], fitted[..., above]
    part = (level - levels[above - 1]) / (levels[above] - levels[above - 1])
    return low + part * (high - low)  # never exceeds `high`, in spite of rounding, since that is `low` plus a step
