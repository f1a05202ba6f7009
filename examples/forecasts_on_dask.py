"""Forecasts of 10,000 series on a Dask cluster: one model for each store, fitted to the series of its 100 products.

Run: python examples/forecasts_on_dask.py
The table has a partition for each product. Dask moves the rows of a store to one worker, which fits the store's model
on one thread. `Client("tcp://scheduler:8786")` uses the workers of a running cluster instead of starting them here.
"""

import dask.dataframe as dd
import numpy as np
import pandas as pd
from distributed import Client

from fastlstm import LSTMForecaster


def sales(product, n_stores, n_days=60):
    """Daily sales of a product in all stores, which rise and fall with the day of the week."""
    rng, days = np.random.default_rng(product), pd.date_range("2026-01-01", periods=n_days)
    table = pd.MultiIndex.from_product([range(n_stores), days], names=["store", "ds"]).to_frame(index=False)
    week = np.sin(2 * np.pi * (table.ds.dt.day_of_week + rng.integers(7)) / 7)
    return table.assign(unique_id=f"product {product}", y=100 + 30 * week + rng.normal(0, 5, len(table)))


def forecast(table):
    """Forecasts of the sales in one store."""
    table = table.sort_values(["unique_id", "ds"])  # Dask moves rows in no particular order
    model = LSTMForecaster(7, window=14, scaling="window", hidden_size=8, max_iter=3, random_state=0)
    return model.fit(table).predict()


def run(n_stores, n_products):
    """Forecasts of all series, computed by the workers of the current client."""
    table = dd.from_map(sales, range(n_products), n_stores=n_stores)
    return table.groupby("store")[["unique_id", "ds", "y"]].apply(forecast, meta=table._meta[["unique_id", "ds", "y"]])


if __name__ == "__main__":
    with Client():
        print(run(n_stores=100, n_products=100).compute())
