"""From what users pass to the fitted estimator that has the recurrent network."""

from typing import Any

from sklearn.utils.validation import check_is_fitted

from fastlstm.estimators.base import BaseLSTM
from fastlstm.estimators.encoder import SequenceEncoder


def fitted_estimator(estimator: Any) -> Any:
    """Snapshot of the fitted LSTMClassifier or LSTMRegressor that `estimator` is, or that an encoder has.

    Raises TypeError for other objects, and NotFittedError for an unfitted estimator.
    """
    if isinstance(estimator, SequenceEncoder):
        check_is_fitted(estimator)
        estimator = estimator.estimator_
    if isinstance(estimator, BaseLSTM):
        return estimator._fitted()
    kind = estimator.__name__ if isinstance(estimator, type) else type(estimator).__name__
    advice = ""
    if hasattr(estimator, "named_steps"):
        advice = ": pass its last step, with pipeline[:-1].transform(X) as X"
    elif hasattr(estimator, "best_estimator_"):
        advice = ": pass its best_estimator_"
    elif isinstance(estimator, type):
        advice = ", not its class"
    raise TypeError(
        f"estimator is of type {kind}; expected a fitted LSTMClassifier, LSTMRegressor or SequenceEncoder{advice}."
    )
