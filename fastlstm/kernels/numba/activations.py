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

``kernels/rationals.py`` has the coefficients.

# Design: the direct approximation tanh(x) = x P(x^2) / Q(x^2) takes one instruction less in float32, the same number
# for sigmoid, and more in float64; but it needs more coefficients, has larger rounding errors, and can exceed 1 after
# rounding. These quotients cannot: the denominator of sigmoid is its numerator plus a non-negative term. That of tanh
# exceeds its numerator by (q - p)^2, and the bound is small enough for this to outweigh the rounding errors, with or
# without fused multiply-add.
"""

from fastlstm.kernels.numba.tiles import elementwise, emit_constant, emit_fma
from fastlstm.kernels.rationals import SIGMOID32, SIGMOID64, TANH32, TANH64


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
