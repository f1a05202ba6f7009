"""The data of a forecaster: series with gaps filled, and their covariates as numbers."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from fastlstm import containers
from fastlstm.forecasting.calendars import calendar_features
from fastlstm.forecasting.covariates import read_covariates, read_static
from fastlstm.forecasting.encoding import Encoding, fit_encoding, shifted
from fastlstm.forecasting.histories import LARGEST
from fastlstm.forecasting.linear import Inputs
from fastlstm.forecasting.panel import read_panel
from fastlstm.training import losses

TREND = 100.0  # steps in which the trend grows by 1
COUNTS = losses.names("counts")


class Roles(NamedTuple):
    """Channels of covariates by what is known of them.

    Those of time are features of the calendar and the trend; `codes` has the number of codes of channels of categories.
    """

    past: tuple
    known: tuple
    of_time: tuple
    static: tuple
    codes: dict

    def inputs(self, window, horizon):
        """What a linear model of `horizon` steps at once reads: numbers only."""
        past, known, of_time, static = (tuple(c for c in group if c not in self.codes) for group in self[:4])
        return Inputs(window, horizon, past, of_time, static, known)


@dataclass(frozen=True)
class Data:
    """Series with covariates.

    Attributes
    ----------
    panel : Panel
    values : list of arrays (T_i,)
        The series, with missing values replaced by the last observed one.
    observed : list of bool arrays (T_i,)
    past, known : list of arrays (T_i, .)
        Encoded covariates whose future is unknown or known; the known ones may extend beyond the series.
    static : array (n, .)
        Encoded static covariates.
    encoding, static_encoding : Encoding
        Of X, and of the static covariates.
    is_past : tuple of bool
        For each column of X, whether its future is unknown.
    features : tuple
        Names of the features of the calendar, whether they are cyclic, and whether there is a trend.
    """

    panel: object
    values: list
    observed: list
    past: list
    known: list
    static: np.ndarray
    encoding: Encoding
    static_encoding: Encoding
    is_past: tuple
    features: tuple

    def roles(self):
        """Roles of the channels, see `channels`."""
        past, known = (self.encoding.some(self._columns(is_past)).code_sizes for is_past in (True, False))
        of_time = [0] * (self.known[0].shape[1] - len(known))
        sizes = [0, *past, *known, *of_time, *self.static_encoding.code_sizes]
        widths = map(len, (past, known, of_time, self.static_encoding.code_sizes))
        groups = (tuple(range(*pair)) for pair in pairwise(np.cumsum([1, *widths])))
        return Roles(*groups, {channel: size for channel, size in enumerate(sizes) if size})

    def channels(self, shift, ahead, differences):
        """Covariates as channels [T_i + ahead, C - 1] of each series: past, known `shift` steps later, and static.

        Numbers that change in time are differenced as the series are, so that their effect remains the same.
        """
        tables, roles = [], self.roles()
        of_past, of_known = ([c in roles.codes for c in group] for group in (roles.past, roles.known + roles.of_time))
        for past, known, static, y in zip(self.past, self.known, self.static, self.values, strict=True):
            steps = len(y) + ahead
            past, known = differences.of_columns(past, of_past), differences.of_columns(known, of_known)
            past = np.concatenate([past, np.zeros((ahead, past.shape[1]), past.dtype)])  # never read
            static = np.broadcast_to(static, (steps, len(static)))
            tables.append(np.concatenate([past, shifted(known, shift, steps), static], axis=1))
        return tables if tables[0].shape[1] else None

    def _columns(self, past):
        """Columns of X whose future is unknown, or known."""
        return [k for k, is_past in enumerate(self.is_past) if is_past == past]

    def cut(self, first, last):
        """The steps from ``first[n]`` to before ``last[n]`` of each series; the panel remains."""

        def steps(of_series):
            return [array[begin:end] for array, begin, end in zip(of_series, first, last, strict=True)]

        known = [table[begin:] for table, begin in zip(self.known, first, strict=True)]
        return replace(
            self, values=steps(self.values), observed=steps(self.observed), past=steps(self.past), known=known
        )

    def last(self, plan):
        """The steps that the next forecast depends on."""
        ends = [len(y) for y in self.values]
        return self.cut([max(0, end - plan.differences.lost - plan.window) for end in ends], ends)


def read_data(parameters, panel, X, static, window):
    """Validate the data that a forecaster is fitted to."""
    encoding, is_past, tables = Encoding(), (), _no_columns(panel.values)
    if X is not None:
        tables, names, kinds = read_covariates(X, panel)
        is_past = _which_past(parameters.past_covariates, names)
        encoding = fit_encoding(tables, names, kinds, embedded=parameters.embedding_size is not None)
    elif len(parameters.past_covariates):
        raise ValueError(
            f"past_covariates={containers.brief(parameters.past_covariates)}, but X is None: pass X with these columns."
        )
    static_encoding, static_table = Encoding(), np.empty((len(panel), 0), "float32")
    if static is not None:
        table, names, kinds = read_static(static, panel)
        static_encoding = fit_encoding([table], names, kinds, "static", parameters.embedding_size is not None)
        static_table = _applied(static_encoding, table, "static")
    calendar = (parameters.calendar,) if isinstance(parameters.calendar, str) else tuple(parameters.calendar)
    features = calendar, parameters.cyclic, parameters.trend
    data = Data(panel, [], [], [], [], static_table, encoding, static_encoding, is_past, features)
    data = _of_panel(parameters, data, panel, tables)
    if data.known[0].shape[1] and window < parameters.horizon and parameters.strategy != "recursive":
        raise ValueError(
            f"window={window} is less than horizon={parameters.horizon}, but with covariates that are known ahead, "
            "including features of the calendar, it must be at least as large: set window to horizon or more, or "
            "strategy='recursive'."
        )
    return data


def _of_panel(parameters, data, panel, tables, name="X"):
    """The data with the series of a panel, and the columns of their covariates, instead of those there."""
    values, observed = _filled(panel, parameters)
    past, known = _encoded(data, tables, panel.index, [0] * len(panel), name)
    return replace(data, panel=panel, values=values, observed=observed, past=past, known=known)


def read_future(data, X, h):
    """The data with values of the covariates at the next `h` steps."""
    names = [name for name, past in zip(data.encoding.names, data.is_past, strict=True) if not past]
    if names and X is None:
        raise ValueError(
            f"X is None, but the model was fitted with the covariates {containers.few(names)}: pass X with their "
            f"values at the {h} steps from {data.panel.index[0].future(1)[0]} on."
        )
    if X is not None and not names:
        raise ValueError("X was passed, but the model has no covariates whose future is needed: leave it out.")
    tables = [np.empty((h, 0))] * len(data.values)
    if names:
        tables = read_covariates(X, data.panel, ahead=h, columns=names).tables
    _, known = _encoded(data, tables, data.panel.index, map(len, data.values))
    return replace(data, known=[np.concatenate(pair) for pair in zip(data.known, known, strict=True)])


def renewed(parameters, data, y, X):
    """The data with the observations y, which are new, or those known followed by new ones."""
    panel = read_panel(y, freq=parameters.freq)
    if not panel.begins_with(data.panel):
        return _extended(parameters, data, y, X)
    panel = panel.in_order_of(data.panel)
    return _of_panel(parameters, data, panel, _columns(data, panel, X))


def unseen(parameters, data, y, X, static):
    """Data like those of the fit, of other series."""
    panel = read_panel(y, freq=parameters.freq)
    names = data.static_encoding.names
    if (static is None) == bool(names):
        given = (
            f"static is None, but the model was fitted with {containers.few(names)}: pass these for the series of y."
        )
        raise ValueError(given if names else "static was passed, but the model was fitted without: leave it out.")
    table = np.empty((len(panel.values), 0), "float32")
    if names:
        table = _applied(data.static_encoding, read_static(static, panel, columns=names).table, "static")
    columns = _columns(data, panel, X, "X_past")
    return _of_panel(parameters, replace(data, static=table), panel, columns, "X_past")


def extended(parameters, data, y, X):
    """The data with new observations."""
    if read_panel(y, freq=parameters.freq).begins_with(data.panel):
        raise ValueError("y begins with the known observations: pass only those that follow.")
    return _extended(parameters, data, y, X)


def _extended(parameters, data, y, X):
    panel = data.panel.extend(y)
    rows, new = panel.since(data.panel)
    ends = [len(data.values[n]) for n in rows]
    values, observed = _filled(new, parameters, [data.values[n] for n in rows])
    past, known = _encoded(data, _columns(data, new, X), [panel.index[n] for n in rows], ends)
    joined = {}
    for name, of_new in {"values": values, "observed": observed, "past": past, "known": known}.items():
        joined[name] = list(getattr(data, name))
        for n, array in zip(rows, of_new, strict=True):
            joined[name][n] = np.concatenate([joined[name][n], array])
    return replace(data, panel=panel, **joined)


def _columns(data, panel, X, name="X"):
    """The columns that the model was fitted with, of the covariates X of the series of a panel."""
    names = data.encoding.names
    if X is None and names:
        raise ValueError(
            f"{name} is None, but the model was fitted with the covariates {containers.few(names)}: pass {name} with "
            "their values at the steps of y."
        )
    if X is not None and not names:
        raise ValueError(f"{name} was passed, but the model was fitted without covariates: leave it out.")
    return read_covariates(X, panel, columns=names, name=name).tables if names else _no_columns(panel.values)


def _no_columns(values):
    return [np.empty((len(of_series), 0)) for of_series in values]


def _filled(panel, parameters, before=None):
    """Values with NaN replaced by the last observed value, and which of them were observed.

    # Design: no value may depend on later ones, or windows would contain something of their targets. What precedes the
    # first observation is replaced by it, but is in no window of the training.
    """
    values, observed = [], []
    for n, (key, y) in enumerate(zip(panel.ids, panel.values, strict=True)):
        where = f" of series {key!r}" if len(panel) > 1 or panel.form != "single" else ""
        if np.isinf(y).any():
            raise ValueError(f"y has infinity at step {int(np.argmax(np.isinf(y)))}{where}; expected finite numbers.")
        there = ~np.isnan(y)
        if not there.all():
            gaps = ~there
            if before is None and there.any():
                gaps[: np.argmax(there)] = False  # the series begins later
            if parameters.missing == "error" and gaps.any():
                raise ValueError(
                    f"y has NaN at step {int(np.argmax(gaps))}{where}: impute missing values, or set "
                    "missing='forward_fill'."
                )
            if not there.any() and before is None:
                raise ValueError(f"y has only NaN{where}: leave this series out.")
            seen = np.maximum.accumulate(np.where(there, np.arange(len(y)), -1))
            first = y[np.argmax(there)] if before is None else before[n][-1]
            y = np.where(seen >= 0, y[np.maximum(seen, 0)], first)
        if parameters.transform is not None and len(y) and not (y > 0).all():
            raise ValueError(
                f"y has {y.min():g}{where}, but transform={parameters.transform!r} requires positive values: set "
                "transform=None, or add a constant."
            )
        if parameters.loss in COUNTS and len(y) and not (y >= 0).all():
            raise ValueError(
                f"y has {y.min():g}{where}, but loss={parameters.loss!r} requires counts, 0 or more: choose another "
                "loss."
            )
        values.append(y)
        observed.append(there)
    return values, observed


def _which_past(past_covariates, names):
    if isinstance(past_covariates, str):
        past_covariates = [past_covariates]
    unknown = [name for name in past_covariates if name not in names and not _is_position(name, names)]
    if unknown:
        raise ValueError(
            f"past_covariates has {containers.few(unknown)}, but the columns of X are {containers.few(names)}."
        )
    past = {names[name] if name not in names else name for name in past_covariates}
    return tuple(name in past for name in names)


def _is_position(name, names):
    return isinstance(name, (int, np.integer)) and not isinstance(name, bool) and 0 <= name < len(names)


def _encoded(data, tables, calendars, first, name="X"):
    """Past and known covariates of the steps of each calendar from ``first[n]`` on.

    tables: the columns of X, or the known ones only.
    """
    past, known = [], []
    for table, calendar, step in zip(tables, calendars, first, strict=True):
        only_known = table.shape[1] != len(data.is_past)
        groups = []
        for of_past in (True, False):
            columns = data._columns(of_past)
            if only_known and of_past:
                groups.append(np.empty((len(table), 0), "float32"))
                continue
            chosen = table if only_known else table[:, columns]
            groups.append(_applied(data.encoding.some(columns), chosen, name))
        past.append(groups[0])
        known.append(np.concatenate([groups[1], *_of_time(data.features, calendar, step, len(table))], axis=1))
    return past, known


def _applied(encoding, table, name):
    """The encoded table; raise ValueError for numbers that float32 does not hold beside those of the fit."""
    if not encoding.names:
        return np.empty((len(table), 0), "float32")
    with np.errstate(over="ignore"):
        encoded = encoding.apply(table, name)
    if not (np.abs(encoded) <= LARGEST).all():
        numeric = [k for k, mean in enumerate(encoding.means) if mean is not None]
        k = max(numeric, key=lambda k: np.abs(table[:, k].astype(float) / encoding.scales[k]).max())
        raise ValueError(
            f"{name} has {max(table[:, k], key=abs):g} in column {encoding.names[k]!r}, which is more than {LARGEST:g} "
            f"times the standard deviation in fit, {encoding.scales[k]:g}: correct such values."
        )
    return encoded


def _of_time(features, calendar, first, count):
    """Features of the calendar, and the trend, of `count` steps from `first` on."""
    (names, cyclic, trend), parts = features, []
    if names:
        wall = calendar.wall_of(calendar.at(first, count))
        parts.append(calendar_features(wall, names, cyclic)[0].astype("float32"))
    if trend:
        parts.append(((first + np.arange(count)) / TREND)[:, None].astype("float32"))
    return parts
