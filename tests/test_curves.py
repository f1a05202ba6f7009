"""Pictures of importance and of learning curves."""

import sys

import numpy as np
import pytest
from helpers import FASTEST
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from fastlstm import LSTMClassifier, LSTMRegressor, SequenceEncoder

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")
from fastlstm.inspection import ImportanceDisplay, LossCurveDisplay, step_importance  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 7, 3))
Y = X[:, -2:, 1].sum(axis=1)
QUICK = {"learning_rate": "cosine", "random_state": 0, "backend": FASTEST}


@pytest.fixture
def axes():
    from matplotlib import pyplot

    yield pyplot.subplots()[1]
    pyplot.close("all")


@pytest.fixture(scope="module")
def model():
    return LSTMRegressor(4, max_iter=8, early_stopping=True, **QUICK).fit(X, Y)


def pixels(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3] / 255


def test_channels_are_drawn_in_the_order_of_their_importance(model, axes):
    display = ImportanceDisplay.from_estimator(model, X, Y, random_state=0, ax=axes)
    importance = step_importance(model, X, Y, random_state=0)
    order = np.argsort(-importance.mean)
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"x{channel}" for channel in order]
    assert_array_equal([bar.get_width() for bar in axes.patches], importance.mean[order])
    assert axes.yaxis_inverted()
    assert axes.get_xlabel() == "decrease of the score"
    assert (display.ax_, display.figure_) == (axes, axes.figure)
    drawn = pixels(axes.figure)
    assert (abs(drawn - matplotlib.colors.to_rgb("#0072B2")).max(axis=-1) < 0.01).mean() > 0.01


def test_blocks_are_drawn_where_their_steps_are(model, axes):
    display = ImportanceDisplay.from_estimator(model, X, by="step", block_size=3, method="gradient", ax=axes)
    assert display.importance.blocks.tolist() == [[-7, -6], [-6, -3], [-3, 0]]
    assert_allclose([bar.get_x() for bar in axes.patches], [-7.5, -6.5, -3.5])
    assert_array_equal([bar.get_height() for bar in axes.patches], display.importance.mean)
    assert axes.get_ylabel() == "|gradient of the output| × spread"


def test_the_map_has_a_row_for_each_channel(model, axes):
    display = ImportanceDisplay.from_estimator(model, X, Y, by="both", method="occlusion", ax=axes)
    (mesh,) = axes.collections
    assert_array_equal(mesh.get_array(), display.importance.mean.T)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["x0", "x1", "x2"]
    assert axes.figure.axes[1].get_ylabel() == "increase of the loss"


@pytest.mark.parametrize("method", ["gradient", "integrated_gradients", "occlusion"])
def test_the_label_of_a_low_map_is_inside_the_figure(model, method):
    from matplotlib import pyplot

    figure = ImportanceDisplay.from_estimator(model, X, by="both", method=method).figure_
    figure.canvas.draw()
    label = figure.axes[1].yaxis.label.get_window_extent()
    assert 0 < label.y0 < label.y1 < figure.bbox.height
    pyplot.close(figure)


@pytest.mark.parametrize("by", ["channel", "both"])
def test_of_many_channels_only_the_most_important_are_drawn(by, axes):
    x = RNG.normal(size=(20, 3, 40))
    wide = LSTMRegressor(4, max_iter=1, **QUICK).fit(x, x[:, -1, 7])
    display = ImportanceDisplay.from_estimator(wide, x, by=by, method="gradient", ax=axes)
    mean = display.importance.mean if by == "channel" else display.importance.mean.max(axis=0)
    largest = {f"x{channel}" for channel in np.argsort(-mean)[:30]}
    assert {label.get_text() for label in axes.get_yticklabels()} == largest
    assert axes.get_ylabel() == "channel (30 of 40)"


def test_a_learning_curve_marks_the_best_epoch(model, axes):
    display = LossCurveDisplay.from_estimator(model, ax=axes)
    training, validation, best = axes.get_lines()
    assert_array_equal(training.get_xdata(), np.arange(8) + 1)
    assert_array_equal(training.get_ydata(), model.loss_curve_)
    assert_array_equal(validation.get_ydata(), model.validation_loss_curve_)
    epoch = int(np.argmax(model.validation_scores_)) + 1
    assert_array_equal(best.get_xydata(), [[epoch, model.validation_loss_curve_[epoch - 1]]])
    assert [text.get_text() for text in axes.get_legend().get_texts()][-1] == f"best epoch ({epoch})"
    assert display.right_ax_ is None


def test_validation_of_the_last_run_alone_is_drawn_at_its_epochs(axes):
    twice = LSTMClassifier(4, max_iter=3, warm_start=True, **QUICK).fit(X, Y > 0)
    twice.fit(X, Y > 0, X_val=X, y_val=Y > 0)
    LossCurveDisplay.from_estimator(twice, ax=axes)
    assert_array_equal(axes.get_lines()[0].get_xdata(), np.arange(6) + 1)
    assert_array_equal(axes.get_lines()[1].get_xdata(), [4, 5, 6])


def test_the_learning_rate_and_the_norm_of_the_gradient_are_drawn_on_the_right(model, axes):
    display = LossCurveDisplay.from_estimator(model, learning_rate=True, grad_norm=True, ax=axes)
    (rate,), (norm,) = display.right_ax_.get_lines(), display.outer_ax_.get_lines()
    assert_array_equal(rate.get_ydata(), model.learning_rate_curve_)
    assert_array_equal(norm.get_ydata(), model.grad_norm_curve_)
    assert (display.right_ax_.get_ylabel(), display.outer_ax_.get_ylabel()) == ("learning rate", "gradient norm")
    assert len(axes.get_legend().get_texts()) == 5
    display = LossCurveDisplay.from_estimator(model, grad_norm=True)
    assert (display.right_ax_.get_ylabel(), display.outer_ax_) == ("gradient norm", None)


def test_a_learning_rate_that_falls_to_almost_0_leaves_room_for_the_gradient_norm(axes):
    rates, norms = np.geomspace(1e-2, 1e-8, 20), np.linspace(2, 1, 20)
    display = LossCurveDisplay(np.linspace(1, 0.5, 20), learning_rate=rates, grad_norm=norms).plot(ax=axes)
    low, high = display.outer_ax_.get_ylim()
    assert low > 0.5
    assert high < 4
    assert display.right_ax_.get_ylim()[0] == 0


def test_the_learning_rate_is_recorded():
    cosine = LSTMRegressor(4, max_iter=4, batch_size=20, learning_rate_init=0.1, **QUICK).fit(X, Y)
    fractions = (np.arange(4) + 0.5) / 4  # the second of two updates
    assert_allclose(cosine.learning_rate_curve_, 0.05 * (1 + np.cos(np.pi * fractions)), rtol=1e-12)
    adaptive = {**QUICK, "learning_rate": "adaptive", "tol": 100, "n_iter_no_change": 1, "learning_rate_init": 0.1}
    with pytest.warns(ConvergenceWarning):
        curve = LSTMRegressor(4, max_iter=5, **adaptive).fit(X, Y).learning_rate_curve_
    assert_allclose(curve, [0.1, 0.1, 0.1, 0.02, 0.02])  # the first epoch counts as an improvement


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_pictures_are_readable_on_light_and_dark_backgrounds(model, style):
    from matplotlib import pyplot

    with pyplot.style.context(style):
        for display in (
            ImportanceDisplay.from_estimator(model, X, Y, random_state=0),
            LossCurveDisplay.from_estimator(model, learning_rate=True),
        ):
            drawn = pixels(display.figure_)
            background = drawn[0, 0]
            contrast = np.abs(drawn - background).max(axis=-1)
            assert (contrast > 0.9).any(axis=0).mean() > 0.5  # text, ticks and axes
            pyplot.close(display.figure_)


def test_without_matplotlib_the_error_says_what_to_install(model, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"LossCurveDisplay requires matplotlib: pip install matplotlib"):
        LossCurveDisplay.from_estimator(model)
    with pytest.raises(ImportError, match="ImportanceDisplay requires matplotlib"):
        ImportanceDisplay.from_estimator(model, X, Y)


def test_what_has_no_curves_is_refused(model):
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(LSTMRegressor())
    with pytest.raises(TypeError, match="est is of type SequenceEncoder; expected a fitted LSTMClassifier"):
        LossCurveDisplay.from_estimator(SequenceEncoder(model).fit(None))
    with pytest.raises(TypeError, match="est is None; expected a fitted LSTMClassifier or LSTMRegressor"):
        LossCurveDisplay.from_estimator(None)
    for loss in ([], None):
        with pytest.raises(ValueError, match=r"loss=.*: expected the training loss of at least one epoch"):
            LossCurveDisplay(loss)
    with pytest.raises(TypeError, match="importance is of type NoneType; expected the result of step_importance"):
        ImportanceDisplay(None)


def test_curves_from_elsewhere_are_drawn(axes):
    LossCurveDisplay(np.array([1.0, 0.5]), validation_loss=np.array([0.7])).plot(ax=axes)
    training, validation = axes.get_lines()
    assert_array_equal(training.get_ydata(), [1, 0.5])
    assert_array_equal(validation.get_xydata(), [[2, 0.7]])
    assert validation.get_marker() == "."
