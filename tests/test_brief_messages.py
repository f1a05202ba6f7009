"""No error prints a whole container, or a number of hundreds of digits."""

import numpy as np
import pytest

from fastlstm import LSTMClassifier, LSTMRegressor, containers

X = np.random.default_rng(0).normal(size=(8, 5))
Y = X.sum(axis=1)
LABELS = np.arange(8) % 2
QUICK = {"max_iter": 1, "learning_rate": "cosine"}
HUGE = 10**5000
MANY = [f"a{n}" for n in range(10_000)]


def classifier(**options):
    return LSTMClassifier(2, **options, **QUICK)


def regressor(**options):
    return LSTMRegressor(2, **options, **QUICK).fit(X, Y)


def many_labels(each=2, **options):
    """A fit with 3000 labels, all but one of them on `each` series."""
    y = np.append(np.repeat(np.arange(3000), each), [0] * 3000)
    return classifier(**options).fit(np.zeros((len(y), 1)), y)


def quantiles(levels):
    return regressor(loss="quantile", quantile=[0.4, 0.6]).predict_quantiles(X, levels)


CALLS = {
    "labels that are there once": lambda: many_labels(1, early_stopping=True, validation_fraction=0.9),
    "labels that are there twice": lambda: many_labels(early_stopping=True, validation_fraction=0.9),
    "class_weight, an unknown label": lambda: many_labels(class_weight={"a": 1.0}),
    "class_weight, negative values": lambda: classifier(class_weight=dict.fromkeys(range(5000), -1.0)).fit(X, LABELS),
    "class_weight, zeros": lambda: classifier(class_weight=dict.fromkeys(range(5000), 0.0)).fit(X, LABELS),
    "class_weight, indicators": lambda: classifier(class_weight=dict.fromkeys(range(5000), 1.0)).fit(X, np.eye(8)),
    "streams": lambda: regressor().stream().reset(MANY),
    "hidden_size": lambda: LSTMRegressor(MANY, **QUICK).fit(X, Y),
    "num_layers": lambda: LSTMRegressor([1] * 10_000, **QUICK).fit(X, Y),
    "levels, a dict": lambda: quantiles(dict.fromkeys(MANY)),
    "levels, a number": lambda: quantiles(HUGE),
    "levels, outside": lambda: quantiles([0.1] * 10_000),
    "quantile": lambda: regressor(loss="quantile", quantile=[HUGE]),
    "quantile, order": lambda: regressor(loss="quantile", quantile=[0.1] * 10_000),
    "quantile, another loss": lambda: regressor(quantile=[0.1] * 10_000),
    "complex y": lambda: LSTMRegressor(2, **QUICK).fit(np.zeros((5000, 1)), np.arange(5000) * 1j),
    "complex labels": lambda: classifier().fit(np.zeros((5000, 1)), np.arange(5000) * 1j),
    "complex weights": lambda: LSTMRegressor(2, **QUICK).fit(np.zeros((5000, 1)), np.ones(5000), np.ones(5000) * 1j),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_an_error_is_short(call):
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert len(str(caught.value)) < 450
    assert "\n" not in str(caught.value)


def test_what_is_short_is_printed_as_it_is():
    for value in ([0.1, "a"], (1,), {1: [2, 3]}, 7, "text", 0.5, None):
        assert containers.brief(value) == repr(value)
