/* Products of blocks of rows and columns by Intel's matrix unit (AMX), in place of blocks.h; after pairs.h.

   An instruction adds, to 16 by 16 sums, the products of 16 pairs for each. It sums the first and the second numbers of
   the pairs apart, and then adds both, so that these bits are no other level's. They still do not depend on rows and
   columns that are computed beside. */

#define products OF_FACTORS(products)
#define block_of_products OF_FACTORS(block_of_products)
#define gradient_of_panels OF_FACTORS(gradient_of_panels)

#define SIDE 16 /* rows, pairs and columns of a tile */
/* Bytes of weights that stay in the first-level cache while all rows pass over them. */
#define BLOCK_BYTES (24 * 1024)
/* Bytes of a weight gradient, with its largest number of rows, that stay in the second-level cache (2 MiB). */
#undef GROUP_BYTES
#define GROUP_BYTES (1024 * 1024)
#undef CHUNK
#define CHUNK 128

/* Compilers do not know what AMX reads: all that was stored is there. */
#define MEMORY_IS_READ(place) __asm__ volatile("" : : "r"(place) : "memory")

/* Tiles 0 to 3: sums of as many vectors of columns; 4: rows, 5: weights; 6 and 7: these with fewer pairs, the rest. */
#define shape_tiles FL(shape_tiles)
static _Thread_local int64_t FL(shape); /* of this thread's tiles, as a number; 0 while it has none */
INLINE void shape_tiles(int64_t rows, int64_t rest)
{
    const int64_t shape = rows * SIDE + rest;
    if (shape == FL(shape))
        return;
    FL(shape) = shape;
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } shapes = {.palette = 1};
    for (int tile = 0; tile < 6 + 2 * (rest > 0); tile++) {
        shapes.bytes[tile] = tile == 6 ? 4 * (uint16_t)rest : 4 * SIDE;
        shapes.rows[tile] = (uint8_t)(tile == 5 ? SIDE : tile == 7 ? rest : rows);
    }
    MEMORY_IS_READ(&shapes);
    _tile_loadconfig(&shapes);
}

static void release_tiles(void)
{
    FL(shape) = 0;
    _tile_release();
}

/* out[rows, vecs * L] = start[rows, vecs * L] + a[rows, K] @ w[K, vecs * L], K pairs, rows <= SIDE */
INLINE void block_of_products(const int vecs, int64_t rows, int64_t K, const real *start, int64_t start_stride,
                              const factor *a, int64_t a_stride, const operand *w, real *out, int64_t out_stride)
{
    const int64_t rest = K % SIDE, of_start = start_stride * (int64_t)sizeof(real);
    const int64_t of_a = a_stride * (int64_t)sizeof(factor), of_w = vecs * VECTOR_BYTES;
    const int64_t of_out = out_stride * (int64_t)sizeof(real);
    shape_tiles(rows, rest);
    MEMORY_BARRIER;
/* With a tile for each vector of columns. */
#define EACH_VECTOR(call) \
    do { \
        call(0); \
        if (vecs > 1) { call(1); } \
        if (vecs > 2) { call(2); } \
        if (vecs > 3) { call(3); } \
    } while (0)
#define LOAD(v) _tile_loadd(v, start + v * L, of_start)
#define ADD(v) _tile_loadd(5, w_k + v * L, of_w); _tile_dpbf16ps(v, 4, 5)
#define ADD_REST(v) _tile_loadd(7, w_k + v * L, of_w); _tile_dpbf16ps(v, 6, 7)
#define STORE(v) _tile_stored(v, out + v * L, of_out)
    EACH_VECTOR(LOAD);
    int64_t k = 0;
    for (; k + SIDE <= K; k += SIDE) {
        const operand *const w_k = w + k * vecs * L;
        _tile_loadd(4, a + k * WIDTH, of_a);
        EACH_VECTOR(ADD);
    }
    if (rest > 0) {
        const operand *const w_k = w + k * vecs * L;
        _tile_loadd(6, a + k * WIDTH, of_a);
        EACH_VECTOR(ADD_REST);
    }
    EACH_VECTOR(STORE);
    MEMORY_BARRIER;
#undef EACH_VECTOR
#undef LOAD
#undef ADD
#undef ADD_REST
#undef STORE
}

/* As in blocks.h, without prefetching. */
INLINE void products(const int vecs, int64_t N, int64_t K, const real *start, int64_t start_stride, const factor *a,
                     int64_t a_stride, const operand *w, real *out, int64_t out_stride, const real *soon,
                     int64_t soon_at, int64_t soon_row, int64_t soon_k)
{
    (void)soon, (void)soon_at, (void)soon_row, (void)soon_k;
    const int64_t length = N > SIDE ? BLOCK_BYTES / (vecs * VECTOR_BYTES) / SIDE * SIDE : K;
    for (int64_t k = 0; k < K; k += length) {
        for (int64_t n = 0; n < N; n += SIDE)
            block_of_products(vecs, smaller(SIDE, N - n), smaller(length, K - k), start + n * start_stride,
                              start_stride, a + n * a_stride + k * WIDTH, a_stride, w + k * vecs * L,
                              out + n * out_stride, out_stride);
        start = out;
        start_stride = out_stride;
    }
}

/* As in blocks.h. */
INLINE void gradient_of_panels(const int vecs, const matrix *a, const matrix *b, int64_t q_first, int64_t q_last,
                               operand *panel, real *out, bool accumulate)
{
    static const real zeros[4 * L];
    const int64_t M = a->rows, R = a->columns, Q = b->columns, wide = vecs * L;
    const int64_t group = GROUP_BYTES / (CHUNK * wide * (int64_t)sizeof(real)) * wide;
    operand pairs[LEFT_OPERANDS], transposed[LEFT_OPERANDS];
    for (int64_t first = q_first; first < q_last; first += group)
        for (int64_t r = 0; r < R; r += CHUNK)
            for (int64_t m = 0; m < M; m += FL_BLOCK_ROWS) {
                const int64_t here = smaller(FL_BLOCK_ROWS, M - m), columns = smaller(CHUNK, R - r);
                const int64_t K = OPERANDS(here);
                right_operands(here, columns, a->at + m * a->stride + r, a->stride, pairs);
                MEMORY_IS_READ(pairs); /* as numbers of another type */
                transpose(columns, K, (const real *)pairs, columns, (real *)transposed, K);
                MEMORY_IS_READ(transposed);
                for (int64_t q = first; q < smaller(first + group, q_last); q += wide) {
                    right_operands(here, wide, b->at + m * b->stride + q, b->stride, panel);
                    for (int64_t row = 0; row < columns; row += SIDE) {
                        real *const to = out + (r + row) * Q + q;
                        const bool add = accumulate || m > 0;
                        block_of_products(vecs, smaller(SIDE, columns - row), K, add ? to : zeros, add ? Q : 0,
                                          (const factor *)(transposed + row * K), WIDTH * K, panel, to, Q);
                    }
                }
            }
}
