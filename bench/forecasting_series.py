"""Series of the table of forecasts: real ones that come with packages, and simulated ones, and how each is forecast."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from data_sets import nonlinear_autoregression, package_folder


@dataclass(frozen=True)
class Case:
    """A series, and how it is forecast.

    Forecasts of `horizon` steps start from every origin of the last `held_out` values, of which no model has seen
    anything. All models read the same number of lags.
    """

    y: object
    horizon: int
    held_out: int
    season: int = 1
    window: int | None = None
    log: bool = False  # for all models but the baselines; exponential smoothing may have a multiplicative season
    positive: bool = False

    @property
    def values(self):
        return np.asarray(self.y, float)

    @property
    def split(self):
        return len(self.y) - self.held_out

    @property
    def origins(self):
        return np.arange(self.split, len(self.y) - self.horizon + 1)

    @property
    def lags(self):
        return self.window or (2 * self.season if self.season > 1 else 24)

    @property
    def levels(self):
        """What a model without transforms is fitted to."""
        return np.log(self.values) if self.log else self.values

    def from_levels(self, levels):
        values = np.exp(levels) if self.log else levels
        return np.maximum(values, 0) if self.positive else values

    def error(self, forecasts):
        """Mean absolute error of forecasts [n, H] from all origins, in units of that of a naive forecast.

        The naive forecast, persistence or seasonal naive, starts from every origin of the training data, and has the
        same horizons: the error of one step ahead would be too small a unit for a series without a season.
        """
        known = np.arange(self.season, self.split - self.horizon + 1)
        unit = np.abs(self.targets(known) - naive(self.values, known, self.horizon, self.season)).mean()
        return float(np.abs(self.targets(self.origins) - forecasts).mean() / unit)

    def targets(self, origins):
        return self.values[origins[:, None] + np.arange(self.horizon)]


def naive(y, origins, horizon, season):
    """Seasonal naive forecasts [n, H]; persistence if the season is 1."""
    return y[origins[:, None] - season + np.arange(horizon) % season]


def real():
    """Series that come with statsmodels, aeon and sktime, whose documentation names the sources."""
    from statsmodels.datasets import co2, elnino, sunspots

    monthly = co2.load_pandas().data.co2.resample("MS").mean().interpolate()
    sea = elnino.load_pandas().data.set_index("YEAR").to_numpy(float).ravel()
    sea = pd.Series(sea, pd.date_range("1950-01", periods=len(sea), freq="MS"))
    yield "CO2", Case(monthly, 12, 120, 12)
    yield "El Nino", Case(sea, 12, 120, 12)
    yield "sunspots", Case(sunspots.load_pandas().data.SUNACTIVITY.to_numpy(), 8, 60, window=33)
    # hourly demand for electricity in Victoria, January to May 2012; the lags are those of a week
    demand = _csv("statsmodels", "tsa/stl/tests/results/mstl_elec_vic.csv")
    if demand is not None:
        demand = pd.Series(demand.y.to_numpy(), pd.to_datetime(demand.ds).to_numpy()).asfreq("h")
        yield "electricity, hourly", Case(demand, 24, 504, 24, window=168)
    air = air_passengers()
    if air is not None:
        yield "air passengers", Case(air, 6, 24, 12, log=True)
    lynx = _csv("aeon", "datasets/data/Lynx/Lynx.csv")
    if lynx is not None:
        yield "lynx", Case(lynx.iloc[:, -1].to_numpy(float), 3, 30, log=True)
    # Great Britain's solar power, for six days
    solar = _csv("aeon", "datasets/data/solar/solar.csv")
    if solar is not None:
        yield "solar, half-hourly", Case(solar.solar_gen.to_numpy(float), 12, 96, 48, window=48, positive=True)
    # of Yahoo's benchmark of anomalies, of which this series has seven
    traffic = _csv("sktime", "datasets/data/yahoo/yahoo.csv")
    if traffic is not None:
        yield "Yahoo, hourly", Case(traffic.data.to_numpy(float), 24, 240, 24, window=168)


def air_passengers():
    """Monthly numbers of passengers 1949 to 1960, with their dates; None without aeon."""
    table = _csv("aeon", "datasets/data/Airline/Airline.csv")
    if table is None:
        return None
    return pd.Series(table.iloc[:, 1].to_numpy(float), pd.date_range("1949-01", periods=len(table), freq="MS"))


def _csv(package, path):
    """A table that an installed package ships, or None."""
    folder = package_folder(package)
    return pd.read_csv(folder / path) if folder and (folder / path).exists() else None


def simulated(n=600):
    """Twenty series: trends, seasons, intermittent demand, level shifts, linear and nonlinear dynamics."""
    rng, t = np.random.default_rng(0), np.arange(n)
    yield "trend", Case(0.05 * t + rng.normal(size=n).cumsum() * 0.1 + 0.3 * rng.normal(size=n), 6, 100)
    waves = 3 * np.sin(2 * np.pi * t / 12) + 2 * np.cos(2 * np.pi * t / 6)
    yield "seasonal", Case(10 + waves + 0.01 * t + 0.5 * rng.normal(size=n), 6, 100, 12)
    growing = np.exp(0.003 * t) * (10 + waves) * np.exp(0.05 * rng.normal(size=n))
    yield "growing season", Case(growing, 6, 100, 12, log=True)
    yield "intermittent", Case(rng.poisson(2, n) * (rng.random(n) < 0.3) * 1.0, 6, 100, positive=True)
    level = np.select([t < 200, t < 420], [0.0, 5.0], -3.0)
    yield "level shifts", Case(level + 0.5 * rng.normal(size=n), 6, 100)
    yield "autoregression", Case(_recursion(n, rng, lambda y: 1.5 * y[-1] - 0.7 * y[-2] + rng.normal()), 6, 100)
    cubic = _recursion(n, rng, lambda y: np.clip(1 - 1.7 * y[-3] ** 2 + 0.05 * rng.normal(), -1, 1))
    yield "lag 3 map", Case(cubic, 3, 100)
    regimes = _recursion(n, rng, lambda y: (0.9 * y[-1] + 1 if y[-1] < 0 else -0.8 * y[-1]) + 0.3 * rng.normal())
    yield "two regimes", Case(regimes, 4, 100)
    yield "Mackey-Glass", Case(_mackey_glass(n), 8, 100)

    rng = np.random.default_rng(1)
    yield "saturating trend", Case(20 * (1 - np.exp(-t / 200)) + 0.3 * rng.normal(size=n), 6, 100)
    slope = 0.003 * rng.normal(size=n).cumsum()
    yield "drifting slope", Case(slope.cumsum() + 0.3 * rng.normal(size=n), 6, 100)
    yield "exponential growth", Case(np.exp(0.004 * t + 0.05 * rng.normal(size=n)), 6, 100, log=True)
    two = 3 * np.sin(2 * np.pi * t / 7) + 2 * np.sin(2 * np.pi * t / 28) + 0.5 * rng.normal(size=n)
    yield "two seasons", Case(two, 7, 100, 7, window=56)
    phase, size = 2 * np.pi * t / 12 + 0.03 * rng.normal(size=n).cumsum(), 3 + 0.05 * rng.normal(size=n).cumsum()
    yield "drifting season", Case(size * np.sin(phase) + 0.5 * rng.normal(size=n), 6, 100, 12)
    yield "rare demand", Case((1 + rng.poisson(3, n)) * (rng.random(n) < 0.1) * 1.0, 6, 100, positive=True)
    chance = 0.3 + 0.25 * np.sin(2 * np.pi * t / 12)
    yield "seasonal demand", Case(rng.poisson(3, n) * (rng.random(n) < chance) * 1.0, 6, 100, 12, positive=True)
    jumps = 3 * rng.normal(size=n) * (rng.random(n) < 1 / 60)
    yield "random shifts", Case(jumps.cumsum() + 0.5 * rng.normal(size=n), 6, 100)
    yield "shifts and season", Case(waves + jumps[::-1].cumsum() + 0.5 * rng.normal(size=n), 6, 100, 12)
    henon = _recursion(n, rng, lambda y: 1 - 1.4 * y[-1] ** 2 + 0.3 * y[-2])
    yield "Henon map", Case(henon + 0.05 * rng.normal(size=n), 3, 100)
    yield "nonlinear AR(3)", Case(nonlinear_autoregression(n), 3, 100)


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
