"""A linear layer on features, and the loss of its scores; see the contract.

Each row is summed on its own; with BLAS, the order of additions would depend on the number of rows.
"""

import numpy as np

from fastlstm.kernels.numpy import losses


class Head:
    def __init__(self, K, F, dtype, workspace, backward=False):
        self.columns, self._F, self._dtype = K, F, dtype

    def room(self, name, rows):
        return np.empty((rows, self._F), self._dtype)

    def fill(self, weight, bias):
        self._weight, self._bias = weight, bias

    def forward(self, first, last, features, scores):
        rows = slice(first, last)
        scores[rows] = (features[rows, None, :] * self._weight).sum(axis=-1) + self._bias

    def differentiate(self, loss, first, last, features, targets, sample_weight, values, d_scores, d_features):
        rows = slice(first, last)
        self.forward(first, last, features, d_scores)
        values[rows], d_scores[rows] = losses.weighted(loss, d_scores[rows], targets[rows], sample_weight[rows])
        self.backward(first, last, d_scores, d_features)

    def backward(self, first, last, d_scores, d_features):
        d_features[first:last] = (d_scores[first:last, :, None] * self._weight).sum(axis=1)

    def weight_gradient(self, part, features, d_scores, d_weight, d_bias, accumulate=False):
        of_weight, of_bias = np.einsum("nk,nh->kh", d_scores, features), d_scores.sum(axis=0)
        d_weight[...] = d_weight + of_weight if accumulate else of_weight
        d_bias[...] = d_bias + of_bias if accumulate else of_bias
