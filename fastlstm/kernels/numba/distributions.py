"""Losses of distributions, with several scores per target; ``training/losses`` has the equations.

# Design: each of these losses is an entry point of its own, unlike the other losses of a head, which share one. It is
# compiled on first use, so that a first fit with another loss does not have to wait for it.
"""

import math

from fastlstm.kernels.forecast import VARIANCE_FLOOR
from fastlstm.kernels.numba.jit import entry, inlined

LOG_FLOOR, LOG_2PI = math.log(VARIANCE_FLOOR), math.log(2 * math.pi)


@inlined
def softplus(score):
    return max(score, 0) + math.log1p(math.exp(-abs(score)))


@inlined
def sigmoid(score):
    small = math.exp(-abs(score))
    return (1 if score > 0 else small) / (1 + small)


@inlined
def quantile(scores, target, levels, slopes):
    """Pinball loss, averaged over levels; overwrites `scores` with the gradient. slopes [S] is scratch."""
    S, loss, q = levels.size, 0.0, scores[0]
    for j in range(S):
        if j > 0:
            q += softplus(scores[j])
        residual = target - q
        loss += (levels[j] if residual > 0 else levels[j] - 1) * residual
        slopes[j] = residual - residual - levels[j]  # propagates NaN
        if residual <= 0:
            slopes[j] += 1 if residual < 0 else 0.5
    slope = 0.0
    for j in range(S - 1, -1, -1):  # each increment shifts its own quantile and all higher ones
        slope += slopes[j] / S
        scores[j] = slope * (sigmoid(scores[j]) if j > 0 else 1)
    return loss / S


@inlined
def poisson(scores, target, levels, slopes):
    """Half the Poisson deviance; overwrites the score with the gradient."""
    score, mean = scores[0], math.exp(scores[0])
    logarithm = math.log(target) if target > 0 else 0.0
    scores[0] = mean - target
    return target * (logarithm - score) + mean - target


@inlined
def gaussian_nll(scores, target, levels, slopes):
    """Negative log-likelihood; overwrites the scores, mean and log standard deviation, with the gradient."""
    residual, excess = target - scores[0], 2 * scores[1] - LOG_FLOOR
    log_variance = LOG_FLOOR + softplus(excess)
    precision = math.exp(-log_variance)
    square = residual * precision * residual
    scores[0], scores[1] = -residual * precision, (1 - square) * sigmoid(excess)
    return 0.5 * (LOG_2PI + log_variance + square)


def _of_rows(of_target):
    def losses(first, last, levels, targets, sample_weight, values, d_scores, slopes):
        """Compute the losses of rows, and overwrite the scores in d_scores [M, >= K * S] with the gradient."""
        K, S = targets.shape[1], levels.size
        for m in range(first, last):
            value = 0.0
            for k in range(K):
                d = d_scores[m, k * S : k * S + S]
                weight = sample_weight[m, k if sample_weight.shape[1] > 1 else 0] / K
                if weight == 0:  # ignored targets may be infinite
                    d[:] = 0
                    continue
                value += of_target(d, targets[m, k], levels, slopes) * weight
                for j in range(S):
                    d[j] *= weight
            values[m] = value

    losses.__qualname__ = f"losses_{of_target.__name__}"  # key of the machine code cache
    return entry(losses)


ENTRIES = {of_target.__name__: _of_rows(of_target) for of_target in (quantile, poisson, gaussian_nll)}
