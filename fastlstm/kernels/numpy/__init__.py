"""NumPy backend: the equations, slow and plain; the specification that the other backends are tested against."""

from fastlstm.kernels.numpy import lstm as lstm
