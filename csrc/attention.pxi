"""Attention of the queries of each sequence to its memory."""

cdef class Attention:
    """`arrays` has the attributes that fl_attention lists, except those made here: flat arrays `weights`, `keys_t` and
    `memory_t`, and matrices. `vector` is None for dot products; `memory_t` and gradients are None where only `forward`
    is needed."""

    cdef fl_attention of
    cdef const fl_kernels *table  # whose vectors the arrays are padded to
    cdef int64_t *numbers
    cdef int64_t N, rows, n_queries, scratch_forward, scratch_backward
    cdef const real[:, ::1] keys, queries, memory, d_context
    cdef real[:, ::1] context, d_keys, d_queries, d_memory, d_vector
    cdef const real[::1] vector
    cdef real[::1] weights, keys_t, memory_t

    def __cinit__(self, int64_t A, int64_t W, const int64_t[::1] source, const int64_t[::1] target, arrays):
        cdef int64_t n, S, T, N = target.shape[0] - 1, columns = 0, at = 0, forward = 0, backward = 0, whole
        self.table = table
        at_least("A", A, 1)
        at_least("W", W, 1)
        if N < 1 or source.shape[0] != N + 1 or source[0] != 0 or target[0] != 0:
            raise ValueError("source and target must begin with 0 and have one element more than there are sequences.")
        self.numbers = <int64_t *>PyMem_Malloc(4 * (N + 1) * sizeof(int64_t))
        if self.numbers is NULL:
            raise MemoryError()
        for n in range(N):
            S, T = source[n + 1] - source[n], target[n + 1] - target[n]
            if source[n + 1] <= source[n] or target[n + 1] <= target[n]:
                raise ValueError(f"sequence {n} has no row of memory or no query, expected at least one of each.")
            self.numbers[n], self.numbers[N + 1 + n] = source[n], target[n]
            self.numbers[2 * (N + 1) + n], self.numbers[3 * (N + 1) + n] = columns, at
            whole = padded(S)
            columns, at = total(columns, whole), total(at, product(T, whole))
            self.of.largest = max(self.of.largest, product(T, whole))
            forward, backward = max(forward, product(T, max(A, S))), max(backward, product(T, max(W, S)))
        self.numbers[N], self.numbers[2 * N + 1] = source[N], target[N]
        self.of.source, self.of.target = self.numbers, &self.numbers[N + 1]
        self.of.columns, self.of.at = &self.numbers[2 * (N + 1)], &self.numbers[3 * (N + 1)]
        self.N, self.rows, self.n_queries, self.of.A, self.of.W = N, source[N], target[N], A, W
        self.scratch_forward = total(FL_BLOCK_ROWS * 4 * table.lanes, forward)
        self.scratch_backward = total(total(FL_BLOCK_ROWS * 4 * table.lanes, self.of.largest), backward)
        self.keys, self.queries, self.memory = arrays.keys, arrays.queries, arrays.memory
        self.context, self.weights, self.keys_t = arrays.context, arrays.weights, arrays.keys_t
        is_matrix("keys", self.keys.shape[0], self.keys.shape[1], self.rows, padded(A))
        is_matrix("memory", self.memory.shape[0], self.memory.shape[1], self.rows, padded(W))
        is_matrix("queries", self.queries.shape[0], self.queries.shape[1], self.n_queries, padded(A))
        is_matrix("context", self.context.shape[0], self.context.shape[1], self.n_queries, padded(W))
        fits("weights", self.weights.shape[0], at)
        fits("keys_t", self.keys_t.shape[0], product(columns, A))
        self.of.keys, self.of.queries, self.of.memory = &self.keys[0, 0], &self.queries[0, 0], &self.memory[0, 0]
        self.of.context, self.of.weights, self.of.keys_t = &self.context[0, 0], &self.weights[0], &self.keys_t[0]
        if arrays.vector is not None:
            self.vector = arrays.vector
            fits("vector", self.vector.shape[0], padded(A))
            self.of.vector = &self.vector[0]
        if arrays.memory_t is not None:
            self.memory_t = arrays.memory_t
            fits("memory_t", self.memory_t.shape[0], product(columns, W))
            self.of.memory_t = &self.memory_t[0]
            self.add_gradients(arrays)

    cdef int add_gradients(self, arrays) except -1:
        cdef int64_t A = padded(self.of.A), W = padded(self.of.W)
        self.d_context, self.d_memory = arrays.d_context, arrays.d_memory
        self.d_keys, self.d_queries = arrays.d_keys, arrays.d_queries
        is_matrix("d_context", self.d_context.shape[0], self.d_context.shape[1], self.n_queries, W)
        is_matrix("d_memory", self.d_memory.shape[0], self.d_memory.shape[1], self.rows, W)
        is_matrix("d_keys", self.d_keys.shape[0], self.d_keys.shape[1], self.rows, A)
        is_matrix("d_queries", self.d_queries.shape[0], self.d_queries.shape[1], self.n_queries, A)
        self.of.d_context, self.of.d_memory = &self.d_context[0, 0], &self.d_memory[0, 0]
        self.of.d_keys, self.of.d_queries = &self.d_keys[0, 0], &self.d_queries[0, 0]
        if self.of.vector is not NULL:
            self.d_vector = arrays.d_vector
            is_matrix("d_vector", self.d_vector.shape[0], self.d_vector.shape[1], self.N, A)
            self.of.d_vector = &self.d_vector[0, 0]
        return 0

    def __dealloc__(self):
        PyMem_Free(self.numbers)

    def transpose_memory(self, int64_t first, int64_t last):
        range_in("sequences", first, last, self.N)
        with nogil:
            self.table.transpose_memory(&self.of, first, last)

    @property
    def scratch(self):
        """Elements that `scratch` needs."""
        return max(self.scratch_forward, self.scratch_backward)

    def forward(self, int64_t first, int64_t last, real[::1] scratch):
        range_in("sequences", first, last, self.N)
        fits("scratch", scratch.shape[0], self.scratch_forward)
        with nogil:
            self.table.attend(&self.of, first, last, &scratch[0])

    def backward(self, int64_t first, int64_t last, real[::1] scratch):
        range_in("sequences", first, last, self.N)
        if self.of.memory_t is NULL:
            raise ValueError("memory_t is None: there is no gradient.")
        fits("scratch", scratch.shape[0], self.scratch_backward)
        with nogil:
            self.table.attend_back(&self.of, first, last, &scratch[0])


def tanh_rows(int64_t first, int64_t last, real[:, ::1] rows):
    cdef fl_matrix of_rows
    range_in("rows", first, last, rows.shape[0])
    if first == last or rows.shape[1] == 0:
        return
    of_rows = matrix_of("rows", rows, last)
    with nogil:
        table.tanh_rows(first, last, &of_rows)
