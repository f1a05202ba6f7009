"""Yearly sunspot numbers since 1700: the last years in, the next year's number out.

The first four fifths of the years train, the last fifth tests, one step ahead: every forecast is made from the true
numbers of the years before it. Scales are those of the training years.
"""

import time

import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error
from statsmodels.datasets import sunspots

from fastlstm import LSTMRegressor

# The window comes from cross-validation within the training years: train on all years before a block of 30, test on
# that block, for the last five blocks. The LSTM has its defaults.
WINDOW = 9  # years
CYCLE = 11  # years from one maximum of the Sun's activity to the next, about


def run(seed=0):
    """Train and test; returns what table and pictures show."""
    data = sunspots.load_pandas().data
    years, numbers = data["YEAR"].to_numpy(int), data["SUNACTIVITY"].to_numpy()
    split = len(numbers) * 4 // 5
    truth = numbers[split:]
    print(
        f"sunspots: {years[0]}-{years[split - 1]} train, {years[split]}-{years[-1]} test, {WINDOW} years in, next out"
    )

    # High numbers scatter more than low ones, in proportion to their root; of the roots all scatter alike.
    roots = np.sqrt(numbers)
    mean, deviation = roots[:split].mean(), roots[:split].std()
    scaled = (roots - mean) / deviation
    X = np.lib.stride_tricks.sliding_window_view(scaled, WINDOW)[:-1]  # row i: the WINDOW years before ...
    y = scaled[WINDOW:]  # ... the year of y[i], which is years[i + WINDOW]
    first_test = split - WINDOW
    X_train, y_train, X_test = X[:first_test], y[:first_test], X[first_test:]

    lstm = LSTMRegressor(random_state=seed)
    seconds, forecasts = {}, {}
    for name, model in {"LSTM": lstm, "linear autoregression": LinearRegression()}.items():
        start = time.perf_counter()
        model.fit(X_train, y_train)
        seconds[name] = time.perf_counter() - start
        forecasts[name] = np.maximum(model.predict(X_test) * deviation + mean, 0) ** 2
    forecasts["persistence: last year's"] = numbers[split - 1 : -1]
    forecasts[f"seasonal naive: {CYCLE} years ago's"] = numbers[split - CYCLE : -CYCLE]

    errors = {name: mean_absolute_error(truth, forecast) for name, forecast in forecasts.items()}
    for name, error in errors.items():
        print(f"  {name}: mean absolute error {error:.2f} sunspots", flush=True)
    return {
        "model": lstm,
        "training": (X_train, y_train),
        "scores": errors,
        "seconds": seconds,
        "years": years,
        "numbers": numbers,
        "split": split,
        "forecasts": forecasts,
    }


if __name__ == "__main__":
    run()
