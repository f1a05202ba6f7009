"""Numba backend: register tiles, compiled on first use for the CPU at hand."""

from fastlstm.kernels.compiled import Backend
from fastlstm.kernels.numba.entries import entries

BACKEND = Backend(entries)
