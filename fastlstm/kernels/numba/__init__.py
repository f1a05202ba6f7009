"""Numba backend: register tiles, compiled on first use for the CPU at hand."""

from fastlstm.kernels.numba import dropout as dropout
from fastlstm.kernels.numba import gru as gru
from fastlstm.kernels.numba import head as head
from fastlstm.kernels.numba import lstm as lstm
from fastlstm.kernels.numba import packing as packing
from fastlstm.kernels.numba import rnn as rnn
from fastlstm.kernels.numba import solvers as solvers
from fastlstm.kernels.numba.meeting import wait as wait

PARALLEL = True
