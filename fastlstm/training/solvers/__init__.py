"""Solvers, one module each, selected by the module's name; they equal PyTorch's optimisers of the same names.

A module defines, in NumPy:

``MOMENTS``, ``SQUARES``
    Number of arrays that carry over from update to update, initially zero; and the index of the one that averages
    squared gradients, or None.
``coefficients(rate, scale, t, options)``
    Coefficients c of update t, counted from 1, for a learning rate, a factor that scales the gradient, and `Options`.
``update(first, last, p, g, moments, c)``
    Update parameters `first` to `last` in place: p [P], g [P] and moments [MOMENTS, P] are flat, and c has their dtype.
``DECOUPLED_DECAY`` (optional)
    True if weight decay is applied to the parameters directly, not through the gradient.
``KERNEL`` (optional)
    Name of the compiled version of `update`, if it is not that of the module.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from fastlstm.training.discovery import modules_in

FILES = modules_in(__name__, __path__)


class Options(NamedTuple):
    """Options of a solver."""

    momentum: float = 0.9
    nesterov: bool = True
    decay: object = 0.0  # scalar or [P]; used by solvers with decoupled weight decay


def _update(file, name, kernels, first, last, p, g, moments, rate, scale, t, options):
    """Update by the compiled kernel of the backend, if there is one."""
    if getattr(file, "DECOUPLED_DECAY", False):
        p[first:last] -= rate * np.broadcast_to(options.decay, p.shape)[first:last] * p[first:last]
    update = getattr(kernels, getattr(file, "KERNEL", name), file.update)
    update(first, last, p, g, moments, np.array(file.coefficients(rate, scale, t, options), p.dtype))


#: For each solver, its update (kernels, first, last, p, g, moments, rate, scale, t, options) and its number of moments.
SOLVERS = {name: (partial(_update, file, name), file.MOMENTS) for name, file in FILES.items()}
#: For each solver, the index of the moment that averages squared gradients, or None.
SQUARES = {name: file.SQUARES for name, file in FILES.items()}
