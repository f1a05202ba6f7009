"""Models of sequences of symbols, what comes next, and metrics of predicted sequences."""

from fastlstm.language.language_model import LSTMLanguageModel, SymbolStream
from fastlstm.language.metrics import edit_distance, token_accuracy

__all__ = ["LSTMLanguageModel", "SymbolStream", "edit_distance", "token_accuracy"]
