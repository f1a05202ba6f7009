"""Trains the tasks of `learning.py` and the forecasters of `forecasting.py` with both precisions, and compares them.

``python bench/precision_learning.py [part of a name ...] [--kinds tuned ...] [--seeds N] [--again]`` adds the scores to
.benchmarks/precision_learning.json, one after the other, and prints all that are there as tables. A score that is there
is not computed again without ``--again``. Both trainings of a pair have the same data, initial weights and minibatches,
since these depend on the seed alone.
"""

import argparse
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from forecasting import lstm, markdown
from forecasting_series import real, simulated
from learning import TASKS, aeon_folder, needs_aeon
from results import trainings
from scipy.stats import ttest_rel

from fastlstm.kernels import OF_TRAINING

RESULTS = Path(__file__).parent.parent / ".benchmarks" / "precision_learning.json"
LEARNING = ("tuned", "default")
FORECASTS = {"forecaster": {}, "network alone": {"skip": None}}  # parameters


@dataclass(frozen=True)
class Row:
    """What is trained with both precisions."""

    kind: str
    name: str
    measure: str
    score: Callable  # of a seed and a precision


def rows():
    """All rows of the tables; those whose data come with a package that is not installed are left out."""
    for kind in LEARNING:
        for task in TASKS:
            if not needs_aeon(task) or aeon_folder():
                yield Row(kind, task.name, task.measure, partial(task_score, task, getattr(task, kind)))
    for kind, parameters in FORECASTS.items():
        for name, case in [*real(), *simulated()]:
            yield Row(kind, name, "scaled error", partial(forecast_error, case, parameters))


def task_score(task, parameters, seed, precision):
    ((score, _, _),) = trainings(replace(task, seeds=[seed]), {**parameters, "precision": precision})
    return score


def forecast_error(case, parameters, seed, precision):
    return lstm(case, seed, **parameters, precision=precision)["lstm"]["mase"]


def pairs(scores):
    """Scores [2, seeds] of the seeds that have been run with both precisions."""
    narrow = scores.get("bfloat16", {})
    both = [seed for seed in scores.get("float32", {}) if seed in narrow]
    return np.array([[scores[precision][seed] for seed in both] for precision in OF_TRAINING])


def paired(exact, narrow):
    """A paired t-test; None where no pair differs, or there are too few.

    Wilcoxon's test is none for five pairs: the least p that it can reach is 1/16.
    """
    return ttest_rel(narrow, exact) if len(exact) > 1 and np.any(exact != narrow) else None


def cells(row, exact, narrow):
    """A line of a table."""
    digits = 5 if row.measure == "MSE" else 4  # these are small
    test, difference = paired(exact, narrow), f"{np.mean(narrow - exact):+.{digits}f}"
    if test:
        low, high = test.confidence_interval()
        difference += f" ± {(high - low) / 2:.{digits}f}"
    return [
        row.name,
        row.measure,
        str(len(exact)),
        f"{exact.mean():.{digits}f}",
        f"{narrow.mean():.{digits}f}",
        difference,
        f"{test.pvalue:.2g}" if test else "-",
    ]


def table(kind, known):
    """The rows of a kind, and how many of them differ beyond chance."""
    found = [(row, *pairs(known.get(f"{kind}: {row.name}", {}))) for row in rows() if row.kind == kind]
    found = [(row, exact, narrow) for row, exact, narrow in found if len(exact)]
    head = [kind, "measure", "seeds", *OF_TRAINING, "difference, 95 % interval", "p"]
    tests = [test for _, *scores in found if (test := paired(*scores))]
    text = f"{markdown(head, [cells(*of) for of in found])}\n\n"
    text += f"p < 0.05 in {sum(test.pvalue < 0.05 for test in tests)} of {len(tests)} tests."
    differing = [scores for _, *scores in found if np.any(scores[0] != scores[1])]
    return text + (f" {of_all_series(differing)}" if kind in FORECASTS and len(differing) > 1 else "")


def of_all_series(scores):
    """The ratio of errors; each series counts once, since its seeds have the same data."""
    logarithms = np.array([np.log(of).mean(axis=1) for of in scores]).T
    test = paired(*logarithms)
    low, high = np.exp(test.confidence_interval())
    mean = np.exp(np.mean(logarithms[1] - logarithms[0]))
    return (
        f"Ratio of errors, geometric mean of the {logarithms.shape[1]} series that differ: {mean:.3f} "
        f"({low:.3f} to {high:.3f}), p = {test.pvalue:.2g}."
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="parts of names; by default all")
    parser.add_argument("--kinds", nargs="*", choices=[*LEARNING, *FORECASTS], default=[*LEARNING, *FORECASTS])
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--again", action="store_true", help="run what there are scores of, too")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for row in rows():
        if row.kind not in arguments.kinds or (arguments.names and not any(of in row.name for of in arguments.names)):
            continue
        scores = known.setdefault(f"{row.kind}: {row.name}", {precision: {} for precision in OF_TRAINING})
        for seed in range(arguments.seeds):
            for precision in OF_TRAINING:
                if str(seed) in scores[precision] and not arguments.again:
                    continue
                scores[precision][str(seed)] = score = row.score(seed, precision)
                print(f"{row.kind}: {row.name}, seed {seed}, {precision}: {score:.4f}", flush=True)
                RESULTS.parent.mkdir(exist_ok=True)
                RESULTS.write_text(json.dumps(known, indent=1))
    kinds = [kind for kind in [*LEARNING, *FORECASTS] if any(of.startswith(kind) for of in known)]
    print("\n\n".join(table(kind, known) for kind in kinds))


if __name__ == "__main__":
    main()
