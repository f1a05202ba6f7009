"""Linear forecasts of windows: ridge regression on the lags, and on covariates at the time of the target."""

from dataclasses import dataclass

import numpy as np

from fastlstm import kernels
from fastlstm.forecasting.windows import BLOCK_VALUES
from fastlstm.kernels.workspace import Workspace

#: Ridge penalties that are tried, relative to the number of windows; the values have about unit variance.
PENALTIES = 10.0 ** np.arange(-6, 2)
MOST_LAGS = 256  # of all past covariates together
MOST_WINDOWS = 50_000  # for the fit; more hardly change it


@dataclass(frozen=True)
class Inputs:
    """Which values of a window [T, C] a linear forecast reads.

    All lags of the series itself (channel 0), the last lags of each past covariate, one value of each static
    covariate, and of the covariates known ahead, whose channels are shifted by the horizon, the values at the times of
    the targets; of those in `lagged`, also the values before these times.
    """

    window: int
    horizon: int
    past: tuple = ()  # channels
    known: tuple = ()
    static: tuple = ()
    lagged: tuple = ()

    @property
    def n_shared(self):
        """Number of values that the forecasts of all horizons read."""
        return self.window + len(self.past) * self._past_lags + len(self.static)

    @property
    def _past_lags(self):
        return min(self.window, max(1, MOST_LAGS // max(1, len(self.past))))

    @property
    def _known_lags(self):
        """Number of values of a lagged covariate before the time of a target, K."""
        most = max(1, MOST_LAGS // max(1, len(self.lagged))) - 1
        return min(self.window - self.horizon, most)

    def read(self, x):
        """Values [n, F] from windows x [n, T, C]; last those of the known covariates, step by step."""
        n = len(x)
        parts = [x[:, :, 0]]
        if self.past:
            parts.append(x[:, -self._past_lags :, list(self.past)].reshape(n, -1))
        if self.static:
            parts.append(x[:, -1, list(self.static)])
        if self.known:
            parts.append(x[:, -self.horizon :, list(self.known)].reshape(n, -1))
        if self.lagged:
            parts.append(x[:, -self.horizon - self._known_lags :, list(self.lagged)].reshape(n, -1))
        return np.concatenate(parts, axis=1, dtype="float64")

    def of_horizon(self, h):
        """Indices of the values that the forecast of horizon h (from 0) reads."""
        known = self.n_shared + len(self.known) * np.array([h, h + 1])
        first = self.n_shared + len(self.known) * self.horizon
        lagged = first + len(self.lagged) * np.array([h, h + self._known_lags + 1])
        return np.r_[: self.n_shared, slice(*known), slice(*lagged)]


@dataclass(frozen=True)
class Linear:
    """Linear forecasts of H values.

    Attributes
    ----------
    weight, bias : arrays [H, F] and [H]
    error : array [H]
        Root mean square error in training.
    """

    inputs: Inputs
    weight: np.ndarray
    bias: np.ndarray
    error: np.ndarray

    def predict(self, x):
        """Forecasts [n, H] from scaled windows x [n, T, C]."""
        return self._products(self.weight, self.inputs.read(x))

    def recursion(self, x):
        """Weights [T] of the lags in one-step forecasts, and the rest of these forecasts [n, S] from x [n, T+S-1, C].

        These are float64 and contiguous.
        """
        T = self.inputs.window
        steps, others = x.shape[1] - T + 1, self.weight[:, T:]
        rest = np.full((len(x), steps), self.bias)
        if others.size:
            windows = np.moveaxis(np.lib.stride_tricks.sliding_window_view(x, T, axis=1), 3, 2)
            values = self.inputs.read(windows.reshape(-1, T, x.shape[2]))[:, T:]
            rest = np.ascontiguousarray(self._products(others.copy(), values)[:, :1]).reshape(rest.shape)
        return self.weight[0, :T].copy(), rest

    def _products(self, weight, values):
        """Forecasts [n, H] from values [n, F] and weights [H, F], with the biases."""
        # a kernel, for the same bits in a batch of any size; made for each call, as threads must not share its buffers
        package = kernels.load(kernels.resolve("auto"))
        head = package.head.Head(*weight.shape, weight.dtype, Workspace())
        head.fill(weight, self.bias)
        features = head.room("features", len(values))
        features[:, : values.shape[1]] = values
        scores = np.empty((len(values), head.columns))
        head.forward(0, len(values), features, scores)
        return scores[:, : len(self.bias)]

    def targets(self, x, y):
        """Targets [n, H] of a network for windows x [n, T, C] that are followed by y [n, H]: the errors, scaled.

        If this forecasts one step only, x goes on to the last but one step of y.
        """
        if len(self.bias) == y.shape[1]:
            return (y - self.predict(x)) / self.error
        T, H = self.inputs.window, y.shape[1]
        forecasts = [self.predict(x[:, first : first + T]) for first in range(H)]
        return (y - np.concatenate(forecasts, axis=1)) / self.error

    def values(self, forecasts, outputs):
        """Forecasts corrected by a network's outputs, which have the scale of `targets`; [n, H] or [n, H, .]."""
        if outputs.ndim == 3:
            return forecasts[..., None] + self.error[:, None] * outputs
        return forecasts + self.error * outputs


def fit_linear(windows, inputs):
    """Fit linear forecasts to `Windows`; the penalties are those of the best generalised cross-validation.

    Source: Golub, Heath & Wahba (1979).
    """
    moments = _Moments(windows, inputs)
    H, F = windows.horizon, moments.mean_x.size
    weight, error = np.zeros((H, F)), np.ones(H)
    groups = [(np.arange(inputs.n_shared), slice(None))]
    if inputs.known or inputs.lagged:
        groups = [(inputs.of_horizon(h), slice(h, h + 1)) for h in range(H)]
    for columns, horizons in groups:
        coefficients, squares = _ridge(moments, columns, horizons, inputs.window - 1)
        weight[horizons, columns] = coefficients.T
        error[horizons] = np.sqrt(squares)
    return _linear(inputs, moments, weight, error)


def intercept_only(windows, inputs):
    """Constant forecasts, the means of the targets of `Windows`."""
    moments = _Moments(windows, inputs)
    return _linear(inputs, moments, np.zeros((windows.horizon, moments.mean_x.size)), np.sqrt(moments.yy))


def _linear(inputs, moments, weight, error):
    floor = 1e-6 * max(1e-12, float(np.sqrt(moments.yy.max())))
    return Linear(inputs, weight, moments.mean_y - weight @ moments.mean_x, np.maximum(error, floor))


class _Moments:
    """Means of windows' inputs and targets, and their products about these means."""

    def __init__(self, windows, inputs):
        rows = np.arange(0, windows.n_windows, -(-windows.n_windows // MOST_WINDOWS))
        self.n, sums = min(len(rows), windows.n_distinct), None
        for block in np.array_split(rows, -(-len(rows) * windows.window * windows.channels // BLOCK_VALUES)):
            x, y = windows.examples(block)
            values = inputs.read(x)
            table = np.concatenate([np.ones((len(values), 1)), values, y], axis=1)
            products = table.T @ table
            sums = products if sums is None else sums + products
        F = sums.shape[0] - 1 - windows.horizon
        means = sums[0] / len(rows)
        products = sums / len(rows) - np.outer(means, means)
        self.mean_x, self.mean_y = means[1 : F + 1], means[F + 1 :]
        self.xx, self.xy = products[1 : F + 1, 1 : F + 1], products[1 : F + 1, F + 1 :]
        self.yy = np.maximum(np.diagonal(products)[F + 1 :], 0)


def _ridge(moments, columns, horizons, last):
    """Coefficients [F, H] of the penalty that is best for each horizon, and the mean square errors [H].

    They shrink towards 0 or, if that is better, towards persistence: a coefficient of 1 for the value `last`. It
    forecasts few windows, or levels that shift, better than their mean. Source of the second: Litterman (1986).
    """
    xx, xy, yy = moments.xx[np.ix_(columns, columns)], moments.xy[columns][:, horizons], moments.yy[horizons]
    values, vectors = np.linalg.eigh(xx)
    values = np.maximum(values, 0)[:, None]
    # where there are fewer windows than parameters at any penalty, these remain
    coefficients, squares, least = np.zeros_like(xy), yy.copy(), np.full(yy.shape, np.inf)
    for aim in (0.0, 1.0):
        along = vectors.T @ (xy - aim * xx[:, [last]])
        rest = yy - 2 * aim * xy[last] + aim * xx[last, last]
        for penalty in PENALTIES:
            shrunk = along / (values + penalty)
            found = np.maximum(rest - 2 * (along * shrunk).sum(axis=0) + (values * shrunk**2).sum(axis=0), 0)
            freedom = 1 + float((values / (values + penalty)).sum())
            if freedom >= moments.n:
                continue
            criterion = found / (1 - freedom / moments.n) ** 2
            better = criterion < least
            least[better], squares[better] = criterion[better], found[better]
            coefficients[:, better] = vectors @ shrunk[:, better]
            coefficients[last, better] += aim
    return coefficients, squares
