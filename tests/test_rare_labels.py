"""Labels that few series have, or that a part of the data lacks: early stopping and class weights."""

from fractions import Fraction

import numpy as np
import pytest
from helpers import assert_refused
from numpy.testing import assert_array_equal
from sklearn.model_selection import TimeSeriesSplit, cross_val_score
from sklearn.neural_network import MLPClassifier

from fastlstm import LSTMClassifier, LSTMRegressor

QUICK = {"hidden_size": 3, "learning_rate": "cosine", "max_iter": 2, "random_state": 0}
STOPPING = {**QUICK, "early_stopping": True}
RARE = {
    "a label of one series": [1] * 20 + [2] * 19 + [3],
    "labels of one series": [1] * 20 + [2] * 16 + [3, 4, 5, 6],
    "fewer series held out than labels": list("abcd") * 5,
    "labels of two series": [*range(10), *range(10), *[0] * 10],
}


def series(n):
    return np.random.default_rng(0).normal(size=(n, 5))


def held_out(model, X, y):
    """The rows of X that a fit with early stopping validates on."""
    rows = []

    class Noting(LSTMClassifier):
        def _check_validation_data(self, targets, weights):
            rows.append(weights[:, 0])

    weights = np.arange(1.0, len(y) + 1)
    Noting(**model.get_params()).fit(X, y, weights)
    return rows[0].astype(int) - 1


@pytest.mark.parametrize("labels", RARE.values(), ids=RARE)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_early_stopping_trains_where_the_mlp_of_scikit_learn_does(labels):
    X = series(len(labels))
    MLPClassifier(2, early_stopping=True, max_iter=2, random_state=0).fit(X, labels)
    model = LSTMClassifier(**STOPPING).fit(X, labels)
    assert len(model.validation_scores_) == 2


@pytest.mark.parametrize("labels", RARE.values(), ids=RARE)
@pytest.mark.parametrize("seed", range(5))
def test_every_label_is_trained_and_the_fraction_is_held_out(labels, seed):
    X, y = series(len(labels)), np.array(labels)
    rows = held_out(LSTMClassifier(**{**STOPPING, "random_state": seed}), X, y)
    assert len(set(rows)) == np.ceil(0.1 * len(y))
    assert set(np.delete(y, rows)) == set(y)


def test_another_seed_holds_out_other_series():
    X, y = series(40), np.array(RARE["a label of one series"])
    one, other = (held_out(LSTMClassifier(**{**STOPPING, "random_state": seed}), X, y) for seed in (0, 1))
    assert set(one) != set(other)


def test_labels_that_are_not_rare_have_their_share():
    y = np.repeat([0, 1, 2], [10, 20, 70])
    assert_array_equal(np.bincount(y[held_out(LSTMClassifier(**STOPPING), series(100), y)]), [1, 2, 7])


WAY_OUT = r"Pass X_val and y_val, change validation_fraction, .*validation_split='tail', or set early_stopping=False"


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (["no"] * 39 + ["yes"], r"holds out 4 of 40 series\. Label 'yes' has only 1 series\."),
        ([True, False], r"holds out 1 of 2 series\. Labels \[False, True\] have only 1 series each\."),
        ([7, 8] * 4, r"holds out 1 of 8 series\. There are 2 labels: \[7, 8\]\."),
        (list("abcd") * 2, r"holds out 1 of 8 series\. There are 4 labels: \['a', 'b', 'c', 'd'\]\."),
        (list(range(12)), r"holds out 2 of 12 series\. Labels \[0, 1, .*\(12 in all\)\] have only 1 series each\."),
    ],
    ids=["one of two labels", "one series each of two", "one held out", "one held out of four labels", "all differ"],
)
def test_labels_too_rare_to_hold_out_are_named_with_the_way_out(labels, why):
    model = LSTMClassifier(**STOPPING)
    message = rf"early_stopping=True .*validation_fraction=0\.1 {why} {WAY_OUT}"
    assert_refused(lambda: model.fit(series(len(labels)), labels), ValueError, message, model)


@pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])
def test_a_fraction_that_holds_out_everything_is_named(estimator):
    model = estimator(**STOPPING, validation_fraction=0.8)
    message = "validation_split='random' with validation_fraction=0.8 holds out all of the 4 series"
    assert_refused(lambda: model.fit(series(4), [0, 1, 0, 1]), ValueError, message, model)


def test_class_weights_may_name_labels_that_the_data_lack():
    X, y = series(12), ["high", "low", "low"] * 4
    model = LSTMClassifier(**QUICK, class_weight={"high": 3, "low": 0.5, "middle": 9}).fit(X, y)
    expected = LSTMClassifier(**QUICK, class_weight={"high": 3, "low": 0.5}).fit(X, y)
    assert model.loss_curve_ == expected.loss_curve_


def test_folds_that_lack_a_label_are_scored():
    y = np.r_[np.zeros(25, int), np.arange(15) % 2]  # the rare label comes late
    model = LSTMClassifier(**QUICK, class_weight={0: 1, 1: 10})
    scores = cross_val_score(model, series(40), y, cv=TimeSeriesSplit(3), error_score="raise")
    assert np.isfinite(scores).all()


def test_class_weights_of_unknown_labels_beside_labels_without_weight():
    model = LSTMClassifier(**QUICK, class_weight={"0": 1, 1: 10})
    message = (
        r"class_weight has keys \['0'\], which do not occur in y, but none for \[0\]: use the labels of y, \[0, 1\]"
    )
    assert_refused(lambda: model.fit(series(4), [0, 1, 0, 1]), ValueError, message, model)


def test_class_weights_that_add_up_to_more_than_a_float_holds():
    message = "The sum of sample_weight, multiplied by class_weight, overflows float64"
    for weights in ({0: 1e308, 1: 1e308}, {0: 1e200, 1: 1}):
        model = LSTMClassifier(**QUICK, class_weight=weights)
        fit = lambda model=model: model.fit(series(4), [0, 1, 0, 1], [1e200, 1, 1, 1])  # noqa: E731
        assert_refused(fit, ValueError, message, model)


def test_class_weights_may_be_fractions():
    X, y = series(4), [0, 1, 0, 1]
    model = LSTMClassifier(**QUICK, class_weight={0: Fraction(1, 2), 1: 2}).fit(X, y)
    assert model.loss_curve_ == LSTMClassifier(**QUICK, class_weight={0: 0.5, 1: 2}).fit(X, y).loss_curve_


@pytest.mark.parametrize("weight", ["heavy", None, [1], 1j, pytest.param(10**400, id="too large")], ids=str)
def test_class_weights_that_are_no_numbers(weight):
    model = LSTMClassifier(**QUICK, class_weight={0: weight, 1: 10})
    message = "class_weight=.*: expected finite, non-negative weights"
    assert_refused(lambda: model.fit(series(4), [0, 1, 0, 1]), ValueError, message, model)
