"""The package's version, and those of what it runs on."""

import importlib.metadata
import platform

from fastlstm import kernels, threads
from fastlstm._version import __version__


def show_versions():
    """Print backend, vector width, threads and versions, as a report of a problem should quote them.

    Examples
    --------
    >>> import fastlstm
    >>> fastlstm.show_versions()  # doctest: +ELLIPSIS
    fastlstm: 0.1.0
    ...
    """
    facts = {"fastlstm": __version__, "backend": kernels.resolve(), "backends": ", ".join(kernels.available())}
    if "numba" in kernels.available():
        from fastlstm.kernels.numba import target  # late: importing Numba takes as long as all the rest

        facts["vectors"] = f"{target.ISA}, {8 * target.VECTOR_BYTES} bits"
    facts["threads"] = threads.cpu_limit()
    facts["python"], facts["machine"] = platform.python_version(), f"{platform.system()} {platform.machine()}"
    for name in ("numpy", "numba", "llvmlite", "scikit-learn"):
        facts[name] = importlib.metadata.version(name)
    for name, value in facts.items():
        print(f"{name}: {value}")
