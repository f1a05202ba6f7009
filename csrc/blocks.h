/* Products of blocks of rows and columns by the tiles of tiles.h. These multiply operands as they are or, where WIDENS,
   blocks of them that `widened` has prepared. */

#define products OF_FACTORS(products)
#define products_of_few FL(products_of_few)
#define tall_tile FL(tall_tile)
#define add_panel OF_FACTORS(add_panel)
#define gradient_of_panels OF_FACTORS(gradient_of_panels)

/* Bytes of weights that stay in the first-level cache (32 KiB or more) while all rows pass over them. */
#define BLOCK_BYTES (24 * 1024)
/* Bytes of a weight gradient, with its largest number of rows, that stay in the second-level cache (512 KiB or
   more). */
#define GROUP_BYTES (256 * 1024)
#define CHUNK 126

/* call(rows), with `rows` a compile-time constant. */
#define FOR_ROWS(rows, tallest, call) \
    switch (rows) { \
    case 6: if (tallest >= 6) call(6); break; \
    case 5: if (tallest >= 5) call(5); break; \
    case 4: if (tallest >= 4) call(4); break; \
    case 3: if (tallest >= 3) call(3); break; \
    case 2: if (tallest >= 2) call(2); break; \
    default: call(1); \
    }

#if WIDENS
/* `products` of a few rows, too few to make up for a widened block: each tile makes the weights float32 numbers. */
INLINE void products_of_few(const int vecs, int64_t N, int64_t K, const real *start, int64_t start_stride,
                            const factor *a, int64_t a_stride, const operand *w, real *out, int64_t out_stride,
                            const real *soon, int64_t soon_at, int64_t soon_row)
{
    const int64_t tiles = (N + TALLEST_OF_PAIRS - 1) / TALLEST_OF_PAIRS, height = N / tiles, taller = N % tiles;
    const uintptr_t ahead = ADDRESS(w, K * vecs * L);
    for (int64_t tile = 0, n = 0; tile < tiles; tile++) {
        const int64_t rows = height + (tile < taller);
        const uintptr_t near = ADDRESS(soon, soon_at + n * soon_row);
#define TILE(rows) \
    tile_of_pairs(rows, vecs, WIDTH * K, start + n * start_stride, start_stride, a + n * a_stride, a_stride, w, \
                  vecs, out + n * out_stride, out_stride, ahead, VECTOR_BYTES / 2, near, 0)
        FOR_ROWS(rows, TALLEST_OF_PAIRS, TILE)
#undef TILE
        n += rows;
    }
}
#endif

#define HAS_TALL_TILES (REGISTERS == 16 && !WIDENS)
#if HAS_TALL_TILES
/* Half the columns of a panel of four vectors, for more than ROWS rows, which tiles of all columns would read twice. A
   function of its own, because many rows need many registers for their addresses. */
OUTLINE void tall_tile(int64_t rows, int64_t K, const real *start, int64_t start_stride, const factor *a,
                       int64_t a_stride, const operand *w, real *out, int64_t out_stride, uintptr_t ahead,
                       uintptr_t near)
{
#define TILE(rows) \
    product_tile(rows, 2, K, start, start_stride, a, a_stride, w, 4, out, out_stride, ahead, 2 * VECTOR_BYTES, near, 0)
    FOR_ROWS(rows, TALLEST_TILE, TILE)
#undef TILE
}
#endif

/* out[N, vecs * L] = start[N, vecs * L] + a[N, K] @ w[K, vecs * L], K operands; w is contiguous, start_stride may be
   0.

   Also prefetches soon[soon_at + n * soon_row + k * soon_k], which the caller needs next; but not beyond the last rows,
   where memory may be another thread's, which would lose it from its cache. */
INLINE void products(const int vecs, int64_t N, int64_t K, const real *start, int64_t start_stride, const factor *a,
                     int64_t a_stride, const operand *w, real *out, int64_t out_stride, const real *soon,
                     int64_t soon_at, int64_t soon_row, int64_t soon_k)
{
    int64_t tiles = 1, height = N, taller = 0, length = K;
#if WIDENS
    if (N <= FEW) {
        products_of_few(vecs, N, K, start, start_stride, a, a_stride, w, out, out_stride, soon, soon_at, soon_row);
        return;
    }
#endif
#if HAS_TALL_TILES
    if (vecs == 4 && N > ROWS && N <= TALLEST_TILE) {
        for (int v = 0; v < vecs; v += 2)
            tall_tile(N, K, start + v * L, start_stride, a, a_stride, w + v * L, out + v * L, out_stride,
                      ADDRESS(w, K * (vecs + v) * L), ADDRESS(soon, soon_at));
        return;
    }
#endif
    /* Tiles of nearly equal height: one left with a row or two would make little use of the weights it loads. */
    if (WIDENS || N > ROWS) { /* divisions would cost a single tile as much as its products */
        const int64_t block = BLOCK_BYTES / (ENTRIES * vecs * VECTOR_BYTES), blocks = (K + block - 1) / block;
        tiles = (N + ROWS - 1) / ROWS;
        height = N / tiles;
        taller = N % tiles;
        length = (K + blocks - 1) / blocks;
    }
    for (int64_t k = 0; k < K; k += length) {
        if (k > 0) {
            start = out;
            start_stride = out_stride;
        }
        const int64_t here = smaller(length, K - k);
        const operand *const w_k = w + k * vecs * L;
        BLOCK_OF_OPERANDS;
        const tile_operand *const widened_k = widened(here, vecs, w_k, wide_block);
        for (int64_t tile = 0, n = 0; tile < tiles; tile++) {
            const int64_t rows = height + (tile < taller);
            const uintptr_t ahead = ADDRESS(w_k, here * (vecs + tile % vecs) * L); /* of the next block, a share */
            const uintptr_t near = ADDRESS(soon, soon_at + n * soon_row + k * soon_k);
            const uintptr_t near_step = tile + 1 < tiles ? (uintptr_t)soon_k * sizeof(real) / PARTS : 0;
#define TILE(rows) \
    product_tile(rows, vecs, WIDTH * here, start + n * start_stride, start_stride, \
                 a + n * a_stride + k * WIDTH, a_stride, widened_k, vecs, out + n * out_stride, out_stride, \
                 ahead, VECTOR_BYTES / PARTS, near, near_step)
            FOR_ROWS(rows, ROWS, TILE)
#undef TILE
            n += rows;
        }
    }
}

/* out[R, vecs * L : Q] = a[M, R].T @ panel[M, vecs * L], M operands, with `accumulate` added to what is there.

   Each operand of a tile also prefetches a row of a, from `a_next` on and so many bytes apart, and one of b. */
INLINE void add_panel(const int vecs, int64_t M, int64_t R, const factor *a, int64_t a_stride,
                      const tile_operand *panel, real *out, int64_t Q, bool accumulate, uintptr_t a_next,
                      uintptr_t a_step, uintptr_t b_next, uintptr_t b_step)
{
    const int64_t tiles = (R + ROWS - 1) / ROWS, height = R / tiles, taller = R % tiles;
    for (int64_t tile = 0, r = 0; tile < tiles; tile++) {
        const int64_t rows = height + (tile < taller);
#define TILE(rows) \
    gradient_tile(rows, vecs, M, a + r * LEFT_WIDTH, a_stride, panel, out + r * Q, Q, accumulate, \
                  a_next + (uintptr_t)r * sizeof(factor), a_step, b_next + tile % vecs * L * sizeof(factor), b_step)
        FOR_ROWS(rows, ROWS, TILE)
#undef TILE
        r += rows;
    }
}

/* `gradient`, in panels of vecs * L columns, from q_first to q_last. */
INLINE void gradient_of_panels(const int vecs, const matrix *a, const matrix *b, int64_t q_first, int64_t q_last,
                               tile_operand *panel, real *out, bool accumulate)
{
    /* A chunk of rows and a group of columns of `out` stay in the second-level cache while all of a and b are read. */
    const int64_t M = a->rows, R = a->columns, a_stride = a->stride, Q = b->columns, b_stride = b->stride;
    const int64_t chunks = (R + CHUNK - 1) / CHUNK, chunk = (R + chunks - 1) / chunks, wide = vecs * L;
    const int64_t group = larger(1, GROUP_BYTES / (chunk * vecs * VECTOR_BYTES)) * wide;
    const uintptr_t a_step = STEP / PARTS * (uintptr_t)a_stride * sizeof(factor);
    const uintptr_t b_step = STEP / PARTS * (uintptr_t)b_stride * sizeof(factor);
    tile_operand block[LEFT_OPERANDS];
    for (int64_t first = q_first; first < q_last; first += group) {
        const int64_t last = smaller(first + group, q_last);
        for (int64_t r = 0; r < R; r += chunk)
            for (int64_t m = 0; m < M; m += FL_BLOCK_ROWS) {
                const int64_t here = smaller(FL_BLOCK_ROWS, M - m), columns = smaller(chunk, R - r);
                const factor *const a_here = a->at + m * a_stride + r;
                const factor *const left = left_operands(here, columns, a_here, a_stride, block);
                for (int64_t q = first; q < last; q += wide) {
                    right_operands(here, wide, b->at + m * b_stride + q, b_stride, panel);
                    const int64_t b_next = q + wide < last ? m * b_stride + q + wide : (m + here) * b_stride + first;
                    add_panel(vecs, here, columns, left, LEFT_STRIDE(a_stride, columns), panel,
                              out + r * Q + q, Q, accumulate || m > 0, ADDRESS(a_here, here * a_stride), a_step,
                              ADDRESS(b->at, b_next), b_step);
                }
            }
    }
}
