"""Warnings that point to whoever called this package."""

import sys
import warnings


def warn(message, category):
    """Warn, and point to the line of the user's that led here: outside of this package and of scikit-learn's calls."""
    frame, level = sys._getframe(), 1
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in ("fastlstm", "sklearn"):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
