"""The steps of all cells, forward and back, and single steps of streams."""

# -- what steps of all cells read and write ----------------------------------------------------------------------------

cdef inline int part_fits(
    int64_t N, int64_t r_first, int64_t r_last, int64_t u_first, int64_t u_last, int64_t H, int64_t P,
    const int64_t[::1] meeting, int64_t size,
) except -1:
    """Rows and units of a part, and a meeting of those who divide the units."""
    range_in("sequences", r_first, r_last, N)
    units_fit(H, P)
    bounded("units", u_first, u_last, 4 * table.lanes, P)
    if size == 1:
        return 0
    if r_first > 0 or r_last < N:
        raise ValueError(f"sequences from {r_first} to {r_last}: who divides the units has all {N}.")
    return can_meet(meeting, size)


cdef inline int sums_fit(int64_t rows, const real[::1] sums, int64_t sums_at, const real[::1] zero) except -1:
    """Room for the sums of so many rows, and the zeros that they begin with."""
    cdef int64_t waiting = FL_SUMS_BYTES // sizeof(real), of_vectors = product(rows, 4 * table.lanes)
    fits_from("sums", sums.shape[0], sums_at, of_vectors if of_vectors > waiting else waiting)
    return fits("zero", zero.shape[0], 4 * table.lanes)


cdef inline int states_fit(
    int64_t N, int64_t M, int64_t P, const real[::1] states, int64_t s_at, int64_t s_stride, const real[::1] mask,
    bint masked,
) except -1:
    """states[M+N, P : s_stride] and mask[N, P]."""
    rows_fit("states", states.shape[0], s_at, total(M, N), s_stride, P)
    return fits("mask", mask.shape[0], product(N, P)) if masked else 0


cdef inline int gradients_fit(
    int64_t N, int64_t M, int64_t slots, int64_t P, const real[::1] d_h, bint has_d_h, const real[::1] dz,
    const real[::1] dh, const real[::1] zero,
) except -1:
    """d_h[M, P], dz[M, slots, P], dh[N, P] and zero[4, P]."""
    if has_d_h:
        fits("d_h", d_h.shape[0], product(M, P))
    fits("dz", dz.shape[0], product(product(M, slots), P))
    fits("dh", dh.shape[0], product(N, P))
    return fits("zero", zero.shape[0], product(4, P))


# -- LSTM --------------------------------------------------------------------------------------------------------------

def lstm_forward(
    const int64_t[::1] starts, int64_t r_first, int64_t r_last, int64_t u_first, int64_t u_last, int64_t C, int64_t H,
    int64_t P, real[::1] rows, int64_t stride, real[::1] states, int64_t s_at, int64_t s_stride, const real[::1] mask,
    bint masked, const real[::1] w, real[::1] c, real[::1] gates, bint recording, real[::1] sums, int64_t sums_at,
    const real[::1] zero, int64_t[::1] meeting, int64_t size,
):
    cdef int64_t M = rows_of(starts), N = starts[1]
    part_fits(N, r_first, r_last, u_first, u_last, H, P, meeting, size)
    at_least("C", C, 0)
    if r_first == r_last:
        return
    rows_fit("rows", rows.shape[0], 0, total(M, N), stride, total(total(C, 1), P))
    states_fit(N, M, P, states, s_at, s_stride, mask, masked)
    fits("w", w.shape[0], product(total(total(C, 1), H), product(4, P)))
    fits("c", c.shape[0], product(total(M, N) if recording else N, P))
    if recording:
        fits("gates", gates.shape[0], product(product(M, 4), P))
    sums_fit(r_last - r_first, sums, sums_at, zero)
    with nogil:
        table.lstm_forward(
            &starts[0], starts.shape[0] - 1, r_first, r_last, u_first, u_last, C, H, P, &rows[0], stride,
            &states[s_at], s_stride, &mask[0], masked, &w[0], &c[0], &gates[0], recording, &sums[sums_at], &zero[0],
            &meeting[0], size,
        )


def lstm_backward(
    const int64_t[::1] starts, int64_t r_first, int64_t r_last, int64_t u_first, int64_t u_last, int64_t H, int64_t P,
    const real[::1] mask, bint masked, const real[::1] w, const real[::1] c, const real[::1] gates,
    const real[::1] d_h, bint has_d_h, real[::1] dz, real[::1] dh, real[::1] dc, const real[::1] zero, bint to_start,
    int64_t[::1] meeting, int64_t size,
):
    cdef int64_t M = rows_of(starts), N = starts[1]
    part_fits(N, r_first, r_last, u_first, u_last, H, P, meeting, size)
    if r_first == r_last:
        return
    if masked:
        fits("mask", mask.shape[0], product(N, P))
    fits("w", w.shape[0], product(product(4, P), P))
    fits("c", c.shape[0], product(total(M, N), P))
    fits("gates", gates.shape[0], product(product(M, 4), P))
    gradients_fit(N, M, 4, P, d_h, has_d_h, dz, dh, zero)
    fits("dc", dc.shape[0], product(N, P))
    with nogil:
        table.lstm_backward(
            &starts[0], starts.shape[0] - 1, r_first, r_last, u_first, u_last, H, P, &mask[0], masked, &w[0], &c[0],
            &gates[0], &d_h[0], has_d_h, &dz[0], &dh[0], &dc[0], &zero[0], to_start, &meeting[0], size,
        )


# -- GRU ---------------------------------------------------------------------------------------------------------------

def gru_forward(
    const int64_t[::1] starts, int64_t r_first, int64_t r_last, int64_t u_first, int64_t u_last, int64_t C, int64_t H,
    int64_t P, real[::1] rows, int64_t stride, real[::1] states, int64_t s_at, int64_t s_stride, const real[::1] mask,
    bint masked, const real[::1] w, real[::1] gates, bint recording, real[::1] sums, int64_t sums_at,
    const real[::1] zero, int64_t[::1] meeting, int64_t size,
):
    cdef int64_t M = rows_of(starts), N = starts[1]
    part_fits(N, r_first, r_last, u_first, u_last, H, P, meeting, size)
    at_least("C", C, 0)
    if r_first == r_last:
        return
    rows_fit("rows", rows.shape[0], 0, total(M, N), stride, total(total(C, 1), P))
    states_fit(N, M, P, states, s_at, s_stride, mask, masked)
    fits("w", w.shape[0], product(total(product(3, total(total(C, 1), H)), 1), P))
    if recording:
        fits("gates", gates.shape[0], product(product(M, 4), P))
    sums_fit(r_last - r_first, sums, sums_at, zero)
    with nogil:
        table.gru_forward(
            &starts[0], starts.shape[0] - 1, r_first, r_last, u_first, u_last, C, H, P, &rows[0], stride,
            &states[s_at], s_stride, &mask[0], masked, &w[0], &gates[0], recording, &sums[sums_at], &zero[0],
            &meeting[0], size,
        )


def gru_backward(
    const int64_t[::1] starts, int64_t r_first, int64_t r_last, int64_t u_first, int64_t u_last, int64_t H, int64_t P,
    const real[::1] states, int64_t s_at, int64_t s_stride, const real[::1] mask, bint masked, const real[::1] w,
    const real[::1] gates, const real[::1] d_h, bint has_d_h, real[::1] dz, real[::1] dh, real[::1] d_seen,
    const real[::1] zero, bint to_start, int64_t[::1] meeting, int64_t size,
):
    cdef int64_t M = rows_of(starts), N = starts[1]
    part_fits(N, r_first, r_last, u_first, u_last, H, P, meeting, size)
    if r_first == r_last:
        return
    states_fit(N, M, P, states, s_at, s_stride, mask, masked)
    fits("w", w.shape[0], product(product(3, P), P))
    fits("gates", gates.shape[0], product(product(M, 4), P))
    gradients_fit(N, M, 4, P, d_h, has_d_h, dz, dh, zero)
    if masked:
        fits("d_seen", d_seen.shape[0], product(N, P))
    with nogil:
        table.gru_backward(
            &starts[0], starts.shape[0] - 1, r_first, r_last, u_first, u_last, H, P, &states[s_at], s_stride, &mask[0],
            masked, &w[0], &gates[0], &d_h[0], has_d_h, &dz[0], &dh[0], &d_seen[0], &zero[0], to_start, &meeting[0],
            size,
        )


# -- RNN ---------------------------------------------------------------------------------------------------------------

def rnn_forward(
    const int64_t[::1] starts, int64_t r_first, int64_t r_last, int64_t u_first, int64_t u_last, int64_t C, int64_t H,
    int64_t P, real[::1] rows, int64_t stride, real[::1] states, int64_t s_at, int64_t s_stride, const real[::1] mask,
    bint masked, const real[::1] w, real[::1] sums, int64_t sums_at, const real[::1] zero, int64_t[::1] meeting,
    int64_t size,
):
    cdef int64_t M = rows_of(starts), N = starts[1]
    part_fits(N, r_first, r_last, u_first, u_last, H, P, meeting, size)
    at_least("C", C, 0)
    if r_first == r_last:
        return
    rows_fit("rows", rows.shape[0], 0, total(M, N), stride, total(total(C, 1), P))
    states_fit(N, M, P, states, s_at, s_stride, mask, masked)
    fits("w", w.shape[0], product(total(total(C, 1), H), P))
    sums_fit(r_last - r_first, sums, sums_at, zero)
    with nogil:
        table.rnn_forward(
            &starts[0], starts.shape[0] - 1, r_first, r_last, u_first, u_last, C, H, P, &rows[0], stride,
            &states[s_at], s_stride, &mask[0], masked, &w[0], &sums[sums_at], &zero[0], &meeting[0], size,
        )


def rnn_backward(
    const int64_t[::1] starts, int64_t r_first, int64_t r_last, int64_t u_first, int64_t u_last, int64_t H, int64_t P,
    const real[::1] states, int64_t s_at, int64_t s_stride, const real[::1] mask, bint masked, const real[::1] w,
    const real[::1] d_h, bint has_d_h, real[::1] dz, real[::1] dh, const real[::1] zero, bint to_start,
    int64_t[::1] meeting, int64_t size,
):
    cdef int64_t M = rows_of(starts), N = starts[1]
    part_fits(N, r_first, r_last, u_first, u_last, H, P, meeting, size)
    if r_first == r_last:
        return
    states_fit(N, M, P, states, s_at, s_stride, mask, masked)
    fits("w", w.shape[0], product(P, P))
    gradients_fit(N, M, 1, P, d_h, has_d_h, dz, dh, zero)
    with nogil:
        table.rnn_backward(
            &starts[0], starts.shape[0] - 1, r_first, r_last, u_first, u_last, H, P, &states[s_at], s_stride, &mask[0],
            masked, &w[0], &d_h[0], has_d_h, &dz[0], &dh[0], &zero[0], to_start, &meeting[0], size,
        )


# -- single steps ------------------------------------------------------------------------------------------------------

cdef class Stepper:
    """The buffers of single steps, found and checked once for all of them.

    A stepper is called with x[N, C] and h[N, H], whose rows are contiguous: h becomes the state after the inputs x.
    """

    cdef const fl_kernels *table  # of the level that has packed w
    cdef int64_t[2] starts
    cdef int64_t N, C, H, P, stride
    cdef real[::1] rows, sums
    cdef const real[::1] w, zero

    cdef int hold(
        self, const int64_t[::1] starts, int64_t N, int64_t C, int64_t H, int64_t P, real[::1] rows, int64_t stride,
        const real[::1] w, int64_t numbers_of_w, real[::1] sums, const real[::1] zero,
    ) except -1:
        rows_of(starts)
        if starts[1] != N:
            raise ValueError(f"N is {N}, but by starts there are {starts[1]} sequences.")
        rows_fit("rows", rows.shape[0], 0, product(2, N), stride, total(total(C, 1), P))
        fits("w", w.shape[0], numbers_of_w)
        sums_fit(N, sums, 0, zero)
        self.table, self.starts = table, [0, N]
        self.N, self.C, self.H, self.P, self.stride = N, C, H, P, stride
        self.rows, self.sums, self.w, self.zero = rows, sums, w, zero
        return 0


cdef class lstm_stepper(Stepper):
    cdef real[::1] c

    def __cinit__(
        self, const int64_t[::1] starts, int64_t N, int64_t C, int64_t H, int64_t P, real[::1] rows, int64_t stride,
        const real[::1] w, real[::1] c, real[::1] sums, const real[::1] zero,
    ):
        at_least("C", C, 0)
        units_fit(H, P)
        self.hold(
            starts, N, C, H, P, rows, stride, w, product(total(total(C, 1), H), product(4, P)), sums, zero
        )
        fits("c", c.shape[0], product(N, P))
        self.c = c

    def __call__(self, const real[:, :] x, real[:, :] h):
        cdef int64_t x_stride = distance("x", x, self.N, self.C), h_stride = distance("h", h, self.N, self.H)
        with nogil:
            self.table.lstm_step(
                self.starts, self.N, self.C, self.H, self.P, &self.rows[0], self.stride, &self.w[0], &self.c[0],
                &self.sums[0], &self.zero[0], &x[0, 0], x_stride, &h[0, 0], h_stride,
            )


cdef class gru_stepper(Stepper):
    def __cinit__(
        self, const int64_t[::1] starts, int64_t N, int64_t C, int64_t H, int64_t P, real[::1] rows, int64_t stride,
        const real[::1] w, real[::1] sums, const real[::1] zero,
    ):
        at_least("C", C, 0)
        units_fit(H, P)
        self.hold(
            starts, N, C, H, P, rows, stride, w, product(total(product(3, total(total(C, 1), H)), 1), P), sums, zero
        )

    def __call__(self, const real[:, :] x, real[:, :] h):
        cdef int64_t x_stride = distance("x", x, self.N, self.C), h_stride = distance("h", h, self.N, self.H)
        with nogil:
            self.table.gru_step(
                self.starts, self.N, self.C, self.H, self.P, &self.rows[0], self.stride, &self.w[0], &self.sums[0],
                &self.zero[0], &x[0, 0], x_stride, &h[0, 0], h_stride,
            )


cdef class rnn_stepper(Stepper):
    def __cinit__(
        self, const int64_t[::1] starts, int64_t N, int64_t C, int64_t H, int64_t P, real[::1] rows, int64_t stride,
        const real[::1] w, real[::1] sums, const real[::1] zero,
    ):
        at_least("C", C, 0)
        units_fit(H, P)
        self.hold(starts, N, C, H, P, rows, stride, w, product(total(total(C, 1), H), P), sums, zero)

    def __call__(self, const real[:, :] x, real[:, :] h):
        cdef int64_t x_stride = distance("x", x, self.N, self.C), h_stride = distance("h", h, self.N, self.H)
        with nogil:
            self.table.rnn_step(
                self.starts, self.N, self.C, self.H, self.P, &self.rows[0], self.stride, &self.w[0], &self.sums[0],
                &self.zero[0], &x[0, 0], x_stride, &h[0, 0], h_stride,
            )
