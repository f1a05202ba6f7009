"""Attention of the queries of each sequence to its memory; ``csrc/attention.h`` has the equations.

Arrays are as `fl_attention` in ``csrc/table.h`` lists them, matrices as (array, row stride).
"""

from typing import NamedTuple

from fastlstm.kernels.compiled.layout import BLOCK_ROWS
from fastlstm.kernels.numba.activations import tanh
from fastlstm.kernels.numba.buffers import transpose
from fastlstm.kernels.numba.head import softmax
from fastlstm.kernels.numba.jit import entry, kernel
from fastlstm.kernels.numba.matmul import Matrix, transposed_product
from fastlstm.kernels.numba.tiles import fma, load, pointer, shift, store, width, zeros


class Sequence(NamedTuple):
    """S rows of memory from row `source` on, and T queries from row `target` on, of sequence n."""

    S: int
    T: int
    source: int
    target: int
    S_whole: int  # padded to whole vectors
    columns: int  # the sum of S_whole of the sequences before
    at: int  # the sum of T * S_whole of the sequences before


@kernel
def sequence_of(places, n, L):
    source, target, columns, at = places
    S, T = source[n + 1] - source[n], target[n + 1] - target[n]
    return Sequence(S, T, source[n], target[n], (S + L - 1) // L * L, columns[n], at[n])


@kernel
def rows_of(matrix, row):
    """A matrix (array, row stride) from `row` on."""
    array, stride = matrix
    return Matrix(shift(pointer(array), row * stride), stride)


@kernel
def columns_of(array, one, width):
    """The transposed rows [width, S_whole] of a sequence."""
    return Matrix(shift(pointer(array), one.columns * width), one.S_whole)


@kernel
def weights_of(array, one):
    return Matrix(shift(pointer(array), one.at), one.S_whole)


@entry
def transpose_memory(sequences, places, width_of_rows, rows, out):
    """The rows of each sequence, transposed, with zeros beyond S."""
    L = width(out)
    for n in range(sequences[0], sequences[1]):
        one = sequence_of(places, n, L)
        there = columns_of(out, one, width_of_rows)
        for j in range(width_of_rows * one.S_whole):
            there.at[j] = 0
        transpose(width_of_rows, one.S, rows_of(rows, one.source), there)


@kernel
def additive_scores(one, A, q, k_t, v, scores):
    L = width(v)
    for t in range(one.T):
        for j in range(0, one.S_whole, L):
            total = zeros(1, 1, v)
            for a in range(A):
                sums = load(1, 1, k_t.at, a * k_t.stride + j, 0) + q.at[t * q.stride + a]
                total = fma(zeros(1, 1, v) + v[a], tanh(sums), total)
            store(total, scores.at, t * scores.stride + j, 0)


@kernel
def additive_gradient(one, A_whole, d, q, k, v, d_q, d_k, d_v):
    L = width(v)
    for a in range(0, A_whole, L):
        of_v, sum_v = load(1, 1, v, a, 0), zeros(1, 1, v)
        for j in range(one.S):
            store(zeros(1, 1, v), d_k.at, j * d_k.stride + a, 0)
        for t in range(one.T):
            of_q, sum_q = load(1, 1, q.at, t * q.stride + a, 0), zeros(1, 1, v)
            for j in range(one.S):
                here = j * d_k.stride + a
                d_score = zeros(1, 1, v) + d.at[t * d.stride + j]
                z = tanh(of_q + load(1, 1, k.at, j * k.stride + a, 0))
                d_sum = d_score * of_v * fma(zeros(1, 1, v) - z, z, zeros(1, 1, v) + 1)
                sum_v, sum_q = fma(d_score, z, sum_v), sum_q + d_sum
                store(load(1, 1, d_k.at, here, 0) + d_sum, d_k.at, here, 0)
            store(sum_q, d_q.at, t * d_q.stride + a, 0)
        store(sum_v, d_v, a, 0)


@kernel
def score_gradient(one, weights, d):
    """Replace the gradient of the weights by that of the scores."""
    for t in range(one.T):
        row = t * d.stride
        mean = d.at[row] - d.at[row]
        for j in range(one.S):
            mean += weights.at[row + j] * d.at[row + j]
        for j in range(one.S):
            d.at[row + j] = weights.at[row + j] * (d.at[row + j] - mean)


@entry
def attend(sequences, places, A, arrays, additive, vector, scratch):
    """Weights and context; arrays are keys_t, queries, memory, context and weights."""
    (keys_t, queries, memory, context, weights), L = arrays, width(scratch)
    panel, transposed = pointer(scratch), shift(pointer(scratch), BLOCK_ROWS * 4 * L)
    for n in range(sequences[0], sequences[1]):
        one = sequence_of(places, n, L)
        q, k_t, m = rows_of(queries, one.target), columns_of(keys_t, one, A), rows_of(memory, one.source)
        scores, there = weights_of(weights, one), Matrix(transposed, one.T)
        if additive:
            additive_scores(one, A, q, k_t, pointer(vector), scores)
        else:
            transpose(A, one.T, q, there)
            transposed_product(one.T, A, one.S_whole, there, k_t, panel, scores, False)
        for t in range(one.T):
            softmax(shift(scores.at, t * scores.stride), one.S)
        transpose(one.S, one.T, scores, there)
        transposed_product(one.T, one.S, m.stride, there, m, panel, rows_of(context, one.target), False)


@entry
def attend_back(sequences, places, sizes, arrays, gradients, kind, vectors, scratch):
    """All gradients, from d_context.

    sizes are W and the largest T * S_whole. arrays are keys, queries, weights and memory_t; gradients d_context,
    d_keys, d_queries and d_memory; kind is whether scores are additive, and whether d_keys is d_memory; vectors are
    (vector, d_vector).
    """
    (W, largest), (keys, queries, weights, memory_t), L = sizes, arrays, width(scratch)
    d_context, d_keys, d_queries, d_memory = gradients
    (additive, shared), (vector, d_vector) = kind, vectors
    panel = pointer(scratch)
    room = shift(panel, BLOCK_ROWS * 4 * L)
    transposed = shift(room, largest)
    for n in range(sequences[0], sequences[1]):
        one = sequence_of(places, n, L)
        q, k, P = rows_of(queries, one.target), rows_of(keys, one.source), weights_of(weights, one)
        d_c, d_q = rows_of(d_context, one.target), rows_of(d_queries, one.target)
        d_k, d_m = rows_of(d_keys, one.source), rows_of(d_memory, one.source)
        there, d = Matrix(transposed, one.T), Matrix(room, one.S_whole)
        transpose(W, one.T, d_c, there)
        transposed_product(one.T, W, one.S_whole, there, columns_of(memory_t, one, W), panel, d, False)
        score_gradient(one, P, d)
        transposed_product(one.S, one.T, d_m.stride, P, d_c, panel, d_m, False)
        if additive:
            of_vector = shift(pointer(d_vector), n * k.stride)
            additive_gradient(one, k.stride, d, q, k, pointer(vector), d_q, d_k, of_vector)
            continue
        transpose(one.S, one.T, d, there)
        transposed_product(one.T, one.S, k.stride, there, k, panel, d_q, False)
        transposed_product(one.S, one.T, k.stride, d, q, panel, d_k, shared)


@entry
def tanh_rows(first, last, columns, rows, edge):
    """Replace the rows [., columns] from `first` to `last` by their tanh; edge[L] is scratch."""
    rows, size, L = shift(pointer(rows), first * columns), (last - first) * columns, width(rows)
    whole = size // L * L
    for j in range(0, whole, L):
        store(tanh(load(1, 1, rows, j, 0)), rows, j, 0)
    for j in range(whole, size):
        edge[j - whole] = rows[j]
    store(tanh(load(1, 1, edge, 0, 0)), edge, 0, 0)
    for j in range(whole, size):
        rows[j] = edge[j - whole]
