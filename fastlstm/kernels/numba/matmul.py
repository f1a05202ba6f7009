"""Matrix products from register tiles: rows times packed weights, and the gradient of weights.

Kernels take matrices as pointers and distances of rows. L is the number of lanes of a vector.

# Design: not BLAS, whose order of additions depends on the number of rows. Here every output is summed
# in one order (the gradient of weights in blocks of rows), whatever rows are computed beside it, so a row's result
# has the same bits in every batch, and all results on every vector width.
"""

from typing import NamedTuple

from fastlstm.kernels.compiled.layout import BLOCK_ROWS
from fastlstm.kernels.numba.jit import entry, inlined, kernel
from fastlstm.kernels.numba.target import ROWS, VECTOR_BYTES
from fastlstm.kernels.numba.tiles import add_products, add_to, load, pointer, shift, store, width, zeros

# Bytes of weights that stay in the first-level cache (32 KiB or more) while all rows pass over them.
BLOCK_BYTES = 24 * 1024
# Bytes of a weight gradient, with its largest number of rows, that stay in the second-level cache (512 KiB or more).
GROUP_BYTES = 256 * 1024
CHUNK = 126


class Matrix(NamedTuple):
    at: object  # pointer to the first number
    stride: int  # numbers from one row to the next


def _products(vecs):
    block = BLOCK_BYTES // (vecs * VECTOR_BYTES)

    @inlined
    def products(N, K, start, a, w, out, soon):
        """out[N, vecs*L] = start[N, vecs*L] + a[N, K] @ w[K, vecs*L]; w is contiguous, N >= 1.

        Meanwhile prefetches what the caller will need next: soon is (pointer, row, k), for pointer[n * row + k * k'].
        Not for the last rows, beyond which memory may be another thread's, who would lose it from its cache.
        """
        L = width(w)
        # Tiles of nearly equal height: one left with a row or two would make little use of the weights it loads.
        tiles, height, taller, length = 1, N, 0, K
        if N > ROWS:  # divisions would cost a single tile as much as its products
            tiles = (N + ROWS - 1) // ROWS
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
                    shift(a.at, n * a.stride + k),
                    a.stride,
                    1,
                    w_k,
                    # each tile asks for its share of the next block
                    (shift(w_k, here * (vecs + tile % vecs) * L), L),
                    (shift(soon[0], n * soon[1] + k * soon[2]), soon[2] if tile + 1 < tiles else 0),
                )
                if ROWS >= 6 and rows == 6:
                    store(add_products(load(6, vecs, first, 0, start.stride), *terms), there, 0, out.stride)
                elif ROWS >= 5 and rows == 5:
                    store(add_products(load(5, vecs, first, 0, start.stride), *terms), there, 0, out.stride)
                elif ROWS >= 4 and rows == 4:
                    store(add_products(load(4, vecs, first, 0, start.stride), *terms), there, 0, out.stride)
                elif rows == 3:
                    store(add_products(load(3, vecs, first, 0, start.stride), *terms), there, 0, out.stride)
                elif rows == 2:
                    store(add_products(load(2, vecs, first, 0, start.stride), *terms), there, 0, out.stride)
                else:
                    store(add_products(load(1, vecs, first, 0, start.stride), *terms), there, 0, out.stride)
                n += rows

    return products


#: By the number of vectors beside each other.
PRODUCTS = {vecs: _products(vecs) for vecs in (1, 2, 3, 4)}
products1, products2, products3, products4 = PRODUCTS.values()


@kernel
def multiply(N, K, M, start, a, w, out, soon):
    """out[N, M] = start[N, M] + a[N, K] @ w[K, M], w as `buffers.pack_groups` packs it; N >= 1, M a multiple of L.

    Meanwhile prefetches soon[N, K], each panel of columns its share.
    """
    L = width(w)
    panels = max(1, M // (4 * L))
    share = (ROWS + panels - 1) // panels
    m = M - M  # not a literal, for which Numba would compile the products once more
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
    """out[N, M] = start[M] + a[N, K] @ w[K, M] in the rows from the first to the last of `rows`.

    a is (array, K, distance of rows), out (array, M).
    """
    (first, last), (a, K, stride), (out, M) = rows, a, out
    if first >= last:  # the products compute one row at least
        return
    a, there = shift(pointer(a), first * stride), Matrix(shift(pointer(out), first * M), M)
    multiply(last - first, K, M, Matrix(pointer(start), first - first), Matrix(a, stride), pointer(w), there, a)


def _gradient(vecs):
    @inlined
    def add_panel(M, R, a, panel, b_next, out, add):
        """out[R, vecs*L] = a[M, R].T @ panel[M, vecs*L], added to what is there where `add`.

        Meanwhile M rows of b_next and the next M rows of a are prefetched.
        """
        L, r = width(panel), 0
        tiles = (R + ROWS - 1) // ROWS
        height, taller = R // tiles, R % tiles
        for tile in range(tiles):
            rows = height + (tile < taller)
            a_r, there = shift(a.at, r), shift(out.at, r * out.stride)
            next_a, next_b = (shift(a_r, M * a.stride), a.stride), (shift(b_next.at, tile % vecs * L), b_next.stride)
            terms = (M, a_r, 1, a.stride, panel, next_a, next_b)
            if ROWS >= 6 and rows == 6:
                add_to(add_products(zeros(6, vecs, panel), *terms), there, 0, out.stride, add)
            elif ROWS >= 5 and rows == 5:
                add_to(add_products(zeros(5, vecs, panel), *terms), there, 0, out.stride, add)
            elif ROWS >= 4 and rows == 4:
                add_to(add_products(zeros(4, vecs, panel), *terms), there, 0, out.stride, add)
            elif rows == 3:
                add_to(add_products(zeros(3, vecs, panel), *terms), there, 0, out.stride, add)
            elif rows == 2:
                add_to(add_products(zeros(2, vecs, panel), *terms), there, 0, out.stride, add)
            else:
                add_to(add_products(zeros(1, vecs, panel), *terms), there, 0, out.stride, add)
            r += rows

    def gradient(columns, a, b, panel, out, accumulate):
        """`gradient`, in panels of vecs * L columns."""
        (q_first, q_last), (a, M, R, a_stride), (b, b_stride), (out, Q) = columns, a, b, out
        a, b, panel, out = pointer(a), pointer(b), pointer(panel), pointer(out)
        L = width(b)
        # A chunk of rows and a group of columns of `out` stay in the second-level cache while all of a and b pass by.
        chunks = (R + CHUNK - 1) // CHUNK
        chunk = (R + chunks - 1) // chunks
        group = max(1, GROUP_BYTES // (chunk * vecs * VECTOR_BYTES)) * vecs * L
        for first in range(q_first, q_last, group):
            last = min(first + group, q_last)
            for r in range(0, R, chunk):
                for m in range(0, M, BLOCK_ROWS):
                    here, add = min(BLOCK_ROWS, M - m), accumulate or m > 0
                    for q in range(first, last, vecs * L):
                        for row in range(here):
                            store(load(1, vecs, b, (m + row) * b_stride + q, 0), panel, row * vecs * L, 0)
                        ahead = m * b_stride + q + vecs * L if q + vecs * L < last else (m + here) * b_stride + first
                        of_a, of_out = Matrix(shift(a, m * a_stride + r), a_stride), Matrix(shift(out, r * Q + q), Q)
                        next_b = Matrix(shift(b, ahead), b_stride)
                        add_panel(here, min(chunk, R - r), of_a, panel, next_b, of_out, add)

    gradient.__qualname__ = f"gradient{vecs}"  # machine code is kept under this name
    return entry(gradient)


gradient4, gradient2, gradient1 = (_gradient(vecs) for vecs in (4, 2, 1))


def gradient(columns, a, b, panel, out, accumulate):
    """out[R, Q] = a[M, R].T @ b[M, Q] in the columns from the first, a multiple of 4L, to the last, one of L.

    a is (array, M, R, distance of rows), b (array, distance of rows), out (array, Q). Summed over blocks of m in order;
    where `accumulate`, added to what is there. panel[BLOCK_ROWS, 4L]: room for one block of b.
    """
    (first, last), L = columns, VECTOR_BYTES // panel.itemsize
    for vecs, panels in ((4, gradient4), (2, gradient2), (1, gradient1)):
        end = first + (last - first) // (vecs * L) * vecs * L
        if end > first:
            panels((first, end), a, b, panel, out, accumulate)
        first = end
