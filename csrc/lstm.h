/* LSTM from register tiles.

   Hochreiter & Schmidhuber (1997), with the forget gate of Gers, Schmidhuber & Cummins (2000):

       i = sigmoid(W_i [x, 1, h'])      c = f * c' + i * g
       f = sigmoid(W_f [x, 1, h'])      h = o * tanh(c)
       g = tanh(W_g [x, 1, h'])
       o = sigmoid(W_o [x, 1, h'])      h', c': the states before the step */

#define CELL lstm
#define GATES 4 /* i, f, g, o */
#define HAS_C 1

#include "gates.h"

INLINE vec OF(state)(const fl_run *run, const struct place *at, const real *sums)
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

INLINE void OF(gradients)(const fl_run *run, const struct place *at, vec dh)
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
