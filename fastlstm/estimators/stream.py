"""Streams: step-by-step prediction with a fitted model."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fastlstm import containers, kernels, symbols
from fastlstm.estimators.inputs import FittedNames, channel_names_of_step, check_channel_names
from fastlstm.layers.checks import check_state, is_count, named, shape_of
from fastlstm.stacks import join_states
from fastlstm.training.streaming import Stepper

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import ArrayLike, NDArray

    from fastlstm.estimators.base import BaseLSTM

BEYOND_MEMORY = 1 << 40  # streams; NumPy may raise ValueError for arrays of so many rows


class Stream:
    """Step-by-step prediction of one or more series; created by the estimator's `stream` method.

    A stream is not affected by later fits of the estimator. It can be copied and pickled, but must not be used by
    several threads at once.

    Attributes
    ----------
    state : tuple of ndarray
        Copy of the current state: (h, c) for LSTM or (h,) for GRU and RNN, arrays of shape (L, n_streams, H) for L
        layers, or tuples of L arrays of shape (1, n_streams, H) if hidden sizes differ. With ``missing="mask"``,
        followed by an array of shape (n_streams, C) with the last observed value of each channel, standardised if the
        model is. Assign a state to continue from it.

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
    >>> stream.reset([3, 5])  # start new series in streams 3 and 5
    >>> stream.state = saved
    """

    def __init__(self, estimator: BaseLSTM, n_streams: int = 1, method: str = "predict", gates: bool = False) -> None:
        fitted = estimator._fitted()
        model = fitted._model
        if model.stack.bidirectional:
            raise ValueError(
                "A model with bidirectional=True does not support streams, since its backward direction starts at the "
                "last step: predict whole series, or fit with bidirectional=False."
            )
        if not is_count(n_streams):
            raise ValueError(f"n_streams={n_streams!r}: expected a number of streams, 1 or more.")
        if not isinstance(method, str) or method not in fitted._methods:
            raise ValueError(f"method={method!r}: expected one of {list(fitted._methods)}.")
        if not isinstance(gates, (bool, np.bool_)):
            raise ValueError(f"gates={gates!r}: expected True or False.")
        weights = {name: np.array(value) for name, value in model.weights.items()}  # copied
        self._initialise(
            replace(model, weights=weights),
            (fitted.backend, fitted.precision),
            fitted._schema if model.embedding else FittedNames.of(fitted),
            int(n_streams),
            method,
            bool(gates),
        )

    def _initialise(self, model, where, names, n_streams, method, gates):
        self._model, self._where, self._names = model, where, names  # of channels, or the schema of symbols
        self._reads_symbols = model.embedding is not None
        self.n_streams, self.method, self._records_gates = n_streams, method, gates
        self._predict = getattr(model.output, method)
        name = kernels.resolve(*where, model.dtype)
        try:
            self._stepper = Stepper(model, n_streams, name, gates)
        except (MemoryError, ValueError) as error:
            if isinstance(error, ValueError) and n_streams < BEYOND_MEMORY:
                raise
            raise MemoryError(f"n_streams={n_streams} does not fit into memory: {error}") from error
        self._shape, self._dtype = self._stepper.shape, self._stepper.dtype
        # a single stream also accepts a step without the first axis
        self._usual = (self._shape, self._shape[1:]) if n_streams == 1 else (self._shape,)
        self._usual = () if self._reads_symbols else self._usual

    def step(self, x_t: ArrayLike) -> NDArray[Any]:
        """Process the next step of every stream.

        If an error is raised, the state remains unchanged.

        Parameters
        ----------
        x_t : array of shape (n_streams, C)
            Values of the C channels at the next step. The shape can also be (C,) for a single stream, or (n_streams,)
            for a single channel. Fastest in the dtype of the model's inputs: float64 if the model is standardised, else
            the model's dtype. With ``missing="mask"``, NaN marks missing values. If the model was fitted with symbols,
            a list of the next symbol of every stream, or the symbol alone for a single stream; for events, a table with
            one row per stream.

        Returns
        -------
        ndarray of shape (n_streams,) or (n_streams, K)
            Result of the estimator's `predict`, or of the method selected in `stream`, for the series so far, with the
            same bits. If ``return_sequences=True``, the result for this step.

        Raises
        ------
        ValueError
            If `x_t` has the wrong shape or contains infinity, or NaN without ``missing="mask"``.
        TypeError
            If `x_t` does not consist of real numbers.

        Examples
        --------
        >>> from fastlstm import LSTMClassifier
        >>> model = LSTMClassifier(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], ["rise", "fall"])
        >>> stream = model.stream()
        >>> [stream.step([value]).shape for value in (0, 1)]
        [(1,), (1,)]
        """
        # fast path for the usual case: a check takes a noticeable part of the time of a step
        if type(x_t) is not np.ndarray or x_t.dtype != self._dtype or x_t.shape not in self._usual:
            x_t = self._check(x_t)
        return self._predict(self._stepper.step(x_t))

    def gates(self) -> list[dict[str, NDArray[Any]]]:
        """Gates and states of the last step of every stream.

        Requires ``gates=True`` in the estimator's `stream`.

        Returns
        -------
        list of dict of str to ndarray of shape (n_streams, H)
            For each layer, copies of the gates and of the states after the step, by the names that
            `fastlstm.inspection.gate_activations` uses, and with the same bits.

        Raises
        ------
        ValueError
            If the stream does not record gates, or no step has been processed yet.

        Examples
        --------
        >>> from fastlstm import LSTMRegressor
        >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
        >>> stream = model.stream(gates=True)
        >>> prediction = stream.step([0])
        >>> stream.gates()[0]["forget"].shape
        (1, 8)
        """
        if not self._records_gates:
            raise ValueError("This stream does not record gates: create it with stream(..., gates=True).")
        activations = self._stepper.activations()
        if activations is None:
            raise ValueError("There are no gates before the first step: call step first.")
        return activations

    def _check(self, x_t):
        """Validate and convert x_t in any other form."""
        if x_t is None:
            raise TypeError(f"x_t is None; expected an array of shape {self._shape}.")
        if self._reads_symbols:
            return symbols.read_step(x_t, "x_t", self._names, self._stepper.input_dtype, self.n_streams)
        if not containers.is_numeric(x_t):
            names = channel_names_of_step(x_t, self._shape)
            if names is not None:
                check_channel_names(self._names, names, "x_t")
            x_t = containers.unpack(x_t, "x_t")
            shape_of("x_t", x_t)
            x_t = np.asarray(x_t)
        if x_t.shape != self._shape:
            n, C = self._shape
            shapes = dict.fromkeys([self._shape] + [(C,)] * (n == 1) + [(n,)] * (C == 1))
            if x_t.shape not in shapes:
                raise ValueError(
                    f"x_t has shape {x_t.shape}; expected {' or '.join(map(str, shapes))}: one value for each of the "
                    f"n_streams={n} streams and each of the {C} channels that the model was fitted with."
                )
        if x_t.dtype.kind not in "fiub":
            expected = f"x_t is of type {x_t.dtype}; expected real numbers"
            try:
                x_t = containers.numbers(x_t)
            except (TypeError, ValueError) as error:
                raise TypeError(f"{expected}: {containers.reason(error)}.") from error
            if x_t.dtype.kind not in "fiub":
                raise TypeError(f"{expected}.")
        with np.errstate(over="ignore"):  # reported as infinite
            return x_t.astype(self._stepper.input_dtype).reshape(self._shape)

    def reset(self, which: int | Sequence[int] | NDArray[np.integer[Any]] | None = None) -> None:
        """Reset streams to the initial state, zeros.

        Parameters
        ----------
        which : int, sequence of int or None, default=None
            Indices of the streams to reset. If None, all streams are reset.

        Raises
        ------
        ValueError
            If an index is out of range. No stream is reset then.

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
        for array in self._stepper.arrays():
            array[rows] = 0

    def _rows(self, which):
        with named("which"):
            rows = np.asarray(containers.unpack(which, "which")).reshape(-1)
        if rows.size == 0:
            return []
        if rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= self.n_streams:
            raise ValueError(
                f"which={containers.brief(which)}: expected None, or indices of streams, 0 to {self.n_streams - 1}."
            )
        return rows

    @property
    def state(self) -> tuple[Any, ...]:
        states, seen = join_states(self._model.stack, self._stepper.states), self._stepper.seen
        return states if seen is None else (*states, seen.copy())

    @state.setter
    def state(self, state: tuple[Any, ...]) -> None:
        stack, masked = self._model.stack, self._model.masked
        kinds = len(stack.states) + masked
        if not isinstance(state, (tuple, list)) or len(state) != kinds:
            given = f"{type(state).__name__}" + (f" of {len(state)}" if isinstance(state, (tuple, list)) else "")
            last = ", and the last observed values" if masked else ""
            raise ValueError(f"state: expected a tuple of {kinds}, {', '.join(stack.states)}{last}; got {given}.")
        values = check_state("state", tuple(state[: len(stack.states)]), stack, self.n_streams, self._dtype)
        values = [part for of_run in values for part in of_run]
        if masked:
            with named("state"):
                seen = np.asarray(state[-1])
            if seen.shape != self._shape or seen.dtype != self._dtype:
                raise ValueError(
                    f"state[{kinds - 1}] is of shape {seen.shape} and type {seen.dtype}; expected {self._shape} and "
                    f"{self._dtype}: the last observed value of each channel of each stream."
                )
            values.append(seen)
        if not all(np.isfinite(value).all() for value in values):
            raise ValueError("state contains NaN or infinity: assign a state saved earlier, or call reset().")
        for array, value in zip(self._stepper.arrays(), values, strict=True):
            array[...] = value

    def __reduce__(self):  # the runs' arrays share memory, which default pickling would not preserve
        what = self._model, self._where, self._names, self.n_streams, self.method, self._records_gates
        return _restored, (*what, self.state)

    def __deepcopy__(self, memo):
        return copy.copy(self)  # the model is immutable and can be shared


def _restored(*what):
    *arguments, state = what
    stream = object.__new__(Stream)
    stream._initialise(*arguments)
    stream.state = state
    return stream
