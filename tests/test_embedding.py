"""Categories as vectors that the network learns."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastlstm import kernels, sequences
from fastlstm.forecasting import LSTMForecaster
from fastlstm.stacks import Stack
from fastlstm.training.embedding import Embedding
from fastlstm.training.losses import Loss
from fastlstm.training.minibatch import Minibatch, differentiate
from fastlstm.training.model import Model
from fastlstm.training.network import Network, initialise
from fastlstm.training.outputs import RegressionOutput
from fastlstm.training.streaming import Stepper

QUICK = {"hidden_size": 8, "max_iter": 3, "random_state": 0, "n_jobs": 1}
CODES = Embedding(4, (1, 3), (5, 3), 2)


def inputs(n=6, T=5, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, T, 4))
    x[:, :, 1], x[:, :, 3] = rng.integers(5, size=(n, T)), rng.integers(3, size=(n, T))
    return x


def expanded(x, weights):
    """x with codes replaced by rows of the tables, behind the other channels."""
    tables = [weights[name] for name in CODES.names]
    vectors = [table[x[..., column].astype(int)] for table, column in zip(tables, CODES.columns, strict=True)]
    return np.concatenate([x[..., [0, 2]], *vectors], axis=-1)


@pytest.mark.parametrize("cell", kernels.CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_codes_are_rows_of_the_tables_behind_the_other_channels(cell, bidirectional, backend):
    rng = np.random.default_rng(0)
    stack, output = Stack(cell, CODES.n_outputs, (9, 3), bidirectional), RegressionOutput(Loss("squared_error"))
    weights = initialise(stack, 1, rng)
    tables = CODES.initial_weights(rng)
    model = Model(stack, weights | tables, output, 1, per_step=True, embedding=CODES)
    model.check()
    x = [inputs()[n, :T] for n, T in enumerate((5, 1, 3, 5, 2, 4))]
    series, vectors = (sequences.of_members(of, "float64", "X") for of in (x, [expanded(of, tables) for of in x]))
    expected = Model(stack, weights, output, 1, per_step=True).scores(vectors, backend)
    assert_allclose(model.scores(series, backend), expected, rtol=1e-12)


@pytest.mark.parametrize("gates", [False, True])
def test_a_stream_of_codes_has_the_bits_of_whole_series(gates, dtype, backend):
    rng = np.random.default_rng(0)
    stack = Stack("gru", CODES.n_outputs, (9, 3), False)
    weights = initialise(stack, 1, rng) | CODES.initial_weights(rng)
    weights = {name: value.astype(dtype) for name, value in weights.items()}
    model = Model(stack, weights, RegressionOutput(Loss("squared_error")), 1, embedding=CODES)
    x, stepper = inputs().astype(dtype), Stepper(model, 6, backend, gates)
    for t in range(5):
        scores = stepper.step(x[:, t])
        assert_array_equal(scores, model.scores(sequences.of_array(x[:, : t + 1]), backend))
    assert_array_equal(Stepper(model, 6, backend).read(x), scores)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("checkpoint", [None, 2])
def test_the_gradient_of_the_tables_is_that_of_finite_differences(bidirectional, per_step, checkpoint, backend):
    if bidirectional and checkpoint:
        return
    rng = np.random.default_rng(1)
    stack = Stack("lstm", CODES.n_outputs, (3, 2), bidirectional)
    weights = initialise(stack, 1, rng) | CODES.initial_weights(rng)
    network = Network(stack, weights, np.dtype("float64"), backend, checkpoint, per_step, embedding=CODES)
    x = inputs()
    rows = 6 * 5 if per_step else 6
    targets, shares = rng.normal(size=(rows, 1)), rng.uniform(0.1, 1, (rows, 1))
    batch = Minibatch(np.arange(6) * 6, x.reshape(-1), np.arange(6) * 20, targets, shares, Loss("squared_error"))

    def loss():
        with network.team(6, 30, 1) as team:
            network.prepare_batch(batch, team.size)
            team.run(lambda: differentiate(network))
        return float(network.values.sum())

    for name in [*CODES.shapes, *(name for name in stack.shapes if name.startswith("weight_ih_l0"))]:
        loss()
        found, table = network.d_weights[name].copy(), network.weights[name]
        for place in np.ndindex(*table.shape):
            old, values = table[place], []
            for table[place] in (old + 1e-5, old - 1e-5):
                values.append(loss())
            table[place] = old
            assert_allclose(found[place], (values[0] - values[1]) / 2e-5, rtol=1e-6, atol=1e-9)
        assert np.abs(found).max() > 1e-4


@pytest.mark.parametrize("size", [1, 2])
def test_one_hot_encoding_is_that_of_indicators(size, backend):
    """Scores, and the gradient of the weights."""
    codes, rng = Embedding(2, (1,), (5,), None), np.random.default_rng(0)
    stack, found = Stack("gru", codes.n_outputs, (5,), True), []
    weights = initialise(stack, 1, rng)
    x, targets = rng.normal(size=(4, 6, 2)), rng.normal(size=(4, 1))
    x[:, :, 1] = rng.integers(3, size=(4, 6))  # the last two codes have no steps
    one_hot = np.concatenate([x[:, :, :1], np.eye(5)[x[:, :, 1].astype(int)]], axis=2)
    for of_x, embedding in ((x, codes), (one_hot, None)):
        network = Network(stack, weights, np.dtype("float64"), backend, embedding=embedding)
        at = np.arange(4) * 6 * of_x.shape[2]
        batch = Minibatch(np.arange(7) * 4, of_x.reshape(-1), at, targets, np.full((4, 1), 0.25), Loss("squared_error"))
        with network.team(4, 24, size) as team:
            network.prepare_batch(batch, team.size)
            team.run(lambda network=network: differentiate(network))
        found.append((network.values.copy(), network.gradient.copy()))
    assert_allclose(found[0][0], found[1][0], rtol=1e-12)
    assert_allclose(found[0][1], found[1][1], rtol=1e-10, atol=1e-14)


def groups(n=150):
    """Series of three groups: y follows its last value, ignores it, or goes against it."""
    rng, panel, static = np.random.default_rng(0), {}, {}
    for k in range(9):
        y, group = [0.0], k % 3
        for _ in range(n):
            y.append((0.9, 0.0, -0.9)[group] * y[-1] + rng.normal())
        panel[f"s{k}"], static[f"s{k}"] = np.array(y), ("follows", "ignores", "against")[group]
    return panel, pd.DataFrame({"group": static})


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_a_static_category_changes_the_dynamics(strategy):
    panel, static = groups()
    options = {"hidden_size": 16, "max_iter": 8, "random_state": 0, "n_jobs": 1, "scaling": "none", "skip": None}
    model = LSTMForecaster(1, 3, embedding_size=2, strategy=strategy, **options).fit(panel, static=static)
    (network,) = model._fitted.predictor.networks
    assert network.weights["embedding.0.weight"].shape == (3, 2)
    y = {"x": np.array([0.0, 0.0, 3.0])}
    answers = {
        group: model.predict(y=y, static=pd.DataFrame({"group": {"x": group}}))["x"][0]
        for group in ("follows", "ignores", "against")
    }
    assert answers["follows"] > 1.5 > answers["ignores"] + 0.5
    assert answers["against"] < -1.5 < answers["ignores"] - 0.5
    with pytest.raises(ValueError, match="'new' in column 'group', which was not seen in fit"):
        model.predict(y=y, static=pd.DataFrame({"group": {"x": "new"}}))


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
@pytest.mark.parametrize("past", [(), ("state",)])
def test_categories_that_change_in_time_are_embedded_beside_numbers(strategy, past):
    rng = np.random.default_rng(0)
    state, x = rng.choice(["a", "b", "c"], 130), rng.normal(size=130)
    y = np.where(state == "b", 3.0, 0.0) + x + 0.1 * rng.normal(size=130)
    X = pd.DataFrame({"x": x, "state": state})
    model = LSTMForecaster(4, 8, embedding_size=3, strategy=strategy, past_covariates=past, **QUICK)
    model.fit(y[:120], X=X[:120])
    future = X[120:124].drop(columns=list(past))
    assert model.predict(X=future).shape == (4,)
    assert model._fitted.predictor.networks == [] or model._fitted.predictor.networks[0].stack.input_size == 5
    assert len(model.backtest(y[120:], X=X[120:], ets=False).origins)


def test_an_embedding_has_the_same_bits_for_any_number_of_threads():
    panel, static = groups(60)
    fits = [
        LSTMForecaster(2, 6, embedding_size=4, skip=None, **{**QUICK, "n_jobs": n, "hidden_size": 48}).fit(
            panel, static=static
        )
        for n in (1, 2)
    ]
    for name, value in fits[0]._fitted.predictor.networks[0].weights.items():
        assert_array_equal(value, fits[1]._fitted.predictor.networks[0].weights[name])
