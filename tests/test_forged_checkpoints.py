"""Checkpoints that are whole, but hold what the training cannot have written: refused before anything is computed."""

import copy
import math
import random
import re

import numpy as np
import pytest
from forgery import damaged, files_of, mutate
from helpers import assert_refused, series
from hypothesis import given
from hypothesis import strategies as st

from fastlstm import LSTMRegressor, files

X, Y = series(9, 4, 2)
REFUSED = "(?s)Cannot resume from the checkpoint: .*The file was not modified: replace it by a valid copy"
OPTIONS = {"hidden_size": 3, "max_iter": 3, "learning_rate": "cosine", "random_state": 0, "backend": "numpy"}


def model_of(path, **options):
    return LSTMRegressor(**{**OPTIONS, "checkpoint_path": path, "resume": True, **options})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("forged")


@pytest.fixture(scope="module")
def written(folder):
    """Record and arrays of a training of three epochs, by their options: plain, or with early stopping."""

    def write(**options):
        path = folder / "good.checkpoint"
        model_of(path, resume=False, **options).fit(X, Y)
        return files.read(path, "checkpoint")

    return {"plain": write(), "validated": write(early_stopping=True, validation_fraction=0.3)}


def assert_forgery_refused(path, **options):
    before = path.read_bytes()
    model = model_of(path, **options)
    assert_refused(lambda: model.fit(X, Y), ValueError, REFUSED, model)
    assert path.read_bytes() == before


def changed(name, value):
    """A forgery that gives a number or a list of the progress another value."""

    def change(record, arrays):
        old = record["progress"][name]
        record["progress"][name] = value(old) if callable(value) else value

    return change


def with_array(name, make):
    def change(record, arrays):
        arrays[name] = make(arrays[name])

    return change


def filled(number, row=...):
    def make(array):
        array = array.copy()
        array[row] = number
        return array

    return make


COUNTS = ("updates", "samples", "epochs", "no_improvement", "first_epoch")
LISTS = ("loss_curve", "grad_norm_curve", "rate_curve")
BEST = ("best_loss", "best_loss_of_run", "best_validation_score")
NO_COUNTS = (-1, True, 2.0, "2", None, [2], 1 << 70, math.nan)
NO_LISTS = (None, [], {}, "abc", 5, [1.0, 2.0], [1, 2, 3], [True, 0.5, 0.5], [math.nan] * 3, [[0.5]] * 3, [-1e999] * 3)
FORGERIES = {
    **{f"{name}={value!r}": changed(name, value) for name in COUNTS for value in NO_COUNTS},
    **{f"{name} too large": changed(name, lambda old: old + 1) for name in ("epochs", "samples", "first_epoch")},
    "updates beyond the batches": changed("updates", lambda old: old + 1),
    "no updates": changed("updates", 0),
    **{f"{name}={value!r}": changed(name, value) for name in LISTS for value in NO_LISTS},
    "a negative norm": changed("grad_norm_curve", lambda old: [-1.0, *old[1:]]),
    "a negative past rate": changed("rate_curve", lambda old: [-1.0, *old[1:]]),
    "validated": changed("validation_scores", [0.5]),
    **{f"{name}={value!r}": changed(name, value) for name in BEST for value in (0, 1e-9, None, "1", True, math.nan)},
    **{f"rate={value!r}": changed("rate", value) for value in (-1.0, 1.0, math.inf, math.nan, True, None, "0.1", [])},
    **{f"solver={value!r}": changed("solver", value) for value in ("sgd", None, 1, ["adam"], "x" * 10**6)},
    **{f"stopped={value!r}": changed("stopped", value) for value in ("validation score", "training loss", 1, True, [])},
    "best_parameters": changed("best_parameters", [0.0]),
    **{
        f"{name}, {what}": with_array(name, make)
        for name in ("parameters", "moments")
        for what, make in {
            "too short": lambda a: a[..., :3].copy(),
            "too long": lambda a: np.concatenate([a, a], axis=-1),
            "flat or not": lambda a: a.reshape(-1) if a.ndim == 2 else a[None],
            "no dimension": lambda a: np.zeros((), a.dtype),
            "empty": lambda a: a[..., :0].copy(),
            "of doubles": lambda a: a.astype("float64"),
            "of bytes": lambda a: a.astype("uint8"),
            "NaN": filled(np.nan),
            "infinite": filled(-np.inf),
        }.items()
    },
    "moments of another solver": with_array("moments", lambda a: a[:1].copy()),
    "a negative square": with_array("moments", filled(-1e-9, (1, 2))),
    "an infinite mean": with_array("moments", filled(np.inf, (0, 2))),
    "an array more": lambda record, arrays: arrays.update(more=np.zeros(3)),
    "an array less": lambda record, arrays: arrays.pop("moments"),
    "no arrays": lambda record, arrays: arrays.clear(),
    "best_parameters as an array": lambda record, arrays: arrays.update(best_parameters=arrays["parameters"]),
    "an array in place of a number": lambda record, arrays: arrays.update(rate=np.zeros(3)),
    "a name more": lambda record, arrays: record["progress"].update(more=1),
    "a name less": lambda record, arrays: record["progress"].pop("rate"),
    **{
        f"progress={value!r}": lambda record, arrays, value=value: record.update(progress=value) for value in ([], None)
    },
    **{
        f"seed={value!r}": lambda record, arrays, value=value: record.update(seed=value)
        for value in (-1, True, 0.0, [])
    },
    **{f"{name} missing": lambda record, arrays, name=name: record.pop(name) for name in ("seed", "progress")},
    "no description": lambda record, arrays: record.pop("description"),
    "a description of nothing": lambda record, arrays: record.update(description=[]),
    "more in the record": lambda record, arrays: record.update(more=1),
    "more in the description": lambda record, arrays: record["description"].update(more=None),
    "less in the description": lambda record, arrays: record["description"].pop("longest_lag"),
    "no version": lambda record, arrays: record["description"].pop("fastlstm"),
    "a version that is none": lambda record, arrays: record["description"].update(fastlstm=["\ud800"]),
}
OF_VALIDATED = {
    "no best parameters": lambda record, arrays: (
        arrays.pop("best_parameters"),
        record["progress"].update(best_parameters=None),
    ),
    "best parameters too short": with_array("best_parameters", lambda a: a[:3].copy()),
    "best parameters of no numbers": with_array("best_parameters", filled(np.nan)),
    "no scores": changed("validation_scores", []),
    "a score more": changed("validation_scores", lambda old: [*old, 0.5]),
    "a loss less": changed("validation_loss_curve", lambda old: old[1:]),
    "a score that is none": changed("validation_scores", lambda old: [math.nan, *old[1:]]),
    "a better best": changed("best_validation_score", lambda old: old + 1),
    "stopped by the wrong rule": changed("stopped", "training loss"),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=[name[:50] for name in FORGERIES])
def test_a_checkpoint_that_the_training_cannot_have_written_is_refused(folder, written, forge):
    record, arrays = copy.deepcopy(written["plain"])
    forge(record, arrays)
    files.write(folder / "a.checkpoint", "checkpoint", record, arrays)
    assert_forgery_refused(folder / "a.checkpoint")


@pytest.mark.parametrize("forge", OF_VALIDATED.values(), ids=OF_VALIDATED)
def test_with_early_stopping_scores_and_best_parameters_must_fit(folder, written, forge):
    record, arrays = copy.deepcopy(written["validated"])
    forge(record, arrays)
    files.write(folder / "a.checkpoint", "checkpoint", record, arrays)
    assert_forgery_refused(folder / "a.checkpoint", early_stopping=True, validation_fraction=0.3)


def test_no_kernel_sees_moments_of_the_wrong_size(folder, fast):
    path, options = folder / "moments.checkpoint", {"backend": fast, "hidden_size": 40, "n_jobs": 1}
    model_of(path, resume=False, **options).fit(X, Y)
    record, arrays = files.read(path, "checkpoint")
    record["progress"]["epochs"] = 1
    files.write(path, "checkpoint", record, {**arrays, "moments": arrays["moments"][:, :3].copy()})
    assert_forgery_refused(path, **options)


# -- what no file of ours holds ---------------------------------------------------------------------------------


@pytest.fixture
def unchecked(monkeypatch):
    """Files whose checksums are right, whatever they hold."""
    monkeypatch.setattr(files, "_checksum", lambda record, arrays: "")


@pytest.mark.parametrize("data", files_of("checkpoint").values(), ids=files_of("checkpoint"))
def test_a_file_that_is_none_of_ours_is_refused(folder, data, unchecked):
    path = folder / "b.checkpoint"
    path.write_bytes(data)
    assert_forgery_refused(path)


def test_a_value_nested_deeply_in_the_description_is_refused(folder, written, unchecked):
    record, arrays = copy.deepcopy(written["plain"])
    deep = []
    for _ in range(400):
        deep = [deep]
    record["description"]["alpha"] = deep
    files.write(folder / "c.checkpoint", "checkpoint", record, arrays)
    model = model_of(folder / "c.checkpoint")
    assert_refused(lambda: model.fit(X, Y), ValueError, r"belongs to a fit with alpha=\[.{0,99}, but now", model)


# -- any forgery ------------------------------------------------------------------------------------------------


def refusal_of(model):
    """What `fit` says where it refuses the checkpoint; None where it goes on from it."""
    try:
        model.fit(X, Y)
    except ValueError as error:
        return str(error)
    return None


@given(st.integers(0, 1 << 32))
def test_any_forgery_is_refused_or_trains_on(folder, written, seed):
    draw, path = random.Random(seed), folder / "any.checkpoint"
    kind = draw.choice(sorted(written))
    record, arrays = copy.deepcopy(written[kind])
    for _ in range(draw.randint(1, 3)):
        mutate(record, arrays, draw)
    files.write(path, "checkpoint", record, arrays)
    options = {"early_stopping": True, "validation_fraction": 0.3} if kind == "validated" else {}
    model = model_of(path, **options)
    message = refusal_of(model)
    if message:
        assert re.search(f"{REFUSED}|belongs to a fit with|was written by", message)
        assert vars(model) == vars(model_of(path, **options))
    else:
        assert np.isfinite(model.predict(X)).all()


@given(seed=st.integers(0, 1 << 32))
def test_any_bytes_behind_a_right_checksum_are_refused_or_read(folder, written, seed):
    draw, path = random.Random(seed), folder / "bytes.checkpoint"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_checksum", lambda record, arrays: "")
        files.write(path, "checkpoint", *written["plain"])
        path.write_bytes(damaged(path.read_bytes(), draw))
        message = refusal_of(model_of(path))
    refusals = f"{REFUSED}|belongs to a fit with|was written by|exists and is not a checkpoint"
    assert message is None or re.search(refusals, message)


def test_a_good_checkpoint_is_none_of_these(folder, written):
    files.write(folder / "good.checkpoint", "checkpoint", *written["plain"])
    assert model_of(folder / "good.checkpoint").fit(X, Y).n_iter_ == 3
