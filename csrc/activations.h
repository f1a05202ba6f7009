/* tanh and sigmoid of vectors. fastlstm/kernels/numba/activations.py has the equations and their errors;
   bench/derive_activations.py derives the coefficients, and a test compares both files.

   p / q = tanh(x / 2) in vtanh and tanh(x / 4) in vsigmoid, where p = x P(x^2), q = Q(x^2). |x| is clipped to a
   bound. NaN propagates. */

#define vtanh FL(vtanh)
#define vsigmoid FL(vsigmoid)
#define polynomial FL(polynomial)
#define TANH_P FL(TANH_P)
#define TANH_Q FL(TANH_Q)
#define SIGMOID_P FL(SIGMOID_P)
#define SIGMOID_Q FL(SIGMOID_Q)

/* Coefficients, lowest power first. */
#if FL_BITS == 32
#define TANH_BOUND 8.25f
#define SIGMOID_BOUND 16.5f
static const real TANH_P[] = {0.5f, 0.014905646f, 5.7540965e-05f};
static const real TANH_Q[] = {1.0f, 0.11314459f, 0.0012104984f, 1.2469244e-06f};
static const real SIGMOID_P[] = {0.24999996f, 0.0016880544f, 8.596197e-07f};
static const real SIGMOID_Q[] = {1.0f, 0.027585255f, 5.73525e-05f};
#else
#define TANH_BOUND 18.25
#define SIGMOID_BOUND 36.5
static const real TANH_P[] = {
    0.5, 0.018014848073702724, 0.00015175008821389154, 4.272345712044406e-07, 4.052406385181431e-10,
    9.169078522000622e-14};
static const real TANH_Q[] = {
    1.0, 0.11936302948073838, 0.0019170859664899092, 9.173688930748951e-06, 1.522684959177648e-08,
    7.644119879710519e-12, 5.279896115207768e-16};
static const real SIGMOID_P[] = {
    0.25, 0.0022518560092128406, 4.742190256684111e-06, 3.3377700875346923e-09, 7.914856221057482e-13,
    4.477089122070616e-17};
static const real SIGMOID_Q[] = {
    1.0, 0.029840757370184594, 0.00011981787290561932, 1.4333888954295236e-07, 5.947988121787688e-11,
    7.464960820029804e-15, 1.2890371375018965e-19};
#endif

#define POLYNOMIAL(coefficients, u) polynomial(coefficients, (int)(sizeof(coefficients) / sizeof(real)), u)

INLINE vec polynomial(const real *coefficients, int size, vec u)
{
    vec total = vsplat(coefficients[size - 1]);
    UNROLLED for (int n = size - 2; n >= 0; n--)
        total = vfma(total, u, vsplat(coefficients[n]));
    return total;
}

/* tanh(x) = 2 p q / (q^2 + p^2) */
INLINE vec vtanh(vec x)
{
    x = vmax(vsplat(-TANH_BOUND), vmin(vsplat(TANH_BOUND), x));
    const vec u = vmul(x, x), p = vmul(x, POLYNOMIAL(TANH_P, u)), q = POLYNOMIAL(TANH_Q, u);
    return vdiv(vmul(vadd(p, p), q), vfma(q, q, vmul(p, p)));
}

/* sigmoid(x) = a^2 / (a^2 + b^2), a = q + p, b = q - p (a / b = e^(x / 2)) */
INLINE vec vsigmoid(vec x)
{
    x = vmax(vsplat(-SIGMOID_BOUND), vmin(vsplat(SIGMOID_BOUND), x));
    const vec u = vmul(x, x), p = POLYNOMIAL(SIGMOID_P, u), q = POLYNOMIAL(SIGMOID_Q, u);
    const vec a = vfma(x, p, q), b = vnfma(x, p, q);
    return vdiv(vmul(a, a), vfma(a, a, vmul(b, b)));
}
