"""Callbacks of scikit-learn 1.9 and later on our estimators."""

import copy
import io
import pickle
from contextlib import redirect_stdout

import numpy as np
import pytest
from helpers import bare, run_python
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from fastlstm import LSTMClassifier, LSTMRegressor, SequenceScaler
from fastlstm.estimators import fitting
from fastlstm.training.loop import Training

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has no callbacks before 1.9")
QUICK = {"hidden_size": 4, "max_iter": 3, "learning_rate": "cosine", "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore:Training was still improving")


def data(estimator=LSTMRegressor):
    X = np.random.default_rng(0).normal(size=(24, 5, 2))
    y = X[:, :, 0].sum(axis=1)
    return X, np.where(y > 0, "up", "down") if estimator is LSTMClassifier else y


@pytest.fixture(params=[LSTMClassifier, LSTMRegressor])
def estimator(request):
    return request.param


class Quiet:
    """A callback that asks for nothing."""

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        pass


class Recorder(Quiet):
    """Notes every call, and what comes with it."""

    def __init__(self):
        self.calls = []

    def names(self):
        return [(name, context.task_name) for name, context, _ in self.calls]

    def given(self, name):
        return [given for called, _, given in self.calls if called == name]

    def setup(self, estimator, context):
        self.calls.append(("setup", context, None))

    def teardown(self, estimator, context):
        self.calls.append(("teardown", context, None))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.calls.append(("begin", context, (X, y, metadata, fitted_estimator)))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.calls.append(("end", context, (X, y, metadata, fitted_estimator)))


class Stop(Quiet):
    """Asks to stop at the end of the n-th epoch."""

    def __init__(self, n):
        self.n = n

    def on_fit_task_end(self, estimator, context):
        return context.task_name == "epoch" and context.task_id == self.n - 1


class Raise(Quiet):
    """Fails in one of its methods, on a task of that name."""

    def __init__(self, at, task="fit", error=ZeroDivisionError):
        self.at, self.task, self.error, self.ended = at, task, error, 0

    def _pass(self, name, context):
        if (name, context.task_name) == (self.at, self.task):
            raise self.error(name)

    def setup(self, estimator, context):
        self._pass("setup", context)

    def teardown(self, estimator, context):
        self.ended += 1
        self._pass("teardown", context)

    def on_fit_task_begin(self, estimator, context):
        self._pass("begin", context)

    def on_fit_task_end(self, estimator, context):
        self._pass("end", context)


def private(model):
    return {name for name in vars(model) if "callback" in name}


def test_a_fit_is_a_task_and_each_epoch_a_part_of_it(estimator):
    recorder = Recorder()
    model = bare(estimator, **QUICK).set_callbacks(recorder).fit(*data(estimator))
    epochs = [("begin", "epoch"), ("end", "epoch")] * 3
    assert recorder.names() == [("setup", "fit"), ("begin", "fit"), *epochs, ("end", "fit"), ("teardown", "fit")]
    contexts = [context for name, context, _ in recorder.calls if name == "end"]
    assert [context.task_id for context in contexts] == [0, 1, 2, 0]
    assert contexts[-1].max_subtasks == 3
    assert all(context.parent is contexts[-1] for context in contexts[:-1])
    assert private(model) == {"_skl_callbacks"}


def test_callbacks_change_nothing(estimator):
    X, y = data(estimator)
    model, plain = (bare(estimator, **QUICK) for _ in range(2))
    model.set_callbacks(Recorder()).fit(X, y)
    plain.fit(X, y)
    assert model.loss_curve_ == plain.loss_curve_
    for name, value in plain.weights_.items():
        assert_array_equal(model.weights_[name], value)


def test_tasks_come_with_the_data(estimator):
    (X, y), weights = data(estimator), np.arange(24.0)
    for sample_weight, metadata in [(None, None), (weights, {"sample_weight": weights})]:
        recorder = Recorder()
        bare(estimator, **QUICK).set_callbacks(recorder).fit(X, y, sample_weight)
        for given in recorder.given("begin") + recorder.given("end"):
            assert given[0] is X
            assert given[1] is y
            assert given[2] == metadata


@pytest.mark.parametrize("early_stopping", [False, True])
def test_an_epoch_comes_with_the_model_so_far(estimator, early_stopping):
    X, y = data(estimator)
    options = {**QUICK, "learning_rate": "constant", "early_stopping": early_stopping}
    recorder = Recorder()
    model = bare(estimator, **options).set_callbacks(recorder).fit(X, y, X_val=X, y_val=y)
    *epochs, (*_, last) = recorder.given("end")
    names = {name for name in vars(model) if name.endswith("_") and not name.startswith("_")}
    for n, (*_, so_far) in enumerate(epochs, 1):
        expected = bare(estimator, **{**options, "max_iter": n, "early_stopping": False}).fit(X, y, X_val=X, y_val=y)
        assert so_far is not model
        assert names <= vars(so_far).keys()
        assert so_far.n_iter_ == n
        for name in ("loss_", "loss_curve_", "grad_norm_curve_", "validation_scores_", "validation_loss_curve_", "t_"):
            assert getattr(so_far, name) == getattr(expected, name)
        assert_array_equal(so_far.predict(X), expected.predict(X))
    assert_array_equal(last.predict(X), model.predict(X))
    before, *begun = [given[3] for given in recorder.given("begin")[1:]]
    assert (before.n_iter_, before.loss_curve_) == (0, [])
    assert before.predict(X).shape == (24,)
    assert_array_equal(begun[0].predict(X), epochs[0][3].predict(X))


def test_a_model_so_far_can_be_trained_on_by_itself():
    X, y = data()
    recorder, options = Recorder(), {**QUICK, "learning_rate": "constant", "max_iter": 4}
    model = bare(LSTMRegressor, **options).set_callbacks(recorder).fit(X, y)
    so_far = recorder.given("end")[1][3]
    so_far.partial_fit(X, y).partial_fit(X, y)
    assert so_far.loss_curve_ == model.loss_curve_
    assert_array_equal(so_far.predict(X), model.predict(X))


def test_callbacks_that_do_not_ask_for_a_model_cost_none(monkeypatch):
    made = []
    fitted = fitting._fitted_attributes
    monkeypatch.setattr(
        fitting, "_fitted_attributes", lambda *args, **kwargs: made.append(args) or fitted(*args, **kwargs)
    )
    bare(LSTMRegressor, **QUICK).set_callbacks(Quiet()).fit(*data())
    assert len(made) == 1  # at the end of the fit


# -- stopping ---------------------------------------------------------------------------------------------------


def test_a_callback_can_end_training(estimator, capsys):
    X, y = data(estimator)
    options = {**QUICK, "max_iter": 50, "learning_rate": "constant"}
    recorder = Recorder()
    model = bare(estimator, **options, verbose=1).set_callbacks(Stop(2), recorder).fit(X, y)  # without a warning
    assert model.n_iter_ == len(model.loss_curve_) == 2
    assert recorder.names()[-2:] == [("end", "fit"), ("teardown", "fit")]
    assert capsys.readouterr().out.splitlines()[-1] == "stopped: requested by a callback"
    expected = bare(estimator, **{**options, "max_iter": 2}).fit(X, y)
    assert_array_equal(model.predict(X), expected.predict(X))


def test_a_training_that_a_callback_ends_has_the_best_weights():
    X, y = data()
    options = {**QUICK, "max_iter": 8, "learning_rate": "constant", "learning_rate_init": 0.1, "early_stopping": True}
    recorder = Recorder()
    model = bare(LSTMRegressor, **options).set_callbacks(Stop(5), recorder).fit(X, y, X_val=X, y_val=-y)
    best = int(np.argmax(model.validation_scores_))
    assert best < 4 == model.n_iter_ - 1  # what is learned is wrong there
    assert_array_equal(model.predict(X), recorder.given("end")[best][3].predict(X))


def test_partial_fit_has_no_callbacks(estimator):
    X, y = data(estimator)
    recorder = Recorder()
    model = estimator(4, random_state=0).set_callbacks(recorder)
    first = {"classes": ["down", "up"]} if estimator is LSTMClassifier else {}
    model.partial_fit(X, y, **first).partial_fit(X, y)
    assert recorder.calls == []


# -- errors -----------------------------------------------------------------------------------------------------


def bad_data(X, y):
    return np.full_like(X, np.inf), y


def diverging(X, y):
    return X, 1e30 * y


@pytest.mark.parametrize("spoil", [bad_data, diverging])
@pytest.mark.parametrize("before", [False, True], ids=["fresh", "fitted"])
def test_callbacks_are_torn_down_when_fit_fails(before, spoil):
    X, y = data()
    recorder, model = Recorder(), bare(LSTMRegressor, **QUICK)
    model = model.fit(X, y) if before else model
    model.set_callbacks(recorder)
    state = vars(model).copy()
    with pytest.raises((ValueError, FloatingPointError)):
        model.fit(*spoil(X, y))
    assert recorder.names()[-1] == ("teardown", "fit")
    assert ("end", "fit") not in recorder.names()
    assert vars(model) == state
    model.fit(X, y)
    assert recorder.names()[-2:] == [("end", "fit"), ("teardown", "fit")]


@pytest.mark.parametrize("task", ["fit", "epoch"])
@pytest.mark.parametrize("at", ["setup", "begin", "end", "teardown"])
def test_a_callback_that_fails_leaves_nothing_behind(at, task):
    X, y = data()
    if task == "epoch" and at in ("setup", "teardown"):
        return  # there are none
    failing, recorder = Raise(at, task), Recorder()
    model = bare(LSTMRegressor, **QUICK).set_callbacks(recorder, failing)
    with pytest.raises(ZeroDivisionError, match=at):
        model.fit(X, y)
    assert failing.ended == 1
    assert recorder.names()[-1] == ("teardown", "fit")
    assert private(model) == {"_skl_callbacks"}
    assert hasattr(model, "weights_") == (task == "fit" and at in ("end", "teardown"))  # the training was over


def test_an_interrupt_in_a_callback_keeps_the_epochs_so_far():
    X, y = data()
    model = bare(LSTMRegressor, **QUICK).set_callbacks(Raise("end", "epoch", KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert model.n_iter_ == 1
    assert private(model) == {"_skl_callbacks"}


def test_an_interrupted_fit_tears_down(monkeypatch):
    recorder = Recorder()
    model = bare(LSTMRegressor, **QUICK).set_callbacks(recorder)

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(Training, "prepare_update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*data())
    assert recorder.names()[-1] == ("teardown", "fit")
    assert private(model) == {"_skl_callbacks"}


# -- in scikit-learn --------------------------------------------------------------------------------------------


def test_fitted_estimators_with_callbacks_copy_clone_and_pickle(estimator):
    X, y = data(estimator)
    model = bare(estimator, **QUICK).set_callbacks(Quiet()).fit(X, y)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_array_equal(copied.predict(X), model.predict(X))
    assert not hasattr(clone(model), "weights_")
    clone(model).fit(X, y)


def test_a_stream_of_a_model_so_far_does_without_its_callbacks():
    X, y = data()
    recorder = Recorder()
    bare(LSTMRegressor, **QUICK).set_callbacks(recorder).fit(X, y)
    so_far = recorder.given("end")[0][3]
    stream = pickle.loads(pickle.dumps(so_far.stream(24)))
    for t in range(5):
        prediction = stream.step(X[:, t])
    assert_array_equal(prediction, so_far.predict(X))


def scoring(estimator):
    return "accuracy" if estimator is LSTMClassifier else "r2"


def test_a_scoring_monitor_logs_the_score_of_every_epoch(estimator):
    X, y = data(estimator)
    monitor = callback.ScoringMonitor(scoring=scoring(estimator))
    model = bare(estimator, **QUICK).set_callbacks(monitor).fit(X, y, X_val=X, y_val=y)
    *epochs, fit = sorted(monitor.get_logs().data, key=lambda row: -len(row["task_id_path"]))
    assert [row[scoring(estimator)] for row in epochs] == pytest.approx(model.validation_scores_)
    assert fit[scoring(estimator)] == pytest.approx(model.score(X, y))


def test_a_scoring_monitor_weighs_the_series():
    X, y = data()
    weights, monitor = np.arange(24.0), callback.ScoringMonitor(scoring="r2")
    model = bare(LSTMRegressor, **QUICK).set_callbacks(monitor).fit(X, y, weights)
    fit = min(monitor.get_logs().data, key=lambda row: len(row["task_id_path"]))
    assert fit["r2"] == pytest.approx(model.score(X, y, weights))


def test_a_scoring_monitor_works_in_a_pipeline(estimator):
    X, y = data(estimator)
    monitor = callback.ScoringMonitor(scoring=scoring(estimator))
    lstm = bare(estimator, **QUICK).set_callbacks(monitor)
    model = make_pipeline(SequenceScaler(), lstm).fit(X, y)
    assert len(monitor.get_logs().data) == 4
    assert private(lstm) == {"_skl_callbacks"}
    assert np.isfinite(model.score(X, y))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_scoring_monitor_works_in_a_search(estimator, n_jobs):
    X, y = data(estimator)
    monitor = callback.ScoringMonitor(scoring=scoring(estimator))
    lstm = bare(estimator, **QUICK).set_callbacks(monitor)
    search = GridSearchCV(lstm, {"hidden_size": [2, 3]}, cv=2, n_jobs=n_jobs).fit(X, y)
    rows = [row for log in monitor.get_logs(select="all") for row in log.data if row["task_name"] == "epoch"]
    assert len(rows) == (4 + 1) * 3  # the fits of the search, and the last
    assert search.predict(X).shape == (24,)


@pytest.fixture
def progress_bar():
    pytest.importorskip("rich")
    return callback.ProgressBar


def printed(model, X, y):
    out = io.StringIO()
    with redirect_stdout(out):
        model.fit(X, y)
    return out.getvalue()


def test_a_progress_bar_shows_a_fit(progress_bar, estimator):
    shown = printed(bare(estimator, **QUICK).set_callbacks(progress_bar()), *data(estimator))
    assert f"{estimator.__name__} - fit" in shown
    assert "100%" in shown


def test_a_progress_bar_shows_a_pipeline(progress_bar, estimator):
    model = make_pipeline(SequenceScaler(), bare(estimator, **QUICK)).set_callbacks(progress_bar())
    shown = printed(model, *data(estimator))
    assert "SequenceScaler - fit" in shown
    assert f"{estimator.__name__} - fit" in shown
    assert private(model[-1]) == private(model[0]) == set()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_progress_bar_shows_a_search(progress_bar, estimator, n_jobs):
    search = GridSearchCV(bare(estimator, **QUICK), {"hidden_size": [2, 3]}, cv=2, n_jobs=n_jobs)
    shown = printed(search.set_callbacks(progress_bar(max_propagation_depth=None)), *data(estimator))
    assert f"{estimator.__name__} - fit" in shown
    assert "GridSearchCV - fit" in shown
    pickle.dumps(search)


def test_a_progress_bar_ends_when_fit_fails(progress_bar):
    X, y = data()
    model = bare(LSTMRegressor, **QUICK).set_callbacks(progress_bar())
    for _ in range(2):
        with pytest.raises(FloatingPointError):
            printed(model, X, 1e30 * y)
    printed(model, X, y)


def test_without_the_protocol_everything_else_is_there():
    code = """
import sys
import sklearn.model_selection, sklearn.multioutput, sklearn.pipeline  # these import it themselves
sys.modules["sklearn.callback"] = None  # as before scikit-learn 1.9
from fastlstm import LSTMRegressor

model = LSTMRegressor(4, max_iter=2, learning_rate="cosine", verbose=1)
assert not hasattr(model, "set_callbacks")
LSTMRegressor.fit.__wrapped__(model, [[0, 1], [1, 0]], [2, 1])
assert model.n_iter_ == 2
"""
    run_python("-W", "error", "-c", code)
