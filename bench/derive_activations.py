"""Derive the coefficients of fastlstm/kernels/numba/activations.py and print them.

    python bench/derive_activations.py           # print the tables, in Python, with their errors
    python bench/derive_activations.py --check   # compare them with activations.py; exit status 1 if they differ

On [0, bound], x P(x^2) / Q(x^2) is the approximation of tanh(x) with the smallest largest relative error, found by
Remez' exchange algorithm in 40 digits. sigmoid(x) = 1/2 + tanh(x / 2) / 2 needs less of it, hence has its own, its
halves multiplied into the coefficients. A common factor of P and Q is free: in float32, where rounding makes most of
the error, many are tried. Needs mpmath; takes half a minute.
"""

import argparse
import sys
from bisect import bisect
from pathlib import Path

import mpmath
import numpy as np
from mpmath import mpf

POINTS = 800  # on which Remez' algorithm looks for the largest error
FACTORS = 256  # common factors of P and Q that are tried for float32

#: Name of the table: bound for tanh, degrees of P and Q. The lowest with errors below 3e-7 (float32), 1e-15 (float64).
TABLES = {
    "TANH32": (7.8125, 4, 4),
    "SIGMOID32": (7.8125, 3, 4),
    "TANH64": (18.0, 9, 9),
    "SIGMOID64": (17.75, 8, 9),
}


def polynomial(coefficients, u):
    total = mpf(0)
    for coefficient in reversed(coefficients):
        total = total * u + coefficient
    return total


def interpolate(x, t, p_degree, q_degree):
    """P and Q (with Q(0) = 1) and e such that x P / Q = t * (1 + e), t * (1 - e), ... at the points x in turn.

    The equations x P - t (Q - 1) - (+-e) t Q = t are linear but for e Q, where Q is that of the last round.
    """
    size = p_degree + q_degree + 2
    error, q = mpf(0), [mpf(1)]
    while True:
        equations, right = mpmath.matrix(size, size), mpmath.matrix(t)
        for row in range(size):
            u = x[row] ** 2
            for k in range(p_degree + 1):
                equations[row, k] = x[row] * u**k
            for k in range(1, q_degree + 1):
                equations[row, p_degree + k] = -t[row] * u**k
            equations[row, size - 1] = (-1) ** (row + 1) * t[row] * polynomial(q, u)
        solution = list(mpmath.lu_solve(equations, right))
        previous, error = error, solution[-1]
        p, q = solution[: p_degree + 1], [mpf(1), *solution[p_degree + 1 : -1]]
        if abs(error - previous) <= abs(error) * mpf(10) ** -6:
            return p, q, error


def remez(bound, p_degree, q_degree):
    """P, Q and the largest relative error of x P(x^2) / Q(x^2) as tanh(x) on [0, bound]."""
    bound, size = mpf(bound), p_degree + q_degree + 2
    grid = [bound * (1 - mpmath.cos(mpmath.pi * (2 * i + 1) / (2 * POINTS))) / 2 for i in range(POINTS)] + [bound]
    truth = [mpmath.tanh(x) for x in grid]
    # A start for the places of the extrema, denser where x is small.
    start = [mpmath.sinh(mpmath.asinh(bound) * (k + 1) / size) for k in range(size)]
    extrema = [bisect(grid, x) - 1 for x in start]
    for _ in range(50):
        p, q, error = interpolate([grid[i] for i in extrema], [truth[i] for i in extrema], p_degree, q_degree)
        errors = [x * polynomial(p, x * x) / polynomial(q, x * x) / t - 1 for x, t in zip(grid, truth, strict=True)]
        # The largest error of every run of equal signs; the best approximation has `size` of them, all equal.
        runs = []
        for i, e in enumerate(errors):
            if not runs or (e > 0) != (errors[runs[-1]] > 0):
                runs.append(i)
            elif abs(e) > abs(errors[runs[-1]]):
                runs[-1] = i
        while len(runs) > size:
            runs.pop(0 if abs(errors[runs[0]]) < abs(errors[runs[-1]]) else -1)
        if len(runs) < size:
            raise ArithmeticError("the errors alternate too seldom: another start is needed")
        extrema = runs
        if max(map(abs, errors)) <= abs(error) * (1 + mpf(10) ** -3):
            return p, q, float(abs(error))
    raise ArithmeticError("no convergence")


def halve(p, q):
    """The P and Q of tanh(x / 2) / 2 from those of tanh(x): only powers of two."""
    return [c / mpf(4) ** (k + 1) for k, c in enumerate(p)], [c / mpf(4) ** k for k, c in enumerate(q)]


def fma32(a, b, c):
    """a * b + c in float32 as if rounded once (the product is exact in float64; the sum's first rounding is slight)."""
    return (a.astype(np.float64) * b + np.float64(c)).astype(np.float32)


def rounded_in_float32(x, p, q):
    """x P(x^2) / Q(x^2) as the kernels compute it."""
    u = x * x
    values = []
    for coefficients in (p, q):
        total = np.full_like(x, coefficients[-1])
        for coefficient in coefficients[-2::-1]:
            total = fma32(total, u, coefficient)
        values.append(total)
    return x * values[0] / values[1]


def rounding_error(bound, limit, p, q, step):
    """Largest error of x P / Q as limit * tanh(limit * x) for every `step`-th x from 1/2 to infinity, in float32;
    infinity if it exceeds `limit`."""
    first, last = (int(np.float32(x).view(np.int32)) for x in (0.5, bound))
    x = np.arange(last, first, -step, dtype=np.int32).view(np.float32)
    truth = limit * np.tanh(limit * x.astype(np.float64))
    truth[0] = limit  # all larger x get the value at the bound
    value = rounded_in_float32(x, p, q)
    return float(np.abs(value - truth).max()) if value.max() <= limit else np.inf


def round_to_float32(bound, limit, p, q):
    """P and Q in float32, times the factor with the smallest largest error, and that error."""
    candidates = []
    for factor in 2.0 ** (np.arange(FACTORS) / FACTORS):
        candidates.append([[np.float32(float(c) * factor) for c in coefficients] for coefficients in (p, q)])
    for step, keep in (1021, 64), (61, 16), (5, 1):  # large errors are rare: look ever closer
        errors = [rounding_error(bound, limit, *candidate, step) for candidate in candidates]
        order = np.argsort(errors, kind="stable")[:keep]
        candidates = [candidates[k] for k in order]
    return *candidates[0], errors[order[0]]


def derive(name):
    """bound, P, Q of the table `name`, and what to say about them."""
    bound, p_degree, q_degree = TABLES[name]
    p, q, error = remez(bound, p_degree, q_degree)
    remark = f"relative error of tanh before rounding {error:.1e}"
    limit = 1.0
    if name.startswith("SIGMOID"):
        bound, limit, (p, q) = 2 * bound, 0.5, halve(p, q)
    if name.endswith("32"):
        p, q, error = round_to_float32(bound, limit, p, q)
        remark += f", largest error seen in float32 {error:.1e}"
    else:
        p, q = [float(c) for c in p], [float(c) for c in q]
    # str() of a float32 has as few digits as tell it from its neighbours.
    return bound, tuple(float(str(c)) for c in p), tuple(float(str(c)) for c in q), remark


def as_python(coefficients):
    """The tuple as ruff formats it."""
    line = f"    {coefficients},"
    return line if len(line) <= 120 else "\n".join(["    (", *(f"        {c}," for c in coefficients), "    ),"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare with activations.py")
    check = parser.parse_args().check
    mpmath.mp.dps = 40
    same = True
    for name in TABLES:
        bound, p, q, remark = derive(name)
        print(f"# {remark}\n{name} = Rational(\n    {bound},\n{as_python(p)}\n{as_python(q)}\n)", flush=True)
        if check:
            sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
            from fastlstm.kernels.numba import activations

            if tuple(getattr(activations, name)) != (bound, p, q):
                print(f"{name} in activations.py differs")
                same = False
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
