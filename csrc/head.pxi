"""A linear layer of one or two outputs, and losses."""

#: Losses by name.
LOSSES = {
    "cross_entropy": FL_CROSS_ENTROPY,
    "squared_error": FL_SQUARED_ERROR,
    "absolute_error": FL_ABSOLUTE_ERROR,
    "huber": FL_HUBER,
    "binary_cross_entropy": FL_BINARY_CROSS_ENTROPY,
    "quantile": FL_QUANTILE,
    "poisson": FL_POISSON,
    "gaussian_nll": FL_GAUSSIAN_NLL,
}

cdef class Loss:
    """A loss of rows of scores, by its number: K scores per row or, for distributions, one for each level of each of K
    targets. targets[M, K], or classes [M, 1]; weights[M, K], or [M, 1], one for each row; values[M]."""

    cdef fl_loss of
    cdef const int64_t[:, ::1] labels
    cdef const real[:, ::1] targets
    cdef const real[:, ::1] weights
    cdef double[::1] values
    cdef const double[::1] levels

    def __cinit__(
        self, int64_t number, int64_t K, const double[::1] levels, targets, const real[:, ::1] weights,
        double[::1] values,
    ):
        cdef int64_t S = levels.shape[0], scores = 1 if number == FL_POISSON else 2 if number == FL_GAUSSIAN_NLL else 0
        if not FL_CROSS_ENTROPY <= number <= FL_GAUSSIAN_NLL:
            raise ValueError(f"number is {number}, which is not the number of a loss.")
        at_least("K", K, 1)
        if S < 1 if number == FL_QUANTILE else S != scores:
            raise ValueError(f"levels has {S} elements, expected one for each score of a distribution.")
        if number == FL_CROSS_ENTROPY:
            self.labels = targets
            is_matrix("targets", self.labels.shape[0], self.labels.shape[1], 0, 1)
            self.of.labels = &self.labels[0, 0]
        else:
            self.targets = targets
            is_matrix("targets", self.targets.shape[0], self.targets.shape[1], 0, K)
            self.of.targets = &self.targets[0, 0]
        is_matrix("weights", weights.shape[0], weights.shape[1], 0, 1 if weights.shape[1] == 1 else K)
        self.of.number, self.of.K, self.of.S, self.of.levels = number, K, S, &levels[0]
        self.of.weights, self.of.weight_columns, self.of.values = &weights[0, 0], weights.shape[1], &values[0]
        self.weights, self.values, self.levels = weights, values, levels

    cdef int fits_rows(self, int64_t first, int64_t last) except -1:
        """Targets, weights and values have these rows, and classes of nonzero weight have a score."""
        cdef int64_t m, K = self.of.K
        range_in("rows", first, last, INT64_MAX)
        fits("values", self.values.shape[0], last)
        is_matrix("weights", self.weights.shape[0], self.of.weight_columns, last, self.of.weight_columns)
        if self.of.number != FL_CROSS_ENTROPY:
            return is_matrix("targets", self.targets.shape[0], K, last, K)
        is_matrix("targets", self.labels.shape[0], 1, last, 1)
        for m in range(first, last):
            if self.weights[m, 0] != 0 and not 0 <= self.labels[m, 0] < K:
                raise ValueError(f"targets[{m}] is {self.labels[m, 0]}, expected a class from 0 to {K - 1}.")
        return 0

    def of_rows(self, int64_t first, int64_t last, real[:, ::1] d_scores):
        """On entry, d_scores holds the scores, perhaps in more columns than needed; on return, their gradient."""
        cdef int64_t needed = product(self.of.K, self.of.S if self.of.number >= FL_QUANTILE else 1)
        cdef fl_loss of = self.of
        self.fits_rows(first, last)
        if d_scores.shape[1] < needed:
            raise ValueError(f"d_scores has {d_scores.shape[1]} columns, expected at least {needed}.")
        is_matrix("d_scores", d_scores.shape[0], d_scores.shape[1], last, d_scores.shape[1])
        of.slopes = <double *>PyMem_Malloc(max(of.S, 1) * sizeof(double))
        if of.slopes is NULL:
            raise MemoryError()
        with nogil:
            table.losses_of_rows(&of, first, last, &d_scores[0, 0], d_scores.shape[1])
        PyMem_Free(of.slopes)


cdef class Linear:
    """A linear layer: weight[K, F], bias[K]."""

    cdef fl_linear of
    cdef const real[:, ::1] weight
    cdef const real[::1] bias

    def __cinit__(self, const real[:, ::1] weight, const real[::1] bias):
        fits("bias", bias.shape[0], weight.shape[0])
        self.weight, self.bias = weight, bias
        self.of = fl_linear(weight.shape[0], weight.shape[1], <real *>&weight[0, 0], <real *>&bias[0])

    def forward(self, int64_t first, int64_t last, const real[:, ::1] features, real[:, ::1] scores):
        range_in("rows", first, last, INT64_MAX)
        is_matrix("features", features.shape[0], features.shape[1], last, self.of.F)
        is_matrix("scores", scores.shape[0], scores.shape[1], last, self.of.K)
        with nogil:
            table.forward_rows(&self.of, first, last, &features[0, 0], &scores[0, 0])

    def differentiate(
        self, Loss loss not None, int64_t first, int64_t last, const real[:, ::1] features, real[:, ::1] d_scores,
        real[:, ::1] d_features,
    ):
        """Scores, losses and both gradients, for a loss of single scores."""
        cdef int64_t K = self.of.K, F = self.of.F
        loss.fits_rows(first, last)
        if loss.of.number >= FL_QUANTILE or loss.of.K != K:
            raise ValueError(f"loss has number {loss.of.number} and K={loss.of.K}: expected one of {K} single scores.")
        is_matrix("features", features.shape[0], features.shape[1], last, F)
        is_matrix("d_scores", d_scores.shape[0], d_scores.shape[1], last, K)
        is_matrix("d_features", d_features.shape[0], d_features.shape[1], last, F)
        with nogil:
            table.differentiate_rows(
                &self.of, &loss.of, first, last, &features[0, 0], &d_scores[0, 0], &d_features[0, 0]
            )

    def backward(self, int64_t first, int64_t last, const real[:, ::1] d_scores, real[:, ::1] d_features):
        range_in("rows", first, last, INT64_MAX)
        is_matrix("d_scores", d_scores.shape[0], d_scores.shape[1], last, self.of.K)
        is_matrix("d_features", d_features.shape[0], d_features.shape[1], last, self.of.F)
        with nogil:
            table.backward_rows(&self.of, first, last, &d_scores[0, 0], &d_features[0, 0])


def gradient_of_rows(
    int64_t first, int64_t last, const real[:, ::1] features, const real[:, ::1] d_scores, real[:, ::1] d_weight,
    real[::1] d_bias, bint accumulate,
):
    cdef int64_t M = features.shape[0], K = d_weight.shape[0], F = d_weight.shape[1]
    cdef fl_linear d_linear
    range_in("columns", first, last, F)
    is_matrix("features", M, features.shape[1], M, F)
    is_matrix("d_scores", d_scores.shape[0], d_scores.shape[1], M, K)
    if first == 0:
        fits("d_bias", d_bias.shape[0], K)
    d_linear = fl_linear(K, F, &d_weight[0, 0], &d_bias[0])
    with nogil:
        table.gradient_of_rows(&d_linear, M, first, last, &features[0, 0], &d_scores[0, 0], accumulate)
