"""Symbols as inputs: the first layer's products with each symbol are computed once, and looked up at every step.

A symbol stands for a vector e, its row of an embedding, or for one channel of its own (one-hot encoding). The sums of a
step's gates start from W e, where W are the input weights for these channels; the products with numbers among the
inputs and with the states are added to it. A batch has far fewer distinct symbols than steps, and one-hot encoding
needs no product at all: W e is a column of W. These few products stay float32 where those of the recurrence are of
bfloat16 numbers.

Backpropagation sums the gradient of W e over all steps with the symbol, in the order of the packed rows, and only then
differentiates the product.
"""

from dataclasses import replace

import numpy as np

from fastlstm.kernels import CELLS
from fastlstm.kernels.parts import lengths_of
from fastlstm.kernels.workspace import Workspace


class Lookup:
    """The products of a stack's first layer with symbols.

    Parameters
    ----------
    embedding : Embedding
        Which channels hold codes of symbols.
    stack : Stack
        The layers, in which all symbols are replaced by channels.
    package : backend of the kernels
    dtype : dtype
    backward : bool
        Whether to compute gradients, too.

    Attributes
    ----------
    stack : Stack
        The layers with numbers as their only inputs, as the kernels run them.
    """

    def __init__(self, embedding, stack, package, dtype, backward=False):
        kind, (H, *_) = CELLS[stack.cell], stack.hidden_sizes
        self.stack = replace(stack, input_size=embedding.n_numbers)
        self._embedding, self._dtype, self._places = embedding, dtype, stack.layers[0]
        self._names = [f"weight_ih{place.suffix}" for place in self._places]
        G, self._units = len(kind.gates), (H, package.padded(H, dtype))
        slots = (kind.slots or kind.gates)[:G]
        self._order = [kind.gates.index(gate) for gate in slots]  # of the gates, as the kernels expect them
        self._back = [slots.index(gate) for gate in kind.gates]
        self._shape = G, self._units[1]  # of one symbol's products
        self._workspace, E = Workspace(), embedding.width
        self._heads = []  # for each direction, one linear layer for each channel of symbols
        for _ in self._places if E is not None else ():
            of_columns = [
                package.head.Head(G * self._shape[1], E, dtype, Workspace(), backward) for _ in embedding.sizes
            ]
            self._heads.append(of_columns)
        self._no_bias, self._ignored = np.zeros((2, G * self._shape[1]), dtype)
        self._d_w = [[np.empty((G * self._shape[1], E), dtype) for _ in of] for of in self._heads if backward]

    # -- forward -----------------------------------------------------------------------------------------------

    def take(self, x, at, starts, rng=None, dropout=0.0, found=False):
        """The inputs of a packed batch, whose sequences begin at x[at[n]]; x is flat.

        Returns the numbers, flat, where those of each sequence begin, and the rows of `known` [M, S] for each packed
        row. With `rng`, the last code of a channel, that of unknown symbols, replaces others at the rate `dropout`.
        Calls `find` for the batch, unless its codes have been `found`.
        """
        lengths, embedding = lengths_of(starts), self._embedding
        first = np.cumsum(lengths) - lengths
        # one sequence after another
        steps = np.repeat(at // embedding.channels - first, lengths) + np.arange(starts[-1])
        numbers, codes = embedding.split(x.reshape(-1, embedding.channels)[steps])
        if rng is not None:
            codes = np.where(rng.random(codes.shape) < dropout, np.array(embedding.sizes) - 1, codes)
        if not found:
            self.find(codes)
        t = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        packed = first[np.arange(starts[-1]) - starts[t]] + t
        return numbers.reshape(-1), first * embedding.n_numbers, self.which(codes[packed])

    def codes(self, table):
        """Codes [M, S] of steps [M, C]."""
        return self._embedding.split(table)[1]

    def find(self, codes):
        """Take the distinct ones of codes [M, S], whose products `known` will hold."""
        first, self._distinct, self._rows, self._row_of = 0, [], [], []
        for of_channel, size in zip(codes.T, self._embedding.sizes, strict=True):
            is_there = np.zeros(size, bool)
            is_there[of_channel] = True
            distinct = np.flatnonzero(is_there)
            row_of = np.empty(size, np.int64)
            row_of[distinct] = np.arange(first, first + len(distinct))
            self._distinct.append(distinct)
            self._rows.append(slice(first, first + len(distinct)))
            self._row_of.append(row_of)
            first += len(distinct)
        self.known, self._d_known = (
            [self._empty(f"{name}{d}", first) for d in range(len(self._places))] for name in ("known", "d_known")
        )

    def which(self, codes):
        """Rows [M, S] of `known` for codes [M, S] that `find` has taken."""
        columns = [row_of[of_channel] for row_of, of_channel in zip(self._row_of, codes.T, strict=True)]
        return np.stack(columns, axis=1)

    def _empty(self, name, n):
        return self._workspace.empty(name, (n, *self._shape), self._dtype)

    @property
    def bytes_of_all(self):
        """Size of the products of all symbols."""
        G, P = self._shape
        return sum(self._embedding.sizes) * len(self._places) * G * P * self._dtype.itemsize

    @property
    def bytes(self):
        """Size of the products."""
        return sum(known.nbytes for known in self.known)

    def recurrent(self, weights):
        """Weights as the kernels of `stack` read them: of numbers and states only."""
        C = self._embedding.n_numbers
        return [
            np.ascontiguousarray(value[:, :C]) if name in self._names else value
            for name, value in ((name, weights[name]) for name in self.stack.shapes)
        ]

    def fill(self, weights):
        """Copy what the products depend on; `multiply` computes them."""
        embedding, (H, P), G = self._embedding, self._units, self._shape[0]
        self._vectors = []
        sizes = list(map(len, self._distinct))
        self._d_vectors = [
            [head.room("d_vectors", n) for head, n in zip(of_columns, sizes, strict=True)] for of_columns in self._heads
        ]
        for k, (distinct, columns) in enumerate(zip(self._distinct, embedding.blocks, strict=True)):
            if self._heads:
                self._vectors.append(self._heads[0][k].room("vectors", len(distinct)))
                self._vectors[k][:, : embedding.width] = weights[embedding.names[k]][distinct]
            for d, name in enumerate(self._names):
                w = weights[name][:, columns].reshape(G, H, -1)[self._order]
                if not self._heads:
                    known = self.known[d][self._rows[k]]
                    known[:, :, :H], known[:, :, H:] = np.moveaxis(w[:, :, distinct], 2, 0), 0
                    continue
                padded = np.zeros((G, P, embedding.width), self._dtype)
                padded[:, :H] = w
                self._heads[d][k].fill(padded.reshape(G * P, -1), self._no_bias)

    def find_all(self):
        """Take all codes."""
        n = max(self._embedding.sizes)
        self.find(np.stack([np.arange(n) % size for size in self._embedding.sizes], axis=1))

    def multiply(self, part):
        """Compute this part's share of `known`."""
        for d, of_columns in enumerate(self._heads):
            for head, rows, vectors in zip(of_columns, self._rows, self._vectors, strict=True):
                head.forward(*part.share(len(vectors)), vectors, self._flat(self.known[d][rows]))

    def _flat(self, products):
        return products.reshape(len(products), -1)

    # -- backward ----------------------------------------------------------------------------------------------

    def add(self, part, runs, accumulate):
        """This part's share of the gradient of `known`, by the runs of the first layer; or add it with `accumulate`."""
        for run, d_known in zip(runs, self._d_known, strict=True):
            run.add_rows(part, d_known, accumulate)

    def backward(self, part):
        """This part's share of the gradients of vectors and weights, by that of `known`."""
        for d, of_columns in enumerate(self._heads):
            for k, head in enumerate(of_columns):
                d_known, vectors = self._flat(self._d_known[d][self._rows[k]]), self._vectors[k]
                head.backward(*part.share(len(vectors)), d_known, self._d_vectors[d][k])
                head.weight_gradient(part, vectors, d_known, self._d_w[d][k], self._ignored)

    def collect(self, d_weights, d_recurrent):
        """Write the gradients to `d_weights`; d_recurrent are those of `recurrent`."""
        embedding, (H, P), G, C = self._embedding, self._units, self._shape[0], self._embedding.n_numbers
        for name, value in zip(self.stack.shapes, d_recurrent, strict=True):
            if name in self._names:
                d_weights[name][:, :C] = value.reshape(G * H, C)
        for k, (distinct, columns) in enumerate(zip(self._distinct, embedding.blocks, strict=True)):
            for d, name in enumerate(self._names):
                d_w = d_weights[name][:, columns]
                if self._heads:
                    d_w[...] = self._d_w[d][k].reshape(G, P, -1)[self._back, :H].reshape(G * H, -1)
                else:
                    d_w[...] = 0
                    d_known = self._d_known[d][self._rows[k]][:, self._back, :H]
                    d_w[:, distinct] = d_known.reshape(len(distinct), -1).T
            if self._heads:
                d_vectors = [of_columns[k][:, : embedding.width] for of_columns in self._d_vectors]
                d_table = d_weights[embedding.names[k]]
                d_table[...] = 0
                d_table[distinct] = sum(d_vectors[1:], d_vectors[0])
