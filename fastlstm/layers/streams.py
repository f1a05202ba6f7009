"""Streams: sequences that a layer reads one step at a time."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from fastlstm.kernels.parts import Part
from fastlstm.kernels.workspace import Workspace
from fastlstm.stacks import StackRun, join_states

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from fastlstm.layers.tape import State


class StreamState:
    """State of the streams that a layer's `step` advances, created by its `initial_state`.

    Attributes
    ----------
    state : tuple of ndarray of shape (L, N, H)
        (h, c), for GRU and RNN (h,): a copy, in the form that a call of the layer takes.
    h, c : ndarray of shape (L, N, H)
        Copies of the hidden state and, for an LSTM or CIFG, the cell state.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm.layers import LSTM
    >>> layer = LSTM(1, 4)
    >>> state = layer.initial_state()
    >>> h_1 = layer.step(np.ones((1, 1), dtype="float32"), state)
    >>> output, (h_n, c_n) = layer(np.ones((1, 5, 1), dtype="float32"), state.state)
    """

    def __init__(self, layer, n, states=None):
        self.layer, self.shape = layer, (n, layer.input_size)
        workspaces = [Workspace() for _ in layer._stack.places]
        self.runs = StackRun(layer._stack, layer._kernels, np.array([0, n]), layer.dtype, workspaces).runs
        for k, run in enumerate(self.runs):
            state = states and tuple(np.array(part, order="C") for part in states[k])
            run.load(Part(), np.zeros(n * run.C, layer.dtype), np.arange(n) * run.C, state)

    def _copied(self):
        return [tuple(part.copy() for part in run.state) for run in self.runs]

    def __reduce__(self):  # the runs' arrays share memory, which a copy of them would not
        return StreamState, (self.layer, self.shape[0], self._copied())

    def __deepcopy__(self, memo):
        return copy.copy(self)  # of the same layer

    @property
    def state(self) -> State:
        return join_states(self.layer._stack, self._copied())

    @property
    def h(self) -> NDArray[Any] | Any:
        return self.state[0]

    @property
    def c(self) -> NDArray[Any] | Any:
        if len(self.state) < 2:
            raise AttributeError(f"The state of {type(self.layer).__name__} is h alone; it has no cell state c.")
        return self.state[1]
