"""Streams: a fitted model that goes on one step a call."""

from __future__ import annotations

import copy
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from fastlstm import containers, kernels
from fastlstm.estimators.inputs import channel_names_of_step, check_channel_names
from fastlstm.estimators.standardization import Scaling
from fastlstm.kernels.parts import Part
from fastlstm.kernels.workspace import Workspace
from fastlstm.layers.checks import check_state, is_count, named, shape_of
from fastlstm.stacks import PackedStack, StackRun, join_states

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import ArrayLike, NDArray

    from fastlstm.estimators.base import BaseLSTM

FEW = 32  # numbers that Python adds up faster than np.isfinite looks at them, which takes as long as a small step


class Stream:
    """Series that a fitted model reads as they come, made by the model's `stream`.

    The model is the one that was fitted then, whatever becomes of the estimator. A stream can be copied and pickled.
    Threads may not share one.

    Attributes
    ----------
    state : tuple of ndarray
        Where the streams are, copied: (h, c), of GRU and RNN (h,), as a layer's state, each of shape (L, n_streams, H),
        or where hidden sizes differ a tuple of L arrays (1, n_streams, H). With ``missing="mask"`` one array more, of
        shape (n_streams, C): the last value seen of each channel. Set it to go on from there.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm import LSTMRegressor
    >>> X = np.random.default_rng(0).normal(size=(20, 6, 3))
    >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit(X, X[:, -1, 0])
    >>> stream = model.stream(n_streams=20)
    >>> for t in range(6):
    ...     prediction = stream.step(X[:, t])
    >>> bool((prediction == model.predict(X)).all())
    True
    >>> saved = stream.state
    >>> stream.reset([3, 5])  # these two series have ended, and others begin
    >>> stream.state = saved
    """

    def __init__(self, model: BaseLSTM, n_streams: int = 1, method: str = "predict") -> None:
        model = model._fitted()
        if model._stack.bidirectional:
            raise ValueError(
                "A model with bidirectional=True has no streams: its backward direction starts at the last step. "
                "Predict whole series, or fit with bidirectional=False."
            )
        if not is_count(n_streams):
            raise ValueError(f"n_streams={n_streams!r}: expected a number of streams, 1 or more.")
        if not isinstance(method, str) or method not in model._of_scores:
            raise ValueError(f"method={method!r}: expected one of {list(model._of_scores)}.")
        self._model = model
        for name in [name for name in vars(model) if name == "_progress" or "callback" in name]:
            delattr(self._model, name)  # what belongs to training
        self.n_streams, self.method = int(n_streams), method
        self._model.weights_ = {name: np.array(value) for name, value in model.weights_.items()}
        self._predict = getattr(self._model, model._of_scores[method])
        try:
            self._make_room()
        except (MemoryError, ValueError) as error:  # the latter where a size is larger than an index may be
            raise MemoryError(f"n_streams={n_streams} do not fit into memory: {error}") from error

    def _make_room(self):
        """Weights as the kernels read them, and all that a step writes to."""
        stack, n, weights, dtype = self._model._stack, self.n_streams, self._model.weights_, self._model._dtype()
        package, self._dtype = kernels.load(self._model.backend), dtype
        packed = PackedStack(stack, package, dtype)
        packed.fill(Part(), [weights[name] for name in stack.shapes])
        run = StackRun(stack, package, np.array([0, n]), dtype, [Workspace() for _ in stack.places])
        K = len(weights["head.bias"])
        self._head = package.head.Head(K, stack.width, dtype, Workspace())
        self._head.fill(weights["head.weight"], weights["head.bias"])
        self._features, self._room = self._head.room("features", n), np.empty((n, self._head.columns), dtype)
        self._scores = self._room[:, :K]

        C, masked = stack.input_size, self._model._masked
        self._x = np.zeros((n, C), dtype)
        self._flat, self._few = self._x.reshape(-1), n * C <= FEW
        self._shape = (n, C // 2) if masked else (n, C)
        self._usual = (self._shape, self._shape[1:]) if n == 1 else (self._shape,)  # an array of one row may lack it
        self._seen = np.zeros(self._shape, dtype) if masked else None
        self._scaling = None
        if self._model.x_mean_ is not None:
            self._scaling = Scaling(self._model.x_mean_, self._model.x_scale_)
            self._wide = np.empty(self._shape)
        for one in run.runs:
            one.load(Part(), np.zeros(n * one.C, dtype), np.arange(n) * one.C)
        # the last states go where the head reads them, but for kernels those must stand without gaps
        of_head = self._features[:, : stack.width]
        self._last = of_head if of_head.flags.c_contiguous else np.empty((n, stack.width), dtype)
        hidden = [*(np.empty((n, one.H), dtype) for one in run.runs[:-1]), self._last]
        self._copies = None if self._last is of_head else of_head
        self._runs = run.runs
        self._layers = list(zip(run.runs, packed.runs, [self._x, *hidden[:-1]], hidden, strict=True))

    def step(self, x_t: ArrayLike) -> NDArray[Any]:
        """Read the next step of every stream.

        Parameters
        ----------
        x_t : array of shape (n_streams, C); for one stream also (C,), for one channel also (n_streams,)
            The C channels that the model was fitted with; of the model's dtype it takes least time. NaN is what is
            missing, where the model has ``missing="mask"``.

        Returns
        -------
        ndarray of shape (n_streams,) or (n_streams, K)
            What the model's `predict`, or the method that `stream` was told, gives for the series so far, with the same
            bits; of a model with `return_sequences`, for this step.

        Raises
        ------
        ValueError
            If the shape of `x_t` is wrong, or a number is not finite. The streams stay where they were.
        TypeError
            If `x_t` is not of real numbers; likewise.

        Examples
        --------
        >>> from fastlstm import LSTMClassifier
        >>> model = LSTMClassifier(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], ["rise", "fall"])
        >>> stream = model.stream()
        >>> [stream.step([value]).shape for value in (0, 1)]
        [(1,), (1,)]
        """
        # the usual case at little cost: everything here is a good part of the step
        if type(x_t) is not np.ndarray or x_t.dtype != self._dtype or x_t.shape not in self._usual:
            x_t = self._check(x_t)
        if self._scaling is not None:
            x_t = self._standardised(x_t)
        if self._seen is None:
            self._x[...] = x_t
            if not (self._few and isfinite(sum(self._flat.tolist()))):
                self._check_finite(x_t)
        else:
            self._take_masked(x_t)
        for run, packed, x, h in self._layers:
            run.step(packed, x, h)
        if self._copies is not None:
            self._copies[...] = self._last
        self._head.forward(0, self.n_streams, self._features, self._room)
        return self._predict(self._scores.copy())

    def _check(self, x_t):
        """x_t in any other form."""
        if x_t is None:
            raise TypeError(f"x_t is None; expected an array of shape {self._shape}.")
        if not containers.is_numeric(x_t):
            names = channel_names_of_step(x_t, self._shape)
            if names is not None:
                check_channel_names(self._model, names, "x_t")
            x_t = containers.unpack(x_t, "x_t")
            shape_of("x_t", x_t)
            x_t = np.asarray(x_t)
        if x_t.shape != self._shape:
            n, C = self._shape
            shapes = dict.fromkeys([self._shape] + [(C,)] * (n == 1) + [(n,)] * (C == 1))
            if x_t.shape not in shapes:
                raise ValueError(
                    f"x_t has shape {x_t.shape}; expected {' or '.join(map(str, shapes))}: for each of the streams "
                    f"(n_streams={n}), a number for each of the channels that the model was fitted with ({C})."
                )
        if x_t.dtype.kind not in "fiub":
            expected = f"x_t is of type {x_t.dtype}; expected real numbers"
            try:
                x_t = containers.numbers(x_t)
            except (TypeError, ValueError) as error:
                raise TypeError(f"{expected}: {containers.reason(error)}.") from error
            if x_t.dtype.kind not in "fiub":
                raise TypeError(f"{expected}.")
        # what is standardised later is not rounded before
        dtype = self._dtype if self._scaling is None else "float64"
        with np.errstate(over="ignore"):  # reported as infinite
            return x_t.astype(dtype).reshape(self._shape)

    def _standardised(self, x_t):
        """The step as `predict` reads it: the same numbers by the same operations."""
        np.subtract(x_t.reshape(self._shape), self._scaling.mean, out=self._wide)
        np.divide(self._wide, self._scaling.scale, out=self._wide)
        with np.errstate(over="ignore"):  # reported as infinite
            return self._wide.astype(self._dtype)

    def _check_finite(self, x_t):
        """Raise unless all are numbers or, with `missing` "mask", NaN."""
        x_t = x_t.reshape(self._shape)
        wrong = ~np.isfinite(x_t) if self._seen is None else np.isinf(x_t)
        if not wrong.any():
            return
        stream, channel = np.argwhere(wrong)[0]
        if np.isinf(x_t[stream, channel]):
            what, advice = f"infinity or a value too large for {self._dtype}", ""
        else:
            what, advice = "NaN", ": fill in what is missing, or fit with missing='mask'"
        raise ValueError(f"x_t contains {what} in stream {stream}, channel {channel}{advice}.")

    def _take_masked(self, x_t):
        """The inputs that `sequences.with_mask` makes: what was seen last for NaN, and which are."""
        C, missing = self._shape[1], 0
        if self._few and isfinite(sum(x_t.ravel().tolist())):
            self._seen[...] = x_t
        else:
            self._check_finite(x_t)
            missing = np.isnan(x_t)
            np.copyto(self._seen, x_t, where=~missing)
        self._x[:, :C], self._x[:, C:] = self._seen, missing

    def reset(self, which: int | Sequence[int] | NDArray[np.integer[Any]] | None = None) -> None:
        """Begin anew: states, and values seen, become zeros.

        Parameters
        ----------
        which : int, sequence of int or None, default=None
            Numbers of the streams that do, from 0 on; None is all.

        Raises
        ------
        ValueError
            If there is no such stream. All stay where they were.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor
        >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
        >>> stream = model.stream(2)
        >>> first = stream.step([0, 1])
        >>> stream.reset(1)
        >>> bool(stream.step([0, 1])[1] == first[1])
        True
        """
        rows = slice(None) if which is None else self._rows(which)
        for array in self._arrays():
            array[rows] = 0

    def _rows(self, which):
        with named("which"):
            rows = np.asarray(containers.unpack(which, "which")).reshape(-1)
        if rows.size == 0:
            return []
        if rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= self.n_streams:
            raise ValueError(
                f"which={containers.brief(which)}: expected None, or numbers of streams from 0 to {self.n_streams - 1}."
            )
        return rows

    def _arrays(self):
        """All that a step goes on from; the first axis is that of the streams."""
        return [part for run in self._runs for part in run.state] + [self._seen] * (self._seen is not None)

    @property
    def state(self) -> tuple[Any, ...]:
        states = join_states(self._model._stack, [run.state for run in self._runs])
        return states if self._seen is None else (*states, self._seen.copy())

    @state.setter
    def state(self, state: tuple[Any, ...]) -> None:
        stack, masked = self._model._stack, self._seen is not None
        kinds = len(stack.states) + masked
        if not isinstance(state, (tuple, list)) or len(state) != kinds:
            given = f"{type(state).__name__}" + (f" of {len(state)}" if isinstance(state, (tuple, list)) else "")
            last = ", and the last values seen" if masked else ""
            raise ValueError(f"state: expected a tuple of {kinds}, {', '.join(stack.states)}{last}; got {given}.")
        values = check_state("state", tuple(state[: len(stack.states)]), stack, self.n_streams, self._dtype)
        values = [part for of_run in values for part in of_run]
        if masked:
            with named("state"):
                seen = np.asarray(state[-1])
            if seen.shape != self._shape or seen.dtype != self._dtype:
                raise ValueError(
                    f"state[{kinds - 1}] is of shape {seen.shape} and type {seen.dtype}; expected {self._shape} and "
                    f"{self._dtype}: the last value seen of each channel of each stream."
                )
            values.append(seen)
        if not all(np.isfinite(value).all() for value in values):
            raise ValueError("state contains NaN or infinity: pass one that `state` gave, or call reset().")
        for array, value in zip(self._arrays(), values, strict=True):
            array[...] = value

    def __reduce__(self):  # the runs' arrays share memory, which a copy of them would not
        return _restored, (self._model, self.n_streams, self.method, self.state)

    def __deepcopy__(self, memo):
        return copy.copy(self)  # of the same model, which nobody changes


def _restored(model, n_streams, method, state):
    stream = Stream(model, n_streams, method)
    stream.state = state
    return stream
