"""A panel: one or several univariate series with their calendars, in the form that the user passed them in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fastlstm import containers
from fastlstm.forecasting.calendars import library_of, make_calendars
from fastlstm.forecasting.frames import ID, TARGET, TIME, read_frames, read_long, write_frame, write_long

if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import Any


@dataclass(frozen=True)
class Panel:
    """Univariate series.

    Attributes
    ----------
    ids : list
        Identifiers of the n series: keys, names of columns, or positions.
    values : list of ndarray of shape (T_i,)
        The observations as float64; missing ones are NaN.
    index : list of Calendar
        The stamps of each series.
    form : {"single", "list", "dict", "long"}
        The form of the input; "single" is an array, a Series or a wide frame, whose columns are the series.
    likes : list
        Empty copies of the user's containers: one, or with form "list" or "dict" one per series.
    """

    ids: list
    values: list
    index: list
    form: str
    likes: list

    def __len__(self):
        return len(self.ids)

    def write(self, rows, columns=None):
        """Forecasts in the form of the input, with the stamps that follow each series.

        Parameters
        ----------
        rows : list of ndarray of shape (h,) or (h, K)
            Forecasts of each series; K values per step, for example quantiles.
        columns : list of length K, default=None
            Names of these values. If None, their positions.

        Returns
        -------
        ndarray, Series, DataFrame, list or dict
            For an array, an array ``(h,)``, ``(h, n)``, ``(h, K)`` or ``(h, n, K)``. For a Series, a Series of that
            name, or a frame with `columns`. For a wide frame, a frame with the same columns or, with K values per step,
            with columns of two levels (pandas) or named ``series_column`` (Polars). For a list or dict, a list or dict
            of these. For a long table, a long table with the columns unique_id, ds and y, or `columns` instead of y.
        """
        rows = [np.asarray(row) for row in rows]
        future = [calendar.future(len(row)) for calendar, row in zip(self.index, rows, strict=True)]
        if self.form == "long":
            return write_long(self.likes[0], self.ids, future, rows, columns)
        if self.form == "single":
            return write_frame(self.likes[0], future[0], np.stack(rows, axis=1), columns)
        written = [
            write_frame(like, stamps, row[:, None], columns)
            for like, stamps, row in zip(self.likes, future, rows, strict=True)
        ]
        return written if self.form == "list" else dict(zip(self.ids, written, strict=True))

    def extend(self, more, *, name="y"):
        """The panel with new observations.

        Parameters
        ----------
        more : array-like, Series, DataFrame, list or dict
            Observations that follow, in the form of the input. A dict or a long table may lack series.
        name : str, default="y"
            Name of `more` in error messages.

        Returns
        -------
        Panel

        Raises
        ------
        ValueError
            If the form or the series differ, or if stamps leave a gap or overlap with known ones.
        """
        frames = read_frames(more, name)
        ids, members = _series(frames, name)
        if _is_nameless(self) and self.form == "single" and len(members) < len(self):
            raise ValueError(f"{name} has {len(members)} series; expected {len(self)}, as in fit.")
        if _is_nameless(self) and len(ids) == 1:
            ids = self.ids  # the name of a Series may differ
        self._check_series(frames, ids, name)
        row_of = {key: n for n, key in enumerate(self.ids)}
        values, index = list(self.values), list(self.index)
        if self.form == "single":  # the columns of a frame share their stamps
            index = [self.index[0].follow(members[0][1], name)] * len(self)
        for key, (label, stamps, new) in zip(ids, members, strict=True):
            n = row_of[key]
            values[n] = np.concatenate([values[n], new])
            if self.form != "single":
                index[n] = index[n].follow(stamps, label)
        return replace(self, values=values, index=index)

    def since(self, known):
        """The series that have more observations than in `known`, which this panel extends, and a panel of these."""
        rows = [
            n for n, (now, before) in enumerate(zip(self.values, known.values, strict=True)) if len(now) > len(before)
        ]
        values = [self.values[n][len(known.values[n]) :] for n in rows]
        index = [self.index[n].since(len(known.values[n])) for n in rows]
        likes = self.likes if len(self.likes) != len(self) else [self.likes[n] for n in rows]
        return rows, replace(self, ids=[self.ids[n] for n in rows], values=values, index=index, likes=likes)

    def begins_with(self, known):
        """Whether all series of this panel begin with the observations of the panel `known`."""
        before = dict(zip(known.ids, zip(known.values, known.index, strict=True), strict=True))
        if _is_nameless(known) and len(self) == 1:
            before = {self.ids[0]: (known.values[0], known.index[0])}
        return all(
            key in before and _begins_with(y, calendar, *before[key])
            for key, y, calendar in zip(self.ids, self.values, self.index, strict=True)
        )

    def in_order_of(self, known):
        """The panel with its series in the order of `known`; raise ValueError if some are lacking."""
        missing = [key for key in known.ids if key not in self.ids]
        if missing and len(known) > 1:
            raise ValueError(
                f"y begins with known observations, but lacks the series {containers.few(missing)}: pass all series, "
                "or only what follows the known observations."
            )
        rows = [self.ids.index(key) for key in known.ids] if len(known) > 1 else [0]
        parts = {name: [getattr(self, name)[row] for row in rows] for name in ("ids", "values", "index")}
        likes = self.likes if len(self.likes) != len(self) else [self.likes[row] for row in rows]
        return replace(self, **parts, likes=likes)

    def _check_series(self, frames, ids, name):
        """Raise ValueError unless new observations have the form and the series of the panel."""
        given, expected = _describe(frames.form, _likes(frames)), _describe(self.form, self.likes)
        if given != expected:
            raise ValueError(f"{name} is {given}; expected {expected}, as before.")
        known = set(self.ids)
        unknown = [key for key in ids if key not in known]
        if unknown:
            raise ValueError(
                f"{name} has the series {containers.few(unknown)}, which are unknown; expected series of "
                f"{containers.few(self.ids)}."
            )
        missing = known.difference(ids)
        if missing and self.form in ("single", "list"):
            raise ValueError(
                f"{name} lacks the series {containers.few(key for key in self.ids if key in missing)}; expected all "
                f"{len(self)} series."
            )


def read_panel(y, *, freq=None, name="y"):
    """Read time series in any form.

    Parameters
    ----------
    y : array-like, Series, DataFrame, list or dict
        One of

        - a 1-D array, a list of numbers or a Series: one series;
        - a 2-D array ``(T, n)`` or a wide frame: n series, one per column, which share their stamps;
        - a list or dict with one array, Series or frame of a single column per series;
        - a long table: a frame with the columns unique_id, ds (stamps) and y.

        The stamps of pandas objects are in their index. In Polars, they are in the only column of dates.
    freq : frequency, default=None
        Distance of the stamps: a pandas frequency, a Polars offset such as "1mo" or "1bd" (business days) or, for
        integers, an int. If None, it is inferred.
    name : str, default="y"
        Name of `y` in error messages.

    Returns
    -------
    Panel

    Raises
    ------
    ValueError
        If stamps are missing, unsorted, duplicated or irregular, or if `y` has another form.
    TypeError
        If values are not numbers, or stamps neither dates nor integers.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm.forecasting.panel import read_panel
    >>> panel = read_panel({"a": [1, 2, 3], "b": [4, np.nan]})
    >>> panel.ids, panel.values
    (['a', 'b'], [array([1., 2., 3.]), array([ 4., nan])])
    >>> panel.index[0].future(2)
    range(3, 5)
    >>> panel.write([np.zeros(2), np.ones(2)])
    {'a': array([0., 0.]), 'b': array([1., 1.])}

    With dates:

    >>> import pandas as pd
    >>> y = pd.Series([1.0, 2.0, 3.0], pd.date_range("2024-01-31", periods=3, freq="ME"), name="sales")
    >>> read_panel(y).write([np.zeros(2)])
    2024-04-30    0.0
    2024-05-31    0.0
    Freq: ME, Name: sales, dtype: float64
    """
    frames = read_frames(y, name)
    ids, members = _series(frames, name)
    labels, stamps, values = zip(*members, strict=True)
    for label, of_series in zip(labels, values, strict=True):
        if not len(of_series):
            raise ValueError(f"{label} is empty; expected at least one observation.")
    if frames.form == "single":  # the columns of a frame share their stamps
        index = make_calendars([stamps[0]], [name], freq) * len(ids)
    else:
        index = make_calendars(list(stamps), list(labels), freq)
    return Panel(ids, list(values), index, frames.form, _likes(frames))


def from_long(
    df: Any,
    id: Hashable = ID,  # noqa: A002
    time: Hashable = TIME,
    target: Hashable = TARGET,
) -> dict[Hashable, Any]:
    """Split a long table into one series per id.

    Parameters
    ----------
    df : DataFrame
        A pandas or Polars frame with one row per series and stamp, sorted by time within each series.
    id, time, target : hashable, default="unique_id", "ds" and "y"
        Names of the columns of ids, stamps and values.

    Returns
    -------
    dict
        For each id, in order of first appearance, a pandas Series indexed by its stamps or a Polars frame of the
        columns `time` and `target`: a form of y that forecasters accept.

    Examples
    --------
    >>> import pandas as pd
    >>> from fastlstm.forecasting import from_long
    >>> df = pd.DataFrame({"shop": ["a", "a", "b"], "week": [1, 2, 2], "sales": [5.0, 6.0, 7.0]})
    >>> from_long(df, id="shop", time="week", target="sales")["a"]
    week
    1    5.0
    2    6.0
    Name: sales, dtype: float64
    """
    library = library_of(df)
    if library is None or not containers.is_table(df):
        raise TypeError(f"df is a {type(df).__name__}; expected a pandas or Polars DataFrame.")
    for column in (id, time, target):
        if column not in containers.names_of(df):
            raise ValueError(f"df has no column {column!r}; its columns are {containers.few(containers.names_of(df))}.")
    frames = read_long(df[[id, time, target]], "df", (id, time))
    if library.__name__ == "polars":
        return {
            key: library.DataFrame([frame.stamps.alias(time), library.Series(target, frame.columns[0])])
            for key, frame in zip(frames.ids, frames.frames, strict=True)
        }
    return {
        key: library.Series(frame.columns[0], index=frame.stamps.rename(time), name=target)
        for key, frame in zip(frames.ids, frames.frames, strict=True)
    }


def _series(frames, name):
    """The ids of univariate series, and for each one its label, its stamps and its values."""
    if frames.form == "single":
        (frame,) = frames.frames
        if not frame.columns:
            raise ValueError(f"{name} has no columns of values; expected at least one series.")
        has_names = frame.names[0] is not None
        ids = frame.names if has_names else list(range(len(frame.columns)))
        labels = [f"{name}[{key!r}]" for key in ids] if len(ids) > 1 else [name]
        return ids, [
            (label, frame.stamps, _numbers(column, kind, label))
            for label, column, kind in zip(labels, frame.columns, frame.kinds, strict=True)
        ]
    members = []
    for frame in frames.frames:
        if frames.form == "long" and frame.names != [TARGET]:
            _refuse_columns(frame, name)
        if len(frame.columns) != 1:
            raise ValueError(
                f"{frame.label} has {len(frame.columns)} columns; expected one value per step: pass covariates as X."
            )
        members.append((frame.label, frame.stamps, _numbers(frame.columns[0], frame.kinds[0], frame.label)))
    return frames.ids, members


def _refuse_columns(frame, name):
    if TARGET not in frame.names:
        raise ValueError(
            f"{name} has the columns {containers.few([ID, TIME, *frame.names])}, but not {TARGET!r}: rename the column "
            "of values, or see fastlstm.forecasting.from_long."
        )
    extra = [key for key in frame.names if key != TARGET]
    raise ValueError(f"{name} has the columns {containers.few(extra)} besides {[ID, TIME, TARGET]}: pass them as X.")


def _numbers(column, kind, label):
    if kind == "number":
        return column
    text = next((value for value in column if isinstance(value, str)), None)
    if text is not None:
        raise TypeError(f"{label} holds strings, for example {text!r}; expected numbers.")
    return column.astype(np.float64)


def _likes(frames):
    if frames.form in ("list", "dict"):
        return [frame.like for frame in frames.frames]
    return [frames.frames[0].like]


def _begins_with(y, calendar, known, known_calendar):
    """Whether a series begins with the values `known` and, if both have stamps, at the same one."""
    return (
        len(y) >= len(known)
        and np.allclose(y[: len(known)], known, rtol=1e-6, atol=0, equal_nan=True)
        and calendar.starts_like(known_calendar)
    )


def _is_nameless(panel):
    return panel.form == "single" and not containers.is_table(panel.likes[0])


def _describe(form, likes):
    """The form of a panel in an error message."""
    if form != "single":
        return {"list": "a list", "dict": "a dict", "long": "a long table"}[form]
    library = library_of(likes[0])
    return f"a {library.__name__} {type(likes[0]).__name__}" if library else "an array"
