"""Fresh weights."""

import numpy as np
import pytest
from helpers import assert_refused

from fastlstm import LSTMClassifier, LSTMRegressor
from fastlstm.stacks import Stack


def biases(cell, longest_lag, gate, H=200):
    """The biases of one gate in a fresh stack of two layers, both directions, sorted."""
    weights = Stack(cell, 3, (H, H), bidirectional=True).initial_weights(np.random.default_rng(0), longest_lag)
    names = [name for name in weights if name.startswith("bias_ih")]
    assert len(names) == 4
    return np.concatenate([weights[name][gate * H : (gate + 1) * H] for name in names])


def assert_uniform(values, low, high):
    """Kolmogorov & Smirnov's statistic of values that should be uniform, at about one in a thousand."""
    places = (np.sort(values) - low) / (high - low)
    assert np.abs(places - np.linspace(0, 1, len(values))).max() < 1.95 / np.sqrt(len(values))


def test_chrono_biases_of_an_lstm_are_drawn_for_the_lags():
    forget, input_ = biases("lstm", 400, gate=1), biases("lstm", 400, gate=0)
    assert_uniform(np.exp(forget), 1, 399)
    np.testing.assert_array_equal(input_, -forget)
    assert not biases("lstm", 400, gate=2).any()
    assert not biases("lstm", 400, gate=3).any()


def test_chrono_biases_of_a_gru_are_drawn_for_the_lags():
    assert_uniform(np.exp(biases("gru", 400, gate=1)), 1, 399)
    assert not biases("gru", 400, gate=0).any()
    assert not biases("gru", 400, gate=2).any()


def test_chrono_biases_of_a_cifg_are_drawn_for_the_lags():
    assert_uniform(np.exp(biases("cifg", 400, gate=0)), 1, 399)
    assert not biases("cifg", 400, gate=1).any()
    assert not biases("cifg", 400, gate=2).any()


def test_without_chrono_only_the_forget_bias_is_set():
    assert (biases("lstm", None, gate=1) == 1).all()
    assert not biases("lstm", None, gate=0).any()


def forget_biases(X, **parameters):
    model = LSTMRegressor(300, max_iter=1, learning_rate="cosine", learning_rate_init=1e-9, random_state=0)
    model.set_params(init="chrono", **parameters).fit(X, np.arange(len(X)))
    return model.weights_["bias_ih_l0"][300:600]


def test_the_longest_lag_is_that_of_the_data_unless_given():
    X = [np.zeros(5), np.zeros(90)]
    assert_uniform(np.exp(forget_biases(X)), 1, 89)
    assert_uniform(np.exp(forget_biases(X, longest_lag=700)), 1, 699)
    assert not forget_biases([np.zeros(1), np.zeros(2)]).any()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"init": "chrono", "cell": "rnn"},
            "init='chrono' is not supported with cell='rnn'.*cell='lstm', 'gru' or 'cifg'",
        ),
        ({"longest_lag": 10, "init": "standard"}, "longest_lag=10 has no effect with init='standard'"),
        ({"longest_lag": 10, "cell": "rnn"}, "longest_lag=10 has no effect with cell='rnn'"),
        ({"init": "chrono", "longest_lag": 0}, "'longest_lag'.*Got 0"),
    ],
)
def test_what_does_not_fit_is_refused(parameters, message):
    model = LSTMClassifier(4, **parameters)
    assert_refused(lambda: model.fit(np.zeros((2, 3)), [0, 1]), ValueError, message, model)
