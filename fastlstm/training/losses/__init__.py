"""Losses, one file each, found by its name: of each target of each row, and the gradient with respect to the scores.

A file has, in NumPy,

``TARGETS``
    What the targets are: "numbers", "counts" (numbers of at least 0, which are not standardised), "classes" (class
    numbers [N, 1]) or "labels" (indicators [N, K]).
``loss(scores, targets)``
    Values [N, K] and the gradient of their sum, of scores and targets [N, K]. A row's loss is the sum of its values. K
    numbers count as their mean, as in ``sklearn.neural_network.MLPRegressor``'s loss; labels add up, as in
    MLPClassifier's.
``LIKELIHOOD``, if it is True
    Values are negative log-likelihoods, of which 0 is nothing special.
``constant(y, weights)``, if there is one
    The score that is best for all targets y [N].

That of a distribution has S scores for each target, side by side for everyone else, and its functions are told the
levels that the loss was given, if it takes any:

``width(levels)``, ``loss(scores [N, K, S], targets [N, K], levels)``, ``constant(y, weights, levels)``
    As above; S, and no division by K.
``first_scores(targets, weights, levels)``
    The scores [K, S] that a head's biases start with: those of what is to be expected before anything is learned.
    Numbers are taken for standardised.
``point(scores, levels)``, ``quantiles(scores, asked, levels)``
    What is predicted for each target: one number [N, K], and quantiles [N, K, L], in float64.

Kernels may have a compiled version under the same name, which then takes the place of ``loss`` in training. What NumPy
computes alone is as right, but slower; and its exponentials and logarithms, other than compiled ones, may differ in the
last bit between CPUs.
"""

from typing import NamedTuple

import numpy as np

from fastlstm.callers import warn
from fastlstm.training.files import files_of
from fastlstm.training.losses._activations import ACTIVATIONS as ACTIVATIONS

FILES = files_of(__name__, __path__)
NAMES = tuple(FILES)


def names(*targets):
    """Those of losses of such targets."""
    return {name for name in NAMES if Loss(name).targets in targets}


class Loss(NamedTuple):
    """A loss by its name, with the levels that it was given; that of single scores may be of scores `activated`."""

    name: str
    levels: tuple = ()
    activation: str = "identity"

    @property
    def _file(self):
        return FILES[self.name]

    @property
    def compiled(self):
        """The name that a compiled version would have."""
        return self.name if self.activation == "identity" else f"{self.name} of {self.activation}"

    @property
    def targets(self):
        return self._file.TARGETS

    @property
    def is_distribution(self):
        """Whether quantiles can be asked for."""
        return hasattr(self._file, "quantiles")

    @property
    def is_likelihood(self):
        """Whether values are negative log-likelihoods, of which 0 is nothing special."""
        return getattr(self._file, "LIKELIHOOD", False)

    @property
    def width(self):
        """S, the number of scores that each target has."""
        return self._file.width(self.levels) if self.is_distribution else 1

    def __call__(self, scores, targets):
        """Values [N, K], and the gradient of their sum with respect to scores [N, K S]."""
        if not self.is_distribution:
            outputs = ACTIVATIONS[self.activation].function(scores)
            values, d_outputs = self._file.loss(outputs, targets)
            return values, d_outputs * ACTIVATIONS[self.activation].slope(outputs)
        N, K = targets.shape
        values, d_scores = self._file.loss(scores.reshape(N, K, -1), targets, np.array(self.levels))
        return values / K, d_scores.reshape(scores.shape) / K

    def constant(self, y, weights):
        """The scores [S] that are best for all targets y [N]; None if that is not known."""
        best = getattr(self._file, "constant", None)
        if best is None:
            return None
        if self.is_distribution:
            return best(y, weights, self.levels)
        return ACTIVATIONS[self.activation].inverse(np.asarray(best(y, weights)))

    def first_scores(self, targets, weights):
        """The scores [K S] that training starts from; None if they are 0."""
        if not self.is_distribution:
            return None
        return self._file.first_scores(targets, weights, self.levels).reshape(-1)

    def point(self, scores):
        """The number that is predicted for each target, [N, K]."""
        if not self.is_distribution:
            return ACTIVATIONS[self.activation].function(scores)
        return _limited(self._file.point(self._by_target(scores), self.levels), scores.dtype)

    def quantiles(self, scores, asked):
        """Quantiles of these levels of each target, [N, K, L]."""
        return _limited(self._file.quantiles(self._by_target(scores), asked, self.levels), scores.dtype)

    def _by_target(self, scores):
        """Scores [N, K, S]: float64, which what is made of float32 does not overflow so soon."""
        return scores.astype(float).reshape(len(scores), -1, self.width)


def _limited(values, dtype):
    """`values` as `dtype`; beyond its range the largest number that there is, and a warning."""
    largest = float(np.finfo(dtype).max)
    if (np.abs(values) > largest).any():
        warn(
            f"Predictions are beyond the largest number of {np.dtype(dtype)}, {largest:.1e}, which stands for them: "
            "has the training diverged?",
            RuntimeWarning,
        )
    return np.clip(values, -largest, largest).astype(dtype)
