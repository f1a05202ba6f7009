/* What all cells share: the layout of rows, sequences in and gradients out. */

#define transpose FL(transpose)
#define copy FL(copy)
#define unpack_gates FL(unpack_gates)

#define AHEAD 8 /* rows to prefetch before they are copied */

/* out[R, Q : out_stride] = a[Q, R : a_stride].T */
static void transpose(int64_t R, int64_t Q, const real *a, int64_t a_stride, real *out, int64_t out_stride)
{
    for (int64_t r = 0; r < R; r += L)
        for (int64_t q = 0; q < Q; q += L) {
            if (r + L <= R && q + L <= Q) {
                transpose_square(a + q * a_stride + r, a_stride, out + r * out_stride + q, out_stride);
                continue;
            }
            for (int64_t r_edge = r; r_edge < smaller(r + L, R); r_edge++)
                for (int64_t q_edge = q; q_edge < smaller(q + L, Q); q_edge++)
                    out[r_edge * out_stride + q_edge] = a[q_edge * a_stride + r_edge];
        }
}

/* out[size] = a[size] */
INLINE void copy(int64_t size, const real *a, real *out)
{
    const int64_t whole = size / L * L;
    for (int64_t j = 0; j < whole; j += L)
        vstore(out + j, vload(a + j));
    for (int64_t j = whole; j < size; j++)
        out[j] = a[j];
}

/* Gradients in the shapes of the weights, from a part's columns of d_w[C+1+H, G*P]. */
static inline void unpack_gates(int64_t G, const fl_weights *d_weights, const fl_part *part, const real *d_w)
{
    const int64_t C = d_weights->C, H = d_weights->H, P = d_weights->P, Q = G * P;
    const range columns = share(part, Q, 4 * L);
    for (int64_t gate = 0; gate < G; gate++) {
        const int64_t begin = larger(columns.first - gate * P, 0), end = smaller(columns.last - gate * P, H);
        if (begin >= end)
            continue;
        const real *const column = d_w + gate * P + begin, *const bias = column + C * Q;
        const int64_t unit = gate * H + begin;
        transpose(end - begin, C, column, Q, d_weights->weight_ih + unit * C, C);
        transpose(end - begin, H, bias + Q, Q, d_weights->weight_hh + unit * H, H);
        for (int64_t j = 0; j < end - begin; j++)
            d_weights->bias_ih[unit + j] = d_weights->bias_hh[unit + j] = bias[j];
    }
}

static void FL(add_rows)(const fl_matrix *rows, const int64_t *which, int64_t S, int64_t first, int64_t last, real *out,
                         int64_t Q)
{
    const int64_t whole = first + (last - first) / L * L;
    for (int64_t m = 0; m < rows->rows; m++)
        for (int64_t s = 0; s < S; s++) {
            const real *const row = rows->at + m * rows->stride;
            real *const sum = out + which[m * S + s] * Q;
            for (int64_t q = first; q < whole; q += L)
                vstore(sum + q, vadd(vload(sum + q), vload(row + q)));
            for (int64_t q = whole; q < last; q++)
                sum[q] += row[q];
        }
}

static void FL(load_rows)(const fl_run *run, const fl_part *part, const real *x, const int64_t *at, bool reverse)
{
    const int64_t *const starts = run->batch.starts, *const lengths = run->batch.lengths;
    const int64_t C = run->C, stride = run->stride;
    for (int64_t t = 0; t < run->batch.T; t++) {
        const int64_t end = smaller(part->last, starts[t + 1] - starts[t]);
        for (int64_t n = part->first; n < end; n++) {
            real *const row = run->rows + (starts[t] + n) * stride;
            if (x) {
                /* series and rows lie far apart: no hardware prefetches them */
                PREFETCH(ADDRESS(x, at[smaller(n + AHEAD, end - 1)] + t * C));
                PREFETCH(ADDRESS(row, AHEAD * stride));
                copy(C, x + at[n] + (reverse ? lengths[n] - 1 - t : t) * C, row);
            }
            row[C] = 1;
        }
    }
}

static void FL(put_states)(const fl_run *run, const fl_part *part, const real *h_0, int64_t h_stride, const real *c_0,
                           int64_t c_stride)
{
    const int64_t H = run->H, P = run->P;
    for (int64_t n = part->first; n < part->last; n++) {
        real *const h = run->states + n * run->s_stride;
        if (h_0)
            copy(H, h_0 + n * h_stride, h);
        for (int64_t unit = h_0 ? H : 0; unit < P; unit++)
            h[unit] = 0;
        if (run->mask)
            for (int64_t unit = 0; unit < P; unit++)
                run->rows[n * run->stride + run->C + 1 + unit] = h[unit] * run->mask[n * P + unit];
        if (run->c) {
            real *const c = run->c + n * P;
            if (h_0)
                copy(H, c_0 + n * c_stride, c);
            for (int64_t unit = h_0 ? H : 0; unit < P; unit++)
                c[unit] = 0;
        }
    }
}

static void FL(copy_outputs)(const fl_run *run, const fl_part *part, bool reverse, real *out, int64_t o_stride)
{
    const fl_batch *const batch = &run->batch;
    const int64_t *const starts = batch->starts, *const lengths = batch->lengths;
    for (int64_t t = 0; t < batch->T; t++)
        for (int64_t n = part->first; n < smaller(part->last, starts[t + 1] - starts[t]); n++) {
            const int64_t after = (t + 1 < lengths[n] ? starts[t + 1] : batch->M) + n;
            const int64_t there = (reverse ? starts[lengths[n] - 1 - t] : starts[t]) + n;
            copy(run->H, run->states + after * run->s_stride, out + there * o_stride);
        }
}

static void FL(add_gradients)(const fl_run *run, const fl_part *part, bool reverse, const real *d, int64_t d_stride,
                              bool accumulate)
{
    const int64_t *const starts = run->batch.starts, *const lengths = run->batch.lengths;
    const int64_t H = run->H, whole = H / L * L;
    for (int64_t t = 0; t < run->batch.T; t++)
        for (int64_t n = part->first; n < smaller(part->last, starts[t + 1] - starts[t]); n++) {
            real *const here = run->d_h + (starts[t] + n) * run->P;
            const real *const there = d + ((reverse ? starts[lengths[n] - 1 - t] : starts[t]) + n) * d_stride;
            if (!accumulate) {
                copy(H, there, here);
                continue;
            }
            for (int64_t j = 0; j < whole; j += L)
                vstore(here + j, vadd(vload(here + j), vload(there + j)));
            for (int64_t j = whole; j < H; j++)
                here[j] += there[j];
        }
}
