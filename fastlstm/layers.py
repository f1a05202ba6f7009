"""The recurrence itself, for use without an estimator and for comparison with PyTorch."""

from typing import NamedTuple

import numpy as np

from fastlstm import kernels
from fastlstm.kernels.workspace import Workspace

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


class Gradients(NamedTuple):
    """What `LSTM.backward` returns."""

    weights: dict
    x: np.ndarray | None
    state: tuple


class Tape(NamedTuple):
    """What `LSTM.record` keeps for `LSTM.backward`."""

    layer: object
    kernel_tape: object
    weights: tuple
    shape: tuple  # N, T, C


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
    random_state : int, numpy.random.Generator or None, default=None
        Seed of the weights.

    Raises
    ------
    ValueError
        If a size is not a positive integer, or `dtype` or `backend` is unknown.

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

    def __init__(self, input_size, hidden_size, *, dtype="float32", backend="auto", random_state=None):
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size)):
            if not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size < 1:
                raise ValueError(f"{name}={size!r}: expected an integer of at least 1.")
        if dtype not in DTYPES:
            raise ValueError(f"dtype={dtype!r}: expected one of {list(DTYPES)}.")
        self.input_size, self.hidden_size = int(input_size), int(hidden_size)
        self.dtype = np.dtype(dtype)
        self.backend = kernels.resolve(backend)
        fresh = initial_weights(self.input_size, self.hidden_size, np.random.default_rng(random_state))
        self._weights = {name: value.astype(self.dtype) for name, value in fresh.items()}

    @property
    def _kernels(self):
        return kernels.load(self.backend).lstm

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
        self._weights = loaded

    def __call__(self, x, state=None):
        """Run over a batch of sequences.

        Parameters
        ----------
        x : ndarray of shape (N, T, C)
            N sequences of T steps, of the layer's dtype.
        state : (h_0, c_0) or None, default=None
            Initial state, two arrays of shape (1, N, H); None is zeros.

        Returns
        -------
        output : ndarray of shape (N, T, H)
            Hidden state after every step.
        state : (h_n, c_n)
            State after the last step, two arrays of shape (1, N, H).

        Raises
        ------
        ValueError
            If a shape is wrong or a size is zero.
        TypeError
            If an array is not of the layer's dtype.

        Examples
        --------
        >>> import numpy as np
        >>> from fastlstm.layers import LSTM
        >>> layer = LSTM(1, 4, dtype="float64")
        >>> output, state = layer(np.ones((2, 3, 1)))
        >>> more, state = layer(np.ones((2, 3, 1)), state)  # goes on where the first call stopped
        """
        x, state = self._check_inputs(x, state)
        h, state_n = self._kernels.forward(x.transpose(1, 0, 2), tuple(self._weights.values()), state)
        return h[1:].transpose(1, 0, 2), _layered(state_n)

    def record(self, x, state=None):
        """Run as a call does, and keep what `backward` needs.

        Parameters
        ----------
        x, state
            As in a call.

        Returns
        -------
        output, state
            As in a call, with the same bits. `output` is read-only: it is a part of the tape.
        tape : Tape
            To be passed to `backward`, any number of times.

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
        x, state = self._check_inputs(x, state)
        weights = tuple(self._weights.values())
        h, state_n, kernel_tape = self._kernels.record(x.transpose(1, 0, 2), weights, state, Workspace())
        output = h[1:].transpose(1, 0, 2)
        output.flags.writeable = False
        return output, _layered(state_n), Tape(self, kernel_tape, weights, x.shape)

    def backward(self, tape, d_output=None, d_state=None, input_gradient=True):
        """Backpropagation through time.

        Parameters
        ----------
        tape : Tape
            From `record` of this layer. Gradients are taken at the weights that were recorded.
        d_output : ndarray of shape (N, T, H) or None, default=None
            Gradient of the loss with respect to `output`; None is zeros.
        d_state : (d_h_n, d_c_n) or None, default=None
            Gradient with respect to the last state, two arrays of shape (1, N, H); None is zeros.
        input_gradient : bool, default=True
            Whether to compute the gradient with respect to x.

        Returns
        -------
        Gradients
            ``weights``: a dict with the names and shapes of `state_dict`; ``x``: (N, T, C), or None;
            ``state``: (d_h_0, d_c_0), two arrays of shape (1, N, H).

        Raises
        ------
        ValueError
            If the tape is another layer's, both gradients are None, or a shape is wrong.
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
        if d_output is None and d_state is None:
            raise ValueError("d_output and d_state are both None: pass the gradient of at least one of them.")
        N, T, _ = tape.shape
        if d_output is not None:
            d_output = self._check_array("d_output", d_output, (N, T, self.hidden_size)).transpose(1, 0, 2)
        d_state = self._check_state("d_state", d_state, N)
        d_weights = {name: np.empty_like(w) for name, w in zip(self._weights, tape.weights, strict=True)}
        d_x, d_state_0 = self._kernels.backward(
            tape.kernel_tape,
            tape.weights,
            d_output,
            d_state,
            tuple(d_weights.values()),
            Workspace(),
            input_gradient=input_gradient,
            state_gradient=True,
        )
        return Gradients(d_weights, d_x.transpose(1, 0, 2) if input_gradient else None, _layered(d_state_0))

    def _check_inputs(self, x, state):
        shape = _shape("x", x)
        if len(shape) != 3 or shape[2] != self.input_size or 0 in shape:
            raise ValueError(
                f"x has shape {shape}; expected (N, T, C): sequences, steps and C={self.input_size} inputs, none of "
                "them zero."
            )
        return self._check_array("x", x, shape), self._check_state("state", state, shape[0])

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


def _layered(state):
    """(N, H) arrays of kernels to the (1, N, H) of callers, copied out of the kernels' buffers."""
    return tuple(part[None].copy() for part in state)
