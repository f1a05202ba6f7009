"""The Numba backend on other CPUs, by Numba's own settings."""

import numpy as np
import pytest
from conftest import run_python

target = pytest.importorskip("fastlstm.kernels.numba.target")

AVX2 = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma,+avx,+sse4.2,+sse4.1,+ssse3,+bmi,+bmi2,+popcnt"}
SSE2 = {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "+sse2"}

#: Prints the vector width and writes outputs and gradients of awkward sizes to the file that is named.
PROGRAM = """
import sys, warnings
import numpy as np
from fastlstm import LSTMClassifier, LSTMRegressor
from fastlstm.kernels.numba import target
from fastlstm.layers import LSTM

results = {}
for N, T, C, H in [(1, 1, 1, 1), (5, 4, 3, 50), (17, 3, 40, 17), (40, 5, 3, 20)]:
    for dtype in ("float32", "float64"):
        rng = np.random.default_rng(0)
        layer = LSTM(C, H, dtype=dtype, backend="numba", random_state=0)
        output, (h, c), tape = layer.record(rng.standard_normal((N, T, C)).astype(dtype))
        grads = layer.backward(tape, rng.standard_normal((N, T, H)).astype(dtype))
        for name, value in {"output": output, "c": c, "d_x": grads.x, **grads.weights}.items():
            results[f"{N}_{T}_{C}_{H}_{dtype}_{name}"] = value
        lengths = rng.integers(1, T + 1, N)
        output, state, tape = layer.record(rng.standard_normal((N, T, C)).astype(dtype), lengths=lengths)
        grads = layer.backward(tape, rng.standard_normal((N, T, H)).astype(dtype), input_gradient=False)
        for name, value in {"unequal output": output, **grads.weights}.items():
            results[f"unequal_{N}_{T}_{C}_{H}_{dtype}_{name}"] = value
warnings.simplefilter("ignore")
for dtype in ("float32", "float64"):
    for solver in ("adam", "sgd", "rmsprop"):
        X, y = rng.standard_normal((9, 4, 2)), np.arange(9) % 3
        options = {"solver": solver, "dtype": dtype, "max_iter": 3, "batch_size": 5, "random_state": 0}
        for Model in (LSTMClassifier, LSTMRegressor):
            weights = Model(21, **options).fit(X, y).weights_
            results |= {f"fit_{solver}_{dtype}_{Model.__name__}_{name}": value for name, value in weights.items()}
print(target.ISA)
np.savez(sys.argv[1], **results)
"""


x86 = pytest.mark.skipif(target.ISA not in ("avx512", "avx2"), reason="needs an x86 CPU with AVX2")


@x86
def test_narrower_vectors_give_the_same_numbers(tmp_path):
    isa = {
        name: run_python("-W", "error", "-c", PROGRAM, tmp_path / f"{name}.npz", timeout=600, **env)
        for name, env in {"host": {}, "avx2": AVX2, "sse2": SSE2}.items()
    }
    assert isa == {"host": target.ISA, "avx2": "avx2", "sse2": "sse2"}
    host, avx2, sse2 = (np.load(tmp_path / f"{name}.npz") for name in ("host", "avx2", "sse2"))
    for name in host.files:
        np.testing.assert_array_equal(avx2[name], host[name], err_msg=name)  # the same fused products in one order
        tolerance = 1e-5 if "float32" in name else 1e-12
        np.testing.assert_allclose(sse2[name], host[name], rtol=tolerance, atol=10 * tolerance, err_msg=name)
