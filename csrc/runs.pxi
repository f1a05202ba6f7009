"""Runs of all cells, forward and backward, their packed weights, and the parts of threads."""

cdef enum:
    MOST_OF_INT8 = 1 << 17 # numbers of a sum, see csrc/bytes.h


cdef const fl_cell *cell_of(str name) except NULL:
    """The cell of this name, of the level in use."""
    cdef bytes wanted = name.encode()
    cdef const fl_cell *const *cell = table.cells
    names = []
    while cell[0] is not NULL:
        if wanted == cell[0].name:
            return cell[0]
        names.append(cell[0].name.decode())
        cell += 1
    raise ValueError(f"cell is {name!r}, expected one of {names}.")


cdef inline real *start_of(real[::1] array) noexcept:
    """A pointer to the array's first element; NULL if it is None."""
    return &array[0] if array is not None else NULL


cdef inline int is_given(str name, real[::1] array, int64_t needed) except -1:
    if array is None:
        raise ValueError(f"{name} is None, expected an array of at least {needed} elements.")
    return fits(name, array.shape[0], needed)


cdef inline int64_t of_row(int64_t C, int64_t H) noexcept:
    """Operands of a row."""
    return total(operands_of(total(C, 1)), operands_of(H))


cdef class Part:
    """A thread's part: the sequences from `first` to `last`, and the thread's rank in a team; see fl_part."""

    cdef fl_part of
    cdef int64_t[::1] barrier

    def __cinit__(self, int64_t first, int64_t last, int64_t rank, int64_t size, bint by_units, int64_t[::1] barrier):
        range_in("sequences", first, last, INT64_MAX)
        if not 0 <= rank < size <= FL_MAX_THREADS:
            raise ValueError(f"rank is {rank} of size {size}, expected 0 <= rank < size <= {FL_MAX_THREADS}.")
        is_barrier(barrier, size)
        self.barrier, self.of = barrier, fl_part(first, last, rank, size, by_units, &barrier[0])


# -- weights -----------------------------------------------------------------------------------------------------------

cdef class Packed:
    """A cell's packed weights, flat; each array may be None if it is not needed."""

    cdef const fl_cell *cell
    cdef fl_weights sizes
    cdef fl_packed of
    cdef operand[::1] forward, backward, inputs
    cdef real[::1] gradient

    def __cinit__(
        self, str cell, int64_t C, int64_t H, operand[::1] forward, operand[::1] backward, operand[::1] inputs,
        real[::1] gradient,
    ):
        cdef int64_t P = padded(H), G, biases
        at_least("C", C, 0)
        at_least("H", H, 1)
        self.cell = cell_of(cell)
        G, biases = self.cell.gates, self.cell.separate_biases
        if forward is not None:
            fits("forward", forward.shape[0], product(total(product(G, of_row(C, H)), biases), P))
        if self.cell.backward is NULL and not (backward is None and inputs is None and gradient is None):
            raise ValueError("backward, inputs or gradient is given, but these kernels have no backward pass.")
        if WIDTH == 4 and max(C, H) > MOST_OF_INT8:
            raise ValueError(f"C is {C} and H is {H}, expected at most {MOST_OF_INT8}: sums of int8 may overflow.")
        if backward is not None:
            fits("backward", backward.shape[0], product(operands_of(product(G, P)), P))
        if inputs is not None:
            fits("inputs", inputs.shape[0], product(operands_of(product(G, P)), padded(C)))
        if gradient is not None:
            fits("gradient", gradient.shape[0], product(total(product(G, total(total(C, 1), H)), biases), P))
        self.sizes.C, self.sizes.H, self.sizes.P = C, H, P
        self.forward, self.backward, self.inputs, self.gradient = forward, backward, inputs, gradient
        self.of.forward = &forward[0] if forward is not None else NULL
        self.of.backward = &backward[0] if backward is not None else NULL
        self.of.inputs = &inputs[0] if inputs is not None else NULL
        self.of.gradient = start_of(gradient)

    cdef fl_weights weights(
        self, str prefix, const real[::1] weight_ih, const real[::1] weight_hh, const real[::1] bias_ih,
        const real[::1] bias_hh,
    ) except *:
        """Flat arrays of weights, or of their gradient, [G*H, C], [G*H, H], [G*H], [G*H]."""
        cdef int64_t C = self.sizes.C, H = self.sizes.H, rows = product(self.cell.gates, H)
        if weight_ih.shape[0] < product(rows, C):
            too_short(prefix + "weight_ih", weight_ih.shape[0], product(rows, C))
        if weight_hh.shape[0] < product(rows, H):
            too_short(prefix + "weight_hh", weight_hh.shape[0], product(rows, H))
        if bias_ih.shape[0] < rows:
            too_short(prefix + "bias_ih", bias_ih.shape[0], rows)
        if bias_hh.shape[0] < rows:
            too_short(prefix + "bias_hh", bias_hh.shape[0], rows)
        return fl_weights(
            C, H, self.sizes.P, <real *>&weight_ih[0], <real *>&weight_hh[0], <real *>&bias_ih[0], <real *>&bias_hh[0]
        )

    def fill(
        self, Part part not None, const real[::1] weight_ih, const real[::1] weight_hh, const real[::1] bias_ih,
        const real[::1] bias_hh,
    ):
        cdef fl_weights weights = self.weights("", weight_ih, weight_hh, bias_ih, bias_hh)
        with nogil:
            self.cell.pack(&weights, &part.of, &self.of)

    def unpack(
        self, Part part not None, real[::1] d_weight_ih, real[::1] d_weight_hh, real[::1] d_bias_ih,
        real[::1] d_bias_hh,
    ):
        cdef fl_weights weights = self.weights("d_", d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh)
        if self.of.gradient is NULL:
            raise ValueError("gradient is None: these weights were packed without one.")
        with nogil:
            self.cell.unpack(&weights, &part.of, self.of.gradient)


# -- forward -----------------------------------------------------------------------------------------------------------

cdef class Run:
    """A run of a cell over a batch. Its `buffers` are flat arrays, as fl_run lists them: rows, with their `stride`, c,
    gates, sums and zero; mask and h, the states that are not in the rows, may both be None. Where operands are not
    numbers of the rows themselves, factors and f_stride."""

    cdef const fl_cell *cell
    cdef const fl_kernels *table  # of the level in use when it was made
    cdef Batch batch
    cdef fl_run of
    cdef real[::1] rows, h, c, gates, sums, factors
    cdef const real[::1] mask, zero, products
    cdef const int64_t[:, ::1] which
    cdef int64_t threads  # for which `sums` has room
    cdef int64_t roundings  # for which `factors` has room

    def __cinit__(self, str cell, int64_t C, int64_t H, const int64_t[::1] starts, buffers):
        cdef int64_t P = padded(H), M, N, of_factors, stride = buffers.stride, of_sums = FL_SUMS_BYTES // sizeof(real)
        self.cell, self.table = cell_of(cell), table
        self.rows, self.h, self.mask, self.c = buffers.rows, buffers.h, buffers.mask, buffers.c
        self.gates, self.sums, self.zero = buffers.gates, buffers.sums, buffers.zero
        self.batch = Batch(starts, "rows", self.rows.shape[0])
        M, N = self.batch.of.M, self.batch.of.N
        at_least("C", C, 0)
        at_least("H", H, 1)
        rows_fit("rows", self.rows.shape[0], 0, total(M, N), stride, total(total(C, 1), P))
        if self.mask is not None:
            fits("mask", self.mask.shape[0], product(N, P))
            is_given("h", self.h, product(total(M, N), P))
        if self.gates is not None:
            fits("gates", self.gates.shape[0], product(product(M, self.cell.slots), P))
        if self.cell.has_c:
            is_given("c", self.c, product(total(M, N) if self.gates is not None else N, P))
        of_sums = max(of_sums, product(N, 4 * table.lanes))
        fits("sums", self.sums.shape[0], of_sums)
        fits("zero", self.zero.shape[0], max(product(4, P), padded(C)))
        self.threads, self.roundings = self.sums.shape[0] // of_sums, FL_MAX_THREADS
        self.of.batch, self.of.C, self.of.H, self.of.P = self.batch.of, C, H, P
        self.of.rows, self.of.stride = &self.rows[0], stride
        self.of.factors, self.of.f_stride = self.of.rows, stride
        if WIDTH == 4:
            self.factors, self.of.f_stride = buffers.factors, buffers.f_stride
            at_least("f_stride", self.of.f_stride, total(4, total(operands_of(total(C, 1)), (P + 3) // 4)))
            of_factors = product(N, self.of.f_stride)
            fits("factors", self.factors.shape[0], of_factors)
            self.roundings = self.factors.shape[0] // of_factors
            self.of.factors = &self.factors[0]
        elif WIDTH > 1:
            self.factors, self.of.f_stride = buffers.factors, buffers.f_stride
            rows_fit(
                "factors", self.factors.shape[0], 0, total(M, N), self.of.f_stride,
                total(product(WIDTH, operands_of(total(C, 1))), P),
            )
            self.of.factors = &self.factors[0]
        self.of.states, self.of.s_stride = &self.rows[C + 1], stride
        if self.mask is not None:
            self.of.mask, self.of.states, self.of.s_stride = &self.mask[0], &self.h[0], P
        self.of.c = start_of(self.c) if self.cell.has_c else NULL
        self.of.gates, self.of.sums, self.of.zero = start_of(self.gates), &self.sums[0], &self.zero[0]

    cdef int fits_part(self, Part part) except -1:
        """The part's sequences are in the batch."""
        return range_in("sequences", part.of.first, part.of.last, self.of.batch.N)

    cdef int has_room(self, Part part, str name, int64_t threads) except -1:
        """The part's sequences are in the batch, and an array has room for its thread."""
        if part.of.rank >= threads:
            raise ValueError(f"{name} has room for {threads} threads, but rank is {part.of.rank}.")
        return self.fits_part(part)

    cdef int fits_packed(self, Packed packed, const void *of, str name) except -1:
        """The weights are of the run's cell, level and sizes, and have been packed for this use."""
        if packed.cell != self.cell or packed.sizes.C != self.of.C or packed.sizes.H != self.of.H:
            raise ValueError("packed is of another cell, level or size than the run.")
        if of is NULL:
            raise ValueError(f"{name} is None: these weights were packed without it.")
        return 0

    cdef int has_single_steps(self, Packed packed) except -1:
        """Single steps are possible with these weights."""
        self.fits_packed(packed, packed.of.forward, "forward")
        if self.of.batch.T != 1 or self.of.mask is not NULL or self.of.gates is not NULL:
            raise ValueError("starts, mask or gates: single steps need a run of one step, without mask or gates.")
        return 0

    cdef int put_states(self, Part part, state) except -1:
        cdef const real[:, :] h_0, c_0
        cdef const real *c_at = NULL
        cdef int64_t h_stride, c_stride = 0, last = part.of.last
        if part.of.first == last:
            return 0
        if state is None:
            with nogil:
                self.table.put_states(&self.of, &part.of, NULL, 0, NULL, 0)
            return 0
        h_0 = state[0]
        h_stride = distance("h_0", h_0, last, self.of.H)
        if self.cell.has_c:
            c_0 = state[1]
            c_stride, c_at = distance("c_0", c_0, last, self.of.H), &c_0[0, 0]
        with nogil:
            self.table.put_states(&self.of, &part.of, &h_0[0, 0], h_stride, c_at, c_stride)
        return 0

    def load(self, Part part not None, const real[::1] x, const int64_t[::1] at, state, bint reverse):
        """Inputs of sequence n from x[at[n]] on, and initial states: arrays [N, H], or None for zeros."""
        cdef int64_t n, steps, C = self.of.C
        self.fits_part(part)
        fits("at", at.shape[0], part.of.last)
        for n in range(part.of.first, part.of.last):
            if at[n] < 0 or at[n] > x.shape[0] - product(self.of.batch.lengths[n], C):
                steps = self.of.batch.lengths[n]
                raise ValueError(f"x has {x.shape[0]} elements, but sequence {n} has {steps} * {C} from {at[n]} on.")
        self.put_states(part, state)
        with nogil:
            self.table.load_rows(&self.of, &part.of, &x[0], &at[0], reverse)

    def begin(self, Part part not None, state):
        """Initial states; the inputs are written by other runs."""
        self.fits_part(part)
        self.put_states(part, state)
        with nogil:
            self.table.load_rows(&self.of, &part.of, NULL, NULL, False)

    def copy_outputs(self, Part part not None, bint reverse, real[::1] out, int64_t column, int64_t stride):
        """Into the flat out[M, . : stride], starting at that column."""
        self.fits_part(part)
        rows_fit("out", out.shape[0], column, self.of.batch.M, stride, self.of.H)
        with nogil:
            self.table.copy_outputs(&self.of, &part.of, reverse, &out[column], stride)

    def look_up(self, const real[::1] products, const int64_t[:, ::1] which):
        """The sums of every row start from rows of products[., G, P], flat: those that which[M, S] names."""
        cdef int64_t m, s, S = which.shape[1], size = product(self.cell.gates, self.of.P), n = products.shape[0] // size
        at_least("S", S, 1)
        fits("which", which.shape[0], self.of.batch.M)
        for m in range(self.of.batch.M):
            for s in range(S):
                if not 0 <= which[m, s] < n:
                    raise ValueError(f"which[{m}, {s}] is {which[m, s]}, expected a row of products, 0 to {n - 1}.")
        self.products, self.which = products, which
        self.of.known, self.of.which, self.of.S = &products[0], &which[0, 0], S

    def forward(self, Part part not None, Packed packed not None):
        self.has_room(part, "sums", self.threads)
        self.has_room(part, "factors", self.roundings)
        self.fits_packed(packed, packed.of.forward, "forward")
        with nogil:
            self.cell.forward(&self.of, &part.of, packed.of.forward)

    def step(self, Packed packed not None, const real[:, :] x_t, real[:, :] h_t):
        """h_t[N, H]: the state after the inputs x_t[N, C]; rows of both are contiguous."""
        cdef int64_t x_stride = distance("x_t", x_t, self.of.batch.N, self.of.C)
        cdef int64_t h_stride = distance("h_t", h_t, self.of.batch.N, self.of.H)
        cdef fl_part whole = fl_part(0, self.of.batch.N, 0, 1, False, NULL)
        self.has_single_steps(packed)
        with nogil:
            self.cell.step(&self.of, &whole, packed.of.forward, &x_t[0, 0], x_stride, &h_t[0, 0], h_stride)

    def prepare_backward(
        self, real[::1] dz, real[::1] dh, real[::1] panels, real[::1] d_h, real[::1] dc, real[::1] d_seen,
        real[::1] dz_factors=None,
    ):
        """The backward run, with these buffers; d_h, dc, d_seen and, except for bfloat16, dz_factors may be None."""
        if self.cell.backward is NULL:
            raise ValueError("these kernels have no backward pass.")
        return Backward(self, dz, dh, panels, d_h, dc, d_seen, dz_factors)


# -- backward ----------------------------------------------------------------------------------------------------------

cdef class Backward:
    """Backpropagation through a run, with flat buffers, as fl_run lists them."""

    cdef Run run
    cdef fl_run of
    cdef real[::1] dz, dh, panels, d_h, dc, d_seen, dz_factors
    cdef int64_t threads

    def __cinit__(
        self, Run run not None, real[::1] dz, real[::1] dh, real[::1] panels, real[::1] d_h, real[::1] dc,
        real[::1] d_seen, real[::1] dz_factors,
    ):
        cdef int64_t M = run.of.batch.M, of_states = product(run.of.batch.N, run.of.P)
        cdef int64_t of_panels = FL_BLOCK_ROWS * 4 * run.table.lanes
        if run.cell.keeps_gates and run.gates is None:
            raise ValueError("gates is None: backward needs what forward stores there.")
        fits("dz", dz.shape[0], product(product(M, run.cell.slots), run.of.P))
        fits("dh", dh.shape[0], of_states)
        fits("panels", panels.shape[0], of_panels)
        if d_h is not None:
            fits("d_h", d_h.shape[0], product(M, run.of.P))
        if run.cell.has_c:
            is_given("dc", dc, of_states)
        if run.cell.direct and run.mask is not None:
            is_given("d_seen", d_seen, of_states)
        self.run, self.threads = run, panels.shape[0] // of_panels
        self.dz, self.dh, self.panels, self.d_h, self.dc, self.d_seen = dz, dh, panels, d_h, dc, d_seen
        self.of = run.of
        self.of.dz, self.of.dh, self.of.panels = &dz[0], &dh[0], &panels[0]
        self.of.dz_factors = self.of.dz
        if WIDTH > 1:
            if dz_factors is None:
                raise ValueError("dz_factors is None: products need dz in their own format.")
            fits("dz_factors", dz_factors.shape[0], product(product(M, run.cell.slots), run.of.P))
            self.dz_factors, self.of.dz_factors = dz_factors, &dz_factors[0]
        self.of.d_h, self.of.dc, self.of.d_seen = start_of(d_h), start_of(dc), start_of(d_seen)

    def add_gradients(
        self, Part part not None, bint reverse, const real[::1] d, int64_t column, int64_t stride, bint accumulate
    ):
        """Into d_h, from the flat d[M, . : stride], starting at that column."""
        self.run.fits_part(part)
        if self.of.d_h is NULL:
            raise ValueError("d_h is None: there is no room for the gradient of outputs.")
        rows_fit("d", d.shape[0], column, self.of.batch.M, stride, self.of.H)
        with nogil:
            self.run.table.add_gradients(&self.of, &part.of, reverse, &d[column], stride, accumulate)

    def backward(self, Part part not None, Packed packed not None, bint to_start):
        self.run.fits_part(part)
        self.run.fits_packed(packed, packed.of.backward, "backward")
        with nogil:
            self.run.cell.backward(&self.of, &part.of, packed.of.backward, to_start)

    def add_rows(self, int64_t first, int64_t last, real[::1] d_products):
        """Add the gradient of the rows' products to d_products[., G, P], flat, in the columns from `first` to `last`."""
        cdef int64_t Q = product(self.run.cell.gates, self.of.P), M = self.of.batch.M
        cdef fl_run *of = &self.run.of
        cdef fl_matrix rows = fl_matrix(self.of.dz, M, Q, product(self.run.cell.slots, self.of.P))
        if of.known is NULL:
            raise ValueError("the run looks up no products.")
        range_in("columns", first, last, Q)
        fits("d_products", d_products.shape[0], self.run.products.shape[0])
        with nogil:
            self.run.table.add_rows(&rows, of.which, of.S, first, last, &d_products[0], Q)

    def weight_gradient(self, Part part not None, Packed packed not None, bint accumulate):
        """Into `gradient` of packed; with `accumulate`, added to it."""
        self.run.has_room(part, "panels", self.threads)
        self.run.fits_packed(packed, packed.of.gradient, "gradient")
        with nogil:
            self.run.cell.weight_gradient(&self.of, &part.of, packed.of.gradient, accumulate)

    def input_gradient(self, Part part not None, Packed packed not None, real[::1] d_x):
        """Into the flat d_x[M, C padded to whole vectors]."""
        self.run.fits_part(part)
        self.run.fits_packed(packed, packed.of.inputs, "inputs")
        fits("d_x", d_x.shape[0], product(self.of.batch.M, padded(self.of.C)))
        with nogil:
            self.run.cell.input_gradient(&self.of, &part.of, packed.of.inputs, &d_x[0])
