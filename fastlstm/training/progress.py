"""Settings of a training, and its progress."""

import math
from dataclasses import dataclass, field

import numpy as np

from fastlstm.training.losses import Loss


@dataclass(frozen=True)
class Settings:
    """Settings of a training, with the names and meanings of the estimators' parameters."""

    loss: Loss
    solver: str
    alpha: float
    batch_size: int
    learning_rate: str
    learning_rate_init: float
    max_iter: int
    clip_norm: float | None
    shuffle: bool
    momentum: float
    nesterovs_momentum: bool
    tol: float
    n_iter_no_change: int
    early_stopping: bool
    bptt_steps: int | None = None


@dataclass
class Progress:
    """State of a training other than the network's parameters; its fields are the keys of a checkpoint's record."""

    solver: str
    moments: np.ndarray
    rate: float
    updates: int = 0
    samples: int = 0
    epochs: int = 0
    no_improvement: int = 0
    best_loss: float = math.inf
    best_validation_score: float = -math.inf
    first_epoch: int = 0  # of this run, which may continue an earlier one
    best_loss_of_run: float = math.inf
    best_parameters: np.ndarray | None = None  # with early stopping
    stopped: str | None = None  # reason for stopping
    loss_curve: list = field(default_factory=list)
    validation_scores: list = field(default_factory=list)
    validation_loss_curve: list = field(default_factory=list)
    grad_norm_curve: list = field(default_factory=list)
    rate_curve: list = field(default_factory=list)

    def copy(self, moments):
        """Copy with the given moments, which later epochs do not modify."""
        lists = {name: list(value) for name, value in vars(self).items() if isinstance(value, list)}
        return Progress(**{**vars(self), **lists, "moments": moments})

    def begin(self):
        """Start a run at the next epoch."""
        self.first_epoch, self.best_parameters, self.stopped = self.epochs, None, None
        self.best_loss_of_run = math.inf if self.updates == 0 else self.best_loss

    def to_record(self):
        """All fields, as a dict that JSON can hold and a dict of arrays."""
        arrays = {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return {name: value for name, value in vars(self).items() if name not in arrays}, arrays
