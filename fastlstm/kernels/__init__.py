"""The contract of every backend.

Shapes, here and in all kernels; the last axis is the fastest:

==  =====================
T   steps
N   sequences of a batch
C   inputs (channels)
H   hidden units
==  =====================

Arrays of states are ``[T+1, N, H]``: slot 0 is the initial state, slot t+1 the state after step t. Gates stand
in the order i, f, g, o (input, forget, cell, output), as in ``torch.nn.LSTM``.

A backend is a package in this folder with one module per cell. ``lstm`` has:

``forward(x, weights, state) -> h, (h_n, c_n)``
    Outputs only. x ``[T, N, C]``, any strides; weights ``(weight_ih [4H, C], weight_hh [4H, H],
    bias_ih [4H], bias_hh [4H])``; state ``(h_0 [N, H], c_0 [N, H])`` or None for zeros; h ``[T+1, N, H]``,
    h_n and c_n ``[N, H]``.
``record(x, weights, state, workspace) -> h, (h_n, c_n), tape``
    The same numbers, bit for bit, and what `backward` needs. Buffers are taken from `workspace`: the next
    call with the same one overwrites h and the tape.
``backward(tape, weights, d_h, d_state, d_weights, workspace, input_gradient, state_gradient) -> d_x, d_state_0``
    Backpropagation through time. d_h ``[T, N, H]`` is the gradient of the outputs ``h[1:]`` or None;
    d_state ``(d_h_n, d_c_n)`` that of the last state, or None. Writes the gradients of the weights into
    `d_weights`, four arrays of the shapes of `weights`. Returns d_x ``[T, N, C]`` and ``(d_h_0, d_c_0)``, or
    None for what was not asked for. The tape is left as it was.

All arrays of a call are of one type, float32 or float64. Inputs are only read, and may be read-only. A row's
results have the same bits whatever rows are beside it. Kernels trust their callers: shapes and types are
checked in ``fastlstm.layers``.
"""

import importlib
import importlib.util
import os

BACKENDS = ("numba", "numpy")  # in the order in which "auto" takes them
VARIABLE = "FASTLSTM_BACKEND"


def available():
    """Names of the backends that can be loaded here, the preferred one first.

    Examples
    --------
    >>> from fastlstm import kernels
    >>> "numpy" in kernels.available()
    True
    """
    return tuple(name for name in BACKENDS if name == "numpy" or importlib.util.find_spec(name))


def resolve(name="auto"):
    """The backend that `name` stands for: an explicit name, else FASTLSTM_BACKEND, else the preferred one."""
    asked = f"backend={name!r}"
    if name == "auto":
        name = os.environ.get(VARIABLE, "auto")
        asked = f"{VARIABLE}={name}"
        name = available()[0] if name in ("", "auto") else name
    if name not in available():
        raise ValueError(f"{asked} is not a backend available here; expected 'auto' or one of {list(available())}.")
    return name


def load(name="auto"):
    """Import the backend `name` and return its package.

    Examples
    --------
    >>> from fastlstm import kernels
    >>> kernels.load("numpy").lstm.forward.__name__
    'forward'
    """
    return importlib.import_module(f"fastlstm.kernels.{resolve(name)}")
