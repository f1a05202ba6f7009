/* Solvers, and the norm that clipping needs: one pass over the parameters each. */

static void FL(square_sums)(int64_t first, int64_t last, int64_t P, const real *g, double *sums)
{
    /* WAYS partial sums: the same order of additions on every level, and the compiler can vectorise them */
    for (int64_t block = first; block < last; block++) {
        const real *const part = g + block * FL_SQUARES;
        const int64_t size = smaller(FL_SQUARES, P - block * FL_SQUARES), whole = size / WAYS * WAYS;
        double ways[WAYS] = {0}, total = 0;
        for (int64_t start = 0; start < whole; start += WAYS)
            for (int way = 0; way < WAYS; way++)
                ways[way] += (double)part[start + way] * (double)part[start + way];
        for (int64_t way = 0; way < size - whole; way++)
            ways[way] += (double)part[whole + way] * (double)part[whole + way];
        for (int way = 0; way < WAYS; way++)
            total += ways[way];
        sums[block] = total;
    }
}

static void FL(adam)(int64_t first, int64_t last, int64_t P, real *p, const real *g, real *moments, const real *c)
{
    const real scale = c[0], rate_m = c[1], rate_v = c[2], rate = c[3], correction = c[4], epsilon = c[5];
    real *const m = moments, *const v = moments + P;
    for (int64_t j = first; j < last; j++) {
        const real g_j = scale * g[j];
        m[j] += rate_m * (g_j - m[j]);
        v[j] += rate_v * (g_j * g_j - v[j]);
        p[j] -= rate * m[j] / (REAL(sqrt)(correction * v[j]) + epsilon);
    }
}

static void FL(sgd)(int64_t first, int64_t last, int64_t P, real *p, const real *g, real *moments, const real *c)
{
    (void)P;
    const real scale = c[0], momentum = c[1], nesterov = c[2], rate = c[3];
    real *const velocity = moments;
    for (int64_t j = first; j < last; j++) {
        const real g_j = scale * g[j];
        velocity[j] = momentum * velocity[j] + g_j;
        const real ahead = g_j + momentum * velocity[j];
        p[j] -= rate * (velocity[j] + nesterov * (ahead - velocity[j]));
    }
}

static void FL(rmsprop)(int64_t first, int64_t last, int64_t P, real *p, const real *g, real *moments, const real *c)
{
    (void)P;
    const real scale = c[0], rate_v = c[1], rate = c[2], epsilon = c[3];
    real *const v = moments;
    for (int64_t j = first; j < last; j++) {
        const real g_j = scale * g[j];
        v[j] += rate_v * (g_j * g_j - v[j]);
        p[j] -= rate * g_j / (REAL(sqrt)(v[j]) + epsilon);
    }
}
