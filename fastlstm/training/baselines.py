"""Baseline loss of a constant prediction, which a model reaches without learning anything from its inputs."""

import numpy as np

from fastlstm.training.losses._functions import log_softmax


def best_constant_loss(loss, targets, weights):
    """Weighted mean loss of the best constant scores; None if the loss defines no `constant`.

    Targets have shape [M, K] and weights [M, 1 or K]; rows of weight 0 are ignored.
    """
    columns = zip(targets.T, np.broadcast_to(weights, targets.shape).T, strict=True)
    best = [_constant(loss, y, w) for y, w in columns]
    if any(scores is None for scores in best):
        return None
    if loss.targets == "classes":  # one array of all scores would be large if there are many classes
        of_rows, labels = np.broadcast_to(weights, targets.shape)[:, 0], targets[:, 0].astype(np.int64)
        used = of_rows > 0
        log_probabilities = log_softmax(best[0][None])[0]
        return -float((of_rows[used] * log_probabilities[labels[used]]).sum() / of_rows[used].sum())
    values, _ = loss(np.tile(np.concatenate(best), (len(targets), 1)), targets)
    return float(np.where(weights > 0, values * weights, 0).sum() * weights.shape[1] / weights.sum())


def _constant(loss, y, w):
    """Best constant scores of one target."""
    if not w.any():
        return np.zeros(loss.width)
    y, w = y[w > 0], w[w > 0]
    return loss.constant(y if loss.targets == "classes" else y.astype(float), w)
