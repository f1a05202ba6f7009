/* What all cells share: the layout of rows, packing of weights, sequences in and gradients out. */

#define transpose FL(transpose)
#define copy FL(copy)
#define put_state FL(put_state)
#define mask_states FL(mask_states)
#define clear_padding FL(clear_padding)
#define put_inputs FL(put_inputs)
#define take_states FL(take_states)

#define AHEAD 8 /* rows that are asked for before they are copied */

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

static void FL(pack_gates)(int64_t G, int64_t C, int64_t H, int64_t first, int64_t last, const real *weight_ih,
                           const real *weight_hh, const real *bias_ih, const real *bias_hh, real *out)
{
    const int64_t K = C + 1 + H;
    for (int64_t unit = first; unit < last; unit += L) {
        const int64_t units = smaller(L, H - unit);
        real *const block = out + unit * G * K;
        if (units < L)
            for (int64_t j = 0; j < K * G * L; j++)
                block[j] = 0;
        for (int64_t gate = 0; gate < G; gate++) {
            const int64_t row = gate * H + unit;
            real *const x_part = block + gate * L, *const bias = x_part + C * G * L, *const h_part = bias + G * L;
            transpose(C, units, weight_ih + row * C, C, x_part, G * L);
            transpose(H, units, weight_hh + row * H, H, h_part, G * L);
            for (int64_t j = 0; j < units; j++)
                bias[j] = bias_ih[row + j] + bias_hh[row + j];
        }
    }
}

static void FL(pack_panels)(int64_t G, int64_t H, int64_t P, int64_t M, int64_t first, int64_t last, const real *w,
                            real *out)
{
    for (int64_t m = first, wide; m < last; m += wide) {
        wide = m + 4 * L <= last ? 4 * L : m + 2 * L <= last ? 2 * L : L;
        const int64_t filled = larger(0, smaller(wide, M - m));
        real *row_out = out + m * G * P;
        for (int64_t g = 0; g < G; g++)
            for (int64_t row = 0; row < P; row++, row_out += wide) {
                const int64_t size = row < H ? filled : 0;
                if (size > 0)
                    copy(size, w + (g * H + row) * M + m, row_out);
                for (int64_t j = size; j < wide; j++)
                    row_out[j] = 0;
            }
    }
}

/* Initial states of the sequences from `first` to `last`: h_0[N, H : h_stride], or zeros. */
static void put_state(int64_t first, int64_t last, int64_t C, int64_t H, int64_t P, const real *h_0, int64_t h_stride,
                      bool has_state, real *rows, int64_t stride)
{
    for (int64_t n = first; n < last; n++) {
        real *const h = rows + n * stride + C + 1;
        if (has_state)
            copy(H, h_0 + n * h_stride, h);
        for (int64_t unit = has_state ? H : 0; unit < P; unit++)
            h[unit] = 0;
    }
}

static void FL(load_rows)(const int64_t *starts, int64_t T, const int64_t *lengths, bool reverse, int64_t first,
                          int64_t last, int64_t C, int64_t H, int64_t P, const real *x, const int64_t *at,
                          const real *h_0, int64_t h_stride, bool has_state, real *rows, int64_t stride)
{
    for (int64_t t = 0; t < T; t++) {
        const int64_t end = smaller(last, starts[t + 1] - starts[t]);
        for (int64_t n = first; n < end; n++) {
            real *const row = rows + (starts[t] + n) * stride;
            /* series and rows lie far apart: no cache foresees them */
            PREFETCH(x, at[smaller(n + AHEAD, end - 1)] + t * C);
            PREFETCH(row, AHEAD * stride);
            copy(C, x + at[n] + (reverse ? lengths[n] - 1 - t : t) * C, row);
            row[C] = 1;
        }
    }
    put_state(first, last, C, H, P, h_0, h_stride, has_state, rows, stride);
}

static void FL(begin_rows)(const int64_t *starts, int64_t T, int64_t first, int64_t last, int64_t C, int64_t H,
                           int64_t P, const real *h_0, int64_t h_stride, bool has_state, real *rows, int64_t stride)
{
    for (int64_t t = 0; t < T; t++)
        for (int64_t n = first; n < smaller(last, starts[t + 1] - starts[t]); n++)
            rows[(starts[t] + n) * stride + C] = 1;
    put_state(first, last, C, H, P, h_0, h_stride, has_state, rows, stride);
}

static void FL(copy_outputs)(const int64_t *starts, int64_t T, const int64_t *lengths, bool turned, int64_t first,
                             int64_t last, int64_t H, const real *states, int64_t s_stride, real *out,
                             int64_t o_stride)
{
    for (int64_t t = 0; t < T; t++)
        for (int64_t n = first; n < smaller(last, starts[t + 1] - starts[t]); n++) {
            const int64_t after = (t + 1 < lengths[n] ? starts[t + 1] : starts[T]) + n;
            const int64_t there = (turned ? starts[lengths[n] - 1 - t] : starts[t]) + n;
            copy(H, states + after * s_stride, out + there * o_stride);
        }
}

static void FL(add_gradients)(const int64_t *starts, int64_t T, const int64_t *lengths, bool turned, int64_t first,
                              int64_t last, int64_t H, const real *d, int64_t d_stride, real *d_h, int64_t h_stride,
                              bool more)
{
    const int64_t whole = H / L * L;
    for (int64_t t = 0; t < T; t++)
        for (int64_t n = first; n < smaller(last, starts[t + 1] - starts[t]); n++) {
            real *const here = d_h + (starts[t] + n) * h_stride;
            const real *const there = d + ((turned ? starts[lengths[n] - 1 - t] : starts[t]) + n) * d_stride;
            if (!more) {
                copy(H, there, here);
                continue;
            }
            for (int64_t j = 0; j < whole; j += L)
                vstore(here + j, vadd(vload(here + j), vload(there + j)));
            for (int64_t j = whole; j < H; j++)
                here[j] += there[j];
        }
}

/* What a step's states are for the gates of the next: the states times mask[., P], into the rows.

   For N sequences from r_first on and the units from `first` to `last`; their states are in the rows from `later` on,
   of those sequences that are going on, from `end` on, of the others. */
static void mask_states(int64_t N, int64_t going_on, int64_t r_first, int64_t first, int64_t last, int64_t later,
                        int64_t end, int64_t C, int64_t P, const real *mask, const real *states, int64_t s_stride,
                        real *rows, int64_t stride)
{
    for (int64_t n = 0; n < N; n++) {
        const int64_t after = (n < going_on ? later : end) + n;
        for (int64_t unit = first; unit < last; unit += L) {
            const vec h = vload(states + after * s_stride + unit);
            vstore(rows + after * stride + C + 1 + unit, vmul(h, vload(mask + (r_first + n) * P + unit)));
        }
    }
}

/* The gradient of a row's sums, dz[G, P], in the padded units: zero already, but where an input is infinite. */
INLINE void clear_padding(int64_t G, int64_t H, int64_t P, int64_t u_first, int64_t u_last, real *dz)
{
    for (int64_t gate = 0; gate < G; gate++)
        for (int64_t unit = larger(H, u_first); unit < u_last; unit++)
            dz[gate * P + unit] = 0;
}

/* x[N, C : x_stride] as the inputs of the first N rows. */
static void put_inputs(int64_t N, int64_t C, const real *x, int64_t x_stride, real *rows, int64_t stride)
{
    for (int64_t n = 0; n < N; n++)
        for (int64_t k = 0; k < C; k++)
            rows[n * stride + k] = x[n * x_stride + k];
}

/* h[N, H : h_stride]: the states after one step; they are left where the next begins. */
static void take_states(int64_t N, int64_t C, int64_t H, real *rows, int64_t stride, real *h, int64_t h_stride)
{
    for (int64_t n = 0; n < N; n++) {
        real *const before = rows + n * stride + C + 1, *const after = before + N * stride;
        for (int64_t unit = 0; unit < H; unit++)
            h[n * h_stride + unit] = before[unit] = after[unit];
    }
}

static void FL(unpack)(int64_t G, int64_t C, int64_t H, int64_t P, int64_t first, int64_t last, const real *d_w,
                       real *d_weight_ih, real *d_weight_hh, real *d_bias_ih, real *d_bias_hh)
{
    const int64_t Q = G * P;
    for (int64_t gate = 0; gate < G; gate++) {
        const int64_t begin = larger(first - gate * P, 0), end = smaller(last - gate * P, H);
        if (begin >= end)
            continue;
        const real *const column = d_w + gate * P + begin, *const bias = column + C * Q;
        const int64_t unit = gate * H + begin;
        transpose(end - begin, C, column, Q, d_weight_ih + unit * C, C);
        transpose(end - begin, H, bias + Q, Q, d_weight_hh + unit * H, H);
        for (int64_t j = 0; j < end - begin; j++)
            d_bias_ih[unit + j] = d_bias_hh[unit + j] = bias[j];
    }
}
