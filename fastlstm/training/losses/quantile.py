"""Pinball loss max(l r, (l - 1) r) of residuals r, mean over levels l. Koenker & Bassett (1978), equation 3.1.

Scores s are of rising levels: quantiles are q_0 = s_0, q_j = q_(j-1) + softplus(s_j), so that they never cross.
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


def known(scores):
    """Quantiles of the levels."""
    steps = softplus(scores)
    steps[..., 0] = scores[..., 0]
    return np.cumsum(steps, axis=-1)


def loss(scores, targets, levels):
    residuals = targets[..., None] - known(scores)
    values = np.maximum(levels * residuals, (levels - 1) * residuals)
    slopes = (1 - np.sign(residuals)) / 2 - levels  # with respect to the quantiles
    d_scores = np.cumsum(slopes[..., ::-1], axis=-1)[..., ::-1]  # a step moves its own quantile and all above
    d_scores[..., 1:] *= sigmoid(scores[..., 1:])
    return values.mean(axis=-1), d_scores / len(levels)


def constant(y, weights, levels):
    best = weighted_quantiles(y, weights, levels)
    return [best[0], *softplus_inverse(np.diff(best))]


def first_scores(targets, weights, levels):
    """Of a standard normal distribution."""
    normal = normal_quantiles(levels)
    return np.tile([normal[0], *softplus_inverse(np.diff(normal))], (targets.shape[1], 1))


def point(scores, levels):
    """The median, or what comes closest."""
    return _between(known(scores), levels, min(max(0.5, levels[0]), levels[-1]))


def quantiles(scores, asked, levels):
    of_levels = known(scores)
    return np.stack([_between(of_levels, levels, level) for level in asked], axis=-1)


def _between(of_levels, levels, level):
    """Out of quantiles of `levels` [N, K, S] that of a level which is one of them or between two: [N, K]."""
    above = int(np.searchsorted(levels, level))
    if levels[above] == level:
        return of_levels[..., above]
    low, high = of_levels[..., above - 1], of_levels[..., above]
    part = (level - levels[above - 1]) / (levels[above] - levels[above - 1])
    return low + part * (high - low)  # at most `high`, roundings included, for that is `low` plus a step
