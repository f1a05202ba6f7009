"""What a fitted model did and why: attributions, learning curves and their pictures."""

from fastlstm.inspection.attribution import StepImportance, step_importance

__all__ = ["StepImportance", "step_importance"]
