/* LSTM from register tiles.

   Hochreiter & Schmidhuber (1997), with the forget gate of Gers, Schmidhuber & Cummins (2000):

       i = sigmoid(W_i [x, 1, h'])      c = f * c' + i * g
       f = sigmoid(W_f [x, 1, h'])      h = o * tanh(c)
       g = tanh(W_g [x, 1, h'])
       o = sigmoid(W_o [x, 1, h'])      h', c': the states before the step */

#define CELL lstm
#define GATES 4
#define SLOTS 4 /* i, f, g, o */
#define KEEPS_GATES 1
#define APART 0
#define HAS_C 1
#define DIRECT 0
#define AHEAD_OF(run) ((run)->C + 1 + (run)->H)
#define GROUP GROUP_IN_CACHE
#define SUM(active, n, unit) (((unit) * (active) + (n) * L) * 4) /* of 4 gates */

static void FL(lstm_pack_forward)(const fl_weights *weights, range units, real *out)
{
    pack_gates(4, weights, units, out);
}

static void FL(lstm_unpack)(const fl_weights *d_weights, const fl_part *part, const real *d_w)
{
    unpack_gates(4, d_weights, part, d_w);
}

static void FL(lstm_weight_gradient)(const fl_run *run, const fl_part *part, real *d_w, bool more)
{
    add_products(run, part, (range){0, run->C + 1 + run->H}, 0, 4, 4, d_w, more);
}

INLINE void FL(lstm_sums)(const fl_run *run, struct step step, range units, const real *w, int64_t ahead,
                          real *out)
{
    const int64_t P = run->P, K = run->C + 1 + run->H, next_gates = run->gates ? step.later * 4 * P : 0;
    for (int64_t unit = units.first; unit < units.last; unit += L)
        products(4, step.active, K, run->zero, 0, run->rows + step.now * run->stride, run->stride, w + unit * 4 * K,
                 out + (unit - units.first) * step.active * 4, 4 * L, run->gates, next_gates + unit * 4 * ROWS, 4 * P,
                 ahead);
}

INLINE vec FL(lstm_state)(const fl_run *run, const struct place *at, const real *sums)
{
    const vec c_before = vload(run->c + at->c_before);
    const vec i = vsigmoid(vload(sums)), f = vsigmoid(vload(sums + L));
    const vec g = vtanh(vload(sums + 2 * L)), o = vsigmoid(vload(sums + 3 * L));
    const vec c = vfma(f, c_before, vmul(i, g)), h = vmul(o, vtanh(c));

    vstore(run->c + at->c_after, c);
    if (run->gates) {
        real *const gate = run->gates + at->gate;
        vstore(gate, i);
        vstore(gate + run->P, f);
        vstore(gate + 2 * run->P, g);
        vstore(gate + 3 * run->P, o);
    }
    return h;
}

INLINE void FL(lstm_gradients)(const fl_run *run, const struct place *at, vec dh)
{
    const int64_t P = run->P;
    const real *const gate = run->gates + at->gate;
    const vec i = vload(gate), f = vload(gate + P), g = vload(gate + 2 * P), o = vload(gate + 3 * P);
    const vec c_before = vload(run->c + at->c_before), tanh_c = vtanh(vload(run->c + at->c_after));
    const vec dc = vfma(vmul(dh, o), one_minus(vmul(tanh_c, tanh_c)), vload(run->dc + at->sequence));

    real *const dz = run->dz + at->gate;
    vstore(dz, vmul(vmul(vmul(dc, g), i), one_minus(i)));
    vstore(dz + P, vmul(vmul(vmul(dc, c_before), f), one_minus(f)));
    vstore(dz + 2 * P, vmul(vmul(dc, i), one_minus(vmul(g, g))));
    vstore(dz + 3 * P, vmul(vmul(vmul(dh, tanh_c), o), one_minus(o)));
    vstore(run->dc + at->sequence, vmul(dc, f));
}

#include "recurrence.h"
