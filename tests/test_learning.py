"""The LSTM learns what LSTMs are known to learn: every task of bench/learning.py reaches its goal."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
import learning
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
