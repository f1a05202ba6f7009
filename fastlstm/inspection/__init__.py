"""What a fitted model did and why: attributions, learning curves and their pictures."""

from fastlstm.inspection.attribution import StepImportance, step_importance
from fastlstm.inspection.curves import LossCurveDisplay
from fastlstm.inspection.importance_display import ImportanceDisplay

__all__ = ["ImportanceDisplay", "LossCurveDisplay", "StepImportance", "step_importance"]
