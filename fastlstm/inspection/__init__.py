"""What a fitted network did: gates, states and gradients as arrays and pictures."""

from fastlstm.inspection.gates import GateActivations, LayerActivations, gate_activations

__all__ = ["GateActivations", "LayerActivations", "gate_activations"]
