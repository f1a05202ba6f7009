"""From what users pass to the fitted estimator that has the recurrent network, and to its channels."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from fastlstm.estimators.base import BaseLSTM
from fastlstm.estimators.encoder import SequenceEncoder


def fitted_estimator(estimator: Any, name: str = "estimator", encoders: bool = True) -> Any:
    """Snapshot of the fitted LSTMClassifier or LSTMRegressor that `estimator` is, or that an encoder has.

    Raises TypeError, in which the argument is called `name`, for other objects (and for an encoder unless `encoders`),
    and NotFittedError for an unfitted estimator.
    """
    if encoders and isinstance(estimator, SequenceEncoder):
        check_is_fitted(estimator)
        estimator = estimator.estimator_
    if isinstance(estimator, BaseLSTM):
        return estimator._fitted()
    given = "None" if estimator is None else f"of type {type(estimator).__name__}"
    if isinstance(estimator, type):
        given = f"the class {estimator.__name__}"
    expected = "LSTMClassifier, LSTMRegressor or SequenceEncoder" if encoders else "LSTMClassifier or LSTMRegressor"
    raise TypeError(f"{name} is {given}; expected a fitted {expected}{_advice(estimator)}.")


@contextmanager
def labelled(label: str) -> Iterator[None]:
    """Put the label of one of several estimators before what an error in the body says."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = next(kind for kind in (NotFittedError, ValueError, TypeError) if isinstance(error, kind))
        raise kind(f"{label}: {error}") from error


def _advice(estimator):
    """What to pass instead."""
    if isinstance(estimator, type):
        return f": create one and fit it, as in {estimator.__name__}().fit(X, y)"
    if isinstance(estimator, SequenceEncoder):
        return ": pass its estimator_"
    if hasattr(estimator, "named_steps"):
        return ": pass its last step, with pipeline[:-1].transform(X) as X"
    if hasattr(estimator, "best_estimator_"):
        return ": pass its best_estimator_"
    if hasattr(estimator, "refit"):
        return ": fit the search with refit=True, and pass its best_estimator_"
    if type(estimator).__name__ == "LSTMForecaster":
        return ": fit an LSTMRegressor on windows of the series, as returned by fastlstm.forecasting.make_windows"
    return ""


def channel_names(fitted: Any) -> list[str]:
    """Names of the channels: those of DataFrames, the column of each channel's last step in a table, or x0, x1, ..."""
    if fitted._reads_symbols:
        names = fitted._schema.channel_names
        return ["symbol"] if names is None else [str(name) for name in names]
    names, plan = getattr(fitted, "feature_names_in_", None), fitted._plan
    if fitted._columns is not None:
        labels = plan.labels(names)
        names = labels[-1] if names is not None and labels is not None else None
    return [f"x{channel}" for channel in range(fitted._channels)] if names is None else [str(name) for name in names]
