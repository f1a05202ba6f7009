"""Numba backend: register-tiled kernels, compiled on first use for the host CPU."""

from fastlstm.kernels.compiled import Backend
from fastlstm.kernels.numba.entries import BFLOAT16, entries
from fastlstm.kernels.numba.target import HAS_FMA, ISA

BACKEND = Backend("numba", entries, isa=lambda: ISA, fused=lambda: HAS_FMA, bfloat16=BFLOAT16)
