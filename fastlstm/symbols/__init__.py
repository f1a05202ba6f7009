"""Sequences of symbols: what users pass to codes, and codes to what users expect."""

from fastlstm.symbols.vocabulary import Vocabulary

__all__ = ["Vocabulary"]
