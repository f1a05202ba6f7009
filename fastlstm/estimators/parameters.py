"""The parameters that all estimators have: their defaults, what they may be, and what they mean, in one place."""

import re
import sys
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Integral, Real
from os import PathLike
from typing import Literal

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from fastlstm import kernels
from fastlstm.layers.checks import MOST_LAYERS
from fastlstm.training.solvers import SOLVERS


class Integers(Interval):
    """Whole numbers from `least` to `most`, by default the largest C integer; unlike `Interval` alone, True is none."""

    def __init__(self, least, most=sys.maxsize):
        super().__init__(Integral, least, most, closed="both")

    def is_satisfied_by(self, val):
        return not isinstance(val, bool) and super().is_satisfied_by(val)


class Numbers(Interval):
    """Floats and whole numbers that are not too large for a C double."""

    def __init__(self, left, right, closed):
        super().__init__(Real, left, right, closed=closed)

    def is_satisfied_by(self, val):
        of_numpy = isinstance(val, (float, np.floating, Integral))  # which has no isnan for fractions
        return of_numpy and super().is_satisfied_by(val) and abs(val) <= sys.float_info.max


class Jobs(Integers):
    """Numbers of threads: 1 or more, or counted back from all CPUs, which are -1."""

    def __init__(self):
        super().__init__(-sys.maxsize)

    def is_satisfied_by(self, val):
        return super().is_satisfied_by(val) and val != 0

    def __str__(self):
        return "an int other than 0 (-1 for all CPUs)"


@dataclass(repr=False, eq=False)
class Parameters:
    """What an estimator of this package may be told, and what it knows once it is fitted.

    Parameters
    ----------
    hidden_size : int or sequence of int, default=64
        Hidden units: of every layer, or one number for each, as many as `num_layers`.
    num_layers : int, default=1
        Recurrent layers upon each other.
    cell : {"lstm", "gru", "rnn", "cifg"}, default="lstm"
        Kind of recurrence: LSTM; GRU (Cho et al. 2014); vanilla RNN, h = tanh(W_x x + W_h h + b); or LSTM with coupled
        input and forget gates, i = 1 - f (Greff et al. 2017), whose gates are f, g, o in the order of the weights.
    bidirectional : bool, default=False
        Whether each layer also reads the series from its end (Schuster & Paliwal 1997).
    dropout : float or "auto", default="auto"
        Fraction of a layer's outputs to drop during training, on their way to the next layer and to the head. Each
        series gets a new mask every epoch, shared by all its steps (Gal & Ghahramani 2016). "auto": see Notes.
    recurrent_dropout : float, default=0.0
        Fraction of the hidden units to drop on their way to the next step's gates, likewise.
    return_sequences : bool, default=False
        Whether there is a target for each step, not one for each series.
    missing : {"error", "mask"}, default="error"
        What NaN inside a series is: an error; or replaced by the last value seen (at the start the mean; 0 without
        `standardize`), with a channel more for each channel that is 1 where a value was missing.
    standardize : bool, default=True
        Whether to standardise every channel of X, and targets that are numbers, inside: the mean is removed, and the
        rest divided by the standard deviation, both weighted, of the training data. Predictions, quantiles, streams and
        scores are in the original units; losses are of standardised targets. `partial_fit`
        and `warm_start` keep the first statistics.
    init : {"auto", "standard", "chrono"}, default="auto"
        Initial weights. "standard": input Glorot uniform, recurrent orthogonal, forget biases 1. "chrono" also
        draws the biases of the gates that keep and overwrite the state for lags of up to `longest_lag` steps (Tallec &
        Ollivier 2018). "auto": see Notes.
    longest_lag : int or None, default=None
        Number of steps that ``init="chrono"`` prepares to remember. If None, the length of the longest series.
    solver : {"adam", "adamw", "nadam", "rmsprop", "sgd"}, default="adam"
        What turns gradients into updates.
    alpha : float, default=0.0
        Strength of the L2 penalty on weight matrices, divided by the batch's weight; for "adamw", the decoupled
        weight decay.
    batch_size : int or "auto", default="auto"
        Series per update. "auto": see Notes.
    learning_rate : {"auto", "constant", "adaptive", "cosine"}, default="auto"
        Schedule of the learning rate. "cosine" lets it fall to 0 over `max_iter` epochs; "adaptive" divides it by 5
        where training would stop otherwise, down to 1e-6. "auto" is "cosine", but "constant" in `partial_fit`.
    learning_rate_init : float or "auto", default="auto"
        Initial learning rate. "auto" is 0.01 if it falls as "cosine", else 0.001.
    max_iter : int or "auto", default="auto"
        Maximum number of epochs. "auto": see Notes.
    clip_norm : float or None, default=1.0
        Largest norm of a gradient: a longer one is scaled down to it. None does not clip.
    shuffle : bool, default=True
        Whether to draw the series in a new order in every epoch.
    random_state : int, RandomState or None, default=None
        Seed of weights, shuffling and validation split.
    tol : float, default=1e-4
        Improvements of the loss (or of the validation score, with `early_stopping`) smaller than this do not count.
    n_iter_no_change : int, default=10
        Training stops after more than this many epochs in a row without improvement; but a rate that falls as "cosine"
        falls to its end unless `early_stopping` is set.
    early_stopping : bool, default=False
        Whether to judge epochs by a validation score and to end with the best weights, not the last.
    validation_fraction : float, default=0.1
        Part of the data held out for `early_stopping` where `fit` is given no `X_val`.
    validation_split : {"random", "tail"}, default="random"
        Which part: drawn at random, or the last series as they stand in X. At random, each label has its share; where
        more than two labels are too rare for that, one series of each is kept for training instead.
    momentum : float, default=0.9
        Momentum of solver "sgd".
    nesterovs_momentum : bool, default=True
        Whether that momentum is Nesterov's.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last call.
    verbose : bool or int, default=False
        1 prints a line an epoch; 2 shows a progress bar where tqdm is installed.
    checkpoint_path : str or path or None, default=None
        File that keeps the whole state of the training, to go on from if the process ends. Every fit needs its own:
        those of a search or a cross-validation would share it.
    checkpoint_every : int or str, default=1
        When it is written: after so many epochs, or after the first epoch that ends so much time later, such as "30s",
        "10min" or "1h"; and at the end, be it an interrupt from the keyboard.
    resume : bool, default=False
        Whether `fit` goes on from the file at `checkpoint_path` where there is one, with the same bits as if it had not
        been interrupted. If not, the first checkpoint replaces the file.
    dtype : {"float32", "float64"}, default="float32"
        Type to compute in.
    backend : {"auto", "cython", "numba", "numpy"}, default="auto"
        Who computes; "auto" takes FASTLSTM_BACKEND, else the first of these that is installed. The first two give the
        same bits; "cython" starts at once, "numba" compiles for some seconds when it is first used on a machine.
    n_jobs : int or None, default=None
        Threads to use at the most: -1 for all CPUs that this process may use, -2 for all but one and so on; None for
        as many as pay. Never more than there are CPUs; results are the same bits for any number.
    bptt_steps : int or None, default=None
        Steps that gradients go back at the most (truncated backpropagation through time); None is all. With
        `return_sequences` every so many steps make an update, and states pass from one such chunk of a series to its
        next; otherwise a series is read to its end, and the gradient goes back so many steps from there.
    bptt_checkpoint : int, "auto" or None, default="auto"
        Steps between two states that training keeps; what lies between is computed a second time, which saves memory
        on long series for about a third more time. None keeps all steps; "auto" does until that takes 1 GiB, and
        always where there are two directions.

    Attributes
    ----------
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of columns, where X was a DataFrame, or a list of them, with string names.
    settings_ : dict of str
        What the parameters that may be "auto" came to in the last call of `fit` or `partial_fit`.
    x_mean_, x_scale_ : ndarray of shape (C,) or None
        Mean and standard deviation of each channel; None without `standardize`.
    n_iter_ : int
        Epochs trained.
    t_ : int
        Series seen in training, repeated ones counted.
    loss_, best_loss_ : float
        Training loss of the last and of the best epoch; `best_loss_` is None with `early_stopping`.
    loss_curve_ : list of float
        Training loss of every epoch.
    grad_norm_curve_ : list of float
        Of every epoch, the mean over its minibatches of the norm of the gradient before clipping.
    best_validation_score_ : float or None
        Largest of `validation_scores_`.

    Notes
    -----
    "auto" follows rules by the number n of series and the length T of the longest, chosen on two dozen data sets
    (``bench/defaults.py``); `settings_` says what they came to.

    - `batch_size`: n where n <= 32; else 8, from 1,000 series on 16, from 4,000 on 32.
    - `max_iter`: 2,000 updates, but no more than 50 + T epochs (nor 200, nor 16 million steps in all) and no fewer than
      6; where n <= 32, 200.
    - `dropout`: 0.2, but 0 where n <= 32.
    - `init`: "chrono", but "standard" for the vanilla RNN.
    """

    # Design: fields of a dataclass, so that type checkers, editors and inspect see the whole signature.
    hidden_size: int | Sequence[int] = 64
    num_layers: int = 1
    _: KW_ONLY
    cell: str = "lstm"
    bidirectional: bool = False
    dropout: float | Literal["auto"] = "auto"
    recurrent_dropout: float = 0.0
    return_sequences: bool = False
    missing: Literal["error", "mask"] = "error"
    standardize: bool = True
    init: Literal["auto", "standard", "chrono"] = "auto"
    longest_lag: int | None = None
    solver: str = "adam"
    alpha: float = 0.0
    batch_size: int | Literal["auto"] = "auto"
    learning_rate: Literal["auto", "constant", "adaptive", "cosine"] = "auto"
    learning_rate_init: float | Literal["auto"] = "auto"
    max_iter: int | Literal["auto"] = "auto"
    clip_norm: float | None = 1.0
    shuffle: bool = True
    random_state: int | np.random.RandomState | None = None
    tol: float = 1e-4
    n_iter_no_change: int = 10
    early_stopping: bool = False
    validation_fraction: float = 0.1
    validation_split: Literal["random", "tail"] = "random"
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    warm_start: bool = False
    verbose: bool | int = False
    checkpoint_path: str | PathLike | None = None
    checkpoint_every: int | str = 1
    resume: bool = False
    dtype: Literal["float32", "float64"] = "float32"
    backend: Literal["auto", "cython", "numba", "numpy"] = "auto"
    n_jobs: int | None = None
    bptt_steps: int | None = None
    bptt_checkpoint: int | Literal["auto"] | None = "auto"

    _parameter_constraints = {
        "hidden_size": [Integers(1), list, tuple, np.ndarray],
        "num_layers": [Integers(1, MOST_LAYERS)],
        "cell": [StrOptions(set(kernels.CELLS))],
        "bidirectional": ["boolean"],
        "dropout": [StrOptions({"auto"}), Numbers(0, 1, "left")],
        "recurrent_dropout": [Numbers(0, 1, "left")],
        "return_sequences": ["boolean"],
        "missing": [StrOptions({"error", "mask"})],
        "standardize": ["boolean"],
        "init": [StrOptions({"auto", "standard", "chrono"})],
        "longest_lag": [None, Integers(1)],
        "solver": [StrOptions(set(SOLVERS))],
        "alpha": [Numbers(0, None, "left")],
        "batch_size": [StrOptions({"auto"}), Integers(1)],
        "learning_rate": [StrOptions({"auto", "constant", "adaptive", "cosine"})],
        "learning_rate_init": [StrOptions({"auto"}), Numbers(0, None, "neither")],
        "max_iter": [StrOptions({"auto"}), Integers(1)],
        "clip_norm": [None, Numbers(0, None, "neither")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Numbers(0, None, "left")],
        "n_iter_no_change": [Integers(1)],
        "early_stopping": ["boolean"],
        "validation_fraction": [Numbers(0, 1, "neither")],
        "validation_split": [StrOptions({"random", "tail"})],
        "momentum": [Numbers(0, 1, "both")],
        "nesterovs_momentum": ["boolean"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "checkpoint_path": [None, str, PathLike],
        "checkpoint_every": [Integers(1), str],
        "resume": ["boolean"],
        "dtype": [StrOptions({"float32", "float64"})],
        "backend": [StrOptions({"auto", *kernels.BACKENDS})],
        "n_jobs": [None, Jobs()],
        "bptt_steps": [None, Integers(1)],
        "bptt_checkpoint": [None, StrOptions({"auto"}), Integers(1)],
    }


def documented(cls):
    """Put what is said of all estimators into the sections of a class's docstring, before what that says itself."""
    if cls.__doc__ is None:  # python -OO
        return cls
    for section in ("Parameters", "Attributes", "Notes"):
        title = f"    {section}\n    {'-' * len(section)}\n"
        shared = Parameters.__doc__.partition(title)[2]
        shared = re.split(r"\n\n    \w+\n    --|\n    $", shared)[0]
        before, _, after = cls.__doc__.partition(title)
        if after:
            cls.__doc__ = f"{before}{title}{shared}\n{after}"
    return cls
