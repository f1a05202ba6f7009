"""Training on partitions: the same bits however the data are cut and whoever trains, and the numbers of a plain fit."""

import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from helpers import assert_same_bits, within
from numpy.testing import assert_allclose

from fastlstm import LSTMClassifier, LSTMRegressor
from fastlstm.distributed import Local, fit, partial_fit

pytestmark = pytest.mark.filterwarnings(
    "ignore:Training was still improving", "ignore:Training might not have converged", "ignore:The validation score"
)
LIMIT = 30  # seconds
N = 43  # series
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 6, 2))
Y = X[:, :, 0].sum(axis=1)
LISTS = [RNG.normal(size=(length, 2)) for length in RNG.integers(1, 12, N)]
OF_LISTS = np.array([series[:, 0].sum() for series in LISTS])
LABELS = np.array(["high", "low", "medium"])[np.digitize(Y, [-1, 1])]
BY_LABEL = np.argsort(LABELS)  # chunks of a single class
WEIGHTS = np.where((np.arange(N) >= 10) & (np.arange(N) < 21), 0.0, np.arange(N) % 3 + 0.5)  # a chunk of weight 0
STEP_WEIGHTS = [np.where(RNG.random(len(series)) < 0.3, 0.0, 2.0) for series in LISTS]
QUICK = {"hidden_size": 4, "max_iter": 2, "random_state": 0, "learning_rate": "constant"}

#: Estimator, X, y and sample weights, and parameters of `fit`.
CASES = {
    "unequal lengths, weights, dropout and minibatches smaller than V": (
        LSTMRegressor(**QUICK, batch_size=3, dropout=0.2, recurrent_dropout=0.2, num_layers=2),
        (LISTS, OF_LISTS, WEIGHTS),
        {},
    ),
    "early stopping of a classifier": (
        LSTMClassifier(**QUICK, early_stopping=True, class_weight="balanced", batch_size=16),
        (X[BY_LABEL], LABELS[BY_LABEL]),
        {},
    ),
    "early stopping on the tail, targets per step": (
        LSTMRegressor(
            **QUICK, early_stopping=True, validation_split="tail", return_sequences=True, bptt_steps=4, batch_size=8
        ),
        (LISTS, [series[:, :1].cumsum(axis=0) for series in LISTS], STEP_WEIGHTS),
        {},
    ),
    "labels per step": (
        LSTMClassifier(**QUICK, return_sequences=True, bptt_steps=3, batch_size=8, class_weight="balanced"),
        (LISTS, [(series[:, 0] > 0).astype(int) for series in LISTS], STEP_WEIGHTS),
        {},
    ),
    "missing values, counts and validation data": (
        LSTMRegressor(**QUICK, missing="mask", loss="poisson", dtype="float64", early_stopping=True),
        (np.where(RNG.random(X.shape) < 0.2, np.nan, X), np.abs(Y).round()),
        {"X_val": X[:9], "y_val": np.abs(Y[:9]).round(), "sample_weight_val": np.arange(9.0)},
    ),
    "quantiles, truncated, in more partitions than series": (
        LSTMRegressor(**QUICK, loss="quantile", quantile=[0.1, 0.9], bptt_steps=4, batch_size=4),
        (X[:5], Y[:5], WEIGHTS[:5]),
        {},
    ),
}


def cut(data, bounds):
    """Chunks (X, y, ...) of data, from each bound to the next."""
    return [tuple(of[first:last] for of in data) for first, last in pairwise(bounds)]


def bounds(n, seed):
    """Where to cut n series: at random, with empty chunks and chunks of one series, and around those of weight 0."""
    drawn = np.random.default_rng(seed).integers(0, n + 1, 3).tolist()
    return sorted([0, 0, min(n, 1), min(n, 10), min(n, 21), *drawn, *drawn[:1], n])


def itself(chunk):
    return chunk


def results(model):
    """What a fit has computed."""
    curves = ("loss_curve_", "validation_scores_", "validation_loss_curve_", "grad_norm_curve_")
    of_curves = {name: getattr(model, name) for name in curves if getattr(model, name) is not None}
    return {**model.weights_, **of_curves, "n_iter_": model.n_iter_}


def fitted(model, data, n_workers, **options):
    """A model fitted by so many workers, on chunks that differ with their number."""
    chunks = cut(data, bounds(len(data[0]), n_workers))
    held_out = [options.pop(name) for name in ("X_val", "y_val", "sample_weight_val") if name in options]
    if held_out:
        options["X_val"] = cut(held_out, bounds(len(held_out[0]), n_workers))
    return within(LIMIT, lambda: fit(model, chunks, load=itself, engine=Local(n_workers), **options))


def new(model, **parameters):
    return type(model)(**{**model.get_params(), **parameters})


@pytest.mark.parametrize("case", CASES)
def test_any_number_of_workers_and_any_chunks_give_the_same_bits(case):
    model, data, options = CASES[case]
    expected = results(fit(new(model), *data, engine=Local(1), **options))
    for n_workers in range(1, 9):
        assert_same_bits(results(fitted(new(model), data, n_workers, **options)), expected)


@pytest.mark.parametrize("case", CASES)
def test_on_the_whole_batch_training_is_that_of_a_plain_fit(case):
    """The gradient of all data does not depend on their partition, but for rounding; so it is normalised rightly."""
    model, data, options = CASES[case]
    model = new(model, batch_size=N, dropout=0.0, recurrent_dropout=0.0, dtype="float64")
    plain = results(new(model).fit(*data, **options))
    for n_partitions in (1, 4):
        of_partitions = results(fit(new(model), *data, engine=Local(2), n_partitions=n_partitions, **options))
        for name, value in plain.items():
            assert_allclose(of_partitions[name], value, rtol=1e-9, atol=1e-10, err_msg=f"{name}, V = {n_partitions}")


def test_dropout_is_that_of_a_plain_fit():
    """Masks belong to the series, whichever partition they are in; these are of equal lengths, so not sorted."""
    model = LSTMRegressor(**QUICK, batch_size=N, dropout=0.3, recurrent_dropout=0.3, dtype="float64")
    plain, of_partitions = new(model).fit(X, Y), fit(new(model), X, Y, engine=Local(2), n_partitions=3)
    assert_allclose(of_partitions.loss_curve_, plain.loss_curve_, rtol=1e-10)


@pytest.mark.parametrize("kind", [LSTMRegressor, LSTMClassifier])
def test_partial_fit_gives_the_same_bits(kind):
    def trained(n_workers):
        model, y = kind(hidden_size=4, random_state=0), LABELS if kind is LSTMClassifier else Y
        for first, last in [(0, 25), (25, N)]:
            chunks = cut((X[first:last], y[first:last]), bounds(last - first, n_workers))
            classes = np.unique(LABELS) if kind is LSTMClassifier else None
            partial_fit(model, chunks, load=itself, classes=classes, engine=Local(n_workers))
        return results(model)

    expected = trained(1)
    assert expected["n_iter_"] == 2
    for n_workers in (2, 3, 8):
        assert_same_bits(trained(n_workers), expected)


def test_warm_start_continues_with_the_same_bits():
    def trained(n_workers):
        model = LSTMRegressor(**QUICK, warm_start=True)
        for _ in range(2):
            fitted(model, (X, Y), n_workers)
        return results(model)

    expected = trained(1)
    assert expected["n_iter_"] == 4
    assert_same_bits(trained(3), expected)


def test_more_workers_than_partitions_give_the_same_bits():
    model = LSTMRegressor(**QUICK)
    expected = results(fitted(new(model), (X, Y), 1, n_partitions=3))
    assert_same_bits(results(fitted(new(model), (X, Y), 5, n_partitions=3)), expected)


def test_validation_data_of_fewer_series_than_partitions_are_those_of_a_plain_fit():
    """The partitions without any of them may end where a chunk does, or within one."""
    model, held_out = LSTMRegressor(**QUICK, batch_size=N, dtype="float64"), {"X_val": X[:3], "y_val": Y[:3]}
    plain = new(model).fit(X, Y, **held_out)
    for n_workers in (1, 3):
        of_partitions = fitted(new(model), (X, Y), n_workers, **held_out)
        assert_allclose(of_partitions.validation_loss_curve_, plain.validation_loss_curve_, rtol=1e-9)


def test_no_more_threads_than_partitions_are_used():
    seen = set()

    def load(chunk):
        seen.add(threading.get_ident())
        return chunk

    fit(LSTMRegressor(**QUICK), cut((X, Y), range(N + 1)), load=load, engine=Local(N), n_partitions=2)
    assert len(seen) == 2


def test_a_fitted_model_is_fitted_again_from_scratch():
    model = LSTMClassifier(**QUICK)
    first = results(fitted(model, (X, LABELS), 2))
    assert_same_bits(results(fitted(model, (X, LABELS), 3)), first)
    wide = [(X[:20], LABELS[:20]), (np.tile(X[20:], 2), LABELS[20:])]
    with pytest.raises(ValueError, match="chunk 1 has 4 channels, but chunk 0 has 2 channels"):
        fit(model, wide, load=itself, engine=Local(2))


def test_names_of_an_earlier_fit_are_forgotten():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X[:, :, 0], columns=list("abcdef"))
    model = fit(LSTMRegressor(**QUICK), frame, Y, engine=Local(2))
    assert model.feature_names_in_.tolist() == list("abcdef")
    assert not hasattr(fit(model, X[:, :, 0], Y, engine=Local(2)), "feature_names_in_")
    with pytest.raises(ValueError, match="chunk 1 has no names of channels, but chunk 0 has names"):
        fit(model, [(frame[:9], Y[:9]), (X[9:, :, 0], Y[9:])], load=itself, engine=Local(2))


ABSENT = np.arange(N) >= 21  # of whole chunks


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (LSTMRegressor(**QUICK), (X, np.where(ABSENT, np.nan, Y), 1.0 * ~ABSENT)),
        (LSTMClassifier(**QUICK), (X, np.where(ABSENT, np.nan, LABELS.astype(object)), 1.0 * ~ABSENT)),
        (
            LSTMClassifier(**QUICK, return_sequences=True),
            (X, np.where(ABSENT[:, None], "absent", LABELS[:, None].repeat(6, 1)), 1.0 * ~ABSENT[:, None].repeat(6, 1)),
        ),
    ],
    ids=["regressor", "classifier", "labels per step"],
)
def test_targets_without_weight_may_be_absent_from_whole_chunks(model, data):
    expected = fit(new(model), *data, engine=Local(1))
    of_chunks = fitted(new(model), data, 3)
    assert_same_bits(results(of_chunks), results(expected))
    if hasattr(expected, "classes_"):
        assert of_chunks.classes_.tolist() == expected.classes_.tolist() == ["high", "low", "medium"]


def test_weights_of_zero_are_checked():
    given = [(X[:20], Y[:20]), (X[20:], Y[20:], np.zeros(3))]
    with pytest.raises(ValueError, match=r"(?s)sample_weight.shape == \(3,\).*chunk 1"):
        fit(LSTMRegressor(**QUICK), given, load=itself, engine=Local(2))


def test_resuming_does_not_depend_on_the_chunks_of_labels_without_weight(tmp_path):
    y, weights = [np.sort(RNG.choice(3, len(of))) for of in LISTS], [1.0 * (np.arange(len(of)) > 2) for of in LISTS]
    model = LSTMClassifier(**QUICK, return_sequences=True, checkpoint_path=tmp_path / "model.ckpt", resume=True)
    one, three = (fitted(new(model), (LISTS, y, weights), n_workers) for n_workers in (1, 3))
    assert_same_bits(results(three), results(one))


def test_the_number_of_partitions_is_part_of_the_result():
    of_three, of_eight = (fit(LSTMRegressor(**QUICK), X, Y, engine=Local(2), n_partitions=n) for n in (3, 8))
    assert of_three.loss_curve_ != of_eight.loss_curve_


def test_the_first_partial_fit_needs_all_classes():
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        partial_fit(LSTMClassifier(**QUICK), X, LABELS, engine=Local(2))


class InterruptedFitError(Exception):
    pass


def interrupted_after(n_epochs):
    """A `sys.stdout` that raises when an epoch is reported."""

    class Out:
        def write(self, text):
            if f"epoch {n_epochs}" in text:
                raise InterruptedFitError

        def flush(self):
            pass

    return Out()


def test_an_interrupted_fit_resumes_with_any_number_of_workers_to_the_same_bits(tmp_path, monkeypatch):
    path, options = tmp_path / "model.ckpt", {"early_stopping": True, "dropout": 0.2}
    model = LSTMRegressor(**{**QUICK, "max_iter": 6}, **options)
    expected = results(fitted(new(model), (X, Y), 2))
    for n_workers in (2, 3, 1):
        with monkeypatch.context() as patched:
            patched.setattr("sys.stdout", interrupted_after(3))
            with pytest.raises(InterruptedFitError):
                fitted(new(model, checkpoint_path=path, verbose=1), (X, Y), 2)
        resumed = new(model, checkpoint_path=path, resume=True)
        assert_same_bits(results(fitted(resumed, (X, Y), n_workers)), expected)
        path.unlink()


def test_a_checkpoint_of_other_data_or_partitions_is_refused(tmp_path):
    model = LSTMRegressor(**QUICK, checkpoint_path=tmp_path / "model.ckpt", resume=True)
    fitted(new(model), (X, Y), 2)
    with pytest.raises(ValueError, match="different data: pass the same"):
        fitted(new(model), (X, Y + 1), 2)
    with pytest.raises(ValueError, match="different n_partitions: pass the same"):
        fitted(new(model), (X, Y), 2, n_partitions=4)


def test_a_callback_that_stops_gives_the_same_bits():
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has no callbacks before 1.9")
    assert callback
    from test_callbacks import Stop

    model = LSTMRegressor(**{**QUICK, "max_iter": 5})
    one, three = (fitted(new(model).set_callbacks(Stop(2)), (X, Y), n_workers) for n_workers in (1, 3))
    assert one.n_iter_ == three.n_iter_ == 2
    assert_same_bits(results(three), results(one))


def test_callbacks_are_set_up_and_torn_down_once():
    pytest.importorskip("sklearn.callback", reason="scikit-learn has no callbacks before 1.9")
    from test_callbacks import Recorder

    recorder = Recorder()
    fitted(LSTMRegressor(**QUICK).set_callbacks(recorder), (X, Y), 3)
    epochs = [("begin", "epoch"), ("end", "epoch")] * 2
    assert recorder.names() == [("setup", "fit"), ("begin", "fit"), *epochs, ("end", "fit"), ("teardown", "fit")]


@pytest.mark.parametrize("bad", range(5))
def test_an_error_in_one_thread_ends_all_and_names_the_partition(bad):
    before = set(threading.enumerate())

    def load(number):
        if number == bad:
            raise FileNotFoundError(2, "No such file", f"part{number}")
        return X[8 * number : 8 * number + 8], Y[8 * number : 8 * number + 8]

    with pytest.raises(FileNotFoundError, match=rf"(?s)part{bad}.*chunk {bad} of X \({bad}\)") as caught:
        within(LIMIT, lambda: fit(LSTMRegressor(**QUICK), range(5), load=load, engine=Local(3)))
    assert caught.value.filename == f"part{bad}"
    assert set(threading.enumerate()) <= before


def test_a_training_that_diverges_says_so():
    with pytest.raises(FloatingPointError, match="Training diverged"):
        fitted(LSTMRegressor(**QUICK, learning_rate_init=1e300, solver="sgd"), (X, Y), 3)


def test_a_failed_fit_changes_nothing():
    model = fitted(LSTMRegressor(**QUICK), (X, Y), 2)
    before = vars(model).copy()
    with pytest.raises(ValueError, match="contains NaN"):
        fitted(model, (X, np.where(Y > 1, np.nan, Y)), 2)
    assert vars(model) == before


def chunks(n_chunks=3, **others):
    """Chunks of ten series; what else is passed by number is in their places."""
    out = cut((X, Y), range(0, 10 * n_chunks + 1, 10))
    for number, chunk in others.items():
        out[int(number[1:])] = chunk
    return out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (chunks(_1=(X[:10, :, :1], Y[:10])), "chunk 1 has 1 channels, but chunk 0 has 2 channels"),
        (chunks(_2=(X[:10].astype("f4"), Y[:10])), "read as float32 in chunk 2, but as float64 in chunk 0"),
        (chunks(_1=(X[:10], np.stack([Y[:10]] * 2, 1))), "chunk 1 has 2 outputs per series"),
        (chunks(_1=(X[:10], Y[:9])), "(?s)inconsistent numbers of samples.*chunk 1 of X"),
        (chunks(_1=(X[:10], np.full(10, np.nan))), "(?s)y contains NaN.*chunk 1 of X"),
        (chunks(_1=X[:10]), "load returned a ndarray; expected a tuple"),
        (cut((X[:0], Y[:0]), [0, 0, 0]), "X has 0 series in all chunks"),
        ([], "X has 0 series in all chunks"),
        (cut((X[:20], Y[:20], np.zeros(20)), [0, 10, 20]), "sample_weight is zero for every sample"),
        ("part*.npy", "expected a list of paths"),
        (Path("part.npy"), "expected a list of paths"),
    ],
)
def test_bad_chunks_are_reported(given, message):
    with pytest.raises((TypeError, ValueError), match=message):
        within(LIMIT, lambda: fit(LSTMRegressor(**QUICK), given, load=itself, engine=Local(2)))


def test_labels_of_several_types_are_reported():
    given = cut((X, LABELS), [0, 20]) + cut((X, np.arange(N) % 2), [20, N])
    with pytest.raises(ValueError, match="The labels in y are of several types, for example in chunks"):
        within(LIMIT, lambda: fit(LSTMClassifier(**QUICK), given, load=itself, engine=Local(2)))


def test_bad_validation_data_are_reported():
    with pytest.raises(ValueError, match="chunk 1 of X_val"):
        fit(
            LSTMRegressor(**QUICK), chunks(), load=itself, X_val=chunks(2, _1=(X[:10, :, :1], Y[:10])), engine=Local(2)
        )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"engine": "dask"}, TypeError, r"engine is 'dask'; expected Dask\(client\), Mpi\(comm\) or Local"),
        ({"n_partitions": 0}, ValueError, "n_partitions=0: expected an integer, at least 1"),
        ({"n_partitions": 2.0}, ValueError, "n_partitions=2.0: expected an integer"),
        ({"retries": -1}, ValueError, "retries=-1: expected an integer, at least 0"),
        ({"load": "npz", "X": ["a.npz"], "y": None}, TypeError, "load is 'npz'; expected a function that reads"),
        ({"timeout": 0}, ValueError, "timeout=0: expected a number of seconds"),
        ({"load": itself}, ValueError, "y was passed, but `load` returns it together with X: leave it out"),
        ({"y_val": Y}, ValueError, "y_val was passed, but X_val is None"),
        ({"X_val": X[:0], "y_val": Y[:0]}, ValueError, "X_val has 0 series in all chunks"),
    ],
)
def test_bad_arguments_are_reported(options, error, message):
    with pytest.raises(error, match=message):
        fit(LSTMRegressor(**QUICK), **{"X": X, "y": Y, "engine": Local(2), **options})


def test_invalid_parameters_are_reported():
    with pytest.raises(ValueError, match="The 'solver' parameter of LSTMRegressor must be"):
        fit(LSTMRegressor(solver="none"), X, Y, engine=Local(2))
    for given in (0, True):
        with pytest.raises(ValueError, match=f"n_workers={given}: expected a number of threads, at least 1"):
            Local(given)


def test_an_estimator_of_another_kind_is_reported():
    with pytest.raises(TypeError, match="estimator is a object; expected an LSTMClassifier"):
        fit(object(), X, Y, engine=Local(2))
