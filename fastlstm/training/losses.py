"""What losses there are, and the probabilities that scores of the cross-entropies stand for; ``forecasts.py`` has the
distributions that those of the others do."""

import numpy as np

from fastlstm.kernels.numpy.losses import DISTRIBUTIONS as DISTRIBUTIONS
from fastlstm.kernels.numpy.losses import LOSSES as LOSSES
from fastlstm.kernels.numpy.losses import Loss as Loss
from fastlstm.kernels.numpy.losses import sigmoid as sigmoid  # probabilities of labels, of which a row has any number

SMALLEST_STEP = 1e-6  # between quantiles


def softmax(scores):
    """Probabilities of classes, of which each row has one."""
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def log_softmax(scores):
    shifted = scores - scores.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def log_sigmoid(scores):
    return np.minimum(scores, 0) - np.log1p(np.exp(-np.abs(scores)))


def softplus_inverse(values):
    """Scores whose softplus is `values`, or the least step that logarithms allow where these are smaller."""
    return np.log(np.expm1(np.maximum(values, SMALLEST_STEP)))
