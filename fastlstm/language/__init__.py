"""Models of sequences of symbols: what comes next."""

from fastlstm.language.language_model import LSTMLanguageModel, SymbolStream

__all__ = ["LSTMLanguageModel", "SymbolStream"]
