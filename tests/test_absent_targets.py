"""Series without a target: NaN with a weight of 0, such as windows of a series with gaps."""

import numpy as np
import pandas as pd
import pytest
from helpers import assert_same_fit
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array

from fastlstm import LSTMClassifier, LSTMRegressor

QUICK = {"hidden_size": 5, "learning_rate": "cosine", "max_iter": 3, "batch_size": 8, "random_state": 0}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 6, 2))
PRESENT = np.arange(30) % 4 != 1
WEIGHTS = np.where(PRESENT, RNG.uniform(0.5, 2, 30), 0)
TARGETS = {
    "numbers": (LSTMRegressor, X[:, -2, 0]),
    "outputs": (LSTMRegressor, X[:, -2]),
    "labels": (LSTMClassifier, (X[:, -2, 0] > 0).astype(float)),
}
targets = pytest.mark.parametrize(("estimator", "y"), TARGETS.values(), ids=TARGETS)


def gaps(y):
    out = y.copy()
    out[~PRESENT] = np.nan
    return out


@targets
@pytest.mark.parametrize("options", [{}, {"standardize": False}, {"early_stopping": True, "validation_split": "tail"}])
def test_a_fit_is_that_without_these_series(estimator, y, options):
    expected = estimator(**QUICK, **options).fit(X[PRESENT], y[PRESENT], WEIGHTS[PRESENT])
    assert_same_fit(estimator(**QUICK, **options).fit(X, gaps(y), WEIGHTS), expected)


@targets
def test_partial_fit_and_validation_data_are_those_without_these_series(estimator, y):
    options = {"batch_size": 8, "random_state": 0}
    classes = {"classes": [0, 1]} if estimator is LSTMClassifier else {}
    expected = estimator(5, **options).partial_fit(X[PRESENT], y[PRESENT], sample_weight=WEIGHTS[PRESENT], **classes)
    assert_same_fit(estimator(5, **options).partial_fit(X, gaps(y), sample_weight=WEIGHTS, **classes), expected)
    given = [
        {"X_val": X[rows], "y_val": values[rows], "sample_weight_val": WEIGHTS[rows]}
        for rows, values in ((PRESENT, y), (slice(None), gaps(y)))
    ]
    expected, ours = (estimator(**QUICK).fit(X, y, **validation) for validation in given)
    assert ours.validation_scores_ == expected.validation_scores_


@targets
def test_the_score_is_that_without_these_series(estimator, y):
    model = estimator(**QUICK).fit(X, y)
    assert model.score(X, gaps(y), WEIGHTS) == model.score(X[PRESENT], y[PRESENT], WEIGHTS[PRESENT])


def test_labels_in_an_object_array():
    y = np.array(["low", "high"], object)[(X[:, -2, 0] > 0).astype(int)]
    expected = LSTMClassifier(**QUICK).fit(X[PRESENT], y[PRESENT], WEIGHTS[PRESENT])
    ours = LSTMClassifier(**QUICK).fit(X, gaps(y), WEIGHTS)
    assert list(ours.classes_) == ["high", "low"]
    assert_array_equal(ours.predict(X), expected.predict(X))


def test_missing_values_of_a_nullable_column():
    y = pd.Series(np.arange(30), dtype="Int64").mask(~PRESENT)
    expected = LSTMRegressor(**QUICK).fit(X[PRESENT], np.arange(30)[PRESENT], WEIGHTS[PRESENT])
    assert_array_equal(LSTMRegressor(**QUICK).fit(X, y, WEIGHTS).predict(X), expected.predict(X))


def test_a_label_of_weight_0_is_still_a_class():
    y = np.where(PRESENT, X[:, -2, 0] > 0, 2)
    assert list(LSTMClassifier(**QUICK).fit(X, y, WEIGHTS).classes_) == [0, 1, 2]


@targets
@pytest.mark.parametrize("weights", [None, np.where(PRESENT, 0.0, 1.0)], ids=["without weights", "with a weight"])
def test_a_series_with_a_weight_needs_a_target(estimator, y, weights):
    message = "Input y contains NaN for sample 1: impute or drop the sample, .* weight in sample_weight to 0"
    with pytest.raises(ValueError, match=message):
        estimator(**QUICK).fit(X, gaps(y), weights)


def test_the_message_names_the_validation_data():
    y = X[:, -2, 0]
    with pytest.raises(ValueError, match=r"Input y_val contains NaN for sample 1: .* weight in sample_weight_val to 0"):
        LSTMRegressor(**QUICK).fit(X, y, X_val=X, y_val=gaps(y))


def test_sparse_indicators_have_no_gaps():
    y = csr_array((X[:, -2] > 0).astype(int))
    LSTMClassifier(**QUICK).fit(X, y, WEIGHTS)
