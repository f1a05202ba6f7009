"""Arguments of recursive forecasts."""

from typing import NamedTuple

import numpy as np

#: Minimum variance of a normal distribution, also in its loss: a standard deviation of 0.001 of a standardised target.
VARIANCE_FLOOR = 1e-6


class Forecast(NamedTuple):
    """Recursive forecasts of S steps of N sequences, from T lags and the K scores of a head; all but x are float64.

    Step j of a sequence is::

        y_j = offset_j + sum_t lags_t y_(j-T+t) + point s_0 + width (e^(2 s_1) + VARIANCE_FLOOR)^(sharpness / 2) noise_j

    where the scores s_0 and s_1 are those after the steps before j. Without scores, or without noise, these terms are
    left out.
    """

    series: np.ndarray  # [N, T+S]: the last T values, then the forecasts
    lags: np.ndarray  # [T], for the values from the oldest to the last
    offset: np.ndarray  # [N, S]
    x: np.ndarray | None = None  # [N, S-1, C]: the next inputs; the first channel is overwritten by the forecasts
    scores: np.ndarray | None = None  # [N, K]: those of the first step; overwritten
    point: float = 0.0
    noise: np.ndarray | None = None  # [N, S]
    width: float = 0.0
    sharpness: float = 1.0
