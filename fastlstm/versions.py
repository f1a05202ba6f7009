"""Versions of the package and of its dependencies."""

import importlib.metadata
import platform

import numpy as np

from fastlstm import kernels, threads
from fastlstm._version import __version__


def show_versions() -> None:
    """Print the backend, vector width, threads and versions, to be included in bug reports.

    For ``precision="bfloat16"``, it says whether the CPU multiplies pairs of such numbers in one instruction, or
    whether that is emulated, which is slower than float32; likewise for ``precision="int8"``.

    Examples
    --------
    >>> import fastlstm
    >>> fastlstm.show_versions()  # doctest: +ELLIPSIS
    fastlstm: 0.2.0.dev0
    ...
    """
    name = kernels.resolve()
    facts = {"fastlstm": __version__, "backend": name, "backends": ", ".join(kernels.available())}
    backend, level = kernels.load(name), None
    if name != "numpy":
        lanes, level = backend.entries(np.dtype("float32")).lanes(), backend.isa()
        facts["vectors"] = f"{level}, {32 * lanes} bits"
    if hasattr(backend, "bfloat16"):
        facts["bfloat16"] = {"avx512_bf16": "one instruction", "amx": "matrix unit"}.get(level, "emulated")
    if hasattr(backend, "int8"):
        facts["int8"] = "one instruction" if level and backend.int8.isa().endswith("_vnni") else "emulated"
    facts["threads"] = threads.cpu_limit()
    facts["python"], facts["machine"] = platform.python_version(), f"{platform.system()} {platform.machine()}"
    for name in ("numpy", "numba", "llvmlite", "scikit-learn"):
        try:
            facts[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            facts[name] = "not installed"
    for name, value in facts.items():
        print(f"{name}: {value}")
