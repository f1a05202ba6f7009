"""Weighted losses of rows; see the contract."""

import numpy as np


def weighted(loss, scores, targets, sample_weight):
    """Weighted loss of each row, and the gradient of their sum. Targets with zero weight are ignored, even infinite."""
    of_targets, d = loss(scores, targets)
    of_scores = sample_weight if sample_weight.shape[1] == 1 else np.repeat(sample_weight, loss.width, axis=1)
    values = np.where(sample_weight != 0, of_targets * sample_weight, 0).sum(axis=1)
    return values, np.where(of_scores != 0, d * of_scores, 0)
