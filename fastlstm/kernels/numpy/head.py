"""A linear layer on the last hidden states, and the loss of its scores; see the contract.

Sums run along the last axis, row by row: no BLAS product, whose order of additions depends on the number of rows.
"""

import numpy as np

from fastlstm.kernels.numpy.losses import LOSSES


def forward(h, weight, bias):
    return (h[:, None, :] * weight).sum(axis=-1) + bias


def differentiate(loss, first, last, h, weight, bias, targets, shares, values, d_scores, d_h):
    rows = slice(first, last)
    values[rows], d = LOSSES[loss](forward(h[rows], weight, bias), targets[rows])
    d_scores[rows] = d * shares[rows, None]
    d_h[rows] = (d_scores[rows, :, None] * weight).sum(axis=1)


def weight_gradient(d_scores, h, d_weight, d_bias):
    d_weight[...] = np.einsum("nk,nh->kh", d_scores, h)
    d_bias[...] = d_scores.sum(axis=0)
