"""How long a single call of `predict` takes, beside scikit-learn's: `make latency` prints the table.

Every round times each call in a loop, one after another; the table has the medians of all rounds.
"""

import statistics
import time

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastlstm import LSTMClassifier, LSTMRegressor, kernels
from fastlstm.layers import LSTM

T, H, ROWS = 24, 32, 250
ROUNDS, SECONDS = 40, 0.005  # rounds, and the length of a loop


def calls():
    """Functions to time, by their description."""
    X = np.random.default_rng(0).normal(size=(500, T))
    y, table = X[:, -3], pd.DataFrame(X, columns=[f"lag_{n}" for n in range(T, 0, -1)])
    options = {"max_iter": 2, "learning_rate": "cosine", "random_state": 0}
    lstm = LSTMRegressor(H, **options).fit(X, y)
    gru = LSTMRegressor(H, cell="gru", **options).fit(X, y)
    double = LSTMRegressor(H, dtype="float64", **options).fit(X, y)
    classifier = LSTMClassifier(H, **options).fit(X, y > 0)
    of_table = LSTMRegressor(H, **options).fit(table, y)
    pipeline = make_pipeline(StandardScaler(), LSTMRegressor(H, **options)).fit(X, y)
    ridge, mlp = Ridge().fit(X, y), MLPRegressor(hidden_layer_sizes=(H,), max_iter=1000, random_state=0).fit(X, y)
    model, series, backend = lstm._model, lstm._check_series(X[:1]), kernels.resolve()
    stream, layer, x = lstm.stream(), LSTM(1, H, random_state=0), X.astype("float32")[:, :, None]
    row, rows, step = X[:1], X[:ROWS], np.zeros((1, 1))
    return {
        "Ridge": lambda: ridge.predict(row),
        "MLPRegressor": lambda: mlp.predict(row),
        "LSTMRegressor": lambda: lstm.predict(row),
        "LSTMRegressor, float32 row": lambda: lstm.predict(x[:1, :, 0]),
        "LSTMRegressor, (1, T, 1)": lambda: lstm.predict(row[:, :, None]),
        "LSTMRegressor(cell='gru')": lambda: gru.predict(row),
        "LSTMRegressor(dtype='float64')": lambda: double.predict(row),
        "LSTMRegressor, row of a DataFrame": lambda: of_table.predict(table[:1]),
        "StandardScaler and LSTMRegressor": lambda: pipeline.predict(row),
        "LSTMClassifier, predict_proba": lambda: classifier.predict_proba(row),
        "Model.scores": lambda: model.scores(series, backend),
        "LSTM layer": lambda: layer(x[:1]),
        f"{T} steps of a stream": lambda: [stream.step(step) for _ in range(T)],
        f"LSTMRegressor, {ROWS} rows": lambda: lstm.predict(rows),
        f"LSTM layer, {ROWS} rows": lambda: layer(x[:ROWS]),
    }


def seconds(function, least=SECONDS):
    """Seconds of one call, in a loop of at least so many."""
    count, start = 0, time.perf_counter()
    while (taken := time.perf_counter() - start) < least:
        function()
        count += 1
    return taken / count


def main():
    functions = calls()
    times = {name: [] for name in functions}
    for _ in range(ROUNDS):
        for name, function in functions.items():
            times[name].append(seconds(function))
    medians = {name: 1e6 * statistics.median(taken) for name, taken in times.items()}
    print(f"T={T}, H={H}, {kernels.resolve()} backend, {kernels.load().isa()}\n")
    print("| call | microseconds | x Ridge | x MLPRegressor |\n| --- | --- | --- | --- |")
    for name, taken in medians.items():
        print(f"| {name} | {taken:.0f} | {taken / medians['Ridge']:.2f} | {taken / medians['MLPRegressor']:.2f} |")


if __name__ == "__main__":
    main()
