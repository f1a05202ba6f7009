"""Forecasts of real and simulated series by LSTMForecaster, beside what a forecaster must beat.

``python bench/forecasting.py [SERIES ...] [--seeds N]`` prints a table, and keeps it in .benchmarks/forecasting.json.
Forecasts start from all origins of the last part of each series, of which no model has seen anything. MASE is the mean
absolute error over all origins and horizons, in units of the seasonal naive forecast's error in the training data.
"""

import argparse
import json
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from data_sets import package_folder

from fastlstm.forecasting import LSTMForecaster

RESULTS = Path(__file__).parent.parent / ".benchmarks" / "forecasting.json"


@dataclass(frozen=True)
class Case:
    """A series, and how it is forecast."""

    y: object
    horizon: int
    held_out: int
    parameters: dict = field(default_factory=dict)


def real():
    """Series that come with statsmodels and aeon, whose documentation names the sources."""
    from statsmodels.datasets import co2, elnino, sunspots

    folder = package_folder("aeon")
    if folder:
        air = pd.read_csv(folder / "datasets/data/Airline/Airline.csv")
        air = pd.Series(air.iloc[:, 1].to_numpy(float), pd.PeriodIndex(air.iloc[:, 0], freq="M"))
        yield "air passengers", Case(air, 6, 24, {"transform": "log"})
        lynx = pd.read_csv(folder / "datasets/data/Lynx/Lynx.csv").iloc[:, -1].to_numpy(float)
        yield "lynx", Case(lynx, 3, 30, {"transform": "log"})
    monthly = co2.load_pandas().data.co2.resample("MS").mean().interpolate()
    sea = elnino.load_pandas().data.set_index("YEAR").to_numpy(float).ravel()
    sea = pd.Series(sea, pd.date_range("1950-01", periods=len(sea), freq="MS"))
    yield "CO2", Case(monthly, 12, 120)
    yield "El Nino", Case(sea, 12, 120)
    yield "sunspots", Case(sunspots.load_pandas().data.SUNACTIVITY.to_numpy(), 8, 60, {"window": 33})


def simulated(n=600):
    """Series of known kinds; those of the second half are nonlinear."""
    rng, t = np.random.default_rng(0), np.arange(n)
    season = {"season_length": 12}
    yield "trend", Case(0.05 * t + rng.normal(size=n).cumsum() * 0.1 + 0.3 * rng.normal(size=n), 6, 100)
    waves = 3 * np.sin(2 * np.pi * t / 12) + 2 * np.cos(2 * np.pi * t / 6)
    yield "seasonal", Case(10 + waves + 0.01 * t + 0.5 * rng.normal(size=n), 6, 100, season)
    growing = np.exp(0.003 * t) * (10 + waves) * np.exp(0.05 * rng.normal(size=n))
    yield "growing season", Case(growing, 6, 100, {**season, "transform": "log"})
    yield "intermittent", Case(rng.poisson(2, n) * (rng.random(n) < 0.3) * 1.0, 6, 100, {"positive": True})
    level = np.select([t < 200, t < 420], [0.0, 5.0], -3.0)
    yield "level shifts", Case(level + 0.5 * rng.normal(size=n), 6, 100)
    yield "autoregression", Case(_recursion(n, rng, lambda y: 1.5 * y[-1] - 0.7 * y[-2] + rng.normal()), 6, 100)
    cubic = _recursion(n, rng, lambda y: np.clip(1 - 1.7 * y[-3] ** 2 + 0.05 * rng.normal(), -1, 1))
    yield "lag 3 map", Case(cubic, 3, 100)
    regimes = _recursion(n, rng, lambda y: (0.9 * y[-1] + 1 if y[-1] < 0 else -0.8 * y[-1]) + 0.3 * rng.normal())
    yield "two regimes", Case(regimes, 4, 100)
    yield "Mackey-Glass", Case(_mackey_glass(n), 8, 100)


def _recursion(n, rng, step, burn_in=100):
    y = list(rng.uniform(-0.5, 0.5, 3))
    for _ in range(n + burn_in):
        y.append(step(y))
    return np.array(y[-n:])


def _mackey_glass(n, spacing=60, delay=170):
    """Mackey & Glass (1977), by steps of 0.1."""
    x = [1.2] * (delay + 1)
    for _ in range(n * spacing + 1000):
        x.append(x[-1] + 0.1 * (0.2 * x[-1 - delay] / (1 + x[-1 - delay] ** 10) - 0.1 * x[-1]))
    return np.array(x[-n * spacing :: spacing])


def measure(case, seed):
    """MASE by model, coverage of the 90 % intervals, and the seconds that the fit took."""
    split = len(case.y) - case.held_out
    model = LSTMForecaster(case.horizon, hidden_size=32, random_state=seed, n_jobs=1, **case.parameters)
    start = time.perf_counter()
    model.fit(case.y[:split])
    seconds = time.perf_counter() - start
    errors = model.backtest(case.y[split:]).summary()
    result = {name: of["mase"] for name, of in errors.items()}
    return result | {
        "coverage": errors["lstm"]["coverage"], "seconds": seconds, "scaling": model.scaling_,
        "share": model.network_share_,
    }  # fmt: skip


COLUMNS = ["lstm", "linear", "ets", "seasonal_naive", "persistence", "coverage", "seconds"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("series", nargs="*", help="parts of the names of series; by default all")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    print(f"| series | {' | '.join(COLUMNS)} | scaling | share of the network |\n|{'---|' * (len(COLUMNS) + 3)}")
    for name, case in [*real(), *simulated()]:
        if arguments.series and not any(part in name for part in arguments.series):
            continue
        known[name] = runs = [measure(case, seed) for seed in range(arguments.seeds)]
        cells = []
        for column in COLUMNS:
            values = [run[column] for run in runs if column in run]
            spread = f" ({min(values):.2f}-{max(values):.2f})" if column == "lstm" else ""
            cells.append(f"{np.mean(values):.2f}{spread}" if values else "-")
        scalings = ", ".join(sorted({run["scaling"] for run in runs}))
        print(
            f"| {name} | {' | '.join(cells)} | {scalings} | {np.mean([run['share'] for run in runs]):.2f} |", flush=True
        )
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(known, indent=1))


if __name__ == "__main__":
    main()
