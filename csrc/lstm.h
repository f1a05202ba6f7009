/* LSTM from register tiles.

   Hochreiter & Schmidhuber (1997), with the forget gate of Gers, Schmidhuber & Cummins (2000):

       i = sigmoid(W_i [x, 1, h'])      c = f * c' + i * g
       f = sigmoid(W_f [x, 1, h'])      h = o * tanh(c)
       g = tanh(W_g [x, 1, h'])
       o = sigmoid(W_o [x, 1, h'])      h', c': the states before the step */

static void FL(lstm_forward)(const int64_t *starts, int64_t T, int64_t r_first, int64_t r_last, int64_t u_first,
                             int64_t u_last, int64_t C, int64_t H, int64_t P, real *rows, int64_t stride, real *states,
                             int64_t s_stride, const real *mask, bool masked, const real *w, real *c, real *gates,
                             bool recording, real *sums, const real *zero, int64_t *meeting, int64_t size)
{
    if (r_first >= r_last)
        return;
    const int64_t K = C + 1 + H;
    /* Each unit's products ask for a share of the memory that the next step's gates will be written to. */
    const int64_t share = recording ? (4 * L * ROWS + K - 1) / K : 0;
    /* With few rows, all units' sums come first: their gates, which depend on nothing else, then overlap. */
    const int64_t group = larger(1, FL_SUMS_BYTES / ((r_last - r_first) * 4 * VECTOR_BYTES)) * L;
    for (int64_t t = 0; t < T; t++) {
        const int64_t now = starts[t] + r_first, active = smaller(r_last, starts[t + 1] - starts[t]) - r_first;
        if (active <= 0) /* all of these sequences have ended; threads that meet have all rows, and never come here */
            break;
        const int64_t going_on = t + 1 < T ? smaller(r_last, starts[t + 2] - starts[t + 1]) - r_first : 0;
        const int64_t later = starts[t + 1] + r_first, end = starts[T] + r_first;
        const int64_t next_gates = recording ? later * 4 * P : 0;
        for (int64_t first = u_first; first < u_last; first += group) {
            const int64_t last = smaller(first + group, u_last);
            for (int64_t unit = first; unit < last; unit += L)
                products(4, active, K, zero, 0, rows + now * stride, stride, w + unit * 4 * K,
                         sums + (unit - first) * active * 4, 4 * L, gates, next_gates + unit * 4 * ROWS, 4 * P, share);
            for (int64_t unit = first; unit < last; unit += L)
                for (int64_t n = 0; n < active; n++) {
                    const int64_t after = (n < going_on ? later : end) + n;
                    const int64_t c_here = recording ? now + n : r_first + n, c_there = recording ? after : r_first + n;
                    const real *const z = sums + ((unit - first) * active + n * L) * 4;

                    const vec c_before = vload(c + c_here * P + unit);
                    const vec i = vsigmoid(vload(z)), f = vsigmoid(vload(z + L));
                    const vec g = vtanh(vload(z + 2 * L)), o = vsigmoid(vload(z + 3 * L));
                    const vec c_t = vfma(f, c_before, vmul(i, g)), h_t = vmul(o, vtanh(c_t));

                    vstore(c + c_there * P + unit, c_t);
                    vstore(states + after * s_stride + unit, h_t);
                    if (recording) {
                        real *const gate = gates + (now + n) * 4 * P + unit;
                        vstore(gate, i);
                        vstore(gate + P, f);
                        vstore(gate + 2 * P, g);
                        vstore(gate + 3 * P, o);
                    }
                }
            if (masked)
                mask_states(active, going_on, r_first, first, last, later, end, C, P, mask, states, s_stride, rows,
                            stride);
        }
        if (size > 1)
            meet(meeting, size);
    }
}

static void FL(lstm_backward)(const int64_t *starts, int64_t T, int64_t r_first, int64_t r_last, int64_t u_first,
                              int64_t u_last, int64_t H, int64_t P, const real *mask, bool masked, const real *w,
                              const real *c, const real *gates, const real *d_h, bool has_d_h, real *dz, real *dh,
                              real *dc, const real *zero, bool to_start, int64_t *meeting, int64_t size)
{
    int64_t going_on = 0; /* rows that have a step after this one */
    for (int64_t t = T - 1; t >= (to_start ? -1 : 0); t--) {
        const int64_t now = starts[larger(t, 0)] + r_first;
        const int64_t active = t >= 0 ? smaller(r_last, starts[t + 1] - starts[t]) - r_first : 0;
        const int64_t later = starts[t + 1] + r_first, end = starts[T] + r_first;
        if (going_on > 0) {
            const bool with_outputs = has_d_h && t >= 0 && !masked;
            multiply(going_on, 4 * P, u_last - u_first, with_outputs ? d_h + now * P + u_first : zero,
                     with_outputs ? P : 0, dz + later * 4 * P, 4 * P, w + u_first * 4 * P, dh + r_first * P + u_first,
                     P, gates, now * 4 * P);
        }
        for (int64_t n = 0; n < active; n++) {
            const bool goes_on = n < going_on;
            const int64_t after = (goes_on ? later : end) + n;
            for (int64_t unit = u_first; unit < u_last; unit += L) {
                const int64_t here = (now + n) * P + unit, gate = (now + n) * 4 * P + unit;
                const int64_t state = (r_first + n) * P + unit;
                vec dh_t = vload(dh + state);
                if (masked && goes_on)
                    dh_t = vmul(dh_t, vload(mask + state));
                if (has_d_h && (masked || !goes_on))
                    dh_t = vadd(dh_t, vload(d_h + here));
                const vec i = vload(gates + gate), f = vload(gates + gate + P);
                const vec g = vload(gates + gate + 2 * P), o = vload(gates + gate + 3 * P);
                const vec c_before = vload(c + here), tanh_c = vtanh(vload(c + after * P + unit));
                const vec dc_t = vfma(vmul(dh_t, o), one_minus(vmul(tanh_c, tanh_c)), vload(dc + state));

                vstore(dz + gate, vmul(vmul(vmul(dc_t, g), i), one_minus(i)));
                vstore(dz + gate + P, vmul(vmul(vmul(dc_t, c_before), f), one_minus(f)));
                vstore(dz + gate + 2 * P, vmul(vmul(dc_t, i), one_minus(vmul(g, g))));
                vstore(dz + gate + 3 * P, vmul(vmul(vmul(dh_t, tanh_c), o), one_minus(o)));
                vstore(dc + state, vmul(dc_t, f));
            }
            clear_padding(4, H, P, u_first, u_last, dz + (now + n) * 4 * P);
        }
        going_on = larger(active, 0);
        if (size > 1)
            meet(meeting, size);
    }
}

static void FL(lstm_step)(const int64_t *starts, int64_t N, int64_t C, int64_t H, int64_t P, real *rows,
                          int64_t stride, const real *w, real *c, real *sums, const real *zero, const real *x,
                          int64_t x_stride, real *h, int64_t h_stride)
{
    real *const states = rows + C + 1;
    put_inputs(N, C, x, x_stride, rows, stride);
    FL(lstm_forward)(starts, 1, 0, N, 0, P, C, H, P, rows, stride, states, stride, zero, false, w, c, sums, false, sums,
                     zero, NULL, 1);
    take_states(N, C, H, rows, stride, h, h_stride);
}
