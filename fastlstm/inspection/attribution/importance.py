"""Importance of the channels and of the steps of series for a fitted classifier or regressor."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.validation import check_array

from fastlstm import containers
from fastlstm.estimators.data import check_data
from fastlstm.inspection._estimators import channel_names, fitted_estimator
from fastlstm.inspection._reprs import brief_repr
from fastlstm.inspection.attribution import methods
from fastlstm.inspection.attribution.groups import BY, Groups, channel_statistic, step_blocks
from fastlstm.inspection.attribution.quantities import loss_of, output_of
from fastlstm.layers.checks import is_count, named
from fastlstm.threads import check_n_jobs

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from fastlstm.estimators.base import BaseLSTM

METHODS = ("permutation", "gradient", "integrated_gradients", "occlusion")


@dataclass(frozen=True, eq=False, repr=False)
class StepImportance:
    """Importance of channels, of blocks of steps, or of both, as returned by `step_importance`.

    Attributes
    ----------
    mean : ndarray of shape (C,), (B,) or (B, C)
        Importance of each of C channels, B blocks of steps, or both.
    std : ndarray, like `mean`
        Standard deviation over repeats (for permutations) or over series.
    values : ndarray of shape (n_repeats, ...) or (n, ...)
        Values of each repeat or series, whose shape continues like that of `mean`. Those of integrated gradients, and
        of occlusion without y, have a sign.
    channels : list of str
        Names of the channels.
    blocks : ndarray of shape (B, 2)
        Bounds of the blocks, the oldest first: block (first, last) is the steps ``T + first`` to ``T + last - 1`` of a
        series of T steps. A single block if ``by="channel"``.
    method, by : str
        As passed to `step_importance`.
    quantity : str
        What importance is a change of: "score", "loss" or "output".
    n_points : int or None
        Number of points at which integrated gradients were evaluated, at most, on the path of a series.

    Examples
    --------
    >>> from fastlstm import LSTMRegressor
    >>> from fastlstm.inspection import step_importance
    >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
    >>> importance = step_importance(model, [[0, 1], [1, 0]], [2, 1], by="step", random_state=0)
    >>> importance.blocks.tolist(), importance.mean.shape, importance.quantity
    ([[-2, -1], [-1, 0]], (2,), 'score')
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    values: NDArray[np.float64]
    channels: list[str]
    blocks: NDArray[np.int64]
    method: str
    by: str
    quantity: str
    n_points: int | None = None

    def __repr__(self) -> str:
        return brief_repr(self, [field.name for field in fields(self)])


def step_importance(
    est: BaseLSTM,
    X: ArrayLike,
    y: ArrayLike | None = None,
    *,
    method: Literal["permutation", "gradient", "integrated_gradients", "occlusion"] = "permutation",
    by: Literal["channel", "step", "both"] = "channel",
    n_blocks: int | None = None,
    block_size: int | None = None,
    n_repeats: int = 5,
    scoring: str | Callable[..., float] | None = None,
    baseline: ArrayLike | None = None,
    output: int | None = None,
    random_state: int | np.random.RandomState | None = None,
    n_jobs: int | None = None,
) -> StepImportance:
    """Importance of the channels and of the steps of series.

    Parameters
    ----------
    est : LSTMClassifier or LSTMRegressor
        Fitted estimator.
    X : array or list
        Series in any form accepted by `fit`, with the same channels.
    y : like y of `fit`, default=None
        Targets of the series. Required for permutations. If given, "gradient" and "occlusion" explain the loss, else
        the output. Integrated gradients always explain the output.
    method : {"permutation", "gradient", "integrated_gradients", "occlusion"}, default="permutation"
        How importance is measured:

        - "permutation": decrease of the score when a group of values is exchanged at random among the series (Breiman
          2001). Series of unequal lengths exchange the steps that are equally far from their ends.
        - "gradient": sum over a group of the absolute gradient times the standard deviation of the channel in X.
        - "integrated_gradients": sum over a group of the gradients integrated along the straight line from the baseline
          to the series, times the distance (Sundararajan, Taly & Yan 2017, equation 1). The values of a series sum to
          the difference between its output and that of the baseline, up to 0.1 % of the difference (computed in
          float64); differences below 1 % of their root mean square over all series count as that large. Series for
          which this is not reached are reported in a warning. The importance is the mean absolute value.
        - "occlusion": increase of the loss, or absolute change of the output, when a group is replaced by the baseline
          (Zeiler & Fergus 2014).
    by : {"channel", "step", "both"}, default="channel"
        Whether groups are channels, blocks of steps, or both.
    n_blocks, block_size : int or None, default=None
        Number of blocks of steps, or the number of steps in a block. Blocks are counted from the last step back, since
        this is the step that series of unequal lengths have in common; the oldest block may be shorter. If both are
        None, up to 10 blocks. A series that does not reach back to a block is left out of its mean.
    n_repeats : int, default=5
        Number of random permutations of each group.
    scoring : str, callable or None, default=None
        Score for permutations, in scikit-learn's terms. If None, the estimator's `score`.
    baseline : array of shape (C,) or None, default=None
        Values that stand for the absence of a signal, for "integrated_gradients" and "occlusion". If None, the mean of
        each channel of X. Those of the training data are `x_mean_`.
    output : int or None, default=None
        Which output to explain: the index of a class or label in `classes_`, or of a target. Outputs are scores of
        classes before the softmax or sigmoid, or predicted numbers; if ``return_sequences=True``, those at the last
        step. If None, the predicted class of each series, or the only target.
    random_state : int, RandomState or None, default=None
        Controls the permutations.
    n_jobs : int or None, default=None
        Maximum number of threads. If None, that of the estimator. Results have the same bits for any number.

    Returns
    -------
    StepImportance

    Raises
    ------
    ValueError
        If an argument is invalid, or has no effect with the method.
    TypeError
        If `est` is not an LSTMClassifier or LSTMRegressor.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    Notes
    -----
    With ``missing="mask"``, gradients are those with respect to what the network reads in place of a missing value, at
    the step where it reads it; integrated gradients add those of a channel's indicator of missing values to the
    channel.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm import LSTMRegressor
    >>> from fastlstm.inspection import step_importance
    >>> X = np.random.default_rng(0).normal(size=(100, 12, 3))
    >>> y = X[:, -4:, 1].sum(axis=1)  # the last steps of channel 1 matter
    >>> model = LSTMRegressor(8, max_iter=40, random_state=0).fit(X, y)
    >>> importance = step_importance(model, X, y, by="both", n_blocks=3, random_state=0)
    >>> importance.mean.shape
    (3, 3)
    >>> block, channel = np.unravel_index(importance.mean.argmax(), importance.mean.shape)
    >>> importance.blocks[block].tolist(), importance.channels[channel]
    ([-4, 0], 'x1')
    """
    fitted = fitted_estimator(est, "est", encoders=False)
    if fitted._reads_symbols:
        raise TypeError(
            "est was fitted with symbols, of which there is no importance yet; expected an estimator of series of "
            "numbers. gate_activations and gradient_flow accept symbols."
        )
    _check_arguments(method, by, n_blocks, block_size, n_repeats)
    _check_effects(method, y, scoring=scoring, baseline=baseline, output=output)
    check_n_jobs(n_jobs)
    if n_jobs is not None:
        fitted.n_jobs = n_jobs
    data = None if y is None else check_data(fitted, X, y, None, reset=False)
    series = fitted._check_series(X) if data is None else data.series
    longest = int(series.lengths.max())
    blocks = np.array([[-longest, 0]]) if by == "channel" else step_blocks(longest, n_blocks, block_size)
    groups, n_points = Groups(series, by, blocks), None
    if method == "permutation":
        values = methods.permutation(fitted, groups, y, scoring, n_repeats, random_state)
        name, reached = "score", np.ones((n_repeats, 1, 1), bool)
    else:
        model = fitted._model
        if method == "integrated_gradients":  # in float32, roundings would not let the attributions add up everywhere
            model = replace(model, weights={name: value.astype("float64") for name, value in model.weights.items()})
            fitted.precision = "float32"  # not bfloat16, which is for float32 numbers
        where = fitted._kernels_for(model.dtype), fitted.n_jobs
        if data is None or method == "integrated_gradients":
            quantity = output_of(model, series, output, *where)
        else:
            quantity = loss_of(model, data, *where)
        if method == "gradient":
            values = methods.gradient(quantity, groups)
        elif method == "occlusion":
            values = methods.occlusion(quantity, groups, _check_baseline(baseline, series))
        else:
            values, n_points = methods.integrated_gradients(quantity, groups, _check_baseline(baseline, series))
        values, name, reached = values * quantity.unit, quantity.name, groups.reached()
    sizes = np.abs(values) if name == "output" else values
    mean, std = np.mean(sizes, axis=0, where=reached), np.std(sizes, axis=0, where=reached)
    squeezed = (groups.squeeze(array) for array in (mean, std, values))
    return StepImportance(*squeezed, channel_names(fitted), blocks, method, by, name, n_points)


def _check_arguments(method, by, n_blocks, block_size, n_repeats):
    for name, value, expected in [("method", method, METHODS), ("by", by, BY)]:
        if not isinstance(value, str) or value not in expected:
            raise InvalidParameterError(f"{name}={containers.brief(value)}: expected one of {list(expected)}.")
    if by == "channel" and (n_blocks is not None or block_size is not None):
        raise ValueError("n_blocks and block_size have no effect with by='channel': set by='step' or by='both'.")
    if not is_count(n_repeats):
        raise ValueError(f"n_repeats={containers.brief(n_repeats)}: expected an integer, 1 or more.")


def _check_effects(method, y, **given):
    """Raise if an argument that is not None has no effect."""
    if method == "permutation" and y is None:
        raise ValueError("method='permutation' requires y, the targets of X, to compute scores: pass y.")
    effects = {
        "scoring": method == "permutation",
        "baseline": method in ("integrated_gradients", "occlusion"),
        "output": method == "integrated_gradients" or (method != "permutation" and y is None),
    }
    for name, has_effect in effects.items():
        if given[name] is not None and not has_effect:
            why = " and y, which explains the loss" if name == "output" and method != "permutation" else ""
            raise ValueError(f"{name} has no effect with method={method!r}{why}: leave it at None.")


def _check_baseline(baseline, series):
    """The baseline of each channel [C], in the units of X."""
    if baseline is None:
        with np.errstate(over="ignore"):
            mean = channel_statistic(np.nanmean, series)
        return np.where(np.isfinite(mean), mean, 0)
    with named("baseline"):
        baseline = check_array(baseline, dtype="float64", ensure_2d=False, input_name="baseline")
    if baseline.shape != (series.channels,):
        raise ValueError(
            f"baseline has shape {baseline.shape}; expected ({series.channels},): one value for each channel of X."
        )
    return baseline
