/* Tiles of many rows without the instruction for pairs: a block of weights is made float32 numbers once for all tiles,
   the second number of each pair before the first; after pairs.h, which see. */

#define FEW 8 /* rows at most whose tiles read pairs */
#define TALLEST_OF_PAIRS (REGISTERS == 32 ? ROWS : 2) /* there is a mask, too */
#define tile_of_pairs FL(product_tile_of_pairs)

#undef WIDENS
#undef BLOCK_OF_OPERANDS
#undef widened
#define WIDENS 1
#define BLOCK_OF_OPERANDS _Alignas(64) real wide_block[BLOCK_BYTES / sizeof(real)]

#undef tile_operand
#undef ENTRIES
#undef HAS
#undef load_operands
#undef TILES
#define tile_operand real
#define ENTRIES 2
#define HAS(part, k, K) (part == 1 || 2 * (k) + 1 < (K))
#define load_operands(place, columns, part) vload((place) + (part) * (columns))
#define TILES(name) FL(name##_widened)

/* out[2 K, vecs * L] of w[K, vecs * L] */
#define widened FL(widened)
INLINE const real *widened(int64_t K, const int vecs, const uint32_t *w, real *out)
{
    for (int64_t k = 0; k < K; k++)
        UNROLLED for (int v = 0; v < vecs; v++) {
            const int64_t at = k * vecs + v;
            vstore(out + (at + k * vecs) * L, second_numbers(load_ints(w + at * L)));
            vstore(out + (at + (k + 1) * vecs) * L, first_numbers(load_ints(w + at * L)));
        }
    return out;
}

/* Operands of a weight gradient: those of a are read where they are. */
#undef LEFT_STRIDE
#undef right_operands
#define LEFT_STRIDE(stride, columns) (2 * (stride))

/* out[(rows+1)/2][second, first][columns] of b[rows, columns : stride] */
#define right_operands FL(right_operands_widened)
INLINE void right_operands(int64_t rows, const int64_t columns, const real *b, int64_t stride, real *out)
{
    for (int64_t row = 0; row < rows; row++)
        UNROLLED for (int64_t j = 0; j < columns; j += L)
            vstore(out + (row ^ 1) * columns + j, vload(b + row * stride + j));
}
