/* Register tiles: a few rows times a few vectors of columns, for one kind of operands, which the file included before
   defines:

       factor                               a number of a row
       tile_operand                         what columns have, of which ENTRIES make an operand,
       operands                             and a vector of them
       STEP                                 factors of a row in an operand
       PARTS                                multiply-adds of an operand
       HAS(part, k, K)                      whether the k-th of operands of K factors has this part
       load_operands(place, columns, part)  a vector of operands
       splat_operand(place, a_k, part)      an operand of a row, for all columns
       add_product(a, b, sum)               one multiply-add
       TILES(name)                          a name for this kind */

#define multiply_add TILES(multiply_add)
#define product_tile TILES(product_tile)
#define gradient_tile TILES(gradient_tile)

/* sum[rows][vecs] += sum over k < K of a[r * a_row + k * a_k] * w[k][vecs * L : pitch * L]

   K >= 1 factors, added operand by operand. Each multiply-add prefetches what is needed next: the addresses p and q,
   which then advance by so many bytes. */
INLINE void multiply_add(const int rows, const int vecs, vec sum[][4], int64_t K, const factor *a, int64_t a_row,
                         int64_t a_k, const tile_operand *w, const int pitch, uintptr_t p, uintptr_t p_step,
                         uintptr_t q, uintptr_t q_step)
{
    const int64_t last = (K - 1) / STEP;
    int64_t k = 0;
    do {
        const factor *const a_now = a + k * a_k;
        const tile_operand *const w_now = w + k * ENTRIES * pitch * L;
        /* Registers decide the order. With room for all weight vectors, they are loaded first and each element lives
           for `vecs` multiplications; otherwise the elements are loaded first and each weight vector just before its
           use. The wrong order spills accumulators and halves the speed. */
        UNROLLED for (int part = 0; part < PARTS; part++) {
            PREFETCH(p + (k * PARTS + part) * p_step);
            PREFETCH(q + (k * PARTS + part) * q_step);
            if (!HAS(part, k, K))
                continue;
            if (part > 0) /* load all again, since registers do not hold both parts */
                MEMORY_BARRIER;
            if (rows * vecs + vecs + 1 <= REGISTERS) {
                operands weights[4];
                UNROLLED for (int v = 0; v < vecs; v++)
                    weights[v] = load_operands(w_now + v * L, pitch * L, part);
                UNROLLED for (int r = 0; r < rows; r++) {
                    const operands element = splat_operand(a_now + r * a_row, a_k, part);
                    UNROLLED for (int v = 0; v < vecs; v++)
                        sum[r][v] = add_product(element, weights[v], sum[r][v]);
                }
            } else {
                operands elements[TALLEST_TILE];
                UNROLLED for (int r = 0; r < rows; r++)
                    elements[r] = splat_operand(a_now + r * a_row, a_k, part);
                UNROLLED for (int v = 0; v < vecs; v++) {
                    const operands weights = load_operands(w_now + v * L, pitch * L, part);
                    UNROLLED for (int r = 0; r < rows; r++)
                        sum[r][v] = add_product(elements[r], weights, sum[r][v]);
                }
            }
        }
    } while (k++ < last);
}

/* out[rows, vecs * L] = start[rows, vecs * L] + a[rows, K] @ w[K, vecs * L : pitch * L] */
INLINE void product_tile(const int rows, const int vecs, int64_t K, const real *start, int64_t start_stride,
                         const factor *a, int64_t a_stride, const tile_operand *w, const int pitch, real *out,
                         int64_t out_stride, uintptr_t p, uintptr_t p_step, uintptr_t q, uintptr_t q_step)
{
    vec sum[TALLEST_TILE][4];
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int v = 0; v < vecs; v++)
            sum[r][v] = vload(start + r * start_stride + v * L);
    multiply_add(rows, vecs, sum, K, a, a_stride, STEP, w, pitch, p, p_step, q, q_step);
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int v = 0; v < vecs; v++)
            vstore(out + r * out_stride + v * L, sum[r][v]);
}

/* out[rows, vecs * L : Q] = a[M, rows].T @ panel[M, vecs * L], with `accumulate` added to what is there. */
INLINE void gradient_tile(const int rows, const int vecs, int64_t M, const factor *a, int64_t a_stride,
                          const tile_operand *panel, real *out, int64_t Q, bool accumulate, uintptr_t p,
                          uintptr_t p_step, uintptr_t q, uintptr_t q_step)
{
    vec sum[TALLEST_TILE][4];
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int v = 0; v < vecs; v++)
            sum[r][v] = vsplat(0);
    multiply_add(rows, vecs, sum, M, a, LEFT_WIDTH, a_stride, panel, vecs, p, p_step, q, q_step);
    if (accumulate) {
        UNROLLED for (int r = 0; r < rows; r++)
            UNROLLED for (int v = 0; v < vecs; v++)
                sum[r][v] = vadd(sum[r][v], vload(out + r * Q + v * L));
    }
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int v = 0; v < vecs; v++)
            vstore(out + r * Q + v * L, sum[r][v]);
}
