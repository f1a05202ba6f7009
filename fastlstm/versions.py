"""Versions of the package and of its dependencies."""

import importlib.metadata
import platform

import numpy as np

from fastlstm import kernels, threads
from fastlstm._version import __version__


def show_versions() -> None:
    """Print the backend, vector width, threads and versions, to be included in bug reports.

    For ``precision="bfloat16"`` and ``precision="int8"``, it says whether an instruction of the CPU for products of
    such numbers is used, or whether they are emulated. The bits are the same, except those of the matrix unit.

    Examples
    --------
    >>> import fastlstm
    >>> fastlstm.show_versions()  # doctest: +ELLIPSIS
    fastlstm: 0.2.0.dev0
    ...
    """
    try:
        name = kernels.resolve()
        about_kernels = _facts_of(kernels.load(name))
    except ValueError as error:  # a variable of the environment is wrong, which the report is to show
        name, about_kernels = str(error), {}
    facts = {"fastlstm": __version__, "backend": name, "backends": ", ".join(kernels.available()), **about_kernels}
    facts["threads"] = threads.cpu_limit()
    facts["python"], facts["machine"] = platform.python_version(), f"{platform.system()} {platform.machine()}"
    for name in ("numpy", "numba", "llvmlite", "scikit-learn"):
        try:
            facts[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            facts[name] = "not installed"
    for name, value in facts.items():
        print(f"{name}: {value}")


def _facts_of(backend):
    """Instructions that the kernels of a backend use."""
    facts, level = {}, None
    if backend.PARALLEL:
        lanes, level = backend.entries(np.dtype("float32")).lanes(), backend.isa()
        facts["vectors"] = f"{level}, {32 * lanes} bits"
    facts["bfloat16"] = {"avx512_bf16": "one instruction", "amx": "matrix unit"}.get(level, "emulated")
    facts["int8"] = "not available"
    if hasattr(backend, "int8"):
        facts["int8"] = "one instruction" if level and backend.int8.isa().endswith("_vnni") else "emulated"
    return facts
