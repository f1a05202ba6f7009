"""Recursive forecasts; see the contract."""

import numpy as np


class RollOut:
    def __init__(self, entries, runs, packed, head, forecast):
        self._entries = entries(runs[0].dtype if runs else np.dtype("float64"))
        kernels = [run._kernel for run in runs], [weights.kernel for weights in packed]
        self._kernel = self._entries.RollOut(*kernels, head and head._linear, forecast)
        self._runs, self._N = runs, len(forecast.offset)  # kept alive

    def run(self, part):
        self._kernel.run(self._entries.Part(*part.share(self._N), part.rank, part.size, False, part.barrier))
