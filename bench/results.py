"""Trains every task of `learning.py` and prints the table: tuned, in torch, and with default parameters.

``python bench/results.py [--validation] [--no-torch] [part of a task's name ...]``; all numbers go to
.benchmarks/learning.json, where the rows of tasks that are not run again stay.
"""

import argparse
import json
import time
import warnings
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
from learning import TASKS, aeon_folder, held_out, needs_aeon
from peers import torch_training_seconds
from sklearn.exceptions import ConvergenceWarning

RESULTS = Path(__file__).parent.parent / ".benchmarks" / "learning.json"
TORCH_BUDGET = 20  # seconds; of what takes longer, as many batches as fit are timed


def trainings(task, parameters):
    """Score, seconds and the fitted model of each seed, one after the other."""
    for seed in task.seeds:
        X, y, X_test, y_test = task.split(seed)
        model = task.estimator(**parameters, random_state=seed)
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # epochs are chosen here
            model.fit(X, y)
        seconds = time.perf_counter() - start
        yield task.score(model, X_test, y_test), seconds, model


def warm_up(task):
    """Compile what the task needs, which is no part of a training's time."""
    for _ in trainings(replace(task, seeds=task.seeds[:1]), {**task.tuned, "max_iter": 1}):
        pass


def run(task, with_torch=True):
    """All numbers of a row."""
    warm_up(task)
    row = {"name": task.name, "measure": task.measure, "goal": task.goal}
    for kind, parameters in [("tuned", task.tuned), ("default", task.default)]:
        numbers = {"parameters": parameters, "scores": [], "seconds": [], "epochs": []}
        for score, seconds, model in trainings(task, parameters):
            print(f"  {kind}: {task.measure} {score:.4f}, {model.n_iter_} epochs, {seconds:.1f} s", flush=True)
            for name, value in [("scores", score), ("seconds", seconds), ("epochs", model.n_iter_)]:
                numbers[name].append(value)
        row[kind] = numbers
        if kind == "tuned":
            row["reached"] = bool(task.reached(numbers["scores"]))
            X, y, *_ = task.split(task.seeds[-1])
            torch = torch_training_seconds(model, X, y, joblib.cpu_count(), TORCH_BUDGET) if with_torch else None
            row["torch_seconds"], row["torch_part"] = torch or (None, None)
            if torch:
                print(f"  torch: {torch[0]:.1f} s, of which {torch[1]:.0%} were run", flush=True)
    row["default_holds"] = near(task, row["tuned"]["scores"], row["default"]["scores"])
    return row


def earlier_rows(validation):
    """The rows that are there already, by name."""
    if not RESULTS.exists():
        return {}
    results = json.loads(RESULTS.read_text())
    return {row["name"]: row for row in results["rows"]} if results["validation"] == validation else {}


def near(task, tuned, default):
    """Whether the defaults come within 2 points of accuracy, or twice the error."""
    tuned, default = np.mean(tuned), np.mean(default)
    return bool(default >= tuned - 0.02 if task.measure == "accuracy" else default <= 2 * tuned)


def words(row):
    """A row of the table."""
    tuned, default, (sign, number) = row["tuned"], row["default"], row["goal"]
    digits = 3 if row["measure"] == "accuracy" else 4
    scores = [f"{value:.{digits}f}" for value in (np.mean(tuned["scores"]), min(tuned["scores"]), max(tuned["scores"]))]
    torch = "-" if row["torch_seconds"] is None else f"{row['torch_seconds']:.1f}"
    return [
        row["name"],
        f"{row['measure']} {sign} {number}",
        f"{scores[0]} ({scores[1]} to {scores[2]}, {len(tuned['scores'])} seeds)"
        + ("" if row["reached"] else ", missed"),
        f"{np.mean(tuned['epochs']):.0f}",
        f"{np.mean(tuned['seconds']):.1f}",
        torch + (" (scaled up)" if row["torch_part"] and row["torch_part"] < 1 else ""),
        f"{np.mean(default['scores']):.{digits}f}" + ("" if row["default_holds"] else ", too far off"),
        f"{np.mean(default['epochs']):.0f}",
        f"{np.mean(default['seconds']):.1f}",
    ]


def table(rows):
    head = "task | to reach | reached | epochs | seconds | torch, seconds | with defaults | epochs | seconds"
    lines = [head.split(" | "), ["---"] * 9, *(words(row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def listing(rows):
    """The parameters that are not the defaults."""
    tuned, names = {task.name: task.tuned for task in TASKS}, [row["name"] for row in rows]
    sets = {name: ", ".join(f"{k}={v!r}" for k, v in tuned[name].items()) for name in names}
    return "\n".join(f"- {name}: `{parameters}`" for name, parameters in sets.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names; all tasks without")
    parser.add_argument("--no-torch", action="store_true", help="leave torch's times out")
    parser.add_argument("--validation", action="store_true", help="the data that the models were chosen by")
    arguments = parser.parse_args()
    rows = earlier_rows(arguments.validation)
    for task in TASKS:
        if arguments.names and not any(name in task.name for name in arguments.names):
            continue
        print(task.name, flush=True)
        if needs_aeon(task) and aeon_folder() is None:
            print("  left out: aeon is not installed, with which its data come (pip install --no-deps aeon==1.6.0)")
            continue
        rows[task.name] = run(held_out(task) if arguments.validation else task, not arguments.no_torch)
        in_order = [rows[task.name] for task in TASKS if task.name in rows]
        results = {"cpus": joblib.cpu_count(), "validation": arguments.validation, "rows": in_order}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results))
    in_order = [rows[task.name] for task in TASKS if task.name in rows]
    print(f"\n{table(in_order)}\n\n{listing(in_order)}")


if __name__ == "__main__":
    main()
