"""Importance of channels and steps: methods, the quantities they explain, and their gradients."""

from fastlstm.inspection.attribution.importance import StepImportance, step_importance

__all__ = ["StepImportance", "step_importance"]
