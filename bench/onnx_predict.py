"""`predict` beside ONNX Runtime on the export of the same model: ``python bench/onnx_predict.py`` prints the table.

A round times each side in a loop, one after another, each after a pause in which the threads of the other go to sleep.
Ratios are those of the medians of all rounds: above 1, `predict` is faster.
"""

import statistics
import time

import numpy as np
import onnxruntime
from latency import seconds
from threadpoolctl import threadpool_limits

from fastlstm import LSTMRegressor, kernels, to_onnx

SHAPES = ((1, 24, 1, 32), (32, 50, 8, 64), (500, 24, 1, 32), (256, 100, 8, 128))  # N, T, C, H
CELLS = ("lstm", "gru")
ROUNDS, SECONDS, PAUSE = 15, 0.02, 0.03  # rounds, the length of a loop, and of a pause


def sides(shape, cell, threads):
    """Our prediction and ONNX Runtime's, as functions; they are checked to be equal."""
    N, T, C, H = shape
    X = np.random.default_rng(0).normal(size=(max(N, 4), T, C)).astype("float32")
    model = LSTMRegressor(H, cell=cell, max_iter=1, n_jobs=threads, random_state=0).fit(X, X[:, -1, 0])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    exported = to_onnx(model).SerializeToString()
    session = onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])
    X = X[:N]
    np.testing.assert_allclose(session.run(None, {"X": X})[0], model.predict(X), rtol=1e-4, atol=1e-5)
    return lambda: model.predict(X), lambda: session.run(None, {"X": X})


def seconds_after_pause(function):
    """Seconds of one call, after a pause and a first call."""
    time.sleep(PAUSE)
    function()
    return seconds(function, SECONDS)


def main():
    print(f"{kernels.resolve()} backend, {kernels.load().isa()}, onnxruntime {onnxruntime.__version__}\n")
    print("| N x T x C x H | cell | threads | predict, us | onnxruntime, us | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    for shape in SHAPES:
        for cell in CELLS:
            for threads in (1, 2):
                with threadpool_limits(threads):
                    ours, theirs = sides(shape, cell, threads)
                    rounds = [(seconds_after_pause(ours), seconds_after_pause(theirs)) for _ in range(ROUNDS)]
                first, second = (1e6 * statistics.median(times) for times in zip(*rounds, strict=True))
                label = "x".join(map(str, shape))
                print(
                    f"| {label} | {cell} | {threads} | {first:.0f} | {second:.0f} | {second / first:.2f} |", flush=True
                )


if __name__ == "__main__":
    main()
