"""Training on Dask's workers: the bits of a training in one process, from all that Dask has data in."""

import os
import signal
import threading
import time
from unittest.mock import patch

import numpy as np
import pytest
from helpers import assert_same_bits, run_python, within
from numpy.testing import assert_array_equal
from test_distributed import LABELS, LISTS, QUICK, WEIGHTS, InterruptedFitError, N, X, Y, cut, interrupted_after, new
from test_distributed import results as results_of

from fastlstm import LSTMClassifier, LSTMRegressor
from fastlstm.distributed import Dask, Local, fit, partial_fit, predict
from fastlstm.forecasting import LSTMForecaster

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed", reason="Dask is not installed")
da = pytest.importorskip("dask.array")
psutil = pytest.importorskip("psutil")  # which Dask requires
pytestmark = pytest.mark.filterwarnings(
    "ignore:Training was still improving", "ignore:Training might not have converged", "ignore:The validation score"
)
LIMIT = 60  # seconds; workers first import the package
ROWS = (15, 3, 20, 5)  # of chunks
BOUNDS = np.cumsum([0, *ROWS])
STOPPING = LSTMRegressor(**QUICK, early_stopping=True, dropout=0.2, recurrent_dropout=0.2, batch_size=16)


@pytest.fixture(scope="module")
def client():
    """Client of three processes of one thread each, which have ended afterwards."""
    options = {"processes": True, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "silence_logs": 50}
    unchanged = patch.dict(os.environ)  # Dask sets variables for its processes in this one
    with (
        unchanged,
        distributed.LocalCluster(n_workers=3, threads_per_worker=1, **options) as cluster,
        distributed.Client(cluster, timeout=LIMIT) as client,
    ):
        workers = client.run(os.getpid).values()
        yield client
    assert not any(map(psutil.pid_exists, workers))


def fitted(model, X, y=None, weights=None, **options):
    """A copy of a model fitted on the workers."""
    options.setdefault("timeout", 2 * LIMIT)  # fails where workers wait for each other
    return within(LIMIT, lambda: fit(new(model), X, y, weights, **options))


def expected(model, *data, **options):
    """What a fit in this process computes."""
    return results_of(fit(new(model), *data, engine=Local(1), **options))


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (STOPPING, (X, Y, WEIGHTS)),
        (LSTMClassifier(**QUICK, class_weight="balanced", batch_size=16), (X, LABELS)),
        (LSTMRegressor(**QUICK, bptt_steps=3, return_sequences=True), (LISTS, [of[:, :1] for of in LISTS])),
    ],
)
def test_a_fit_has_the_bits_of_one_in_this_process(client, model, data):
    assert_same_bits(results_of(fitted(model, *data)), expected(model, *data))


def test_fewer_workers_give_the_same_bits(client):
    """Two workers have partitions if there are but two, and one if there is but one series."""
    for n_partitions in (1, 2):
        options = {"n_partitions": n_partitions}
        assert_same_bits(results_of(fitted(STOPPING, X, Y, **options)), expected(STOPPING, X, Y, **options))


def test_large_gradients_are_added_in_slices_to_the_same_bits(client):
    def send_whole(up_to):
        from fastlstm.distributed import dask_worker

        dask_worker.WHOLE_BYTES, before = up_to, dask_worker.WHOLE_BYTES
        return before

    (before,) = set(client.run(send_whole, 0).values())
    try:
        assert_same_bits(results_of(fitted(STOPPING, X, Y)), expected(STOPPING, X, Y))
    finally:
        client.run(send_whole, before)


def test_partial_fit_gives_the_same_bits(client):
    def trained(engine):
        model = LSTMClassifier(hidden_size=4, random_state=0)
        for rows in (slice(25), slice(25, N)):
            partial_fit(model, X[rows], LABELS[rows], classes=np.unique(LABELS), engine=engine)
        return results_of(model)

    assert_same_bits(within(LIMIT, trained, Dask(client)), trained(Local(1)))


def in_arrays(path, client):
    return [da.from_array(of, chunks=(ROWS, *((-1,) * (of.ndim - 1)))) for of in (X, Y, WEIGHTS)]


def in_delayed(path, client):
    return [[dask.delayed(chunk) for chunk in cut((X, Y, WEIGHTS), BOUNDS)]]


def in_delayed_calls(path, client):
    return [[dask.delayed(tuple)(chunk) for chunk in cut((X, Y, WEIGHTS), BOUNDS)]]


def in_futures(path, client):
    return [client.scatter(cut((X, Y, WEIGHTS), BOUNDS))]


def in_files(path, client):
    for number, chunk in enumerate(cut((X, Y, WEIGHTS), BOUNDS)):
        np.savez(path / f"{number}.npz", *chunk)
    return [sorted(path.glob("*.npz"))]


def read_file(path):
    with np.load(path) as arrays:
        return tuple(arrays.values())


@pytest.mark.parametrize("make", [in_arrays, in_delayed, in_delayed_calls, in_futures, in_files])
def test_data_come_in_all_forms(client, make, tmp_path):
    given = make(tmp_path, client)
    load = read_file if make is in_files else None
    assert_same_bits(results_of(fitted(STOPPING, *given, load=load)), expected(STOPPING, X, Y, WEIGHTS))


def test_dataframes_hold_a_series_in_each_row(client):
    pd, dd = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame(X[:, :, 0])
    X_dask, y_dask = (dd.from_pandas(of, npartitions=4) for of in (frame, pd.Series(Y)))
    model = fitted(STOPPING, X_dask, y_dask)
    assert_same_bits(results_of(model), expected(STOPPING, frame, Y))
    assert_array_equal(within(LIMIT, predict(model, X_dask).compute), model.predict(frame))


def test_columns_of_small_files_stay_together(client, tmp_path):
    pd, dd = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame(X[:, :, 0]).add_prefix("step")
    for number, rows in enumerate(cut((frame,), BOUNDS)):
        rows[0].to_parquet(tmp_path / f"{number}.parquet")
    table = dd.read_parquet(tmp_path)
    columns = list(frame.columns)
    model = fitted(STOPPING, table[columns[:-1]], table[columns[-1]])
    assert_same_bits(results_of(model), expected(STOPPING, frame[columns[:-1]], frame[columns[-1]]))


def test_arrays_that_have_tasks_in_common_are_computed_together(client, caplog):
    X_dask, y_dask, _ = in_arrays(None, client)
    some = X_dask[:, 0, 0] > 0  # so that their sizes are unknown, too
    with caplog.at_level("WARNING", "distributed.scheduler"):  # it warns of tasks of the same name that differ
        model = fitted(STOPPING, X_dask[some], y_dask[some])
    assert_same_bits(results_of(model), expected(STOPPING, X[X[:, 0, 0] > 0], Y[X[:, 0, 0] > 0]))
    assert not [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_validation_data_come_in_arrays(client):
    X_val, y_val = X[:9] + 0.1, Y[:9]
    arrays = [da.from_array(of, chunks=(5, *((-1,) * (of.ndim - 1)))) for of in (X_val, y_val)]
    model = fitted(STOPPING, X, Y, X_val=arrays[0], y_val=arrays[1])
    assert_same_bits(results_of(model), expected(STOPPING, X, Y, X_val=X_val, y_val=y_val))


def test_predictions_are_lazy_and_have_the_bits_of_the_model(client):
    model = LSTMClassifier(**QUICK).fit(X, LABELS)
    array, delayed = in_arrays(None, client)[0], in_delayed(None, client)[0]
    lazy = predict(model, array, "predict_proba")
    assert lazy.chunks == (ROWS, (3,))
    assert_array_equal(within(LIMIT, lazy.compute), model.predict_proba(X))
    parts = within(LIMIT, dask.compute, *predict(model, delayed))
    assert_array_equal(np.concatenate(parts), model.predict(X))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((da.from_array(X, chunks=(20, -1, -1)), da.from_array(Y, chunks=10)), "y is partitioned otherwise than X"),
        ((da.from_array(X, chunks=(20, 3, -1)), da.from_array(Y, chunks=20)), "expected chunks of whole series"),
        ((da.from_array(X, chunks=(20, -1, -1)), Y), "y is a ndarray, but X a Dask Array"),
        (([dask.delayed((X, Y))], Y), "y was passed, but the members of X are chunks"),
        ((dask.delayed((X, Y)),), "X is a single delayed object; expected a list of them"),
        (([(dask.delayed(X), dask.delayed(Y))],), r"X\[0\] is a tuple.* dask.delayed\(\(X_i, y_i\)\)"),
        (([dask.delayed(X)],), "(?s)a chunk is a ndarray; expected a tuple.*chunk 0 of X"),
        ((X[:, :, :1], np.append(Y[:-1], np.nan)), "(?s)y contains NaN.*chunk 7 of X"),
        ((X[:0], Y[:0]), "X has 0 series in all chunks"),
    ],
)
def test_bad_data_are_reported(client, data, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fitted(STOPPING, *data)


def test_collections_need_dask_as_their_engine(client):
    for given in (in_delayed(None, client)[0], in_futures(None, client)[0]):
        with pytest.raises(TypeError, match="X is held by Dask: pass engine=Dask"):
            fit(STOPPING, given, engine=Local(2))


def test_forecasts_of_other_series_are_lazy(client):
    pd, dd = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe")
    tables = [
        pd.DataFrame({"unique_id": name, "ds": pd.date_range("2026-01-01", periods=40), "y": np.sin(np.arange(40) / 4)})
        for name in "ab"
    ]
    model = LSTMForecaster(2, window=8, n_models=1, **QUICK).fit(pd.concat(tables))
    expected_of = [model.predict(y=table) for table in tables]
    for chunks in ([client.scatter(table) for table in tables], dd.from_map(pd.DataFrame, tables)):
        for forecast, table in zip(within(LIMIT, dask.compute, *predict(model, chunks)), expected_of, strict=True):
            pd.testing.assert_frame_equal(forecast, table, check_dtype=False)


class Source:
    """Series of which only the lengths are known."""

    def lengths(self):
        return np.full(N, X.shape[1])

    def read(self, rows):
        return X[rows]


def test_a_source_of_series_is_read_on_the_workers(client):
    assert_same_bits(results_of(fitted(STOPPING, Source(), Y)), expected(STOPPING, X, Y))


def test_chunks_that_turn_out_to_be_empty_have_empty_predictions(client):
    model, array = LSTMClassifier(**QUICK).fit(X, LABELS), in_arrays(None, client)[0]
    threshold = np.sort(X[:, 0, 0])[-5]
    lazy = predict(model, array[array[:, 0, 0] > threshold], "predict_proba")
    assert_array_equal(within(LIMIT, lazy.compute), model.predict_proba(X[X[:, 0, 0] > threshold]))
    assert (within(LIMIT, array[:, 0, 0].map_blocks(lambda of: np.array([(of > threshold).sum()])).compute) == 0).any()


def test_data_in_memory_are_not_for_lazy_predictions(client):
    with pytest.raises(ValueError, match="X is a ndarray; expected a Dask array or dataframe"):
        predict(STOPPING, X)


class BadFileError(Exception):
    """An error that pickle cannot make again from its message."""

    def __init__(self, path, reason):
        super().__init__(f"{path} is bad: {reason}")
        self.path, self.reason = path, reason

    def __reduce__(self):
        return type(self), (self.path, self.reason), vars(self)


def load_but_one(number):
    if number == 2:
        raise BadFileError("part 2", "too short")
    return X, Y


def test_an_error_of_load_is_raised_at_once_and_names_the_partition(client):
    began = time.monotonic()
    with pytest.raises(BadFileError, match=r"(?s)part 2 is bad: too short.*chunk 2 of X"):
        fitted(STOPPING, range(4), load=load_but_one)
    assert time.monotonic() - began < 10


def test_a_training_that_diverges_is_not_repeated(client):
    with pytest.raises(FloatingPointError, match="Training diverged"):
        fitted(LSTMRegressor(**QUICK, learning_rate_init=1e300, solver="sgd"), X, Y)
    assert_idle(client)


def kept(dask_worker):
    """What is left of fits on a worker."""
    connections = dask_worker.plugins["fastlstm"]
    return len(connections._trainings), len(connections._open), len(dask_worker.data)


def assert_idle(client):
    """Workers keep nothing of fits that have ended."""
    deadline = time.monotonic() + 10
    while set(client.run(kept).values()) != {(0, 0, 0)}:
        assert time.monotonic() < deadline, client.run(kept)
        time.sleep(0.1)


def test_workers_keep_nothing_of_a_fit(client):
    fitted(STOPPING, X, Y)
    assert_idle(client)


def test_epochs_are_reported_where_fit_is_called(client, capsys):
    model = fitted(new(STOPPING, verbose=1), X, Y)
    of_dask = capsys.readouterr().out.splitlines()
    fit(new(STOPPING, verbose=1), X, Y, engine=Local(2))
    of_local = capsys.readouterr().out.splitlines()
    assert [line[:40] for line in of_dask] == [line[:40] for line in of_local]
    assert model.verbose == 1


def test_an_interrupted_fit_resumes_on_any_engine_to_the_same_bits(client, tmp_path, monkeypatch):
    path, model = tmp_path / "model.ckpt", new(STOPPING, max_iter=5)
    alone = expected(model, X, Y)
    for engine in (None, Local(2)):
        with monkeypatch.context() as patched:
            patched.setattr("sys.stdout", interrupted_after(3))
            with pytest.raises(InterruptedFitError):
                fitted(new(model, checkpoint_path=path, verbose=1), X, Y)
        resumed = fitted(new(model, checkpoint_path=path, resume=True), X, Y, engine=engine)
        assert_same_bits(results_of(resumed), alone)
        path.unlink()


def test_after_ctrl_c_complete_epochs_are_kept_and_the_workers_are_free(client, monkeypatch):
    """The signal comes while the client waits for an epoch."""

    class Out:
        epochs = 0

        def write(self, text):
            self.epochs += text.startswith("epoch")
            if self.epochs == 3:
                threading.Timer(0.02, signal.raise_signal, [signal.SIGINT]).start()

        def flush(self):
            pass

    model = new(STOPPING, max_iter=1000, verbose=1, n_iter_no_change=1000)
    with monkeypatch.context() as patched:
        patched.setattr("sys.stdout", Out())
        with pytest.raises(KeyboardInterrupt):
            fit(model, X, Y, timeout=2 * LIMIT)
    assert 3 <= model.n_iter_ < 1000
    alone = expected(new(STOPPING, max_iter=model.n_iter_, n_iter_no_change=1000), X, Y)
    assert_same_bits(results_of(model), alone)
    # where the signal came while the client took its turn, that ends by itself after 30 s
    assert_same_bits(within(90, lambda: results_of(fit(new(STOPPING), X, Y, timeout=80))), expected(STOPPING, X, Y))
    assert_idle(client)


def test_a_callback_that_stops_gives_the_same_bits(client):
    pytest.importorskip("sklearn.callback", reason="scikit-learn has no callbacks before 1.9")
    from test_callbacks import Stop

    model, alone = (new(STOPPING, max_iter=5).set_callbacks(Stop(2)) for _ in range(2))
    within(LIMIT, lambda: fit(model, X, Y))
    assert model.n_iter_ == 2
    assert_same_bits(results_of(model), results_of(fit(alone, X, Y, engine=Local(1))))


def test_fits_at_once_take_turns(client):
    """Their tasks on the workers would wait for each other otherwise."""
    models = [new(STOPPING, max_iter=4, verbose=0, checkpoint_path=None) for _ in range(3)]
    threads = [threading.Thread(target=fit, args=(model, X, Y), daemon=True) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    alone = expected(new(STOPPING, max_iter=4), X, Y)
    for model in models:
        assert_same_bits(results_of(model), alone)


def test_large_data_and_networks_are_sent_without_warnings(client):
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": 1}):
        assert fitted(STOPPING, X, Y).n_iter_ == 2


def test_a_client_that_cannot_be_used_is_reported(client):
    asynchronous = type("Client", (), {"asynchronous": True, "scheduler_info": None})()
    closed = type("Client", (), {"asynchronous": False, "status": "closed", "scheduler_info": None})()
    for unusable, message in [(asynchronous, "is asynchronous"), (closed, "is closed: create another")]:
        with pytest.raises(ValueError, match=f"The Dask client {message}"):
            fit(STOPPING, X, Y, engine=Dask(unusable))
    with pytest.raises(TypeError, match=r"Dask\('tls://host'\): expected a Dask client, such as distributed.Client"):
        fit(STOPPING, X, Y, engine=Dask("tls://host"))
    with (
        patch("fastlstm.distributed.dask_client.default_client", side_effect=ValueError),
        pytest.raises(ValueError, match=r"There is no Dask client: create one, for example distributed.Client\(\)"),
    ):
        fit(STOPPING, X, Y)


def test_without_dask_the_error_says_what_to_install():
    program = """
import sys
sys.modules["distributed"] = sys.modules["dask"] = None
from fastlstm import LSTMRegressor
from fastlstm.distributed import fit, predict
for function in (fit, predict):
    try:
        function(LSTMRegressor(), [[1, 2]], [3])
    except ImportError as error:
        print(error)
"""
    of_fit, of_predict = run_python("-c", program).splitlines()
    assert of_fit == "engine=Dask() requires distributed: pip install fastlstm[dask]."
    assert of_predict == "fastlstm.distributed.predict requires dask: pip install fastlstm[dask]."
