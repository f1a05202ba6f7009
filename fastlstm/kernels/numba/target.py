"""The vector instruction set that Numba generates code for."""

import platform

import llvmlite.binding as llvm
from numba import config

MACHINE = platform.machine().lower()
X86, ARM64 = MACHINE in ("x86_64", "amd64"), MACHINE in ("arm64", "aarch64")


def _target_features():
    """CPU features that Numba generates code for: NUMBA_CPU_FEATURES if set, else those of the host."""
    features = llvm.get_host_cpu_features().flatten() if config.CPU_FEATURES is None else config.CPU_FEATURES
    return set(features.split(","))


def _describe_target():
    features, cpu = _target_features(), config.CPU_NAME or llvm.get_host_cpu_name()
    # As in csrc/cpu.h: Intel's CPUs take longer for the instruction vdpbf16ps than for what it replaces.
    if "+avx512f" in features and "+avx512bf16" in features and cpu.startswith("znver"):
        return "avx512_bf16", 64, 32, True
    if "+avx512f" in features:
        return "avx512", 64, 32, True
    if "+avx2" in features and "+fma" in features:
        return "avx2", 32, 16, True
    if ARM64:
        return "neon", 16, 32, True
    return "sse2", 16, 16, "+fma" in features


#: Name of the vector instruction set, size of a register in bytes, number of registers, support for fused multiply-add.
ISA, VECTOR_BYTES, REGISTERS, HAS_FMA = _describe_target()
#: Maximum number of rows of a tile four vectors wide, such that accumulators, weights and a broadcast fit in registers.
ROWS = 6 if REGISTERS == 32 else 3
#: Whether products of pairs of bfloat16 numbers are an instruction, vdpbf16ps.
HAS_PAIR_PRODUCTS = ISA == "avx512_bf16"


def lanes(dtype):
    """Number of elements of type `dtype` per vector register."""
    return VECTOR_BYTES // dtype.itemsize
