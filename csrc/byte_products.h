/* Weights, rows and sums of products of bytes, for the cells; see bytes.h. */

/* -- weights ------------------------------------------------------------------------------------------------------- */

#define BLOCK 64 /* bytes of each row that are transposed together */

#define pack_rows FL(pack_rows)
#define pack_bytes FL(pack_bytes)

/* out[OPERANDS(R), Q : out_stride]: the bytes of a[Q, R].T, Q <= L; and their scales[Q]. */
static void pack_rows(int64_t R, int64_t Q, const real *a, real *scales, operand *out, int64_t out_stride)
{
    real inverse[L], bytes[L * BLOCK / 4]; /* of any type: only their bits are moved */
    for (int64_t q = 0; q < Q; q++) {
        const real largest = largest_of(R, a + q * R);
        scales[q] = scale_of(largest);
        inverse[q] = inverse_of(largest);
    }
    for (int64_t r = 0; r < R; r += BLOCK) {
        const int64_t size = smaller(BLOCK, R - r);
        for (int64_t q = 0; q < Q; q++) {
            int8_t *const of_row = (int8_t *)(bytes + q * BLOCK / 4);
            round_row(size, a + q * R + r, inverse[q], of_row);
#if OFFSET
            for (int64_t j = 0; j < BLOCK; j++)
                of_row[j] ^= -OFFSET;
#endif
        }
        transpose(OPERANDS(size), Q, bytes, BLOCK / 4, (real *)(out + r / 4 * out_stride), out_stride);
    }
}

/* out[P/L], of some units: for each vector of them, float32 numbers, biases[slots][L] and scales of the weights of x and
   of h' [2][gates][L]; then the weights [OF_ROW][gates][L]. Of more slots than gates, x has the first and h' the last,
   the last gate comes first, and so do the biases of x; the last slot has those of h'. */
INLINE void pack_bytes(const int gates, const int slots, const fl_weights *weights, range units, operand *out)
{
    const int64_t C = weights->C, H = weights->H, wide = gates * L;
    for (int64_t unit = units.first; unit < smaller(units.last, H); unit += L) {
        const int64_t filled = smaller(L, H - unit);
        real *const biases = (real *)(out + unit * (OF_ROW(weights) * gates + slots + 2 * gates));
        real *const scales = biases + slots * L;
        operand *const x_part = (operand *)(scales + 2 * wide), *const h_part = x_part + OF_X(weights) * wide;
        for (int64_t j = 0; j < slots * L + 2 * wide; j++)
            biases[j] = 0;
        memset(x_part, 0, (size_t)(OF_ROW(weights) * wide) * sizeof(operand));
        for (int64_t gate = 0; gate < gates; gate++) {
            const int64_t row = gate * H + unit, h_slot = gate + slots - gates, x_slot = h_slot % gates;
            pack_rows(C, filled, weights->weight_ih + row * C, scales + x_slot * L, x_part + x_slot * L, wide);
            pack_rows(H, filled, weights->weight_hh + row * H, scales + wide + gate * L, h_part + gate * L, wide);
            for (int64_t j = 0; j < filled; j++) {
                biases[x_slot * L + j] += weights->bias_ih[row + j];
                biases[h_slot * L + j] += weights->bias_hh[row + j];
            }
        }
    }
}

/* -- rows ---------------------------------------------------------------------------------------------------------- */

/* A rounded row: its scales and -OFFSET times its sums, of x and h', then the bytes of either. */
#define SCALE(of_h) (of_h)
#define SUM_OF_ROW(of_h) (2 + (of_h))
#define BYTES 4 /* where they begin */

#define run_of_part FL(run_of_part)
#define round_part FL(round_part)
#define round_step FL(round_step)

/* The run with the part's own room for rounded rows. */
INLINE fl_run run_of_part(const fl_run *run, const fl_part *part)
{
    fl_run own = *run;
    own.factors += part->rank * run->batch.N * run->f_stride;
    return own;
}

INLINE void round_part(int64_t n, const real *a, const int of_h, real *row, int8_t *out)
{
    const real largest = largest_of(n, a);
    row[SCALE(of_h)] = scale_of(largest);
    round_row(n, a, inverse_of(largest), out);
#if OFFSET
    int32_t sum = 0;
    for (int64_t j = 0; j < n; j++)
        sum -= OFFSET * out[j];
    memcpy(row + SUM_OF_ROW(of_h), &sum, sizeof sum);
#endif
}

/* Round the rows of a step. */
INLINE void round_step(const fl_run *run, struct step step)
{
    for (int64_t n = 0; n < step.active; n++) {
        const real *const x = run->rows + (step.now + n) * run->stride;
        real *const row = run->factors + n * run->f_stride;
        int8_t *const bytes = (int8_t *)(row + BYTES);
        memset(bytes + (OF_X(run) - 1) * 4, 0, 4); /* x may not fill it */
        round_part(run->C, x, 0, row, bytes);      /* and may go on into h' */
        round_part(run->P, x + run->C + 1, 1, row, bytes + OF_X(run) * 4);
    }
}

/* -- products ------------------------------------------------------------------------------------------------------ */

#define integer_sums FL(integer_sums)
#define byte_tile FL(byte_tile)
#define byte_sums FL(byte_sums)

/* out[rows, gates * L] = the rows' sums, of x or h', K operands from `first` on. */
INLINE void integer_sums(const int rows, const int gates, const int of_h, int64_t first, int64_t K, const real *row,
                         int64_t stride, const operand *w, int32_t *out)
{
    const int vecs = gates * (int)(L / SUMS), chains = larger(1, CHAINS / (rows * vecs)) >= 2 ? 2 : 1;
    const int8_t *const bytes = (const int8_t *)(row + BYTES + first);
    sums_of_bytes sums[2][BYTE_ROWS][8];
    UNROLLED for (int r = 0; r < rows; r++) {
        int32_t start = 0;
        if (OFFSET)
            memcpy(&start, row + r * stride + SUM_OF_ROW(of_h), sizeof start);
        UNROLLED for (int v = 0; v < vecs; v++) {
            sums[0][r][v] = begin_sums(start);
            sums[1][r][v] = begin_sums(0);
        }
    }
#define ADD(chain, k) \
    { \
        splat_of_bytes x[BYTE_ROWS]; \
        const operand *const w_k = w + (k) * gates * L; \
        PREFETCH(ADDRESS(w_k, 1024)); \
        UNROLLED for (int r = 0; r < rows; r++) \
            x[r] = splat_bytes(bytes + 4 * (r * stride + (k))); \
        UNROLLED for (int v = 0; v < vecs; v++) \
            UNROLLED for (int r = 0; r < rows; r++) \
                sums[chain][r][v] = add_bytes(sums[chain][r][v], load_bytes(w_k + v * SUMS), x[r]); \
    }
    int64_t k = 0;
    for (; k + chains <= K; k += chains) {
        ADD(0, k)
        if (chains > 1)
            ADD(1, k + 1)
    }
    if (k < K)
        ADD(0, k)
#undef ADD
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int v = 0; v < vecs; v++)
            store_sums(out + r * gates * L + v * SUMS, chains > 1 ? plus(sums[0][r][v], sums[1][r][v]) : sums[0][r][v]);
}

/* out[rows, slots, L]: the sums of a vector of units; with `known`, added to what is there in the first slots. */
INLINE void byte_tile(const int rows, const int gates, const int slots, bool known, int64_t X, int64_t OF_H,
                      const real *row, int64_t stride, const operand *w, real *out)
{
    const real *const biases = (const real *)w, *const scales = biases + slots * L;
    const operand *const x_part = w + (slots + 2 * gates) * L;
    int32_t of_x[BYTE_ROWS * 4 * L], of_h[BYTE_ROWS * 4 * L];
    integer_sums(rows, gates, 0, 0, X, row, stride, x_part, of_x);
    integer_sums(rows, gates, 1, X, OF_H, row, stride, x_part + X * gates * L, of_h);
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int slot = 0; slot < slots; slot++) {
            const int gate = slot - (slots - gates);
            real *const at = out + (r * slots + slot) * L;
            vec sum = vload(biases + slot * L);
            if (slot < gates) {
                const vec scale = vmul(vsplat(row[r * stride + SCALE(0)]), vload(scales + slot * L));
                if (known)
                    sum = vadd(sum, vload(at));
                sum = vfma(scale, converted(of_x + (r * gates + slot) * L), sum);
            }
            if (gate >= 0) {
                const vec scale = vmul(vsplat(row[r * stride + SCALE(1)]), vload(scales + (gates + gate) * L));
                sum = vfma(scale, converted(of_h + (r * gates + gate) * L), sum);
            }
            vstore(at, sum);
        }
}

/* The sums of these units in a step, of rows that are rounded. */
INLINE void byte_sums(const int gates, const int slots, const fl_run *run, struct step step, range units,
                      const operand *w, real *out)
{
    const int64_t X = OF_X(run), OF_H = OPERANDS(run->H), stride = run->f_stride;
    for (int64_t unit = units.first; unit < units.last; unit += L) {
        const operand *const block = w + unit * (OF_ROW(run) * gates + slots + 2 * gates);
        real *const at = out + (unit - units.first) * step.active * slots;
        if (run->known)
            start_from_known(run, step, unit, gates, at, slots * L);
        for (int64_t n = 0, rows; n < step.active; n += rows) {
            const real *const row = run->factors + n * stride;
            rows = smaller(BYTE_ROWS, step.active - n);
#define TILE(rows) byte_tile(rows, gates, slots, run->known, X, OF_H, row, stride, block, at + n * slots * L)
            FOR_ROWS(rows, BYTE_ROWS, TILE)
#undef TILE
        }
    }
}
