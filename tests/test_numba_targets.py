"""The Numba backend on other CPUs, by Numba's own settings."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers import run_python

target = pytest.importorskip("fastlstm.kernels.numba.target")

AVX2 = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma,+avx,+sse4.2,+sse4.1,+ssse3,+bmi,+bmi2,+popcnt"}
SSE2 = {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "+sse2"}

#: Prints the vector width and writes results of awkward sizes to the file that is named: of every kernel or, as their
#: compilation takes minutes, of those of an LSTM layer in float32.
PROGRAM = """
import sys, warnings
import numpy as np
from fastlstm import LSTMClassifier, LSTMRegressor, kernels, layers
from fastlstm.kernels.numba import target

results, few = {}, sys.argv[2] == "few"
dtypes, cells = (["float32"], ["lstm"]) if few else (["float32", "float64"], kernels.CELLS)

def run(layer, kind, shape):
    (N, T, C), rng = shape[:3], np.random.default_rng(0)
    x, more_x = rng.standard_normal((2, N, T, C)).astype(layer.dtype)
    width = layer(x)[0].shape[2]
    d, more_d = rng.standard_normal((2, N, T, width)).astype(layer.dtype)
    output, state, tape = layer.record(x)
    grads = layer.backward(tape, d)
    name = f"{layer.dtype}_{kind}_{shape}"
    results[f"{name} output"], results[f"{name} last state"], results[f"{name} d_x"] = output, state[-1], grads.x
    results.update({f"{name} {of}": value for of, value in grads.weights.items()})
    output, state, tape = layer.record(more_x, lengths=rng.integers(1, T + 1, N))
    grads = layer.backward(tape, more_d, input_gradient=False)
    results.update({f"{name} unequal {of}": value for of, value in {"output": output, **grads.weights}.items()})

for dtype in dtypes:
    options = {"dtype": dtype, "backend": "numba", "random_state": 0}
    for cell in cells:
        for shape in [(1, 1, 1, 1), (5, 4, 3, 50), (17, 3, 40, 17), (40, 5, 3, 20)]:
            run(getattr(layers, cell.upper())(*shape[2:], **options), cell, shape)
    if not few:
        run(layers.GRU(3, 20, 2, bidirectional=True, **options), "stack", (17, 5, 3))
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X, y, y_steps = rng.standard_normal((9, 4, 2)), np.arange(9) % 3, np.arange(36).reshape(9, 4) % 5
for dtype in dtypes:
    fits = [(Model, y, {"solver": solver}) for solver in ("adam", "sgd", "rmsprop")
            for Model in (LSTMClassifier, LSTMRegressor)]
    fits += [(LSTMClassifier, y, {"cell": "gru"}), (LSTMClassifier, y_steps, {"return_sequences": True})]
    for number, (Model, targets, options) in enumerate([] if few else fits):
        options = {**options, "dtype": dtype, "backend": "numba", "max_iter": 3, "batch_size": 5, "random_state": 0}
        model = Model(21, **options).fit(X, targets)
        results.update({f"{dtype} fit {number} {name}": value for name, value in model.weights_.items()})
print(target.ISA)
np.savez(sys.argv[1], **results)
"""


x86 = pytest.mark.skipif(target.ISA not in ("avx512", "avx2"), reason="needs an x86 CPU with AVX2")


@x86
@pytest.mark.parametrize("kernels", ["few", pytest.param("all", marks=pytest.mark.slow)])
def test_narrower_vectors_give_the_same_numbers(tmp_path, kernels):
    targets = {"host": {}, "sse2": SSE2} if target.ISA == "avx2" else {"host": {}, "avx2": AVX2, "sse2": SSE2}

    def run(name):
        return run_python("-W", "error", "-c", PROGRAM, tmp_path / f"{name}.npz", kernels, timeout=600, **targets[name])

    with ThreadPoolExecutor() as pool:  # most of their time is compilation
        isa = dict(zip(targets, pool.map(run, targets), strict=True))
    assert isa == {name: target.ISA if name == "host" else name for name in targets}
    host, *avx2, sse2 = (np.load(tmp_path / f"{name}.npz") for name in targets)
    for name in host.files:
        for results in avx2:  # the same fused products in one order
            np.testing.assert_array_equal(results[name], host[name], err_msg=name)
        tolerance = 1e-5 if "float32" in name else 1e-12
        np.testing.assert_allclose(sse2[name], host[name], rtol=tolerance, atol=10 * tolerance, err_msg=name)
