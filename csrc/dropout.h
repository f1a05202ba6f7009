/* Dropout masks from a counter-based random number generator, and their application to packed rows. */

#define philox FL(philox)

/* Philox4x32-10: four words for a counter of four. Salmon, Moraes, Dror & Shaw (2011), section 3.3. */
INLINE void philox(uint32_t key_0, uint32_t key_1, uint32_t *words)
{
    uint32_t a = words[0], b = words[1], c = words[2], d = words[3];
    UNROLLED for (int round = 0; round < 10; round++) {
        const uint64_t of_a = (uint64_t)a * 0xD2511F53u, of_c = (uint64_t)c * 0xCD9E8D57u;
        a = (uint32_t)(of_c >> 32) ^ b ^ key_0;
        b = (uint32_t)of_c;
        c = (uint32_t)(of_a >> 32) ^ d ^ key_1;
        d = (uint32_t)of_a;
        key_0 += 0x9E3779B9u;
        key_1 += 0xBB67AE85u;
    }
    words[0] = a, words[1] = b, words[2] = c, words[3] = d;
}

static void FL(draw)(const fl_draw *draw, const int64_t *sequences, int64_t first, int64_t last,
                     const fl_matrix *masks)
{
    const real kept = (real)draw->keep;
    const int64_t W = masks->columns;
    for (int64_t n = first; n < last; n++) {
        real *const row = masks->at + n * masks->stride;
        for (int64_t block = 0; block < (W + 3) / 4; block++) {
            uint32_t words[4] = {
                (uint32_t)block, (uint32_t)sequences[n], (uint32_t)draw->epoch, (uint32_t)draw->stream};
            philox((uint32_t)draw->seed, (uint32_t)(draw->seed >> 32), words);
            for (int64_t j = 0; j < smaller(4, W - 4 * block); j++)
                row[4 * block + j] = words[j] >= draw->threshold ? kept : 0;
        }
    }
}

static void FL(scale)(const fl_batch *batch, int64_t first, int64_t last, const fl_matrix *masks,
                      const fl_matrix *rows)
{
    const int64_t *const starts = batch->starts, W = rows->columns;
    for (int64_t t = 0; t < batch->T; t++)
        for (int64_t n = first; n < smaller(last, starts[t + 1] - starts[t]); n++) {
            real *const row = rows->at + (starts[t] + n) * rows->stride;
            const real *const mask = masks->at + n * masks->stride;
            for (int64_t j = 0; j < W; j++)
                row[j] *= mask[j];
        }
}
