"""Pictures of attention weights."""

import sys
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")
from matplotlib import pyplot  # noqa: E402

from fastlstm import LSTMClassifier  # noqa: E402
from fastlstm.inspection import AttentionDisplay  # noqa: E402

SOURCE, TARGET = ["we", "go", "home"], ["wir", "gehen", "nach", "Hause"]


def attention(T, S, seed=0):
    """Weights [T + 1, S] whose rows add up to 1."""
    weights = np.random.default_rng(seed).random((T + 1, S))
    return weights / weights.sum(axis=1, keepdims=True)


class Translator:
    """Stands in for a fitted translator, which translates each sequence into TARGET."""

    def predict(self, X):
        return [TARGET for _ in X]

    def attention_weights(self, X, y=None):
        y = self.predict(X) if y is None else y
        return [attention(len(target), len(x), len(target)) for x, target in zip(X, y, strict=True)]


@pytest.fixture(autouse=True)
def close():
    yield
    pyplot.close("all")


def labels_of(display):
    return [[label.get_text() for label in axis.get_ticklabels()] for axis in (display.ax_.xaxis, display.ax_.yaxis)]


def shown(display):
    (image,) = display.ax_.get_images()
    return image


def test_columns_are_the_source_and_rows_the_translation():
    weights = attention(4, 3)
    display = AttentionDisplay(weights, SOURCE, TARGET).plot()
    assert_array_equal(shown(display).get_array(), weights)
    assert shown(display).get_clim() == (0, 1)
    assert labels_of(display) == [SOURCE, [*TARGET, "<end>"]]
    assert_array_equal(display.ax_.get_xticks(), range(3))
    assert_array_equal(display.ax_.get_yticks(), range(5))
    assert display.ax_.yaxis_inverted()
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("source", "translation")
    assert display.figure_.axes[1].get_ylabel() == "attention weight"


def test_the_source_is_on_top():
    display = AttentionDisplay(attention(4, 3), SOURCE, TARGET).plot()
    display.figure_.canvas.draw()
    for text in (*display.ax_.get_xticklabels(), display.ax_.xaxis.label):
        assert text.get_window_extent().y0 > display.ax_.bbox.y1


@pytest.mark.parametrize("y", [None, ["heim"]])
def test_a_translator_is_asked_for_its_weights(y):
    display = AttentionDisplay.from_estimator(Translator(), SOURCE, y)
    assert labels_of(display)[1] == [*(y or TARGET), "<end>"]
    (expected,) = Translator().attention_weights([SOURCE], [y or TARGET])
    assert_array_equal(shown(display).get_array(), expected)


@pytest.mark.parametrize(
    ("source", "labels"),
    [
        ("abc", ["a", "b", "c"]),
        (["ab", "c", "d"], ["ab", "c", "d"]),
        (np.array([7, 10, -1]), ["7", "10", "-1"]),
        (pd.Series(["x", "y", "z"]), ["x", "y", "z"]),
        ("\u1112\u1161\u11ab\u1100\u1173\u11afe\u0301", ["\ud55c", "\uae00", "\u00e9"]),
    ],
    ids=["string", "words", "integers", "column", "decomposed"],
)
def test_every_sequence_of_symbols_is_read(source, labels):
    display = AttentionDisplay(attention(3, 3), source, source).plot()
    assert labels_of(display) == [labels, [*labels, "<end>"]]


def test_an_empty_translation_has_an_end():
    assert labels_of(AttentionDisplay(attention(0, 2), "ab", "").plot()) == [["a", "b"], ["<end>"]]


def test_symbols_are_drawn_as_they_are():
    display = AttentionDisplay(attention(2, 5), "$x $\n", ["$$", "$\\frac$"]).plot()
    display.figure_.canvas.draw()
    assert labels_of(display) == [["$", "x", "␣", "$", "\\n"], ["$$", "$\\frac$", "<end>"]]


def test_only_long_labels_are_rotated():
    for source, rotation in (("abc", 0), (["ab", "c", "d"], 0), (["abc", "d", "e"], 90)):
        display = AttentionDisplay(attention(1, 3), source, "a").plot()
        assert {label.get_rotation() for label in display.ax_.get_xticklabels()} == {rotation}
        assert {label.get_rotation() for label in display.ax_.get_yticklabels()} == {0}


def test_the_end_of_a_long_label_is_left_out():
    display = AttentionDisplay(attention(1, 1), ["x" * 99], ["y" * 99]).plot()
    display.figure_.canvas.draw()
    assert [labels[0] for labels in labels_of(display)] == ["x" * 23 + "…", "y" * 23 + "…"]
    assert display.ax_.get_position().width > 0.1


@pytest.mark.parametrize("is_given", [False, True])
@pytest.mark.parametrize("source", ["m" * 90, ["mm"] * 90, ["mmm"] * 90], ids=["upright", "pairs", "rotated"])
def test_labels_of_many_symbols_do_not_overlap(source, is_given):
    ax = pyplot.subplots(1, 2, figsize=(12, 6), layout="constrained")[1][1] if is_given else None
    display = AttentionDisplay(attention(70, 90), source, "m" * 70).plot(ax=ax)
    display.figure_.canvas.draw()
    assert max(display.figure_.get_size_inches()) <= 16
    columns = [label.get_window_extent() for label in display.ax_.get_xticklabels()]
    rows = [label.get_window_extent() for label in display.ax_.get_yticklabels()]
    assert all(left.x1 < right.x0 for left, right in pairwise(columns))
    assert all(upper.y0 > lower.y1 for upper, lower in pairwise(rows))


def test_the_figure_grows_with_the_sequences():
    sizes = [AttentionDisplay(attention(n, 40), "a" * 40, "a" * n).plot().figure_.get_size_inches() for n in (10, 30)]
    assert sizes[0][0] == sizes[1][0] > 12
    assert sizes[1][1] > 2 * sizes[0][1]


def test_given_axes_are_used():
    ax = pyplot.subplots()[1]
    display = AttentionDisplay.from_estimator(Translator(), SOURCE, ax=ax)
    assert (display.ax_, display.figure_) == (ax, ax.figure)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (attention(2, 3), "abc", "abc"),
            r"^weights has shape \(3, 3\); expected \(4, 3\), one row for each of the 3 symbols of target and one for "
            r"its end, and one column for each of the 3 symbols of source\.$",
        ),
        ((attention(2, 3), "ab", "ab"), r"^weights has shape \(3, 3\); expected \(3, 2\), one row"),
        (
            (attention(3, 2).T, "ab", "abc"),
            r"^weights has shape \(2, 4\); expected \(4, 2\), .* source: pass weights.T",
        ),
        (([attention(3, 2)], "ab", "abc"), r"^weights has shape \(1, 4, 2\); expected \(T \+ 1, S\), .*\[x\]\)\[0\]\."),
        ((None, "ab", "a"), r"^weights has shape \(\); expected \(T \+ 1, S\)"),
        (([[0.5, 0.5], [1]], "ab", "a"), r"^weights is a sequence whose members differ in shape; expected one array"),
        (([[0.5, 0.5], [np.nan, 1]], "ab", "a"), r"^weights\[1, 0\] is nan; expected numbers from 0 to 1"),
        (([[0.5, 0.5], [0, None]], "ab", "a"), r"^weights\[1, 1\] is nan; expected numbers from 0 to 1"),
        (([[0.5, 0.5], [-3, 4]], "ab", "a"), r"^weights\[1, 0\] is -3; expected numbers from 0 to 1"),
        (([[0.5, 0.5], [0, 1.5]], "ab", "a"), r"^weights\[1, 1\] is 1.5; expected numbers from 0 to 1"),
        (([["a", "b"], ["c", "d"]], "ab", "a"), r"^weights are of type <U1; expected numbers from 0 to 1"),
        ((attention(1, 1), "", "a"), r"^source\[0\] has length 0; expected a sequence of at least 1 symbol"),
        ((attention(1, 1), None, "a"), r"^source\[0\] is None, of type NoneType; expected a string, or a list"),
        ((attention(1, 1), "a", 3), r"^target\[0\] is 3, of type int; expected a string, or a list"),
        ((attention(1, 1), "a", [0.5]), r"^target\[0\]\[0\] is 0.5, of type float; expected str or int"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        AttentionDisplay(*arguments)


def test_rounded_weights_are_drawn():
    AttentionDisplay(np.array([[1.0000001, -1e-7]], np.float32), "ab", "").plot()


@pytest.mark.parametrize("other", [None, LSTMClassifier(), "abc"])
def test_what_has_no_attention_is_refused(other):
    message = rf"^translator is of type {type(other).__name__}; expected a fitted LSTMTranslator"
    with pytest.raises(TypeError, match=message):
        AttentionDisplay.from_estimator(other, "abc")


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    display = AttentionDisplay(attention(4, 3), SOURCE, TARGET)
    for call in (display.plot, lambda: AttentionDisplay.from_estimator(Translator(), SOURCE)):
        with pytest.raises(ImportError, match=r"AttentionDisplay requires matplotlib: pip install matplotlib"):
            call()
