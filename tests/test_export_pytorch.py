"""Modules of PyTorch with the weights of ours, and layers with PyTorch's: both compute the same."""

import copy
import io
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from helpers import class_of, needs_torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

from fastlstm import LSTMClassifier, LSTMRegressor, SequenceEncoder
from fastlstm.export.pytorch import from_torch, to_torch
from fastlstm.layers import GRU, LSTM, RNN

GOLDEN = Path(__file__).parent / "golden"
RNG = np.random.default_rng(0)
N, T, C = 6, 5, 2
X = RNG.normal(3, 5, size=(N, T, C))
LENGTHS = np.array([5, 2, 4, 1, 5, 3])
MEMBERS = [series[:length] for series, length in zip(X, LENGTHS, strict=True)]
ONCE = {"max_iter": 1, "learning_rate": "cosine", "random_state": 0, "dtype": "float64"}
STACKS = {
    "one layer": {"hidden_size": 3},
    "two layers": {"hidden_size": 3, "num_layers": 2, "bidirectional": True},
    "two sizes": {"hidden_size": (4, 3), "num_layers": 2, "bidirectional": True},
}
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def drawn(cell, input_size=C, dtype="float64", **options):
    """A layer with random weights, biases included."""
    layer = class_of(cell)(input_size, dtype=dtype, **options)
    layer.load_state_dict({name: RNG.normal(size=weight.shape) for name, weight in layer.state_dict().items()})
    return layer


def arrays(of):
    return [part.detach().numpy() for part in ([of] if hasattr(of, "detach") else of)]


# -- layers ---------------------------------------------------------------------------------------------------------


@needs_torch
@pytest.mark.parametrize("options", STACKS.values(), ids=STACKS)
def test_a_module_of_a_layer_computes_the_same_and_returns_the_layer(cell, options):
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    layer = drawn(cell, **options)
    module = to_torch(layer)
    packed = pack_padded_sequence(torch.tensor(X), torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False)
    outputs, states = module(packed)
    outputs, _ = pad_packed_sequence(outputs, batch_first=True)
    expected, expected_states = layer(X, lengths=LENGTHS)
    assert_allclose(outputs.detach().numpy(), expected, **CLOSE)
    states = states if len(expected_states) == 2 else (states,)
    for ours, theirs in zip(expected_states, states, strict=True):
        for one, other in zip(*((of,) if hasattr(of, "shape") else of for of in (ours, theirs)), strict=True):
            assert_allclose(other.detach().numpy(), one, **CLOSE)
    outputs, _ = module(torch.tensor(X), states if len(states) == 2 else states[0])
    assert_allclose(outputs.detach().numpy(), layer(X, expected_states)[0], **CLOSE)

    again = from_torch(module)
    assert (type(again), again.dtype, again.hidden_size) == (type(layer), layer.dtype, layer.hidden_size)
    assert_array_equal(again(X)[0], layer(X)[0])


@needs_torch
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_layers_become_torchs_own_modules(cell):
    import torch

    module = to_torch(drawn(cell, hidden_size=3, num_layers=2, dtype="float32"))
    assert type(module) is getattr(torch.nn, cell.upper())
    assert module.batch_first
    assert module.weight_ih_l0.dtype is torch.float32


@needs_torch
def test_modules_can_be_saved_copied_and_trained():
    import torch

    module = to_torch(drawn("cifg", hidden_size=(4, 3), num_layers=2))
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    x = torch.tensor(X)
    expected = module(x)[0]
    for other in (copy.deepcopy(module), torch.load(file, weights_only=False)):
        assert torch.equal(other(x)[0], expected)
    expected.sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in module.parameters())


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_state_dict_of_arrays_becomes_a_layer_that_computes_as_torch(cell):
    case = dict(np.load(GOLDEN / f"{cell}_stacked.npz"))
    state = [case[name] for name in ("h_0", "c_0") if name in case]
    prefixed = {f"module.rnn.{name}": case[name] for name in case if name.startswith(("weight", "bias"))}
    layer = from_torch(prefixed | {"module.head.weight": np.ones((2, 3))})
    assert isinstance(layer, class_of(cell))
    output, states = layer(case["x"], state, case["lengths"])
    assert_allclose(output, case["output"], **CLOSE)
    for ours, name in zip(states, ("h_n", "c_n"), strict=False):
        assert_allclose(ours, case[name], **CLOSE)


@needs_torch
@pytest.mark.parametrize("wrap", ["itself", "child", "DataParallel"])
def test_the_one_recurrent_module_is_found(wrap):
    import torch

    lstm = torch.nn.LSTM(C, 3, 2, bias=False, dtype=torch.float64)
    module = {
        "itself": lambda: lstm,
        "child": lambda: torch.nn.ModuleDict(
            {"net": torch.nn.ModuleDict({"rnn": lstm}), "head": torch.nn.Linear(3, 1)}
        ),
        "DataParallel": lambda: torch.nn.DataParallel(torch.nn.ModuleDict({"rnn": lstm})),
    }[wrap]()
    outputs, _ = lstm(torch.tensor(X).transpose(0, 1))
    for given in (module, module.state_dict()):
        assert_allclose(from_torch(given)(X)[0].swapaxes(0, 1), outputs.detach().numpy(), **CLOSE)


@needs_torch
def test_half_precision_becomes_float32():
    import torch

    module = torch.nn.GRU(C, 3, dtype=torch.bfloat16)
    layer = from_torch(module)
    assert layer.dtype == "float32"
    assert_array_equal(layer.state_dict()["weight_hh_l0"], module.weight_hh_l0.detach().float().numpy())


@needs_torch
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda nn: nn.RNN(2, 3, nonlinearity="relu"), "The module is an RNN with nonlinearity='relu'.*tanh only"),
        (lambda nn: nn.Sequential(nn.LSTM(2, 3, proj_size=2)), "0 is an LSTM with proj_size=2.*no projections"),
        (lambda nn: nn.LSTM(2, 3, proj_size=2).state_dict(), "'weight_hr_l0' is of an LSTM with projections"),
        (lambda nn: nn.ModuleDict({"a": nn.LSTM(2, 3), "b": nn.GRU(2, 3)}), r"has 2 recurrent modules, \['a', 'b'\]"),
        (lambda nn: nn.ModuleList([nn.LSTM(2, 3)] + [nn.GRU(2, 3)]).state_dict(), r"2 modules.*'0.\w+', '1.\w+'"),
        (lambda nn: nn.Linear(2, 3), "The Linear has no recurrent module"),
        (lambda nn: nn.LSTMCell(2, 3), "The LSTMCell has no recurrent module"),
    ],
)
def test_modules_without_a_counterpart_are_refused(make, message):
    from torch import nn

    with pytest.raises(ValueError, match=message):
        from_torch(make(nn))


WEIGHTS = LSTM(2, 3, 2, bidirectional=True).state_dict()


@pytest.mark.parametrize(
    ("mapping", "error", "message"),
    [
        ({}, ValueError, r"no recurrent weights, such as 'weight_ih_l0', but \[\]"),
        ({1: 2, "a": 3}, ValueError, "no recurrent weights"),
        (None, TypeError, "module is of type NoneType; expected a torch.nn.Module, or a mapping"),
        (LSTM, TypeError, "module is the class LSTM"),
        ({**WEIGHTS, "weight_ih_l999999999": WEIGHTS["weight_ih_l1"]}, ValueError, "lacks 'weight_hh_l2'"),
        (
            {name: w for name, w in WEIGHTS.items() if "_hh_l1_r" not in name},
            ValueError,
            "lacks .*'weight_hh_l1_reverse'",
        ),
        ({name: w for name, w in WEIGHTS.items() if name != "bias_hh_l1"}, ValueError, r"lacks \['bias_hh_l1'\]"),
        (
            {**WEIGHTS, "weight_hh_l0": np.ones((6, 3))},
            ValueError,
            "2.0, 4.0.* gates; expected one of 4 .LSTM., 3 .GRU.",
        ),
        ({**WEIGHTS, "weight_hh_l0": np.ones(3)}, ValueError, r"weight_hh_l0 has shape \(3,\)"),
        ({**WEIGHTS, "weight_hh_l0": np.ones((12, 0))}, ValueError, r"weight_hh_l0 has shape \(12, 0\)"),
        (
            {**WEIGHTS, "weight_ih_l1": np.ones((12, 2))},
            ValueError,
            r"weight_ih_l1 has shape \(12, 2\); expected \(12, 6\)",
        ),
        ({**WEIGHTS, "bias_ih_l0": np.full(12, np.nan)}, ValueError, "bias_ih_l0 has values that are not finite"),
        ({**WEIGHTS, "bias_ih_l0": ["a"] * 12}, TypeError, "bias_ih_l0 is of type .*real numbers"),
    ],
)
def test_mappings_that_are_no_weights_are_refused(mapping, error, message):
    with pytest.raises(error, match=message):
        from_torch(mapping)


def test_the_cell_follows_from_the_number_of_gates():
    for kind in (LSTM, GRU, RNN):
        assert type(from_torch(kind(2, 3).state_dict())) is kind


# -- estimators -----------------------------------------------------------------------------------------------------


def outputs_of(estimator, x=X, lengths=None):
    import torch

    return to_torch(estimator)(torch.tensor(x), lengths).detach().numpy()


def softmax(scores):
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


@needs_torch
@pytest.mark.parametrize("options", STACKS.values(), ids=STACKS)
def test_a_classifiers_scores_are_those_of_its_probabilities(cell, options):
    model = LSTMClassifier(cell=cell, standardize=True, **options, **ONCE).fit(MEMBERS, np.arange(N) % 3)
    assert_allclose(softmax(outputs_of(model, lengths=LENGTHS)), model.predict_proba(MEMBERS), **CLOSE)
    assert_allclose(softmax(outputs_of(model)), model.predict_proba(X), **CLOSE)


@needs_torch
def test_several_labels_have_one_score_each():
    model = LSTMClassifier(3, **ONCE).fit(X, np.arange(2 * N).reshape(N, 2) % 2)
    assert_allclose(1 / (1 + np.exp(-outputs_of(model))), model.predict_proba(X), **CLOSE)


@needs_torch
@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("activation", ["identity", "tanh", "logistic"])
def test_a_regressor_predicts_in_the_units_of_its_targets(n_outputs, activation):
    y = RNG.uniform(size=(N, n_outputs)) * (1e6 if activation == "identity" else 1)
    y = y[:, 0] if n_outputs == 1 else y
    model = LSTMRegressor(3, out_activation=activation, standardize=True, **ONCE).fit(X, y)
    assert_allclose(outputs_of(model), model.predict(X), **CLOSE)


@needs_torch
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_targets_per_step(n_outputs):
    y = [np.cumsum(series, axis=0)[:, :n_outputs] for series in MEMBERS]
    y = [of[:, 0] for of in y] if n_outputs == 1 else y
    model = LSTMRegressor(3, bidirectional=True, return_sequences=True, **ONCE).fit(MEMBERS, y)
    outputs = outputs_of(model, lengths=LENGTHS)
    for n, expected in enumerate(model.predict(MEMBERS)):
        assert_allclose(outputs[n, : LENGTHS[n]], expected, **CLOSE)


@needs_torch
@pytest.mark.parametrize("loss", ["quantile", "gaussian_nll", "poisson"])
def test_distributions_have_the_scores_of_the_loss(loss):
    options = {"quantile": [0.1, 0.5, 0.9]} if loss == "quantile" else {}
    model = LSTMRegressor(3, loss=loss, **options, **ONCE).fit(X, np.arange(2 * N).reshape(N, 2))
    assert_allclose(model._model.output.predict(outputs_of(model)), model.predict(X), **CLOSE)


@needs_torch
@pytest.mark.parametrize("standardize", [False, True])
def test_missing_values_are_filled_as_by_the_estimator(standardize):
    x = X.copy()
    x[RNG.uniform(size=x.shape) < 0.4] = np.nan
    x[:, -1, 0] = 1  # not padding
    x[:, 0, 1] = np.nan
    model = LSTMRegressor(3, missing="mask", standardize=standardize, **ONCE).fit(x, np.arange(N))
    assert_allclose(outputs_of(model, x), model.predict(x), **CLOSE)


@needs_torch
@pytest.mark.parametrize("size", [2, "onehot"])
def test_symbols_are_given_by_their_codes(size):
    words = ["abca", "bb", "cabc", "a", "bca", "ccc"]
    model = LSTMClassifier(3, embedding_size=size, **ONCE).fit(words, np.arange(N) % 2)
    lengths = np.array([len(word) for word in words])
    codes = np.zeros((N, 4, 1), int)
    known = model.vocabulary_.tolist()
    words[1] = "b?"  # unknown
    for n, word in enumerate(words):
        codes[n, : len(word), 0] = [known.index(symbol) if symbol in known else len(known) for symbol in word]
    assert_allclose(softmax(outputs_of(model, codes, lengths)), model.predict_proba(words), **CLOSE)


@needs_torch
def test_symbols_beside_numbers():
    import pandas as pd

    numbers, words = X[..., 0], RNG.choice(["a", "b", "c"], (N, T))
    tables = [pd.DataFrame({"word": words[n], "number": numbers[n]}) for n in range(N)]
    model = LSTMRegressor(3, embedding_size=2, standardize=True, **ONCE).fit(tables, np.arange(N))
    codes = np.searchsorted(model.vocabulary_["word"], words)
    assert_allclose(outputs_of(model, np.stack([numbers, codes], axis=2)), model.predict(tables), **CLOSE)


@needs_torch
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_an_encoder_has_the_last_states(cell):
    model = LSTMClassifier(3, cell=cell, bidirectional=True, return_sequences=True, **ONCE)
    encoder = SequenceEncoder(model.fit(X, np.arange(N * T).reshape(N, T) % 2)).fit(None)
    assert_allclose(outputs_of(encoder, lengths=LENGTHS), encoder.transform(MEMBERS), **CLOSE)
    weights = {name: weight.numpy() + 1 for name, weight in to_torch(encoder).state_dict().items()}
    encoder.load_state_dict(weights)
    assert_allclose(outputs_of(encoder), encoder.transform(X), **CLOSE)


@needs_torch
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_trained_in_torch_come_back(dtype):
    import torch

    model = LSTMRegressor(3, cell="cifg", standardize=True, **ONCE | {"dtype": dtype}).fit(X, np.arange(N))
    module, kind = to_torch(model), getattr(torch, dtype)
    before = model.predict(X)
    assert module(torch.tensor(X)).dtype is kind
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    torch.nn.functional.mse_loss(module(torch.tensor(X)), torch.arange(N, dtype=kind)).backward()
    optimizer.step()
    assert_array_equal(model.predict(X), before)  # a copy was trained
    model.load_state_dict(module.state_dict())
    close = CLOSE if dtype == "float64" else {"rtol": 1e-5, "atol": 1e-5}
    assert_allclose(module(torch.tensor(X)).detach().numpy(), model.predict(X), **close)
    assert (model.predict(X) != before).all()


@needs_torch
@pytest.mark.parametrize("shape", [(N, T), (N, T, 1), (N, T, 3)])
def test_inputs_of_other_shapes_are_refused(shape):
    model = LSTMRegressor(3, standardize=True, **ONCE).fit(X, np.arange(N))
    with pytest.raises(ValueError, match=r"x has shape .*expected \(N, T, C\).* C=2 channels"):
        outputs_of(model, np.ones(shape))


@pytest.mark.parametrize("bad", [None, LSTMClassifier, OrderedDict()], ids=str)
def test_only_estimators_and_layers_are_converted(bad):
    with pytest.raises(TypeError, match=r"estimator is .*expected a fitted LSTMClassifier, .* or a layer"):
        to_torch(bad)


@pytest.mark.parametrize("estimator", [LSTMClassifier(), SequenceEncoder()])
def test_only_fitted_estimators_are_converted(estimator):
    with pytest.raises(NotFittedError):
        to_torch(estimator)
