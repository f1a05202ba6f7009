"""Derive the coefficients of fastlstm/kernels/rationals.py and print them.

    python bench/derive_activations.py           # print the tables, in Python
    python bench/derive_activations.py --check   # and compare with rationals.py; exit status 1 if they differ

p / q = x P(x^2) / Q(x^2) approximates tanh(x / 2) on [0, bound] such that the largest relative error of
tanh(x) = 2 p q / (q^2 + p^2) is as small as it can be: Remez' exchange algorithm, in 40 digits, the result rounded.
sigmoid(x) = (1 + tanh(x / 2)) / 2 needs tanh(x / 4), so its coefficients get powers of two. Needs mpmath.
"""

import argparse
import sys
from bisect import bisect
from pathlib import Path

import mpmath
import numpy as np
from mpmath import mpf

GRID = 800  # points on which the largest errors are looked for

#: Table: number type, bound, degrees of P and Q, whether for sigmoid. The degrees are the lowest with errors
#: below 3e-7 in float32, 5e-16 in float64. With larger bounds, tanh might be rounded to more than 1.
TABLES = {
    "TANH32": (np.float32, 8.25, 2, 3, False),
    "SIGMOID32": (np.float32, 8.25, 2, 2, True),
    "TANH64": (np.float64, 18.25, 5, 6, False),
    "SIGMOID64": (np.float64, 18.25, 5, 6, True),
}


def polynomial(coefficients, u):
    total = mpf(0)
    for coefficient in reversed(coefficients):
        total = total * u + coefficient
    return total


def tolerance(x):
    """A relative error of e * cosh(x) in tanh(x / 2) makes one of e in tanh(x)."""
    return mpmath.cosh(x)


def interpolate(points, p_degree, q_degree):
    """P, Q (with Q(0) = 1) and e such that x P / Q = tanh(x / 2) (1 + e tolerance(x)) at the points, with e's sign
    changing from one to the next.

    x P - t (Q - 1) - (+-e) tolerance t Q = t is linear but for e Q, so there Q is that of the last round.
    """
    size = len(points)
    error, q = mpf(0), [mpf(1)]
    while True:
        equations, right = mpmath.matrix(size, size), mpmath.matrix(size, 1)
        for row, x in enumerate(points):
            u, t = x * x, mpmath.tanh(x / 2)
            for k in range(p_degree + 1):
                equations[row, k] = x * u**k
            for k in range(1, q_degree + 1):
                equations[row, p_degree + k] = -t * u**k
            equations[row, size - 1] = (-1) ** (row + 1) * tolerance(x) * t * polynomial(q, u)
            right[row] = t
        solution = list(mpmath.lu_solve(equations, right))
        previous, error = error, solution[-1]
        p, q = solution[: p_degree + 1], [mpf(1), *solution[p_degree + 1 : -1]]
        if abs(error - previous) <= abs(error) * mpf(10) ** -6:
            return p, q, error


def remez(bound, p_degree, q_degree):
    """P, Q and the largest relative error of tanh(x) on [0, bound]."""
    bound, size = mpf(bound), p_degree + q_degree + 2
    grid = [bound * (1 - mpmath.cos(mpmath.pi * (2 * i + 1) / (2 * GRID))) / 2 for i in range(GRID)] + [bound]
    # A start for the places where the error is largest: denser where x is small.
    start = [2 * mpmath.sinh(mpmath.asinh(bound / 2) * (k + 1) / size) for k in range(size)]
    extrema = [bisect(grid, x) - 1 for x in start]
    for _ in range(50):
        p, q, error = interpolate([grid[i] for i in extrema], p_degree, q_degree)
        errors = [
            (x * polynomial(p, x * x) / polynomial(q, x * x) / mpmath.tanh(x / 2) - 1) / tolerance(x) for x in grid
        ]
        # The largest error of every run of equal signs; for the best P and Q there are `size`, equally large.
        extrema = []
        for i, e in enumerate(errors):
            if not extrema or (e > 0) != (errors[extrema[-1]] > 0):
                extrema.append(i)
            elif abs(e) > abs(errors[extrema[-1]]):
                extrema[-1] = i
        while len(extrema) > size:
            extrema.pop(0 if abs(errors[extrema[0]]) < abs(errors[extrema[-1]]) else -1)
        if len(extrema) < size:
            raise ArithmeticError("the error changes its sign too seldom: it needs another start")
        if max(map(abs, errors)) <= abs(error) * (1 + mpf(10) ** -3):
            return p, q, float(abs(error))
    raise ArithmeticError("no convergence")


def derive(name):
    """Bound, P and Q of the table, and the largest relative error of tanh(x) before they are rounded."""
    dtype, bound, p_degree, q_degree, is_sigmoid = TABLES[name]
    p, q, error = remez(bound, p_degree, q_degree)
    if is_sigmoid:  # x / 2 in the place of x
        bound *= 2
        p, q = [c / 2 ** (2 * k + 1) for k, c in enumerate(p)], [c / 4**k for k, c in enumerate(q)]
    # str() of a NumPy number has as few digits as tell it from its neighbours.
    p, q = (tuple(float(str(dtype(float(c)))) for c in coefficients) for coefficients in (p, q))
    return bound, p, q, error


def as_python(coefficients):
    """The tuple as ruff formats it."""
    line = f"    {coefficients},"
    return line if len(line) <= 120 else "\n".join(["    (", *(f"        {c}," for c in coefficients), "    ),"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare with rationals.py")
    check = parser.parse_args().check
    mpmath.mp.dps = 40
    tables = {name: derive(name) for name in TABLES}
    for name, (bound, p, q, error) in tables.items():
        print(f"# Relative error of tanh before rounding: {error:.1e}")
        print(f"{name} = Rational(\n    {bound},\n{as_python(p)}\n{as_python(q)}\n)")
    if not check:
        return 0
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from fastlstm.kernels import rationals

    different = [name for name, table in tables.items() if tuple(getattr(rationals, name)) != table[:3]]
    print(f"rationals.py differs: {', '.join(different)}" if different else "rationals.py has the same")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
