/* A linear layer of one or two outputs: plain loops, which the compiler turns into vectors. Sums are made in one order
   on every level. */

#define dot FL(dot)
#define scores_of_row FL(scores_of_row)
#define gradient_of_row FL(gradient_of_row)

#define WAYS 16
#define COLUMNS 64 /* columns of a weight gradient that are summed together */

/* The sum of a[F] * b[F]. */
INLINE real dot(int64_t F, const real *a, const real *b)
{
    real sums[WAYS] = {0};
    const int64_t whole = F / WAYS * WAYS;
    for (int64_t start = 0; start < whole; start += WAYS)
        for (int way = 0; way < WAYS; way++)
            sums[way] += a[start + way] * b[start + way];
    for (int64_t way = 0; way < F - whole; way++)
        sums[way] += a[whole + way] * b[whole + way];
    real total = sums[0];
    for (int way = 1; way < WAYS; way++)
        total += sums[way];
    return total;
}

/* scores[K] of features[F] */
INLINE void scores_of_row(const fl_linear *linear, const real *features, real *scores)
{
    for (int64_t k = 0; k < linear->K; k++)
        scores[k] = linear->bias[k] + dot(linear->F, features, linear->weight + k * linear->F);
}

/* d_features[F] from d_scores[K] */
INLINE void gradient_of_row(const fl_linear *linear, const real *d_scores, real *d_features)
{
    const int64_t K = linear->K, F = linear->F;
    const real *const weight = linear->weight;
    for (int64_t unit = 0; unit < F; unit++)
        d_features[unit] = 0;
    for (int64_t k = 0; k < K; k++) {
        const real d = d_scores[k];
        for (int64_t unit = 0; unit < F; unit++)
            d_features[unit] += d * weight[k * F + unit];
    }
}

static void FL(forward_rows)(const fl_linear *linear, int64_t first, int64_t last, const real *features, real *scores)
{
    for (int64_t m = first; m < last; m++)
        scores_of_row(linear, features + m * linear->F, scores + m * linear->K);
}

static void FL(differentiate_rows)(const fl_linear *linear, const fl_loss *loss, int64_t first, int64_t last,
                                   const real *features, real *d_scores, real *d_features)
{
    for (int64_t m = first; m < last; m++) {
        real *const d = d_scores + m * linear->K;
        scores_of_row(linear, features + m * linear->F, d);
        loss->values[m] = loss_of_row(loss, m, d, linear->K);
        gradient_of_row(linear, d, d_features + m * linear->F);
    }
}

static void FL(backward_rows)(const fl_linear *linear, int64_t first, int64_t last, const real *d_scores,
                              real *d_features)
{
    for (int64_t m = first; m < last; m++)
        gradient_of_row(linear, d_scores + m * linear->K, d_features + m * linear->F);
}

static void FL(gradient_of_rows)(const fl_linear *d_linear, int64_t M, int64_t first, int64_t last,
                                 const real *features, const real *d_scores, bool accumulate)
{
    const int64_t K = d_linear->K, F = d_linear->F;
    real *const d_weight = d_linear->weight, *const d_bias = d_linear->bias;
    if (first >= last) /* the thread that has the first column sums the biases */
        return;
    for (int64_t k = 0; k < K && !accumulate; k++) {
        for (int64_t unit = first; unit < last; unit++)
            d_weight[k * F + unit] = 0;
        if (first == 0)
            d_bias[k] = 0;
    }
    for (int64_t block = 0; block < M; block += FL_BLOCK_ROWS) /* sums of blocks have smaller rounding errors */
        for (int64_t k = 0; k < K; k++) {
            const int64_t end = smaller(block + FL_BLOCK_ROWS, M);
            for (int64_t column = first; column < last; column += COLUMNS) {
                const int64_t units = smaller(COLUMNS, last - column);
                real sums[COLUMNS] = {0};
                for (int64_t m = block; m < end; m++) {
                    const real d = d_scores[m * K + k];
                    for (int64_t unit = 0; unit < units; unit++)
                        sums[unit] += d * features[m * F + column + unit];
                }
                for (int64_t unit = 0; unit < units; unit++)
                    d_weight[k * F + column + unit] += sums[unit];
            }
            if (first == 0) {
                real bias = d_bias[k] - d_bias[k];
                for (int64_t m = block; m < end; m++)
                    bias += d_scores[m * K + k];
                d_bias[k] += bias;
            }
        }
}
