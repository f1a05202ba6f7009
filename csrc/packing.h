/* Rows of packed batches from and to arrays of one block per sequence. */

#define place_in_blocks FL(place_in_blocks)

/* The address of step t of sequence n in the blocks; with `reverse`, steps count from the sequence's end. */
INLINE real *place_in_blocks(const fl_batch *batch, const fl_blocks *blocks, bool reverse, int64_t n, int64_t t)
{
    return blocks->at + (blocks->order[n] * blocks->T + (reverse ? batch->lengths[n] - 1 - t : t)) * blocks->F;
}

static void FL(gather)(const fl_batch *batch, const fl_blocks *blocks, bool reverse, int64_t first, int64_t last,
                       const fl_matrix *rows)
{
    const int64_t *const starts = batch->starts;
    for (int64_t t = first; t < last; t++)
        for (int64_t n = 0; n < starts[t + 1] - starts[t]; n++)
            copy(rows->columns, place_in_blocks(batch, blocks, reverse, n, t),
                 rows->at + (starts[t] + n) * rows->stride);
}

static void FL(scatter)(const fl_batch *batch, const fl_blocks *blocks, bool reverse, bool states, bool add,
                        const fl_matrix *rows)
{
    const int64_t *const starts = batch->starts, W = rows->columns;
    for (int64_t t = 0; t < blocks->T; t++) {
        const int64_t active = t < batch->T ? starts[t + 1] - starts[t] : 0;
        for (int64_t n = 0; n < active; n++) {
            int64_t row = starts[t] + n;
            if (states)
                row = (t + 1 < batch->lengths[n] ? starts[t + 1] : batch->M) + n;
            real *const there = place_in_blocks(batch, blocks, reverse, n, t);
            if (add)
                for (int64_t j = 0; j < W; j++)
                    there[j] += rows->at[row * rows->stride + j];
            else
                copy(W, rows->at + row * rows->stride, there);
        }
        for (int64_t n = active; n < blocks->N; n++)
            for (int64_t j = 0; j < W; j++)
                blocks->at[(blocks->order[n] * blocks->T + t) * blocks->F + j] = 0;
    }
}
