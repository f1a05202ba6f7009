"""How series are read from storage: how much at a time, by which thread, and what is refused."""

import threading
import tracemalloc
from functools import partial

import numpy as np
import pytest
from helpers import run_python

from fastlstm import LSTMClassifier, LSTMRegressor, SequenceScaler, sequences
from fastlstm.storage.read_ahead import RESULTS, read_ahead
from fastlstm.training import standardization

N, T, C = 300, 40, 8
X = np.random.default_rng(0).normal(size=(N, T, C)).astype("f4")
Y = X[:, -1, 0]


class Source:
    """The least that a source of series must have."""

    def __init__(self, members=X, lengths=None):
        self.members, self.result, self.threads = members, None, set()
        self._lengths = [len(member) for member in members] if lengths is None else lengths

    def lengths(self):
        return self._lengths

    def read(self, rows):
        self.threads.add(threading.current_thread().name)
        members = [self.members[n] for n in rows]
        return members if self.result is None else self.result(members)


def regressor(**params):
    return LSTMRegressor(4, **{"max_iter": 2, "batch_size": 16, "learning_rate": "cosine", "random_state": 0, **params})


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "fastlstm-reader"]


def memmap(array, folder):
    np.save(folder / "X.npy", array)
    return np.load(folder / "X.npy", mmap_mode="r")


@pytest.mark.parametrize("params", [{}, {"missing": "mask"}, {"early_stopping": True, "standardize": False}], ids=str)
def test_fits_and_predictions_need_little_memory(params, tmp_path, monkeypatch):
    for module in ("sequences", "storage.sources", "storage.stored"):
        monkeypatch.setattr(f"fastlstm.{module}.BLOCK_VALUES", 1 << 14)
    blocks = standardization._blocks
    monkeypatch.setattr(standardization, "_blocks", lambda n, size=1 << 10: blocks(n, size))
    monkeypatch.setattr("fastlstm.sequences.blocks", partial(sequences.blocks, limit=1 << 14))  # those of predictions
    stored = memmap(np.tile(X, (20, 1, 1)), tmp_path)
    targets = np.tile(Y, 20)
    regressor(**params).fit(stored[:64], targets[:64]).score(stored[:64], targets[:64])  # imports more, once
    tracemalloc.start()
    try:
        model = regressor(**{"max_iter": 1, **params}).fit(stored, targets)
        model.predict(stored), model.score(stored, targets)
        SequenceScaler().fit(stored)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < stored.nbytes / 3


def test_what_is_in_memory_is_checked_in_blocks(monkeypatch):
    model = regressor().fit(X, Y)
    large = np.tile(X, (40, 1, 1))
    tracemalloc.start()
    try:
        model._check_series(large)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < large.size / 2  # a Boolean for each value


def test_minibatches_are_read_by_a_thread_that_ends():
    source = Source()
    model = regressor().fit(source, Y)
    assert "fastlstm-reader" in source.threads
    model.predict(source)
    assert not readers()


def test_the_thread_ends_after_errors_in_training_and_in_reading():
    with pytest.raises(FloatingPointError, match="diverged"):
        regressor(solver="sgd", learning_rate_init=1e30, clip_norm=None, standardize=False).fit(Source(1e20 * X), Y)
    assert not readers()
    source = Source()

    def fail(members):
        if threading.current_thread().name == "fastlstm-reader":
            raise OSError("the disk is gone")
        return members

    source.result = fail
    with pytest.raises(OSError, match="the disk is gone"):
        regressor(n_jobs=2).fit(source, Y)
    assert not readers()


def test_no_more_is_read_ahead_than_the_next():
    read = []

    def request(number):
        read.append(number)
        return number

    results = read_ahead(request, ((number,) for number in range(10)))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    results.close()
    assert not readers()
    assert len(read) <= 2 + RESULTS
    with pytest.raises(ZeroDivisionError):
        list(read_ahead(lambda number: 1 // number, [(1,), (0,)]))


@pytest.mark.system
def test_where_gevent_replaces_threads_nothing_is_read_ahead():
    pytest.importorskip("gevent")
    code = """
from gevent import monkey; monkey.patch_all()
from fastlstm.storage.read_ahead import read_ahead
print(list(read_ahead(lambda number: number, [(1,), (2,)])))
"""
    assert run_python("-c", code, timeout=60) == "[1, 2]"


@pytest.mark.parametrize("standardize", [False, True])
def test_changes_of_a_file_after_its_check_are_found(standardize):
    source = Source()
    source.result = lambda members: [
        member * (np.nan if threading.current_thread().name == "fastlstm-reader" else 1) for member in members
    ]
    with pytest.raises(ValueError, match=r"X contains NaN in series \d+, step 0, channel 0"):
        regressor(standardize=standardize).fit(source, Y)


@pytest.mark.parametrize("kind", ["nan", "inf"])
def test_invalid_values_are_named_with_their_place(kind, tmp_path):
    wrong = X.copy()
    wrong[250, 7, 3] = float(kind)
    what = "NaN in series 250, step 7, channel 3: impute" if kind == "nan" else "infinity .* in series 250, step 7, cha"
    for stored in (memmap(wrong, tmp_path), Source(wrong)):
        with pytest.raises(ValueError, match=f"Input X contains {what}"):
            regressor().fit(stored, Y)
        with pytest.raises(ValueError, match=f"Input X_val contains {what}"):
            regressor().fit(X, Y, X_val=stored, y_val=Y)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Source(lengths=[]), r"X.lengths\(\) returned array\(\[\], dtype=float64\); expected an array of the number"),
        (Source(lengths=[T, 0]), r"X.lengths\(\)\[1\] is 0; expected a series with at least 1 step"),
        (Source(lengths=[T + 1] * N), r"X.read\(\[0\]\) returned 40 steps for row 0, but X.lengths\(\) said 41"),
        (Source([*X[:-1], X[-1, :, :2]]), r"returned shape \(40, 2\) for row 299, but row 0 has 2 axes and 8 channels"),
        (Source([*X[:-1], X[-1].astype(float)]), "series of type float64 for row 299, but row 0 is float32"),
        (Source(X.astype(complex)), "returned a series of type complex128 for row 0; expected an array of real"),
        (Source([[[1.0]]] * N), "returned a series of type list for row 0; expected an array of real numbers"),
        (Source(X[:, :, :, None]), r"returned shape \(40, 8, 1\) for row 0; expected \(T_i, C\) or \(T_i,\)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "source",
)
def test_objects_must_return_what_they_promise(source, message):
    with pytest.raises(ValueError, match=message):
        regressor().fit(source, Y)


def test_results_of_another_number_of_series_are_refused():
    source = Source()
    source.result = lambda members: members[:1]
    with pytest.raises(ValueError, match=r"X.read\(\[0, .*\) returned 1 members; expected a list of \d+ arrays"):
        regressor().fit(source, Y)
    source.result = lambda members: None
    with pytest.raises(ValueError, match="returned a NoneType; expected a list of 1 arrays"):
        regressor().fit(source, Y)


def test_data_sets_of_other_columns_are_refused(tmp_path):
    pa, ds = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.dataset")
    names = pa.table({"value": [1.0, 2.0], "name": ["a", "b"]})
    with pytest.raises(ValueError, match="X is a InMemoryDataset with column 'name' of type string; expected columns"):
        regressor().fit(ds.dataset(names), [1, 2])
    with pytest.raises(ValueError, match=r"X\[1\] has length 0"):
        regressor().fit(ds.dataset(pa.table({"x": [[1.0], []]})), [1, 2])
    with pytest.raises(ValueError, match="a step of 1 numbers, but others have 2"):
        regressor().fit(ds.dataset(pa.table({"x": [[[1.0, 2.0], [1.0]]]})), [1])


def test_chunks_of_other_channels_are_refused(tmp_path):
    """Even if there are as many numbers as series of one channel would have."""
    pa, ds = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.dataset")
    one, two = pa.table({"x": [[[1.0]], [[2.0]]]}), pa.table({"x": [[[1.0, 2.0]]]})
    for chunks, message in [((one, two), "a step of 2 numbers, but others have 1"), ((two, one), "1 numbers, .* 2")]:
        for stored in (pa.concat_tables(chunks), ds.dataset([ds.dataset(chunk) for chunk in chunks])):
            with pytest.raises(ValueError, match=message):
                regressor().fit(stored, [1, 2, 3])
    with pytest.raises(ValueError, match=r"column 'x' of type list<.*list<.*list<.*; expected columns of numbers"):
        regressor().fit(ds.dataset(pa.table({"x": [[[[1.0]]]]})), [1])


def test_wrong_shapes_are_refused(tmp_path):
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array instead"):
        regressor().fit(memmap(Y, tmp_path), Y)
    with pytest.raises(ValueError, match=r"X has 300 series, but y has 2 values"):
        regressor().fit(memmap(X, tmp_path), Y[:2])
    with pytest.raises(ValueError, match=r"X has 2 channels \(its shape is \(300, 40, 2\)\), but LSTMRegressor was"):
        regressor().fit(X, Y).predict(memmap(X[:, :, :2], tmp_path))
    with pytest.raises(ValueError, match=r"X\[1\] has 2 channels, but X\[0\] has 8"):
        regressor().fit([memmap(X[0], tmp_path), X[1, :, :2]], Y[:2])


def test_paths_are_not_opened_but_the_error_says_how(tmp_path):
    for path in (tmp_path / "X.npy", str(tmp_path / "X.npy")):
        with pytest.raises(ValueError, match=r"To read series from a file, open it: np.load\(X, mmap_mode='r'\)"):
            regressor().fit(path, Y)
    pq, table = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow").table({"step0": Y})
    pq.write_table(table, tmp_path / "X.parquet")
    with pytest.raises(ValueError, match=r"open them as pyarrow.dataset.dataset\(paths\)"):
        regressor().fit(pq.ParquetFile(tmp_path / "X.parquet"), Y)


def test_symbols_are_not_read_from_storage():
    with pytest.raises(ValueError, match=r"X is a Source, which is read from storage; symbols .* pass them in memory"):
        LSTMClassifier(embedding_size=4).fit(Source(), Y > 0)
