"""Pictures of the importance of channels and steps."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from fastlstm.inspection.attribution import StepImportance, step_importance
from fastlstm.plotting import axes_for, colours_on, integer_ticks, pyplot_for

if TYPE_CHECKING:
    from typing import Any, Self

    from numpy.typing import ArrayLike

    from fastlstm.estimators.base import BaseLSTM

MOST_CHANNELS = 30  # of more, bars would be too thin to tell apart
STEPS = "step, counted from the last (-1)"
LABEL_WIDTH = 24  # of the colour bar's label in characters, which fit beside a map of one channel
ROW, MARGIN = 0.28, 1.4  # height of a channel, and of what surrounds them, in inches


class ImportanceDisplay:
    """Picture of the importance of channels and steps.

    Importance by channel is drawn as bars, the most important channel at the top; by step, as bars along the time; by
    both, as a heat map. Lines at the end of bars show the standard deviation. Of more than 30 channels, the 30 most
    important ones are drawn. Requires matplotlib.

    Parameters
    ----------
    importance : StepImportance
        Result of `step_importance`.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm import LSTMRegressor
    >>> from fastlstm.inspection import ImportanceDisplay
    >>> X = np.random.default_rng(0).normal(size=(50, 8, 2))
    >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit(X, X[:, -1, 0])
    >>> display = ImportanceDisplay.from_estimator(model, X, method="occlusion", by="step", n_blocks=4)
    >>> display.ax_.get_ylabel()
    'absolute change of the output'
    """

    def __init__(self, importance: StepImportance) -> None:
        if not isinstance(importance, StepImportance):
            raise TypeError(
                f"importance is of type {type(importance).__name__}; expected the result of step_importance."
            )
        self.importance = importance

    @classmethod
    def from_estimator(
        cls, est: BaseLSTM, X: ArrayLike, y: ArrayLike | None = None, *, ax: Any = None, **options: Any
    ) -> Self:
        """Compute importance, and draw it.

        Parameters
        ----------
        est, X, y
            See `step_importance`.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new ones.
        **options
            Further arguments of `step_importance`, such as `method` and `by`.

        Returns
        -------
        ImportanceDisplay

        Raises
        ------
        ValueError, TypeError, sklearn.exceptions.NotFittedError
            See `step_importance`.
        ImportError
            If matplotlib is not installed.
        """
        pyplot_for(cls.__name__, ax)  # fails before any work
        return cls(step_importance(est, X, y, **options)).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the importance.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new ones.

        Returns
        -------
        self : ImportanceDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        by = self.importance.by
        options = {}
        if by != "step":
            shown = min(len(self.importance.channels), MOST_CHANNELS)
            options["figsize"] = (6.4, max(2.4, MARGIN + ROW * shown))
        ax = axes_for(type(self).__name__, ax, **options)
        {"channel": self._plot_channels, "step": self._plot_steps, "both": self._plot_map}[by](ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _plot_channels(self, ax):
        mean, order = self.importance.mean, self._shown()
        names = [self.importance.channels[channel] for channel in order]
        # by position: two channels may have the same name
        ax.barh(
            np.arange(len(order)),
            mean[order],
            xerr=self.importance.std[order],
            color=colours_on(ax)[0],
            error_kw=_spread(),
        )
        ax.set_yticks(np.arange(len(order)), names)
        ax.invert_yaxis()
        ax.set(xlabel=self._label(), ylabel=self._channels_label(order))
        ax.axvline(0, **_zero())

    def _plot_steps(self, ax):
        first, last = self.importance.blocks.T
        mean, std = self.importance.mean, self.importance.std
        ax.bar(
            first - 0.5,
            mean,
            width=0.94 * (last - first),
            align="edge",
            yerr=std,
            color=colours_on(ax)[0],
            error_kw=_spread(),
        )
        ax.set(xlabel=STEPS, ylabel=self._label(), xlim=(first[0] - 0.5, -0.5))
        ax.axhline(0, **_zero())
        integer_ticks(ax.xaxis)

    def _plot_map(self, ax):
        order = np.sort(self._shown(self.importance.mean.max(axis=0)))
        edges = np.append(self.importance.blocks[:, 0], 0) - 0.5
        image = ax.pcolormesh(
            edges, np.arange(len(order) + 1) - 0.5, self.importance.mean.T[order], cmap="cividis", rasterized=True
        )
        ax.figure.colorbar(image, ax=ax, label=textwrap.fill(self._label(), LABEL_WIDTH))
        ax.set_yticks(np.arange(len(order)), [self.importance.channels[channel] for channel in order])
        ax.invert_yaxis()
        ax.set(xlabel=STEPS, ylabel=self._channels_label(order))
        integer_ticks(ax.xaxis)

    def _shown(self, sizes=None):
        """Channels to draw, the most important first."""
        sizes = self.importance.mean if sizes is None else sizes
        return np.argsort(-sizes, kind="stable")[:MOST_CHANNELS]

    def _channels_label(self, order):
        number = len(self.importance.channels)
        return "channel" if len(order) == number else f"channel ({len(order)} of {number})"

    def _label(self):
        quantity = self.importance.quantity
        return {
            "permutation": "decrease of the score",
            "gradient": f"|gradient of the {quantity}| × spread",
            "integrated_gradients": "|integrated gradients| of the output",
            "occlusion": "increase of the loss" if quantity == "loss" else "absolute change of the output",
        }[self.importance.method]


def _spread():
    from matplotlib import rcParams

    return {"ecolor": rcParams["text.color"], "elinewidth": 1.2, "capsize": 3}


def _zero():
    from matplotlib import rcParams

    return {"color": rcParams["axes.edgecolor"], "linewidth": 0.8}
