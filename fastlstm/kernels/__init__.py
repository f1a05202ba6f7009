"""The interface that every backend implements.

Shapes, here and in all kernels; arrays are row-major:

==  ===========================
T   steps
N   sequences of a batch
C   inputs (channels)
H   hidden units
==  ===========================

A batch is *packed*: its sequences are sorted by decreasing length, and step t has one row for each sequence longer than
t. `starts` [T+1] holds the offset of each step's rows; ``M = starts[T]`` is the total number of rows. Arrays of states
have M+N rows: row ``starts[t] + n`` is the state of sequence n before step t, and row ``M + n`` its final state. If all
lengths are equal, this is ``[T+1, N]``, with the initial state in slot 0.

A backend is the `BACKEND` of a package in this folder. `PARALLEL` tells whether its kernels release the GIL and accept
a `Part` of several threads (see ``parts.py``). ``wait(barrier, size)`` returns once `size` threads have called it.
Backends with equal ``bits()`` produce bitwise identical results. ``padded(H, dtype)`` is P, the number of H units with
their padding. Each backend has one module per cell, named as in
`CELLS`. The order of the G gates is that of PyTorch; the CIFG has the gates of the LSTM without i. Each module has two
classes:

``Packed(C, H, dtype, workspace, forward=True, backward=False, inputs=False)``
    Weights packed for the kernels: for the forward pass, the backward pass and the gradient of the inputs, as needed.

    ``fill(part, weights)``: pack ``(weight_ih [G*H, C], weight_hh [G*H, H], bias_ih [G*H], bias_hh [G*H])``, in these
    shapes or flattened.
    ``unpack(part, d_weights)``: copy the accumulated gradient to arrays of those shapes.
``Run(C, H, starts, dtype, workspace, recording=False, threads=1, masked=False)``
    A run over a packed batch on up to `threads` threads. With `recording`, it stores the tape for the backward pass.
    With `masked`, the gates see the states before a step multiplied by `mask` [N, H], which the caller fills before
    loading the inputs.

    ``bounds(part)``: the range of sequences (first, last) of a part, if the work is divided by rows.
    ``load(part, x, at, state=None, reverse=False)``: copy the inputs from the flat array x. Those of sequence n start
    at x[at[n]], one step after another; with `reverse`, they are loaded from the last step to the first. `state` holds
    the initial states, arrays [N, H]; if None, they are zero.
    ``connect(part, below, reverse, state=None)``: use the concatenated outputs of the runs `below` as inputs; reverse
    holds one flag per run, which tells whether to reverse its outputs in time.
    ``inputs``: the loaded inputs [M, C], which the caller may modify.
    ``look_up(products, which)``: start the gates' sums of a row from the sum of the rows which[m] of products
    [., G, P]; `which` is [M, S]. They are products of inputs beside those of `load`. The gates are ordered as the first
    G of the cell's `slots`, if it has these. Both arrays are read by each `forward` and `step` that follow.
    ``forward(part, packed)``: compute `h` [M+N, H] and `state_n`, the final states, arrays [N, H].
    ``activations()``: after `forward` with `recording`, views of what it computed, by letter: the states [M+N, H], and
    [M, H] for each gate that the tape stores; for a GRU also m, the state's term of the candidate. Valid until
    `backward`, or with `keep` beyond it.
    ``outputs(part, reverse, out, column)``: write the state after each step to that step's row of out [M, .], starting
    at `column`; with `reverse`, in reversed time.
    ``step(packed, x [N, C], h [N, H])``: advance a loaded run of one step, and write the new state to h. It also
    becomes `state`, the initial state of the next call.
    ``prepare_backward(outputs=False, inputs=False, keep=False)``: allocate buffers in `workspace`, which the caller may
    replace before the call; with `keep`, the tape is preserved. The caller then fills `d_state`, arrays [N, H], with
    the gradient of the final states and, with `outputs`, `d_h` [M, H] with the gradient of the outputs.
    ``collect(part, d_outputs, reverse, column)``: set `d_h` to the sum of the arrays [M, .] in `d_outputs`, each
    starting at `column` and reversed as in `outputs`.
    ``backward(part, packed, to_start=False)``: backpropagate through time; with `to_start`, `d_state` returns the
    gradient of the initial states.
    ``d_sums()``: after `backward`, views [M, H] of the gradient of the gates' sums before their activation, by letter;
    for a GRU also that of m.
    ``weight_gradient(part, packed, accumulate=False)``: store the gradient in `packed`, or accumulate it there.
    ``add_rows(part, d_products, accumulate=False)``: store the gradient of the products that were looked up, or add it.
    ``input_gradient(part, packed)``: compute `d_x` [M, C], and the contiguous `d_inputs`, which may have extra columns.

``head`` is a linear layer from F features to K outputs, with the losses of ``training/losses``. A `Loss` has S outputs
per target, stored next to each other:

``Head(K, F, dtype, workspace, backward=False)``
    The head determines the number of columns of features, their gradient and scores. Columns beyond F and K are
    padding, for its own use.

    ``room(name, rows)``: a buffer for features or their gradient; the caller fills its first F columns. Scores have
    `columns` columns.
    ``fill(weight [K, F], bias [K])``: pack the weights; needed whenever they have changed.
    ``forward(first, last, features, scores)``: compute the scores of rows `first` to `last`.
    ``differentiate(loss, first, last, features, targets, sample_weight, values, d_scores, d_features)``: compute the
    weighted losses of those rows, values [M], and the gradient of their sum. targets is [M, K / S] or, for classes,
    [M, 1]; sample_weight is [M, 1] or, with one weight per target, [M, K / S]. Targets with zero weight are ignored and
    may have any value.
    ``backward(first, last, d_scores, d_features)``: compute the gradient of the features of those rows.
    ``weight_gradient(part, features, d_scores, d_weight, d_bias, accumulate=False)``: compute this part's share of the
    gradient; with `accumulate`, add it to the result of the previous call, which must still be in place.

``attention`` compares each query of a sequence with the rows of the sequence's memory. Sequence n has the rows
source[n] to source[n+1] of the memory, S of them, and the queries target[n] to target[n+1], T of them:

``Attention(additive, A, W, source, target, dtype, workspace, backward=False, own_keys=True)``
    A: numbers of a query and of a key; W: of a row of memory. Scores are the products q . k or, if `additive`,
    v . tanh(q + k). With `own_keys`, each row of memory has a key; without, for products only, it is its own key.

    ``memory``, ``keys``, ``queries``, ``vector``: arrays [., W], [., A], [., A] and [A], which the caller fills; they
    and those below may have further columns, which are padding.
    ``prepare(part)``: needed when memory and keys have changed.
    ``forward(part)``: compute `context` [., W], the means of the rows of memory, weighted by the softmax of the scores.
    ``weights_of(n)``: these weights [T, S] of sequence n of N.
    ``backward(part)``: from `d_context`, which the caller fills, compute `d_memory`, `d_keys`, `d_queries` and, for
    each sequence, the gradient `d_vector` [N, A]. Without `own_keys`, `d_memory` includes that of the keys.

``tanh(first, last, rows)``
    Replace rows `first` to `last` of a contiguous array by their tanh.

``roll_out`` has recursive forecasts, in which each forecast is the input of the next step:

``RollOut(runs, packed, head, forecast)``
    Forecasts by loaded runs of one step, one for each of the stacked layers, their packed weights, and a filled head of
    one or two outputs. `forecast` is a `Forecast` (see ``forecast.py``), whose `scores` are those of the first step.
    Without layers, there are neither a head nor scores, and forecasts are those of the lags.
    ``run(part)``: compute all steps of the part's share of the sequences, and advance the states of the runs.

``dropout`` has masks [N, W], one row per sequence:

``draw(seed, epoch, stream, rate, sequences, first, last, masks)``
    Fill rows `first` to `last` of the masks: each element is 0 with probability `rate`, otherwise 1 / (1 - rate). It
    depends only on its column, sequences[n] of its row, epoch, stream and seed.
``scale(starts, first, last, masks, column, rows)``
    Multiply rows [M, W] of the sequences `first` to `last` by their masks, starting at `column`.

``packing`` copies between packed rows and arrays (N, T, F) with one block per sequence; packed sequence n is block
order[n]. With `reverse`, the rows are in reversed time:

``gather(starts, order, reverse, first, last, array, column, rows)``
    Copy W columns of the array to rows [M, W], for steps `first` to `last`.
``scatter(starts, order, reverse, states, add, rows, out, column)``
    Copy rows [M, W], or with `states` the states after their steps, to W columns of `out`, or add them; fill the steps
    beyond a sequence's length with zeros.

``solvers`` update the parameters `first` to `last`. p [P], g [P] and moments [., P] are flat; c has the same type:

``adam(first, last, p, g, moments, c)``, likewise ``sgd`` and ``rmsprop``
    Perform one update. ``training/solvers`` defines the coefficients c, and is the fallback in NumPy for a backend
    without solvers.
``square_sums(first, last, g, sums)``
    sums[b] = sum of squares, in float64, of block b of g; blocks have `BLOCK` elements.

``bfloat16`` has the same modules of cells for float32 numbers, with products of bfloat16 numbers: what they read,
weights, inputs, states and gradients of sums, is rounded to the nearest of these, the even one of two; they are summed
in float32: products are added in pairs, the odd element first, as vdpbf16ps does.
States, gradients and all else stay float32, products that are looked up as well. A backend without the attribute does
not have them.

``int8`` has them, too, without a gradient: `Packed` and `prepare_backward` refuse it. Weights, inputs and states are
rounded to integers from -127 to 127 times a scale, their largest absolute value / 127. In each row of weight_ih and of
weight_hh, and in each row of the inputs and of the states before a step, it is that of the row. Sums of integers are
exact; a gate's is ``bias + (s_x * s_ih) * sum_x + (s_h * s_hh) * sum_h`` in float32, added from left to right. A sum
differs from that of float32 by at most ``s_x * |W|_1 / 2 + s_ih * |x|_1 / 2 + C * s_x * s_ih / 4`` for the inputs, with
the row W of weight_ih, and likewise for the states. A row with a number that is not finite has sums of NaN.

All arrays passed to a call have the same dtype, float32 or float64, and are contiguous unless noted otherwise. Inputs
are never modified, and weights and x may be read-only. The results of a row are bitwise identical whatever other rows
are in the batch, and all results are bitwise identical however the work is divided into parts. The caller places a
barrier between two calls if a part reads what another part has written. Kernels do not validate their arguments:
shapes and dtypes are checked in ``fastlstm.layers``.
"""

import copy
import functools
import importlib
import importlib.util
import os
import warnings
from typing import NamedTuple

import numpy as np


class LevelError(ValueError):
    """FASTLSTM_ISA requests a level that this CPU does not support."""


class Cell(NamedTuple):
    """A type of recurrent cell; the last four fields are for the compiled kernels."""

    gates: str  # one letter per block of H rows of the weights, in PyTorch's order
    states: tuple  # names of the recurrent states; the first is the output
    slots: str | None = None  # the pre-activations whose gradient backward computes, if they are not those of `gates`
    keeps_gates: bool = True  # whether forward stores the gates' activations for backward
    separate_biases: int = 0  # extra biases per unit in the packed weights, in addition to those of the gates
    direct: bool = False  # whether a state also contributes to the next one directly, not only through the gates

    @property
    def n_slots(self):
        return len(self.slots or self.gates)

    @property
    def forget_gate(self):
        """Letter of the gate that controls how much of the previous state is kept; None if there is none."""
        return next((gate for gate in "fz" if gate in self.gates), None)


CELLS = {
    "lstm": Cell("ifgo", ("h", "c")),
    "gru": Cell("rzn", ("h",), slots="nrzm", separate_biases=1, direct=True),
    "rnn": Cell("h", ("h",), keeps_gates=False),
    "cifg": Cell("fgo", ("h", "c")),
}
BACKENDS = ("cython", "numba", "numpy")  # in order of preference for "auto"
OF_TRAINING = ("float32", "bfloat16")  # precisions of the products in recurrences, with float32 numbers
PRECISIONS = (*OF_TRAINING, "int8")  # and of predictions
#: From this size on, float32 numbers are infinite in products of this precision.
LIMITS = {"bfloat16": 2.0**128 - 2.0**119}
MOST_OF_INT8 = 1 << 17  # inputs or units of a layer; sums of more products of two int8 numbers might overflow
NO_GRADIENT = (
    "precision='int8' is for predictions and has no gradient: use precision='float32' or 'bfloat16', for an estimator "
    "by set_params(precision='float32'), for a layer in a new one."
)
VARIABLE = "FASTLSTM_BACKEND"
OF_LEVEL = "FASTLSTM_ISA"
NO_COMPILER = "NUMBA_DISABLE_JIT"


EXTENSIONS = tuple(f"fastlstm.kernels.cython.{name}" for name in ("f32", "f64", "bf16", "int8"))
NOT_BUILT = (
    "its extension modules were not built; install a wheel of fastlstm or, if you have a C compiler, run "
    "`FASTLSTM_BUILD_EXT=require pip install .` in a checkout to see why the build fails"
)


def _compiler_is_off():
    """Whether the environment disables Numba's compiler; parsed as Numba does, but without the slow import of Numba."""
    try:
        return int(os.environ.get(NO_COMPILER, 0)) != 0
    except ValueError:  # Numba warns and keeps its compiler enabled
        return False


@functools.cache
def _why_not(name):
    """Why the backend `name` is unavailable; None if it is available."""
    if name == "numba" and importlib.util.find_spec("numba") is None:
        return "Numba is not installed; install it with: pip install numba"
    if name == "numba" and _compiler_is_off():
        return (
            f"{NO_COMPILER}={os.environ.get(NO_COMPILER, '')} disables Numba's compiler, which this backend requires; "
            f"unset {NO_COMPILER}, or use another backend"
        )
    if name == "cython":
        try:
            _package(name)
        except LevelError:
            return None  # the backend is available; `resolve` raises this error if it is used
        except Exception as error:  # a module built for another interpreter or platform may raise anything
            if isinstance(error, ModuleNotFoundError) and error.name in EXTENSIONS:
                return NOT_BUILT
            return f"its extension modules cannot be imported: {error}; reinstall fastlstm"
    return None


@functools.cache
def available():
    """Names of the available backends, in order of preference.

    Examples
    --------
    >>> from fastlstm import kernels
    >>> "numpy" in kernels.available()
    True
    """
    return tuple(name for name in BACKENDS if _why_not(name) is None)


@functools.cache
def _preferred():
    """The backend that "auto" selects."""
    reason, level, first = _why_not("cython"), os.environ.get(OF_LEVEL), available()[0]
    if reason and level:
        raise ValueError(
            f"{OF_LEVEL}={level} selects a level of the cython backend, which is not available ({reason}). If "
            f"{OF_LEVEL} is unset, backend='auto' selects {first!r}."
        )
    if reason not in (None, NOT_BUILT):
        warnings.warn(f"backend='auto' selects {first!r}, not 'cython': {reason}.", RuntimeWarning, stacklevel=3)
    elif first == "numpy":
        slow = f"backend='auto' selects 'numpy', which is slow. 'cython': {reason}. 'numba': {_why_not('numba')}."
        warnings.warn(slow, RuntimeWarning, stacklevel=3)
    return first


def resolve(name="auto", precision="float32", dtype="float32"):
    """The name of the kernels to use, as `load` takes it.

    The backend is `name` or, if that is "auto", FASTLSTM_BACKEND or else the preferred one. Raises ValueError if it is
    not available, or if it has no products of this precision for numbers of the type `dtype`.

    Examples
    --------
    >>> from fastlstm import kernels
    >>> kernels.resolve("numpy"), kernels.resolve("numpy", "bfloat16")
    ('numpy', 'numpy, bfloat16')
    """
    backend = _resolve_backend(name)
    if not isinstance(precision, str) or precision not in PRECISIONS:
        raise ValueError(f"precision={precision!r}: expected one of {list(PRECISIONS)}.")
    if precision == "float32":
        return backend
    if np.dtype(dtype) != np.float32:
        raise ValueError(
            f"precision={precision!r} requires dtype='float32', but dtype is {np.dtype(dtype).name!r}: use "
            "precision='float32', or dtype='float32'."
        )
    if not hasattr(_package(backend), precision):
        able = [other for other in available() if hasattr(_package(other), precision)]
        raise ValueError(f"precision={precision!r} is not available with backend={backend!r}: use one of {able}.")
    return f"{backend}, {precision}"


def _resolve_backend(name):
    asked = f"backend={name!r}"
    if not isinstance(name, str):
        raise ValueError(f"{asked} is not a string; expected 'auto' or one of {list(available())}.")
    if name == "auto":
        name = os.environ.get(VARIABLE, "auto")
        asked = f"{VARIABLE}={name}"
        if name in ("", "auto"):
            name = _preferred()
    if name not in available():
        reason = f" ({_why_not(name)})" if name in BACKENDS else ""
        raise ValueError(f"{asked} is not an available backend{reason}; expected 'auto' or one of {list(available())}.")
    if name == "cython":
        _package(name)  # raises LevelError if the CPU does not support the level in FASTLSTM_ISA
    return name


def load(name="auto"):
    """Import the kernels of this name: a backend, or what `resolve` returns.

    Examples
    --------
    >>> from fastlstm import kernels
    >>> kernels.load("numpy").PARALLEL
    False
    >>> kernels.load("numpy, bfloat16").bits()
    'numpy, bfloat16'
    """
    backend, _, precision = name.partition(", ")
    backend = backend if backend in available() else _resolve_backend(backend)
    return _narrow_package(backend, precision) if precision else _package(backend)


def precision_of(name):
    """The precision of the products of the kernels of this name.

    Examples
    --------
    >>> from fastlstm import kernels
    >>> kernels.precision_of("numpy"), kernels.precision_of("numpy, bfloat16")
    ('float32', 'bfloat16')
    """
    return name.partition(", ")[2] or "float32"


@functools.cache
def _narrow_package(name, precision):
    """The backend with recurrences whose products are of this precision; all else is the same."""
    package = _package(name)
    narrow = copy.copy(package)
    vars(narrow).update(vars(getattr(package, precision)))
    return narrow


@functools.cache
def _package(name):
    return importlib.import_module(f"fastlstm.kernels.{name}").BACKEND
