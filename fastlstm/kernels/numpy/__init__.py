"""NumPy backend: the equations, slow and plain; the specification that the other backends are tested against."""

from fastlstm.kernels.numpy import dropout as dropout
from fastlstm.kernels.numpy import gru as gru
from fastlstm.kernels.numpy import head as head
from fastlstm.kernels.numpy import lstm as lstm
from fastlstm.kernels.numpy import packing as packing
from fastlstm.kernels.numpy import rnn as rnn
from fastlstm.kernels.numpy import solvers as solvers

PARALLEL = False


def wait(meeting, size):
    """Only one thread computes here."""
    return True
