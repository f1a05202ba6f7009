/* Rows of packed batches from and to arrays of one block per sequence. */

static void FL(gather)(const int64_t *starts, const int64_t *lengths, const int64_t *order, bool reverse,
                       int64_t first, int64_t last, int64_t T, int64_t F, int64_t column, const real *array, int64_t W,
                       real *rows, int64_t stride)
{
    for (int64_t t = first; t < last; t++)
        for (int64_t n = 0; n < starts[t + 1] - starts[t]; n++) {
            const int64_t there = reverse ? lengths[n] - 1 - t : t;
            copy(W, array + (order[n] * T + there) * F + column, rows + (starts[t] + n) * stride);
        }
}

static void FL(scatter)(const int64_t *starts, int64_t steps, const int64_t *lengths, const int64_t *order, int64_t N,
                        bool reverse, bool states, bool add, int64_t W, const real *rows, int64_t stride, int64_t T,
                        int64_t F, real *out, int64_t column)
{
    for (int64_t t = 0; t < T; t++) {
        const int64_t active = t < steps ? starts[t + 1] - starts[t] : 0;
        for (int64_t n = 0; n < active; n++) {
            int64_t row = starts[t] + n;
            if (states)
                row = (t + 1 < lengths[n] ? starts[t + 1] : starts[steps]) + n;
            real *const there = out + (order[n] * T + (reverse ? lengths[n] - 1 - t : t)) * F + column;
            if (add)
                for (int64_t j = 0; j < W; j++)
                    there[j] += rows[row * stride + j];
            else
                copy(W, rows + row * stride, there);
        }
        for (int64_t n = active; n < N; n++)
            for (int64_t j = 0; j < W; j++)
                out[(order[n] * T + t) * F + column + j] = 0;
    }
}
