/* Losses of rows and their gradient: those of fastlstm/training/losses/.

   Scores, targets and weights are `real`. As in the Numba kernels, losses are double, and so is everything that is
   divided by an integer or added to one. */

#define softmax FL(softmax)
#define residual_loss FL(residual_loss)
#define binary_loss FL(binary_loss)
#define class_loss FL(class_loss)
#define target_loss FL(target_loss)
#define loss_of_row FL(loss_of_row)
#define quantile_loss FL(quantile_loss)
#define poisson_loss FL(poisson_loss)
#define gaussian_loss FL(gaussian_loss)
#define loss_of_distributions FL(loss_of_distributions)

#define HUBER_DELTA 1.0
#define VARIANCE_FLOOR 1e-6
#define LOG_FLOOR (-13.815510557964274) /* log of VARIANCE_FLOOR */
#define LOG_2PI 1.8378770664093453

#if FL_BITS == 32
#define REAL(function) function##f
#else
#define REAL(function) function
#endif

/* max(a, 0); NaN if a is NaN */
#define POSITIVE(a) (0 > (a) ? 0 : (double)(a))

/* Turn K scores into probabilities. Returns the largest score; *logarithm is log(sum of e^(score - largest)). */
INLINE real softmax(real *scores, int64_t K, real *logarithm)
{
    real largest = scores[0], total = scores[0] - scores[0];
    for (int64_t k = 1; k < K; k++)
        largest = !(scores[k] <= largest) ? scores[k] : largest; /* NaN propagates */
    for (int64_t k = 0; k < K; k++) {
        scores[k] = REAL(exp)(scores[k] - largest);
        total += scores[k];
    }
    for (int64_t k = 0; k < K; k++)
        scores[k] /= total;
    *logarithm = REAL(log)(total);
    return largest;
}

/* Loss of one residual, and its derivative. */
INLINE double residual_loss(int64_t number, real residual, double *derivative)
{
    const real size = REAL(fabs)(residual);
    if (number == FL_ABSOLUTE_ERROR || (number == FL_HUBER && size > HUBER_DELTA)) {
        real sign = residual - residual; /* 0, or NaN */
        if (residual != 0)
            sign += residual / size;
        *derivative = sign;
        return number == FL_ABSOLUTE_ERROR ? size : HUBER_DELTA * (size - HUBER_DELTA / 2);
    }
    *derivative = residual;
    return (double)(residual * residual) / 2;
}

/* Cross-entropy of sigmoid(score), and its derivative. */
INLINE double binary_loss(real score, real target, double *derivative)
{
    const real small = REAL(exp)(-REAL(fabs)(score));
    const double probability = (score > 0 ? 1.0 : small) / (1.0 + small);
    *derivative = probability - target;
    return POSITIVE(score) - score * target + REAL(log1p)(small);
}

/* -- weighted losses of a row; d, the scores, becomes the gradient ------------------------------------------------- */

/* Cross-entropy of softmax(d[K]); a gradient of zeros fills d[d_stride]. */
static double class_loss(int64_t K, int64_t label, real weight, real *d, int64_t d_stride)
{
    if (weight == 0) { /* its scores may be infinite */
        for (int64_t k = 0; k < d_stride; k++)
            d[k] = 0;
        return 0;
    }
    const real score = d[label];
    real logarithm;
    const real largest = softmax(d, K, &logarithm);
    d[label] -= 1;
    for (int64_t k = 0; k < K; k++)
        d[k] *= weight;
    return (logarithm - (score - largest)) * weight;
}

/* The other losses of d[K]; `weights` has one element for all of them, or K. */
static double target_loss(int64_t number, int64_t K, const real *targets, const real *weights, bool of_all, real *d)
{
    const double divisor = number == FL_BINARY_CROSS_ENTROPY ? 1 : (double)K;
    double value = 0;
    for (int64_t k = 0; k < K; k++) {
        const real weight = of_all ? weights[0] : weights[k];
        if (weight == 0) {
            d[k] = 0;
            continue;
        }
        double derivative;
        const double loss = number == FL_BINARY_CROSS_ENTROPY ? binary_loss(d[k], targets[k], &derivative)
                                                              : residual_loss(number, d[k] - targets[k], &derivative);
        value += loss / divisor * weight;
        d[k] = (real)(derivative / divisor * weight);
    }
    return value;
}

/* The loss of row m, whose scores d become its gradient; one of classes fills d[d_stride] with zeros. */
INLINE double loss_of_row(const fl_loss *loss, int64_t m, real *d, int64_t d_stride)
{
    const real *const weight = loss->weights + m * loss->weight_columns;
    if (loss->number == FL_CROSS_ENTROPY)
        return class_loss(loss->K, loss->labels[m], weight[0], d, d_stride);
    return target_loss(loss->number, loss->K, loss->targets + m * loss->K, weight, loss->weight_columns == 1, d);
}

/* -- distributions: losses of one target --------------------------------------------------------------------------- */

/* log(1 + e^score); `small` is e^-|score|, of the score's type */
#define SOFTPLUS(score, small, log1p) (POSITIVE(score) + log1p(small))
/* 1 / (1 + e^-score) */
#define LOGISTIC(score, small) (((score) > 0 ? 1.0 : (double)(small)) / (1.0 + (small)))

/* Pinball loss, mean over levels[S]; scores[S] become its gradient. */
INLINE double quantile_loss(int64_t S, real *scores, real target, const double *levels, double *slopes)
{
    double loss = 0, q = scores[0], slope = 0;
    for (int64_t j = 0; j < S; j++) {
        if (j > 0)
            q += SOFTPLUS(scores[j], REAL(exp)(-REAL(fabs)(scores[j])), REAL(log1p));
        const double residual = target - q;
        loss += (residual > 0 ? levels[j] : levels[j] - 1) * residual;
        slopes[j] = residual - residual - levels[j]; /* NaN propagates */
        if (residual <= 0)
            slopes[j] += residual < 0 ? 1 : 0.5;
    }
    for (int64_t j = S - 1; j >= 0; j--) { /* a step moves its own quantile and all above */
        slope += slopes[j] / (double)S;
        const real small = REAL(exp)(-REAL(fabs)(scores[j]));
        scores[j] = (real)(slope * (j > 0 ? LOGISTIC(scores[j], small) : 1));
    }
    return loss / (double)S;
}

/* Half the deviance of a count; its score becomes the gradient. */
INLINE double poisson_loss(real *scores, real target)
{
    const real score = scores[0], mean = REAL(exp)(score);
    const double logarithm = target > 0 ? REAL(log)(target) : 0;
    scores[0] = mean - target;
    return target * (logarithm - score) + mean - target;
}

/* Negative log-likelihood; the scores, mean and logarithm of the standard deviation, become its gradient. */
INLINE double gaussian_loss(real *scores, real target)
{
    const real residual = target - scores[0];
    const double excess = 2 * (double)scores[1] - LOG_FLOOR, small = exp(-fabs(excess));
    const double log_variance = LOG_FLOOR + SOFTPLUS(excess, small, log1p);
    const double precision = exp(-log_variance), square = residual * precision * residual;
    scores[0] = (real)(-residual * precision);
    scores[1] = (real)((1 - square) * LOGISTIC(excess, small));
    return 0.5 * (LOG_2PI + log_variance + square);
}

/* The loss of row m: of distributions, whose scores d become its gradient. */
INLINE double loss_of_distributions(const fl_loss *loss, int64_t m, real *d)
{
    double value = 0;
    for (int64_t k = 0; k < loss->K; k++, d += loss->S) {
        const real weight_of_k = loss->weights[m * loss->weight_columns + (loss->weight_columns > 1 ? k : 0)];
        const double weight = weight_of_k / (double)loss->K;
        const real target = loss->targets[m * loss->K + k];
        if (weight == 0) { /* its scores may be infinite */
            for (int64_t j = 0; j < loss->S; j++)
                d[j] = 0;
            continue;
        }
        value += weight * (loss->number == FL_QUANTILE  ? quantile_loss(loss->S, d, target, loss->levels, loss->slopes)
                          : loss->number == FL_POISSON ? poisson_loss(d, target)
                                                       : gaussian_loss(d, target));
        for (int64_t j = 0; j < loss->S; j++)
            d[j] = (real)(d[j] * weight);
    }
    return value;
}

static void FL(losses_of_rows)(const fl_loss *loss, int64_t first, int64_t last, real *d_scores, int64_t d_stride)
{
    const bool of_distributions = loss->number >= FL_QUANTILE;
    for (int64_t m = first; m < last; m++) {
        real *const d = d_scores + m * d_stride;
        loss->values[m] = of_distributions ? loss_of_distributions(loss, m, d) : loss_of_row(loss, m, d, d_stride);
    }
}
