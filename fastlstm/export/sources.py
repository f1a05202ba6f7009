"""What is exported: a layer, or the network of a fitted estimator."""

from sklearn.utils.validation import check_is_fitted

from fastlstm.estimators.base import BaseLSTM
from fastlstm.estimators.encoder import SequenceEncoder
from fastlstm.layers.base import Layer


def source_of(given, instead=None):
    """A layer and None; or a fitted classifier or regressor, that of an encoder too, and whether its head is used.

    instead: what to export in place of objects of other classes, by their names.

    Raises TypeError for other objects, NotFittedError for unfitted ones.
    """
    if isinstance(given, Layer):
        return given, None
    if isinstance(given, SequenceEncoder):
        check_is_fitted(given)
        return given.estimator_._fitted(), False
    if isinstance(given, BaseLSTM):
        return given._fitted(), True
    what = f"the class {given.__name__}" if isinstance(given, type) else f"of type {type(given).__name__}"
    advice = (instead or {}).get(type(given).__name__)
    raise TypeError(
        f"estimator is {what}; expected a fitted LSTMClassifier, LSTMRegressor or SequenceEncoder, or a layer of "
        f"fastlstm.layers{f': {advice}' if advice else ''}."
    )
