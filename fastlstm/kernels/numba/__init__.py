"""Numba backend: register tiles, compiled on first use for the CPU at hand."""

from fastlstm.kernels.numba import lstm as lstm
