"""Data sets and tasks that default parameters are chosen by: real ones that come with packages, and simulated ones.

aeon's and sktime's are read from the installed package, which is not imported: they pin old versions of Numba. Each
set has a part to choose by and a part to test on; whoever chooses must ask for the first alone.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import KFold, StratifiedKFold

FOLDS = 3


@dataclass(frozen=True)
class DataSet:
    """A set, or a task that data are drawn for."""

    name: str
    classes: bool  # labels, or numbers
    load: Callable  # () -> (X, y, X_test, y_test)
    ordered: bool = False  # rows follow each other in time: what is held out comes last

    def folds(self):
        """Training and validation parts of the data to choose by."""
        X, y, _, _ = self.load()
        n = len(y)
        if self.ordered:
            blocks = np.array_split(np.arange(n // 2, n), FOLDS)
            pairs = [(np.arange(block[0]), block) for block in blocks]
        elif self.classes:
            pairs = StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(np.zeros(n), y)
        else:
            pairs = KFold(FOLDS, shuffle=True, random_state=0).split(np.zeros(n))
        return [(take(X, train), y[train], take(X, held), y[held]) for train, held in pairs]


def take(X, rows):
    return [X[row] for row in rows] if isinstance(X, list) else X[rows]


# -- given data -----------------------------------------------------------------------------------------


def package_folder(package):
    """Where a package is installed, or None."""
    found = importlib.util.find_spec(package)
    return Path(found.submodule_search_locations[0]) if found else None


def read_ts(path):
    """The text format of aeon and sktime: header lines, then a line for each series, channels apart by ":", the label
    at the end."""
    X, y = [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and line[0] not in "@#%":
            *channels, label = line.split(":")
            X.append(np.array([channel.replace("?", "nan").split(",") for channel in channels], "float32").T)
            y.append(label)
    return X, np.array(y)


def archive(name, package="aeon"):
    """A set of the UCR, UEA or TSER archives that a package ships, in its default split."""

    def load():
        folder = package_folder(package) / "datasets" / "data" / name
        (X, y), (X_test, y_test) = (read_ts(folder / f"{name}_{part}.ts") for part in ("TRAIN", "TEST"))
        return X, y, X_test, y_test

    return load


def archive_numbers(name, package="aeon"):
    """The same with targets that are numbers."""

    def load():
        X, y, X_test, y_test = archive(name, package)()
        return X, y.astype(float), X_test, y_test.astype(float)

    return load


def digits(pixel_by_pixel):
    """scikit-learn's digits, by rows or pixel by pixel; the halves are of different writers."""

    def load():
        images, y = load_digits(return_X_y=True)
        X, half = images.reshape(len(y), *((64, 1) if pixel_by_pixel else (8, 8))), len(y) // 2
        return X[:half], y[:half], X[half:], y[half:]

    return load


def windows(series, window, horizon=1):
    """Windows of a series and what comes `horizon` steps after; the last fifth tests."""

    def load():
        values = series()
        X = np.lib.stride_tricks.sliding_window_view(values, window)[:-horizon]
        y = values[window + horizon - 1 :]
        split = len(y) * 4 // 5
        return X[:split], y[:split], X[split:], y[split:]

    return load


def of_statsmodels(name, column):
    """A series that comes with statsmodels, gaps filled with the last value."""

    def series():
        from statsmodels import datasets

        data = getattr(datasets, name).load_pandas().data
        values = data[column] if column else data.drop(columns="YEAR").stack()
        return values.ffill().to_numpy(float)

    return series


# -- simulated data -------------------------------------------------------------------------------------


def simulated(make, n, n_test=1000):
    """n series to choose by and others to test on."""

    def load():
        return *make(n, np.random.default_rng(1000)), *make(n_test, np.random.default_rng(1001))

    return load


def nonlinear_autoregression(n=3000):
    """An AR(3) with a threshold: linear regression reaches half of what can be known."""
    rng, values = np.random.default_rng(7), [0.1, 0.2, 0.3]
    for _ in range(n + 100):
        a, b, c = values[-1], values[-2], values[-3]
        values.append(0.8 * a * np.cos(b) - 0.6 * np.tanh(2 * c) + 0.5 * np.abs(b) - 0.2 + 0.2 * rng.normal())
    return np.array(values[-n:])


def rises_or_falls(n, rng):
    """Which of two noisy trends a series follows."""
    y = np.arange(n) % 2
    noise = rng.normal(size=(n, 30, 2)).cumsum(axis=1) * 0.3
    noise[..., 0] += (2 * y[:, None] - 1) * np.linspace(0, 2, 30)
    return noise, y


def first_peak(n, rng):
    """Which of four channels peaks first, among noise."""
    X = rng.normal(size=(n, 20, 4))
    times = np.sort(rng.integers(0, 20, (n, 4)), axis=1)
    order = rng.permuted(np.tile(np.arange(4), (n, 1)), axis=1)
    rows = np.arange(n)
    for k in range(4):
        X[rows, times[:, k] * (times[:, k] > times[:, 0]) + times[:, 0] * (k == 0), order[:, k]] += 4
    return X, order[:, 0]


def discounted_sum(n, rng):
    """A sum that forgets, of which a gate says when to add."""
    X, state = rng.normal(size=(n, 20, 2)), np.zeros(n)
    for t in range(20):
        state = 0.9 * state + X[:, t, 0] * (X[:, t, 1] > 0)
    return X, state + 0.1 * rng.normal(size=n)


def adding(n, rng, T=200):
    """Hochreiter & Schmidhuber 1997, section 5.4, as it is told today: the sum of two marked values, one a half."""
    values, marks, rows = rng.uniform(size=(n, T)), np.zeros((n, T)), np.arange(n)
    first, second = rng.integers(0, T // 2, n), rng.integers(T // 2, T, n)
    marks[rows, first] = marks[rows, second] = 1
    return np.stack([values, marks], axis=2).astype("float32"), values[rows, first] + values[rows, second]


def temporal_order(n, rng):
    """Hochreiter & Schmidhuber 1997, section 5.6, task 6a: in which order X or Y came, at 10 to 20 and at 50 to 60."""
    X, y = [], rng.integers(0, 4, n)
    for label in y:
        symbols = rng.integers(0, 4, rng.integers(100, 111))  # a, b, c and d say nothing
        symbols[[0, -1]] = 6, 7  # E begins, B ends
        symbols[rng.integers(10, 21)], symbols[rng.integers(50, 61)] = 4 + label // 2, 4 + label % 2  # X or Y
        X.append(np.eye(8, dtype="float32")[symbols])
    return X, y


SETS = [
    DataSet("JapaneseVowels", True, archive("JapaneseVowels")),
    DataSet("BasicMotions", True, archive("BasicMotions")),
    DataSet("ArrowHead", True, archive("ArrowHead")),
    DataSet("OSULeaf", True, archive("OSULeaf")),
    DataSet("ACSF1", True, archive("ACSF1")),
    DataSet("PLAID", True, archive("PLAID", "sktime")),
    DataSet("UnitTest", True, archive("UnitTest")),
    DataSet("GunPoint", True, archive("GunPoint")),
    DataSet("ItalyPowerDemand", True, archive("ItalyPowerDemand")),
    DataSet("PickupGesture", True, archive("PickupGestureWiimoteZ")),
    DataSet("digits by rows", True, digits(pixel_by_pixel=False)),
    DataSet("digits by pixels", True, digits(pixel_by_pixel=True)),
    DataSet("Tecator", False, archive_numbers("Tecator", "sktime")),
    DataSet("sunspots, 20 years", False, windows(of_statsmodels("sunspots", "SUNACTIVITY"), 20), ordered=True),
    DataSet("CO2, 26 weeks", False, windows(of_statsmodels("co2", "co2"), 26), ordered=True),
    DataSet("El Nino, 24 months", False, windows(of_statsmodels("elnino", None), 24), ordered=True),
    DataSet("Nile, 10 years", False, windows(of_statsmodels("nile", "volume"), 10), ordered=True),
    DataSet("nonlinear AR(3)", False, windows(nonlinear_autoregression, 10), ordered=True),
    DataSet("trend of 50", True, simulated(rises_or_falls, 50)),
    DataSet("first peak of 2,000", True, simulated(first_peak, 2000)),
    DataSet("discounted sum of 300", False, simulated(discounted_sum, 300)),
    DataSet("discounted sum of 50,000", False, simulated(discounted_sum, 50_000)),
    DataSet("adding problem, T=200", False, simulated(adding, 6400)),
    DataSet("temporal order", True, simulated(temporal_order, 6400)),
]
