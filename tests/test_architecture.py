"""Dependencies point one way: adapters -> forecasting, language -> estimators, translation -> training -> kernels."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fastlstm

PACKAGE = Path(fastlstm.__file__).parent
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

#: What of ours the files of a path may import.
ALLOWED = {
    "adapters/": ("fastlstm",),
    "kernels/": ("fastlstm.kernels",),
    "user_warnings.py": (),
    "files.py": (),
    "containers.py": (),
    "sequences.py": ("fastlstm.containers", "fastlstm.kernels"),
    "storage/": ("fastlstm.storage", "fastlstm.sequences", "fastlstm.containers", "fastlstm.kernels"),
    "symbols/": ("fastlstm.symbols", "fastlstm.sequences", "fastlstm.containers", "fastlstm.kernels"),
    "packing.py": ("fastlstm.kernels", "fastlstm.phases"),
    "phases.py": (),
    "plotting.py": (),
    "pool.py": (),
    "threads.py": ("fastlstm.kernels",),
    "dropout.py": ("fastlstm.kernels",),
    "stacks.py": ("fastlstm.kernels", "fastlstm.phases"),
    "lookup.py": ("fastlstm.kernels",),
    "layers/": (
        "fastlstm.layers",
        "fastlstm.containers",
        "fastlstm.dropout",
        "fastlstm.kernels",
        "fastlstm.packing",
        "fastlstm.phases",
        "fastlstm.pool",
        "fastlstm.stacks",
        "fastlstm.threads",
    ),
    "training/": (
        "fastlstm.training",
        "fastlstm.user_warnings",
        "fastlstm.dropout",
        "fastlstm.phases",
        "fastlstm.pool",
        "fastlstm.threads",
        "fastlstm.lookup",
        "fastlstm.stacks",
        "fastlstm.sequences",
        "fastlstm.kernels",
    ),
    "distributed/": (
        "fastlstm.forecasting",
        "fastlstm.language",
        "fastlstm.translation",
        "fastlstm.symbols",
        "fastlstm.distributed",
        "fastlstm.estimators",
        "fastlstm.training",
        "fastlstm.sequences",
        "fastlstm.containers",
    ),
    "translation/": (
        "fastlstm.translation",
        "fastlstm.training",
        "fastlstm.dropout",
        "fastlstm.phases",
        "fastlstm.threads",
        "fastlstm.stacks",
        "fastlstm.sequences",
        "fastlstm.kernels",
    ),
    "estimators/": (
        "fastlstm.estimators",
        "fastlstm.files",
        "fastlstm.storage",
        "fastlstm.symbols",
        "fastlstm.training",
        "fastlstm.layers",
        "fastlstm.user_warnings",
        "fastlstm.stacks",
        "fastlstm.sequences",
        "fastlstm.containers",
        "fastlstm.kernels",
        "fastlstm._version",
    ),
    "inspection/": (
        "fastlstm.inspection",
        "fastlstm.plotting",
        "fastlstm.estimators",
        "fastlstm.symbols",
        "fastlstm.training",
        "fastlstm.layers",
        "fastlstm.user_warnings",
        "fastlstm.phases",
        "fastlstm.threads",
        "fastlstm.stacks",
        "fastlstm.sequences",
        "fastlstm.containers",
        "fastlstm.kernels",
    ),
    "export/": (
        "fastlstm.export",
        "fastlstm.files",
        "fastlstm.estimators",
        "fastlstm.forecasting",
        "fastlstm.language",
        "fastlstm.translation",
        "fastlstm.symbols",
        "fastlstm.training",
        "fastlstm.layers",
        "fastlstm.stacks",
        "fastlstm.containers",
        "fastlstm.kernels",
        "fastlstm._version",
    ),
    "language/": (
        "fastlstm.language",
        "fastlstm.user_warnings",
        "fastlstm.estimators",
        "fastlstm.translation",
        "fastlstm.symbols",
        "fastlstm.training",
        "fastlstm.stacks",
        "fastlstm.sequences",
        "fastlstm.layers",
        "fastlstm.containers",
        "fastlstm.kernels",
    ),
    "forecasting/": (
        "fastlstm.forecasting",
        "fastlstm.plotting",
        "fastlstm.estimators",
        "fastlstm.training",
        "fastlstm.layers",
        "fastlstm.user_warnings",
        "fastlstm.stacks",
        "fastlstm.sequences",
        "fastlstm.containers",
        "fastlstm.kernels",
    ),
}
#: Where scikit-learn may be imported.
WITH_SKLEARN = ("estimators/", "export/", "inspection/", "forecasting/", "language/", "adapters/")


def imports(path):
    """Full names of all that a file imports, wherever in it."""
    for node in ast.walk(ast.parse((PACKAGE / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}, line {node.lineno}: imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def lies_in(name, packages):
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("path", [path for path in MODULES if path.startswith(tuple(ALLOWED))])
def test_dependencies_point_one_way(path):
    allowed = next(packages for prefix, packages in ALLOWED.items() if path.startswith(prefix))
    ours = [name for name in imports(path) if lies_in(name, ["fastlstm"])]
    assert [name for name in ours if not lies_in(name, allowed)] == []


@pytest.mark.parametrize("path", [path for path in MODULES if not path.startswith(WITH_SKLEARN)])
def test_only_estimators_import_scikit_learn(path):
    assert [name for name in imports(path) if lies_in(name, ["sklearn"])] == []


@pytest.mark.parametrize("path", [path for path in MODULES if not path.startswith("kernels/numba/")])
def test_only_its_backend_imports_numba(path):
    assert [name for name in imports(path) if lies_in(name, ["numba", "llvmlite"])] == []


@pytest.mark.parametrize("path", [path for path in MODULES if path != "adapters/sktime.py"])
def test_no_file_imports_a_library_of_tables(path):
    """What users pass is recognized by its class; sktime itself requires pandas."""
    assert [name for name in imports(path) if lies_in(name, ["pandas", "polars", "pyarrow", "narwhals"])] == []


LATER = ["torch", "keras", "onnx", "onnxruntime", "skl2onnx", "numba", "fastlstm.adapters"]


def test_what_is_not_used_is_not_imported():
    """Not by the package, nor by a module that exports to it."""
    ours = "fastlstm.layers, fastlstm.export.saving, fastlstm.export.onnx, fastlstm.export.c, fastlstm.export.keras"
    code = f"import sys, {ours}, fastlstm.export.pytorch; print([name for name in {LATER} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_exports_are_found_in_the_package_and_in_their_own():
    for name in fastlstm.export.__all__:
        assert getattr(fastlstm, name) is getattr(fastlstm.export, name)
        assert name in fastlstm.__all__
        assert name in dir(fastlstm)
