"""The barrier, packed rows from and to users' arrays, dropout, and products outside the recurrence."""


def wait(int64_t[::1] barrier, int64_t size):
    cdef bint unbroken
    is_barrier(barrier, size)
    with nogil:
        unbroken = table.wait(&barrier[0], size)
    return unbroken


cdef fl_matrix matrix_of(str name, const real[:, :] a, int64_t rows) except *:
    """The first rows of an array, which must have so many."""
    return fl_matrix(<real *>&a[0, 0], rows, a.shape[1], distance(name, a, rows, a.shape[1]))


# -- sequences ---------------------------------------------------------------------------------------------------------

def gather(
    const int64_t[::1] starts, const int64_t[::1] order, bint reverse, int64_t first, int64_t last,
    const real[:, :, ::1] array, int64_t column, real[:, :] rows,
):
    cdef Batch batch = Batch(starts, "rows", rows.shape[0])
    cdef int64_t W = rows.shape[1]
    cdef fl_blocks blocks
    cdef fl_matrix of_rows
    range_in("steps", first, last, batch.of.T)
    range_in("steps of array", 0, batch.of.T, array.shape[1])
    range_in("columns", column, total(column, W), array.shape[2])
    if first == last or W == 0:
        return
    of_rows = matrix_of("rows", rows, batch.of.M)
    order_fits(order, batch.of.N, "array", array.shape[0])
    blocks = fl_blocks(<real *>&array[0, 0, 0] + column, array.shape[1], array.shape[2], order.shape[0], &order[0])
    with nogil:
        table.gather(&batch.of, &blocks, reverse, first, last, &of_rows)


def scatter(
    const int64_t[::1] starts, const int64_t[::1] order, bint reverse, bint states, bint add, const real[:, :] rows,
    real[:, :, ::1] out, int64_t column,
):
    cdef Batch batch = Batch(starts, "rows", rows.shape[0])
    cdef int64_t W = rows.shape[1]
    cdef fl_blocks blocks
    cdef fl_matrix of_rows
    range_in("steps", 0, batch.of.T, out.shape[1])
    range_in("columns", column, total(column, W), out.shape[2])
    if W == 0:
        return
    of_rows = matrix_of("rows", rows, total(batch.of.M, batch.of.N) if states else batch.of.M)
    order_fits(order, batch.of.N, "out", out.shape[0])
    blocks = fl_blocks(&out[0, 0, 0] + column, out.shape[1], out.shape[2], order.shape[0], &order[0])
    with nogil:
        table.scatter(&batch.of, &blocks, reverse, states, add, &of_rows)


# -- dropout -----------------------------------------------------------------------------------------------------------

def draw(
    key, uint64_t threshold, double keep, const int64_t[::1] sequences, int64_t first, int64_t last, real[:, :] masks
):
    """key: the seed, the epoch and the stream."""
    cdef fl_draw numbers
    cdef fl_matrix of_masks
    cdef uint64_t seed, epoch, stream
    seed, epoch, stream = key
    range_in("rows", first, last, INT64_MAX)
    if first == last or masks.shape[1] == 0:
        return
    of_masks = matrix_of("masks", masks, last)
    fits("sequences", sequences.shape[0], last)
    numbers = fl_draw(seed, epoch, stream, threshold, keep)
    with nogil:
        table.draw(&numbers, &sequences[0], first, last, &of_masks)


def scale(
    const int64_t[::1] starts, int64_t first, int64_t last, const real[:, :] masks, int64_t column, real[:, :] rows
):
    cdef Batch batch = Batch(starts, "rows", rows.shape[0])
    cdef int64_t W = rows.shape[1]
    cdef fl_matrix of_masks, of_rows
    range_in("sequences", first, last, batch.of.N)
    range_in("columns of masks", column, total(column, W), masks.shape[1])
    if first == last or W == 0:
        return
    of_masks, of_rows = matrix_of("masks", masks, last), matrix_of("rows", rows, batch.of.M)
    of_masks.at += column
    with nogil:
        table.scale(&batch.of, first, last, &of_masks, &of_rows)


# -- products ----------------------------------------------------------------------------------------------------------

def pack_panels(int64_t H, int64_t P, int64_t M, int64_t first, int64_t last, const real[::1] w, real[::1] out):
    at_least("H", H, 1)
    at_least("P", P, H)
    at_least("M", M, 0)
    range_in("columns", first, last, INT64_MAX)
    multiples(first, last, table.lanes, table.lanes)
    if first == last:
        return
    fits("w", w.shape[0], product(H, M))
    fits("out", out.shape[0], product(P, last))
    with nogil:
        table.pack_panels(H, P, M, first, last, &w[0], &out[0])


def multiply_rows(
    int64_t first, int64_t last, const real[:, ::1] a, const real[::1] w, const real[::1] start, real[:, ::1] out
):
    cdef int64_t K = a.shape[1], M = out.shape[1]
    cdef fl_matrix of_a
    range_in("rows", first, last, INT64_MAX)
    if M % table.lanes:
        raise ValueError(f"out has {M} columns, expected a multiple of {table.lanes}.")
    if first == last or M == 0:
        return
    if K == 0:
        raise ValueError("a has no columns, expected at least 1.")
    of_a = matrix_of("a", a, last)
    fits("start", start.shape[0], M)
    fits("w", w.shape[0], product(K, M))
    is_matrix("out", out.shape[0], M, last, M)
    with nogil:
        table.multiply_rows(first, last, &of_a, &w[0], M, &start[0], &out[0, 0])


def gradient(
    int64_t first, int64_t last, int64_t R, const real[:, ::1] a, const real[:, ::1] b, real[::1] panels,
    real[:, ::1] out, bint accumulate,
):
    """Of the first R columns of a; `panels` has room for all columns of b."""
    cdef int64_t M = b.shape[0], Q = b.shape[1]
    cdef fl_matrix of_a, of_b
    at_least("R", R, 0)
    range_in("columns", first, last, Q)
    multiples(first, last, 4 * table.lanes, table.lanes)
    if first == last or M == 0 or R == 0:
        return
    if a.shape[1] < R:
        raise ValueError(f"a has {a.shape[1]} columns, expected at least {R}.")
    of_a, of_b = matrix_of("a", a, M), matrix_of("b", b, M)
    of_a.columns = R
    fits_from("panels", panels.shape[0], product(first, FL_BLOCK_ROWS), FL_BLOCK_ROWS * 4 * table.lanes)
    is_matrix("out", out.shape[0], out.shape[1], R, Q)
    with nogil:
        table.gradient(&of_a, &of_b, first, last, &panels[first * FL_BLOCK_ROWS], &out[0, 0], accumulate)
