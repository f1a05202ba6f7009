"""How the gradient of the loss flows back through the steps of a fitted network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fastlstm import containers, kernels
from fastlstm.estimators.data import check_data, transform
from fastlstm.inspection._estimators import fitted_estimator
from fastlstm.inspection._reprs import brief_repr
from fastlstm.inspection.gates import direction_of
from fastlstm.training.embedding import input_gradient
from fastlstm.training.recording import gates_of

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import ArrayLike, NDArray


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


def gradient_flow(estimator: Any, X: ArrayLike, y: ArrayLike) -> GradientFlow:
    """Norms of the gradient of the loss with respect to the states and inputs at every step.

    The loss L of a series is that of training, on the scale of training; with ``return_sequences=True``, its mean over
    the steps of the series. Weights of classes are those of training, divided by their mean over X. There is no dropout
    and no L2 penalty, and the gradient flows back to the first step whatever `bptt_steps` is. It is computed in float64
    whatever the estimator's dtype, because vanishing gradients soon fall below the smallest float32.

    Parameters
    ----------
    estimator : LSTMClassifier, LSTMRegressor or SequenceEncoder
        Fitted estimator. Of a pipeline, pass the last step, and X transformed by the steps before it.
    X : array or list
        Series in any form accepted by the estimator's `fit`, with the same channels.
    y : array or list
        Targets as in `fit`.

    Returns
    -------
    GradientFlow
        Norms of dL/dh_t, dL/dc_t and dL/dx_t, and which part of dL/dc_t has come through the forget gate. Inputs are
        those of the first layer: standardised if the model is, and without the indicators of missing values.

    Raises
    ------
    ValueError
        If X or y is invalid.
    TypeError
        If `estimator` is not one of these estimators.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    GradientFlowDisplay : Plot of the norms.

    Notes
    -----
    In an LSTM, dL/dc_{t-1} is the sum of f_t * dL/dc_t and of what passes through h_{t-1}: to the loss at step t-1, to
    the layer above, and to the four gates of step t (Hochreiter & Schmidhuber 1997, section 3; Gers, Schmidhuber &
    Cummins 2000). The first of these does not vanish while the forget gate is open. In a vanilla RNN, all of the
    gradient passes through the recurrent weights (Bengio, Simard & Frasconi 1994).

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm import LSTMRegressor
    >>> from fastlstm.inspection import gradient_flow
    >>> X = np.random.default_rng(0).normal(size=(20, 50))
    >>> y = X[:, 0]
    >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine", random_state=0).fit(X, y)
    >>> flow = gradient_flow(model, X, y)
    >>> flow.mean("hidden_state").shape
    (50,)
    >>> share = flow.mean("forget_share")
    >>> bool(np.all((share[:-1] > 0) & (share[:-1] < 1)))
    True
    """
    fitted = fitted_estimator(estimator)  # a copy, which may be changed
    weights = {name: value.astype("float64") for name, value in fitted._model.weights.items()}
    model = replace(fitted._model, weights=weights)
    fitted.dtype, fitted._model = "float64", model
    data = check_data(fitted, X, y, None, reset=False)
    of_rows = fitted._combine_weights(data.targets, data.weights)
    data = transform(data, model.scaling, model.target_scaling, model.masked, model.dtype)
    recording = model.record_prepared(data.series, kernels.resolve(fitted.backend), fitted.n_jobs)

    features = recording.outputs(model.per_step)
    values, d_scores = model.loss(features @ weights["head.weight"].T + weights["head.bias"], data.targets)
    of_rows = of_rows / of_rows.mean()
    if model.per_step:
        of_rows = of_rows / np.repeat(data.series.lengths, data.series.lengths)[:, None]
    loss = float((values * of_rows).sum() / len(data.series))
    d_scores = d_scores * np.repeat(of_rows, d_scores.shape[1] // of_rows.shape[1], axis=1)
    recording.differentiate(d_scores @ weights["head.weight"], model.per_step)

    d_x = input_gradient(recording.run, recording.starts)
    channels = d_x.shape[1] // 2 if model.masked else d_x.shape[1]
    layers = []
    for number, of_layer in enumerate(model.stack.layers):
        found = [_state_gradients(recording, number, d, weights, place) for d, place in enumerate(of_layer)]
        layers.append(LayerGradients(*found, *[None] * (2 - len(found))))
    return GradientFlow(model.stack.cell, loss, recording.steps(_norms(d_x[:, :channels])), tuple(layers))


def _state_gradients(recording, layer, direction, weights, place):
    """Norms for one run, by the equations of the backward pass."""
    run, cell, (suffix, _, H) = recording.run.layers[layer][direction], recording.stack.cell, place
    of, d_sums, kind = run.activations(), run.d_sums(), kernels.CELLS[cell]
    now, later = _successors(recording.starts)
    d_past = _gradient_of_past(cell, d_sums, weights["weight_hh" + suffix], H)

    d_h = np.zeros((run.M, H)) if run.d_h is None else run.d_h.copy()
    last = np.ones(run.M, bool)
    last[now] = False
    sequences = np.arange(run.M) - np.repeat(recording.starts[:-1], np.diff(recording.starts))
    d_h[last] += recording.d_last[layer * recording.stack.directions + direction][sequences[last]]
    d_h[now] += sum(d_past.values())[later]
    if kind.direct:
        _add_carried(d_h, of[kind.forget_gate], recording.starts)

    def arranged(rows):
        return recording.steps(rows, direction == 1)

    if "c" not in of:
        return StateGradients(arranged(_norms(d_h)), None, {}, None)
    slope = of["o"] * (1 - np.tanh(of["c"][recording.after]) ** 2)
    d_c = d_h * slope
    forget = of[kind.forget_gate]
    _add_carried(d_c, forget, recording.starts)
    parts = {"direct": (d_c * forget)[later]}
    parts |= {name: d_past[letter][later] * slope[now] for name, letter in gates_of(cell).items()}
    norms = {name: np.zeros(run.M) for name in parts}
    for name, part in parts.items():
        norms[name][now] = _norms(part)
    total = sum(norms.values())
    share = np.divide(norms["direct"], total, out=np.full(run.M, np.nan), where=total > 0)
    paths = {name: arranged(rows) for name, rows in norms.items()}
    return StateGradients(arranged(_norms(d_h)), arranged(_norms(d_c)), paths, arranged(share))


def _gradient_of_past(cell, d_sums, weight_hh, H):
    """Gradient [M, H] of the hidden state before each step, by the gate through whose sum it comes."""
    blocks = {gate: weight_hh[k * H : (k + 1) * H] for k, gate in enumerate(kernels.CELLS[cell].gates)}
    d_terms = {**d_sums, "n": d_sums["m"]} if "m" in d_sums else d_sums  # m is the state's term of a GRU's candidate
    return {gate: d_terms[gate] @ block for gate, block in blocks.items()}


def _successors(starts):
    """Rows of a packed batch that have a next step, and the rows of that."""
    later = np.arange(starts[1], starts[-1])
    t = np.repeat(np.arange(1, len(starts) - 1), np.diff(starts)[1:])
    return later - starts[t] + starts[t - 1], later


def _add_carried(d_state, gate, starts):
    """Add to the gradient of each state what the next state passes back directly, times the gate that keeps it."""
    for t in range(len(starts) - 3, -1, -1):
        later = slice(starts[t + 1], starts[t + 2])
        d_state[starts[t] : starts[t] + later.stop - later.start] += d_state[later] * gate[later]


def _norms(rows):
    """Euclidean norm [M] of each row, also where squares would underflow."""
    largest = np.abs(rows).max(axis=1)
    scale = np.where(largest > 0, largest, 1)
    return largest * np.sqrt(((rows / scale[:, None]) ** 2).sum(axis=1))
