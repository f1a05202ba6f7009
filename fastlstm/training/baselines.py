"""The loss of the best constant: what a model reaches that has learned nothing from its inputs."""

import numpy as np


def best_constant_loss(loss, targets, weights):
    """Weighted mean loss of the best scores that are the same for all rows; None if the loss cannot say which.

    Of targets [M, K] with weights [M, 1 or K], 0 where there is none.
    """
    of_columns = zip(targets.T, np.broadcast_to(weights, targets.shape).T, strict=True)
    best = [_constant(loss, y, w) for y, w in of_columns]
    if any(scores is None for scores in best):
        return None
    values, _ = loss(np.tile(np.concatenate(best), (len(targets), 1)), targets)
    return float(np.where(weights > 0, values * weights, 0).sum() * weights.shape[1] / weights.sum())


def _constant(loss, y, w):
    """Scores of one target."""
    if not w.any():
        return np.zeros(loss.width)
    y, w = y[w > 0], w[w > 0]
    return loss.constant(y if loss.targets == "classes" else y.astype(float), w)
