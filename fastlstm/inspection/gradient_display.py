"""Plots of the gradient's flow through the steps."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np

from fastlstm import containers
from fastlstm.inspection._estimators import labelled
from fastlstm.inspection.gradient_flow import gradient_flow
from fastlstm.inspection.gradient_records import GradientFlow, mean_by_step, norms_named
from fastlstm.plotting import axes_for, colours_on, integer_ticks, marker_of, pyplot_for, without_spines

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import ArrayLike

LABELS = {
    "input": r"$\|\partial L / \partial x_t\|$",
    "hidden_state": r"$\|\partial L / \partial h_t\|$",
    "cell_state": r"$\|\partial L / \partial c_t\|$",
    "state": r"$\|\partial L / \partial c_t\|$, or $\|\partial L / \partial h_t\|$ without $c_t$",
    "forget_share": r"share of $\partial L / \partial c_t$ through the forget gate",
}
STATES = {True: "cell_state", False: "hidden_state"}  # by whether cells have a cell state


class GradientFlowDisplay:
    """Plot of the gradient's norm at each step, for one or several estimators.

    Create it by `from_estimator`, `from_estimators` or from results of `gradient_flow`. Requires matplotlib.

    Parameters
    ----------
    flows : dict of str to GradientFlow
        Results of `gradient_flow` by label.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        One line per estimator.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm import LSTMRegressor
    >>> from fastlstm.inspection import GradientFlowDisplay
    >>> X = np.random.default_rng(0).normal(size=(20, 50))
    >>> models = {cell: LSTMRegressor(8, cell=cell, max_iter=2, learning_rate="cosine").fit(X, X[:, 0])
    ...           for cell in ("rnn", "lstm")}
    >>> display = GradientFlowDisplay.from_estimators(models, X, X[:, 0])
    >>> [line.get_label() for line in display.lines_]
    ['rnn', 'lstm']
    """

    def __init__(self, flows: Mapping[str, GradientFlow]) -> None:
        if not isinstance(flows, Mapping) or {*map(type, flows.values())} != {GradientFlow}:
            raise TypeError(
                f"flows={containers.brief(flows)}: expected a non-empty dict of results of gradient_flow by label, "
                "such as {'LSTM': flow}."
            )
        self.flows = dict(flows)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: ArrayLike, y: ArrayLike, *, name: str | None = None, ax: Any = None, **options: Any
    ) -> GradientFlowDisplay:
        """Plot the gradient of one estimator.

        Parameters
        ----------
        estimator : LSTMClassifier, LSTMRegressor or SequenceEncoder
            Fitted estimator.
        X, y
            Series and targets, as in `gradient_flow`.
        name : str or None, default=None
            Label of the line. If None, the name of the class.
        ax, **options
            See `plot`.

        Returns
        -------
        GradientFlowDisplay

        Raises
        ------
        ValueError, TypeError, sklearn.exceptions.NotFittedError
            See `gradient_flow` and `plot`.
        ImportError
            If matplotlib is not installed.
        """
        return cls.from_estimators({name or type(estimator).__name__: estimator}, X, y, ax=ax, **options)

    @classmethod
    def from_estimators(
        cls, estimators: Mapping[str, Any], X: ArrayLike, y: ArrayLike, *, ax: Any = None, **options: Any
    ) -> GradientFlowDisplay:
        """Plot the gradients of several estimators on the same axes.

        Parameters
        ----------
        estimators : dict of str to estimator
            Fitted estimators by label.
        X, y
            Series and targets, as in `gradient_flow`.
        ax, **options
            See `plot`.

        Returns
        -------
        GradientFlowDisplay

        Raises
        ------
        ValueError, TypeError, sklearn.exceptions.NotFittedError
            See `gradient_flow` and `plot`.
        ImportError
            If matplotlib is not installed.
        """
        if not isinstance(estimators, Mapping) or not estimators:
            raise TypeError(
                f"estimators is of type {type(estimators).__name__}; expected a non-empty dict of fitted estimators by "
                "label."
            )
        pyplot_for(cls.__name__, ax)  # fails before any work
        flows = {}
        for label, estimator in estimators.items():
            with labelled(repr(label)) if len(estimators) > 1 else nullcontext():
                flows[label] = gradient_flow(estimator, X, y)
        return cls(flows).plot(ax, **options)

    def plot(
        self,
        ax: Any = None,
        *,
        what: str = "state",
        layer: int = -1,
        direction: str = "forward",
        relative: bool = False,
    ) -> GradientFlowDisplay:
        """Draw the lines.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Axes to draw on. If None, new ones.
        what : {"state", "hidden_state", "cell_state", "input", "forget_share"}, default="state"
            Gradient to draw: its norm, averaged over the series, on a logarithmic axis. "state" is the state that
            carries the memory, so that different cells can be compared: the cell state or, without one, the hidden
            state. "forget_share" is drawn on a linear axis from 0 to 1.
        layer, direction
            See `GradientFlow.norms`.
        relative : bool, default=False
            Whether to divide norms by that of the last step.

        Returns
        -------
        GradientFlowDisplay

        Raises
        ------
        ValueError
            If a cell has no such state, there is no such layer or direction, or there is nothing to draw.
        TypeError
            If `ax` is not an Axes.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor
        >>> from fastlstm.inspection import GradientFlowDisplay, gradient_flow
        >>> X, y = [[0, 1, 2], [1, 0, 1]], [2, 1]
        >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit(X, y)
        >>> display = GradientFlowDisplay({"LSTM": gradient_flow(model, X, y)}).plot(what="forget_share")
        >>> display.ax_.get_yscale()
        'linear'
        """
        means, is_share = self._means(what, layer, direction, relative), what == "forget_share"
        ax = axes_for(type(self).__name__, ax)
        self.ax_, self.figure_, self.lines_, colours = ax, ax.figure, [], colours_on(ax)
        for number, (label, norms) in enumerate(means.items()):
            shown = np.where(norms > 0, norms, np.nan)  # 0 has no place on a logarithmic axis
            colour, style = colours[number % len(colours)], ("-", "--", ":")[number // len(colours) % 3]
            options = {"color": colour, "linewidth": 1.8, "label": label, "marker": marker_of(shown)}
            self.lines_ += ax.plot(-np.arange(len(norms)), shown, style, **options)
        if is_share:
            ax.set_ylim(0, 1.02)
        else:
            ax.set_yscale("log")
        of_last = ", relative to the last step" if relative and not is_share else ""
        ax.set(xlabel="steps before the last", ylabel=LABELS[self._drawn(what)] + of_last)
        integer_ticks(ax.xaxis)
        ax.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
        ax.grid(alpha=0.25, linewidth=0.6)
        ax.set_axisbelow(True)
        without_spines(ax)
        if len(means) > 1:
            ax.legend(frameon=False)
        return self

    def _means(self, what, layer, direction, relative):
        """Values [T] to draw by label, from the last step back."""
        means = {}
        for label, flow in self.flows.items():
            norms = norms_named(flow, what, layer, direction, "what")
            means[label] = values = mean_by_step(norms, from_end=True)
            if what == "forget_share" and len(values) == 1:
                raise ValueError("what='forget_share': in series of one step, no gradient passes between steps.")
            if relative and what != "forget_share":
                if not values[0]:
                    raise ValueError(
                        f"relative=True, but the gradient of {label!r} is 0 at the last step: pass relative=False."
                    )
                means[label] = values / values[0]
        return means

    def _drawn(self, what):
        """Which state `what` is, if it is the same for all cells."""
        have_cells = {flow.layers[0].forward.cell_state is not None for flow in self.flows.values()}
        return what if what != "state" or len(have_cells) > 1 else STATES[have_cells.pop()]
