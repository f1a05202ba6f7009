"""What all timing side by side has in common."""

import time

import numpy as np

SHORTEST = 0.01  # seconds of calls that are timed together: users call in loops, and clocks are coarse
# The pools of torch and ONNX Runtime keep cores busy for up to 20 ms after their last work, in the hope of more.
PAUSE = 0.03  # seconds before each side


def seconds(function, times=1):
    """Seconds of one of `times` calls in a row."""
    start = time.perf_counter()
    for _ in range(times):
        function()
    return (time.perf_counter() - start) / times


def loop(function):
    """How many calls take SHORTEST, one at least, and what they took."""
    start, calls, taken = time.perf_counter(), 0, 0.0
    while taken < SHORTEST:
        function()
        calls, taken = calls + 1, time.perf_counter() - start
    return calls, taken


def check_same(ours, theirs, name, tolerance=1e-3):
    """Both sides must compute the same numbers, or their times say nothing. A side that returns None is not checked.

    `tolerance` is relative to the largest number of ours.
    """
    if ours is not None and theirs is not None:
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=tolerance * np.abs(ours).max(), err_msg=name)
