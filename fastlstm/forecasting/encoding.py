"""Covariates as channels: encoded, standardised, and shifted where their future is known."""

from dataclasses import dataclass, field

import numpy as np

from fastlstm import containers


@dataclass(frozen=True)
class Encoding:
    """Columns as numbers: numeric ones standardised, and of the others an indicator of each category, or its code.

    Attributes
    ----------
    names : list of str
    means, scales : list of float or None
        None for columns of categories.
    categories : list of list or None
        None for numeric columns.
    embedded : bool
        Whether categories become codes.
    """

    names: list = field(default_factory=list)
    means: list = field(default_factory=list)
    scales: list = field(default_factory=list)
    categories: list = field(default_factory=list)
    embedded: bool = False

    def some(self, columns):
        """The encoding of some of the columns."""
        lists = self.names, self.means, self.scales, self.categories
        return Encoding(*([values[k] for k in columns] for values in lists), self.embedded)

    @property
    def code_sizes(self):
        """For each column of the encoded table, the number of codes; 0 where it holds no codes."""
        sizes = []
        for known in self.categories:
            sizes += [0] if known is None else [len(known)] if self.embedded else [0] * len(known)
        return sizes

    def apply(self, table, name="X"):
        """The encoded table [T, width], float32; raise ValueError for a category that was not seen in `fit`."""
        parts = [np.empty((len(table), 0), "float32")]
        for k, known in enumerate(self.categories):
            column = table[:, k]
            if known is None:
                column = _numbers(column, self.names[k], name)
                parts.append(((column - self.means[k]) / self.scales[k])[:, None])
                continue
            _check_present(column, self.names[k], name)
            matches = column[:, None] == np.array(known, object)[None, :]
            unknown = np.flatnonzero(~matches.any(axis=1))
            if len(unknown):
                raise ValueError(
                    f"{name} has {column[unknown[0]]!r} in column {self.names[k]!r}, which was not seen in fit; "
                    f"expected one of {containers.few(known)}."
                )
            parts.append(matches.argmax(axis=1)[:, None] if self.embedded else matches)
        return np.concatenate(parts, axis=1, dtype="float32", casting="unsafe")


def fit_encoding(tables, names, kinds, name="X", embedded=False):
    """The `Encoding` of the columns of several tables [T_i, P]; numbers must be finite."""
    means, scales, categories = [], [], []
    for k, kind in enumerate(kinds):
        column = np.concatenate([table[:, k] for table in tables])
        if kind == "category":
            _check_present(column, names[k], name)
            categories.append(sorted(set(column.tolist()), key=str))
            means.append(None)
            scales.append(None)
            continue
        column = _numbers(column, names[k], name)
        std = float(column.std())
        means.append(float(column.mean()))
        scales.append(std if std > 1e-12 * max(1.0, abs(means[-1])) else 1.0)
        categories.append(None)
    return Encoding(list(names), means, scales, categories, embedded)


def _check_present(column, column_name, name):
    """Raise ValueError if a category is missing."""
    missing = [n for n, value in enumerate(column) if value is None or value != value]
    if missing:
        raise ValueError(
            f"{name} has a missing value in column {column_name!r}, row {missing[0]}; expected categories: give those "
            "that are missing a name, such as 'unknown'."
        )


def _numbers(column, column_name, name):
    """A column as float64; raise ValueError if it has text, NaN or infinity."""
    text = [value for value in column if isinstance(value, str)] if column.dtype == object else []
    if text:
        raise ValueError(f"{name} has {text[0]!r} in column {column_name!r}, which held numbers in fit.")
    column = column.astype(float)
    wrong = np.flatnonzero(~np.isfinite(column))
    if len(wrong):
        raise ValueError(
            f"{name} has {column[wrong[0]]} in column {column_name!r}, row {wrong[0]}; expected finite numbers: impute "
            "missing values first."
        )
    return column


def shifted(table, horizon, steps):
    """Rows `horizon` steps later, for the first `steps` steps; zero where the future is not given."""
    out = np.zeros((steps, table.shape[1]), table.dtype)
    later = table[horizon : horizon + steps]
    out[: len(later)] = later
    return out
