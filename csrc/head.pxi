"""A linear layer on features, and losses."""

# -- losses ------------------------------------------------------------------------------------------------------------

cdef inline int rows_with_loss_fit(
    int64_t first, int64_t last, int64_t K, const real[:, ::1] shares, const double[::1] values
) except -1:
    """Rows from `first` to `last` of shares[M, K], or [M, 1] for all of a row, and of values[M]."""
    range_in("rows", first, last, MOST)
    at_least("K", K, 1)
    fits("values", values.shape[0], last)
    return is_matrix("shares", shares.shape[0], shares.shape[1], last, 1 if shares.shape[1] == 1 else K)


cdef int labels_fit(
    int64_t first, int64_t last, int64_t K, const int64_t[:, ::1] labels, const real[:, ::1] shares
) except -1:
    """Classes of the rows from `first` to `last`, where they have a share."""
    cdef int64_t m
    is_matrix("targets", labels.shape[0], labels.shape[1], last, 1)
    for m in range(first, last):
        if shares[m, 0] != 0 and not 0 <= labels[m, 0] < K:
            raise ValueError(f"targets[{m}] is {labels[m, 0]}, of {K} classes.")
    return 0


cdef inline int is_loss(int64_t number, int64_t first, int64_t last) except -1:
    if not first <= number <= last:
        raise ValueError(f"number is {number}, expected that of a loss from {first} to {last}.")
    return 0


def losses_of_rows(
    int64_t number, int64_t first, int64_t last, int64_t K, targets, const real[:, ::1] shares, double[::1] values,
    real[:, ::1] d_scores,
):
    cdef const int64_t[:, ::1] labels = None
    cdef const real[:, ::1] of_rows = None
    is_loss(number, FL_CROSS_ENTROPY, FL_BINARY_CROSS_ENTROPY)
    rows_with_loss_fit(first, last, K, shares, values)
    if d_scores.shape[1] < K:
        raise ValueError(f"d_scores has {d_scores.shape[1]} columns, {K} are needed.")
    is_matrix("d_scores", d_scores.shape[0], d_scores.shape[1], last, d_scores.shape[1])
    if number == FL_CROSS_ENTROPY:
        labels = targets
        labels_fit(first, last, K, labels, shares)
    else:
        of_rows = targets
        is_matrix("targets", of_rows.shape[0], of_rows.shape[1], last, K)
    with nogil:
        table.losses_of_rows(
            number, first, last, K, &of_rows[0, 0], &labels[0, 0], &shares[0, 0], shares.shape[1], &values[0],
            &d_scores[0, 0], d_scores.shape[1],
        )


def losses_of_distributions(
    int64_t number, int64_t first, int64_t last, int64_t S, const double[::1] levels, const real[:, ::1] targets,
    const real[:, ::1] shares, double[::1] values, real[:, ::1] d_scores, double[::1] slopes,
):
    cdef int64_t K = targets.shape[1]
    is_loss(number, FL_QUANTILE, FL_GAUSSIAN_NLL)
    rows_with_loss_fit(first, last, K, shares, values)
    is_matrix("targets", targets.shape[0], targets.shape[1], last, K)
    if number == FL_QUANTILE:
        at_least("S", S, 1)
        fits("levels", levels.shape[0], S)
        fits("slopes", slopes.shape[0], S)
    elif S != (1 if number == FL_POISSON else 2):
        raise ValueError(f"S is {S}, which is not the number of scores of this loss.")
    if d_scores.shape[1] < product(K, S):
        raise ValueError(f"d_scores has {d_scores.shape[1]} columns, {K} * {S} are needed.")
    is_matrix("d_scores", d_scores.shape[0], d_scores.shape[1], last, d_scores.shape[1])
    with nogil:
        table.losses_of_distributions(
            number, first, last, S, &levels[0], &targets[0, 0], K, &shares[0, 0], shares.shape[1], &values[0],
            &d_scores[0, 0], d_scores.shape[1], &slopes[0],
        )


# -- a linear layer of one or two outputs ------------------------------------------------------------------------------

def forward_rows(
    int64_t first, int64_t last, const real[:, ::1] features, const real[:, ::1] weight, const real[::1] bias,
    real[:, ::1] scores,
):
    cdef int64_t K = weight.shape[0], F = weight.shape[1]
    range_in("rows", first, last, MOST)
    is_matrix("features", features.shape[0], features.shape[1], last, F)
    fits("bias", bias.shape[0], K)
    is_matrix("scores", scores.shape[0], scores.shape[1], last, K)
    with nogil:
        table.forward_rows(first, last, F, K, &features[0, 0], &weight[0, 0], &bias[0], &scores[0, 0])


def differentiate_rows(
    int64_t number, int64_t first, int64_t last, const real[:, ::1] features, const real[:, ::1] weight,
    const real[::1] bias, targets, const real[:, ::1] shares, double[::1] values, real[:, ::1] d_scores,
    real[:, ::1] d_features,
):
    cdef int64_t K = weight.shape[0], F = weight.shape[1]
    cdef const int64_t[:, ::1] labels = None
    cdef const real[:, ::1] of_rows = None
    is_loss(number, FL_CROSS_ENTROPY, FL_BINARY_CROSS_ENTROPY)
    rows_with_loss_fit(first, last, K, shares, values)
    is_matrix("features", features.shape[0], features.shape[1], last, F)
    fits("bias", bias.shape[0], K)
    is_matrix("d_scores", d_scores.shape[0], d_scores.shape[1], last, K)
    is_matrix("d_features", d_features.shape[0], d_features.shape[1], last, F)
    if number == FL_CROSS_ENTROPY:
        labels = targets
        labels_fit(first, last, K, labels, shares)
    else:
        of_rows = targets
        is_matrix("targets", of_rows.shape[0], of_rows.shape[1], last, K)
    with nogil:
        table.differentiate_rows(
            number, first, last, F, K, &features[0, 0], &weight[0, 0], &bias[0], &of_rows[0, 0], &labels[0, 0],
            &shares[0, 0], shares.shape[1], &values[0], &d_scores[0, 0], &d_features[0, 0],
        )


def backward_rows(
    int64_t first, int64_t last, const real[:, ::1] weight, const real[:, ::1] d_scores, real[:, ::1] d_features
):
    cdef int64_t K = weight.shape[0], F = weight.shape[1]
    range_in("rows", first, last, MOST)
    is_matrix("d_scores", d_scores.shape[0], d_scores.shape[1], last, K)
    is_matrix("d_features", d_features.shape[0], d_features.shape[1], last, F)
    with nogil:
        table.backward_rows(first, last, F, K, &weight[0, 0], &d_scores[0, 0], &d_features[0, 0])


def gradient_of_rows(
    int64_t first, int64_t last, const real[:, ::1] features, const real[:, ::1] d_scores, real[:, ::1] d_weight,
    real[::1] d_bias, bint more,
):
    cdef int64_t M = features.shape[0], K = d_weight.shape[0], F = d_weight.shape[1]
    range_in("columns", first, last, F)
    is_matrix("features", M, features.shape[1], M, F)
    is_matrix("d_scores", d_scores.shape[0], d_scores.shape[1], M, K)
    if first == 0:
        fits("d_bias", d_bias.shape[0], K)
    with nogil:
        table.gradient_of_rows(
            M, first, last, F, K, &features[0, 0], &d_scores[0, 0], &d_weight[0, 0], &d_bias[0], more
        )
