"""Gates and states of fitted networks."""

import pickle

import numpy as np
import pytest
from helpers import FASTEST, bare
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from fastlstm import LSTMClassifier, LSTMForecaster, LSTMRegressor, SequenceEncoder, SequenceScaler
from fastlstm.inspection import gate_activations, gradient_flow, step_importance

LENGTHS = 7, 1, 4, 4, 6


def series(n=5, T=7, C=3):
    return np.random.default_rng(0).normal(size=(n, T, C))


def members(C=3):
    rng = np.random.default_rng(1)
    return [rng.normal(size=(length, C)) for length in LENGTHS]


def fitted(cell="lstm", backend=FASTEST, estimator=LSTMRegressor, sizes=(9, 5), X=None, y=None, **options):
    options = {"max_iter": 2, "learning_rate": "cosine", "random_state": 0, **options}
    X = members() if X is None else X
    y = np.arange(len(X)) % 2 if y is None else y
    return estimator(sizes, num_layers=len(sizes), cell=cell, backend=backend, **options).fit(X, y)


def before(states):
    """States before each step, which start at zero; `states`: an array [T, H]."""
    return np.concatenate([np.zeros_like(states[:1]), states[:-1]])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("X", [series(), members()], ids=["equal lengths", "unequal lengths"])
def test_hidden_states_have_the_bits_of_the_forward_pass(cell, backend, bidirectional, X):
    model = fitted(cell, backend, bidirectional=bidirectional)
    last = gate_activations(model, X).layers[-1]
    directions = [last.forward, last.backward] if bidirectional else [last.forward]
    ours = [np.concatenate(parts, axis=-1) for parts in zip(*(of["hidden_state"] for of in directions), strict=True)]
    for one, other in zip(ours, model.hidden_states(X), strict=True):
        assert_array_equal(one, other, strict=True)


@pytest.mark.parametrize("X", [series(), members()], ids=["equal lengths", "unequal lengths"])
def test_gates_and_states_satisfy_the_equations_of_the_cell(cell, backend, dtype, X):
    model = fitted(cell, backend, dtype=dtype, bidirectional=True)
    assert_equations(model, gate_activations(model, X), np.finfo(dtype).eps * 20)


def assert_equations(model, activations, tolerance):
    """The states follow from the gates, and the gates' sums from the outputs of the layer below."""
    below = None
    for number, layer in enumerate(activations.layers):
        for direction, suffix, step in ((layer.forward, "", 1), (layer.backward, "_reverse", -1)):
            for n in range(len(direction["hidden_state"])):
                of = {name: arrays[n][::step] for name, arrays in direction.items()}
                assert_states(activations.cell, of, tolerance)
                if below is not None:
                    assert_sums(
                        activations.cell, of, below[n][::step], model.weights_, f"_l{number}{suffix}", tolerance
                    )
        both = layer.forward["hidden_state"], layer.backward["hidden_state"]
        below = [np.concatenate(parts, axis=-1) for parts in zip(*both, strict=True)]


def assert_states(cell, of, tolerance):
    h = of["hidden_state"]
    if "cell_state" in of:
        c = of["forget"] * before(of["cell_state"]) + of["input"] * of["cell"]
        assert_allclose(of["cell_state"], c, atol=tolerance)
        assert_allclose(h, of["output"] * np.tanh(of["cell_state"]), atol=tolerance)
    if cell == "gru":
        assert_allclose(h, (1 - of["update"]) * of["candidate"] + of["update"] * before(h), atol=tolerance)
    if cell == "cifg":
        assert_array_equal(of["input"], 1 - of["forget"])


def assert_sums(cell, of, x, weights, suffix, tolerance):
    """Gates by the weights; which shows that each array has its gate's name."""
    of_x = x @ weights["weight_ih" + suffix].T + weights["bias_ih" + suffix]
    of_h = before(of["hidden_state"]) @ weights["weight_hh" + suffix].T + weights["bias_hh" + suffix]
    names = {"lstm": "input forget cell output", "cifg": "forget cell output", "gru": "reset update", "rnn": ""}[cell]
    H = of["hidden_state"].shape[-1]
    for k, name in enumerate(names.split()):
        total = (of_x + of_h)[:, k * H : (k + 1) * H]
        expected = np.tanh(total) if name == "cell" else 0.5 + 0.5 * np.tanh(0.5 * total)
        assert_allclose(of[name], expected, atol=tolerance, err_msg=name)
    if cell == "gru":
        candidate = np.tanh(of_x[:, 2 * H :] + of["reset"] * of_h[:, 2 * H :])
        assert_allclose(of["candidate"], candidate, atol=tolerance)
    if cell == "rnn":
        assert_allclose(of["hidden_state"], np.tanh(of_x + of_h), atol=tolerance)


def test_masked_and_standardised_series_are_read_as_in_predict():
    X = series()
    X[np.random.default_rng(1).random(X.shape) < 0.3] = np.nan
    X[2, 4:] = np.nan  # padding
    model = fitted(X=X, missing="mask")
    states = gate_activations(model, X).get("hidden_state")
    assert [len(one) for one in states] == [7, 7, 4, 7, 7]
    for one, other in zip(states, model.hidden_states(X), strict=True):
        assert_array_equal(one, other, strict=True)


def test_results_do_not_depend_on_the_batch_or_the_number_of_threads():
    X = np.random.default_rng(0).normal(size=(70, 40, 3))
    model = fitted(sizes=(64,), X=X, n_jobs=2)
    together = gate_activations(model, X).layers[0].forward
    alone = gate_activations(model.set_params(n_jobs=1), X[3:4]).layers[0].forward
    for name in together:
        assert_array_equal(together[name][3], alone[name][0], err_msg=name)


def test_results_have_the_form_of_x():
    model = fitted(sizes=(9,), X=series())
    assert gate_activations(model, series()).get("forget").shape == (5, 7, 9)
    of_list = gate_activations(model, list(series())).get("forget")
    assert isinstance(of_list, list)
    assert [one.shape for one in of_list] == [(7, 9)] * 5
    assert_array_equal(of_list, gate_activations(model, series()).get("forget"))
    assert [one.shape for one in gate_activations(model, members()).get("input")] == [(n, 9) for n in LENGTHS]


def test_later_calls_do_not_change_results():
    model = fitted(sizes=(9,), X=series())
    first = gate_activations(model, series()).get("forget")
    copied = first.copy()
    gate_activations(model, -series())
    assert_array_equal(first, copied)
    assert not first.flags.writeable


def test_classifiers_and_encoders_are_accepted():
    model = fitted(estimator=LSTMClassifier, X=series())
    encoder = SequenceEncoder(model).fit(None)
    for layer in (0, 1):
        of_encoder, of_model = (gate_activations(one, series()).get("cell_state", layer) for one in (encoder, model))
        assert_array_equal(of_encoder, of_model)


def test_activations_can_be_pickled():
    activations = gate_activations(fitted(), members())
    restored = pickle.loads(pickle.dumps(activations))
    for one, other in zip(restored.get("cell"), activations.get("cell"), strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("lstm", ["input", "forget", "cell", "output", "hidden_state", "cell_state"]),
        ("cifg", ["input", "forget", "cell", "output", "hidden_state", "cell_state"]),
        ("gru", ["reset", "update", "candidate", "hidden_state"]),
        ("rnn", ["hidden_state"]),
    ],
)
def test_gates_are_named_as_in_the_literature(cell, names):
    assert list(gate_activations(fitted(cell), members()).of()) == names


def test_a_gate_that_the_cell_lacks_is_refused():
    activations = gate_activations(fitted("gru"), members())
    message = r"a cell of type 'gru' has no gate or state of that name; expected one of \['reset', 'update', 'cand"
    with pytest.raises(ValueError, match=message):
        activations.get("forget")
    with pytest.raises(KeyError, match="'gru' cells have no 'forget'; expected one of"):
        activations.of()["forget"]


@pytest.mark.parametrize(("layer", "direction"), [(2, "forward"), (True, "forward"), (0, "both"), (0, "backward")])
def test_a_layer_or_direction_that_does_not_exist_is_refused(layer, direction):
    with pytest.raises(ValueError, match=r"layer=.*integer from -2 to 1|direction=.*expected 'forward'"):
        gate_activations(fitted(), members()).get("forget", layer, direction)


def test_invalid_series_are_refused():
    with pytest.raises(ValueError, match="channels"):
        gate_activations(fitted(X=series()), series(C=2))


def test_other_estimators_are_refused():
    with pytest.raises(NotFittedError):
        gate_activations(LSTMRegressor(), series())
    with pytest.raises(NotFittedError):
        gate_activations(SequenceEncoder(), series())
    pipeline = make_pipeline(SequenceScaler(), bare(LSTMRegressor, 4, max_iter=1)).fit(series(), np.arange(5.0))
    with pytest.raises(TypeError, match=r"type Pipeline; .*pass its last step, with pipeline\[:-1\].transform\(X\) as"):
        gate_activations(pipeline, series())


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (LSTMForecaster(3), r"of type LSTMForecaster; .* fit an LSTMRegressor on windows of the series"),
        (LSTMRegressor, r"the class LSTMRegressor; .*: create one and fit it, as in LSTMRegressor\(\).fit\(X, y\)"),
        (GridSearchCV(LSTMRegressor(), {}), r"of type GridSearchCV; .*fit the search with refit=True"),
        (None, r"estimator is None; expected a fitted LSTMClassifier, LSTMRegressor or SequenceEncoder\.$"),
    ],
    ids=["forecaster", "class", "search", "None"],
)
def test_errors_say_what_to_pass_instead(estimator, message):
    with pytest.raises(TypeError, match=message):
        gate_activations(estimator, series())


def test_streams_return_the_gates_of_the_last_step(cell, backend):
    X = series()
    model = fitted(cell, backend, X=X, missing="mask")
    X[1, 2:4, 0] = np.nan
    expected = gate_activations(model, X).layers
    stream, plain = model.stream(len(X), gates=True), model.stream(len(X))
    for t in range(X.shape[1]):
        assert_array_equal(stream.step(X[:, t]), plain.step(X[:, t]))
        for ours, of_layer in zip(stream.gates(), expected, strict=True):
            assert list(ours) == list(of_layer.forward)
            for name, array in ours.items():
                assert_array_equal(array, of_layer.forward[name][:, t], strict=True, err_msg=name)


def test_streams_with_gates_can_be_reset_restored_and_copied():
    model, X = fitted(X=series()), series()
    stream = model.stream(len(X), gates=True)
    stream.step(X[:, 0])
    copied = pickle.loads(pickle.dumps(stream))
    with pytest.raises(ValueError, match=r"no gates before the first step"):
        copied.gates()
    for one in (stream, copied):
        one.step(X[:, 1])
    assert_array_equal(stream.gates()[1]["cell_state"], copied.gates()[1]["cell_state"])
    kept = stream.gates()[0]["input"]
    copied.reset()
    copied.step(X[:, 0])
    assert_array_equal(copied.gates()[0]["input"], gate_activations(model, X).get("input", 0)[:, 0])
    stream.step(X[:, 2])
    assert_array_equal(kept, gate_activations(model, X).get("input", 0)[:, 1])


def test_streams_record_gates_only_if_asked():
    model = fitted(X=series())
    with pytest.raises(ValueError, match=r"does not record gates: create it with stream\(..., gates=True\)"):
        model.stream().gates()
    with pytest.raises(ValueError, match=r"gates=1: expected True or False"):
        model.stream(gates=1)


def test_records_are_described_by_their_shapes():
    X, y = series(), np.arange(5.0)
    model = fitted(X=X, y=y, bidirectional=True)
    gates, flow = gate_activations(model, X), gradient_flow(model, X, y)
    importance = step_importance(model, X, y, by="both", random_state=0)
    for record, shape in ((gates, (5, 7, 5)), (flow, (5, 7)), (flow.layers[0].forward, (5, 7)), (importance, (7, 3))):
        assert str(shape) in repr(record)
        assert len(repr(record)) < 2000
    assert "list of 5 arrays" in repr(gradient_flow(model, list(X), y))
