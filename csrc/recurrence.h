/* The loop over time of one cell, forward and backward: active rows, masks, groups of units, and barriers between
   threads. A cell's file includes this after it has defined

       CELL                 its name
       GATES                blocks of its weights, G
       SLOTS                values per row and unit in dz: the first G for the weights of x, the last G for those of h'
       KEEPS_GATES          1 where forward leaves as many in `gates`, which backward reads
       SEPARATE_BIASES      biases of a unit in the packed weights, beside those of the gates
       HAS_C                1 where there are cell states
       DIRECT               1 where a state also reaches the next one directly: `gradients` stores that gradient in dh
       AHEAD_OF(run)        the length of the products that prefetch the memory of the next step's gates
       GROUP(rows)          units whose sums are computed together
       SUM(active, n, unit) where in these sums those of row n and the group's unit begin

   and these functions, of which CELL is a part of the name:

       pack_forward(weights, units, out)             weights as `sums` reads them
       unpack, weight_gradient                       as in table.h
       sums(run, step, units, w, ahead, out)         the sums of those units' gates in a step
       state(run, at, sums)                          the equations: h of a row's vector of units; stores c and gates
       gradients(run, at, dh)                        their derivatives: stores dz and, where there are any, dc or dh

   gates.h has all of these but CELL, GATES, HAS_C, `state` and `gradients`, for gates that are sums of [x, 1, h']. */

static void OF(pack)(const fl_weights *weights, const fl_part *part, const fl_packed *packed)
{
    const range units = share(part, weights->P, 4 * L);
    if (packed->forward)
        OF(pack_forward)(weights, units, packed->forward);
#if HAS_BACKWARD
    const int64_t C = weights->C, H = weights->H, P = weights->P;
    const range inputs = share(part, (C + L - 1) / L * L, 4 * L);
    if (packed->backward)
        pack_groups(GATES, 0, H, P, H, units, weights->weight_hh, packed->backward);
    if (packed->inputs) /* in the order of slots: with more slots than gates, the last gate comes first */
        pack_groups(GATES, SLOTS > GATES ? GATES - 1 : 0, H, P, C, inputs, weights->weight_ih, packed->inputs);
#endif
}

static void OF(forward)(const fl_run *run_, const fl_part *part, const operand *w)
{
    const fl_run copied = run_of_part(run_, part), *const run = &copied; /* which stores through pointers cannot change */
    const range rows = rows_of(run, part), units = units_of(run, part);
    if (rows.first >= rows.last)
        return;
    const uint64_t mode = without_subnormals();
#if HAS_FACTORS
    show_inputs(run, part);
    end_step(part);
#endif
    real *const sums = run->sums + part->rank * size_of_sums(run);
    const int64_t group = GROUP(rows.last - rows.first);
    /* Each unit's products prefetch a share of the memory that the next step's gates are written to. */
    const int64_t ahead = run->gates ? (4 * L * ROWS + AHEAD_OF(run) - 1) / AHEAD_OF(run) : 0;
    for (int64_t t = 0; t < run->batch.T; t++) {
        const struct step step = step_of(&run->batch, rows, t);
        if (step.active <= 0) /* all of these sequences have ended; never the case where threads divide the units */
            break;
        round_step(run, step);
        for (int64_t first = units.first; first < units.last; first += group) {
            const range here = {first, smaller(first + group, units.last)};
            OF(sums)(run, step, here, w, ahead, sums);
            for (int64_t unit = here.first; unit < here.last; unit += L)
                for (int64_t n = 0; n < step.active; n++) {
                    const struct place at = place_of(run, step, n, unit, SLOTS);
                    vstore(run->states + at.after, OF(state)(run, &at, sums + SUM(step.active, n, unit - first)));
                }
            if (HAS_FACTORS || run->mask)
                for (int64_t n = 0; n < step.active; n++)
                    show_states(run_, step.r_first + n, row_after(step, n), here);
        }
        end_step(part);
    }
    restore(mode);
}

#if HAS_BACKWARD
static void OF(backward)(const fl_run *run_, const fl_part *part, const operand *w, bool to_start)
{
    const fl_run copied = *run_, *const run = &copied;
    const range rows = rows_of(run, part), units = units_of(run, part);
    const int64_t P = run->P, K = OPERANDS(GATES * P);
    const uint64_t mode = without_subnormals();
    for (int64_t t = run->batch.T - 1; t >= (to_start ? -1 : 0); t--) {
        const struct step step = step_of(&run->batch, rows, t);
        if (step.going_on > 0) {
            const int64_t sequence = rows.first * P + units.first, output = step.now * P + units.first;
            const real *start = run->zero;
            if (DIRECT && !run->mask) /* dh holds what the later step has passed on directly */
                start = run->dh + sequence;
            else if (!DIRECT && !run->mask && run->d_h && t >= 0)
                start = run->d_h + output;
            real *const out = DIRECT && run->mask ? run->d_seen : run->dh;
            multiply(step.going_on, K, units.last - units.first, start, start == run->zero ? 0 : P,
                     dz_factors(run, SLOTS, step.later) + (SLOTS - GATES) * P, ROOM * SLOTS * P, w + units.first * K,
                     out + sequence, P, KEEPS_GATES ? run->gates : run->states,
                     step.now * (KEEPS_GATES ? SLOTS * P : run->s_stride));
        }
        for (int64_t n = 0; n < step.active; n++) {
            const bool goes_on = n < step.going_on;
            for (int64_t unit = units.first; unit < units.last; unit += L) {
                const struct place at = place_of(run, step, n, unit, SLOTS);
                vec dh = vload(run->dh + at.sequence);
                if (run->mask && goes_on) {
                    const vec mask = vload(run->mask + at.sequence);
                    dh = DIRECT ? vfma(vload(run->d_seen + at.sequence), mask, dh) : vmul(dh, mask);
                }
                if (run->d_h && (DIRECT || run->mask || !goes_on))
                    dh = vadd(dh, vload(run->d_h + at.output));
                OF(gradients)(run, &at, dh);
            }
            clear_padding(SLOTS, run->H, P, units, run->dz + (step.now + n) * SLOTS * P);
#if HAS_FACTORS
            show_gradients(run, SLOTS, step.now + n, units);
#endif
        }
        end_step(part);
    }
    if (run->mask && to_start) /* from the gradient of the initial states as the gates see them */
        for (int64_t n = rows.first; n < rows.last; n++)
            for (int64_t unit = units.first; unit < units.last; unit += L) {
                real *const dh = run->dh + n * P + unit;
                const vec mask = vload(run->mask + n * P + unit);
                vstore(dh, DIRECT ? vadd(vload(dh), vmul(vload(run->d_seen + n * P + unit), mask))
                                  : vmul(vload(dh), mask));
            }
    restore(mode);
}
#endif

static void OF(step)(const fl_run *run, const fl_part *part, const operand *w, const real *x, int64_t x_stride, real *h,
                     int64_t h_stride)
{
    const range rows = rows_of(run, part);
    put_inputs(run, rows, x, x_stride);
    OF(forward)(run, part, w);
    take_states(run, rows, h, h_stride);
}

#if HAS_BACKWARD
static void OF(input_gradient)(const fl_run *run, const fl_part *part, const operand *w, real *d_x)
{
    const matrix dz = {dz_factors(run, SLOTS, 0), run->batch.M, GATES * run->P, ROOM * SLOTS * run->P};
    const range rows = share(part, dz.rows, 1);
    const uint64_t mode = without_subnormals();
    OF_FACTORS(multiply_rows)(rows.first, rows.last, &dz, w, (run->C + L - 1) / L * L, run->zero, d_x);
    restore(mode);
}
#endif

static const fl_cell OF(cell) = {
    .name = NAME(CELL),
    .gates = GATES,
    .slots = SLOTS,
    .separate_biases = SEPARATE_BIASES,
    .keeps_gates = KEEPS_GATES,
    .has_c = HAS_C,
    .direct = DIRECT,
    .pack = OF(pack),
    .forward = OF(forward),
    .step = OF(step),
#if HAS_BACKWARD
    .unpack = OF(unpack),
    .backward = OF(backward),
    .weight_gradient = OF(weight_gradient),
    .input_gradient = OF(input_gradient),
#endif
};

#undef CELL
#undef GATES
#undef SLOTS
#undef KEEPS_GATES
#undef SEPARATE_BIASES
#undef HAS_C
#undef DIRECT
#undef AHEAD_OF
#undef GROUP
#undef SUM
