"""Covariates of the series of a panel: values per step, and static attributes per series."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from fastlstm import containers
from fastlstm.forecasting.calendars import library_of
from fastlstm.forecasting.calendars.base import show
from fastlstm.forecasting.frames import ID, TARGET, read_column, read_frames


class Covariates(NamedTuple):
    """Covariates of n series.

    Attributes
    ----------
    tables : list of ndarray of shape (steps, P)
        A table for each series; of dtype float64 if all columns are numbers, else object.
    names : list
        Names of the P columns.
    kinds : list of {"number", "category"}
        Categories are strings, booleans and what the user's library calls categorical; missing ones are None.
    """

    tables: list
    names: list
    kinds: list


class Static(NamedTuple):
    """Attributes of n series: a table (n, S), with names and kinds as in `Covariates`."""

    table: np.ndarray
    names: list
    kinds: list


def read_covariates(X, panel, *, ahead=0, columns=None, name="X"):
    """Read the covariates of a panel.

    Parameters
    ----------
    X : array-like, Series, DataFrame, list or dict
        One table ``(steps, P)`` for a single series, or for all series of a wide frame or 2-D array; a list or dict
        of tables, one per series; or a long table with the columns unique_id and ds. Stamps must be those of the
        series; arrays, and tables for series without stamps, are matched by position.
    panel : Panel
        The series.
    ahead : int, default=0
        If 0, X has one row per observation. Otherwise it has `ahead` rows: those that follow each series.
    columns : list, default=None
        Names of the columns that X must have; it is returned in this order. An array must have their number.
    name : str, default="X"
        Name of `X` in error messages.

    Returns
    -------
    Covariates
        ``(tables, names, kinds)``.

    Raises
    ------
    ValueError
        If rows, columns or series are missing or superfluous, or if stamps are not the expected ones.
    TypeError
        If values are neither numbers nor categories.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm.forecasting.covariates import read_covariates
    >>> from fastlstm.forecasting.panel import read_panel
    >>> panel = read_panel([1.0, 2.0, 3.0])
    >>> tables, names, kinds = read_covariates(np.zeros((3, 2)), panel)
    >>> tables[0].shape, names, kinds
    ((3, 2), ['x0', 'x1'], ['number', 'number'])
    >>> read_covariates(np.ones(2), panel, ahead=2).tables[0].shape
    (2, 1)
    """
    frames = _one_per_series(read_frames(X, name), panel, name)
    names = columns
    ordered, checked = [], set()
    for frame, calendar in zip(frames, panel.index, strict=True):
        if names is None:
            names = _names(frame)
            if not names:
                raise ValueError(f"{frame.label} has no columns; expected at least one covariate, or {name}=None.")
        order = _order(frame, names)
        if (id(frame), id(calendar)) not in checked:
            _check_rows(frame, names, calendar, ahead)
            checked.add((id(frame), id(calendar)))
        ordered.append(([frame.columns[k] for k in order], [frame.kinds[k] for k in order]))
    kinds = [
        _kind([(of_series[p], kinds[p]) for of_series, kinds in ordered], f"{name}[{key!r}]")
        for p, key in enumerate(names)
    ]
    shared = {id(frame): _table(of_series, kinds) for frame, (of_series, _) in zip(frames, ordered, strict=True)}
    return Covariates([shared[id(frame)] for frame in frames], list(names), kinds)


def read_static(static, panel, *, columns=None, name="static"):
    """Read static attributes: one row per series.

    Parameters
    ----------
    static : DataFrame, Series, dict or array-like
        A frame with the ids of the series in the column unique_id or, in pandas, in its index; a dict from ids to a
        value, a sequence of values or a dict of values by name; or an array ``(n,)`` or ``(n, S)`` in the order of
        the series. A frame or dict may have further series.
    panel : Panel
        The series.
    columns : list, default=None
        Names of the columns that `static` must have; it is returned in this order. Without names, their number.
    name : str, default="static"
        Name of `static` in error messages.

    Returns
    -------
    Static
        ``(table, names, kinds)``.

    Raises
    ------
    ValueError
        If series or columns are missing.
    TypeError
        If values are neither numbers nor categories.

    Examples
    --------
    >>> from fastlstm.forecasting.covariates import read_static
    >>> from fastlstm.forecasting.panel import read_panel
    >>> panel = read_panel({"a": [1, 2, 3], "b": [4, 5]})
    >>> table, names, kinds = read_static({"b": {"size": 2}, "a": {"size": 1}}, panel)
    >>> table, names, kinds
    (array([[1.],
           [2.]]), ['size'], ['number'])
    """
    ids, names, values = _rows_by_id(static, panel, name)
    row_of = {key: n for n, key in enumerate(ids)}
    missing = [key for key in panel.ids if key not in row_of]
    if missing:
        raise ValueError(f"{name} has no rows for the series {containers.few(missing)}; expected one for each series.")
    if len(row_of) < len(ids):
        doubled = [key for n, key in enumerate(ids) if row_of[key] != n]
        raise ValueError(f"{name} has several rows for the series {containers.few(doubled)}; expected one.")
    rows = [row_of[key] for key in panel.ids]
    labels = names or [f"s{k}" for k in range(len(values))]
    order = _order_of(names, len(values), labels if columns is None else columns, name)
    labels = labels if columns is None else list(columns)
    read = [read_column(values[k], f"{name}[{key!r}]") for k, key in zip(order, labels, strict=True)]
    kinds = [kind for _, kind in read]
    return Static(_table([array[rows] for array, _ in read], kinds), labels, kinds)


def _one_per_series(frames, panel, name):
    """The frame of each series of the panel."""
    if frames.form == "single":
        if len(panel) > 1 and panel.form != "single":
            raise ValueError(
                f"{name} is a single table for {len(panel)} series; expected a table for each series: pass a list, a "
                "dict or a long table."
            )
        names = frames.frames[0].names
        if len(panel) > 1 and set(names) == set(panel.ids) and names != [None] * len(names):
            raise ValueError(
                f"{name} has the columns of y, {containers.few(names)}, but the columns of a single table are "
                "covariates of all series: pass a dict with one table for each series, or rename the columns."
            )
        return frames.frames * len(panel)
    if frames.form == "list":
        if len(frames.frames) != len(panel):
            raise ValueError(f"{name} has {len(frames.frames)} tables; expected {len(panel)}, one for each series.")
        return frames.frames
    by_id = dict(zip(frames.ids, frames.frames, strict=True))
    known = set(panel.ids)
    for problem, keys in (
        ("lacks", [key for key in panel.ids if key not in by_id]),
        ("has the unknown", [key for key in by_id if key not in known]),
    ):
        if keys:
            raise ValueError(
                f"{name} {problem} series {containers.few(keys)}; expected the series {containers.few(panel.ids)}, got "
                f"{containers.few(by_id)}."
            )
    if frames.form == "long" and TARGET in frames.frames[0].names:
        raise ValueError(f"{name} has the column {TARGET!r}, the target of a long table; remove it from {name}.")
    return [by_id[key] for key in panel.ids]


def _names(frame):
    return [f"x{k}" if key is None else key for k, key in enumerate(frame.names)]


def _order(frame, names):
    has_names = any(key is not None for key in frame.names)
    return _order_of(frame.names if has_names else None, len(frame.columns), names, frame.label)


def _order_of(given, count, names, label):
    """Positions of the columns `names` in a table; `given` are its own names, or None."""
    if given is None:
        if count != len(names):
            raise ValueError(
                f"{label} has {count} columns; expected {len(names)}, the columns {containers.few(names)}."
            )
        return list(range(count))
    missing = [key for key in names if key not in given]
    extra = [key for key in given if key not in names]
    if missing or extra:
        parts = [f"lacks the columns {containers.few(missing)}"] * bool(missing)
        parts += [f"has the unexpected columns {containers.few(extra)}"] * bool(extra)
        raise ValueError(f"{label} {' and '.join(parts)}; expected the columns {containers.few(names)}.")
    at = {key: k for k, key in enumerate(given)}
    return [at[key] for key in names]


def _check_rows(frame, names, calendar, ahead):
    """Raise ValueError unless a frame has the rows of the observations, or those `ahead`."""
    count, position = (ahead, len(calendar)) if ahead else (len(calendar), 0)
    label = f"{frame.label}, with the columns {containers.few(names)},"
    if len(frame.stamps):
        calendar.require(frame.stamps, position, label)
    rows = len(frame.stamps)
    if rows != count:
        first, last = (show(calendar.at(k, 1)[0]) for k in (position, position + count - 1))
        raise ValueError(
            f"{label} has {rows} row{'s' * (rows != 1)}; expected {count}, from {first} to {last}, one for each "
            f"{'step of the horizon' if ahead else f'observation of {calendar.label}'}."
        )


def _kind(columns, label):
    """The kind of a column of several series, in some of which all values may be missing."""
    kinds = {kind for values, kind in columns if kind == "category" or not np.isnan(values).all()}
    if len(kinds) > 1:
        raise TypeError(f"{label} holds numbers in some series and categories in others; expected one kind.")
    return kinds.pop() if kinds else "number"


def _table(columns, kinds):
    dtype = object if "category" in kinds else np.float64
    table = np.empty((len(columns[0]) if columns else 0, len(columns)), dtype)
    for p, (column, kind) in enumerate(zip(columns, kinds, strict=True)):
        missing = kind == "category" and column.dtype != np.dtype(object)  # all NaN, see _kind
        table[:, p] = None if missing else column
    return table


def _rows_by_id(static, panel, name):
    """Ids of the rows of static attributes, names of the columns or None, and the columns."""
    if isinstance(static, Mapping) and not containers.is_table(static):
        return list(static), *_columns_of_rows(list(static.values()), name)
    if library_of(static) is not None and (containers.is_table(static) or hasattr(static, "index")):
        return _rows_of_frame(static, name)
    array = static if isinstance(static, np.ndarray) else np.array(static, dtype=object)
    if array.ndim not in (1, 2) or len(array) != len(panel):
        raise ValueError(f"{name} has shape {array.shape}; expected one row for each of the {len(panel)} series.")
    return panel.ids, None, [array] if array.ndim == 1 else list(array.T)


def _rows_of_frame(static, name):
    if not containers.is_table(static):
        return static.index.tolist(), [static.name] if static.name is not None else None, [static]
    names = containers.names_of(static)
    if ID in names:
        ids = static[ID].to_list()
        names = [key for key in names if key != ID]
    elif hasattr(static, "index"):
        ids = static.index.tolist()
    else:
        raise ValueError(f"{name} has the columns {containers.few(names)}; expected {ID!r} among them.")
    return ids, names, [static[key] for key in names]


def _columns_of_rows(rows, name):
    """Names and columns of rows that are values, sequences of values, or dicts of values by name."""
    names = None
    if all(isinstance(row, Mapping) for row in rows) and rows:
        names = list(rows[0])
        for n, row in enumerate(rows):
            _order_of(list(row), len(row), names, f"row {n} of {name}")
        rows = [[row[key] for key in names] for row in rows]
    rows = [list(row) if containers.holds_steps(row) else [row] for row in rows]
    if len(set(map(len, rows))) > 1:
        raise ValueError(f"The rows of {name} have {sorted(set(map(len, rows)))} values; expected equally many.")
    array = np.empty((len(rows), len(rows[0]) if rows else 0), object)
    for n, row in enumerate(rows):
        array[n] = row
    return names, list(array.T)
