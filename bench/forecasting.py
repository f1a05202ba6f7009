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


def lstm(case, seed, **parameters):
    """Results of LSTMForecaster and, if it has one, of its own linear model, a ridge regression on the same lags."""
    model = LSTMForecaster(
        case.horizon, case.lags, season_length=case.season, transform="log" if case.log else None,
        positive=case.positive, hidden_size=HIDDEN, random_state=seed, n_jobs=1, **parameters,
    )  # fmt: skip
    start = time.process_time()
    model.fit(case.y[: case.split])
    seconds = time.process_time() - start
    backtest = model.backtest(case.y[case.split :], ets=False)
    network = {
        "mase": case.error(backtest.forecasts["lstm"]), "seconds": seconds,
        "coverage": backtest.summary()["lstm"]["coverage"], "scaling": model.scaling_, "share": model.network_share_,
    }  # fmt: skip
    results = {"lstm": network}
    if "linear" in backtest.forecasts:
        results["linear"] = {"mase": case.error(backtest.forecasts["linear"])}
    return results


def measure(name, case, seed):
    """Results by model."""
    if name == "lstm":
        return lstm(case, seed)
    forecasts, seconds = PEERS[name](case, seed)
    return {} if forecasts is None else {name: {"mase": case.error(forecasts), "seconds": seconds}}


def errors(known):
    """The table of errors; below it, how each model compares with lstm on the series that both have forecast."""
    models = ["lstm", "linear", *PEERS]
    rows, ratios = [], {model: [] for model in models}
    for series, results in known.items():
        means = {model: mean(results, model, "mase") for model in models}
        for model in models:
            ratios[model].append(means[model] / means["lstm"])
        runs = results.get("lstm", {}).values()
        spread = [run["mase"] for run in runs]
        cells = [cell(means[model]) for model in models]
        cells[0] += f" ({min(spread):.2f}-{max(spread):.2f})" if runs else ""
        scalings = ", ".join(sorted({run["scaling"] for run in runs})) or "-"
        coverage, share = (cell(mean(results, "lstm", key)) for key in ("coverage", "share"))
        rows.append([series, *cells, coverage, scalings, share])
    ratios = [np.array(of)[np.isfinite(of)] for of in ratios.values()]
    geometric = [cell(np.exp(np.log(of).mean()) if len(of) else np.nan) for of in ratios]
    better = [f"{(of < 0.98).sum()} of {len(of)}" for of in ratios]
    rows.append(["times lstm's (geometric mean)", *geometric, "", "", ""])
    rows.append(["better than lstm by 2 %", *better, "", "", ""])
    return markdown(["series", *models, "coverage", "scaling", "share"], rows)


def seconds(known):
    models = ["lstm", "ridge", "lightgbm", *RANDOM, "ets"]
    rows = [
        [series, *(cell(mean(results, model, "seconds"), 1) for model in models)] for series, results in known.items()
    ]
    return markdown(["seconds of a fit", *models], rows)


def mean(results, model, key):
    """The mean over the seeds, NaN without any."""
    runs = results.get(model, {}).values()
    return np.mean([run[key] for run in runs]) if runs else np.nan


def cell(value, digits=2):
    return f"{value:.{digits}f}" if np.isfinite(value) else "-"


def markdown(header, rows):
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *rows])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("series", nargs="*", help="parts of the names of series; by default all")
    parser.add_argument("--models", nargs="*", choices=["lstm", *PEERS], default=["lstm", *PEERS])
    parser.add_argument("--seeds", nargs="*", type=int, default=range(5))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    cases = dict([*real(), *simulated()])
    names = [name for name in cases if not arguments.series or any(part in name for part in arguments.series)]
    for seed, name, model in itertools.product(arguments.seeds, names, arguments.models):
        if seed > 0 and model not in {"lstm", *RANDOM}:
            continue
        try:
            parts = measure(model, cases[name], seed)
        except ModuleNotFoundError as error:
            print(f"{name}, {model}: {error}", flush=True)
            continue
        for part, result in parts.items():
            known.setdefault(name, {}).setdefault(part, {})[str(seed)] = result
            print(f"{name}, {part}, seed {seed}: {result['mase']:.3f}", flush=True)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(known, indent=1))
    known = {name: known[name] for name in cases if name in known}
    print(f"\n{errors(known)}\n\n{seconds(known)}")


if __name__ == "__main__":
    main()
