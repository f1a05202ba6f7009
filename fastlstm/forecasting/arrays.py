"""Windows as arrays, for estimators of your own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fastlstm.forecasting.checks import check_count
from fastlstm.forecasting.covariates import read_covariates
from fastlstm.forecasting.panel import read_panel

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray


def make_windows(y: Any, window: int, horizon: int = 1, X: Any = None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Split series into windows and the values that follow each of them.

    Parameters
    ----------
    y : array of shape (T,) or (T, n), Series, DataFrame, list or dict of series, or long table
        The series, as in `LSTMForecaster.fit`.
    window : int
        Number of steps of a window.
    horizon : int, default=1
        Number of values that follow.
    X : array of shape (T, P), DataFrame, list or dict of tables, or long table, default=None
        Covariates at the same steps, as numbers.

    Returns
    -------
    X : ndarray of shape (n_windows, window, 1 + P)
        Windows of the series and its covariates, in order of time, one series after another; without those that NaN
        follows.
    y : ndarray of shape (n_windows, horizon)
        The values that follow. For one series without covariates, both are read-only views, without copies.

    Raises
    ------
    ValueError
        If an argument is invalid, all series are shorter than ``window + horizon``, or NaN follows all windows.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm.forecasting import make_windows
    >>> X, y = make_windows(np.arange(6.0), window=3, horizon=2)
    >>> X[:, :, 0]
    array([[0., 1., 2.],
           [1., 2., 3.]])
    >>> y
    array([[3., 4.],
           [4., 5.]])
    """
    for name, value in (("window", window), ("horizon", horizon)):
        check_count(value, name)
    panel, size = read_panel(y), window + horizon
    longest = max(map(len, panel.values))
    if longest < size:
        raise ValueError(
            f"y has {longest} values, but window={window} and horizon={horizon} require at least {size}: pass longer "
            "series, or reduce window or horizon."
        )
    tables = [values[:, None] for values in panel.values]
    if X is not None:
        covariates, names, kinds = read_covariates(X, panel)
        if "category" in kinds:
            raise ValueError(f"X has categories in column {names[kinds.index('category')]!r}: one-hot encode them.")
        tables = [np.concatenate(pair, axis=1) for pair in zip(tables, covariates, strict=True)]
    parts = [sliding_window_view(table, size, axis=0) for table in tables if len(table) >= size]
    complete = [~np.isnan(part[:, 0, window:]).any(axis=1) for part in parts]
    parts = [part if rows.all() else part[rows] for part, rows in zip(parts, complete, strict=True)]
    if not any(map(len, parts)):
        raise ValueError(f"y has NaN among the {horizon} values after every window: impute missing values.")
    whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return whole[:, :, :window].swapaxes(1, 2), whole[:, 0, window:]
