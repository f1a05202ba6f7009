"""Pictures of the training: its loss, the validation, the learning rate and the norm of the gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastlstm import containers
from fastlstm.inspection._estimators import fitted_estimator
from fastlstm.plotting import axes_for, colours_on, integer_ticks, marker_of, pyplot_for

if TYPE_CHECKING:
    from typing import Any, Self

    from fastlstm.estimators.base import BaseLSTM

OUTWARD = 60  # distance of a second axis on the right from the first, in points
WIDE = 10  # ratio of the largest to the smallest value from which an axis is logarithmic


class LossCurveDisplay:
    """Learning curve: the training loss and, if there were validation data, the validation loss and the best epoch.

    The best epoch is that of the highest validation score, whose weights ``early_stopping=True`` keeps. Requires
    matplotlib.

    Parameters
    ----------
    loss : sequence of float
        Training loss of each epoch.
    validation_loss, validation_scores : sequence of float or None, default=None
        Validation loss and score of the last epochs. Without scores, no best epoch is marked.
    learning_rate, grad_norm : sequence of float or None, default=None
        Learning rate and norm of the gradient of each epoch, drawn on axes on the right.

    Attributes
    ----------
    ax_ : matplotlib Axes
    right_ax_ : matplotlib Axes or None
        Axes of the learning rate or, if it is not drawn, of the norm of the gradient.
    outer_ax_ : matplotlib Axes or None
        Axes of the norm of the gradient, if both are drawn.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm import LSTMRegressor
    >>> from fastlstm.inspection import LossCurveDisplay
    >>> X = np.random.default_rng(0).normal(size=(50, 8))
    >>> model = LSTMRegressor(8, max_iter=9, early_stopping=True, random_state=0).fit(X, X[:, -1])
    >>> display = LossCurveDisplay.from_estimator(model, learning_rate=True)
    >>> display.ax_.get_ylabel(), display.right_ax_.get_ylabel()
    ('loss', 'learning rate')
    """

    def __init__(
        self,
        loss: Any,
        *,
        validation_loss: Any = None,
        validation_scores: Any = None,
        learning_rate: Any = None,
        grad_norm: Any = None,
    ) -> None:
        if np.ndim(loss) != 1 or not len(loss):
            raise ValueError(f"loss={containers.brief(loss)}: expected the training loss of at least one epoch.")
        self.loss, self.validation_loss, self.validation_scores = loss, validation_loss, validation_scores
        self.learning_rate, self.grad_norm = learning_rate, grad_norm

    @classmethod
    def from_estimator(
        cls, est: BaseLSTM, *, learning_rate: bool = False, grad_norm: bool = False, ax: Any = None
    ) -> Self:
        """Draw the learning curve of a fitted estimator.

        Parameters
        ----------
        est : LSTMClassifier, LSTMRegressor, LSTMTranslator or LSTMLanguageModel
            Fitted estimator.
        learning_rate, grad_norm : bool, default=False
            Whether to draw the learning rate, and the norm of the gradient before clipping, too.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new ones.

        Returns
        -------
        LossCurveDisplay

        Raises
        ------
        TypeError
            If `est` is none of these.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        ImportError
            If matplotlib is not installed.
        """
        pyplot_for(cls.__name__, ax)
        if hasattr(type(est), "attention_weights") or hasattr(type(est), "bits_per_symbol"):
            check_is_fitted(est)
            est = getattr(est, "classifier_", est)  # a language model is a classifier
        else:
            est = fitted_estimator(est, "est", encoders=False)
        display = cls(
            est.loss_curve_,
            validation_loss=est.validation_loss_curve_,
            validation_scores=est.validation_scores_,
            learning_rate=est.learning_rate_curve_ if learning_rate else None,
            grad_norm=est.grad_norm_curve_ if grad_norm else None,
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the learning curve.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new ones.

        Returns
        -------
        self : LossCurveDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = axes_for(type(self).__name__, ax)
        from matplotlib import rcParams

        colours = colours_on(ax)
        validation = [] if self.validation_loss is None else list(self.validation_loss)
        losses, n = [*self.loss, *validation], len(self.loss)
        _draw(ax, n, self.loss, "training loss", color=colours[0])
        if validation:
            _draw(ax, n, validation, "validation loss", color=colours[1], linestyle="--")
        if validation and self.validation_scores is not None:
            best = int(np.argmax(self.validation_scores))
            epoch = n - len(self.validation_scores) + best + 1
            style = {"color": rcParams["text.color"], "linestyle": "none", "marker": "o", "fillstyle": "none"}
            ax.plot([epoch], [validation[best]], label=f"best epoch ({epoch})", markersize=8, **style)
        ax.set(xlabel="epoch", ylabel="loss")
        _scale(ax, losses)
        integer_ticks(ax.xaxis)
        right = self._plot_right(ax, n)
        self.right_ax_, self.outer_ax_ = [*right, None, None][:2]
        handles, labels = ax.get_legend_handles_labels()
        place = {"loc": "best"}
        for axes in right:  # above the axes, since a place inside would avoid the curves of one axis only
            more = axes.get_legend_handles_labels()
            handles, labels = handles + more[0], labels + more[1]
            place = {"loc": "lower center", "bbox_to_anchor": (0.5, 1), "ncols": 3}
        ax.legend(handles, labels, frameon=False, **place)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _plot_right(self, ax, n):
        """Axes of the learning rate and of the norm of the gradient, as far as they are drawn.

        The rate is on a linear axis, because a schedule may end close to 0, where a logarithmic one would have no room
        for anything else.
        """
        _, _, green, red, *_ = colours_on(ax)
        curves = [
            ("learning rate", self.learning_rate, {"color": green, "linestyle": ":"}),
            ("gradient norm", self.grad_norm, {"color": red, "linestyle": "-."}),
        ]
        drawn = []
        for label, values, style in curves:
            if values is not None:
                right = ax.twinx()
                right.spines["right"].set_position(("outward", OUTWARD * len(drawn)))
                _draw(right, n, values, label, linewidth=1.2, **style)
                right.set_ylabel(label, color=style["color"])
                if values is self.learning_rate:
                    right.set_ylim(bottom=0)
                else:
                    _scale(right, values)
                drawn.append(right)
        return drawn


def _scale(ax, values):
    """Make the axis of the values logarithmic if their range is wide."""
    if min(values) > 0 and max(values) > WIDE * min(values):
        ax.set_yscale("log")


def _draw(ax, n, values, label, **style):
    """Draw values of the last of n epochs."""
    epochs = np.arange(n - len(values), n) + 1
    ax.plot(epochs, values, label=label, marker=marker_of(values), **style)
