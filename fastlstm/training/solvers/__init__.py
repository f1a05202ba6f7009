"""Solvers, one file each, found by its name, as PyTorch's optimisers of the same names work.

A file has, in NumPy,

``MOMENTS``, ``SQUARES``
    The number of arrays, zeros at the start, that are kept from update to update; and which of them is an average of
    squares, None if none is.
``numbers(rate, scale, t, options)``
    The numbers c that the update number t (1 is the first) needs, of a learning rate, a factor for the gradient and an
    `Options`.
``update(first, last, p, g, moments, c)``
    The update of the parameters from `first` to `last`: p [P], g [P] and moments [MOMENTS, P] are flat, and c has their
    type; p and moments change in place.
``DECAYS``, if it is True
    The decay acts on the parameters, apart from the update.
``KERNEL``, if it has another name than the file
    Of a compiled version of `update`, which then takes its place.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from fastlstm.training.files import files_of

FILES = files_of(__name__, __path__)


class Options(NamedTuple):
    """What a solver may be told."""

    momentum: float = 0.9
    nesterov: bool = True
    decay: object = 0.0  # number or [P]: decoupled weight decay, of solvers that have it


def _update(file, name, kernels, first, last, p, g, moments, rate, scale, t, options):
    """An update by the backend's `kernels` where these have it."""
    if getattr(file, "DECAYS", False):
        p[first:last] -= rate * np.broadcast_to(options.decay, p.shape)[first:last] * p[first:last]
    update = getattr(kernels, getattr(file, "KERNEL", name), file.update)
    update(first, last, p, g, moments, np.array(file.numbers(rate, scale, t, options), p.dtype))


#: Updates, functions of kernels, range, p, g, moments, rate, scale, t and options; and numbers of moments.
SOLVERS = {name: (partial(_update, file, name), file.MOMENTS) for name, file in FILES.items()}
#: Which of a solver's moments is an average of squares.
SQUARES = {name: file.SQUARES for name, file in FILES.items()}
