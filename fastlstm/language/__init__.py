"""Models of sequences of symbols: what comes next, translations into others, and metrics of these."""

from fastlstm.language.language_model import LSTMLanguageModel, SymbolStream
from fastlstm.language.metrics import edit_distance, token_accuracy
from fastlstm.language.translator import LSTMTranslator

__all__ = ["LSTMLanguageModel", "LSTMTranslator", "SymbolStream", "edit_distance", "token_accuracy"]
