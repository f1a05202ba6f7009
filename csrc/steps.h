/* The rows and offsets of a step, and functions that all cells share; see recurrence.h. */

#define place_of FL(place_of)
#define rows_of FL(rows_of)
#define units_of FL(units_of)
#define size_of_sums FL(size_of_sums)
#define step_of FL(step_of)
#define row_after FL(row_after)
#define show_states FL(show_states)
#define clear_padding FL(clear_padding)
#define put_inputs FL(put_inputs)
#define take_states FL(take_states)
#define add_products FL(add_products)
#define start_from_known FL(start_from_known)

struct step {
    int64_t r_first;          /* the first of the part's sequences */
    int64_t active, going_on; /* how many sequences have this step, and how many the next */
    int64_t now;              /* the row of the first sequence's state before the step */
    int64_t later, end;       /* and after it, if it has a next step, or if this is its last */
};

/* Step t, or -1 for the end of backpropagation, where no sequence is active and all have step 0 next. */
INLINE struct step step_of(const fl_batch *batch, range rows, int64_t t)
{
    const int64_t *const starts = batch->starts;
    return (struct step){
        .r_first = rows.first,
        .active = t >= 0 ? smaller(rows.last, starts[t + 1] - starts[t]) - rows.first : 0,
        .going_on = t + 1 < batch->T ? smaller(rows.last, starts[t + 2] - starts[t + 1]) - rows.first : 0,
        .now = starts[larger(t, 0)] + rows.first,
        .later = starts[t + 1] + rows.first,
        .end = batch->M + rows.first,
    };
}

/* The row of the n-th sequence's state after the step. */
INLINE int64_t row_after(struct step step, int64_t n) { return (n < step.going_on ? step.later : step.end) + n; }

/* The factors of a row, and of a row of dz, which are ROOM times as many reals apart. */
#ifndef row_factors
#define row_factors(run, row) ((factor *)((run)->factors + (row) * (run)->f_stride))
#endif
#define dz_factors(run, slots, row) ((factor *)((run)->dz_factors + (row) * (slots) * (run)->P))
#define ROOM ((int64_t)(sizeof(real) / sizeof(factor)))

/* Write the states of sequence n in a row as factors, times its mask, for the gates of the next step; some units. */
INLINE void show_states(const fl_run *run, int64_t n, int64_t row, range units)
{
    factor *const seen = row_factors(run, row) + STATES_AT(run->C);
    for (int64_t unit = units.first; unit < units.last; unit += L) {
        const vec h = vload(run->states + row * run->s_stride + unit);
        put_factors(seen + unit, run->mask ? vmul(h, vload(run->mask + n * run->P + unit)) : h);
    }
    /* A padded unit that completes the last operand has no weight, but is NaN where an input is infinite. */
    if (HAS_FACTORS && run->H % WIDTH > 0 && units.first <= run->H && run->H < units.last)
        seen[run->H] = 0;
}

/* Clear the padded units of dz[slots, P], the gradient of a row's sums. They are zero unless an input is infinite. */
INLINE void clear_padding(int64_t slots, int64_t H, int64_t P, range units, real *dz)
{
    for (int64_t slot = 0; slot < slots; slot++)
        for (int64_t unit = larger(H, units.first); unit < units.last; unit++)
            dz[slot * P + unit] = 0;
}

#if HAS_FACTORS
#define show_inputs FL(show_inputs)
/* Write the inputs of a part's sequences and their initial states as factors. */
static void show_inputs(const fl_run *run, const fl_part *part)
{
    const int64_t C = run->C, *const starts = run->batch.starts;
    for (int64_t t = 0; t < run->batch.T; t++)
        for (int64_t row = starts[t] + part->first; row < smaller(starts[t] + part->last, starts[t + 1]); row++) {
            factor *const seen = row_factors(run, row);
            round_row(C + 1, run->rows + row * run->stride, seen);
            for (int64_t k = C + 1; k < STATES_AT(C); k++)
                seen[k] = 0;
        }
    for (int64_t n = part->first; n < part->last; n++)
        show_states(run, n, n, (range){0, run->P});
}

#define show_gradients FL(show_gradients)
/* Write dz[slots, P] of a row as factors, for some units. */
INLINE void show_gradients(const fl_run *run, int64_t slots, int64_t row, range units)
{
    for (int64_t slot = 0; slot < slots; slot++) {
        const int64_t at = slot * run->P + units.first;
        round_row(units.last - units.first, run->dz + row * slots * run->P + at, dz_factors(run, slots, row) + at);
    }
}
#endif

/* Write these rows of x[N, C : x_stride] into the first rows, as inputs. */
static void put_inputs(const fl_run *run, range rows, const real *x, int64_t x_stride)
{
    for (int64_t n = rows.first; n < rows.last; n++)
        for (int64_t k = 0; k < run->C; k++)
            run->rows[n * run->stride + k] = x[n * x_stride + k];
}

/* Copy the states of these rows after one step to h[N, H : h_stride], and to the initial states for the next call. */
static void take_states(const fl_run *run, range rows, real *h, int64_t h_stride)
{
    const int64_t N = run->batch.N, stride = run->stride;
    for (int64_t n = rows.first; n < rows.last; n++) {
        real *const before = run->rows + n * stride + run->C + 1, *const after = before + N * stride;
        for (int64_t unit = 0; unit < run->H; unit++)
            h[n * h_stride + unit] = before[unit] = after[unit];
    }
}

/* With few rows, compute the sums of all units first: their gates, which depend on nothing else, then overlap. */
#define GROUP_IN_CACHE(rows) (larger(1, FL_SUMS_BYTES / ((rows) * 4 * VECTOR_BYTES)) * L)

/* Offsets of one row and vector of units in a run's arrays. */
struct place {
    int64_t before, after;     /* in `states`, before and after the step */
    int64_t c_before, c_after; /* in `c` */
    int64_t output;            /* in d_h */
    int64_t gate;              /* in `gates` and dz; the next gate is P further on */
    int64_t sequence;          /* in arrays [N, P] */
};

INLINE struct place place_of(const fl_run *run, struct step step, int64_t n, int64_t unit, int64_t slots)
{
    const int64_t P = run->P, now = step.now + n, after = row_after(step, n), sequence = step.r_first + n;
    return (struct place){
        .before = now * run->s_stride + unit,
        .after = after * run->s_stride + unit,
        .c_before = (run->gates ? now : sequence) * P + unit,
        .c_after = (run->gates ? after : sequence) * P + unit,
        .output = now * P + unit,
        .gate = now * slots * P + unit,
        .sequence = sequence * P + unit,
    };
}

/* out[active, gates, L : out_stride]: what the sums of a step's rows start from, for a vector of units. */
INLINE void start_from_known(const fl_run *run, struct step step, int64_t unit, const int gates, real *out,
                                int64_t out_stride)
{
    for (int64_t n = 0; n < step.active; n++) {
        const int64_t *const which = run->which + (step.now + n) * run->S;
        for (int gate = 0; gate < gates; gate++) {
            const real *const at = run->known + gate * run->P + unit;
            vec sum = vload(at + which[0] * gates * run->P);
            for (int64_t s = 1; s < run->S; s++)
                sum = vadd(sum, vload(at + which[s] * gates * run->P));
            vstore(out + n * out_stride + gate * L, sum);
        }
    }
}

/* The rows and the units of a part. */
INLINE range rows_of(const fl_run *run, const fl_part *part)
{
    return part->by_units ? (range){0, run->batch.N} : (range){part->first, part->last};
}

INLINE range units_of(const fl_run *run, const fl_part *part)
{
    return part->by_units ? share(part, run->P, 4 * L) : (range){0, run->P};
}

/* Size of a thread's buffer for sums. */
INLINE int64_t size_of_sums(const fl_run *run)
{
    return larger(FL_SUMS_BYTES / (int64_t)sizeof(real), run->batch.N * 4 * L);
}

#if HAS_BACKWARD
/* A part's share of out[inputs, gates * P]: these inputs of the rows times `gates` slots of dz, from `slot` on. */
static void add_products(const fl_run *run, const fl_part *part, range inputs, int64_t slot, int64_t gates,
                         int64_t slots, real *out, bool accumulate)
{
    const int64_t P = run->P, M = run->batch.M, of_x = run->C + 1;
    if (HAS_FACTORS && inputs.first < of_x && inputs.last > of_x) { /* the factors may have a gap there */
        add_products(run, part, (range){inputs.first, of_x}, slot, gates, slots, out, accumulate);
        out += (of_x - inputs.first) * gates * P;
        inputs.first = of_x;
    }
    const int64_t column = inputs.first < of_x ? inputs.first : inputs.first - of_x + STATES_AT(run->C);
    const matrix of_rows = {row_factors(run, 0) + column, M, inputs.last - inputs.first, ROOM * run->f_stride};
    const matrix of_dz = {dz_factors(run, slots, 0) + slot * P, M, gates * P, ROOM * slots * P};
    const range columns = share(part, gates * P, 4 * L);
    tile_operand *const panel = (tile_operand *)(run->panels + part->rank * FL_BLOCK_ROWS * 4 * L);
    const uint64_t mode = without_subnormals();
    OF_FACTORS(gradient)(&of_rows, &of_dz, columns.first, columns.last, panel, out, accumulate);
    restore(mode);
}
#endif

/* OF(name): a function of the cell whose file this is. */
#define NAME_(cell) #cell
#define NAME(cell) NAME_(cell)
#define OF__(cell, name) FL(cell##_##name)
#define OF_(cell, name) OF__(cell, name)
#define OF(name) OF_(CELL, name)
