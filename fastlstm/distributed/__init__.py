"""Training on more data than one machine holds, on an engine that is there already: Dask or MPI.

The series of all data are divided into V partitions, the same ones however the data are cut into chunks and whoever
reads them. Each minibatch takes series from all partitions, and their gradients are added in one fixed order. So the
fitted estimator has the same bits for any number of processes, threads or machines, on any engine, also after a worker
was lost; it depends on the data, their order, `n_partitions` and `random_state` alone.

A process reads its chunks, checks them as `fit` does, and tells the others their sizes, classes and sums (``chunks``);
the chunks become partitions, which stay where they are. In each minibatch a process computes the gradients of its own
partitions, and a `Collective` adds them up (``fastlstm.training.partitions``). The engines differ in who calls this
program: ``together`` in threads and MPI processes, ``dask_client`` on Dask's workers, round by round.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING

from fastlstm.distributed import learners
from fastlstm.distributed.engines import Dask, Local, Mpi
from fastlstm.distributed.given import Given, Options
from fastlstm.estimators.data import has_validation_data

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Estimator = TypeVar("Estimator")

__all__ = ["Dask", "Local", "Mpi", "fit", "partial_fit", "predict"]


def fit(
    estimator: Estimator,
    X: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    engine: Dask | Mpi | Local | None = None,
    load: Callable[[Any], tuple[Any, ...]] | None = None,
    n_partitions: int = 8,
    X_val: Any = None,
    y_val: Any = None,
    sample_weight_val: Any = None,
    retries: int = 3,
    timeout: float = 300.0,
) -> Estimator:
    """Fit an estimator on data that are divided among processes or machines.

    The minibatches take at least 16 series from each partition where `batch_size` is "auto".

    Parameters
    ----------
    estimator : LSTMClassifier, LSTMRegressor, LSTMForecaster, LSTMLanguageModel or LSTMTranslator
    X, y, sample_weight
        With the engine `Dask`: Dask arrays whose chunks divide axis 0 only, as by ``X.rechunk({0: 1000, 1: -1})``;
        Dask dataframes of univariate series, one in each row; or, as X alone, a list of delayed objects or futures of
        ``(X_i, y_i)`` or ``(X_i, y_i, sample_weight_i)``. With `Mpi`: what this process has. In each chunk, in any form
        that the estimator's `fit` takes.

        For a forecaster, the three are its ``y``, ``X`` and ``static``: the first is a long table (also as a Dask
        dataframe), a dict or a list of series, or such a part of it in each chunk, which may end within a series of a
        table. For a language model, X alone, and ``(X_i,)`` in each chunk.
    engine : Dask, Mpi, Local or None, default=None
        What runs the training; if None, ``Dask()``.
    load : callable or None, default=None
        If given, X is a list of paths, or of anything else from which ``load(path)`` makes ``(X_i, y_i)`` or
        ``(X_i, y_i, sample_weight_i)`` where it is needed.
    n_partitions : int, default=8
        V, the number of partitions, and so the most processes that can share the work. The result depends on it.
    X_val, y_val, sample_weight_val : like X, y, sample_weight, default=None
        Validation data.
    retries : int, default=3
        How often to do a round again when workers fail (`Dask` only).
    timeout : float, default=300
        How many seconds to wait for a worker that does not answer, or for any worker at all (`Dask` only).

    Returns
    -------
    estimator
        The same object, fitted: a local one that needs no engine to predict.

    Raises
    ------
    ValueError
        See the estimator's `fit`. Also if partitions differ in channels or types, y is partitioned otherwise than X,
        or there is no client.
    RuntimeError
        If workers are lost or do not answer, more than `retries` times.
    ImportError
        If the engine's library is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm import LSTMRegressor
    >>> from fastlstm.distributed import Local, fit
    >>> def load(seed):
    ...     X = np.random.default_rng(seed).normal(size=(50, 20))
    ...     return X, X.mean(axis=1)
    >>> model = fit(LSTMRegressor(8, max_iter=2, random_state=0), [0, 1, 2, 3], load=load, engine=Local(2))
    >>> model.predict(load(4)[0]).shape
    (50,)
    """
    options = _options(n_partitions, retries, timeout)
    if X_val is None:
        has_validation_data(X_val, y_val, sample_weight_val)  # raises if there are only the others
    given, held_out = Given(X, y, sample_weight, load), Given(X_val, y_val, sample_weight_val, load)
    return learners.train(_engine(engine), estimator, given, held_out, options)


def partial_fit(
    estimator: Estimator,
    X: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    classes: Any = None,
    engine: Dask | Mpi | Local | None = None,
    load: Callable[[Any], tuple[Any, ...]] | None = None,
    n_partitions: int = 8,
    retries: int = 3,
    timeout: float = 300.0,
) -> Estimator:
    """Train an estimator for one more epoch on data that are divided among processes or machines.

    Parameters
    ----------
    estimator : LSTMClassifier or LSTMRegressor
    X, y, sample_weight, engine, load, n_partitions, retries, timeout
        See `fit`.
    classes : array of shape (n_classes,) or None, default=None
        All labels, for the first call with a classifier.

    Returns
    -------
    estimator
        The same object.

    Raises
    ------
    ValueError, RuntimeError, ImportError
        See `fit`.

    Examples
    --------
    >>> from fastlstm import LSTMRegressor
    >>> from fastlstm.distributed import Local, partial_fit
    >>> model = LSTMRegressor(4, random_state=0)
    >>> for _ in range(2):
    ...     model = partial_fit(model, [[0, 1], [1, 0], [2, 2]], [2, 1, 3], engine=Local())
    >>> model.n_iter_
    2
    """
    options = _options(n_partitions, retries, timeout)._replace(partial=True, classes=classes)
    return learners.train(_engine(engine), estimator, Given(X, y, sample_weight, load), Given(None), options)


def predict(estimator: Any, X: Any, method: str = "predict") -> Any:
    """Predict lazily, chunk by chunk, where the chunks are.

    Parameters
    ----------
    estimator : fitted estimator
    X : dask.array.Array, dask.dataframe.DataFrame, or list of delayed objects or futures
        Chunks of series in any form that the estimator's `predict` takes; for a forecaster, what it takes as `y`, such
        as a long table of whole series.
    method : str, default="predict"
        Or "predict_proba", for example.

    Returns
    -------
    dask.array.Array, or list of delayed objects
        A Dask array for a Dask array or dataframe, else one delayed object for each chunk; of a forecaster, one for
        each partition of a dataframe, too.

    Raises
    ------
    ValueError
        If X is none of these, or a Dask array whose chunks do not hold whole series.
    ImportError
        If dask is not installed.

    Examples
    --------
    >>> import dask.array as da
    >>> from fastlstm import LSTMRegressor
    >>> from fastlstm.distributed import predict
    >>> X = da.random.default_rng(0).normal(size=(100, 20), chunks=(25, 20))
    >>> model = LSTMRegressor(4, max_iter=2, random_state=0).fit(X.compute(), X.mean(axis=1).compute())
    >>> predict(model, X).compute().shape
    (100,)
    """
    try:
        from fastlstm.distributed import dask_predict
    except ImportError as error:
        raise ImportError("fastlstm.distributed.predict requires dask: pip install fastlstm[dask].") from error
    return dask_predict.predict(estimator, X, method)


def _engine(engine):
    engine = Dask() if engine is None else engine
    if not isinstance(engine, (Dask, Mpi, Local)):
        raise TypeError(f"engine is {engine!r}; expected Dask(client), Mpi(comm) or Local(n_workers).")
    return engine


def _options(n_partitions, retries, timeout):
    if not isinstance(timeout, Real) or isinstance(timeout, bool) or not timeout > 0:
        raise ValueError(f"timeout={timeout!r}: expected a number of seconds greater than 0.")
    return Options(_count(n_partitions, "n_partitions"), retries=_count(retries, "retries", 0), timeout=timeout)


def _count(value, name, least=1):
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={value!r}: expected an integer, at least {least}.")
    return int(value)
