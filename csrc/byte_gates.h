/* The weights and sums of a cell whose products are of bytes, in place of those of the cell's file; see bytes.h. */

#undef SEPARATE_BIASES
#undef GROUP
#undef SUM
#define SEPARATE_BIASES (SLOTS + 2 * GATES) /* and scales */
#define GROUP GROUP_IN_CACHE
#define SUM(active, n, unit) (((unit) * (active) + (n) * L) * SLOTS)

static void OF(pack_forward)(const fl_weights *weights, range units, operand *out)
{
    pack_bytes(GATES, SLOTS, weights, units, out);
}

INLINE void OF(sums)(const fl_run *run, struct step step, range units, const operand *w, int64_t ahead, real *out)
{
    (void)ahead;
    byte_sums(GATES, SLOTS, run, step, units, w, out);
}
