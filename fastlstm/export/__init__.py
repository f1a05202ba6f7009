"""Fitted estimators to files and other frameworks, and back."""
