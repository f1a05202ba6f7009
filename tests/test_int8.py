"""Recurrences whose products are of int8: rounded as the NumPy oracle rounds, and the same bits however the work is
divided; and estimators that predict with them."""

import pickle

import estimator_kinds
import numpy as np
import pytest
from estimator_kinds import LABELS, OPTIONS, X, Y
from helpers import assert_refused, assert_same_fit, at_once, in_turn
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

import fastlstm
from fastlstm import LSTMClassifier, LSTMRegressor, SequenceScaler, kernels, layers
from fastlstm.distributed import Local
from fastlstm.distributed import fit as fit_partitions
from fastlstm.inspection import gate_activations, step_importance
from fastlstm.kernels.numpy.recurrence import int8
from fastlstm.kernels.parts import Part, starts_of
from fastlstm.kernels.workspace import Workspace
from fastlstm.stacks import PackedStack, Stack

pytestmark = pytest.mark.filterwarnings(
    "ignore:Training was still improving", "ignore:Training might not have converged", "ignore:The validation score"
)
HAVE = [name for name in kernels.available() if hasattr(kernels.load(name), "int8")]
COMPILED = [name for name in HAVE if name != "numpy"]
compiled = pytest.mark.skipif(not COMPILED, reason="the extension modules are not built")
NO_GRADIENT = "precision='int8' is for predictions and has no gradient"

# -- kernels -----------------------------------------------------------------------------------------------------------


def results_of(module, cell, C, H, lengths, size=1, by_units=False, masked=False, n_drawn=None, known=False, scale=1.0):
    """States that a run computes of random numbers; `n_drawn`: lengths of all sequences to draw, or None."""
    rng, kind = np.random.default_rng((C, H)), kernels.CELLS[cell]
    G, N, lengths = len(kind.gates), len(lengths), np.asarray(lengths)
    drawn = np.asarray(lengths if n_drawn is None else n_drawn)

    def normal(*shape, scale=1.0):
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    weights = [normal(*shape, scale=H**-0.5) for shape in ((G * H, C), (G * H, H), (G * H,), (G * H,))]
    x, state = normal(drawn.sum() * C), [normal(len(drawn), H)[:N] for _ in kind.states]
    mask = rng.choice([0, 1.25], (N, H)).astype(np.float32)
    module, dtype = getattr(module, cell), np.dtype("float32")
    barrier = np.zeros(1, np.int64)
    parts = [Part(rank, size, by_units, barrier) for rank in range(size)]
    packed = module.Packed(C, H, dtype, Workspace())
    run = module.Run(C, H, starts_of(lengths).astype(np.int64), dtype, Workspace(), threads=size, masked=masked)
    if masked:
        run.mask[:] = mask
    in_turn(parts, lambda part: packed.fill(part, weights))
    in_turn(parts, lambda part: run.load(part, x, (np.cumsum(lengths) - lengths) * C, state))
    if known:
        products = np.zeros((5, G, run.P), np.float32)
        products[:, :, :H] = normal(5, G, H)
        run.look_up(products, rng.integers(0, 5, (int(lengths.sum()), 2)))
    at_once(parts, lambda part: run.forward(part, packed))
    out = np.zeros((int(lengths.sum()), H), np.float32)
    in_turn(parts, lambda part: run.outputs(part, False, out, 0))
    return {"out": out, "state_n": np.stack(run.state_n)}


def of(name):
    return kernels.load(name).int8


SIZES = [(1, 1, [1]), (3, 3, [4, 4, 1]), (65, 17, [3] * 7), (16, 33, [5, 4, 4, 2, 1]), (31, 65, [2] * 20), (4, 64, [3])]
every_size = pytest.mark.parametrize(("C", "H", "lengths"), SIZES)


@compiled
@pytest.mark.parametrize("known", [False, True])
@every_size
def test_a_step_has_the_oracles_results(cell, C, H, lengths, known):
    """The integers are the same; what follows has roundings of float32."""
    ours, expected = (results_of(of(name), cell, C, H, [1] * 3, known=known) for name in (COMPILED[0], "numpy"))
    np.testing.assert_allclose(ours["state_n"], expected["state_n"], rtol=0, atol=2e-6)


@compiled
@pytest.mark.parametrize("masked", [False, True])
@every_size
def test_a_run_has_the_oracles_results(cell, C, H, lengths, masked):
    ours, expected = (results_of(of(name), cell, C, H, lengths, masked=masked) for name in (COMPILED[0], "numpy"))
    exact = results_of(kernels.load("numpy"), cell, C, H, lengths, masked=masked)
    for name, array in expected.items():
        error = np.abs(ours[name] - array)
        assert np.median(error) < 1e-5, name  # here and there, a state is rounded to the integer beside the oracle's
        assert error.max() < 0.03, name
        assert H == 1 or np.abs(exact[name] - array).max() > 1e-4, name


@compiled
@pytest.mark.parametrize(("size", "by_units"), [(2, False), (3, False), (2, True), (3, True)])
@every_size
def test_threads_change_no_bits(cell, C, H, lengths, size, by_units):
    alone = results_of(of(COMPILED[0]), cell, C, H, lengths)
    for name, array in results_of(of(COMPILED[0]), cell, C, H, lengths, size, by_units).items():
        assert_array_equal(array, alone[name], err_msg=name)


@compiled
@every_size
def test_levels_have_the_same_bits(cell, C, H, lengths):
    """Sums of integers are exact, by whatever instructions; SSE2 has no fused multiply-add for the rest."""
    cython = pytest.importorskip("fastlstm.kernels.cython")
    before, found = cython.int8.level(), {}
    try:
        for level in cython.int8.levels():
            cython.int8.use(level)
            found[level] = results_of(cython.BACKEND.int8, cell, C, H, lengths)
    finally:
        cython.int8.use(before)
    for level, results in found.items():
        for name, array in results.items():
            if level == "sse2":
                assert np.median(np.abs(array - found[before][name])) < 1e-5, name
            else:
                assert_array_equal(array, found[before][name], err_msg=f"{name} on {level}")


@compiled
def test_a_level_takes_the_instruction_for_bytes_of_its_vectors():
    cython = pytest.importorskip("fastlstm.kernels.cython")
    before = cython.f32.level()
    try:
        for level in cython.f32.levels():
            cython.take(level)
            vectors = "avx512" if level == "amx" else level.partition("_")[0]
            best = next(name for name in (f"{vectors}_vnni", vectors) if name in cython.int8.levels())
            assert cython.int8.level() == best
    finally:
        cython.take(before)


@compiled
@every_size
def test_other_rows_of_a_batch_change_no_bits(cell, C, H, lengths):
    """A batch of the first sequences has the same weights and inputs."""
    one = results_of(of(COMPILED[0]), cell, C, H, lengths[:2], n_drawn=lengths)
    assert_array_equal(
        one["state_n"], results_of(of(COMPILED[0]), cell, C, H, lengths)["state_n"][:, : len(lengths[:2])]
    )


@pytest.mark.parametrize("name", HAVE)
def test_sums_are_within_the_bound_of_their_scales(name):
    """Those of an RNN, whose state is their tanh, small enough here to be undone."""
    rng, C, H, dtype = np.random.default_rng(0), 50, 64, np.dtype("float32")
    weights = [(0.02 * rng.standard_normal(shape)).astype(dtype) for shape in ((H, C), (H, H), H, H)]
    x, h = (rng.standard_normal(size).astype(dtype) for size in ((9, C), (9, H)))
    module, out = of(name).rnn, np.empty((9, H), dtype)
    packed, run = module.Packed(C, H, dtype, Workspace()), module.Run(C, H, np.array([0, 9]), dtype, Workspace())
    packed.fill(Part(), weights)
    run.load(Part(), x.reshape(-1), np.arange(9) * C, (h,))
    run.step(packed, x, out)
    exact = x.astype(float) @ weights[0].T + h.astype(float) @ weights[1].T + weights[2] + weights[3]
    bound = 0
    for rows, w in ((x, weights[0]), (h, weights[1])):
        s, s_w = np.abs(rows).max(axis=1, keepdims=True) / 127, np.abs(w).max(axis=1) / 127
        bound = bound + s * np.abs(w).sum(axis=1) / 2 + s_w * np.abs(rows).sum(axis=1, keepdims=True) / 2
        bound = bound + rows.shape[1] * s * s_w / 4
    error = np.abs(np.arctanh(out.astype(float)) - exact)
    assert (error < bound + 1e-5).all()
    assert error.max() > 1e-3 * bound.max()  # they have been rounded at all


@pytest.mark.parametrize("name", HAVE)
def test_rows_of_any_size_have_a_scale(name):
    """Zeros, tiny and huge numbers; rows that are not finite are NaN, and no others."""
    module, dtype = of(name).rnn, np.dtype("float32")
    packed, run = module.Packed(2, 3, dtype, Workspace()), module.Run(2, 3, np.array([0, 6]), dtype, Workspace())
    packed.fill(Part(), [np.full(shape, value, dtype) for shape, value in (((3, 2), 1), ((3, 3), 0), (3, 0), (3, 0))])
    x = np.array([[0, 0], [2.0**-126, 0], [3e38, -3e38], [0.5, 0.25], [np.inf, 0], [np.nan, 0]], dtype)
    out = np.empty((6, 3), dtype)
    run.load(Part(), np.zeros(12, dtype), np.arange(6) * 2)
    run.step(packed, x, out)
    assert_array_equal(out[:3], 0)
    assert np.abs(out[3] - np.tanh(0.75)).max() < 0.01
    assert np.isnan(out[4:]).all()


def test_the_oracle_rounds_to_the_nearest_even_integer():
    integers, scale = int8(np.array([[254, 1, -3, 2.5], [0, 0, 0, 0]], np.float32))
    assert_array_equal(integers, [[127, 0, -2, 1], [0, 0, 0, 0]])
    assert_array_equal(scale, [[2], [0]])


# -- layers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HAVE)
def test_streams_and_threads_have_the_bits_of_a_layer(cell, name):
    x = np.random.default_rng(0).standard_normal((7, 9, 3)).astype("float32")
    larger = 3 * np.random.default_rng(1).standard_normal((2, 7, 33)).astype("float32")  # than states become
    state = (larger,) * len(kernels.CELLS[cell].states)
    options = {"num_layers": 2, "precision": "int8", "random_state": 0, "backend": name}
    make = getattr(layers, cell.upper())
    layer = make(3, 33, **options, n_jobs=1)
    output, _ = layer(x, state)
    stream = layer.initial_state(7, state)
    for t in range(9):
        assert_array_equal(layer.step(x[:, t], stream), output[:, t])
    assert_array_equal(make(3, 33, **options, n_jobs=2)(x, state)[0], output)
    exact = make(3, 33, **options | {"precision": "float32"})(x, state)[0]
    assert 1e-5 < np.linalg.norm(output - exact) / np.linalg.norm(exact) < 0.03
    copy = pickle.loads(pickle.dumps(layer))
    assert_array_equal(copy(x, state)[0], output)


def test_a_layer_has_no_gradient():
    x = np.zeros((1, 2, 3), "float32")
    layer = layers.LSTM(3, 4, precision="int8")
    output, _, tape = layer.record(x)
    with pytest.raises(ValueError, match=NO_GRADIENT):
        layer.backward(tape, output)


def test_backends_without_int8_say_which_have_it():
    pytest.importorskip("numba")
    with pytest.raises(ValueError, match=r"not available with backend='numba': use one of \[.*'numpy'\]"):
        layers.LSTM(1, 1, precision="int8", backend="numba")


@pytest.mark.parametrize("name", HAVE)
@pytest.mark.parametrize(
    ("sizes", "options", "what"),
    [
        ((131073, 1), {}, "131073 channels"),
        ((1, [65537, 1]), {"bidirectional": True}, "131074 outputs of a layer"),
        ((1, 131073), {}, "131073 units"),
    ],
)
def test_sums_that_might_overflow_are_refused(name, sizes, options, what):
    stack = Stack("rnn", sizes[0], tuple(np.atleast_1d(sizes[1])), **options)
    with pytest.raises(ValueError, match=f"{what} are too many for precision='int8'.* at most 131072: use precision="):
        PackedStack(stack, of(name), np.dtype("float32"))


# -- estimators --------------------------------------------------------------------------------------------------------

KINDS = estimator_kinds.KINDS | {
    "regressor": (LSTMRegressor(**OPTIONS, bidirectional=True), (X, Y), lambda model: model.predict(X)),
    "pipeline": (
        make_pipeline(SequenceScaler(), LSTMRegressor(**OPTIONS, cell="rnn")),
        (X, Y),
        lambda model: model.predict(X),
    ),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def fitted(kind, **parameters):
    return clone(KINDS[kind][0]).set_params(**parameters).fit(*KINDS[kind][1])


def answer(kind, model):
    return np.asarray(KINDS[kind][2](model), float)


def loaded(model, path, quantize="int8"):
    fastlstm.save(model, path)
    return fastlstm.load(path, quantize=quantize)


@every_kind
def test_a_model_is_quantized_when_it_is_loaded(kind, tmp_path):
    model = fitted(kind)
    exact, quantized = answer(kind, model), loaded(model, tmp_path / "model")
    ours = answer(kind, quantized)
    assert 1e-7 < np.abs(ours - exact).max() / np.abs(exact).max() < 0.02
    assert_array_equal(answer(kind, loaded(quantized, tmp_path / "again", None)), ours)
    assert_array_equal(answer(kind, loaded(model, tmp_path / "model", None)), exact)
    with pytest.raises(ValueError, match=rf"{NO_GRADIENT}.* set_params\(precision='float32'\)"):
        quantized.fit(*KINDS[kind][1])
    assert_array_equal(answer(kind, quantized), ours)


def test_a_model_saved_at_int8_trains_again_as_the_error_says(tmp_path):
    model = loaded(fitted("classifier").set_params(precision="int8"), tmp_path / "model", None)
    assert_refused(lambda: model.fit(X, LABELS), ValueError, NO_GRADIENT, model)
    assert_same_fit(model.set_params(precision="float32").fit(X, LABELS), fitted("classifier"))


@pytest.mark.parametrize("name", kernels.available())
def test_fit_says_at_once_that_int8_does_not_train(name):
    model = LSTMRegressor(2, precision="int8", backend=name)
    assert_refused(lambda: model.fit(X, Y), ValueError, NO_GRADIENT, model)


def test_the_precision_may_be_set_after_fit(tmp_path):
    model = fitted("classifier", learning_rate="constant")
    ours = answer("classifier", loaded(model, tmp_path / "model"))
    assert_array_equal(answer("classifier", model.set_params(precision="int8")), ours)
    for call in (
        lambda: model.partial_fit(X, LABELS),
        lambda: fit_partitions(clone(model), X, LABELS, engine=Local(1), n_partitions=2),
        lambda: step_importance(model, X, LABELS, method="gradient"),
    ):
        assert_refused(call, ValueError, NO_GRADIENT, model)


def test_streams_and_gates_are_those_of_the_predictions(tmp_path):
    model = loaded(fitted("classifier"), tmp_path / "model")
    for gates in (False, True):
        stream = model.stream(len(X), "predict_proba", gates=gates)
        for t in range(X.shape[1]):
            probabilities = stream.step(X[:, t])
        assert_array_equal(probabilities, model.predict_proba(X))
    gates = gate_activations(model, X).layers[-1].forward
    assert_array_equal(gates["hidden_state"], model.hidden_states(X))


@every_kind
def test_threads_change_no_bits_of_predictions(kind, tmp_path, four_cpus):
    name = {"encoder": "estimator__n_jobs", "pipeline": "lstmregressor__n_jobs"}.get(kind, "n_jobs")
    model = loaded(fitted(kind), tmp_path / "model")
    alone, together = (answer(kind, model.set_params(**{name: n})) for n in (1, 2))
    assert_array_equal(together, alone)


def test_a_trained_classifier_keeps_its_accuracy(tmp_path):
    """As `load` says of probabilities and accuracy."""
    X = np.random.default_rng(0).normal(size=(300, 12, 2))
    y = (X[:, :, 0].sum(axis=1) * X[:, -1, 1] > 0).astype(int)
    model = LSTMClassifier(32, max_iter=15, random_state=0, learning_rate="cosine").fit(X, y)
    quantized = loaded(model, tmp_path / "model")
    assert model.score(X, y) > 0.9
    assert abs(quantized.score(X, y) - model.score(X, y)) < 0.005
    assert np.abs(quantized.predict_proba(X) - model.predict_proba(X)).mean() < 0.005


@pytest.mark.parametrize("cell", kernels.CELLS)
def test_a_trained_regressor_keeps_its_predictions(cell, tmp_path):
    """As `load` says."""
    X = np.random.default_rng(0).normal(size=(200, 12, 2))
    y = X[:, :, 0].sum(axis=1)
    model = LSTMRegressor(32, cell=cell, max_iter=6, random_state=0, learning_rate="cosine").fit(X, y)
    assert model.score(X, y) > 0.8
    assert np.abs(loaded(model, tmp_path / "model").predict(X) - model.predict(X)).max() < 0.01 * np.ptp(y)


@pytest.mark.parametrize("quantize", ["int4", "bfloat16", "", 8, True])
def test_an_unknown_value_is_refused(quantize, tmp_path):
    with pytest.raises(ValueError, match=f"quantize={quantize!r}: expected 'int8' or None"):
        loaded(SequenceScaler().fit(X), tmp_path / "model", quantize)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (LSTMRegressor(4, max_iter=1, dtype="float64"), "requires dtype='float32', but dtype is 'float64'"),
        (SequenceScaler(), "SequenceScaler has no network: load it without quantize"),
    ],
    ids=["float64", "scaler"],
)
def test_a_model_that_cannot_be_quantized_is_refused(model, message, tmp_path):
    with pytest.raises(ValueError, match=f"quantize='int8'.*{message}"):
        loaded(model.fit(X, Y), tmp_path / "model")


def test_a_model_with_too_many_channels_is_refused(tmp_path):
    X = np.zeros((4, 1, kernels.MOST_OF_INT8 + 1), "float32")
    model = LSTMRegressor(1, cell="rnn", max_iter=1, random_state=0).fit(X, np.arange(4))
    message = "131073 channels are too many for precision='int8'"
    with pytest.raises(ValueError, match=message):
        loaded(model, tmp_path / "model")
    model.set_params(precision="int8")
    for call in (lambda: model.predict(X), model.stream):
        assert_refused(call, ValueError, message, model)


def test_a_model_of_a_backend_without_int8_is_refused(tmp_path):
    pytest.importorskip("numba")
    with pytest.raises(ValueError, match=r"quantize='int8'.*not available with backend='numba'"):
        loaded(fitted("regressor").set_params(backend="numba"), tmp_path / "model")


@pytest.mark.parametrize(("name", "expected"), [("numba", "not available"), ("numpy", "emulated")])
def test_versions_say_whether_a_backend_has_int8(name, expected, monkeypatch, capsys):
    pytest.importorskip(name)
    monkeypatch.setenv(kernels.VARIABLE, name)
    fastlstm.show_versions()
    assert f"int8: {expected}\n" in capsys.readouterr().out


def test_versions_say_whether_the_cpu_multiplies_bytes(monkeypatch, capsys):
    cython = pytest.importorskip("fastlstm.kernels.cython")
    monkeypatch.setenv(kernels.VARIABLE, "cython")
    before = cython.int8.level()
    try:
        for level in cython.int8.levels():
            cython.int8.use(level)
            fastlstm.show_versions()
            expected = "one instruction" if level.endswith("_vnni") else "emulated"
            assert f"int8: {expected}\n" in capsys.readouterr().out
    finally:
        cython.int8.use(before)
