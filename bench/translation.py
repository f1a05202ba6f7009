"""Trains LSTMTranslator on the sets of `translation_data.py` and prints what it reaches, beside torch's times.

``python bench/translation.py [--validation] [--no-torch] [--jobs N] [part of a name ...]`` runs all models, or those
named. Results go to .benchmarks/translation.json, where those of other models stay; all of them are printed as tables.

Times beside torch's are of an epoch on one thread, ours and torch's in turn, the medians of `ROUNDS` each. Ours is a
whole fit, with its checks and the encoding of symbols; torch's is the epoch alone. Torch reads batches of one length,
as far as there are such, or packs all: see `translation_torch.py`.
"""

import argparse
import json
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from translation_data import DATA_SETS, DISTANCES, HELD_OUT, distance, words
from translation_torch import torch_epoch_seconds

from fastlstm.language import LSTMTranslator

RESULTS = Path(__file__).parent.parent / ".benchmarks" / "translation.json"
ROUNDS = 5
TIMED = 5_000  # pairs of a timed epoch, at most
OF_TORCH = ("hidden_size", "num_layers", "bidirectional", "attention", "embedding_size")
DO_NOT = "마세요"


@dataclass(frozen=True)
class Run:
    """A model of a set."""

    data: str
    model: str
    parameters: dict
    goal: tuple = ()  # a measure, "<=" or ">=", and a number
    seeds: tuple = (0,)
    timed: bool = False

    @property
    def name(self):
        return f"{self.data}, {self.model}"


# All symbols that matter are known: without symbol_dropout. Learning rates fall as a cosine, the default.
COMMON = {"embedding_size": 32, "symbol_dropout": 0.0}
DATES = {**COMMON, "hidden_size": 64, "batch_size": 64, "learning_rate_init": 3e-3, "max_iter": 8}
NAMES = {"attention": "additive"}
# In one direction, as the backward one of two would read "Don't" last, next to the decoder
SENTENCES = {"hidden_size": 128, "bidirectional": False, "batch_size": 32, "max_iter": 12}
PHONEMES = {**COMMON, "num_layers": 2, "batch_size": 128, "beam_width": 5}
SMALL = {**PHONEMES, "hidden_size": 64, "dropout": 0.1, "learning_rate_init": 4e-3, "max_iter": 20}
LARGE = {**PHONEMES, "hidden_size": 256, "dropout": 0.3, "learning_rate_init": 2e-3, "max_iter": 15}

RUNS = [
    Run("dates", "with attention", DATES, ("exact", ">=", 0.99), timed=True),
    Run("numbers", "with attention", DATES, ("exact", ">=", 0.99), timed=True),
    Run("names", "with attention", NAMES, seeds=(0, 1, 2), timed=True),
    Run("names", "without attention", {**NAMES, "attention": None}, seeds=(0, 1, 2)),
    Run("sentences", "RNN without attention", {**SENTENCES, "cell": "rnn", "attention": None}),
    Run("sentences", "LSTM without attention", {**SENTENCES, "attention": None}),
    Run("sentences", "LSTM with attention", SENTENCES, timed=True),
    Run("pronunciations", "2 x 64", SMALL, ("word error rate", "<=", 0.31), timed=True),
    Run("pronunciations", "2 x 256", LARGE, ("word error rate", "<=", 0.25), timed=True),
]


# -- measures ---------------------------------------------------------------------------------------------


def measured(run, predictions, y):
    """Measures by name; for the targets of sentences and of pronunciations see `translation_data.py`."""
    predictions = [list(prediction) for prediction in predictions]
    if run.data == "pronunciations":
        return {"word error rate": 1 - part(p in accepted for p, accepted in zip(predictions, y, strict=True))}
    pairs = list(zip(predictions, map(list, y), strict=True))
    if run.data != "sentences":
        return {"exact": part(p == target for p, target in pairs)}
    result = {}
    for D in DISTANCES:
        some = [(p, target) for p, target in pairs if distance(target) == D]
        result[f"last word, {D}"] = part((p[-1:] == [DO_NOT]) == (target[-1] == DO_NOT) for p, target in some)
        result[f"exact, {D}"] = part(p == target for p, target in some)
    return result


def part(are_right):
    return float(np.mean(list(are_right)))


def mean(row, measure):
    """The mean over the seeds."""
    return float(np.mean([score[measure] for score in row["scores"]]))


def missed(run, row):
    """Whether there is a goal that is not reached."""
    if not run.goal:
        return False
    measure, sign, number = run.goal
    return mean(row, measure) > number if sign == "<=" else mean(row, measure) < number


# -- training ---------------------------------------------------------------------------------------------


def split(run, validation):
    """The set's parts; for validation, the last tenth of the training part in place of the test part."""
    X, y, X_test, y_test = DATA_SETS[run.data]()
    if not validation:
        return X, y, X_test, y_test
    n = len(X) - len(X) // 10
    held = [[target] for target in y[n:]] if run.data == "pronunciations" else y[n:]
    return X[:n], y[:n], X[n:], held


def fitted(run, X, y, seed, **others):
    """The model, and the seconds of its training."""
    model = LSTMTranslator(**{**run.parameters, **others}, random_state=seed)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # epochs are chosen here
        model.fit(X, y)
    return model, time.perf_counter() - start


def train(run, validation, with_torch, n_jobs):
    """All numbers of a model.

    An interrupted training is resumed; its seconds are those since then. After a change of parameters, delete its
    checkpoint in .benchmarks, which does not belong to them.
    """
    X, y, X_test, y_test = split(run, validation)
    fitted(run, X[:100], y[:100], 0, max_iter=1)  # compiles what is needed
    row = {"scores": [], "seconds": [], "pairs": len(X)}
    RESULTS.parent.mkdir(exist_ok=True)
    for seed in run.seeds:
        checkpoint = RESULTS.parent / f"translation, {run.name}, seed {seed}.checkpoint"
        model, seconds = fitted(run, X, y, seed, n_jobs=n_jobs, checkpoint_path=checkpoint, resume=True)
        checkpoint.unlink()
        row["scores"].append(measured(run, model.predict(X_test), y_test))
        row["seconds"].append(seconds)
        row["epochs"] = model.n_iter_
        print(f"  seed {seed}: {formatted(row['scores'][-1])}; {seconds:.0f} s", flush=True)
    if run.data == "sentences" and run.parameters.get("attention", "dot"):
        row["map"] = attention_map(model)
    if run.timed and with_torch:
        row["epoch"] = epoch_seconds(run, model, X, y)
        print(f"  seconds of an epoch: {row['epoch']}", flush=True)
    return row


def epoch_seconds(run, model, X, y):
    """Median seconds of an epoch on one thread by ours, and by torch in both ways, where it is installed."""
    rows = np.random.default_rng(0).permutation(len(X))[:TIMED]
    X, y = [X[i] for i in rows], [y[i] for i in rows]
    chosen = {name: model.settings_[name] for name in ("batch_size", "dropout")}
    options = chosen | {name: getattr(model, name) for name in OF_TORCH}
    seconds = {}
    for _ in range(ROUNDS):
        for name, value in {
            "ours": fitted(run, X, y, 0, max_iter=1, n_jobs=1, **chosen)[1],
            "torch": torch_epoch_seconds(X, y, threads=1, **options),
            "torch, packed": torch_epoch_seconds(X, y, threads=1, always_packs=True, **options),
        }.items():
            seconds.setdefault(name, []).append(value)
    return {name: round(median(values), 3) for name, values in seconds.items() if None not in values}


def attention_map(model):
    """What `translation_picture.py` draws: the words of HELD_OUT, their translation and its attention."""
    source = words(HELD_OUT)
    (translation,), (weights,) = model.predict([source]), model.attention_weights([source])
    print(f"  {HELD_OUT} {' '.join(translation)}.", flush=True)
    return {"source": source, "translation": list(translation), "weights": np.asarray(weights).tolist()}


# -- tables -----------------------------------------------------------------------------------------------


def formatted(score):
    return ", ".join(f"{name} {value:.2%}" for name, value in score.items())


def table(rows):
    """All models but those of the sentences."""
    lines = [
        ["pairs", "model", "to reach", "reached", "epochs", "seconds", "an epoch, times torch's speed", "torch packed"]
    ]
    for run in RUNS:
        if run.name not in rows or run.data == "sentences":
            continue
        row = rows[run.name]
        (measure,) = row["scores"][0]
        scores = [score[measure] for score in row["scores"]]
        spread = f" ({min(scores):.1%} to {max(scores):.1%})" if len(scores) > 1 else ""
        lines.append([
            f"{run.data}, {row['pairs']:,}",
            run.model,
            f"{measure} {run.goal[1]} {run.goal[2]:.0%}" if run.goal else measure,
            f"{np.mean(scores):.1%}{spread}{', missed' if missed(run, row) else ''}",
            str(row["epochs"]),
            f"{np.mean(row['seconds']):.0f}",
            *(times(row.get("epoch", {}), name) for name in ("torch", "torch, packed")),
        ])  # fmt: skip
    return markdown(lines)


def times(seconds, name):
    """How many times faster ours is."""
    return f"{seconds[name] / seconds['ours']:.1f} x" if name in seconds else "-"


def table_of_sentences(rows):
    """A row for each distance, two columns for each model."""
    runs = [run for run in RUNS if run.data == "sentences" and run.name in rows]
    kinds = ("last word", "exact")
    lines = [["words before the last", *(f"{run.model}: {kind}" for run in runs for kind in kinds)]]
    for D in DISTANCES:
        lines.append([str(D), *(f"{mean(rows[run.name], f'{kind}, {D}'):.1%}" for run in runs for kind in kinds)])
    return markdown(lines)


def markdown(lines):
    header, *rows = lines
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, ["---"] * len(header), *rows])


def known_rows(validation):
    """Results by the names of runs."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"validation": validation, "rows": {}}
    return known["rows"] if known["validation"] == validation else {}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="parts of names of sets and models; all by default")
    parser.add_argument("--no-torch", action="store_true", help="leave times beside torch's out")
    parser.add_argument("--validation", action="store_true", help="score on the data that the models were chosen by")
    parser.add_argument("--jobs", type=int, default=None, help="threads of the trainings, as n_jobs")
    arguments = parser.parse_args()
    for run in RUNS:
        if arguments.names and not any(name in run.name for name in arguments.names):
            continue
        print(run.name, flush=True)
        try:
            row = train(run, arguments.validation, not arguments.no_torch, arguments.jobs)
        except ModuleNotFoundError as error:
            print(f"  left out: {error}", flush=True)
            continue
        rows = {**known_rows(arguments.validation), run.name: row}  # other runs may have ended meanwhile
        RESULTS.write_text(json.dumps({"validation": arguments.validation, "rows": rows}))
    rows = known_rows(arguments.validation)
    print(f"\n{table(rows)}\n\n{table_of_sentences(rows)}")


if __name__ == "__main__":
    main()
