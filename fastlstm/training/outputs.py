"""From the scores of a trained network to predictions: classes and probabilities, or numbers in the targets' units.

Scores have shape [rows, K S]: S scores for each of K targets or classes, side by side; see ``training/losses``.
"""

from typing import NamedTuple

import numpy as np

from fastlstm.training.losses import Loss
from fastlstm.training.losses._functions import log_sigmoid, log_softmax, sigmoid, softmax
from fastlstm.training.standardization import Scaling


class ClassificationOutput(NamedTuple):
    """Scores of classes: one class per row or, if `multilabel`, an indicator for each class."""

    classes: np.ndarray
    multilabel: bool = False

    @property
    def loss(self):
        return Loss("binary_cross_entropy" if self.multilabel else "cross_entropy")

    def encoded(self, scores):
        """Predicted class indices [rows], or indicators [rows, K]."""
        return (scores > 0).astype(int) if self.multilabel else scores.argmax(axis=1)

    def predict(self, scores):
        return self.encoded(scores) if self.multilabel else self.classes[self.encoded(scores)]

    def predict_proba(self, scores):
        return sigmoid(scores) if self.multilabel else softmax(scores)

    def predict_log_proba(self, scores):
        return log_sigmoid(scores) if self.multilabel else log_softmax(scores)


class RegressionOutput(NamedTuple):
    """Scores of K numbers, standardised if there is a `scaling`; if `flat`, predictions of one number lose its axis."""

    loss: Loss
    scaling: Scaling | None = None
    flat: bool = False

    def point(self, scores):
        """Point predictions [rows, K] on the scale of training."""
        return self.loss.point(scores)

    def unscale(self, rows):
        """Rows [rows, K, ...] in the targets' units, as float64, since the targets' mean may be large."""
        rows = rows.astype("float64")
        if self.scaling is None:
            return rows
        if rows.ndim == 2:
            return self.scaling.undo(rows)
        return np.moveaxis(self.scaling.undo(np.moveaxis(rows, 1, -1)), -1, 1)

    def predict(self, scores):
        return self._shaped(self.point(scores))

    def predict_quantiles(self, scores, levels):
        return self._shaped(self.loss.quantiles(scores, levels))

    def _shaped(self, rows):
        rows = self.unscale(rows)
        return rows[:, 0] if self.flat else rows
