"""A model that goes on one step a call: sequences side by side, in microseconds a step."""

from math import isfinite

import numpy as np

from fastlstm import kernels
from fastlstm.kernels.parts import Part
from fastlstm.kernels.workspace import Workspace
from fastlstm.stacks import PackedStack, StackRun

FEW = 32  # numbers that Python adds up faster than np.isfinite looks at them, which takes as long as a small step


class Steps:
    """n sequences that a `Model` reads as they come.

    Parameters
    ----------
    model : Model
        Of one direction. Its weights are copied into the kernels' order: what becomes of it later does not matter.
    n : int
        Sequences.
    backend : str
        Name of the kernels' backend.

    Attributes
    ----------
    states : list of tuple of arrays [n, H]
        Of each layer: where the sequences are.
    seen : array [n, C] or None
        The last value seen of each channel, where there may be gaps.
    """

    def __init__(self, model, n, backend):
        stack, weights, dtype = model.stack, model.weights, model.dtype
        package, self._n, self.dtype = kernels.load(backend), n, dtype
        packed = PackedStack(stack, package, dtype)
        packed.fill(Part(), [weights[name] for name in stack.shapes])
        run = StackRun(stack, package, np.array([0, n]), dtype, [Workspace() for _ in stack.places])
        K = len(weights["head.bias"])
        self._head = package.head.Head(K, stack.width, dtype, Workspace())
        self._head.fill(weights["head.weight"].copy(), weights["head.bias"].copy())
        self._features, self._room = self._head.room("features", n), np.empty((n, self._head.columns), dtype)
        self._scores = self._room[:, :K]

        C = stack.input_size
        self._x = np.zeros((n, C), dtype)
        self._flat, self._few = self._x.reshape(-1), n * C <= FEW
        self.shape = (n, C // 2) if model.masked else (n, C)
        self.seen = np.zeros(self.shape, dtype) if model.masked else None
        self._scaling, self._wide = model.scaling, np.empty(self.shape)
        for one in run.runs:
            one.load(Part(), np.zeros(n * one.C, dtype), np.arange(n) * one.C)
        # the last states go where the head reads them, but for kernels those must stand without gaps
        of_head = self._features[:, : stack.width]
        self._last = of_head if of_head.flags.c_contiguous else np.empty((n, stack.width), dtype)
        hidden = [*(np.empty((n, one.H), dtype) for one in run.runs[:-1]), self._last]
        self._copies = None if self._last is of_head else of_head
        self.states = [one.state for one in run.runs]
        self._layers = list(zip(run.runs, packed.runs, [self._x, *hidden[:-1]], hidden, strict=True))

    @property
    def input_dtype(self):
        """The type that takes least time: what is standardised is not rounded before."""
        return self.dtype if self._scaling is None else np.dtype("float64")

    def step(self, x):
        """Scores [n, K S] after a step x of `shape`, or of one like it.

        Raises ValueError if a number is not finite, or NaN where there may be no gaps; the sequences stay where they
        were.
        """
        if self._scaling is not None:
            x = self._standardised(x)
        if self.seen is None:
            self._x[...] = x
            if not (self._few and isfinite(sum(self._flat.tolist()))):
                self._check_finite(x)
        else:
            self._take_masked(x)
        for run, packed, inputs, h in self._layers:
            run.step(packed, inputs, h)
        if self._copies is not None:
            self._copies[...] = self._last
        self._head.forward(0, self._n, self._features, self._room)
        return self._scores.copy()

    def _standardised(self, x):
        """The step as whole series are read: the same numbers by the same operations."""
        np.subtract(x.reshape(self.shape), self._scaling.mean, out=self._wide)
        np.divide(self._wide, self._scaling.scale, out=self._wide)
        with np.errstate(over="ignore"):  # reported as infinite
            return self._wide.astype(self.dtype)

    def _check_finite(self, x):
        x = x.reshape(self.shape)
        wrong = ~np.isfinite(x) if self.seen is None else np.isinf(x)
        if not wrong.any():
            return
        stream, channel = np.argwhere(wrong)[0]
        if np.isinf(x[stream, channel]):
            what, advice = f"infinity or a value too large for {self.dtype}", ""
        else:
            what, advice = "NaN", ": fill in what is missing, or fit with missing='mask'"
        raise ValueError(f"x_t contains {what} in stream {stream}, channel {channel}{advice}.")

    def _take_masked(self, x):
        """The inputs that `sequences.with_mask` makes: what was seen last for NaN, and which are."""
        C, missing = self.shape[1], 0
        if self._few and isfinite(sum(x.ravel().tolist())):
            self.seen[...] = x
        else:
            self._check_finite(x)
            missing = np.isnan(x)
            np.copyto(self.seen, x, where=~missing)
        self._x[:, :C], self._x[:, C:] = self.seen, missing

    def arrays(self):
        """All that a step goes on from; the first axis is that of the sequences."""
        return [part for state in self.states for part in state] + [self.seen] * (self.seen is not None)
