"""Forecasters: each process has all series, which the fitted forecaster keeps, and trains on its share of windows."""

from functools import partial

import numpy as np

from fastlstm import containers
from fastlstm.distributed.together import quiet
from fastlstm.estimators.atomic import AtomicUpdate
from fastlstm.estimators.validation import check_network_parameters
from fastlstm.forecasting.calendars import library_of
from fastlstm.forecasting.checks import check_parameters
from fastlstm.forecasting.panel import read_panel
from fastlstm.training.collective import Share


def train(engine, forecaster, given, options):
    """Fit a forecaster to chunks (y, X, static), of which all but y may be left out."""
    forecaster._validate_params()
    check_network_parameters(forecaster)
    check_parameters(forecaster)
    seed = forecaster._draw_seed()  # here, so that a worker that begins again has the same
    changes = engine.together(partial(_fit, forecaster, seed, options.n_partitions), given, options)
    vars(forecaster).update(changes)
    return forecaster


def _fit(forecaster, seed, n_partitions, collective, chunks):
    """Attributes of the fitted forecaster, the same in each process."""
    y, X, static = (_joined(of, name) for of, name in zip(_columns(chunks), ("y", "X", "static"), strict=True))
    update = AtomicUpdate(forecaster if collective.rank == 0 else quiet(forecaster))
    update.copy._fit(read_panel(y, freq=forecaster.freq), X, static, Share(collective, n_partitions), seed)
    return update.changes()


def _columns(chunks):
    return zip(*[(*chunk, None, None)[:3] for chunk in chunks], strict=True)


def _joined(parts, name):
    """Chunks of a long table, of a dict or of a list of series as one."""
    there = [part for part in parts if part is not None]
    if not there:
        return None
    first = there[0]
    if len(there) == 1:
        return first
    if isinstance(first, dict):
        return {key: value for part in there for key, value in part.items()}
    if isinstance(first, list):
        return [member for part in there for member in part]
    if containers.is_table(first):
        return library_of(first).concat(there)
    if isinstance(first, np.ndarray):
        return np.concatenate(there)
    raise TypeError(f"{name} is in chunks of type {type(first).__name__}; expected long tables, dicts or lists.")
