"""What the scores of a trained network stand for: labels, or numbers in the units of their targets.

Scores are [rows, K S]: of K targets, or classes, S side by side, as ``training/losses`` says.
"""

from typing import NamedTuple

import numpy as np

from fastlstm.training.losses import Loss
from fastlstm.training.losses._functions import log_sigmoid, log_softmax, sigmoid, softmax
from fastlstm.training.standardization import Scaling


class Labels(NamedTuple):
    """One of several classes; or where `multilabel` any of them, as indicators 0 and 1."""

    classes: np.ndarray
    multilabel: bool = False

    @property
    def loss(self):
        return Loss("binary_cross_entropy" if self.multilabel else "cross_entropy")

    def numbers(self, scores):
        """Class numbers [rows], or indicators [rows, K]."""
        return (scores > 0).astype(int) if self.multilabel else scores.argmax(axis=1)

    def predict(self, scores):
        return self.numbers(scores) if self.multilabel else self.classes[self.numbers(scores)]

    def predict_proba(self, scores):
        return sigmoid(scores) if self.multilabel else softmax(scores)

    def predict_log_proba(self, scores):
        return log_sigmoid(scores) if self.multilabel else log_softmax(scores)


class Numbers(NamedTuple):
    """K numbers, which were trained standardised where there is a `scaling`; `flat`: of one, without an axis for it."""

    loss: Loss
    scaling: Scaling | None = None
    flat: bool = False

    def points(self, scores):
        """One number [rows, K] for each target, as it was trained."""
        return self.loss.point(scores)

    def in_units(self, rows):
        """Rows [rows, K, ...] as trained, as float64 in the units of the targets, whose mean may be large."""
        rows = rows.astype("float64")
        if self.scaling is None:
            return rows
        if rows.ndim == 2:
            return self.scaling.undo(rows)
        return np.moveaxis(self.scaling.undo(np.moveaxis(rows, 1, -1)), -1, 1)

    def predict(self, scores):
        return self._shaped(self.points(scores))

    def predict_quantiles(self, scores, levels):
        return self._shaped(self.loss.quantiles(scores, levels))

    def _shaped(self, rows):
        rows = self.in_units(rows)
        return rows[:, 0] if self.flat else rows
