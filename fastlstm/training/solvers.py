"""Solvers, as PyTorch's optimisers of the same names work: what each step's numbers are; kernels do the arithmetic.

Every function takes the backend's kernels, the range of parameters to update, flat parameters p and gradient g,
`moments` [M, P] that start as zeros and are kept between steps, the learning rate, a factor for the gradient, the step
number t (1 is the first) and an `Options`; p and moments change in place.
"""

from typing import NamedTuple

import numpy as np

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
RMSPROP_DECAY = 0.99


class Options(NamedTuple):
    """What a solver may be told."""

    momentum: float = 0.9
    nesterov: bool = True
    decay: object = 0.0  # number or [P]: decoupled weight decay, adamw only


def adam(kernels, first, last, p, g, moments, rate, scale, t, options):
    """Kingma & Ba (2015), algorithm 1."""
    numbers = scale, 1 - BETA1, 1 - BETA2, rate / (1 - BETA1**t), 1 / (1 - BETA2**t), EPSILON
    kernels.adam(first, last, p, g, moments, np.array(numbers, p.dtype))


def adamw(kernels, first, last, p, g, moments, rate, scale, t, options):
    """Loshchilov & Hutter (2019), algorithm 2: the decay acts on the parameters, not through the gradient."""
    p[first:last] -= rate * np.broadcast_to(options.decay, p.shape)[first:last] * p[first:last]
    adam(kernels, first, last, p, g, moments, rate, scale, t, options)


def sgd(kernels, first, last, p, g, moments, rate, scale, t, options):
    """Stochastic gradient descent with momentum; Nesterov's in the form of Sutskever et al. (2013)."""
    numbers = scale, options.momentum, options.nesterov, rate
    kernels.sgd(first, last, p, g, moments, np.array(numbers, p.dtype))


def rmsprop(kernels, first, last, p, g, moments, rate, scale, t, options):
    """Tieleman & Hinton (2012), lecture 6.5."""
    kernels.rmsprop(first, last, p, g, moments, np.array([scale, 1 - RMSPROP_DECAY, rate, EPSILON], p.dtype))


#: Solvers and the number of moments they keep.
SOLVERS = {"adam": (adam, 2), "adamw": (adamw, 2), "sgd": (sgd, 1), "rmsprop": (rmsprop, 1)}
#: Which of a solver's moments is an average of squares.
SQUARES = {"adam": 1, "adamw": 1, "rmsprop": 0}
