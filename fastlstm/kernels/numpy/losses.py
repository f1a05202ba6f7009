"""Losses: of each output of each row, and their gradient with respect to the scores.

Every function takes scores [N, K] and targets and returns (values [N, K], d_scores [N, K]); a row's loss is the sum
of its values, and the caller weighs them. K outputs of a regression count as their mean, as in
``sklearn.neural_network.MLPRegressor``'s loss; the labels of a multi-label classification add up, as in
MLPClassifier's.
"""

import numpy as np

#: Residuals beyond this count linearly in the Huber loss (Huber 1964): one unit of a scaled target.
HUBER_DELTA = 1.0


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


LOSSES = {
    "cross_entropy": cross_entropy,
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "huber": huber,
    "binary_cross_entropy": binary_cross_entropy,
}
