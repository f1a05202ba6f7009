"""What is exported: the model of a fitted estimator, or of an encoder."""

from sklearn.utils.validation import check_is_fitted

from fastlstm.estimators.base import BaseLSTM
from fastlstm.estimators.encoder import SequenceEncoder
from fastlstm.layers.base import Layer


def source_of(given):
    """A layer as it is; of an estimator, its fitted `Model` and whether its head is used.

    Returns a pair (layer, None), or (model, with_head). Raises TypeError for other objects, NotFittedError for unfitted
    ones.
    """
    if isinstance(given, Layer):
        return given, None
    with_head = not isinstance(given, SequenceEncoder)
    if not with_head:
        check_is_fitted(given)
        given = given.estimator_
    if isinstance(given, BaseLSTM):
        return given._fitted()._model, with_head
    what = f"the class {given.__name__}" if isinstance(given, type) else f"of type {type(given).__name__}"
    raise TypeError(
        f"estimator is {what}; expected a fitted LSTMClassifier, LSTMRegressor or SequenceEncoder, or a layer of "
        "fastlstm.layers."
    )
