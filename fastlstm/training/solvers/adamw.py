"""Loshchilov & Hutter (2019), algorithm 2: Adam, where the decay acts on the parameters, not through the gradient."""

from fastlstm.training.solvers.adam import MOMENTS, SQUARES, numbers, update

__all__ = ["DECAYS", "KERNEL", "MOMENTS", "SQUARES", "numbers", "update"]

DECAYS, KERNEL = True, "adam"
