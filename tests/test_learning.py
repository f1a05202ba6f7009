"""The LSTM learns what LSTMs are known to learn: every task of bench/learning.py reaches its goal, and a small one does
so with either precision."""

import sys
from pathlib import Path

import numpy as np
import pytest

from fastlstm import LSTMRegressor, kernels

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
import learning
from data_sets import adding
from results import trainings, warm_up


@pytest.mark.slow
@pytest.mark.parametrize("task", learning.TASKS, ids=[task.name for task in learning.TASKS])
def test_task_is_learned(task):
    if learning.needs_aeon(task) and learning.aeon_folder() is None:
        pytest.skip("aeon is not installed, with which its data come (pip install --no-deps aeon==1.6.0)")
    warm_up(task)
    scores, seconds, _ = zip(*trainings(task, task.tuned), strict=True)
    assert task.reached(scores), f"{task.measure} {scores}, to reach {task.goal}"
    assert task.most_seconds is None or max(seconds) <= task.most_seconds


@pytest.mark.filterwarnings("ignore:Training was still improving")
def test_bfloat16_learns_like_float32():
    """Guessing the mean scores 0, and remembering one of the two values 0.5."""
    rng = np.random.default_rng(0)
    (X, y), (X_test, y_test) = (adding(1000, rng, T=20) for _ in range(2))
    parameters = {"hidden_size": 16, "batch_size": 20, "max_iter": 20, "learning_rate_init": 0.02, "dropout": 0.0}
    models = [LSTMRegressor(**parameters, precision=of, random_state=0).fit(X, y) for of in kernels.OF_TRAINING]
    exact, ours = (1 - model.score(X_test, y_test) for model in models)
    assert max(exact, ours) < 0.002
    assert 0.8 < ours / exact < 1.25
    assert ours != exact
