"""The cython backend: its bits on every level, and what is said where it or a level cannot be had."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import (
    COMPILED,
    FAST,
    LEVELS,
    QUICK,
    all_results,
    assert_close,
    assert_same_bits,
    class_of,
    on_level,
    problem,
    run_python,
    series,
)
from numpy.testing import assert_allclose, assert_array_equal

import fastlstm
from fastlstm import LSTMClassifier, LSTMRegressor, kernels

pytestmark = pytest.mark.every_combination  # equal bits can fail in a single combination

built = pytest.mark.skipif(COMPILED is None, reason="the cython backend is not built")
of_levels = pytest.mark.parametrize("level", LEVELS)
with_numba = pytest.mark.skipif("numba" not in kernels.available(), reason="Numba is not installed")


def fused(backend):
    """Whether its kernels fuse a multiplication and an addition."""
    return kernels.load(backend).bits() == "cython or numba"


# -- bits ---------------------------------------------------------------------------------------------------------

#: N, T, C, H, lengths and options of layers: one of all, odd ones, one more than every vector.
LAYERS = [
    ((1, 1, 1, 1), None, {}),
    ((5, 4, 3, 50), [2, 4, 1, 4, 3], {}),
    ((17, 3, 40, 17), None, {}),
    ((70, 3, 3, 33), None, {}),
    ((9, 4, 2, 20), [4, 1, 3, 2, 4, 4, 1, 1, 2], {"num_layers": 2, "bidirectional": True}),
]


@built
@with_numba
@of_levels
@pytest.mark.parametrize(("shape", "lengths", "options"), LAYERS, ids=str)
def test_layers_have_the_bits_of_numba(level, cell, dtype, shape, lengths, options):
    data = problem(*shape, dtype, cell=cell, **options)

    def results(backend):
        layer = class_of(cell)(*shape[2:], dtype=dtype, backend=backend, random_state=0, **options)
        return all_results(layer, *data, lengths)

    expected = results("numba")
    with on_level(level):
        ours, same = results("cython"), fused("cython") == fused("numba")
    if same:
        assert_same_bits(ours, expected)
    else:
        assert_close(ours, expected, dtype)


FITS = {
    "adam": (LSTMRegressor, {}),
    "sgd": (LSTMRegressor, {"solver": "sgd", "loss": "huber", "cell": "gru"}),
    "rmsprop": (LSTMRegressor, {"solver": "rmsprop", "loss": "absolute_error", "cell": "rnn"}),
    "dropout": (LSTMRegressor, {"num_layers": 2, "dropout": 0.3, "recurrent_dropout": 0.2, "cell": "gru"}),
    "quantiles": (LSTMRegressor, {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]}),
    "gaussian": (LSTMRegressor, {"loss": "gaussian_nll", "bptt_checkpoint": 2}),
    "classes": (LSTMClassifier, {"num_layers": 2, "bptt_steps": 3}),
}


@built
@with_numba
@of_levels
@pytest.mark.parametrize(("estimator", "options"), FITS.values(), ids=FITS)
def test_fits_have_the_bits_of_numba(level, dtype, estimator, options):
    X, y = series()
    targets = np.arange(len(y)) % 3 if estimator is LSTMClassifier else y

    def fit(backend):
        return estimator(**{**QUICK, **options, "dtype": dtype, "backend": backend}).fit(X, targets)

    expected = fit("numba")
    with on_level(level):
        ours, same = fit("cython"), fused("cython") == fused("numba")
        predicted = ours.predict(X)
    if same:
        assert_same_bits(ours.weights_, expected.weights_)
        assert_array_equal(predicted, expected.predict(X))
        assert ours.loss_curve_ == expected.loss_curve_
    else:
        tolerance = {"float32": 1e-4, "float64": 1e-11}[dtype]
        for name, value in expected.weights_.items():
            assert_allclose(ours.weights_[name], value, rtol=tolerance, atol=tolerance, err_msg=name)


PREDICT = """
import pickle, sys
import numpy as np

(path, *models), results = sys.argv[1:], {}
for name in models:
    with open(name, "rb") as file:
        model, X = pickle.load(file)
    results[name.rsplit("/", 1)[-1]] = model.predict_proba(X)
np.savez(path, **results)
"""


def test_a_model_saved_under_one_backend_predicts_the_same_under_all(tmp_path):
    X, y = series()
    models = []
    for backend in kernels.available():
        model = LSTMClassifier(**{**QUICK, "backend": backend}).fit(X, y > 0).set_params(backend="auto")
        models.append(tmp_path / f"{backend}.pickle")
        models[-1].write_bytes(pickle.dumps((model, X)))
    predicted = {}
    for backend in kernels.available():
        run_python("-c", PREDICT, tmp_path / f"{backend}.npz", *models, FASTLSTM_BACKEND=backend)
        predicted[backend] = dict(np.load(tmp_path / f"{backend}.npz"))
    expected = predicted.pop("numpy")
    for backend, results in predicted.items():
        assert_close(results, expected, "float32")
        if fused(backend) == fused(FAST[0]):
            assert_same_bits(results, predicted[FAST[0]])


# -- without waiting for a compiler -------------------------------------------------------------------------------


@built
def test_a_fit_and_a_prediction_do_without_numba():
    code = """
import sys
from fastlstm import LSTMRegressor
LSTMRegressor(3, max_iter=1, learning_rate="cosine").fit([[1, 2], [3, 4]], [1, 2]).predict([[1, 2]])
print("numba" in sys.modules)
"""
    assert run_python("-W", "error", "-c", code, FASTLSTM_BACKEND="cython") == "False"


# -- levels -------------------------------------------------------------------------------------------------------

VERSIONS = "import fastlstm; fastlstm.show_versions()"


def failure(code, **environment):
    """The last line of the error that this program ends with."""
    with pytest.raises(AssertionError) as caught:
        run_python("-P", "-c", code, **environment)
    return str(caught.value)


@built
@of_levels
def test_the_environment_chooses_the_level(level):
    bits = {"amx": 512, "avx512_bf16": 512, "avx512": 512, "avx2": 256}.get(level, 128)
    assert f"vectors: {level}, {bits} bits" in run_python("-c", VERSIONS, FASTLSTM_ISA=level)


@built
def test_a_level_that_is_not_there_is_an_error():
    message = failure("from fastlstm.layers import LSTM; LSTM(1, 1)", FASTLSTM_ISA="mmx")
    assert "FASTLSTM_ISA=mmx is not a level that this CPU and its operating system support" in message
    assert f"expected one of {list(LEVELS)}" in message
    report = run_python("-c", VERSIONS, FASTLSTM_ISA="mmx")
    assert "backend: FASTLSTM_ISA=mmx is not a level" in report
    assert "threads: " in report


@built
def test_a_level_that_is_not_there_is_no_matter_to_other_backends():
    code = "from fastlstm.layers import LSTM; print(LSTM(1, 1, backend='numpy').backend)"
    assert run_python("-c", code, FASTLSTM_ISA="mmx") == "numpy"
    assert (
        run_python("-c", "from fastlstm.layers import LSTM; LSTM(1, 1)", FASTLSTM_BACKEND="numpy", FASTLSTM_ISA="mmx")
        == ""
    )


# -- modules that are missing or broken ---------------------------------------------------------------------------


@pytest.fixture
def pure(tmp_path):
    """The environment of a copy of the package without its extension modules and machine code."""
    package = Path(fastlstm.__file__).parent
    shutil.copytree(package, tmp_path / "fastlstm", ignore=shutil.ignore_patterns("*.so", "*.pyd", "fastlstm-*"))
    return {"PYTHONPATH": tmp_path, "FASTLSTM_BACKEND": "", "FASTLSTM_ISA": ""}


AUTO = """
from fastlstm import kernels
print(kernels.resolve(), kernels.resolve("auto"), "cython" in kernels.available())
"""
FORCED = "from fastlstm import LSTMRegressor; LSTMRegressor(backend='cython').fit([[1, 2], [3, 4]], [1, 2])"


@with_numba
def test_without_the_modules_auto_takes_the_next_backend(pure):
    assert run_python("-P", "-W", "error", "-c", AUTO, **pure) == "numba numba False"


@with_numba
def test_without_the_modules_the_backend_and_its_levels_are_errors(pure):
    how = "were not built; install a wheel of fastlstm or, if you have a C compiler"
    assert how in failure(FORCED, **pure)
    message = failure(AUTO, **{**pure, "FASTLSTM_BACKEND": "cython"})
    assert "FASTLSTM_BACKEND=cython is not an available backend" in message
    assert "expected 'auto' or one of ['numba', 'numpy']" in message
    message = failure(AUTO, **{**pure, "FASTLSTM_ISA": "avx2"})
    assert "FASTLSTM_ISA=avx2 selects a level of the cython backend, which is not available" in message
    assert how in message


def test_the_slow_backend_is_not_taken_in_silence(pure):
    (pure["PYTHONPATH"] / "find_nothing.py").write_text(
        "import importlib.util as u; f = u.find_spec; u.find_spec = lambda name: None if name == 'numba' else f(name)"
    )
    code = f"import find_nothing, warnings; warnings.simplefilter('error')\n{AUTO}"
    message = failure(code, **pure)
    assert "backend='auto' selects 'numpy', which is slow. 'cython': its extension modules were not built" in message
    assert "pip install numba" in message


@built
@with_numba
@pytest.mark.parametrize(("bits", "raising"), [(32, False), (64, True)], ids=["no library", "raises"])
def test_a_module_that_cannot_be_imported_is_named_once_and_passed_over(pure, bits, raising):
    for module in (COMPILED.f32, COMPILED.f64, COMPILED.bf16, COMPILED.int8):
        place = pure["PYTHONPATH"] / "fastlstm/kernels/cython" / Path(module.__file__).name
        if f"f{bits}" not in place.name:
            shutil.copy(module.__file__, place)
        elif raising:
            place.with_name(f"f{bits}.py").write_text(f"raise RuntimeError('f{bits} is for another interpreter')")
        else:
            place.write_text("not a library")
    environment = {name: str(value) for name, value in pure.items()}
    command = [sys.executable, "-P", "-W", "always", "-c", AUTO]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "numba numba False"
    assert done.stderr.count("RuntimeWarning") == 1
    assert "backend='auto' selects 'numba', not 'cython': its extension modules cannot be imported" in done.stderr
    assert f"f{bits}" in done.stderr
    assert "its extension modules cannot be imported" in failure(FORCED, **pure)


def forced(backend):
    return f"from fastlstm.layers import LSTM; print(LSTM(1, 1, backend={backend!r}).backend)"


@with_numba
def test_numba_without_its_compiler_is_an_error_that_names_the_variable():
    message = failure(forced("numba"), NUMBA_DISABLE_JIT=1)
    assert "backend='numba' is not an available backend (NUMBA_DISABLE_JIT=1 disables Numba's compiler" in message
    assert "unset NUMBA_DISABLE_JIT, or use another backend); expected 'auto' or one of [" in message


@pytest.mark.parametrize("name", [name for name in kernels.available() if name != "numba"])
def test_other_backends_need_no_compiler(name):
    assert run_python("-P", "-W", "error", "-c", forced(name), NUMBA_DISABLE_JIT=1) == name


@with_numba
def test_auto_without_a_compiler_says_why_it_is_slow(pure):
    message = failure(f"import warnings; warnings.simplefilter('error')\n{AUTO}", **pure, NUMBA_DISABLE_JIT=1)
    assert "backend='auto' selects 'numpy', which is slow" in message
    assert "NUMBA_DISABLE_JIT=1 disables Numba's compiler" in message


@with_numba
@pytest.mark.parametrize("value", ["0", "no"])
def test_values_of_the_variable_that_leave_the_compiler_on(value):
    code = "from fastlstm import kernels; print('numba' in kernels.available())"
    assert run_python("-c", code, NUMBA_DISABLE_JIT=value) == "True"


@with_numba
def test_numba_whose_compiler_is_turned_off_in_the_program_is_an_error():
    code = "import numba; from fastlstm import kernels; numba.config.DISABLE_JIT = True; kernels.load('numba')"
    message = failure(code, NUMBA_DISABLE_JIT=0)
    assert "Numba's compiler is disabled (numba.config.DISABLE_JIT)" in message


def test_versions_of_what_is_not_installed():
    code = """
import importlib.metadata
version = importlib.metadata.version
def without_numba(name):
    if name in ("numba", "llvmlite"):
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)
importlib.metadata.version = without_numba
"""
    printed = run_python("-c", code + VERSIONS)
    assert "numba: not installed\nllvmlite: not installed\nscikit-learn: " in printed
