"""Losses, one module each, selected by the module's name.

A module defines, in NumPy:

``TARGETS``
    Kind of targets: "numbers", "counts" (non-negative numbers, which are not standardised), "classes" (class indices
    [N, 1]) or "labels" (indicators [N, K]).
``loss(scores, targets)``
    Loss values [N, K] for scores and targets [N, K], and the gradient of their sum with respect to the scores. The loss
    of a row is the sum of its values: the mean over K numbers, as in ``sklearn.neural_network.MLPRegressor``, and the
    sum over labels, as in MLPClassifier.
``LIKELIHOOD`` (optional)
    True if values are negative log-likelihoods, for which 0 is not a lower bound.
``constant(y, weights)`` (optional)
    The constant score that minimises the loss over targets y [N].

The loss of a distribution has S scores for each target; outside the module, the scores of all targets are laid out side
by side. Its functions also take the quantile levels that the loss was given, if any:

``width(levels)``
    S, the number of scores per target.
``loss(scores, targets, levels)``, ``constant(y, weights, levels)``
    As above, for scores [N, K, S]; values are not divided by K.
``initial_scores(means, levels)``
    Initial biases of the head [K, S]: the scores that describe the targets before anything is learned. Numbers are
    assumed to be standardised; `means` [K] are the weighted means of the targets.
``point(scores, levels)``, ``quantiles(scores, asked, levels)``
    Point predictions [N, K], and quantiles [N, K, L] of the levels `asked`; float64.
``d_point(scores, levels)``
    Derivatives of the point predictions with respect to the scores [N, K, S]; float64.

If a backend has a compiled version of the same name, training uses it instead of ``loss``. The NumPy version is as
accurate, but slower; and unlike the compiled ones, NumPy's exponentials and logarithms may differ in the last bit
between CPUs.
"""

from typing import NamedTuple

import numpy as np

from fastlstm.training.discovery import modules_in
from fastlstm.training.losses._activations import ACTIVATIONS as ACTIVATIONS
from fastlstm.training.losses._functions import weighted_means as weighted_means
from fastlstm.training.losses._functions import weighted_sums as weighted_sums
from fastlstm.user_warnings import warn

FILES = modules_in(__name__, __path__)
NAMES = tuple(FILES)


def names(*targets):
    """Names of the losses for these kinds of targets."""
    return {name for name in NAMES if Loss(name).targets in targets}


class Loss(NamedTuple):
    """A loss with its quantile levels, if any; a loss that is not of a distribution may have an output activation."""

    name: str
    levels: tuple = ()
    activation: str = "identity"

    @property
    def _file(self):
        return FILES[self.name]

    @property
    def compiled(self):
        """Name of the compiled version, if there is one."""
        return self.name if self.activation == "identity" else f"{self.name} of {self.activation}"

    @property
    def targets(self):
        return self._file.TARGETS

    @property
    def is_distribution(self):
        """Whether the loss predicts a distribution, and so quantiles."""
        return hasattr(self._file, "quantiles")

    @property
    def is_likelihood(self):
        """Whether values are negative log-likelihoods, for which 0 is not a lower bound."""
        return getattr(self._file, "LIKELIHOOD", False)

    @property
    def width(self):
        """S, the number of scores per target."""
        return self._file.width(self.levels) if self.is_distribution else 1

    def __call__(self, scores, targets):
        """Loss values [N, K], and the gradient of their sum with respect to the scores [N, K S]."""
        if not self.is_distribution:
            outputs = ACTIVATIONS[self.activation].function(scores)
            values, d_outputs = self._file.loss(outputs, targets)
            return values, d_outputs * ACTIVATIONS[self.activation].slope(outputs)
        N, K = targets.shape
        values, d_scores = self._file.loss(scores.reshape(N, K, -1), targets, np.array(self.levels))
        return values / K, d_scores.reshape(scores.shape) / K

    def constant(self, y, weights):
        """Constant scores [S] that minimise the loss over targets y [N]; None if the loss does not define them."""
        best = getattr(self._file, "constant", None)
        if best is None:
            return None
        if self.is_distribution:
            return best(y, weights, self.levels)
        return ACTIVATIONS[self.activation].inverse(np.asarray(best(y, weights)))

    def initial_scores(self, means):
        """Initial biases of the head [K S] for targets with these weighted means; None for zeros."""
        if not self.is_distribution:
            return None
        return self._file.initial_scores(means, self.levels).reshape(-1)

    def point(self, scores):
        """Point predictions [N, K]."""
        if not self.is_distribution:
            return ACTIVATIONS[self.activation].function(scores)
        return _clipped(self._file.point(self._by_target(scores), self.levels), scores.dtype)

    def d_point(self, scores):
        """Derivatives [N, K S] of each target's point prediction with respect to its own scores."""
        if not self.is_distribution:
            activation = ACTIVATIONS[self.activation]
            return np.broadcast_to(activation.slope(activation.function(scores)), scores.shape)
        return self._file.d_point(self._by_target(scores), self.levels).reshape(scores.shape).astype(scores.dtype)

    def quantiles(self, scores, asked):
        """Quantiles [N, K, L] of the levels `asked`."""
        return _clipped(self._file.quantiles(self._by_target(scores), asked, self.levels), scores.dtype)

    def _by_target(self, scores):
        """Scores [N, K, S], as float64, in which functions of float32 scores rarely overflow."""
        return scores.astype(float).reshape(len(scores), -1, self.width)


def _clipped(values, dtype):
    """`values` as `dtype`, clipped to its range with a warning."""
    largest = float(np.finfo(dtype).max)
    if (np.abs(values) > largest).any():
        warn(
            f"Predictions exceed the largest {np.dtype(dtype)} number and were clipped to {largest:.1e}. The training "
            "may have diverged.",
            RuntimeWarning,
        )
    return np.clip(values, -largest, largest).astype(dtype)
