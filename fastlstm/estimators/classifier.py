"""Classification of series."""

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
from fastlstm.training.outputs import ClassificationOutput

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike

    from fastlstm.estimators.base import ArrayOrList


@documented
@dataclass(repr=False, eq=False)
class LSTMClassifier(ClassifierMixin, BaseLSTM):
    """LSTM classifier for series.

    One or more layers of an LSTM (Hochreiter & Schmidhuber 1997; with the forget gate of Gers, Schmidhuber & Cummins
    2000) or another recurrent cell process each series. A linear layer maps the last hidden state, or with
    `return_sequences` the hidden state after each step, to the scores of the classes. The model is trained by minibatch
    gradient descent on the cross-entropy, or in multi-label classification on the sum of the labels' binary
    cross-entropies.

    Parameters
    ----------
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied with `sample_weight`. "balanced" sets them inversely proportional to class
        frequencies. Labels missing from a dict have weight 1. A dict may contain labels that do not occur in y if it
        contains every label that does.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted; in multi-label classification, the column indices of y.
    n_features_in_ : int
        Number of channels seen during `fit`; for a 2-D X, its number of columns.
    n_outputs_ : int
        Number of outputs of the linear layer, which is the number of classes.
    weights_ : dict of str to ndarray
        Weights of the recurrent layers, named and shaped as in ``torch.nn.LSTM`` (or GRU, RNN): ``weight_ih_l0``,
        ``weight_hh_l0``, ``bias_ih_l0``, ``bias_hh_l0`` and so on. Weights of the linear layer: ``head.weight`` of
        shape (n_outputs_, D H), where D is the number of directions, and ``head.bias`` of shape (n_outputs_,).
    validation_scores_ : list of float or None
        Accuracy on the validation data after each epoch; None without validation data.
    validation_loss_curve_ : list of float or None
        Loss on the validation data after each epoch; None without validation data.

    Notes
    -----

    See Also
    --------
    LSTMRegressor : Regression and probabilistic forecasts.
    SequenceEncoder : Hidden states as features for other estimators.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm import LSTMClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 20))  # 200 univariate series of 20 steps
    >>> y = np.where(X[:, :5].sum(axis=1) > 0, "up", "down")  # depends on the first steps alone
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
        """Fit the model to series and their labels.

        If an error is raised, the estimator remains unchanged.

        Parameters
        ----------
        X : array of shape (n, T, C) or (n, T), or list of n arrays of shape (T_i, C) or (T_i,)
            n series of T steps with C channels; 2-D input is n univariate series, or a table described by `layout`.
            Series of unequal lengths can be a list (or tuple, or object array), or an array of shape (n, T, C) padded
            with NaN at the end. Series that do not fit into memory can be read from storage (``numpy.memmap``, h5py,
            Zarr, Arrow, Parquet and others), see `SeriesSource`.
            With `embedding_size`, n sequences of symbols.
        y : array of shape (n,) or (n, K)
            Class labels of any type, or for multi-label classification indicators 0 or 1 of K labels. If
            ``return_sequences=True``, one label or K indicators per step: an array of shape (n, T) or (n, T, K), or a
            list of n arrays of shape (T_i,) or (T_i, K); with `embedding_size`, also n strings of one character per
            step, as are then the predictions.
        sample_weight : array of shape (n,) or like y, or None, default=None
            Weights of the series, of their steps, or of each of the K labels; the loss is the weighted mean. Where the
            weight of a series, a step or a label is 0, its target may be NaN, which leaves it out. If None, all
            weights are 1.
        X_val, y_val, sample_weight_val : like X, y, sample_weight, default=None
            Validation data, evaluated after each epoch. If None and ``early_stopping=True``, a fraction of the training
            data, `validation_fraction`, is held out.

        Returns
        -------
        self : LSTMClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an input is invalid, or if ``resume=True`` and the checkpoint is damaged or belongs to a
            different fit.
        FloatingPointError
            If training diverges: the loss or its gradient is not finite.
        OSError
            If a checkpoint cannot be written. The previous checkpoint remains valid.

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
        """Train for one more epoch on the given data.

        Parameters
        ----------
        X, y, sample_weight
            See `fit`.
        classes : array of shape (n_classes,) or None, default=None
            All labels that can occur in any call. Required in the first call, optional in later ones.

        Returns
        -------
        self : LSTMClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            See `fit`. Also if `classes` is missing in the first call, differs from the first call, or lacks a label in
            y.

        Examples
        --------
        >>> from fastlstm import LSTMClassifier
        >>> model = LSTMClassifier(8).partial_fit([[0, 1]], ["rise"], classes=["fall", "rise"])
        >>> model.partial_fit([[1, 0]], ["fall"]).n_iter_
        2
        """
        return fitting.partial_fit(self, X, y, sample_weight, self._check_classes(classes))

    def _check_classes(self, classes):
        """Validate `classes` of `partial_fit`."""
        if classes is None and not hasattr(self, "classes_"):
            raise ValueError("classes must be passed on the first call to partial_fit.")
        return None if classes is None else _check_classes(classes)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _output(self, scaling=None):
        return ClassificationOutput(self.classes_, self._multilabel)

    def _check_partial_fit(self):
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' is not supported by partial_fit, which does not see all labels at once: pass "
                "a dict of weights, for example from sklearn.utils.compute_class_weight."
            )

    def _encode(self, y, valid, reset, classes=None, name="y"):
        y = y.toarray() if issparse(y) else y
        if getattr(getattr(y, "dtype", None), "kind", None) == "c":
            raise ValueError(
                f"Complex data not supported: {name} is of type {y.dtype}; expected strings or integers as labels."
            )
        shape = sequences.shape_of(y)
        multilabel = len(shape) == 2 and shape[1] > 1
        if reset:
            self._multilabel = multilabel
        elif multilabel != self._multilabel:
            kinds = ["one label per series or step", "indicators of several labels"]
            raise ValueError(
                f"{name} has shape {shape}, that is, {kinds[multilabel]}, but the model was fitted with "
                f"{kinds[self._multilabel]}."
            )
        encode = self._encode_indicators if multilabel else self._encode_labels
        return encode(y, valid, reset, classes, name)

    def _encode_labels(self, y, valid, reset, classes, name):
        y, valid = column_or_1d(y, warn=True), valid.any(axis=1)
        seen = y[valid]
        _check_labels(seen, name, np.flatnonzero(valid))
        try:
            with named(name):
                check_classification_targets(seen)
            labels = np.unique(seen if classes is None else classes)
        except TypeError as error:
            raise TypeError(f"The labels in {name} cannot be sorted: {error}. Use labels of a single type.") from error
        self._set_classes(labels, reset, classes)
        unseen = np.setdiff1d(seen, self.classes_)
        if unseen.size:
            raise ValueError(
                f"{name} contains labels {containers.few(unseen.tolist())} that are not in classes "
                f"{containers.few(self.classes_.tolist())}: pass all labels as classes in the first call of "
                "partial_fit, or call fit with warm_start=False."
            )
        targets = np.zeros((len(y), 1), np.int64)
        targets[valid, 0] = np.searchsorted(self.classes_, seen)
        return targets

    def _encode_indicators(self, y, valid, reset, classes, name):
        y = np.asarray(containers.numbers_of(y, name))
        y = np.where(valid, y, 0) if y.dtype.kind in "fiub" else y
        if y.dtype.kind not in "fiub" or not np.isin(y, (0, 1)).all():
            raise ValueError(
                f"{name} of shape {y.shape} is interpreted as indicators of {y.shape[1]} labels, but contains values "
                "other than 0 and 1. Pass one label per series, or one per step with return_sequences=True."
            )
        if not reset and y.shape[1] != self.n_outputs_:
            raise ValueError(
                f"{name} has indicators of {y.shape[1]} labels, but the model was fitted with {self.n_outputs_}."
            )
        self._set_classes(np.arange(y.shape[1]), reset, classes)
        return y.astype(self.dtype)

    def _set_classes(self, labels, reset, classes):
        if reset:
            self.classes_, self.n_outputs_ = labels, len(labels)
        if classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            given, first = (containers.few(np.asarray(some).tolist()) for some in (classes, self.classes_))
            raise ValueError(f"classes={given} is not the same as in the first call of partial_fit: {first}.")

    def _random_split(self, n, held, targets, seed):
        if self._per_step or self._multilabel:
            return super()._random_split(n, held, targets, seed)
        from sklearn.model_selection import train_test_split  # imported here because it is slow

        rows, labels = np.arange(n), targets[:, 0]
        counts = np.bincount(labels, minlength=len(self.classes_))
        number = np.count_nonzero(counts)
        if number == 1 or (min(counts[counts > 0]) > 1 and number <= min(held, n - held)):
            return train_test_split(rows, test_size=held, stratify=labels, random_state=seed)
        # Stratification is impossible. Like MLPClassifier with more than two labels, hold out any series, but keep one
        # of each label for training, so that every class is trained.
        if number == 2 or held < 2 or held > n - number:
            raise ValueError(self._stratify_error(n, held, counts))
        order = np.random.default_rng(seed).permutation(n)
        kept = np.unique(labels[order], return_index=True)[1]
        others = np.delete(order, kept)
        return np.concatenate([order[kept], others[held:]]), others[:held]

    def _stratify_error(self, n, held, counts):
        once = self.classes_[counts == 1].tolist()
        if once:
            what = f"Label {once[0]!r} has" if len(once) == 1 else f"Labels {containers.few(once)} have"
            why = f"{what} only 1 series{' each' * (len(once) > 1)}"
        else:
            labels = self.classes_[counts > 0].tolist()
            why = f"There are {len(labels)} labels: {containers.few(labels)}"
        return (
            f"early_stopping=True cannot draw a stratified validation set: validation_fraction="
            f"{self.validation_fraction:g} holds out {held} of {n} series. {why}. Pass X_val and y_val, change "
            "validation_fraction, hold out the last series with validation_split='tail', or set early_stopping=False."
        )

    def _check_split(self, trained, held_out):
        (n, codes), (_, known) = held_out, trained
        lost = np.setdiff1d(codes, known)
        if lost.size:
            raise ValueError(
                f"Labels {containers.few(self.classes_[lost].tolist())} occur only in the last {n} series, which "
                "validation_split='tail' holds out: reorder X and y, pass X_val and y_val, or set "
                "validation_split='random'."
            )

    @property
    def _has_labels(self):
        return not self._multilabel

    def _class_masses(self, targets, weights):
        return np.bincount(targets[:, 0], weights[:, 0], minlength=len(self.classes_))

    def _combine_weights(self, targets, weights, masses):
        if self.class_weight is None:
            return weights
        if self._multilabel:
            raise ValueError(
                f"class_weight={containers.brief(self.class_weight)} is not supported in multi-label classification: "
                "pass a sample_weight of the shape of y."
            )
        of_class, targets = np.ones(len(self.classes_)), targets[:, 0]
        if self.class_weight == "balanced":
            seen = masses > 0
            of_class[seen] = masses.sum() / (seen.sum() * masses[seen])
        else:
            given = self.class_weight
            if not all(isinstance(weight, Real) and 0 <= weight <= sys.float_info.max for weight in given.values()):
                raise ValueError(f"class_weight={containers.brief(given)}: expected finite, non-negative weights.")
            # scikit-learn's rule: keys that do not occur in y are an error only if labels in y have no key
            labels = self.classes_.tolist()
            unknown = [label for label in given if label not in labels]
            unweighted = [label for label in labels if label not in given]
            if unknown and unweighted:
                raise ValueError(
                    f"class_weight has keys {containers.few(unknown)}, which do not occur in y, but none for "
                    f"{containers.few(unweighted)}: use the labels of y, {containers.few(labels)}, as keys."
                )
            of_class = np.array([float(given.get(label, 1)) for label in labels])
        with np.errstate(over="ignore"):
            return check_total(weights * of_class[targets][:, None], "sample_weight, multiplied by class_weight,")

    def _n_targets(self):
        return self.n_outputs_ if self._multilabel else 1

    def _score_encoded(self, scores, targets, weights):
        return _accuracy(self._output().encoded(scores).reshape(len(scores), -1) == targets, weights)

    def _score_rows(self, y, scores, weights):
        y = self._labels_to_score(y)
        return _accuracy(self._model.output.predict(scores).reshape(len(y), -1) == y, weights)

    def _labels_to_score(self, y):
        if issparse(y) or self._multilabel:
            return containers.numbers_of(y, "y")
        _check_labels(np.asarray(y), "y")
        return y

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy of the predicted labels.

        In multi-label classification this is the subset accuracy: all labels of a series, or of a step, must be
        correct.

        Parameters
        ----------
        X, y, sample_weight
            See `fit`.

        Returns
        -------
        float
            Weighted mean accuracy over series, or over steps if ``return_sequences=True``.

        Raises
        ------
        ValueError
            If an input is invalid.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Examples
        --------
        >>> from fastlstm import LSTMClassifier
        >>> model = LSTMClassifier(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], ["rise", "fall"])
        >>> 0 <= model.score([[0, 1], [0, 2]], ["rise", "fall"]) <= 1
        True
        """
        from sklearn.metrics import accuracy_score  # imported here because predictions do not need it

        def metric(y, predicted, weights):
            return accuracy_score(self._labels_to_score(y), predicted, sample_weight=weights)

        return self._score(X, y, sample_weight, metric)

    def predict(self, X: ArrayLike) -> ArrayOrList:
        """Predict class labels.

        Parameters
        ----------
        X : array or list
            Series in any form accepted by `fit`, with the same channels.

        Returns
        -------
        ndarray of shape (n,) or (n, K)
            Most probable label of each series, or indicators of K labels. If ``return_sequences=True``, one label or K
            indicators per step in the form of X: an array of shape (n, T) or (n, T, K), padded after the end of each
            series with NaN, or None if labels are not numbers; or a list of arrays.

        Raises
        ------
        ValueError
            If X is invalid.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Examples
        --------
        >>> from fastlstm import LSTMClassifier
        >>> model = LSTMClassifier(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], ["rise", "fall"])
        >>> model.predict([[0, 1], [0, 2]]).shape
        (2,)
        """
        fitted = self._fitted()
        predicted = fitted._predict_with(X, fitted._model.output.predict)
        return list(map("".join, predicted)) if getattr(fitted, "_tags_are_texts", False) else predicted

    def predict_proba(self, X: ArrayLike) -> ArrayOrList:
        """Predict class probabilities.

        Parameters
        ----------
        X : array or list
            Series in any form accepted by `fit`, with the same channels.

        Returns
        -------
        ndarray of shape (n, n_classes)
            Probability of each class, in the order of `classes_`. In multi-label classification, probability of each
            label. If ``return_sequences=True``, an array of shape (n, T, n_classes) or a list of arrays, as in
            `predict`.

        Raises
        ------
        ValueError, sklearn.exceptions.NotFittedError
            See `predict`.

        Examples
        --------
        >>> from fastlstm import LSTMClassifier
        >>> model = LSTMClassifier(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], ["rise", "fall"])
        >>> model.predict_proba([[0, 1], [0, 2]]).shape
        (2, 2)
        """
        fitted = self._fitted()
        return fitted._predict_with(X, fitted._model.output.predict_proba)

    def predict_log_proba(self, X: ArrayLike) -> ArrayOrList:
        """Predict logarithms of class probabilities.

        Parameters
        ----------
        X : array or list
            Series in any form accepted by `fit`, with the same channels.

        Returns
        -------
        ndarray of shape (n, n_classes)
            Logarithms of the probabilities, in the form of those of `predict_proba`.

        Raises
        ------
        ValueError, sklearn.exceptions.NotFittedError
            See `predict`.

        Examples
        --------
        >>> from fastlstm import LSTMClassifier
        >>> model = LSTMClassifier(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], ["rise", "fall"])
        >>> bool((model.predict_log_proba([[0, 1]]) < 0).all())
        True
        """
        fitted = self._fitted()
        return fitted._predict_with(X, fitted._model.output.predict_log_proba)


def _accuracy(right, weights):
    """Weighted fraction of rows in which all labels with a positive weight are correct."""
    return float(np.average((right | (weights == 0)).all(axis=1), weights=weights.mean(axis=1)))


def _check_classes(classes):
    """Validate `classes` of `partial_fit`, and return it as an array."""
    classes = containers.plain(classes, "classes")
    with named("classes"):
        classes = column_or_1d(classes)
    _check_labels(classes, "classes")
    return classes


def _check_labels(labels, name, rows=None):
    """Raise unless labels are comparable and none is missing; `rows`: their indices in y, if not all are passed."""
    if labels.dtype.kind == "f":
        assert_all_finite(labels, input_name=name)
    kinds = set(map(type, labels.ravel().tolist())) if labels.dtype.kind in "OS" else set()
    if any(issubclass(kind, bytes) for kind in kinds):
        raise ValueError(
            f"{name} contains bytes; expected strings or integers as labels: pass [label.decode() for label in {name}]."
        )
    missing = np.array([_is_missing(label) for label in labels.flat]) if kinds else np.array(False)
    if missing.any():
        first, number = int(np.argmax(missing)), int(missing.sum())
        which = "1 missing label," if number == 1 else f"{number} missing labels, the first"
        raise ValueError(
            f"{name} has {which} at index {first if rows is None else rows[first]} ({labels.flat[first]!r}): drop "
            "these samples, or give them a label of their own."
        )
    text = {kind for kind in kinds if issubclass(kind, str)}
    if text and kinds - text:
        raise TypeError(
            f"The labels in {name} are of several types, {', '.join(sorted(kind.__name__ for kind in kinds))}. Use "
            f"labels of a single type, for example [str(label) for label in {name}]."
        )


def _is_missing(label):
    if label is None or type(label).__name__ in ("NAType", "NaTType"):
        return True
    return label.is_nan() if isinstance(label, Decimal) else isinstance(label, float) and label != label
