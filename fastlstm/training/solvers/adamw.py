"""AdamW: Adam with decoupled weight decay. Loshchilov & Hutter (2019), algorithm 2."""

from fastlstm.training.solvers.adam import MOMENTS, SQUARES, coefficients, update

__all__ = ["DECOUPLED_DECAY", "KERNEL", "MOMENTS", "SQUARES", "coefficients", "update"]

DECOUPLED_DECAY, KERNEL = True, "adam"
