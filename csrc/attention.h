/* Attention: how much each query looks at each row of its own sequence's memory, and the mean of these rows.

   For query q of a sequence with keys k and memory m (Bahdanau, Cho & Bengio 2015; Luong, Pham & Manning 2015):

       score_j = q . k_j   or, with a vector v,   v . tanh(q + k_j)
       weights = softmax(scores),   context = sum over j of weights_j * m_j

   All products are weight gradients of transposed matrices, a.T @ b: there, a result's bits do not depend on the number
   of queries. */

#define sequence FL(sequence)
#define sequence_of FL(sequence_of)
#define product FL(product)
#define additive_scores FL(additive_scores)
#define additive_gradient FL(additive_gradient)
#define score_gradient FL(score_gradient)

/* One sequence: S rows of memory from row `source` on, and T queries from row `target` on. */
typedef struct {
    int64_t S, T, A, W, source, target;
    int64_t S_whole, A_whole, W_whole; /* padded to whole vectors */
    real *weights;   /* [T, S_whole] */
    real *keys_t;    /* [A, S_whole] */
    real *memory_t;  /* [W, S_whole]; or NULL */
} sequence;

static sequence sequence_of(const fl_attention *of, int64_t n)
{
    sequence at = {.A = of->A, .W = of->W, .source = of->source[n], .target = of->target[n]};
    at.S = of->source[n + 1] - at.source;
    at.T = of->target[n + 1] - at.target;
    at.S_whole = (at.S + L - 1) / L * L;
    at.A_whole = (at.A + L - 1) / L * L;
    at.W_whole = (at.W + L - 1) / L * L;
    at.weights = of->weights + of->at[n];
    at.keys_t = of->keys_t + of->columns[n] * at.A;
    at.memory_t = of->memory_t ? of->memory_t + of->columns[n] * at.W : NULL;
    return at;
}

/* out[R, Q] = a[K, R : a_stride].T @ b[K, Q], Q a multiple of L; with `accumulate` added to what is there. */
static void product(int64_t R, int64_t K, int64_t Q, const real *a, int64_t a_stride, const real *b, real *panel,
                    real *out, bool accumulate)
{
    const fl_matrix of_a = {(real *)a, K, R, a_stride}, of_b = {(real *)b, K, Q, Q};
    FL(gradient)(&of_a, &of_b, 0, Q, panel, out, accumulate);
}

/* scores[T, S_whole] of queries q[T, A_whole], by the vector v[A] */
static void additive_scores(const sequence *at, const real *q, const real *v, real *scores)
{
    for (int64_t t = 0; t < at->T; t++)
        for (int64_t j = 0; j < at->S_whole; j += L) {
            vec total = vsplat(0);
            for (int64_t a = 0; a < at->A; a++) {
                const vec sum = vadd(vsplat(q[t * at->A_whole + a]), vload(at->keys_t + a * at->S_whole + j));
                total = vfma(vsplat(v[a]), vtanh(sum), total);
            }
            vstore(scores + t * at->S_whole + j, total);
        }
}

/* The gradients of queries, keys and vector from that of the scores, d[T, S_whole]. */
static void additive_gradient(const sequence *at, const real *d, const real *q, const real *k, const real *v, real *d_q,
                              real *d_k, real *d_v)
{
    for (int64_t a = 0; a < at->A_whole; a += L) {
        const vec of_v = vload(v + a);
        vec sum_v = vsplat(0);
        for (int64_t j = 0; j < at->S; j++)
            vstore(d_k + j * at->A_whole + a, vsplat(0));
        for (int64_t t = 0; t < at->T; t++) {
            const vec of_q = vload(q + t * at->A_whole + a);
            vec sum_q = vsplat(0);
            for (int64_t j = 0; j < at->S; j++) {
                real *const d_key = d_k + j * at->A_whole + a;
                const vec d_score = vsplat(d[t * at->S_whole + j]);
                const vec z = vtanh(vadd(of_q, vload(k + j * at->A_whole + a)));
                const vec d_sum = vmul(vmul(d_score, of_v), vnfma(z, z, vsplat(1)));
                sum_v = vfma(d_score, z, sum_v);
                sum_q = vadd(sum_q, d_sum);
                vstore(d_key, vadd(vload(d_key), d_sum));
            }
            vstore(d_q + t * at->A_whole + a, sum_q);
        }
        vstore(d_v + a, sum_v);
    }
}

/* Replaces d[T, S_whole], the gradient of the weights, by that of the scores. */
static void score_gradient(const sequence *at, real *d)
{
    for (int64_t t = 0; t < at->T; t++) {
        const real *const weights = at->weights + t * at->S_whole;
        real *const row = d + t * at->S_whole;
        real mean = 0;
        for (int64_t j = 0; j < at->S; j++)
            mean += weights[j] * row[j];
        for (int64_t j = 0; j < at->S; j++)
            row[j] = weights[j] * (row[j] - mean);
    }
}

static void FL(tanh_rows)(int64_t first, int64_t last, const fl_matrix *rows)
{
    real *const begin = rows->at + first * rows->columns;
    const int64_t size = (last - first) * rows->columns, whole = size / L * L;
    for (int64_t j = 0; j < whole; j += L)
        vstore(begin + j, vtanh(vload(begin + j)));
    real edge[L] = {0};
    for (int64_t j = whole; j < size; j++)
        edge[j - whole] = begin[j];
    vstore(edge, vtanh(vload(edge)));
    for (int64_t j = whole; j < size; j++)
        begin[j] = edge[j - whole];
}

static void FL(transpose_memory)(const fl_attention *of, int64_t first, int64_t last)
{
    for (int64_t n = first; n < last; n++) {
        const sequence at = sequence_of(of, n);
        for (int64_t j = 0; j < at.A * at.S_whole; j++)
            at.keys_t[j] = 0;
        transpose(at.A, at.S, of->keys + at.source * at.A_whole, at.A_whole, at.keys_t, at.S_whole);
        if (!at.memory_t)
            continue;
        for (int64_t j = 0; j < at.W * at.S_whole; j++)
            at.memory_t[j] = 0;
        transpose(at.W, at.S, of->memory + at.source * at.W_whole, at.W_whole, at.memory_t, at.S_whole);
    }
}

static void FL(attend)(const fl_attention *of, int64_t first, int64_t last, real *scratch)
{
    real *const panel = scratch, *const transposed = scratch + FL_BLOCK_ROWS * 4 * L;
    for (int64_t n = first; n < last; n++) {
        const sequence at = sequence_of(of, n);
        const real *const q = of->queries + at.target * at.A_whole;
        if (of->vector) {
            additive_scores(&at, q, of->vector, at.weights);
        } else {
            transpose(at.A, at.T, q, at.A_whole, transposed, at.T);
            product(at.T, at.A, at.S_whole, transposed, at.T, at.keys_t, panel, at.weights, false);
        }
        for (int64_t t = 0; t < at.T; t++) {
            real logarithm;
            softmax(at.weights + t * at.S_whole, at.S, &logarithm);
        }
        transpose(at.S, at.T, at.weights, at.S_whole, transposed, at.T);
        product(at.T, at.S, at.W_whole, transposed, at.T, of->memory + at.source * at.W_whole, panel,
                of->context + at.target * at.W_whole, false);
    }
}

static void FL(attend_back)(const fl_attention *of, int64_t first, int64_t last, real *scratch)
{
    real *const panel = scratch, *const d = panel + FL_BLOCK_ROWS * 4 * L, *const transposed = d + of->largest;
    for (int64_t n = first; n < last; n++) {
        const sequence at = sequence_of(of, n);
        const real *const q = of->queries + at.target * at.A_whole, *const k = of->keys + at.source * at.A_whole;
        const real *const d_context = of->d_context + at.target * at.W_whole;
        real *const d_q = of->d_queries + at.target * at.A_whole, *const d_k = of->d_keys + at.source * at.A_whole;
        real *const d_memory = of->d_memory + at.source * at.W_whole;
        transpose(at.W, at.T, d_context, at.W_whole, transposed, at.T);
        product(at.T, at.W, at.S_whole, transposed, at.T, at.memory_t, panel, d, false);
        score_gradient(&at, d);
        product(at.S, at.T, at.W_whole, at.weights, at.S_whole, d_context, panel, d_memory, false);
        if (of->vector) {
            additive_gradient(&at, d, q, k, of->vector, d_q, d_k, of->d_vector + n * at.A_whole);
            continue;
        }
        transpose(at.S, at.T, d, at.S_whole, transposed, at.T);
        product(at.T, at.S, at.A_whole, transposed, at.T, k, panel, d_q, false);
        product(at.S, at.T, at.A_whole, d, at.S_whole, q, panel, d_k, d_k == d_memory);
    }
}
