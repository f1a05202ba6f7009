"""Attention of the queries of each sequence to its memory; see the contract."""

from typing import NamedTuple

import numpy as np

from fastlstm.kernels.compiled.layout import padded


class Arrays(NamedTuple):
    """What the entries read and write, as `fl_attention` in ``csrc/table.h`` describes it."""

    keys: np.ndarray
    queries: np.ndarray
    memory: np.ndarray
    vector: np.ndarray | None
    context: np.ndarray
    weights: np.ndarray
    keys_t: np.ndarray
    memory_t: np.ndarray | None
    d_context: np.ndarray | None
    d_keys: np.ndarray | None
    d_queries: np.ndarray | None
    d_memory: np.ndarray | None
    d_vector: np.ndarray | None


class Attention:
    def __init__(self, entries, additive, A, W, source, target, dtype, workspace, backward=False, own_keys=True):
        self._entries, self._workspace, self._dtype = entries(dtype), workspace, dtype
        lanes, self.N = self._entries.lanes(), len(source) - 1
        S, T = np.diff(source), np.diff(target)
        columns = padded(S, lanes)
        self._S, self._T, self._columns, self._at = S, T, columns, np.cumsum(T * columns) - T * columns
        self._work = np.cumsum(S * T)

        def rows(name, of, width, wanted=True):
            return self._padded(name, (int(of[-1]), padded(width, lanes)), width) if wanted else None

        memory, d_memory = rows("memory", source, W), rows("d_memory", source, W, backward)
        self._arrays = Arrays(
            rows("keys", source, A) if own_keys else memory,
            rows("queries", target, A),
            memory,
            self._padded("vector", (padded(A, lanes),), A) if additive else None,
            rows("context", target, W),
            workspace.empty("weights", (int((T * columns).sum()),), dtype),
            workspace.empty("keys_t", (int(columns.sum()) * A,), dtype),
            workspace.empty("memory_t", (int(columns.sum()) * W,), dtype) if backward else None,
            rows("d_context", target, W, backward),
            rows("d_keys", source, A, backward) if own_keys else d_memory,
            rows("d_queries", target, A, backward),
            d_memory,
            self._padded("d_vector", (self.N, padded(A, lanes)), A) if backward and additive else None,
        )
        vars(self).update({name: value for name, value in self._arrays._asdict().items() if name != "weights"})
        self._kernel = self._entries.Attention(A, W, source, target, self._arrays)

    def _padded(self, name, shape, width):
        """A buffer whose columns beyond `width` are 0."""
        buffer = self._workspace.empty(name, shape, self._dtype)
        buffer[..., width:] = 0
        return buffer

    def _share(self, part):
        """Sequences of a part, with about the same number of scores as those of the others."""
        shares = self._work[-1] * np.arange(part.rank, part.rank + 2) / part.size
        return [int(np.searchsorted(self._work, share, side="right")) for share in shares]

    def prepare(self, part):
        self._kernel.transpose_memory(*self._share(part))

    def forward(self, part):
        self._kernel.forward(*self._share(part), self._scratch(part))

    def backward(self, part):
        self._kernel.backward(*self._share(part), self._scratch(part))

    def _scratch(self, part):
        return self._workspace.empty(f"scratch {part.rank}", (self._kernel.scratch,), self._dtype)

    def weights_of(self, n):
        T, columns, at = self._T[n], self._columns[n], self._at[n]
        return self._arrays.weights[at : at + T * columns].reshape(T, columns)[:, : self._S[n]]


def tanh(entries, first, last, rows):
    entries(rows.dtype).tanh_rows(first, last, rows)
