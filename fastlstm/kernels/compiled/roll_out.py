"""Recursive forecasts; see the contract."""

import numpy as np


class RollOut:
    def __init__(self, entries, runs, packed, head, forecast):
        # those of the runs may have products of bfloat16 numbers, while those of the head have not
        self._entries = runs[0]._entries if runs else entries(np.dtype("float64"))
        kernels = [run._kernel for run in runs], [weights.kernel for weights in packed]
        self._kernel = self._entries.RollOut(*kernels, head and self._entries.Linear(*head.weights), forecast)
        self._runs, self._N = runs, len(forecast.offset)  # kept alive

    def run(self, part):
        self._kernel.run(self._entries.Part(*part.share(self._N), part.rank, part.size, False, part.barrier))
