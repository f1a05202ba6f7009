"""Recursive forecasts: each is the input of the next step, and the layers carry their states on."""

import math
from functools import lru_cache

import numpy as np

from fastlstm.kernels.forecast import VARIANCE_FLOOR
from fastlstm.kernels.numba.head import WAYS, dot
from fastlstm.kernels.numba.jit import entry, kernel
from fastlstm.kernels.numba.matmul import Matrix, matrix_of
from fastlstm.kernels.numba.recurrence import named, recurrence
from fastlstm.kernels.numba.structs import read_part, read_run


@kernel
def set_forecasts(part, j, arrays, factors, sums):
    """The forecasts of step j, also as inputs of the next step; sums[WAYS] is scratch. See ``kernels.forecast``."""
    (series, lags, offset, x, scores, noise), (point, width, sharpness) = arrays, factors
    T, S = len(lags), offset.shape[1]
    for n in range(part.first, part.last):
        y = offset[n, j] + dot(lags, series[n, j : j + T], sums)
        if scores.size > 0:
            y += point * scores[n, 0]
            if noise.size > 0:
                variance = math.exp(2 * np.float64(scores[n, 1])) + VARIANCE_FLOOR
                y += width * math.pow(variance, sharpness / 2) * noise[n, j]
            if j + 1 < S:
                x[n, j, 0] = y
        series[n, T + j] = y


@entry
def roll_out_lags(parts, arrays, factors):
    """All steps of a part's sequences, without layers."""
    part, sums = read_part(parts), np.empty(WAYS)
    for j in range(arrays[2].shape[1]):
        set_forecasts(part, j, arrays, factors, sums)


@lru_cache
def roll_out(cell):
    """The entry for layers of a `recurrence.Cell`."""
    advance = recurrence(cell).advance

    def run(runs, parts, barrier, weights, head, arrays, factors):
        """All steps of a part's sequences.

        runs has a `structs.RUN` for each layer, weights its packed weights; head is (weight, bias).
        """
        (weight, bias), part, x, scores, S = head, read_part(parts), arrays[3], arrays[4], arrays[2].shape[1]
        of_lags, of_head, features = np.empty(WAYS), np.empty(WAYS, x.dtype), np.empty(weight.shape[1], x.dtype)
        for j in range(S):
            set_forecasts(part, j, arrays, factors, of_lags)
            if j + 1 == S:
                break
            h = matrix_of(x[:, j])
            for k in range(len(runs)):
                inputs, run = h, read_run(runs[k], x)
                h = Matrix(run.states, run.s_stride)  # the next layer reads them where the next step does
                advance(runs[k], parts, weights[k], barrier, inputs, h)
            for n in range(part.first, part.last):
                for unit in range(len(features)):
                    features[unit] = h.at[n * h.stride + unit]
                for k in range(len(weight)):
                    scores[n, k] = bias[k] + dot(features, weight[k], of_head)

    return named(run, cell)
