"""The gradient of the loss at every step of fitted networks."""

import numpy as np
import pytest
from helpers import FASTEST, class_of, needs_torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

from fastlstm import LSTMClassifier, LSTMRegressor, SequenceEncoder
from fastlstm.inspection import gradient_flow

LENGTHS = 6, 1, 3, 3, 5


def members(C=2):
    rng = np.random.default_rng(1)
    return [rng.normal(size=(length, C)) for length in LENGTHS]


def fitted(cell="lstm", estimator=LSTMRegressor, X=None, y=None, sizes=(4,), **options):
    X = members() if X is None else X
    y = np.arange(len(X)) % 2 if y is None else y
    options = {"max_iter": 2, "learning_rate": "cosine", "random_state": 0, "dtype": "float64", **options}
    return estimator(sizes, num_layers=len(sizes), cell=cell, **options).fit(X, y)


def by_step(y):
    """Targets for every step of `members`."""
    return [target + np.arange(length) for target, length in zip(y, LENGTHS, strict=True)]


def layer_of(model, suffix):
    """One direction of a layer of the model, with float64 weights."""
    H = model.weights_[f"weight_hh{suffix}"].shape[1]
    layer = class_of(model.cell)(model.weights_[f"weight_ih{suffix}"].shape[1], H, dtype="float64")
    kinds = "weight_ih", "weight_hh", "bias_ih", "bias_hh"
    layer.load_state_dict({f"{kind}_l0": model.weights_[kind + suffix] for kind in kinds})
    return layer


def loss_of(model, outputs, y):
    """Loss of one series, given the outputs [T, D H] of the last layer."""
    scores = outputs @ model.weights_["head.weight"].T + model.weights_["head.bias"]
    y = (np.reshape(y, (-1, 1)) - model.y_mean_) / model.y_scale_
    return model._model.loss(scores, y)[0].sum(axis=1).mean()


def differentiated(function, values, *arguments, step=1e-5):
    """Gradient with respect to the first argument, by central differences."""
    gradient = np.empty_like(values)
    for k in range(values.size):
        shift = np.zeros_like(values)
        shift.flat[k] = step
        gradient.flat[k] = (function(values + shift, *arguments) - function(values - shift, *arguments)) / (2 * step)
    return gradient


def gradients_of_states(model, x, y, per_step):
    """dL/dh_t and dL/dc_t of a model of one layer, [T, states, H]: the rest of a series is run from shifted states."""
    layer = layer_of(model, "_l0")

    def loss(state, k, before, states, rest):
        shifted = [*states[:k], state, *states[k + 1 :]]
        if k == 1:  # the hidden state follows the cell state
            shifted[0] = states[0] / np.tanh(states[1]) * np.tanh(state)
        outputs = np.concatenate([before, shifted[0][0]])
        if len(rest):
            outputs = np.concatenate([outputs, layer(rest[None], tuple(shifted))[0][0]])
        return loss_of(model, outputs if per_step else outputs[-1:], y)

    gradients = []
    for t in range(len(x)):
        output, states = layer(x[None, : t + 1])
        arguments = output[0, :t], states, x[t + 1 :]
        gradients.append([differentiated(loss, state, k, *arguments).ravel() for k, state in enumerate(states)])
    return np.array(gradients)


@pytest.mark.parametrize("per_step", [False, True], ids=["last", "steps"])
def test_norms_are_those_of_finite_differences(cell, backend, per_step):
    X, y = members(), np.arange(5.0)
    y = by_step(y) if per_step else y
    model = fitted(cell, y=y, return_sequences=per_step, backend=backend)
    flow = gradient_flow(model, X, y)
    losses = []
    for n, x in enumerate(X):
        x = (x - model.x_mean_) / model.x_scale_
        expected = np.linalg.norm(gradients_of_states(model, x, y[n], per_step), axis=-1)
        for k, name in enumerate(["hidden_state", "cell_state"][: expected.shape[1]]):
            assert_allclose(flow.norms(name)[n], expected[:, k], rtol=1e-6, atol=1e-10, err_msg=name)

        def loss(x, target=y[n]):
            outputs = layer_of(model, "_l0")(x[None])[0][0]
            return loss_of(model, outputs if per_step else outputs[-1:], target)

        expected = np.linalg.norm(differentiated(loss, x), axis=-1)
        assert_allclose(flow.input[n], expected, rtol=1e-6, atol=1e-10)
        losses.append(loss(x))
    assert_allclose(flow.loss, np.mean(losses), rtol=1e-12)


def lstm_in_torch(cell, x, state):
    """A step of torch's cell by its equations: in the cell's own call, the hidden state does not depend on c_t."""
    import torch

    h, c = state or [torch.zeros(cell.hidden_size, dtype=torch.float64)] * 2
    sums = cell.weight_ih @ x + cell.bias_ih + cell.weight_hh @ h + cell.bias_hh
    i, f, g, o = sums.chunk(4)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def states_in_torch(model, x):
    """Outputs of all layers and directions by torch's cells, with every state by layer, direction and step."""
    import torch

    D = 1 + model.bidirectional
    states, inputs = [], x
    for number, H in enumerate(model.hidden_size):
        of_layer = []
        for suffix in (f"_l{number}", f"_l{number}_reverse")[:D]:
            kind = {"lstm": torch.nn.LSTMCell, "gru": torch.nn.GRUCell, "rnn": torch.nn.RNNCell}[model.cell]
            cell = kind(inputs[0].shape[-1], H, dtype=torch.float64)
            names = "weight_ih", "weight_hh", "bias_ih", "bias_hh"
            cell.load_state_dict({name: torch.tensor(model.weights_[name + suffix]) for name in names})
            steps, state = [], None
            for step in inputs[::-1] if suffix.endswith("reverse") else inputs:
                state = lstm_in_torch(cell, step, state) if model.cell == "lstm" else cell(step, state)
                for array in state if model.cell == "lstm" else [state]:
                    array.retain_grad()
                steps.append(state if model.cell == "lstm" else (state,))
            of_layer.append(steps[::-1] if suffix.endswith("reverse") else steps)
        inputs = [torch.cat([steps[t][0] for steps in of_layer], dim=-1) for t in range(len(x))]
        states.append(of_layer)
    return inputs, states


@needs_torch
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("per_step", [False, True], ids=["last", "steps"])
@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_norms_in_stacks_are_those_of_torch(kind, per_step, bidirectional):
    import torch

    X, y = members(), np.arange(5) % 3
    y = [np.arange(length) % 3 for length in LENGTHS] if per_step else y
    options = {"sizes": (4, 3), "bidirectional": bidirectional, "return_sequences": per_step, "standardize": False}
    model = fitted(kind, LSTMClassifier, y=y, **options)
    flow = gradient_flow(model, X, y)
    for n, given in enumerate(X):
        x = torch.tensor(given, requires_grad=True)
        outputs, states = states_in_torch(model, list(x))
        if not per_step:  # the backward direction's last state is that at the first step
            H = model.hidden_size[-1]
            outputs = [torch.cat([outputs[-1][:H], outputs[0][H:]])]
        weight, bias = (torch.tensor(model.weights_[f"head.{name}"]) for name in ("weight", "bias"))
        targets = torch.tensor(np.searchsorted(model.classes_, np.reshape(y[n], -1)))
        torch.nn.functional.cross_entropy(torch.stack(outputs) @ weight.T + bias, targets).backward()
        assert_allclose(flow.input[n], np.linalg.norm(x.grad, axis=-1), rtol=1e-10, atol=1e-15)
        for layer, of_layer in enumerate(states):
            for direction, steps in zip(["forward", "backward"], of_layer, strict=False):
                for k, name in enumerate(["hidden_state", "cell_state"][: len(steps[0])]):
                    expected = [0 if step[k].grad is None else np.linalg.norm(step[k].grad) for step in steps]
                    norms = flow.norms(name, layer, direction)[n]
                    assert_allclose(norms, expected, rtol=1e-10, atol=1e-15, err_msg=f"{name} {layer} {direction}")


@pytest.mark.parametrize("kind", ["lstm", "cifg"])
def test_paths_add_up_to_the_gradient_of_the_cell_state(kind):
    """With one unit and a loss on the last state, the gradient comes by these paths alone, so its signs can be told."""
    from itertools import product

    X, y = members(), np.arange(5.0)
    flow = gradient_flow(fitted(kind, sizes=(1,)), X, y).layers[0].forward
    assert set(flow.paths) == {"direct", "forget", "cell", "output"} | ({"input"} if kind == "lstm" else set())
    for n, length in enumerate(LENGTHS):
        parts = np.array([arrays[n] for arrays in flow.paths.values()])
        assert not parts[:, -1].any()
        for t in range(length - 1):
            sums = [abs(np.dot(signs, parts[:, t])) for signs in product((-1, 1), repeat=len(parts))]
            assert_allclose(np.abs(np.subtract(sums, flow.cell_state[n][t])).min(), 0, atol=1e-12)
        assert_allclose(flow.forget_share[n][:-1], (parts[0] / np.maximum(parts.sum(axis=0), 1e-300))[:-1], rtol=1e-10)
        assert np.isnan(flow.forget_share[n][-1])


def test_backends_agree(cell, backend):
    X, y = members(), np.arange(5.0)
    options = {"sizes": (5, 3), "bidirectional": True}
    model = fitted(cell, **options, backend=FASTEST)
    ours, other = gradient_flow(model, X, y), gradient_flow(model.set_params(backend=backend), X, y)
    for layer in (0, 1):
        for direction in ("forward", "backward"):
            for name in ["hidden_state"] + ["cell_state", "forget_share"] * (cell in ("lstm", "cifg")):
                pairs = zip(ours.norms(name, layer, direction), other.norms(name, layer, direction), strict=True)
                for one, two in pairs:
                    assert_allclose(one, two, rtol=1e-9, atol=1e-15)


def test_gradients_below_float32_are_resolved():
    X = np.random.default_rng(0).normal(size=(2, 300, 1))
    model = fitted("rnn", X=X, y=[0.0, 1.0], dtype="float32", init="standard", max_iter=1)
    model.weights_["weight_hh_l0"] *= 0.3
    norms = gradient_flow(model, X, [0.0, 1.0]).mean("hidden_state")
    assert 0 < norms[0] < 1e-100
    assert (np.diff(np.log(norms)) > 0).mean() > 0.9


def test_means_count_steps_from_the_start_or_from_the_end():
    flow = gradient_flow(fitted(), members(), np.arange(5.0))
    norms = flow.norms("hidden_state")
    first = [np.mean([one[t] for one in norms if len(one) > t]) for t in range(6)]
    last = [np.mean([one[-1 - t] for one in norms if len(one) > t]) for t in range(6)]
    assert_allclose(flow.mean("hidden_state"), first)
    assert_allclose(flow.mean("hidden_state", from_end=True), last)
    share = flow.mean("forget_share", from_end=True)
    assert np.isnan(share[0])
    assert not np.isnan(share[1:]).any()


def test_the_state_is_that_which_carries_the_memory(cell):
    flow = gradient_flow(fitted(cell), members(), np.arange(5.0))
    name = "cell_state" if cell in ("lstm", "cifg") else "hidden_state"
    assert flow.norms("state") is flow.norms(name)


def test_weights_of_classes_scale_the_loss_of_each_series():
    X, y = np.random.default_rng(0).normal(size=(6, 4, 2)), np.array([0, 0, 0, 0, 1, 1])
    plain = fitted(estimator=LSTMClassifier, X=X, y=y)
    weighted = gradient_flow(plain, X, y), gradient_flow(plain.set_params(class_weight={0: 1, 1: 4}), X, y)
    ratio = weighted[1].input / weighted[0].input
    assert_allclose(ratio, np.broadcast_to([[0.5]] * 4 + [[2]] * 2, (6, 4)))


def test_indicators_of_missing_values_are_not_inputs():
    X, y = np.random.default_rng(0).normal(size=(5, 4, 2)), np.arange(5.0)
    X[0, 1, 0] = np.nan
    model = fitted(X=X, y=y, missing="mask")
    model.weights_["weight_ih_l0"][:, 2:] = 1e3  # of the indicators
    assert gradient_flow(model, X[1:], y[1:]).input.max() < 10


def test_the_estimator_remains_unchanged():
    model = fitted(dtype="float32")
    weights = model.weights_
    gradient_flow(model, members(), np.arange(5.0))
    assert model.weights_ is weights
    assert model.dtype == "float32"
    assert_array_equal(weights["head.bias"].dtype, np.float32)


def test_encoders_are_accepted():
    model, y = fitted(estimator=LSTMClassifier), np.arange(5) % 2
    encoder = SequenceEncoder(model).fit(None)
    assert gradient_flow(encoder, members(), y).loss == gradient_flow(model, members(), y).loss


def test_bad_input_is_refused():
    model, X, y = fitted(), members(), np.arange(5.0)
    with pytest.raises(NotFittedError):
        gradient_flow(LSTMRegressor(), X, y)
    with pytest.raises(ValueError, match=r"X has 5 series, but y has 4 values: pass one y per series"):
        gradient_flow(model, X, y[:4])
    with pytest.raises(ValueError, match="channels"):
        gradient_flow(model, members(3), y)
    with pytest.raises(ValueError, match=r"name='cell_state': expected one of \['input', 'hidden_state', 'state'\]"):
        gradient_flow(fitted("gru"), X, y).norms("cell_state")
    with pytest.raises(ValueError, match=r"layer=1: expected an integer from -1 to 0"):
        gradient_flow(model, X, y).norms("hidden_state", layer=1)
    with pytest.raises(TypeError, match=r"type str; expected a fitted LSTMClassifier"):
        gradient_flow("model", X, y)
