"""How kernels are compiled, and where machine code is kept between processes.

# Design: not Numba's ``cache=True``, which looks only at the file that holds a function: an edited tile
# file would leave stale machine code in every kernel that uses tiles. Here the name of the folder is a hash of
# all kernels' sources and of the versions that made the code, each file carries a checksum, and files
# are written aside and renamed, so a stale, damaged or half-written file is never used.
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

# Numba counts functions from 1 in every process, and tells those of one name and signature apart by that number alone,
# in the symbols of their machine code, too. Files from two processes may then hold two functions under one symbol; the
# linker takes the first for both: wrong results, or a crash. No two random numbers are alike. (This
# holds for all functions of the process; the numbers mean nothing else.)
FunctionIdentity._unique_ids = iter(lambda: int.from_bytes(os.urandom(8)), None)

# A child that is forked while another thread compiles would find Numba's lock held and its compiler half-way through:
# so a fork waits for the end of that compilation.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )

OPTIONS = {"nogil": True, "error_model": "numpy"}

#: A function that kernels call; its code becomes a part of theirs.
kernel = njit(**OPTIONS)


#: A kernel that is compiled where it is called: for those that are called once, where a compilation of their own
#: would only be a second one.
inlined = njit(inline="always", **OPTIONS)


def entry(function):
    """A kernel that Python calls; its machine code is kept on disk."""
    dispatcher = njit(**OPTIONS)(function)
    dispatcher._cache = MachineCodeCache(function)
    return dispatcher


def _options():
    """Numba's settings that change the code it makes."""
    return f"{numba.config.OPT} {numba.config.BOUNDSCHECK} {numba.config.DEBUGINFO_DEFAULT}"


def _source_key():
    """Hash of everything that determines the machine code besides signature and CPU."""
    digest, kernels = hashlib.sha256(), Path(__file__).parents[1]  # constants of other files are compiled in as well
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


SOURCE_KEY = _source_key()  # of what is imported now, whatever is edited before it is compiled


def _folder_in(place, of_sources):
    """The folder for machine code in a place, and why it is not to be used: what others may do there, or None.

    Whoever may change what is around the sources may change these, too: there, only the folder itself is looked at.
    Raises OSError, RuntimeError or ValueError if there can be no folder.
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
    """Where machine code is kept: NUMBA_CACHE_DIR, beside the sources, or the user's cache; None if all refuse.

    Only folders are taken in which nobody else can write: what is read from there is run.
    """
    chosen = numba.config.CACHE_DIR
    beside = Path(__file__).parent / "__pycache__"
    places = [Path(chosen), beside] if chosen else [beside]
    with contextlib.suppress(RuntimeError):  # no home
        places.append(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"))
    refused = {}
    for place in places:
        try:
            folder, reason = _folder_in(place, of_sources=place == beside)
        except (OSError, RuntimeError, ValueError):  # links in a circle, names that cannot be
            continue
        if reason is None:
            break
        refused[place] = reason
    else:
        folder = None
    if folder is None:
        why = "".join(f" Not used: {place}, as {reason}." for place, reason in refused.items())
        warnings.warn(
            f"fastlstm cannot keep its compiled kernels: no folder to write in.{why} Every process will compile them "
            "anew, which takes seconds. Set NUMBA_CACHE_DIR to a writable folder, in which nobody else can write.",
            RuntimeWarning,
            stacklevel=2,
        )
    elif chosen and Path(chosen) in refused:
        warnings.warn(
            f"fastlstm does not keep its compiled kernels in NUMBA_CACHE_DIR={chosen}, as {refused[Path(chosen)]}: "
            f"what is read from there is run as code. It uses {folder} instead. Set NUMBA_CACHE_DIR to a folder in "
            "which nobody else can write.",
            RuntimeWarning,
            stacklevel=2,
        )
    return folder


class MachineCodeCache(_Cache):
    """The cache that a Numba dispatcher asks before it compiles one function."""

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
        # A full disk or a folder gone read-only costs the next process a compilation, nothing else.
        with contextlib.suppress(OSError):
            handle, temporary = tempfile.mkstemp(dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(payload).digest() + payload)
                os.replace(temporary, path)
            except OSError:
                os.unlink(temporary)
