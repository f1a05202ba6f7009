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
            if dtype == "float32" and not few:
                narrow = getattr(layers, cell.upper())(*shape[2:], **options, precision="bfloat16")
                run(narrow, f"{cell} bfloat16", shape)
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

AVX512_BF16 = {
    "NUMBA_CPU_NAME": "znver4",
    "NUMBA_CPU_FEATURES": f"+avx512bf16,+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl,{AVX2['NUMBA_CPU_FEATURES']}",
}
#: Prints the loop over the products of a tile of pairs, in assembly language.
TILE = """
import re
from numba import njit, types
from fastlstm.kernels.numba.products import add_products
from fastlstm.kernels.numba.tiles import load, pointer, store

def tile(a, w, out, K):
    a, w, out = pointer(a), pointer(w), pointer(out)
    total = add_products(load(6, 4, out, 0, 64), K, a, 2 * K, 2, w, (w, 64), (a, 2))
    store(total, out, 0, 64)

function = njit(nogil=True, error_model="numpy")(tile)
function.compile((types.uint16[::1], types.uint32[::1], types.float32[::1], types.int64))
(code,) = function.inspect_asm().values()
print(max(re.split(r"^\\.L\\w+:|\\bj\\w+\\b", code, flags=re.M), key=lambda block: block.count("vdpbf16ps")))
"""


x86 = pytest.mark.skipif(not target.ISA.startswith("avx"), reason="needs an x86 CPU with AVX2")


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
        if "bfloat16" in name:  # here and there, sums without a fused multiply-add are rounded to other numbers
            assert np.median(np.abs(sse2[name] - host[name])) <= 1e-5 * np.abs(host[name]).max(), name
            continue
        tolerance = 1e-5 if "float32" in name else 1e-12
        np.testing.assert_allclose(sse2[name], host[name], rtol=tolerance, atol=10 * tolerance, err_msg=name)


@x86
def test_a_cpu_with_bfloat16_multiplies_pairs_in_one_instruction():
    """Each pair of a row is loaded once, into all lanes, and no sum leaves its register."""
    loop = run_python("-W", "error", "-c", TILE, timeout=60, **AVX512_BF16)
    assert loop.count("vdpbf16ps") == 4 * loop.count("broadcast") > 0
    assert "%rsp" not in loop
