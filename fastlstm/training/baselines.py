"""The loss of the best constant: what a model reaches that has learned nothing from its inputs."""

import numpy as np

from fastlstm.training.losses import softplus_inverse

LEAST = 1e-12  # a probability or a mean of 0 has no logarithm


def best_constant_loss(loss, targets, weights):
    """Weighted mean loss of the best scores that are the same for all rows.

    Of targets [M, K] with weights [M, 1 or K], 0 where there is none. The Huber loss is taken at the median.
    """
    scores = np.concatenate(
        [_constant(loss, column, w) for column, w in _columns(targets.astype(float), weights)]
        if loss.name != "cross_entropy"
        else [_log_frequencies(targets[:, 0], weights[:, 0])]
    )
    values, _ = loss(np.tile(scores, (len(targets), 1)), targets)
    return float(np.where(weights > 0, values * weights, 0).sum() * weights.shape[1] / weights.sum())


def _columns(targets, weights):
    """Each target with its weights."""
    return zip(targets.T, np.broadcast_to(weights, targets.shape).T, strict=True)


def _log_frequencies(labels, weights):
    masses = np.bincount(labels, weights)
    return np.log(np.maximum(masses / masses.sum(), LEAST))


def _constant(loss, y, w):
    """Scores of one target."""
    y, w = y[w > 0], w[w > 0]
    if not len(y):
        return np.zeros(loss.width)
    mean = np.average(y, weights=w)
    if loss.name in ("absolute_error", "huber"):
        return [_quantiles(y, w, [0.5])[0]]
    if loss.name == "quantile":
        known = _quantiles(y, w, loss.levels)
        return [known[0], *softplus_inverse(np.diff(known))]
    if loss.name == "poisson":
        return [np.log(max(mean, LEAST))]
    if loss.name == "gaussian_nll":
        return [mean, 0.5 * np.log(max(np.average((y - mean) ** 2, weights=w), LEAST))]
    if loss.name == "binary_cross_entropy":
        return [np.log(max(mean, LEAST)) - np.log(max(1 - mean, LEAST))]
    return [mean]


def _quantiles(y, w, levels):
    return np.quantile(y, levels, weights=w, method="inverted_cdf")
