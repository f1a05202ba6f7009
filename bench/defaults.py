"""How the rules behind "auto" were chosen, and what they reach.

``python bench/defaults.py rules [--sets PART ...] [--rules NAME ...]``: cross-validation on the data to choose by, the
defaults beside the same with one thing changed. ``... final``: the test data of every set, once: the defaults, a grid
search over rate, batch size and hidden units, scikit-learn's MLP with its defaults, and ("unscaled") the defaults on
the same data times 1,000 plus 10,000. ``... table``: the tables of what was run. All numbers go to
.benchmarks/defaults.json, where other rows stay.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
from data_sets import SETS
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.neural_network import MLPClassifier, MLPRegressor

from fastlstm import LSTMClassifier, LSTMRegressor
from fastlstm.training import defaults

RESULTS = Path(__file__).parent.parent / ".benchmarks" / "defaults.json"
RULES = {
    "default": {},
    "twice the batch": {"batch": 2},
    "half the batch": {"batch": 0.5},
    "rate .003": {"learning_rate_init": 0.003},
    "rate .02": {"learning_rate_init": 0.02},
    "half the epochs": {"times": 0.5},
    "twice the epochs": {"times": 2},
    "standard": {"init": "standard"},
    "no dropout": {"dropout": 0.0},
    "dropout .4": {"dropout": 0.4},
    "32 units": {"hidden_size": 32},
    "128 units": {"hidden_size": 128},
    "adamw .1": {"solver": "adamw", "alpha": 0.1},
    "bidirectional": {"bidirectional": True},
    # what the defaults were before: as MLPClassifier's
    "constant .001": {"learning_rate": "constant", "learning_rate_init": 0.001, "max_iter": 200, "dropout": 0.0}
    | {"batch_size": 200, "init": "standard", "standardize": True},
}
GRID = {"learning_rate_init": [0.001, 0.01], "batch_size": [16, 64, 200], "hidden_size": [32, 64, 128]}
BEFORE = {"learning_rate": "constant", "max_iter": 200, "dropout": 0.0, "init": "standard"}  # beside the grid
SEEDS = 3


def estimator(data, **parameters):
    return (LSTMClassifier if data.classes else LSTMRegressor)(**parameters, n_jobs=1)


def fitted(model, X, y):
    """The model, and the seconds that `fit` took."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    return model, time.perf_counter() - start


def by_rule(data, rule):
    """Mean score and seconds of a rule over the folds of the data to choose by."""
    scores, seconds = [], []
    for seed, (X, y, X_held, y_held) in enumerate(data.folds()):
        parameters = dict(RULES[rule])
        # in proportion to the defaults; another batch has the same number of epochs
        times, batch, settled = parameters.pop("times", 1), parameters.pop("batch", 1), settled_for(X)
        if times != 1 or batch != 1:
            parameters["max_iter"] = max(1, round(times * settled["max_iter"]))
            parameters["batch_size"] = max(1, round(batch * settled["batch_size"]))
        model, took = fitted(estimator(data, **parameters, random_state=seed), X, y)
        scores.append(model.score(X_held, y_held))
        seconds.append(took)
    return {"scores": scores, "seconds": seconds, "settings": model.settings_}


def settled_for(X):
    """What "auto" comes to."""
    return defaults.resolve(dict.fromkeys(defaults.NAMES, "auto"), "lstm", len(X), max(map(len, X)), sum(map(len, X)))


def flat(X):
    """Series as rows of a table for an MLP: standardised channels, zeros behind an end."""
    T, steps = max(len(x) for x in X), np.concatenate([np.asarray(x, float).reshape(len(x), -1) for x in X])
    mean, scale = steps.mean(axis=0), steps.std(axis=0)
    table = np.zeros((len(X), T, len(mean)))
    for row, x in zip(table, X, strict=True):
        row[: len(x)] = (np.asarray(x, float).reshape(len(x), -1) - mean) / np.where(scale > 0, scale, 1)
    return table.reshape(len(X), -1)


def grid_search(data):
    folds = TimeSeriesSplit(3) if data.ordered else 3
    return GridSearchCV(estimator(data, **BEFORE, random_state=0), GRID, cv=folds, n_jobs=1)


def final(data, kind):
    """Scores and seconds on the test data."""
    X, y, X_test, y_test = data.load()
    scores, seconds, settings = [], [], None
    if kind == "unscaled":
        X, X_test = ([1e3 * np.asarray(x, float) + 1e4 for x in part] for part in (X, X_test))
        if not data.classes:
            y, y_test = 1e3 * y + 1e4, 1e3 * y_test + 1e4
    for seed in range(1 if kind == "grid" else SEEDS):
        if kind == "mlp":
            split = len(X)
            table = flat([*X, *X_test])
            shift, scale = (0, 1) if data.classes else (y.mean(), y.std())
            targets, test = (y, y_test) if data.classes else ((y - shift) / scale, (y_test - shift) / scale)
            model = (MLPClassifier if data.classes else MLPRegressor)(random_state=seed)
            model, took = fitted(model, table[:split], targets)
            scores.append(model.score(table[split:], test))
        else:
            model = grid_search(data) if kind == "grid" else estimator(data, random_state=seed)
            model, took = fitted(model, X, y)
            scores.append(model.score(X_test, y_test))
            settings = model.best_params_ if kind == "grid" else model.settings_
        seconds.append(took)
    return {"scores": scores, "seconds": seconds, "settings": settings}


def mean_score(numbers):
    """The mean over folds or seeds; R squared below 0 counts as 0, for worse than nothing is no worse than that."""
    return np.mean(np.maximum(numbers["scores"], 0))


def cell(numbers):
    return f"{mean_score(numbers):.3f}" if numbers else "-"


def table(results, columns):
    """Mean scores: rows of sets, a column for each rule; the last row has means of differences."""
    rows = {data.name: results.get(data.name, {}) for data in SETS if results.get(data.name)}
    lines = [["data", *columns], ["---"] * (1 + len(columns))]
    for name, row in rows.items():
        lines.append([name, *(cell(row.get(column)) for column in columns)])
    means = []
    for column in columns:
        both = [row for row in rows.values() if column in row and columns[0] in row]
        differences = [mean_score(row[column]) - mean_score(row[columns[0]]) for row in both]
        means.append(f"{np.mean(differences):+.3f} ({len(both)})" if both else "-")
    lines.append([f"against {columns[0]} (sets)", *means])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["rules", "final", "table"])
    parser.add_argument("--sets", nargs="*", default=[""], help="parts of names of data sets")
    parser.add_argument("--rules", nargs="*", default=None, help="rules, or of final: default, unscaled, grid, mlp")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    path = arguments.results
    path.parent.mkdir(exist_ok=True)
    every = {"rules": list(RULES), "final": ["default", "unscaled", "grid", "mlp"]}
    stages = [arguments.what] if arguments.what != "table" else list(every)
    for stage in stages:
        for data in SETS if arguments.what != "table" else ():
            if not any(part in data.name for part in arguments.sets):
                continue
            for name in arguments.rules or every[stage]:
                row = (by_rule if stage == "rules" else final)(data, name)
                results = json.loads(path.read_text()) if path.exists() else {}
                results.setdefault(stage, {}).setdefault(data.name, {})[name] = row
                path.write_text(json.dumps(results, default=float))
                print(f"{data.name}, {name}: {np.mean(row['scores']):.4f}, {np.mean(row['seconds']):.2f} s", flush=True)
        results = json.loads(path.read_text()).get(stage, {}) if path.exists() else {}
        if not results:
            print(f"{path} has no results of {stage!r}: run that first.")
        else:
            print(table(results, [name for name in every[stage] if any(name in row for row in results.values())]))


if __name__ == "__main__":
    main()
