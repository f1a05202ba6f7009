/* GRU from register tiles.

   Cho et al. (2014), as torch.nn.GRU computes it, the reset gate on the product (Keras: reset_after=True):

       r = sigmoid(W_r [x, 1] + U_r h' + b_r)      n = tanh(W_n [x, 1] + r * m),   m = U_n h' + b_m
       z = sigmoid(W_z [x, 1] + U_z h' + b_z)      h = (1 - z) * n + z * h';       h': the state before the step

   The candidate's two sums are kept apart until r is known. They surround those of the gates, [n, r, z, m]: the inputs'
   products fill the first three, the states' products the last three, and no product is wasted. */

#define CELL gru
#define GATES 3
#define SLOTS 4 /* n, r, z, m */
#define KEEPS_GATES 1
#define SEPARATE_BIASES 1 /* b_m */
#define HAS_C 0
#define DIRECT 1
#define AHEAD_OF(run) OPERANDS((run)->H)
#define GROUP GROUP_IN_CACHE
#define SUM(active, n, unit) (((unit) * (active) + (n) * L) * 4) /* of 4 slots */

#ifdef FL_INT8
#include "byte_gates.h"
#else

/* out, for each vector of units: b_m [L], real numbers, then operands: the weights of [x, 1] [OF_X][n, r, z][L], those
   of h' [OPERANDS(H)][r, z, m][L]. */
static void OF(pack_forward)(const fl_weights *weights, range units, operand *out)
{
    const int64_t C = weights->C, H = weights->H, size = (1 + 3 * OF_ROW(weights)) * L;
    for (int64_t unit = units.first; unit < smaller(units.last, H); unit += L) {
        const int64_t filled = smaller(L, H - unit);
        operand *const block = out + unit / L * size, *const x_part = block + L;
        operand *const h_part = x_part + OF_X(weights) * 3 * L;
        real *const bias_m = (real *)block;
        clear_unless_full(weights, filled, L, size, block);
        for (int64_t gate = 0; gate < 3; gate++) { /* r, z, n as the weights have them */
            const int64_t row = gate * H + unit, x_slot = (gate + 1) % 3 * L, h_slot = gate * L;
            const real *const bias_ih = weights->bias_ih + row, *const bias_hh = weights->bias_hh + row;
            put_transposed(C, filled, weights->weight_ih + row * C, C, x_part + x_slot, 3 * L);
            put_transposed(H, filled, weights->weight_hh + row * H, H, h_part + h_slot, 3 * L);
            for (int64_t j = 0; j < filled; j++) {
                put_factor(x_part + x_slot + j, C, 3 * L, gate < 2 ? bias_ih[j] + bias_hh[j] : bias_ih[j]);
                if (gate == 2)
                    bias_m[j] = bias_hh[j];
            }
        }
    }
}

/* The gradient of the packed weights has three blocks: of [x, 1, h'] and r, z [C+1+H, 2, P]; then of [x, 1] and n
   [C+1, P]; then of [1, h'] and m [1+H, P]. */
#define OF_N(sizes) (((sizes)->C + 1 + (sizes)->H) * 2 * (sizes)->P)
#define OF_M(sizes) (OF_N(sizes) + ((sizes)->C + 1) * (sizes)->P)

static void OF(unpack)(const fl_weights *d_weights, const fl_part *part, const real *d_w)
{
    const int64_t C = d_weights->C, H = d_weights->H, P = d_weights->P;
    const range gates = share(part, 2 * P, 4 * L), candidate = share(part, P, 4 * L);
    for (int64_t gate = 0; gate < 3; gate++) {
        const bool both = gate < 2; /* one product has the weights of inputs and states */
        const int64_t Q = both ? 2 * P : P;
        const int64_t begin = both ? larger(gates.first - gate * P, 0) : candidate.first;
        const int64_t end = both ? smaller(gates.last - gate * P, H) : smaller(candidate.last, H);
        if (begin >= end)
            continue;
        const int64_t units = end - begin, unit = gate * H + begin, column = both ? gate * P + begin : begin;
        const real *const d_ih = d_w + (both ? 0 : OF_N(d_weights)) + column, *const d_bias_x = d_ih + C * Q;
        const real *const d_bias_h = both ? d_bias_x : d_w + OF_M(d_weights) + column, *const d_hh = d_bias_h + Q;
        transpose(units, C, d_ih, Q, d_weights->weight_ih + unit * C, C);
        transpose(units, H, d_hh, Q, d_weights->weight_hh + unit * H, H);
        for (int64_t j = 0; j < units; j++) {
            d_weights->bias_ih[unit + j] = d_bias_x[j];
            d_weights->bias_hh[unit + j] = d_bias_h[j];
        }
    }
}

static void OF(weight_gradient)(const fl_run *run, const fl_part *part, real *d_w, bool accumulate)
{
    const int64_t C = run->C, K = C + 1 + run->H;
    add_products(run, part, (range){0, K}, 1, 2, 4, d_w, accumulate);
    add_products(run, part, (range){0, C + 1}, 0, 1, 4, d_w + OF_N(run), accumulate);
    add_products(run, part, (range){C, K}, 3, 1, 4, d_w + OF_M(run), accumulate);
}

INLINE void OF(sums)(const fl_run *run, struct step step, range units, const operand *w, int64_t ahead, real *out)
{
    const int64_t P = run->P, X = OF_X(run), f_stride = ROOM * run->f_stride;
    const int64_t next_gates = run->gates ? step.later * 4 * P : 0;
    const factor *const x = row_factors(run, step.now), *const h = x + STATES_AT(run->C);
    for (int64_t unit = units.first; unit < units.last; unit += L) {
        const operand *const block = w + unit * (1 + 3 * OF_ROW(run)), *const w_x = block + L;
        const real *const bias_m = (const real *)block;
        real *const at = out + (unit - units.first) * step.active * 4;
        for (int64_t n = 0; n < step.active; n++)
            vstore(at + (n * 4 + 3) * L, vload(bias_m));
        if (run->known)
            start_from_known(run, step, unit, 3, at, 4 * L);
        products(3, step.active, X, run->known ? at : run->zero, run->known ? 4 * L : 0, x, f_stride, w_x,
                 at, 4 * L, run->gates, next_gates, 0, 0);
        products(3, step.active, OPERANDS(run->H), at + L, 4 * L, h, f_stride, w_x + 3 * X * L, at + L, 4 * L,
                 run->gates, next_gates + unit * 4 * ROWS, 4 * P, ahead);
    }
}

#endif

INLINE vec OF(state)(const fl_run *run, const struct place *at, const real *sums)
{
    const vec h_before = vload(run->states + at->before), m = vload(sums + 3 * L);
    const vec r = vsigmoid(vload(sums + L)), z = vsigmoid(vload(sums + 2 * L));
    const vec n = vtanh(vfma(r, m, vload(sums)));

    if (run->gates) {
        real *const gate = run->gates + at->gate;
        vstore(gate, n);
        vstore(gate + run->P, r);
        vstore(gate + 2 * run->P, z);
        vstore(gate + 3 * run->P, m);
    }
    return vfma(z, vsub(h_before, n), n);
}

INLINE void OF(gradients)(const fl_run *run, const struct place *at, vec dh)
{
    const int64_t P = run->P;
    const real *const gate = run->gates + at->gate;
    const vec n = vload(gate), r = vload(gate + P), z = vload(gate + 2 * P), m = vload(gate + 3 * P);
    const vec h_before = vload(run->states + at->before);
    const vec d_n = vmul(vmul(dh, one_minus(z)), one_minus(vmul(n, n)));

    real *const dz = run->dz + at->gate;
    vstore(dz, d_n);
    vstore(dz + P, vmul(vmul(vmul(d_n, m), r), one_minus(r)));
    vstore(dz + 2 * P, vmul(vmul(vmul(dh, vsub(h_before, n)), z), one_minus(z)));
    vstore(dz + 3 * P, vmul(d_n, r));
    vstore(run->dh + at->sequence, vmul(dh, z));
}

#undef OF_N
#undef OF_M

#include "recurrence.h"
