"""How the gradient of the loss flows back through the steps of a fitted network."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fastlstm import kernels
from fastlstm.estimators.data import check_data, combine_weights, transform
from fastlstm.inspection._estimators import fitted_estimator
from fastlstm.inspection.gradient_records import GradientFlow, LayerGradients, StateGradients
from fastlstm.training.recording import gates_of

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import ArrayLike


def gradient_flow(estimator: Any, X: ArrayLike, y: ArrayLike) -> GradientFlow:
    """Norms of the gradient of the loss with respect to the states and inputs at every step.

    The loss L of a series is that of training, on the scale of training; with ``return_sequences=True``, its mean over
    the steps of the series. Weights of classes are those of training, divided by their mean over X. There is no dropout
    and no L2 penalty, and the gradient flows back to the first step whatever `bptt_steps` is. It is computed in float64
    whatever the estimator's `dtype` and `precision`, because vanishing gradients soon fall below the smallest float32.

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
    fitted.dtype, fitted.precision, fitted._model = "float64", "float32", model
    data = check_data(fitted, X, y, None, reset=False)
    (of_rows,) = (part.weights for part in combine_weights(fitted, [data]))
    data = transform(data, model.scaling, model.target_scaling, model.masked, model.dtype, fitted.precision)
    recording = model.record_prepared(data.series, fitted._kernels_for(model.dtype), fitted.n_jobs)

    features = recording.outputs(model.per_step)
    values, d_scores = model.loss(features @ weights["head.weight"].T + weights["head.bias"], data.targets)
    of_rows = of_rows / of_rows.mean()
    if model.per_step:
        of_rows = of_rows / np.repeat(data.series.lengths, data.series.lengths)[:, None]
    loss = float((values * of_rows).sum() / len(data.series))
    d_scores = d_scores * np.repeat(of_rows, d_scores.shape[1] // of_rows.shape[1], axis=1)
    recording.differentiate(d_scores @ weights["head.weight"], model.per_step)

    d_x = recording.run.of_both_directions(_gradients_of_inputs(recording, weights))
    channels = d_x.shape[1] // 2 if model.masked else d_x.shape[1]
    layers = []
    for number, of_layer in enumerate(model.stack.layers):
        found = [_state_gradients(recording, number, d, weights, place) for d, place in enumerate(of_layer)]
        layers.append(LayerGradients(*found, *[None] * (2 - len(found))))
    return GradientFlow(model.stack.cell, loss, recording.steps(_norms(d_x[:, :channels])), tuple(layers))


def _gradients_of_inputs(recording, weights):
    """Gradient [M, C] of the inputs of each run of the first layer, those that are looked up included."""
    run, stack = recording.run, recording.stack
    if not recording.looks_up:
        return [of_run.d_x for of_run in run.layers[0]]
    gradients = []
    for of_run, place in zip(run.layers[0], stack.layers[0], strict=True):
        d_sums = of_run.d_sums()
        rows = np.concatenate([d_sums[gate] for gate in kernels.CELLS[stack.cell].gates], axis=1)
        gradients.append(rows @ weights["weight_ih" + place.suffix])
    return gradients


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
