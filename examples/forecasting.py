"""Carbon dioxide in the air over Mauna Loa, monthly since 1958: the last year's changes in, the next month out.

The first four fifths of the months train, the last fifth tests, one step ahead: every forecast is made from the true
values of the months before it. Scales are those of the training months.
"""

import time

import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error
from statsmodels.datasets import co2

from fastlstm import LSTMRegressor

YEAR = 12  # months
# Window and settings come from cross-validation within the training months: train on all months before a block of 60,
# test on that block, for the last four blocks. Windows of one, one and a half, two and three years were tried.
WINDOW = YEAR
SETTINGS = {
    "hidden_size": 128,
    "batch_size": 32,
    "learning_rate": "cosine",
    "learning_rate_init": 0.005,
    "max_iter": 50,
    "n_iter_no_change": 50,  # that is, never stop early: the cosine needs its last epochs
}


def load():
    """Months, and carbon dioxide in parts per million of each."""
    monthly = co2.load_pandas().data["co2"].resample("MS").mean()
    gaps = monthly.index[monthly.isna()]
    print(f"carbon dioxide: {len(gaps)} of {len(monthly)} months interpolated, the last of them {gaps[-1]:%Y-%m}")
    return monthly.index.to_numpy(), monthly.interpolate().to_numpy()


def simple_forecasts(values, split):
    """What a forecast must beat: for every month from `split` on, its value as told by a simple rule."""
    months = np.arange(len(values))
    changes = np.diff(values, prepend=np.nan)  # changes[i] leads to values[i]
    usual = [np.nanmean(changes[:split][months[:split] % YEAR == month]) for month in range(YEAR)]
    test = months[split:]
    return {
        "persistence: last month's": values[test - 1],
        "seasonal naive: last year's": values[test - YEAR],
        "seasonal naive with drift": values[test - 1] + changes[test - YEAR],  # the change of a year ago again
        "month's mean change": values[test - 1] + np.take(usual, test % YEAR),  # of the training months
    }


def run(seed=0):
    """Train and test; returns what table and pictures show."""
    months, values = load()
    split = len(values) * 4 // 5
    spans = [str(months[i].astype("datetime64[M]")) for i in (0, split - 1, split, -1)]
    print("  {} to {} train, {} to {} test".format(*spans))

    # The level rises beyond all that was seen in training; its changes from month to month stay alike.
    changes = np.diff(values)  # changes[i] leads to values[i + 1]
    mean, deviation = changes[: split - 1].mean(), changes[: split - 1].std()
    scaled = (changes - mean) / deviation
    X = np.lib.stride_tricks.sliding_window_view(scaled, WINDOW)[:-1]  # row i: the WINDOW changes before ...
    y = scaled[WINDOW:]  # ... y[i], which leads to values[i + WINDOW + 1]
    first_test = split - WINDOW - 1
    X_train, y_train, X_test = X[:first_test], y[:first_test], X[first_test:]

    lstm = LSTMRegressor(**SETTINGS, random_state=seed)
    seconds, forecasts = {}, {}
    for name, model in {"LSTM": lstm, "linear autoregression": LinearRegression()}.items():
        start = time.perf_counter()
        model.fit(X_train, y_train)
        seconds[name] = time.perf_counter() - start
        forecasts[name] = values[split - 1 : -1] + model.predict(X_test) * deviation + mean
    forecasts |= simple_forecasts(values, split)

    errors = {name: mean_absolute_error(values[split:], forecast) for name, forecast in forecasts.items()}
    for name, error in errors.items():
        print(f"  {name}: mean absolute error {error:.3f} ppm", flush=True)
    return {
        "models": [lstm],
        "ours": "LSTM",
        "training": (X_train, y_train),
        "scores": errors,
        "seconds": seconds,
        "months": months,
        "values": values,
        "split": split,
        "forecasts": forecasts,
    }


if __name__ == "__main__":
    run()
