"""What a fitted model did and why, as arrays and pictures.

Gates, gradients, attention, attributions and learning curves.
"""

from fastlstm.inspection.attention_display import AttentionDisplay
from fastlstm.inspection.attribution import StepImportance, step_importance
from fastlstm.inspection.curves import LossCurveDisplay
from fastlstm.inspection.gate_display import GateDisplay
from fastlstm.inspection.gates import GateActivations, LayerActivations, gate_activations
from fastlstm.inspection.gradient_display import GradientFlowDisplay
from fastlstm.inspection.gradient_flow import gradient_flow
from fastlstm.inspection.gradient_records import GradientFlow, LayerGradients, StateGradients
from fastlstm.inspection.importance_display import ImportanceDisplay

__all__ = [
    "AttentionDisplay",
    "GateActivations",
    "GateDisplay",
    "GradientFlow",
    "GradientFlowDisplay",
    "ImportanceDisplay",
    "LayerActivations",
    "LayerGradients",
    "LossCurveDisplay",
    "StateGradients",
    "StepImportance",
    "gate_activations",
    "gradient_flow",
    "step_importance",
]
