"""Forecasts of real and simulated series by LSTMForecaster, beside what a forecaster must beat.

``python bench/forecasting.py [SERIES ...] [--models NAME ...] [--seeds N ...]`` runs all models on all series, or those
named, and adds the results to .benchmarks/forecasting.json, whose contents are printed as two tables. One has the mean
absolute error over all origins and horizons, in units of that of a naive forecast of the same horizons in the training
data; the other the CPU time of a fit on one thread.
"""

import argparse
import itertools
import json
import time
import warnings
from pathlib import Path

import numpy as np
from forecasting_peers import HIDDEN, PEERS, RANDOM
from forecasting_series import real, simulated

from fastlstm.forecasting import LSTMForecaster

RESULTS = Path(__file__).parent.parent / ".benchmarks" / "forecasting.json"


def lstm(case, seed):
    """Results of LSTMForecaster and of its own linear model, a ridge regression on the same lags."""
    model = LSTMForecaster(
        case.horizon, case.lags, season_length=case.season, transform="log" if case.log else None,
        positive=case.positive, hidden_size=HIDDEN, random_state=seed, n_jobs=1,
    )  # fmt: skip
    start = time.process_time()
    model.fit(case.y[: case.split])
    seconds = time.process_time() - start
    backtest = model.backtest(case.y[case.split :], ets=False)
    network = {
        "mase": case.error(backtest.forecasts["lstm"]), "seconds": seconds,
        "coverage": backtest.summary()["lstm"]["coverage"], "scaling": model.scaling_, "share": model.network_share_,
    }  # fmt: skip
    return {"lstm": network, "linear": {"mase": case.error(backtest.forecasts["linear"])}}


def measure(name, case, seed):
    """Results by model."""
    if name == "lstm":
        return lstm(case, seed)
    forecasts, seconds = PEERS[name](case, seed)
    return {} if forecasts is None else {name: {"mase": case.error(forecasts), "seconds": seconds}}


COLUMNS = ["lstm", "linear", *PEERS]
TIMED = ["lstm", "lightgbm", *RANDOM, "ets"]


def tables(known):
    """Errors and seconds as Markdown, with the geometric means over the series that all models have forecast."""

    def table(header, rows):
        return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *rows])

    def mean(series, model, key):
        runs = known[series].get(model, {}).values()
        return np.mean([run[key] for run in runs]) if runs else np.nan

    def cell(value, digits=2):
        return f"{value:.{digits}f}" if np.isfinite(value) else "-"

    rows = []
    for series, models in known.items():
        ours = models.get("lstm", {}).values()
        errors = [run["mase"] for run in ours]
        cells = [cell(mean(series, model, "mase")) for model in COLUMNS]
        cells[0] += f" ({min(errors):.2f}-{max(errors):.2f})" if ours else ""
        scalings = ", ".join(sorted({run["scaling"] for run in ours})) or "-"
        rows.append(
            [series, *cells, cell(mean(series, "lstm", "coverage")), scalings, cell(mean(series, "lstm", "share"))]
        )
    present = [model for model in COLUMNS if any(model in models for models in known.values())]
    errors = {s: {m: mean(s, m, "mase") for m in COLUMNS} for s in known if all(m in known[s] for m in present)}
    if errors:
        means = [np.exp(np.mean([np.log(of[model]) for of in errors.values()])) for model in COLUMNS]
        coverage = cell(np.mean([mean(series, "lstm", "coverage") for series in errors]))
        rows.append([f"geometric mean of {len(errors)}", *map(cell, means), coverage, "", ""])
    seconds = [[series, *(cell(mean(series, model, "seconds"), 1) for model in TIMED)] for series in known]
    return "\n\n".join(
        [table(["series", *COLUMNS, "coverage", "scaling", "share"], rows), table(["seconds", *TIMED], seconds)]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("series", nargs="*", help="parts of the names of series; by default all")
    parser.add_argument("--models", nargs="*", choices=["lstm", *PEERS], default=["lstm", *PEERS])
    parser.add_argument("--seeds", nargs="*", type=int, default=range(5))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    cases = {
        name: case
        for name, case in [*real(), *simulated()]
        if not arguments.series or any(part in name for part in arguments.series)
    }
    for seed, (name, case), model in itertools.product(arguments.seeds, cases.items(), arguments.models):
        if seed > 0 and model not in {"lstm", *RANDOM}:
            continue
        try:
            parts = measure(model, case, seed)
        except ImportError:
            continue
        for part, result in parts.items():
            known.setdefault(name, {}).setdefault(part, {})[str(seed)] = result
            print(f"{name}, {part}, seed {seed}: {result['mase']:.3f}", flush=True)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(known, indent=1))
    print("\n" + tables(known))


if __name__ == "__main__":
    main()
