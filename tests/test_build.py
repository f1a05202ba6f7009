"""What becomes of a checkout where it is built: with a compiler, and without."""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
from helpers import run_python

from fastlstm import kernels

CHECKOUT = Path(__file__).parents[1]
MODULES = Path("fastlstm/kernels/cython")
COMPILERS = {"cc", "gcc", "clang", *shlex.split(sysconfig.get_config_var("CC") or "")[:1]}
LINE = "fastlstm: without the compiled backend"

of_checkout = pytest.mark.skipif(not (CHECKOUT / "setup.py").exists(), reason="these tests are not in a checkout")
unix = pytest.mark.skipif(os.name != "posix", reason="compilers are not looked for on PATH here")
compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler, cc")


@pytest.fixture
def tree(tmp_path):
    """A copy of all that is built."""
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, tmp_path)
    for name in ("fastlstm", "csrc"):
        shutil.copytree(CHECKOUT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"))
    return tmp_path


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """Nothing asks for a way of building."""
    for name in ("FASTLSTM_BUILD_EXT", "CIBUILDWHEEL", "CC", "CFLAGS"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.fixture
def broken(tmp_path, environment):
    """All compilers fail."""
    folder = tmp_path / "broken"
    folder.mkdir()
    for name in COMPILERS:
        (folder / Path(name).name).write_text("#!/bin/sh\necho 'a compiler without a licence' >&2\nexit 3\n")
        (folder / Path(name).name).chmod(0o755)
    environment.setenv("PATH", str(folder), prepend=os.pathsep)
    return environment


def build(tree, hook):
    """The output of a build that a frontend such as pip asks for, its exit status, and the file it leaves, if any."""
    code = f"from setuptools import build_meta; build_meta.build_{hook}('out')"
    done = subprocess.run([sys.executable, "-c", code], cwd=tree, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr, done.returncode, next((tree / "out").glob("*"), None)


def compiled(wheel):
    return {Path(name).name for name in zipfile.ZipFile(wheel).namelist() if name.endswith((".so", ".pyd"))}


PREDICTION = """
import numpy as np, fastlstm
from fastlstm import kernels
X = np.random.default_rng(0).normal(size=(30, 5, 2))
model = fastlstm.LSTMRegressor(max_iter=2, random_state=0).fit(X, X[:, :, 0].sum(axis=1))
assert np.isfinite(model.predict(X)).all()
print(kernels.resolve(), fastlstm.__file__)
"""


@pytest.mark.system
@of_checkout
@unix
def test_without_a_compiler_the_pure_package_is_built_and_says_so(tree, broken):
    output, status, wheel = build(tree, "wheel")
    assert status == 0
    assert "a compiler without a licence" in output
    lines = [line for line in output.splitlines() if line.startswith("fastlstm:")]
    assert len(lines) == 1
    assert lines[0].startswith(LINE)
    assert "CompileError" in lines[0]
    assert "FASTLSTM_BUILD_EXT=require" in lines[0]
    assert wheel.name.endswith("-py3-none-any.whl")
    assert compiled(wheel) == set()
    zipfile.ZipFile(wheel).extractall(tree / "site")
    code = pytest.importorskip("fastlstm.kernels.numba.jit").cache_folder().parent  # that of the same sources
    environment = {"PYTHONPATH": tree / "site", "FASTLSTM_BACKEND": "", "NUMBA_CACHE_DIR": code}
    backend, file = run_python("-P", "-c", PREDICTION, **environment).split(maxsplit=1)
    assert backend == "numba"
    assert Path(file).is_relative_to(tree / "site")


@of_checkout
def test_without_cython_the_pure_package_is_built_and_says_so(tree, environment):
    (tree / "hidden").mkdir()
    (tree / "hidden" / "Cython.py").write_text("raise ImportError('Cython is not here')")
    environment.setenv("PYTHONPATH", str(tree / "hidden"))
    output, status, wheel = build(tree, "wheel")
    assert status == 0
    assert f"{LINE}, which could not be built (ImportError: Cython is not here)" in output
    assert wheel.name.endswith("-py3-none-any.whl")


@pytest.mark.system
@of_checkout
@unix
@pytest.mark.parametrize("variable", ["FASTLSTM_BUILD_EXT=require", "CIBUILDWHEEL=1"])
def test_what_is_required_fails_loudly(tree, broken, variable):
    broken.setenv(*variable.split("="))
    output, status, wheel = build(tree, "wheel")
    assert status != 0
    assert "fastlstm: could not build the compiled backend (CompileError: " in output
    assert wheel is None


@of_checkout
def test_off_builds_the_pure_package(tree, environment):
    environment.setenv("FASTLSTM_BUILD_EXT", "off")
    old = tree / MODULES / "f32.abi3.so"  # of an editable install, which goes on
    old.touch()
    output, status, wheel = build(tree, "wheel")
    assert status == 0
    assert LINE not in output
    assert wheel.name.endswith("-py3-none-any.whl")
    assert compiled(wheel) == set()
    assert old.exists()


@of_checkout
def test_the_wheel_says_that_the_package_is_typed(tree, environment):
    environment.setenv("FASTLSTM_BUILD_EXT", "off")
    _, status, wheel = build(tree, "wheel")
    assert status == 0
    assert "fastlstm/py.typed" in zipfile.ZipFile(wheel).namelist()


@of_checkout
def test_a_mode_that_there_is_not(tree, environment):
    environment.setenv("FASTLSTM_BUILD_EXT", "yes")
    output, status, _ = build(tree, "wheel")
    assert status != 0
    assert "FASTLSTM_BUILD_EXT=yes is not one of auto, require, off." in output


@pytest.mark.system
@of_checkout
@unix
@pytest.mark.parametrize("mode", ["auto", "off"])
def test_modules_of_a_former_build_do_not_outlive_a_pure_editable_one(tree, broken, mode):
    broken.setenv("FASTLSTM_BUILD_EXT", mode)
    old = tree / MODULES / "f32.abi3.so"
    old.touch()
    assert build(tree, "editable")[1] == 0
    assert not old.exists()


@of_checkout
def test_the_sdist_has_all_that_is_built(tree, environment):
    environment.setenv("FASTLSTM_BUILD_EXT", "off")
    _, status, sdist = build(tree, "sdist")
    assert status == 0
    with tarfile.open(sdist) as archive:
        names = {Path(*Path(name).parts[1:]) for name in archive.getnames()}
    assert names > {path.relative_to(tree) for path in (tree / "csrc").iterdir()}


@of_checkout
@compiler
def test_what_can_be_built_is_there():
    if os.environ.get("FASTLSTM_BUILD_EXT") == "off":
        pytest.skip("it was not asked for")
    assert kernels.resolve("cython") == "cython"  # else the error says why


def pip(*command, cwd):
    subprocess.run([sys.executable, "-m", "pip", "--no-input", *map(str, command)], cwd=cwd, check=True)


@of_checkout
@unix
@pytest.mark.slow
def test_pip_installs_the_pure_package_in_isolation(tree, broken):
    pip("install", "--no-deps", "--target", "site", tree, cwd=tree)
    backend, file = run_python("-P", "-c", PREDICTION, PYTHONPATH=tree / "site", FASTLSTM_BACKEND="").split(maxsplit=1)
    assert backend == "numba"
    assert Path(file).is_relative_to(tree / "site")


@of_checkout
@compiler
@pytest.mark.slow
def test_pip_installs_the_compiled_backend_from_the_sdist_in_isolation(tree, environment):
    _, _, sdist = build(tree, "sdist")
    environment.setenv("FASTLSTM_BUILD_EXT", "require")
    pip("wheel", "--no-deps", "--wheel-dir", "wheels", sdist, cwd=tree)
    (wheel,) = (tree / "wheels").iterdir()
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        assert "-cp311-abi3-" in wheel.name
    assert {name.split(".")[0] for name in compiled(wheel)} == {"f32", "f64", "bf16", "int8"}
    pip("install", "--no-deps", "--target", "site", wheel, cwd=tree)
    backend, file = run_python("-P", "-c", PREDICTION, PYTHONPATH=tree / "site", FASTLSTM_BACKEND="").split(maxsplit=1)
    assert backend == "cython"
    assert Path(file).is_relative_to(tree / "site")


SUBNORMALS = """
import numpy as np
from fastlstm import kernels
from fastlstm.layers import LSTM

x = np.ones((5, 4, 3), "float32")
for backend in kernels.available():
    for dtype in ("float32", "float64"):
        output, _, tape = (layer := LSTM(3, 8, dtype=dtype, backend=backend, random_state=0)).record(x.astype(dtype))
        layer.backward(tape, output)
print(np.float32(1e-40) / 2 > 0, np.float64(1e-310) / 2 > 0)
"""


@pytest.mark.system
def test_subnormals_survive_all_backends():
    """A library linked with -ffast-math would flush them to zero in the whole process."""
    assert run_python("-c", SUBNORMALS) == "True True"
