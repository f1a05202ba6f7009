"""Pictures of gates and states."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fastlstm import kernels
from fastlstm.inspection._estimators import fitted_estimator
from fastlstm.inspection._panels import Panels, largest_of
from fastlstm.inspection.gates import direction_of, gate_activations
from fastlstm.plotting import pyplot_for
from fastlstm.training.outputs import ClassificationOutput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import ArrayLike, NDArray

KINDS = ("gates", "memory")
SIGNED = ("cell", "candidate", "cell_state", "hidden_state")
COMPARED = "before", "after"
SHUT = 0.1  # below this, a gate counts as closed


class _Seen(NamedTuple):
    """What a display shows of one estimator."""

    cell: str
    activations: dict  # [T, H] by name
    x: np.ndarray  # [T, C]
    predictions: np.ndarray | None  # [T, K]
    labels: list  # of the predictions
    what: str  # what the predictions are


class GateDisplay:
    """Heat maps of the gates and states of one layer while it reads a series.

    Create it by `from_estimator` or `compare`. Requires matplotlib.

    Attributes
    ----------
    order_ : ndarray of shape (H,)
        Units from top to bottom.
    half_life_ : ndarray of shape (H,) or None
        With ``kind="memory"``, the number of steps in which each unit forgets half of its state.
    axes_ : dict of str to matplotlib Axes
        Panels by name: "input", the names of gates and states, "prediction"; with ``kind="memory"`` also "half_life";
        from `compare`, the heat maps are named by pairs, such as ("forget", "before").
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

    def __init__(self, seen: Sequence[_Seen], kind: str = "gates") -> None:
        self._seen, self._kind = list(seen), kind

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
        x : array of shape (T, C) or (T,)
            One series.
        kind : {"gates", "memory"}, default="gates"
            "gates" draws one heat map per gate, with the units sorted by when they are active. "memory" draws for each
            unit how long it keeps its state, when it is written and when it is read: the half-life
            log 2 / -log(mean of the forget gate), the input gate and the output gate. Steps at which a gate is closed,
            below 0.1, are hatched: there the input, or the state, does not matter. For a GRU, these are the update
            gate z, 1 - z and the reset gate.
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
        single unit does not determine the scale.

        The prediction at a step is that for the series so far, or with ``return_sequences=True`` that for the step. A
        bidirectional model without `return_sequences` has no prediction before the last step, so none is drawn.
        """
        pyplot_for(cls.__name__)  # fails before any work
        if kind not in KINDS:
            raise ValueError(f"kind={kind!r}: expected one of {list(KINDS)}.")
        return cls([_seen(estimator, x, layer, direction)], kind).plot(ax, gates=gates)

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
            Fitted estimators with the same cells and sizes, such as one after its first epochs and one after all.
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
        """
        pyplot_for(cls.__name__)
        seen = [_seen(estimator, x, layer, direction) for estimator in (before, after)]
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
        """
        seen = self._seen[-1]
        is_memory, self.half_life_ = self._kind == "memory", None
        if is_memory and gates is not None:
            raise ValueError(f"gates={gates!r} has no effect with kind='memory': leave it out, or pass kind='gates'.")
        names = _memory_gates(seen.cell) if is_memory else _chosen(gates, seen)
        if is_memory:
            self.half_life_ = _half_life(seen.activations[names.pop("keeps")])
            self.order_ = np.argsort(-self.half_life_, kind="stable")
        else:
            self.order_ = _by_activity(seen.activations)
        rows = 1 + len(names) + any(of.predictions is not None for of in self._seen)
        columns = 3 if len(self._seen) > 1 else 1
        panels = Panels(type(self).__name__, ax, rows, columns, is_memory)
        self.ax_, self.figure_, self.axes_ = panels.ax, panels.figure, {}
        if is_memory:
            self._draw_memory(panels, names)
        elif columns == 1:
            self._draw_gates(panels, names)
        else:
            self._draw_comparison(panels, names)
        panels.finish()
        return self

    def _draw_gates(self, panels, names):
        seen = self._seen[0]
        self.axes_["input"] = _draw_input(panels, seen)
        for row, name in enumerate(names, 1):
            values = seen.activations[name].T[self.order_]
            self.axes_[_title(name)] = panels.map(row, values, _title(name), name in SIGNED, bar=True)
        self._draw_predictions(panels)

    def _draw_predictions(self, panels, column=0):
        seen = self._seen[column]
        if seen.predictions is not None:
            axes = panels.lines(-1, seen.predictions, seen.labels, seen.what, column, seen.what == "probability")
            self.axes_["prediction" if len(self._seen) == 1 else ("prediction", COMPARED[column])] = axes

    def _draw_comparison(self, panels, names):
        for column, seen in enumerate(self._seen):
            self.axes_["input", COMPARED[column]] = axes = _draw_input(panels, seen, column)
            axes.set_title(COMPARED[column])
            self._draw_predictions(panels, column)
        for row, name in enumerate(names, 1):
            before, after = (seen.activations[name].T[self.order_] for seen in self._seen)
            signed, title = name in SIGNED, _title(name)
            largest = largest_of(np.concatenate([before, after]))
            self.axes_[title, "before"] = panels.map(row, before, title, signed, largest)
            self.axes_[title, "after"] = panels.map(row, after, "", signed, largest, column=1, bar=True)
            self.axes_[title, "change"] = panels.map(row, after - before, "", True, column=2, bar=True)
        self.axes_[_title(names[0]), "change"].set_title("change")

    def _draw_memory(self, panels, names):
        seen, order = self._seen[0], self.order_
        self.axes_["input"] = _draw_input(panels, seen)
        for row, (title, (name, inverted, what)) in enumerate(names.items(), 1):
            values = seen.activations[name].T[order]
            values = 1 - values if inverted else values
            self.axes_[title] = axes = panels.map(row, values, title.replace(": ", ":\n"), False, bar=True, shut=SHUT)
            axes.set_title(f"hatched: {what} shut out (gate below {SHUT})", fontsize="small", loc="right")
        self.axes_["half_life"] = panels.bars(1, self.half_life_[order], "half-life in steps")
        self._draw_predictions(panels)


def _draw_input(panels, seen, column=0):
    labels = [f"channel {c}" for c in range(seen.x.shape[1])]
    return panels.lines(0, seen.x, labels, "input" if column == 0 else "", column)


def _title(name):
    """Title of the panel of a gate or state."""
    if name == "candidate":
        return "candidate"
    if name == "cell":
        return "cell candidate"
    return name.replace("_", " ") if name.endswith("state") else f"{name} gate"


def _seen(estimator, x, layer, direction):
    """What the estimator does on one series."""
    fitted = fitted_estimator(estimator)
    X = np.asarray(x)[None] if isinstance(x, np.ndarray) else [x]
    if isinstance(X, np.ndarray) and X.ndim not in (2, 3):
        raise ValueError(f"x has shape {X.shape[1:]}; expected one series, of shape (T, C) or (T,).")
    series = fitted._check_series(X)
    activations = direction_of(gate_activations(fitted, X).layers, layer, direction)
    predictions, labels, what = _predictions(fitted, series)
    arrays = {name: np.asarray(array[0], float) for name, array in activations.items()}
    return _Seen(fitted._model.stack.cell, arrays, np.asarray(series.table(), float), predictions, labels, what)


def _predictions(fitted, series):
    """Predictions [T, K] at every step, their labels, and what they are; None if there are none."""
    model = fitted._model
    if model.stack.bidirectional and not model.per_step:
        return None, [], ""
    scores = replace(model, per_step=True).scores(series, kernels.resolve(fitted.backend), fitted.n_jobs)
    if not isinstance(model.output, ClassificationOutput):
        predictions = model.output.predict(scores).reshape(len(scores), -1)
        return predictions, [f"output {k}" for k in range(predictions.shape[1])], "prediction"
    probabilities = model.output.predict_proba(scores)
    return probabilities, [str(label) for label in model.output.classes], "probability"


def _chosen(gates, seen):
    """Names of the gates and states to draw."""
    known = seen.activations
    if gates is None:
        hidden = {"hidden_state"} if "cell_state" in known else set()
        return [name for name in known if name not in hidden]
    if isinstance(gates, str) or not len(gates):
        raise ValueError(f"gates={gates!r}: expected a non-empty sequence of names, of {list(known)}.")
    unknown = [name for name in gates if name not in known]
    if unknown:
        raise ValueError(
            f"gates has {unknown[0]!r}, but a cell of type {seen.cell!r} has no gate or state of that name; expected "
            f"some of {list(known)}."
        )
    return list(gates)


def _memory_gates(cell):
    """The gate that keeps the state, and those by which it is written and read: name, whether 1 - gate, and of what."""
    if cell == "rnn":
        raise ValueError("kind='memory': a cell of type 'rnn' has no gate that keeps its state; expected kind='gates'.")
    if cell == "gru":
        written, read = ("update", True, "the input is"), ("reset", False, "the state is")
        return {"keeps": "update", "written: 1 - update gate": written, "read: reset gate": read}
    written, read = ("input", False, "the input is"), ("output", False, "the state is")
    return {"keeps": "forget", "written: input gate": written, "read: output gate": read}


def _half_life(forget: NDArray[Any]) -> NDArray[Any]:
    """Steps in which each unit forgets half of its state, for gates [T, H]."""
    mean = np.clip(forget.mean(axis=0), np.finfo(float).tiny, 1 - np.finfo("float32").eps)
    return np.log(2) / -np.log(mean)


def _by_activity(activations):
    """Units sorted by the mean time of their activity, that of the cell state if there is one."""
    states = np.abs(activations["cell_state" if "cell_state" in activations else "hidden_state"])
    active = states - states.min(axis=0) + 1e-12
    return np.argsort(np.arange(len(states)) @ active / active.sum(axis=0), kind="stable")
