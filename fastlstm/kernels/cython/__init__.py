"""Cython backend: the kernels of ``csrc``, compiled at build time for several CPU levels; the best one is selected."""

import os

import fastlstm.kernels.cython.bf16 as bf16
import fastlstm.kernels.cython.f32 as f32
import fastlstm.kernels.cython.f64 as f64
import fastlstm.kernels.cython.int8 as int8
from fastlstm.kernels import OF_LEVEL, LevelError
from fastlstm.kernels.compiled import Backend


def take(level):
    """Select the kernels of a CPU level in all modules; LevelError if this CPU or operating system lacks support."""
    if level not in f32.levels():
        raise LevelError(
            f"{OF_LEVEL}={level} is not a level that this CPU and its operating system support; expected one of "
            f"{list(f32.levels())}, or no value for the best of them."
        )
    f32.use(level)
    f64.use(level)
    bf16.use(level)
    vectors = "avx512" if level == "amx" else level.partition("_")[0]
    int8.use(next(name for name in int8.levels() if name.partition("_")[0] == vectors))  # with its own instruction


def entries(dtype):
    return f32 if dtype.itemsize == 4 else f64


take(os.environ.get(OF_LEVEL) or f32.levels()[0])
BACKEND = Backend("cython", entries, isa=f32.level, fused=lambda: f32.level() != "sse2", bfloat16=bf16, int8=int8)
