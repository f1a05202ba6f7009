"""Gates and states of a fitted network on given series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fastlstm import containers
from fastlstm.inspection._estimators import fitted_estimator

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import ArrayLike

    from fastlstm.training.recording import Activations


class LayerActivations(NamedTuple):
    """Activations of one layer.

    Attributes
    ----------
    forward : mapping of str to array
        Gates and states by name. Each is an array of shape (n, T, H), or a list of n arrays of shape (T_i, H) if X is a
        list or the series have unequal lengths.
    backward : mapping of str to array, or None
        The same for the backward direction, in the order of the series' steps; None unless the model is bidirectional.

    Examples
    --------
    >>> from fastlstm import LSTMRegressor
    >>> from fastlstm.inspection import gate_activations
    >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
    >>> layer = gate_activations(model, [[0, 1], [0, 2], [0, 3]]).layers[0]
    >>> layer.forward["cell_state"].shape
    (3, 2, 8)
    """

    forward: Activations
    backward: Activations | None


@dataclass(frozen=True)
class GateActivations:
    """Gates and states of all layers; returned by `gate_activations`.

    Attributes
    ----------
    cell : {"lstm", "gru", "rnn", "cifg"}
        Type of the cells.
    layers : tuple of LayerActivations
        Activations of each layer, with one mapping for each direction.

    Examples
    --------
    >>> from fastlstm import LSTMRegressor
    >>> from fastlstm.inspection import gate_activations
    >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
    >>> activations = gate_activations(model, [[0, 1], [0, 2], [0, 3]])
    >>> activations.cell, len(activations.layers)
    ('lstm', 1)
    """

    cell: str
    layers: tuple[LayerActivations, ...]

    def get(self, name: str, layer: int = -1, direction: str = "forward") -> Any:
        """One gate or state.

        Parameters
        ----------
        name : str
            Name of the gate or state.
        layer : int, default=-1
            Index of the layer; the default is the last.
        direction : {"forward", "backward"}, default="forward"
            Direction of the layer.

        Returns
        -------
        ndarray of shape (n, T, H), or list of n ndarray of shape (T_i, H)

        Raises
        ------
        ValueError
            If there is no such gate, layer or direction.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor
        >>> from fastlstm.inspection import gate_activations
        >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
        >>> gate_activations(model, [[0, 1], [0, 2], [0, 3]]).get("forget").shape
        (3, 2, 8)
        """
        activations = self.of(layer, direction)
        try:
            return activations[name]
        except (KeyError, TypeError):
            raise ValueError(
                f"name={containers.brief(name)}: a cell of type {self.cell!r} has no gate or state of that name; "
                f"expected one of {list(activations)}."
            ) from None

    def of(self, layer: int = -1, direction: str = "forward") -> Mapping[str, Any]:
        """All gates and states of one layer in one direction, by name.

        Parameters
        ----------
        layer, direction
            See `get`.

        Returns
        -------
        mapping of str to array

        Raises
        ------
        ValueError
            If there is no such layer or direction.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor
        >>> from fastlstm.inspection import gate_activations
        >>> model = LSTMRegressor(8, cell="gru", max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
        >>> list(gate_activations(model, [[0, 1]]).of())
        ['reset', 'update', 'candidate', 'hidden_state']
        """
        return direction_of(self.layers, layer, direction)


def direction_of(layers: Any, layer: int, direction: str) -> Any:
    """The member of `layers` for a layer and a direction; raises ValueError if there is none."""
    if isinstance(layer, bool) or not isinstance(layer, (int, np.integer)) or not -len(layers) <= layer < len(layers):
        raise ValueError(
            f"layer={containers.brief(layer)}: expected an integer from {-len(layers)} to {len(layers) - 1}."
        )
    if not isinstance(direction, str) or direction not in ("forward", "backward"):
        raise ValueError(f"direction={containers.brief(direction)}: expected 'forward' or 'backward'.")
    found = getattr(layers[layer], direction)
    if found is None:
        raise ValueError("direction='backward': the model was fitted with bidirectional=False; expected 'forward'.")
    return found


def gate_activations(estimator: Any, X: ArrayLike) -> GateActivations:
    """Gates and states of all layers after every step, as used by the forward pass.

    Parameters
    ----------
    estimator : LSTMClassifier, LSTMRegressor or SequenceEncoder
        Fitted estimator. Of a pipeline, pass the last step, and X transformed by the steps before it.
    X : array or list
        Series in any form accepted by the estimator's `fit`, with the same channels.

    Returns
    -------
    GateActivations
        For each layer and direction, a mapping of names to read-only arrays of shape (n, T, H) or, if X is a list or
        the series have unequal lengths, to lists of n arrays of shape (T_i, H). They have the same bits as in
        `predict`. The names depend on the cell:

        ======  ===================================================================
        "lstm"  "input", "forget", "cell", "output", "cell_state", "hidden_state"
        "cifg"  the same, where the input gate is 1 - forget
        "gru"   "reset", "update", "candidate", "hidden_state"
        "rnn"   "hidden_state"
        ======  ===================================================================

        "cell" and "candidate" are the candidate values, tanh of their sums; all other gates are between 0 and 1. A GRU
        keeps the fraction "update" of its state. The states are those after each step.

    Raises
    ------
    ValueError
        If X is invalid.
    TypeError
        If `estimator` is not one of these estimators.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    GateDisplay : Pictures of gates and states.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm import LSTMRegressor
    >>> from fastlstm.inspection import gate_activations
    >>> X = np.random.default_rng(0).normal(size=(20, 6, 3))
    >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit(X, X[:, -1, 0])
    >>> gates = gate_activations(model, X).layers[0].forward
    >>> gates["forget"].shape
    (20, 6, 8)
    >>> h = gates["output"] * np.tanh(gates["cell_state"])
    >>> bool(np.allclose(h, gates["hidden_state"], atol=1e-6))
    True
    """
    fitted = fitted_estimator(estimator)
    recording = fitted._model.record(fitted._check_series(X), fitted._kernels_for(fitted._model.dtype), fitted.n_jobs)
    layers = (LayerActivations(*of_layer, *[None] * (2 - len(of_layer))) for of_layer in recording.layers)
    return GateActivations(recording.stack.cell, tuple(layers))
