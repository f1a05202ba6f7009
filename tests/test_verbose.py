"""`verbose`: what a training shows of itself."""

import sys

import numpy as np
import pytest
from helpers import bare

from fastlstm import LSTMClassifier, LSTMRegressor

SMALL = {"hidden_size": 4, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore:Training was still improving")


def series(n=24, seed=0):
    """Series of 5 steps, and the sum of each one's first channel."""
    X = np.random.default_rng(seed).normal(size=(n, 5, 2))
    return X, X[:, :, 0].sum(axis=1)


def validation():
    return dict(zip(("X_val", "y_val"), series(8, seed=1), strict=True))


@pytest.fixture
def no_tqdm(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)


def shown(capsys):
    """Lines that were printed after that of the settings; nothing goes elsewhere."""
    out, err = capsys.readouterr()
    assert err == ""
    return without_settings(out.splitlines())


def without_settings(lines):
    return lines[1:] if lines and lines[0].startswith("batch_size=") else lines


def test_not_verbose_shows_nothing(capsys):
    bare(LSTMRegressor, **SMALL, max_iter=3).fit(*series())
    assert shown(capsys) == []


@pytest.mark.parametrize("verbose", [True, 1])
def test_verbose_shows_a_line_an_epoch(capsys, verbose):
    model = bare(LSTMRegressor, **SMALL, max_iter=12, verbose=verbose).fit(*series())
    *lines, end = shown(capsys)
    assert [int(line[len("epoch") :].split()[0]) for line in lines] == list(range(1, 13))
    for line, loss in zip(lines, model.loss_curve_, strict=True):
        words = line.split()
        assert float(words[words.index("loss") + 1]) == pytest.approx(loss, rel=1e-3)
        assert float(words[words.index("rate") + 1]) == 1e-3
        assert "validation" not in words
        seconds, steps = float(words[-4]), float(words[-2].replace(",", ""))
        assert 0 <= seconds < 60
        assert words[-3] == "s"
        assert words[-1] == "steps/s"
        assert steps > 24 * 5 / 60
    assert end == "stopped: reached max_iter=12 epochs"


def test_lines_have_validation_loss_and_score(capsys):
    model = bare(LSTMRegressor, **SMALL, max_iter=3, verbose=1).fit(*series(), **validation())
    *lines, _ = shown(capsys)
    for n, line in enumerate(lines):
        after = line.split("validation loss")[1].split()
        assert float(after[0]) == pytest.approx(model.validation_loss_curve_[n], rel=1e-3)
        assert after[1] == "score"
        assert float(after[2]) == pytest.approx(model.validation_scores_[n], rel=1e-3)


def test_columns_stand_below_each_other(capsys):
    options = {**SMALL, "learning_rate_init": 3.0, "max_iter": 11}
    bare(LSTMRegressor, **options, verbose=1).fit(*series(), **validation())
    *lines, _ = shown(capsys)
    for word in ("loss", "validation", "score", "rate", "steps/s"):
        assert len({line.index(word) for line in lines}) == 1
    assert len({len(line) for line in lines}) == 1


def test_epochs_of_a_warm_start_are_counted_on(capsys):
    model = bare(LSTMRegressor, **SMALL, max_iter=2, warm_start=True, verbose=1).fit(*series())
    shown(capsys)
    model.fit(*series())
    assert [line.split()[1] for line in shown(capsys)[:2]] == ["3", "4"]


def test_partial_fit_shows_its_epoch(capsys):
    model = bare(LSTMRegressor, **SMALL, verbose=1)
    model.partial_fit(*series()).partial_fit(*series())
    assert [line.split()[:2] for line in shown(capsys)] == [["epoch", "1"], ["epoch", "2"]]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "training loss did not improve by tol=100 for more than n_iter_no_change=3 consecutive epochs"),
        (
            {"early_stopping": True},
            "validation score did not improve by tol=100 for more than n_iter_no_change=3 consecutive epochs",
        ),
    ],
    ids=["loss", "score"],
)
def test_the_last_line_says_why_there_is_no_other(capsys, options, why):
    bare(LSTMRegressor, **SMALL, **options, tol=100, n_iter_no_change=3, verbose=1).fit(*series())
    assert shown(capsys)[-1] == f"stopped: {why}"


def test_more_verbose_shows_lines_without_tqdm(capsys, no_tqdm):
    bare(LSTMRegressor, **SMALL, max_iter=3, verbose=2).fit(*series())
    assert [line.split()[0] for line in shown(capsys)] == ["epoch", "epoch", "epoch", "stopped:"]


@pytest.mark.parametrize("verbose", [2, 3])
def test_more_verbose_shows_a_bar(capsys, verbose):
    pytest.importorskip("tqdm")
    model = bare(LSTMClassifier, **SMALL, max_iter=3, verbose=verbose)
    X, y = series()
    model.fit(X, y > 0, X_val=X, y_val=y > 0)
    out, err = capsys.readouterr()
    assert without_settings(out.splitlines()) == ["stopped: reached max_iter=3 epochs"]
    assert "3/3" in err
    assert f"loss={model.loss_:.4g}" in err
    assert f"score={model.validation_scores_[-1]:.4g}" in err


class Bar:
    """Of tqdm, what the view uses."""

    def __init__(self, total, initial, unit):
        self.total, self.count, self.closed = total, 0, False
        bars.append(self)

    def set_postfix(self, shown, refresh):
        self.shown = shown

    def update(self):
        self.count += 1

    def close(self):
        self.closed = True


bars = []


@pytest.fixture
def bar(monkeypatch):
    """The bar that tqdm is asked for."""
    module = type(sys)("tqdm")
    module.tqdm = Bar
    monkeypatch.setitem(sys.modules, "tqdm", module)
    bars.clear()
    return lambda: bars[0]


def test_a_bar_goes_over_all_epochs_and_ends_where_training_does(bar, capsys):
    model = bare(LSTMRegressor, **SMALL, max_iter=50, tol=100, n_iter_no_change=3, verbose=2).fit(*series())
    assert (bar().total, bar().count, bar().closed) == (50, model.n_iter_, True)
    assert model.n_iter_ == 5
    assert bar().shown == {"loss": f"{model.loss_:.4g}"}
    assert shown(capsys)[-1].startswith("stopped: training loss")


def test_a_bar_is_closed_where_training_fails(bar):
    X, y = series()
    with pytest.raises(FloatingPointError):
        bare(LSTMRegressor, **SMALL, verbose=2).fit(X, 1e30 * y)
    assert bar().closed
