"""Where gevent has replaced Python's threads, which then take turns in one thread of the system."""

import pytest
from helpers import run_python

pytest.importorskip("gevent")

PATCH = "from gevent import monkey; monkey.patch_all()\n"
MODEL = """
import numpy as np
from fastlstm import LSTMRegressor, threads

threads.cpu_limit, threads.FLOPS_PER_THREAD = lambda: 2, 1
X = np.random.default_rng(0).normal(size=(20, 5, 3))
model = LSTMRegressor(4, max_iter=1, learning_rate="cosine", n_jobs=1).fit(X, X[:, 0, 0])
expected = model.predict(X)
model.n_jobs = 2
"""
#: Predictions that are worth two threads, and the number of idle workers that they leave.
PREDICTIONS = """
print(all(np.array_equal(model.predict(X), expected) for _ in range(3)), len(threads._idle))
"""


@pytest.mark.parametrize(
    ("program", "workers"),
    [
        (PATCH + MODEL, 0),
        (MODEL + PATCH, 0),
        (MODEL + "model.predict(X)\n" + PATCH, 1),  # the worker is there already, and is a thread of the system
        (PATCH.replace("()", "(thread=False)") + MODEL, 1),
    ],
    ids=["before import", "after import", "after a team", "all but threads"],
)
@pytest.mark.system
def test_predictions_use_threads_of_the_system_alone(program, workers):
    assert run_python("-c", program + PREDICTIONS, timeout=60) == f"True {workers}"
