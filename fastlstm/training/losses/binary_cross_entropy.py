"""Binary cross-entropy of sigmoid(scores) and indicators 0 and 1, summed over labels."""

import numpy as np

from fastlstm.training.losses._functions import MIN_MEAN

TARGETS = "labels"


def loss(scores, targets):
    exponentials = np.exp(-np.abs(scores))
    values = np.maximum(scores, 0) - scores * targets + np.log1p(exponentials)
    return values, np.where(scores > 0, 1, exponentials) / (1 + exponentials) - targets


def constant(y, weights):
    mean = np.average(y, weights=weights)
    return [np.log(max(mean, MIN_MEAN)) - np.log(max(1 - mean, MIN_MEAN))]
