"""LSTMRegressor."""

from __future__ import annotations

from itertools import pairwise
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import check_array, column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions

from fastlstm import containers
from fastlstm.estimators.base import BaseLSTM
from fastlstm.estimators.inputs import check_levels
from fastlstm.estimators.standardization import Scaling
from fastlstm.estimators.validation import validates_parameters
from fastlstm.training import forecasts
from fastlstm.training.losses import DISTRIBUTIONS, Loss

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike

    from fastlstm.estimators.base import ArrayOrList

DEFAULT_LEVELS = (0.1, 0.5, 0.9)  # of quantiles, where the loss has none of its own


class LSTMRegressor(RegressorMixin, BaseLSTM):
    """Predict numbers from series by an LSTM.

    LSTM layers (Hochreiter & Schmidhuber 1997; forget gate of Gers, Schmidhuber & Cummins 2000), or those of another
    cell, read each series, and a linear layer on the last hidden state, or on that after each step, gives the outputs.
    Trained by minibatch gradient descent. X and y may be in any unit: see `standardize`.

    Parameters
    ----------
    hidden_size : int or sequence of int, default=64
        Hidden units: of every layer, or one number for each, as many as `num_layers`.
    num_layers : int, default=1
        Recurrent layers upon each other.
    cell : {"lstm", "gru", "rnn"}, default="lstm"
        Kind of recurrence: LSTM, GRU (Cho et al. 2014), or the vanilla RNN h = tanh(W_x x + W_h h + b).
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
        What NaN inside a series is: an error; or replaced by the last value seen (0 at the start), with a channel more
        for each channel that is 1 where a value was missing.
    standardize : bool, default=True
        Whether to standardise every channel of X, and every target, inside: the mean is
        removed, and the rest divided by the standard deviation, both weighted, of the training data. Everything that
        comes out is in the original units. `partial_fit` and `warm_start` keep the first statistics.
    init : {"auto", "standard", "chrono"}, default="auto"
        Initial weights. "standard": input Glorot uniform, recurrent orthogonal, an LSTM's forget bias 1. "chrono" also
        draws the biases of the gates that keep and overwrite the state for lags of up to `longest_lag` steps (Tallec &
        Ollivier 2018). "auto": see Notes.
    longest_lag : int or None, default=None
        Number of steps that ``init="chrono"`` prepares to remember. If None, the length of the longest series.
    loss : {"squared_error", "absolute_error", "huber", "quantile", "poisson", "gaussian_nll"}, default="squared_error"
        Half the mean square of the residuals, their mean size, or Huber's: square up to 1, linear beyond. Three learn
        more of the targets' distribution than one number, for `predict_quantiles`: "quantile" the quantiles that
        `quantile` says, by the pinball loss; "poisson" the mean of counts, which are not scaled; "gaussian_nll" mean
        and variance of a normal distribution, both of which depend on the series, by its negative log-likelihood.
    quantile : float or sequence of float, default=0.5
        Levels of the quantiles that ``loss="quantile"`` learns, inside (0, 1), and only for that loss. Those of several
        levels, given in rising order, never cross; the loss is their mean.
    solver : {"adam", "adamw", "sgd", "rmsprop"}, default="adam"
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
        Which part: drawn at random (of labels, each its share), or the last series as they stand in X.
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
    n_features_in_ : int
        Channels of X seen in fit; of a 2-D X, its columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of columns, where X was a DataFrame, or a list of them, with string names.
    n_outputs_ : int
        Targets per series, or per step.
    settings_ : dict of str
        What the parameters that may be "auto" came to in the last call of `fit` or `partial_fit`.
    x_mean_, x_scale_ : ndarray of shape (C,) or None
        Mean and standard deviation of each channel; None without `standardize`.
    y_mean_, y_scale_ : ndarray of shape (K,) or None
        Mean and standard deviation of each target; None without `standardize`, and where targets are counts.
    weights_ : dict of str to ndarray
        ``weight_ih_l0``, ``weight_hh_l0``, ``bias_ih_l0``, ``bias_hh_l0`` and so on, as of ``torch.nn.LSTM`` (or GRU,
        RNN); ``head.weight`` (n_outputs_ S, D H) for D directions and ``head.bias``. S is 1, but the number of levels
        for "quantile", and 2 for "gaussian_nll".
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
    validation_scores_, validation_loss_curve_ : list of float or None
        R squared and loss on the validation data after every epoch; None without such data. For "quantile", "poisson"
        and "gaussian_nll" the score is minus the loss, because R squared says nothing of a distribution.
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

    See Also
    --------
    LSTMClassifier : The same for labels.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm import LSTMRegressor
    >>> wave = np.sin(np.arange(400) / 5)
    >>> X = np.lib.stride_tricks.sliding_window_view(wave, 20)[:-1]  # 20 values in, the next one out
    >>> y = wave[20:]
    >>> model = LSTMRegressor(hidden_size=16, learning_rate_init=0.01, max_iter=40, batch_size=20,
    ...                       learning_rate="cosine", random_state=0)
    >>> model.fit(X[:300], y[:300]).score(X[300:], y[300:]) > 0.98
    True
    """

    _parameter_constraints = {
        **BaseLSTM._parameter_constraints,
        "loss": [StrOptions({"squared_error", "absolute_error", "huber", *DISTRIBUTIONS})],
        "quantile": [Interval(Real, 0, 1, closed="neither"), list, tuple, np.ndarray],
    }
    _of_scores = {"predict": "_outputs"}

    def __init__(
        self,
        hidden_size=64,
        num_layers=1,
        *,
        cell="lstm",
        bidirectional=False,
        dropout="auto",
        recurrent_dropout=0.0,
        return_sequences=False,
        missing="error",
        standardize=True,
        init="auto",
        longest_lag=None,
        loss="squared_error",
        quantile=0.5,
        solver="adam",
        alpha=0.0,
        batch_size="auto",
        learning_rate="auto",
        learning_rate_init="auto",
        max_iter="auto",
        clip_norm=1.0,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        n_iter_no_change=10,
        early_stopping=False,
        validation_fraction=0.1,
        validation_split="random",
        momentum=0.9,
        nesterovs_momentum=True,
        warm_start=False,
        verbose=False,
        checkpoint_path=None,
        checkpoint_every=1,
        resume=False,
        dtype="float32",
        backend="auto",
        n_jobs=None,
        bptt_steps=None,
        bptt_checkpoint="auto",
    ):
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.cell = cell
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.return_sequences = return_sequences
        self.missing = missing
        self.standardize = standardize
        self.init = init
        self.longest_lag = longest_lag
        self.loss = loss
        self.quantile = quantile
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.clip_norm = clip_norm
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.validation_split = validation_split
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.warm_start = warm_start
        self.verbose = verbose
        self.checkpoint_path = checkpoint_path
        self.checkpoint_every = checkpoint_every
        self.resume = resume
        self.dtype = dtype
        self.backend = backend
        self.n_jobs = n_jobs
        self.bptt_steps = bptt_steps
        self.bptt_checkpoint = bptt_checkpoint

    @validates_parameters
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train on series and their targets.

        Parameters
        ----------
        X : array of shape (n, T, C) or (n, T), or list of n arrays of shape (T_i, C) or (T_i,)
            n series of T steps of C channels; (n, T) is read as univariate. Series of unequal lengths are a list (or a
            tuple, or an object array), or fill (n, T, C) up with steps of NaN at their ends.
        y : array of shape (n,) or (n, K)
            One number or K numbers for each series. With `return_sequences`, and only with it, for each step: (n, T) or
            (n, T, K), or a list of one array (T_i,) or (T_i, K) for each series.
        sample_weight : array of shape (n,), or in the form of y, or None, default=None
            Weights of the series, or with `return_sequences` of their steps, or of each of K outputs; the loss is the
            weighted mean. A step's or an output's target of weight 0 can be anything. None is ones.
        X_val, y_val, sample_weight_val : like X, y, sample_weight, default=None
            Data to validate on after every epoch. Without them, ``early_stopping=True`` holds out
            `validation_fraction` of X.

        Returns
        -------
        self : LSTMRegressor

        Raises
        ------
        ValueError
            If a parameter, X, y or a weight is not as described, or the file to `resume` from not of this training or
            damaged. The estimator stays as it was.
        FloatingPointError
            If the loss or its gradient is no longer finite. The estimator stays as it was.
        OSError
            If a checkpoint cannot be written any more; the last one is still good. The estimator stays as it was.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor
        >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [[2, 0], [1, 1]])
        >>> model.n_outputs_
        2
        """
        return self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val)

    @validates_parameters
    def partial_fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one epoch, going on from what was learned before.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self : LSTMRegressor

        Raises
        ------
        ValueError, FloatingPointError
            As `fit`.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor
        >>> model = LSTMRegressor(8).partial_fit([[0, 1]], [2]).partial_fit([[1, 0]], [1])
        >>> model.n_iter_
        2
        """
        return self._fit(X, y, sample_weight, partial=True)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = self.loss == "poisson"
        return tags

    def _note_loss(self):
        self._loss = self._asked_loss()

    def _asked_loss(self):
        levels = check_levels(self.quantile, "quantile")
        if self.loss != "quantile":
            if levels != [0.5]:
                raise ValueError(
                    f"quantile={containers.brief(self.quantile)} with loss={self.loss!r}: it is for loss='quantile'. "
                    "Leave it at 0.5."
                )
            return Loss(self.loss)
        if any(above <= below for below, above in pairwise(levels)):
            raise ValueError(
                f"quantile={containers.brief(self.quantile)}: expected levels in rising order, each only once."
            )
        return Loss("quantile", tuple(levels))

    def _of_loss(self):
        asked, fitted = self._asked_loss(), self._loss
        if asked.name not in DISTRIBUTIONS and fitted.name not in DISTRIBUTIONS:
            return ()  # all of them read the head's outputs as the targets
        return ("loss", asked.name, fitted.name), ("quantile", asked.levels, fitted.levels)

    def _encode(self, y, counts, reset, classes=None, name="y"):
        y = containers.numbers_of(y, name)
        if not counts.all():
            shape, y = np.shape(y), np.array(y, dtype=float).reshape(len(y), -1)
            y = np.where(counts, y, 0).reshape(shape)
        dtype = "float64" if self._standardised and self._scales_targets() else self.dtype
        y = check_array(y, dtype=dtype, ensure_2d=False, allow_nd=True, input_name=name)
        if y.ndim == 2 and y.shape[1] == 1 and not self._per_step:
            y = column_or_1d(y, warn=True)
        if y.ndim > 2:
            raise ValueError(
                f"{name} has shape {y.shape}; expected (n,) or (n, K), or (n, T) or (n, T, K) with "
                "return_sequences=True."
            )
        targets = y.reshape(len(y), -1)
        if reset:
            self.n_outputs_ = targets.shape[1]
        elif targets.shape[1] != self.n_outputs_:
            raise ValueError(
                f"{name} has {targets.shape[1]} outputs per series; this model was fitted with {self.n_outputs_}."
            )
        if self._loss.name == "poisson" and (targets < 0).any():
            row = int(np.argmax((targets < 0).any(axis=1)))
            place = f"step {row}, counted through all series" if self._per_step else f"sample {row}"
            raise ValueError(
                f"Negative values in {name}: loss='poisson' expects counts, numbers of at least 0, got "
                f"{targets[row].min():g} for {place}."
            )
        return targets

    def _check_held_out(self, targets, weights):
        super()._check_held_out(targets, weights)
        if len(targets) < 2 and self._loss.name not in DISTRIBUTIONS:
            raise ValueError(
                "The validation data hold 1 series, for which R squared is not defined: pass X_val and y_val with at "
                f"least 2, or raise validation_fraction (now {self.validation_fraction:g})."
            )

    def _scales_targets(self):
        return self._loss.name != "poisson"  # of counts it is the logarithm of the mean that is learned

    def _score_of(self, scores, targets, weights):
        return self._r2(targets, self._points(scores), weights)

    def _score_rows(self, y, scores, weights):
        return self._r2(containers.numbers_of(y, "y"), self._in_units_of_y(self._points(scores)), weights)

    def _r2(self, y, predicted, weights):
        from sklearn.metrics import r2_score  # late: a prediction does without it

        if weights.shape[1] == 1:
            return float(r2_score(y, predicted, sample_weight=weights[:, 0]))
        # each output by its own weights; one that never counts has no score
        of_outputs = [
            r2_score(y[w > 0, k], predicted[w > 0, k], sample_weight=w[w > 0])
            for k, w in enumerate(weights.T)
            if w.any()
        ]
        return float(np.mean(of_outputs))

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """R squared of `predict`: of one output, or the mean over outputs; of all steps together where each has one.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If X, y or a weight is not as described.
        sklearn.exceptions.NotFittedError
            If `fit` was not called.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor
        >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
        >>> model.score([[0, 1], [1, 0]], [2, 1]) <= 1
        True
        """
        from sklearn.metrics import r2_score  # late: a prediction does without it

        def metric(y, predicted, weights):
            return r2_score(containers.numbers_of(y, "y"), predicted, sample_weight=weights)

        return self._score(X, y, sample_weight, metric)

    def predict(self, X: ArrayLike) -> ArrayOrList:
        """The expected target of each series, or with `return_sequences` of each step.

        A model of quantiles predicts the median, or what comes closest: between levels on both sides of it what is
        linear in the level, otherwise the level next to it. One of "gaussian_nll" or "poisson" predicts the mean.

        Parameters
        ----------
        X : array or list
            Series with the channels that were fitted, in any form that `fit` takes.

        Returns
        -------
        ndarray of shape (n,) or (n, K), of float64
            (n,) where one number per series was fitted. With `return_sequences`, for each step, in the form that X has:
            (n, T) or (n, T, K), with NaN behind an end; or a list of arrays.

        Raises
        ------
        ValueError
            If X is not as described.
        sklearn.exceptions.NotFittedError
            If `fit` was not called.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor
        >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
        >>> model.predict([[0, 1], [0, 2], [0, 3]]).shape
        (3,)
        """
        fitted = self._fitted()
        return fitted._apply(X, fitted._outputs)

    def predict_quantiles(self, X: ArrayLike, levels: ArrayLike | None = None) -> ArrayOrList:
        """Quantiles of the target of each series, or with `return_sequences` of each step.

        They are those of the distribution that a model of loss "quantile", "poisson" or "gaussian_nll" has learned; a
        model of another loss has none. Behind ``TransformedTargetRegressor``, ask its `regressor_`, and pass what each
        level has through its `transformer_`'s inverse.

        Parameters
        ----------
        X : array or list
            Series with the channels that were fitted, in any form that `fit` takes.
        levels : float, sequence of L floats, or None, default=None
            Levels inside (0, 1), in any order. A model of quantiles takes those of `quantile` and all between them,
            whose quantiles are linear in the level. None is the levels of `quantile`, or (0.1, 0.5, 0.9) where the
            loss is another.

        Returns
        -------
        ndarray of shape (n, L) or (n, K, L), of float64
            In the order of `levels`; L is 1 for a single number. With `return_sequences`, in the form that X has, as of
            `predict`: (n, T, L) or (n, T, K, L), with NaN behind an end; or a list of arrays. A higher level's is never
            below a lower one's. Those of "poisson" are whole numbers.

        Raises
        ------
        ValueError
            If X or `levels` is not as described, or the model is of another loss.
        sklearn.exceptions.NotFittedError
            If `fit` was not called.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor
        >>> model = LSTMRegressor(8, loss="quantile", quantile=[0.1, 0.9], max_iter=2, learning_rate="cosine")
        >>> model.fit([[0, 1], [1, 0]], [2, 1]).predict_quantiles([[0, 1], [0, 2], [0, 3]]).shape
        (3, 2)
        >>> model.predict_quantiles([[0, 1], [0, 2], [0, 3]], levels=[0.25, 0.5, 0.75]).shape
        (3, 3)
        """
        fitted = self._fitted()
        levels = fitted._levels(levels)
        return fitted._apply(X, lambda scores: fitted._of_targets(forecasts.quantiles(fitted._loss, scores, levels)))

    def _levels(self, levels):
        name, fitted = self._loss
        if name not in DISTRIBUTIONS:
            raise ValueError(
                f"predict_quantiles needs a model of loss='quantile', 'poisson' or 'gaussian_nll', this one was fitted "
                f"with loss={name!r}: set one of the three, and fit anew."
            )
        if levels is None:
            return fitted or DEFAULT_LEVELS
        given, levels = levels, check_levels(levels, "levels")
        if fitted and not (fitted[0] <= min(levels) and max(levels) <= fitted[-1]):
            fitted_with = f"{fitted[0]:g} alone" if len(fitted) == 1 else f"levels from {fitted[0]:g} to {fitted[-1]:g}"
            raise ValueError(
                f"levels is {containers.brief(given)}, but this model was fitted with {fitted_with}: ask for what lies "
                "there, or fit with these levels in quantile."
            )
        return levels

    def _points(self, scores):
        """One number [rows, K] for each target, out of scores."""
        return forecasts.point(self._loss, scores) if self._loss.name in DISTRIBUTIONS else scores

    def _outputs(self, scores):
        return self._of_targets(self._points(scores))

    def _in_units_of_y(self, rows):
        """Rows [rows, K, ...] on the scale that was learned, as float64 in the units of y, whose mean may be large."""
        rows = rows.astype("float64")
        if self.y_mean_ is None:
            return rows
        scaling = Scaling(self.y_mean_, self.y_scale_)
        if rows.ndim == 2:
            return scaling.undo(rows)
        return np.moveaxis(scaling.undo(np.moveaxis(rows, 1, -1)), -1, 1)

    def _of_targets(self, rows):
        """The same, without the axis of targets where y had none."""
        flat = self.n_outputs_ == 1 and not (self._per_step and self._output_axis)
        rows = self._in_units_of_y(rows)
        return rows[:, 0] if flat else rows
