/* The functions of one level for one type of numbers, FL_REAL; see fastlstm.h, which includes this for each type.

   Names and arguments are those of the Numba backend's entries, in their order: an array and its offset are one
   pointer here, and sizes that Numba reads off an array are arguments. */

struct FL_TABLE {
    int64_t lanes; /* L */

    /* -- threads: meeting.h ---------------------------------------------------------------------------------------- */

    /* Return when `size` threads have called this, or one of them has failed; whether all is well. meeting[1] counts
       arrivals, from 0. */
    bool (*wait)(int64_t *meeting, int64_t size);

    /* -- sequences, weights and gradients between users' arrays and the kernels': buffers.h ------------------------ */

    /* out[P/L][C+1+H][G][L], for the units from `first` to `last`: for each vector of units, the weights of [x, 1, h']
       of its G gates. weight_ih[G*H, C], weight_hh[G*H, H], bias_ih[G*H], bias_hh[G*H]. */
    void (*pack_gates)(int64_t G, int64_t C, int64_t H, int64_t first, int64_t last, const FL_REAL *weight_ih,
                       const FL_REAL *weight_hh, const FL_REAL *bias_ih, const FL_REAL *bias_hh, FL_REAL *out);

    /* out: columns `first` to `last` of w[G*H, M] in panels of 4L, then 2L, then L, each contiguous, zeros beyond M.
       Each of the G groups of H rows becomes P rows, zeros beyond H. */
    void (*pack_panels)(int64_t G, int64_t H, int64_t P, int64_t M, int64_t first, int64_t last, const FL_REAL *w,
                        FL_REAL *out);

    /* Inputs, ones and the initial states of the sequences from `first` to `last`: those of sequence n from x[at[n]]
       on, step after step, or where `reverse` from its last step, of lengths[n], to its first. lengths[N] is read only
       then, h_0[N, H : h_stride] only where `has_state`: otherwise states begin with zeros. */
    void (*load_rows)(const int64_t *starts, int64_t T, const int64_t *lengths, bool reverse, int64_t first,
                      int64_t last, int64_t C, int64_t H, int64_t P, const FL_REAL *x, const int64_t *at,
                      const FL_REAL *h_0, int64_t h_stride, bool has_state, FL_REAL *rows, int64_t stride);

    /* As `load_rows`, without the inputs. */
    void (*begin_rows)(const int64_t *starts, int64_t T, int64_t first, int64_t last, int64_t C, int64_t H, int64_t P,
                       const FL_REAL *h_0, int64_t h_stride, bool has_state, FL_REAL *rows, int64_t stride);

    /* out[row of step t] = states[row after step t], H numbers, for the sequences from `first` to `last`; where
       `turned`, out goes through time the other way. states[M+N, H : s_stride], out[M, H : o_stride], lengths[N]. */
    void (*copy_outputs)(const int64_t *starts, int64_t T, const int64_t *lengths, bool turned, int64_t first,
                         int64_t last, int64_t H, const FL_REAL *states, int64_t s_stride, FL_REAL *out,
                         int64_t o_stride);

    /* d_h[row of step t] = d[row of step t], or added to it where `more`; otherwise as `copy_outputs`.
       d[M, H : d_stride], d_h[M, H : h_stride]. */
    void (*add_gradients)(const int64_t *starts, int64_t T, const int64_t *lengths, bool turned, int64_t first,
                          int64_t last, int64_t H, const FL_REAL *d, int64_t d_stride, FL_REAL *d_h, int64_t h_stride,
                          bool more);

    /* Gradients in the shapes of the weights, from the columns `first` to `last` of d_w[C+1+H, G*P]. */
    void (*unpack)(int64_t G, int64_t C, int64_t H, int64_t P, int64_t first, int64_t last, const FL_REAL *d_w,
                   FL_REAL *d_weight_ih, FL_REAL *d_weight_hh, FL_REAL *d_bias_ih, FL_REAL *d_bias_hh);

    /* -- products beside the recurrence: matmul.h ------------------------------------------------------------------ */

    /* out[N, M] = start[M] + a[N, K : a_stride] @ w[K, M] in the rows from `first` to `last`; w as `pack_panels` packs
       it, M a multiple of L. */
    void (*multiply_rows)(int64_t first, int64_t last, int64_t K, int64_t a_stride, int64_t M, const FL_REAL *start,
                          const FL_REAL *a, const FL_REAL *w, FL_REAL *out);

    /* out[R, Q] = a[M, R : a_stride].T @ b[M, Q : b_stride] in the columns from `first`, a multiple of 4L, to `last`,
       one of L. Summed over blocks of FL_BLOCK_ROWS rows in order; where `more`, added to what is there.
       panel[FL_BLOCK_ROWS, 4L] is room for one block of b. */
    void (*gradient)(int64_t M, int64_t R, int64_t first, int64_t last, int64_t Q, const FL_REAL *a, int64_t a_stride,
                     const FL_REAL *b, int64_t b_stride, FL_REAL *panel, FL_REAL *out, bool more);

    /* -- recurrences: lstm.h, gru.h, rnn.h ------------------------------------------------------------------------- */

    /* forward: all steps of the sequences from r_first to r_last, for the units from u_first to u_last, multiples of
       4L or P. Threads that divide the units have all rows and meet after every step: there are `size` of them, or 1.
       rows[M+N, C+1+P : stride] and states[M+N, P : s_stride] come with the inputs, ones and initial states, and
       leave with all states. `sums` is room for the sums of a group of units, see FL_SUMS_BYTES; zero[4, L] is zeros.
       gates[M, 4, P] is filled where `recording`, mask[N, P] read where `masked`.

       backward: dz, the gradient of the gates' sums, which may be stored where the gates were. dh[N, P] (and dc) comes
       with the gradient of every sequence's last state and, where `to_start`, leaves with that of its first, of h as
       the gates see it. d_h[M, P], that of the outputs, is read where `has_d_h`. zero[4, P] is zeros.

       step: h[N, H : h_stride] is the state after the inputs x[N, C : x_stride]; it is left where a next step begins.
       rows[2, N, stride]. */

    /* c[M+N, P], or unless `recording` [N, P]: the last state only. w as `pack_gates` lays it out.
       gates: i, f, g, o. */
    void (*lstm_forward)(const int64_t *starts, int64_t T, int64_t r_first, int64_t r_last, int64_t u_first,
                         int64_t u_last, int64_t C, int64_t H, int64_t P, FL_REAL *rows, int64_t stride,
                         FL_REAL *states, int64_t s_stride, const FL_REAL *mask, bool masked, const FL_REAL *w,
                         FL_REAL *c, FL_REAL *gates, bool recording, FL_REAL *sums, const FL_REAL *zero,
                         int64_t *meeting, int64_t size);

    /* dz[M, 4, P], w[4*P, P] as `pack_panels` lays it out, c[M+N, P], dc[N, P] as dh. */
    void (*lstm_backward)(const int64_t *starts, int64_t T, int64_t r_first, int64_t r_last, int64_t u_first,
                          int64_t u_last, int64_t H, int64_t P, const FL_REAL *mask, bool masked, const FL_REAL *w,
                          const FL_REAL *c, const FL_REAL *gates, const FL_REAL *d_h, bool has_d_h, FL_REAL *dz,
                          FL_REAL *dh, FL_REAL *dc, const FL_REAL *zero, bool to_start, int64_t *meeting,
                          int64_t size);

    void (*lstm_step)(const int64_t *starts, int64_t N, int64_t C, int64_t H, int64_t P, FL_REAL *rows, int64_t stride,
                      const FL_REAL *w, FL_REAL *c, FL_REAL *sums, const FL_REAL *zero, const FL_REAL *x,
                      int64_t x_stride, FL_REAL *h, int64_t h_stride);

    /* out, for each vector of units from `first` to `last`: the bias of m [L], the weights of [x, 1] [C+1][n, r, z][L],
       of h' [H][r, z, m][L]. Weights as in `pack_gates`, of r, z, n. */
    void (*gru_pack)(int64_t C, int64_t H, int64_t first, int64_t last, const FL_REAL *weight_ih,
                     const FL_REAL *weight_hh, const FL_REAL *bias_ih, const FL_REAL *bias_hh, FL_REAL *out);

    /* Gradients in the shapes of the weights, from d_w: of [x, 1, h'] and r, z [C+1+H, 2, P]; from of_n on, of [x, 1]
       and n [C+1, P]; from of_m on, of [1, h'] and m [1+H, P]. The columns from `first` to `last` of r and z are read,
       and those from n_first to n_last of n and of m. */
    void (*gru_unpack)(int64_t C, int64_t H, int64_t P, int64_t first, int64_t last, int64_t n_first, int64_t n_last,
                       const FL_REAL *d_w, int64_t of_n, int64_t of_m, FL_REAL *d_weight_ih, FL_REAL *d_weight_hh,
                       FL_REAL *d_bias_ih, FL_REAL *d_bias_hh);

    /* w as `gru_pack` lays it out. gates: n, r, z, m. */
    void (*gru_forward)(const int64_t *starts, int64_t T, int64_t r_first, int64_t r_last, int64_t u_first,
                        int64_t u_last, int64_t C, int64_t H, int64_t P, FL_REAL *rows, int64_t stride,
                        FL_REAL *states, int64_t s_stride, const FL_REAL *mask, bool masked, const FL_REAL *w,
                        FL_REAL *gates, bool recording, FL_REAL *sums, const FL_REAL *zero, int64_t *meeting,
                        int64_t size);

    /* dz[M, 4, P], w[3*P, P], of r, z, m, as `pack_panels` lays it out. Where `masked`, the part of dh that comes
       through the gates stays in d_seen[N, P]. */
    void (*gru_backward)(const int64_t *starts, int64_t T, int64_t r_first, int64_t r_last, int64_t u_first,
                         int64_t u_last, int64_t H, int64_t P, const FL_REAL *states, int64_t s_stride,
                         const FL_REAL *mask, bool masked, const FL_REAL *w, const FL_REAL *gates, const FL_REAL *d_h,
                         bool has_d_h, FL_REAL *dz, FL_REAL *dh, FL_REAL *d_seen, const FL_REAL *zero, bool to_start,
                         int64_t *meeting, int64_t size);

    void (*gru_step)(const int64_t *starts, int64_t N, int64_t C, int64_t H, int64_t P, FL_REAL *rows, int64_t stride,
                     const FL_REAL *w, FL_REAL *sums, const FL_REAL *zero, const FL_REAL *x, int64_t x_stride,
                     FL_REAL *h, int64_t h_stride);

    /* The weights of [x, 1, h'] of the units from `first` to `last`, in panels as those of `pack_panels`. */
    void (*rnn_pack)(int64_t C, int64_t H, int64_t P, int64_t first, int64_t last, const FL_REAL *weight_ih,
                     const FL_REAL *weight_hh, const FL_REAL *bias_ih, const FL_REAL *bias_hh, FL_REAL *out);

    /* w as `rnn_pack` lays it out. */
    void (*rnn_forward)(const int64_t *starts, int64_t T, int64_t r_first, int64_t r_last, int64_t u_first,
                        int64_t u_last, int64_t C, int64_t H, int64_t P, FL_REAL *rows, int64_t stride,
                        FL_REAL *states, int64_t s_stride, const FL_REAL *mask, bool masked, const FL_REAL *w,
                        FL_REAL *sums, const FL_REAL *zero, int64_t *meeting, int64_t size);

    /* dz[M, P], w[P, P] as `pack_panels` lays it out. */
    void (*rnn_backward)(const int64_t *starts, int64_t T, int64_t r_first, int64_t r_last, int64_t u_first,
                         int64_t u_last, int64_t H, int64_t P, const FL_REAL *states, int64_t s_stride,
                         const FL_REAL *mask, bool masked, const FL_REAL *w, const FL_REAL *d_h, bool has_d_h,
                         FL_REAL *dz, FL_REAL *dh, const FL_REAL *zero, bool to_start, int64_t *meeting,
                         int64_t size);

    void (*rnn_step)(const int64_t *starts, int64_t N, int64_t C, int64_t H, int64_t P, FL_REAL *rows, int64_t stride,
                     const FL_REAL *w, FL_REAL *sums, const FL_REAL *zero, const FL_REAL *x, int64_t x_stride,
                     FL_REAL *h, int64_t h_stride);

    /* -- a linear layer on features, and losses: head.h, losses.h -------------------------------------------------- */

    /* features[M, F], weight[K, F], bias[K], scores[M, K]; the rows from `first` to `last`. For one or two outputs:
       for more, `multiply_rows` and `gradient` are faster. */
    void (*forward_rows)(int64_t first, int64_t last, int64_t F, int64_t K, const FL_REAL *features,
                         const FL_REAL *weight, const FL_REAL *bias, FL_REAL *scores);

    /* Scores, losses and their gradient by scores, d_scores[M, K], and by features, d_features[M, F]; otherwise as
       `losses_of_rows`. */
    void (*differentiate_rows)(int64_t number, int64_t first, int64_t last, int64_t F, int64_t K,
                               const FL_REAL *features, const FL_REAL *weight, const FL_REAL *bias,
                               const FL_REAL *targets, const int64_t *labels, const FL_REAL *shares,
                               int64_t share_columns, double *values, FL_REAL *d_scores, FL_REAL *d_features);

    /* d_features[M, F] = d_scores[M, K] @ weight[K, F] */
    void (*backward_rows)(int64_t first, int64_t last, int64_t F, int64_t K, const FL_REAL *weight,
                          const FL_REAL *d_scores, FL_REAL *d_features);

    /* d_weight[K, F] in the columns from `first` to `last`, and d_bias[K] with the first column; where `more`,
       added to what is there. */
    void (*gradient_of_rows)(int64_t M, int64_t first, int64_t last, int64_t F, int64_t K, const FL_REAL *features,
                             const FL_REAL *d_scores, FL_REAL *d_weight, FL_REAL *d_bias, bool more);

    /* values[M]: the losses of the rows from `first` to `last`, times their shares; d_scores[M, K : d_stride] comes
       with the scores and leaves with their gradient. `number` is an fl_loss: cross-entropy reads labels[M], the other
       losses targets[M, K]; either pointer may be NULL. shares[M, share_columns]: K, or 1 for all. What has no share
       may have any target. */
    void (*losses_of_rows)(int64_t number, int64_t first, int64_t last, int64_t K, const FL_REAL *targets,
                           const int64_t *labels, const FL_REAL *shares, int64_t share_columns, double *values,
                           FL_REAL *d_scores, int64_t d_stride);

    /* Likewise, of distributions: each of K targets has S scores, side by side, d_scores[M, K*S : d_stride].
       levels[S] are the quantiles', slopes[S] is scratch. */
    void (*losses_of_distributions)(int64_t number, int64_t first, int64_t last, int64_t S, const double *levels,
                                    const FL_REAL *targets, int64_t K, const FL_REAL *shares, int64_t share_columns,
                                    double *values, FL_REAL *d_scores, int64_t d_stride, double *slopes);

    /* -- rows of packed batches from and to arrays of one block per sequence: packing.h ---------------------------- */

    /* Rows [M, W : stride] of the steps from `first` to `last`, out of W columns from `column` on of array[., T, F], of
       which order[n] is the block of the n-th sequence. lengths[N] is read only where `reverse`. */
    void (*gather)(const int64_t *starts, const int64_t *lengths, const int64_t *order, bool reverse, int64_t first,
                   int64_t last, int64_t T, int64_t F, int64_t column, const FL_REAL *array, int64_t W, FL_REAL *rows,
                   int64_t stride);

    /* Out of rows [M, W : stride] of all `steps`, or with `states` out of the states after them, into W columns of
       out[N, T, F], or added to them; zeros behind an end. lengths[N]. */
    void (*scatter)(const int64_t *starts, int64_t steps, const int64_t *lengths, const int64_t *order, int64_t N,
                    bool reverse, bool states, bool add, int64_t W, const FL_REAL *rows, int64_t stride, int64_t T,
                    int64_t F, FL_REAL *out, int64_t column);

    /* -- what dropout leaves: dropout.h ---------------------------------------------------------------------------- */

    /* masks[., W : stride], rows `first` to `last`: 0 where a random word is below `threshold`, else `keep`. A word
       depends on its column, its row's sequences[n], the epoch, the stream and the seed alone. */
    void (*draw)(uint64_t seed, uint64_t epoch, uint64_t stream, uint64_t threshold, double keep,
                 const int64_t *sequences, int64_t first, int64_t last, int64_t W, FL_REAL *masks, int64_t stride);

    /* Rows [M, W : stride] of the sequences from `first` to `last`, times their masks[N, . : m_stride] from that
       column on. */
    void (*scale)(const int64_t *starts, int64_t T, int64_t first, int64_t last, const FL_REAL *masks,
                  int64_t m_stride, int64_t column, int64_t W, FL_REAL *rows, int64_t stride);

    /* -- solvers: solvers.h ---------------------------------------------------------------------------------------- */

    /* sums[b] = the sum of squares of block b of FL_SQUARES numbers of g[P], for the blocks from `first` to `last`. */
    void (*square_sums)(int64_t first, int64_t last, int64_t P, const FL_REAL *g, double *sums);

    /* One update of the parameters from `first` to `last`: p[P], g[P], moments[., P]; fastlstm/training/solvers.py
       says what the numbers c are. */
    void (*adam)(int64_t first, int64_t last, int64_t P, FL_REAL *p, const FL_REAL *g, FL_REAL *moments,
                 const FL_REAL *c);
    void (*sgd)(int64_t first, int64_t last, int64_t P, FL_REAL *p, const FL_REAL *g, FL_REAL *moments,
                const FL_REAL *c);
    void (*rmsprop)(int64_t first, int64_t last, int64_t P, FL_REAL *p, const FL_REAL *g, FL_REAL *moments,
                    const FL_REAL *c);
};
