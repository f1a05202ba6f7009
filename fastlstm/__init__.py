"""LSTM sequence models for scikit-learn that train and predict at the CPU's arithmetic limit."""

from typing import TYPE_CHECKING

from fastlstm import export
from fastlstm._version import __version__
from fastlstm.estimators.classifier import LSTMClassifier
from fastlstm.estimators.encoder import SequenceEncoder
from fastlstm.estimators.layouts import TableLayout
from fastlstm.estimators.regressor import LSTMRegressor
from fastlstm.estimators.scaler import SequenceScaler
from fastlstm.files import ModelFileError
from fastlstm.forecasting.forecaster import LSTMForecaster
from fastlstm.storage.protocol import SeriesSource
from fastlstm.versions import show_versions

if TYPE_CHECKING:  # otherwise imported when they are first used
    from fastlstm.export.c import to_c
    from fastlstm.export.keras import from_keras, to_keras
    from fastlstm.export.onnx import register_onnx_converters, to_onnx
    from fastlstm.export.pytorch import from_torch, to_torch
    from fastlstm.export.saving import load, save

__all__ = [
    "LSTMClassifier",
    "LSTMForecaster",
    "LSTMRegressor",
    "ModelFileError",
    "SequenceEncoder",
    "SequenceScaler",
    "SeriesSource",
    "TableLayout",
    "__version__",
    "from_keras",
    "from_torch",
    "load",
    "register_onnx_converters",
    "save",
    "show_versions",
    "to_c",
    "to_keras",
    "to_onnx",
    "to_torch",
]


def __getattr__(name):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(export, name)


def __dir__():
    return sorted({*globals(), *__all__})
