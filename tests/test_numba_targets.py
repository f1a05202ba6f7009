"""The Numba backend on other CPUs, by Numba's own settings, and its cache of machine code."""

import os
import subprocess
import sys

import pytest

target = pytest.importorskip("fastlstm.kernels.numba.target")
from fastlstm.kernels.numba import jit  # noqa: E402

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


def run(program, *args, **environment):
    command = [sys.executable, "-W", "error", "-c", program, *map(str, args)]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


x86 = pytest.mark.skipif(target.ISA not in ("avx512", "avx2"), reason="needs an x86 CPU with AVX2")


@x86
def test_narrower_vectors_give_the_same_numbers(tmp_path):
    import numpy as np

    isa = {name: run(PROGRAM, tmp_path / f"{name}.npz", **env) for name, env in
           {"host": {}, "avx2": AVX2, "sse2": SSE2}.items()}  # fmt: skip
    assert isa == {"host": target.ISA, "avx2": "avx2", "sse2": "sse2"}
    host, avx2, sse2 = (np.load(tmp_path / f"{name}.npz") for name in ("host", "avx2", "sse2"))
    for name in host.files:
        np.testing.assert_array_equal(avx2[name], host[name], err_msg=name)  # the same fused products in one order
        tolerance = 1e-5 if "float32" in name else 1e-12
        np.testing.assert_allclose(sse2[name], host[name], rtol=tolerance, atol=10 * tolerance, err_msg=name)


def test_machine_code_is_kept_and_a_damaged_file_is_not_used(tmp_path):
    program = """
import numpy as np
from fastlstm.layers import LSTM
from fastlstm.kernels.numba import lstm
LSTM(1, 1, backend="numba", random_state=0)(np.ones((1, 1, 1), "float32"))
print(sum(lstm.forward_steps.stats.cache_hits.values()))
"""
    assert run(program, NUMBA_CACHE_DIR=tmp_path) == "0"
    assert run(program, NUMBA_CACHE_DIR=tmp_path) == "1"
    (file,) = tmp_path.glob("*/lstm.forward_steps-*.nbc")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert run(program, NUMBA_CACHE_DIR=tmp_path) == "0"
    assert run(program, NUMBA_CACHE_DIR=tmp_path) == "1"  # mended


def test_other_sources_get_another_folder(tmp_path, monkeypatch):
    (tmp_path / "jit.py").write_text("")
    (tmp_path / "tiles.py").write_text("ROWS = 6")
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "jit.py"))
    keys = set()
    for text in ("ROWS = 6", "ROWS = 5"):
        (tmp_path / "tiles.py").write_text(text)
        os.utime(tmp_path / "tiles.py", (0, 0))  # the same length and time stamp
        jit.source_key.cache_clear()
        keys.add(jit.source_key())
    jit.source_key.cache_clear()
    assert len(keys) == 2
