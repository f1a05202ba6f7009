/* LSTM with coupled input and forget gates (CIFG) from register tiles.

   Greff et al. (2017), "LSTM: A Search Space Odyssey", without peepholes:

       f = sigmoid(W_f [x, 1, h'])      c = f * c' + (1 - f) * g
       g = tanh(W_g [x, 1, h'])         h = o * tanh(c)
       o = sigmoid(W_o [x, 1, h'])      h', c': the states before the step */

#define CELL cifg
#define GATES 3 /* f, g, o */
#define HAS_C 1

#include "gates.h"

INLINE vec OF(state)(const fl_run *run, const struct place *at, const real *sums)
{
    const vec c_before = vload(run->c + at->c_before);
    const vec f = vsigmoid(vload(sums)), g = vtanh(vload(sums + L)), o = vsigmoid(vload(sums + 2 * L));
    const vec c = vfma(f, c_before, vmul(one_minus(f), g)), h = vmul(o, vtanh(c));

    vstore(run->c + at->c_after, c);
    if (run->gates) {
        real *const gate = run->gates + at->gate;
        vstore(gate, f);
        vstore(gate + run->P, g);
        vstore(gate + 2 * run->P, o);
    }
    return h;
}

INLINE void OF(gradients)(const fl_run *run, const struct place *at, vec dh)
{
    const int64_t P = run->P;
    const real *const gate = run->gates + at->gate;
    const vec f = vload(gate), g = vload(gate + P), o = vload(gate + 2 * P), i = one_minus(f);
    const vec c_before = vload(run->c + at->c_before), tanh_c = vtanh(vload(run->c + at->c_after));
    const vec dc = vfma(vmul(dh, o), one_minus(vmul(tanh_c, tanh_c)), vload(run->dc + at->sequence));

    real *const dz = run->dz + at->gate;
    vstore(dz, vmul(vmul(vmul(dc, vsub(c_before, g)), f), i));
    vstore(dz + P, vmul(vmul(dc, i), one_minus(vmul(g, g))));
    vstore(dz + 2 * P, vmul(vmul(vmul(dh, tanh_c), o), one_minus(o)));
    vstore(run->dc + at->sequence, vmul(dc, f));
}

#include "recurrence.h"
