"""Records of how the gradient of the loss flows back through the steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fastlstm import containers
from fastlstm.inspection._reprs import brief_repr
from fastlstm.inspection.gates import direction_of

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray


class StateGradients(NamedTuple):
    """Norms of the gradient of the states of one layer in one direction.

    Each is an array of shape (n, T), or a list of n arrays of shape (T_i,) if X is a list or the series have unequal
    lengths.

    Attributes
    ----------
    hidden_state : array or list
        Norm of dL/dh_t, the gradient by all paths from the state to the loss.
    cell_state : array, list or None
        Norm of dL/dc_t; None without cell states.
    paths : dict of str to array or list
        For each step t, the norms of the parts of dL/dc_t that come from the next step, by path: "direct" through the
        forget gate, f_{t+1} * dL/dc_{t+1}, and from the hidden state h_t through the sum of each gate. They are 0 at
        the last step. Empty without cell states.
    forget_share : array, list or None
        Norm of the "direct" part as a fraction of the sum of the norms of all parts; NaN at the last step, or if all
        are 0.

    Examples
    --------
    >>> from fastlstm import LSTMRegressor
    >>> from fastlstm.inspection import gradient_flow
    >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
    >>> states = gradient_flow(model, [[0, 1], [1, 0]], [2, 1]).layers[0].forward
    >>> list(states.paths), states.cell_state.shape
    (['direct', 'input', 'forget', 'cell', 'output'], (2, 2))
    """

    hidden_state: Any
    cell_state: Any
    paths: dict[str, Any]
    forget_share: Any

    def __repr__(self) -> str:
        return brief_repr(self, self._fields)


class LayerGradients(NamedTuple):
    """Norms of the gradient of the states of one layer.

    Attributes
    ----------
    forward : StateGradients
    backward : StateGradients or None
        Those of the backward direction, in the order of the series' steps; None unless the model is bidirectional.

    Examples
    --------
    >>> from fastlstm import LSTMRegressor
    >>> from fastlstm.inspection import gradient_flow
    >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
    >>> layer = gradient_flow(model, [[0, 1], [1, 0]], [2, 1]).layers[0]
    >>> layer.backward is None
    True
    """

    forward: StateGradients
    backward: StateGradients | None


@dataclass(frozen=True, repr=False)
class GradientFlow:
    """Norms of the gradient of the loss at every step; returned by `gradient_flow`.

    Attributes
    ----------
    cell : {"lstm", "gru", "rnn", "cifg"}
        Type of the cells.
    loss : float
        Mean loss of the series.
    input : array of shape (n, T), or list of n arrays of shape (T_i,)
        Norm of dL/dx_t over the channels.
    layers : tuple of LayerGradients
        Norms of the gradient of each layer's states over the units.

    Examples
    --------
    >>> from fastlstm import LSTMRegressor
    >>> from fastlstm.inspection import gradient_flow
    >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
    >>> flow = gradient_flow(model, [[0, 1], [1, 0]], [2, 1])
    >>> flow.cell, flow.input.shape
    ('lstm', (2, 2))
    """

    cell: str
    loss: float
    input: Any
    layers: tuple[LayerGradients, ...]

    def __repr__(self) -> str:
        return brief_repr(self, ("cell", "loss", "input", "layers"))

    def norms(self, name: str, layer: int = -1, direction: str = "forward") -> Any:
        """Norms of one gradient, or the share of the forget gate, for each series and step.

        Parameters
        ----------
        name : {"input", "hidden_state", "cell_state", "state", "forget_share"}
            What to return. "state" is the state that carries the memory: the cell state or, without one, the hidden
            state.
        layer : int, default=-1
            Index of the layer; the default is the last. Ignored for "input".
        direction : {"forward", "backward"}, default="forward"
            Direction of the layer. Ignored for "input".

        Returns
        -------
        ndarray of shape (n, T), or list of n ndarray of shape (T_i,)

        Raises
        ------
        ValueError
            If the cell has no such state, or there is no such layer or direction.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor
        >>> from fastlstm.inspection import gradient_flow
        >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
        >>> gradient_flow(model, [[0, 1], [1, 0]], [2, 1]).norms("cell_state").shape
        (2, 2)
        """
        return norms_named(self, name, layer, direction)

    def mean(
        self, name: str, layer: int = -1, direction: str = "forward", from_end: bool = False
    ) -> NDArray[np.float64]:
        """Mean over the series of one gradient's norm at each step.

        Parameters
        ----------
        name, layer, direction
            See `norms`.
        from_end : bool, default=False
            If True, steps are counted from the end of each series: the first number is that of the last step.

        Returns
        -------
        ndarray of shape (T,)
            Mean over the series that have the step, where T is the length of the longest.

        Raises
        ------
        ValueError
            See `norms`.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor
        >>> from fastlstm.inspection import gradient_flow
        >>> X, y = [[0.0, 1.0, 2.0], [1.0, 0.0]], [3, 1]
        >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit(X, y)
        >>> gradient_flow(model, X, y).mean("hidden_state", from_end=True).shape
        (3,)
        """
        return mean_by_step(self.norms(name, layer, direction), from_end)


def norms_named(flow, name, layer, direction, parameter="name"):
    """Norms as by `GradientFlow.norms`; errors call the name `parameter`."""
    of_direction = direction_of(flow.layers, layer, direction)
    known = {"input": flow.input, **of_direction._asdict()}
    del known["paths"]
    known["state"] = of_direction.hidden_state if of_direction.cell_state is None else of_direction.cell_state
    found = known.get(name) if isinstance(name, str) else None
    if found is None:
        known = [key for key, value in known.items() if value is not None]
        raise ValueError(
            f"{parameter}={containers.brief(name)}: expected one of {known} for cells of type {flow.cell!r}."
        )
    return found


def mean_by_step(norms, from_end):
    """Mean over the series that have a step, of norms [n, T] or a list of [T_i]; see `GradientFlow.mean`."""
    members = list(norms)
    padded = np.full((len(members), max(map(len, members))), np.nan)
    for row, member in zip(padded, members, strict=True):
        row[: len(member)] = member[::-1] if from_end else member
    there = ~np.isnan(padded)
    number = there.sum(axis=0)
    total = np.where(there, padded, 0).sum(axis=0)
    return np.divide(total, number, out=np.full(len(number), np.nan), where=number > 0)
