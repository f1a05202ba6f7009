/* Vanilla RNN from register tiles.

   Elman (1990):

       h = tanh(W [x, 1, h'])      h': the state before the step */

static void FL(rnn_pack)(int64_t C, int64_t H, int64_t P, int64_t first, int64_t last, const real *weight_ih,
                         const real *weight_hh, const real *bias_ih, const real *bias_hh, real *out)
{
    (void)P;
    const int64_t K = C + 1 + H;
    for (int64_t unit = first, wide; unit < last; unit += wide) {
        wide = unit + 4 * L <= last ? 4 * L : unit + 2 * L <= last ? 2 * L : L;
        const int64_t units = smaller(wide, H - unit);
        real *const x_part = out + unit * K, *const bias = x_part + C * wide, *const h_part = bias + wide;
        if (units < wide)
            for (int64_t j = 0; j < K * wide; j++)
                x_part[j] = 0;
        transpose(C, units, weight_ih + unit * C, C, x_part, wide);
        transpose(H, units, weight_hh + unit * H, H, h_part, wide);
        for (int64_t j = 0; j < units; j++)
            bias[j] = bias_ih[unit + j] + bias_hh[unit + j];
    }
}

static void FL(rnn_forward)(const int64_t *starts, int64_t T, int64_t r_first, int64_t r_last, int64_t u_first,
                            int64_t u_last, int64_t C, int64_t H, int64_t P, real *rows, int64_t stride, real *states,
                            int64_t s_stride, const real *mask, bool masked, const real *w, real *sums,
                            const real *zero, int64_t *meeting, int64_t size)
{
    const int64_t K = C + 1 + H;
    for (int64_t t = 0; t < T; t++) {
        const int64_t now = starts[t] + r_first, active = smaller(r_last, starts[t + 1] - starts[t]) - r_first;
        if (active <= 0) /* all of these sequences have ended; threads that meet have all rows, and never come here */
            break;
        const int64_t going_on = t + 1 < T ? smaller(r_last, starts[t + 2] - starts[t + 1]) - r_first : 0;
        const int64_t later = starts[t + 1] + r_first, end = starts[T] + r_first;
        for (int64_t first = u_first; first < u_last; first += 4 * L) {
            const int64_t last = smaller(first + 4 * L, u_last);
            multiply(active, K, last - first, zero, 0, rows + now * stride, stride, w + first * K, sums, 4 * L, rows,
                     now * stride);
            for (int64_t n = 0; n < active; n++) {
                const int64_t after = (n < going_on ? later : end) + n;
                for (int64_t unit = first; unit < last; unit += L)
                    vstore(states + after * s_stride + unit, vtanh(vload(sums + n * 4 * L + unit - first)));
            }
            if (masked)
                mask_states(active, going_on, r_first, first, last, later, end, C, P, mask, states, s_stride, rows,
                            stride);
        }
        if (size > 1)
            meet(meeting, size);
    }
}

static void FL(rnn_backward)(const int64_t *starts, int64_t T, int64_t r_first, int64_t r_last, int64_t u_first,
                             int64_t u_last, int64_t H, int64_t P, const real *states, int64_t s_stride,
                             const real *mask, bool masked, const real *w, const real *d_h, bool has_d_h, real *dz,
                             real *dh, const real *zero, bool to_start, int64_t *meeting, int64_t size)
{
    int64_t going_on = 0; /* rows that have a step after this one */
    for (int64_t t = T - 1; t >= (to_start ? -1 : 0); t--) {
        const int64_t now = starts[larger(t, 0)] + r_first;
        const int64_t active = t >= 0 ? smaller(r_last, starts[t + 1] - starts[t]) - r_first : 0;
        const int64_t later = starts[t + 1] + r_first, end = starts[T] + r_first;
        if (going_on > 0) {
            const bool with_outputs = has_d_h && t >= 0 && !masked;
            multiply(going_on, P, u_last - u_first, with_outputs ? d_h + now * P + u_first : zero,
                     with_outputs ? P : 0, dz + later * P, P, w + u_first * P, dh + r_first * P + u_first, P, states,
                     now * s_stride);
        }
        for (int64_t n = 0; n < active; n++) {
            const bool goes_on = n < going_on;
            const int64_t after = (goes_on ? later : end) + n;
            for (int64_t unit = u_first; unit < u_last; unit += L) {
                const int64_t here = (now + n) * P + unit, state = (r_first + n) * P + unit;
                const vec h_t = vload(states + after * s_stride + unit);
                vec dh_t = vload(dh + state);
                if (masked && goes_on)
                    dh_t = vmul(dh_t, vload(mask + state));
                if (has_d_h && (masked || !goes_on))
                    dh_t = vadd(dh_t, vload(d_h + here));
                vstore(dz + here, vmul(dh_t, one_minus(vmul(h_t, h_t))));
            }
            clear_padding(1, H, P, u_first, u_last, dz + (now + n) * P);
        }
        going_on = larger(active, 0);
        if (size > 1)
            meet(meeting, size);
    }
}

static void FL(rnn_step)(const int64_t *starts, int64_t N, int64_t C, int64_t H, int64_t P, real *rows, int64_t stride,
                         const real *w, real *sums, const real *zero, const real *x, int64_t x_stride, real *h,
                         int64_t h_stride)
{
    real *const states = rows + C + 1;
    put_inputs(N, C, x, x_stride, rows, stride);
    FL(rnn_forward)(starts, 1, 0, N, 0, P, C, H, P, rows, stride, states, stride, zero, false, w, sums, zero, NULL, 1);
    take_states(N, C, H, rows, stride, h, h_stride);
}
