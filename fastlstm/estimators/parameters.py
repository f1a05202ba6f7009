"""Parameters shared by the estimators: documentation, defaults and constraints."""

import itertools
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
from fastlstm.estimators.layouts import LIBRARIES, TableLayout
from fastlstm.layers.checks import MOST_LAYERS
from fastlstm.training.solvers import SOLVERS

#: Parameters that say how a fitted network runs, which may change after `fit`.
OF_RUNS = ("backend", "n_jobs", "precision")


class Integers(Interval):
    """Interval of integers, up to the largest C integer by default; unlike plain `Interval`, it excludes bools."""

    def __init__(self, least, most=sys.maxsize):
        super().__init__(Integral, least, most, closed="both")

    def is_satisfied_by(self, val):
        return not isinstance(val, bool) and super().is_satisfied_by(val)


class RealNumbers(Interval):
    """Interval of real numbers that fit into a C double."""

    def __init__(self, left, right, closed):
        super().__init__(Real, left, right, closed=closed)

    def is_satisfied_by(self, val):
        is_number = isinstance(val, (float, np.floating, Integral))  # np.isnan does not support Fraction and Decimal
        if isinstance(val, np.floating):
            val = float(val)  # the largest float overflows in comparisons of float32
        return is_number and super().is_satisfied_by(val) and abs(val) <= sys.float_info.max


class Jobs(Integers):
    """Valid values of `n_jobs`: integers other than 0."""

    def __init__(self):
        super().__init__(-sys.maxsize)

    def is_satisfied_by(self, val):
        return super().is_satisfied_by(val) and val != 0

    def __str__(self):
        return "an int other than 0 (-1 for all CPUs)"


@dataclass(repr=False, eq=False, kw_only=True)
class NetworkParameters:
    """Parameters of a network and its training, shared by all estimators.

    Parameters
    ----------
    hidden_size : int or sequence of int, default=64
        Number of hidden units, H: of every layer, or a sequence with one number per layer.
    num_layers : int, default=1
        Number of stacked recurrent layers.
    cell : {"lstm", "gru", "rnn", "cifg"}, default="lstm"
        Type of recurrent cell: LSTM; GRU (Cho et al. 2014); the vanilla RNN h = tanh(W_x x + W_h h + b); or CIFG, an
        LSTM with coupled input and forget gates, i = 1 - f (Greff et al. 2017).
    bidirectional : bool, default=False
        Whether each layer also processes the series in reverse (Schuster & Paliwal 1997).
    dropout : float or "auto", default="auto"
        Fraction of the outputs of each layer to drop during training. Each series gets a new mask every epoch, shared
        by all its steps (Gal & Ghahramani 2016). For "auto", see Notes.
    recurrent_dropout : float, default=0.0
        Fraction of the hidden units to drop in the recurrent connections, with masks drawn in the same way.
    init : {"auto", "standard", "chrono"}, default="auto"
        Initialisation of the weights. "standard": Glorot uniform input weights, orthogonal recurrent weights and, for
        an LSTM or CIFG, a forget gate bias of 1. "chrono" in addition draws the biases of the gates that keep and
        overwrite the state for time lags of up to `longest_lag` steps (Tallec & Ollivier 2018). For "auto", see Notes.
    longest_lag : int or None, default=None
        Longest time lag, in steps, for ``init="chrono"``. If None, the length of the longest series.
    solver : {"adam", "adamw", "nadam", "rmsprop", "sgd"}, default="adam"
        Optimisation algorithm.
    alpha : float, default=0.0
        Strength of the L2 penalty on the weight matrices, divided by the sample weight of the batch. For "adamw", the
        decoupled weight decay.
    batch_size : int or "auto", default="auto"
        Number of series per minibatch. For "auto", see Notes.
    learning_rate : {"auto", "constant", "adaptive", "cosine"}, default="auto"
        Learning rate schedule. "cosine" decays the learning rate to 0 over `max_iter` epochs. "adaptive" divides it by
        5 each time training would otherwise stop, until it falls below 1e-6. "auto" is "cosine" in `fit` and "constant"
        in `partial_fit`.
    learning_rate_init : float or "auto", default="auto"
        Initial learning rate. "auto" is 0.01 with the "cosine" schedule and 0.001 otherwise.
    max_iter : int or "auto", default="auto"
        Maximum number of epochs. For "auto", see Notes.
    clip_norm : float or None, default=1.0
        Maximum norm of the gradient; a larger gradient is scaled down to it. If None, gradients are not clipped.
    shuffle : bool, default=True
        Whether to shuffle the series in each epoch.
    random_state : int, RandomState or None, default=None
        Controls weight initialisation, shuffling, dropout and the validation split. Pass an int for reproducible
        results.
    momentum : float, default=0.9
        Momentum of the "sgd" solver.
    nesterovs_momentum : bool, default=True
        Whether to use Nesterov's momentum with the "sgd" solver.
    verbose : bool or int, default=False
        If 1, print one line per epoch. If 2, show a progress bar (requires tqdm; without it, the same as 1).
    dtype : {"float32", "float64"}, default="float32"
        Floating-point type of the computation.
    backend : {"auto", "cython", "numba", "numpy"}, default="auto"
        Implementation of the kernels. "cython" and "numba" give the same bits; "cython" starts at once, "numba"
        compiles for some seconds when first used on a machine, and "numpy" is a slow reference. "auto" uses the
        environment variable FASTLSTM_BACKEND if set, else the first of these that is available.
    n_jobs : int or None, default=None
        Maximum number of threads. -1 means all CPUs available to this process, -2 all but one, and so on. If None, use
        as many as are worthwhile, but one in a task of Dask. Results have the same bits for any number of threads.
    precision : {"float32", "bfloat16", "int8"}, default="float32"
        Precision of the numbers that are multiplied in recurrent layers. With "bfloat16" (mixed precision, Kalamkar et
        al. 2019), weights, inputs, states and the gradients of the gates' sums are rounded to 8 significant bits where
        they are multiplied. Products are summed in float32, and all else remains float32: weights, states, gradients
        and the solver, products of symbols, the head, attention, and exported models. The bits are the same on every
        CPU with fused multiply-add. It is faster for one or two series at a time from some 256 units on, and for up to
        eight from 1,024 on, because their weights take half the memory, and for batches on CPUs with a fast instruction
        for it: AMD's with AVX512-BF16 (not measured yet) and, with the environment variable ``FASTLSTM_ISA=amx``,
        Intel's with AMX, whose results differ slightly. Elsewhere, batches take up to a fifth longer than in float32,
        three to six series up to a half, and other small networks up to 36 %. Short calls of `predict` take longer,
        too, because they pack the weights first. With "int8", which is for predictions of a fitted model only, weights,
        inputs and states are rounded to 8 bits where they are multiplied, in each row with a scale of its own; see
        `fastlstm.load` for what to expect. Both require ``dtype="float32"``, and can be set after `fit`, for
        predictions; "int8" also the backend "cython" or "numpy".

    Notes
    -----
    Parameters set to "auto" depend on n, the number of series, and T, the length of the longest. The rules were chosen
    on two dozen data sets (``bench/defaults.py``). `settings_` holds the resulting values.

    - `batch_size`: n if n <= 32; else 8, 16 from 1,000 series on, and 32 from 4,000 on.
    - `max_iter`: 200 if n <= 32; else enough epochs for 2,000 updates, but at most 50 + T epochs, 200 epochs, and 16
      million steps in total, and at least 6 epochs.
    - `dropout`: 0 if n <= 32, else 0.2.
    - `init`: "chrono" for LSTM and GRU, "standard" for the vanilla RNN.
    """

    # Design: a dataclass gives type checkers, editors and `inspect` the whole signature.
    hidden_size: int | Sequence[int] = 64
    num_layers: int = 1
    cell: str = "lstm"
    bidirectional: bool = False
    dropout: float | Literal["auto"] = "auto"
    recurrent_dropout: float = 0.0
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
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    verbose: bool | int = False
    dtype: Literal["float32", "float64"] = "float32"
    backend: Literal["auto", "cython", "numba", "numpy"] = "auto"
    n_jobs: int | None = None
    precision: Literal["float32", "bfloat16", "int8"] = "float32"

    _parameter_constraints = {
        "hidden_size": [Integers(1), list, tuple, np.ndarray],
        "num_layers": [Integers(1, MOST_LAYERS)],
        "cell": [StrOptions(set(kernels.CELLS))],
        "bidirectional": ["boolean"],
        "dropout": [StrOptions({"auto"}), RealNumbers(0, 1, "left")],
        "recurrent_dropout": [RealNumbers(0, 1, "left")],
        "init": [StrOptions({"auto", "standard", "chrono"})],
        "longest_lag": [None, Integers(1)],
        "solver": [StrOptions(set(SOLVERS))],
        "alpha": [RealNumbers(0, None, "left")],
        "batch_size": [StrOptions({"auto"}), Integers(1)],
        "learning_rate": [StrOptions({"auto", "constant", "adaptive", "cosine"})],
        "learning_rate_init": [StrOptions({"auto"}), RealNumbers(0, None, "neither")],
        "max_iter": [StrOptions({"auto"}), Integers(1)],
        "clip_norm": [None, RealNumbers(0, None, "neither")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "momentum": [RealNumbers(0, 1, "both")],
        "nesterovs_momentum": ["boolean"],
        "verbose": ["verbose"],
        "dtype": [StrOptions({"float32", "float64"})],
        "backend": [StrOptions({"auto", *kernels.BACKENDS})],
        "n_jobs": [None, Jobs()],
        "precision": [StrOptions(set(kernels.PRECISIONS))],
    }

    def _kernels_for(self, dtype):
        """The name of the kernels for numbers of this type; raises ValueError if they do not have the precision."""
        return kernels.resolve(self.backend, self.precision, dtype)


@dataclass(repr=False, eq=False)
class Parameters(NetworkParameters):
    """Further parameters and fitted attributes of the classifier and the regressor.

    Parameters
    ----------
    return_sequences : bool, default=False
        Whether there is one target per step instead of one per series.
    missing : {"error", "mask"}, default="error"
        How to handle NaN inside a series. "error" raises an error. "mask" replaces NaN by the last observed value of
        the channel and adds one indicator channel per channel, 1 where a value is missing. Before the first observed
        value, NaN is replaced by the channel's mean, or by 0 if ``standardize=False``.
    embedding_size : int, "onehot" or None, default=None
        If set, the members of X are sequences of symbols, such as words or characters, instead of series of numbers:
        strings, which are read character by character, lists or arrays of str or int, or tables of events, in which
        columns of strings, categories and bools hold symbols, and others numbers. Each symbol becomes a vector of this
        size, which is learned, or a channel of its own ("onehot"). Strings are compared by code point, after Unicode
        normalisation (NFC). Symbols that were not seen in `fit` share a vector.
    max_vocabulary : int or None, default=None
        Maximum number of symbols of each column; the most frequent ones are kept. Others are unknown.
    min_count : int, default=1
        Number of times that a symbol must occur in X to be in the vocabulary.
    symbol_dropout : float, default=0.01
        Fraction of the symbols that are replaced by the unknown one during training, so that its vector is learned.
    time_order : {"auto", "oldest_first", "newest_first"}, default="auto"
        Order of the columns of a 2-D X. "auto" is that of `layout`. Without a layout, it reads the names of the columns
        of a DataFrame: if some are names of lags, such as ``lag3``, ``lag_3`` or ``lag_0__y``, these are the steps, and
        all other columns are channels that are constant over the steps. If there are no such names, the oldest value is
        first.
    layout : str, TableLayout or None, default=None
        Roles of the columns of a 2-D X, or of the axes of a 3-D X: a `TableLayout`, or the name of a library that calls
        the estimator, "skforecast", "mlforecast", "sktime", "aeon" or "darts" (see `TableLayout`). Lags that are NaN
        before the first value of a series shorten that series. The layout is read in `fit` and applies to all later
        calls, also to arrays without names.
    standardize : bool, default=True
        Whether to standardise each channel of X, and real-valued targets, to zero mean and unit variance, using the
        (weighted) statistics of the training data. Predictions, quantiles, streams and scores are in the original
        units; losses are those of the standardised targets. `partial_fit` and `warm_start` keep the statistics of the
        first call.
    tol : float, default=1e-4
        Improvements of the loss, or of the validation score if ``early_stopping=True``, smaller than this do not count.
    n_iter_no_change : int, default=10
        Maximum number of consecutive epochs without improvement; after more, training stops. With the "cosine"
        schedule, used only if ``early_stopping=True``.
    early_stopping : bool, default=False
        Whether to stop when the validation score is not improving, and to keep the weights of the best epoch.
    validation_fraction : float, default=0.1
        Fraction of the series to hold out as validation data if ``early_stopping=True`` and `fit` is given no `X_val`.
    validation_split : {"random", "tail"}, default="random"
        How to choose the validation data: a random sample, or the last series of X. For a classifier with one label per
        series, the random sample is stratified; if more than two labels are too rare for that, one series of each label
        is kept for training instead.
    warm_start : bool, default=False
        Whether `fit` reuses the weights of the previous call as initialisation.
    checkpoint_path : str or path or None, default=None
        File to save the state of the training to. Each fit needs a file of its own, so do not set this in a search or a
        cross-validation.
    checkpoint_every : int or str, default=1
        Interval between checkpoints: a number of epochs, or a time such as "30s", "10min" or "1h", after which the next
        epoch to end is saved. The last epoch is always saved, even after a KeyboardInterrupt.
    resume : bool, default=False
        Whether `fit` resumes from the file at `checkpoint_path`, if it exists. The result has the same bits as that of
        an uninterrupted fit. If False, an existing checkpoint is overwritten.
    bptt_steps : int or None, default=None
        Number of steps of truncated backpropagation through time. With `return_sequences`, series are split into chunks
        of this many steps with one update each; the states at the end of a chunk are the initial states of the next.
        Otherwise, gradients propagate through the last `bptt_steps` steps of each series only. If None, gradients
        propagate through all steps.
    bptt_checkpoint : int, "auto" or None, default="auto"
        Number of steps between stored states (gradient checkpointing). The steps between them are recomputed in the
        backward pass, which reduces the memory for long series at the cost of about a third more time. If None, all
        steps are stored. "auto" stores all steps up to 1 GiB, and always if ``bidirectional=True``.

    Attributes
    ----------
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during `fit`. Defined only if X is a DataFrame, or a list of DataFrames, whose column
        names are all strings.
    vocabulary_ : ndarray, or dict of str to ndarray
        Sorted symbols seen during `fit`; of events, those of each column of symbols by its name. Defined only if
        `embedding_size` is set.
    settings_ : dict of str
        Values used in the last call of `fit` or `partial_fit` for the parameters that can be "auto".
    x_mean_ : ndarray of shape (C,) or None
        Mean of each channel; None if ``standardize=False``.
    x_scale_ : ndarray of shape (C,) or None
        Standard deviation of each channel; None if ``standardize=False``.
    n_iter_ : int
        Number of epochs trained.
    t_ : int
        Number of training series seen, counted once per epoch.
    loss_ : float
        Training loss of the last epoch.
    best_loss_ : float or None
        Lowest training loss of all epochs; None if ``early_stopping=True``.
    loss_curve_ : list of float
        Training loss of each epoch.
    grad_norm_curve_ : list of float
        Gradient norm before clipping, averaged over the minibatches of each epoch.
    learning_rate_curve_ : list of float
        Learning rate of the last update of each epoch.
    best_validation_score_ : float or None
        Highest value in `validation_scores_`.
    """

    # by position, too
    hidden_size: int | Sequence[int] = 64
    num_layers: int = 1
    _: KW_ONLY
    return_sequences: bool = False
    missing: Literal["error", "mask"] = "error"
    embedding_size: int | Literal["onehot"] | None = None
    max_vocabulary: int | None = None
    min_count: int = 1
    symbol_dropout: float = 0.01
    time_order: Literal["auto", "oldest_first", "newest_first"] = "auto"
    layout: str | TableLayout | None = None
    standardize: bool = True
    tol: float = 1e-4
    n_iter_no_change: int = 10
    early_stopping: bool = False
    validation_fraction: float = 0.1
    validation_split: Literal["random", "tail"] = "random"
    warm_start: bool = False
    checkpoint_path: str | PathLike | None = None
    checkpoint_every: int | str = 1
    resume: bool = False
    bptt_steps: int | None = None
    bptt_checkpoint: int | Literal["auto"] | None = "auto"

    _parameter_constraints = {
        **NetworkParameters._parameter_constraints,
        "return_sequences": ["boolean"],
        "missing": [StrOptions({"error", "mask"})],
        "embedding_size": [None, Integers(1), StrOptions({"onehot"})],
        "max_vocabulary": [None, Integers(2)],
        "min_count": [Integers(1)],
        "symbol_dropout": [RealNumbers(0, 1, "left")],
        "time_order": [StrOptions({"auto", "oldest_first", "newest_first"})],
        "layout": [None, StrOptions(set(LIBRARIES)), TableLayout],
        "standardize": ["boolean"],
        "tol": [RealNumbers(0, None, "left")],
        "n_iter_no_change": [Integers(1)],
        "early_stopping": ["boolean"],
        "validation_fraction": [RealNumbers(0, 1, "neither")],
        "validation_split": [StrOptions({"random", "tail"})],
        "warm_start": ["boolean"],
        "checkpoint_path": [None, str, PathLike],
        "checkpoint_every": [Integers(1), str],
        "resume": ["boolean"],
        "bptt_steps": [None, Integers(1)],
        "bptt_checkpoint": [None, StrOptions({"auto"}), Integers(1)],
    }


def remove_defaults(cls):
    """Remove the class attributes that a dataclass makes of its defaults, which only lengthen the output of help()."""
    for name in cls._parameter_constraints.keys() & vars(cls).keys():
        delattr(cls, name)


remove_defaults(NetworkParameters)
remove_defaults(Parameters)


#: Where a section of a docstring ends.
END_OF_SECTION = r"\n\n    \w[\w ]*\n    --|\n    $"


#: The first line of a parameter or attribute, whose name is the group.
ENTRY = re.compile(r"^    (\w+) : ", re.MULTILINE)


def _without(text, names):
    """The entries of a section, except those of these names."""
    starts = [*(found.start() for found in re.finditer(r"^    \w", text, re.MULTILINE)), len(text)]
    entries = [text[first:last] for first, last in itertools.pairwise(starts)]
    return "".join(entry for entry in entries if not any(entry.startswith(f"    {name} : ") for name in names)).rstrip(
        "\n"
    )


def documented(cls):
    """Class decorator that completes the docstring by the sections of those of `NetworkParameters` and `Parameters`."""
    remove_defaults(cls)
    if cls.__doc__ is None:  # python -OO
        return cls
    for section in ("Parameters", "Attributes", "Notes"):
        title = f"    {section}\n    {'-' * len(section)}\n"
        bases = [base for base in (NetworkParameters, Parameters) if issubclass(cls, base)]
        found = [base.__doc__.partition(title)[2] for base in bases]
        shared = "\n".join(re.split(END_OF_SECTION, text)[0] for text in found if text)
        before, _, after = cls.__doc__.partition(title)
        shared = (
            _without(shared, re.findall(ENTRY, re.split(END_OF_SECTION, after)[0])) if section != "Notes" else shared
        )
        if after and Parameters in bases:
            cls.__doc__ = f"{before}{title}{shared}\n{after}"
        elif after:  # the parameters of the network come last, as in the signature
            own = re.split(END_OF_SECTION, after)[0]
            apart = "\n\n" if section == "Notes" else "\n"
            cls.__doc__ = f"{before}{title}{own}{apart * bool(shared)}{shared}{after[len(own) :]}"
    return cls
