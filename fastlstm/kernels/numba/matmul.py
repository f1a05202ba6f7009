"""Matrix products from register tiles: rows times packed weights, and the gradient of weights.

Arrays are flat; the shapes in a docstring are how they are read, `*_at` is where they start and `*_stride` the
distance between two rows. L is the number of lanes of a vector.

# Design: not BLAS, whose order of additions depends on the number of rows. Here every output is summed
# in one order (the gradient of weights in blocks of rows), whatever rows are computed beside it, so a row's result
# has the same bits in every batch, and all results on every vector width.
"""

from numba import int64

from fastlstm.kernels.compiled.layout import BLOCK_ROWS
from fastlstm.kernels.numba.jit import entry, inlined
from fastlstm.kernels.numba.target import ROWS, VECTOR_BYTES
from fastlstm.kernels.numba.tiles import accumulate, add_to, load, pointer, store, width, zeros

# Bytes of weights that stay in the first-level cache (32 KiB or more) while all rows pass over them.
BLOCK_BYTES = 24 * 1024
# Bytes of a weight gradient, with its largest number of rows, that stay in the second-level cache (512 KiB or more).
GROUP_BYTES = 256 * 1024
CHUNK = 126


def _products(vecs):
    block = BLOCK_BYTES // (vecs * VECTOR_BYTES)

    @inlined
    def products(
        N, K, start, start_at, start_stride, a, a_at, a_stride, w, w_at, out, out_at, out_stride, soon, soon_at,
        soon_row, soon_k,
    ):  # fmt: skip
        """out[N, vecs*L] = start[N, vecs*L] + a[N, K] @ w[K, vecs*L]; w is contiguous, start_stride may be 0, N >= 1.

        Meanwhile asks for soon[n * soon_row + k * soon_k], from soon_at on, which the caller will need next; not for
        the last rows, beyond which memory may be another thread's, who would lose it from its cache.
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
                start, start_at, start_stride = out, out_at, out_stride
            here, n = min(length, K - k), 0
            w_k = w_at + k * vecs * L
            for tile in range(tiles):
                rows = height + (tile < taller)
                s, o = start_at + n * start_stride, out_at + n * out_stride
                ahead = w_k + here * (vecs + tile % vecs) * L  # each tile asks for its share of the next block
                terms = (
                    here,
                    a,
                    a_at + n * a_stride + k,
                    a_stride,
                    1,
                    w,
                    w_k,
                    w,
                    ahead,
                    L,
                    soon,
                    soon_at + n * soon_row + k * soon_k,
                    soon_k if tile + 1 < tiles else 0,
                )
                if rows == 6:
                    store(accumulate(load(6, vecs, start, s, start_stride), *terms), out, o, out_stride)
                elif rows == 5:
                    store(accumulate(load(5, vecs, start, s, start_stride), *terms), out, o, out_stride)
                elif rows == 4:
                    store(accumulate(load(4, vecs, start, s, start_stride), *terms), out, o, out_stride)
                elif rows == 3:
                    store(accumulate(load(3, vecs, start, s, start_stride), *terms), out, o, out_stride)
                elif rows == 2:
                    store(accumulate(load(2, vecs, start, s, start_stride), *terms), out, o, out_stride)
                else:
                    store(accumulate(load(1, vecs, start, s, start_stride), *terms), out, o, out_stride)
                n += rows

    return products


products4, products3, products2, products1 = (_products(vecs) for vecs in (4, 3, 2, 1))


@inlined
def multiply(
    N, K, first, last, start, start_at, start_stride, a, a_at, a_stride, w, out, out_at, out_stride, soon, soon_at
):
    """out[N, M] = start[N, M] + a[N, K] @ w[K, M] in the columns from `first` to `last`; N >= 1.

    w as `buffers.pack_panels` packs it. Meanwhile asks for soon[N, K] from soon_at on, each panel of columns for its
    share. M is a multiple of L; `first` and, unless it is M, `last` are multiples of 4L.
    """
    L = width(w)
    panels = max(1, (last - first) // (4 * L))
    share = (ROWS + panels - 1) // panels
    m = int64(first)  # not a literal, for which Numba would compile the products once more
    while m < last:
        begin, at = start_at + m, out_at + m
        near = soon_at + (m - first) // (4 * L) * share * K
        if m + 4 * L <= last:
            products4(
                N, K, start, begin, start_stride, a, a_at, a_stride, w, m * K, out, at, out_stride, soon, near, K, share
            )
            m += 4 * L
        elif m + 2 * L <= last:
            products2(
                N, K, start, begin, start_stride, a, a_at, a_stride, w, m * K, out, at, out_stride, soon, near, K, share
            )
            m += 2 * L
        else:
            products1(
                N, K, start, begin, start_stride, a, a_at, a_stride, w, m * K, out, at, out_stride, soon, near, K, share
            )
            m += L


@entry
def multiply_rows(first, last, K, a_stride, M, start, a, w, out):
    """out[N, M] = start[M] + a[N, K] @ w[K, M] in the rows from `first` to `last`."""
    if first >= last:  # the products compute one row at least
        return
    begin, start, a, w, out = int64(0), pointer(start), pointer(a), pointer(w), pointer(out)
    multiply(
        last - first, K, begin, M, start, begin, begin, a, first * a_stride, a_stride, w, out, first * M, M,
        a, first * a_stride,
    )  # fmt: skip


def _gradient(vecs):
    @inlined
    def add_panel(m, M, r, R, a, a_stride, panel, panel_at, b, b_stride, ahead, out, q, Q, add):
        """out[r : r+R, q : q+vecs*L] = a[m : m+M, r : r+R].T @ panel[M, vecs*L], added to what is there where `add`.

        Meanwhile b[ahead] with M rows and the next M rows of a are asked for.
        """
        L = width(panel)
        tiles = (R + ROWS - 1) // ROWS
        height, taller = R // tiles, R % tiles
        for tile in range(tiles):
            rows = height + (tile < taller)
            next_a, next_b = (m + M) * a_stride + r, ahead + tile % vecs * L
            terms = (M, a, m * a_stride + r, 1, a_stride, panel, panel_at, a, next_a, a_stride, b, next_b, b_stride)
            at = r * Q + q
            if rows == 6:
                add_to(accumulate(zeros(6, vecs, b), *terms), out, at, Q, add)
            elif rows == 5:
                add_to(accumulate(zeros(5, vecs, b), *terms), out, at, Q, add)
            elif rows == 4:
                add_to(accumulate(zeros(4, vecs, b), *terms), out, at, Q, add)
            elif rows == 3:
                add_to(accumulate(zeros(3, vecs, b), *terms), out, at, Q, add)
            elif rows == 2:
                add_to(accumulate(zeros(2, vecs, b), *terms), out, at, Q, add)
            else:
                add_to(accumulate(zeros(1, vecs, b), *terms), out, at, Q, add)
            r += rows

    def gradient(M, R, q_first, q_last, Q, a, a_stride, b, b_stride, panel, panel_at, out, more):
        """`gradient`, in panels of vecs * L columns, from q_first to q_last."""
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
                    here = min(BLOCK_ROWS, M - m)
                    for q in range(first, last, vecs * L):
                        for row in range(here):
                            store(load(1, vecs, b, (m + row) * b_stride + q, 0), panel, panel_at + row * vecs * L, 0)
                        ahead = m * b_stride + q + vecs * L if q + vecs * L < last else (m + here) * b_stride + first
                        add = more or m > 0
                        rows = min(chunk, R - r)
                        add_panel(m, here, r, rows, a, a_stride, panel, panel_at, b, b_stride, ahead, out, q, Q, add)

    gradient.__qualname__ = f"gradient{vecs}"  # machine code is kept under this name
    return entry(gradient)


gradient4, gradient2, gradient1 = (_gradient(vecs) for vecs in (4, 2, 1))


def gradient(M, R, first, last, Q, a, a_stride, b, b_stride, panel, panel_at, out, more):
    """out[R, Q] = a[M, R].T @ b[M, Q] in the columns from `first`, a multiple of 4L, to `last`, one of L.

    Summed over blocks of m in order; where `more`, added to what is there. panel[BLOCK_ROWS, 4L] from panel_at: room
    for one block of b.
    """
    L = VECTOR_BYTES // b.itemsize
    for vecs, kernel in ((4, gradient4), (2, gradient2), (1, gradient1)):
        end = first + (last - first) // (vecs * L) * vecs * L
        if end > first:
            kernel(M, R, first, end, Q, a, a_stride, b, b_stride, panel, panel_at, out, more)
        first = end
