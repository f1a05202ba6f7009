"""Training of an encoder-decoder: gradients by differences and against torch, and equal bits."""

import numpy as np
import pytest
from helpers import needs_torch
from numpy.testing import assert_allclose, assert_array_equal

from fastlstm import kernels, sequences
from fastlstm.stacks import Stack
from fastlstm.training.embedding import Embedding
from fastlstm.training.minibatch import Minibatch
from fastlstm.translation.model import ATTENTION, TranslationModel
from fastlstm.translation.network import TranslationNetwork
from fastlstm.translation.pairs import Pairs

V, K = 5, 7  # symbols of the source, and outputs: symbols of the target and the end


def series_of(arrays, dtype):
    lengths = np.array(list(map(len, arrays)))
    return sequences.of_table(np.concatenate(arrays)[:, None].astype(dtype), lengths, "list")


class Problem:
    """Random weights, and pairs of unequal lengths."""

    def __init__(self, attention="dot", bidirectional=True, cell="lstm", sizes=(4,), width=3, dtype="float64", N=5):
        rng = np.random.default_rng(0)
        source, target = Embedding(1, (0,), (V + 1,), width), Embedding(1, (0,), (K + 1,), width)
        D = 1 + bidirectional
        E = [V + 1, K + 1] if width is None else [width, width]
        encoder, decoder = Stack(cell, E[0], sizes, bidirectional), Stack(cell, E[1], sizes)
        assert D * sizes[-1] == encoder.width
        model = TranslationModel(encoder, decoder, source, target, attention, K, {})
        weights = {name: 0.5 * rng.standard_normal(shape) for name, shape in model.shapes.items()}
        self.model = TranslationModel(encoder, decoder, source, target, attention, K, weights)
        self.sources = [rng.integers(0, V + 1, length) for length in rng.permutation(N) % 4 + 1]
        self.targets = [rng.integers(0, K - 1, length) for length in rng.permutation(N) % 6]
        inputs = [np.concatenate([[model.start], target]) for target in self.targets]
        codes = np.concatenate([np.concatenate([target, [K - 1]]) for target in self.targets])
        self.weights = rng.uniform(0.5, 2, len(codes))
        self.dtype, of_both = np.dtype(dtype), [series_of(arrays, dtype) for arrays in (self.sources, inputs)]
        self.pairs = Pairs(*of_both, codes[:, None], self.weights[:, None])

    def network(self, backend="numpy", model=None, **options):
        return TranslationNetwork(model or self.model, self.dtype, backend, n_pairs=len(self.sources), **options)

    def differentiated(self, network, rows=None, n_jobs=1, forward_only=False):
        """The sum of the losses; their gradient is in `network`."""
        rows = np.arange(len(self.sources)) if rows is None else np.asarray(rows)
        drawn = self.pairs.batch(rows, 0, None, self.dtype)
        batch = Minibatch(
            drawn.starts, drawn.x, drawn.at, drawn.targets, drawn.sample_weight, self.model.loss, (3, 1, drawn.rows), 0,
            drawn.total_weight, drawn.expected_weight, decoder=drawn.decoder,
        )  # fmt: skip
        with network.team(len(rows), 10**9, n_jobs) as team:
            network.prepare_batch(batch, team.size)
            team.run(lambda: network.phases(forward_only))
        return network.values.sum() * drawn.expected_weight

    def loss(self, weights):
        model = TranslationModel(**{**vars(self.model), "weights": weights})
        return self.differentiated(self.network(model=model), forward_only=True)


KINDS = {
    "dot, both directions": {},
    "dot, one direction": {"bidirectional": False},
    "additive": {"attention": "additive", "sizes": (3, 5)},
    "no attention": {"attention": None, "bidirectional": False, "sizes": (4, 4)},
    "no attention, both directions": {"attention": None, "cell": "gru"},
    "gru": {"cell": "gru", "sizes": (3, 3)},
    "rnn": {"cell": "rnn", "bidirectional": False, "attention": "additive"},
    "cifg, one-hot": {"cell": "cifg", "width": None},
    "one unit": {"sizes": (1,), "width": 1},
}
kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
def test_gradients_are_differences(kind):
    problem = Problem(**KINDS[kind])
    network = problem.network()
    problem.differentiated(network)
    rng, step = np.random.default_rng(1), 1e-5
    expected_weight = problem.pairs.batch(np.arange(5), 0, None, problem.dtype).expected_weight
    for name, value in problem.model.weights.items():
        direction = rng.standard_normal(value.shape)
        there, back = (
            problem.loss({**problem.model.weights, name: value + sign * step * direction}) for sign in (1, -1)
        )
        found = (network.d_weights[name] * direction).sum() * expected_weight
        assert_allclose(found, (there - back) / (2 * step), rtol=1e-6, atol=1e-8, err_msg=name)


@kinds
def test_backends_agree_with_numpy(kind, fast):
    problem = Problem(**KINDS[kind])
    expected, found = problem.network(), problem.network(fast)
    assert_allclose(problem.differentiated(found), problem.differentiated(expected), rtol=1e-12)
    for name, value in expected.d_weights.items():
        assert_allclose(found.d_weights[name], value, rtol=0, atol=1e-12 * max(1, np.abs(value).max()), err_msg=name)


@kinds
def test_bits_do_not_depend_on_threads_or_backend(kind, fast):
    problem = Problem(**KINDS[kind], dtype="float32", N=23)
    options = {"dropout": 0.3, "recurrent_dropout": 0.2, "symbol_dropout": 0.2, "teacher_forcing": 0.5}
    expected = problem.network(kernels.available()[0], **options)
    problem.differentiated(expected)
    for n_jobs in (1, 2):
        found = problem.network(fast, **options)
        problem.differentiated(found, n_jobs=n_jobs)
        assert_array_equal(found.gradient, expected.gradient)


@pytest.mark.parametrize("attention", [*ATTENTION, None])
def test_losses_of_a_pair_do_not_depend_on_the_batch(attention, backend):
    problem = Problem(attention, dtype="float32")
    network = problem.network(backend)
    problem.differentiated(network, forward_only=True)
    begin = network.readout.target
    whole, order = network.values.copy(), problem.pairs.batch(np.arange(5), 0, None, problem.dtype)
    for place, row in enumerate(order.rows):
        problem.differentiated(network, [row], forward_only=True)
        alone = problem.pairs.batch(np.array([row]), 0, None, problem.dtype)
        ratio = alone.expected_weight / order.expected_weight
        of_pair = whole[begin[place] : begin[place + 1]]
        assert_allclose(network.values * ratio, of_pair, rtol=1e-6)


def torch_losses(problem, torch):
    """The weighted losses of all pairs by layers of torch, and the weights, for its gradients."""
    model = problem.model
    weights = {name: torch.tensor(value, requires_grad=True) for name, value in model.weights.items()}
    of_cell = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[model.encoder.cell]
    total, at = 0.0, 0

    def run(prefix, stack, codes, states):
        """Outputs of all steps, and the last states of each layer."""
        rows, last = weights[f"{prefix}.embedding.0.weight"][codes], []
        for n, (H, layer) in enumerate(zip(stack.hidden_sizes, stack.layers, strict=True)):
            module = of_cell(rows.shape[1], H, bidirectional=stack.bidirectional, dtype=torch.float64)
            given = {place.suffix.replace(f"_l{n}", "_l0"): place.suffix for place in layer}
            named = {
                f"{kind}{own}": weights[f"{prefix}.{kind}{suffix}"]
                for own, suffix in given.items()
                for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            }
            state = states and states[n]
            if state is not None:
                state = tuple(state) if len(state) > 1 else state[0]
            rows, of_layer = torch.func.functional_call(module, named, (rows, state))
            of_layer = of_layer if isinstance(of_layer, tuple) else (of_layer,)
            last.append([value.reshape(1, -1) for value in of_layer])
        return rows, last

    for source, target in zip(problem.sources, problem.targets, strict=True):
        memory, last = run("encoder", model.encoder, torch.tensor(source), None)
        for of_layer, names in zip(last, model.bridges, strict=bool(model.bridges)):
            for k, name in enumerate(names):
                of_layer[k] = of_layer[k] @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
        codes = torch.tensor(np.concatenate([[model.start], target]))
        outputs, _ = run("decoder", model.decoder, codes, last)
        if model.attention is not None:
            keys = memory if model.keys_are_memory else memory @ weights["attention.key.weight"].T
            if model.attention == "dot":
                scores = outputs @ keys.T
            else:
                queries = outputs @ weights["attention.query.weight"].T + weights["attention.query.bias"]
                scores = torch.tanh(queries[:, None] + keys) @ weights["attention.vector"]
            context = scores.softmax(dim=1) @ memory
            both = torch.cat([context, outputs], dim=1)
            outputs = torch.tanh(both @ weights["combine.weight"].T + weights["combine.bias"])
        scores = outputs @ weights["head.weight"].T + weights["head.bias"]
        following = torch.tensor(np.concatenate([target, [model.end]]))
        losses = torch.nn.functional.cross_entropy(scores, following, reduction="none")
        total = total + (losses * torch.tensor(problem.weights[at : at + len(following)])).sum()
        at += len(following)
    return total, weights


@needs_torch
@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith("cifg")])
def test_gradients_are_those_of_torch(kind):
    import torch

    problem = Problem(**KINDS[kind])
    expected, weights = torch_losses(problem, torch)
    expected.backward()
    network = problem.network(kernels.available()[0])
    loss = problem.differentiated(network)
    factor = problem.pairs.batch(np.arange(5), 0, None, problem.dtype).expected_weight
    assert_allclose(loss, expected.item(), rtol=1e-12)
    for name, value in weights.items():
        assert_allclose(network.d_weights[name] * factor, value.grad.numpy(), rtol=0, atol=1e-9, err_msg=name)
