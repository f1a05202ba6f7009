"""The contract of every backend.

Shapes, here and in all kernels; the last axis is the fastest:

==  =====================
T   steps
N   sequences of a batch
C   inputs (channels)
H   hidden units
==  =====================

A batch is *packed*: its sequences stand in order of falling length, and step t has one row for each that is longer
than t. `starts` [T+1] says where each step's rows begin; ``M = starts[T]`` is their number. Arrays of states have M+N
rows: row ``starts[t] + n`` is the state of sequence n before step t, row ``M + n`` that after its last. With equal
lengths this is ``[T+1, N]``, slot 0 the initial state.

A backend is the `BACKEND` of a package in this folder. `PARALLEL` says whether its kernels release the GIL and may be
called with a `Part` of several (see ``parts.py``); ``wait(barrier, size)`` returns when that many threads have called
it; backends that say the same by ``bits()`` leave the same bits. It has one module per cell, named as in `CELLS`, where
the order of gates is torch's (the CIFG's that of the LSTM, without i) and G is their number. Each has two classes:

``Packed(C, H, dtype, workspace, forward=True, backward=False, inputs=False)``
    Weights as the kernels read them: those that runs forward, backward and the gradient of inputs need.

    ``fill(part, weights)``: from ``(weight_ih [G*H, C], weight_hh [G*H, H], bias_ih [G*H], bias_hh [G*H])``,
    in these shapes or flat.
    ``unpack(part, d_weights)``: the gradient that runs have left here, into arrays of those shapes.
``Run(C, H, starts, dtype, workspace, recording=False, threads=1, masked=False)``
    One run over a packed batch, with room for so many threads. `recording` keeps what backward needs. Where `masked`,
    the gates see the states before a step times `mask` [N, H], which the caller fills before it gives the inputs.

    ``bounds(part)``: the rows of a part, (first, last), where rows are divided.
    ``load(part, x, at, state=None, reverse=False)``: inputs of sequence n from the flat array x, from x[at[n]] on, step
    after step, or with `reverse` from its last step to its first; state: arrays [N, H], None for zeros.
    ``connect(part, below, reverse, state=None)``: the inputs are the concatenated outputs of the runs `below`, each
    reversed in time if `reverse` says so.
    ``inputs``: those given, [M, C], for the caller to change.
    ``forward(part, packed)``: fills `h` [M+N, H] and `state_n`, the last states, arrays [N, H].
    ``outputs(part, reverse, out, column)``: into out [M, .] from that column on, the state after the step in the row of
    each step, or with `reverse` of the step that is as far from the sequence's end as this is from its start.
    ``step(packed, x [N, C], h [N, H])``: in a loaded run of one step, the state after it; `state` is where the next
    call goes on.
    ``prepare_backward(outputs=False, inputs=False, keep=False)``: makes room in `workspace`, which the caller may set
    to another than that of the run; with `keep` the tape survives. The caller then fills `d_state`, arrays [N, H], the
    gradient of each sequence's last state, and with `outputs` `d_h` [M, H], that of the outputs.
    ``collect(part, d_outputs, reverse, column)``: `d_h` is the sum of arrays [M, .], each from that column on, reversed
    as in `outputs`.
    ``backward(part, packed, to_start=False)``: back through time; with `to_start`, `d_state` becomes the gradient of
    the initial states.
    ``weight_gradient(part, packed, accumulate=False)``: into `packed`; with `accumulate`, added to what is there.
    ``input_gradient(part, packed)``: `d_x` [M, C], and `d_inputs`, contiguous, with as many columns or more.

``head``, a linear layer of K outputs on features, and losses: a `Loss` of ``training/losses``, which says how many
outputs S each target has, side by side:

``Head(K, F, dtype, workspace, backward=False)``
    Rows of features, of their gradient and of scores are as wide as it says; numbers beyond F and K are its own.

    ``room(name, rows)``: a buffer for features or their gradient, to be filled in the first F columns; rows of scores
    have `columns`.
    ``fill(weight [K, F], bias [K])``, once they have changed.
    ``forward(first, last, features, scores)``: scores of the rows from `first` to `last`.
    ``differentiate(loss, first, last, features, targets, sample_weight, values, d_scores, d_features)``: for those
    rows, values [M], the weighted losses, and the gradient of their sum. targets [M, K / S] or, for classes, [M, 1];
    sample_weight [M, 1], or [M, K / S] with one per target; a target of weight 0 may be any number.
    ``weight_gradient(part, features, d_scores, d_weight, d_bias, accumulate=False)``: this part's share; with
    `accumulate`, added to the gradient of the last call, which is still there.

``dropout``, with masks [N, W] that have a row for each sequence:

``draw(seed, epoch, stream, rate, sequences, first, last, masks)``
    Rows `first` to `last` of masks: 0 for a part `rate` of all numbers, 1 / (1 - rate) for the others; which, depends
    on the number's column, its row's sequences[n], the epoch, the stream and the seed alone.
``scale(starts, first, last, masks, column, rows)``
    Rows [M, W] of the sequences from `first` to `last`, times their masks from that column on.

``packing``, between packed rows and arrays (N, T, F) with one block per sequence, of which order[n] becomes the n-th;
with `reverse` the rows go through each sequence from its end:

``gather(starts, order, reverse, first, last, array, column, rows)``
    Rows [M, W] of the steps from `first` to `last`, out of W columns of the array.
``scatter(starts, order, reverse, states, add, rows, out, column)``
    Out of rows [M, W], or with `states` out of the states after them, into W columns, or added to them; zeros behind an
    end.

``solvers``, for the parameters from `first` to `last`; p [P], g [P] and moments [., P] are flat, c is of their type:

``adam(first, last, p, g, moments, c)``, likewise ``sgd`` and ``rmsprop``
    One update; ``training/solvers`` says what the numbers c are, and does it in NumPy where a backend has none.
``square_sums(first, last, g, sums)``
    sums[b] = the sum of squares of block b of `BLOCK` numbers of g, float64.

All arrays of a call are of one type, float32 or float64, contiguous unless said otherwise. Inputs are only read, and
weights and x may be read-only. A row's results have the same bits whatever rows are beside it, and all results have
them for any division into parts. Between two of these steps, where one part reads what another has written, the
caller synchronizes the threads. Kernels trust their callers: shapes and types are checked in ``fastlstm.layers``.
"""

import functools
import importlib
import importlib.util
import os
import warnings
from typing import NamedTuple


class LevelError(ValueError):
    """FASTLSTM_ISA asks for a level that this CPU has not got."""


class Cell(NamedTuple):
    """A kind of recurrence; the last four fields are for the compiled kernels."""

    gates: str  # a letter for each block of H rows of the weights, in torch's order
    states: tuple  # names of what a step passes on to the next; outputs are the first
    slots: str | None = None  # the sums that backward differentiates, if they are not those of the gates, in order
    keeps_gates: bool = True  # whether backward reads what forward made of them
    separate_biases: int = 0  # biases of a unit in the packed weights, beside those of the gates
    direct: bool = False  # whether a state also reaches the next one directly, not only through the gates' sums

    @property
    def n_slots(self):
        return len(self.slots or self.gates)

    @property
    def forget_gate(self):
        """The letter of the gate that says how much of the old state stays; None if there is none."""
        return next((gate for gate in "fz" if gate in self.gates), None)


CELLS = {
    "lstm": Cell("ifgo", ("h", "c")),
    "gru": Cell("rzn", ("h",), slots="nrzm", separate_biases=1, direct=True),
    "rnn": Cell("h", ("h",), keeps_gates=False),
    "cifg": Cell("fgo", ("h", "c")),
}
BACKENDS = ("cython", "numba", "numpy")  # in the order in which "auto" takes them
VARIABLE = "FASTLSTM_BACKEND"
OF_LEVEL = "FASTLSTM_ISA"
NO_COMPILER = "NUMBA_DISABLE_JIT"


EXTENSIONS = ("fastlstm.kernels.cython.f32", "fastlstm.kernels.cython.f64")
NOT_BUILT = (
    "its extension modules were not built; install a wheel of fastlstm, or, where there is a C compiler, see why by "
    "`pip install .` in a checkout with FASTLSTM_BUILD_EXT=require"
)


def _compiler_is_off():
    """Whether Numba is told to compile nothing: as it reads the variable, but without importing it, which is slow."""
    try:
        return int(os.environ.get(NO_COMPILER, 0)) != 0
    except ValueError:  # Numba warns, and compiles
        return False


@functools.cache
def _why_not(name):
    """Why the backend `name` cannot be loaded here; None if it can."""
    if name == "numba" and importlib.util.find_spec("numba") is None:
        return "Numba is not installed; install it with: pip install numba"
    if name == "numba" and _compiler_is_off():
        return (
            f"{NO_COMPILER}={os.environ.get(NO_COMPILER, '')} turns off Numba's compiler, without which this backend "
            f"cannot run; unset {NO_COMPILER}, or take another backend"
        )
    if name == "cython":
        try:
            _package(name)
        except LevelError:
            return None  # they are there; who takes them is told
        except Exception as error:  # whatever a module that was built for something else may raise
            if isinstance(error, ModuleNotFoundError) and error.name in EXTENSIONS:
                return NOT_BUILT
            return f"its extension modules are there, but cannot be imported: {error}; install fastlstm anew"
    return None


@functools.cache
def available():
    """Names of the backends that can be loaded here, the preferred one first.

    Examples
    --------
    >>> from fastlstm import kernels
    >>> "numpy" in kernels.available()
    True
    """
    return tuple(name for name in BACKENDS if _why_not(name) is None)


@functools.cache
def _preferred():
    """The backend that "auto" stands for."""
    reason, level, first = _why_not("cython"), os.environ.get(OF_LEVEL), available()[0]
    if reason and level:
        raise ValueError(
            f"{OF_LEVEL}={level} is a level of the cython backend, which is not available here ({reason}). Without "
            f"{OF_LEVEL}, backend='auto' is {first!r}."
        )
    if reason not in (None, NOT_BUILT):
        warnings.warn(f"backend='auto' is {first!r}, not 'cython': {reason}.", RuntimeWarning, stacklevel=3)
    elif first == "numpy":
        slow = f"backend='auto' is 'numpy', which is slow: of 'cython' {reason}; {_why_not('numba')}."
        warnings.warn(slow, RuntimeWarning, stacklevel=3)
    return first


def resolve(name="auto"):
    """The backend that `name` stands for: an explicit name, else FASTLSTM_BACKEND, else the preferred one."""
    asked = f"backend={name!r}"
    if not isinstance(name, str):
        raise ValueError(f"{asked} is no name; expected 'auto' or one of {list(available())}.")
    if name == "auto":
        name = os.environ.get(VARIABLE, "auto")
        asked = f"{VARIABLE}={name}"
        if name in ("", "auto"):
            name = _preferred()
    if name not in available():
        reason = f" ({_why_not(name)})" if name in BACKENDS else ""
        raise ValueError(
            f"{asked} is not a backend available here{reason}; expected 'auto' or one of {list(available())}."
        )
    if name == "cython":
        _package(name)  # the level that FASTLSTM_ISA asks for may not be there
    return name


def load(name="auto"):
    """Import the backend `name`.

    Examples
    --------
    >>> from fastlstm import kernels
    >>> kernels.load("numpy").PARALLEL
    False
    """
    return _package(name if name in available() else resolve(name))


@functools.cache
def _package(name):
    return importlib.import_module(f"fastlstm.kernels.{name}").BACKEND
