"""What LSTMForecaster is compared with: each peer fits a `Case` up to its split and forecasts from all its origins.

A peer returns the forecasts [n, H] and the CPU time of the fit in seconds, on one thread. Networks have one layer of
32 units; the training protocol is their library's default.
"""

import logging
import time

import numpy as np
import pandas as pd
from forecasting_series import naive

from fastlstm.forecasting import baselines

HIDDEN = 32
#: Options of Lightning's Trainer: none of them changes the training
TRAINER = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}


def persistence(case, seed):
    return naive(case.values, case.origins, case.horizon, 1), 0.0


def seasonal_naive(case, seed):
    """None for a series without a season."""
    if case.season == 1:
        return None, 0.0
    return naive(case.values, case.origins, case.horizon, case.season), 0.0


def ets(case, seed):
    """statsmodels' exponential smoothing; the seconds include those of the forecasts."""
    start = time.process_time()
    forecasts = baselines.ets(case.values, case.split, case.origins, case.horizon, case.season)
    if forecasts is None:
        raise ModuleNotFoundError("No module named 'statsmodels'")
    return forecasts, time.process_time() - start


def ridge(case, seed, last=False):
    """scikit-learn's ridge regression of each horizon on the same lags, with a penalty of its own."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    size = case.lags + case.horizon
    windows = np.lib.stride_tricks.sliding_window_view(case.levels[: case.split], size)
    centre = windows[:, case.lags - 1, None] * last
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-4, 5, 19), alpha_per_target=True))
    start = time.process_time()
    model.fit((windows - centre)[:, : case.lags], (windows - centre)[:, case.lags :])
    seconds = time.process_time() - start
    known = case.levels[case.origins[:, None] - np.arange(case.lags, 0, -1)]
    centre = known[:, -1:] * last
    return case.from_levels(model.predict(known - centre) + centre), seconds


def ridge_last(case, seed):
    """The same of windows less their last value."""
    return ridge(case, seed, last=True)


def lightgbm(case, seed, differences=None):
    """skforecast's recursive forecaster with LightGBM."""
    from lightgbm import LGBMRegressor
    from skforecast.recursive import ForecasterRecursive

    y = pd.Series(case.levels, name="y")
    trees = LGBMRegressor(random_state=seed, n_jobs=1, verbose=-1)
    model = ForecasterRecursive(trees, lags=case.lags, differentiation=differences)
    start = time.process_time()
    model.fit(y[: case.split])
    seconds = time.process_time() - start
    forecasts = [model.predict(case.horizon, last_window=y[:origin]).to_numpy() for origin in case.origins]
    return case.from_levels(np.stack(forecasts)), seconds


def lightgbm_differences(case, seed):
    """The same on differences from step to step, as trees do not extrapolate."""
    return lightgbm(case, seed, differences=1)


def darts(case, seed):
    """darts' RNNModel on the series scaled to [0, 1], as in its examples."""
    from darts import TimeSeries
    from darts.dataprocessing.transformers import Scaler

    levels, scaler = TimeSeries.from_values(case.levels), Scaler()
    train = scaler.fit_transform(levels[: case.split]).astype(np.float32)
    model = darts_rnn(case.lags, case.lags + case.horizon, seed)
    start = time.process_time()
    model.fit(train)
    seconds = time.process_time() - start
    forecasts = darts_backtest(model, scaler.transform(levels), case.split, case.horizon)
    values = [scaler.inverse_transform(forecast).values()[:, 0] for forecast in forecasts]
    return case.from_levels(np.stack(values)), seconds


def darts_rnn(lags, training_length, seed, hidden=HIDDEN, **parameters):
    from darts.models import RNNModel

    prepare_torch()
    return RNNModel(
        lags, "LSTM", hidden, training_length=training_length, random_state=seed, pl_trainer_kwargs=TRAINER,
        **parameters,
    )  # fmt: skip


def darts_backtest(model, series, split, horizon, **covariates):
    """Forecasts from all origins, a list of series."""
    return model.historical_forecasts(
        series.astype(np.float32), start=split, start_format="position", forecast_horizon=horizon, retrain=False,
        last_points_only=False, **covariates,
    )  # fmt: skip


def neuralforecast(case, seed):
    """neuralforecast's LSTM, which scales each window."""
    y, lags, H = case.levels, case.lags, case.horizon
    model = neuralforecast_lstm(lags, H, seed)
    start = time.process_time()
    model.fit(long_table([y[: case.split]]))
    seconds = time.process_time() - start
    # one series for each origin, so that a single call forecasts from all of them
    forecasts = model.predict(df=long_table([y[origin - lags : origin] for origin in case.origins]))
    return case.from_levels(forecasts.LSTM.to_numpy(float).reshape(-1, H)), seconds


def neuralforecast_lstm(lags, horizon, seed, hidden=HIDDEN, **parameters):
    from neuralforecast import NeuralForecast
    from neuralforecast.models import LSTM

    prepare_torch()
    network = LSTM(
        horizon, lags, encoder_n_layers=1, encoder_hidden_size=hidden, decoder_hidden_size=hidden,
        random_seed=seed + 1, **parameters, **TRAINER,
    )  # fmt: skip
    return NeuralForecast([network], freq=1)


def long_table(series):
    """The rows of many series, as neuralforecast reads them."""
    return pd.concat(pd.DataFrame({"unique_id": n, "ds": np.arange(len(y)), "y": y}) for n, y in enumerate(series))


def prepare_torch():
    """Use one thread, and leave out Lightning's messages."""
    import torch

    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)


#: Peers whose forecasts depend on the seed
RANDOM = {"darts": darts, "neuralforecast": neuralforecast}
PEERS = {
    "ridge": ridge,
    "ridge_last": ridge_last,
    "lightgbm": lightgbm,
    "lightgbm_differences": lightgbm_differences,
    **RANDOM,
    "ets": ets,
    "seasonal_naive": seasonal_naive,
    "persistence": persistence,
}
