"""Recursive forecasts."""

cdef class RollOut:
    """Runs of the layers, their packed weights, a linear layer of their last states, and the rest as fl_roll_out lists
    it: offset[N, S], lags[T], series[N, T+S], x[N, S-1, C], scores[N, K], and noise[N, S] or None.

    If there are no runs, `linear`, x, scores and noise are None."""

    cdef fl_roll_out of
    cdef fl_layer *layers
    cdef Linear linear
    cdef object held  # runs and packed weights, to which `layers` points
    cdef int64_t N, threads
    cdef double[:, ::1] series
    cdef real[:, :, ::1] x
    cdef real[:, ::1] scores
    cdef const double[:, ::1] offset, noise
    cdef const double[::1] lags

    def __cinit__(self, runs, packed, Linear linear, forecast):
        cdef int64_t T, S
        self.series, self.x, self.scores = forecast.series, forecast.x, forecast.scores
        self.offset, self.noise, self.lags = forecast.offset, forecast.noise, forecast.lags
        self.held, self.linear, self.threads = (tuple(runs), tuple(packed)), linear, FL_MAX_THREADS
        T, S, self.N = self.lags.shape[0], self.offset.shape[1], self.offset.shape[0]
        at_least("columns of offset", S, 1)
        self.of.T, self.of.S = T, S
        self.of.point, self.of.width, self.of.sharpness = forecast.point, forecast.width, forecast.sharpness
        if runs:
            self.add_layers()
        is_matrix("offset", self.offset.shape[0], S, self.N, S)
        is_matrix("series", self.series.shape[0], self.series.shape[1], self.N, total(T, S))
        self.of.offset, self.of.lags, self.of.series = &self.offset[0, 0], &self.lags[0], &self.series[0, 0]

    cdef int add_layers(self) except -1:
        cdef int64_t k, width = self.x.shape[2], S = self.of.S
        cdef Run run
        cdef Packed weights
        runs, packed = self.held
        if len(packed) != len(runs):
            raise ValueError(f"packed has {len(packed)} elements, but there are {len(runs)} runs.")
        self.of.depth, self.of.C = len(runs), width
        self.layers = <fl_layer *>PyMem_Malloc(self.of.depth * sizeof(fl_layer))
        if self.layers is NULL:
            raise MemoryError()
        for k in range(self.of.depth):
            run, weights = runs[k], packed[k]
            run.has_single_steps(weights)
            if k == 0:
                self.N = run.of.batch.N
            if run.of.C != width or run.of.batch.N != self.N or run.table != table:
                raise ValueError(f"runs[{k}] has other inputs, sequences or another level than those before, or x.")
            self.layers[k] = fl_layer(run.cell, &run.of, weights.of.forward)
            width, self.threads = run.of.H, min(self.threads, run.threads, run.roundings)
        if self.x.shape[0] < self.N or self.x.shape[1] != S - 1:
            raise ValueError(
                f"x has shape ({self.x.shape[0]}, {self.x.shape[1]}, .), expected at least {self.N} rows of {S - 1}."
            )
        if self.linear is None or self.linear.of.F != width:
            raise ValueError(f"weight is None or has another number of columns than the last layer's {width} units.")
        at_least("rows of weight", self.linear.of.K, 1)
        is_matrix("scores", self.scores.shape[0], self.scores.shape[1], self.N, self.linear.of.K)
        self.of.layers, self.of.linear = self.layers, &self.linear.of
        self.of.x, self.of.scores = &self.x[0, 0, 0], &self.scores[0, 0]
        if self.noise is not None:
            at_least("rows of weight", self.linear.of.K, 2)
            is_matrix("noise", self.noise.shape[0], self.noise.shape[1], self.N, S)
            self.of.noise = &self.noise[0, 0]
        return 0

    def __dealloc__(self):
        PyMem_Free(self.layers)

    def run(self, Part part not None):
        """All steps of the part's sequences."""
        if part.of.rank >= self.threads:
            raise ValueError(f"sums or factors have room for {self.threads} threads, but rank is {part.of.rank}.")
        range_in("sequences", part.of.first, part.of.last, self.N)
        with nogil:
            table.roll_out(&self.of, &part.of)
