"""Losses: of each row, and their gradient with respect to the scores.

Every function takes scores [N, K] and targets and returns (values [N], d_scores [N, K]); the caller weighs rows.
K outputs of a regression count as their mean, as in ``sklearn.neural_network.MLPRegressor``'s loss.
"""

import numpy as np

#: Residuals beyond this count linearly in the Huber loss (Huber 1964): one unit of a scaled target.
HUBER_DELTA = 1.0


def cross_entropy(scores, targets):
    """Of softmax(scores) and the class numbers `targets` [N]."""
    rows = np.arange(len(scores))
    shifted = scores - scores.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    sums = exponentials.sum(axis=1)
    d_scores = exponentials / sums[:, None]
    d_scores[rows, targets] -= 1
    return np.log(sums) - shifted[rows, targets], d_scores


def squared_error(scores, targets):
    """Half the mean square of the residuals; targets [N, K]."""
    residuals = scores - targets
    return 0.5 * np.mean(residuals**2, axis=1), residuals / scores.shape[1]


def absolute_error(scores, targets):
    """Mean absolute residual; targets [N, K]."""
    residuals = scores - targets
    return np.mean(np.abs(residuals), axis=1), np.sign(residuals) / scores.shape[1]


def huber(scores, targets):
    """Half the square of small residuals, linear in large ones; targets [N, K]. Huber (1964), equation 2."""
    residuals = scores - targets
    clipped = np.clip(residuals, -HUBER_DELTA, HUBER_DELTA)
    return np.mean(clipped * (residuals - 0.5 * clipped), axis=1), clipped / scores.shape[1]


LOSSES = {
    "cross_entropy": cross_entropy,
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "huber": huber,
}
