"""Half the mean squared error."""

import numpy as np

TARGETS = "numbers"


def loss(scores, targets):
    residuals, K = scores - targets, scores.shape[1]
    return 0.5 * residuals**2 / K, residuals / K


def constant(y, weights):
    return [np.average(y, weights=weights)]
