"""What is exported: a layer, or the network of a fitted estimator."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastlstm.estimators.base import BaseLSTM
from fastlstm.estimators.encoder import SequenceEncoder
from fastlstm.layers.base import Layer

#: What to export in place of objects of other classes.
INSTEAD = {
    "LSTMLanguageModel": "export its classifier_, which reads codes of symbols",
    "LSTMForecaster": "export an LSTMRegressor fitted to windows of the series, see fastlstm.forecasting.make_windows",
    "LSTMTranslator": "a translator can only be saved",
    "Pipeline": "export its last step, pipeline[-1], which reads pipeline[:-1].transform(X)",
    "TransformedTargetRegressor": "export its regressor_, which predicts transformed targets",
    "GridSearchCV": "export its best_estimator_",
}


def source_of(given):
    """A layer and None; or a fitted classifier or regressor, that of an encoder too, and whether its head is used.

    Raises TypeError for other objects, NotFittedError for unfitted ones, ValueError if weights are not finite.
    """
    if isinstance(given, Layer):
        return given, None
    if isinstance(given, SequenceEncoder):
        check_is_fitted(given)
        return _checked(given.estimator_), False
    if isinstance(given, BaseLSTM):
        return _checked(given), True
    what = f"the class {given.__name__}" if isinstance(given, type) else f"of type {type(given).__name__}"
    advice = INSTEAD.get(type(given).__name__)
    raise TypeError(
        f"estimator is {what}; expected a fitted LSTMClassifier, LSTMRegressor or SequenceEncoder, or a layer of "
        f"fastlstm.layers{f': {advice}' if advice else ''}."
    )


def _checked(estimator):
    fitted = estimator._fitted()
    check_finite(fitted._model.weights)
    return fitted


def check_quantize(quantize):
    """Raise ValueError unless `quantize` is one of the values that exports and `load` take."""
    if not (quantize is None or (isinstance(quantize, str) and quantize == "int8")):
        raise ValueError(f"quantize={quantize!r}: expected 'int8' or None.")


def check_finite(weights):
    """Raise ValueError unless all weights are finite; predictions do not check this, as it would take too long."""
    for name, value in weights.items():
        if not np.isfinite(value).all():
            raise ValueError(f"weights_[{name!r}] has values that are not finite: assign weights without NaN.")
