"""Lazy predictions of chunks that Dask holds."""

import dask
import dask.array as da
import numpy as np

from fastlstm.distributed.dask_inputs import are_chunks, parts_of
from fastlstm.forecasting import LSTMForecaster


def predict(estimator, X, method):
    """See ``fastlstm.distributed.predict``."""
    call = dask.delayed(_call, pure=False)
    model = dask.delayed(estimator, pure=False)
    if are_chunks(X):
        return [call(model, method, chunk) for chunk in X]
    if isinstance(estimator, LSTMForecaster) and dask.is_dask_collection(X) and hasattr(X, "divisions"):
        return [call(model, method, part) for part in parts_of(X, "X")]
    if not dask.is_dask_collection(X):
        raise ValueError(
            f"X is a {type(X).__name__}; expected a Dask array or dataframe, or a list of delayed objects or futures. "
            f"Data in memory are predicted by the estimator itself: estimator.{method}(X)."
        )
    like = getattr(estimator, method)(_one(X))
    parts = [call(model, method, part, like[:0]) for part in parts_of(X, "X")]
    sizes = X.chunks[0] if hasattr(X, "chunks") else [np.nan] * len(parts)
    return da.concatenate(
        [
            da.from_delayed(part, (size, *like.shape[1:]), dtype=like.dtype)
            for part, size in zip(parts, sizes, strict=True)
        ]
    )


def _call(estimator, method, X, of_none=None):
    """The prediction of a chunk; `of_none`: of a chunk without series, which is known if all are alike."""
    if of_none is not None and not len(X):
        return of_none
    series = {"y": _chunk(X)} if isinstance(estimator, LSTMForecaster) else {"X": _chunk(X)}
    return getattr(estimator, method)(**series)


def _chunk(X):
    """The series of a chunk (X, y), or of X alone."""
    return X[0] if isinstance(X, tuple) else X


def _one(X):
    """A series like those of X, for the shape and type of its prediction."""
    if hasattr(X, "chunks"):
        return np.zeros((1, *X.shape[1:]), X.dtype)
    return X._meta_nonempty.iloc[:1]
