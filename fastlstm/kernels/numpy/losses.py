"""Losses: of each target of each row, and their gradient with respect to the scores.

A `Loss` takes scores and targets and returns (values [N, K], d_scores); a row's loss is the sum of its values, and the
caller weighs them. K targets of a regression count as their mean, as in ``sklearn.neural_network.MLPRegressor``'s loss;
the labels of a multi-label classification add up, as in MLPClassifier's.

Most losses have one score for each target, or class: scores [N, K]. Those of distributions have `width` scores for
each, side by side: scores [N, K, S] to their functions, [N, K S] to everyone else.
"""

from typing import NamedTuple

import numpy as np

#: Residuals beyond this count linearly in the Huber loss (Huber 1964): one unit of a scaled target.
HUBER_DELTA = 1.0
#: What a normal distribution's variance is at the least: that of a thousandth of a unit of a scaled target. Without it
#: the loss would have no bound where targets can be hit exactly, and one such series would outweigh all others.
VARIANCE_FLOOR = 1e-6


def cross_entropy(scores, targets):
    """Of softmax(scores) and class numbers, targets [N, 1]; values [N, 1]."""
    rows, labels = np.arange(len(scores)), targets[:, 0]
    shifted = scores - scores.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    sums = exponentials.sum(axis=1)
    d_scores = exponentials / sums[:, None]
    d_scores[rows, labels] -= 1
    return (np.log(sums) - shifted[rows, labels])[:, None], d_scores


def squared_error(scores, targets):
    """Half the mean square of the residuals; targets [N, K]."""
    residuals, K = scores - targets, scores.shape[1]
    return 0.5 * residuals**2 / K, residuals / K


def absolute_error(scores, targets):
    """Mean absolute residual; targets [N, K]."""
    residuals, K = scores - targets, scores.shape[1]
    return np.abs(residuals) / K, np.sign(residuals) / K


def huber(scores, targets):
    """Half the square of small residuals, linear in large ones; targets [N, K]. Huber (1964), equation 2."""
    residuals, K = scores - targets, scores.shape[1]
    clipped = np.clip(residuals, -HUBER_DELTA, HUBER_DELTA)
    return clipped * (residuals - 0.5 * clipped) / K, clipped / K


def binary_cross_entropy(scores, targets):
    """Of sigmoid(scores) and indicators, targets [N, K] of 0 and 1."""
    exponentials = np.exp(-np.abs(scores))
    values = np.maximum(scores, 0) - scores * targets + np.log1p(exponentials)
    return values, np.where(scores > 0, 1, exponentials) / (1 + exponentials) - targets


def softplus(scores):
    """log(1 + e^scores), which is positive and never overflows."""
    return np.logaddexp(0, scores)


def sigmoid(scores):
    """The derivative of `softplus`."""
    small = np.exp(-np.abs(scores))
    return np.where(scores > 0, 1, small) / (1 + small)


def quantiles(scores):
    """Quantiles of rising levels: q_0 = s_0, q_j = q_(j-1) + softplus(s_j), so that they never cross."""
    steps = softplus(scores)
    steps[..., 0] = scores[..., 0]
    return np.cumsum(steps, axis=-1)


def quantile(scores, targets, levels):
    """Pinball loss max(l r, (l - 1) r) of residuals r, mean over levels l. Koenker & Bassett (1978), equation 3.1."""
    residuals = targets[..., None] - quantiles(scores)
    values = np.maximum(levels * residuals, (levels - 1) * residuals)
    slopes = (1 - np.sign(residuals)) / 2 - levels  # with respect to the quantiles
    d_scores = np.cumsum(slopes[..., ::-1], axis=-1)[..., ::-1]  # a step moves its own quantile and all above
    d_scores[..., 1:] *= sigmoid(scores[..., 1:])
    return values.mean(axis=-1), d_scores / len(levels)


def poisson(scores, targets, levels=None):
    """Half the deviance y log(y / m) + m - y of counts y whose mean is m = e^score, as MLPRegressor's "poisson"."""
    score, mean = scores[..., 0], np.exp(scores[..., 0])
    logarithms = np.log(np.where(targets > 0, targets, 1))  # 0 log 0 is 0
    return targets * (logarithms - score) + mean - targets, (mean - targets)[..., None]


def gaussian_nll(scores, targets, levels=None):
    """-log N(target; mean, v), v = e^(2 s) + VARIANCE_FLOOR, of scores mean and s. Nix & Weigend (1994), equation 4."""
    residuals, excess = targets - scores[..., 0], 2 * scores[..., 1] - np.log(VARIANCE_FLOOR)
    log_variance = np.log(VARIANCE_FLOOR) + softplus(excess)  # so that e^(2 s) is never computed, which may overflow
    precision = np.exp(-log_variance)
    square = residuals * precision * residuals
    d_scores = np.stack([-residuals * precision, (1 - square) * sigmoid(excess)], axis=-1)
    return 0.5 * (np.log(2 * np.pi) + log_variance + square), d_scores


LOSSES = {
    "cross_entropy": cross_entropy,
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "huber": huber,
    "binary_cross_entropy": binary_cross_entropy,
}

DISTRIBUTIONS = {"quantile": quantile, "poisson": poisson, "gaussian_nll": gaussian_nll}


class Loss(NamedTuple):
    """A loss by its name; of "quantile", the levels, rising."""

    name: str
    levels: tuple = ()

    @property
    def width(self):
        """S, the number of scores that each target has."""
        return {"quantile": len(self.levels), "gaussian_nll": 2}.get(self.name, 1)

    def __call__(self, scores, targets):
        if self.name in LOSSES:
            return LOSSES[self.name](scores, targets)
        N, K = targets.shape
        values, d_scores = DISTRIBUTIONS[self.name](scores.reshape(N, K, -1), targets, np.array(self.levels))
        return values / K, d_scores.reshape(scores.shape) / K
