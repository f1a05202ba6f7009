/* GRU from register tiles.

   Cho et al. (2014), as torch.nn.GRU computes it, the reset gate on the product (Keras: reset_after=True):

       r = sigmoid(W_r [x, 1] + U_r h' + b_r)      n = tanh(W_n [x, 1] + r * m),   m = U_n h' + b_m
       z = sigmoid(W_z [x, 1] + U_z h' + b_z)      h = (1 - z) * n + z * h';       h': the state before the step

   The candidate's two sums stay apart until r is known. They stand around those of the gates, [n, r, z, m]: so the
   inputs' products fill the first three, the states' products the last three, and none is done for nothing. */

static void FL(gru_pack)(int64_t C, int64_t H, int64_t first, int64_t last, const real *weight_ih,
                         const real *weight_hh, const real *bias_ih, const real *bias_hh, real *out)
{
    const int64_t size = (1 + 3 * (C + 1 + H)) * L;
    for (int64_t unit = first; unit < last; unit += L) {
        const int64_t units = smaller(L, H - unit);
        real *const bias_m = out + unit / L * size, *const x_part = bias_m + L;
        real *const bias = x_part + C * 3 * L, *const h_part = bias + 3 * L;
        if (units < L)
            for (int64_t j = 0; j < size; j++)
                bias_m[j] = 0;
        for (int64_t gate = 0; gate < 3; gate++) { /* r, z, n as the weights have them */
            const int64_t row = gate * H + unit, x_slot = (gate + 1) % 3 * L, h_slot = gate * L;
            transpose(C, units, weight_ih + row * C, C, x_part + x_slot, 3 * L);
            transpose(H, units, weight_hh + row * H, H, h_part + h_slot, 3 * L);
            for (int64_t j = 0; j < units; j++) {
                bias[x_slot + j] = gate < 2 ? bias_ih[row + j] + bias_hh[row + j] : bias_ih[row + j];
                if (gate == 2)
                    bias_m[j] = bias_hh[row + j];
            }
        }
    }
}

static void FL(gru_unpack)(int64_t C, int64_t H, int64_t P, int64_t first, int64_t last, int64_t n_first,
                           int64_t n_last, const real *d_w, int64_t of_n, int64_t of_m, real *d_weight_ih,
                           real *d_weight_hh, real *d_bias_ih, real *d_bias_hh)
{
    for (int64_t gate = 0; gate < 3; gate++) {
        const bool both = gate < 2; /* weights of inputs and states are in one product */
        const int64_t Q = both ? 2 * P : P;
        const int64_t begin = both ? larger(first - gate * P, 0) : n_first;
        const int64_t end = both ? smaller(last - gate * P, H) : smaller(n_last, H);
        if (begin >= end)
            continue;
        const int64_t units = end - begin, unit = gate * H + begin, column = both ? gate * P + begin : begin;
        const real *const d_ih = d_w + (both ? 0 : of_n) + column, *const d_bias_x = d_ih + C * Q;
        const real *const d_bias_h = both ? d_bias_x : d_w + of_m + column, *const d_hh = d_bias_h + Q;
        transpose(units, C, d_ih, Q, d_weight_ih + unit * C, C);
        transpose(units, H, d_hh, Q, d_weight_hh + unit * H, H);
        for (int64_t j = 0; j < units; j++) {
            d_bias_ih[unit + j] = d_bias_x[j];
            d_bias_hh[unit + j] = d_bias_h[j];
        }
    }
}

static void FL(gru_forward)(const int64_t *starts, int64_t T, int64_t r_first, int64_t r_last, int64_t u_first,
                            int64_t u_last, int64_t C, int64_t H, int64_t P, real *rows, int64_t stride, real *states,
                            int64_t s_stride, const real *mask, bool masked, const real *w, real *gates,
                            bool recording, real *sums, const real *zero, int64_t *meeting, int64_t size)
{
    if (r_first >= r_last)
        return;
    /* Each unit's products ask for a share of the memory that the next step's gates will be written to. */
    const int64_t share = recording ? (4 * L * ROWS + H - 1) / H : 0;
    /* With few rows, all units' sums come first: their gates, which depend on nothing else, then overlap. */
    const int64_t group = larger(1, FL_SUMS_BYTES / ((r_last - r_first) * 4 * VECTOR_BYTES)) * L;
    for (int64_t t = 0; t < T; t++) {
        const int64_t now = starts[t] + r_first, active = smaller(r_last, starts[t + 1] - starts[t]) - r_first;
        if (active <= 0) /* all of these sequences have ended; threads that meet have all rows, and never come here */
            break;
        const int64_t going_on = t + 1 < T ? smaller(r_last, starts[t + 2] - starts[t + 1]) - r_first : 0;
        const int64_t later = starts[t + 1] + r_first, end = starts[T] + r_first;
        const int64_t next_gates = recording ? later * 4 * P : 0;
        const real *const x_now = rows + now * stride, *const h_now = x_now + C + 1;
        for (int64_t first = u_first; first < u_last; first += group) {
            const int64_t last = smaller(first + group, u_last);
            for (int64_t unit = first; unit < last; unit += L) {
                const real *const bias_m = w + unit * (1 + 3 * (C + 1 + H)), *const w_x = bias_m + L;
                real *const at = sums + (unit - first) * active * 4;
                for (int64_t n = 0; n < active; n++)
                    vstore(at + (n * 4 + 3) * L, vload(bias_m));
                products(3, active, C + 1, zero, 0, x_now, stride, w_x, at, 4 * L, gates, next_gates, 0, 0);
                products(3, active, H, at + L, 4 * L, h_now, stride, w_x + 3 * (C + 1) * L, at + L, 4 * L, gates,
                         next_gates + unit * 4 * ROWS, 4 * P, share);
            }
            for (int64_t unit = first; unit < last; unit += L)
                for (int64_t n = 0; n < active; n++) {
                    const int64_t after = (n < going_on ? later : end) + n;
                    const real *const at = sums + ((unit - first) * active + n * L) * 4;

                    const vec h_before = vload(states + (now + n) * s_stride + unit), m_t = vload(at + 3 * L);
                    const vec r_t = vsigmoid(vload(at + L)), z_t = vsigmoid(vload(at + 2 * L));
                    const vec n_t = vtanh(vfma(r_t, m_t, vload(at)));
                    const vec h_t = vfma(z_t, vsub(h_before, n_t), n_t);

                    vstore(states + after * s_stride + unit, h_t);
                    if (recording) {
                        real *const gate = gates + (now + n) * 4 * P + unit;
                        vstore(gate, n_t);
                        vstore(gate + P, r_t);
                        vstore(gate + 2 * P, z_t);
                        vstore(gate + 3 * P, m_t);
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

static void FL(gru_backward)(const int64_t *starts, int64_t T, int64_t r_first, int64_t r_last, int64_t u_first,
                             int64_t u_last, int64_t H, int64_t P, const real *states, int64_t s_stride,
                             const real *mask, bool masked, const real *w, const real *gates, const real *d_h,
                             bool has_d_h, real *dz, real *dh, real *d_seen, const real *zero, bool to_start,
                             int64_t *meeting, int64_t size)
{
    real *const through_gates = masked ? d_seen : dh;
    int64_t going_on = 0; /* rows that have a step after this one */
    for (int64_t t = T - 1; t >= (to_start ? -1 : 0); t--) {
        const int64_t now = starts[larger(t, 0)] + r_first;
        const int64_t active = t >= 0 ? smaller(r_last, starts[t + 1] - starts[t]) - r_first : 0;
        const int64_t later = starts[t + 1] + r_first;
        if (going_on > 0) /* dh holds what the later step passed on by z */
            multiply(going_on, 3 * P, u_last - u_first, masked ? zero : dh + r_first * P + u_first, masked ? 0 : P,
                     dz + later * 4 * P + P, 4 * P, w + u_first * 3 * P, through_gates + r_first * P + u_first, P,
                     gates, now * 4 * P);
        for (int64_t n = 0; n < active; n++) {
            for (int64_t unit = u_first; unit < u_last; unit += L) {
                const int64_t gate = (now + n) * 4 * P + unit, state = (r_first + n) * P + unit;
                vec dh_t = vload(dh + state);
                if (masked && n < going_on)
                    dh_t = vfma(vload(d_seen + state), vload(mask + state), dh_t);
                if (has_d_h)
                    dh_t = vadd(dh_t, vload(d_h + (now + n) * P + unit));
                const vec n_t = vload(gates + gate), r_t = vload(gates + gate + P);
                const vec z_t = vload(gates + gate + 2 * P), m_t = vload(gates + gate + 3 * P);
                const vec h_before = vload(states + (now + n) * s_stride + unit);
                const vec d_n = vmul(vmul(dh_t, one_minus(z_t)), one_minus(vmul(n_t, n_t)));

                vstore(dz + gate, d_n);
                vstore(dz + gate + P, vmul(vmul(vmul(d_n, m_t), r_t), one_minus(r_t)));
                vstore(dz + gate + 2 * P, vmul(vmul(vmul(dh_t, vsub(h_before, n_t)), z_t), one_minus(z_t)));
                vstore(dz + gate + 3 * P, vmul(d_n, r_t));
                vstore(dh + state, vmul(dh_t, z_t));
            }
            clear_padding(4, H, P, u_first, u_last, dz + (now + n) * 4 * P);
        }
        going_on = larger(active, 0);
        if (size > 1)
            meet(meeting, size);
    }
}

static void FL(gru_step)(const int64_t *starts, int64_t N, int64_t C, int64_t H, int64_t P, real *rows, int64_t stride,
                         const real *w, real *sums, const real *zero, const real *x, int64_t x_stride, real *h,
                         int64_t h_stride)
{
    real *const states = rows + C + 1;
    put_inputs(N, C, x, x_stride, rows, stride);
    FL(gru_forward)(starts, 1, 0, N, 0, P, C, H, P, rows, stride, states, stride, zero, false, w, sums, false, sums,
                    zero, NULL, 1);
    take_states(N, C, H, rows, stride, h, h_stride);
}
