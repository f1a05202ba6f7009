"""Warnings attributed to the user's code."""

import sys
import warnings


def warn(message, category):
    """Issue a warning with the stack level of the first caller outside this package and scikit-learn."""
    frame, level = sys._getframe(), 1
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in ("fastlstm", "sklearn"):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
