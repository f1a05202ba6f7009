"""Pictures of gates and states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastlstm import containers
from fastlstm.inspection._estimators import labelled
from fastlstm.inspection._gate_panels import (
    by_activity,
    draw_comparison,
    draw_gates,
    draw_inputs,
    draw_memory,
    draw_predictions,
)
from fastlstm.inspection._panels import Panels
from fastlstm.inspection._seen import Seen, seen_by, seen_in
from fastlstm.inspection.memory import half_life, memory_gates
from fastlstm.plotting import pyplot_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import ArrayLike

    from fastlstm.inspection.gates import GateActivations

KINDS = ("gates", "memory")


class GateDisplay:
    """Heat maps of the gates and states of one layer while it reads a series.

    Create it by `from_estimator`, `from_activations` or `compare`. Numbers beside the heat maps are those of the units.
    Requires matplotlib.

    Attributes
    ----------
    order_ : ndarray of shape (H,)
        Units from top to bottom.
    half_life_ : ndarray of shape (H,) or None
        With ``kind="memory"``, the half-life of each unit's state in steps, see `from_estimator`.
    axes_ : dict of str to matplotlib Axes
        Panels by title: "input", gates and states such as "forget gate" and "cell state", "prediction"; with
        ``kind="memory"``, gates by what they do, such as "kept: forget gate", and also "half_life". From `compare`,
        keys are pairs such as ("forget gate", "before").
    ax_ : matplotlib Axes
        Axes that the panels divide.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm import LSTMRegressor
    >>> from fastlstm.inspection import GateDisplay
    >>> X = np.random.default_rng(0).normal(size=(20, 30, 2))
    >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit(X, X[:, 0, 0])
    >>> display = GateDisplay.from_estimator(model, X[0])
    >>> list(display.axes_)
    ['input', 'input gate', 'forget gate', 'cell candidate', 'output gate', 'cell state', 'prediction']
    """

    def __init__(self, seen: list[Seen], kind: str = "gates") -> None:
        if not isinstance(seen, list) or not all(isinstance(of, Seen) for of in seen):
            raise TypeError(
                f"GateDisplay was called with an object of type {type(seen).__name__}: call "
                "GateDisplay.from_estimator(estimator, x), or GateDisplay.from_activations(activations)."
            )
        self._seen, self._kind = seen, kind

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        x: ArrayLike,
        *,
        kind: str = "gates",
        gates: Sequence[str] | None = None,
        layer: int = -1,
        direction: str = "forward",
        ax: Any = None,
    ) -> GateDisplay:
        """Draw the gates of a fitted estimator on one series, its input above and the prediction below.

        Parameters
        ----------
        estimator : LSTMClassifier, LSTMRegressor or SequenceEncoder
            Fitted estimator.
        x : array or DataFrame of shape (T, C) or (T,), or an X of one series
            One series; of a table, one row.
        kind : {"gates", "memory"}, default="gates"
            "gates" draws one heat map per gate, with the units sorted by when they are active. "memory" draws when each
            unit writes to its state, keeps and reads it: the input, forget and output gates, and the state. Steps at
            which a unit's gate is closed, below 0.1, are hatched. With the input gate closed, it writes nothing to its
            cell, although the input still drives the forget and output gates; the cell candidate is a "don't care".
            With the output gate closed, the cell is not read: what is above does not depend on it at this step. For a
            GRU, the gates are 1 - z, the update gate z and the reset gate. With 1 - z closed, the unit keeps its state;
            with the reset gate closed, its candidate ignores the state.

            Bars show the half-life of each unit, by which the units are sorted: the steps after which half of the state
            is left while it is kept, log(1/2) / mean(log(forget gate)) over the steps at which the forget gate is above
            1/2 (over all steps, if there are none). So a reset does not shorten it. It is infinite if the gate is 1 at
            all of these steps. Bars that are longer than ten times the series end in an arrow. Of up to 8 units, the
            numbers are printed.
        gates : sequence of str or None, default=None
            With ``kind="gates"``, names of the gates and states to draw, as in `gate_activations`. If None, all gates
            and the cell state; without cell states, the hidden state.
        layer : int, default=-1
            Index of the layer; the default is the last.
        direction : {"forward", "backward"}, default="forward"
            Direction of the layer.
        ax : matplotlib Axes or None, default=None
            Axes of a grid, whose place the panels take. If None, a new figure.

        Returns
        -------
        GateDisplay

        Raises
        ------
        ValueError
            If `x` is not one valid series, or the cell has no such gate, layer or direction, or does not have the gates
            that ``kind="memory"`` shows.
        TypeError
            If `estimator` is not one of these estimators.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        ImportError
            If matplotlib is not installed.

        Notes
        -----
        Colours of signed values, and in `compare` of changes, end at the 98th percentile of their sizes, so that a
        single unit does not determine the scale. Colour bars end in arrows where there are values beyond.

        The prediction at a step is that for the series so far, or with ``return_sequences=True`` that for the step. A
        bidirectional model without `return_sequences` has no prediction before the last step, so none is drawn.

        Examples
        --------
        >>> import numpy as np
        >>> from fastlstm import LSTMRegressor
        >>> from fastlstm.inspection import GateDisplay
        >>> X = np.random.default_rng(0).normal(size=(20, 30, 2))
        >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit(X, X[:, 0, 0])
        >>> display = GateDisplay.from_estimator(model, X[0], kind="memory")
        >>> bool((display.half_life_ > 0).all())
        True
        """
        pyplot_for(cls.__name__, ax)  # fails before any work
        _check_kind(kind)
        return cls([seen_by(estimator, x, layer, direction)], kind).plot(ax, gates=gates)

    @classmethod
    def from_activations(
        cls,
        activations: GateActivations,
        n: int = 0,
        *,
        x: ArrayLike | None = None,
        kind: str = "gates",
        gates: Sequence[str] | None = None,
        layer: int = -1,
        direction: str = "forward",
        ax: Any = None,
    ) -> GateDisplay:
        """Draw the gates of one series of a record, without the prediction.

        Parameters
        ----------
        activations : GateActivations
            Result of `gate_activations`.
        n : int, default=0
            Index of the series.
        x : array of shape (T, C) or (T,), or None, default=None
            The series, to be drawn above the gates.
        kind, gates, layer, direction, ax
            See `from_estimator`.

        Returns
        -------
        GateDisplay

        Raises
        ------
        ValueError
            As in `from_estimator`, or if there is no series n, or `x` has another number of steps.
        TypeError
            If `activations` is not a GateActivations.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> from fastlstm import LSTMRegressor
        >>> from fastlstm.inspection import GateDisplay, gate_activations
        >>> X = np.random.default_rng(0).normal(size=(20, 30, 2))
        >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit(X, X[:, 0, 0])
        >>> display = GateDisplay.from_activations(gate_activations(model, X), 3, gates=["forget"], x=X[3])
        >>> list(display.axes_)
        ['input', 'forget gate']
        """
        pyplot_for(cls.__name__, ax)
        _check_kind(kind)
        return cls([seen_in(activations, n, x, layer, direction)], kind).plot(ax, gates=gates)

    @classmethod
    def compare(
        cls,
        before: Any,
        after: Any,
        x: ArrayLike,
        *,
        gates: Sequence[str] | None = None,
        layer: int = -1,
        direction: str = "forward",
        ax: Any = None,
    ) -> GateDisplay:
        """Draw the gates of two estimators and their difference, to show what training has changed.

        Parameters
        ----------
        before, after : LSTMClassifier, LSTMRegressor or SequenceEncoder
            Fitted estimators with the same cells and sizes, such as one after its first epochs and one after all. To
            see the network before training, fit a clone with a learning rate so small that it changes nothing; an
            integer `random_state` gives it the same initial weights.
        x, gates, layer, direction, ax
            See `from_estimator`.

        Returns
        -------
        GateDisplay

        Raises
        ------
        ValueError
            As in `from_estimator`, or if the estimators differ in their cells or sizes.
        TypeError, sklearn.exceptions.NotFittedError, ImportError
            See `from_estimator`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.base import clone
        >>> from fastlstm import LSTMRegressor
        >>> from fastlstm.inspection import GateDisplay
        >>> X = np.random.default_rng(0).normal(size=(20, 30, 2))
        >>> after = LSTMRegressor(8, max_iter=9, learning_rate="cosine", random_state=0).fit(X, X[:, 0, 0])
        >>> before = clone(after).set_params(max_iter=1, learning_rate_init=1e-30).fit(X, X[:, 0, 0])
        >>> display = GateDisplay.compare(before, after, X[0], gates=["forget"])
        >>> display.axes_["forget gate", "change"].get_title()
        'change'
        """
        pyplot_for(cls.__name__, ax)
        seen = []
        for name, estimator in (("before", before), ("after", after)):
            with labelled(name):
                seen.append(seen_by(estimator, x, layer, direction))
        kinds = [(of.cell, of.activations["hidden_state"].shape[1]) for of in seen]
        if kinds[0] != kinds[1]:
            given = " and ".join(f"{units} units of type {cell!r}" for cell, units in kinds)
            raise ValueError(f"before and after have layers of {given}; expected the same cells and sizes.")
        return cls(seen).plot(ax, gates=gates)

    def plot(self, ax: Any = None, *, gates: Sequence[str] | None = None) -> GateDisplay:
        """Draw the panels.

        Parameters
        ----------
        ax, gates
            See `from_estimator`.

        Returns
        -------
        GateDisplay

        Raises
        ------
        ValueError
            If the cell has no such gate, or `ax` has no place in a grid.
        TypeError
            If `ax` is not an Axes.
        ImportError
            If matplotlib is not installed.
        """
        seen, is_memory = self._seen[-1], self._kind == "memory"
        if is_memory and gates is not None:
            raise ValueError(f"gates={gates!r} has no effect with kind='memory': leave it out, or pass kind='gates'.")
        self.half_life_ = None
        if is_memory:
            names = memory_gates(seen.cell)
            self.half_life_ = half_life(seen.activations[names.keeps.gate])
            self.order_ = np.argsort(-self.half_life_, kind="stable")
            rows = len(names) + 1
        else:
            names = _chosen(gates, seen)
            self.order_ = by_activity(seen)
            rows = len(names)
        first = int(seen.x is not None)
        rows += first + any(of.predictions is not None for of in self._seen)
        columns = 3 if len(self._seen) > 1 else 1
        panels = Panels(type(self).__name__, ax, rows, columns, is_memory)
        self.ax_, self.figure_, self.axes_ = panels.ax, panels.figure, draw_inputs(panels, self._seen)
        if is_memory:
            self.axes_ |= draw_memory(panels, first, seen, names, self.order_, self.half_life_)
        elif columns == 1:
            self.axes_ |= draw_gates(panels, first, seen, names, self.order_)
        else:
            self.axes_ |= draw_comparison(panels, first, self._seen, names, self.order_)
        self.axes_ |= draw_predictions(panels, self._seen)
        panels.finish()
        return self


def _check_kind(kind):
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"kind={containers.brief(kind)}: expected one of {list(KINDS)}.")


def _chosen(gates, seen):
    """Names of the gates and states to draw."""
    known = seen.activations
    if gates is None:
        hidden = {"hidden_state"} if "cell_state" in known else set()
        return [name for name in known if name not in hidden]
    if not isinstance(gates, (list, tuple)) or not gates:
        raise ValueError(f"gates={containers.brief(gates)}: expected a non-empty list of names, of {list(known)}.")
    unknown = [name for name in gates if not isinstance(name, str) or name not in known]
    if unknown:
        raise ValueError(
            f"gates has {unknown[0]!r}, but a cell of type {seen.cell!r} has no gate or state of that name; expected "
            f"some of {list(known)}."
        )
    return list(gates)
