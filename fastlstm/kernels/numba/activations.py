"""tanh and sigmoid of tiles, from rational approximations.

Let p = x P(x^2) and q = Q(x^2), where p / q approximates tanh(x / 2) for tanh, and tanh(x / 4) for sigmoid::

    tanh(x) = 2 p q / (q^2 + p^2)
    sigmoid(x) = a^2 / (a^2 + b^2),   a = q + p,   b = q - p   (a / b = e^(x / 2))

x is clamped to [-bound, bound], so infinities are valid. NaN is propagated. tanh(-x) is exactly -tanh(x).

Maximum errors, over all float32 numbers and six million float64 numbers:

=========  ==================  ==================  ==================
           tanh                tanh, relative      sigmoid
=========  ==================  ==================  ==================
float32    1.8e-7              3.2e-7              2.4e-7
float64    3.5e-16             5.8e-16             2.9e-16
=========  ==================  ==================  ==================

bench/derive_activations.py derives the coefficients.

# Design: the direct approximation tanh(x) = x P(x^2) / Q(x^2) takes one instruction less in float32, the same number
# for sigmoid, and more in float64; but it needs more coefficients, has larger rounding errors, and can exceed 1 after
# rounding. These quotients cannot: the denominator of sigmoid is its numerator plus a non-negative term. That of tanh
# exceeds its numerator by (q - p)^2, and the bound is small enough for this to outweigh the rounding errors, with or
# without fused multiply-add.
"""

from typing import NamedTuple

from fastlstm.kernels.numba.tiles import elementwise, emit_constant, emit_fma


class Rational(NamedTuple):
    """x P(x^2) / Q(x^2), for |x| <= bound. Coefficients are in order of increasing powers."""

    bound: float
    p: tuple
    q: tuple


TANH32 = Rational(
    8.25,
    (0.5, 0.014905646, 5.7540965e-05),
    (1.0, 0.11314459, 0.0012104984, 1.2469244e-06),
)
SIGMOID32 = Rational(
    16.5,
    (0.24999996, 0.0016880544, 8.596197e-07),
    (1.0, 0.027585255, 5.73525e-05),
)
TANH64 = Rational(
    18.25,
    (
        0.5,
        0.018014848073702724,
        0.00015175008821389154,
        4.272345712044406e-07,
        4.052406385181431e-10,
        9.169078522000622e-14,
    ),
    (
        1.0,
        0.11936302948073838,
        0.0019170859664899092,
        9.173688930748951e-06,
        1.522684959177648e-08,
        7.644119879710519e-12,
        5.279896115207768e-16,
    ),
)
SIGMOID64 = Rational(
    36.5,
    (
        0.25,
        0.0022518560092128406,
        4.742190256684111e-06,
        3.3377700875346923e-09,
        7.914856221057482e-13,
        4.477089122070616e-17,
    ),
    (
        1.0,
        0.029840757370184594,
        0.00011981787290561932,
        1.4333888954295236e-07,
        5.947988121787688e-11,
        7.464960820029804e-15,
        1.2890371375018965e-19,
    ),
)


def _polynomial(builder, tile, coefficients, u):
    total = emit_constant(tile, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = emit_fma(builder, tile, total, u, emit_constant(tile, coefficient))
    return total


def _clamp(builder, tile, x, bound):
    # NaN compares false to both bounds and is propagated; llvm.minnum would return the bound. On x86, each pair of
    # instructions becomes one vmin or vmax with x as the second operand, which they return for NaN.
    for relation, number in ("<", bound), (">", -bound):
        limit = emit_constant(tile, number)
        x = builder.select(builder.fcmp_ordered(relation, limit, x), limit, x)
    return x


def _parts(builder, tile, x, rational):
    """Clamped x, P(x^2) and Q(x^2)."""
    x = _clamp(builder, tile, x, rational.bound)
    u = builder.fmul(x, x)
    return x, _polynomial(builder, tile, rational.p, u), _polynomial(builder, tile, rational.q, u)


def _emit_tanh(builder, tile, x):
    x, p, q = _parts(builder, tile, x, TANH32 if tile.dtype.bitwidth == 32 else TANH64)
    p = builder.fmul(x, p)
    return builder.fdiv(builder.fmul(builder.fadd(p, p), q), emit_fma(builder, tile, q, q, builder.fmul(p, p)))


def _emit_sigmoid(builder, tile, x):
    x, p, q = _parts(builder, tile, x, SIGMOID32 if tile.dtype.bitwidth == 32 else SIGMOID64)
    a = emit_fma(builder, tile, x, p, q)
    b = emit_fma(builder, tile, builder.fneg(x), p, q)
    return builder.fdiv(builder.fmul(a, a), emit_fma(builder, tile, a, a, builder.fmul(b, b)))


tanh = elementwise(_emit_tanh)
sigmoid = elementwise(_emit_sigmoid)
