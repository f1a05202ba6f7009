"""Solvers: one update of the parameters from their gradient, as PyTorch's optimisers of the same names do it.

Every function takes flat parameters p and gradient g, the learning rate, `moments` [M, P] that start as zeros
and are kept between steps, the step number t (1 is the first) and an `Options`; p and moments change in place.
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


def adam(p, g, rate, moments, t, options):
    """Kingma & Ba (2015), algorithm 1."""
    m, v = moments
    m += (1 - BETA1) * (g - m)
    v += (1 - BETA2) * (g * g - v)
    p -= rate / (1 - BETA1**t) * m / (np.sqrt(v / (1 - BETA2**t)) + EPSILON)


def adamw(p, g, rate, moments, t, options):
    """Loshchilov & Hutter (2019), algorithm 2: the decay acts on the parameters, not through the gradient."""
    p -= rate * options.decay * p
    adam(p, g, rate, moments, t, options)


def sgd(p, g, rate, moments, t, options):
    """Stochastic gradient descent with momentum; Nesterov's in the form of Sutskever et al. (2013)."""
    velocity = moments[0]
    velocity *= options.momentum
    velocity += g
    p -= rate * (g + options.momentum * velocity if options.nesterov else velocity)


def rmsprop(p, g, rate, moments, t, options):
    """Tieleman & Hinton (2012), lecture 6.5."""
    v = moments[0]
    v += (1 - RMSPROP_DECAY) * (g * g - v)
    p -= rate * g / (np.sqrt(v) + EPSILON)


#: Solvers and the number of moments they keep.
SOLVERS = {"adam": (adam, 2), "adamw": (adamw, 2), "sgd": (sgd, 1), "rmsprop": (rmsprop, 1)}
