"""Scaling of the channels of series by scikit-learn's scalers.

# Design: no statistics are computed here. The steps of all series form a table with one column per channel, to which a
# scikit-learn scaler is fitted or applied. Its fitted attributes are copied to the SequenceScaler, and each call makes
# a new scaler from them, so that there is no second copy of the state that could differ.
"""

from __future__ import annotations

from functools import update_wrapper
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils._set_output import _get_container_adapter
from sklearn.utils.validation import check_is_fitted

from fastlstm import containers, sequences
from fastlstm.estimators.atomic import AtomicUpdate, snapshot
from fastlstm.estimators.callbacks import CallbackSupportMixin, FitTask
from fastlstm.estimators.estimator import Estimator
from fastlstm.estimators.inputs import check_series
from fastlstm.estimators.validation import validates_parameters
from fastlstm.layers.checks import named
from fastlstm.storage import StoredSeries

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

    from numpy.typing import ArrayLike, NDArray

    from fastlstm.estimators.base import ArrayOrList

SCALERS = {"standard": "StandardScaler", "minmax": "MinMaxScaler", "robust": "RobustScaler"}
FITTED_ATTRIBUTES = {
    "standard": ("mean_", "var_", "scale_", "n_samples_seen_"),
    "minmax": ("data_min_", "data_max_", "data_range_", "min_", "scale_", "n_samples_seen_"),
    "robust": ("center_", "scale_"),
}
# Initial values for scikit-learn's partial_fit in channels that were all NaN so far; it would keep their NaN forever
INITIAL_VALUES = {"mean_": 0.0, "var_": 0.0, "data_min_": np.inf, "data_max_": -np.inf}


def _scaler(method):
    from sklearn import preprocessing  # imported here because the other estimators do not need it

    scaler = getattr(preprocessing, SCALERS[method])(copy=False)
    return scaler.set_output(transform="default")  # arrays, whatever the global configuration is


class NoUpdateError(ValueError, AttributeError):
    """partial_fit is not available; an AttributeError, too, so that ``hasattr`` returns False."""


class _UnlessRobust:
    """Descriptor of a method that is not available if ``method="robust"``."""

    def __init__(self, function: Callable[..., SequenceScaler]) -> None:
        self.function = function
        update_wrapper(self, function)

    def __get__(self, scaler: Any, owner: type | None = None) -> Callable[..., SequenceScaler]:
        if scaler is not None and scaler.method == "robust":
            raise NoUpdateError(
                "partial_fit does not support method='robust', whose quantiles cannot be updated incrementally: call "
                "fit with all data, or use method='standard' or 'minmax'."
            )
        return self.function.__get__(scaler, owner)


class _TransformerOfSeries(TransformerMixin, auto_wrap_output_keys=None):
    """`transform` and `fit_transform`, with ``set_output`` for 2-D output only.

    scikit-learn wraps these methods in the class that defines them and converts whatever they return to a DataFrame,
    even lists and 3-D arrays. This class opts out of the wrapping and converts 2-D output itself.
    """

    def transform(self, X: ArrayLike) -> ArrayOrList:
        """Scale series.

        Parameters
        ----------
        X : array of shape (n, T, C) or (n, T), or list of n arrays of shape (T_i, C) or (T_i,)
            Series with the same channels as in `fit`. NaN remains NaN. X is not modified. Series that are read from
            storage, see `SeriesSource`, are returned in memory; estimators with ``standardize=True`` scale them
            minibatch by minibatch instead.

        Returns
        -------
        array, list or tuple
            Scaled series in the form of X, float32 if X is float32 throughout and float64 otherwise. For a DataFrame
            with series in its cells, such as ColumnTransformer passes for ``["column"]``, an object array of shape
            (n, n_columns). For such a DataFrame, a Series of series, and 2-D X, the container configured by
            ``set_output``.

        Raises
        ------
        ValueError
            If X is invalid.
        sklearn.exceptions.NotFittedError
            If the scaler is not fitted.

        Examples
        --------
        >>> from fastlstm import SequenceScaler
        >>> SequenceScaler("minmax").fit([[0.0, 2.0], [3.0, 4.0]]).transform([[1.0, 2.0]])
        array([[0.25, 0.5 ]])
        """
        check_is_fitted(self)
        fitted = snapshot(self)
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
        """Fit to X, then scale it.

        Parameters
        ----------
        X : array of shape (n, T, C) or (n, T), or list of n arrays of shape (T_i, C) or (T_i,)
            See `fit`.
        y : None
            Ignored.

        Returns
        -------
        array, list or tuple
            See `transform`.

        Raises
        ------
        ValueError
            See `fit`.

        Examples
        --------
        >>> from fastlstm import SequenceScaler
        >>> SequenceScaler("minmax").fit_transform([[0.0, 2.0], [3.0, 4.0]])
        array([[0.  , 0.5 ],
               [0.75, 1.  ]])
        """
        return self.fit(X, y).transform(X)


class SequenceScaler(OneToOneFeatureMixin, _TransformerOfSeries, CallbackSupportMixin, Estimator):
    """Scale each channel of series, over all steps of all series together.

    Applies scikit-learn's StandardScaler, MinMaxScaler or RobustScaler to the channels of ``(n, T, C)`` arrays, of
    lists of series of unequal lengths, and of ``(n, T)`` arrays and DataFrames. The latter are univariate series, so
    all their columns are scaled alike. NaN is ignored in `fit` and preserved in `transform`; so is the padding of NaN
    at the end of shorter series in an ``(n, T, C)`` array.

    Parameters
    ----------
    method : {"standard", "minmax", "robust"}, default="standard"
        "standard" scales each channel to zero mean and unit variance, "minmax" to the range [0, 1], and "robust" to
        zero median and unit interquartile range. Constant channels are only centred.

    Attributes
    ----------
    mean_ : ndarray of shape (C,)
        Mean of each channel. Only for "standard".
    var_ : ndarray of shape (C,)
        Variance of each channel. Only for "standard".
    data_min_ : ndarray of shape (C,)
        Minimum of each channel. Only for "minmax".
    data_max_ : ndarray of shape (C,)
        Maximum of each channel. Only for "minmax".
    data_range_ : ndarray of shape (C,)
        Range of each channel. Only for "minmax".
    min_ : ndarray of shape (C,)
        Offset added to each channel after multiplication by `scale_`. Only for "minmax".
    center_ : ndarray of shape (C,)
        Median of each channel. Only for "robust".
    scale_ : ndarray of shape (C,)
        Divisor ("standard" and "robust") or factor ("minmax") of each channel.
    n_samples_seen_ : int or ndarray of shape (C,)
        Number of steps seen. For "standard", the number of steps that are not NaN: an int if it is the same for all
        channels, else an array.
    n_features_in_ : int
        Number of channels seen during `fit`; for a 2-D X, its number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during `fit`. Defined only if X is a DataFrame, or a list of DataFrames, whose column
        names are all strings.

    Notes
    -----
    A channel that was all NaN in `fit` is transformed to NaN.

    In a ColumnTransformer, select a column of series by a list, ``["column"]``. Selected by a string, it is passed as a
    Series, and the result is one-dimensional, which ColumnTransformer rejects, unless ``set_output`` is configured for
    pandas or Polars.

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
        """Compute the location and the scale of each channel.

        If an error is raised, the scaler remains unchanged.

        Parameters
        ----------
        X : array of shape (n, T, C) or (n, T), or list of n arrays of shape (T_i, C) or (T_i,)
            n series of T steps with C channels; 2-D input is n univariate series. Series of unequal lengths can be a
            list (or tuple, or object array), or an array of shape (n, T, C) padded with NaN at the end. Series that do
            not fit into memory can be read from storage, see `SeriesSource`, in blocks, unless ``method="robust"``,
            which needs all values at once.
        y : None
            Ignored.

        Returns
        -------
        self : SequenceScaler
            The fitted scaler.

        Raises
        ------
        ValueError
            If `method` or X is invalid.

        Examples
        --------
        >>> from fastlstm import SequenceScaler
        >>> SequenceScaler().fit([[1.0, 2.0], [3.0, 4.0]]).mean_
        array([2.5])
        """
        task = FitTask(self, X, y)
        update = AtomicUpdate(self)
        update.copy._fit(X)
        update.commit()
        task.end()
        return self

    @_UnlessRobust
    @validates_parameters
    def partial_fit(self, X: ArrayLike, y: object = None) -> Self:
        """Update the location and the scale of each channel with more data.

        Not available for ``method="robust"``.

        Parameters
        ----------
        X : array of shape (n, T, C) or (n, T), or list of n arrays of shape (T_i, C) or (T_i,)
            See `fit`.
        y : None
            Ignored.

        Returns
        -------
        self : SequenceScaler
            The fitted scaler.

        Raises
        ------
        ValueError
            If `method` or X is invalid, or `method` is "robust" or has changed since the previous call.

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
                f"method={self.method!r}, but this scaler was fitted with method={self._method!r}: call fit, or set "
                f"method={self._method!r}."
            )
        update = AtomicUpdate(self)
        update.copy._update(X)
        update.commit()
        return self

    def inverse_transform(self, X: ArrayLike) -> ArrayOrList:
        """Undo the scaling.

        Parameters
        ----------
        X : array of shape (n, T, C) or (n, T), or list of n arrays of shape (T_i, C) or (T_i,)
            Scaled series. With a single channel, a 2-D X may have any number of columns with any names, such as
            predictions of the next T values.

        Returns
        -------
        array, list or tuple
            Series in the original units, in the form of X (an array for a DataFrame). Always float64, since the values
            may be large compared to their scale.

        Raises
        ------
        ValueError
            If X is invalid.
        sklearn.exceptions.NotFittedError
            If the scaler is not fitted.

        Examples
        --------
        >>> from fastlstm import SequenceScaler
        >>> scaler = SequenceScaler("minmax").fit([[0.0, 2.0], [3.0, 4.0]])
        >>> scaler.inverse_transform([[0.25, 0.5, 2.0]])
        array([[1., 2., 8.]])
        """
        check_is_fitted(self)
        fitted = snapshot(self)
        of_any_columns = snapshot(fitted)
        of_any_columns._columns = None
        if fitted._columns is not None:
            of_any_columns.__dict__.pop("feature_names_in_", None)  # names of steps, not of channels
        return fitted._scaled(X, of_any_columns, "inverse_transform", "float64")

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Names of the output features, which are those of the input features.

        Parameters
        ----------
        input_features : array of str or None, default=None
            Names of the channels, or of the columns of a 2-D X; for a column of series, also the name of that column.
            If None, `feature_names_in_` if defined, else ``x0``, ``x1`` and so on.

        Returns
        -------
        ndarray of str

        Raises
        ------
        ValueError
            If `input_features` does not match the features seen during `fit`.
        sklearn.exceptions.NotFittedError
            If the scaler is not fitted.

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
                return np.asarray(input_features, dtype=object)  # a column of series keeps its name
            return super().get_feature_names_out(input_features)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _fit(self, X):
        series = check_series(self, X, None, reset=True, missing="keep")
        for name in {name for names in FITTED_ATTRIBUTES.values() for name in names}:
            self.__dict__.pop(name, None)  # attributes of another method
        self._method = self.method
        parts = iter([series]) if self.method == "robust" else series.parts()  # quantiles are those of all values
        table = next(parts).table()
        all_nan = _all_nan(table)
        self._store(_scaler(self.method).fit(table), all_nan, {})
        self._update_by(parts)

    def _update(self, X):
        self._update_by(check_series(self, X, None, reset=False, missing="keep").parts())

    def _update_by(self, parts):
        for part in parts:
            table = part.table()
            all_nan = _all_nan(table)
            before = self._fitted_values()
            start = before | {
                name: np.where(np.isnan(before[name]), initial, before[name])
                for name, initial in INITIAL_VALUES.items()
                if name in before
            }
            self._store(self._scaler(start).partial_fit(table), all_nan, before)

    def _names_of(self, X, number):
        """Names of the `number` columns of the output of `transform`."""
        name = getattr(X, "name", None) if containers.is_column(X) else None
        if name not in (None, ""):
            return np.array([name], object)
        names = self.get_feature_names_out()
        return names if len(names) == number else np.array([f"x{k}" for k in range(number)], object)

    def _fitted_values(self):
        return {name: getattr(self, name) for name in FITTED_ATTRIBUTES[self._method]}

    def _store(self, scaler, all_nan, before):
        """Copy the attributes of `scaler`; channels that are all NaN keep their values `before`, or get NaN."""
        for name in FITTED_ATTRIBUTES[self._method]:
            value = getattr(scaler, name)
            counts = name == "n_samples_seen_"
            if all_nan.any() and not (counts and self._method == "minmax"):
                value = np.where(all_nan, before.get(name, 0 if counts else np.nan), value)
            setattr(self, name, value)

    def _scaler(self, learned):
        scaler = _scaler(self._method)
        vars(scaler).update(learned)
        return scaler

    def _scaled(self, X, checked_for, what, dtype=None):
        """The result of the scaler's method `what` on X, in the form of X, and in its dtype unless one is given."""
        warn = what == "transform"  # predictions, to which `inverse_transform` is applied, have no names
        series = check_series(checked_for, X, dtype, reset=False, missing="keep", warn_of_names=warn)
        rows = getattr(self._scaler(self._fitted_values()), what)(series.table())
        if series.widths is not None:
            return series.cells(rows)
        out = series.restore(rows)
        if series.form == "array":
            return out.reshape(series.source.shape if isinstance(series, StoredSeries) else sequences.shape_of(X))
        for n in np.flatnonzero(series.flat):  # series that were passed as (T_i,)
            out[n] = out[n].reshape(-1)
        return tuple(out) if isinstance(X, tuple) else out


def _one_column(members):
    """Series as the cells of a table with one column: object array [n, 1]."""
    out = np.empty((len(members), 1), object)
    out[:, 0] = members
    return out


def _all_nan(table):
    """Mask [C] of the channels that are all NaN; sets them to 0 in `table`, since scikit-learn's scalers would warn."""
    all_nan = np.isnan(table).all(axis=0)
    table[:, all_nan] = 0
    return all_nan
