"""`bptt_checkpoint`: the steps between kept states are computed a second time, to the same gradient."""

import numpy as np
import pytest
from helpers import network_results
from numpy.testing import assert_allclose, assert_array_equal

from fastlstm import LSTMClassifier, LSTMRegressor
from fastlstm.sequences import Series, of_array
from fastlstm.training import network as networks

T = 7
steps = pytest.mark.parametrize("steps", [1, 3, T, T + 5])
CLOSE = {"rtol": 1e-10, "atol": 1e-13}


def batch(lengths, dtype="float64"):
    """Series of these lengths of two channels, and two targets for each."""
    rng = np.random.default_rng(0)
    series = of_array(rng.normal(size=(len(lengths), T, 2)).astype(dtype))
    return Series(series.values, series.at, np.array(lengths), 2), rng.normal(size=(len(lengths), 2)).astype(dtype)


@pytest.mark.parametrize("lengths", [[T] * 9, [2, T, 1, 6, 5, 1, 3, 4, 3], [4]], ids=["equal", "unequal", "shorter"])
@steps
def test_losses_are_the_same_and_gradients_close(backend, lengths, steps):
    data = batch(lengths)
    losses, gradient = network_results(*data, None, backend)
    losses_again, gradient_again = network_results(*data, steps, backend)
    assert_array_equal(losses_again, losses)
    assert_allclose(gradient_again, gradient, **CLOSE)


@pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])
@steps
def test_fits_agree(backend, estimator, steps):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(23, T, 2))
    y = X[:, :, 0].sum(axis=1)
    y = y > 0 if estimator is LSTMClassifier else y
    options = {"batch_size": 5, "max_iter": 4, "learning_rate": "cosine", "dtype": "float64", "random_state": 0}
    whole, divided = (
        estimator(9, bptt_checkpoint=checkpoint, backend=backend, **options).fit(X, y) for checkpoint in (None, steps)
    )
    assert_allclose(divided.loss_curve_, whole.loss_curve_, **CLOSE)
    for name, value in whole.weights_.items():
        assert_allclose(divided.weights_[name], value, **CLOSE, err_msg=name)


def tape_steps(monkeypatch, checkpoint):
    """The steps of every tape that a network keeps for series of 9 steps."""
    kept, package = [], networks.kernels.load("numpy")
    run = package.lstm.Run

    def noted(C, H, starts, dtype, workspace, recording=False, *more):
        if recording:
            kept.append(len(starts) - 1)
        return run(C, H, starts, dtype, workspace, recording, *more)

    monkeypatch.setattr(package.lstm, "Run", noted)
    series = of_array(np.ones((4, 9, 2)))
    network_results(series, np.ones((4, 1)), checkpoint, "numpy")
    return kept


@pytest.mark.parametrize(("checkpoint", "kept"), [(None, [9]), ("auto", [9]), (4, [1, 4, 4]), (9, [9]), (20, [9])])
def test_only_the_steps_between_two_checkpoints_are_kept_at_once(monkeypatch, checkpoint, kept):
    assert tape_steps(monkeypatch, checkpoint) == kept


def test_auto_divides_what_is_too_large_into_pieces(monkeypatch):
    step = 4 * (2 + 6 * 17) * 8  # bytes: 4 series; 2 inputs, both states and four gates of 17 units; float64
    monkeypatch.setattr(networks, "TAPE_BYTES", 9 * step - 1)
    monkeypatch.setattr(networks, "SEGMENT_BYTES", 2 * step)
    assert tape_steps(monkeypatch, "auto") == [1, 2, 2, 2, 2]


def test_auto_keeps_what_is_not_too_large(monkeypatch):
    monkeypatch.setattr(networks, "TAPE_BYTES", 9 * 4 * (2 + 6 * 17) * 8)
    assert tape_steps(monkeypatch, "auto") == [9]
