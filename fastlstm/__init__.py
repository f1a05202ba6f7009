"""LSTM sequence models for scikit-learn that train and predict at the CPU's arithmetic limit."""

from fastlstm._version import __version__
from fastlstm.estimators.classifier import LSTMClassifier
from fastlstm.estimators.encoder import SequenceEncoder
from fastlstm.estimators.layouts import TableLayout
from fastlstm.estimators.regressor import LSTMRegressor
from fastlstm.estimators.scaler import SequenceScaler
from fastlstm.forecasting.forecaster import LSTMForecaster
from fastlstm.versions import show_versions

__all__ = [
    "LSTMClassifier",
    "LSTMForecaster",
    "LSTMRegressor",
    "SequenceEncoder",
    "SequenceScaler",
    "TableLayout",
    "__version__",
    "show_versions",
]
