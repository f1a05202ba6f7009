"""A good call of every entry of a backend's table, for tests that vary its arguments."""

import inspect
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastlstm import kernels
from fastlstm.kernels.compiled.head import NUMBERS
from fastlstm.kernels.parts import BROKEN, Part, lengths_of, starts_of
from fastlstm.kernels.workspace import Workspace

NAMES = sorted(
    {f"{cell}_{what}" for cell in kernels.CELLS for what in ("forward", "backward", "stepper")}
    | {"pack_gates", "pack_panels", "gru_pack", "rnn_pack", "unpack", "gru_unpack", "load_rows", "begin_rows"}
    | {"copy_outputs", "add_gradients", "multiply_rows", "gradient", "gather", "scatter", "draw", "scale", "wait"}
    | {"forward_rows", "differentiate_rows", "backward_rows", "gradient_of_rows", "losses_of_rows"}
    | {"losses_of_distributions", "square_sums", "adam", "sgd", "rmsprop"}
)
STEPPER = ["starts", "N", "C", "H", "P", "rows", "stride", "w", "c", "sums", "zero", "x", "h"]


class Call(NamedTuple):
    """A call that is good, and what it is made of."""

    function: object
    given: dict  # the arguments by name, in order

    def __call__(self, **other):
        """Call it, with other arguments in place of some; the arrays, of which the others are copied, afterwards."""
        given = {name: alike(value) if isinstance(value, np.ndarray) else value for name, value in self.given.items()}
        given |= other
        self.function(*given.values())
        return {name: value for name, value in given.items() if isinstance(value, np.ndarray)}

    def refused(self, expected=ValueError, **other):
        """What the error says; these arrays are as they were."""
        before = {name: value.copy() for name, value in other.items() if isinstance(value, np.ndarray)}
        with pytest.raises(expected) as error:
            self(**other)
        for name, value in before.items():
            assert_array_equal(other[name], value)
        return str(error.value)

    def arrays(self):
        return {name: value for name, value in self.given.items() if isinstance(value, np.ndarray)}


def alike(array):
    """A copy, whose rows lie as far apart."""
    if array.flags.c_contiguous:
        return array.copy()
    copy = np.zeros((len(array), array.strides[0] // array.itemsize), array.dtype)[:, : array.shape[1]]
    copy[:] = array
    return copy


def recorded(backend, dtype):
    """A call of every entry of a backend for numbers of this type, by name."""
    backend, dtype = kernels.load(backend), np.dtype(dtype)
    entries = backend.entries(dtype)
    return record(entries, backend, dtype, take_runs) | record(entries, backend, dtype, take_others)


def record(entries, backend, dtype, take):
    """The last call of each function that `take` makes, where one has every array to read."""
    calls = {}

    def recorder(name, function, names):
        def call(*arguments):
            given = dict(zip(names, arguments, strict=True))
            assert all(value for value in given.values() if isinstance(value, bool)), name
            calls[name] = Call(function, {n: alike(v) if isinstance(v, np.ndarray) else v for n, v in given.items()})
            return function(*arguments)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("held", "held_sizes", "unread"):  # of which no copy could be made
            patch.setattr(entries, name, lambda array: array)
        for name in NAMES:
            function = getattr(entries, name)
            if name.endswith("_stepper"):
                names = [n for n in STEPPER if n != "c" or name == "lstm_stepper"]
                step = recorder(name, lambda *given, of=function: of(*given[:-2])(*given[-2:]), names)
                patch.setattr(entries, name, lambda *buffers, step=step: lambda x, h: step(*buffers, x, h))
            else:
                patch.setattr(entries, name, recorder(name, function, list(inspect.signature(function).parameters)))
        take(backend, entries, dtype)
    return calls


def take_runs(backend, entries, dtype):
    """Calls of runs, of a part that has all units and half of the rows."""
    rng = np.random.default_rng(0)
    C, H, N, lengths = 3, 21, 4, np.array([4, 4, 3, 1])
    starts, part = starts_of(lengths).astype(np.int64), Part(1, 2, True, np.full(1, BROKEN, np.int64))
    M = int(starts[-1])

    def normal(*shape):
        return rng.standard_normal(shape).astype(dtype)

    for cell, (gates, states) in kernels.CELLS.items():
        G, module = len(gates), getattr(backend, cell)
        weights, state = [normal(G * H, C), normal(G * H, H), normal(G * H), normal(G * H)], []
        state = tuple(normal(N, 2 * H)[:, :H] for _ in states)
        packed = module.Packed(C, H, dtype, Workspace(), backward=True, inputs=True)
        packed.gradient[:] = 0
        for rank in (0, 1):
            packed.fill(part._replace(rank=rank), weights)
        steps = module.Run(C, H, starts_of(np.ones(N, int)).astype(np.int64), dtype, Workspace())
        steps.load(part, normal(N * C), np.arange(N) * C, state, True)
        steps._rows[:] = 0
        steps.step(packed, normal(N, C), np.empty((N, H), dtype))

        run = module.Run(C, H, starts, dtype, Workspace(), recording=True, threads=2, masked=True)
        run.mask[:] = normal(N, H)
        for rank in (0, 1):
            run.load(part._replace(rank=rank), normal(M * C), (np.cumsum(lengths) - lengths) * C, state, True)
        run.forward(part, packed)
        run.outputs(part, True, np.zeros((M, H + 5), dtype), 3)
        module.Run(H, H, starts, dtype, Workspace()).connect(part, [run], [True], state)
        run.prepare_backward(outputs=True, inputs=True, keep=True)
        for array in (run._dz, run.d_h):
            array[:] = 0
        run.d_h[:], run.d_state[0][:] = normal(M, H), normal(N, H)
        entries.add_gradients(starts, lengths, True, 2, N, H, normal(M * (H + 5)), 2, H + 5, run._d_h, run.P, True)
        run.backward(part, packed, True)
        run.weight_gradient(part, packed, True)
        run.input_gradient(part, packed)
        packed.unpack(part, [np.zeros_like(weight) for weight in weights])


def take_others(backend, entries, dtype):
    """Calls of what has no runs."""
    rng = np.random.default_rng(0)
    M, F, K, S = 7, 19, 2, 3

    def normal(*shape):
        return rng.standard_normal(shape).astype(dtype)

    x, weight, bias, values, labels = normal(M, F), normal(K, F), normal(K), np.zeros(M), rng.integers(0, K, (M, 1))
    entries.forward_rows(2, M, x, weight, bias, normal(M, K))
    entries.differentiate_rows(0, 2, M, x, weight, bias, labels, normal(M, 1), values, normal(M, K), normal(M, F))
    entries.backward_rows(2, M, weight, normal(M, K), normal(M, F))
    entries.gradient_of_rows(0, F, x, normal(M, K), normal(K, F), normal(K), True)
    K, values, levels = 3, np.zeros(M), np.array([0.1, 0.5, 0.9])
    entries.losses_of_rows(NUMBERS["huber"], 2, M, K, normal(M, K), normal(M, K), values, normal(M, K + 1))
    of_rows = normal(M, K), normal(M, K), values, normal(M, K * S + 1)
    entries.losses_of_distributions(NUMBERS["quantile"], 2, M, S, levels, *of_rows, np.zeros(S))

    lengths = np.array([4, 3, 3, 1])
    starts, N, T, W = starts_of(lengths).astype(np.int64), 4, 5, 6
    batch, rows = (starts, lengths_of(starts), rng.permutation(N), True), int(starts[-1]) + N
    entries.gather(*batch, 0, 4, T, W + 3, 2, normal(N * T * (W + 3)), normal(rows, W + 2)[:, :W])
    entries.scatter(*batch, True, True, normal(rows, W + 2)[:, :W], normal(N, T, W + 3), 2)
    entries.draw(9, 5, 2, 2**31, 2.0, rng.integers(0, 9, N), 1, N, normal(N, W + 2)[:, :W])
    entries.scale(starts, 1, N, normal(N, W + 2), W + 2, 1, W, normal(rows, W + 2)[:, :W], W + 2)
    entries.wait(np.zeros(1, np.int64), 1)

    P = 5000
    entries.square_sums(0, 2, normal(P), np.zeros(2))
    for solver in ("adam", "sgd", "rmsprop"):
        settings = np.array([0.7, 0.1, 0.001, 1e-3, 1.5, 1e-8], dtype)
        getattr(entries, solver)(9, P, normal(P), normal(P), np.abs(normal(2, P)), settings)
