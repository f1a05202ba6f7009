"""The compiled backend, which is optional; everything else is in pyproject.toml.

The environment variable FASTLSTM_BUILD_EXT says what to do: "auto" (or nothing) builds it, and goes on without it where
that fails; "require" fails then, and so does "auto" under cibuildwheel; "off" does not try.
"""

import copy
import os
import shlex
import sys
import sysconfig
from glob import glob

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

MODES = ("auto", "require", "off")
# One wheel for CPython 3.11 and all later ones; free-threaded ones have no such API yet.
LIMITED = not sysconfig.get_config_var("Py_GIL_DISABLED")
# Nothing else may change arithmetic (see csrc/README.md), so no -march and no -ffast-math, which is also a linker's.
UNIX = ["-O3", "-g0", "-std=c11", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden"]
MSVC = ["/O2", "/std:c11", "/fp:precise"]
# Files of levels; each compiles to nothing where a module does not have that level.
LEVELS = ("amx.c", "avx512_bf16.c", "avx512_vnni.c", "avx512.c", "avx2_vnni.c", "avx2.c", "baseline.c")

mode = os.environ.get("FASTLSTM_BUILD_EXT") or "auto"
if mode not in MODES:
    raise SystemExit(f"FASTLSTM_BUILD_EXT={mode} is not one of {', '.join(MODES)}.")
if mode == "auto" and "CIBUILDWHEEL" in os.environ:
    mode = "require"


class BuildExt(build_ext):
    """Builds all extension modules, or none."""

    done = False
    failure = None  # why it went on without

    def run(self):
        self.files = [*self.get_outputs(), *self.get_output_mapping().values()]  # the latter where it builds in place
        if mode == "off":
            return self.do_without()
        try:
            if sys.implementation.name != "cpython":
                raise NotImplementedError("the extension modules are for CPython")
            self.translate()
            super().run()
            BuildExt.done = True
        except Exception as error:  # a compiler or Cython that is missing, is too old, or fails
            text = f"{type(error).__name__}: {error}"  # which may be the whole command: the compiler's own are above it
            BuildExt.failure = text if len(text) < 100 else f"{text[:30]} ... {text[-60:]}"
            if mode == "require":
                raise SystemExit(f"fastlstm: could not build the compiled backend ({BuildExt.failure}).") from error
            self.do_without()

    def translate(self):
        """To C, in a folder of this build."""
        from Cython.Build import cythonize

        for extension in self.extensions:
            extension.sources = cythonize(extension, build_dir=self.build_temp, force=True)[0].sources

    def do_without(self):
        """Let what follows see a package of Python alone, without what this build or a former one has left."""
        for file in filter(os.path.exists, self.files):
            os.remove(file)
        self.extensions = self.distribution.ext_modules = []
        self.distribution.get_command_obj("bdist_wheel").root_is_pure = True  # it has looked at the modules already

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


def extension(name, **macros):
    macros |= {"Py_LIMITED_API": "0x030B0000"} if LIMITED else {}
    return Extension(
        f"fastlstm.kernels.cython.{name}",
        [f"csrc/{file}" for file in (f"{name}.pyx", *LEVELS)],
        include_dirs=["csrc"],
        define_macros=list(macros.items()),
        py_limited_api=LIMITED,
        depends=sorted(glob("csrc/*")),
    )


setup(
    ext_modules=[
        extension("f32", FL_BITS="32"),
        extension("f64", FL_BITS="64"),
        extension("bf16", FL_BITS="32", FL_BFLOAT16="1"),
        extension("int8", FL_BITS="32", FL_INT8="1"),
    ],
    cmdclass={"build_ext": BuildExt},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if LIMITED else {},
)
if BuildExt.done:
    print("fastlstm: with the compiled backend.")
if BuildExt.failure:
    print(
        f"fastlstm: without the compiled backend, which could not be built ({BuildExt.failure}); the others work. To"
        " get it, install a C compiler, and install again with FASTLSTM_BUILD_EXT=require, which shows what fails."
    )
