"""The example of darts' RNN models, AirPassengers, and the time of a backtest.

``python bench/forecasting_darts.py [--seeds N]`` prints two tables. AirPassengers is forecast as in that example: a
network of 20 units, with the month as covariate and in the peers also the year, is fitted to the months before 1959,
and forecasts six months from every origin of the last two years. The error is the mean absolute percentage error of the
sixth month, the only one that darts' `historical_forecasts` keeps by default, and of all six. The backtests are those
of networks of 32 units trained for one epoch, as their time does not depend on the weights. Seconds are CPU time on one
thread.
"""

import argparse
import time
import warnings

import numpy as np
import pandas as pd
from forecasting_peers import HIDDEN, darts_backtest, darts_rnn, long_table, neuralforecast_lstm
from forecasting_series import air_passengers, real

from fastlstm.forecasting import LSTMForecaster

HORIZON, LAGS, UNITS = 6, 14, 20
ROUNDS = 7


def lstm(y, split, seed, transform=None):
    """Forecasts [n, 6] and the seconds of the fit."""
    model = LSTMForecaster(
        HORIZON, strategy="recursive", calendar="month", transform=transform, hidden_size=UNITS, random_state=seed,
        n_jobs=1,
    )  # fmt: skip
    start = time.process_time()
    model.fit(y[:split])
    seconds = time.process_time() - start
    return model.backtest(y[split:], ets=False).forecasts["lstm"], seconds


def lstm_log(y, split, seed):
    return lstm(y, split, seed, "log")


def darts(y, split, seed):
    """The parameters of the example; the last epoch's weights, as there."""
    from darts import TimeSeries
    from darts.dataprocessing.transformers import Scaler
    from darts.utils.timeseries_generation import datetime_attribute_timeseries as attribute

    series, scaler = TimeSeries.from_series(y), Scaler()
    train = scaler.fit_transform(series[:split]).astype(np.float32)
    month = attribute(series, attribute="month", one_hot=True)
    known = Scaler().fit_transform(attribute(series, attribute="year")).stack(month).astype(np.float32)
    model = darts_rnn(LAGS, 20, seed, UNITS, batch_size=16, n_epochs=300, optimizer_kwargs={"lr": 1e-3})
    start = time.process_time()
    model.fit(train, future_covariates=known)
    seconds = time.process_time() - start
    forecasts = darts_backtest(model, scaler.transform(series), split, HORIZON, future_covariates=known)
    return np.stack([scaler.inverse_transform(forecast).values()[:, 0] for forecast in forecasts]), seconds


def neuralforecast(y, split, seed):
    """The same inputs and size, otherwise its defaults."""
    year = (y.index.year.to_numpy() - y.index.year[0]) / (y.index.year[-1] - y.index.year[0])
    month = np.eye(12)[y.index.month - 1]
    known = pd.DataFrame(np.column_stack([year, month])).add_prefix("known")
    model = neuralforecast_lstm(LAGS, HORIZON, seed, UNITS, futr_exog_list=list(known))

    def table(first, last):
        return long_table([y.to_numpy()[first:last]]).join(known[first:last].reset_index(drop=True))

    start = time.process_time()
    model.fit(table(0, split))
    seconds = time.process_time() - start
    forecasts = []
    for origin in range(split, len(y) - HORIZON + 1):
        whole = table(origin - LAGS, origin + HORIZON)
        forecast = model.predict(df=whole[:LAGS], futr_df=whole[LAGS:].drop(columns="y"))
        forecasts.append(forecast.LSTM.to_numpy(float))
    return np.stack(forecasts), seconds


def air(seeds):
    """Percentage errors and seconds of fits, by model."""
    y = air_passengers()
    split = int((y.index < "1959").sum())
    actual = np.lib.stride_tricks.sliding_window_view(y.to_numpy()[split:], HORIZON)
    print("| AirPassengers | MAPE of the sixth month | of all six | seconds of a fit |\n|---|---|---|---|")
    for model in (lstm, lstm_log, darts, neuralforecast):
        try:
            runs = [model(y, split, seed) for seed in range(seeds)]
        except ModuleNotFoundError:
            print(f"| {model.__name__} | - | - | - |")
            continue
        errors = np.array([100 * np.abs(forecasts / actual - 1).mean(axis=0) for forecasts, _ in runs])
        last, seconds = errors[:, -1], np.median([seconds for _, seconds in runs])
        print(
            f"| {model.__name__} | {last.mean():.2f} ({last.min():.2f}-{last.max():.2f}) | {errors.mean():.2f} | "
            f"{seconds:.2f} |",
            flush=True,
        )


def backtests():
    """Milliseconds of a backtest by LSTMForecaster and by darts, from the same origins and on one thread, in turn."""
    try:
        from darts import TimeSeries
    except ModuleNotFoundError:
        print("The times of backtests need darts.")
        return
    print("| backtest | origins | steps | ms | darts, ms | ratio |\n|---|---|---|---|---|---|")
    cases = dict(real())
    for name in ("CO2", "El Nino", "electricity, hourly"):
        case, times = cases[name], []
        ours = LSTMForecaster(case.horizon, case.lags, max_iter=1, hidden_size=HIDDEN, random_state=0, n_jobs=1)
        ours.fit(case.y[: case.split])
        series = TimeSeries.from_series(case.y / case.y.max()).astype(np.float32)
        theirs = darts_rnn(case.lags, case.lags + case.horizon, 0, n_epochs=1)
        theirs.fit(series[: case.split])
        for _ in range(ROUNDS):
            start = time.process_time()
            ours.backtest(case.y[case.split :], ets=False)
            middle = time.process_time()
            darts_backtest(theirs, series, case.split, case.horizon)
            times.append([middle - start, time.process_time() - middle])
        mine, others = 1e3 * np.median(times, axis=0)
        print(
            f"| {name} | {len(case.origins)} | {case.horizon} | {mine:.1f} | {others:.0f} | {others / mine:.0f} x |",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    air(arguments.seeds)
    print()
    backtests()


if __name__ == "__main__":
    main()
