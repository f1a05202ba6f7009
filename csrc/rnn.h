/* Vanilla RNN from register tiles.

   Elman (1990):

       h = tanh(W [x, 1, h'])      h': the state before the step */

#define CELL rnn
#define GATES 1
#define SLOTS 1
#define KEEPS_GATES 0
#define SEPARATE_BIASES 0
#define HAS_C 0
#define DIRECT 0
#define AHEAD_OF(run) 1 /* there are no gates */
#define GROUP(rows) (4 * L)
#define SUM(active, n, unit) ((n) * 4 * L + (unit))

#ifdef FL_INT8
#include "byte_gates.h"
#else

/* The weights of [x, 1, h'], in panels like those of `pack_panels`. */
static void OF(pack_forward)(const fl_weights *weights, range units, operand *out)
{
    const int64_t C = weights->C, H = weights->H, K = OF_ROW(weights);
    for (int64_t unit = units.first, wide; unit < units.last; unit += wide) {
        wide = unit + 4 * L <= units.last ? 4 * L : unit + 2 * L <= units.last ? 2 * L : L;
        const int64_t filled = smaller(wide, H - unit);
        operand *const x_part = out + unit * K, *const h_part = x_part + OF_X(weights) * wide;
        clear_unless_full(weights, filled, wide, K * wide, x_part);
        put_transposed(C, filled, weights->weight_ih + unit * C, C, x_part, wide);
        put_transposed(H, filled, weights->weight_hh + unit * H, H, h_part, wide);
        for (int64_t j = 0; j < filled; j++)
            put_factor(x_part + j, C, wide, weights->bias_ih[unit + j] + weights->bias_hh[unit + j]);
    }
}

static void OF(unpack)(const fl_weights *d_weights, const fl_part *part, const real *d_w)
{
    unpack_gates(1, d_weights, part, d_w);
}

static void OF(weight_gradient)(const fl_run *run, const fl_part *part, real *d_w, bool accumulate)
{
    add_products(run, part, (range){0, run->C + 1 + run->H}, 0, 1, 1, d_w, accumulate);
}

INLINE void OF(sums)(const fl_run *run, struct step step, range units, const operand *w, int64_t ahead, real *out)
{
    (void)ahead;
    const int64_t K = OF_ROW(run), now = step.now * run->stride;
    if (run->known)
        for (int64_t unit = units.first; unit < units.last; unit += L)
            start_from_known(run, step, unit, 1, out + unit - units.first, 4 * L);
    multiply(step.active, K, units.last - units.first, run->known ? out : run->zero, run->known ? 4 * L : 0,
             row_factors(run, step.now), ROOM * run->f_stride, w + units.first * K, out, 4 * L, run->rows, now);
}

#endif

INLINE vec OF(state)(const fl_run *run, const struct place *at, const real *sums)
{
    (void)run, (void)at;
    return vtanh(vload(sums));
}

INLINE void OF(gradients)(const fl_run *run, const struct place *at, vec dh)
{
    const vec h = vload(run->states + at->after);
    vstore(run->dz + at->gate, vmul(dh, one_minus(vmul(h, h))));
}

#include "recurrence.h"
