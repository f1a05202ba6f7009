"""The vector unit that Numba generates code for."""

import platform

import llvmlite.binding as llvm
from numba import config


def _target_features():
    """CPU features that Numba generates code for: those of NUMBA_CPU_FEATURES, else the host's."""
    features = llvm.get_host_cpu_features().flatten() if config.CPU_FEATURES is None else config.CPU_FEATURES
    return set(features.split(","))


def _describe_target():
    features = _target_features()
    if "+avx512f" in features:
        return "avx512", 64, 32, True
    if "+avx2" in features and "+fma" in features:
        return "avx2", 32, 16, True
    if platform.machine().lower() in ("arm64", "aarch64"):
        return "neon", 16, 32, True
    return "sse2", 16, 16, "+fma" in features


#: Name of the vector instruction set, bytes and number of its registers, whether it has fused multiply-add.
ISA, VECTOR_BYTES, REGISTERS, HAS_FMA = _describe_target()
#: Largest number of rows of a tile of four vectors: accumulators, weights and a broadcast fit the registers.
ROWS = 6 if REGISTERS == 32 else 3


def lanes(dtype):
    """Numbers of `dtype` in one vector register."""
    return VECTOR_BYTES // dtype.itemsize
