"""The scikit-learn face: parameters, validation, labels and fitted attributes; no mathematics."""
