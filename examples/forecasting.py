"""Forecasts of a simulated and an observed time series by an LSTM, a linear autoregression and naive baselines.

- *Blood cells*: the chaotic model of Mackey and Glass (1977), in which the number of white blood cells depends on that
  of 17 days before, with measurement noise; forecast four measurements ahead. The dynamics are nonlinear, so the LSTM
  is much more accurate than the autoregression.
- *Sunspots*: yearly numbers since 1700, forecast one year ahead. The dynamics are nearly linear: an autoregression is
  as accurate, and simpler.

The models are trained on the first four fifths of each series and tested on the last fifth. Each forecast is made from
the true values before it.
"""

import time
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error
from statsmodels.datasets import sunspots

from fastlstm import LSTMRegressor


@dataclass
class Task:
    """A time series and its forecasting task."""

    name: str
    unit: str
    times: np.ndarray
    numbers: np.ndarray
    window: int  # number of past values used as input
    ahead: int  # forecast horizon: distance from the last input to the target
    cycle: int  # approximate period, for the seasonal naive forecast
    of_roots: bool = False  # whether to model square roots, which stabilises a variance proportional to the mean


def of_sunspots():
    """Yearly sunspot numbers. The window was chosen by cross-validation on blocks of 30 training years."""
    data = sunspots.load_pandas().data
    years, numbers = data["YEAR"].to_numpy(int), data["SUNACTIVITY"].to_numpy()
    return Task("sunspots", "sunspots", years, numbers, window=9, ahead=1, cycle=11, of_roots=True)


def of_blood_cells(n=1000, noise=0.02, every=3, seed=0):
    """Mackey & Glass (1977), equation 4b, by Euler's method with ten steps per day; one value per `every` days."""
    fine, delay, warm_up = 10, 17, 300
    cells = np.full((delay + warm_up + n * every) * fine, 1.2)
    for t in range(delay * fine, len(cells) - 1):
        before = cells[t - delay * fine]
        cells[t + 1] = cells[t] + (0.2 * before / (1 + before**10) - 0.1 * cells[t]) / fine
    measured = cells[(delay + warm_up) * fine :: every * fine] + np.random.default_rng(seed).normal(0, noise, n)
    return Task("blood cells", "of normal", every * np.arange(n), measured, window=20, ahead=4, cycle=17)


def run(task, seed=0):
    """Train and test all models; returns the results for the table and the figures."""
    numbers, split = task.numbers, len(task.numbers) * 4 // 5
    print(f"{task.name}: {split} values to train, {len(numbers) - split} to test; {task.window} in, {task.ahead} ahead")

    series = np.sqrt(numbers) if task.of_roots else numbers
    X = np.lib.stride_tricks.sliding_window_view(series, task.window)[: -task.ahead]
    y = series[task.window + task.ahead - 1 :]  # y[i] is `ahead` steps after the last value of X[i]
    first_test = len(y) - (len(numbers) - split)
    X_train, y_train, X_test = X[:first_test], y[:first_test], X[first_test:]

    lstm = LSTMRegressor(random_state=seed)  # default parameters
    seconds, forecasts = {}, {}
    for name, model in {"LSTM": lstm, "linear autoregression": LinearRegression()}.items():
        start = time.perf_counter()
        model.fit(X_train, y_train)
        seconds[name] = time.perf_counter() - start
        forecast = model.predict(X_test)
        forecasts[name] = np.maximum(forecast, 0) ** 2 if task.of_roots else forecast
    forecasts["persistence"] = numbers[split - task.ahead : -task.ahead]
    forecasts[f"seasonal naive (period {task.cycle})"] = numbers[split - task.cycle : -task.cycle]

    errors = {name: mean_absolute_error(numbers[split:], forecast) for name, forecast in forecasts.items()}
    for name, error in errors.items():
        print(f"  {name}: mean absolute error {error:.3g} {task.unit}", flush=True)
    return {
        "task": task,
        "model": lstm,
        "training": (X_train, y_train),
        "scores": errors,
        "seconds": seconds,
        "split": split,
        "forecasts": forecasts,
    }


if __name__ == "__main__":
    for task in (of_blood_cells(), of_sunspots()):
        run(task)
