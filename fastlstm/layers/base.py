"""The base class of all layers: the weights of a stack, and the calls that run it."""

from __future__ import annotations

import operator
import sys
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from fastlstm import kernels, threads
from fastlstm.dropout import Masks
from fastlstm.kernels.lazy import lazy
from fastlstm.kernels.parts import Part
from fastlstm.layers.checks import (
    DTYPES,
    check_array,
    check_dropout,
    check_lengths,
    check_sizes,
    check_state,
    check_state_dict,
    is_count,
    named,
    shape_of,
)
from fastlstm.layers.memory import RunMemory
from fastlstm.layers.prepared_run import Prepared
from fastlstm.layers.streams import StreamState
from fastlstm.layers.tape import Gradients, Recording, Tape
from fastlstm.packing import layout_of
from fastlstm.phases import Phase
from fastlstm.stacks import PackedStack, Stack, StackRun, join_states

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from numpy.typing import ArrayLike, NDArray

    from fastlstm.layers.tape import State

FIXED = "dtype", "backend", "precision"  # attributes that select the kernels of a layer


class Layer:
    """Base class for recurrent layers; a subclass names the cell.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bidirectional, dropout, dtype, backend, n_jobs, random_state, precision
        See `LSTM`.
    """

    _cell = None

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        *,
        bidirectional: bool = False,
        dropout: float = 0.0,
        dtype: str | np.dtype[Any] = "float32",
        backend: str = "auto",
        n_jobs: int | None = None,
        random_state: int | np.random.Generator | None = None,
        precision: str = "float32",
    ) -> None:
        if not is_count(input_size):
            raise ValueError(f"input_size={input_size!r}: expected an integer of at least 1.")
        sizes = check_sizes(hidden_size, num_layers)
        if not isinstance(bidirectional, (bool, np.bool_)):
            raise ValueError(f"bidirectional={bidirectional!r}: expected True or False.")
        check_dropout(dropout, len(sizes))
        if not isinstance(dtype, (str, np.dtype)) or dtype not in DTYPES:
            raise ValueError(f"dtype={dtype!r}: expected one of {list(DTYPES)}.")
        threads.check_n_jobs(n_jobs)
        self._stack = Stack(self._cell, int(input_size), sizes, bool(bidirectional))
        self.dtype = np.dtype(dtype)
        kernels.resolve(backend, precision, dtype)  # raises if the backend does not have this precision
        self.backend, self.n_jobs, self.precision = str(kernels.resolve(backend)), n_jobs, str(precision)
        with named("random_state"):
            rng = np.random.default_rng(random_state)
        fresh = self._stack.initial_weights(rng)
        self._dropout, self._seed = float(dropout), int(rng.integers(1 << 63))
        self._memory = RunMemory(len(self._stack.places))
        self._number_records(0)
        self._set_weights({name: value.astype(self.dtype) for name, value in fresh.items()})

    def __setattr__(self, name: str, value: Any) -> None:
        if name in FIXED and name in vars(self):
            raise AttributeError(
                f"{name} of a layer cannot be changed: make a new layer with another {name}, and load this one's "
                "state_dict() into it."
            )
        super().__setattr__(name, value)

    def _set_weights(self, weights):
        self._flat = tuple(value.reshape(-1) for value in weights.values())
        for value in weights.values():
            value.flags.writeable = False  # a change in place would pass by the packed copy
        self._weights = weights
        self._packed = None, None

    def _number_records(self, made):
        """Go on with the numbers of records after so many: of an iterator, which gives none to two threads."""
        self._records = iter(range(made + 1, sys.maxsize))

    def __getstate__(self):
        made = sys.maxsize - operator.length_hint(self._records) - 1
        options = self._stack, self.dtype, self.backend, self.n_jobs, self._dropout, self._seed, made, self.precision
        return {"options": options, "weights": self._weights}

    def __setstate__(self, state):
        options = (*state["options"], "float32")[:8]  # version 0.1 had no precision
        self._stack, self.dtype, self.backend, self.n_jobs, self._dropout, self._seed, made, self.precision = options
        self._memory = RunMemory(len(self._stack.places))
        self._number_records(made)
        self._set_weights({name: value.copy() for name, value in state["weights"].items()})

    @property
    def input_size(self) -> int:
        """Number of input features per step, C."""
        return self._stack.input_size

    @property
    def hidden_size(self) -> int | tuple[int, ...]:
        """Number of hidden units, H; a tuple with one number per layer if they differ."""
        sizes = self._stack.hidden_sizes
        return sizes[0] if len(set(sizes)) == 1 else sizes

    @property
    def num_layers(self) -> int:
        """Number of stacked layers, L."""
        return len(self._stack.hidden_sizes)

    @property
    def bidirectional(self) -> bool:
        """Whether each layer also reads the sequence in reverse."""
        return self._stack.bidirectional

    @property
    def dropout(self) -> float:
        """Fraction of each layer's outputs that `record` drops before the next layer."""
        return self._dropout

    @lazy
    def _kernels(self):
        return kernels.load(kernels.resolve(self.backend, self.precision, self.dtype))

    def __repr__(self) -> str:
        more = f", {self.num_layers}" if self.num_layers > 1 else ""
        more += ", bidirectional=True" if self.bidirectional else ""
        more += f", dropout={self.dropout}" if self.dropout else ""
        precision = f", precision={self.precision!r}" if self.precision != "float32" else ""
        return (
            f"{type(self).__name__}({self.input_size}, {self.hidden_size}{more}, dtype={self.dtype.name!r}, "
            f"backend={self.backend!r}{precision})"
        )

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Return a copy of the weights, under PyTorch's names.

        Returns
        -------
        dict of str to ndarray
            For each layer l, ``weight_ih_l{l}`` (G H, C), ``weight_hh_l{l}`` (G H, H), ``bias_ih_l{l}`` (G H,) and
            ``bias_hh_l{l}`` (G H,); for the reverse direction, the same with the suffix ``_reverse``. G is the number
            of gates, which are in PyTorch's order: i, f, g, o for an LSTM, r, z, n for a GRU; for a CIFG, f, g, o.
            Above the first layer, C is the number of outputs of the layer below.

        Examples
        --------
        >>> from fastlstm.layers import LSTM
        >>> sorted(LSTM(3, 8).state_dict())
        ['bias_hh_l0', 'bias_ih_l0', 'weight_hh_l0', 'weight_ih_l0']
        """
        return {name: value.copy() for name, value in self._weights.items()}

    def load_state_dict(self, mapping: Mapping[str, Any]) -> None:
        """Load weights from a mapping such as the `state_dict()` of a layer or of a PyTorch module.

        Parameters
        ----------
        mapping : mapping of str to array or tensor
            One entry for each name in `state_dict`, of the same shape. All names may have one prefix, as in
            ``module.lstm.weight_ih_l0``.

        Raises
        ------
        ValueError
            If names are missing or unknown, a shape is wrong or a weight is not finite. The layer is left unchanged.
        TypeError
            If a weight does not consist of real numbers. The layer is left unchanged.

        Examples
        --------
        >>> from fastlstm.layers import LSTM
        >>> one, other = LSTM(3, 8), LSTM(3, 8)
        >>> one.load_state_dict(other.state_dict())
        """
        self._set_weights(check_state_dict(mapping, self._stack.shapes, self.dtype))

    def __call__(
        self, x: ArrayLike, state: ArrayLike | None = None, lengths: ArrayLike | None = None
    ) -> tuple[NDArray[Any], State]:
        """Run the layers over a batch of sequences.

        Parameters
        ----------
        x : ndarray of shape (N, T, C)
            N sequences of T steps, of the layer's dtype.
        state : (h_0, c_0), for GRU and RNN (h_0,), or None, default=None
            Initial state: arrays of shape (L D, N, H) for L layers with D directions, layer by layer, forward before
            reverse. If the layers' sizes differ, each is a tuple of L arrays of shape (D, N, H). If None, zeros.
        lengths : array-like of shape (N,) or None, default=None
            Length of each sequence, from 1 to T. Later steps are ignored. If None, all sequences have T steps.

        Returns
        -------
        output : ndarray of shape (N, T, D H)
            Hidden state of the last layer after each step, with both directions concatenated; 0 beyond the end of a
            sequence.
        state : (h_n, c_n), for GRU and RNN (h_n,)
            State after the last step of each sequence (for the reverse direction, the first), in the shape of `state`.

        Raises
        ------
        ValueError
            If a shape is wrong, a size is zero or a length is not in [1, T].
        TypeError
            If an array does not have the layer's dtype or lengths are not integers.

        Examples
        --------
        >>> import numpy as np
        >>> from fastlstm.layers import LSTM
        >>> layer = LSTM(1, 4, dtype="float64")
        >>> output, state = layer(np.ones((2, 3, 1)))
        >>> more, state = layer(np.ones((2, 3, 1)), state)  # continues from the first call
        >>> output, state = layer(np.ones((2, 3, 1)), lengths=[3, 1])
        >>> output[1, 1:].any()
        np.False_
        """
        layout, x, state = self._check(x, state, lengths)
        room, output, states, _ = self._run(layout, x, state, False)
        self._memory.leave(room)
        return output, states

    def record(
        self, x: ArrayLike, state: ArrayLike | None = None, lengths: ArrayLike | None = None
    ) -> tuple[NDArray[Any], State, Tape]:
        """Run the layers as a call does, and record what `backward` needs.

        Parameters
        ----------
        x, state, lengths
            As in a call.

        Returns
        -------
        output, state
            As in a call, with the same bits unless dropout is used. `output` is read-only, as it may share memory with
            the tape.
        tape : Tape
            Record to pass to `backward`.

        Raises
        ------
        ValueError, TypeError
            As in a call.

        Examples
        --------
        >>> import numpy as np
        >>> from fastlstm.layers import LSTM
        >>> layer = LSTM(3, 8)
        >>> output, (h_n, c_n), tape = layer.record(np.zeros((2, 5, 3), dtype="float32"))
        """
        layout, x, state = self._check(x, state, lengths)
        room, output, states, weights = self._run(layout, x, state, True, next(self._records))
        output.flags.writeable = False
        tape = Tape(self, deque([Recording(room, output)]), weights, layout)
        self._memory.leave(room)
        return output, states, tape

    def backward(
        self,
        tape: Tape,
        d_output: ArrayLike | None = None,
        d_state: ArrayLike | None = None,
        input_gradient: bool = True,
        keep_tape: bool = True,
    ) -> Gradients:
        """Backpropagate through time.

        Parameters
        ----------
        tape : Tape
            From `record` of this layer. Gradients are evaluated at the weights in use when it was recorded.
        d_output : ndarray of shape (N, T, D H) or None, default=None
            Gradient of the loss with respect to `output`. Values beyond the end of a sequence are ignored. If None,
            zeros.
        d_state : (d_h_n, d_c_n), for GRU and RNN (d_h_n,), or None, default=None
            Gradient of the loss with respect to the final state, in the same shape. If None, zeros.
        input_gradient : bool, default=True
            Whether to compute the gradient with respect to x.
        keep_tape : bool, default=True
            Whether the tape can be used again. If False, gradients are computed in its memory, which is faster.

        Returns
        -------
        Gradients
            ``weights``, a dict with the names and shapes of `state_dict`; ``x`` of shape (N, T, C), or None; and
            ``state``, the gradient with respect to the initial state, in the same shape.

        Raises
        ------
        ValueError
            If the tape belongs to another layer or is used up, both gradients are None, or a shape is wrong.
        TypeError
            If an array does not have the layer's dtype.

        Examples
        --------
        >>> import numpy as np
        >>> from fastlstm.layers import LSTM
        >>> layer = LSTM(3, 8)
        >>> output, state, tape = layer.record(np.zeros((2, 5, 3), dtype="float32"))
        >>> grads = layer.backward(tape, d_output=np.ones_like(output))
        >>> grads.weights["weight_hh_l0"].shape, grads.x.shape, grads.state[0].shape
        ((32, 8), (2, 5, 3), (1, 2, 8))
        """
        if not isinstance(tape, Tape) or tape.layer is not self:
            raise ValueError("tape: expected what `record` of this layer returned; record the run again and pass it.")
        tape.players.append(self)
        try:
            return self._backward(tape, d_output, d_state, input_gradient, keep_tape)
        finally:
            tape.players.pop()

    def _backward(self, tape, d_output, d_state, input_gradient, keep_tape):
        layout = tape.layout
        if d_output is None and d_state is None:
            raise ValueError("d_output and d_state are both None: pass the gradient of at least one of them.")
        N, T, _ = layout.shape
        if d_output is not None:
            d_output = check_array("d_output", d_output, (N, T, self._stack.width), self.dtype)
            d_output = np.ascontiguousarray(d_output)
        d_states = check_state("d_state", d_state, self._stack, N, self.dtype)
        if d_states is not None:
            d_states = [layout.pick(of_run) for of_run in d_states]

        recording, in_place = tape.take(keep_tape)
        room, run = recording.room, recording.room.prepared.run
        if not in_place:
            room = self._memory.take()
            run = run.twin(room.workspaces)
        run.prepare_backward(outputs=d_output is not None, inputs=input_gradient, keep=not in_place)
        run.set_d_states(slice(None), d_states)
        packed = PackedStack(self._stack, self._kernels, self.dtype, room.workspaces, False, True, input_gradient)
        d_weights = {name: np.empty_like(w) for name, w in self._weights.items()}

        def fill(part):
            packed.fill(part, tape.weights)
            if d_output is not None:
                layout.pack(part, d_output, self._kernels, run.layers[-1])

        def differentiate(part):
            run.gradients(part, packed, input_gradient)
            packed.unpack(part, list(d_weights.values()))

        def phases():
            yield Phase(fill)
            yield from run.backward(packed, to_start=True)
            yield Phase(differentiate)

        with threads.team(*self._threads(layout, 2 + input_gradient, run.threads), self._kernels) as team:
            team.run(phases)
        d_x = None
        if input_gradient:
            d_x = room.lend(layout.input_gradient(run, self._kernels, room.workspaces[0]))
        d_states = join_states(self._stack, [of_run.d_state for of_run in run.runs], layout.places)
        if not in_place:
            self._memory.leave(room)
        return Gradients(d_weights, d_x, d_states)

    def initial_state(self, n: int = 1, state: ArrayLike | None = None) -> StreamState:
        """Create the state of n streams, for `step`.

        Parameters
        ----------
        n : int, default=1
            Number of parallel streams, N.
        state : (h_0, c_0), for GRU and RNN (h_0,), or None, default=None
            Initial state, in the shape that a call takes. If None, zeros.

        Returns
        -------
        StreamState

        Raises
        ------
        ValueError
            If `n` is not a positive integer, an array has the wrong shape, or the layer is bidirectional, so that its
            output depends on later steps.
        TypeError
            If an array does not have the layer's dtype.

        Examples
        --------
        >>> from fastlstm.layers import LSTM
        >>> LSTM(3, 8).initial_state(2).h.shape
        (1, 2, 8)
        """
        if self.bidirectional:
            raise ValueError(
                "A bidirectional layer has no streams: its backward direction starts at the last step. Call the layer "
                "on whole sequences."
            )
        if not is_count(n):
            raise ValueError(f"n={n!r}: expected a number of streams, 1 or more.")
        return StreamState(self, int(n), check_state("state", state, self._stack, int(n), self.dtype))

    def step(self, x_t: ArrayLike, state: StreamState) -> NDArray[Any]:
        """Advance all streams by one step, in microseconds.

        Parameters
        ----------
        x_t : ndarray of shape (N, C)
            Inputs of the step, of the layer's dtype.
        state : StreamState
            From `initial_state` of this layer; updated in place.

        Returns
        -------
        h_t : ndarray of shape (N, H)
            Hidden state of the last layer after the step, with the same bits as the output of a call.

        Raises
        ------
        ValueError
            If the state belongs to another layer or the shape of `x_t` is wrong. The state is left unchanged.
        TypeError
            If `x_t` does not have the layer's dtype. The state is left unchanged.

        Examples
        --------
        >>> import numpy as np
        >>> from fastlstm.layers import LSTM
        >>> layer = LSTM(1, 4, random_state=0)
        >>> x = np.ones((1, 3, 1), dtype="float32")
        >>> state = layer.initial_state()
        >>> for t in range(3):
        ...     h_t = layer.step(x[:, t], state)
        >>> bool((h_t == layer(x)[0][:, -1]).all())
        True
        """
        if type(state) is not StreamState or state.layer is not self:
            raise ValueError("state: expected what `initial_state` of this layer returned.")
        # the usual case at little cost: everything here is a good part of the step
        if type(x_t) is not np.ndarray or x_t.dtype != self.dtype or x_t.shape != state.shape:
            x_t = check_array("x_t", x_t, state.shape, self.dtype)
        flags = x_t.flags
        if not (flags.c_contiguous and flags.writeable):
            x_t = x_t.copy()
        weights, packed = self._packed
        if weights is not self._flat:
            packed = self._pack_forward()
        for run, of_run in zip(state.runs, packed.runs):  # noqa: B905 a check of their numbers would take time
            h_t = np.empty((state.shape[0], run.H), self.dtype)
            run.step(of_run, x_t, h_t)
            x_t = h_t
        return h_t

    def _pack_forward(self):
        weights, packed = self._flat, PackedStack(self._stack, self._kernels, self.dtype)
        packed.fill(Part(), weights)
        self._packed = weights, packed
        return packed

    def _threads(self, layout, passes, most=None):
        """How many threads to ask for, and whether to divide units; `most` is what the run has room for."""
        stack = self._stack
        size, by_units = threads.worthwhile(
            self.n_jobs, passes * stack.flops(layout.steps), layout.shape[0], stack.largest * self.dtype.itemsize
        )
        return size if most is None else min(size, most), by_units

    def _run(self, layout, x, states, recording, number=0):
        """Run forward; the room, the output and the states for the caller, and the weights.

        number: of the call, for which dropout is drawn.
        """
        weights, (source, packed) = self._flat, self._packed  # others may be loaded while this runs
        fresh = source is not weights
        if fresh:
            packed = PackedStack(self._stack, self._kernels, self.dtype)
        with threads.team(*self._threads(layout, 1), self._kernels) as team:
            shape = layout, recording, team.size
            room = self._memory.take(shape)
            prepared = room.prepared
            if prepared is None:
                prepared = room.prepared = self._prepare(room.workspaces, *shape)
            if fresh:
                team.run([Phase(packed.fill, weights)].__iter__)
            prepared.play(team, packed, x, states, (self._seed, number))
        if fresh:
            self._packed = weights, packed  # only now that it is complete
        return room, room.lend(prepared.output), prepared.last_states(), weights

    def _prepare(self, workspaces, layout, recording, size):
        masks = None
        if recording and self._dropout:
            masks = Masks(self._stack, self._kernels, layout.shape[0], self.dtype, self._dropout, 0.0, 0.0)
        run = StackRun(self._stack, self._kernels, layout.starts, self.dtype, workspaces, recording, size, masks)
        return Prepared(self._stack, run, layout, self._kernels, workspaces[0])

    def _check(self, x, state, lengths):
        """The layout of a batch, x [N T C] and the states of all runs."""
        shape = x.shape if type(x) is np.ndarray else shape_of("x", x)
        if len(shape) != 3 or shape[2] != self.input_size or 0 in shape:
            raise ValueError(
                f"x has shape {shape}; expected (N, T, C): sequences, steps and C={self.input_size} inputs, none of "
                "them zero."
            )
        x = check_array("x", x, shape, self.dtype)
        layout = layout_of(shape, None if lengths is None else check_lengths(lengths, *shape[:2]))
        states = check_state("state", state, self._stack, shape[0], self.dtype)
        return layout, x.ravel(), states and [layout.pick(of_run) for of_run in states]
