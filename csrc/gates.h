/* What recurrence.h needs of a cell all of whose gates are sums of [x, 1, h']: weights and products. The cell's file
   defines CELL, GATES and HAS_C, includes this, and adds `state` and `gradients`. */

#define SLOTS GATES
#define KEEPS_GATES 1
#define SEPARATE_BIASES 0
#define DIRECT 0
#define AHEAD_OF(run) OF_ROW(run)
#define GROUP GROUP_IN_CACHE
#define SUM(active, n, unit) (((unit) * (active) + (n) * L) * GATES)

#ifdef FL_INT8
#include "byte_gates.h"
#else

static void OF(pack_forward)(const fl_weights *weights, range units, operand *out)
{
    pack_gates(GATES, weights, units, out);
}

static void OF(unpack)(const fl_weights *d_weights, const fl_part *part, const real *d_w)
{
    unpack_gates(GATES, d_weights, part, d_w);
}

static void OF(weight_gradient)(const fl_run *run, const fl_part *part, real *d_w, bool accumulate)
{
    add_products(run, part, (range){0, run->C + 1 + run->H}, 0, GATES, GATES, d_w, accumulate);
}

INLINE void OF(sums)(const fl_run *run, struct step step, range units, const operand *w, int64_t ahead, real *out)
{
    const int64_t P = run->P, K = OF_ROW(run), next_gates = run->gates ? step.later * GATES * P : 0;
    for (int64_t unit = units.first; unit < units.last; unit += L) {
        real *const at = out + (unit - units.first) * step.active * GATES;
        if (run->known)
            start_from_known(run, step, unit, GATES, at, GATES * L);
        products(GATES, step.active, K, run->known ? at : run->zero, run->known ? GATES * L : 0,
                 row_factors(run, step.now), ROOM * run->f_stride, w + unit * GATES * K, at, GATES * L, run->gates,
                 next_gates + unit * GATES * ROWS, GATES * P, ahead);
    }
}

#endif
