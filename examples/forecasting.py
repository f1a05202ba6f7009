"""Two series, forecast by an LSTM, a linear autoregression and naively: one made by equations, one by the Sun.

- *Blood cells*: Mackey and Glass (1977) model how the number of white blood cells depends on what it was 17 days
  before; it never repeats itself. Measured with noise, four measurements ahead. What happens next depends on products
  and quotients of the past, which no linear model has: here an LSTM is the right tool.
- *Sunspots*: yearly numbers since 1700, one year ahead. Nearly linear: an autoregression is as good, and simpler.

The first four fifths of a series train, the last fifth tests: every forecast is made from the true numbers before it.
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
    """A series, and how it is to be forecast."""

    name: str
    unit: str
    times: np.ndarray
    numbers: np.ndarray
    window: int  # numbers that a forecast is made from
    ahead: int  # the number to forecast is so many after the last of the window
    cycle: int  # numbers from one maximum to the next, about
    of_roots: bool = False  # where high numbers scatter more, in proportion to their root: roots all scatter alike


def of_sunspots():
    """The window comes from cross-validation within the training years, on blocks of 30."""
    data = sunspots.load_pandas().data
    years, numbers = data["YEAR"].to_numpy(int), data["SUNACTIVITY"].to_numpy()
    return Task("sunspots", "sunspots", years, numbers, window=9, ahead=1, cycle=11, of_roots=True)


def of_blood_cells(n=1000, noise=0.02, every=3, seed=0):
    """Mackey & Glass (1977), equation 4b, by Euler's method with ten steps a day; measured `every` so many days."""
    fine, delay, warm_up = 10, 17, 300
    cells = np.full((delay + warm_up + n * every) * fine, 1.2)
    for t in range(delay * fine, len(cells) - 1):
        before = cells[t - delay * fine]
        cells[t + 1] = cells[t] + (0.2 * before / (1 + before**10) - 0.1 * cells[t]) / fine
    measured = cells[(delay + warm_up) * fine :: every * fine] + np.random.default_rng(seed).normal(0, noise, n)
    return Task("blood cells", "of normal", every * np.arange(n), measured, window=20, ahead=4, cycle=17)


def run(task, seed=0):
    """Train and test; returns what table and pictures show."""
    numbers, split = task.numbers, len(task.numbers) * 4 // 5
    print(f"{task.name}: {split} numbers train, {len(numbers) - split} test; {task.window} in, {task.ahead} ahead")

    series = np.sqrt(numbers) if task.of_roots else numbers
    X = np.lib.stride_tricks.sliding_window_view(series, task.window)[: -task.ahead]
    y = series[task.window + task.ahead - 1 :]  # y[i] comes `ahead` after the last number of X[i]
    first_test = len(y) - (len(numbers) - split)
    X_train, y_train, X_test = X[:first_test], y[:first_test], X[first_test:]

    lstm = LSTMRegressor(random_state=seed)  # with its defaults
    seconds, forecasts = {}, {}
    for name, model in {"LSTM": lstm, "linear autoregression": LinearRegression()}.items():
        start = time.perf_counter()
        model.fit(X_train, y_train)
        seconds[name] = time.perf_counter() - start
        forecast = model.predict(X_test)
        forecasts[name] = np.maximum(forecast, 0) ** 2 if task.of_roots else forecast
    forecasts["persistence: the last number"] = numbers[split - task.ahead : -task.ahead]
    forecasts[f"seasonal naive: {task.cycle} before"] = numbers[split - task.cycle : -task.cycle]

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
