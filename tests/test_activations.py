"""tanh and sigmoid of tiles against references of higher precision."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import njit

from fastlstm.kernels import rationals
from fastlstm.kernels.numba import activations
from fastlstm.kernels.numba.target import lanes
from fastlstm.kernels.numba.tiles import load, store

FLOATS = (np.float32, np.float64)
#: Largest allowed errors; without fused multiply-add they are a little larger than activations.py says.
LARGEST = {np.float32: 4e-7, np.float64: 1e-15}
BOUNDS = {
    np.float32: (rationals.TANH32.bound, rationals.SIGMOID32.bound),
    np.float64: (rationals.TANH64.bound, rationals.SIGMOID64.bound),
}


def _driver(function):
    @njit
    def apply(x, y, step):
        for at in range(0, x.size, step):
            store(function(load(1, 1, x, at, 0)), y, at, 0)

    def on_array(x):
        step = lanes(x.dtype)
        padded = np.zeros(-(-x.size // step) * step, x.dtype)
        padded[: x.size] = x
        y = np.full_like(padded, 7)
        apply(padded, y, step)
        return y[: x.size]

    return on_array


tanh = _driver(activations.tanh)
sigmoid = _driver(activations.sigmoid)


def _specials(dtype):
    """Zeros, subnormal numbers, extremes, and the neighbours of where the functions become constant. Signs: both."""
    info = np.finfo(dtype)
    bounds = np.array(BOUNDS[dtype], dtype)
    positive = np.concatenate(
        [
            np.array([0, info.smallest_subnormal, info.tiny / 2, info.tiny, 1, info.max, np.inf], dtype),
            *(np.nextafter(bounds, dtype(towards)) for towards in (0, np.inf)),
            bounds,
        ]
    )
    return np.concatenate([positive, -positive])


def _all_magnitudes32():
    """4096 numbers of each exponent of float32, 2**19 of those that matter most; both signs, 12 million in all."""

    def patterns(exponents, mantissa_bits):
        mantissas = np.arange(1 << mantissa_bits) * ((1 << (23 - mantissa_bits)) + 1) % (1 << 23)
        return (np.array(exponents)[:, None] * (1 << 23) + mantissas).ravel().astype(np.uint32).view(np.float32)

    positive = np.concatenate([patterns(range(255), 12), patterns(range(127 - 5, 127 + 5), 19)])
    return np.concatenate([positive, -positive, _specials(np.float32)])


def _magnitudes64():
    """Evenly spaced where the functions change, and evenly spaced logarithms; both signs."""
    random = np.random.default_rng(0)
    positive = np.concatenate([random.uniform(0, 40, 500_000), np.exp(random.uniform(-700, 700, 500_000))])
    return np.concatenate([positive, -positive, _specials(np.float64)])


def _reference(x):
    """tanh and sigmoid, and x, in a type with more precision."""
    if x.dtype == np.float32:
        x = x.astype(np.float64)
    elif np.finfo(np.longdouble).nmant == 63:  # the 80-bit numbers of x86, 11 bits more than float64
        x = x.astype(np.longdouble)
    else:
        pytest.skip("np.longdouble is not the 80-bit type here: no reference for float64")
    return np.tanh(x), 0.5 + 0.5 * np.tanh(0.5 * x)


@pytest.fixture(scope="module", params=FLOATS, ids=lambda dtype: dtype.__name__)
def numbers(request):
    return _all_magnitudes32() if request.param is np.float32 else _magnitudes64()


def test_errors(numbers):
    for function, expected in zip((tanh, sigmoid), _reference(numbers), strict=True):
        result = function(numbers)
        assert result.dtype == numbers.dtype
        errors = np.abs(result - expected)
        worst = errors.argmax()
        assert errors[worst] <= LARGEST[numbers.dtype.type], numbers[worst]


def test_relative_error_of_tanh(numbers):
    x = numbers[np.isfinite(numbers) & (np.abs(numbers) >= 2 * np.finfo(numbers.dtype).tiny)]
    expected = _reference(x)[0]
    relative = np.abs((tanh(x) - expected) / expected)
    worst = relative.argmax()
    assert relative[worst] <= LARGEST[x.dtype.type], x[worst]


def test_tanh_is_odd(numbers):
    np.testing.assert_array_equal(tanh(-numbers), -tanh(numbers))
    zeros = np.array([0.0, -0.0], numbers.dtype)
    np.testing.assert_array_equal(np.signbit(tanh(zeros)), [False, True])


def test_ranges(numbers):
    assert np.abs(tanh(numbers)).max() <= 1
    result = sigmoid(numbers)
    assert result.min() >= 0
    assert result.max() <= 1


@pytest.mark.parametrize("dtype", FLOATS)
def test_limits(dtype):
    infinities = np.array([np.inf, -np.inf], dtype)
    np.testing.assert_allclose(tanh(infinities), [1, -1], rtol=0, atol=LARGEST[dtype])
    np.testing.assert_allclose(sigmoid(infinities), [1, 0], rtol=0, atol=LARGEST[dtype])
    np.testing.assert_array_equal(sigmoid(np.zeros(2, dtype)), 0.5)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("function", [tanh, sigmoid], ids=["tanh", "sigmoid"])
def test_nan_stays_nan(function, dtype):
    """In every lane, and not in its neighbours."""
    size = lanes(np.dtype(dtype))
    for nan in np.nan, -np.nan:
        for lane in range(size):
            x = np.zeros(size, dtype)
            x[lane] = nan
            np.testing.assert_array_equal(np.isnan(function(x)), np.arange(size) == lane)


def test_the_coefficients_are_those_of_the_script():
    pytest.importorskip("mpmath")
    script = Path(__file__).parent.parent / "bench" / "derive_activations.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
