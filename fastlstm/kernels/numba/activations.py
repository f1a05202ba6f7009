"""tanh and sigmoid of tiles.

tanh(x) = x P(x^2) / Q(x^2) and sigmoid(x) = 1/2 + x P(x^2) / Q(x^2), each with its own P and Q, for |x| up to
a bound; larger x are taken as the bound. No branches; NaN in, NaN out; -1 <= tanh <= 1 and 0 <= sigmoid <= 1.

MEASURED

bench/derive_activations.py derives the coefficients.
"""

from typing import NamedTuple

from fastlstm.kernels.numba.tiles import elementwise, emit_constant, emit_fma


class Rational(NamedTuple):
    """x P(x^2) / Q(x^2) for |x| <= bound; the coefficients of the lowest power first."""

    bound: float
    p: tuple
    q: tuple


TANH32 = Rational(
    7.8125,
    (1.4296134, 0.19236793, 0.0051257736, 3.1645435e-05, 2.2305157e-08),
    (1.4296134, 0.6689056, 0.03747932, 0.00049098994, 1.2388709e-06),
)
SIGMOID32 = Rational(
    15.625,
    (0.34225056, 0.011073545, 6.350274e-05, 6.21543e-08),
    (1.3690025, 0.15837738, 0.0020438877, 5.1591423e-06, 1.3486825e-09),
)
TANH64 = Rational(
    18.0,
    (
        1.0,
        0.15192994938535945,
        0.0059933577326049545,
        9.430737327187549e-05,
        6.932199786646665e-07,
        2.5048487212233126e-09,
        4.351942446394653e-12,
        3.271001284458478e-15,
        8.162844794063081e-19,
        2.864680108112303e-23,
    ),
    (
        1.0,
        0.4852632827186925,
        0.034414451972169746,
        0.0008322743030895104,
        8.84793846202845e-06,
        4.552627168509036e-08,
        1.149013977435147e-10,
        1.3396597632035957e-13,
        6.099678799205618e-17,
        6.980532941311714e-21,
    ),
)
SIGMOID64 = Rational(
    35.5,
    (
        0.24999999999999992,
        0.009436715671676296,
        9.144178760847495e-05,
        3.4754919334559886e-07,
        6.015572392710487e-10,
        4.917865924452607e-13,
        1.8092471000890117e-16,
        2.5471722556898676e-20,
        8.85862029363853e-25,
    ),
    (
        1.0,
        0.12108019602003742,
        0.0021224501521042503,
        1.2513377535600605e-05,
        3.176926591477896e-08,
        3.7818570273788776e-11,
        2.098514678035009e-14,
        4.924215786734896e-18,
        3.7659719688586843e-22,
        3.984166171061617e-27,
    ),
)


def _polynomial(builder, tile, coefficients, u):
    total = emit_constant(tile, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = emit_fma(builder, tile, total, u, emit_constant(tile, coefficient))
    return total


def _clamp(builder, tile, x, bound):
    # A NaN is neither above nor below the bounds and stays; llvm.minnum would give the bound. On x86, each of
    # these pairs becomes one vmin or vmax with x as the second operand, which is the one they give for NaNs.
    for relation, number in ("<", bound), (">", -bound):
        limit = emit_constant(tile, number)
        x = builder.select(builder.fcmp_ordered(relation, limit, x), limit, x)
    return x


def _rational(builder, tile, x, rational):
    x = _clamp(builder, tile, x, rational.bound)
    u = builder.fmul(x, x)
    numerator = builder.fmul(x, _polynomial(builder, tile, rational.p, u))
    return builder.fdiv(numerator, _polynomial(builder, tile, rational.q, u))


def _emit_tanh(builder, tile, x):
    return _rational(builder, tile, x, TANH32 if tile.dtype.bitwidth == 32 else TANH64)


def _emit_sigmoid(builder, tile, x):
    half = emit_constant(tile, 0.5)
    return builder.fadd(half, _rational(builder, tile, x, SIGMOID32 if tile.dtype.bitwidth == 32 else SIGMOID64))


tanh = elementwise(_emit_tanh)
sigmoid = elementwise(_emit_sigmoid)
