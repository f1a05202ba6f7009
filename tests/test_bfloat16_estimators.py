"""Estimators whose recurrences multiply bfloat16 numbers: near those of float32, and the same bits on any number of
threads, in streams and in roll-outs."""

import pickle

import estimator_kinds
import numpy as np
import pytest
from estimator_kinds import LABELS, OPTIONS, RNG, SERIES, X, Y
from helpers import assert_refused, assert_same_fit
from numpy.testing import assert_array_equal
from sklearn.base import clone

import fastlstm
from fastlstm import LSTMClassifier, LSTMForecaster, LSTMRegressor, kernels
from fastlstm.distributed import Local
from fastlstm.distributed import fit as fit_partitions
from fastlstm.inspection import gate_activations, gradient_flow, step_importance
from fastlstm.kernels.forecast import Forecast
from fastlstm.training.streaming import Stepper

pytestmark = pytest.mark.filterwarnings(
    "ignore:Training was still improving", "ignore:Training might not have converged", "ignore:The validation score"
)
#: NumPy's backend and the preferred one; Numba, whose kernels take long to compile, has the bits of Cython.
NARROW = sorted({kernels.available()[0], "numpy"})

STEPS = X[:, :, 0].cumsum(axis=1)
KINDS = estimator_kinds.KINDS | {
    "regressor of steps": (
        LSTMRegressor(**OPTIONS, return_sequences=True, bidirectional=True, bptt_checkpoint=None),
        (X, STEPS),
        lambda model: model.predict(X),
    ),
    "forecaster": (
        LSTMForecaster(3, 8, **OPTIONS, skip=None, loss="gaussian_nll"),
        (SERIES,),
        lambda model: model.predict_interval(),
    ),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
#: But those that predict by a copy, which parameters that are set later do not reach.
every_other = pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "encoder"])


def new(kind, **parameters):
    """An unfitted estimator; parameters of an encoder are those of its estimator."""
    inside = "estimator__" if kind == "encoder" else ""
    return clone(KINDS[kind][0]).set_params(**{inside + name: value for name, value in parameters.items()})


def fitted(kind, **parameters):
    return new(kind, **parameters).fit(*KINDS[kind][1])


def answer(kind, model):
    return np.asarray(KINDS[kind][2](model), float)


def of_precision(model):
    return getattr(model, "estimator", model).precision


@pytest.fixture(params=NARROW)
def narrow(request):
    """Every backend that has products of bfloat16 numbers."""
    return request.param


@every_kind
def test_a_fit_is_near_that_of_float32(kind, narrow):
    exact, ours = (answer(kind, fitted(kind, precision=of, backend=narrow)) for of in ("float32", "bfloat16"))
    error = np.abs(ours - exact).max() / np.abs(exact).max()
    assert 1e-6 < error < 0.05


def test_backends_agree(cell, narrow):
    """But for numbers that are rounded to different bfloat16 numbers, since they differ in the last bit of float32."""
    model = LSTMClassifier(**OPTIONS, cell=cell, num_layers=2).fit(X, LABELS)
    exact = model.predict_proba(X)
    ours, expected = (model.set_params(precision="bfloat16", backend=of).predict_proba(X) for of in (narrow, "numpy"))
    assert np.median(np.abs(ours - expected)) < 0.05 * np.median(np.abs(exact - expected))


@pytest.mark.parametrize("kind", ["classifier of symbols", "forecaster step by step"])
def test_numba_has_the_bits_of_cython(kind):
    """With products that are looked up, and in roll-outs."""
    pytest.importorskip("numba")
    pytest.importorskip("fastlstm.kernels.cython")
    ours, theirs = (kernels.resolve(name, "bfloat16") for name in ("numba", "cython"))
    if kernels.load(ours).bits() != kernels.load(theirs).bits():
        pytest.skip("without a fused multiply-add, roundings differ")
    ours, theirs = (answer(kind, fitted(kind, precision="bfloat16", backend=name)) for name in ("numba", "cython"))
    assert_array_equal(ours, theirs)


@every_kind
def test_threads_change_no_bits(kind, four_cpus):
    alone, together = (fitted(kind, precision="bfloat16", n_jobs=n) for n in (1, 2))
    assert_array_equal(answer(kind, together), answer(kind, alone))


@every_kind
def test_copies_and_files_keep_the_precision(kind, tmp_path):
    model, path = fitted(kind, precision="bfloat16"), tmp_path / "model.safetensors"
    fastlstm.save(model, path)
    assert of_precision(clone(model)) == "bfloat16"
    for again in (pickle.loads(pickle.dumps(model)), fastlstm.load(path)):
        assert of_precision(again) == "bfloat16"
        assert_array_equal(answer(kind, again), answer(kind, model))


@every_other
def test_the_precision_of_predictions_may_change_after_fit(kind):
    model = fitted(kind)
    exact = answer(kind, model)
    ours = answer(kind, model.set_params(precision="bfloat16"))
    assert 1e-7 < np.abs(ours - exact).max() / np.abs(exact).max() < 0.05
    assert_array_equal(answer(kind, model.set_params(precision="float32")), exact)


@every_kind
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"precision": "float16"}, "'precision' .* a str among {.*'bfloat16'.*}.*float16"),
        ({"precision": "bfloat16", "dtype": "float64"}, "requires dtype='float32', but dtype is 'float64'"),
    ],
)
def test_a_precision_that_is_not_there_is_refused_by_fit(kind, parameters, message):
    model = fitted(kind)
    answers = answer(kind, model)
    (model.estimator if kind == "encoder" else model).set_params(**parameters)
    with pytest.raises(ValueError, match=message):
        model.fit(*KINDS[kind][1])
    model.set_params(**new(kind).get_params())
    assert_array_equal(answer(kind, model), answers)


@every_other
def test_a_precision_that_is_not_there_is_refused_by_predictions(kind):
    model = fitted(kind).set_params(precision="float16")
    assert_refused(lambda: answer(kind, model), ValueError, "precision.*float16", model)


def test_a_fit_that_diverges_says_which_numbers_may_help():
    """Together: bfloat16 is refused with float64."""
    model = new("regressor of steps", precision="bfloat16", standardize=False)
    huge = 1e30 * STEPS  # whose squares overflow float32
    assert_refused(lambda: model.fit(X, huge), FloatingPointError, "dtype='float64' and precision='float32'", model)
    model.set_params(dtype="float64", precision="float32").fit(X, huge)


@pytest.mark.parametrize("options", [{}, {"missing": "mask"}], ids=["error", "mask"])
@pytest.mark.parametrize("channels", [3, 40], ids=["few", "many"])
def test_numbers_that_are_infinite_as_bfloat16_are_refused(options, channels):
    usual = RNG.normal(size=(9, 6, channels)).astype("float32")
    model = new("classifier", standardize=False, learning_rate="constant", **options)
    exact = clone(model).fit(usual, LABELS[:9])
    model.set_params(precision="bfloat16").fit(usual, LABELS[:9])
    limit = np.float32(kernels.LIMITS["bfloat16"])
    largest = np.nextafter(limit, np.float32(0))
    for value, advice in ((limit, ": set precision='float32'"), (-limit, ": set precision='float32'"), (np.inf, "")):
        huge = usual.copy()
        huge[2, 3, 1] = value
        kind = "infinity or a value too large for float32" if np.isinf(value) else "a value too large for bfloat16"
        message = f"contains {kind} in {{}}, channel 1{advice}.$"
        for call in (
            lambda huge=huge: model.fit(huge, LABELS[:9]),
            lambda huge=huge: model.fit(usual, LABELS[:9], X_val=huge, y_val=LABELS[:9]),
            lambda huge=huge: model.partial_fit(huge, LABELS[:9]),
            lambda huge=huge: model.predict(huge),
            lambda huge=huge: model.predict(list(huge)),
            lambda huge=huge: model.hidden_states(huge),
        ):
            assert_refused(call, ValueError, message.format("series 2, step 3"), model)
        stream = model.stream(9)
        stream.step(usual[:, 0])
        before = stream.state
        with pytest.raises(ValueError, match=f"x_t {message.format('stream 2')}"):
            stream.step(huge[:, 3])
        for now, then in zip(stream.state, before, strict=True):
            assert_array_equal(now, then)
    for value in (largest, -largest):
        usual[2, 3, 1] = value
        assert np.isfinite(model.predict_proba(usual)).all()
        assert np.isfinite(model.stream(9, "predict_proba").step(usual[:, 3])).all()
    usual[2, 3, 1] = limit
    assert np.isfinite(exact.predict_proba(usual)).all()
    assert np.isfinite(exact.stream(9, "predict_proba").step(usual[:, 3])).all()


def test_standardized_numbers_that_are_infinite_as_bfloat16_are_refused():
    model = fitted("regressor of steps", precision="bfloat16", bidirectional=False)
    model._model.scaling.scale[0] = 1e-3
    huge = X.copy()
    huge[2, 3, 0] = 3.4e35
    message = "contains a value too large for bfloat16 in {}, channel 0: set precision='float32'.$"
    assert_refused(lambda: model.predict(huge), ValueError, message.format("series 2, step 3"), model)
    assert_refused(lambda: model.stream(len(X)).step(huge[:, 3]), ValueError, message.format("stream 2"), model)


def test_weights_of_float64_are_refused():
    model = fitted("classifier", dtype="float64").set_params(precision="bfloat16", dtype="float32")
    for call in (lambda: model.predict(X), model.stream):  # the type is that of the weights
        assert_refused(call, ValueError, "requires dtype='float32', but dtype is 'float64'", model)


def test_a_backend_that_does_not_have_it_is_refused(monkeypatch):
    model = fitted("classifier", backend="numpy", learning_rate="constant").set_params(precision="bfloat16")
    monkeypatch.delattr(kernels.load("numpy"), "bfloat16")
    for call in (lambda: model.fit(X, LABELS), lambda: model.partial_fit(X, LABELS), lambda: model.predict(X)):
        assert_refused(call, ValueError, r"not available with backend='numpy': use one of \[.*\]", model)


def test_a_stream_has_the_bits_of_predictions(cell, narrow):
    model = LSTMClassifier(**OPTIONS, cell=cell, precision="bfloat16", backend=narrow, num_layers=2).fit(X, LABELS)
    stream = model.stream(len(X), "predict_proba")
    for t in range(4):
        stream.step(X[:, t])
    stream = pickle.loads(pickle.dumps(stream))
    for t in range(4, X.shape[1]):
        probabilities = stream.step(X[:, t])
    assert_array_equal(probabilities, model.predict_proba(X))


def test_a_stream_of_symbols_has_the_bits_of_predictions():
    model = fitted("language model").set_params(precision="bfloat16")
    stream = model.stream()
    for symbol in "abca":
        probabilities = stream.step(symbol)
    assert_array_equal(probabilities, model.predict_proba(["abca"]))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_roll_out_has_the_bits_of_its_steps(cell, narrow, n_jobs, four_cpus):
    model = LSTMRegressor(**OPTIONS, cell=cell, num_layers=2, standardize=False).fit(X, Y)._model
    name, n, steps = kernels.resolve(narrow, "bfloat16"), len(X), 6
    rolled, stepped, exact = Stepper(model, n, name), Stepper(model, n, name), Stepper(model, n, narrow)
    x = X.astype("float32")
    scores, *_ = [stepper.read(x[:, :2], n_jobs) for stepper in (rolled, stepped, exact)]
    forecast = Forecast(np.zeros((n, 1 + steps)), np.ones(1), np.zeros((n, steps)), x[:, 2:7].copy(), scores, 0.5)
    rolled.roll_out(forecast, n_jobs)
    for step in range(steps - 1):
        last, of_float32 = (stepper.step(forecast.x[:, step]) for stepper in (stepped, exact))
    assert_array_equal(forecast.scores, last)
    for ours, expected in zip(rolled.arrays(), stepped.arrays(), strict=True):
        assert_array_equal(ours, expected)
    assert (last != of_float32).any()


def test_partial_fit_has_the_precision(four_cpus):
    exact, alone, together = (
        LSTMRegressor(17, random_state=0, precision=precision, n_jobs=n_jobs)
        for precision, n_jobs in (("float32", 1), ("bfloat16", 1), ("bfloat16", 2))
    )
    for _ in range(3):
        for model in (exact, alone, together):
            model.partial_fit(X, Y)
    assert_same_fit(together, alone)
    assert alone.weights_["weight_hh_l0"].dtype == np.float32
    assert 1e-8 < abs(alone.loss_ - exact.loss_) < 1e-2


def test_a_fit_resumes_with_the_same_bits_and_no_other_precision(tmp_path):
    whole, path = fitted("classifier", precision="bfloat16", learning_rate="constant"), tmp_path / "a.checkpoint"
    how = {"learning_rate": "constant", "checkpoint_path": path}
    fitted("classifier", precision="bfloat16", max_iter=2, **how)
    model = new("classifier", resume=True, **how)
    assert_refused(lambda: model.fit(X, LABELS), ValueError, "belongs to a fit with precision='bfloat16'", model)
    assert_same_fit(model.set_params(precision="bfloat16").fit(X, LABELS), whole)


def test_partitions_have_the_same_bits_for_any_number_of_workers():
    model = new("classifier", precision="bfloat16", batch_size=5)
    one, two, exact = (
        fit_partitions(clone(model).set_params(precision=precision), X, LABELS, engine=Local(n), n_partitions=3)
        for n, precision in ((1, "bfloat16"), (2, "bfloat16"), (2, "float32"))
    )
    assert_same_fit(two, one)
    assert one.loss_curve_ != exact.loss_curve_


def test_gates_and_attributions_are_those_of_the_precision():
    model = LSTMRegressor(**OPTIONS).fit(X, Y)
    exact, ours = (model.set_params(precision=of).hidden_states(X) for of in ("float32", "bfloat16"))
    assert_array_equal(gate_activations(model, X).layers[0].forward["hidden_state"], ours)
    assert (ours != exact).any()
    of_bfloat16 = step_importance(model, X, Y, method="gradient").values
    of_float32 = step_importance(model.set_params(precision="float32"), X, Y, method="gradient").values
    assert 1e-5 < np.abs(of_bfloat16 - of_float32).max() / np.abs(of_float32).max() < 0.05


def test_what_is_computed_in_float64_does_not_depend_on_the_precision():
    model, narrow = LSTMRegressor(**OPTIONS).fit(X, Y), LSTMRegressor(**OPTIONS, precision="bfloat16").fit(X, Y)
    narrow.load_state_dict(model.weights_)
    flows = [gradient_flow(of, X, Y).mean("hidden_state") for of in (model, narrow)]
    assert_array_equal(*flows)
    values = [step_importance(of, X, method="integrated_gradients").values for of in (model, narrow)]
    assert_array_equal(*values)


def test_estimators_of_the_first_version_have_float32():
    model = fitted("classifier")
    state = {name: value for name, value in model.__getstate__().items() if name != "precision"}
    again = LSTMClassifier()
    again.__setstate__({name: value for name, value in state.items() if not name.startswith("_fastlstm")})
    assert again.precision == "float32"
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_versions_say_whether_the_cpu_multiplies_pairs(monkeypatch, capsys):
    cython = pytest.importorskip("fastlstm.kernels.cython")
    monkeypatch.setenv(kernels.VARIABLE, "cython")
    before = cython.f32.level()
    try:
        for level in cython.f32.levels():
            cython.take(level)
            fastlstm.show_versions()
            expected = {"avx512_bf16": "one instruction", "amx": "matrix unit"}.get(level, "emulated")
            assert f"bfloat16: {expected}\n" in capsys.readouterr().out
    finally:
        cython.take(before)
