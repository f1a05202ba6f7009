"""The compiled backend, which is optional; everything else is in pyproject.toml.

The environment variable FASTLSTM_BUILD_EXT says what to do: "auto" (or nothing) builds it, and installs the package
without it where that fails; "require" fails then, and so does "auto" under cibuildwheel; "off" does not try.
"""

import copy
import os
import shlex
import sys
import sysconfig
import textwrap
from glob import glob

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

MODES = ("auto", "require", "off")
PACKAGE = "fastlstm.kernels.cython"
# One wheel for CPython 3.11 and all later ones; free-threaded ones have no such API yet.
LIMITED = not sysconfig.get_config_var("Py_GIL_DISABLED")
# Nothing else may change arithmetic (see csrc/README.md), so no -march and no -ffast-math, which is also a linker's.
UNIX = ["-O3", "-g0", "-std=c11", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden"]
MSVC = ["/O2", "/std:c11", "/fp:precise"]


class UnbuiltError(Exception):
    """Why there are no extension modules."""


class BuildExt(build_ext):
    """Builds all extension modules, or raises UnbuiltError."""

    def run(self):
        try:
            if sys.implementation.name != "cpython":
                raise NotImplementedError("the extension modules are for CPython")
            self.translate()
            super().run()
        except Exception as error:  # a compiler or Cython that is missing, is too old, or fails
            text = f"{type(error).__name__}: {error}"  # which may be the whole command: the compiler's own are above it
            raise UnbuiltError(textwrap.shorten(text, 100)) from error

    def translate(self):
        """To C, in a folder of this build."""
        from Cython.Build import cythonize

        for extension in self.extensions:
            extension.sources = cythonize(extension, build_dir=self.build_temp, force=True)[0].sources

    def build_extensions(self):
        msvc = self.compiler.compiler_type == "msvc"
        for extension in self.extensions:
            # CFLAGS once more: who sets them wants them to count
            extension.extra_compile_args = MSVC if msvc else UNIX + shlex.split(os.environ.get("CFLAGS", ""))
            extension.libraries = [] if msvc else ["m"]
        self.parallel = self.parallel or len(self.extensions)
        super().build_extensions()

    def build_extension(self, extension):
        own = copy.copy(self)  # the modules are built side by side, from the same C files: each has its own objects
        own.build_temp = os.path.join(self.build_temp, extension.name)
        super(BuildExt, own).build_extension(extension)


def extension(bits):
    sources = [f"csrc/{name}" for name in (f"f{bits}.pyx", "avx512.c", "avx2.c", "baseline.c")]
    macros = [("FL_BITS", str(bits)), *([("Py_LIMITED_API", "0x030B0000")] if LIMITED else [])]
    files = sorted(glob("csrc/*"))
    return Extension(
        f"{PACKAGE}.f{bits}", sources, ["csrc"], define_macros=macros, depends=files, py_limited_api=LIMITED
    )


def setup_compiled():
    options = {"bdist_wheel": {"py_limited_api": "cp311"}} if LIMITED else {}
    setup(ext_modules=[extension(32), extension(64)], cmdclass={"build_ext": BuildExt}, options=options)


def setup_pure():
    if "editable_wheel" in sys.argv:  # modules of a former build would still be imported
        for ending in ("so", "pyd"):
            for old in glob(f"{PACKAGE.replace('.', '/')}/*.{ending}"):
                os.remove(old)
    setup()


mode = os.environ.get("FASTLSTM_BUILD_EXT") or "auto"
if mode not in MODES:
    raise SystemExit(f"FASTLSTM_BUILD_EXT={mode} is not one of {', '.join(MODES)}.")
if mode == "auto" and "CIBUILDWHEEL" in os.environ:
    mode = "require"

try:
    setup_pure() if mode == "off" else setup_compiled()
except UnbuiltError as error:
    if mode == "require":
        raise SystemExit(f"fastlstm: the compiled backend is required and could not be built ({error}).") from error
    setup_pure()
    print(
        f"fastlstm: installed without the compiled backend, which could not be built ({error}); the others work. To get"
        " it, install a C compiler, and install again with FASTLSTM_BUILD_EXT=require, which shows what fails."
    )
