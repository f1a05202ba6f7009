"""What a fitted network did: gates, states and gradients as arrays and pictures."""

from fastlstm.inspection.gate_display import GateDisplay
from fastlstm.inspection.gates import GateActivations, LayerActivations, gate_activations
from fastlstm.inspection.gradient_display import GradientFlowDisplay
from fastlstm.inspection.gradient_flow import GradientFlow, LayerGradients, StateGradients, gradient_flow

__all__ = [
    "GateActivations",
    "GateDisplay",
    "GradientFlow",
    "GradientFlowDisplay",
    "LayerActivations",
    "LayerGradients",
    "StateGradients",
    "gate_activations",
    "gradient_flow",
]
