"""The functions of a C file, as templates: C as it is written for a float32 model with the prefix ``model``.

Weights are transposed, [inputs][units of all gates], so that the inner loop of a product runs over contiguous units and
needs no reassociation of sums to be vectorised.

The sums of a GRU are those of n, r, z and m, see ``kernels/numpy/gru.py``, where n depends on x alone and m on h alone:
products with x are added to the first three, products with h to the last three.
"""

CELLS = {
    "lstm": """
/* Hochreiter & Schmidhuber (1997), with the forget gate of Gers, Schmidhuber & Cummins (2000) */
static void step(const layer *of, const float *x, float *h, float *c)
{
    const int units = of->units;
    float sums[4 * MOST_UNITS];
    const float *i = sums, *f = i + units, *g = f + units, *o = g + units;
    add_up(of, x, h, sums);
    for (int j = 0; j < units; j++) {
        c[j] = sigmoid(f[j]) * c[j] + sigmoid(i[j]) * fast_tanh(g[j]);
        h[j] = sigmoid(o[j]) * fast_tanh(c[j]);
    }
}
""",
    "cifg": """
/* Greff et al. (2017), with coupled input and forget gates */
static void step(const layer *of, const float *x, float *h, float *c)
{
    const int units = of->units;
    float sums[3 * MOST_UNITS];
    const float *f = sums, *g = f + units, *o = g + units;
    add_up(of, x, h, sums);
    for (int j = 0; j < units; j++) {
        const float kept = sigmoid(f[j]);
        c[j] = kept * c[j] + (1.0f - kept) * fast_tanh(g[j]);
        h[j] = sigmoid(o[j]) * fast_tanh(c[j]);
    }
}
""",
    "gru": """
/* Cho et al. (2014), with the reset gate applied after the product; m is the sum of n that depends on h */
static void step(const layer *of, const float *x, float *h)
{
    const int units = of->units;
    float sums[4 * MOST_UNITS];
    const float *n = sums, *r = n + units, *z = r + units, *m = z + units;
    add_up(of, x, h, sums);
    for (int j = 0; j < units; j++) {
        const float kept = sigmoid(z[j]);
        h[j] = (1.0f - kept) * fast_tanh(n[j] + sigmoid(r[j]) * m[j]) + kept * h[j];
    }
}
""",
    "rnn": """
/* Elman (1990) */
static void step(const layer *of, const float *x, float *h)
{
    float sums[MOST_UNITS];
    add_up(of, x, h, sums);
    for (int j = 0; j < of->units; j++)
        h[j] = fast_tanh(sums[j]);
}
""",
}

LAYER = """
typedef struct {
    int inputs, units;
    const weight *W; /* [inputs][gates * units], for x */
    const weight *U; /* [units][gates * units], for h */
    const float *bias;
$fields} layer;
"""

#: See ``kernels/numba/activations.py``. Without calls of a library, loops of these can be vectorised.
TANH = """
/* Hyperbolic tangent, with an error of less than $error */
static float fast_tanh(float x)
{
    x = x < -$bound ? -$bound : x > $bound ? $bound : x;
    const float u = x * x, p = x * ($p);
    const float q = $q;
    return 2.0f * p * q / (q * q + p * p);
}
"""

SIGMOID = """
/* Logistic function, with an error of less than $error */
static float sigmoid(float x)
{
    x = x < -$bound ? -$bound : x > $bound ? $bound : x;
    const float u = x * x, p = x * ($p);
    const float q = $q, a = q + p, b = q - p;
    return a * a / (a * a + b * b);
}
"""

PRODUCTS = """
/* sums[j] += x[k] * W[k][j] for all k; four at a time, to load and store sums less often */
static void add_products(int inputs, int units, const weight *W, const float *x, float *restrict sums)
{
    int k = 0;
    for (; k + 4 <= inputs; k += 4, W += 4 * units) {
        const float x0 = x[k], x1 = x[k + 1], x2 = x[k + 2], x3 = x[k + 3];
        const weight *W1 = W + units, *W2 = W1 + units, *W3 = W2 + units;
        for (int j = 0; j < units; j++)
            sums[j] += (x0 * W[j] + x1 * W1[j]) + (x2 * W2[j] + x3 * W3[j]);
    }
    for (; k < inputs; k++, W += units)
        for (int j = 0; j < units; j++)
            sums[j] += x[k] * W[j];
}
"""

ADD_UP = """
/* The sums whose functions are the gates */
static void add_up(const layer *of, const float *x, const float *h, float *sums)
{
    const int units = of->units;
    for (int j = 0; j < $slots * units; j++)
        sums[j] = $start;
    add_products(of->inputs, $gates * units, of->W, x, sums);
$symbols    add_products(of->units, $gates * units, of->U, h, sums$offset);
$scale}
"""

#: The product of a one-hot encoded symbol is a row of W.
ONE_HOT = """    for (int s = 0; s < of->symbols; s++) {
        const float one = 1.0f;
        const int row = first_rows[s] + (int)x[of->inputs + s];
        add_products(1, $gates * units, of->W + row * $gates * units, &one, sums);
    }
"""

RUN = """
/* Write the hidden states after each step of one direction to every stride-th number of out */
static void run(const layer *of, int reverse, int steps, const float *rows, int width, float *out, int stride)
{
    float $arrays;
    for (int t = 0; t < steps; t++) {
        const size_t at = (size_t)(reverse ? steps - 1 - t : t);
        float *h_t = out + at * (size_t)stride;
        step(of, rows + at * (size_t)width, $states);
        for (int j = 0; j < of->units; j++)
            h_t[j] = h[j];
    }
}
"""

PREPARE = """
/* The inputs of the first layer at a step x */
static void prepare(const float *x, ${seen}float *features)
{
$body}
"""

NUMBERS = """    for (int k = 0; k < NUMBERS; k++)
        features[k] = $value;
"""

NUMBERS_OR_MISSING = """    for (int k = 0; k < NUMBERS; k++) {
        const float value = $value;
        const int missing = isnan(value);
        if (!missing)
            seen[k] = value;
        features[k] = seen[k];
        features[NUMBERS + k] = missing ? 1.0f : 0.0f;
    }
"""

CODE = """
/* The code of a symbol: the last one stands for unknown symbols */
static int code(float x, int codes)
{
    return x >= 0.0f && x < (float)codes ? (int)x : codes - 1;
}
"""

EMBED = """
/* Write the vector of a symbol */
static void embed(const weight *table, ${declared}int row, float *features)
{
    for (int k = 0; k < EMBEDDING; k++)
        features[k] = ${scale}table[row * EMBEDDING + k];
}
"""

STATE = """
void model_reset(model_state *state)
{
    const model_state zero = {0};
    *state = zero;
}

static void advance(model_state *state, const float *x)
{
    float features[FEATURES];
    prepare(x, ${seen}features);
$steps}

void model_step(model_state *state, const float *x, float *out)
{
    advance(state, x);
    write_outputs(state->$last, out);
}

void model_predict(const float *x, int steps, float *out)
{
    model_state state;
    model_reset(&state);
$predict}
"""

PREDICT_STEPS = """    for (int t = 0; t < steps; t++, x += MODEL_INPUTS, out += MODEL_OUTPUTS)
        model_step(&state, x, out);
"""

PREDICT_SERIES = """    for (int t = 0; t < steps; t++, x += MODEL_INPUTS)
        advance(&state, x);
    write_outputs(state.$last, out);
"""

BIDIRECTIONAL = """
void model_predict(const float *x, int steps, float *workspace, float *out)
{
$declarations    for (int t = 0; t < steps; t++)
        prepare(x + (size_t)t * MODEL_INPUTS, ${seen}even + (size_t)t * FEATURES);
$runs$outputs}
"""

OUTPUTS = """
static void write_outputs(const float *h, float *out)
{
$body}
"""

STATES = """    for (int k = 0; k < MODEL_OUTPUTS; k++)
        out[k] = h[k];
"""

SCORES = """    float scores[SCORES];
    for (int k = 0; k < SCORES; k++)
        scores[k] = $start;
    add_products(WIDTH, SCORES, head_W, h, scores);
$scale"""

SOFTMAX = """    float largest = scores[0], total = 0.0f;
    for (int k = 1; k < SCORES; k++)
        largest = scores[k] > largest ? scores[k] : largest;
    for (int k = 0; k < SCORES; k++) {
        out[k] = expf(scores[k] - largest);
        total += out[k];
    }
    for (int k = 0; k < SCORES; k++)
        out[k] /= total;
"""

SIGMOIDS = """    for (int k = 0; k < SCORES; k++)
        out[k] = 1.0f / (1.0f + expf(-scores[k]));
"""

TARGETS = """    for (int k = 0; k < MODEL_OUTPUTS; k++) {
        const float *s = scores + k * $width;
        out[k] = $value;
    }
"""

#: Points of distributions by loss, as functions of the scores s of one target; see ``training/losses``.
POINTS = {
    "gaussian_nll": "s[0]",
    "poisson": "limited(expf(s[0]))",
    "negative_binomial": "limited(expf(s[0]))",
    "quantile": "point(s)",
}
ACTIVATIONS = {"identity": "s[0]", "tanh": "tanhf(s[0])", "logistic": "1.0f / (1.0f + expf(-s[0]))"}

LIMITED = """
static float limited(float value)
{
    return value < FLT_MAX ? value : FLT_MAX;
}
"""

#: See ``training/losses/quantile.py``.
QUANTILE_POINT = """
/* The median, or the fitted quantile of the nearest level */
static float point(const float *s)
{
    float quantiles[$S] = {s[0]};
    for (int j = 1; j < $S; j++)
        quantiles[j] = quantiles[j - 1] + fmaxf(s[j], 0.0f) + log1pf(expf(-fabsf(s[j])));
    return $expression;
}
"""
