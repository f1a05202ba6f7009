"""The recurrence itself, for use without an estimator and for comparison with PyTorch."""

import copy
import threading
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from fastlstm import kernels, threads
from fastlstm.kernels.parts import Part
from fastlstm.kernels.workspace import Workspace
from fastlstm.packing import Batch

DTYPES = ("float32", "float64")


def initial_weights(input_size, hidden_size, random_state):
    """Fresh weights of one LSTM layer, float64: input Glorot uniform, recurrent orthogonal, forget bias 1.

    Glorot & Bengio (2010), equation 16; Saxe, McClelland & Ganguli (2014); Gers, Schmidhuber & Cummins (2000).
    Each gate's block is drawn on its own.
    """
    limit = np.sqrt(6 / (input_size + hidden_size))
    weight_ih = random_state.uniform(-limit, limit, (4 * hidden_size, input_size))
    blocks = []
    for _ in range(4):
        q, r = np.linalg.qr(random_state.standard_normal((hidden_size, hidden_size)))
        blocks.append(q * np.where(np.diag(r) < 0, -1, 1))  # the sign makes the draw uniform
    bias_ih, bias_hh = np.zeros(4 * hidden_size), np.zeros(4 * hidden_size)
    bias_ih[hidden_size : 2 * hidden_size] = 1
    return {
        "weight_ih_l0": weight_ih,
        "weight_hh_l0": np.concatenate(blocks),
        "bias_ih_l0": bias_ih,
        "bias_hh_l0": bias_hh,
    }


def flops(C, H, steps):
    """Multiplications and additions of the gates' products in a forward run over so many steps of sequences."""
    return 8 * H * (C + H) * steps


def weight_bytes(C, H, dtype):
    """Bytes of the weights that every step reads."""
    return 4 * H * (C + H) * dtype.itemsize


class Gradients(NamedTuple):
    """What `LSTM.backward` returns."""

    weights: dict
    x: np.ndarray | None
    state: tuple


@dataclass
class Tape:
    """What `LSTM.record` keeps for `LSTM.backward`."""

    layer: object
    run: object
    weights: tuple  # flat
    batch: object
    size: int  # threads that the run has room for
    lock: object = field(default_factory=threading.Lock)  # one backward run at a time: they share the run's memory


class StreamState:
    """States of streams that `LSTM.step` takes on, made by `LSTM.initial_state`.

    Attributes
    ----------
    h, c : ndarray of shape (1, N, H)
        Hidden and cell states, copied; together, the state that a call of the layer takes.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm.layers import LSTM
    >>> layer = LSTM(1, 4)
    >>> state = layer.initial_state()
    >>> h_1 = layer.step(np.ones((1, 1), dtype="float32"), state)
    >>> output, (h_n, c_n) = layer(np.ones((1, 5, 1), dtype="float32"), (state.h, state.c))
    """

    def __init__(self, layer, n, state):
        self.layer, self.shape = layer, (n, layer.input_size)
        C, H, dtype = layer.input_size, layer.hidden_size, layer.dtype
        self.run = layer._kernels.lstm.Run(C, H, np.array([0, n]), dtype, Workspace())
        state = None if state is None else tuple(np.array(part) for part in state)
        self.run.load(Part(), np.zeros(n * C, dtype), np.arange(n) * C, state)

    def __reduce__(self):  # the run's arrays share memory, which a copy of them would not
        return StreamState, (self.layer, self.shape[0], (self.h[0], self.c[0]))

    def __deepcopy__(self, memo):
        return copy.copy(self)  # of the same layer

    @property
    def h(self):
        return self.run.state[0][None].copy()

    @property
    def c(self):
        return self.run.state[1][None].copy()


class LSTM:
    """One LSTM layer.

    Hochreiter & Schmidhuber (1997) with the forget gate of Gers, Schmidhuber & Cummins (2000), computed as
    ``torch.nn.LSTM(batch_first=True)`` does, with the same names and shapes of weights. Weights start as Glorot
    uniform (input), orthogonal (recurrent) and zero (biases), but for the forget gate's input bias, which is 1.

    Parameters
    ----------
    input_size : int
        Inputs per step, C.
    hidden_size : int
        Hidden units, H.
    dtype : {"float32", "float64"}, default="float32"
        Type of weights, inputs and outputs.
    backend : {"auto", "numba", "numpy"}, default="auto"
        Who computes; "auto" takes FASTLSTM_BACKEND, else the fastest that is installed.
    n_jobs : int or None, default=None
        Threads to use at the most: -1 for all CPUs that this process may use, -2 for all but one and so on; None for
        as many as pay. Never more than there are CPUs; results are the same bits for any number.
    random_state : int, numpy.random.Generator or None, default=None
        Seed of the weights.

    Raises
    ------
    ValueError
        If a size is not a positive integer, `dtype` or `backend` is unknown, or `n_jobs` is 0 or no integer.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm.layers import LSTM
    >>> layer = LSTM(input_size=3, hidden_size=8, random_state=0)
    >>> x = np.zeros((2, 5, 3), dtype="float32")
    >>> output, (h_n, c_n) = layer(x)
    >>> output.shape, h_n.shape, c_n.shape
    ((2, 5, 8), (1, 2, 8), (1, 2, 8))
    """

    def __init__(self, input_size, hidden_size, *, dtype="float32", backend="auto", n_jobs=None, random_state=None):
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size)):
            if not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size < 1:
                raise ValueError(f"{name}={size!r}: expected an integer of at least 1.")
        if dtype not in DTYPES:
            raise ValueError(f"dtype={dtype!r}: expected one of {list(DTYPES)}.")
        threads.check_n_jobs(n_jobs)
        self.input_size, self.hidden_size = int(input_size), int(hidden_size)
        self.dtype = np.dtype(dtype)
        self.backend, self.n_jobs = kernels.resolve(backend), n_jobs
        fresh = initial_weights(self.input_size, self.hidden_size, np.random.default_rng(random_state))
        self._set_weights({name: value.astype(self.dtype) for name, value in fresh.items()})

    def _set_weights(self, weights):
        self._flat = tuple(value.reshape(-1) for value in weights.values())
        for value in weights.values():
            value.flags.writeable = False  # a change in place would pass by the packed copy
        self._weights = weights
        self._workspace, self._packed = Workspace(), (None, None)

    def __getstate__(self):
        return {"options": (self.input_size, self.hidden_size, self.dtype, self.backend, self.n_jobs, self._weights)}

    def __setstate__(self, state):
        self.input_size, self.hidden_size, self.dtype, self.backend, self.n_jobs, weights = state["options"]
        self._set_weights({name: value.copy() for name, value in weights.items()})

    @property
    def _kernels(self):
        return kernels.load(self.backend)

    def __repr__(self):
        return f"LSTM({self.input_size}, {self.hidden_size}, dtype={self.dtype.name!r}, backend={self.backend!r})"

    def state_dict(self):
        """The weights, copied, under ``torch.nn.LSTM``'s names.

        Returns
        -------
        dict of str to ndarray
            ``weight_ih_l0`` (4H, C), ``weight_hh_l0`` (4H, H), ``bias_ih_l0`` (4H,), ``bias_hh_l0`` (4H,);
            gates in the order i, f, g, o.

        Examples
        --------
        >>> from fastlstm.layers import LSTM
        >>> sorted(LSTM(3, 8).state_dict())
        ['bias_hh_l0', 'bias_ih_l0', 'weight_hh_l0', 'weight_ih_l0']
        """
        return {name: value.copy() for name, value in self._weights.items()}

    def load_state_dict(self, mapping):
        """Take weights from a mapping as `state_dict` returns it; ``torch.nn.LSTM``'s tensors do as well.

        Parameters
        ----------
        mapping : mapping of str to array or tensor
            One entry for every name of `state_dict`, of the same shape.

        Raises
        ------
        ValueError
            If names are missing or unknown, a shape is wrong or a weight is not finite. The layer keeps its weights.
        TypeError
            If a weight is not of real numbers; likewise.

        Examples
        --------
        >>> from fastlstm.layers import LSTM
        >>> one, other = LSTM(3, 8), LSTM(3, 8)
        >>> one.load_state_dict(other.state_dict())
        """
        if set(mapping) != set(self._weights):
            missing, unknown = sorted(set(self._weights) - set(mapping)), sorted(set(mapping) - set(self._weights))
            raise ValueError(f"The mapping lacks {missing} and has unknown {unknown}; expected {list(self._weights)}.")
        loaded = {}
        for name, current in self._weights.items():
            value = mapping[name]
            value = np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)
            if value.dtype.kind not in "fiu":
                raise TypeError(f"{name} is of type {value.dtype}; expected real numbers.")
            if value.shape != current.shape:
                raise ValueError(f"{name} has shape {value.shape}; this layer's is {current.shape}.")
            with np.errstate(over="ignore"):
                loaded[name] = np.array(value, dtype=self.dtype, order="C")
            if not np.isfinite(loaded[name]).all():
                raise ValueError(f"{name} has values that are not finite, or too large for {self.dtype}.")
        self._set_weights(loaded)

    def __call__(self, x, state=None, lengths=None):
        """Run over a batch of sequences.

        Parameters
        ----------
        x : ndarray of shape (N, T, C)
            N sequences of T steps, of the layer's dtype.
        state : (h_0, c_0) or None, default=None
            Initial state, two arrays of shape (1, N, H); None is zeros.
        lengths : array of N integers or None, default=None
            How many steps of each sequence count, from 1 to T; None is T. What stands behind them is not read.

        Returns
        -------
        output : ndarray of shape (N, T, H)
            Hidden state after every step; 0 after a sequence's last.
        state : (h_n, c_n)
            State after each sequence's last step, two arrays of shape (1, N, H).

        Raises
        ------
        ValueError
            If a shape is wrong, a size is zero, or a length is out of [1, T].
        TypeError
            If an array is not of the layer's dtype, or lengths are not integers.

        Examples
        --------
        >>> import numpy as np
        >>> from fastlstm.layers import LSTM
        >>> layer = LSTM(1, 4, dtype="float64")
        >>> output, state = layer(np.ones((2, 3, 1)))
        >>> more, state = layer(np.ones((2, 3, 1)), state)  # goes on where the first call stopped
        >>> output, state = layer(np.ones((2, 3, 1)), lengths=[3, 1])
        >>> output[1, 1:].any()
        np.False_
        """
        batch = self._batch(x, state, lengths)
        run, _, _ = self._run(batch, recording=False)
        return batch.unpack(run.h, states=True), batch.unpack_states(run.h_n, run.c_n)

    def record(self, x, state=None, lengths=None):
        """Run as a call does, and keep what `backward` needs.

        Parameters
        ----------
        x, state, lengths
            As in a call.

        Returns
        -------
        output, state
            As in a call, with the same bits. `output` is read-only: it may be a part of the tape.
        tape : Tape
            To be passed to `backward`, any number of times unless told otherwise there.

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
        batch = self._batch(x, state, lengths)
        run, size, weights = self._run(batch, recording=True)
        output = batch.unpack(run.h, states=True)
        output.flags.writeable = False
        return output, batch.unpack_states(run.h_n, run.c_n), Tape(self, run, weights, batch, size)

    def backward(self, tape, d_output=None, d_state=None, input_gradient=True, keep_tape=True):
        """Backpropagation through time.

        Parameters
        ----------
        tape : Tape
            From `record` of this layer. Gradients are taken at the weights that were recorded.
        d_output : ndarray of shape (N, T, H) or None, default=None
            Gradient of the loss with respect to `output`; None is zeros. What stands behind a sequence's last step is
            not read.
        d_state : (d_h_n, d_c_n) or None, default=None
            Gradient with respect to the last state, two arrays of shape (1, N, H); None is zeros.
        input_gradient : bool, default=True
            Whether to compute the gradient with respect to x.
        keep_tape : bool, default=True
            Whether the tape can be passed once more. If not, gradients are computed in its memory, which is faster.

        Returns
        -------
        Gradients
            ``weights``: a dict with the names and shapes of `state_dict`; ``x``: (N, T, C), or None;
            ``state``: (d_h_0, d_c_0), two arrays of shape (1, N, H).

        Raises
        ------
        ValueError
            If the tape is another layer's or used up, both gradients are None, or a shape is wrong.
        TypeError
            If an array is not of the layer's dtype.

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
        with tape.lock:
            return self._backward(tape, d_output, d_state, input_gradient, keep_tape)

    def _backward(self, tape, d_output, d_state, input_gradient, keep_tape):
        if tape.run is None:
            raise ValueError("tape: used up by backward(keep_tape=False); record the run again, or keep the tape.")
        if d_output is None and d_state is None:
            raise ValueError("d_output and d_state are both None: pass the gradient of at least one of them.")
        run, batch = tape.run, tape.batch
        N, T, _ = batch.shape
        if d_output is not None:
            d_output = self._check_array("d_output", d_output, (N, T, self.hidden_size))
        d_state = self._check_state("d_state", d_state, N)

        tape.run = run if keep_tape else None
        run.prepare_backward(outputs=d_output is not None, inputs=input_gradient, keep=keep_tape)
        run.dh[:], run.dc[:] = (0, 0) if d_state is None else (part[batch.order] for part in d_state)
        packed = self._new_packed(backward=True, inputs=input_gradient)
        d_weights = {name: np.empty_like(w) for name, w in self._weights.items()}

        def compute(part):
            packed.fill(part, tape.weights)
            if d_output is not None:
                batch.pack(part, d_output, run.d_h)
            team.wait()
            run.backward(part, packed, to_start=True)
            team.wait()
            run.weight_gradient(part, packed)
            packed.unpack(part, d_weights.values())
            if input_gradient:
                run.input_gradient(part, packed)

        with threads.team(*self._threads(batch, 2 + input_gradient, tape.size), self._kernels) as team:
            team.run(compute)
        d_x = batch.unpack(run.d_x, states=False) if input_gradient else None
        return Gradients(d_weights, d_x, batch.unpack_states(run.dh, run.dc))

    def initial_state(self, n=1, state=None):
        """Room for the states of n streams, for `step`.

        Parameters
        ----------
        n : int, default=1
            Streams that go on side by side, N.
        state : (h_0, c_0) or None, default=None
            Where to start, two arrays of shape (1, N, H); None is zeros.

        Returns
        -------
        StreamState

        Raises
        ------
        ValueError
            If `n` is not a positive integer or an array has a wrong shape.
        TypeError
            If an array is not of the layer's dtype.

        Examples
        --------
        >>> from fastlstm.layers import LSTM
        >>> LSTM(3, 8).initial_state(2).h.shape
        (1, 2, 8)
        """
        if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 1:
            raise ValueError(f"n={n!r}: expected a number of streams, 1 or more.")
        return StreamState(self, int(n), self._check_state("state", state, int(n)))

    def step(self, x_t, state):
        """One step of every stream: what a call computes, a step at a time and in microseconds.

        Parameters
        ----------
        x_t : ndarray of shape (N, C)
            The next inputs, of the layer's dtype.
        state : StreamState
            From `initial_state` of this layer; goes on by one step.

        Returns
        -------
        h_t : ndarray of shape (N, H)
            Hidden state after the step, with the same bits as a call's output.

        Raises
        ------
        ValueError
            If the state is not of this layer, or the shape of `x_t` is wrong; the state stays.
        TypeError
            If `x_t` is not of the layer's dtype; the state stays.

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
            x_t = self._check_array("x_t", x_t, state.shape)
        flags = x_t.flags
        if not (flags.c_contiguous and flags.writeable):
            x_t = x_t.copy()
        weights, packed = self._packed
        if weights is not self._flat:
            packed = self._pack_forward()
        h_t = np.empty((state.shape[0], self.hidden_size), self.dtype)
        state.run.step(packed, x_t, h_t)
        return h_t

    def _pack_forward(self):
        weights, packed = self._flat, self._new_packed()
        packed.fill(Part(), weights)
        self._packed = weights, packed
        return packed

    def _new_packed(self, **what):
        workspace = Workspace() if not what else self._workspace
        return self._kernels.lstm.Packed(self.input_size, self.hidden_size, self.dtype, workspace, **what)

    def _threads(self, batch, passes, most=None):
        """How many threads to ask for, and whether to divide units; `most` is what the run has room for."""
        C, H = self.input_size, self.hidden_size
        size, by_units = threads.worthwhile(
            self.n_jobs, passes * flops(C, H, int(batch.starts[-1])), batch.shape[0], weight_bytes(C, H, self.dtype)
        )
        return min(size, most or size), by_units

    def _run(self, batch, recording):
        """Run forward; the run, how many threads it has room for, and its weights."""
        weights, (source, packed) = self._flat, self._packed  # others may be loaded while this runs
        fresh = source is not weights
        if fresh:
            packed = self._new_packed()

        def compute(part):
            if fresh:
                packed.fill(part, weights)
                team.wait()
            run.load(part, batch.x, batch.at, batch.state)
            if part.by_units:
                team.wait()
            run.forward(part, packed)

        with threads.team(*self._threads(batch, 1), self._kernels) as team:
            C, H = self.input_size, self.hidden_size
            run = self._kernels.lstm.Run(C, H, batch.starts, self.dtype, self._workspace, recording, team.size)
            team.run(compute)
        self._packed = weights, packed  # only now that it is complete
        return run, team.size, weights

    def _batch(self, x, state, lengths):
        shape = _shape("x", x)
        if len(shape) != 3 or shape[2] != self.input_size or 0 in shape:
            raise ValueError(
                f"x has shape {shape}; expected (N, T, C): sequences, steps and C={self.input_size} inputs, none of "
                "them zero."
            )
        x, state = self._check_array("x", x, shape), self._check_state("state", state, shape[0])
        return Batch(x, state, _check_lengths(lengths, *shape[:2]), self._kernels)

    def _check_state(self, name, state, N):
        if state is None:
            return None
        if not isinstance(state, (tuple, list)) or len(state) != 2:
            given = (
                f"{type(state).__name__} of {len(state)}" if isinstance(state, (tuple, list)) else type(state).__name__
            )
            raise ValueError(f"{name}: expected a pair of arrays, hidden and cell, got {given}.")
        shape = (1, N, self.hidden_size)
        return tuple(self._check_array(f"{name}[{n}]", part, shape)[0] for n, part in enumerate(state))

    def _check_array(self, name, array, shape):
        if array is None or np.ma.isMaskedArray(array):
            kind = "None" if array is None else "a masked array, whose mask would be lost"
            raise TypeError(f"{name} is {kind}; expected an array of shape {shape}.")
        array = array.detach().cpu() if hasattr(array, "detach") else array  # a tensor
        _shape(name, array)
        array = np.asarray(array)
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        if array.dtype != self.dtype:
            other = f", or make the layer with dtype={array.dtype.name!r}" if array.dtype.name in DTYPES else ""
            raise TypeError(
                f"{name} is of type {array.dtype}; this layer computes in {self.dtype}: pass "
                f"{name}.astype({self.dtype.name!r}){other}."
            )
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}; expected {shape}.")
        return array


def _shape(name, array):
    try:
        return np.shape(array)
    except ValueError as error:
        raise ValueError(f"{name} is a sequence whose members differ in shape; expected one array.") from error


def _check_lengths(lengths, N, T):
    """lengths as an array of N integers in [1, T], or None where all are T."""
    if lengths is None:
        return None
    if hasattr(lengths, "detach"):  # a tensor
        lengths = lengths.detach().cpu().numpy()
    if _shape("lengths", lengths) != (N,):
        raise ValueError(f"lengths has shape {np.shape(lengths)}; expected one length for each of {N} sequences.")
    lengths = np.asarray(lengths)
    if lengths.dtype.kind not in "iu":
        raise TypeError(f"lengths are of type {lengths.dtype}; expected integers.")
    wrong = np.flatnonzero((lengths < 1) | (lengths > T))
    if len(wrong):
        raise ValueError(f"lengths[{wrong[0]}] is {lengths[wrong[0]]}; expected 1 to T={T} steps.")
    return None if (lengths == T).all() else lengths.astype(np.int64)
