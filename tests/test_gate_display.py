"""Pictures of gates and of the gradient's flow."""

import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")
from matplotlib import pyplot  # noqa: E402

from fastlstm import LSTMClassifier, LSTMRegressor, SequenceEncoder  # noqa: E402
from fastlstm.inspection import (  # noqa: E402
    GateDisplay,
    GradientFlowDisplay,
    gate_activations,
    gradient_flow,
)
from fastlstm.inspection.memory import half_life  # noqa: E402

N, T, C, H = 12, 15, 2, 5
X = np.random.default_rng(0).normal(size=(N, T, C))


@pytest.fixture(autouse=True)
def close():
    yield
    pyplot.close("all")


def fitted(cell="lstm", estimator=LSTMClassifier, y=None, X=X, **options):
    y = X[:, 0, 0] > 0 if y is None else y
    options = {"max_iter": 2, "learning_rate": "cosine", "random_state": 0, **options}
    return estimator(H, cell=cell, **options).fit(X, y)


def image_of(axes):
    (image,) = axes.get_images()
    return image.get_array()


def test_heat_maps_show_the_gates_of_the_series(cell):
    model = fitted(cell)
    display = GateDisplay.from_estimator(model, X[3])
    names = {
        "lstm": ["input", "forget", "cell", "output", "cell_state"],
        "cifg": ["input", "forget", "cell", "output", "cell_state"],
        "gru": ["reset", "update", "candidate", "hidden_state"],
        "rnn": ["hidden_state"],
    }[cell]
    activations = gate_activations(model, X[3:4])
    panels = list(display.axes_.values())
    assert len(panels) == len(names) + 2
    for axes, name in zip(panels[1:-1], names, strict=True):
        assert_allclose(image_of(axes), activations.get(name)[0].T[display.order_], rtol=1e-6)
    for line, channel in zip(display.axes_["input"].get_lines(), X[3].T, strict=True):
        assert_array_equal(line.get_ydata(), channel)
    assert sorted(display.order_) == list(range(H))
    assert display.ax_.figure is display.figure_


def test_units_are_sorted_by_when_they_are_active():
    display = GateDisplay.from_estimator(fitted(), X[0], gates=["cell_state"])
    states = np.abs(np.asarray(image_of(display.axes_["cell state"])).T)
    active = states - states.min(axis=0)
    assert (np.diff(np.arange(T) @ active / active.sum(axis=0)) >= -1e-6).all()


def test_the_prediction_at_each_step_is_that_for_the_series_so_far():
    model = fitted()
    lines = GateDisplay.from_estimator(model, X[0]).axes_["prediction"].get_lines()
    expected = np.array([model.predict_proba(X[:1, : t + 1])[0] for t in range(T)])
    assert_allclose([line.get_ydata() for line in lines], expected.T, rtol=1e-6)
    assert [line.get_label() for line in lines] == ["False", "True"]


def test_predictions_of_every_step_are_drawn():
    y = X[:, :, 0] + 5
    model = fitted(estimator=LSTMRegressor, y=y, return_sequences=True, bidirectional=True)
    (line,) = GateDisplay.from_estimator(model, X[0], direction="backward").axes_["prediction"].get_lines()
    assert_allclose(line.get_ydata(), model.predict(X[:1])[0], rtol=1e-6)


def test_a_bidirectional_model_has_no_prediction_before_the_last_step():
    assert "prediction" not in GateDisplay.from_estimator(fitted(bidirectional=True), X[0]).axes_


def test_many_channels_are_drawn_as_a_heat_map():
    wide = np.random.default_rng(0).normal(size=(N, T, 9))
    display = GateDisplay.from_estimator(fitted(X=wide), wide[0])
    assert_array_equal(image_of(display.axes_["input"]), wide[0].T)


@pytest.mark.parametrize("cell", ["lstm", "cifg", "gru"])
def test_memory_shows_half_lives_and_closed_gates(cell):
    model = fitted(cell)
    display = GateDisplay.from_estimator(model, X[0], kind="memory")
    of = {name: array[0].astype(float) for name, array in gate_activations(model, X[:1]).of().items()}
    keeps, written, read = ("update", "update", "reset") if cell == "gru" else ("forget", "input", "output")
    kept = [gate[gate > 0.5] if (gate > 0.5).any() else gate for gate in of[keeps].T]
    assert_allclose(display.half_life_, [np.log(2) / -np.log(gate).mean() for gate in kept], rtol=1e-6)
    assert_array_equal(display.order_, np.argsort(-display.half_life_))
    writes = 1 - of[written] if cell == "gru" else of[written]
    panels = {title.split(":")[0]: axes for title, axes in display.axes_.items()}
    for what, values, shut in (("written", writes, 0.1), ("kept", of[keeps], 0), ("read", of[read], 0.1)):
        shown = image_of(panels[what])
        assert_array_equal(np.ma.getmaskarray(shown), values.T[display.order_] < shut)
        assert_allclose(shown.data, values.T[display.order_], rtol=1e-6)
    marks = (
        ["keeps its state", "candidate ignores the state"] if cell == "gru" else ["writes nothing", "state not read"]
    )
    assert [panels[what].get_title(loc="right") for what in ("written", "read")] == [
        f"hatched: {mark} (gate below 0.1)" for mark in marks
    ]
    assert [text for text in display.axes_ if "state" in text] == ["hidden state" if cell == "gru" else "cell state"]
    bars = [bar.get_bbox().x1 for bar in display.axes_["half_life"].patches]
    assert_allclose(bars, np.minimum(display.half_life_[display.order_], 150), rtol=0.1)


def test_resets_do_not_shorten_the_half_life():
    """One unit keeps 0.998 of its state a step, but is reset twice; one only forgets; and one never does, but once."""
    keeps = np.stack([np.full(47, 0.998), np.full(47, 0.25), np.ones(47)], axis=1)
    keeps[[10, 30]] = [1e-3, 0.25, 0]
    assert_allclose(half_life(keeps), [np.log(0.5) / np.log(0.998), 0.5, np.inf])


def test_half_lives_of_few_units_are_printed():
    model = fitted()
    model.weights_["bias_ih_l0"][H : 2 * H] = [100, -1000, 0, 6, 0]
    display = GateDisplay.from_estimator(model, X[0], kind="memory")
    texts = [text.get_text() for text in display.axes_["half_life"].texts]
    assert len(texts) == H
    assert texts[0] == "∞"
    assert 0 < float(texts[-1]) < 0.1
    assert texts[1] == f"{display.half_life_[3]:.0f}"


def test_a_gate_that_never_closes_keeps_its_state_for_ever():
    model = fitted()
    model.weights_["bias_ih_l0"][H : 2 * H] = [100, -1000, 0, 0, 0]
    display = GateDisplay.from_estimator(model, X[0], kind="memory")
    assert display.half_life_[0] == np.inf
    assert display.half_life_[1] < 0.1
    assert display.order_[0] == 0
    axes = display.axes_["half_life"]
    assert [line.get_marker() for line in axes.get_lines()] == [">"]
    assert axes.patches[0].get_bbox().x1 == axes.get_xlim()[1]
    display.figure_.canvas.draw()
    assert display.axes_["kept: forget gate"].get_position().height > 0.05


def test_comparison_shows_both_and_the_change():
    before, after = fitted(max_iter=1), fitted(max_iter=9)
    display = GateDisplay.compare(before, after, X[0])
    images = [image_of(display.axes_["forget gate", column]) for column in ("before", "after", "change")]
    assert_allclose(images[2], images[1] - images[0])
    assert_allclose(images[0], gate_activations(before, X[:1]).get("forget")[0].T[display.order_], rtol=1e-6)
    lines = [display.axes_["prediction", column].get_lines()[0] for column in ("before", "after")]
    assert not np.allclose(*(line.get_ydata() for line in lines))
    with pytest.raises(ValueError, match=r"5 units of type 'lstm' and 5 units of type 'gru'; expected the same"):
        GateDisplay.compare(before, fitted("gru"), X[0])


@pytest.mark.parametrize("n_outputs", [1, 8], ids=["lines", "heat maps"])
def test_compared_predictions_have_the_same_scale(n_outputs):
    y = 100 * np.random.default_rng(0).normal(size=(N, n_outputs)).squeeze()
    before, after = (fitted(estimator=LSTMRegressor, y=y, max_iter=epochs) for epochs in (1, 50))
    display = GateDisplay.compare(before, after, X[0])
    panels = [display.axes_["prediction", column] for column in ("before", "after")]
    limits = [axes.get_ylim() if n_outputs == 1 else axes.get_images()[0].get_clim() for axes in panels]
    assert limits[0] == limits[1]
    if n_outputs == 1:
        drawn = np.concatenate([axes.get_lines()[0].get_ydata() for axes in panels])
        assert limits[0][0] < drawn.min()
        assert limits[0][1] > drawn.max()
    display.figure_.canvas.draw()
    assert panels[0].get_position().x1 < panels[1].get_position().x0


def test_a_record_is_drawn_like_the_estimator_that_it_is_of():
    model = fitted()
    activations = gate_activations(model, X)
    of_record = GateDisplay.from_activations(activations, 3, x=X[3])
    of_model = GateDisplay.from_estimator(model, X[3])
    assert set(of_model.axes_) - set(of_record.axes_) == {"prediction"}
    for title in list(of_record.axes_)[1:]:
        assert_array_equal(image_of(of_record.axes_[title]), image_of(of_model.axes_[title]))
    assert list(GateDisplay.from_activations(activations, -1, gates=["forget"], layer=np.int64(0)).axes_) == [
        "forget gate"
    ]
    with pytest.raises(ValueError, match=r"n=12: expected an integer from -12 to 11"):
        GateDisplay.from_activations(activations, 12)
    with pytest.raises(ValueError, match=r"x has shape \(14, 2\); expected series 0, of shape \(15, C\)"):
        GateDisplay.from_activations(activations, x=X[0, 1:])
    with pytest.raises(TypeError, match=r"of type ndarray; expected the result of gate_activations"):
        GateDisplay.from_activations(X)


def tick_labels(axes):
    axes.figure.canvas.draw()
    return [label.get_text() for label in axes.get_yticklabels() if label.get_text()]


def test_units_steps_and_channels_are_labelled():
    frames = [pd.DataFrame(series, columns=["speed", "load"]) for series in X]
    display = GateDisplay.from_estimator(fitted(X=frames, y=X[:, 0, 0] > 0), frames[0], gates=["forget"])
    assert tick_labels(display.axes_["forget gate"]) == [str(unit) for unit in display.order_]
    assert [line.get_label() for line in display.axes_["input"].get_lines()] == ["speed", "load"]
    for axes in display.axes_.values():
        assert (axes.get_xticks() % 1 == 0).all()


@pytest.mark.parametrize("kind", ["memory", "compare"])
def test_long_names_leave_room_for_the_panels(kind):
    names = [
        f"{what} at {where}" for what in ("temperature", "humidity") for where in ("the top", "the bottom", "x" * 99)
    ]
    frames = [pd.DataFrame(series, columns=names) for series in np.random.default_rng(0).normal(size=(N, T, 6))]
    model = fitted(X=frames, y=np.array([f"walking {name}" for name in names])[np.arange(N) % 6])
    display = {
        "memory": lambda: GateDisplay.from_estimator(model, frames[0], kind="memory"),
        "compare": lambda: GateDisplay.compare(model, model, frames[0]),
    }[kind]()
    display.figure_.canvas.draw()
    assert min(axes.get_position().width for axes in display.axes_.values()) > 0.12
    legends = [axes.get_legend() for axes in display.figure_.axes if axes.get_legend()]
    assert len(legends) == 2
    for legend in legends:
        box = legend.get_window_extent()
        assert box.x0 > 0
        assert box.x1 < display.figure_.bbox.width
        assert legend.get_texts()[-1].get_text().endswith("…")


def test_a_series_of_one_step_is_visible():
    short = X[:, :1]
    display = GateDisplay.from_estimator(fitted(X=short, y=X[:, 0, 0] > 0), short[0])
    for title in ("input", "prediction"):
        assert {line.get_marker() for line in display.axes_[title].get_lines()} == {"."}
    ticks = display.axes_["input"].get_xticks()
    assert_array_equal(ticks[abs(ticks) < 0.5], [0])


def test_one_series_is_read_in_the_forms_of_predict():
    table = pd.DataFrame(X[:, :4, 0], columns=["lag_2", "lag_1", "price", "lag_3"])
    model = fitted(estimator=LSTMRegressor, X=table, y=X[:, 0, 0])
    expected = gate_activations(model, table[2:3]).get("forget")[0].T
    for row in (table.iloc[2], table[2:3]):
        display = GateDisplay.from_estimator(model, row)
        assert_allclose(image_of(display.axes_["forget gate"]), expected[display.order_], rtol=1e-6)
    assert [line.get_label() for line in display.axes_["input"].get_lines()] == ["lag_1", "price"]
    with pytest.raises(ValueError, match=r"x has shape \(12, 4\); expected one row of the table"):
        GateDisplay.from_estimator(model, table)
    model = fitted()
    expected = image_of(GateDisplay.from_estimator(model, X[0]).axes_["forget gate"])
    for x in (X[:1], X[0].tolist(), [X[0]], pd.DataFrame(X[0])):
        assert_array_equal(image_of(GateDisplay.from_estimator(model, x).axes_["forget gate"]), expected)
    with pytest.raises(ValueError, match=r"x is a list of several arrays; expected one series"):
        GateDisplay.from_estimator(model, [X[0], X[1, :3]])


def test_panels_take_the_place_of_given_axes():
    figure, (left, right) = pyplot.subplots(1, 2, layout="constrained")
    display = GateDisplay.from_estimator(fitted(), X[0], ax=right)
    assert display.ax_ is right
    assert display.figure_ is figure
    figure.canvas.draw()
    assert all(axes.get_position().x0 > left.get_position().x1 for axes in display.axes_.values())
    with pytest.raises(ValueError, match=r"ax has no place in a grid; pass axes made by plt.subplots"):
        GateDisplay.from_estimator(fitted(), X[0], ax=figure.add_axes([0, 0, 1, 1]))


def test_series_of_one_channel_and_encoders_are_accepted():
    univariate = X[:, :, 0]
    model = fitted(X=X[:, :, :1], y=univariate[:, 0] > 0)
    of_encoder = GateDisplay.from_estimator(SequenceEncoder(model).fit(None), X[0, :, :1])
    of_model = GateDisplay.from_estimator(model, X[0, :, :1])
    assert_array_equal(image_of(of_encoder.axes_["forget gate"]), image_of(of_model.axes_["forget gate"]))
    of_rows = fitted(X=univariate, y=univariate[:, 0] > 0)
    assert image_of(GateDisplay.from_estimator(of_rows, univariate[0]).axes_["forget gate"]).shape == (H, T)


def test_lines_are_the_mean_norms_by_steps_from_the_end():
    y = X[:, 0, 0] > 0
    models = {"LSTM": fitted(), "RNN": fitted("rnn")}
    display = GradientFlowDisplay.from_estimators(models, X, y)
    assert display.ax_.get_yscale() == "log"
    assert [line.get_label() for line in display.lines_] == ["LSTM", "RNN"]
    for line, model in zip(display.lines_, models.values(), strict=True):
        expected = gradient_flow(model, X, y).mean("state", from_end=True)
        assert_allclose(line.get_ydata(), expected)
        assert_array_equal(line.get_xdata(), -np.arange(T))


def test_norms_can_be_drawn_relative_to_the_last_step():
    y = X[:, 0, 0] > 0
    display = GradientFlowDisplay.from_estimator(fitted(), X, y, relative=True, what="cell_state")
    expected = gradient_flow(fitted(), X, y).mean("cell_state", from_end=True)
    assert_allclose(display.lines_[0].get_ydata(), expected / expected[0])
    share = GradientFlowDisplay.from_estimator(fitted(), X, y, what="forget_share")
    assert share.ax_.get_ylim()[1] < 1.1


def test_the_axis_names_the_states_that_are_drawn():
    y = X[:, 0, 0] > 0
    flows = {cell: gradient_flow(fitted(cell), X, y) for cell in ("lstm", "cifg", "gru")}
    labels = [
        GradientFlowDisplay({cell: flows[cell] for cell in cells}).plot().ax_.get_ylabel()
        for cells in (("lstm", "cifg"), ("gru",), ("lstm", "gru"))
    ]
    assert ["c_t" in label for label in labels] == [True, False, True]
    assert ["h_t" in label for label in labels] == [False, True, True]


def test_the_gradient_of_one_step_is_a_point():
    short, y = X[:, :1], X[:, 0, 0] > 0
    model = fitted(X=short)
    display = GradientFlowDisplay.from_estimator(model, short, y)
    assert display.lines_[0].get_marker() == "."
    with pytest.raises(ValueError, match=r"what='forget_share': in series of one step"):
        display.plot(what="forget_share")


def test_gradients_that_cannot_be_drawn_are_refused():
    y = X[:, 0, 0] > 0
    flow = gradient_flow(fitted("gru"), X, y)
    with pytest.raises(ValueError, match=r"what='cell_state': expected one of \['input', 'hidden_state', 'state'\]"):
        GradientFlowDisplay({"GRU": flow}).plot(what="cell_state")
    model = fitted()
    model.weights_["head.weight"][:] = 0
    with pytest.raises(ValueError, match="relative=True, but the gradient of 'LSTM' is 0 at the last step"):
        GradientFlowDisplay({"LSTM": gradient_flow(model, X, y)}).plot(relative=True)
    for flows in (flow, {}, {"GRU": model}):
        with pytest.raises(TypeError, match=r"expected a non-empty dict of results of gradient_flow by label"):
            GradientFlowDisplay(flows)
    assert not pyplot.get_fignums()


def test_bad_input_is_refused():
    model = fitted()
    with pytest.raises(NotFittedError):
        GateDisplay.from_estimator(LSTMClassifier(), X[0])
    with pytest.raises(ValueError, match=r"x has shape \(12, 15, 2\); expected one series"):
        GateDisplay.from_estimator(model, X)
    with pytest.raises(ValueError, match="channels"):
        GateDisplay.from_estimator(model, X[0, :, :1])
    with pytest.raises(TypeError, match="masked array"):
        GateDisplay.from_estimator(model, np.ma.masked_less(X[0], 0))
    with pytest.raises(ValueError, match=r"kind='half-life': expected one of \['gates', 'memory'\]"):
        GateDisplay.from_estimator(model, X[0], kind="half-life")
    with pytest.raises(ValueError, match=r"gates has 'forget', but a cell of type 'gru' has no gate or state of that"):
        GateDisplay.from_estimator(fitted("gru"), X[0], gates=["forget"])
    for gates in ("forget", 5, []):
        with pytest.raises(ValueError, match=r"gates=.*: expected a non-empty list of names, of \['input'"):
            GateDisplay.from_estimator(model, X[0], gates=gates)
    with pytest.raises(
        TypeError, match=r"ax is of type int; expected a matplotlib Axes, such as plt.subplots\(\)\[1\]"
    ):
        GateDisplay.from_estimator(model, X[0], ax=3)
    with pytest.raises(ValueError, match=r"type 'rnn' has no gate that keeps its state"):
        GateDisplay.from_estimator(fitted("rnn"), X[0], kind="memory")
    with pytest.raises(ValueError, match=r"gates=\['input'\] has no effect with kind='memory'"):
        GateDisplay.from_estimator(model, X[0], kind="memory", gates=["input"])
    with pytest.raises(TypeError, match=r"type LSTMClassifier; expected a non-empty dict"):
        GradientFlowDisplay.from_estimators(model, X, X[:, 0, 0] > 0)
    for given in (model, gate_activations(model, X)):
        advice = f"of type {type(given).__name__}: call GateDisplay.from_estimator.*or GateDisplay.from_activations"
        with pytest.raises(TypeError, match=advice):
            GateDisplay(given)


def test_errors_of_several_estimators_name_the_one():
    model, y = fitted(), X[:, 0, 0] > 0
    with pytest.raises(NotFittedError, match=r"^'new': This LSTMClassifier instance is not fitted"):
        GradientFlowDisplay.from_estimators({"old": model, "new": LSTMClassifier()}, X, y)
    with pytest.raises(TypeError, match=r"^'new': estimator is None"):
        GradientFlowDisplay.from_estimators({"old": model, "new": None}, X, y)
    with pytest.raises(NotFittedError, match=r"^after: "):
        GateDisplay.compare(model, LSTMClassifier(), X[0])


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for call in (
        lambda: GateDisplay.from_estimator(fitted(), X[0]),
        lambda: GateDisplay.compare(fitted(), fitted(), X[0]),
        lambda: GradientFlowDisplay.from_estimator(fitted(), X, X[:, 0, 0] > 0),
    ):
        with pytest.raises(ImportError, match=r"Display requires matplotlib: pip install matplotlib"):
            call()
