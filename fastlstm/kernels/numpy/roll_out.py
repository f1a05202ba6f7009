"""Recursive forecasts; see the contract."""

import numpy as np

from fastlstm.kernels.forecast import VARIANCE_FLOOR


class RollOut:
    def __init__(self, runs, packed, head, forecast):
        self._layers, self._head, self._forecast = list(zip(runs, packed, strict=True)), head, forecast

    def run(self, part):
        of, (N, S), T = self._forecast, self._forecast.offset.shape, len(self._forecast.lags)
        for j in range(S):
            y = of.offset[:, j] + (of.series[:, j : j + T] * of.lags).sum(axis=1)
            if self._layers:
                y += of.point * of.scores[:, 0]
                if of.noise is not None:
                    variance = np.exp(2 * of.scores[:, 1].astype(float)) + VARIANCE_FLOOR
                    y += of.width * variance ** (of.sharpness / 2) * of.noise[:, j]
            of.series[:, T + j] = y
            if self._layers and j + 1 < S:
                of.x[:, j, 0] = y
                h = of.x[:, j]
                for run, packed in self._layers:
                    inputs, h = h, np.empty((N, run.H), run.dtype)
                    run.step(packed, inputs, h)
                self._head.forward(0, N, h, of.scores)
