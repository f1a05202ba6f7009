"""Versions of the package and of its dependencies."""

import importlib.metadata
import platform

import numpy as np

from fastlstm import kernels, threads
from fastlstm._version import __version__


def show_versions() -> None:
    """Print the backend, vector width, threads and versions, to be included in bug reports.

    Examples
    --------
    >>> import fastlstm
    >>> fastlstm.show_versions()  # doctest: +ELLIPSIS
    fastlstm: 0.2.0.dev0
    ...
    """
    name = kernels.resolve()
    facts = {"fastlstm": __version__, "backend": name, "backends": ", ".join(kernels.available())}
    if name != "numpy":
        backend = kernels.load(name)
        lanes = backend.entries(np.dtype("float32")).lanes()
        facts["vectors"] = f"{backend.isa()}, {32 * lanes} bits"
    facts["threads"] = threads.cpu_limit()
    facts["python"], facts["machine"] = platform.python_version(), f"{platform.system()} {platform.machine()}"
    for name in ("numpy", "numba", "llvmlite", "scikit-learn"):
        try:
            facts[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            facts[name] = "not installed"
    for name, value in facts.items():
        print(f"{name}: {value}")
