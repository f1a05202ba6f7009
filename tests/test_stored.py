"""Fits and predictions on series that are read from storage have the bits of those in memory."""

import numpy as np
import pytest

from fastlstm import LSTMClassifier, LSTMRegressor, SequenceEncoder, SequenceScaler

N, T, C = 60, 12, 3
RNG = np.random.default_rng(0)
WHOLE = RNG.normal(5, 3, (N, T, C))
LENGTHS = RNG.integers(3, T + 1, N)
PADDED = np.where(np.arange(T)[:, None] < LENGTHS[:, None, None], WHOLE, np.nan)
WITH_GAPS = np.where(RNG.random(WHOLE.shape) < 0.3, np.nan, WHOLE)
WITH_GAPS[:, 0] = WHOLE[:, 0]
WITH_GAPS[:, 0, 1] = np.nan
MEMBERS = [x[:length] for x, length in zip(WHOLE, LENGTHS, strict=True)]
Y, WEIGHTS = WHOLE[:, 0, 0] + WHOLE[:, 2, 1], RNG.random(N)


class Source:
    """The least that a source of series must have; counts what is read at a time."""

    def __init__(self, members):
        self.members, self.most = members, 0

    def lengths(self):
        return [len(member) for member in self.members]

    def read(self, rows):
        self.most = max(self.most, len(rows))
        return [self.members[n] for n in rows]


def memmap(array, folder):
    number = len(list(folder.iterdir()))
    np.save(folder / f"{number}.npy", array)
    return np.load(folder / f"{number}.npy", mmap_mode="r")


def hdf5(array, folder):
    h5py = pytest.importorskip("h5py")
    return h5py.File(folder / f"{len(list(folder.iterdir()))}.h5", "w").create_dataset("X", data=array)


def zarr(array, folder):
    library = pytest.importorskip("zarr")
    out = library.create_array(
        folder / f"{len(list(folder.iterdir()))}.zarr", shape=array.shape, chunks=(7, *array.shape[1:]),
        dtype=array.dtype,
    )  # fmt: skip
    out[:] = array
    return out


def members_in_files(members, folder):
    return [memmap(member, folder) for member in members]


def as_source(members, folder):
    return Source(list(members))


def table(columns):
    return pytest.importorskip("pyarrow").table(columns)


def arrow(members, folder):
    if isinstance(members, np.ndarray):
        return table({f"step{t}": members[:, t] for t in range(members.shape[1])})
    return table({"series": [member.tolist() for member in members]})


def parquet(members, folder):
    pytest.importorskip("pyarrow.parquet").write_table(arrow(members, folder), folder / "X.parquet", row_group_size=7)
    return pytest.importorskip("pyarrow.dataset").dataset(folder / "X.parquet")


def fit(X, y=Y, sample_weight=None, estimator=LSTMRegressor, **params):
    params = {"max_iter": 2, "batch_size": 16, "learning_rate": "cosine", "random_state": 0, "n_jobs": 1, **params}
    return estimator(5, **params).fit(X, y, sample_weight)


def assert_same_arrays(ours, expected):
    if isinstance(expected, list):
        assert isinstance(ours, list)
        assert all(np.array_equal(a, b) for a, b in zip(ours, expected, strict=True))
    else:
        np.testing.assert_array_equal(ours, expected)


def assert_same(stored, X, y=Y, sample_weight=None, **params):
    """A fit to `stored`, predictions and hidden states have the same bits as with X in memory."""
    expected, model = fit(X, y, sample_weight, **params), fit(stored, y, sample_weight, **params)
    for name, weights in expected.weights_.items():
        np.testing.assert_array_equal(model.weights_[name], weights, err_msg=name)
    assert model.validation_scores_ == expected.validation_scores_
    assert_same_arrays(model.predict(stored), expected.predict(X))
    assert_same_arrays(model.hidden_states(stored), expected.hidden_states(X))
    assert model.score(stored, y, sample_weight) == expected.score(X, y, sample_weight)


STOP = {"early_stopping": True}


@pytest.mark.parametrize("read", [memmap, hdf5, zarr])
@pytest.mark.parametrize("X", [WHOLE.astype("f4"), PADDED, (10 * WHOLE).astype("i4")], ids=["f4", "padded f8", "i4"])
@pytest.mark.parametrize("params", [{"standardize": True, **STOP}, {"standardize": False, "bptt_steps": 5}], ids=str)
def test_arrays_have_the_bits_of_memory(read, X, params, tmp_path):
    assert_same(read(X, tmp_path), X, **params)


@pytest.mark.parametrize(
    ("X", "params"),
    [
        (WHOLE, {"dropout": 0.3, "recurrent_dropout": 0.2}),
        (PADDED.astype("f4"), {"dtype": "float64", "standardize": False}),
        (PADDED.astype("f4"), {"bptt_steps": 4}),
        (WHOLE.astype(">f4"), {}),
        (WHOLE[:, :, 0].astype("f4"), {}),
        (WHOLE[:, :, 0], {"time_order": "newest_first"}),
        (WHOLE, {"layout": "sktime"}),
        (WHOLE, {"n_jobs": 2, "bidirectional": True}),
    ],
    ids=str,
)
def test_options_have_the_bits_of_memory(X, params, tmp_path):
    assert_same(memmap(X, tmp_path), X, sample_weight=WEIGHTS, **params)


@pytest.mark.parametrize("bptt_steps", [None, 1, 5])
@pytest.mark.parametrize("standardize", [False, True])
def test_missing_values_are_filled_across_chunks(bptt_steps, standardize, tmp_path):
    X = np.where(np.isnan(PADDED), np.nan, WITH_GAPS).astype("f4")
    assert_same(memmap(X, tmp_path), X, missing="mask", bptt_steps=bptt_steps, standardize=standardize)


@pytest.mark.parametrize("read", [members_in_files, as_source, arrow, parquet])
@pytest.mark.parametrize("params", [STOP, {"bptt_steps": 4, "missing": "mask"}], ids=str)
def test_series_of_unequal_lengths_have_the_bits_of_memory(read, params, tmp_path):
    assert_same(read(MEMBERS, tmp_path), MEMBERS, **params)


@pytest.mark.parametrize("read", [arrow, parquet])
def test_tables_are_read_as_data_frames_are(read, tmp_path):
    X = WHOLE[:, :, 0]
    frame, stored = arrow(X, tmp_path).to_pandas(), read(X, tmp_path)
    assert_same(stored, frame)
    assert fit(stored).feature_names_in_.tolist() == frame.columns.tolist()
    with pytest.raises(ValueError, match="feature names should match"):
        fit(stored).predict(arrow(X, tmp_path).rename_columns([f"other{t}" for t in range(T)]))


def test_data_sets_of_several_files_and_filters(tmp_path):
    ds = pytest.importorskip("pyarrow.dataset")
    rows = WHOLE[:, :, 0]
    ds.write_dataset(arrow(rows, tmp_path), tmp_path, format="parquet", max_rows_per_file=25, max_rows_per_group=10)
    stored = ds.dataset(tmp_path)
    assert_same(stored, arrow(rows, tmp_path).to_pandas())
    positive = rows[:, 0] > 5
    assert_same(stored.filter(ds.field("step0") > 5), arrow(rows[positive], tmp_path).to_pandas(), Y[positive])


@pytest.mark.parametrize("members", [MEMBERS, [member[:, 0] for member in MEMBERS]], ids=["nested", "flat"])
def test_chunks_and_files_without_series(members, tmp_path):
    pa, ds, parquet = (pytest.importorskip(f"pyarrow{name}") for name in ("", ".dataset", ".parquet"))
    whole = arrow(members, tmp_path)
    chunks = whole[:5], whole[:0], whole[5:]
    assert_same(pa.concat_tables(chunks), members)
    for number, chunk in enumerate(chunks):
        parquet.write_table(chunk, tmp_path / f"{number}.parquet")
    assert_same(ds.dataset(tmp_path).filter(ds.field("series").is_valid()), members)


@pytest.mark.parametrize("read", [hdf5, zarr])
@pytest.mark.parametrize("X", [WHOLE, PADDED], ids=["whole", "padded"])
def test_targets_and_weights_may_be_stored(read, X, tmp_path):
    of_steps = np.nan_to_num(X[:, :, 0])
    assert_same(read(X, tmp_path), X, read(of_steps, tmp_path), return_sequences=True, bptt_steps=5)
    assert_same(read(X, tmp_path), X, read(Y, tmp_path), read(WEIGHTS, tmp_path))


def test_classifiers_and_partial_fits_have_the_bits_of_memory(tmp_path):
    X, labels = WHOLE.astype("f4"), np.where(Y > 10, "high", "low")
    models = [
        LSTMClassifier(5, batch_size=16, random_state=0).partial_fit(data, labels, classes=["high", "low"])
        for data in (X, memmap(X, tmp_path))
    ]
    expected, model = (
        model.partial_fit(data, labels) for model, data in zip(models, (X, hdf5(X, tmp_path)), strict=True)
    )
    np.testing.assert_array_equal(model.predict_proba(memmap(X, tmp_path)), expected.predict_proba(X))
    encoder = SequenceEncoder(model).fit(None)
    np.testing.assert_array_equal(encoder.transform(hdf5(X, tmp_path)), encoder.transform(X))


def test_series_longer_than_a_block_are_read_in_ranges_of_steps(tmp_path, monkeypatch):
    for module in ("sequences", "storage.sources", "storage.stored"):
        monkeypatch.setattr(f"fastlstm.{module}.BLOCK_VALUES", 10)
    for X in (PADDED, WHOLE, WHOLE[:, :, 0]):
        assert_same(memmap(X, tmp_path), X, bptt_steps=2, standardize=True)
    assert_same(as_source(MEMBERS, tmp_path), MEMBERS, standardize=True)
    with pytest.raises(ValueError, match=r"X\[7\] has no steps"):
        fit(memmap(np.where(np.arange(N)[:, None, None] == 7, np.nan, PADDED), tmp_path))
    wrong = PADDED.copy()
    wrong[5, 1, 2] = np.inf
    with pytest.raises(ValueError, match=r"contains infinity .* in series 5, step 1, channel 2"):
        fit(memmap(wrong, tmp_path))


@pytest.mark.parametrize("from_file", [False, True])
@pytest.mark.filterwarnings("ignore:Training was still improving")
def test_checkpoints_know_the_data_wherever_they_are(from_file, tmp_path):
    stored = memmap(PADDED, tmp_path)
    X, other = (stored, PADDED) if from_file else (PADDED, stored)
    params = {"checkpoint_path": tmp_path / "checkpoint", "early_stopping": True, "learning_rate": "constant"}
    fit(X, max_iter=1, **params)
    resumed = fit(other, max_iter=2, resume=True, **params)
    assert resumed.loss_curve_ == fit(X, **{**params, "checkpoint_path": None}).loss_curve_
    with pytest.raises(ValueError, match="different data"):
        fit(other + 1, max_iter=3, resume=True, **params)


@pytest.mark.parametrize("method", ["standard", "minmax", "robust"])
@pytest.mark.parametrize("read", [memmap, hdf5])
def test_scalers_read_blocks(method, read, tmp_path, monkeypatch):
    monkeypatch.setattr("fastlstm.storage.stored.BLOCK_VALUES", 100)
    X = np.where(np.isnan(PADDED), np.nan, WITH_GAPS)
    expected, scaler = SequenceScaler(method).fit(X), SequenceScaler(method).fit(read(X, tmp_path))
    np.testing.assert_allclose(scaler.scale_, expected.scale_, rtol=1e-12)
    if method != "robust":
        assert np.array_equal(scaler.n_samples_seen_, expected.n_samples_seen_)
        expected.partial_fit(WHOLE), scaler.partial_fit(Source(list(WHOLE)))
        np.testing.assert_allclose(scaler.scale_, expected.scale_, rtol=1e-12)
    np.testing.assert_allclose(scaler.transform(read(X, tmp_path)), expected.transform(X), rtol=1e-9)


def test_steps_that_a_layout_leaves_out_are_left_out_of_a_file(tmp_path):
    table = np.random.default_rng(0).normal(size=(60, 8))
    table[:20, :3] = np.nan  # series that begin later
    assert_same(memmap(table, tmp_path), table, table[:, -1], layout="sktime")
