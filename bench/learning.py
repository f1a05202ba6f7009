"""What LSTMs are known to learn, as tasks: where the data come from, the model, the result to reach.

# Design: no test data were looked at to choose a model. Drawn data: the choice was made on seeds from 1000 on, the
# table has seeds from 0 on. Given data: it was made by cross-validation within the training data, stratified for aeon's
# sets, in contiguous fifths, so that writers are new, for the digits. `held_out(task)` is the task of that choice, and
# `python bench/results.py --validation` its table. What mattered most, by far: init="chrono" wherever something is to
# be kept for long, and a rate of 0.01 or more that falls to 0.
"""

import operator
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from data_sets import adding, package_folder, read_ts, temporal_order
from sklearn.datasets import load_digits
from sklearn.model_selection import KFold, StratifiedKFold

from fastlstm import LSTMClassifier, LSTMRegressor, SequenceScaler

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
from handwriting import COPIES, distorted

FOLDS = 5
FIRST_HELD_OUT_SEED = 1000
SIGNS = {">=": operator.ge, "<": operator.lt, ">": operator.gt}


@dataclass(frozen=True)
class Task:
    """A row of the table."""

    name: str
    split: Callable  # of a seed: X, y to train on, X, y to test on
    estimator: type
    tuned: dict  # parameters
    default: dict  # what the task itself needs; all else at its default
    measure: str
    score: Callable  # of model, X, y
    goal: tuple  # sign and number, for the mean of all seeds
    seeds: range
    most_seconds: float | None = None  # for one training

    def reached(self, scores):
        sign, number = self.goal
        return SIGNS[sign](np.mean(scores), number)


def held_out(task):
    """The task that its model was chosen by: no data in it are in the task's test data."""
    first = FIRST_HELD_OUT_SEED
    return replace(task, seeds=range(first, first + len(task.seeds)))


# -- data that are drawn --------------------------------------------------------------------------------


def drawn(make, n, *arguments, n_test=2560):
    """A split of n series to train on and others to test on."""

    def split(seed):
        rng = np.random.default_rng(seed)
        return *make(n, rng, *arguments), *make(n_test, rng, *arguments)

    return split


def copy_memory(n, rng, T):
    """Arjovsky, Shah & Bengio 2016, section 4.1: 10 of 8 symbols, to be said again T steps later; until then blanks."""
    symbols, y = np.full((n, T + 20), 8), np.full((n, T + 20), 8)
    symbols[:, :10] = y[:, -10:] = rng.integers(0, 8, (n, 10))
    symbols[:, T + 9] = 9  # now
    return np.eye(10, dtype="float32")[symbols], y


# -- data that are given --------------------------------------------------------------------------------


def part(rows, folds, y, seed):
    """Rows to train and to test on: `rows` as they are, or where the seed is for a choice, a fold of the first."""
    if seed < FIRST_HELD_OUT_SEED:
        return rows
    return list(folds.split(y[rows[0]], y[rows[0]]))[seed % FOLDS]


def digit_pixels(seed):
    """scikit-learn's digits, 8 x 8 pixels one after the other; the halves are of different writers.

    With each training image train distorted copies of it, as in examples/handwriting.py: 898 images are few.
    """
    images, y = load_digits(return_X_y=True)
    images, half, rng = images.reshape(-1, 8, 8), len(images) // 2, np.random.default_rng(seed)
    train, test = part((np.arange(half), np.arange(half, len(y))), KFold(FOLDS), y, seed)
    more = np.concatenate([images[train], *(distorted(images[train], rng) for _ in range(COPIES))])
    X, X_test = (((part - more.mean()) / more.std()).reshape(-1, 64, 1) for part in (more, images[test]))
    return X, np.tile(y[train], 1 + COPIES), X_test, y[test]


def aeon_set(name):
    """A data set that comes with aeon; its default split, each channel scaled."""

    def split(seed):
        folder = aeon_folder() / "datasets" / "data" / name
        (X, y), (X_test, y_test) = (read_ts(folder / f"{name}_{part}.ts") for part in ("TRAIN", "TEST"))
        X, y, n = X + X_test, np.concatenate([y, y_test]), len(y)
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
        train, test = part((np.arange(n), np.arange(n, len(y))), folds, y, seed)
        X, X_test = [X[row] for row in train], [X[row] for row in test]
        scaler = SequenceScaler().fit(X)
        return scaler.transform(X), y[train], scaler.transform(X_test), y[test]

    return split


def aeon_folder():
    """Where aeon is installed, or None."""
    return package_folder("aeon")


def needs_aeon(task):
    return task.split.__qualname__.startswith(aeon_set.__name__)


# -- measures -------------------------------------------------------------------------------------------


def accuracy(model, X, y):
    return model.score(X, y)


def squared_error(model, X, y):
    return float(np.mean((model.predict(X) - y) ** 2))


def of_memoryless(model, X, y):
    """Cross-entropy of all steps, in parts of what is reached without memory: 10 ln 8 / (T + 20)."""
    logarithms = np.take_along_axis(model.predict_log_proba(X), y[..., None], axis=2)
    return float(-logarithms.mean() / (10 * np.log(8) / y.shape[1]))


# -- tasks ----------------------------------------------------------------------------------------------

# Data are scaled where that matters; dropout was chosen by cross-validation, too.
FALLING = {"learning_rate": "cosine", "learning_rate_init": 0.01, "standardize": False, "init": "standard"}
FALLING |= {"dropout": 0.0}
LONG = {**FALLING, "init": "chrono"}
ADDING = {"hidden_size": 32, "batch_size": 64, "max_iter": 10, **LONG}

TASKS = [
    Task(
        name="JapaneseVowels",
        split=aeon_set("JapaneseVowels"),
        estimator=LSTMClassifier,
        tuned={"hidden_size": 100, "bidirectional": True, "batch_size": 32, "max_iter": 80, **LONG}
        | {"solver": "adamw", "alpha": 0.3, "dropout": 0.5, "recurrent_dropout": 0.5},
        default={},
        measure="accuracy",
        score=accuracy,
        goal=(">=", 0.975),
        seeds=range(5),
        most_seconds=20,
    ),
    Task(
        name="BasicMotions",
        split=aeon_set("BasicMotions"),
        estimator=LSTMClassifier,
        tuned={"hidden_size": 32, "num_layers": 2, "bidirectional": True, "batch_size": 8, "max_iter": 60, **LONG},
        default={},
        measure="accuracy",
        score=accuracy,
        goal=(">=", 0.97),
        seeds=range(5),
    ),
    Task(
        name="adding problem, T=200",
        split=drawn(adding, 6400, 200),
        estimator=LSTMRegressor,
        tuned=ADDING,
        default={},
        measure="MSE",
        score=squared_error,
        goal=("<", 0.01),
        seeds=range(3),
    ),
    Task(
        name="adding problem, T=400",
        split=drawn(adding, 6400, 400),
        estimator=LSTMRegressor,
        tuned=ADDING,
        default={},
        measure="MSE",
        score=squared_error,
        goal=("<", 0.01),
        seeds=range(3),
    ),
    Task(
        name="temporal order 6a",
        split=drawn(temporal_order, 6400),
        estimator=LSTMClassifier,
        tuned={"hidden_size": 32, "batch_size": 64, "max_iter": 5, **LONG},
        default={},
        measure="accuracy",
        score=accuracy,
        goal=(">=", 0.999),
        seeds=range(3),
    ),
    Task(
        name="copy memory, T=200",
        split=drawn(copy_memory, 9600, 200, n_test=1000),
        estimator=LSTMClassifier,
        # Nearly all targets are blanks: they weigh little in training, but like all others in the measure.
        tuned={"return_sequences": True, "hidden_size": 128, "batch_size": 32, "max_iter": 15, **LONG}
        | {"learning_rate_init": 0.02, "longest_lag": 800, "class_weight": {8: 0.02}},
        default={"return_sequences": True},
        measure="cross-entropy / memoryless",
        score=of_memoryless,
        goal=("<", 0.1),
        seeds=range(3),
    ),
    Task(
        name="digits, pixel by pixel",
        split=digit_pixels,
        estimator=LSTMClassifier,
        tuned={"hidden_size": 64, "bidirectional": True, "batch_size": 32, "max_iter": 10, **FALLING}
        | {"solver": "adamw", "alpha": 0.3},
        default={},
        measure="accuracy",
        score=accuracy,
        goal=(">=", 0.95),
        seeds=range(3),
    ),
    Task(
        name='adding problem, T=200, cell="rnn"',
        split=drawn(adding, 6400, 200),
        estimator=LSTMRegressor,
        tuned={"cell": "rnn", "hidden_size": 32, "batch_size": 64, "max_iter": 10, **FALLING},
        default={"cell": "rnn"},
        measure="MSE",
        score=squared_error,
        goal=(">", 0.15),  # a vanilla RNN does not learn it
        seeds=range(3),
    ),
]
