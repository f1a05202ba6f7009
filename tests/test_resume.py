"""Trainings that end early and go on from their checkpoints, with the same bits as if they had not."""

import errno
import itertools
import os
import pickle

import numpy as np
import pytest
from helpers import QUICK, assert_refused, assert_same_fit, fitted, run_python, series
from numpy.testing import assert_array_equal

import fastlstm
from fastlstm import LSTMClassifier, LSTMRegressor, files
from fastlstm.estimators import checkpoints as of_estimators
from fastlstm.training.loop import Training

X, Y = series()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "training.checkpoint"


class EndError(Exception):
    """What ends a training in these tests."""


class Interrupted:
    """Within this, a training ends when so many epochs are done and written."""

    def __init__(self, monkeypatch, epochs):
        self._monkeypatch, self._epochs = monkeypatch, epochs

    def __enter__(self):
        write, left = files.write, [self._epochs]

        def counted(*args):
            write(*args)
            left[0] -= 1
            if left[0] == 0:
                raise EndError

        self._monkeypatch.setattr(files, "write", counted)

    def __exit__(self, kind, *_):
        self._monkeypatch.undo()
        assert kind is EndError
        return True


def assert_same_history(one, other):
    assert_same_fit(one, other)
    for name in ("validation_scores_", "validation_loss_curve_", "best_loss_", "n_iter_", "t_", "grad_norm_curve_"):
        assert getattr(one, name) == getattr(other, name), name
    assert_array_equal(one._progress.moments, other._progress.moments)


OPTIONS = {
    "adam": {},
    "sgd": {"solver": "sgd"},
    "adaptive": {"learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1, "max_iter": 99},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 3, "max_iter": 9},
    "tail": {"early_stopping": True, "validation_split": "tail", "validation_fraction": 0.2},
    "dropout": {"dropout": 0.4, "recurrent_dropout": 0.2},
    "pieces": {"bptt_steps": 3},
    "stack": {"num_layers": 2, "hidden_size": (5, 3), "bidirectional": True},
    "chrono gru": {"cell": "gru", "init": "chrono"},
    "float64": {"dtype": "float64"},
}


@pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_training_goes_on_with_the_same_bits(path, monkeypatch, estimator, options):
    options = {"max_iter": 6, **options}
    whole = fitted(estimator, **options)
    for epochs in (1, 3):  # it ends twice
        with Interrupted(monkeypatch, epochs):
            fitted(estimator, checkpoint_path=path, resume=True, **options)
    resumed = fitted(estimator, checkpoint_path=path, resume=True, **options)
    assert_same_history(resumed, whole)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(3)], ids=["none", "instance"])
def test_a_training_without_a_fixed_seed_goes_on_with_its_own(path, monkeypatch, random_state):
    options = {"random_state": random_state, "max_iter": 5, "dropout": 0.3, "checkpoint_path": path}
    with Interrupted(monkeypatch, 2):
        fitted(LSTMRegressor, **options)
    record, _ = files.read(path, "checkpoint")
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    one = fitted(LSTMRegressor, resume=True, **options)
    other = fitted(LSTMRegressor, resume=True, **{**options, "checkpoint_path": copy})
    assert_same_history(one, other)
    assert record["progress"]["epochs"] == 2


def test_a_training_that_was_over_is_there_at_once(path, monkeypatch):
    whole = fitted(LSTMRegressor, checkpoint_path=path, early_stopping=True)
    monkeypatch.setattr("fastlstm.training.loop.Training.epoch", lambda self: pytest.fail("trained again"))
    assert_same_history(fitted(LSTMRegressor, checkpoint_path=path, early_stopping=True, resume=True), whole)


def test_more_epochs_go_on_from_where_fewer_ended(path):
    options = {"learning_rate": "constant", "tol": 0.0, "n_iter_no_change": 99}
    with pytest.warns(UserWarning, match="max_iter=3"):
        fitted(LSTMRegressor, checkpoint_path=path, max_iter=3, **options)
    with pytest.warns(UserWarning, match="max_iter=7"):
        resumed = fitted(LSTMRegressor, checkpoint_path=path, max_iter=7, resume=True, **options)
    with pytest.warns(UserWarning, match="max_iter=7"):
        assert_same_history(resumed, fitted(LSTMRegressor, max_iter=7, **options))


def test_a_resumed_model_is_like_any_other(path, monkeypatch):
    options = {"learning_rate": "constant", "max_iter": 4, "tol": 1e9, "n_iter_no_change": 2}
    whole = fitted(LSTMRegressor, **options)
    with Interrupted(monkeypatch, 2):
        fitted(LSTMRegressor, checkpoint_path=path, **options)
    resumed = fitted(LSTMRegressor, checkpoint_path=str(path), resume=True, **options)
    for model in (whole, resumed):
        model.set_params(checkpoint_path=None, resume=False).partial_fit(X, Y)
    assert_same_history(pickle.loads(pickle.dumps(resumed)), whole)


def test_without_resume_the_file_is_replaced(path):
    fitted(LSTMRegressor, checkpoint_path=path)
    other = fitted(LSTMRegressor, checkpoint_path=path, hidden_size=5)
    assert_same_history(fitted(LSTMRegressor, checkpoint_path=path, hidden_size=5, resume=True), other)


def test_threads_views_and_periods_may_change(path, monkeypatch, four_cpus, capsys):
    whole = fitted(LSTMRegressor, max_iter=4)
    with Interrupted(monkeypatch, 2):
        fitted(LSTMRegressor, checkpoint_path=path, max_iter=4, n_jobs=1)
    changed = {"n_jobs": 3, "verbose": 1, "checkpoint_every": 2, "backend": "auto", "hidden_size": [37]}
    assert_same_history(fitted(LSTMRegressor, checkpoint_path=path, max_iter=4, resume=True, **changed), whole)


def test_a_training_that_began_with_fitted_weights_goes_on_from_its_file(path, monkeypatch):
    options = {"learning_rate": "constant", "tol": 0.0, "n_iter_no_change": 99, "max_iter": 5}
    warns = pytest.warns(UserWarning, match="max_iter")
    with warns:
        model = fitted(LSTMRegressor, **options).set_params(warm_start=True)
    with warns:
        whole = pickle.loads(pickle.dumps(model)).fit(X, Y)
    with Interrupted(monkeypatch, 2):
        model.set_params(checkpoint_path=path).fit(X, Y)
    with warns:
        resumed = fitted(LSTMRegressor, checkpoint_path=path, resume=True, **options)
    assert resumed.n_iter_ == 10
    assert_same_history(resumed, whole)


def interrupted_from_the_keyboard(monkeypatch, epochs, **options):
    """A fit that is interrupted in the epoch after these."""
    epoch, left, model = Training.epoch, [epochs], LSTMRegressor(**{**QUICK, **options})

    def interrupted(self):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        epoch(self)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "epoch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, Y)
    return model


@pytest.mark.parametrize("early_stopping", [False, True])
def test_an_interrupt_from_the_keyboard_leaves_a_checkpoint_and_a_model(path, monkeypatch, early_stopping):
    options = {"max_iter": 9, "early_stopping": early_stopping, "validation_fraction": 0.3, "learning_rate_init": 0.1}
    options |= {"standardize": False, "dropout": 0.0, "init": "standard"}
    stored = {**options, "checkpoint_path": path, "checkpoint_every": "1h"}
    first = interrupted_from_the_keyboard(monkeypatch, 4, **stored)
    assert first.n_iter_ == 4
    assert files.read(path, "checkpoint")[0]["progress"]["epochs"] == 4
    if early_stopping:  # the model is that of the best epoch
        best = int(np.argmax(first.validation_scores_)) + 1
        assert best < 4, "the last epoch is the best: the test shows nothing"
        of_best = interrupted_from_the_keyboard(monkeypatch, best, **options)
        assert_array_equal(of_best.predict(X), first.predict(X))
    second = interrupted_from_the_keyboard(monkeypatch, 0, resume=True, **stored)
    assert_same_history(second, first)
    assert_same_history(model_of(path, **options).fit(X, Y), fitted(LSTMRegressor, **options))


class Stop:
    """A callback that has the second epoch be the last."""

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        return context.task_name == "epoch" and context.task_id == 1

    def teardown(self, estimator, context):
        pass


def test_a_training_that_a_callback_stopped_goes_on_without_it(path):
    pytest.importorskip("sklearn.callback")
    model = LSTMRegressor(**{**QUICK, "checkpoint_path": path, "max_iter": 6}).set_callbacks(Stop()).fit(X, Y)
    assert model.n_iter_ == 2
    assert_same_history(model_of(path, max_iter=6).fit(X, Y), fitted(LSTMRegressor, max_iter=6))


def test_a_bar_begins_where_the_training_goes_on(path, monkeypatch, capsys):
    pytest.importorskip("tqdm")
    with Interrupted(monkeypatch, 2):
        fitted(LSTMRegressor, checkpoint_path=path, max_iter=6)
    fitted(LSTMRegressor, checkpoint_path=path, max_iter=6, resume=True, verbose=2)
    bar = capsys.readouterr().err
    assert " 2/6 " in bar
    assert " 6/6 " in bar.splitlines()[-1]


# -- when -------------------------------------------------------------------------------------------------------


def epochs_written(monkeypatch, path, **options):
    written, write = [], files.write

    def noted(path, kind, record, *args):
        written.append(record["progress"]["epochs"])
        write(path, kind, record, *args)

    monkeypatch.setattr(files, "write", noted)
    fitted(LSTMRegressor, checkpoint_path=path, max_iter=7, **options)
    return written


@pytest.mark.parametrize(
    ("every", "expected"),
    [(1, [1, 2, 3, 4, 5, 6, 7]), (3, [3, 6, 7]), (7, [7]), (50, [7]), ("1h", [7]), ("0.5 min", [7])],
)
def test_epochs_between_checkpoints(monkeypatch, path, every, expected):
    assert epochs_written(monkeypatch, path, checkpoint_every=every) == expected


@pytest.mark.parametrize(
    ("every", "expected"), [("25s", [3, 6, 7]), ("1min", [6, 7]), ("0.001h", [1, 2, 3, 4, 5, 6, 7])]
)
def test_time_between_checkpoints(monkeypatch, path, every, expected):
    """Epochs of ten seconds, on a clock of our own."""
    now = iter(range(0, 1000, 10))

    class Clock:
        monotonic = staticmethod(lambda: next(now))

    monkeypatch.setattr(of_estimators, "time", Clock)
    assert epochs_written(monkeypatch, path, checkpoint_every=every) == expected


# -- killed -----------------------------------------------------------------------------------------------------

KILLS = 20
TRAINING = """
import sys
import numpy as np
from fastlstm import LSTMClassifier

rng = np.random.default_rng(0)
X = [rng.normal(size=(length, 3)) for length in rng.integers(3, 12, 60)]
y = [series[:, 0].sum() > 0 for series in X]
model = LSTMClassifier(
    40, cell="gru", dropout=0.2, recurrent_dropout=0.2, early_stopping=True, n_iter_no_change=5000, batch_size=10,
    learning_rate="cosine", max_iter=1, random_state=0,
)
model.fit(X, y)  # kernels are loaded
model.set_params(checkpoint_path=sys.argv[1] or None, resume=bool(sys.argv[1]), max_iter=300)
"""
TO_THE_END = """
model.fit(X, y)
np.savez(
    sys.argv[2], moments=model._progress.moments, loss=model.loss_curve_, score=model.validation_scores_,
    norm=model.grad_norm_curve_, **model.weights_,
)
"""
#: Forks processes that train and kills them, every other one after its first checkpoint, however slow that is; prints
#: the number of epochs in the checkpoint after each.
KILLED = """
import os, random, signal, time
from fastlstm import files

def written():
    return os.path.exists(sys.argv[1]) and os.stat(sys.argv[1]).st_mtime_ns

moments = random.Random(0)
for number in range(int(sys.argv[2])):
    before = written()
    process = os.fork()
    if process == 0:
        model.fit(X, y)
        os._exit(0)
    while number % 2 and written() == before:
        time.sleep(1e-4)
    time.sleep(moments.uniform(0, 0.02))
    os.kill(process, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert status == -signal.SIGKILL, "a training ended before it was killed"
    print(files.read(sys.argv[1], "checkpoint")[0]["progress"]["epochs"] if os.path.exists(sys.argv[1]) else 0)
"""


@pytest.mark.system
@pytest.mark.skipif(os.name != "posix", reason="there is no kill -9")
def test_a_training_killed_at_random_moments_ends_with_the_same_bits(path, tmp_path):
    run_python("-c", TRAINING + TO_THE_END, "", tmp_path / "whole.npz")
    seen = [int(epochs) for epochs in run_python("-c", TRAINING + KILLED, path, KILLS).split()]
    assert len(seen) == KILLS
    assert seen == sorted(seen)
    assert len(set(seen)) >= KILLS // 2
    run_python("-c", TRAINING + TO_THE_END, path, tmp_path / "resumed.npz")
    with np.load(tmp_path / "whole.npz") as whole, np.load(tmp_path / "resumed.npz") as resumed:
        assert whole.files == resumed.files
        for name in whole.files:
            assert_array_equal(resumed[name], whole[name], err_msg=name)
    assert not list(tmp_path.glob("*.tmp")), "what was half-written is left"


# -- bad input --------------------------------------------------------------------------------------------------


def model_of(path, estimator=LSTMRegressor, **options):
    return estimator(**{**QUICK, "checkpoint_path": path, "resume": True, **options})


def assert_resume_refused(path, model, message, X=X, y=Y, **data):
    before = path.read_bytes()
    assert_refused(lambda: model.fit(X, y, **data), ValueError, message, model)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.fixture
def written(path):
    fitted(LSTMRegressor, checkpoint_path=path)
    return path


DAMAGES = {
    "cut short": (lambda data: data[: len(data) // 2], "is damaged or truncated"),
    "flipped": (lambda data: data[:5000] + bytes([data[5000] ^ 16]) + data[5001:], "is damaged: its checksum"),
    "empty": (lambda data: b"", "is empty, not a fastlstm checkpoint"),
    "other": (lambda data: b"PK" + data, "is not a fastlstm checkpoint"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_named_and_left_alone(written, damage, message):
    written.write_bytes(damage(written.read_bytes()))
    message = rf"training\.checkpoint {message}(.|\n)*was not modified(.|\n)*move it away"
    assert_resume_refused(written, model_of(written), message)


OTHERS = {
    "hidden_size": {"hidden_size": 38},
    "cell": {"cell": "gru"},
    "loss": {"loss": "huber"},
    "dtype": {"dtype": "float64"},
    "dropout": {"dropout": 0.1},
    "alpha": {"alpha": 0.2},
    "max_iter": {"max_iter": 4},  # the cosine is over so many epochs
    "backend": {"backend": "numpy"},  # whose roundings are others
}


@pytest.mark.parametrize(("name", "options"), OTHERS.items(), ids=OTHERS)
def test_a_checkpoint_of_other_parameters(written, name, options):
    ours = next(iter(options.values()))
    message = f"belongs to a fit with {name}=.*, but now {name}={ours!r}: restore it, or set resume=False"
    assert_resume_refused(written, model_of(written, **options), message)


def test_a_checkpoint_of_another_estimator_seed_or_version(written, monkeypatch):
    message = "estimator='LSTMRegressor', but now estimator='LSTMClassifier'"
    model = model_of(written, LSTMClassifier)
    assert_resume_refused(written, model, message, y=Y > 0)
    classifier = fitted(LSTMClassifier, checkpoint_path=written)
    message = "with different labels: pass the same"
    assert_resume_refused(written, model_of(written, LSTMClassifier), message, y=np.where(Y > 0, "b", "a"))
    assert classifier.fit(X, Y > 0).n_iter_ == 3
    fitted(LSTMRegressor, checkpoint_path=written)
    assert_resume_refused(written, model_of(written, random_state=1), "with a different random_state: restore it")
    monkeypatch.setattr(of_estimators, "__version__", "9.9")
    message = f"written by fastlstm {fastlstm.__version__}, but this is version 9.9"
    assert_resume_refused(written, model_of(written), message)


@pytest.mark.parametrize(
    "data",
    [{"X": X + 1}, {"y": Y + 1}, {"sample_weight": np.arange(len(Y)) + 1.0}, {"X_val": X, "y_val": Y}],
    ids=["X", "y", "weights", "validation"],
)
def test_a_checkpoint_of_other_data(written, data):
    assert_resume_refused(written, model_of(written), "with different data: pass the same", **data)


UNWRITABLE = ["no/such/folder/a", "file/a", ".", "link", "circle", "a\0b", "a" * 300]


@pytest.mark.parametrize(
    ("place", "resume"),
    [*itertools.product(UNWRITABLE, [False, True]), ("file", False)],
    ids=lambda value: str(value)[:20],
)
def test_where_no_checkpoint_can_be_written(tmp_path, place, resume, monkeypatch):
    (tmp_path / "file").write_text("my thesis")
    (tmp_path / "link").symlink_to("no/such/folder/a")
    (tmp_path / "circle").symlink_to("circle")
    monkeypatch.setattr("fastlstm.training.loop.Training.epoch", lambda self: pytest.fail("training has begun"))
    model = model_of(tmp_path / place, resume=resume)
    assert_refused(lambda: model.fit(X, Y), ValueError, "checkpoint_path=.* cannot be written: .*Pass the path", model)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["circle", "file", "link"]
    assert (tmp_path / "file").read_text() == "my thesis"


IN_A_CLOSED_FOLDER = """
import os, sys
from fastlstm import LSTMRegressor

if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
for resume in (False, True):
    try:
        LSTMRegressor(4, backend="numpy", checkpoint_path=sys.argv[1], resume=resume).fit([[0, 1], [1, 0]], [1, 0])
    except ValueError as error:
        print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="there are no modes")
def test_a_checkpoint_in_a_closed_folder_is_refused_in_the_same_words(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    without, resumed = run_python("-c", IN_A_CLOSED_FOLDER, closed / "a").splitlines()
    assert without == resumed
    assert "cannot be written: Permission denied. Pass the path of a new file" in resumed


def test_a_checkpoint_that_cannot_be_read_is_refused_in_words(written, monkeypatch):
    def refuse(*args):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(files, "open", refuse, raising=False)
    message = r"Cannot resume from the checkpoint: .* cannot be read: Permission denied\. The file was not modified"
    assert_resume_refused(written, model_of(written), message)


def test_the_last_good_checkpoint_survives_a_disk_that_fills(path, monkeypatch):
    whole, replace, writes = fitted(LSTMRegressor, max_iter=6), os.replace, []

    def full(*args):
        writes.append(args)
        if len(writes) == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(*args)

    monkeypatch.setattr(os, "replace", full)
    model = model_of(path, max_iter=6)
    message = "of epoch 4 could not be written to .*No space left.*of epoch 3 remains valid; free disk space"
    assert_refused(lambda: model.fit(X, Y), OSError, message, model)
    monkeypatch.undo()
    assert files.read(path, "checkpoint")[0]["progress"]["epochs"] == 3
    assert_same_history(model.fit(X, Y), whole)


@pytest.mark.parametrize("there", [False, True])
def test_a_first_checkpoint_that_fails_does_not_lead_back_to_an_earlier_training(path, monkeypatch, there):
    if there:
        fitted(LSTMRegressor, checkpoint_path=path)

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    kept = "The file is of an earlier fit" if there else "There is no checkpoint yet"
    model = model_of(path, resume=False, alpha=0.3)
    assert_refused(lambda: model.fit(X, Y), OSError, f"{kept}; free disk space, and fit again", model)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_interrupt_while_a_checkpoint_replaces_the_last_one_loses_nothing(path, monkeypatch, after):
    replace, calls = os.replace, []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 3 and not after:
            raise KeyboardInterrupt
        replace(*args)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    model = model_of(path, resume=False, max_iter=9)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    assert model.n_iter_ == 3
    monkeypatch.undo()
    whole = model_of(path, resume=False, max_iter=9).set_params(checkpoint_path=None).fit(X, Y)
    assert model.set_params(resume=True).fit(X, Y).loss_curve_ == whole.loss_curve_


def test_an_interrupt_keeps_the_epochs_even_if_the_last_checkpoint_cannot_be_written(path, monkeypatch):
    save = files.write

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def interrupted(*args):
        save(*args)
        monkeypatch.setattr(files, "write", full)
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "write", interrupted)
    model = model_of(path, resume=False, max_iter=9)
    with pytest.raises(OSError, match="could not be written"):
        model.fit(X, Y)
    assert model.n_iter_ == 1


def test_codes_of_another_vocabulary_are_other_data(path):
    texts, shifted = ["abc", "ba"] * 4, ["bcd", "cb"] * 4
    model = LSTMClassifier(4, embedding_size=2, max_iter=2, random_state=0, checkpoint_path=path)
    model.fit(texts, [0, 1] * 4)
    with pytest.raises(ValueError, match="different data: pass the same"):
        model.set_params(resume=True).fit(shifted, [0, 1] * 4)


def test_a_file_that_another_training_writes_is_left_to_it(path, monkeypatch):
    judge, epochs = Training._check_stopping, []

    def disturbed(self):
        judge(self)
        epochs.append(len(epochs))
        if len(epochs) == 2:
            with monkeypatch.context() as patch:
                patch.setattr(Training, "_check_stopping", judge)
                fitted(LSTMRegressor, checkpoint_path=path, alpha=0.3)

    monkeypatch.setattr(Training, "_check_stopping", disturbed)
    model = model_of(path, resume=False)
    message = "has been overwritten by another fit, and was not modified. Each fit needs its own checkpoint_path"
    assert_refused(lambda: model.fit(X, Y), RuntimeError, message, model)
    assert model_of(path, alpha=0.3).fit(X, Y).n_iter_ == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"checkpoint_path": None}, "resume=True requires checkpoint_path"),
        ({"warm_start": True}, "resume=True and warm_start=True are mutually exclusive"),
        ({"checkpoint_every": "soon"}, "checkpoint_every='soon': expected a number of epochs"),
        ({"checkpoint_every": "0s"}, "checkpoint_every='0s'"),
    ],
)
def test_parameters_that_do_not_fit(path, options, message):
    model = model_of(path, **options)
    assert_refused(lambda: model.fit(X, Y), ValueError, message, model)


def test_partial_fit_has_no_checkpoints(path):
    model = model_of(path, resume=False, learning_rate="constant")
    assert_refused(lambda: model.partial_fit(X, Y), ValueError, "partial_fit does not support checkpoint_path", model)
