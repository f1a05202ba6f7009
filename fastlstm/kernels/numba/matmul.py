"""Register-tiled matrix products: rows times packed weights, and the gradient of weights.

Kernels take matrices as pointers and row strides. L is the number of lanes of a vector. K and M count operands where a
product is summed over them, see ``pairs.py``: rows hold factors, and packed weights hold operands.

# Design: BLAS is not used, because its order of additions depends on the number of rows. Here the order of additions of
# each output is fixed (weight gradients are summed in blocks of rows), so that the result of a row is bitwise identical
# in every batch, and all results are bitwise identical for every vector width.
"""

from typing import NamedTuple

import numpy as np
from numba.extending import overload

from fastlstm.kernels.compiled.layout import BLOCK_ROWS
from fastlstm.kernels.numba.jit import OPTIONS, entry, inlined, kernel
from fastlstm.kernels.numba.pairs import (
    factors,
    factors_in,
    is_of_pairs,
    operands,
    put_operands,
    room_for_pairs,
    tallest,
)
from fastlstm.kernels.numba.products import add_products
from fastlstm.kernels.numba.subnormals import restore, without_subnormals
from fastlstm.kernels.numba.target import ROWS, VECTOR_BYTES
from fastlstm.kernels.numba.tiles import add_to, load, pointer, shift, store, width, zeros

# Bytes of a block of weights that stays in the L1 cache (32 KiB or more) while all rows are multiplied by it.
BLOCK_BYTES = 24 * 1024
# Bytes of a block of the weight gradient, of up to CHUNK rows, that stays in the L2 cache (512 KiB or more).
GROUP_BYTES = 256 * 1024
CHUNK = 126
PAIRS_OF_CHUNK = BLOCK_ROWS // 2 * CHUNK


class Matrix(NamedTuple):
    at: object  # pointer to the first element
    stride: int  # elements from one row to the next


@kernel
def matrix_of(array):
    """An array [rows, columns] whose rows are contiguous."""
    return Matrix(pointer(array), array.strides[0] // array.itemsize)


def _products(vecs):
    block = BLOCK_BYTES // (vecs * VECTOR_BYTES)

    @inlined
    def products(N, K, start, a, w, out, soon):
        """out[N, vecs*L] = start[N, vecs*L] + a[N, K] @ w[K, vecs*L]; w is contiguous, N >= 1.

        Also prefetches what the caller needs next: soon is (pointer, row, k), and element (n, k') is at
        pointer[n * row + k' * k]. The last rows are not prefetched, because the memory beyond them may belong to
        another thread, and prefetching it would evict it from that thread's cache.
        """
        L, size, most = width(w), factors_in(w), tallest(w)
        # Tiles have nearly equal heights, because a remainder of one or two rows would reuse the weights too little.
        tiles, height, taller, length = 1, N, 0, K
        if most < N:  # for a single tile, these divisions would take as long as the products
            tiles = (N + most - 1) // most
            height, taller = N // tiles, N % tiles
            blocks = (K + block - 1) // block
            length = (K + blocks - 1) // blocks
        for k in range(0, K, length):
            if k > 0:
                start = out
            here, n = min(length, K - k), 0
            w_k = shift(w, k * vecs * L)
            for tile in range(tiles):
                rows = height + (tile < taller)
                first, there = shift(start.at, n * start.stride), shift(out.at, n * out.stride)
                terms = (
                    here,
                    shift(a.at, n * a.stride + k * size),
                    a.stride,
                    size,
                    w_k,
                    # each tile prefetches its share of the next block
                    (shift(w_k, here * (vecs + tile % vecs) * L), L),
                    (shift(soon[0], n * soon[1] + k * soon[2]), soon[2] if tile + 1 < tiles else 0),
                )
                if ROWS >= 6 and rows == 6:
                    store(add_products(load(6, vecs, first, 0, start.stride), *terms), there, 0, out.stride)
                elif ROWS >= 5 and rows == 5:
                    store(add_products(load(5, vecs, first, 0, start.stride), *terms), there, 0, out.stride)
                elif ROWS >= 4 and rows == 4:
                    store(add_products(load(4, vecs, first, 0, start.stride), *terms), there, 0, out.stride)
                elif most >= 3 and rows == 3:
                    store(add_products(load(3, vecs, first, 0, start.stride), *terms), there, 0, out.stride)
                elif rows == 2:
                    store(add_products(load(2, vecs, first, 0, start.stride), *terms), there, 0, out.stride)
                else:
                    store(add_products(load(1, vecs, first, 0, start.stride), *terms), there, 0, out.stride)
                n += rows

    return products


#: Products by the number of vectors per row of `w`.
PRODUCTS = {vecs: _products(vecs) for vecs in (1, 2, 3, 4)}
products1, products2, products3, products4 = PRODUCTS.values()


@kernel
def multiply(N, K, M, start, a, w, out, soon):
    """out[N, M] = start[N, M] + a[N, K] @ w[K, M], w packed by `buffers.pack_groups`; N >= 1, M a multiple of L.

    Also prefetches soon[N, K]; each panel of columns prefetches a share of it.
    """
    L = width(w)
    panels = max(1, M // (4 * L))
    share = (ROWS + panels - 1) // panels
    m = M - M  # a literal 0 would make Numba compile the products twice
    while m < M:
        begin, w_m = Matrix(shift(start.at, m), start.stride), shift(w, m * K)
        there, near = Matrix(shift(out.at, m), out.stride), (shift(soon, m // (4 * L) * share * K), K, share)
        if m + 4 * L <= M:
            products4(N, K, begin, a, w_m, there, near)
            m += 4 * L
        elif m + 2 * L <= M:
            products2(N, K, begin, a, w_m, there, near)
            m += 2 * L
        else:
            products1(N, K, begin, a, w_m, there, near)
            m += L


@entry
def multiply_rows(rows, start, a, w, out):
    """out[N, M] = start[M] + a[N, K] @ w[K, M] for the range (first, last) of `rows`.

    a is (array, K, row stride), with K factors, and out is (array, M).
    """
    (first, last), (a, K, stride), (out, M), w = rows, a, out, pointer(w)
    if first >= last:  # the products require at least one row
        return
    a, there = shift(pointer(a), first * stride), Matrix(shift(pointer(out), first * M), M)
    mode = without_subnormals(w)
    multiply(last - first, operands(K, w), M, Matrix(pointer(start), first - first), Matrix(a, stride), w, there, a)
    restore(mode, w)


def left_operands(rows, columns, a, room):
    """The operands of the columns of a[rows, columns], as factors: where they are or, if pairs, written to `room`."""


@overload(left_operands, jit_options=OPTIONS)
def _left_operands(rows, columns, a, room):
    if not is_of_pairs(room):
        return lambda rows, columns, a, room: a

    def joined(rows, columns, a, room):
        L = width(room)
        whole = columns // L * L
        for row in range(0, rows, 2):
            at, out, left = row * a.stride, row // 2 * columns, rows - row
            for j in range(0, whole, L):
                put_operands(1, a.at, at + j, a.stride, left, room, out + j)
            for j in range(whole, columns):
                second = np.uint32(a.at[at + a.stride + j]) if left > 1 else np.uint32(0)
                room[out + j] = np.uint32(a.at[at + j]) | second << np.uint32(16)
        return Matrix(factors(room), 2 * columns)

    return joined


def _gradient(vecs):
    @inlined
    def add_panel(M, R, a, panel, a_next, b_next, out, add):
        """out[R, vecs*L] = a[M, R].T @ panel[M, vecs*L], or += it with `add`.

        Also prefetches M rows of a_next and b_next.
        """
        L, size, most, r = width(panel), factors_in(panel), tallest(panel), 0
        tiles = (R + most - 1) // most
        height, taller = R // tiles, R % tiles
        for tile in range(tiles):
            rows = height + (tile < taller)
            there = shift(out.at, r * out.stride)
            next_a, next_b = (shift(a_next.at, r), a_next.stride), (shift(b_next.at, tile % vecs * L), b_next.stride)
            terms = (M, shift(a.at, r * size), size, a.stride, panel, next_a, next_b)
            if ROWS >= 6 and rows == 6:
                add_to(add_products(zeros(6, vecs, out.at), *terms), there, 0, out.stride, add)
            elif ROWS >= 5 and rows == 5:
                add_to(add_products(zeros(5, vecs, out.at), *terms), there, 0, out.stride, add)
            elif ROWS >= 4 and rows == 4:
                add_to(add_products(zeros(4, vecs, out.at), *terms), there, 0, out.stride, add)
            elif most >= 3 and rows == 3:
                add_to(add_products(zeros(3, vecs, out.at), *terms), there, 0, out.stride, add)
            elif rows == 2:
                add_to(add_products(zeros(2, vecs, out.at), *terms), there, 0, out.stride, add)
            else:
                add_to(add_products(zeros(1, vecs, out.at), *terms), there, 0, out.stride, add)
            r += rows

    @kernel
    def in_panels(columns, a, M, R, b, panel, out, accumulate):
        """`gradient` in panels of vecs * L columns; a, b and out are matrices."""
        (q_first, q_last), L, size = columns, width(panel), factors_in(panel)
        room = room_for_pairs(PAIRS_OF_CHUNK, panel)
        # A block of `out`, a chunk of rows by a group of columns, stays in the L2 cache while a and b are streamed.
        chunks = (R + CHUNK - 1) // CHUNK
        chunk = (R + chunks - 1) // chunks
        group = max(1, GROUP_BYTES // (chunk * vecs * VECTOR_BYTES)) * vecs * L
        for first in range(q_first, q_last, group):
            last = min(first + group, q_last)
            for r in range(0, R, chunk):
                for m in range(0, M, BLOCK_ROWS):
                    here, add = min(BLOCK_ROWS, M - m), accumulate or m > 0
                    K, of_a = operands(here, panel), Matrix(shift(a.at, m * a.stride + r), a.stride)
                    left = left_operands(here, min(chunk, R - r), of_a, room)
                    next_a = Matrix(shift(of_a.at, here * a.stride), a.stride * size)
                    for q in range(first, last, vecs * L):
                        for k in range(K):
                            row = k * size
                            at = (m + row) * b.stride + q
                            put_operands(vecs, b.at, at, b.stride, here - row, panel, k * vecs * L)
                        ahead = m * b.stride + q + vecs * L if q + vecs * L < last else (m + here) * b.stride + first
                        of_out = Matrix(shift(out.at, r * out.stride + q), out.stride)
                        next_b = Matrix(shift(b.at, ahead), b.stride * size)
                        add_panel(K, min(chunk, R - r), left, panel, next_a, next_b, of_out, add)

    def gradient(columns, a, b, panel, out, accumulate):
        (a, M, R, a_stride), (b, b_stride), (out, Q) = a, b, out
        of_a, of_b, of_out = Matrix(pointer(a), a_stride), Matrix(pointer(b), b_stride), Matrix(pointer(out), Q)
        mode = without_subnormals(panel)
        in_panels(columns, of_a, M, R, of_b, pointer(panel), of_out, accumulate)
        restore(mode, panel)

    gradient.__qualname__ = f"gradient{vecs}"  # key of the machine code cache
    return in_panels, entry(gradient)


(panels4, gradient4), (_, gradient2), (panels1, gradient1) = map(_gradient, (4, 2, 1))


@kernel
def transposed_product(R, K, Q, a, b, panel, out, accumulate):
    """out[R, Q] = a[K, R].T @ b[K, Q] as `gradient` computes it, Q a multiple of L; pointers and matrices."""
    wide = Q // (4 * width(panel)) * 4 * width(panel)
    if wide > 0:
        panels4((0, wide), a, K, R, b, panel, out, accumulate)
    if wide < Q:
        panels1((wide, Q), a, K, R, b, panel, out, accumulate)


def gradient(columns, a, b, panel, out, accumulate):
    """out[R, Q] = a[M, R].T @ b[M, Q], or += it with `accumulate`, for the range (first, last) of `columns`.

    `first` is a multiple of 4L, and `last` one of L. a is (array, M, R, row stride), b is (array, row stride), out is
    (array, Q). Blocks of rows are summed in order. panel[BLOCK_ROWS, 4L] is scratch for the operands of one block of b;
    a and b hold factors.
    """
    (first, last), L = columns, VECTOR_BYTES // panel.itemsize
    for vecs, panels in ((4, gradient4), (2, gradient2), (1, gradient1)):
        end = first + (last - first) // (vecs * L) * vecs * L
        if end > first:
            panels((first, end), a, b, panel, out, accumulate)
        first = end
