"""SequenceScaler: scikit-learn's scalers for series in any form, channel by channel.

Design: no statistic is computed here. All steps of all series make one table with a column for each channel, which a
scaler of scikit-learn learns from or changes. What it learned is copied to public attributes, and from these a scaler
is made again for each call, so that there is nothing beside them that could differ.
"""

from __future__ import annotations

from functools import update_wrapper
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils._set_output import _get_container_adapter
from sklearn.utils.validation import check_is_fitted

from fastlstm import containers, sequences
from fastlstm.estimators.callbacks import CallbackSupportMixin, FitTask
from fastlstm.estimators.drafts import Draft, as_it_is
from fastlstm.estimators.inputs import check_series
from fastlstm.estimators.validation import validates_parameters
from fastlstm.layers.checks import named

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

    from numpy.typing import ArrayLike, NDArray

    from fastlstm.estimators.base import ArrayOrList

SCALERS = {"standard": "StandardScaler", "minmax": "MinMaxScaler", "robust": "RobustScaler"}  # of scikit-learn
LEARNED = {
    "standard": ("mean_", "var_", "scale_", "n_samples_seen_"),
    "minmax": ("data_min_", "data_max_", "data_range_", "min_", "scale_", "n_samples_seen_"),
    "robust": ("center_", "scale_"),
}
# what scikit-learn's updates start from where a channel had no number yet; from its NaN they do not recover
NOTHING_SEEN = {"mean_": 0.0, "var_": 0.0, "data_min_": np.inf, "data_max_": -np.inf}


def _scaler(method):
    from sklearn import preprocessing  # late: a model alone does without it

    scaler = getattr(preprocessing, SCALERS[method])(copy=False)
    return scaler.set_output(transform="default")  # whatever container the user's configuration asks for


class NoUpdateError(ValueError, AttributeError):
    """What was learned cannot be updated: an AttributeError, so that ``hasattr`` says that there is no partial_fit."""


class _UnlessRobust:
    """A method that raises where the scaler's method is "robust"."""

    def __init__(self, function: Callable[..., SequenceScaler]) -> None:
        self.function = function
        update_wrapper(self, function)

    def __get__(self, scaler: Any, owner: type | None = None) -> Callable[..., SequenceScaler]:
        if scaler is not None and scaler.method == "robust":
            raise NoUpdateError(
                "partial_fit with method='robust': quantiles cannot be updated from a part of the data. Call fit with "
                "all of it, or take method='standard' or 'minmax'."
            )
        return self.function.__get__(scaler, owner)


class _TransformerOfSeries(TransformerMixin, auto_wrap_output_keys=None):
    """`transform` with ``set_output`` for 2-D X.

    scikit-learn wraps these methods in the classes that define them, to make tables of all that they return, lists and
    3-D arrays too. Defined in a class that refuses that, they can leave as they are what no table holds.
    """

    def transform(self, X: ArrayLike) -> ArrayOrList:
        """Scale X by what was learned in `fit`.

        Parameters
        ----------
        X : array of shape (n, T, C) or (n, T), or list of n arrays (T_i, C) or (T_i,)
            Series with the channels that were fitted; NaN stays NaN. X itself is not changed.

        Returns
        -------
        like X
            Scaled series in the form of X: an array for an array, a list, tuple or object array of arrays for such.
            For a table with series in its cells, as ColumnTransformer makes it of ``["column"]`` or several columns, an
            object array (n, columns) of series. float32 where all of X is, else float64. For such a table, a Series of
            series and 2-D X, the container that ``set_output`` asks for.

        Raises
        ------
        ValueError
            If X is not as described.
        sklearn.exceptions.NotFittedError
            If `fit` was not called.

        Examples
        --------
        >>> from fastlstm import SequenceScaler
        >>> SequenceScaler("minmax").fit([[0.0, 2.0], [3.0, 4.0]]).transform([[1.0, 2.0]])
        array([[0.25, 0.5 ]])
        """
        check_is_fitted(self)
        fitted = as_it_is(self)
        out = fitted._scaled(X, fitted, "transform")
        adapter = _get_container_adapter("transform", fitted)
        if adapter is None:
            return out
        if containers.is_column(X):
            out = _one_column(out)
        if not (getattr(out, "ndim", 0) == 2 and (out.dtype == object or fitted._columns is not None)):
            return out
        cells = out.tolist() if adapter.container_lib == "polars" and out.dtype == object else out
        return adapter.create_container(cells, X, columns=fitted._names_of(X, out.shape[1]))

    def fit_transform(self, X: ArrayLike, y: object = None) -> ArrayOrList:
        """Learn from X, and scale it.

        Parameters
        ----------
        X : array of shape (n, T, C) or (n, T), or list of n arrays (T_i, C) or (T_i,)
            As in `fit`.
        y : None
            Ignored.

        Returns
        -------
        like X
            As of `transform`.

        Raises
        ------
        ValueError
            As `fit`.

        Examples
        --------
        >>> from fastlstm import SequenceScaler
        >>> SequenceScaler("minmax").fit_transform([[0.0, 2.0], [3.0, 4.0]])
        array([[0.  , 0.5 ],
               [0.75, 1.  ]])
        """
        return self.fit(X, y).transform(X)


class SequenceScaler(OneToOneFeatureMixin, _TransformerOfSeries, CallbackSupportMixin, BaseEstimator):
    """Scale each channel of series of any form, over all steps of all series together.

    What scikit-learn's StandardScaler, MinMaxScaler and RobustScaler do for columns of a table, for ``(n, T, C)``
    arrays, for lists of series of unequal lengths, and for ``(n, T)`` arrays and DataFrames: these are univariate
    series, so that all columns are scaled alike. NaN is left out of what is learned, and stays in what is scaled;
    so do the steps of NaN behind the end of a shorter series in an ``(n, T, C)`` array.

    Parameters
    ----------
    method : {"standard", "minmax", "robust"}, default="standard"
        "standard" gives a channel mean 0 and variance 1, "minmax" the range from 0 to 1, "robust" median 0 and
        interquartile range 1. A channel that is constant is only shifted.

    Attributes
    ----------
    mean_, var_ : ndarray of shape (C,)
        Mean and variance of each channel ("standard").
    data_min_, data_max_, data_range_ : ndarray of shape (C,)
        Smallest and largest value of each channel, and their distance ("minmax").
    min_ : ndarray of shape (C,)
        What is added to a channel after it was multiplied by `scale_` ("minmax").
    center_ : ndarray of shape (C,)
        Median of each channel ("robust").
    scale_ : ndarray of shape (C,)
        What a channel is divided by ("standard", "robust") or multiplied by ("minmax").
    n_samples_seen_ : int or ndarray of shape (C,)
        Steps that were learned from: for "standard" those that are not NaN, one number for each channel where these
        differ; for "minmax" all.
    n_features_in_ : int
        Channels of X seen in fit; of a 2-D X, its columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of columns, where X was a DataFrame, or a list of them, with string names.

    Notes
    -----
    A channel in which there is no number at all becomes NaN.

    ColumnTransformer takes tables only, so select a column of series by a list, ``["column"]``: selected by its name
    alone it is a Series, which stays one-dimensional unless ``set_output`` asks for pandas' or Polars' containers.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm import SequenceScaler
    >>> X = [np.array([[0.0, 10.0], [2.0, 30.0]]), np.array([[4.0, np.nan]])]  # 2 steps and 1 step of 2 channels
    >>> scaler = SequenceScaler("minmax").fit(X)
    >>> scaler.data_max_
    array([ 4., 30.])
    >>> scaler.transform(X)
    [array([[0. , 0. ],
           [0.5, 1. ]]), array([[ 1., nan]])]
    """

    _parameter_constraints = {"method": [StrOptions(set(SCALERS))]}

    def __init__(self, method: str = "standard") -> None:
        self.method = method

    @validates_parameters
    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn each channel's location and scale.

        Parameters
        ----------
        X : array of shape (n, T, C) or (n, T), or list of n arrays (T_i, C) or (T_i,)
            n series of C channels. (n, T) and (T_i,) are univariate; a series in a 3-D array ends where only steps of
            NaN follow. A list may be a tuple or an object array.
        y : None
            Ignored.

        Returns
        -------
        self : SequenceScaler

        Raises
        ------
        ValueError
            If `method` or X is not as described. The scaler stays as it was.

        Examples
        --------
        >>> from fastlstm import SequenceScaler
        >>> SequenceScaler().fit([[1.0, 2.0], [3.0, 4.0]]).mean_
        array([2.5])
        """
        task = FitTask(self, X, y)
        draft = Draft(self)
        draft.copy._learn(X)
        draft.adopt()
        task.end()
        return self

    @_UnlessRobust
    @validates_parameters
    def partial_fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn from X too, beside what was learned from before; not with ``method="robust"``.

        Parameters
        ----------
        X : array of shape (n, T, C) or (n, T), or list of n arrays (T_i, C) or (T_i,)
            As in `fit`.
        y : None
            Ignored.

        Returns
        -------
        self : SequenceScaler

        Raises
        ------
        ValueError
            If `method` or X is not as described, or `method` is not the one that was fitted. The scaler stays as it
            was. Also if `method` is "robust": quantiles cannot be updated.

        Examples
        --------
        >>> from fastlstm import SequenceScaler
        >>> SequenceScaler().partial_fit([[1.0, 2.0]]).partial_fit([[3.0, 4.0]]).mean_
        array([2.5])
        """
        self._validate_params()  # scikit-learn's `_fit_context` skips this once the scaler is fitted
        if not hasattr(self, "_method"):
            return self.fit(X)
        if self.method != self._method:
            raise ValueError(
                f"method={self.method!r}, but what partial_fit would go on from was learned by method="
                f"{self._method!r}: call fit, or set method back."
            )
        draft = Draft(self)
        draft.copy._learn_more(X)
        draft.adopt()
        return self

    def inverse_transform(self, X: ArrayLike) -> ArrayOrList:
        """Scale X back.

        Parameters
        ----------
        X : array of shape (n, T, C) or (n, T), or list of n arrays (T_i, C) or (T_i,)
            Scaled series. Of one channel, (n, T) may have any number of columns, whatever their names: for instance
            predictions of the next T values.

        Returns
        -------
        like X
            In the form of X, as of `transform`, but always float64, which keeps a large location; a DataFrame becomes
            an array.

        Raises
        ------
        ValueError
            If X is not as described.
        sklearn.exceptions.NotFittedError
            If `fit` was not called.

        Examples
        --------
        >>> from fastlstm import SequenceScaler
        >>> scaler = SequenceScaler("minmax").fit([[0.0, 2.0], [3.0, 4.0]])
        >>> scaler.inverse_transform([[0.25, 0.5, 2.0]])
        array([[1., 2., 8.]])
        """
        check_is_fitted(self)
        fitted = as_it_is(self)
        of_any_columns = as_it_is(fitted)
        of_any_columns._columns = None
        if fitted._columns is not None:
            of_any_columns.__dict__.pop("feature_names_in_", None)  # of steps, not of channels
        return fitted._scaled(X, of_any_columns, "inverse_transform", "float64")

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Names of what `transform` returns: those of what it is given.

        Parameters
        ----------
        input_features : array of str or None, default=None
            Names of the channels, or of the columns of a 2-D X. For series that are the cells of one column, also the
            name of that column. None is `feature_names_in_` or, without it, ``x0``, ``x1`` and so on.

        Returns
        -------
        ndarray of str

        Raises
        ------
        ValueError
            If there are more or fewer names, or others than were seen in `fit`.
        sklearn.exceptions.NotFittedError
            If `fit` was not called.

        Examples
        --------
        >>> from fastlstm import SequenceScaler
        >>> SequenceScaler().fit([[1.0, 2.0], [3.0, 4.0]]).get_feature_names_out()
        array(['x0', 'x1'], dtype=object)
        """
        check_is_fitted(self)
        with named("input_features"):
            seen = getattr(self, "feature_names_in_", ())
            if self._columns is None and (np.shape(input_features) == (1,) or np.array_equal(input_features, seen)):
                return np.asarray(input_features, dtype=object)  # columns of series stay such, whatever their channels
            return super().get_feature_names_out(input_features)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _learn(self, X):
        table = self._table(X, reset=True)
        absent = _without_numbers(table)
        learned = _scaler(self.method).fit(table)
        for name in {name for names in LEARNED.values() for name in names}:
            self.__dict__.pop(name, None)  # of another method
        self._method = self.method
        self._keep(learned, absent, {})

    def _learn_more(self, X):
        table = self._table(X, reset=False)
        absent = _without_numbers(table)
        before = self._learned()
        start = before | {
            name: np.where(np.isnan(before[name]), nothing, before[name])
            for name, nothing in NOTHING_SEEN.items()
            if name in before
        }
        self._keep(self._scaler(start).partial_fit(table), absent, before)

    def _names_of(self, X, number):
        """Names for the `number` columns of what `transform` makes of X."""
        name = getattr(X, "name", None) if containers.is_column(X) else None
        if name not in (None, ""):
            return np.array([name], object)
        names = self.get_feature_names_out()
        return names if len(names) == number else np.array([f"x{k}" for k in range(number)], object)

    def _table(self, X, reset):
        return check_series(self, X, None, reset, missing="keep").table()

    def _learned(self):
        return {name: getattr(self, name) for name in LEARNED[self._method]}

    def _keep(self, scaler, absent, before):
        """Take over what `scaler` learned; channels without a number keep what was known `before`, or get NaN."""
        for name in LEARNED[self._method]:
            value = getattr(scaler, name)
            counts = name == "n_samples_seen_"
            if absent.any() and not (counts and self._method == "minmax"):
                value = np.where(absent, before.get(name, 0 if counts else np.nan), value)
            setattr(self, name, value)

    def _scaler(self, learned):
        scaler = _scaler(self._method)
        vars(scaler).update(learned)
        return scaler

    def _scaled(self, X, checked_for, what, dtype=None):
        """X in its own form, `what` done to its steps; of its own dtype unless another is given."""
        warn = what == "transform"  # predictions, which come back without names, are scaled back, too
        series = check_series(checked_for, X, dtype, reset=False, missing="keep", warn_of_names=warn)
        rows = getattr(self._scaler(self._learned()), what)(series.table())
        if series.widths is not None:
            return series.cells(rows)
        out = series.restore(rows)
        if series.form == "array":
            return out.reshape(sequences.shape_of(X))
        for n in np.flatnonzero(series.flat):  # without the axis that (T_i,) was given
            out[n] = out[n].reshape(-1)
        return tuple(out) if isinstance(X, tuple) else out


def _one_column(members):
    """Series as the cells of a table of one column: objects [n, 1]."""
    out = np.empty((len(members), 1), object)
    out[:, 0] = members
    return out


def _without_numbers(table):
    """[C]: whether a channel is NaN at all steps. It becomes 0 in `table`: scikit-learn's scalers warn of it."""
    absent = np.isnan(table).all(axis=0)
    table[:, absent] = 0
    return absent
