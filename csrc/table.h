/* The functions of one level for one floating-point type, FL_REAL, and their arguments; fastlstm.h includes this for
   each type.

   FL_OPERAND and FL_FACTOR are the types of packed weights, and of what they are multiplied with: FL_REAL or, for
   bfloat16, pairs and single numbers (see pairs.h); for int8, four bytes and single ones (see bytes.h), and what belongs
   to a gradient is NULL.

   Arguments are grouped into structs: the batch, a run over it, a thread's part of it. A function that takes a part
   computes only that part, and nothing if it is empty. */

/* -- arguments ----------------------------------------------------------------------------------------------------- */

/* [rows, columns : stride] */
typedef struct {
    FL_REAL *at;
    int64_t rows, columns, stride;
} FL_NAME(fl_matrix);

/* W columns, as many as the packed rows passed with them have, from `at` on, of an array [., T, F] with one block per
   sequence; order[n] is the block of the n-th of the N sequences. */
typedef struct {
    FL_REAL *at;
    int64_t T, F, N;
    const int64_t *order; /* [N] */
} FL_NAME(fl_blocks);

/* A cell's weights, or their gradient, in PyTorch's shapes. */
typedef struct {
    int64_t C, H, P;
    FL_REAL *weight_ih; /* [G*H, C] */
    FL_REAL *weight_hh; /* [G*H, H] */
    FL_REAL *bias_ih;   /* [G*H] */
    FL_REAL *bias_hh;   /* [G*H] */
} FL_NAME(fl_weights);

/* The same, packed for the kernels; each is NULL if it is not needed. */
typedef struct {
    FL_OPERAND *forward;  /* [(G * (C+1+H) + separate_biases) * P], in the cell's own order */
    FL_OPERAND *backward; /* [G, P, P], as `pack_panels` lays it out */
    FL_OPERAND *inputs;   /* [G, P, C padded to whole vectors], likewise: for the gradient of the inputs */
    FL_REAL *gradient;    /* as many as `forward`, in the cell's own order */
} FL_NAME(fl_packed);

/* A run over a batch: its buffers. */
typedef struct {
    fl_batch batch;
    int64_t C, H, P;
    FL_REAL *rows; /* [M+N, C+1+P : stride]: inputs, ones, and the states as the gates see them */
    int64_t stride;
    FL_REAL *states; /* [M+N, P : s_stride]: in the rows or, with a mask, in an array of their own */
    int64_t s_stride;
    FL_REAL *factors; /* [M+N, C+1+P : f_stride]: what products read of the rows; the rows themselves or, for bfloat16,
                         rounded ones, in which [x, 1] and h' have an even number of factors each. Levels with an
                         instruction for pairs store their upper halves alone, from the start of each row on. For int8,
                         for each thread [N, f_stride]: the rows of a step, scales and bytes, see byte_products.h */
    int64_t f_stride;
    const FL_REAL *mask; /* [N, P]: the gates see the states times this; or NULL */
    FL_REAL *c;          /* cell states: [M+N, P] or, without gates, [N, P], the last ones only; or NULL */
    FL_REAL *gates;      /* [M, slots, P]: what backward reads of each step; or NULL */
    FL_REAL *sums;       /* for each thread, sums of a group of units: FL_SUMS_BYTES, or [N, 4, L] if larger */
    const FL_REAL *zero; /* zeros, [4, P] and [C padded to whole vectors] */
    const FL_REAL *known; /* [., G, P]: products of inputs that recur; the gates' sums start from some; or NULL */
    const int64_t *which; /* [M, S]: the rows of `known` that are added up for a row */
    int64_t S;

    /* of a backward run */
    FL_REAL *d_h;    /* [M, P]: the gradient of the outputs; or NULL */
    FL_REAL *dz;     /* [M, slots, P]: that of the gates' sums; may be `gates` */
    FL_REAL *dz_factors; /* likewise: dz itself or, for bfloat16, rounded */
    FL_REAL *dh;     /* [N, P]: that of every sequence's last state, and finally of its first */
    FL_REAL *dc;     /* [N, P]: likewise, of the cell states; or NULL */
    FL_REAL *d_seen; /* [N, P]: the part of dh that comes through the gates, where a mask and a `direct` cell need it */
    FL_REAL *panels; /* for each thread, [FL_BLOCK_ROWS, 4L] */
} FL_NAME(fl_run);

/* A linear layer of one or two outputs, or its gradient: weight[K, F], bias[K]. */
typedef struct {
    int64_t K, F;
    FL_REAL *weight, *bias;
} FL_NAME(fl_linear);

/* A loss of M rows of scores: K per row or, for distributions, S for each of K targets, side by side. */
typedef struct {
    int64_t number; /* an fl_losses */
    int64_t K;
    const FL_REAL *targets; /* [M, K]; or NULL */
    const int64_t *labels;  /* [M]: classes, for cross-entropy; or NULL */
    const FL_REAL *weights;  /* [M, weight_columns], for each target or each row; where 0, any target is allowed */
    int64_t weight_columns;
    double *values; /* [M]: weighted losses */
    int64_t S;
    const double *levels; /* [S], of quantiles */
    double *slopes;       /* [S], scratch */
} FL_NAME(fl_loss);

/* -- cells: recurrence.h, and one file for each -------------------------------------------------------------------- */

typedef struct {
    const char *name;
    int64_t gates; /* G */
    int64_t slots; /* values per row and unit in `dz` and `gates` */
    int64_t separate_biases; /* biases of a unit in the packed weights, beside those of the gates */
    bool keeps_gates; /* whether backward reads them */
    bool has_c;       /* whether there are cell states */
    bool direct;      /* whether a state also reaches the next one directly, not only through the gates' sums */

    /* This part's share of the packed weights: of each array that is not NULL, except the gradient. */
    void (*pack)(const FL_NAME(fl_weights) *weights, const fl_part *part, const FL_NAME(fl_packed) *packed);
    /* This part's share of the gradient, in the shapes of the weights. */
    void (*unpack)(const FL_NAME(fl_weights) *d_weights, const fl_part *part, const FL_REAL *d_w);

    /* All steps of a part; w is `forward` of the packed weights. On entry, the rows hold the inputs, ones
       and initial states; on return, all states. */
    void (*forward)(const FL_NAME(fl_run) *run, const fl_part *part, const FL_OPERAND *w);
    /* Backpropagation through these steps; w is `backward`. With `to_start`, dh (and dc) return the gradient of the
       initial states. */
    void (*backward)(const FL_NAME(fl_run) *run, const fl_part *part, const FL_OPERAND *w, bool to_start);
    /* h[N, H : h_stride]: the state of a part's sequences after the inputs x[N, C : x_stride], which also becomes the
       run's initial state for the next call. For runs of one step, without mask or gates; divided by rows. */
    void (*step)(const FL_NAME(fl_run) *run, const fl_part *part, const FL_OPERAND *w, const FL_REAL *x,
                 int64_t x_stride, FL_REAL *h, int64_t h_stride);
    /* This part's share of d_w, `gradient` of the packed weights; with `accumulate`, added to what is there. */
    void (*weight_gradient)(const FL_NAME(fl_run) *run, const fl_part *part, FL_REAL *d_w, bool accumulate);
    /* This part's rows of d_x[M, C padded to whole vectors]; w is `inputs`. */
    void (*input_gradient)(const FL_NAME(fl_run) *run, const fl_part *part, const FL_OPERAND *w, FL_REAL *d_x);
} FL_NAME(fl_cell);

/* A layer of a recursive forecast. */
typedef struct {
    const FL_NAME(fl_cell) *cell;
    const FL_NAME(fl_run) *run; /* of one step, loaded */
    const FL_OPERAND *w;        /* `forward` of the packed weights */
} FL_NAME(fl_layer);

/* A recursive forecast of S steps, from T lags and the scores of a linear layer after stacked layers. */
typedef struct {
    int64_t T, S, C, depth;
    const FL_NAME(fl_layer) *layers; /* [depth], which may be 0: then there are no scores */
    const FL_NAME(fl_linear) *linear; /* of the last layer's states; NULL without layers */
    double *series;       /* [N, T+S]: the last T values, then the forecasts */
    FL_REAL *x;           /* [N, S-1, C]: the next inputs of the layers, whose first channel is set to the forecasts */
    FL_REAL *scores;      /* [N, K]: the current scores, of the first step on entry */
    const double *offset; /* [N, S] */
    const double *lags;   /* [T] */
    const double *noise;  /* [N, S]: times the standard deviation, whose logarithm is the second score; or NULL */
    double point, width, sharpness; /* factors of the first score and of the noise, exponent of the deviation */
} FL_NAME(fl_roll_out);

/* Attention of N sequences: sequence n has the rows of keys and memory from source[n] to source[n + 1], S of them, and
   the queries and contexts from target[n] to target[n + 1], T of them. S', A' and W' are padded to whole vectors. */
typedef struct {
    int64_t A, W;           /* numbers of a key or query, and of a row of memory */
    const int64_t *source;  /* [N+1] */
    const int64_t *target;  /* [N+1] */
    const int64_t *columns; /* [N]: the sum of S' of the sequences before */
    const int64_t *at;      /* [N]: the sum of T S' of the sequences before */
    int64_t largest;        /* the largest T S' */
    const FL_REAL *keys, *queries; /* [., A'] */
    const FL_REAL *memory;         /* [., W'] */
    const FL_REAL *vector;         /* [A'], of additive scores; or NULL */
    FL_REAL *context;              /* [., W'] */
    FL_REAL *weights;              /* for each sequence, [T, S'] */
    FL_REAL *keys_t;               /* for each sequence, [A, S'] */

    /* of the gradient */
    FL_REAL *memory_t;             /* for each sequence, [W, S']; or NULL */
    const FL_REAL *d_context;      /* [., W'] */
    FL_REAL *d_keys, *d_queries;   /* [., A'] */
    FL_REAL *d_memory;             /* [., W']: may be d_keys, which then is the gradient of both */
    FL_REAL *d_vector;             /* [N, A'], of each sequence */
} FL_NAME(fl_attention);

/* -- the table ----------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t lanes; /* L */
    const FL_NAME(fl_cell) *const *cells; /* NULL-terminated */

    /* -- threads: barrier.h */

    /* Return once `size` threads have called this or one of them has failed; false in the latter case. */
    bool (*wait)(int64_t *barrier, int64_t size);

    /* -- sequences into runs, outputs and gradients out of them: buffers.h */

    /* Write the inputs and ones of a part's sequences. Those of sequence n begin at x[at[n]]; with `reverse`, they are
       read from the last step to the first. If x is NULL, write only the ones. */
    void (*load_rows)(const FL_NAME(fl_run) *run, const fl_part *part, const FL_REAL *x, const int64_t *at,
                      bool reverse);
    /* Write their initial states, h_0[N, H : h_stride] and c_0[N, H : c_stride], or zeros if h_0 is NULL. */
    void (*put_states)(const FL_NAME(fl_run) *run, const fl_part *part, const FL_REAL *h_0, int64_t h_stride,
                       const FL_REAL *c_0, int64_t c_stride);
    /* out[row of step t] = the state after step t, H numbers, for a part's sequences; with `reverse`, out is in
       reversed time. out[M, H : o_stride]. */
    void (*copy_outputs)(const FL_NAME(fl_run) *run, const fl_part *part, bool reverse, FL_REAL *out, int64_t o_stride);
    /* The run's d_h[row of step t] = d[row of step t], or with `accumulate` += it; otherwise as `copy_outputs`. */
    void (*add_gradients)(const FL_NAME(fl_run) *run, const fl_part *part, bool reverse, const FL_REAL *d,
                          int64_t d_stride, bool accumulate);

    /* -- products beside the recurrence: buffers.h, matmul.h */

    /* out: columns `first` to `last`, multiples of L, of w[H, M] in panels of 4L, then 2L, then L, each contiguous,
       zeros beyond M. H rows become P, zeros beyond H. */
    void (*pack_panels)(int64_t H, int64_t P, int64_t M, int64_t first, int64_t last, const FL_REAL *w, FL_REAL *out);
    /* out[N, M] = start[M] + a[N, K] @ w[K, M] in the rows from `first` to `last`; w as `pack_panels` packs it, M a
       multiple of L. */
    void (*multiply_rows)(int64_t first, int64_t last, const FL_NAME(fl_matrix) *a, const FL_REAL *w, int64_t M,
                          const FL_REAL *start, FL_REAL *out);
    /* out[R, Q] = a[M, R].T @ b[M, Q] in the columns from `first`, a multiple of 4L, to `last`, one of L. Summed over
       blocks of FL_BLOCK_ROWS rows in order; with `accumulate`, added to what is there. panel[FL_BLOCK_ROWS, 4L] is
       scratch for one block of b. */
    void (*gradient)(const FL_NAME(fl_matrix) *a, const FL_NAME(fl_matrix) *b, int64_t first, int64_t last,
                     FL_REAL *panel, FL_REAL *out, bool accumulate);
    /* out[which[m, s]] += rows[m] for all M rows in order and each of S, in the columns from `first` to `last` of
       out[., Q]. */
    void (*add_rows)(const FL_NAME(fl_matrix) *rows, const int64_t *which, int64_t S, int64_t first, int64_t last,
                     FL_REAL *out, int64_t Q);

    /* -- a linear layer of one or two outputs, and losses: head.h, losses.h. For more outputs, `multiply_rows` and
       `gradient` are faster. */

    /* scores[M, K] of features[M, F], in the rows from `first` to `last`. */
    void (*forward_rows)(const FL_NAME(fl_linear) *linear, int64_t first, int64_t last, const FL_REAL *features,
                         FL_REAL *scores);
    /* Scores, losses and their gradient by scores, d_scores[M, K], and by features, d_features[M, F]. */
    void (*differentiate_rows)(const FL_NAME(fl_linear) *linear, const FL_NAME(fl_loss) *loss, int64_t first,
                               int64_t last, const FL_REAL *features, FL_REAL *d_scores, FL_REAL *d_features);
    /* d_features[M, F] = d_scores[M, K] @ weight[K, F] */
    void (*backward_rows)(const FL_NAME(fl_linear) *linear, int64_t first, int64_t last, const FL_REAL *d_scores,
                          FL_REAL *d_features);
    /* d_linear, of M rows: the weight's columns from `first` to `last`, and the bias with the first column; with
       `accumulate`, added to what is there. */
    void (*gradient_of_rows)(const FL_NAME(fl_linear) *d_linear, int64_t M, int64_t first, int64_t last,
                             const FL_REAL *features, const FL_REAL *d_scores, bool accumulate);
    /* The losses of the rows from `first` to `last`; on entry, d_scores[M, . : d_stride] holds the scores; on
       return, their gradient. */
    void (*losses_of_rows)(const FL_NAME(fl_loss) *loss, int64_t first, int64_t last, FL_REAL *d_scores,
                           int64_t d_stride);

    /* -- recursive forecasts: roll_out.h */

    /* All steps of a part's sequences: sets the forecasts, and advances the layers. Divided by rows. */
    void (*roll_out)(const FL_NAME(fl_roll_out) *of, const fl_part *part);

    /* -- attention, of the sequences from `first` to `last`: attention.h */

    /* keys_t and memory_t, from keys and memory; needed before the others. */
    void (*transpose_memory)(const FL_NAME(fl_attention) *of, int64_t first, int64_t last);
    /* Weights and context. scratch: [FL_BLOCK_ROWS, 4L], and the largest T max(A, S). */
    void (*attend)(const FL_NAME(fl_attention) *of, int64_t first, int64_t last, FL_REAL *scratch);
    /* All gradients from d_context. scratch: [FL_BLOCK_ROWS, 4L], `largest`, and the largest T max(W, S). */
    void (*attend_back)(const FL_NAME(fl_attention) *of, int64_t first, int64_t last, FL_REAL *scratch);

    /* rows[., columns], without gaps, from `first` to `last`, become their tanh. */
    void (*tanh_rows)(int64_t first, int64_t last, const FL_NAME(fl_matrix) *rows);

    /* -- rows of packed batches from and to arrays of one block per sequence: packing.h */

    /* rows[M, W] of the steps from `first` to `last`, out of the blocks; with `reverse` from their ends. */
    void (*gather)(const fl_batch *batch, const FL_NAME(fl_blocks) *blocks, bool reverse, int64_t first, int64_t last,
                   const FL_NAME(fl_matrix) *rows);
    /* Out of rows[M, W], or with `states` out of the states [M+N, W] after them, into the blocks, or added to them;
       zeros behind an end. */
    void (*scatter)(const fl_batch *batch, const FL_NAME(fl_blocks) *blocks, bool reverse, bool states, bool add,
                    const FL_NAME(fl_matrix) *rows);

    /* -- dropout: dropout.h */

    /* masks[., W], rows `first` to `last`: 0 where a random word is below `threshold`, else `keep`. A word depends on
       its column, its row's sequences[n], the epoch, the stream and the seed alone. */
    void (*draw)(const fl_draw *draw, const int64_t *sequences, int64_t first, int64_t last,
                 const FL_NAME(fl_matrix) *masks);
    /* rows[M, W] of the sequences from `first` to `last`, times masks[N, W]. */
    void (*scale)(const fl_batch *batch, int64_t first, int64_t last, const FL_NAME(fl_matrix) *masks,
                  const FL_NAME(fl_matrix) *rows);

    /* -- solvers: solvers.h */

    /* sums[b] = the sum of squares of block b of FL_SQUARES numbers of g[P], for the blocks from `first` to `last`. */
    void (*square_sums)(int64_t first, int64_t last, int64_t P, const FL_REAL *g, double *sums);
    /* One update of the parameters from `first` to `last`: p[P], g[P], moments[., P]; the files of
       fastlstm/training/solvers/ say what the settings c are. */
    void (*adam)(int64_t first, int64_t last, int64_t P, FL_REAL *p, const FL_REAL *g, FL_REAL *moments,
                 const FL_REAL *c);
    void (*sgd)(int64_t first, int64_t last, int64_t P, FL_REAL *p, const FL_REAL *g, FL_REAL *moments,
                const FL_REAL *c);
    void (*rmsprop)(int64_t first, int64_t last, int64_t P, FL_REAL *p, const FL_REAL *g, FL_REAL *moments,
                    const FL_REAL *c);
} FL_NAME(fl_kernels);
