"""LSTMClassifier."""

from __future__ import annotations

import sys
from dataclasses import KW_ONLY, dataclass
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.sparse import issparse
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import check_classification_targets

from fastlstm import containers, sequences
from fastlstm.estimators import fitting
from fastlstm.estimators.base import BaseLSTM
from fastlstm.estimators.inputs import check_total
from fastlstm.estimators.parameters import documented
from fastlstm.estimators.validation import validates_parameters
from fastlstm.layers.checks import named
from fastlstm.training.answers import Labels

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike

    from fastlstm.estimators.base import ArrayOrList


@documented
@dataclass(repr=False, eq=False)
class LSTMClassifier(ClassifierMixin, BaseLSTM):
    """Classify series by an LSTM.

    LSTM layers (Hochreiter & Schmidhuber 1997; forget gate of Gers, Schmidhuber & Cummins 2000), or those of another
    cell, read each series, and a linear layer on the last hidden state, or on that after each step, gives the classes'
    scores. Trained by minibatch gradient descent on softmax cross-entropy, or where each series can have several labels
    on the sum of their binary cross-entropies. X may be in any unit: see `standardize`.

    Parameters
    ----------
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
    n_outputs_ : int
        Width of the head: number of classes.
    weights_ : dict of str to ndarray
        ``weight_ih_l0``, ``weight_hh_l0``, ``bias_ih_l0``, ``bias_hh_l0`` and so on, as of ``torch.nn.LSTM`` (or GRU,
        RNN); ``head.weight`` (n_outputs_, D H) for D directions and ``head.bias``.
    validation_scores_, validation_loss_curve_ : list of float or None
        Accuracy and loss on the validation data after every epoch; None without such data.

    Notes
    -----

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

    _: KW_ONLY
    class_weight: dict | Literal["balanced"] | None = None

    _parameter_constraints = {**BaseLSTM._parameter_constraints, "class_weight": [dict, StrOptions({"balanced"}), None]}
    _methods = ("predict", "predict_proba", "predict_log_proba")

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
        return fitting.fit(self, X, y, sample_weight, (X_val, y_val, sample_weight_val))

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
        return fitting.partial_fit(self, X, y, sample_weight, classes)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _answers(self, scaling=None):
        return Labels(self.classes_, self._multilabel)

    def _check_partial(self):
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

    def _check_split(self, trained, held_out):
        if self.validation_split == "tail" and not self._multilabel:
            lost = np.setdiff1d(*(part.targets[part.weights.any(axis=1)] for part in (held_out, trained)))
            if lost.size:
                raise ValueError(
                    f"Labels {containers.few(self.classes_[lost].tolist())} occur only in the last "
                    f"{len(held_out.series)} series, which validation_split='tail' holds out: pass X and y in "
                    "another order, X_val and y_val, or validation_split='random'."
                )

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

    def _n_targets(self):
        return self.n_outputs_ if self._multilabel else 1

    def _score_of(self, scores, targets, weights):
        return _accuracy(self._answers().numbers(scores).reshape(len(scores), -1) == targets, weights)

    def _score_rows(self, y, scores, weights):
        y = self._labels_to_score(y)
        return _accuracy(self._model.answers.predict(scores).reshape(len(y), -1) == y, weights)

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
        return fitted._apply(X, fitted._model.answers.predict)

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
        return fitted._apply(X, fitted._model.answers.predict_proba)

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
        return fitted._apply(X, fitted._model.answers.predict_log_proba)


def _accuracy(right, weights):
    """Part of rows whose every label that counts is right, weighted."""
    return float(np.average((right | (weights == 0)).all(axis=1), weights=weights.mean(axis=1)))


def _check_classes(classes):
    """The labels that `partial_fit` is told, as an array."""
    classes = containers.plain(classes, "classes")
    with named("classes"):
        classes = column_or_1d(classes)
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
