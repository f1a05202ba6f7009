/* Matrix products from register tiles: rows times packed weights, and the gradient of weights.

   Not BLAS, whose order of additions depends on the number of rows. Here every output is summed in one order (the
   gradient of weights in blocks of rows), whatever rows are computed beside it: so a row's result has the same bits in
   every batch, and all results on every vector width with fused multiply-add. Sizes of blocks change no bits.

   reals.h or pairs.h, included before, says what is multiplied: `factor` is a number of a row, `operand` one number of
   the packed weights or two that are neighbours in a sum, and OF_FACTORS(name) a name for this type. blocks.h has the
   products of a few vectors of columns, from tiles.h, or amx_blocks.h. */

#define multiply OF_FACTORS(multiply)

/* out[N, M] = start[N, M] + a[N, K] @ w[K, M], K operands, w packed as by `pack_panels`, M a multiple of L.

   Also prefetches soon[N, K] from soon_at on, a share of it with each panel of columns. */
static void multiply(int64_t N, int64_t K, int64_t M, const real *start, int64_t start_stride, const factor *a,
                     int64_t a_stride, const operand *w, real *out, int64_t out_stride, const real *soon,
                     int64_t soon_at)
{
    const int64_t panels = larger(1, M / (4 * L)), share = (ROWS + panels - 1) / panels;
    for (int64_t m = 0; m < M;) {
        const int64_t near = soon_at + m / (4 * L) * share * K;
#define PANEL(vecs) \
    products(vecs, N, K, start + m, start_stride, a, a_stride, w + m * K, out + m, out_stride, soon, near, K, share)
        if (m + 4 * L <= M) {
            PANEL(4);
            m += 4 * L;
        } else if (m + 2 * L <= M) {
            PANEL(2);
            m += 2 * L;
        } else {
            PANEL(1);
            m += L;
        }
#undef PANEL
    }
}

static void OF_FACTORS(multiply_rows)(int64_t first, int64_t last, const matrix *a, const operand *w, int64_t M,
                                      const real *start, real *out)
{
    if (first < last)
        multiply(last - first, OPERANDS(a->columns), M, start, 0, a->at + first * a->stride, a->stride, w,
                 out + first * M, M, (const real *)(a->at + first * a->stride), 0);
}

static void OF_FACTORS(gradient)(const matrix *a, const matrix *b, int64_t first, int64_t last, tile_operand *panel,
                                 real *out, bool accumulate)
{
    int64_t end = first + (last - first) / (4 * L) * 4 * L;
    gradient_of_panels(4, a, b, first, end, panel, out, accumulate);
    first = end;
    end = first + (last - first) / (2 * L) * 2 * L;
    gradient_of_panels(2, a, b, first, end, panel, out, accumulate);
    gradient_of_panels(1, a, b, end, last, panel, out, accumulate);
}
