/* Recursive forecasts: each is the input of the next step, and the layers carry their states on.

       y_j = offset_j + sum_t lags_t y_(j-T+t) + point s_0 + width sqrt(e^(2 s_1) + VARIANCE_FLOOR)^sharpness noise_j

   s_0 and s_1 are the scores of a linear layer after step j - 1. Sums are made in one order on every level. */

#define sum_of_lags FL(sum_of_lags)
#define set_forecasts FL(set_forecasts)
#define advance FL(advance)

/* The sum of lags[T] * y[T]: `dot` of doubles. */
INLINE double sum_of_lags(int64_t T, const double *lags, const double *y)
{
    double sums[WAYS] = {0};
    const int64_t whole = T / WAYS * WAYS;
    for (int64_t start = 0; start < whole; start += WAYS)
        for (int way = 0; way < WAYS; way++)
            sums[way] += lags[start + way] * y[start + way];
    for (int64_t way = 0; way < T - whole; way++)
        sums[way] += lags[whole + way] * y[whole + way];
    double total = sums[0];
    for (int way = 1; way < WAYS; way++)
        total += sums[way];
    return total;
}

/* The forecasts of a step, also as inputs of the next one. */
static void set_forecasts(const fl_roll_out *of, const fl_part *part, int64_t step)
{
    const int64_t T = of->T, S = of->S;
    for (int64_t n = part->first; n < part->last; n++) {
        double *const series = of->series + n * (T + S) + step;
        double y = of->offset[n * S + step] + sum_of_lags(T, of->lags, series);
        if (of->linear) {
            const real *const scores = of->scores + n * of->linear->K;
            y += of->point * scores[0];
            if (of->noise) {
                const double variance = exp(2 * (double)scores[1]) + VARIANCE_FLOOR;
                y += of->width * pow(variance, of->sharpness / 2) * of->noise[n * S + step];
            }
            if (step + 1 < S)
                of->x[(n * (S - 1) + step) * of->C] = (real)y;
        }
        series[T] = y;
    }
}

/* The layers' states and the scores after the inputs of a step. */
static void advance(const fl_roll_out *of, const fl_part *part, int64_t step)
{
    const real *inputs = of->x + step * of->C;
    int64_t stride = (of->S - 1) * of->C;
    for (int64_t k = 0; k < of->depth; k++) {
        const fl_run *const run = of->layers[k].run;
        of->layers[k].cell->step(run, part, of->layers[k].w, inputs, stride, run->states, run->s_stride);
        inputs = run->states; /* the next layer reads them where the next step does */
        stride = run->s_stride;
    }
    for (int64_t n = part->first; n < part->last; n++)
        scores_of_row(of->linear, inputs + n * stride, of->scores + n * of->linear->K);
}

static void FL(roll_out)(const fl_roll_out *of, const fl_part *part)
{
    const fl_part rows = {.first = part->first, .last = part->last, .rank = part->rank, .size = part->size};
    for (int64_t step = 0; step < of->S; step++) {
        set_forecasts(of, &rows, step);
        if (of->linear && step + 1 < of->S)
            advance(of, &rows, step);
    }
}
