"""Many models at once on Dask: the results are those without it, and every fit uses one thread."""

import os
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import joblib
import numpy as np
import pandas as pd
import pytest
from helpers import within
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

from fastlstm import LSTMClassifier, LSTMRegressor, threads

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))  # workers find it there, too
distributed = pytest.importorskip("distributed", reason="Dask is not installed")
psutil = pytest.importorskip("psutil")  # which Dask requires
forecasts_on_dask = pytest.importorskip("forecasts_on_dask")

LIMIT = 60  # seconds; workers first import the package
HERE = "127.0.0.1:0"  # any free port
QUICK = {"hidden_size": 8, "max_iter": 3, "learning_rate": "cosine", "batch_size": 20, "random_state": 0}


@pytest.fixture(scope="module")
def client():
    """Client of two processes of one thread each, which have ended afterwards."""
    options = {"processes": True, "host": "127.0.0.1", "dashboard_address": HERE, "timeout": LIMIT}
    unchanged = patch.dict(os.environ)  # Dask sets variables for its processes in this one
    with unchanged, distributed.Client(n_workers=2, threads_per_worker=1, **options) as client:
        workers = client.run(os.getpid).values()
        yield client
    assert not any(map(psutil.pid_exists, workers))


@pytest.fixture
def waves():
    """Series of 5 steps of 2 channels, a number for each, and a class for each."""
    X = np.random.default_rng(0).normal(size=(60, 5, 2))
    y = X[:, :, 0].sum(axis=1)
    return X, y, y > 0


def on_dask(function, *args, **options):
    """What a function returns that joblib's loops run on Dask in."""

    def call():
        with joblib.parallel_config("dask"):
            return function(*args, **options)

    return within(LIMIT, call)


def test_a_grid_search_has_the_same_bits_on_dask(client, waves):
    X, y, _ = waves
    grid = {"learning_rate_init": [1e-3, 0.02], "num_layers": [1, 2]}
    search = GridSearchCV(LSTMRegressor(**QUICK), grid, cv=2, error_score="raise")
    alone, on_workers = clone(search).fit(X, y), on_dask(search.fit, X, y)
    for name in ("split0_test_score", "split1_test_score"):
        assert_array_equal(on_workers.cv_results_[name], alone.cv_results_[name])
    assert_array_equal(on_workers.predict(X), alone.predict(X))


def test_cross_validation_has_the_same_bits_on_dask(client, waves):
    X, _, classes = waves
    options = {"cv": 3, "scoring": "neg_log_loss", "error_score": "raise"}
    expected = cross_val_score(LSTMClassifier(**QUICK), X, classes, **options)
    assert_array_equal(on_dask(cross_val_score, LSTMClassifier(**QUICK), X, classes, **options), expected)


@pytest.mark.parametrize(("n_jobs", "expected"), [(None, 1), (2, 2), (-1, 3)])
def test_a_fit_in_a_task_uses_one_thread_unless_n_jobs_asks_for_more(client, waves, n_jobs, expected):
    def sizes(model, *data):  # of the teams, on three CPUs and where every run is worth as many threads
        sizes = []

        class Noted(threads.Team):
            def __init__(self, *args):
                super().__init__(*args)
                sizes.append(self.size)

        with pytest.MonkeyPatch.context() as monkeypatch:
            for name, value in {"Team": Noted, "cpu_limit": lambda: 3, "FLOPS_PER_THREAD": 1}.items():
                monkeypatch.setattr(threads, name, value)
            model.fit(*data)
        return sizes

    future = client.submit(sizes, LSTMRegressor(**QUICK, n_jobs=n_jobs), *waves[:2])
    assert set(future.result(LIMIT)) == {expected}


def test_a_program_with_a_client_uses_all_cpus_outside_of_tasks(client, four_cpus):
    assert threads.most(None) == 4


def test_another_module_of_that_name_is_no_worker(four_cpus, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", ModuleType("distributed"))
    assert threads.most(None) == 4


def test_fits_in_threads_of_one_worker_have_the_same_bits(waves, four_cpus):
    X, y, _ = waves
    models = [LSTMRegressor(**QUICK, n_jobs=n_jobs) for n_jobs in (None, 2, 2, None)]
    expected = clone(models[0]).fit(X, y).predict(X)

    def predictions(model, number):
        return clone(model).fit(X, y).predict(X)

    options = {"processes": False, "dashboard_address": HERE, "set_as_default": False}
    with distributed.Client(n_workers=1, threads_per_worker=2, **options) as client:
        for future in client.map(predictions, models * 4, range(16)):
            assert_array_equal(future.result(LIMIT), expected)


def test_a_model_for_each_group_forecasts_on_dask_as_without_it(client):
    n_stores, n_products = 3, 2
    forecasts = within(LIMIT, forecasts_on_dask.run(n_stores, n_products).compute)
    table = pd.concat([forecasts_on_dask.sales(product, n_stores) for product in range(n_products)])
    for store, of_store in table.groupby("store"):
        expected = forecasts_on_dask.forecast(of_store[["unique_id", "ds", "y"]])
        assert_array_equal(forecasts.loc[store].y, expected.y)
        assert_array_equal(forecasts.loc[store].unique_id, expected.unique_id)
