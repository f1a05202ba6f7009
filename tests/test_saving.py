"""Files of models: what is loaded is what was saved, and errors that say what cannot be saved."""

import errno
import os
import pickle
import subprocess
import sys
from datetime import date, timedelta, timezone
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from saved_models import LABELS, MODELS, OPTIONS, SERIES, TABLE, X, Y, answer, classifier, forecaster, made
from sklearn import clone, config_context
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
)

import fastlstm
from fastlstm import LSTMClassifier, LSTMRegressor, SequenceEncoder, files
from fastlstm.estimators import pickles
from fastlstm.language import LSTMTranslator

GOLDEN = Path(__file__).parent / "golden" / "models"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def reloaded(model, path):
    fastlstm.save(model, path)
    return fastlstm.load(path)


def name_of(estimator):
    return type(estimator).__name__


def assert_same_state(one, other):
    """That all parameters and attributes are the same."""
    assert vars(one).keys() == vars(other).keys()
    for name, value in vars(one).items():
        theirs = vars(other)[name]
        assert type(value) is type(theirs), name
        if isinstance(value, np.ndarray):
            assert_array_equal(value, theirs, strict=True, err_msg=name)
        elif isinstance(value, (bool, int, float, str, list, dict)):
            assert value == theirs, name


@pytest.mark.parametrize("name", MODELS)
def test_what_is_loaded_answers_with_the_same_bits(name, path):
    model = made(name)
    again = reloaded(model, path)
    assert_array_equal(answer(name, again), answer(name, model), strict=True)
    if not hasattr(model, "steps"):
        assert_same_state(model, again)


@pytest.mark.parametrize("release", sorted(folder.name for folder in GOLDEN.iterdir()))
@pytest.mark.parametrize("name", MODELS)
def test_files_of_every_release_load_for_ever(name, release):
    expected = np.load(GOLDEN / release / "answers.npz")[name]
    model = fastlstm.load(GOLDEN / release / f"{name}.safetensors")
    # NumPy's exponentials and products may differ in the last bits between CPUs
    np.testing.assert_allclose(answer(name, model), expected, rtol=1e-4, atol=1e-6)


def test_all_parameters_come_back_as_they_were(path):
    model = classifier(
        hidden_size=np.array([3, 2]), num_layers=2, random_state=np.random.RandomState(7),
        class_weight={"no": 1, "yes": 2.5}, alpha=np.float32(0.25), verbose=False,
    )  # fmt: skip
    y = np.where(LABELS == "no", "no", "yes")
    model.fit(X, y).set_params(checkpoint_path=path.with_name("a.checkpoint"))
    again = reloaded(model, path)
    for name, value in model.get_params().items():
        if name != "random_state":  # what a RandomState will draw shows below
            assert joblib.hash(getattr(again, name)) == joblib.hash(value), name
    for one in (model, again):
        one.set_params(checkpoint_path=None).fit(X, y)
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_training_goes_on_from_a_file(path):
    model = LSTMRegressor(**OPTIONS).partial_fit(X, Y)
    again = reloaded(model, path)
    for _ in range(2):
        assert_array_equal(again.partial_fit(X, Y).predict(X), model.partial_fit(X, Y).predict(X))


@pytest.mark.parametrize("labels", [["a", "bc"], [True, False], [3, -1], np.array(["a", "b"], object)], ids=repr)
def test_labels_of_every_type(labels, path):
    y = np.array(labels)[np.arange(24) % 2]
    model = classifier().fit(X, y)
    assert_array_equal(reloaded(model, path).predict(X), model.predict(X), strict=True)


SCALERS = (
    MaxAbsScaler(), MinMaxScaler(), Normalizer(), PowerTransformer(), QuantileTransformer(n_quantiles=9), RobustScaler()
)  # fmt: skip


@pytest.mark.parametrize("scaler", SCALERS, ids=name_of)
def test_scalers_of_scikit_learn(scaler, path):
    frame = pd.DataFrame(TABLE, columns=[f"lag_{5 - k}" for k in range(5)])
    model = make_pipeline(scaler.set_output(transform="pandas"), classifier()).fit(frame, LABELS)
    assert_array_equal(reloaded(model, path).predict_proba(frame), model.predict_proba(frame))


DAYS = pd.date_range("2020-01-30", periods=90, freq="D")
FORMS = {
    "dates": pd.Series(SERIES, DAYS, name="sales"),
    "dates with a zone": pd.Series(SERIES, DAYS.tz_localize("Europe/Berlin")),
    "dates with an offset": pd.Series(SERIES, DAYS.tz_localize("+02:00")),
    "months": pd.Series(SERIES, pd.period_range("2020-01", periods=90, freq="M")),
    "numbers": pd.Series(SERIES, range(5, 95)),
    "months as an offset": pd.Series(SERIES, pd.date_range("2000", periods=90, freq=pd.DateOffset(months=1))),
    "business days": pd.Series(SERIES, pd.bdate_range("2020", periods=90)),
    "weeks": pd.Series(SERIES, pd.date_range("2020", periods=90, freq="W-WED")),
    "dict with dates": {date(2020, 1, 1): SERIES, date(2020, 1, 2): SERIES[:70]},
    "wide": pd.DataFrame({"a": SERIES, "b": SERIES[::-1]}, DAYS),
    "dict": {"a": pd.Series(SERIES, DAYS), "b": pd.Series(SERIES[:70], DAYS[:70])},
    "dict with stamps": {pd.Timestamp("2020-01-01"): SERIES, 7: SERIES[:70]},
    "long": pd.DataFrame({"unique_id": ["a"] * 90 + ["b"] * 90, "ds": [*DAYS, *DAYS], "y": [*SERIES, *SERIES]}),
    "categories": pd.DataFrame(
        {"unique_id": pd.Categorical(["a"] * 90 + ["b"] * 90), "ds": [*DAYS, *DAYS], "y": [*SERIES, *SERIES]}
    ),
    "nullable": pd.Series(SERIES, DAYS).astype("Float64"),
    "Polars, dates": pl.DataFrame({"day": pl.Series(DAYS).cast(pl.Date), "y": SERIES}),
    "Polars, times": pl.DataFrame({"time": pl.Series(DAYS).dt.replace_time_zone("Asia/Seoul"), "y": SERIES}),
    "Polars, long": pl.DataFrame({"unique_id": ["a"] * 90, "ds": pl.Series(DAYS), "y": SERIES}),
}


@pytest.mark.parametrize("y", FORMS.values(), ids=FORMS)
def test_forecasts_keep_the_form_of_the_series(y, path):
    model = forecaster(max_iter=1).fit(y)
    expected, found = model.predict(), reloaded(model, path).predict()
    if isinstance(expected, pd.Series):
        pd.testing.assert_series_equal(found, expected)
    elif isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        assert all(type(found[key]) is type(expected[key]) for key in expected)
        assert all(np.array_equal(found[key], expected[key]) for key in expected)
    else:
        assert found.equals(expected)
        assert found.schema == expected.schema


LOST = {
    "holidays": pd.date_range("2020", periods=90, freq=pd.offsets.CustomBusinessDay(holidays=["2020-05-07"])),
    "days of the week": pd.date_range("2020", periods=90, freq=pd.offsets.CustomBusinessDay(weekmask="Mon Tue")),
    "normalised months": pd.date_range("2020", periods=90, freq=pd.offsets.MonthEnd(normalize=True)),
    "a zone of another meaning": pd.date_range("2020", periods=90, freq="h", tz=timezone(timedelta(hours=5), "EST")),
    "seconds of a zone": pd.date_range("2020", periods=90, freq="h", tz=timezone(timedelta(seconds=3661))),
}


@pytest.mark.parametrize("index", LOST.values(), ids=LOST)
def test_stamps_that_would_not_come_back_as_they_were_are_not_saved(index, path):
    model = forecaster(max_iter=1).fit(pd.Series(SERIES, index))
    with pytest.raises(TypeError, match="which a model file cannot hold"):
        fastlstm.save(model, path)
    assert not path.exists()


def test_a_vocabulary_with_a_long_word(path):
    words = [f"w{k:04d}" for k in range(6000)]
    X = [[*words[k : k + 50], "https://example.org/" + "x" * 250] for k in range(0, 6000, 50)]
    model = classifier(embedding_size=2, max_iter=1).fit(X, [0, 1] * 60)
    assert_array_equal(reloaded(model, path).predict_proba(X[:3]), model.predict_proba(X[:3]))


def test_a_loaded_pipeline_has_no_cache_of_pickles(path):
    model = made("pipeline").set_params(memory="a folder")
    assert reloaded(model, path).memory is None


def test_a_loaded_forecaster_goes_on(path):
    y = FORMS["dates"]
    model = forecaster().fit(y[:80])
    again = reloaded(model, path)
    pd.testing.assert_series_equal(again.update(y[80:]).predict(), model.update(y[80:]).predict())


def test_covariates_and_features_of_the_calendar(path):
    known = pd.DataFrame({"x": np.arange(93.0), "k": ["u", "v", "w"] * 31}, pd.date_range("2020-01-30", periods=93))
    model = forecaster(embedding_size=2, calendar=["dayofweek"]).fit(FORMS["dates"], known[:90])
    pd.testing.assert_series_equal(reloaded(model, path).predict(X=known[90:]), model.predict(X=known[90:]))


def test_requests_for_metadata_come_back(path):
    with config_context(enable_metadata_routing=True):
        model = classifier().set_fit_request(sample_weight="mine").fit(X, LABELS)
        again = reloaded(model, path)
        assert again.get_metadata_routing().fit.requests == model.get_metadata_routing().fit.requests


def test_others_can_read_the_weights(path):
    from safetensors.numpy import load_file

    model = classifier().fit(X, LABELS)
    fastlstm.save(model, path)
    arrays = load_file(path)
    for name, value in model.weights_.items():
        assert_array_equal(arrays[f"_model.weights.{name}"], value)


def test_nothing_is_unpickled_and_no_library_of_tables_is_needed(path):
    fastlstm.save(made("forecaster"), path)
    code = (
        "import sys, pickle\n"
        "sys.modules['polars'] = None\n"
        "import fastlstm\n"
        "def refuse(*args, **kwargs): raise AssertionError('unpickled')\n"
        "pickle.load = pickle.loads = pickle.Unpickler = refuse\n"
        f"fastlstm.load({str(path)!r}).predict()\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- what cannot be saved -------------------------------------------------------------------------------------------


class Mine(LSTMClassifier):
    """A class that no file can name."""


LOOP = []
LOOP.append(LOOP)
UNSAVABLE = {
    "another estimator": (lambda: Ridge().fit(TABLE, Y), r"Ridge cannot be saved; exp"),
    "a subclass": (lambda: Mine(**OPTIONS).fit(X, LABELS), r"test_saving\.Mine cannot be saved"),
    "no estimator": (lambda: {"a": 1}, r"builtins\.dict cannot be saved"),
    "arguments in the wrong order": (lambda: "model.safetensors", "pass the estimator first, then the path"),
    "a search": (
        lambda: GridSearchCV(classifier(), {"alpha": [0]}, cv=2).fit(X, LABELS),
        "GridSearchCV cannot be saved.*pass its best_estimator_",
    ),
    "a step of a pipeline": (
        lambda: make_pipeline(FunctionTransformer(np.sign), classifier()).fit(TABLE, LABELS),
        r"steps\[0\].* is of type sklearn\.preprocessing\._function_transformer\.FunctionTransformer, which a model",
    ),
    "an attribute of yours": (
        lambda: vars(model := classifier().fit(X, LABELS)).update(note=object()) or model,
        r"note is of type builtins\.object, which a model file cannot hold",
    ),
    "an attribute that contains itself": (
        lambda: vars(model := classifier().fit(X, LABELS)).update(loop=LOOP) or model,
        "an attribute contains itself, or is nested too deeply",
    ),
    "a parameter of your own class": (
        lambda: classifier().fit(X, LABELS).set_params(checkpoint_path=type("P", (), {"__fspath__": str})()),
        r"checkpoint_path is of type test_saving\.P, which",
    ),
}


@pytest.mark.parametrize(("make", "message"), UNSAVABLE.values(), ids=UNSAVABLE)
def test_what_cannot_be_saved_is_named_and_the_old_file_stays(make, message, path):
    path.write_bytes(b"old")
    with pytest.raises(TypeError, match=message):
        fastlstm.save(make(), path)
    assert path.read_bytes() == b"old"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "model",
    [classifier(), SequenceEncoder(classifier()), forecaster(), LSTMTranslator()],
    ids=name_of,
)
def test_what_is_not_fitted_is_not_saved(model, path):
    with pytest.raises(NotFittedError):
        fastlstm.save(model, path)
    assert not path.exists()


def test_an_invalid_parameter_is_noticed_before_anything_is_written(path):
    with pytest.raises(ValueError, match="'solver' parameter"):
        fastlstm.save(classifier().fit(X, LABELS).set_params(solver="magic"), path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("name", "error"),
    [("no/such/folder", FileNotFoundError), (".", OSError), ("model.safetensors/b", NotADirectoryError)],
)
def test_where_nothing_can_be_written(name, error, path):
    model = made("regressor")
    fastlstm.save(model, path)
    with pytest.raises(error):
        fastlstm.save(model, path.parent / name)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_or_a_device_is_not_replaced(path):
    os.mkfifo(path)
    with pytest.raises(OSError, match="Is a device or a pipe, not a file"):
        fastlstm.save(made("regressor"), path)
    assert path.is_fifo()
    with pytest.raises(fastlstm.ModelFileError, match="is not a file"):
        fastlstm.load(path)


def test_a_read_only_file_is_not_replaced(path, monkeypatch):
    fastlstm.save(made("regressor"), path)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as for users who are not administrators
    with pytest.raises(PermissionError, match="Is read-only"):
        fastlstm.save(made("classifier"), path)
    monkeypatch.undo()
    assert isinstance(fastlstm.load(path), LSTMRegressor)


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_links_in_a_circle_are_an_error(path):
    path.symlink_to(path)
    with pytest.raises(OSError, match="symbolic links"):
        fastlstm.save(made("regressor"), path)


SPOILT = {
    "no head": lambda model: model.weights_.pop("head.weight"),
    "a list": lambda model: model.weights_.update({"head.bias": [0.0]}),
    "another type": lambda model: model.weights_.update({"head.bias": model.weights_["head.bias"].astype("float64")}),
    "an attribute without a proper name": lambda model: vars(model).update({"my attribute": 1}),
    "an attribute in place of a method": lambda model: vars(model).update(predict=1),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_what_could_not_be_loaded_is_not_saved(spoil, path):
    model = made("regressor")
    spoil(model)
    with pytest.raises(ValueError, match="The estimator cannot be saved: "):
        fastlstm.save(model, path)
    assert not path.exists()


def test_a_checkpoint_is_not_replaced_by_a_model(path):
    model = classifier(checkpoint_path=path).fit(X, LABELS)
    with pytest.raises(FileExistsError, match="Is a fastlstm checkpoint, not a model"):
        fastlstm.save(model, path)
    model.set_params(resume=True).fit(X, LABELS)


def test_weights_that_are_not_finite_are_not_saved(path):
    model = made("regressor")
    model.weights_["head.bias"][:] = np.nan
    with pytest.raises(ValueError, match=r"cannot be saved: weights of head\.bias are not finite"):
        fastlstm.save(model, path)
    assert not path.exists()


def test_the_old_file_survives_a_full_disk(path, monkeypatch):
    fastlstm.save(made("regressor"), path)
    before = path.read_bytes()

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=f"No space left.*{path.name}'"):
        fastlstm.save(made("classifier"), path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_file_that_is_not_there():
    with pytest.raises(FileNotFoundError):
        fastlstm.load("no such file")


def test_a_checkpoint_is_no_model(path):
    classifier(checkpoint_path=path).fit(X, LABELS)
    with pytest.raises(fastlstm.ModelFileError, match="is a fastlstm checkpoint, not a fastlstm model"):
        fastlstm.load(path)


def test_a_file_of_a_later_version_names_that_version(path, monkeypatch):
    fastlstm.save(made("regressor"), path)
    record, arrays = files.read(path, "model")
    record["fastlstm"], record["estimator"]["params"]["of_the_future"] = "99.1", 3
    files.write(path, "model", record, arrays)
    with pytest.raises(fastlstm.ModelFileError, match=r"written by fastlstm '99\.1'.*of_the_future"):
        fastlstm.load(path)


def test_strings_of_numpy_are_saved_as_plain_ones(path):
    model = made("regressor").set_params(precision=np.str_("bfloat16"))
    fastlstm.save(model, path)
    assert type(fastlstm.load(path).precision) is str


def test_what_an_earlier_version_did_not_know_has_its_default(path):
    fastlstm.save(made("regressor"), path)
    record, arrays = files.read(path, "model")
    del record["estimator"]["params"]["clip_norm"]
    del record["estimator"]["fitted"]["_model"]["embedding"]
    files.write(path, "model", record, arrays)
    assert fastlstm.load(path).clip_norm == LSTMRegressor().clip_norm


# -- pickles ----------------------------------------------------------------------------------------------------------


def test_a_pickle_of_the_first_release_predicts_trains_and_is_cloned():
    with open(GOLDEN.parent / "0.1.0.pkl", "rb") as file:
        old = pickle.load(file)
    np.testing.assert_allclose(old["classifier"].predict_proba(old["X"]), old["probabilities"], rtol=1e-4)
    regressor = old["regressor"]
    np.testing.assert_allclose(regressor.predict(old["X"]), old["predictions"], rtol=1e-4)
    assert regressor.partial_fit(old["X"], old["predictions"]).n_iter_ == 3
    assert np.isnan(regressor.learning_rate_curve_).tolist() == [True, True, False]
    assert clone(regressor).get_params() == {**LSTMRegressor().get_params(), **OPTIONS, "hidden_size": 4}
    assert old["scaler"].transform(old["X"]).shape == old["X"].shape
    assert old["encoder"].transform(old["X"]).shape == (30, 4)


@pytest.mark.parametrize("name", ["classifier of symbols", "forecaster", "translator"])
def test_a_pickle_of_a_later_release_is_refused_by_that_version(name, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(pickles, "__version__", "9.9.9")
        data = pickle.dumps(made(name))
    with pytest.raises(ValueError, match=r"was pickled by fastlstm 9\.9\.9, but this is version"):
        pickle.loads(data)


@pytest.mark.parametrize("name", ["classifier of symbols", "pipeline", "forecaster", "translator"])
@pytest.mark.parametrize("library", ["joblib", "cloudpickle", "skops"])
def test_round_trips_of_others(name, library, path):
    model = made(name)
    if library == "joblib":
        joblib.dump(model, path)
        again = joblib.load(path)
    elif library == "cloudpickle":
        cloudpickle = pytest.importorskip("cloudpickle")
        again = pickle.loads(cloudpickle.dumps(model))
    else:
        skops = pytest.importorskip("skops.io")
        data = skops.dumps(model)
        again = skops.loads(data, trusted=skops.get_untrusted_types(data=data))
    assert_array_equal(answer(name, again), answer(name, model), strict=True)
