"""Layouts: which columns of a 2-D X are lags of which channel, and in which order.

# Design: a layout is resolved once, in `fit`, to the column of each step and channel, since some libraries name the
# columns in `fit` only. Reading a table is then a single `take`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Literal

import numpy as np

from fastlstm import containers, sequences

Column = int | str

LAG = re.compile(r"lag_?(\d+)")  # lag3 or lag_3
LAG_OF_CHANNEL = re.compile(r"((?:lag_\d+__)+)(.+)")  # lag_0__y, or lag_1__lag_0__y for lag 1 of lag 0


@dataclass(frozen=True)
class TableLayout:
    """Layout of the columns of a 2-D X.

    The lag columns become the steps of the series. Values known for the time of the target, such as calendar features
    and exogenous variables, and static features become channels that are constant over the steps.

    Columns are given by position, negative if counted from the end, or by name. Every column must have exactly one
    role.

    Parameters
    ----------
    lags : int, sequence of columns, dict of str to sequence of columns, or None, default=None
        A sequence lists the lags of a single channel, and a dict those of several. If None, all columns that are not in
        `known` or `static` are the lags of a single channel. An int is the number of lags per channel: these columns
        are then divided into blocks of adjacent columns, one per channel. A channel with fewer lags than another is
        extended by repeating its oldest.
    known : sequence of columns, default=()
        Values known for the time of the target.
    static : sequence of columns, default=()
        Features of the whole series.
    time_order : {"oldest_first", "newest_first"}, default="oldest_first"
        Order of the lags of each channel.
    channels_first : bool, default=False
        Whether a 3-D X has shape (n, C, T) instead of (n, T, C), and the arrays in a list shape (C, T_i) instead of
        (T_i, C).

    Raises
    ------
    ValueError
        If a parameter is invalid.

    Notes
    -----
    The layouts below can also be given by name, as in ``LSTMRegressor(layout="skforecast")``. They read the names of
    the columns if these are names of lags (see the parameter `time_order` of the estimators). All columns of a table
    without names are lags, so list other columns in a `TableLayout`:

    ============ ====================================== ======================================================
    name         same as                                with two known values per row
    ============ ====================================== ======================================================
    "skforecast" TableLayout(time_order="newest_first") TableLayout(known=[-2, -1], time_order="newest_first")
    "mlforecast" TableLayout(time_order="newest_first") TableLayout(known=[0, 1], time_order="newest_first")
    "sktime"     TableLayout(channels_first=True)       (no known values, see below)
    "aeon"       TableLayout(channels_first=True)       TableLayout(known=[-2, -1])
    "darts"      TableLayout()                          TableLayout(known=[-2, -1])
    ============ ====================================== ======================================================

    Tested with skforecast 0.26, mlforecast 1.1, sktime 1.2, aeon 1.6 and darts 0.48. skforecast appends window features
    and exogenous variables to the lags, and ``ForecasterDirectMultiVariate`` has one block of lags per series. sktime's
    tabular reduction has one block of lags for the target and for each exogenous variable, which is
    ``TableLayout(lags=window_length)``. darts has one block for the target series and one for the past covariates, in
    each of which columns are ordered by time and then by component: for two target components and 24 lags,
    ``TableLayout(lags={"a": range(0, 48, 2), "b": range(1, 48, 2)})``. Future covariates are known values if their lag
    is not negative. In a Pipeline, ``set_output(transform="pandas")`` keeps the names of columns.

    Examples
    --------
    Lags 1 to 3, followed by two exogenous variables:

    >>> import numpy as np
    >>> from fastlstm import LSTMRegressor, TableLayout
    >>> X = np.random.default_rng(0).normal(size=(50, 5))
    >>> layout = TableLayout(lags=3, known=[-2, -1], time_order="newest_first")
    >>> model = LSTMRegressor(8, layout=layout, max_iter=2, learning_rate="cosine").fit(X, X[:, 2] + X[:, 4])
    >>> model.n_features_in_
    5
    >>> model.hidden_states(X).shape
    (50, 3, 8)
    """

    lags: int | Sequence[Column] | Mapping[str, Sequence[Column]] | None = None
    known: Sequence[Column] = ()
    static: Sequence[Column] = ()
    time_order: Literal["oldest_first", "newest_first"] = "oldest_first"
    channels_first: bool = False

    def __post_init__(self):
        if isinstance(self.lags, bool) or (isinstance(self.lags, Integral) and self.lags < 1):
            raise ValueError(f"lags={self.lags!r}: expected a number of lags, 1 or more.")
        lags = self.lags
        if isinstance(lags, Mapping):
            lags = {channel: _column_list(columns, f"lags[{channel!r}]") for channel, columns in lags.items()}
        elif lags is not None and not isinstance(lags, Integral):
            lags = _column_list(lags, "lags")
        object.__setattr__(self, "lags", lags)
        for name in ("known", "static"):
            object.__setattr__(self, name, _column_list(getattr(self, name), name))
        if self.time_order not in ("oldest_first", "newest_first"):
            raise ValueError(f"time_order={self.time_order!r}: expected 'oldest_first' or 'newest_first'.")


def _column_list(columns, name):
    """Positions or names of columns as a tuple, or as a range if given as one."""
    columns = columns.tolist() if isinstance(columns, np.ndarray) else columns
    if not isinstance(columns, Sequence) or isinstance(columns, (str, bytes)):
        raise ValueError(f"{name}={containers.brief(columns)}: expected a sequence of column positions or names.")
    for column in columns:
        if isinstance(column, bool) or not isinstance(column, (Integral, str)):
            raise ValueError(f"{name} contains {column!r}; expected column positions or names.")
    return columns if isinstance(columns, range) else tuple(columns)


LIBRARIES = {
    "skforecast": TableLayout(time_order="newest_first"),
    "mlforecast": TableLayout(time_order="newest_first"),
    "sktime": TableLayout(channels_first=True),
    "aeon": TableLayout(channels_first=True),
    "darts": TableLayout(),
}


@dataclass(frozen=True, eq=False)
class Plan:
    """A resolved layout."""

    columns: np.ndarray | None = None  # [T, C]: column of each step and channel; None if each column is a step
    lagged: int = 1  # number of channels with lags, which precede the constant ones
    channels_first: bool = False

    def __eq__(self, other):
        same = (self.lagged, self.channels_first) == (other.lagged, other.channels_first)
        return same and np.array_equal(self.columns, other.columns)

    @property
    def n_channels(self):
        """Number of channels of a table's series."""
        return 1 if self.columns is None else self.columns.shape[1]

    def labels(self, names):
        """[T, C]: name or position of the column of each step and channel; None if each column is a step."""
        return self.columns if names is None or self.columns is None else names[self.columns]

    def read(self, X):
        """`Series` of a table X; lags that are NaN before the first value of a series are not steps."""
        if self.columns is None:
            return sequences.of_array(X)
        T, C = self.columns.shape
        X = X.take(self.columns.reshape(-1), axis=1).reshape(len(X), T, C)
        series = sequences.of_array(X)
        if not np.isnan(X[:, 0, : self.lagged]).any():
            return series
        unseen = np.isnan(X[:, :-1, : self.lagged]).all(axis=2)  # there is always a last step
        skipped = np.logical_and.accumulate(unseen, axis=1).sum(axis=1)
        return replace(series, at=series.at + skipped * C, lengths=T - skipped)


UNIVARIATE = Plan()


def resolve(layout, time_order, n_columns=None, names=None):
    """The `Plan` for the parameters `layout` and `time_order`.

    n_columns, names: number of columns of a 2-D X, and their names or None; for other forms of X, None.
    """
    table = LIBRARIES[layout] if isinstance(layout, str) else layout
    if table is not None and time_order not in ("auto", table.time_order):
        raise ValueError(
            f"time_order={time_order!r}, but layout={containers.brief(layout)} is {table.time_order!r}: set "
            "time_order='auto', or another layout."
        )
    if n_columns is None:
        return _plan_of_series(layout, table, time_order)
    if table is None and time_order == "newest_first":
        table = TableLayout(time_order=time_order)
    elif names is not None and (isinstance(layout, str) or (layout is None and time_order == "auto")):
        table = _layout_of_names(names) or table
    return UNIVARIATE if table is None else _plan_of_table(table, n_columns, names)


def _plan_of_series(layout, table, time_order):
    """The `Plan` for an X that is not 2-D; raises if the parameters describe columns."""
    of_columns = time_order == "newest_first"
    if table is not None:
        of_columns |= replace(table, channels_first=False) != TableLayout()
    if of_columns:
        given = f"time_order={time_order!r}" if layout is None else f"layout={containers.brief(layout)}"
        raise ValueError(
            f"{given} describes the columns of a 2-D X, but X has another form: pass a table of shape (n, columns), or "
            "set layout=None and time_order='auto' and pass series with the oldest step first."
        )
    return UNIVARIATE if table is None else Plan(channels_first=table.channels_first)


def _layout_of_names(names):
    """The `TableLayout` according to the names of columns, or None if none of them is a lag."""
    lags, known = {}, []
    for column, name in enumerate(names):
        channel, lag = _lag_of(name)
        if lag is None:
            known.append(column)
            continue
        of_channel = lags.setdefault(channel, {})
        if lag in of_channel:
            raise ValueError(
                f"Columns {names[of_channel[lag]]!r} and {name!r} of X are both lag {lag}: rename or drop one of them, "
                "or set time_order='oldest_first' or 'newest_first' to ignore the names."
            )
        of_channel[lag] = column
    if not lags:
        return None
    oldest_first = {
        channel: [of_channel[lag] for lag in sorted(of_channel, reverse=True)] for channel, of_channel in lags.items()
    }
    return TableLayout(oldest_first, known)


def _lag_of(name):
    """Channel and lag of a column named like ``lag3``, ``lag_3`` or ``lag_1__lag_2__y``; the lag is None for others."""
    if found := LAG.fullmatch(name):
        return "", int(found[1])
    if found := LAG_OF_CHANNEL.fullmatch(name):
        return found[2], sum(map(int, re.findall(r"\d+", found[1])))
    return name, None


def _plan_of_table(table, n_columns, names):
    constant = [_position(column, n_columns, names) for column in (*table.known, *table.static)]
    channels = _lag_columns(table.lags, constant, n_columns, names)
    if not channels or not all(channels):
        raise ValueError(
            f"The layout has a channel without lags: X has {n_columns} columns, of which {len(constant)} are known or "
            "static. Expected at least one lag per channel."
        )
    _check_roles([*(column for channel in channels for column in channel), *constant], n_columns, names)
    if table.time_order == "newest_first":
        channels = [channel[::-1] for channel in channels]
    T = max(map(len, channels))
    columns = [channel[:1] * (T - len(channel)) + channel for channel in channels]
    columns += [[column] * T for column in constant]
    return Plan(np.array(columns).T, len(channels), table.channels_first)


def _lag_columns(lags, constant, n_columns, names):
    """Positions of the lags of each channel."""
    if isinstance(lags, Mapping):
        return [[_position(column, n_columns, names) for column in columns] for columns in lags.values()]
    if lags is not None and not isinstance(lags, Integral):
        return [[_position(column, n_columns, names) for column in lags]]
    others = [column for column in range(n_columns) if column not in constant]
    if lags is None:
        return [others]
    if len(others) % lags:
        raise ValueError(
            f"The layout has {lags} lags per channel, but X has {len(others)} columns that are not known or static, "
            f"which is not a multiple of {lags}: correct lags, or list all other columns in known or static."
        )
    return [others[first : first + lags] for first in range(0, len(others), lags)]


def _position(column, n_columns, names):
    """Position of a column given by its position or name."""
    if isinstance(column, str):
        found = [] if names is None else np.flatnonzero(np.asarray(names, object) == column)
        if len(found) != 1:
            has = "no column names" if names is None else f"the columns {containers.few(list(names))}"
            raise ValueError(f"The layout has a column {column!r}, but X has {has}: pass a DataFrame, or positions.")
        return int(found[0])
    if not -n_columns <= column < n_columns:
        raise ValueError(f"The layout has a column {column}, but X has {n_columns} columns: correct its positions.")
    return int(column) % n_columns


def _check_roles(columns, n_columns, names):
    """Raise unless every column has exactly one role."""
    counts = np.bincount(columns, minlength=n_columns)
    for wrong, problem in [(counts > 1, "more than one role"), (counts == 0, "no role")]:
        if wrong.any():
            given = [column if names is None else names[column] for column in np.flatnonzero(wrong).tolist()]
            raise ValueError(
                f"The layout has {problem} for {len(given)} of the {n_columns} columns of X, {containers.few(given)}: "
                "list every column once, in lags, known or static."
            )
