"""Sequences, weights and gradients between users' arrays and the kernels'; products beside the recurrence."""


def wait(int64_t[::1] meeting, int64_t size):
    cdef bint well
    can_meet(meeting, size)
    with nogil:
        well = table.wait(&meeting[0], size)
    return well


# -- weights -----------------------------------------------------------------------------------------------------------

cdef inline int weights_fit(
    int64_t G, int64_t C, int64_t H, int64_t weight_ih, int64_t weight_hh, int64_t bias_ih, int64_t bias_hh, str prefix
) except -1:
    """Sizes of flat arrays of weights, [G*H, C], [G*H, H], [G*H], [G*H]."""
    cdef int64_t rows = product(G, H)
    if weight_ih < product(rows, C):
        too_short(prefix + "weight_ih", weight_ih, product(rows, C))
    if weight_hh < product(rows, H):
        too_short(prefix + "weight_hh", weight_hh, product(rows, H))
    if bias_ih < rows:
        too_short(prefix + "bias_ih", bias_ih, rows)
    if bias_hh < rows:
        too_short(prefix + "bias_hh", bias_hh, rows)
    return 0


def pack_gates(
    int64_t G, int64_t C, int64_t H, int64_t first, int64_t last, const real[::1] weight_ih,
    const real[::1] weight_hh, const real[::1] bias_ih, const real[::1] bias_hh, real[::1] out,
):
    at_least("G", G, 1)
    at_least("C", C, 0)
    at_least("H", H, 1)
    bounded("units", first, last, table.lanes, padded(H))
    if first == last:
        return
    weights_fit(G, C, H, weight_ih.shape[0], weight_hh.shape[0], bias_ih.shape[0], bias_hh.shape[0], "")
    fits("out", out.shape[0], product(last, product(G, total(total(C, 1), H))))
    with nogil:
        table.pack_gates(
            G, C, H, first, last, &weight_ih[0], &weight_hh[0], &bias_ih[0], &bias_hh[0], &out[0]
        )


def pack_panels(
    int64_t G, int64_t H, int64_t P, int64_t M, int64_t first, int64_t last, const real[::1] w, real[::1] out
):
    at_least("G", G, 1)
    at_least("H", H, 1)
    at_least("P", P, H)
    at_least("M", M, 0)
    range_in("columns", first, last, MOST)
    multiples(first, last, table.lanes, table.lanes)
    if first == last:
        return
    fits("w", w.shape[0], product(product(G, H), M))
    fits("out", out.shape[0], product(product(G, P), last))
    with nogil:
        table.pack_panels(G, H, P, M, first, last, &w[0], &out[0])


def gru_pack(
    int64_t C, int64_t H, int64_t first, int64_t last, const real[::1] weight_ih, const real[::1] weight_hh,
    const real[::1] bias_ih, const real[::1] bias_hh, real[::1] out,
):
    at_least("C", C, 0)
    at_least("H", H, 1)
    bounded("units", first, last, table.lanes, padded(H))
    if first == last:
        return
    weights_fit(3, C, H, weight_ih.shape[0], weight_hh.shape[0], bias_ih.shape[0], bias_hh.shape[0], "")
    fits("out", out.shape[0], product(last, total(product(3, total(total(C, 1), H)), 1)))
    with nogil:
        table.gru_pack(C, H, first, last, &weight_ih[0], &weight_hh[0], &bias_ih[0], &bias_hh[0], &out[0])


def rnn_pack(
    int64_t C, int64_t H, int64_t P, int64_t first, int64_t last, const real[::1] weight_ih,
    const real[::1] weight_hh, const real[::1] bias_ih, const real[::1] bias_hh, real[::1] out,
):
    at_least("C", C, 0)
    units_fit(H, P)
    bounded("units", first, last, table.lanes, P)
    if first == last:
        return
    weights_fit(1, C, H, weight_ih.shape[0], weight_hh.shape[0], bias_ih.shape[0], bias_hh.shape[0], "")
    fits("out", out.shape[0], product(last, total(total(C, 1), H)))
    with nogil:
        table.rnn_pack(C, H, P, first, last, &weight_ih[0], &weight_hh[0], &bias_ih[0], &bias_hh[0], &out[0])


def unpack(
    int64_t G, int64_t C, int64_t H, int64_t P, int64_t first, int64_t last, const real[::1] d_w,
    real[::1] d_weight_ih, real[::1] d_weight_hh, real[::1] d_bias_ih, real[::1] d_bias_hh,
):
    at_least("G", G, 1)
    at_least("C", C, 0)
    units_fit(H, P)
    range_in("columns", first, last, product(G, P))
    if first == last:
        return
    fits("d_w", d_w.shape[0], product(total(total(C, 1), H), product(G, P)))
    weights_fit(
        G, C, H, d_weight_ih.shape[0], d_weight_hh.shape[0], d_bias_ih.shape[0], d_bias_hh.shape[0], "d_"
    )
    with nogil:
        table.unpack(
            G, C, H, P, first, last, &d_w[0], &d_weight_ih[0], &d_weight_hh[0], &d_bias_ih[0], &d_bias_hh[0]
        )


def gru_unpack(
    int64_t C, int64_t H, int64_t P, int64_t first, int64_t last, int64_t n_first, int64_t n_last,
    const real[::1] d_w, int64_t of_n, int64_t of_m, real[::1] d_weight_ih, real[::1] d_weight_hh,
    real[::1] d_bias_ih, real[::1] d_bias_hh,
):
    at_least("C", C, 0)
    units_fit(H, P)
    range_in("columns of r and z", first, last, product(2, P))
    range_in("columns of n and of m", n_first, n_last, P)
    if first == last and n_first == n_last:
        return
    fits("d_w", d_w.shape[0], product(total(total(C, 1), H), product(2, P)))
    fits_from("d_w", d_w.shape[0], of_n, product(total(C, 1), P))
    fits_from("d_w", d_w.shape[0], of_m, product(total(H, 1), P))
    weights_fit(
        3, C, H, d_weight_ih.shape[0], d_weight_hh.shape[0], d_bias_ih.shape[0], d_bias_hh.shape[0], "d_"
    )
    with nogil:
        table.gru_unpack(
            C, H, P, first, last, n_first, n_last, &d_w[0], of_n, of_m, &d_weight_ih[0], &d_weight_hh[0],
            &d_bias_ih[0], &d_bias_hh[0],
        )


# -- sequences ---------------------------------------------------------------------------------------------------------

def load_rows(
    const int64_t[::1] starts, const int64_t[::1] lengths, bint reverse, int64_t first, int64_t last, int64_t C,
    int64_t H, int64_t P, const real[::1] x, const int64_t[::1] at, const real[:, :] h_0, bint has_state,
    real[::1] rows, int64_t stride,
):
    cdef int64_t M = rows_of(starts), T = starts.shape[0] - 1, h_stride = 0, steps = T, n
    range_in("sequences", first, last, starts[1])
    at_least("C", C, 0)
    units_fit(H, P)
    if first == last:
        return
    rows_fit("rows", rows.shape[0], 0, M, stride, total(total(C, 1), P))
    if has_state:
        h_stride = distance("h_0", h_0, last, H)
    if reverse:
        lengths_fit(starts, lengths, first, last)
    fits("at", at.shape[0], last)
    for n in range(first, last):
        steps = steps_of(&starts[0], n, steps)
        if at[n] < 0 or at[n] > x.shape[0] - product(steps, C):
            raise ValueError(f"x has {x.shape[0]} numbers, but sequence {n} has {steps} * {C} from {at[n]} on.")
    with nogil:
        table.load_rows(
            &starts[0], T, &lengths[0], reverse, first, last, C, H, P, &x[0], &at[0], &h_0[0, 0], h_stride, has_state,
            &rows[0], stride,
        )


def begin_rows(
    const int64_t[::1] starts, int64_t first, int64_t last, int64_t C, int64_t H, int64_t P, const real[:, :] h_0,
    bint has_state, real[::1] rows, int64_t stride,
):
    cdef int64_t M = rows_of(starts), h_stride = 0
    range_in("sequences", first, last, starts[1])
    at_least("C", C, 0)
    units_fit(H, P)
    if first == last:
        return
    rows_fit("rows", rows.shape[0], 0, M, stride, total(total(C, 1), P))
    if has_state:
        h_stride = distance("h_0", h_0, last, H)
    with nogil:
        table.begin_rows(
            &starts[0], starts.shape[0] - 1, first, last, C, H, P, &h_0[0, 0], h_stride, has_state, &rows[0], stride
        )


def copy_outputs(
    const int64_t[::1] starts, const int64_t[::1] lengths, bint turned, int64_t first, int64_t last, int64_t H,
    const real[::1] states, int64_t s_at, int64_t s_stride, real[::1] out, int64_t o_at, int64_t o_stride,
):
    cdef int64_t M = rows_of(starts)
    range_in("sequences", first, last, starts[1])
    at_least("H", H, 1)
    if first == last:
        return
    lengths_fit(starts, lengths, first, last)
    rows_fit("states", states.shape[0], s_at, total(M, starts[1]), s_stride, H)
    rows_fit("out", out.shape[0], o_at, M, o_stride, H)
    with nogil:
        table.copy_outputs(
            &starts[0], starts.shape[0] - 1, &lengths[0], turned, first, last, H, &states[s_at], s_stride, &out[o_at],
            o_stride,
        )


def add_gradients(
    const int64_t[::1] starts, const int64_t[::1] lengths, bint turned, int64_t first, int64_t last, int64_t H,
    const real[::1] d, int64_t d_at, int64_t d_stride, real[::1] d_h, int64_t h_stride, bint more,
):
    cdef int64_t M = rows_of(starts)
    range_in("sequences", first, last, starts[1])
    at_least("H", H, 1)
    if first == last:
        return
    if turned:
        lengths_fit(starts, lengths, first, last)
    rows_fit("d", d.shape[0], d_at, M, d_stride, H)
    rows_fit("d_h", d_h.shape[0], 0, M, h_stride, H)
    with nogil:
        table.add_gradients(
            &starts[0], starts.shape[0] - 1, &lengths[0], turned, first, last, H, &d[d_at], d_stride, &d_h[0],
            h_stride, more,
        )


def gather(
    const int64_t[::1] starts, const int64_t[::1] lengths, const int64_t[::1] order, bint reverse, int64_t first,
    int64_t last, int64_t T, int64_t F, int64_t column, const real[::1] array, real[:, :] rows,
):
    cdef int64_t M = rows_of(starts), steps = starts.shape[0] - 1, W = rows.shape[1], stride
    range_in("steps", first, last, steps)
    at_least("T", T, steps)
    range_in("columns", column, total(column, W), F)
    if first == last or W == 0:
        return
    stride = distance("rows", rows, M, W)
    if reverse:
        lengths_fit(starts, lengths, 0, starts[1])
    order_fits(order, starts[1], "array", array.shape[0] // product(T, F))
    with nogil:
        table.gather(
            &starts[0], &lengths[0], &order[0], reverse, first, last, T, F, column, &array[0], W, &rows[0, 0], stride
        )


def scatter(
    const int64_t[::1] starts, const int64_t[::1] lengths, const int64_t[::1] order, bint reverse, bint states,
    bint add, const real[:, :] rows, real[:, :, ::1] out, int64_t column,
):
    cdef int64_t M = rows_of(starts), steps = starts.shape[0] - 1, W = rows.shape[1], stride
    cdef int64_t T = out.shape[1], F = out.shape[2]
    range_in("steps", 0, steps, T)
    range_in("columns", column, total(column, W), F)
    if W == 0:
        return
    stride = distance("rows", rows, total(M, starts[1]) if states else M, W)
    if reverse or states:
        lengths_fit(starts, lengths, 0, starts[1])
    order_fits(order, starts[1], "out", out.shape[0])
    with nogil:
        table.scatter(
            &starts[0], steps, &lengths[0], &order[0], order.shape[0], reverse, states, add, W, &rows[0, 0], stride, T,
            F, &out[0, 0, 0], column,
        )


# -- products ----------------------------------------------------------------------------------------------------------

def multiply_rows(
    int64_t first, int64_t last, int64_t K, int64_t a_stride, int64_t M, const real[::1] start, const real[::1] a,
    const real[::1] w, real[::1] out,
):
    range_in("rows", first, last, MOST)
    at_least("K", K, 1)
    at_least("M", M, 0)
    if M % table.lanes:
        raise ValueError(f"M is {M}, expected a multiple of {table.lanes}.")
    if first == last or M == 0:
        return
    fits("start", start.shape[0], M)
    rows_fit("a", a.shape[0], 0, last, a_stride, K)
    fits("w", w.shape[0], product(K, M))
    fits("out", out.shape[0], product(last, M))
    with nogil:
        table.multiply_rows(first, last, K, a_stride, M, &start[0], &a[0], &w[0], &out[0])


def gradient(
    int64_t M, int64_t R, int64_t first, int64_t last, int64_t Q, const real[::1] a, int64_t a_stride,
    const real[::1] b, int64_t b_stride, real[::1] panel, int64_t panel_at, real[::1] out, bint more,
):
    at_least("M", M, 0)
    at_least("R", R, 0)
    range_in("columns", first, last, Q)
    multiples(first, last, 4 * table.lanes, table.lanes)
    if first == last or M == 0 or R == 0:
        return
    rows_fit("a", a.shape[0], 0, M, a_stride, R)
    rows_fit("b", b.shape[0], 0, M, b_stride, Q)
    fits_from("panel", panel.shape[0], panel_at, FL_BLOCK_ROWS * 4 * table.lanes)
    fits("out", out.shape[0], product(R, Q))
    with nogil:
        table.gradient(
            M, R, first, last, Q, &a[0], a_stride, &b[0], b_stride, &panel[panel_at], &out[0], more
        )


# -- what dropout leaves -----------------------------------------------------------------------------------------------

def draw(
    uint64_t seed, uint64_t epoch, uint64_t stream, uint64_t threshold, double keep, const int64_t[::1] sequences,
    int64_t first, int64_t last, real[:, :] masks,
):
    cdef int64_t W = masks.shape[1], stride
    range_in("rows", first, last, MOST)
    if first == last or W == 0:
        return
    stride = distance("masks", masks, last, W)
    fits("sequences", sequences.shape[0], last)
    with nogil:
        table.draw(seed, epoch, stream, threshold, keep, &sequences[0], first, last, W, &masks[0, 0], stride)


def scale(
    const int64_t[::1] starts, int64_t first, int64_t last, const real[:, :] masks, int64_t m_stride, int64_t column,
    int64_t W, real[:, :] rows, int64_t stride,
):
    cdef int64_t M = rows_of(starts)
    range_in("sequences", first, last, starts[1])
    at_least("W", W, 0)
    range_in("columns", column, total(column, W), masks.shape[1])
    if first == last or W == 0:
        return
    # a single row's distance from the next is whatever an array says
    if distance("masks", masks, last, total(column, W)) != m_stride and masks.shape[0] > 1:
        raise ValueError(f"m_stride is {m_stride}, which is not that of masks.")
    if distance("rows", rows, M, W) != stride and rows.shape[0] > 1:
        raise ValueError(f"stride is {stride}, which is not that of rows.")
    with nogil:
        table.scale(
            &starts[0], starts.shape[0] - 1, first, last, &masks[0, 0], m_stride, column, W, &rows[0, 0], stride
        )
