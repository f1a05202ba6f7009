"""Files of models that are damaged or hostile: refused by `ModelFileError`, in bounded time and memory."""

import copy
import os
import random
import tracemalloc
import warnings

import numpy as np
import pytest
from forgery import damaged, files_of, mutate
from hypothesis import given
from hypothesis import strategies as st
from saved_models import LABELS, MODELS, X, answer, classifier, made

import fastlstm
from fastlstm import ModelFileError, files

#: Forged in each example: with the 3000 examples of `make fuzz`, 100,000 in both tests.
FILES_OF_EXAMPLE = 17 if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz" else 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("forged")


class Saved(dict):
    """Hypothesis writes fixtures into its reports: they need not be long."""

    def __repr__(self):
        return f"{len(self)} models"


@pytest.fixture(scope="module")
def saved(folder):
    """Record, arrays and bytes of each model by name."""
    found = Saved()
    for name in MODELS:
        path = folder / "good.safetensors"
        fastlstm.save(made(name), path)
        found[name] = *files.read(path, "model"), path.read_bytes()
    return found


@pytest.fixture
def unchecked(monkeypatch):
    """Files whose checksums are right, whatever they hold."""
    monkeypatch.setattr(files, "_checksum", lambda record, arrays: "")


def refused_or_used(path, name):
    """Whether a file is refused; if it is not, the model is used, which may raise any exception but must not crash."""
    try:
        model = fastlstm.load(path)
    except ModelFileError:
        return True
    try:
        answer(name, model)
    except Exception:
        return False
    return False


@pytest.mark.parametrize("data", files_of("model").values(), ids=files_of("model"))
def test_a_file_that_is_none_of_ours_is_refused_in_little_memory(folder, data, unchecked):
    path = folder / "none.safetensors"
    path.write_bytes(data)
    fastlstm.load  # noqa: B018 imports what it needs
    tracemalloc.start()
    with pytest.raises(ModelFileError):
        fastlstm.load(path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 100 * len(data) + (1 << 20)


def forged(saved, name, change):
    """The record and the arrays of a model with a change by a function of both."""
    record, arrays, _ = copy.deepcopy(saved[name])
    change(record["estimator"], arrays)
    return record, arrays


def of_model(name, value):
    def change(estimator, arrays):
        estimator["fitted"]["_model"][name] = value

    return change


def of_stack(name, value):
    def change(estimator, arrays):
        estimator["fitted"]["_model"]["stack"][name] = value

    return change


def of_array(name, make):
    def change(estimator, arrays):
        arrays[name] = make(arrays[name])

    return change


def of_pandas(name, parts):
    return lambda estimator, arrays: estimator["params"].update(alpha={"@": f"pandas.{name}", "parts": parts})


RANGE = {"@": "pandas.RangeIndex", "parts": [0, 10**8, 1, None]}
WEIGHT = "_model.weights.weight_hh_l0"
FORGERIES = {
    "a class of another library": lambda estimator, arrays: estimator.update({"@": "os.system"}),
    "a class that is private": lambda estimator, arrays: estimator.update({"@": "known"}),
    "no class": lambda estimator, arrays: estimator.pop("@"),
    "a method in place of another": lambda estimator, arrays: estimator["fitted"].update(predict=3),
    "a property": lambda estimator, arrays: estimator["fitted"].update(weights_=3),
    "a magic attribute": lambda estimator, arrays: estimator["fitted"].update(__class__="x"),
    "an unknown parameter": lambda estimator, arrays: estimator["params"].update(more=3),
    "an invalid parameter": lambda estimator, arrays: estimator["params"].update(solver="magic"),
    "no attributes": lambda estimator, arrays: estimator.pop("fitted"),
    "a list in place of a model": lambda estimator, arrays: estimator["fitted"].update(_model=[]),
    "a stack in place of a model": lambda estimator, arrays: estimator["fitted"].update(
        _model=estimator["fitted"]["_model"]["stack"]
    ),
    **{f"{value!r} inputs": of_stack("input_size", value) for value in (0, -1, 1, 3, 1 << 40, True, 2.0, "2", None)},
    **{
        f"hidden sizes {value!r}": of_stack("hidden_sizes", {"@": "tuple", "values": value})
        for value in ([], [4], [0], [3.0])
    },
    "many layers": of_stack("hidden_sizes", {"@": "tuple", "values": [3] * 10_000}),
    "an unknown cell": of_stack("cell", "brain"),
    "another cell": of_stack("cell", "gru"),
    "both directions": of_stack("bidirectional", True),
    "more classes": of_model("n_targets", 4),
    "no head": lambda estimator, arrays: estimator["fitted"]["_model"]["weights"]["items"].pop(),
    "masked": of_model("masked", True),
    "an embedding": of_model("embedding", 3),
    "weights too short": of_array(WEIGHT, lambda array: array[:5]),
    "weights turned": of_array(WEIGHT, lambda array: array.T.copy()),
    "weights of another type": of_array(WEIGHT, lambda array: array.astype("float64")),
    "weights of integers": of_array(WEIGHT, lambda array: array.astype("int32")),
    "an array more": lambda estimator, arrays: arrays.update(more=np.zeros(3)),
    "an array less": lambda estimator, arrays: arrays.pop(WEIGHT),
    "one array twice": lambda estimator, arrays: estimator["fitted"].update(
        settings_={"@": "array", "name": WEIGHT}
    ),
    "a huge text": lambda estimator, arrays: estimator["fitted"]["classes_"].update(dtype="<U100000000"),
    "a shape": lambda estimator, arrays: estimator["fitted"]["classes_"].update(shape=[1 << 60, 0]),
    "a structured type": lambda estimator, arrays: estimator["fitted"]["classes_"].update(dtype=[["a", "i4"]]),
    "other classes": lambda estimator, arrays: estimator["fitted"]["classes_"].update(values=["a", "b", "c"]),
    "a range in place of a list": lambda estimator, arrays: estimator["params"].update(
        alpha={"@": "tuple", "values": {"@": "range", "ends": [0, 3 * 10**7, 1]}}
    ),
    "a wide scalar": lambda estimator, arrays: estimator["params"].update(
        alpha={"@": "scalar", "dtype": "<U250000000", "value": "a"}
    ),
    "a number over a long index": of_pandas("Series", [{"@": "tuple", "values": ["numpy", 5, None]}, RANGE, None]),
    "an index as an array of stamps": of_pandas("DatetimeIndex", [RANGE, "ns", None, None, None]),
    "a type of Polars that is not ours": lambda estimator, arrays: estimator["params"].update(
        alpha={"@": "polars.Series", "parts": ["a", "Array", [None, None], [[1]]]}
    ),
    "a parameter among the attributes": lambda estimator, arrays: estimator["fitted"].update(alpha=3),
    "nothing fitted": lambda estimator, arrays: (estimator["fitted"].clear(), arrays.clear()),
    "a request": lambda estimator, arrays: estimator.update(requests={"output": {"transform": "pandas"}}),
}  # fmt: skip


@pytest.mark.parametrize("change", FORGERIES.values(), ids=FORGERIES)
def test_what_a_model_cannot_hold_is_refused_in_little_memory(folder, saved, change):
    path = folder / "forged.safetensors"
    files.write(path, "model", *forged(saved, "classifier", change))
    tracemalloc.start()
    with pytest.raises(ModelFileError, match=r"forged\.safetensors, written by fastlstm"):
        fastlstm.load(path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1 << 24


@pytest.mark.parametrize("position", [-5, 625, 10**8])
def test_a_position_beyond_the_numbers_of_a_random_state_is_refused(folder, position):
    """NumPy would read there."""
    path = folder / "random.safetensors"
    fastlstm.save(classifier(random_state=np.random.RandomState(0)).fit(X, LABELS), path)
    record, arrays = files.read(path, "model")
    record["estimator"]["params"]["random_state"]["state"]["values"][2] = position
    files.write(path, "model", record, arrays)
    with pytest.raises(ModelFileError, match="the state of a RandomState"):
        fastlstm.load(path)


def test_differences_without_end_are_refused(folder, saved):
    record, arrays, _ = copy.deepcopy(saved["forecaster"])
    record["estimator"]["fitted"]["_plan"]["differences"]["ordinary"] = 10**8
    files.write(folder / "ends.safetensors", "model", record, arrays)
    with pytest.raises(ModelFileError, match="ordinary cannot be"):
        fastlstm.load(folder / "ends.safetensors")


def test_a_network_of_a_forecaster_with_other_channels_is_refused(folder, saved):
    """The kernels would read beyond the windows."""
    record, arrays, _ = copy.deepcopy(saved["forecaster"])
    network = record["estimator"]["fitted"]["_fitted"]["predictor"]["networks"][0]
    name = next(of["name"] for key, of in network["weights"]["items"] if key == "weight_ih_l0")
    network["stack"]["input_size"], arrays[name] = 5, np.zeros((12, 5), "float32")
    files.write(folder / "wide.safetensors", "model", record, arrays)
    with pytest.raises(ModelFileError, match="a network cannot be"):
        fastlstm.load(folder / "wide.safetensors")


@given(seed=st.integers(0, 1 << 32))
def test_any_forgery_is_refused_or_a_model(folder, saved, seed):
    draw, path = random.Random(seed), folder / "any.safetensors"
    for _ in range(FILES_OF_EXAMPLE):
        name = draw.choice(sorted(saved))
        record, arrays, _ = copy.deepcopy(saved[name])
        for _ in range(draw.randint(1, 3)):
            mutate(record, arrays, draw)
        files.write(path, "model", record, arrays)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            refused_or_used(path, name)


@given(seed=st.integers(0, 1 << 32))
def test_any_bytes_are_refused_and_behind_a_right_checksum_refused_or_a_model(folder, saved, seed):
    draw, path = random.Random(seed), folder / "bytes.safetensors"
    for _ in range(FILES_OF_EXAMPLE):
        name = draw.choice(sorted(saved))
        data = damaged(saved[name][2], draw)
        path.write_bytes(data)
        if data != saved[name][2]:
            with pytest.raises(ModelFileError):
                fastlstm.load(path)
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            patch.setattr(files, "_checksum", lambda record, arrays: _Any())
            warnings.simplefilter("ignore")
            refused_or_used(path, name)


class _Any:
    """Equal to every checksum."""

    def __eq__(self, other):
        return True

    __hash__ = None
