"""Compilation of kernels, and the on-disk cache of their machine code.

# Design: Numba's ``cache=True`` only checks the file that defines a function: after a change of ``tiles.py``, every
# kernel that uses tiles would load stale machine code. Here the name of the cache folder is a hash of the sources of
# all kernels and of the versions of the tools, each file contains a checksum, and files are written to a temporary
# name and renamed, so that a stale, damaged or partly written file is never used.
"""

import contextlib
import hashlib
import os
import pickle
import platform
import sys
import tempfile
import warnings
from functools import cache
from pathlib import Path

import llvmlite
import numba
import numpy as np
from numba import njit
from numba.core.bytecode import FunctionIdentity
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.compiler_lock import global_compiler_lock
from numba.core.serialize import dumps

from fastlstm.kernels.numba.permissions import exposure, is_ours, make_private

if numba.config.DISABLE_JIT:  # set other than through the environment variable, which `kernels.resolve` checks
    raise ImportError(
        "Numba's compiler is disabled (numba.config.DISABLE_JIT), but backend='numba' requires it: enable it before "
        "fastlstm loads this backend, or use another backend."
    )

# Numba numbers functions from 1 in every process, and this number alone distinguishes the symbols of functions with the
# same name and signature. Files cached by two processes may then define the same symbol for different functions; the
# linker uses the first definition for both, which leads to wrong results or a crash. Random 64-bit numbers prevent such
# collisions. (They apply to all functions compiled in this process, and have no other meaning.)
FunctionIdentity._unique_ids = iter(lambda: int.from_bytes(os.urandom(8)), None)

# A child process forked while another thread compiles would inherit a locked compiler in an inconsistent state, so a
# fork waits until the compilation has finished.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )

OPTIONS = {"nogil": True, "error_model": "numpy"}

#: Decorator for functions called from kernels; they are compiled into their callers.
kernel = njit(**OPTIONS)


#: The same, inlined by Numba at the call site. For functions with a single caller, this saves a separate compilation.
inlined = njit(inline="always", **OPTIONS)


def entry(function):
    """Decorator for kernels called from Python; their machine code is cached on disk."""
    dispatcher = njit(**OPTIONS)(function)
    dispatcher._cache = MachineCodeCache(function)
    return dispatcher


def _options():
    """Numba's settings that affect the generated code."""
    return f"{numba.config.OPT} {numba.config.BOUNDSCHECK} {numba.config.DEBUGINFO_DEFAULT}"


def _source_key():
    """Hash of everything that determines the machine code except the signature and the CPU."""
    digest, kernels = hashlib.sha256(), Path(__file__).parents[1]  # includes the files whose constants are compiled in
    for path in sorted(kernels.rglob("*.py")):
        digest.update(path.relative_to(kernels).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    for version in (
        numba.__version__,
        llvmlite.__version__,
        np.__version__,
        sys.version,
        platform.machine(),
        _options(),
    ):
        digest.update(version.encode() + b"\0")
    return digest.hexdigest()[:16]


SOURCE_KEY = _source_key()  # computed on import, because sources may change before a kernel is compiled


def _folder_in(place, of_sources):
    """Create the cache folder in a place; return it, and the reason why it is not secure, or None if it is.

    Anyone who can modify the folders above the sources can modify the sources as well, so next to the sources, only the
    cache folder itself is checked. Raises OSError, RuntimeError or ValueError if the folder cannot be created.
    """
    place = place.resolve()
    if of_sources:
        place.mkdir(exist_ok=True)
    else:
        make_private(place)
    folder = place / f"fastlstm-{SOURCE_KEY}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    reason = exposure(folder, parents=not of_sources)
    if reason is None:
        tempfile.TemporaryFile(dir=folder).close()
    return folder, reason


@cache
def cache_folder():
    """Cache folder: in NUMBA_CACHE_DIR, next to the sources, or in the user's cache; None if none of them is usable.

    Folders that other users can write to are rejected, because the cached machine code is executed.
    """
    chosen = numba.config.CACHE_DIR
    beside = Path(__file__).parent / "__pycache__"
    places = [Path(chosen), beside] if chosen else [beside]
    with contextlib.suppress(RuntimeError):  # there is no home directory
        places.append(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"))
    refused = {}
    for place in places:
        try:
            folder, reason = _folder_in(place, of_sources=place == beside)
        except (OSError, RuntimeError, ValueError):  # for example, circular links or invalid names
            continue
        if reason is None:
            break
        refused[place] = reason
    else:
        folder = None
    if folder is None:
        why = "".join(f" Rejected: {place}, because {reason}." for place, reason in refused.items())
        warnings.warn(
            f"fastlstm cannot cache its compiled kernels: there is no suitable folder.{why} Every process will "
            "recompile them, which takes seconds. Set NUMBA_CACHE_DIR to a folder that only you can write to.",
            RuntimeWarning,
            stacklevel=2,
        )
    elif chosen and Path(chosen) in refused:
        warnings.warn(
            f"fastlstm does not cache its compiled kernels in NUMBA_CACHE_DIR={chosen}, because "
            f"{refused[Path(chosen)]}, and cached kernels are executed as code. It uses {folder} instead. Set "
            "NUMBA_CACHE_DIR to a folder that only you can write to.",
            RuntimeWarning,
            stacklevel=2,
        )
    return folder


class MachineCodeCache(_Cache):
    """On-disk cache of one function, for its Numba dispatcher."""

    def __init__(self, function):
        self._name = f"{Path(function.__code__.co_filename).stem}.{function.__qualname__}"
        self._enabled = True

    @property
    def cache_path(self):
        return str(cache_folder())

    def enable(self):
        self._enabled = True

    def disable(self):
        self._enabled = False

    def flush(self):
        """Nothing is buffered."""

    def _path(self, signature, codegen):
        folder = cache_folder() if self._enabled else None
        if folder is None:
            return None
        key = hashlib.sha256(repr((signature, codegen.magic_tuple())).encode()).hexdigest()[:16]
        return folder / f"{self._name}-{key}.nbc"

    def load_overload(self, sig, target_context):
        target_context.refresh()
        path = self._path(sig, target_context.codegen())
        if path is None:
            return None
        try:
            with open(path, "rb") as file:
                data = file.read() if is_ours(os.fstat(file.fileno())) else b""
        except OSError:
            return None
        checksum, payload = data[:32], data[32:]
        if hashlib.sha256(payload).digest() != checksum:
            return None
        return CompileResult._rebuild(target_context, *pickle.loads(payload))

    def save_overload(self, sig, data):
        path = self._path(sig, data.codegen)
        if path is None:
            return
        payload = dumps(data._reduce())
        # If the disk is full or the folder has become read-only, the next process compiles the function again.
        with contextlib.suppress(OSError):
            handle, temporary = tempfile.mkstemp(dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(payload).digest() + payload)
                os.replace(temporary, path)
            except OSError:
                os.unlink(temporary)
