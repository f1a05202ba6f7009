"""Attention of the queries of each sequence to its memory; see the contract.

Sums are made row by row: with BLAS, the order of additions would depend on the number of queries.
"""

import numpy as np


class Attention:
    def __init__(self, additive, A, W, source, target, dtype, workspace, backward=False, own_keys=True):
        self._source, self._target, self.N = source, target, len(source) - 1
        S, T = int(source[-1]), int(target[-1])
        self.memory, self.queries, self.context = (np.zeros(shape, dtype) for shape in ((S, W), (T, A), (T, W)))
        self.keys = np.zeros((S, A), dtype) if own_keys else self.memory
        self.vector = np.zeros(A, dtype) if additive else None
        self._weights = [None] * self.N
        if backward:
            self.d_memory, self.d_context = np.empty_like(self.memory), np.empty_like(self.context)
            self.d_keys = np.empty_like(self.keys) if own_keys else self.d_memory
            self.d_queries = np.empty_like(self.queries)
            self.d_vector = np.empty((self.N, A), dtype) if additive else None

    def _sequences(self, part):
        """The number, rows and queries of each sequence of a part."""
        for n in range(*part.share(self.N)):
            yield n, slice(*self._source[n : n + 2]), slice(*self._target[n : n + 2])

    def prepare(self, part):
        pass

    def forward(self, part):
        for n, rows, of in self._sequences(part):
            q, k = self.queries[of, None], self.keys[rows]
            scores = (q * k if self.vector is None else self.vector * np.tanh(q + k)).sum(axis=-1)  # [T, S]
            exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
            self._weights[n] = exponentials / exponentials.sum(axis=1, keepdims=True)
            self.context[of] = (self._weights[n][:, :, None] * self.memory[rows]).sum(axis=1)

    def backward(self, part):
        for n, rows, of in self._sequences(part):
            weights, q, k = self._weights[n][:, :, None], self.queries[of, None], self.keys[rows]
            d_weights = (self.d_context[of, None] * self.memory[rows]).sum(axis=-1, keepdims=True)  # [T, S, 1]
            d_scores = weights * (d_weights - (weights * d_weights).sum(axis=1, keepdims=True))
            self.d_memory[rows] = (weights * self.d_context[of, None]).sum(axis=0)
            if self.vector is None:
                d_q, d_k = d_scores * k, d_scores * q
            else:
                z = np.tanh(q + k)
                self.d_vector[n] = (d_scores * z).sum(axis=(0, 1))
                d_q = d_k = d_scores * self.vector * (1 - z * z)
            self.d_queries[of] = d_q.sum(axis=1)
            self.d_keys[rows] = d_k.sum(axis=0) + (self.d_memory[rows] if self.d_keys is self.d_memory else 0)

    def weights_of(self, n):
        return self._weights[n]


def tanh(first, last, rows):
    rows[first:last] = np.tanh(rows[first:last])
