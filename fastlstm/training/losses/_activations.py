"""Output activations, which bound the outputs for bounded targets."""

from typing import NamedTuple

import numpy as np

from fastlstm.training.losses._functions import sigmoid

EDGE = 1e-6  # inverses clip their argument to this distance from the bounds, where scores would be infinite


class Activation(NamedTuple):
    """A function, its derivative as a function of its outputs, its inverse, and its range."""

    function: object
    slope: object
    inverse: object
    bounds: tuple


def _logit(outputs):
    inside = np.clip(outputs, EDGE, 1 - EDGE)
    return np.log(inside) - np.log1p(-inside)


ACTIVATIONS = {
    "identity": Activation(lambda scores: scores, lambda outputs: 1, lambda outputs: outputs, (-np.inf, np.inf)),
    "tanh": Activation(
        np.tanh,
        lambda outputs: 1 - outputs**2,
        lambda outputs: np.arctanh(np.clip(outputs, EDGE - 1, 1 - EDGE)),
        (-1, 1),
    ),
    "logistic": Activation(sigmoid, lambda outputs: outputs * (1 - outputs), _logit, (0, 1)),
}
