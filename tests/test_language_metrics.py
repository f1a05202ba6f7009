"""Edit distance and accuracy of predicted sequences."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.metrics import make_scorer
from sklearn.model_selection import cross_val_score

from fastlstm import containers
from fastlstm.language import edit_distance, token_accuracy

METRICS = [edit_distance, token_accuracy]


def table_of(a, b):
    """The table of Wagner and Fischer."""
    D = np.add.outer(np.arange(len(a) + 1), np.arange(len(b) + 1))
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            D[i, j] = min(D[i - 1, j] + 1, D[i, j - 1] + 1, D[i - 1, j - 1] + (a[i - 1] != b[j - 1]))
    return D


@pytest.mark.parametrize(
    ("true", "predicted", "distance"),
    [
        ("kitten", "sitting", 3),
        ("Saturday", "Sunday", 3),
        ("intention", "execution", 5),
        ("abc", "", 3),
        ("", "abc", 3),
        ("", "", 0),
        ("abc", "abc", 0),
        ("ab", "ba", 2),
        ("abcd", "dabc", 2),
    ],
)
def test_distances_known_by_hand(true, predicted, distance):
    assert edit_distance([true], [predicted]) == distance


@given(st.lists(st.integers(0, 3), max_size=12), st.lists(st.integers(0, 3), max_size=12))
def test_the_distance_is_that_of_the_table(a, b):
    assert edit_distance([a], [b]) == table_of(a, b)[-1, -1]


def test_the_distance_of_long_sequences_is_that_of_the_table():
    a, b = np.random.default_rng(0).integers(0, 5, (2, 150)).tolist()
    assert edit_distance([a], [b]) == table_of(a, b)[-1, -1]


def test_the_error_rate_counts_the_symbols_of_y_true():
    assert edit_distance(["abcd", "ab"], ["abcc", "abba"]) == 1.5
    assert edit_distance(["abcd", "ab"], ["abcc", "abba"], normalize=True) == 3 / 6
    assert edit_distance(["a"], ["abc"], normalize=True) == 2


def test_positions_of_the_longer_sequence_count():
    assert token_accuracy(["abcd"], ["abd"]) == token_accuracy(["abd"], ["abcd"]) == 2 / 4
    assert token_accuracy(["abcd", "a"], ["abcd", ""]) == 4 / 5


def test_a_symbol_of_several_characters_counts_as_one():
    assert edit_distance([["sh", "i", "p"]], [["s", "i", "p", "s"]]) == 2
    assert token_accuracy([["sh", "i", "p"]], [["s", "i", "p"]]) == 2 / 3


@pytest.mark.parametrize("form", [list, lambda texts: [[text] for text in texts]], ids=["characters", "words"])
def test_strings_are_compared_in_the_form_nfc(form):
    composed, decomposed = ["\u00e9", "\ud55c"], ["e\u0301", "\u1112\u1161\u11ab"]
    assert edit_distance(form(composed), form(decomposed)) == 0
    assert token_accuracy(form(composed), form(decomposed)) == 1


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    "form",
    [
        tuple,
        containers.objects,
        pd.Series,
        pl.Series,
        lambda of: of if isinstance(of[0], str) else [*map(np.array, of)],
    ],
    ids=["tuple", "object array", "pandas", "polars", "arrays"],
)
@pytest.mark.parametrize(
    ("true", "predicted"),
    [
        (["abc", "", "ab"], ["abd", "a", ""]),
        ([["sh", "i"], [], ["a"]], [["sh"], ["i"], []]),
        ([[1, 2, 3], [], [1]], [[1, 3], [2], []]),
    ],
    ids=["characters", "words", "integers"],
)
def test_every_container_is_read(metric, form, true, predicted):
    expected = metric(true, predicted)
    assert 0 < expected < 2
    assert metric(form(true), form(predicted)) == metric(true, form(predicted)) == expected


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", ["int8", "uint64", "bool", "U1"])
def test_rows_of_an_array_are_sequences(metric, dtype):
    true, predicted = np.array([[1, 0, 1], [0, 0, 1]]), np.array([[1, 1, 1], [0, 0, 1]])
    assert metric(true.astype(dtype), predicted.astype(dtype)) == metric(true.tolist(), predicted.tolist())


def test_weights_repeat_pairs():
    true, predicted, weights = ["abcd", "ab", "a"], ["abcc", "b", "a"], [3, 1, 0]
    often = [np.repeat(texts, weights) for texts in (true, predicted)]
    for metric, options in ((edit_distance, {}), (edit_distance, {"normalize": True}), (token_accuracy, {})):
        weighted = metric(true, predicted, sample_weight=weights, **options)
        assert weighted == pytest.approx(metric(*often, **options))
        assert metric(true, predicted, sample_weight=[3e307, 1e307, 0], **options) == pytest.approx(weighted)


@pytest.mark.parametrize("empty", ["", []])
def test_empty_sequences_are_predicted_perfectly_by_empty_ones(empty):
    assert edit_distance([empty], [empty]) == 0
    assert edit_distance([empty], [empty], normalize=True) == 0
    assert token_accuracy([empty], [empty]) == 1


def test_empty_sequences_have_no_kind():
    assert edit_distance([[1, 2], [3]], [[], []]) == 1.5
    assert edit_distance(["", ""], [[1, 2], [3]]) == 1.5


class Reversal(BaseEstimator):
    """An estimator that predicts each string reversed, or as it is."""

    def __init__(self, backwards=True):
        self.backwards = backwards

    def fit(self, X, y):
        return self

    def predict(self, X):
        return [text[::-1] if self.backwards else text for text in X]


def test_metrics_score_in_cross_validation():
    X, y = ["abc", "abcd", "aba", "ab"], ["cba", "dcba", "aba", "ba"]
    rate = make_scorer(edit_distance, normalize=True, greater_is_better=False)
    accuracy = make_scorer(token_accuracy)
    assert cross_val_score(Reversal(), X, y, scoring=rate, cv=2).tolist() == [0, 0]
    assert cross_val_score(Reversal(), X, y, scoring=accuracy, cv=2).tolist() == [1, 1]
    assert cross_val_score(Reversal(False), X, y, scoring=rate, cv=2).tolist() == [-6 / 7, -2 / 5]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["ab", "c"], ["ab"]), r"^y_true has 2 sequences, but y_pred has 1: pass one prediction for each sequence"),
        (
            (["ab"], [[1, 2]]),
            r"^y_true holds strings, .* but y_pred holds sequences of int: pass sequences of the same",
        ),
        ((["ab"], [["a", "b"]]), r"^y_true holds strings, .* but y_pred holds sequences of str: pass sequences of the"),
        (([["a"]], [[1]]), r"^y_true holds sequences of str, but y_pred holds sequences of int"),
        ((["ab"], ["ab", [1]]), r"^y_pred\[1\] is a list, but y_pred\[0\] is a str"),
        (([["a", 1]], [["a", "b"]]), r"^y_true\[0\]\[1\] is 1, but y_true\[0\]\[0\] is 'a'"),
        (([], []), r"^y_true has 0 sequences; expected at least 1"),
        (("ab", "ab"), r"^y_true is a string, 'ab'; .*pass \[y_true\]"),
        ((["ab"], None), r"^y_pred is None; expected a list of sequences"),
        ((["ab"], [None]), r"^y_pred\[0\] is None, of type NoneType; .*: drop missing sequences"),
        (([[0.5]], [[0.5]]), r"^y_true\[0\]\[0\] is 0.5, of type float; expected str or int"),
        (([pd.DataFrame({"a": ["b"]})], ["b"]), r"^y_true has tables with the columns \['a'\]; expected plain"),
    ],
)
def test_what_cannot_be_compared_is_refused(metric, arguments, message):
    with pytest.raises(ValueError, match=message):
        metric(*arguments)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1], r"sample_weight.shape == \(1,\), expected \(2,\)"),
        ([1, -1], r"Negative values in sample_weight: .* got -1 for sample 1"),
        ([0, 0], r"sample_weight is zero for every sample"),
        ([1, np.nan], r"sample_weight contains NaN"),
        ("ab", r"sample_weight is 'ab'; expected None, or one weight per series"),
        ([[1], [1]], r"sample_weight: .* 1D"),
        ([1, "a"], r"sample_weight is not an array of numbers"),
    ],
)
def test_bad_weights_are_refused(metric, weights, message):
    with pytest.raises(ValueError, match=message):
        metric(["ab", "c"], ["ab", "c"], sample_weight=weights)


def test_an_error_rate_without_symbols_is_refused():
    with pytest.raises(ValueError, match=r"^normalize=True, but y_true has no symbols .*, or set normalize=False"):
        edit_distance([""], ["a"], normalize=True)
    with pytest.raises(ValueError, match=r"^normalize=True, but y_true has no symbols"):
        edit_distance(["", "a"], ["a", "a"], normalize=True, sample_weight=[1, 0])
    with pytest.raises(ValueError, match=r"^normalize='yes': expected True or False"):
        edit_distance(["a"], ["a"], normalize="yes")
