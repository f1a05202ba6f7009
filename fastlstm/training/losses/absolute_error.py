"""Mean absolute error."""

import numpy as np

from fastlstm.training.losses._functions import weighted_quantiles

TARGETS = "numbers"


def loss(scores, targets):
    residuals, K = scores - targets, scores.shape[1]
    return np.abs(residuals) / K, np.sign(residuals) / K


def constant(y, weights):
    return weighted_quantiles(y, weights, [0.5])
