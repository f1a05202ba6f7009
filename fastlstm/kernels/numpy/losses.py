"""What a loss comes to for rows that have shares; see the contract."""

import numpy as np


def weighed(loss, scores, targets, shares):
    """The losses times their shares, a number for each row, and the gradient of their sum.

    What has no share may be infinite.
    """
    of_targets, d = loss(scores, targets)
    of_scores = shares if shares.shape[1] == 1 else np.repeat(shares, loss.width, axis=1)
    values = np.where(shares != 0, of_targets * shares, 0).sum(axis=1)
    return values, np.where(of_scores != 0, d * of_scores, 0)
