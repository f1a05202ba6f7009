"""LSTMClassifier."""

from __future__ import annotations

import sys
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import issparse
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import check_classification_targets

from fastlstm import containers, sequences
from fastlstm.estimators.base import BaseLSTM
from fastlstm.estimators.inputs import check_total
from fastlstm.estimators.validation import validates_parameters
from fastlstm.layers.checks import named
from fastlstm.training.losses import Loss, log_sigmoid, log_softmax, sigmoid, softmax

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike

    from fastlstm.estimators.base import ArrayOrList


class LSTMClassifier(ClassifierMixin, BaseLSTM):
    """Classify series by an LSTM.

    LSTM layers (Hochreiter & Schmidhuber 1997; forget gate of Gers, Schmidhuber & Cummins 2000), or those of another
    cell, read each series, and a linear layer on the last hidden state, or on that after each step, gives the classes'
    scores. Trained by minibatch gradient descent on softmax cross-entropy, or where each series can have several labels
    on the sum of their binary cross-entropies. X may be in any unit: see `standardize`.

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
        Whether to standardise every channel of X inside: the mean is
        removed, and the rest divided by the standard deviation, both weighted, of the training data. Everything that
        comes out is in the original units. `partial_fit` and `warm_start` keep the first statistics.
    init : {"auto", "standard", "chrono"}, default="auto"
        Initial weights. "standard": input Glorot uniform, recurrent orthogonal, an LSTM's forget bias 1. "chrono" also
        draws the biases of the gates that keep and overwrite the state for lags of up to `longest_lag` steps (Tallec &
        Ollivier 2018). "auto": see Notes.
    longest_lag : int or None, default=None
        Number of steps that ``init="chrono"`` prepares to remember. If None, the length of the longest series.
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
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in training, multiplied with `sample_weight`; "balanced" makes them inverse to their
        frequency. Labels that a dict does not name have weight 1; it may name labels that y lacks, as a part of the
        data may, if it names every label in y.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted; where each series can have several, their numbers.
    n_features_in_ : int
        Channels of a 3-D X, or columns of a 2-D X, seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of columns, where X was a DataFrame, or a list of them, with string names.
    n_outputs_ : int
        Width of the head: number of classes.
    settings_ : dict of str
        What the parameters that may be "auto" came to in the last call of `fit` or `partial_fit`.
    x_mean_, x_scale_ : ndarray of shape (C,) or None
        Mean and standard deviation of each channel; None without `standardize`.
    weights_ : dict of str to ndarray
        ``weight_ih_l0``, ``weight_hh_l0``, ``bias_ih_l0``, ``bias_hh_l0`` and so on, as of ``torch.nn.LSTM`` (or GRU,
        RNN); ``head.weight`` (n_outputs_, D H) for D directions and ``head.bias``.
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
        Accuracy and loss on the validation data after every epoch; None without such data.
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
    LSTMRegressor : The same for numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm import LSTMClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 20))                      # 200 univariate series of 20 steps
    >>> y = np.where(X[:, :5].sum(axis=1) > 0, "up", "down")  # decided by the first steps: remember them
    >>> model = LSTMClassifier(hidden_size=16, learning_rate_init=0.01, max_iter=60, batch_size=20,
    ...                        learning_rate="cosine", random_state=0)
    >>> model.fit(X[:150], y[:150]).score(X[150:], y[150:]) > 0.8
    True
    """

    _parameter_constraints = {**BaseLSTM._parameter_constraints, "class_weight": [dict, StrOptions({"balanced"}), None]}
    _of_scores = {"predict": "_labels", "predict_proba": "_probabilities", "predict_log_proba": "_log_probabilities"}

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
        class_weight=None,
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
        self.class_weight = class_weight

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
        """Train on series and their labels.

        Parameters
        ----------
        X : array of shape (n, T, C) or (n, T), or list of n arrays of shape (T_i, C) or (T_i,)
            n series of T steps of C channels; (n, T) is read as univariate. Series of unequal lengths are a list (or a
            tuple, or an object array), or fill (n, T, C) up with steps of NaN at their ends.
        y : array of shape (n,), or (n, K)
            Labels of any type; or which of K labels each series has, 0 or 1. With `return_sequences`, and only with it,
            for each step: (n, T) or (n, T, K), or a list of one array (T_i,) or (T_i, K) for each series.
        sample_weight : array of shape (n,), or in the form of y, or None, default=None
            Weights of the series, or with `return_sequences` of their steps, or of each of K labels; the loss is the
            weighted mean. A step's or a label's target of weight 0 can be anything. None is ones.
        X_val, y_val, sample_weight_val : like X, y, sample_weight, default=None
            Data to validate on after every epoch. Without them, ``early_stopping=True`` holds out
            `validation_fraction` of X.

        Returns
        -------
        self : LSTMClassifier

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
        >>> from fastlstm import LSTMClassifier
        >>> model = LSTMClassifier(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], ["rise", "fall"])
        >>> model.classes_.tolist()
        ['fall', 'rise']
        """
        return self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val)

    @validates_parameters
    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train for one epoch, going on from what was learned before.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array of shape (n_classes,) or None, default=None
            All labels that will ever occur; needed in the first call, optional later.

        Returns
        -------
        self : LSTMClassifier

        Raises
        ------
        ValueError
            As `fit`; or if `classes` is missing in the first call, differs from it later, or lacks a label of y.

        Examples
        --------
        >>> from fastlstm import LSTMClassifier
        >>> model = LSTMClassifier(8).partial_fit([[0, 1]], ["rise"], classes=["fall", "rise"])
        >>> model.partial_fit([[1, 0]], ["fall"]).n_iter_
        2
        """
        if classes is None and not hasattr(self, "classes_"):
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if classes is not None:
            classes = _check_classes(classes)
        return self._fit(X, y, sample_weight, partial=True, classes=classes)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @property
    def _loss(self):
        return Loss("binary_cross_entropy" if self._multilabel else "cross_entropy")

    def _check_partial(self):
        super()._check_partial()
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' is not supported by partial_fit, which does not see all labels: pass a dict "
                "of weights, for instance from sklearn.utils.compute_class_weight."
            )

    def _encode(self, y, counts, reset, classes=None, name="y"):
        y = y.toarray() if issparse(y) else y
        if getattr(getattr(y, "dtype", None), "kind", None) == "c":
            raise ValueError(
                f"Complex data not supported: {name} is of type {y.dtype}; expected labels that are text or integers."
            )
        shape = sequences.shape_of(y)
        multilabel = len(shape) == 2 and shape[1] > 1
        if reset:
            self._multilabel = multilabel
        elif multilabel != self._multilabel:
            kinds = ["one label", "an indicator for each label"]
            raise ValueError(
                f"{name} has shape {shape}, {kinds[multilabel]}; this model was fitted with {kinds[self._multilabel]}."
            )
        encode = self._encode_indicators if multilabel else self._encode_labels
        return encode(y, counts, reset, classes, name)

    def _encode_labels(self, y, counts, reset, classes, name):
        y, counts = column_or_1d(y, warn=True), counts.any(axis=1)
        seen = y[counts]
        _check_labels(seen, name, np.flatnonzero(counts))
        try:
            with named(name):
                check_classification_targets(seen)
            labels = np.unique(seen if classes is None else classes)
        except TypeError as error:
            raise TypeError(f"The labels in {name} cannot be sorted: {error}. Use labels of one type.") from error
        self._note_classes(labels, reset, classes)
        unseen = np.setdiff1d(seen, self.classes_)
        if unseen.size:
            raise ValueError(
                f"{name} contains labels {containers.few(unseen.tolist())} that are not in classes "
                f"{containers.few(self.classes_.tolist())}: name all labels in the first call of partial_fit, or fit "
                "anew with warm_start=False."
            )
        targets = np.zeros((len(y), 1), np.int64)
        targets[counts, 0] = np.searchsorted(self.classes_, seen)
        return targets

    def _encode_indicators(self, y, counts, reset, classes, name):
        y = np.asarray(containers.numbers_of(y, name))
        y = np.where(counts, y, 0) if y.dtype.kind in "fiub" else y
        if y.dtype.kind not in "fiub" or not np.isin(y, (0, 1)).all():
            raise ValueError(
                f"{name} has shape {y.shape}, which is read as an indicator of {y.shape[1]} labels for each series, "
                "and values other than 0 and 1. Pass one label for each series, or with return_sequences=True for each "
                "step."
            )
        if not reset and y.shape[1] != self.n_outputs_:
            raise ValueError(
                f"{name} has indicators of {y.shape[1]} labels; this model was fitted with {self.n_outputs_}."
            )
        self._note_classes(np.arange(y.shape[1]), reset, classes)
        return y.astype(self.dtype)

    def _note_classes(self, labels, reset, classes):
        if reset:
            self.classes_, self.n_outputs_ = labels, len(labels)
        if classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            given, first = (containers.few(np.asarray(some).tolist()) for some in (classes, self.classes_))
            raise ValueError(f"classes={given} is not the same as in the first call: {first}.")

    def _drawn(self, n, held, targets, seed):
        if self._per_step or self._multilabel:
            return super()._drawn(n, held, targets, seed)
        from sklearn.model_selection import train_test_split  # late: it imports half of scikit-learn

        rows, labels = np.arange(n), targets[:, 0]
        counts = np.bincount(labels, minlength=len(self.classes_))
        number = np.count_nonzero(counts)
        if number == 1 or (min(counts[counts > 0]) > 1 and number <= min(held, n - held)):
            return train_test_split(rows, test_size=held, stratify=labels, random_state=seed)
        # Shares are not possible. As MLPClassifier does with more than two labels, any series may be held out, but
        # here one series of each label is not: what is predicted is what was trained.
        if number == 2 or held < 2 or held > n - number:
            raise ValueError(self._why_none_is_held_out(n, held, counts))
        order = np.random.default_rng(seed).permutation(n)
        kept = np.unique(labels[order], return_index=True)[1]
        others = np.delete(order, kept)
        return np.concatenate([order[kept], others[held:]]), others[:held]

    def _why_none_is_held_out(self, n, held, counts):
        once = self.classes_[counts == 1].tolist()
        if once:
            what = f"Label {once[0]!r} has" if len(once) == 1 else f"Labels {containers.few(once)} have"
            why = f"{what} only 1 series{' each' * (len(once) > 1)}"
        else:
            labels = self.classes_[counts > 0].tolist()
            why = f"There are {len(labels)} labels: {containers.few(labels)}"
        return (
            f"early_stopping=True cannot hold out a share of every label: validation_fraction="
            f"{self.validation_fraction:g} holds out {held} of {n} series. {why}. Pass X_val and y_val, change "
            "validation_fraction, hold out the last series by validation_split='tail', or set early_stopping=False."
        )

    def _split(self, data, rng):
        parts = super()._split(data, rng)
        if self.validation_split == "tail" and not self._multilabel:
            trained, held_out = (targets[weights.any(axis=1)] for _, targets, weights in parts)
            lost = np.setdiff1d(held_out, trained)
            if lost.size:
                raise ValueError(
                    f"Labels {containers.few(self.classes_[lost].tolist())} occur only in the last "
                    f"{len(parts[1][0])} series, which validation_split='tail' holds out: pass X and y in "
                    "another order, X_val and y_val, or validation_split='random'."
                )
        return parts

    def _weigh(self, targets, weights):
        if self.class_weight is None:
            return weights
        if self._multilabel:
            raise ValueError(
                f"class_weight={containers.brief(self.class_weight)} is for one label: with indicators, pass "
                "sample_weight of the shape of y."
            )
        of_class, targets = np.ones(len(self.classes_)), targets[:, 0]
        if self.class_weight == "balanced":
            mass = np.bincount(targets, weights[:, 0], minlength=len(self.classes_))
            seen = mass > 0
            of_class[seen] = mass.sum() / (seen.sum() * mass[seen])
        else:
            given = self.class_weight
            if not all(isinstance(weight, Real) and 0 <= weight <= sys.float_info.max for weight in given.values()):
                raise ValueError(f"class_weight={containers.brief(given)}: expected finite weights of at least 0.")
            # scikit-learn's rule: a part of the data may lack labels, but not while other labels have no weight
            labels = self.classes_.tolist()
            unknown = [label for label in given if label not in labels]
            unweighted = [label for label in labels if label not in given]
            if unknown and unweighted:
                raise ValueError(
                    f"class_weight names {containers.few(unknown)}, which y does not have, and no weight of "
                    f"{containers.few(unweighted)}: name labels as y does, {containers.few(labels)}."
                )
            of_class = np.array([float(given.get(label, 1)) for label in labels])
        with np.errstate(over="ignore"):
            weights = check_total(weights * of_class[targets][:, None], "sample_weight, multiplied by class_weight,")
        if not weights.any():
            raise ValueError(f"class_weight={containers.brief(self.class_weight)} leaves every sample with weight 0.")
        return weights

    def _predicted(self, scores):
        """Class numbers [rows], or indicators [rows, K], of scores."""
        return (scores > 0).astype(int) if self._multilabel else scores.argmax(axis=1)

    def _n_targets(self):
        return self.n_outputs_ if self._multilabel else 1

    def _labels(self, scores):
        predicted = self._predicted(scores)
        return predicted if self._multilabel else self.classes_[predicted]

    def _probabilities(self, scores):
        return sigmoid(scores) if self._multilabel else softmax(scores)

    def _log_probabilities(self, scores):
        return log_sigmoid(scores) if self._multilabel else log_softmax(scores)

    def _score_of(self, scores, targets, weights):
        return _accuracy(self._predicted(scores).reshape(len(scores), -1) == targets, weights)

    def _score_rows(self, y, scores, weights):
        y = self._labels_to_score(y)
        return _accuracy(self._labels(scores).reshape(len(y), -1) == y, weights)

    def _labels_to_score(self, y):
        if issparse(y) or self._multilabel:
            return containers.numbers_of(y, "y")
        _check_labels(np.asarray(y), "y")
        return y

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy: the part of series or, where each step has a label, of steps that is predicted wholly right.

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
        >>> from fastlstm import LSTMClassifier
        >>> model = LSTMClassifier(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], ["rise", "fall"])
        >>> 0 <= model.score([[0, 1], [0, 2]], ["rise", "fall"]) <= 1
        True
        """
        from sklearn.metrics import accuracy_score  # late: a prediction does without it

        def metric(y, predicted, weights):
            return accuracy_score(self._labels_to_score(y), predicted, sample_weight=weights)

        return self._score(X, y, sample_weight, metric)

    def predict(self, X: ArrayLike) -> ArrayOrList:
        """The most probable label of each series, or with `return_sequences` of each step.

        Parameters
        ----------
        X : array or list
            Series with the channels that were fitted, in any form that `fit` takes.

        Returns
        -------
        ndarray of shape (n,), or (n, K) of 0 and 1
            With `return_sequences`, for each step, in the form that X has: (n, T) or (n, T, K), with NaN (None, where
            labels are no numbers) behind an end; or a list of arrays.

        Raises
        ------
        ValueError
            If X is not as described.
        sklearn.exceptions.NotFittedError
            If `fit` was not called.

        Examples
        --------
        >>> from fastlstm import LSTMClassifier
        >>> model = LSTMClassifier(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], ["rise", "fall"])
        >>> model.predict([[0, 1], [0, 2]]).shape
        (2,)
        """
        fitted = self._fitted()
        return fitted._apply(X, fitted._labels)

    def predict_proba(self, X: ArrayLike) -> ArrayOrList:
        """Probability of each class for each series, or with `return_sequences` for each step.

        Parameters
        ----------
        X : array or list
            Series with the channels that were fitted, in any form that `fit` takes.

        Returns
        -------
        ndarray of shape (n, n_classes)
            In the order of `classes_`; rows sum to 1, but where each series has any number of labels. With
            `return_sequences`, (n, T, n_classes) or a list, as of `predict`.

        Raises
        ------
        ValueError, sklearn.exceptions.NotFittedError
            As `predict`.

        Examples
        --------
        >>> from fastlstm import LSTMClassifier
        >>> model = LSTMClassifier(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], ["rise", "fall"])
        >>> model.predict_proba([[0, 1], [0, 2]]).shape
        (2, 2)
        """
        fitted = self._fitted()
        return fitted._apply(X, fitted._probabilities)

    def predict_log_proba(self, X: ArrayLike) -> ArrayOrList:
        """Logarithm of `predict_proba`.

        Parameters
        ----------
        X : array or list
            Series with the channels that were fitted, in any form that `fit` takes.

        Returns
        -------
        ndarray of shape (n, n_classes), or as of `predict_proba`

        Raises
        ------
        ValueError, sklearn.exceptions.NotFittedError
            As `predict`.

        Examples
        --------
        >>> from fastlstm import LSTMClassifier
        >>> model = LSTMClassifier(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], ["rise", "fall"])
        >>> bool((model.predict_log_proba([[0, 1]]) < 0).all())
        True
        """
        fitted = self._fitted()
        return fitted._apply(X, fitted._log_probabilities)


def _accuracy(right, weights):
    """Part of rows whose every label that counts is right, weighted."""
    return float(np.average((right | (weights == 0)).all(axis=1), weights=weights.mean(axis=1)))


def _check_classes(classes):
    """The labels that `partial_fit` is told, as an array."""
    classes = containers.plain(classes, "classes")
    with named("classes"):
        classes = column_or_1d(classes, input_name="classes")
    _check_labels(classes, "classes")
    return classes


def _check_labels(labels, name, rows=None):
    """Raise unless labels can be told apart and sorted; `rows`: where in y they stand, if not all do."""
    if labels.dtype.kind == "f":
        assert_all_finite(labels, input_name=name)
    kinds = set(map(type, labels.ravel().tolist())) if labels.dtype.kind in "OS" else set()
    if any(issubclass(kind, bytes) for kind in kinds):
        raise ValueError(
            f"{name} holds bytes; expected labels that are text or integers: pass [label.decode() for label in {name}]."
        )
    missing = np.array([_is_missing(label) for label in labels.flat]) if kinds else np.array(False)
    if missing.any():
        first, number = int(np.argmax(missing)), int(missing.sum())
        which = "1 missing label," if number == 1 else f"{number} missing labels, the first"
        raise ValueError(
            f"{name} has {which} at index {first if rows is None else rows[first]} ({labels.flat[first]!r}): leave out "
            "what has no label, or give it a label of its own."
        )
    text = {kind for kind in kinds if issubclass(kind, str)}
    if text and kinds - text:
        raise TypeError(
            f"The labels in {name} are of several types, {', '.join(sorted(kind.__name__ for kind in kinds))}. Use "
            f"labels of one type, for instance [str(label) for label in {name}]."
        )


def _is_missing(label):
    if label is None or type(label).__name__ in ("NAType", "NaTType"):
        return True
    return label.is_nan() if isinstance(label, Decimal) else isinstance(label, float) and label != label
